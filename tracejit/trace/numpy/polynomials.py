"""Polynomials as vectors of coefficients, the highest power first: `polyval`, `polyadd`, `polyder`, ...

Not `polymul` and `polydiv`: how many coefficients they give depends on which are zero.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..application import apply
from ..array import Array
from ..host import no_rule
from ..registry import implements
from . import reductions
from .arguments import static_int
from .building import (
    as_array,
    broadcast,
    concatenated,
    converted,
    copied,
    filled,
    in_common_dtype,
    iota,
    number,
    reshaped,
    taken,
    window,
)
from .creation import vander
from .decompositions import least_squares


@implements(np.polyval)
def polyval(p, x):
    """`np.polyval`: Horner's scheme."""
    p, x = as_array(p), as_array(x)
    y = broadcast(number(0, x.dtype), x.shape)
    for k in range(static_int(p.shape[0], "an extent").__index__()):
        y = apply(np.add, apply(np.multiply, y, x), taken(p, 0, k)[()])
    return y


@implements(np.polyfit)
def polyfit(x, y, deg, rcond=None, full=False, w=None, cov=False):
    """`np.polyfit` of real numbers, without what it tells of the fit, and without its warning."""
    x, y = as_array(x) + 0.0, as_array(y) + 0.0
    order, extent = static_int(deg, "a degree") + 1, x.shape[0] if x.ndim else 0
    is_plain = not full and not cov and (rcond is None or type(rcond) is float)
    is_real = all(array.dtype.char in "fd" for array in (x, y))
    if not is_plain or not is_real or x.ndim != 1 or y.ndim not in (1, 2) or order < 1:
        raise no_rule("np.polyfit with such options, or of such arrays")
    if type(extent) is not int or extent == 0 or y.shape[0] != extent:
        raise no_rule("np.polyfit of such extents")
    powers, values = vander(x, order), y if y.ndim == 2 else reshaped(y, (extent, 1))
    if w is not None:
        weights = as_array(w) + 0.0
        if weights.shape != (extent,) or weights.dtype.char not in "fd":
            raise no_rule("np.polyfit with such weights")
        column = reshaped(weights, (extent, 1))
        powers, values = [converted(part * column, part.dtype) for part in (powers, values)]
    scale = apply(np.sqrt, reductions.sum(apply(np.multiply, powers, powers), 0))
    limit = extent * float(np.finfo(x.dtype).eps) if rcond is None else rcond
    found = least_squares(apply(np.true_divide, powers, scale), values, limit)
    result = apply(np.true_divide, found, reshaped(scale, (order, 1)))
    return result if y.ndim == 2 else reshaped(result, (order,))


def _summed(ufunc: np.ufunc, a1: Any, a2: Any) -> Array:
    """Two polynomials added or subtracted, the shorter with zeros for its highest powers."""
    parts = [as_array(a) for a in (a1, a2)]
    parts = [reshaped(x, (1,)) if x.ndim == 0 else x for x in parts]
    longest = max(static_int(x.shape[0], "an extent").__index__() for x in parts)
    zeros = [filled((longest - x.shape[0],), 0, x.dtype) for x in parts]
    wide = [concatenated([z, x], 0) if z.shape[0] else x for z, x in zip(zeros, parts)]
    return apply(ufunc, *wide)


@implements(np.polyadd)
def polyadd(a1, a2):
    """`np.polyadd`."""
    return _summed(np.add, a1, a2)


@implements(np.polysub)
def polysub(a1, a2):
    """`np.polysub`."""
    return _summed(np.subtract, a1, a2)


def _powers(x: Array) -> Array:
    """The numbers from the count of coefficients down to 1."""
    n = x.shape[0]
    return apply(np.subtract, n, iota(n))


@implements(np.polyder)
def polyder(p, m=1):
    """`np.polyder`."""
    m, p = static_int(m, "an order"), as_array(p)
    if m < 0:
        raise ValueError("Order of derivative must be positive (see polyint)")
    for _ in range(m):
        n = max(p.shape[0] - 1, 0)
        rest = window(p, 0, 0, n)
        p = apply(np.multiply, rest, _powers(rest))
    return p if m else copied(p)


@implements(np.polyint)
def polyint(p, m=1, k=None):
    """`np.polyint`: the constants of integration follow, or are all the same."""
    m, p = static_int(m, "an order"), as_array(p)
    if m < 0:
        raise ValueError("Order of integral must be positive (see polyder)")
    constants = as_array(0.0 if k is None else k)
    if constants.ndim == 0 or constants.shape[0] == 1 and m > 1:
        constants = broadcast(reshaped(constants, (1,)), (max(m, 1),))
    if constants.shape[0] < m:
        raise ValueError("k must be a scalar or a rank-1 array of length 1 or >m.")
    for position in range(m):
        quotients = apply(np.true_divide, p, _powers(p))
        last = window(constants, 0, position, position + 1)
        p = concatenated(in_common_dtype(quotients, last), 0)
    return p if m else copied(p)
