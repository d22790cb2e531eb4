"""Inverse trigonometric and hyperbolic functions."""

from __future__ import annotations

import math
from collections.abc import Callable

from tracejit.lower.llvm.math import coefficients
from tracejit.lower.llvm.math.arithmetic import (
    INF,
    Number,
    copysign,
    fma,
    horner,
    intrinsic,
    least,
    power_of_two,
    select,
    where_any,
)
from tracejit.lower.llvm.math.logarithm import ROOT_HALF_BITS, log_excess

HALF_PI = {kind: parts[:2] for kind, parts in coefficients.HALF_PI.items()}
# Beyond, x**2 + 1 is x**2 to the last bit, and squares may overflow.
LARGE = {"float": 2.0**30, "double": 2.0**60}


def arcsine_parts(x: Number) -> tuple[Number, Number, Number]:
    """(abs(x) < 1/2, s, asin(s) - s), s = abs(x) there and sqrt((1 - abs(x)) / 2) elsewhere."""
    a = abs(x)
    small = a < 0.5
    z = select(small, a * a, fma(a, -0.5, 0.5))
    s = select(small, a, intrinsic("sqrt", z))
    return small, s, s * z * horner(z, coefficients.ASIN[x.kind])


def arcsin(x: Number) -> Number:
    """asin(a) = pi/2 - 2 asin(sqrt((1 - a) / 2)) for a >= 1/2."""
    high, low = HALF_PI[x.kind]
    small, s, rest = arcsine_parts(x)
    lead = fma(s, -2.0, high)
    error = fma(s, -2.0, high - lead)
    large = lead + (fma(rest, -2.0, low) + error)
    return copysign(select(small, s + rest, large), x)


def arccos(x: Number) -> Number:
    """pi/2 - asin(x), and 2 asin(sqrt((1 - x) / 2)) or pi minus it for abs(x) >= 1/2."""
    high, low = HALF_PI[x.kind]
    small, s, rest = arcsine_parts(x)
    negative = x.bits < 0
    s, rest = copysign(s, x), copysign(rest, x)
    near = (high - s) + (low - rest)
    far = select(negative, fma(s, 2.0, 2 * high), s + s) + select(
        negative, fma(rest, 2.0, 2 * low), rest + rest
    )
    return select(small, near, far)


def arctan(x: Number) -> Number:
    """Around 1, pi/4 + atan((a - 1) / (a + 1)); beyond, pi/2 - atan(1 / a)."""
    a = abs(x)
    high, low = HALF_PI[x.kind]
    small, large = a < math.tan(math.pi / 8), a > math.tan(3 * math.pi / 8)
    numerator = select(small, a, select(large, -1.0, a - 1.0))
    t = numerator / select(small, 1.0, select(large, a, a + 1.0))
    z = t * t
    rest = t * z * horner(z, coefficients.ATAN_NARROW[x.kind])
    base = select(small, 0.0, select(large, high, x.constant(high / 2)))
    base_rest = select(small, 0.0, select(large, low, x.constant(low / 2)))
    return copysign(base + (t + (rest + base_rest)), x)


def arctan2(y: Number, x: Number) -> Number:
    """The angle of (x, y), from the ratio of the smaller to the larger; C99's special values."""
    high, low = HALF_PI[x.kind]
    a, b = abs(y), abs(x)
    swapped, negative = a > b, x.bits < 0
    small, large = select(swapped, b, a), select(swapped, a, b)
    ratio = small / large
    # 0/0 counts as 0, inf/inf as 1.
    ratio = select(small == large, select(large == 0.0, 0.0, x.constant(1.0)), ratio)
    flipped = swapped ^ negative
    t = select(flipped, -ratio, ratio)
    z = t * t
    rest = t * z * horner(z, coefficients.ATAN[x.kind])
    quarter = select(swapped, 1.0, select(negative, 2.0, x.constant(0.0)))
    base = quarter * high
    total = base + t
    error = (base - total) + t
    return copysign(total + (error + fma(quarter, low, rest)), y)


def atanh_of_ratio(s: Number) -> Number:
    """atanh(s) for abs(s) <= 1/3."""
    z = s * s
    return fma(s * z, horner(z, coefficients.ATANH_WIDE[s.kind]), s)


def arctanh(x: Number) -> Number:
    """(1 + a) / (1 - a) = 2**k m: k log(2) / 2 + atanh((m - 1) / (m + 1)), with one division."""
    f = x.format
    a = abs(x)
    up, down = 1.0 + a, 1.0 - a
    # Bits of floats grow like log2: close enough to choose k. Few a need k = 1, which rounds more.
    k = (up.bits - down.bits + (5 << (f.digits - 5))) >> f.digits
    scale, number = power_of_two(x, k), x.converted(k)
    high, low = coefficients.HALF_LN2[x.kind]

    def total(s: Number) -> Number:
        return fma(number, high, fma(number, low, atanh_of_ratio(s)))

    def near_one() -> Number:
        """Here 1 - a is exact and 2**k + 1 is not."""
        s = (fma(-scale, down, a) + 1.0) / (fma(scale, down, a) + 1.0)
        return select(a < 1.0, total(s), select(a == 1.0, INF, x.constant(math.nan)))

    result = total(fma(a, scale + 1.0, 1.0 - scale) / fma(a, 1.0 - scale, scale + 1.0))
    return copysign(where_any(a.not_below(1 - 2.0 ** (3 - f.digits)), result, near_one), x)


def log1p_of_sum(
    x: Number, v: Number, rest: Number, unusual: Number, outside: Callable[[Number], Number]
) -> Number:
    """log(1 + v + rest), log1p's method of a sum; of `unusual` lanes `outside(log(2 x))`."""
    v = where_any(unusual, v, lambda: x * 0.25)
    k = ((v + 1.0).bits - ROOT_HALF_BITS[x.kind]) >> x.format.digits
    shrink = power_of_two(x, -k)
    part = fma(v, shrink, shrink - 1.0)
    high, low = coefficients.LN2[x.kind]
    number = x.converted(k)
    rest = fma(number, low, rest * shrink)
    result = fma(number, high, part + (log_excess(part) + rest))
    return where_any(unusual, result, lambda: outside(result + 3 * math.log(2)))


def arcsinh(x: Number) -> Number:
    """log1p(a + a**2 / (1 + sqrt(a**2 + 1))), a = abs(x)."""
    a = abs(x)
    excess = a * (a / (intrinsic("sqrt", fma(a, a, 1.0)) + 1.0))
    v = a + excess
    unusual = a.not_below(LARGE[x.kind])
    result = log1p_of_sum(a, v, (a - v) + excess, unusual, lambda far: select(a < INF, far, a))
    return copysign(result, x)


def arccosh(x: Number) -> Number:
    """log1p(t + sqrt(t**2 + 2t)), t = x - 1."""
    t = least(LARGE[x.kind], x) - 1.0
    root = intrinsic("sqrt", fma(t, t, t + t))
    v = root + t
    unusual = ~((x >= 1.0) & (x < LARGE[x.kind]))

    def outside(far: Number) -> Number:
        return select(x < 1.0, math.nan, select(x < INF, far, x))

    return log1p_of_sum(x, v, (root - v) + t, unusual, outside)
