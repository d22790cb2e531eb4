"""Positions of the largest and the smallest element."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...ir import ops
from ...ir.dims import is_never_negative
from ...ir.expressions import identity
from ...ir.types import to_dtype
from ..application import apply
from ..array import Array, wrap
from ..registry import implements
from ..value import extent_node, node_of
from . import reductions
from .arguments import UNSET, one_axis, option, refuse_out
from .building import as_array, choose, iota, number, reshaped

_BEST = {"argmax": "maximum", "argmin": "minimum"}


def _first_position(name: str, best: Any, a: Any, axis: Any, out: Any, keepdims: Any) -> Array:
    """The first position of the best element, or of a nan, which NumPy holds to be better still."""
    refuse_out(name, out)
    x = as_array(a)
    flat = axis is None or x.ndim == 0
    kept_shape = (1,) * x.ndim
    if flat:
        one_axis(0 if axis is None else axis, 1)
        x, along = reshaped(x, (x.size,)), 0
    else:
        along = one_axis(axis, x.ndim)
        kept_shape = (*x.shape[:along], 1, *x.shape[along + 1 :])
    extent, own = x.shape[along], x.node.type.shape[along]
    if type(own) is int and own == 0:
        raise ValueError(f"attempt to get {name} of an empty sequence")
    may_be_empty = not is_never_negative(own - 1)
    worst, last = UNSET, UNSET
    if may_be_empty:
        worst, last = identity(_BEST[name], to_dtype(x.dtype)), np.iinfo(np.int64).max
    is_best = apply(np.equal, x, best(x, axis=along, keepdims=True, initial=worst))
    if x.dtype.kind in "fc":
        is_best = is_best | apply(np.isnan, x)
    positions = choose(is_best, positions_along(x, along), as_array(extent))
    found = reductions.min(positions, axis=along, initial=last)
    if may_be_empty:
        found = reductions.of_something(found, extent_node(own), name, 0)
    return reshaped(found, kept_shape) if kept_shape and option(keepdims, False) else found


def positions_along(x: Array, axis: int) -> Array:
    """0, 1, 2, ... along `axis`, shaped to broadcast against `x`."""
    extent = x.shape[axis]
    return reshaped(iota(extent), (extent,) + (1,) * (x.ndim - axis - 1))


@implements(np.argmax, method="argmax")
def argmax(a, axis=None, out=None, *, keepdims=UNSET):
    """`np.argmax`: the first largest element, or the first nan."""
    return _first_position("argmax", reductions.max, a, axis, out, keepdims)


@implements(np.argmin, method="argmin")
def argmin(a, axis=None, out=None, *, keepdims=UNSET):
    """`np.argmin`: the first smallest element, or the first nan."""
    return _first_position("argmin", reductions.min, a, axis, out, keepdims)


def _beside_nan(a: Any, worst: float, axis: Any) -> Array:
    """The array with the worst of numbers in the place of each nan; NumPy raises where all are nan."""
    x = as_array(a)
    if x.dtype.kind not in "fc":
        return x
    is_nan = apply(np.isnan, x)
    legal = ops.legal(node_of(reductions.all(apply(np.logical_not, reductions.all(is_nan, axis)))))
    return choose(apply(np.logical_and, is_nan, wrap(legal)), number(worst, x.dtype), x)


@implements(np.nanargmax)
def nanargmax(a, axis=None, out=None, *, keepdims=UNSET):
    """`np.nanargmax`."""
    return argmax(_beside_nan(a, -np.inf, axis), axis, out, keepdims=keepdims)


@implements(np.nanargmin)
def nanargmin(a, axis=None, out=None, *, keepdims=UNSET):
    """`np.nanargmin`."""
    return argmin(_beside_nan(a, np.inf, axis), axis, out, keepdims=keepdims)
