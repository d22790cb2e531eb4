"""sqrt, cbrt, hypot and reciprocal."""

from __future__ import annotations

from tracejit.lower.llvm.math.arithmetic import (
    INF,
    Number,
    copysign,
    fma,
    greatest,
    intrinsic,
    is_nan,
    select,
    where_any,
)

# START - bits / 3 are the bits of x**(-1/3) within 3.5 %.
INVERSE_START = {"float": 0x54A237FA, "double": 0x553EF1A9FBE76C00}
# Below the first, cbrt scales by 2**second, so that the cube's rounding error stays normal.
CUBE_SCALE = {"float": (2.0**-100, 60), "double": (2.0**-900, 540)}
# Outside, the squares in hypot may overflow or lose digits: scale by the third or its inverse.
SQUARE_RANGE = {
    "float": (2.0**-50, 2.0**60, 2.0**100),
    "double": (2.0**-450, 2.0**500, 2.0**600),
}


def sqrt(x: Number) -> Number:
    return intrinsic("sqrt", x)


def reciprocal(x: Number) -> Number:
    return 1.0 / x


def cbrt(x: Number) -> Number:
    """From r ~ x**(-1/3), improved without dividing; then y = x r**2 and one exact residual."""
    a = abs(x)
    low, scale = CUBE_SCALE[x.kind]
    mask = (a < low) | a.not_below(INF)
    scaled = where_any(mask, a, lambda: a * 2.0**scale)
    start = fma(scaled.converted(scaled.bits), -1 / 3, float(INVERSE_START[x.kind]))
    r = scaled.from_bits(start.to_integer())
    # (1 - h)**(-1/3), to the third power of h and, when that is not enough, to the first.
    h = fma(-(r * r), r * scaled, 1.0)
    r = fma(r * h, fma(fma(h, 14 / 81, 2 / 9), h, 1 / 3), r)
    if x.kind == "double":
        r = fma(r * fma(-(r * r), r * scaled, 1.0), 1 / 3, r)
    square = r * r
    y = square * scaled
    y_square = y * y
    residual = fma(-fma(y, y, -y_square), y, fma(-y_square, y, scaled))
    y = fma(residual * square, 1 / 3, y)

    def restored() -> Number:
        return select((a == 0.0) | a.not_below(INF), a, y * 2.0 ** (-scale // 3))

    return copysign(where_any(mask, y, restored), x)


def hypot(x: Number, y: Number) -> Number:
    """sqrt(x**2 + y**2); infinite where either is, even beside NaN."""
    a, b = abs(x), abs(y)
    largest = greatest(a, b)
    low, high, scale = SQUARE_RANGE[x.kind]

    def root(a: Number, b: Number) -> Number:
        return intrinsic("sqrt", fma(a, a, b * b))

    def rescaled() -> Number:
        up = select(largest < low, scale, x.constant(1 / scale))
        down = select(largest < low, 1 / scale, x.constant(scale))
        result = root(a * up, b * up) * down
        result = select(is_nan(x) | is_nan(y), x + y, result)
        return select((a == INF) | (b == INF), INF, result)

    return where_any((largest < low) | largest.not_below(high), root(a, b), rescaled)
