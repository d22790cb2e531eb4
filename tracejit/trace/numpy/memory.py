"""What changes how the memory of an array is taken: its bytes as another dtype, another size."""

from __future__ import annotations

from inspect import signature
from typing import Any

import numpy as np

from ...errors import NotNumbers, UnsupportedError
from ...ir import ops
from ...ir.graph import Node
from ...ir.types import DType, row_major, to_dtype
from ..application import apply
from ..array import Array, doubt, view, view_or_doubt, wrap
from ..context import failure, supported_dtype
from ..host import call_through_python, known
from ..registry import creates, implements
from ..value import Value, node_of
from ..views import Storage, is_in_order, strides_after
from .arguments import static, static_int, static_shape
from .building import (
    as_array,
    concatenated,
    filled,
    gathered,
    iota,
    permuted,
    reshaped,
    spread,
    window,
)
from .calculus import windows_of


class _Reinterpreted:
    """`x.view(dtype)`, of arrays and of scalars."""

    __module__, __name__ = "numpy.ndarray", "view"

    def __call__(self, x: Any, dtype: np.dtype) -> Any:
        return np.asarray(x).view(dtype)[()] if isinstance(x, np.generic) else x.view(dtype)


_REINTERPRETED = _Reinterpreted()
_AS_STRIDED = signature(np.lib.stride_tricks.as_strided)


@implements(method="view")
def reinterpreted(a, dtype=None, type=None):
    """`x.view()`; with another dtype, its bytes, which NumPy takes and which may only be read."""
    if isinstance(dtype, builtin_type) and issubclass(dtype, np.ndarray):
        dtype, type = None, dtype
    if type not in (None, np.ndarray):
        raise failure(
            NotNumbers,
            f"x.view({type.__name__}) is no plain array",
            "use it outside the jitted function",
        )
    if dtype is None or np.dtype(dtype) == a.dtype:
        return a if a.is_scalar else view(a, node_of(a))
    wanted = supported_dtype(dtype) if np.dtype(dtype).kind in "iufc" else None
    if wanted is not None and a.dtype.kind in "iuf" and wanted.itemsize == a.dtype.itemsize:
        seen = with_bits(node_of(a), wanted)
        return wrap(seen, True) if a.is_scalar else view(a, seen)
    found = None if wanted is None else _regrouped(a, wanted)
    if found is None:
        found = call_through_python(
            known(_REINTERPRETED, "numpy.ndarray.view"), (a, np.dtype(dtype)), {}
        )
    if not a.is_scalar:
        doubt(a, found, f"bytes as {np.dtype(dtype)} are one memory, which is not traced")
    return found


builtin_type = type


def _regrouped(a: Array, dtype: DType) -> Array | None:
    """Complex numbers as pairs of real ones or pairs as complex ones, where memory has them in order."""
    own = to_dtype(a.dtype)
    in_order = a.ndim > 0 and strides_after(a.storage, a.steps) == row_major(a.node.type.shape)
    if not in_order or not is_in_order(a.storage):
        return None
    *outer, last = a.shape
    if own.is_complex and dtype is own.real:
        parts = [reshaped(wrap(part(node_of(a))), (*a.shape, 1)) for part in (ops.real, ops.imag)]
        return reshaped(concatenated(parts, a.ndim), (*outer, 2 * last))
    if dtype.is_complex and own is dtype.real and type(last) is int and last % 2 == 0:
        parts = [node_of(window(a, a.ndim - 1, k, last, 2)) for k in (0, 1)]
        return wrap(ops.complex(*parts))
    return None


def with_bits(node: Node, dtype: DType) -> Node:
    """The same bits as numbers of another dtype that is as wide."""
    if node.type.dtype.kind != "u":
        node = ops.bits(node)
    if dtype.kind == "u":
        return node
    return ops.float_of_bits(node) if dtype.is_float else ops.signed_of_bits(node)


