"""erf, erfc and sinc."""

from __future__ import annotations

from tracejit.lower.llvm.math import coefficients
from tracejit.lower.llvm.math.arithmetic import (
    Number,
    copysign,
    fma,
    horner,
    horner_in_halves,
    horner_in_two,
    intrinsic,
    least,
    power_of_two,
    scale_by_exponent,
    select,
)
from tracejit.lower.llvm.math.exponential import reduce_by_octaves, rest_of_octaves, scale_far

# erf is 1 to the last bit beyond.
ERF_SATURATION = {"float": 3.95, "double": 5.94}


def erf(x: Number) -> Number:
    """x (1 + P(x**2)) up to 1; then 1 - 2**-h(x), whose h is smooth and needs few bits."""
    a, z = abs(x), x * x
    near = fma(x, horner(z, coefficients.ERF[x.kind]), x)
    u = least(ERF_SATURATION[x.kind], a) - 2.0
    h = horner_in_halves(u, coefficients.ERF_TAIL[x.kind])
    shifted = x.format.rounder - h
    f = (x.format.rounder - shifted) - h
    p = fma(f, horner_in_two(f, coefficients.EXP2[x.kind]), 1.0)
    far = copysign(fma(-p, power_of_two(x, shifted.bits), 1.0), x)
    return select(a < 1.0, near, far)


# Beyond, erfc is zero.
ERFC_VANISHES = {"float": 11.0, "double": 28.0}


def scaled_complement(a: Number) -> tuple[Number, Number]:
    """exp(a**2) erfc(a) as a sum of two doubles, for a >= 4/5.

    (1 + P(t)) / (a + 2), t = 1 - 4 / (a + 2). What rounding takes of t and of the last steps of P is added to the second.
    """
    first, second, *others = coefficients.ERFC["double"]
    divisor = a + 2.0
    divisor_rest = a - (divisor - 2.0)
    inverse = 1.0 / divisor
    # The true inverse is inverse * (1 + missing).
    missing = fma(-inverse, divisor_rest, fma(-inverse, divisor, 1.0))
    t = fma(inverse, -4.0, 1.0)
    t_rest = fma(t - 1.0, missing, fma(inverse, -4.0, 1.0 - t))
    bend = horner_in_halves(t, others)
    slope = fma(t, bend, second)
    excess = fma(t, slope, first)
    p = excess + 1.0
    p_rest = fma(
        t, fma(t, bend, second - slope), fma(t, slope, first - excess) + ((1.0 - p) + excess)
    )
    p_rest = fma(fma(t, bend, slope), t_rest, p_rest)
    result = inverse * p
    rest = fma(inverse, p, -result)
    return result, fma(result, missing, fma(inverse, p_rest, rest))


def erfc(x: Number) -> Number:
    """1 - erf(x) up to 4/5; then exp(-a**2) times a smooth function, and 2 minus it below zero."""
    if x.kind == "float":
        return erfc_of_floats(x.cast("fpext", "double")).cast("fptrunc", "float")
    a = least(ERFC_VANISHES["double"], abs(x))
    lead = 1.0 - x
    near = lead + fma(-x, horner(x * x, coefficients.ERF["double"]), (1.0 - lead) - x)
    scaled, rest = scaled_complement(a)
    square = a * a
    square_rest = fma(-a, a, square)
    n, f, bits = reduce_by_octaves(-square, square_rest)
    z, curve = f * f, horner_in_two(f, coefficients.EXP["double"])
    growth = fma(z, curve, f)
    growth_rest = fma(z, curve, f - growth) + rest_of_octaves(n, f, -square, square_rest)
    tail = scale_far(scaled + fma(scaled, growth, fma(scaled, growth_rest, rest)), bits)
    return select(a >= 0.8, select(x < 0.0, 2.0 - tail, tail), near)


def erfc_of_floats(x: Number) -> Number:
    """The same in double to the precision of float: no rounding error needs care."""
    a = least(ERFC_VANISHES["float"], abs(x))
    near = fma(-x, horner(x * x, coefficients.ERF["float"]), 1.0 - x)
    inverse = 1.0 / (a + 2.0)
    scaled = fma(inverse, horner(fma(inverse, -4.0, 1.0), coefficients.ERFC["float"]), inverse)
    _, f, bits = reduce_by_octaves(-(a * a))
    growth = fma(f * f, horner(f, coefficients.EXP["float"]), f)
    tail = scale_by_exponent(fma(scaled, growth, scaled), bits)
    return select(a >= 0.8, select(x < 0.0, 2.0 - tail, tail), near)


def sinc(x: Number) -> Number:
    """sin(pi x) / (pi x): with n = rint(x) and r = x - n, +-(r / x) sinc(r); zero at integers."""
    n = intrinsic("roundeven", x)
    r = x - n
    half = n * 0.5
    odd = intrinsic("roundeven", half) != half
    z = r * r
    ratio = select(odd, -r, r) / x
    return select(x == 0.0, 1.0, fma(ratio * z, horner(z, coefficients.SINC[x.kind]), ratio))
