"""Questions about arrays: those about values are traced bools, those about types are answered."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..application import apply
from ..array import Array, to_weak, wrap
from ..assumptions import assumed
from ..registry import implements
from ..value import Value, literal
from . import reductions
from .arguments import one_axis, same, static_shape
from .building import as_array, count, filled, promoted_dtype, scalar_like

_WEAK = (int, float, complex)


def _array_unless_number(value: Any) -> Any:
    """Python numbers stay weak."""
    is_plain = type(value) in (bool, *_WEAK)
    is_weak = type(value) is Array and value.weak is not None
    return value if is_plain or is_weak else as_array(value)


@implements(np.isclose)
def isclose(a, b, rtol=1e-05, atol=1e-08, equal_nan=False):
    """`np.isclose`: `abs(a - b) <= atol + rtol * abs(b)`; equal infinities are close."""
    x, y, rtol, atol = map(_array_unless_number, (a, b, rtol, atol))
    if isinstance(y, int) and type(y) is not Array:
        y = float(y)
    elif type(y) is Array:
        y = as_array(y, promoted_dtype(y, 1.0))
    is_near = apply(np.less_equal, abs(x - y), atol + rtol * abs(y))
    is_equal = apply(np.equal, x, y)
    result = is_near & apply(np.isfinite, y) | is_equal
    if equal_nan:
        result = result | (apply(np.isnan, x) & apply(np.isnan, y))
    return scalar_like(result)


@implements(np.allclose)
def allclose(a, b, rtol=1e-05, atol=1e-08, equal_nan=False):
    """`np.allclose`, as a traced bool."""
    return to_weak(reductions.all(isclose(a, b, rtol, atol, equal_nan)))


def _answer(value: bool) -> Array:
    return to_weak(wrap(filled((), value, bool).node, True))


@implements(np.array_equal)
def array_equal(a1, a2, equal_nan=False):
    """`np.array_equal`, as a traced bool."""
    x, y = as_array(a1), as_array(a2)
    if x.shape != y.shape:
        return _answer(False)
    is_equal = apply(np.equal, x, y)
    if equal_nan and x.dtype.kind in "fc" and y.dtype.kind in "fc":
        if same(x, y):
            return _answer(True)
        is_equal = is_equal | (apply(np.isnan, x) & apply(np.isnan, y))
    return to_weak(reductions.all(is_equal))


@implements(np.array_equiv)
def array_equiv(a1, a2):
    """`np.array_equiv`: equal after broadcasting, as a traced bool."""
    x, y = as_array(a1), as_array(a2)
    try:
        is_equal = apply(np.equal, x, y)
    except ValueError:
        return _answer(False)
    return to_weak(reductions.all(is_equal))


@implements(np.iscomplexobj)
def iscomplexobj(x):
    """`np.iscomplexobj`: by dtype."""
    return bool(as_array(x).dtype.kind == "c")


@implements(np.isrealobj)
def isrealobj(x):
    """`np.isrealobj`: by dtype."""
    return not iscomplexobj(x)


@implements(np.shape)
def shape(a):
    """`np.shape`."""
    return as_array(a).shape


@implements(np.ndim)
def ndim(a):
    """`np.ndim`."""
    return as_array(a).ndim


@implements(np.size)
def size(a, axis=None):
    """`np.size`."""
    x = as_array(a)
    if axis is None:
        return x.size
    axes = axis if isinstance(axis, tuple) else (axis,)
    return count(x, tuple(one_axis(item, x.ndim) for item in axes))


def _type_sample(value: Any) -> Any:
    """Something of the same type, for NumPy's own rules of promotion."""
    if not isinstance(value, Value):
        return value
    return value.weak(0) if value.weak in _WEAK else value.node.type.dtype.numpy


@implements(np.result_type)
def result_type(*arrays_and_dtypes):
    """`np.result_type`."""
    return np.result_type(*map(_type_sample, arrays_and_dtypes))


@implements(np.can_cast)
def can_cast(from_, to, casting="safe"):
    """`np.can_cast`."""
    return np.can_cast(_type_sample(from_), to, casting)


@implements(np.min_scalar_type)
def min_scalar_type(a, /):
    """`np.min_scalar_type`, of arrays that have axes: their dtype."""
    x = as_array(a)
    return x.dtype if x.ndim else np.min_scalar_type(a.__array__())


@implements(np.common_type)
def common_type(*arrays):
    """`np.common_type`."""
    return np.common_type(*[np.empty(0, as_array(x).dtype) for x in arrays])


@implements(np.tril_indices_from)
def tril_indices_from(arr, k=0):
    """`np.tril_indices_from`: by shape."""
    return _indices_of(np.tril_indices_from, arr, k)


@implements(np.triu_indices_from)
def triu_indices_from(arr, k=0):
    """`np.triu_indices_from`: by shape."""
    return _indices_of(np.triu_indices_from, arr, k)


@implements(np.diag_indices_from)
def diag_indices_from(arr):
    """`np.diag_indices_from`: by shape."""
    return _indices_of(np.diag_indices_from, arr)


def _indices_of(function: Any, arr: Any, *offset: Any) -> tuple[Array, ...]:
    """Indices that follow from a shape; it must be known, as they are counted while tracing."""
    shape = static_shape(as_array(arr).shape)
    sample = np.broadcast_to(np.False_, tuple(extent.__index__() for extent in shape))
    return tuple(wrap(literal(index)) for index in function(sample, *offset))


@implements(np.einsum_path)
def einsum_path(*operands, optimize="greedy", einsum_call=False):
    """`np.einsum_path`: by shapes."""
    samples = [
        np.broadcast_to(np.zeros((), item.dtype), tuple(n.__index__() for n in item.shape))
        if isinstance(item, Value)
        else item
        for item in operands
    ]
    return np.einsum_path(*samples, optimize=optimize, einsum_call=einsum_call)


@implements(np.real_if_close)
def real_if_close(a, tol=100):
    """`np.real_if_close`: whether it is, is assumed."""
    x = as_array(a)
    if x.dtype.kind == "c":
        limit = np.finfo(x.dtype).eps * tol if tol > 1 else tol
        is_close = apply(np.less, apply(np.absolute, x.imag), limit)
        return x.real if assumed(reductions.all(is_close)) else x
    return a if isinstance(a, Array) and not a.is_scalar else x
