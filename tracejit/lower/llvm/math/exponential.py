"""exp, exp2 and expm1: x = n log 2 + f, a polynomial in f, and n added to the exponent."""

from __future__ import annotations

import math

from tracejit.lower.llvm.math import coefficients
from tracejit.lower.llvm.math.arithmetic import (
    INF,
    Number,
    copysign,
    fma,
    horner,
    is_nan,
    power_of_two,
    scale_by_exponent,
    select,
    where_any,
)

# Beyond, n log 2 may leave the exponents of normal numbers; and where results are surely inf or 0.
NORMAL_LIMIT = {"float": 87.0, "double": 708.0}
NORMAL_LIMIT_BASE_TWO = {"float": 125.0, "double": 1021.0}
OVERFLOW = {"float": 89.0, "double": 710.0}
UNDERFLOW = {"float": -104.0, "double": -746.0}
OVERFLOW_BASE_TWO = {"float": 128.0, "double": 1024.0}
UNDERFLOW_BASE_TWO = {"float": -151.0, "double": -1076.0}


def reduce_by_octaves(x: Number, rest: Number | None = None) -> tuple[Number, Number, Number]:
    """(n, f, n's bits): x + rest = n log 2 + f with |f| <= log(2)/2."""
    high, low = coefficients.LN2[x.kind]
    shifted = fma(x, 1 / math.log(2), x.format.rounder)
    n = shifted - x.format.rounder
    # x - n * high is exact: both are multiples of its last bit, and it is small.
    lead = fma(n, -high, x)
    f = fma(n, -low, lead) if rest is None else lead + fma(n, -low, rest)
    return n, f, shifted.bits


def rest_of_octaves(n: Number, f: Number, x: Number, rest: Number) -> Number:
    """What rounding took of the `f` that `reduce_by_octaves` gave."""
    high, low = coefficients.LN2[x.kind]
    return fma(n, -high, x) - f + fma(n, -low, rest)


def scale_far(x: Number, bits: Number) -> Number:
    """x * 2**n in two steps, for n (the low part of `bits`) whose power may not be normal."""
    half = bits >> 1
    return scale_by_exponent(x, half) * power_of_two(x, bits - half)


def exp(x: Number) -> Number:
    _, f, bits = reduce_by_octaves(x)
    p = fma(fma(horner(f, coefficients.EXP[x.kind]), f, 1.0), f, 1.0)

    def far() -> Number:
        result = select(x > OVERFLOW[x.kind], INF, scale_far(p, bits))
        result = select(x < UNDERFLOW[x.kind], 0.0, result)
        return select(is_nan(x), x, result)

    return where_any(abs(x).not_below(NORMAL_LIMIT[x.kind]), scale_by_exponent(p, bits), far)


def exp2(x: Number) -> Number:
    shifted = x + x.format.rounder
    f, bits = x - (shifted - x.format.rounder), shifted.bits
    p = fma(f, horner(f, coefficients.EXP2[x.kind]), 1.0)

    def far() -> Number:
        result = select(x >= OVERFLOW_BASE_TWO[x.kind], INF, scale_far(p, bits))
        result = select(x < UNDERFLOW_BASE_TWO[x.kind], 0.0, result)
        return select(is_nan(x), x, result)

    beyond = abs(x).not_below(NORMAL_LIMIT_BASE_TWO[x.kind])
    return where_any(beyond, scale_by_exponent(p, bits), far)


def expm1(x: Number) -> Number:
    _, f, bits = reduce_by_octaves(x)
    p = fma(f * f, horner(f, coefficients.EXPM1[x.kind]), f)
    scale = power_of_two(x, bits)

    def far() -> Number:
        result = select(x > OVERFLOW[x.kind], INF, scale_far(p + 1.0, bits))
        result = select(x < 0.0, -1.0, result)
        return select(is_nan(x), x, result)

    common = copysign(fma(p, scale, scale - 1.0), x)
    return where_any(abs(x).not_below(NORMAL_LIMIT[x.kind]), common, far)
