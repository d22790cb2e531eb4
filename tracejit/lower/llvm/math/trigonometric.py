"""sin, cos and tan: the nearest multiple of pi (or pi/2) taken off, then one polynomial."""

from __future__ import annotations

import math

from tracejit.lower.llvm.math import coefficients
from tracejit.lower.llvm.math.arithmetic import (
    Number,
    copysign,
    fma,
    horner,
    horner_in_two,
    select,
    where_any,
)
from tracejit.lower.llvm.math.large_angles import large_angle

# Three parts of pi leave a remainder accurate to the last bit up to here.
REDUCTION_LIMIT = {"float": 2.0**17, "double": 2.0**30}

# NumPy divides 180 by pi in the format itself.
DEGREES = {"float": 57.2957763671875, "double": 180 / math.pi}


def with_large(name: str, x: Number, common: Number) -> Number:
    """Beyond the reduction's reach, another one, lane by lane."""
    mask = abs(x) > REDUCTION_LIMIT[x.kind]
    return where_any(mask, common, lambda: large_angle(name, select(mask, x, 1.0)))


def subtract_multiple(x: Number, n: Number, parts: tuple[float, ...]) -> Number:
    """x - n * sum(parts): the first step is exact, the next ones round the small remainder."""
    for part in parts:
        x = fma(n, -part, x)
    return x


def sine_near_zero(r: Number) -> Number:
    """sin(r) for |r| <= pi/2; keeps the sign of zero."""
    z = r * r
    return select(r == 0.0, r, fma(r * z, horner(z, coefficients.SIN[r.kind]), r))


def flip_sign(x: Number, bits: Number) -> Number:
    """-x where the lowest bit of `bits` is set."""
    return x.from_bits(x.bits ^ (bits << (x.format.bits - 1)))


def sin(x: Number) -> Number:
    shifted = fma(x, 1 / math.pi, x.format.rounder)
    r = subtract_multiple(x, shifted - x.format.rounder, coefficients.PI[x.kind])
    return with_large("sin", x, sine_near_zero(flip_sign(r, shifted.bits)))


def cos(x: Number) -> Number:
    """cos(x) = -+ sin(x - (n + 1/2) pi), n = floor(x / pi): no second polynomial."""
    rounder = x.format.rounder
    shifted = fma(abs(x), 1 / math.pi, -0.5) + rounder
    halves = fma(shifted - rounder, 2.0, 1.0)
    r = subtract_multiple(abs(x), halves, coefficients.HALF_PI[x.kind])
    z = r * r
    result = fma(r * z, horner(z, coefficients.SIN[x.kind]), r)
    return with_large("cos", x, flip_sign(-result, shifted.bits))


def tan(x: Number) -> Number:
    """tan(r) or -1 / tan(r), |r| <= pi/4; r and tan(r) are carried as sums of two numbers."""
    rounder, (first, second, third) = x.format.rounder, coefficients.HALF_PI[x.kind]
    shifted = fma(x, 2 / math.pi, rounder)
    n = shifted - rounder
    leading, product = fma(n, -first, x), n * second
    r = leading - product
    r_rest = ((leading - r) - product) - fma(n, second, -product)
    r_rest = fma(n, -third, r_rest)
    z = r * r
    excess = fma(r * z, horner_in_two(z, coefficients.TAN[x.kind]), fma(r_rest, z, r_rest))
    high = r + excess
    low = (r - high) + excess
    inverse = -1.0 / high
    inverse = fma(inverse * inverse, low, inverse)
    result = select((shifted.bits & 1) == 0, copysign(high, r), inverse)
    return with_large("tan", x, result)


def deg2rad(x: Number) -> Number:
    return x * (math.pi / 180)


def rad2deg(x: Number) -> Number:
    return x * DEGREES[x.kind]
