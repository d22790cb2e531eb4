"""Two memories here that are one in NumPy: what a mask selects, and the array in which it was gathered;
a row at an index that the program computes, and the array that it is of.

What is written to one of them is in the other one at once, as long as there are both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any
from weakref import ref

from ..ir import ops
from ..ir.graph import Node
from ..ir.types import i64
from .advanced import indexed
from .array import Array, assign_items
from .broadcasting import broadcast_to_shape, reshaped_node, stretched
from .context import current_trace
from .promotion import cast, constant
from .registry import MIRRORS
from .value import Value, node_of
from .views import Storage, applied


def side_by_side(full: Array, mask: Node) -> Node:
    """What `mask` selects of `full`, from the first row on, and something after it."""
    shape, size = full.node.type.shape, mask.type.size
    rows = reshaped_node(node_of(full), (size, *shape[mask.type.ndim :]))
    return ops.compress(rows, reshaped_node(mask, (size,)))


def mirror(full: Array, mask: Node, found: Array) -> None:
    """Let `full`, and `found`, where what `mask` selects of it was gathered, change together."""
    _Selected(full, found, mask)


def mirror_row(full: Array, index: Any, found: Array) -> None:
    """Let `full`, and `found`, a copy of what NumPy has as the view `full[index]`, change together."""
    items = index if type(index) is tuple else (index,)
    if all(map(_is_basic, items)):
        _Row(full, found, items)


def _is_basic(item: Any) -> bool:
    if isinstance(item, Value):
        return item.is_scalar and item.node.type.dtype.is_integer
    return not isinstance(item, bool | list | tuple | range) and not hasattr(item, "dtype")


def row_of(found: Array, index: Any) -> tuple[Array, tuple] | None:
    """Of an array that `mirror_row` knows as a row, the whole, and the index there that is `index` here,
    where that is of numbers and slices."""
    items = index if type(index) is tuple else (index,)
    for act in found.storage.mirrors if not found.steps else ():
        pair = act.__self__  # type: ignore[attr-defined]
        if isinstance(pair, _Row) and act == pair.scatter and pair.is_open():
            is_row = all(_is_plain(item) and not isinstance(item, slice) for item in pair.items)
            whole = pair.arrays() if is_row and all(map(_is_plain, items)) else None
            if whole is not None:
                return whole[0], (*pair.items, *items)
    return None


def _is_plain(item: Any) -> bool:
    return _is_basic(item) and item is not None and item is not Ellipsis


def partners(storage: Storage) -> Iterator[Storage]:
    """The memories that are one with this one in NumPy."""
    for act in storage.mirrors:
        places = [found() for found, _ in act.__self__.places]  # type: ignore[attr-defined]
        yield from [found for found in places if found is not None and found is not storage]


def is_itself(full: Array, index: Any, value: Any) -> bool:
    """Whether `full[index] = value` assigns a view to itself, as `full[index] += 1` does in the end."""
    items = index if type(index) is tuple else (index,)
    if type(value) is not Array or value.is_scalar or value.steps:
        return False
    for act in value.storage.mirrors:
        pair = act.__self__  # type: ignore[attr-defined]
        if isinstance(pair, _Row) and act == pair.scatter:
            whole = pair.arrays()
            same = len(items) == len(pair.items) and all(a is b for a, b in zip(items, pair.items))
            return same and whole is not None and whole[0].is_same_view(full)
    return False


MIRRORS.update(mirror=mirror_row, row=row_of, itself=is_itself, partners=partners)


class _Mirrored:
    """`full` and `found`, in the region in which the one was made of the other."""

    def __init__(self, full: Array, found: Array):
        self.places = [(ref(array.storage), array.steps) for array in (full, found)]
        self.is_busy, self.region = False, full.owner.region
        kept = [act for act in full.storage.mirrors if act.__self__.arrays() is not None]  # type: ignore[attr-defined]
        full.storage.mirrors = (*kept, self.gather)
        found.storage.mirrors += (self.scatter,)

    def is_open(self) -> bool:
        """Whether what is computed now may use what was known when the pair was made."""
        region, trace = self.region, current_trace()
        while region.into is not None:
            region = region.into
        return trace is not None and trace.region.is_within(region)

    def arrays(self) -> list[Array] | None:
        """The two as they are now, while there are both."""
        places = [(storage(), steps) for storage, steps in self.places]
        if any(storage is None for storage, _ in places):
            return None
        return [Array(applied(s.node, steps)).settle(s, steps) for s, steps in places]

    def gathered(self, full: Array, found: Array) -> None:
        raise NotImplementedError

    def scattered(self, full: Array, found: Array) -> None:
        raise NotImplementedError

    def gather(self) -> None:
        """After a write to the whole array."""
        self.follow(self.gathered)

    def scatter(self) -> None:
        """After a write to the array of what was gathered."""
        self.follow(self.scattered)

    def follow(self, change: Callable[[Array, Array], None]) -> None:
        arrays = None if self.is_busy or not self.is_open() else self.arrays()
        if arrays is None:
            return
        self.is_busy = True  # as this write, too, is followed
        try:
            change(*arrays)
        finally:
            self.is_busy = False


class _Row(_Mirrored):
    """`found` is what NumPy has as the view `full[items]`, of which only the program knows where it is."""

    def __init__(self, full: Array, found: Array, items: tuple):
        super().__init__(full, found)
        self.items = items

    def gathered(self, full: Array, found: Array) -> None:
        found.write(indexed(node_of(full), self.items)[0])

    def scattered(self, full: Array, found: Array) -> None:
        assign_items(full, self.items, found)


class _Selected(_Mirrored):
    """`found` has what `mask` selects of `full`."""

    def __init__(self, full: Array, found: Array, mask: Node):
        super().__init__(full, found)
        self.mask = mask

    def gathered(self, full: Array, found: Array) -> None:
        shape = found.node.type.shape
        start, step = (0,) * len(shape), (1,) * len(shape)
        rows = side_by_side(full, self.mask)
        found.write(ops.slice_(rows, start=start, stop=shape, step=step))

    def scattered(self, full: Array, found: Array) -> None:
        type = full.node.type
        more = broadcast_to_shape(constant(0, type.dtype), (1, *found.node.type.shape[1:]))
        rows = Array(ops.concatenate(found.node, more, axis=0))  # a row more, as there may be none
        is_found = cast(reshaped_node(self.mask, (self.mask.type.size,)), i64)
        before = ops.subtract(ops.cumsum(is_found, axis=0), is_found)
        values = rows[Array(reshaped_node(before, self.mask.type.shape))]
        full.write(ops.where(stretched(self.mask, type.shape), values.node, full.node))
