"""Basic indexing: integers, slices, None and `...` become slice and reshape nodes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..errors import TraceError, UnsupportedError
from ..ir import ops
from ..ir.dims import Dim
from ..ir.graph import Node
from ..ir.types import bool_
from .context import failure
from .value import Value, known_value, node_of

_INVALID = (
    "only integers, slices (`:`), ellipsis (`...`), numpy.newaxis (`None`) "
    "and integer or boolean arrays are valid indices"
)
_MASK_HINT = "use np.where(mask, x, other) for masks, np.take for positions outside the function"


@dataclass
class _Window:
    """What an index selects: one range per axis of the array, and the shape of the result."""

    start: list[Any] = field(default_factory=list)
    stop: list[Any] = field(default_factory=list)
    step: list[int] = field(default_factory=list)
    shape: list[Any] = field(default_factory=list)


def basic_index(node: Node, index: Any) -> tuple[Node, bool]:
    """`node[index]`, and whether NumPy would give a scalar for it.

    Raises NumPy's IndexErrors; UnsupportedError for arrays as indices.
    """
    items = list(index) if type(index) is tuple else [index]
    items = [_normal_item(item, node) for item in items]
    ndim = node.type.ndim
    used = sum(item is not None and item is not Ellipsis for item in items)
    if sum(item is Ellipsis for item in items) > 1:
        raise IndexError("an index can only have a single ellipsis ('...')")
    if used > ndim:
        raise IndexError(
            f"too many indices for array: array is {ndim}-dimensional, but {used} were indexed"
        )
    has_ellipsis = any(item is Ellipsis for item in items)
    window = _Window()
    extents = iter(node.type.shape)
    for item in items if has_ellipsis else [*items, Ellipsis]:
        if item is None:
            window.shape.append(1)
        elif item is Ellipsis:
            for _ in range(ndim - used):
                _add_slice(window, slice(None), next(extents))
        elif isinstance(item, slice):
            _add_slice(window, item, next(extents))
        else:
            _add_integer(window, item, next(extents))
    all_integers = used == ndim and not has_ellipsis and None not in items
    is_scalar = all_integers and not any(isinstance(item, slice) for item in items)
    return _select(node, window), is_scalar


def _normal_item(item: Any, node: Node) -> Any:
    """None, Ellipsis, a slice of ints or an int; anything else is refused."""
    if item is None or item is Ellipsis or type(item) is int:
        return item
    if isinstance(item, slice):
        return slice(*[_bound(part) for part in (item.start, item.stop, item.step)])
    if isinstance(item, Value):
        return _traced_item(item, node)
    if isinstance(item, Dim):
        return item
    if isinstance(item, np.ndarray) and item.ndim == 0 and item.dtype.kind in "iu":
        return int(item)
    if isinstance(item, bool | np.bool_ | np.ndarray | list | tuple | range):
        described = type(item).__name__
        if isinstance(item, np.ndarray):
            described = f"{item.dtype} array of shape {item.shape}"
        raise failure(
            UnsupportedError,
            f"indexing {node.type} with a {described} (advanced indexing) cannot be compiled yet",
            _MASK_HINT,
        )
    try:
        return item.__index__()
    except AttributeError:
        raise IndexError(_INVALID) from None


def _traced_item(item: Value, node: Node) -> Any:
    index = node_of(item)
    if index.type.ndim == 0 and index.type.dtype.is_integer:
        known = known_value(index)
        if known is not None:
            return int(known)
    elif index.type.dtype is not bool_ and not index.type.dtype.is_integer:
        raise IndexError(_INVALID)
    raise failure(
        UnsupportedError,
        f"indexing {node.type} with a traced {index.type} (advanced indexing) "
        "cannot be compiled yet",
        _MASK_HINT,
    )


def _bound(part: Any) -> Any:
    if part is None or type(part) is int or isinstance(part, Dim):
        return part
    if isinstance(part, Value):
        known = known_value(node_of(part))
        if known is None:
            raise failure(
                TraceError,
                "a slice needs its bounds while tracing, but this one depends on the arguments",
                "name the argument in static_argnames, or select with np.where",
            )
        part = known
    try:
        return part.__index__()
    except AttributeError:
        raise TypeError(
            "slice indices must be integers or None or have an __index__ method"
        ) from None


def _add_slice(window: _Window, bounds: slice, extent: Any) -> None:
    if bounds.start is None and bounds.stop is None and bounds.step in (None, 1):
        start, stop, step = 0, extent, 1
    else:
        start, stop, step = slice_range(bounds, extent)
    window.start.append(start)
    window.stop.append(stop)
    window.step.append(step)
    window.shape.append(range_extent(start, stop, step))


def _add_integer(window: _Window, position: Any, extent: Any) -> None:
    if not -extent <= position < extent:
        axis = len(window.start)
        raise IndexError(f"index {position} is out of bounds for axis {axis} with size {extent}")
    start = position + extent if position < 0 else position
    window.start.append(start)
    window.stop.append(start + 1)
    window.step.append(1)


def range_extent(start: Any, stop: Any, step: int) -> Any:
    """How many positions a normalised range has."""
    if step > 0:
        return (stop - start + (step - 1)) // step
    return (start - stop + (-step - 1)) // -step


def slice_range(bounds: slice, extent: Any) -> tuple[Any, Any, int]:
    """`slice.indices` for ints and Dims, with an empty range as `(0, 0, step)`.

    Comparisons of a Dim that depend on its size raise TraceError.
    """
    step = 1 if bounds.step is None else bounds.step
    if isinstance(step, Dim):
        step = step.__index__()
    if step == 0:
        raise ValueError("slice step cannot be zero")
    if all(type(part) is int for part in (extent, bounds.start or 0, bounds.stop or 0)):
        start, stop, step = bounds.indices(extent)
    else:
        low, high = (0, extent) if step > 0 else (-1, extent - 1)
        start = _clamp(bounds.start, extent, low, high, low if step > 0 else high)
        stop = _clamp(bounds.stop, extent, low, high, high if step > 0 else low)
    if start == stop or (stop < start if step > 0 else start < stop):
        return 0, 0, 1
    return start, stop, step


def _clamp(part: Any, extent: Any, low: Any, high: Any, default: Any) -> Any:
    if part is None:
        return default
    if part == extent:
        return high
    if part < 0:
        part = part + extent
        return low if part < low else part
    return high if part > high else part


def _select(node: Node, window: _Window) -> Node:
    shape = node.type.shape
    starts, stops, steps = tuple(window.start), tuple(window.stop), tuple(window.step)
    if any(starts) or stops != shape or any(step != 1 for step in steps):
        node = ops.slice_(node, start=starts, stop=stops, step=steps)
    result = tuple(window.shape)
    return node if node.type.shape == result else ops.reshape(node, shape=result)
