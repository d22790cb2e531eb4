"""Advanced indexing: arrays, lists and traced integers as indices become `gather` nodes.

Slices and known integers are taken first, as a window with all axes; a gather then reads along the
axes with index arrays; a transpose puts the axes of the indices where NumPy has them: in place of
the indices when these stand together, before everything else when they do not.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..errors import UnsupportedError
from ..ir import ops
from ..ir.dims import Dim
from ..ir.graph import Node, operands_of
from ..ir.term import locate, postorder
from ..ir.types import bool_, i64
from .broadcasting import (
    broadcast_shapes,
    broadcast_to_shape,
    is_told_by_data,
    reshaped_node,
    shape_text,
)
from .context import current_trace, failure
from .extents import position_in, to_dim
from .indexing import INVALID, Window, add_integer, add_slice, basic_index, select, slice_of
from .location import user_line
from .promotion import cast
from .value import (
    ListOfValues,
    Value,
    captured,
    extent_node,
    known_value,
    literal,
    node_of,
    to_node,
)

_NOT_INTEGER = "arrays used as indices must be of integer (or boolean) type"


def indexed(node: Node, index: Any) -> tuple[Node, bool]:
    """`node[index]`, and whether NumPy would give a scalar for it.

    Raises NumPy's IndexErrors; UnsupportedError for masks that depend on the arguments.
    """
    items = list(index) if type(index) is tuple else [index]
    parsed = _placed([_parsed(item) for item in items], node.type.shape)
    if any(isinstance(item, Node | _Mask) for item in parsed):
        return _Reading(node, parsed).result()
    return basic_index(node, tuple(parsed))


@dataclass(frozen=True)
class _Number:
    """A traced integer that is no array: NumPy takes it as it takes an int."""

    node: Node


def _placed(items: list[Any], shape: tuple) -> list[Any]:
    """The items, where traced integers are Dims if they certainly are positions, else nodes; ints and Dims
    are nodes where only data tells whether there is such a position, or that is to be found out late."""
    is_late = _checks_late()
    used = sum(_axes_of(item) for item in items)
    axis, found = 0, []
    for item in items:
        own = axis
        axis += len(shape) - used if item is Ellipsis else _axes_of(item)
        if isinstance(item, _Number):
            index = to_dim(item.node) if own < len(shape) else None
            place = None if index is None else position_in(shape[own], index)
            item = item.node if place is None else place
        elif isinstance(item, int | Dim) and own < len(shape):
            is_open = is_late or is_told_by_data(shape[own]) or is_told_by_data(item)
            if is_open and type(item) is not bool and position_in(shape[own], item) is None:
                item = extent_node(item)
        found.append(item)
    return found


def _checks_late() -> bool:
    """Whether the running program is to find out that a known index is out of bounds."""
    trace = current_trace()
    return trace is not None and trace.checks_late and trace.region.parent is not None


@dataclass(frozen=True)
class _Mask:
    """A mask whose value is known: the indices of its True elements stand for it."""

    value: np.ndarray


def _parsed(item: Any) -> Any:
    """None, Ellipsis, a slice, an int, a Dim, a _Number, an i64 Node or a _Mask."""
    if item is None or item is Ellipsis or type(item) is int or isinstance(item, Dim):
        return item
    if isinstance(item, slice):
        return slice_of(item)
    if isinstance(item, ListOfValues):
        item = item.array
    if isinstance(item, Value):
        return _traced(item)
    if isinstance(item, bool | np.bool_):
        return _Mask(np.asarray(item))
    if isinstance(item, list | tuple | range):
        return _listed(item)
    if isinstance(item, np.ndarray):
        return _array(captured(item), _NOT_INTEGER)
    try:
        return item.__index__()
    except AttributeError:
        raise IndexError(INVALID) from None


def _traced(item: Value) -> Any:
    node = node_of(item)
    dtype = node.type.dtype
    if dtype is bool_:
        return _known_mask(node)
    if not dtype.is_integer:
        raise IndexError(INVALID if item.is_scalar else _NOT_INTEGER)
    if item.is_scalar and (known := constant_value(node)) is not None:
        return int(known)
    node = cast(node, i64)
    return _Number(node) if item.is_scalar else node


def _listed(items: Any) -> Any:
    node = to_node(items)
    if node.type.size == 0:
        node = cast(node, i64)
    return _array(node, INVALID)


def _array(node: Node, problem: str) -> Any:
    if node.type.dtype is bool_:
        return _known_mask(node)
    if not node.type.dtype.is_integer:
        raise IndexError(problem)
    return cast(node, i64)


def _known_mask(node: Node) -> _Mask:
    known = known_value(node)
    if known is None:
        raise failure(
            UnsupportedError,
            f"how many elements a mask of type {node.type} selects depends on the arguments",
            "use np.where(mask, x, other), or a reduction with where=mask",
        )
    return _Mask(np.asarray(known))


def gather_of(read: Node) -> Node:
    """The gather at the heart of an advanced read; what comes after it moves axes only."""
    while read.op in (ops.reshape, ops.transpose):
        (read,) = read.operands
    return read


def with_known_places(gather: Node) -> Node:
    """A gather at single positions, with those that were taken before it among its indices.

    `x[i, k]` of a computed `k` reads from row `i`; written, it is one element of `x`, and no row.
    """
    (window, *indices), axes = gather.operands, gather.attrs["axes"]
    if window.op is not ops.slice_ or any(index.type.shape for index in indices):
        return gather
    (whole,), starts = window.operands, window.attrs["start"]
    pairs = [*zip(window.type.shape, whole.type.shape)]
    taken = [axis for axis, (own, extent) in enumerate(pairs) if not _is_extent(own, extent)]
    if not taken or any(axis in axes or not _is_extent(pairs[axis][0], 1) for axis in taken):
        return gather
    if set(window.attrs["step"]) != {1}:
        return gather
    places = dict(zip(axes, indices)) | {axis: extent_node(starts[axis]) for axis in taken}
    order = tuple(sorted(places))
    return ops.gather(whole, *[places[axis] for axis in order], axes=order)


def _is_extent(one: int | Dim, other: int | Dim) -> bool:
    return one is other or type(one) is int and type(other) is int and one == other


def constant_value(node: Node) -> Any:
    """The value of a node in which no array from outside takes part."""
    if any(found.op.name == "parameter" for found in postorder((node,), operands_of)):
        return None
    return known_value(node)


@dataclass
class _Reading:
    """One advanced read of `node`: what its index says of each axis, and of the result's."""

    node: Node
    items: list[Any]
    window: Window = field(default_factory=Window)
    # The index along each axis that has one, and the shapes that the indices stretch to.
    indices: dict[int, Node] = field(default_factory=dict)
    shapes: list[tuple] = field(default_factory=list)
    # For each axis of the result: an axis of `node`, None for a new one, _INDICES for those of the
    # indices, wherever the first of them stands.
    order: list[Any] = field(default_factory=list)

    def result(self) -> tuple[Node, bool]:
        only_integers = all(isinstance(item, int | Dim | Node) for item in self.items)
        is_scalar = only_integers and len(self.items) == self.node.type.ndim
        self.expand()
        is_advanced = any(_is_array(item) for item in self.items)
        for item in self.items:
            self.add(item, is_advanced)
        shape = self.common_shape()
        read = self.read(shape)
        separate = is_advanced and _are_separate(self.items)
        return self.arranged(read, shape, first=separate), is_scalar and not is_advanced

    def expand(self) -> None:
        """`...`, or the end, becomes as many slices as axes are left; an empty one stays, to separate."""
        if sum(item is Ellipsis for item in self.items) > 1:
            raise IndexError("an index can only have a single ellipsis ('...')")
        ndim = self.node.type.ndim
        used = sum(_axes_of(item) for item in self.items)
        if used > ndim:
            raise IndexError(
                f"too many indices for array: array is {ndim}-dimensional, but {used} were indexed"
            )
        if Ellipsis not in [item if item is Ellipsis else None for item in self.items]:
            self.items.append(Ellipsis)
        place = next(k for k, item in enumerate(self.items) if item is Ellipsis)
        self.items[place : place + 1] = [slice(None)] * (ndim - used) or [Ellipsis]

    def add(self, item: Any, is_advanced: bool) -> None:
        axis, extents = len(self.window.start), self.node.type.shape
        if item is None:
            self.order.append(None)
        elif isinstance(item, slice):
            add_slice(self.window, item, extents[axis])
            self.order.append(axis)
        elif isinstance(item, Node):
            self.add_index(item)
        elif isinstance(item, _Mask):
            self.add_mask(item.value)
        elif item is not Ellipsis:
            add_integer(self.window, item, extents[axis])
            if is_advanced:
                self.mark(())

    def add_index(self, index: Node) -> None:
        axis = len(self.window.start)
        extent = self.node.type.shape[axis]
        known = constant_value(index)
        if (
            known is not None
            and type(extent) is int
            and not (_checks_late() and index.type.shape == ())
        ):
            positions = counted_from_start(np.asarray(known), axis, extent)
            index = index if np.array_equal(positions, known) else literal(positions)
        self.indices[axis] = index
        add_slice(self.window, slice(None), extent)
        self.mark(index.type.shape)

    def add_mask(self, mask: np.ndarray) -> None:
        if mask.ndim == 0:  # True is one more axis of extent 1, False one of extent 0
            self.mark((int(mask),))
            return
        first = len(self.window.start)
        for axis, (extent, own) in enumerate(zip(self.node.type.shape[first:], mask.shape), first):
            if extent != own:
                raise IndexError(
                    f"boolean index did not match indexed array along axis {axis}; size of axis "
                    f"is {extent} but size of corresponding boolean axis is {own}"
                )
        for positions in mask.nonzero():
            self.add_index(literal(np.ascontiguousarray(positions)))

    def mark(self, shape: tuple) -> None:
        self.shapes.append(shape)
        if _INDICES not in self.order:
            self.order.append(_INDICES)

    def common_shape(self) -> tuple:
        try:
            return broadcast_shapes(*self.shapes, ())
        except ValueError:
            raise IndexError(mismatch_text(self.shapes)) from None

    def read(self, shape: tuple) -> Node:
        """The window with the axes of the indices in place of the first axis that has an index."""
        node = select(self.node, self.window)
        axes = tuple(self.indices)
        if axes:
            indices = [broadcast_to_shape(index, shape) for index in self.indices.values()]
            node = ops.gather(node, *indices, axes=axes)
            locate(node, user_line() or "")
            return node
        zeros = literal(np.zeros(shape, np.int64))
        return ops.gather(ops.reshape(node, shape=(1, *node.type.shape)), zeros, axes=(0,))

    def arranged(self, read: Node, shape: tuple, first: bool) -> Node:
        """The axes of what was read as the result has them."""
        at, count = min(self.indices, default=0), len(shape)
        kept = [axis for axis in range(self.node.type.ndim) if axis not in self.indices]
        place = {axis: k if k < at else k + count for k, axis in enumerate(kept)}
        own = list(range(at, at + count))
        axes: list[int] = own if first else []
        extents: list[Any] = list(shape) if first else []
        for entry in self.order:
            if entry is None:
                extents.append(1)
            elif entry is not _INDICES:
                axes.append(place[entry])
                extents.append(read.type.shape[place[entry]])
            elif not first:
                axes = axes + own
                extents += shape
        # Axes at which a known integer stands have extent 1.
        axes = axes + [k for k in range(read.type.ndim) if k not in axes]
        if axes != sorted(axes):
            read = ops.transpose(read, axes=tuple(axes))
        return reshaped_node(read, tuple(extents))


_INDICES = object()


def _is_array(item: Any) -> bool:
    """Whether `item` makes an index advanced, which integers alone do not."""
    return isinstance(item, _Mask) or (isinstance(item, Node) and item.type.shape != ())


def _axes_of(item: Any) -> int:
    if isinstance(item, _Mask):
        return item.value.ndim
    return 0 if item is None or item is Ellipsis else 1


def _are_separate(items: list[Any]) -> bool:
    """Whether something stands between the integers, arrays and masks of an index."""
    places = [k for k, item in enumerate(items) if isinstance(item, int | Dim | Node | _Mask)]
    return places[-1] - places[0] >= len(places)


def mismatch_text(shapes: list[tuple]) -> str:
    listed = " ".join(map(shape_text, shapes))
    return f"shape mismatch: indexing arrays could not be broadcast together with shapes {listed} "


def counted_from_start(positions: np.ndarray, axis: int, extent: int) -> np.ndarray:
    """Known positions, none of them negative; NumPy's IndexError for the first that is outside."""
    outside = (positions < -extent) | (positions >= extent)
    if outside.any():
        raise IndexError(
            f"index {positions[outside].flat[0]} is out of bounds for axis {axis} with size {extent}"
        )
    return np.where(positions < 0, positions + extent, positions)
