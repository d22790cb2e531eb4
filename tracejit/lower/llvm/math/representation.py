"""Functions of a number's digits and exponent: rounding, neighbours, frexp and ldexp, signs."""

from __future__ import annotations

from tracejit.lower.llvm.math.arithmetic import (
    INF,
    NAN,
    Number,
    copysign,
    greatest,
    intrinsic,
    is_nan,
    least,
    power_of_two,
    select,
)


def rint(x: Number) -> Number:
    """To the nearest integer, halves to even."""
    return intrinsic("roundeven", x)


def trunc(x: Number) -> Number:
    return intrinsic("trunc", x)


def floor(x: Number) -> Number:
    return intrinsic("floor", x)


def ceil(x: Number) -> Number:
    return intrinsic("ceil", x)


def nextafter(x: Number, y: Number) -> Number:
    """The neighbour of x toward y; y itself where they are equal."""
    # Away from zero the bits grow by one; from zero they become those of the smallest number.
    away = (x < y) ^ (x.bits < 0)
    bits = x.bits + select(away, 1, x.bits.constant(-1))
    smallest = copysign(x.from_bits(x.bits.constant(1)), y)
    result = select(x == 0.0, smallest, x.from_bits(bits))
    result = select(x == y, y, result)
    return select(is_nan(x) | is_nan(y), x + y, result)


def spacing(x: Number) -> Number:
    """The distance to the neighbour away from zero, negative below zero."""
    a = abs(x)
    distance = a.from_bits(a.bits + 1) - a
    distance = select(a < INF, distance, NAN)
    return select(x < 0.0, -distance, distance)


def ldexp(x: Number, exponent: Number) -> Number:
    """x * 2**exponent, rounded once; `exponent` is i32."""
    f = x.format
    wide = exponent.cast("sext", f.integer)
    # Three factors reach from the smallest number to the largest and beyond. Going down, only the
    # last one may round: the others leave at least 2 * digits to spare.
    step = f.bias - 1
    wide = greatest(least(wide, 3 * step), -3 * step)
    first = greatest(least(wide, step), -step + f.digits + 1)
    rest = wide - first
    second = greatest(least(rest, step), -step + f.digits + 1)
    third = greatest(rest - second, -step)
    scaled = x * power_of_two(x, first) * power_of_two(x, second)
    return scaled * power_of_two(x, third)


def normalised(x: Number) -> tuple[Number, Number]:
    """(bits, exponent to subtract): x with subnormal numbers scaled up to normal ones."""
    f = x.format
    small = abs(x) < f.smallest_normal
    shift = f.digits + 2
    bits = select(small, (x * 2.0**shift).bits, x.bits)
    return bits, select(small, shift, bits.constant(0))


def without_digits(x: Number) -> Number:
    """Zero, infinite or NaN."""
    a = abs(x)
    return (a == 0.0) | a.not_below(INF)


def frexp_mantissa(x: Number) -> Number:
    """m with x = m 2**e and 1/2 <= abs(m) < 1."""
    f = x.format
    bits, _ = normalised(x)
    exponent_field = (2 * f.bias + 1) << f.digits
    mantissa = x.from_bits((bits & ~exponent_field) | (f.one_bits - (1 << f.digits)))
    return select(without_digits(x), x, mantissa)


def frexp_exponent(x: Number) -> Number:
    """e with x = m 2**e and 1/2 <= abs(m) < 1, as i32; 0 for zero, infinities and NaN."""
    f = x.format
    bits, shift = normalised(x)
    exponent = ((bits >> f.digits) & (2 * f.bias + 1)) - (f.bias - 1) - shift
    exponent = select(without_digits(x), 0, exponent)
    return exponent.cast("trunc", "i32")


def sign(x: Number) -> Number:
    """-1, 0, 1 or NaN."""
    one = copysign(1.0, x)
    return select(x == 0.0, 0.0, select(is_nan(x), x, one))


def heaviside(x: Number, at_zero: Number) -> Number:
    """0 below zero, 1 above, `at_zero` at zero, NaN at NaN."""
    step = select(x < 0.0, 0.0, select(x > 0.0, 1.0, x))
    return select(x == 0.0, at_zero, step)
