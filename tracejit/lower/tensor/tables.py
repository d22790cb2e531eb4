"""Tables that threads add to, wherever data says: each has one of its own, which are then joined.

    for i in range(n):              for c in parallel(0, 8):
        a[j[i]] += x[i]      ->         parts[c, :] = 0
                                        for i in chunk c: parts[c, j[i]] += x[i]
                                    for k in range(m):
                                        a[k] = a[k] + (parts[0, k] + ... + parts[7, k])

A loop may fill several tables, and do more that threads may share: store other elements, add to a sum.
The chunks depend on sizes alone, so that results do not depend on how many threads there are; sums
of floats are in another order than one after the other.
"""

from __future__ import annotations

from functools import reduce
from typing import NamedTuple

from ...ir import expressions, tensor
from ...ir.places import is_chosen_by_data
from ...ir.tensor import (
    Accumulate,
    Allocate,
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
    Variable,
    loads_of,
    map_bodies,
)
from ...ir.types import array_type
from .vectorize import independent

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


class Pieces(NamedTuple):
    """What a loop over chunks is made of: memory, what each chunk does before its part of the loop, and after
    it, and what puts the chunks' results together."""

    memory: tuple[Statement, ...]
    before: tuple[Statement, ...]
    inner: For
    after: tuple[Statement, ...]
    joins: tuple[Statement, ...]

    def statements(self, chunk: Index, chunks: Expression) -> list[Statement]:
        whole = (*self.before, self.inner, *self.after)
        return [*self.memory, For(chunk, tensor.ZERO, chunks, whole, "parallel", 1), *self.joins]


def pieces_of(inner: For) -> Pieces:
    """Those of a loop whose iterations share nothing."""
    return Pieces((), (), inner, (), ())


def tables_of(loop: For, reorders: bool = True) -> tuple[Table, ...]:
    """The tables of a loop that threads may share if each has its own; none where they may not.

    To combine floats in another order gives something else: as far as the loop `reorders`.
    """
    if loop.mark != "serial" or not all(isinstance(s, Let | Store | Accumulate) for s in loop.body):
        return ()
    found = {s: table for s in loop.body if (table := _table_of(s, reorders)) is not None}
    tables = tuple(found.values())
    if len({table.buffer for table in tables}) < len(tables):
        return ()
    others = tuple([s for s in loop.body if s not in found])
    shares = independent(loop.replace(body=others), threads=True)
    return tables if shares and _are_apart(loop, tables, others) else ()


def _table_of(statement: Statement, reorders: bool) -> Table | None:
    """What a store combines an entry of a table by, in any order."""
    match statement:
        case Store(own, place, Apply(op, (Load(buffer, indices), value), dtype)):
            is_entry = buffer is own and indices == place and is_chosen_by_data(indices)
            if not is_entry or op not in _JOINED or dtype.kind not in "iuf":
                return None
            if not reorders and dtype.kind == "f" and op in ("add", "multiply"):
                return None
            is_known = all(type(extent) is int for extent in buffer.type.shape)
            return Table(statement, op, value) if is_known else None
    return None


def _are_apart(loop: For, tables: tuple[Table, ...], others: tuple[Statement, ...]) -> bool:
    """Whether the entries that are combined are all that is read of the tables, and iterations read
    of what is stored beside them what they have stored themselves."""
    places = {s.buffer: s.indices for s in others if isinstance(s, Store)}
    places |= {table.buffer: table.store.indices for table in tables}
    return all(
        places.get(load.buffer, load.indices) == load.indices for load in loads_of(loop.body)
    )


def count_of_tables(tables: tuple[Table, ...], iterations: int) -> int:
    """How many of each are worth their while."""
    entries = max([table.buffer.type.size for table in tables])
    return min(MOST_TABLES, iterations // (LEAST_USE * max(entries, 1)))


def with_tables(tables: tuple[Table, ...], pieces: Pieces, chunk: Index, count: int) -> Pieces:
    """The pieces of `count` chunks, each with tables of its own."""
    for table in tables:
        memory, clear, entry, join = _with_table(table, chunk, count)
        body = tuple([entry if s is table.store else s for s in pieces.inner.body])
        pieces = pieces._replace(
            memory=(*pieces.memory, memory),
            before=(*pieces.before, clear),
            inner=pieces.inner.replace(body=body),
            joins=(*pieces.joins, join),
        )
    return pieces


def _with_table(
    table: Table, chunk: Index, count: int
) -> tuple[Allocate, Statement, Store, Statement]:
    """The memory of one in each chunk, how it is cleared, what is stored there, and how they are joined."""
    buffer, dtype = table.buffer, table.buffer.type.dtype
    parts = Buffer(f"{buffer.name}_parts", array_type((count, *buffer.type.shape), dtype), "local")
    entry = (chunk, *table.store.indices)
    changed = Store(parts, entry, Apply(table.op, (Load(parts, entry), table.value), dtype))
    place = tuple([Index(f"{chunk.name}_{k}") for k in range(buffer.type.ndim)])
    # Unlike 0, -0.0 leaves what it is added to as it is.
    neutral = -0.0 if table.op == "add" and dtype.kind == "f" else None
    neutral = expressions.identity(table.op, dtype) if neutral is None else neutral
    empty = Literal(neutral, dtype)
    clear = _over(place, buffer, Store(parts, (chunk, *place), empty))
    shares = [Load(parts, (expressions.integer(k), *place)) for k in range(count)]
    total = reduce(lambda a, b: Apply(table.op, (a, b), dtype), [Load(buffer, place), *shares])
    join = _over(place, buffer, Store(buffer, place, total))
    return Allocate(parts), clear, changed, join


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


def with_sums(
    outer: dict[Variable, str], pieces: Pieces, chunk: Index, chunks: Expression, most: int = 0
) -> Pieces:
    """The pieces of chunks that accumulate in variables of their own, of which there are as many as chunks,
    or `most`."""
    if not outer:
        return pieces
    most = chunks.value if isinstance(chunks, Literal) else most
    own = {v: Variable(f"{v.name}_part", v.dtype) for v in outer}
    memory = {v: Buffer(f"{v.name}_parts", array_type((most,), v.dtype), "local") for v in outer}
    empty = [
        Let(own[v], Literal(expressions.identity(op, v.dtype), v.dtype)) for v, op in outer.items()
    ]
    joins = [Accumulate(v, op, Load(memory[v], (chunk,))) for v, op in outer.items()]
    return Pieces(
        (*pieces.memory, *map(Allocate, memory.values())),
        (*pieces.before, *empty),
        pieces.inner.replace(body=_retarget(pieces.inner.body, own)),
        (*pieces.after, *[Store(memory[v], (chunk,), own[v]) for v in outer]),
        (*pieces.joins, For(chunk, tensor.ZERO, chunks, tuple(joins), "serial", 1)),
    )


def _retarget(body: tuple[Statement, ...], new: dict[Variable, Variable]) -> tuple[Statement, ...]:
    changed = []
    for statement in body:
        if isinstance(statement, Accumulate) and statement.target in new:
            statement = statement.replace(target=new[statement.target])
        changed.append(map_bodies(statement, lambda inner: _retarget(inner, new)))
    return tuple(changed)
