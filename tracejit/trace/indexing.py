"""Basic indexing: integers, slices, None and `...` become slice and reshape nodes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ..errors import TraceError
from ..ir import ops
from ..ir.dims import Dim, symbols_of
from ..ir.graph import Node
from ..ir.types import i64
from .broadcasting import reshaped_node
from .context import failure
from .extents import is_computed, to_dim, window_of
from .promotion import cast
from .value import Value, known_value, node_of

INVALID = (
    "only integers, slices (`:`), ellipsis (`...`), numpy.newaxis (`None`) "
    "and integer or boolean arrays are valid indices"
)


@dataclass
class Window:
    """What an index selects: one range per axis of the array, and the shape of the result."""

    start: list[Any] = field(default_factory=list)
    stop: list[Any] = field(default_factory=list)
    step: list[int] = field(default_factory=list)
    shape: list[Any] = field(default_factory=list)


def basic_index(node: Node, items: tuple) -> tuple[Node, bool]:
    """`node[items]`, of ints, Dims, slices, None and `...`; whether NumPy would give a scalar for it.

    Raises NumPy's IndexErrors.
    """
    ndim = node.type.ndim
    used = sum(item is not None and item is not Ellipsis for item in items)
    if sum(item is Ellipsis for item in items) > 1:
        raise IndexError("an index can only have a single ellipsis ('...')")
    if used > ndim:
        raise IndexError(
            f"too many indices for array: array is {ndim}-dimensional, but {used} were indexed"
        )
    has_ellipsis = any(item is Ellipsis for item in items)
    window = Window()
    extents = iter(node.type.shape)
    for item in items if has_ellipsis else [*items, Ellipsis]:
        if item is None:
            window.shape.append(1)
        elif item is Ellipsis:
            for _ in range(ndim - used):
                add_slice(window, slice(None), next(extents))
        elif isinstance(item, slice):
            add_slice(window, item, next(extents))
        else:
            add_integer(window, item, next(extents))
    all_integers = used == ndim and not has_ellipsis and None not in items
    is_scalar = all_integers and not any(isinstance(item, slice) for item in items)
    return reshaped_node(select(node, window), tuple(window.shape)), is_scalar


def slice_of(item: slice) -> slice:
    """The slice with bounds that are ints, Dims, i64 nodes or None, and a step that is no node."""
    step = _bound(item.step)
    if isinstance(step, Node):
        raise failure(
            TraceError,
            "a slice needs its step while tracing, but this one depends on the arguments",
            "name the argument in static_argnames",
        )
    return slice(_bound(item.start), _bound(item.stop), step)


def _bound(part: Any) -> Any:
    if part is None or type(part) is int or isinstance(part, Dim):
        return part
    if isinstance(part, Value) and part.is_scalar and part.node.type.dtype.is_integer:
        node = cast(node_of(part), i64)
        found = to_dim(node)
        if found is None:
            known = known_value(node)
            return node if known is None else int(known)
        return found
    try:
        return part.__index__()
    except AttributeError:
        raise TypeError(
            "slice indices must be integers or None or have an __index__ method"
        ) from None


def add_slice(window: Window, bounds: slice, extent: Any) -> None:
    if bounds.start is None and bounds.stop is None and bounds.step in (None, 1):
        start, stop, step = 0, extent, 1
    elif _is_computed(bounds) or (is_computed((extent,)) and bounds.step in (None, 1)):
        start, stop, step = *window_of(bounds.start, bounds.stop, extent), bounds.step or 1
    else:
        start, stop, step = slice_range(bounds, extent)
    window.start.append(start)
    window.stop.append(stop)
    window.step.append(step)
    window.shape.append(range_extent(start, stop, step))


def _is_computed(bounds: slice) -> bool:
    """Whether a slice has bounds that are not known, not even as sizes of arguments."""
    for part in (bounds.start, bounds.stop):
        if (
            isinstance(part, Node)
            or isinstance(part, Dim)
            and any(s.depth for s in symbols_of(part))
        ):
            if bounds.step not in (None, 1):
                raise failure(
                    TraceError,
                    "a slice with a step needs its bounds while tracing",
                    "take a slice without a step first, and then one with constant bounds",
                )
            return True
    return False


def add_integer(window: Window, position: Any, extent: Any) -> None:
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


def select(node: Node, window: Window) -> Node:
    """The part of `node` in the window, with all of its axes."""
    starts, stops, steps = tuple(window.start), tuple(window.stop), tuple(window.step)
    if any(starts) or stops != node.type.shape or any(step != 1 for step in steps):
        return ops.slice_(node, start=starts, stop=stops, step=steps)
    return node
