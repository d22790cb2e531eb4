"""Values that find mistakes, the applications of every op, and what counts as equal."""

from __future__ import annotations

import itertools
import os
import zlib
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from tracejit.ir import ops as _vocabulary  # noqa: F401, fills OPS
from tracejit.ir.op import CONTRACTION, CONTROL, ELEMENTWISE, OPS, REDUCTION, SCAN, Op
from tracejit.ir.types import DTYPES, ArrayType, DType, array_type
from tracejit.testing.programs import ELEMENTARY

# Equal operands may be zeros of different signs.
EITHER_ZERO = {
    "maximum",
    "minimum",
    "fmax",
    "fmin",
    "max",
    "min",
    "prod",
    "cumlogaddexp",
    "cumlogaddexp2",
    "partition",
    "ranked",
    "cummax",
    "cummin",
    "fold_fmax",
    "fold_fmin",
}
# Two for ours, two for the reference's own.
ELEMENTARY_ULPS = 4
RUNNING_LOGARITHMS, RUNNING_ULPS = ("cumlogaddexp", "cumlogaddexp2"), 100
# Of the modulus: products and quotients of complex numbers cancel in their parts.
COMPLEX_ULPS = 8
COMPLEX_INEXACT = ELEMENTARY | {
    "multiply", "square", "divide", "reciprocal", "absolute", "sign", "sqrt",
}  # fmt: skip


# EXHAUSTIVE=1 tests more of everything, for hours.
EXHAUSTIVE = bool(os.environ.get("EXHAUSTIVE"))
# One dtype for each kind of code; where that must do.
FEW = ("bool", "u8", "i64", "f16", "f32", "f64", "c128")


class Instance(NamedTuple):
    """One application of an op: types of the operands and attributes."""

    types: tuple[ArrayType, ...]
    attrs: dict[str, Any]

    def __str__(self) -> str:
        attrs = "".join(f", {key}={value!r}" for key, value in self.attrs.items())
        return f"({', '.join(map(str, self.types))}{attrs})"


