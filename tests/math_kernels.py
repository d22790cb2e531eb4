"""Compile a function of lower.llvm.math into a loop over arrays; references and ULP errors."""

import ctypes
import functools
import math
from collections.abc import Callable

import mpmath
import numpy as np

from tracejit.lower.llvm.builder import Builder, Module, Value
from tracejit.lower.llvm.math import MATH, large_angles
from tracejit.runtime import engine
from tracejit.stages import addresses

DTYPES = {"float": np.float32, "double": np.float64, "i32": np.int32}
KINDS = {np.dtype(dtype): kind for kind, dtype in DTYPES.items()}
WIDTHS = {"float": 16, "double": 8}
RESULTS = {"frexp_exponent": "i32"}


@functools.cache
def shared_library() -> engine.Library:
    """What the functions call out of line, as every program does."""
    return engine.load(engine.compile_ir(large_angles.shared_text()), large_angles.EXPORTS)


@functools.cache
def kernel(
    name: str, kinds: tuple[str, ...], lanes: int, permutes: str | None = None
) -> tuple[Callable, engine.Library]:
    """`f(*inputs, output, n, repeats)` over addresses; n a multiple of `lanes`."""
    module = Module(engine.target().permutes if permutes is None else permutes)
    result = RESULTS.get(name, kinds[0])
    inputs = [Value(f"%a{i}", "ptr") for i in range(len(kinds))]
    listed = ", ".join(f"ptr noalias {a.text}" for a in inputs)
    b = Builder(module, f"void @kernel({listed}, ptr noalias %out, i64 %n, i64 %repeats)")
    b.branch("again")
    b.region = b.open("again")
    b.emit("%round = phi i64 [ 0, %entry ], [ %next_round, %latch ]")
    b.branch("loop")
    body = b.region = b.open("loop")
    header = len(body.lines)
    index = Value("%i", "i64")
    values = [
        b.load(b.offset(a, index, kind), kind, lanes) for a, kind in zip(inputs, kinds, strict=True)
    ]
    b.store(MATH[name](b, *values), b.offset(Value("%out", "ptr"), index, result))
    b.emit(f"%next = add i64 %i, {lanes}")
    b.emit("%more = icmp slt i64 %next, %n")
    body.lines.insert(header, f"  %i = phi i64 [ 0, %again ], [ %next, %{body.label} ]")
    b.branch_if(Value("%more", "i1"), "loop", "latch")
    b.region = b.open("latch")
    b.emit("%next_round = add i64 %round, 1")
    b.emit("%repeat = icmp slt i64 %next_round, %repeats")
    b.branch_if(Value("%repeat", "i1"), "again", "done")
    b.region = b.open("done")
    b.emit("ret void")
    b.finish()
    library = engine.load(engine.compile_ir(module.text()), ["kernel"], addresses(module.externals))
    types = [ctypes.c_void_p] * (len(kinds) + 1) + [ctypes.c_int64] * 2
    return ctypes.CFUNCTYPE(None, *types)(library.address("kernel")), library


def evaluate(
    name: str, *arrays: np.ndarray, lanes: int | None = None, permutes: str | None = None
) -> np.ndarray:
    """The function of one-dimensional arrays, `lanes` at a time; the host's `permutes` if None."""
    kinds = tuple(KINDS[a.dtype] for a in arrays)
    lanes = lanes or WIDTHS[kinds[0]]
    size = len(arrays[0])
    padding = -size % lanes
    arrays = tuple(np.concatenate([a, np.ones(padding, a.dtype)]) for a in arrays)
    result = np.empty(size + padding, DTYPES[RESULTS.get(name, kinds[0])])
    function, _ = kernel(name, kinds, lanes, permutes)
    function(*(a.ctypes.data for a in arrays), result.ctypes.data, size + padding, 1)
    return result[:size]


def sinc(x: np.ndarray) -> np.ndarray:
    """np.sinc with the argument reduced first, as accurate near whole numbers as elsewhere."""
    n = np.rint(x)
    sign = np.where(np.remainder(n, 2) == 1, -1, 1)
    safe = np.where(x == 0, 1, x).astype(np.longdouble)
    value = sign * np.sin(np.pi * (x - n).astype(np.longdouble)) / (np.pi * safe)
    return np.where(x == 0, 1, value + 0.0)


NUMPY = {
    "erf": np.vectorize(math.erf, otypes=[float]),
    "erfc": np.vectorize(math.erfc, otypes=[float]),
    "sinc": sinc,
    "frexp_mantissa": lambda x: np.frexp(x)[0],
    "frexp_exponent": lambda x: np.frexp(x)[1],
}
MPMATH = {
    "arcsin": mpmath.asin,
    "arccos": mpmath.acos,
    "arctan": mpmath.atan,
    "arctan2": mpmath.atan2,
    "arcsinh": mpmath.asinh,
    "arccosh": mpmath.acosh,
    "arctanh": mpmath.atanh,
    "exp2": lambda x: mpmath.mpf(2) ** x,
    "log2": lambda x: mpmath.log(x, 2),
    "log10": mpmath.log10,
    "cbrt": lambda x: mpmath.sign(x) * mpmath.cbrt(abs(x)),
    "power": mpmath.power,
    "sinc": mpmath.sincpi,
    "fmod": lambda x, y: x - y * int(x / y),
    "erfc": lambda x: mpmath.erfc(min(max(x, -30), 30)),
}
# Taking multiples of pi or y off large numbers needs all their digits.
DIGITS = {"sin": 400, "cos": 400, "tan": 400, "fmod": 700}


