"""Extents that only data tells: there is room for those of the arguments at hand, and some more.

Where a later run needs more, the function runs with NumPy, and is traced anew.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ...ir import ops
from ...ir.dims import Dim
from ...ir.types import i64
from ..application import apply
from ..array import Array, wrap
from ..context import current_trace
from ..extents import bound
from ..host import no_rule
from ..promotion import cast, constant
from ..value import extent_node, node_of, value_at_hand


def at_hand(x: Array, what: str) -> np.ndarray:
    """The values of `x` for the arguments at hand; NoRule where the program may not depend on them."""
    trace = current_trace()
    if trace is None or not trace.packs or not trace.calls_python or trace.lacks_ints:
        raise no_rule(what)
    trace.has_packed = True
    return value_at_hand(node_of(x))


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
