"""Division by constants: a division's bits for every number, by multiplying."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from math_kernels import evaluate

import tracejit
from tracejit.lower.llvm.math import MATH, on_values
from tracejit.lower.llvm.math.arithmetic import FORMATS
from tracejit.lower.llvm.math.quotient import STEPS, divide_by, inverse

# Of both signs, near and far from powers of two, with few digits and many, large and small.
DIVISORS = [3.0, -7.0, 6.0, 10.0, 0.1, 255.0, 1.0000001, 1.9999999, 2**23 - 1.0, 0.35, 1e-7, 3e14]
DIVISORS += [3.01, 3.09, 0.33, *np.random.default_rng(0).uniform(1, 2, 8).astype("f4").tolist()]
BITS = {np.dtype("f4"): "i4", np.dtype("f8"): "i8"}


@pytest.fixture
def divided(monkeypatch):
    """`divided(x, c)`: by multiplying; None where that would not do."""

    def run(x, divisor, lanes=None):
        kind = {"f4": "float", "f8": "double"}[x.dtype.str[1:]]
        if inverse(divisor, kind) is None:
            return None
        name = f"divide by {divisor!r}"
        monkeypatch.setitem(MATH, name, on_values(lambda x: divide_by(x, divisor)))
        return evaluate(name, x, lanes=lanes)

    return run


def assert_same(x, divisor, found):
    with np.errstate(all="ignore"):
        wanted = x / x.dtype.type(divisor)
    bits, both = BITS[x.dtype], ~(np.isnan(wanted) & np.isnan(found))
    np.testing.assert_array_equal(found.view(bits)[both], wanted.view(bits)[both])


def edges(dtype):
    """Zeros, infinities, nan, and numbers at both ends of the range."""
    limits = np.finfo(dtype)
    few = np.array([0, 1, 2, 3, 5, 1000, 2**20 + 1], BITS[np.dtype(dtype)]).view(dtype)
    ends = [limits.tiny, limits.max, 1, np.inf, np.nan, *(limits.tiny * few / few[1])]
    numbers = np.array([*few, *ends], dtype)
    return np.concatenate([numbers, -numbers])


@pytest.mark.parametrize("divisor", DIVISORS)
def test_every_fraction_of_f32(divided, divisor):
    """Quotients of other exponents are the same, times a power of two; of some divisors every seventh."""
    is_first, divisor = divisor in DIVISORS[:6], float(np.float32(divisor))
    step = 1 if is_first or inverse(divisor, "float") is None else 7
    x = np.arange(0x3F800000, 0x40000000, step, dtype="i4").view("f4")
    found = divided(x, divisor)
    if found is not None:
        assert_same(x, divisor, found)
    else:  # rightly so: no pair of parts that is tried serves
        high, rest = parts_of(divisor)
        for step in STEPS:
            low = np.float32(rest) + np.float32(step) * np.spacing(np.float32(rest))
            rounded = fma32(x, high, x * np.float32(low))
            assert (rounded != x / np.float32(divisor)).any()


def parts_of(divisor):
    """The digits of 1 / divisor rounded toward zero, and the next ones."""
    exact = 1 / Fraction(divisor)
    high = np.float32(float(exact))
    high = high if Fraction(float(high)) <= exact else np.nextafter(high, np.float32(0))
    rest = np.float32(float(exact - Fraction(float(high))))
    return high, rest if Fraction(float(rest)) <= exact else np.nextafter(rest, np.float32(0))


def fma32(x, high, added):
    """x * high + added rounded once: the sum of two doubles, its rounding error made odd."""
    product = x.astype("f8") * float(high)
    added = added.astype("f8")
    total = product + added
    rest = (product - (total - (total - product))) + (added - (total - product))
    is_even = total.view("i8") & 1 == 0
    away = np.where((rest > 0) == (total > 0), 1, -1)
    odd = np.where((rest != 0) & is_even, total.view("i8") + away, total.view("i8"))
    return odd.view("f8").astype("f4")


@pytest.mark.parametrize("divisor", DIVISORS[:8])
def test_every_size_of_f32(divided, divisor):
    x = np.arange(-(2**31), 2**31, 4099, dtype="i8").astype("i4").view("f4")
    divisor = float(np.float32(divisor))
    found = divided(x, divisor)
    assert found is not None
    assert_same(x, divisor, found)


@pytest.mark.parametrize("divisor", [*DIVISORS, 1 / 3, 2 / 3, 5.0, 9.0, 1e100, 365.25, 86400.0])
def test_f64(divided, divisor):
    generator = np.random.default_rng(1)
    hard = nearest_to_midpoints(divisor, 53)
    assert hard
    fractions = generator.uniform(1, 2, 100_000)
    sizes = np.ldexp(generator.uniform(-2, 2, 100_000), generator.integers(-1080, 1024, 100_000))
    x = np.concatenate([np.array(hard, float), fractions, sizes, edges("f8")])
    for lanes in (8, 1):
        found = divided(x, divisor, lanes)
        if found is not None:
            assert_same(x, divisor, found)


def nearest_to_midpoints(divisor, digits):
    """Whole numbers of so many digits whose quotients come nearest to the middle of two numbers."""
    numerator = abs(float(divisor).as_integer_ratio()[0])
    odd = numerator // (numerator & -numerator)
    twos = digits - odd.bit_length()
    found = []
    for places in (digits, digits + 1):
        for j in range(-99, 100, 2):
            x = j * pow(2 ** (places - twos), -1, odd) % odd
            first = 2 ** (digits - 1) + (x - 2 ** (digits - 1)) % odd
            found += [n for n in (first, first + odd) if n < 2**digits]
    return found


def test_most_divisors_serve():
    for kind, dtype in (("float", "f4"), ("double", "f8")):
        assert all(inverse(float(c), kind) for c in range(3, 1000) if c & (c - 1))
        random = np.random.default_rng(2).uniform(1, 2, 500).astype(dtype)
        served = sum(inverse(float(c), kind) is not None for c in random)
        assert 450 < served < 500
        for c in (0.0, 1.0, -4.0, np.inf, np.nan, 2.0 ** FORMATS[kind].bias * 0.75):
            assert inverse(float(c), kind) is None


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_in_programs(dtype):
    """Lanes and scalars, with numbers among them that are divided."""
    x = np.random.default_rng(3).standard_normal(1003).astype(dtype)
    x[::7] *= 0
    x[3 : 3 + edges(dtype).size] = edges(dtype)
    with np.errstate(all="ignore"):
        wanted = x / 3
    np.testing.assert_array_equal(tracejit.jit(lambda x: x / 3)(x), wanted)
    np.testing.assert_array_equal(np.signbit(tracejit.jit(lambda x: x / 3)(x)), np.signbit(wanted))

    @tracejit.jit
    def halves(x, steps):
        for _ in range(steps):
            x = x / 7
        return x

    value = x.dtype.type(1.5)
    for steps in (10, 60, 370, 400):  # past the least normal number, past all
        wanted = value
        for _ in range(steps):
            wanted = wanted / 7
        assert halves(value, steps) == wanted
