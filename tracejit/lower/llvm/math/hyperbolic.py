"""sinh, cosh and tanh: exp's reduction, then even and odd parts, so that nothing cancels."""

from __future__ import annotations

import math

from tracejit.lower.llvm.math import coefficients
from tracejit.lower.llvm.math.arithmetic import (
    Number,
    copysign,
    fma,
    horner,
    least,
    scale_by_exponent,
    select,
)

# tanh is 1 to the last bit beyond.
SATURATION = {"float": 10.0, "double": 20.0}
# Below, n = 0: the polynomial COTH reaches that far, and 1 - 2 / (exp(2x) + 1) would lose bits.
SINGLE_OCTAVE = 0.6


def tanh(x: Number) -> Number:
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