def numpy_function(name: str) -> Callable:
    return NUMPY.get(name) or getattr(np, name)


def wide_reference(name: str, *arrays: np.ndarray) -> np.ndarray:
    """In a wider format: double for float; long double, where it is wider, for double."""
    wide = np.float64 if arrays[0].dtype == np.float32 else np.longdouble
    with np.errstate(all="ignore"):
        return numpy_function(name)(*(a.astype(wide) for a in arrays)).astype(np.longdouble)


def exact_reference(name: str, *arrays: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """In 50 digits or more, as the sum of two doubles."""
    function = MPMATH.get(name) or getattr(mpmath, name)
    high, low = np.empty((2, len(arrays[0])))
    with mpmath.workdps(DIGITS.get(name, 50)):
        for i, point in enumerate(zip(*(a.tolist() for a in arrays), strict=True)):
            value = mpmath.re(function(*map(mpmath.mpf, point)))
            high[i] = float(value)
            low[i] = float(value - high[i]) if math.isfinite(high[i]) else 0.0
    return high, low


def ulp_errors(found: np.ndarray, high: np.ndarray, low: np.ndarray | float = 0.0) -> np.ndarray:
    """abs(found - (high + low)) in units of the last place of the nearest `found` could be."""
    dtype = found.dtype
    with np.errstate(all="ignore"):
        nearest = high.astype(dtype)
        unit = np.spacing(np.minimum(np.abs(nearest), np.finfo(dtype).max)).astype(np.longdouble)
        error = np.abs((found.astype(np.longdouble) - high) - low) / unit
    same = (nearest == found) | (np.isnan(nearest) & np.isnan(found))
    return np.where(same & ~np.isfinite(nearest), 0.0, np.where(np.isnan(error), np.inf, error))


def any_bits(rng: np.random.Generator, dtype, size: int) -> np.ndarray:
    """Numbers of every exponent and both signs, subnormal ones too; some NaN, some infinite."""
    return np.frombuffer(rng.bytes(size * np.dtype(dtype).itemsize), dtype).copy()


# Where a function of one argument is neither constant nor undefined, by kind.
DOMAINS = {
    "exp": {"float": (-104, 89), "double": (-746, 710)},
    "exp2": {"float": (-150, 128), "double": (-1075, 1024)},
    "expm1": {"float": (-20, 89), "double": (-40, 710)},
    "sinh": {"float": (-90, 90), "double": (-711, 711)},
    "cosh": {"float": (-90, 90), "double": (-711, 711)},
    "tanh": {"float": (-10, 10), "double": (-20, 20)},
    "erf": {"float": (-4, 4), "double": (-6, 6)},
    "erfc": {"float": (-4, 10), "double": (-6, 27)},
    "arcsin": (-1, 1),
    "arccos": (-1, 1),
    "arctanh": (-1, 1),
    "arccosh": (1, 10),
    "log": (0, 4),
    "log2": (0, 4),
    "log10": (0, 4),
    "log1p": (-1, 4),
}


def samples(name: str, dtype, size: int, rng: np.random.Generator) -> list[np.ndarray]:
    """Arguments for one function: some of every exponent, most where it varies."""
    kind = KINDS[np.dtype(dtype)]
    bits = any_bits(rng, dtype, size // 2)
    if name in TWO_ARGUMENTS:
        return pairs(name, dtype, size, rng, bits)
    low, high = (
        domain if isinstance(domain := DOMAINS.get(name, (-20, 20)), tuple) else domain[kind]
    )
    spread = rng.uniform(low, high, size // 4)
    near = rng.uniform(max(low, -1.5), min(high, 1.5), size - size // 2 - size // 4)
    return [np.concatenate([bits, spread.astype(dtype), near.astype(dtype)])]


TWO_ARGUMENTS = ("power", "arctan2", "hypot", "fmod", "remainder", "floor_divide")


def pairs(name, dtype, size, rng, bits) -> list[np.ndarray]:
    rest = size - len(bits)
    if name == "power":
        # Results of every size: y = log2(result) / log2(x). Hardest are the largest and the
        # smallest results of numbers around 1.
        limit, far = (150.0, 126.0) if dtype == np.float32 else (1080.0, 1022.0)
        hard = rest // 2
        around = np.concatenate([rng.uniform(0.5, 2, rest - hard), rng.uniform(0.94, 1.1, hard)])
        x = np.concatenate([np.abs(bits), around.astype(dtype)])
        logarithms = rng.uniform(-limit, limit, size)
        logarithms[size - hard :] = np.copysign(
            rng.uniform(0.9 * far, far, hard), logarithms[:hard]
        )
        with np.errstate(all="ignore"):
            return [x, (logarithms / np.log2(x.astype(np.float64))).astype(dtype)]
    other = any_bits(rng, dtype, len(bits))
    x, y = rng.uniform(-20, 20, (2, rest)).astype(dtype)
    return [np.concatenate([bits, x]), np.concatenate([other, y])]
