"""Tables that threads add to, wherever data says: each has one of its own, which are then joined.

    for i in range(n):              for c in parallel(0, 8):
        a[j[i]] += x[i]      ->         parts[c, :] = 0
                                        for i in chunk c: parts[c, j[i]] += x[i]
                                    for k in range(m):
                                        a[k] = a[k] + (parts[0, k] + ... + parts[7, k])

The chunks depend on sizes alone, so that results do not depend on how many threads there are; sums
of floats are in another order than one after the other.
"""

from __future__ import annotations

from functools import reduce
from typing import NamedTuple

from ...ir import expressions, tensor
from ...ir.places import is_chosen_by_data
from ...ir.tensor import (
    Apply,
    Buffer,
    Expression,
    For,
    Index,
    Let,
    Literal,
    Load,
    Statement,
    Store,
    loads_of,
)
from ...ir.types import array_type

MOST_TABLES = 8
# So many iterations for each entry of all tables, or clearing and joining them would cost too much.
LEAST_USE = 2
_JOINED = ("add", "multiply", "maximum", "minimum")


class Table(NamedTuple):
    """What a loop's iterations combine elements of, by an op that may do so in any order."""

    store: Store
    op: str
    value: Expression

    @property
    def buffer(self) -> Buffer:
        return self.store.buffer


def table_of(loop: For, reorders: bool = True) -> Table | None:
    """The table of a loop that does nothing but combine entries of one with values, which for floats
    gives something else in another order: as far as that `reorders`."""
    *lets, store = loop.body
    if (
        loop.mark != "serial"
        or not isinstance(store, Store)
        or not all(isinstance(s, Let) for s in lets)
    ):
        return None
    match store.value:
        case Apply(op, (Load(buffer, indices), value), dtype) if op in _JOINED:
            own = buffer is store.buffer and indices == store.indices
            if not own or dtype.kind not in "iuf" or not is_chosen_by_data(indices):
                return None
            if not reorders and dtype.kind == "f" and op in ("add", "multiply"):
                return None
            return Table(store, op, value) if _is_read_once(loop, buffer, indices) else None
    return None


def _is_read_once(loop: For, buffer: Buffer, indices: tuple[Expression, ...]) -> bool:
    """Whether the entry that is combined is all of the table that the loop reads."""
    reads = [load for load in loads_of(loop.body) if load.buffer is buffer]
    return all(load.indices == indices for load in reads) and _extents(buffer) is not None


def _extents(buffer: Buffer) -> tuple[int, ...] | None:
    shape = buffer.type.shape
    return shape if shape and all(type(extent) is int for extent in shape) else None


def count_of_tables(table: Table, iterations: int) -> int:
    """How many tables are worth their while."""
    return min(MOST_TABLES, iterations // (LEAST_USE * max(table.buffer.type.size, 1)))


def with_tables(table: Table, inner: For, chunk: Index, count: int) -> list[Statement]:
    """The loop over `count` chunks, each of which is `inner`, with a table for each."""
    buffer, dtype = table.buffer, table.buffer.type.dtype
    parts = Buffer(f"{buffer.name}_parts", array_type((count, *buffer.type.shape), dtype), "local")
    entry = (chunk, *table.store.indices)
    changed = Store(parts, entry, Apply(table.op, (Load(parts, entry), table.value), dtype))
    inner = inner.replace(body=(*inner.body[:-1], changed))
    place = tuple([Index(f"{chunk.name}_{k}") for k in range(buffer.type.ndim)])
    # Unlike 0, -0.0 leaves what it is added to as it is.
    neutral = -0.0 if table.op == "add" and dtype.kind == "f" else None
    neutral = expressions.identity(table.op, dtype) if neutral is None else neutral
    empty = Literal(neutral, dtype)
    clear = _over(place, buffer, Store(parts, (chunk, *place), empty))
    shares = [Load(parts, (expressions.integer(k), *place)) for k in range(count)]
    total = reduce(lambda a, b: Apply(table.op, (a, b), dtype), [Load(buffer, place), *shares])
    join = _over(place, buffer, Store(buffer, place, total))
    chunks = For(chunk, tensor.ZERO, expressions.integer(count), (clear, inner), "parallel", 1)
    return [tensor.Allocate(parts), chunks, join]


def _over(place: tuple[Index, ...], buffer: Buffer, store: Store) -> Statement:
    """A store for every entry of a table, the last axis in lanes."""
    statement: Statement = store
    for axis, (index, extent) in enumerate(reversed(list(zip(place, buffer.type.shape)))):
        lanes = 1 if axis else _lanes(buffer, extent)
        mark = "vector" if lanes > 1 else "serial"
        statement = For(index, tensor.ZERO, expressions.integer(extent), (statement,), mark, lanes)
    return statement


def _lanes(buffer: Buffer, extent: int) -> int:
    return min(64 // buffer.type.dtype.itemsize, 1 << max(extent.bit_length() - 1, 0))
