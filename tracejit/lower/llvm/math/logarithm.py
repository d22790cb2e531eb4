"""log, log2, log10 and log1p: x = 2**k m with m around 1, and a polynomial in f = m - 1."""

from __future__ import annotations

import math

from tracejit.lower.llvm.math import coefficients
from tracejit.lower.llvm.math.arithmetic import (
    INF,
    NAN,
    Number,
    fma,
    horner,
    power_of_two,
    select,
    where_any,
)

# The bits of sqrt(1/2): mantissas run from there to sqrt(2).
ROOT_HALF_BITS = {"float": 0x3F3504F3, "double": 0x3FE6A09E667F3BCD}


def exceptional(x: Number) -> Number:
    """Zero, subnormal, negative, infinite or NaN: one unsigned comparison."""
    f = x.format
    smallest = 1 << f.digits
    return (x.bits - smallest).not_below(f.infinity_bits - smallest)


def subnormal_bits(x: Number) -> Number:
    """The bits of x > 0 as if the exponent had no lower limit (it may then be negative)."""
    f = x.format
    shift = f.digits + 2
    normalised = (x * 2.0**shift).bits - (shift << f.digits)
    return select(x < f.smallest_normal, normalised, x.bits)


def split_exponent(x: Number, bits: Number) -> tuple[Number, Number]:
    """(k, m) with x = 2**k m and sqrt(1/2) <= m < sqrt(2), k as a number; `bits` are those of x."""
    k = (bits - ROOT_HALF_BITS[x.kind]) >> x.format.digits
    return x.converted(k), x.from_bits(bits - (k << x.format.digits))


def with_exceptions(mask: Number, x: Number, result: Number) -> Number:
    """The logarithm's values at zero, below zero, and at infinity and NaN (themselves)."""

    def rare() -> Number:
        outside = select(x < 0.0, NAN, select(x == 0.0, -INF, x))
        return select((x > 0.0) & (x < INF), result, outside)

    return where_any(mask, result, rare)


def log_excess(f: Number) -> Number:
    """log(1 + f) - f, for sqrt(1/2) <= 1 + f < sqrt(2)."""
    if f.kind == "float":
        return f * f * fma(f, horner(f, coefficients.LOG["float"]), -0.5)
    # log(1 + f) = 2 atanh(s), s = f / (2 + f); f**2 / 2 is taken out because it is exact enough.
    s = f / (f + 2.0)
    z = s * s
    half_square = f * f * 0.5
    return fma(s, fma(z, horner(z, coefficients.ATANH["double"]), half_square), -half_square)


def log(x: Number) -> Number:
    mask = exceptional(x)
    k, m = split_exponent(x, where_any(mask, x.bits, lambda: subnormal_bits(x)))
    high, low = coefficients.LN2[x.kind]
    f = m - 1.0
    result = fma(k, high, fma(k, low, log_excess(f)) + f)
    return with_exceptions(mask, x, result)


def scaled_log(f: Number, parts: tuple[float, ...], table: tuple[float, ...]) -> Number:
    """c log(1 + f), c the sum of `parts`; in float f * (c0 + P(f)), P in `table`, c0 parts[0]."""
    if f.kind == "float":
        return fma(f, horner(f, table), f * parts[0])
    high, low = parts
    lead = f * high
    return lead + fma(log_excess(f), high, fma(f, low, fma(f, high, -lead)))


def log2(x: Number) -> Number:
    mask = exceptional(x)
    k, m = split_exponent(x, where_any(mask, x.bits, lambda: subnormal_bits(x)))
    parts = (1.0,) if x.kind == "float" else coefficients.LOG2_E["double"]
    result = k + scaled_log(m - 1.0, parts, coefficients.LOG2["float"])
    return with_exceptions(mask, x, result)


def log10(x: Number) -> Number:
    mask = exceptional(x)
    k, m = split_exponent(x, where_any(mask, x.bits, lambda: subnormal_bits(x)))
    high, low = coefficients.LOG10_TWO[x.kind]
    parts = (0.5,) if x.kind == "float" else coefficients.LOG10_E["double"]
    result = scaled_log(m - 1.0, parts, coefficients.LOG10["float"])
    return with_exceptions(mask, x, fma(k, high, fma(k, low, result)))


# Past the first, log1p scales its argument by the second: 2**-k would not be normal.
LARGE = {"float": (2.0**120, 64), "double": (2.0**1000, 512)}


def log1p(x: Number) -> Number:
    """1 + x = 2**k (1 + f), with f = x 2**-k + (2**-k - 1) rounded once: nothing to correct."""
    large, octaves = LARGE[x.kind]
    mask = (x <= -1.0) | x.not_below(large)
    scaled = where_any(mask, x, lambda: x * 2.0**-octaves)
    k = ((scaled + 1.0).bits - ROOT_HALF_BITS[x.kind]) >> x.format.digits
    shrink = power_of_two(x, -k)
    part = fma(scaled, shrink, shrink - 1.0)
    high, low = coefficients.LN2[x.kind]
    number = x.converted(k)
    result = fma(number, high, fma(number, low, log_excess(part)) + part)
    result = select(x == 0.0, x, result)

    def rare() -> Number:
        finite = select(x < INF, result + octaves * math.log(2), x)
        return select(x < -1.0, NAN, select(x == -1.0, -INF, finite))

    return where_any(mask, result, rare)
