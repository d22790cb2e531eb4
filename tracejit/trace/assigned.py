"""What is assigned, and where to: values of the target's type, and masks among indices."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import TraceError
from ..ir import refusal
from ..ir.graph import Node
from ..ir.types import ArrayType
from .broadcasting import (
    broadcast_shapes,
    broadcast_to_shape,
    is_one,
    is_told_by_data,
    reshaped_node,
    shape_text,
)
from .context import Trace, failure
from .extents import agreed
from .promotion import cast, cast_weak, constant
from .value import Value, known_value, node_of, to_node

INTO = "could not broadcast input array from shape {} into shape {}"
NO_OPERAND = "array is not broadcastable to correct shape"
NO_FIT = (
    "shape mismatch: value array of shape {} could not be broadcast to indexing result of shape {}"
)


def assigned_node(
    value: Any, type: ArrayType, casting: str = "unsafe", problem: str = INTO
) -> Node:
    """`value` as a node of exactly this type, as assignment converts it.

    Raises NumPy's errors: ValueError for a shape that does not fit, TypeError where `casting`
    forbids the conversion, OverflowError for a Python int that is out of range.

    limit: in loops where nothing handles that, traced ints are not looked at, so that they stay what they are.
    """
    kind = value.__class__ if not isinstance(value, Value) else None
    if kind is complex and type.dtype.kind in "iuf":
        float(value)  # raises Python's TypeError, as NumPy does
    if type.dtype.is_integer and kind in (int, float):  # raises NumPy's error where it does not fit
        node = constant(int(value), type.dtype)
    else:
        node = to_node(value)
    source = node.type.dtype.numpy
    if not np.can_cast(source, type.dtype.numpy, casting):
        raise TypeError(
            f"Cannot cast array data from {source!r} to {type.dtype.numpy!r} according to the rule "
            f"'{casting}'"
        )
    shape = node.type.shape
    extra = len(shape) - len(type.shape)
    if extra > 0 and all(is_one(extent) for extent in shape[:extra]):
        node = reshaped_node(node, shape[extra:])
    if any(map(is_told_by_data, (*node.type.shape, *type.shape))):
        _check_extents(node.type.shape, type.shape)
    try:
        fits = broadcast_shapes(node.type.shape, type.shape) == type.shape
    except ValueError:
        fits = False
    if not fits:
        raise ValueError(problem.format(shape_text(shape), shape_text(type.shape)))
    if isinstance(value, Value) and value.weak is int and _is_looked_at(value.owner):
        return broadcast_to_shape(cast_weak(node, int, type.dtype), type.shape)
    return broadcast_to_shape(cast(node, type.dtype), type.shape)


def _is_looked_at(trace: Trace) -> bool:
    return trace.handles or not trace.passes


def _check_extents(shape: tuple, own: tuple) -> None:
    """Refuse to assign where only data tells whether it fits, and nobody has seen to that."""
    for source, extent in zip(reversed(shape), reversed(own)):
        is_open = is_told_by_data(source) or is_told_by_data(extent)
        if is_open and not is_one(source) and agreed((source, extent), refusal.INTO) != extent:
            raise failure(
                TraceError,
                f"whether {shape_text(shape)} fits into {shape_text(own)} depends on traced values",
                "assign to a slice of an array",
            )


def agreed_shape(value: Any, own: tuple) -> tuple:
    """The shape of the part of a target that `value` certainly fits: all of it, once the program has
    found the extents to be equal that only data tells."""
    shape = value.node.type.shape if isinstance(value, Value) else np.shape(value)
    found = list(own)
    for axis in range(1, min(len(shape), len(own)) + 1):
        pair = shape[-axis], own[-axis]
        if any(map(is_told_by_data, pair)) and not is_one(pair[0]):
            found[-axis] = agreed(pair, refusal.INTO)
    return tuple(found)


def is_mask(item: Any) -> bool:
    """Whether an index, or a part of one, is an array of bools."""
    return isinstance(item, np.ndarray) and item.dtype == np.bool_ and item.ndim > 0


def selects(index: Any) -> bool:
    """Whether only data can tell how many elements an index chooses."""
    items = index if type(index) is tuple else (index,)
    return any(
        isinstance(item, Value)
        and (item.mask is not None or (is_mask(item) and known_value(node_of(item)) is None))
        for item in items
    )


def mask_of_last_axes(index: Any, shape: tuple) -> Node | None:
    """The mask of `array[..., mask]` or `array[:, mask]`, repeated along the first axes; None where an index
    is no such one, or its mask does not fit."""
    *first, mask = index if type(index) is tuple else (index,)
    if not first or not is_mask(mask) or isinstance(mask, Value) and mask.mask is not None:
        return None
    is_all = [type(item) is slice and item == slice(None) for item in first]
    node = to_node(mask)
    lead = len(shape) - node.type.ndim
    fits = len(first) == lead and all(is_all) or first == [Ellipsis]
    if not fits or lead < 0 or node.type.shape != shape[lead:]:
        return None
    return broadcast_to_shape(node, shape)
