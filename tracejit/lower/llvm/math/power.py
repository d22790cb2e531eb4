"""power: 2**(y log2 x), the logarithm carried to enough digits beyond the format."""

from __future__ import annotations

from tracejit.lower.llvm.math import coefficients
from tracejit.lower.llvm.math.arithmetic import (
    INF,
    NAN,
    Number,
    fma,
    horner,
    intrinsic,
    is_nan,
    scale_by_exponent,
    select,
    where_any,
)
from tracejit.lower.llvm.math.exponential import (
    NORMAL_LIMIT_BASE_TWO,
    OVERFLOW_BASE_TWO,
    scale_far,
)
from tracejit.lower.llvm.math.logarithm import exceptional, split_exponent, subnormal_bits


def quotient_near_one(m: Number) -> tuple[Number, Number]:
    """(m - 1) / (m + 1) as an unevaluated sum, for m around 1."""
    f, d = m - 1.0, m + 1.0
    d_rest = f - (d - 2.0)
    inverse = 1.0 / d
    s = f * inverse
    return s, fma(-s, d_rest, fma(-s, d, f)) * inverse


def log2_mantissa(m: Number) -> tuple[Number, Number]:
    """log2(m) as an unevaluated sum, about 2**-35 (float) or 2**-65 (double) relative."""
    kind = m.kind
    slope, slope_rest = coefficients.POWER_SLOPE[kind]
    s, s_rest = quotient_near_one(m)
    z = s * s
    cube, cube_rest = coefficients.POWER_CUBE[kind]
    tail = horner(z, coefficients.POWER_LOG[kind])
    z_rest = fma(s + s, s_rest, fma(s, s, -z))
    # w = z * (cube + z * tail), then slope + w, then times s: each with its rounding error.
    extra = fma(z, tail, cube_rest)
    q = extra + cube
    q_rest = (cube - q) + extra
    w = z * q
    w_rest = fma(z, q_rest, fma(z_rest, q, fma(z, q, -w)))
    a = w + slope
    a_rest = ((slope - a) + w) + (w_rest + slope_rest)
    high = s * a
    return high, fma(s_rest, a, fma(s, a_rest, fma(s, a, -high)))


def power(x: Number, y: Number) -> Number:
    kind, rounder = x.kind, x.format.rounder
    base = abs(x)
    special = exceptional(x)
    k, m = split_exponent(base, where_any(special, base.bits, lambda: subnormal_bits(base)))
    part, part_rest = log2_mantissa(m)
    log = k + part
    log_rest = ((k - log) + part) + part_rest
    e = y * log
    e_rest = fma(y, log_rest, fma(y, log, -e))
    shifted = e + rounder
    f = (e - (shifted - rounder)) + e_rest
    p = fma(f, horner(f, coefficients.EXP2[kind]), 1.0)

    def rare() -> Number:
        far = abs(e) > 1.5 * OVERFLOW_BASE_TWO[kind]
        extreme = select(e > 0.0, INF, x.constant(0.0))
        result = select(far, extreme, scale_far(p, shifted.bits))
        return exceptional_power(x, y, result)

    mask = special | abs(e).not_below(NORMAL_LIMIT_BASE_TWO[kind])
    return where_any(mask, scale_by_exponent(p, shifted.bits), rare)


def exceptional_power(x: Number, y: Number, result: Number) -> Number:
    """C99's rules for zero, negative, infinite and NaN operands; `result` is abs(x)**y."""
    base, magnitude = abs(x), abs(y)
    shrinks = (y < 0.0) ^ (base < 1.0)
    extreme = (magnitude == INF) | (base == 0.0) | (base == INF)
    result = select(extreme, select(shrinks, 0.0, x.constant(INF)), result)
    integral = intrinsic("trunc", y) == y
    half = y * 0.5
    odd = integral & (intrinsic("trunc", half) != half)
    negative = x.bits < 0
    result = select(negative & odd, -result, result)
    result = select((x < 0.0) & ~integral & (base != INF), NAN, result)
    result = select(is_nan(x) | is_nan(y), NAN, result)
    one = (y == 0.0) | (x == 1.0) | ((x == -1.0) & (magnitude == INF))
    return select(one, 1.0, result)
