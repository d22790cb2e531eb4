"""Polynomials as vectors of coefficients, the highest power first: `polyval`, `polymul`, `roots`, ...

How many coefficients or roots there are depends, in some, on which coefficients are zero: so many as
there are for the arguments at hand are assumed (trace/assumptions.py).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..application import apply
from ..array import Array
from ..assumptions import assumed
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
from .calculus import convolve
from .creation import vander
from .decompositions import eigvals
from .diagonals import diag
from .predicates import isclose
from .search import argmax, argmin
from .sorting import sort
from .systems import least_squares


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


def _extent_of_nonzero(x: Array, from_front: bool = True, from_back: bool = True) -> tuple:
    """Where the elements of a vector begin and end that are not zero; both 0 if there are none."""
    extent = static_int(x.shape[0], "an extent").__index__()
    if not extent:
        return 0, 0
    is_other = apply(np.not_equal, x, 0)
    if not assumed(reductions.any(is_other)):
        return 0, 0
    first = int(assumed(argmax(is_other))) if from_front else 0
    last = int(assumed(argmax(window(is_other, 0, extent - 1, -1, -1)))) if from_back else 0
    return first, extent - last


def _vector(x: Any) -> Array:
    x = as_array(x)
    return reshaped(x, (1,)) if x.ndim == 0 else x


def _stripped(x: Any) -> Array:
    """Coefficients without zeros before them, one at least, as `np.poly1d` keeps them."""
    x = _vector(x)
    if x.ndim != 1:
        raise ValueError("Polynomial must be 1d only.")
    first, stop = _extent_of_nonzero(x, from_back=False)
    return window(x, 0, first, stop) if first < stop else filled((1,), 0, x.dtype)


@implements(np.polymul)
def polymul(a1, a2):
    """`np.polymul`."""
    _refuse_objects(a1, a2)
    return convolve(_stripped(a1), _stripped(a2))


def _refuse_objects(*polynomials: Any) -> None:
    if any(isinstance(p, np.poly1d) for p in polynomials):
        raise no_rule("a function of np.poly1d")


@implements(np.polydiv)
def polydiv(u, v):
    """`np.polydiv`: the quotient, and the remainder without the coefficients that vanish."""
    _refuse_objects(u, v)
    u, v = [apply(np.add, _vector(x), 0.0) for x in (u, v)]
    if u.ndim != 1 or v.ndim != 1 or not all(type(x.shape[0]) is int for x in (u, v)):
        raise no_rule("np.polydiv of such arrays")
    dtype = np.result_type(u.dtype, v.dtype)
    m, n = u.shape[0] - 1, v.shape[0] - 1
    scale = apply(np.true_divide, 1.0, taken(v, 0, 0)[()])
    remainder, quotients = converted(u, dtype), []
    for k in range(m - n + 1):
        factor = apply(np.multiply, scale, taken(remainder, 0, k)[()])
        quotients.append(reshaped(converted(factor, dtype), (1,)))
        part = apply(np.subtract, window(remainder, 0, k, k + n + 1), apply(np.multiply, factor, v))
        pieces = [window(remainder, 0, 0, k), converted(part, dtype)]
        remainder = concatenated([*pieces, window(remainder, 0, k + n + 1, m + 1)], 0)
    quotient = concatenated(quotients, 0) if quotients else filled((1,), 0, dtype)
    # Those before the last are judged together.
    near = isclose(remainder, 0, rtol=1e-14)
    rest = window(near, 0, 0, m)
    if m:
        is_last = bool(assumed(reductions.all(rest)))
        first = m if is_last else int(assumed(argmin(rest)))
        remainder = window(remainder, 0, first, m + 1)
    return quotient, copied(remainder)


@implements(np.roots)
def roots(p):
    """`np.roots`: the eigenvalues of the companion matrix, and a zero for each zero at the end."""
    p = _vector(p)
    if p.ndim != 1:
        raise ValueError("Input must be a rank-1 array.")
    extent = static_int(p.shape[0], "an extent").__index__()
    first, stop = _extent_of_nonzero(p)
    if first == stop:
        return filled((0,), 0, np.float64)
    p = window(p, 0, first, stop)
    if p.dtype.kind not in "fc":
        p = converted(p, np.float64)
    count = stop - first - 1
    found = filled((0,), 0, np.float64)
    if count:
        row = apply(np.true_divide, apply(np.negative, window(p, 0, 1, count + 1)), taken(p, 0, 0))
        below = diag(filled((count - 1,), 1, p.dtype), -1)
        rows = [reshaped(converted(row, p.dtype), (1, count)), window(below, 0, 1, count)]
        found = eigvals(concatenated(rows, 0))
    return concatenated([found, filled((extent - stop,), 0, found.dtype)], 0)


@implements(np.poly)
def poly(seq_of_zeros):
    """`np.poly`: the coefficients of the polynomial with these roots, or those of a matrix."""
    zeros = _vector(seq_of_zeros)
    shape = zeros.shape
    if zeros.ndim == 2 and shape[0] == shape[1] and shape[0] != 0:
        zeros = eigvals(zeros)
    elif zeros.ndim == 1:
        zeros = converted(zeros, np.dtype(np.mintypecode(zeros.dtype.char)))
    else:
        raise ValueError("input must be 1d or non-empty square 2d array.")
    count = static_int(zeros.shape[0], "an extent").__index__()
    if not count:
        return 1.0
    result = filled((1,), 1, zeros.dtype)
    for k in range(count):
        root = apply(np.negative, window(zeros, 0, k, k + 1))
        result = convolve(result, concatenated([filled((1,), 1, zeros.dtype), root], 0))
    if result.dtype.kind == "c":
        wide = converted(zeros, complex)
        pairs = apply(np.equal, sort(wide), sort(apply(np.conjugate, wide)))
        if assumed(reductions.all(pairs)):
            result = copied(result.real)
    return result


@implements(np.trim_zeros)
def trim_zeros(filt, trim="fb", axis=None):
    """`np.trim_zeros` of a vector."""
    trim = trim.lower()
    if not isinstance(filt, Array) or filt.ndim != 1 or axis not in (None, 0, -1, (0,)):
        raise no_rule("np.trim_zeros of several axes")
    if trim not in ("fb", "bf", "f", "b"):
        raise ValueError(f"unexpected character(s) in `trim`: {trim!r}")
    return filt[slice(*_extent_of_nonzero(filt, "f" in trim, "b" in trim))]
