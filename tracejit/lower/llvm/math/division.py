"""fmod, remainder and floor_divide, with NumPy's rules for signs and zeros."""

from __future__ import annotations

from tracejit.lower.llvm.math.arithmetic import (
    Number,
    copysign,
    fma,
    intrinsic,
    is_nan,
    select,
    where_any,
)
from tracejit.lower.llvm.math.library import each_lane


def fmod(x: Number, y: Number) -> Number:
    """x - trunc(x / y) y, exact, with the sign of x."""
    a, b = abs(x), abs(y)
    quotient = a / b
    # The quotient rounds up to a whole number at worst: then the remainder is negative, and exact.
    rest = fma(-intrinsic("trunc", quotient), b, a)
    rest = select(rest < 0.0, rest + b, rest)
    # A quotient of more digits is not whole; infinities and NaN end here too.
    simple = (quotient < 2.0**x.format.digits) & ~is_nan(rest)
    return copysign(where_any(~simple, rest, lambda: each_lane("fmod", a, b)), x)


def with_divisor_sign(rest: Number, y: Number) -> tuple[Number, Number]:
    """(the remainder moved to the side of y, whether it was moved)."""
    moved = (rest != 0.0) & ((rest.bits ^ y.bits) < 0)
    result = select(moved, rest + y, select(rest == 0.0, copysign(0.0, y), rest))
    return result, moved


def remainder(x: Number, y: Number) -> Number:
    """x - floor(x / y) y with the sign of y; fmod where y is zero."""
    rest = fmod(x, y)
    result, _ = with_divisor_sign(rest, y)
    return select(y == 0.0, rest, result)


def floor_divide(x: Number, y: Number) -> Number:
    """floor(x / y) consistent with `remainder`, as NumPy's npy_divmod; x / y where y is zero."""
    rest = fmod(x, y)
    quotient = x / y
    _, moved = with_divisor_sign(rest, y)
    whole = (x - rest) / y - select(moved, 1.0, x.constant(0.0))
    floor = intrinsic("floor", whole)
    floor = select(whole - floor > 0.5, floor + 1.0, floor)
    result = select(whole == 0.0, copysign(0.0, quotient), floor)
    return select(y == 0.0, quotient, result)
