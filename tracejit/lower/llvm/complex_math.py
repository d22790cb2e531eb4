"""Elementary functions of complex numbers: formulas on pairs of Numbers, C99's special values.

Square root and inverse functions follow Kahan, "Branch cuts for complex elementary functions"
(1987). Errors are a few ULP of the modulus, except where a formula says otherwise. What C99 leaves
open (signs of zeros beside NaN) is left open here.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from .math import exponential, hyperbolic, inverse, logarithm, roots, trigonometric
from .math.arithmetic import (
    INF,
    NAN,
    Number,
    copysign,
    fma,
    greatest,
    intrinsic,
    is_nan,
    least,
    select,
)

Complex = tuple[Number, Number]

LOG_2 = math.log(2)
# exp of the first is far from overflow, and its square beyond every product that is not.
STEP = {"float": 80.0, "double": 700.0}
# Beyond, and below its inverse, squares may overflow or vanish.
LARGE = {"float": 2.0**60, "double": 2.0**500}


def is_finite(x: Number) -> Number:
    return abs(x) < INF


def zero_like(sign: Number) -> Number:
    return copysign(0.0, sign)


def choose(condition: Number, z: Complex, w: Complex) -> Complex:
    return select(condition, z[0], w[0]), select(condition, z[1], w[1])


def negative(z: Complex) -> Complex:
    return -z[0], -z[1]


def times_i(z: Complex) -> Complex:
    return -z[1], z[0]


def divided_by_i(z: Complex) -> Complex:
    return z[1], -z[0]


def multiply(z: Complex, w: Complex) -> Complex:
    (a, b), (c, d) = z, w
    return a * c - b * d, a * d + b * c


def reciprocal(z: Complex) -> Complex:
    """1 / z, scaled by the larger part."""
    a, b = z
    first = abs(b) <= abs(a)
    large, small = select(first, a, b), select(first, b, a)
    ratio = small / large
    inverse_ = 1.0 / fma(small, ratio, large)
    near, far = inverse_, ratio * inverse_
    return select(first, near, far), -select(first, far, near)


def sign(z: Complex) -> Complex:
    """z / abs(z), and 0 for 0; an infinity on an axis counts as 1 there."""
    a, b = z
    size = roots.hypot(a, b)
    divisor = select(size == 0.0, 1.0, size)
    endless = size == INF
    far = [select(abs(x) == INF, copysign(1.0, x), 0.0) for x in z]
    both = (abs(a) == INF) & (abs(b) == INF)
    parts = [select(endless, select(both, NAN, edge), x / divisor) for x, edge in zip(z, far)]
    zero = size == 0.0
    unknown = is_nan(size)
    return tuple([select(unknown, NAN, select(zero, 0.0, part)) for part in parts])


def scaled_cis(power: Number, angle: Number, factor: float = 1.0) -> Complex:
    """factor exp(power) (cos(angle) + i sin(angle)), also where only exp(power) overflows."""
    step = STEP[power.kind]
    big = power > step
    size = exponential.exp(select(big, power - step, power)) * factor
    again = select(big, math.exp(step), power.constant(1.0))
    return (
        size * trigonometric.cos(angle) * again,
        size * trigonometric.sin(angle) * again,
    )


def exp(z: Complex) -> Complex:
    x, y = z
    real, imag = scaled_cis(x, y)
    wild = ~is_finite(y)
    nothing = wild & (x == -INF)
    real = select(nothing, 0.0, select(wild & (x == INF), INF, real))
    imag = select(nothing, zero_like(y), imag)
    flat = y == 0.0
    return select(flat, exponential.exp(x), real), select(flat, y, imag)


def exp2(z: Complex) -> Complex:
    """exp(z log 2), the product rounded as NumPy rounds it."""
    return exp((z[0] * LOG_2, z[1] * LOG_2))


def expm1(z: Complex) -> Complex:
    """expm1(x) cos(y) - 2 sin(y / 2)**2 + i exp(x) sin(y)."""
    x, y = z
    half = trigonometric.sin(y * 0.5)
    real = exponential.expm1(x) * trigonometric.cos(y) - 2.0 * half * half
    return real, exponential.exp(x) * trigonometric.sin(y)


def log_modulus(x: Number, y: Number) -> Number:
    """log(hypot(x, y)): near 1 from x**2 + y**2 - 1 to twice the digits."""
    a, b = greatest(abs(x), abs(y)), least(abs(x), abs(y))
    large = LARGE[x.kind]
    factor = select(a > large, 1 / large, select(a < 1 / large, large, x.constant(1.0)))
    shift = select(
        a > large, math.log(large), select(a < 1 / large, -math.log(large), 0.0 * factor)
    )
    far = logarithm.log(roots.hypot(x * factor, y * factor)) + shift
    p, q = a * a, b * b
    p_rest, q_rest = fma(a, a, -p), fma(b, b, -q)
    base = p - 1.0
    total = base + q
    back = total - base
    rest = (base - (total - back)) + (q - back)
    near = logarithm.log1p(total + (rest + (p_rest + q_rest))) * 0.5
    return select((a > 0.5) & (a < 1.5) & (p + q > 0.5) & (p + q < 2.0), near, far)


def log(z: Complex) -> Complex:
    return log_modulus(*z), inverse.arctan2(z[1], z[0])


def log_by(factor: float) -> Callable[[Complex], Complex]:
    """The logarithm to another base: both parts times `factor`."""

    def scaled(z: Complex) -> Complex:
        real, imag = log(z)
        return real * factor, imag * factor

    return scaled


def log1p(z: Complex) -> Complex:
    """log(1 + z); the modulus near 1 from 2x + x**2 + y**2."""
    x, y = z
    real, imag = log((x + 1.0, y))
    small = (abs(x) < 0.25) & (abs(y) < 0.25)
    near = logarithm.log1p(fma(x, x + 2.0, y * y)) * 0.5
    return select(small, near, real), imag


def sqrt(z: Complex) -> Complex:
    """Half-angle formulas on the larger part, so that nothing cancels; scaled to stay in range."""
    x, y = z
    a = greatest(abs(x), abs(y))
    high = a > LARGE[x.kind]
    low = a < 1 / LARGE[x.kind]
    scale = select(high, 2.0**-4, select(low, 2.0**60, x.constant(1.0)))
    back = select(high, 4.0, select(low, 2.0**-30, x.constant(1.0)))
    u, v = x * scale, y * scale
    large = intrinsic("sqrt", fma(abs(u), 0.5, roots.hypot(u, v) * 0.5))
    small = abs(v) / (large + large)
    right = ~(x < 0.0)
    real, imag = select(right, large, small) * back, select(right, small, large) * back
    zero = (x == 0.0) & (y == 0.0)
    real, imag = select(zero, 0.0, real), select(zero, 0.0, imag)
    endless = abs(y) == INF
    real = select((x == INF) | endless, INF, select((x == -INF) & is_finite(y), 0.0, real))
    imag = select((x == -INF) | endless, INF, select((x == INF) & is_finite(y), 0.0, imag))
    return real, copysign(imag, y)


def sinh(z: Complex) -> Complex:
    """sinh x cos y + i cosh x sin y."""
    x, y = z
    size = abs(x)
    real = hyperbolic.sinh(x) * trigonometric.cos(y)
    imag = hyperbolic.cosh(x) * trigonometric.sin(y)
    cosine, sine = scaled_cis(size, y, 0.5)
    far = size > STEP[x.kind]
    real, imag = select(far, copysign(1.0, x) * cosine, real), select(far, sine, imag)
    wild = ~is_finite(y)
    real = select(wild & (x == 0.0), x, select(wild & (size == INF), INF, real))
    flat = y == 0.0
    return select(flat, hyperbolic.sinh(x), real), select(flat, y, imag)


def cosh(z: Complex) -> Complex:
    """cosh x cos y + i sinh x sin y."""
    x, y = z
    size = abs(x)
    real = hyperbolic.cosh(x) * trigonometric.cos(y)
    imag = hyperbolic.sinh(x) * trigonometric.sin(y)
    cosine, sine = scaled_cis(size, y, 0.5)
    far = size > STEP[x.kind]
    real, imag = select(far, cosine, real), select(far, copysign(1.0, x) * sine, imag)
    wild = ~is_finite(y)
    real = select(wild & (size == INF), INF, real)
    imag = select(wild & (x == 0.0), 0.0, imag)
    flat = y == 0.0
    return (
        select(flat, hyperbolic.cosh(x), real),
        select(flat, select(is_nan(x), y, copysign(1.0, x) * y), imag),
    )


def tanh(z: Complex) -> Complex:
    """(sinh x cosh x + i sin y cos y) / (sinh(x)**2 + cos(y)**2), and its limit for large x."""
    x, y = z
    size = abs(x)
    sine, cosine = trigonometric.sin(y), trigonometric.cos(y)
    s, c = hyperbolic.sinh(x), hyperbolic.cosh(x)
    divisor = fma(s, s, cosine * cosine)
    real, imag = s * c / divisor, sine * cosine / divisor
    far = size > STEP[x.kind] / 4
    decay = exponential.exp(-size)
    limit = 4.0 * sine * cosine * decay * decay
    real, imag = select(far, copysign(1.0, x), real), select(far, limit, imag)
    wild = ~is_finite(y)
    imag = select(wild & (size == INF), zero_like(y), imag)
    real = select(wild & (x == 0.0), x, real)
    flat = y == 0.0
    return select(flat, hyperbolic.tanh(x), real), select(flat, y, imag)


def sin(z: Complex) -> Complex:
    return divided_by_i(sinh(times_i(z)))


def cos(z: Complex) -> Complex:
    return cosh(times_i(z))


def tan(z: Complex) -> Complex:
    return divided_by_i(tanh(times_i(z)))


def is_large(z: Complex) -> Number:
    large = LARGE[z[0].kind]
    return (abs(z[0]) > large) | (abs(z[1]) > large)


def log_of_double(z: Complex) -> Number:
    """log(2 abs(z)) of a large z."""
    return log_modulus(z[0] * 0.5, z[1] * 0.5) + 2 * LOG_2


def arcsinh(z: Complex) -> Complex:
    x, y = z
    r, s = sqrt((1.0 + y, -x)), sqrt((1.0 - y, x))
    real = inverse.arcsinh(r[0] * s[1] - s[0] * r[1])
    imag = inverse.arctan2(y, r[0] * s[0] - r[1] * s[1])
    large = is_large(z)
    real = select(large, copysign(log_of_double(z), x), real)
    imag = select(large, inverse.arctan2(y, abs(x)), imag)
    return real, select(is_nan(x) & (y == 0.0), y, imag)


def arccos(z: Complex) -> Complex:
    x, y = z
    r, s = sqrt((1.0 - x, -y)), sqrt((1.0 + x, y))
    real = 2.0 * inverse.arctan2(r[0], s[0])
    imag = inverse.arcsinh(s[0] * r[1] - s[1] * r[0])
    large = is_large(z)
    real = select(large, inverse.arctan2(abs(y), x), real)
    imag = select(large, -copysign(log_of_double(z), y), imag)
    return select((x == 0.0) & is_nan(y), math.pi / 2, real), imag


def arccosh(z: Complex) -> Complex:
    real, imag = arccos(z)
    return abs(imag), copysign(real, z[1])


def arcsin(z: Complex) -> Complex:
    return divided_by_i(arcsinh(times_i(z)))


def arctanh(z: Complex) -> Complex:
    """log1p(4x / ((1 - x)**2 + y**2)) / 4, and half the angle of (1 - x)(1 + x) - y**2 + 2iy."""
    x, y = abs(z[0]), z[1]
    d = 1.0 - x
    real = 0.25 * logarithm.log1p(4.0 * x / fma(d, d, y * y))
    imag = 0.5 * inverse.arctan2(2.0 * y, fma(d, 1.0 + x, -(y * y)))
    large = is_large(z)
    size = roots.hypot(x * 0.5, y * 0.5)
    real = select(large, x * 0.25 / size / size, real)
    imag = select(large, copysign(math.pi / 2, y), imag)
    # Beside 1 the square of y may vanish.
    close = (x == 1.0) & (abs(y) < 1 / LARGE[x.kind])
    pole = 0.5 * (LOG_2 - logarithm.log(abs(y)))
    real = select(close, pole, real)
    imag = select(close, select(y == 0.0, y, copysign(math.pi / 4, y)), imag)
    endless = (x == INF) | (abs(y) == INF)
    real = select(endless, 0.0, select((x == 0.0) & is_nan(y), 0.0, real))
    imag = select((x == INF) & is_nan(y), NAN, imag)
    return copysign(real, z[0]), imag


def arctan(z: Complex) -> Complex:
    return divided_by_i(arctanh(times_i(z)))


def integral_power(z: Complex, n: Number) -> Complex:
    """z**n by squaring, for abs(n) < 100."""
    one, zero = z[0].constant(1.0), z[0].constant(0.0)
    result: Complex = (one, zero)
    bits = abs(n).to_integer()
    for position in range(7):
        taken = ((bits >> position) & 1) != 0
        result = choose(taken, multiply(result, z), result)
        z = multiply(z, z)
    return choose(n < 0.0, reciprocal(result), result)


def power(z: Complex, w: Complex) -> Complex:
    """exp(w log z), in error by as many ULP as that is large; small whole exponents by products.

    0**0 is 1; 0**w is 0 where w has a positive real part and undefined elsewhere, as in NumPy.
    """
    zero, one = z[0].constant(0.0), z[0].constant(1.0)
    result = exp(multiply(w, log(z)))
    whole = (w[1] == 0.0) & (intrinsic("trunc", w[0]) == w[0]) & (abs(w[0]) < 100.0)
    exponent = select(whole, w[0], zero)
    result = choose(whole, integral_power(z, exponent), result)
    nothing = (z[0] == 0.0) & (z[1] == 0.0)
    undefined = one * NAN
    of_nothing = choose(w[0] > 0.0, (zero, zero), (undefined, undefined))
    result = choose(nothing, of_nothing, result)
    return choose((w[0] == 0.0) & (w[1] == 0.0), (one, zero), result)


FUNCTIONS: tuple[Callable[..., Complex], ...] = (
    reciprocal, sign, exp, exp2, expm1, log, log1p, sqrt, sinh, cosh, tanh, sin, cos, tan,
    arcsinh, arccosh, arctanh, arcsin, arccos, arctan,
)  # fmt: skip
