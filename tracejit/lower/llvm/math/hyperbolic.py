"""sinh, cosh and tanh: exp's reduction, then even and odd parts, so that nothing cancels."""

from __future__ import annotations

import math

from tracejit.lower.llvm.math import coefficients, table_values
from tracejit.lower.llvm.math.arithmetic import (
    INF,
    Number,
    copysign,
    fma,
    horner,
    is_nan,
    least,
    scale_by_exponent,
    select,
    where_any,
)
from tracejit.lower.llvm.math.exponential import (
    NORMAL_LIMIT,
    OVERFLOW,
    reduce_by_octaves,
    scale_far,
)
from tracejit.lower.llvm.math.tables import lookup

# tanh is 1 to the last bit beyond.
SATURATION = {"float": 9.3, "double": 20.0}
# Below, n = 0: the polynomial COTH reaches that far, and 1 - 2 / (exp(2x) + 1) would lose bits.
SINGLE_OCTAVE = 0.6


def tanh(x: Number) -> Number:
    return tanh_by_table(x) if x.kind == "float" else tanh_by_division(x)


def tanh_by_table(x: Number) -> Number:
    """A polynomial for each of the pieces, which are equal within octaves of u, linear in x."""
    scale, offset, shift = table_values.TANH_INDEX[x.kind]
    a = least(SATURATION[x.kind], abs(x))
    index = fma(a, scale, offset).bits >> shift
    center, *terms = (lookup(index, column, x.kind) for column in table_values.TANH[x.kind])
    t = a - center
    result = terms.pop()
    for term in reversed(terms):
        result = fma(result, t, term)
    return copysign(result, x)


def tanh_by_division(x: Number) -> Number:
    """x = n log(2)/2 + g and c = g coth(g) turn tanh into one division.

    exp(2g) = (c + g) / (c - g), so that with t = 2**n
    tanh(x) = 1 - 2 (c - g) / (c (t + 1) + g (t - 1)), and g / c where n = 0.
    """
    rounder = x.format.rounder
    a = least(SATURATION[x.kind], abs(x))
    single = a < SINGLE_OCTAVE
    shifted = select(single, rounder, fma(a, 2 / math.log(2), rounder))
    n = shifted - rounder
    high, low = coefficients.HALF_LN2[x.kind]
    g = fma(n, -low, fma(n, -high, a))
    z = g * g
    excess = z * horner(z, coefficients.COTH[x.kind])  # c - 1
    half = scale_by_exponent(x.constant(0.5), shifted.bits)
    denominator = (half + 0.5) + fma(half + 0.5, excess, (half - 0.5) * g)
    numerator = select(single, g, (g - excess) - 1.0)
    offset = select(single, 0.0, x.constant(1.0))
    return copysign(numerator / denominator + offset, x)


def even_and_odd(x: Number) -> tuple[Number, Number, Number]:
    """(cosh(f) - 1, sinh(f), n's bits) with abs(x) = n log 2 + f."""
    _, f, bits = reduce_by_octaves(abs(x))
    z = f * f
    even = z * horner(z, coefficients.COSH[x.kind])
    return even, fma(f * z, horner(z, coefficients.SINH[x.kind]), f), bits


def half_powers(x: Number, bits: Number) -> tuple[Number, Number]:
    """2**n / 2 and 2**-n / 2."""
    half = x.constant(0.5)
    return scale_by_exponent(half, bits), scale_by_exponent(half, -bits)


def with_far(x: Number, even: Number, odd: Number, bits: Number, common: Number) -> Number:
    """exp(abs(x)) / 2 where exp(abs(x)) or its inverse is not normal."""
    a = abs(x)

    def far() -> Number:
        result = scale_far(even + odd + 1.0, bits - 1)
        result = select(a > OVERFLOW[x.kind] + 1.0, INF, result)
        return select(is_nan(x), x, result)

    return where_any(a.not_below(NORMAL_LIMIT[x.kind]), common, far)


def cosh(x: Number) -> Number:
    """cosh(n log 2 + f), the smaller power added late: it may be half a digit of the larger."""
    even, odd, bits = even_and_odd(x)
    grown, shrunk = half_powers(x, bits)
    excess = fma(odd, grown - shrunk, fma(even, grown + shrunk, shrunk))
    return with_far(x, even, odd, bits, grown + excess)


def sinh(x: Number) -> Number:
    """sinh(n log 2 + f), the difference of the powers taken first: it vanishes with n."""
    even, odd, bits = even_and_odd(x)
    grown, shrunk = half_powers(x, bits)
    difference = grown - shrunk
    common = difference + fma(odd, grown + shrunk, even * difference)
    return copysign(with_far(x, even, odd, bits, common), x)
