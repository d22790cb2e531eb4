"""Norms of vectors and matrices."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..application import apply
from ..array import Array
from ..registry import implements
from . import reductions
from .arguments import all_axes, one_axis, ordered_axes
from .building import as_array, converted, count, permuted, reshaped
from .decompositions import svdvals
from .statistics import squared_magnitude


def _inexact(x: Any) -> Array:
    x = as_array(x)
    return x if x.dtype.kind in "fc" else converted(x, np.float64)


def _euclidean(x: Array, axes: tuple[int, ...], keepdims: bool) -> Array:
    return apply(np.sqrt, reductions.sum(squared_magnitude(x), axes, keepdims=keepdims))


def _vector_norm(x: Array, order: Any, axis: int, keepdims: bool) -> Array:
    """`sum(abs(x)**order) ** (1 / order)` along one axis, and its limits."""
    if order is None or order == 2:
        return _euclidean(x, (axis,), keepdims)
    if isinstance(order, str):
        raise ValueError(f"Invalid norm order '{order}' for vectors")
    if order == 0:
        is_nonzero = apply(np.not_equal, x, 0)
        return reductions.sum(converted(is_nonzero, x.real.dtype), axis, keepdims=keepdims)
    size = apply(np.absolute, x)
    if order == np.inf:
        return reductions.max(size, axis, keepdims=keepdims, initial=0)
    if order == -np.inf:
        return reductions.min(size, axis, keepdims=keepdims)
    if order == 1:
        return reductions.sum(size, axis, keepdims=keepdims)
    total = reductions.sum(size**order, axis, keepdims=keepdims)
    return total ** np.reciprocal(order, dtype=total.dtype)


def _matrix_norm(x: Array, order: Any, rows: int, columns: int, keepdims: bool) -> Array:
    if order in (None, "fro", "f"):
        return _euclidean(x, tuple(sorted((rows, columns))), keepdims)
    if order in (2, -2, "nuc"):
        return _of_singular_values(x, order, rows, columns, keepdims)
    if order not in (1, -1, np.inf, -np.inf):
        raise ValueError("Invalid norm order for matrices.")
    summed, compared = (rows, columns) if abs(order) == 1 else (columns, rows)
    totals = reductions.sum(apply(np.absolute, x), summed, keepdims=True)
    if order > 0:
        result = reductions.max(totals, compared, keepdims=True, initial=0)
    else:
        result = reductions.min(totals, compared, keepdims=True)
    if keepdims:
        return result
    kept = [n for axis, n in enumerate(x.shape) if axis not in (rows, columns)]
    reduced = reshaped(result, tuple(kept))
    return reduced if kept else reduced[()]


def _of_singular_values(x: Array, order: Any, rows: int, columns: int, keepdims: bool) -> Array:
    outer = tuple([axis for axis in range(x.ndim) if axis not in (rows, columns)])
    s = svdvals(permuted(x, (*outer, rows, columns)))
    match order:
        case 2:
            result = reductions.max(s, -1, initial=0)
        case -2:
            result = reductions.min(s, -1)
        case _:
            result = reductions.sum(s, -1, initial=0)
    if not keepdims:
        return result
    shape = [1 if axis in (rows, columns) else n for axis, n in enumerate(x.shape)]
    return reshaped(as_array(result), tuple(shape))


@implements(np.linalg.norm)
def norm(x, ord=None, axis=None, keepdims=False):
    """`np.linalg.norm`, in all its orders."""
    x = _inexact(x)
    flat_orders = {1: (None, 2), 2: (None, "f", "fro")}.get(x.ndim, (None,))
    if axis is None and ord in flat_orders:
        return _euclidean(x, all_axes(None, x.ndim), keepdims)
    axes = ordered_axes(axis, x.ndim) if axis is not None else tuple(range(x.ndim))
    if len(axes) == 1:
        return _vector_norm(x, ord, axes[0], keepdims)
    if len(axes) == 2:
        return _matrix_norm(x, ord, *axes, keepdims)
    raise ValueError("Improper number of dimensions to norm.")


@implements(np.linalg.vector_norm)
def vector_norm(x, /, *, axis=None, keepdims=False, ord=2):
    """`np.linalg.vector_norm`: over all elements, one axis or several."""
    x = _inexact(x)
    axes = all_axes(axis, x.ndim)
    outer = tuple(k for k in range(x.ndim) if k not in axes)
    shape = tuple(x.shape[k] for k in outer)
    flat = reshaped(permuted(x, (*outer, *axes)), (*shape, count(x, axes)))
    result = norm(flat, ord, len(shape))
    if not keepdims:
        return result
    return reshaped(result, tuple(1 if k in axes else n for k, n in enumerate(x.shape)))


@implements(np.linalg.matrix_norm)
def matrix_norm(x, /, *, keepdims=False, ord="fro"):
    """`np.linalg.matrix_norm`: over the last two axes."""
    x = _inexact(x)
    return norm(x, ord, (one_axis(-2, x.ndim), one_axis(-1, x.ndim)), keepdims)
