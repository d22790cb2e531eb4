"""The small steps NumPy's functions are composed of: one op each, on Arrays."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from ...errors import ShapeError
from ...ir import ops
from ...ir.op import Op
from ...ir.types import bool_, i64
from ..array import Array, to_array, wrap
from ..broadcasting import broadcast_shapes, broadcast_to_shape, reshaped_node, shape_text
from ..context import failure, supported_dtype
from ..promotion import cast, cast_weak, computed, constant, result_dtype
from ..value import Value, node_of, to_node, to_operand
from .arguments import one_axis


def as_array(value: Any, dtype: Any = None) -> Array:
    """`np.asarray(value, dtype)`, traced; never a scalar, never weak."""
    return to_array(value, None if dtype is None else supported_dtype(dtype))


def converted(x: Array, dtype: Any) -> Array:
    """`x.astype(dtype)`, a scalar if `x` is one."""
    return wrap(cast(node_of(x), supported_dtype(dtype)), x.is_scalar)


def number(value: Any, dtype: Any) -> Array:
    """A 0-d array of `dtype` holding a Python or traced number."""
    own = supported_dtype(dtype)
    if isinstance(value, Value):
        node = node_of(value)
        if node.type.shape != ():
            raise failure(ShapeError, f"a single number is needed here, not {node.type}")
        weak = value.weak
        return wrap(cast(node, own) if weak in (None, bool) else cast_weak(node, weak, own))
    if isinstance(value, bool | int | float | complex) and not isinstance(value, np.generic):
        return wrap(constant(value, own))
    return as_array(value, dtype)


def copied(x: Array) -> Array:
    """A value of its own that equals `x`: what NumPy gives where it copies."""
    return wrap(node_of(x), x.is_scalar)


def scalar_like(x: Array) -> Array:
    """`x` as NumPy returns it from most functions: a scalar when it has no axes."""
    return wrap(node_of(x), True) if x.shape == () and not x.is_scalar else x


def filled(shape: tuple, value: Any, dtype: Any) -> Array:
    """An array of `shape` with `value` everywhere."""
    return broadcast(number(value, dtype), shape)


def iota(extent: Any, dtype: Any = np.int64) -> Array:
    """0, 1, ..., extent - 1."""
    return wrap(ops.iota(extent=extent, dtype=supported_dtype(dtype)))


def reshaped(x: Array, shape: tuple) -> Array:
    """The same elements in row-major order; the shapes must have equal sizes."""
    return wrap(reshaped_node(node_of(x), tuple(shape)))


def along(x: Array, axis: Any) -> tuple[Array, int]:
    """The array and the axis that a function goes along: of all elements in a row where `axis` is None,
    and a scalar is a row of one."""
    if axis is None or x.ndim == 0:
        x, axis = reshaped(x, (x.size,)), 0 if axis is None else axis
    return x, one_axis(axis, x.ndim)


def permuted(x: Array, axes: tuple[int, ...]) -> Array:
    """Axis `axes[k]` of `x` becomes axis k."""
    axes = tuple(axes)
    if axes == tuple(range(x.ndim)):
        return wrap(node_of(x))
    return wrap(ops.transpose(node_of(x), axes=axes))


def spread(x: Array, shape: tuple, axes: tuple[int, ...]) -> Array:
    """Axis k of `x` on axis `axes[k]` of an array of `shape`, repeated along the others."""
    kept = tuple(k for k, axis in enumerate(axes) if x.shape[k] == shape[axis])
    node = reshaped_node(node_of(x), tuple(x.shape[k] for k in kept))
    axes = tuple(axes[k] for k in kept)
    if node.type.shape == shape:
        return wrap(node)
    return wrap(ops.broadcast(node, shape=shape, axes=axes))


def broadcast(x: Array, shape: tuple) -> Array:
    """`x` stretched to `shape`; ShapeError when it does not fit."""
    shape, offset = tuple(shape), len(shape) - x.ndim
    fits = offset >= 0 and all(n in (1, m) for n, m in zip(x.shape, shape[max(offset, 0) :]))
    if not fits:
        raise failure(
            ShapeError,
            f"an array of shape {shape_text(x.shape)} cannot be broadcast to {shape_text(shape)}",
            "extents must be equal or 1, counted from the last axis",
        )
    return wrap(broadcast_to_shape(node_of(x), shape))


def broadcast_together(*arrays: Array, what: str = "") -> tuple[Array, ...]:
    """All of `arrays` stretched to their common shape."""
    shape = broadcast_shapes(*[x.shape for x in arrays], what=what)
    return tuple(wrap(broadcast_to_shape(node_of(x), shape)) for x in arrays)


def window(x: Array, axis: int, start: Any, stop: Any, step: int = 1) -> Array:
    """`range(start, stop, step)` of one axis; for a negative step, stop is exclusive down to -1."""
    shape = x.shape
    if start == 0 and stop == shape[axis] and step == 1:
        return wrap(node_of(x))
    starts = [0] * x.ndim
    stops, steps = list(shape), [1] * x.ndim
    starts[axis], stops[axis], steps[axis] = start, stop, step
    return wrap(ops.slice_(node_of(x), start=tuple(starts), stop=tuple(stops), step=tuple(steps)))


def taken(x: Array, axis: int, position: Any) -> Array:
    """The elements at one position of `axis`, without that axis."""
    picked = window(x, axis, position, position + 1)
    return reshaped(picked, x.shape[:axis] + x.shape[axis + 1 :])


def gathered(x: Array, positions: Array, axis: int) -> Array:
    """The elements at `positions`, whose axes take the place of `axis`; negative ones are from the end.

    A position outside raises IndexError when the program runs.
    """
    return wrap(ops.gather(node_of(x), cast(node_of(positions), i64), axes=(axis,)))


def concatenated(arrays: list[Array], axis: int) -> Array:
    """Arrays of one dtype along `axis`, leaving out empty ones."""
    nodes = [node_of(x) for x in arrays]
    full = [node for node in nodes if node.type.shape[axis] != 0]
    if len(full) < 2:
        return wrap((full or nodes)[0])
    return wrap(ops.concatenate(*full, axis=axis))


def padded(x: Array, low: tuple, high: tuple, value: Any = 0) -> Array:
    """`x` with `value` before and after it along each axis."""
    if not any(low) and not any(high):
        return wrap(node_of(x))
    return wrap(ops.pad(node_of(x), node_of(number(value, x.dtype)), low=low, high=high))


def reduced(op: Op, x: Array, axes: tuple[int, ...], keepdims: bool = False) -> Array:
    """`x` reduced along sorted `axes`: a scalar when no axis is left."""
    node = node_of(x)
    node = cast(op(computed(node), axes=tuple(axes)), node.type.dtype) if axes else node
    if keepdims:
        shape = tuple(1 if axis in axes else n for axis, n in enumerate(x.shape))
        node = reshaped_node(node, shape)
    return wrap(node, node.type.shape == ())


def promoted_dtype(*values: Any) -> np.dtype:
    """`np.result_type` of arrays and of Python numbers, which are weak."""
    return result_dtype(*[_kind(value) for value in values]).numpy


def _kind(value: Any) -> Any:
    operand = to_operand(value)
    if operand is None:
        return to_node(value).type.dtype.numpy
    return operand[1]


def in_common_dtype(*values: Any) -> tuple[Array, ...]:
    """All of `values` as arrays of the dtype they promote to."""
    dtype = promoted_dtype(*values)
    return tuple(_converted_operand(value, dtype) for value in values)


def _converted_operand(value: Any, dtype: np.dtype) -> Array:
    plain = isinstance(value, bool | int | float | complex) and not isinstance(value, np.generic)
    if plain or (isinstance(value, Value) and value.weak is not None):
        return number(value, dtype)
    return as_array(value, dtype)


def _wrapped(value: Any, dtype: np.dtype) -> Any:
    """A Python int modulo the range of an integer dtype: `np.where` refuses none of 64 bits."""
    if type(value) is int and np.dtype(dtype).kind in "iu":
        return int(np.asarray(value).astype(dtype))
    return value


def choose(condition: Any, x: Any, y: Any) -> Array:
    """`np.where(condition, x, y)`: promoted, broadcast; an array even without axes."""
    mask = wrap(cast(to_node(condition), bool_))
    dtype = promoted_dtype(x, y)
    left, right = [_converted_operand(_wrapped(value, dtype), dtype) for value in (x, y)]
    mask, left, right = broadcast_together(mask, left, right)
    return wrap(ops.where(node_of(mask), node_of(left), node_of(right)))


def count(x: Array, axes: tuple[int, ...]) -> Any:
    """How many elements lie along `axes`."""
    return prod([x.shape[axis] for axis in axes])
