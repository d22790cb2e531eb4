"""Extents that only data tells: there is room for those of the arguments at hand, and some more.

Where a later run needs more, the function runs with NumPy, and is traced anew.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ...ir import ops
from ...ir.dims import Dim
from ...ir.graph import Node
from ...ir.types import bool_, i64
from ..application import apply
from ..array import Array, wrap
from ..context import current_trace
from ..extents import bound, to_dim
from ..host import no_rule
from ..promotion import cast, constant
from ..value import extent_node, known_value, node_of, value_at_hand
from .arguments import is_traced, static_int, static_shape


def at_hand(x: Array, what: str) -> np.ndarray:
    """The values of `x` for the arguments at hand; NoRule where the program may not depend on them."""
    if not _may_depend_on_data():
        raise no_rule(what)
    return value_at_hand(node_of(x))


def _may_depend_on_data() -> bool:
    """Whether extents may; the function is traced once more without, where that was in vain."""
    trace = current_trace()
    if trace is None or not trace.packs or not trace.calls_python or trace.lacks_ints:
        return False
    trace.has_packed = True
    return True


# Of an unknown number of elements so many stand for another one where that grows with them.
FEW = 16


def room_for(count: int, x: Array, size: int, least: int = 0) -> int | Dim:
    """Room for so many elements, and up to twice as many: where `x`, which has `size` elements now, may have
    any number, and `count` is not much less, in proportion to that."""
    extent = node_of(x).type.size
    if type(extent) is int or count * FEW < size:
        return max(least, 1 << max(count, 1).bit_length())
    return extent * (1 << (-(-count // size)).bit_length()) + least


def extent_in(room: int | Dim, count: Any, name: str, least: int = 0) -> int | Dim:
    """`count`, or `least`, as an extent, once it is seen to be at most `room`."""
    low, high = constant(0, i64), extent_node(room)
    count = wrap(ops.expected(cast(node_of(count), i64), low, high))
    return bound(node_of(apply(np.maximum, count, least)), least, room, name)


def made_extent(value: Any, what: str) -> Any:
    """An extent of an array to be made: an int, or a number of the program's, which data tells."""
    if not isinstance(value, Array) or not value.is_scalar or value.dtype != np.int64:
        return static_int(value, what)
    node = node_of(value)
    found = to_dim(node)
    if found is not None or known_value(node) is not None:
        return static_int(value, what) if found is None else found
    if not _may_depend_on_data():
        return static_int(value, what)
    most = _count_of(node)
    if most is not None:
        return bound(node, 0, most, "count")
    trace = current_trace()
    if trace.region.parent is not None:  # another iteration may have any other number
        return static_int(value, what)
    count = int(at_hand(value, what))
    if count < 0:
        raise no_rule(f"{what} that is negative")
    return extent_in(1 << max(count, 1).bit_length(), value, "count")


def made_shape(shape: Any) -> tuple[Any, ...]:
    """The shape of an array to be made."""
    if not is_traced(shape):
        return static_shape(shape)
    items = shape if isinstance(shape, tuple | list) else (shape,)
    return static_shape(tuple([made_extent(item, "a shape") for item in items]))


def _count_of(node: Node) -> int | Dim | None:
    """How many elements are counted, where a number is that of those that are true."""
    while node.op is ops.cast and node.operands[0].type.dtype.is_integer:
        (node,) = node.operands
    if node.op.name != "sum":
        return None
    (counted,) = node.operands
    is_mask = counted.op is ops.cast and counted.operands[0].type.dtype is bool_
    return counted.type.size if is_mask else None
