"""`np.interp`: a binary search for the interval, then a line through its ends."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...ir import ops
from ..application import apply
from ..array import Array, wrap
from ..registry import implements
from ..value import Value, node_of
from .building import (
    as_array,
    broadcast,
    choose,
    concatenated,
    converted,
    gathered,
    number,
    scalar_like,
    taken,
    window,
)
from .sorting import order_of_rows
from .tables import searchsorted


@implements(np.interp)
def interp(x, xp, fp, left=None, right=None, period=None):
    """`np.interp`; points that do not increase give other values than NumPy's."""
    xp, fp, x = as_array(xp, float), as_array(fp), as_array(x, float)
    if xp.ndim != 1 or fp.ndim != 1:
        raise ValueError("Data points must be 1-D sequences")
    if xp.shape != fp.shape:
        raise ValueError("fp and xp are not of the same length.")
    if xp.size == 0:
        raise ValueError("array of sample points is empty")
    dtype = np.complex128 if fp.dtype.kind == "c" else np.float64
    fp = converted(fp, dtype)
    if period is not None:
        x, xp, fp = _periodic(x, xp, fp, period)
        left = right = None
    left = taken(fp, 0, 0) if left is None else number(left, dtype)
    right = taken(fp, 0, xp.shape[0] - 1) if right is None else number(right, dtype)
    if fp.dtype.kind != "c":
        return scalar_like(_interpolated(x, xp, fp, left, right))
    parts = [
        _interpolated(x, xp, *[wrap(part(node_of(y))) for y in (fp, left, right)])
        for part in (ops.real, ops.imag)
    ]
    return scalar_like(wrap(ops.complex(*[node_of(part) for part in parts])))


def _periodic(x: Array, xp: Array, fp: Array, period: Any) -> tuple[Array, Array, Array]:
    """Both in one period, where the table is sorted and has its other end's point at either end."""
    if not isinstance(period, Value) and period == 0:
        raise ValueError("period must be a non-zero value")
    period = apply(np.absolute, number(period, float))
    x, xp = as_array(apply(np.remainder, x, period)), as_array(apply(np.remainder, xp, period))
    order = order_of_rows(xp)
    xp, fp = gathered(xp, order, 0), gathered(fp, order, 0)
    n = xp.shape[0]
    ends = [(y, window(y, 0, n - 1, n), window(y, 0, 0, 1)) for y in (xp, fp)]
    (xp, before, after), (fp, last, first) = ends
    before, after = apply(np.subtract, before, period), apply(np.add, after, period)
    return x, concatenated([before, xp, after], 0), concatenated([last, fp, first], 0)


def _interpolated(x: Array, xp: Array, fp: Array, left: Array, right: Array) -> Array:
    n = xp.shape[0]
    first, last = taken(xp, 0, 0), taken(xp, 0, n - 1)
    if n == 1:
        result = broadcast(taken(fp, 0, 0), x.shape)
    else:
        result = choose(apply(np.less, x, last), _inside(x, xp, fp), taken(fp, 0, n - 1))
        result = choose(apply(np.isnan, x), x, result)
    result = choose(apply(np.greater, x, last), right, result)
    return choose(apply(np.less, x, first), left, result)


def _inside(x: Array, xp: Array, fp: Array) -> Array:
    """On the line between two points; NumPy starts at the other end where one of them is infinite."""
    found: Any = searchsorted(xp, x, "right")
    most = apply(np.subtract, xp.shape[0], 2)
    low = as_array(apply(np.minimum, apply(np.maximum, apply(np.subtract, found, 1), 0), most))
    high = apply(np.add, low, 1)
    (x0, x1), (y0, y1) = [[gathered(y, as_array(k), 0) for k in (low, high)] for y in (xp, fp)]
    slope = apply(np.divide, apply(np.subtract, y1, y0), apply(np.subtract, x1, x0))

    def line(x_end: Array, y_end: Array) -> Any:
        return apply(np.add, apply(np.multiply, slope, apply(np.subtract, x, x_end)), y_end)

    result: Any = line(x0, y0)
    result = choose(apply(np.isnan, result), line(x1, y1), result)
    both = apply(np.logical_and, apply(np.isnan, result), apply(np.equal, y0, y1))
    result = choose(both, y0, result)
    return choose(apply(np.equal, x, x0), y0, result)
