"""What a mask selects, and the array in which it was gathered: one memory in NumPy, two here.

What is written to one of them is in the other one at once, as long as there are both.
"""

from __future__ import annotations

from collections.abc import Callable
from weakref import ref

from ..ir import ops
from ..ir.graph import Node
from ..ir.types import i64
from .array import Array
from .broadcasting import broadcast_to_shape, reshaped_node, stretched
from .promotion import cast, constant
from .value import node_of
from .views import applied


def side_by_side(full: Array, mask: Node) -> Node:
    """What `mask` selects of `full`, from the first row on, and something after it."""
    shape, size = full.node.type.shape, mask.type.size
    rows = reshaped_node(node_of(full), (size, *shape[mask.type.ndim :]))
    return ops.compress(rows, reshaped_node(mask, (size,)))


def mirror(full: Array, mask: Node, found: Array) -> None:
    """Let `full`, and `found`, where what `mask` selects of it was gathered, change together."""
    pair = _Mirrored(full, mask, found)
    full.storage.mirrors += (pair.gather,)
    found.storage.mirrors += (pair.scatter,)


class _Mirrored:
    def __init__(self, full: Array, mask: Node, found: Array):
        self.places = [(ref(array.storage), array.steps) for array in (full, found)]
        self.mask, self.is_busy = mask, False

    def gather(self) -> None:
        """After a write to the whole array."""
        self.follow(self.gathered)

    def scatter(self) -> None:
        """After a write to the array of what was gathered."""
        self.follow(self.scattered)

    def follow(self, change: Callable[[Array, Array], None]) -> None:
        places = [(storage(), steps) for storage, steps in self.places]
        if self.is_busy or any(storage is None for storage, _ in places):
            return
        self.is_busy = True  # as this write, too, is followed
        try:
            change(*[Array(applied(s.node, steps)).settle(s, steps) for s, steps in places])
        finally:
            self.is_busy = False

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