def specials(dtype: DType) -> np.ndarray:
    """Limits, zeros of both signs, infinities, NaN, the smallest and largest of each kind."""
    if dtype.kind == "b":
        return np.array([False, True])
    if dtype.is_integer:
        limits = np.iinfo(dtype.numpy)
        candidates = [0, 1, 2, 3, 7, 31, 100, limits.max, limits.max - 1, limits.min, -1, -2, -3]
        candidates += [-7, -100, limits.min + 1, limits.max // 2]
        held = [value for value in candidates if limits.min <= value <= limits.max]
        return np.array(list(dict.fromkeys(held)), dtype.numpy)
    if dtype.is_complex:
        parts = np.array([0.0, -0.0, 1.0, -2.5, np.inf, -np.inf, np.nan, 1e-3], dtype.real.numpy)
        out = np.empty((len(parts), len(parts)), dtype.numpy)
        out.real, out.imag = parts[:, None], parts
        return out.ravel()
    limits = np.finfo(dtype.numpy)
    return np.array(
        [0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 1.5, -2.5, 3.0, 2.0, 7.25, np.inf, -np.inf, np.nan]
        + [limits.max, -limits.max, limits.tiny, -limits.tiny, limits.smallest_subnormal]
        + [-limits.smallest_subnormal, limits.eps, 1.0 - limits.epsneg, -30.75, 1e-3],
        dtype.numpy,
    )


def ordinary(dtype: DType, count: int, rng: np.random.Generator) -> np.ndarray:
    """Random values of moderate and of every size."""
    if dtype.kind == "b":
        return rng.integers(0, 2, count).astype(bool)
    if dtype.is_integer:
        limits = np.iinfo(dtype.numpy)
        wide = rng.integers(limits.min, limits.max, count, dtype.numpy, endpoint=True)
        small = rng.integers(max(limits.min, -9), 10, count).astype(dtype.numpy)
        return np.where(rng.integers(0, 2, count) == 0, wide, small)
    if dtype.is_complex:
        out = np.empty(count, dtype.numpy)
        out.real, out.imag = (ordinary(dtype.real, count, rng) for _ in range(2))
        return out
    limits = np.finfo(dtype.numpy)
    exponent = rng.uniform(limits.minexp, limits.maxexp, count)
    exponent = np.where(rng.integers(0, 3, count) == 0, exponent, rng.uniform(-6, 6, count))
    with np.errstate(all="ignore"):
        return (rng.choice([-1.0, 1.0], count) * 2.0**exponent).astype(dtype.numpy)


def operands_of(op: Op, instance: Instance) -> list[np.ndarray]:
    """For each operand its values: all pairs of special ones first, then random ones."""
    types = instance.types
    rng = np.random.default_rng(zlib.crc32(f"{op.name}{types}".encode()))
    if op.kind in (REDUCTION, SCAN, CONTRACTION) and op.name not in (
        "max",
        "min",
        "compress",
        "expand",
    ):
        return [combinable(type, rng) for type in types]
    arrays = []
    pools = [specials(type.dtype) for type in types]
    pairs = int(np.prod([len(pool) for pool in pools], dtype=int))
    for position, type in enumerate(types):
        size = int(np.prod(type.shape, dtype=int))
        pool, others = pools[position], ordinary(type.dtype, size, rng)
        if size > pairs:
            after = int(np.prod([len(pool) for pool in pools[position + 1 :]], dtype=int))
            others[:pairs] = np.resize(np.repeat(pool, after), pairs)
        else:
            chosen = rng.integers(0, 4, size) > 0
            others[chosen] = rng.choice(pool, size)[chosen]
        arrays.append(others.reshape(type.shape))
    return usable(op, arrays, instance.attrs)


def combinable(type: ArrayType, rng: np.random.Generator) -> np.ndarray:
    """Values that many can be added and multiplied of, in any order, without rounding.

    Of the numbers that are not 1 few are not -1; now and then there is an infinity or a NaN.
    """
    dtype = type.dtype
    if dtype.kind in "biu":
        return ordinary(dtype, int(np.prod(type.shape, dtype=int)), rng).reshape(type.shape)
    parts = []
    for _ in range(2 if dtype.is_complex else 1):
        signs = rng.choice([1.0, -1.0], type.shape)
        rare = rng.choice([0.5, 2.0, 0.0, -0.0, 3.0], type.shape)
        part = np.where(rng.integers(0, 12, type.shape) == 0, rare, signs)
        odd = rng.choice([np.inf, -np.inf, np.nan], type.shape)
        parts.append(np.where(rng.integers(0, 60, type.shape) == 0, odd, part))
    if dtype.is_complex:
        # A product of many would grow, and infinities depend on the order.
        return np.asarray(rng.choice([1, -1, 1j, -1j], type.shape)).astype(dtype.numpy)
    return parts[0].astype(dtype.numpy)


def usable(op: Op, arrays: list[np.ndarray], attrs: dict[str, Any]) -> list[np.ndarray]:
    """Without what NumPy refuses, or leaves to the C compiler."""
    if op.name in ("power", "left_shift", "right_shift") and arrays[1].dtype.kind == "i":
        base, exponent = arrays
        low = 0 if op.name == "power" else np.iinfo(exponent.dtype).min
        return [base, np.maximum(exponent, low)]
    if op.name in ("power", "float_power") and arrays[0].dtype.kind == "c":
        # Infinities among the operands give whatever the C library's multiplication makes of them.
        base, exponent = [np.where(np.isfinite(x), x, x.dtype.type(2 - 1j)) for x in arrays]
        return [base, np.where(np.abs(exponent) < 1e6, exponent, exponent.dtype.type(1j))]
    if op.name == "compress":  # what follows the rows that are selected is unspecified
        return [arrays[0], np.ones_like(arrays[1])]
    if op.name == "expand":  # so does what follows the room that is filled
        return [arrays[0], arrays[1] % 5 + 1]
    if op.name.endswith("_first_in_order"):
        return [arrays[0], arrays[1] % (arrays[0].size + 1)]
    if op.name.startswith("some_"):
        return [np.where(arrays[0] == 0, 1, arrays[0])]
    if op.name in ("checked_index", "checked_choice"):
        extents = np.maximum(np.abs(arrays[1] % 100), 1)
        if op.name == "checked_choice":
            return [arrays[0] % extents, extents]
        return [arrays[0] % (2 * extents) - extents, extents, arrays[2]]
    if op.name in ("fitting", "expected"):
        return [arrays[0], np.minimum(arrays[0], arrays[1]), np.maximum(arrays[0], arrays[2])]
    if op.name == "fed":
        return [arrays[0], arrays[0]]
    if op.name == "same_extent":
        return [arrays[0], arrays[0], arrays[2]]
    if op.name == "convertible":
        return [np.where(np.abs(arrays[0]) < 2.0**63, arrays[0], 7.5)]
    if op.name in ("search_sorted", "search_any"):
        if arrays[0].dtype.kind == "c":
            arrays = [np.where(np.isnan(x), x.dtype.type(1), x) for x in arrays]
        return [np.sort(arrays[0]), arrays[1]]
    if op.name == "assumed":
        return [arrays[0], np.ones_like(arrays[1])]
    if op.name == "legal" or op.name.startswith("sound_"):
        return [np.ones_like(arrays[0])]
    if op.name in ("regular_pivot", "definite_pivot", "proper_result"):
        return [np.where(arrays[0] > 0, arrays[0], 1.5)]
    if op.name.startswith(("linalg_", "stack_")):
        return [regular(array) for array in arrays]
    if op.name in ("gather", "take_along"):
        axes = attrs["axes"] if op.name == "gather" else (attrs["axis"],)
        extents = [arrays[0].shape[axis] for axis in axes]
        return [arrays[0], *[i % (2 * n) - n if n else i for i, n in zip(arrays[1:], extents)]]
    if op.name == "scatter":
        extents = [arrays[0].shape[axis] for axis in attrs["axes"]]
        places = [i % (2 * n) - n if n else i for i, n in zip(arrays[2:], extents)]
        return [*arrays[:2], *places]
    if op.name == "cast" and arrays[0].dtype.kind in "fc" and attrs["dtype"].is_integer:
        return [np.where(fits(arrays[0].real, attrs["dtype"]), arrays[0], arrays[0].dtype.type(1))]
    return arrays


def regular(x: np.ndarray) -> np.ndarray:
    """A stack of matrices for which every decomposition exists; small numbers where it is none."""
    rng = np.random.default_rng(x.size)
    parts = rng.uniform(-1, 1, (2, *x.shape))
    made = (parts[0] + 1j * parts[1] if x.dtype.kind == "c" else parts[0]).astype(x.dtype)
    if x.ndim > 1 and x.shape[-1] == x.shape[-2]:
        made = made @ np.swapaxes(made, -1, -2).conj() + np.eye(x.shape[-1], dtype=x.dtype)
    return made


def fits(x: np.ndarray, dtype: DType) -> np.ndarray:
    """Where a float can be converted to an integer; elsewhere C leaves the result open."""
    limits = np.iinfo(dtype.numpy)
    return (x > limits.min - 1.0) & (x < limits.max + 1.0)


def instances(op: Op) -> Iterator[Instance]:
    """Applications of `op` to every dtype it takes, from its kind or from its own samples."""
    if op.samples is not None:
        yield from sampled_instances(op)
    elif op.kind == ELEMENTWISE:
        yield from elementwise_instances(op)
    elif op.kind in (REDUCTION, SCAN):
        for dtype in DTYPES.values():
            yield from axis_instances(op, dtype)
    else:
        raise LookupError(f"the op {op.name} needs `samples`, from which its laws are tested")


def sampled_instances(op: Op) -> Iterator[Instance]:
    """All samples of the op for one dtype; and a third of them for each other, in turns."""
    dtypes = [*DTYPES.values()] if EXHAUSTIVE else [*map(DTYPES.get, FEW)]
    by_dtype = {
        dtype: [(types, attrs) for types, attrs in op.samples(dtype) if accepts(op, types, attrs)]
        for dtype in dtypes
    }
    whole = max(dtypes, key=lambda dtype: (len(by_dtype[dtype]), dtype is DTYPES["f64"]))
    found = {}
    for turn, (dtype, samples) in enumerate(by_dtype.items()):
        for place, (types, attrs) in enumerate(samples):
            if EXHAUSTIVE or dtype is whole or (place + turn) % 3 == 0:
                instance = Instance(tuple(types), attrs)
                found[str(instance)] = instance  # a sample may be the same for every dtype
    yield from found.values()


def elementwise_instances(op: Op) -> Iterator[Instance]:
    """All dtypes on many values; and the first ones on other shapes."""
    found = list(elementwise_dtypes(op))
    for dtypes, attrs in found:
        pairs = int(np.prod([len(specials(dtype)) for dtype in dtypes]))
        size = min(pairs, 2048) * 5 // 4 + 7
        yield Instance(tuple([array_type((size,), dtype) for dtype in dtypes]), attrs)
    for (dtypes, attrs), shape in zip(
        itertools.cycle(found), [(), (0,), (1,), (2, 0, 3), (3, 1, 5)]
    ):
        yield Instance(tuple([array_type(shape, dtype) for dtype in dtypes]), attrs)


def elementwise_dtypes(op: Op) -> Iterator[tuple[tuple[DType, ...], dict[str, Any]]]:
    every = tuple(DTYPES.values())
    if op.name == "cast":
        for source, target in itertools.product(every, every):
            yield (source,), {"dtype": target}
        return
    for count in (1, 2):
        for dtypes in itertools.product(every, repeat=count):
            if accepts(op, [array_type((3,), dtype) for dtype in dtypes], {}):
                yield dtypes, {}
    for dtype in every:
        dtypes = (DTYPES["bool"], dtype, dtype)
        if accepts(op, [array_type((3,), dtype) for dtype in dtypes], {}):
            yield dtypes, {}


def axis_instances(op: Op, dtype: DType) -> Iterator[Instance]:
    """Every set of axes of a small array, and axes of extent 0 and 1 and of many vectors.

    Of float32 all; of the others every second.
    """
    shapes = [(100,), (3, 0, 2)] if EXHAUSTIVE or dtype.name in FEW else [(100,)]
    if EXHAUSTIVE or dtype.name in ("f16", "f32"):
        shapes += [(4, 3, 5), (0,), (1,), (33, 17)]
    for shape in shapes:
        axes = range(len(shape))
        if op.kind == SCAN:
            choices = [{"axis": axis} for axis in axes]
        else:
            sets = itertools.chain.from_iterable(
                itertools.combinations(axes, count) for count in range(len(shape) + 1)
            )
            choices = [{"axes": chosen} for chosen in sets]
        for place, attrs in enumerate(choices):
            types = (array_type(shape, dtype),)
            is_due = EXHAUSTIVE or dtype.name == "f32" or (len(choices) - place) % 2 == 1
            if is_due and accepts(op, types, attrs):
                yield Instance(types, attrs)


def accepts(op: Op, types: Any, attrs: dict[str, Any]) -> bool:
    """Whether the op's type rule takes operands of these types."""
    try:
        op.type_rule(*types, **attrs)
    except (TypeError, ValueError):
        return False
    return True


LAWFUL_OPS = [op for op in OPS.values() if op.kind != CONTROL]


# Comparison.


def assert_same_bits(actual: Any, wanted: Any, context: str = "") -> None:
    """Equal dtype, shape and bits; NaNs are all alike."""
    compare(actual, wanted, 0, context)


def compare(
    actual: Any,
    wanted: Any,
    ulps: float,
    context: str = "",
    exact: Any = None,
    either_zero: bool = False,
) -> None:
    """Equal dtype and shape; equal values up to `ulps` of the modulus; special values as wanted.

    `exact` holds the true values with more digits than `wanted`, where they are known.
    """
    actual, wanted = np.asarray(actual), np.asarray(wanted)
    assert actual.dtype == wanted.dtype, f"{context}: dtype {actual.dtype}, not {wanted.dtype}"
    assert actual.shape == wanted.shape, f"{context}: shape {actual.shape}, not {wanted.shape}"
    if either_zero and wanted.dtype.kind == "c":  # which NaN survives depends on the order, too
        actual, wanted = (np.where(np.isnan(x), x.dtype.type(np.nan), x) for x in (actual, wanted))
    if either_zero:  # of equal zeros NumPy takes one or the other, depending on its vector width
        actual, wanted = actual + wanted.dtype.type(0), wanted + wanted.dtype.type(0)
    if wanted.dtype.kind == "c":
        right = complex_agrees(actual, wanted, ulps)
        if exact is not None:
            right = right | (
                complex_agrees(actual, exact.astype(wanted.dtype), ulps) & np.isfinite(wanted)
            )
    elif wanted.dtype.kind == "f":
        right = float_agrees(actual, wanted, ulps, exact)
    else:
        right = actual == wanted
    if not np.all(right):
        raise AssertionError(_difference(actual, wanted, np.asarray(right), context))


def _difference(actual: np.ndarray, wanted: np.ndarray, right: np.ndarray, context: str) -> str:
    wrong = np.argwhere(~right)
    lines = [
        f"  {tuple(map(int, at))}: {actual[tuple(at)]!r}, not {wanted[tuple(at)]!r}"
        for at in wrong[:8]
    ]
    return f"{context}: {len(wrong)} of {right.size} values are wrong\n" + "\n".join(lines)


def float_agrees(actual: np.ndarray, wanted: np.ndarray, ulps: float, exact: Any = None) -> Any:
    same = (actual == wanted) & (np.signbit(actual) == np.signbit(wanted))
    same = same | (np.isnan(actual) & np.isnan(wanted))
    if not np.any(ulps):
        return same
    with np.errstate(all="ignore"):
        limits = np.finfo(wanted.dtype)
        unit = np.maximum(
            np.spacing(np.minimum(np.abs(wanted), limits.max)), limits.smallest_subnormal
        )
        wide = np.longdouble
        distance = np.abs(actual.astype(wide) - (wanted if exact is None else exact).astype(wide))
        near = distance <= ulps * unit.astype(wide)
        # The largest number and infinity are neighbours.
        edge = np.isinf(actual) & (np.abs(wanted) >= limits.max * (1 - ulps * limits.eps))
        edge |= np.isinf(wanted) & (np.abs(actual) >= limits.max * (1 - ulps * limits.eps))
        edge &= np.signbit(actual) == np.signbit(wanted)
    return same | (near & np.isfinite(actual) & np.isfinite(wanted)) | edge


def complex_agrees(actual: np.ndarray, wanted: np.ndarray, ulps: float) -> Any:
    parts = [(actual.real, wanted.real), (actual.imag, wanted.imag)]
    same = [float_agrees(a, w, 0) for a, w in parts]
    if not np.any(ulps):
        return same[0] & same[1]
    with np.errstate(all="ignore"):
        limits = np.finfo(wanted.dtype)
        modulus = np.maximum(np.abs(wanted.real), np.abs(wanted.imag))
        unit = np.maximum(np.spacing(np.minimum(modulus, limits.max)), limits.smallest_subnormal)
        close = [np.abs(a - w) <= ulps * unit for a, w in parts]
        # C99 leaves open the sign of a zero or an infinity beside a NaN.
        close[0] |= np.isnan(wanted.imag) & (np.abs(actual.real) == np.abs(wanted.real))
        close[1] |= np.isnan(wanted.real) & (np.abs(actual.imag) == np.abs(wanted.imag))
        finite = np.isfinite(actual) & np.isfinite(wanted)
        edge = (modulus >= limits.max * (1 - ulps * limits.eps)) & ~np.isnan(actual)
    return (same[0] | close[0]) & (same[1] | close[1]) | (edge & ~finite & ~np.isnan(wanted))


def wider(op: Op, instance: Instance, arrays: list[np.ndarray]) -> Any:
    """The result to more digits than the dtype has, for elementary functions of complex numbers."""
    wide = {"complex64": np.complex128, "complex128": np.clongdouble}
    if op.kind != ELEMENTWISE or op.name not in COMPLEX_INEXACT:
        return None
    if not all(array.dtype.name in wide for array in arrays):
        return None
    result = op.reference(*[array.astype(wide[array.dtype.name]) for array in arrays])
    return result if result.dtype.kind == "c" else None


def ulps_of(op: Op, arrays: list[np.ndarray]) -> Any:
    """How far apart two right answers of an elementwise op may be, everywhere or at each place."""
    if op.name in RUNNING_LOGARITHMS:  # a step after the other, or in lanes
        return RUNNING_ULPS
    if op.kind != ELEMENTWISE:
        return 0
    if any(array.dtype.kind == "c" for array in arrays):
        if op.name not in COMPLEX_INEXACT:
            return 0
        if op.name in ("power", "float_power"):
            exponent = np.abs(arrays[1] * np.log(arrays[0]))
            return COMPLEX_ULPS + 4 * np.where(np.isfinite(exponent), exponent, 0).astype(float)
        return COMPLEX_ULPS
    if op.name in ELEMENTARY and arrays[0].dtype.kind == "f":
        return ELEMENTARY_ULPS
    return 0
