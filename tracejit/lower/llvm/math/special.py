"""erf and erfc."""

from __future__ import annotations

from tracejit.lower.llvm.math import coefficients
from tracejit.lower.llvm.math.arithmetic import (
    Number,
    copysign,
    fma,
    horner,
    least,
    power_of_two,
    select,
)

# erf is 1 to the last bit beyond.
ERF_SATURATION = {"float": 3.95, "double": 5.94}


def erf(x: Number) -> Number:
    """x (1 + P(x**2)) up to 1; then 1 - 2**-h(x), whose h is smooth and needs few bits."""
    a, z = abs(x), x * x
    near = fma(x, horner(z, coefficients.ERF[x.kind]), x)
    u = least(ERF_SATURATION[x.kind], a) - 2.0
    h = horner(u, coefficients.ERF_TAIL[x.kind])
    shifted = x.format.rounder - h
    f = (x.format.rounder - shifted) - h
    p = fma(f, horner(f, coefficients.EXP2[x.kind]), 1.0)
    far = copysign(fma(-p, power_of_two(x, shifted.bits), 1.0), x)
    return select(a < 1.0, near, far)
