"""Diagonals and triangles: `diagonal`, `diag`, `trace`, `tril`, `triu`, `tri`."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...errors import TraceError
from ..application import apply
from ..array import Array, view_or_doubt
from ..context import failure
from ..registry import creates, implements
from ..views import strides_after
from . import reductions
from .arguments import numpy_dtype, one_axis, static_int
from .building import (
    as_array,
    choose,
    converted,
    copied,
    filled,
    iota,
    padded,
    permuted,
    reshaped,
    window,
)


def diagonal_of(x: Array, first: int, second: int, offset: int = 0) -> Array:
    """The diagonal of two axes as the last axis: every (n + 1)-th element of the flattened matrix."""
    rest = tuple(k for k in range(x.ndim) if k not in (first, second))
    x = permuted(x, (*rest, first, second))
    *outer, rows, columns = x.shape
    if not all(type(extent) is int for extent in (rows, columns)):
        raise failure(
            TraceError,
            f"the diagonal of a {rows} by {columns} matrix needs extents known while tracing",
            "let the function be compiled for each size",
        )
    start = offset if offset >= 0 else -offset * columns
    length = max(min(rows + min(offset, 0), columns - max(offset, 0)), 0)
    flat = reshaped(x, (*outer, rows * columns))
    axis = len(outer)
    if length == 0:
        return window(flat, axis, 0, 0)
    return window(flat, axis, start, start + (length - 1) * (columns + 1) + 1, columns + 1)


@implements(np.diagonal, method="diagonal")
def diagonal(a, offset=0, axis1=0, axis2=1):
    """`np.diagonal`."""
    x = as_array(a)
    if x.ndim < 2:
        raise ValueError("diag requires an array of at least two dimensions")
    first, second = one_axis(axis1, x.ndim), one_axis(axis2, x.ndim)
    if first == second:
        raise ValueError("axis1 and axis2 cannot be the same")
    offset = static_int(offset, "an offset")
    strides = strides_after(x.storage, x.steps)
    if strides is not None and type(strides[first]) is type(strides[second]) is int:
        if abs(strides[first]) < abs(strides[second]):  # so that it is a view of transposes, too
            first, second, offset = second, first, -offset
    found = diagonal_of(x, first, second, offset)
    return view_or_doubt(x, found, "diagonal", can_write=False)


@implements(np.linalg.diagonal)
def linalg_diagonal(x, /, *, offset=0):
    """`np.linalg.diagonal`: of the last two axes."""
    return diagonal(x, offset, -2, -1)


@implements(np.trace, method="trace")
def trace(a, offset=0, axis1=0, axis2=1, dtype=None, out=None):
    """`np.trace`: the sum of a diagonal."""
    return reductions.sum(diagonal(copied(as_array(a)), offset, axis1, axis2), -1, dtype, out)


@implements(np.linalg.trace)
def linalg_trace(x, /, *, offset=0, dtype=None):
    """`np.linalg.trace`: of the last two axes."""
    return trace(x, offset, -2, -1, dtype)


def eye_matrix(rows: Any, columns: Any, k: Any, dtype: Any) -> Array:
    """Ones on the k-th diagonal of zeros."""
    down = reshaped(iota(rows), (rows, 1))
    return converted(apply(np.equal, apply(np.add, down, k) if k else down, iota(columns)), dtype)


def below(rows: Any, columns: Any, k: Any) -> Array:
    """Where `column <= row + k`, as a matrix of bools."""
    down = reshaped(iota(rows), (rows, 1))
    if k:
        down = apply(np.add, down, k)
    return apply(np.greater_equal, down, iota(columns))


@implements(np.tri)
@creates(np.tri)
def tri(N, M=None, k=0, dtype=float, *, like=None):
    """`np.tri`: ones at and below the k-th diagonal."""
    rows = static_int(N, "an extent")
    columns = rows if M is None else static_int(M, "an extent")
    return converted(below(rows, columns, static_int(k, "an offset")), numpy_dtype(dtype))


def _triangle(m: Any, k: Any, lower: bool) -> Array:
    x = as_array(m)
    if x.ndim == 1:  # NumPy broadcasts a vector against its mask
        rows = columns = x.shape[0]
    else:
        rows, columns = x.shape[-2:]
    k = static_int(k, "an offset")
    zero = filled((), 0, x.dtype)
    if lower:
        return choose(below(rows, columns, k), x, zero)
    return choose(below(rows, columns, k - 1), zero, x)


@implements(np.tril)
def tril(m, k=0):
    """`np.tril`: zero above the k-th diagonal."""
    return _triangle(m, k, lower=True)


@implements(np.triu)
def triu(m, k=0):
    """`np.triu`: zero below the k-th diagonal."""
    return _triangle(m, k, lower=False)


@implements(np.diag)
def diag(v, k=0):
    """`np.diag`: a diagonal from a matrix, or a matrix from its diagonal."""
    x = as_array(v)
    if x.ndim == 2:
        return diagonal(x, k)
    if x.ndim != 1:
        raise ValueError("Input must be 1- or 2-d.")
    k = static_int(k, "an offset")
    n = x.shape[0]
    square = choose(eye_matrix(n, n, 0, bool), x, filled((), 0, x.dtype))
    return padded(square, (max(-k, 0), max(k, 0)), (max(k, 0), max(-k, 0)))


@implements(np.diagflat)
def diagflat(v, k=0):
    """`np.diagflat`: a matrix with the flattened input on its k-th diagonal."""
    x = as_array(v)
    return diag(reshaped(x, (x.size,)), k)
