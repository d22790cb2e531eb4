"""`np.i0`, `np.kaiser` and `np.sinc`."""

from __future__ import annotations

import numpy as np

from ..application import apply
from ..array import Array, wrap
from ..registry import creates, implements
from ..value import literal
from .arguments import is_traced, static_int
from .building import as_array, choose, converted, filled, number

# Chebyshev coefficients of exp(-x) I0(x) in [0, 8], and of exp(-x) sqrt(x) I0(x) beyond: those of
# the Cephes library (S. L. Moshier), which NumPy uses too.
_SMALL = (
    -4.4153416464793395e-18, 3.3307945188222384e-17, -2.431279846547955e-16,
    1.715391285555133e-15, -1.1685332877993451e-14, 7.676185498604936e-14,
    -4.856446783111929e-13, 2.95505266312964e-12, -1.726826291441556e-11,
    9.675809035373237e-11, -5.189795601635263e-10, 2.6598237246823866e-09,
    -1.300025009986248e-08, 6.046995022541919e-08, -2.670793853940612e-07,
    1.1173875391201037e-06, -4.4167383584587505e-06, 1.6448448070728896e-05,
    -5.754195010082104e-05, 0.00018850288509584165, -0.0005763755745385824,
    0.0016394756169413357, -0.004324309995050576, 0.010546460394594998,
    -0.02373741480589947, 0.04930528423967071, -0.09490109704804764,
    0.17162090152220877, -0.3046826723431984, 0.6767952744094761,
)  # fmt: skip
_LARGE = (
    -7.233180487874754e-18, -4.830504485944182e-18, 4.46562142029676e-17,
    3.461222867697461e-17, -2.8276239805165836e-16, -3.425485619677219e-16,
    1.7725601330565263e-15, 3.8116806693526224e-15, -9.554846698828307e-15,
    -4.150569347287222e-14, 1.54008621752141e-14, 3.8527783827421426e-13,
    7.180124451383666e-13, -1.7941785315068062e-12, -1.3215811840447713e-11,
    -3.1499165279632416e-11, 1.1889147107846439e-11, 4.94060238822497e-10,
    3.3962320257083865e-09, 2.266668990498178e-08, 2.0489185894690638e-07,
    2.8913705208347567e-06, 6.889758346916825e-05, 0.0033691164782556943,
    0.8044904110141088,
)  # fmt: skip


def _chebyshev(x: Array, coefficients: tuple[float, ...]) -> Array:
    """Half the Chebyshev series with these coefficients, highest first (Clenshaw)."""
    first = number(coefficients[0], x.dtype)
    second = third = number(0.0, x.dtype)
    for coefficient in coefficients[1:]:
        first, second, third = x * first - second + coefficient, first, second
    return 0.5 * (first - third)


@implements(np.i0)
def i0(x):
    """`np.i0`: the modified Bessel function of order 0."""
    x = as_array(x)
    if x.dtype.kind == "c":
        raise TypeError("i0 not supported for complex values")
    x = apply(np.absolute, converted(x, np.float64) if x.dtype.kind != "f" else x)
    growth = apply(np.exp, x)
    small = growth * _chebyshev(x / 2.0 - 2.0, _SMALL)
    large = growth * _chebyshev(32.0 / x - 2.0, _LARGE) / apply(np.sqrt, x)
    return choose(x <= 8.0, small, large)


@creates(np.kaiser)
def kaiser(M, beta):
    """`np.kaiser`: a window whose shape may be traced."""
    n = static_int(M, "an extent").__index__()
    if not is_traced(beta):
        return wrap(literal(np.kaiser(n, beta)))
    if n <= 1:
        return filled((max(n, 0),), 1, float)
    middle = (n - 1) / 2.0
    arc = np.sqrt(1 - ((np.arange(n) - middle) / middle) ** 2.0)
    beta = converted(as_array(beta), float)
    return i0(apply(np.multiply, beta, wrap(literal(arc)))) / i0(beta)


@implements(np.sinc)
def sinc(x):
    """`np.sinc`: `sin(pi x) / (pi x)`."""
    y = apply(np.multiply, np.pi, as_array(x))
    tiny = float(np.finfo(y.dtype).eps) if y.dtype.kind == "f" else 1e-20
    y = choose(y, y, tiny)
    return apply(np.true_divide, apply(np.sin, y), y)
