"""lower.llvm.math: errors in ULP, NumPy's special values, exact cases, every number of lanes."""

import math

import numpy as np
import pytest
from math_kernels import (
    KINDS,
    TWO_ARGUMENTS,
    any_bits,
    evaluate,
    exact_reference,
    numpy_function,
    samples,
    ulp_errors,
    wide_reference,
)

from tracejit.lower.llvm.math import MATH, table_values
from tracejit.runtime import engine

APPROXIMATE = [
    "exp",
    "exp2",
    "expm1",
    "log",
    "log2",
    "log10",
    "log1p",
    "sin",
    "cos",
    "tan",
    "sinh",
    "cosh",
    "tanh",
    "arcsin",
    "arccos",
    "arctan",
    "arctan2",
    "arcsinh",
    "arccosh",
    "arctanh",
    "power",
    "sqrt",
    "cbrt",
    "hypot",
    "erf",
    "erfc",
    "sinc",
]
EXACT = [
    "rint",
    "trunc",
    "floor",
    "ceil",
    "spacing",
    "sign",
    "reciprocal",
    "deg2rad",
    "rad2deg",
    "frexp_mantissa",
    "frexp_exponent",
]
EXACT_PAIRS = [
    "nextafter",
    "copysign",
    "heaviside",
    "maximum",
    "minimum",
    "fmax",
    "fmin",
    "fmod",
    "remainder",
    "floor_divide",
]
SUMS = ("logaddexp", "logaddexp2")
LIMIT = 2.0
kinds = pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["float", "double"])


def test_every_function_is_tested():
    assert set(MATH) == {*APPROXIMATE, *EXACT, *EXACT_PAIRS, *SUMS, "ldexp"}


def special_values(dtype) -> np.ndarray:
    """Zeros, limits of the format, thresholds of the functions; their neighbours and negatives."""
    info = np.finfo(dtype)
    values = [0, 0.25, 0.5, 0.52, 0.6, 0.75, 1, 1.5, 2, 2.5, 3, 4, 5, 7, 9, 8, 27, 64, 10, 100, 1e3]
    values += [1e5, 131072.5, 1e10, 2.0**31 + 1, 2.0**62, 1e30, np.inf, np.nan, info.eps]
    values += [info.max, info.max / 2, info.tiny, info.tiny * 2, info.tiny / 2]
    values += [info.smallest_subnormal, info.smallest_subnormal * 3, math.pi / 2, math.pi]
    exponents = [info.maxexp, info.maxexp - 1, info.minexp, info.minexp - info.nmant]
    exponents += [info.minexp - info.nmant - 1, info.minexp - info.nmant - 2]
    values += [*exponents, *(e * math.log(2) for e in exponents), 87, 88.7, 103.9, 709.7, 745]
    around = np.array([*values, *(-v for v in values)], dtype)
    with np.errstate(all="ignore"):
        return np.concatenate(
            [around, np.nextafter(around, dtype(np.inf)), np.nextafter(around, dtype(-np.inf))]
        )


def special_arguments(name: str, dtype) -> list[np.ndarray]:
    values = special_values(dtype)
    if name not in (*TWO_ARGUMENTS, *EXACT_PAIRS, *SUMS):
        return [values]
    others = np.concatenate([values[::3], np.array([1 / 3, 2.0**24 + 1, -3, -2], dtype)])
    return [grid.ravel() for grid in np.meshgrid(values, others)]