@creates(np.lib.stride_tricks.as_strided)
def as_strided(x, shape=None, strides=None, subok=False, writeable=True, **checks):
    """`np.lib.stride_tricks.as_strided` of an array that fills its memory, as a value that may only be read.

    Raises ValueError where the view would leave the memory of `x`, which NumPy checks only where it
    is asked to (`check_bounds`, since 2.5).
    """
    _AS_STRIDED.bind(x, shape, strides, subok, writeable, **checks)
    if not isinstance(x, Value):
        return np.lib.stride_tricks.as_strided(x, shape, strides, subok, writeable, **checks)
    source = as_array(x)
    own = tuple([static_int(step, "a stride") for step in source.strides])
    shape = source.shape if shape is None else static_shape(shape)
    given = own if strides is None else static(strides, "strides")
    bytes_apart = tuple([static_int(step, "a stride") for step in given])
    if len(bytes_apart) != len(shape):
        raise ValueError("mismatch in length of strides and shape")
    if any(step % source.itemsize for step in bytes_apart):
        raise failure(
            UnsupportedError,
            f"strides of {bytes_apart} bytes are not of whole elements, of {source.itemsize} bytes",
            "use np.lib.stride_tricks.as_strided outside the jitted function",
        )
    steps = [step // source.itemsize for step in bytes_apart]
    flat = _in_memory_order(source, own)
    if 0 in shape:
        return filled(shape, 0, source.dtype)
    reach = [(extent - 1) * step for extent, step in zip(shape, steps)]
    if min(reach, default=0) < 0 or sum(reach) >= flat.size:
        raise ValueError(
            f"a view of shape {shape} and strides {bytes_apart} leaves the memory of an array of "
            f"shape {source.shape} and strides {own}"
        )
    seen = _as_windows(source, shape, steps, [step // source.itemsize for step in own])
    if seen is None:
        positions = filled(shape, 0, np.int64)
        for axis, (extent, step) in enumerate(zip(shape, steps)):
            along = apply(np.multiply, iota(extent), step)
            positions = apply(np.add, positions, spread(along, shape, (axis,)))
        seen = gathered(flat, positions, 0)
    return view_or_doubt(source, seen, "strides", can_write=False)


def _as_windows(x: Array, shape: tuple, steps: list[int], own: list[int]) -> Array | None:
    """The view as windows along the axes of `x`, each of which has one or two axes of the view to it; None if
    it is not of that kind."""
    places: dict[int, list[tuple[int, int]]] = {}  # by axis of x: axes of the view, and their steps
    for axis, (extent, step) in enumerate(zip(shape, steps)):
        if extent > 1 and step:
            fitting = [k for k in range(x.ndim) if own[k] <= step and step % own[k] == 0]
            along = max(fitting, key=lambda k: own[k], default=None)
            if along is None:
                return None
            places.setdefault(along, []).append((axis, step // own[along]))
    order: list[int] = []  # the view's axis of each axis that `seen` has
    seen, inner = x, []
    for along in range(x.ndim):
        found = places.get(along, [])
        reach = [(shape[axis] - 1) * by + 1 for axis, by in found]
        if len(found) > 2 or sum(reach) - len(reach) >= x.shape[along]:
            return None
        if len(found) == 2:
            seen = windows_of(seen, along, reach[1])
            inner.append((found[1], reach[1]))
        stop, by = (reach[0], found[0][1]) if found else (1, 1)
        seen = window(seen, along, 0, stop, by)
        order.append(found[0][0] if found else -1)
    for place, ((axis, by), reach) in enumerate(inner, x.ndim):
        seen = window(seen, place, 0, reach, by)
        order.append(axis)
    kept = [k for k, axis in enumerate(order) if axis >= 0]
    seen = reshaped(seen, tuple([seen.shape[k] for k in kept]))
    axes = [order[k] for k in kept]
    by_axis = sorted(range(len(axes)), key=axes.__getitem__)
    return spread(permuted(seen, by_axis), shape, tuple(sorted(axes)))


def _in_memory_order(x: Array, strides: tuple[int, ...]) -> Array:
    """The elements of `x` as a vector, in the order they have in NumPy's memory, which they must fill."""
    order = sorted(range(x.ndim), key=lambda axis: -strides[axis])
    dense = x.itemsize
    for axis in reversed(order):
        if x.shape[axis] != 1 and strides[axis] != dense:
            raise failure(
                UnsupportedError,
                f"strides over the memory around an array of shape {x.shape} and strides {strides}",
                "take them of the whole array, or of a copy",
            )
        dense *= x.shape[axis]
    return reshaped(permuted(x, order), (x.size,))


@implements(method="resize")
def resize(a, *new_shape, refcheck=True):
    """`x.resize(shape)`, in place: of an array that has memory of its own."""
    shape = static_shape(new_shape[0] if len(new_shape) == 1 else new_shape)
    if a.is_scalar or a.steps:
        raise ValueError("cannot resize this array: it does not own its data")
    if a.storage.source is not None:
        raise failure(
            UnsupportedError,
            "x.resize() of an argument changes the caller's array",
            "work on a copy: x = np.resize(x, shape), or x = x.copy()",
        )
    size, own = int(np.prod(shape)), a.size
    flat = reshaped(wrap(node_of(a)), (own,))
    if size > own:
        flat = concatenated([flat, filled((size - own,), 0, a.dtype)], 0)
    made = reshaped(flat[:size], shape)
    a.settle(Storage(made.node, birth=a.birth))
    a._node = made.node