def same(found: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Equal with the sign of zero, or both NaN."""
    equal = (found == wanted) & (np.signbit(found) == np.signbit(wanted))
    return equal | (np.isnan(found) & np.isnan(wanted))


def report(wrong: np.ndarray, arrays, found, wanted) -> list:
    """The first few failures."""
    return [([a[i] for a in arrays], found[i], wanted[i]) for i in np.flatnonzero(wrong)[:5]]


@kinds
@pytest.mark.parametrize("name", APPROXIMATE)
def test_special_values(name, dtype):
    arrays = special_arguments(name, dtype)
    found = evaluate(name, *arrays)
    with np.errstate(all="ignore"):
        wanted = numpy_function(name)(*arrays).astype(dtype)
        near = np.abs(found - wanted) <= 4 * np.spacing(np.abs(wanted))
    agrees = near & (np.signbit(found) == np.signbit(wanted)) & np.isfinite(wanted)
    wrong = ~(same(found, wanted) | agrees)
    assert not wrong.any(), report(wrong, arrays, found, wanted)


@kinds
@pytest.mark.parametrize("name", [*EXACT, *EXACT_PAIRS])
def test_exactly_numpy(name, dtype):
    arrays = special_arguments(name, dtype)
    rng = np.random.default_rng(7)
    arrays = [np.concatenate([a, any_bits(rng, dtype, 5000)]) for a in arrays]
    found = evaluate(name, *arrays)
    with np.errstate(all="ignore"):
        wanted = numpy_function(name)(*arrays)
    wrong = ~same(found, wanted)
    assert not wrong.any(), report(wrong, arrays, found, wanted)


@kinds
def test_ldexp(dtype):
    exponents = [0, 1, -1, 10, -10, 100, -126, -127, -149, 300, -300, 1000, -1000, 2100, -2100]
    exponents = np.array([*exponents, 2**31 - 1, -(2**31)], np.int32)
    arrays = [g.ravel() for g in np.meshgrid(special_values(dtype), exponents)]
    found = evaluate("ldexp", *arrays)
    with np.errstate(all="ignore"):
        wanted = np.ldexp(*arrays)
    wrong = ~same(found, wanted)
    assert not wrong.any(), report(wrong, arrays, found, wanted)


@pytest.mark.parametrize("name", APPROXIMATE)
def test_error_float(name):
    size = 20_000 if name in ("erf", "erfc", "sinc") else 200_000
    arrays = samples(name, np.float32, size, np.random.default_rng(1))
    found = evaluate(name, *arrays)
    wanted = wide_reference(name, *arrays)
    wrong = ulp_errors(found, wanted) > LIMIT
    assert not wrong.any(), report(wrong, arrays, found, wanted)


def hard_cases(name: str) -> np.ndarray:
    """Doubles near zeros and thresholds: multiples of pi/2, the ends of intervals, tiny numbers."""
    multiples = np.arange(1, 2000, 37) * (np.pi / 2)
    scaled = np.ldexp(np.pi / 2, np.arange(0, 40))
    ends = np.array([0.1733, 0.3466, 0.4142, 0.5, 0.5493, 0.6, 0.7071, 0.8, 1, 1.4142, 2.4142, 5.9])
    # The double closest to a multiple of pi/2.
    worst = [6381956970095103.0 * 2.0**797, 5.0e-324, 1.0e-310, 1.0e-8]
    # Where every step of erfc was once rounded the same way.
    rounded = [6.682515626591257, 12.991966251996374, 14.477038920754884, 15.087593607278032]
    points = np.concatenate([multiples, scaled, ends, worst, rounded])
    return np.concatenate([points, -points, np.nextafter(points, 0), np.nextafter(points, np.inf)])


@pytest.mark.parametrize("name", [*APPROXIMATE, "fmod"])
def test_error_double(name):
    arrays = samples(name, np.float64, 400, np.random.default_rng(2))
    if len(arrays) == 1:
        arrays = [np.concatenate([arrays[0], hard_cases(name)])]
    found = evaluate(name, *arrays)
    kept = np.isfinite(found)
    for array in arrays:
        kept &= np.isfinite(array)
    arrays, found = [a[kept] for a in arrays], found[kept]
    high, low = exact_reference(name, *arrays)
    wrong = ulp_errors(found, high, low) > (0.0 if name == "fmod" else LIMIT)
    assert not wrong.any(), report(wrong, arrays, found, high)


@pytest.mark.skipif(np.finfo(np.longdouble).nmant < 63, reason="long double is double here")
@pytest.mark.parametrize("name", [n for n in APPROXIMATE if n not in ("erf", "erfc", "sinc")])
def test_error_double_dense(name):
    arrays = samples(name, np.float64, 100_000, np.random.default_rng(3))
    found = evaluate(name, *arrays)
    wanted = wide_reference(name, *arrays)
    wrong = ulp_errors(found, wanted) > LIMIT
    assert not wrong.any(), report(wrong, arrays, found, wanted)


@pytest.mark.skipif(np.finfo(np.longdouble).nmant < 63, reason="long double is double here")
@kinds
def test_power_at_the_ends_of_pieces(dtype):
    """The least and the largest results where the logarithm's table leaves the largest rest."""
    kind, rng, size = KINDS[np.dtype(dtype)], np.random.default_rng(9), 200_000
    start, shift = table_values.LOG_INDEX[kind]
    pieces = len(table_values.LOG[kind][0])
    bits = start + (rng.integers(0, pieces + 1, size) << shift) + rng.integers(-99, 100, size)
    x = bits.astype(f"u{np.dtype(dtype).itemsize}").view(dtype)
    far = -np.finfo(dtype).minexp * rng.uniform(0.95, 1, size) * rng.choice([-1, 1], size)
    y = (far / np.log2(x.astype(float))).astype(dtype)
    found, wanted = evaluate("power", x, y), wide_reference("power", x, y)
    wrong = ulp_errors(found, wanted) > LIMIT
    assert not wrong.any(), report(wrong, [x, y], found, wanted)


@kinds
@pytest.mark.parametrize("name", SUMS)
def test_sums_of_exponentials(name, dtype):
    """Near a zero of the result the error is relative to the arguments."""
    rng = np.random.default_rng(4)
    x, y = rng.uniform(-60, 60, 20_000), rng.uniform(-60, 60, 20_000)
    arrays = [np.concatenate([x, x, x]).astype(dtype), np.concatenate([y, x, x + y / 60])]
    arrays[1] = arrays[1].astype(dtype)
    found = evaluate(name, *arrays)
    wanted = wide_reference(name, *arrays)
    scale = np.maximum(np.abs(arrays[0]), np.abs(arrays[1])).astype(np.longdouble)
    unit = np.spacing(np.maximum(scale, np.abs(wanted)).astype(dtype)).astype(np.longdouble)
    assert np.max(np.abs(found - wanted) / unit) <= LIMIT
    special = special_arguments(name, dtype)
    found = evaluate(name, *special)
    with np.errstate(all="ignore"):
        wanted = numpy_function(name)(*special)
        scale = np.maximum(np.abs(special[0]), np.abs(special[1]))
        near = np.abs(found - wanted) <= 4 * np.spacing(np.maximum(scale, np.abs(wanted)))
    wrong = ~(same(found, wanted) | (near & np.isfinite(wanted)))
    assert not wrong.any(), report(wrong, special, found, wanted)


@kinds
def test_exact_results(dtype):
    info = np.finfo(dtype)
    whole = np.arange(info.minexp - info.nmant, info.maxexp).astype(dtype)
    powers = np.ldexp(dtype(1), whole.astype(np.int32))
    np.testing.assert_array_equal(evaluate("exp2", whole), powers)
    np.testing.assert_array_equal(evaluate("log2", powers), whole)
    tens = np.array([float(f"1e{n}") for n in range(11 if dtype == np.float32 else 23)], dtype)
    np.testing.assert_array_equal(evaluate("log10", tens), np.arange(len(tens)))
    roots = np.arange(-200, 200).astype(dtype)
    np.testing.assert_array_equal(evaluate("cbrt", roots**3), roots)
    np.testing.assert_array_equal(evaluate("hypot", 3 * roots, 4 * roots), 5 * np.abs(roots))
    rng = np.random.default_rng(5)
    x = (rng.standard_normal(3000) * 100).astype(dtype)
    np.testing.assert_array_equal(evaluate("sqrt", np.abs(x)), np.sqrt(np.abs(x)))
    ones = np.ones_like(x)
    np.testing.assert_array_equal(evaluate("power", x, ones), x)
    np.testing.assert_array_equal(evaluate("power", x, 0 * ones), ones)


@kinds
def test_whole_powers_are_exact(dtype):
    bases, exponents = np.meshgrid(np.arange(-30, 31), np.arange(0, 16))
    exact = [int(x) ** int(y) for x, y in zip(bases.ravel(), exponents.ravel(), strict=True)]
    limit = 2 ** (np.finfo(dtype).nmant + 1)
    kept = np.array([abs(value) <= limit for value in exact])
    x, y = bases.ravel()[kept].astype(dtype), exponents.ravel()[kept].astype(dtype)
    wanted = np.array([v for v, k in zip(exact, kept, strict=True) if k], dtype)
    np.testing.assert_array_equal(evaluate("power", x, y), wanted)


@kinds
def test_large_angles(dtype):
    """Far beyond the fast reduction, in every lane and in one of many."""
    rng = np.random.default_rng(6)
    limit = 38 if dtype == np.float32 else 300
    large = (10.0 ** rng.uniform(5, limit, 500)).astype(dtype)
    mixed = np.where(np.arange(500) % 19 == 0, large, rng.uniform(-9, 9, 500).astype(dtype))
    for name in ("sin", "cos", "tan"):
        for x in (large, mixed.astype(dtype)):
            high, low = exact_reference(name, x)
            assert ulp_errors(evaluate(name, x), high, low).max() <= LIMIT


def few_arguments(name: str, dtype) -> list[np.ndarray]:
    """96 of each, rare ones beside common ones."""
    rng = np.random.default_rng(8)
    arguments = [rng.uniform(-3, 3, 96).astype(dtype) for _ in range(2)]
    for argument in arguments:
        argument[rng.integers(0, 96, 12)] = rng.choice(special_values(dtype), 12)
    if name == "ldexp":
        arguments[1] = rng.integers(-200, 200, 96).astype(np.int32)
    if name not in (*TWO_ARGUMENTS, *EXACT_PAIRS, *SUMS, "ldexp"):
        del arguments[1]
    return arguments


@kinds
@pytest.mark.parametrize("lanes", [1, 3, 32])
@pytest.mark.parametrize("name", sorted(MATH))
def test_every_number_of_lanes(name, lanes, dtype):
    """The same bits whatever the width."""
    arguments = few_arguments(name, dtype)
    found = evaluate(name, *arguments, lanes=lanes)
    wanted = evaluate(name, *arguments)
    wrong = ~same(found, wanted)
    assert not wrong.any(), report(wrong, arguments, found, wanted)


@kinds
@pytest.mark.parametrize("lanes", [3, 4, 8, 16, 32])
@pytest.mark.parametrize("name", ["tanh", "power"])
def test_every_way_to_look_up(name, lanes, dtype):
    """The same bits whether tables are permuted or loaded from."""
    arguments = few_arguments(name, dtype)
    wanted = evaluate(name, *arguments, permutes="")
    known = ["", "avx2", "avx512"]
    for permutes in known[: known.index(engine.target().permutes) + 1]:
        found = evaluate(name, *arguments, lanes=lanes, permutes=permutes)
        wrong = ~same(found, wanted)
        assert not wrong.any(), (permutes, report(wrong, arguments, found, wanted))
