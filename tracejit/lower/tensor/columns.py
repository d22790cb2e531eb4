"""Reductions along columns of large arrays, turned so that memory is read row by row.

A reduction over leading axes runs lanes along the columns, with the rows inside: for each handful
of columns it walks down the whole array, which touches a new page at every step. Where the array
outgrows the cache, the loop over columns is split into its parts,

    for j: acc = 0; for i: acc += x[i, j]; y[j] = acc
 -> for b: for s in chunk b: for j: part[b, j] += x[4s, j] + ... + x[4s + 3, j]
    for j: acc = 0; for b: acc += part[b, j]; y[j] = acc

so that memory is read in a few streams from end to end. Rows so long that their sums would leave the
nearest cache are cut in blocks instead, each of which is added up from top to bottom by itself; sweeps that
only store elements run over rows outside and columns inside. What these need of a column alone (a standard
deviation) is computed once for each, and stored.
"""

from __future__ import annotations

from typing import NamedTuple

from ...ir import expressions, tensor
from ...ir.expressions import replace_expressions
from ...ir.graph import Module, map_kernels
from ...ir.tensor import (
    Accumulate,
    Allocate,
    Apply,
    Assign,
    Buffer,
    Expression,
    For,
    Index,
    Kernel,
    Let,
    Literal,
    Load,
    Statement,
    Store,
    Variable,
    expressions_of,
    has_control,
    loads_of,
    map_bodies,
    parts,
    statements,
)
from ...ir.types import array_type
from ..machine import USUAL, Machine
from . import moments
from .cost import stride, trips
from .moments import Moments, moments_of
from .substitute import substitute

# The part of a core's own cache beyond which an array does not stay there while others are read.
PART_OF_CACHE = 4
# Rows that are short, but of several vectors, are read in order anyway; chunks of them are for the threads.
NARROW_BYTES, SHARED_BYTES = 128, 1024 * 1024
NEAR_BYTES = 32 * 1024
# Fewer rows are not worth the partial results.
LEAST_ROWS, NARROW_ROWS = 64, 32
# Rows added up before a partial result is stored again, and the least an array's chunk holds: of
# rows so many that joining the partial results, which one thread does, is little beside them.
ROWS = 4
CHUNK_BYTES, CHUNK_ROWS = 256 * 1024, 64
MOST_CHUNKS, ENOUGH_CHUNKS = 32, 8
# Of a row of sums, so that all of it is in the nearest cache; and so many that threads share them.
BLOCK_BYTES, WIDE_BLOCKS = 16 * 1024, 4


def stream_columns(module: Module, machine: Machine = USUAL) -> Module:
    """Split the loops over columns of every Kernel where that pays."""
    cache = machine.l2_bytes // PART_OF_CACHE

    def change(kernel: Kernel) -> Kernel:
        return kernel.replace(body=_body(kernel.body, "", cache))

    return map_kernels(module, change)


def _body(body: tuple[Statement, ...], prefix: str, cache: int) -> tuple[Statement, ...]:
    """Names of what a loop is given start with `prefix` and the place it has in its body."""
    new: list[Statement] = []
    for statement in body:
        number, parts = f"{prefix}{len(new)}", None
        if isinstance(statement, For) and statement.mark == "vector":
            parts = Columns(statement, number, cache).split()
        elif has_control((statement,)):
            statement = map_bodies(statement, lambda inner: _body(inner, f"{number}_", cache))
        new += parts if parts is not None else [statement]
    return tuple(new)


class Columns:
    """A loop over columns with loops over rows inside; `fixed` are indices of loops around it that what
    a column alone decides may depend on."""

    def __init__(self, loop: For, number: str, cache: int, fixed: tuple[Index, ...] = ()):
        self.loop, self.number, self.cache, self.fixed = loop, number, cache, fixed
        self.width = trips(loop)
        self.kept: dict[Variable, Buffer] = {}
        self.values: dict[Expression, Buffer] = {}
        self.allocations: list[Statement] = []
        self.is_joined: set[For] = set()

    def split(self) -> list[Statement] | None:
        """The statements instead of the loop; None when it should stay as it is."""
        return self.in_rows() if self.applies() else None

    def in_rows(self) -> list[Statement]:
        result: list[Statement] = []
        lets: dict[Variable, Expression] = {}
        for statement in self.loop.body:
            match statement:
                case Let(variable, value):
                    lets[variable] = value
                case For() if self.accumulated(statement):
                    result += self.reduced(statement, lets)
                case For():
                    result += self.stored(statement)
                case _:
                    result.append(self.loop.replace(body=self.restored((statement,))))
        return [*self.allocations, *result]

    def applies(self) -> bool:
        if self.width is None or self.loop.start is not tensor.ZERO:
            return False
        inner = [s for s in self.loop.body if isinstance(s, For)]
        others = [s for s in self.loop.body if not isinstance(s, For | Let | Store)]
        if not inner or others:
            return False
        for statement in statements(self.loop.body):
            if isinstance(statement, Assign | Allocate):
                return False
        own = {s.variable for s in self.loop.body if isinstance(s, Let)}
        for loop in inner:
            if any(isinstance(s, For | Let) for s in loop.body) or loop.start is not tensor.ZERO:
                return False
            if not all(isinstance(s, Accumulate | Store) for s in loop.body):
                return False
            if not self.accumulated(loop).keys() <= own:  # of all columns together
                return False
            rows = trips(loop)
            if rows is None or rows < (NARROW_ROWS if self.is_narrow(loop) else LEAST_ROWS):
                return False
        return any(self.walks_far(loop) for loop in inner)

    def walks_far(self, loop: For) -> bool:
        """Whether the loop strides through an array that is larger than the cache, or is work for all cores."""
        rows = trips(loop)
        for load in loads_of((loop,)):
            step = stride(load.buffer.type, load.indices, loop.index)
            if step is None:
                continue
            row_bytes = self.width * load.buffer.type.dtype.itemsize
            most = NEAR_BYTES if self.is_narrow(loop) else self.cache
            if abs(step) > 64 and rows * row_bytes > most:
                return True
            if abs(step) > 1 and row_bytes >= NARROW_BYTES and rows * row_bytes > SHARED_BYTES:
                return True
        return False

    def is_narrow(self, loop: For) -> bool:
        """Whether lanes walk down a few columns at a time, through lines that are used up in part:
        only the nearest cache bears that."""
        return self.loop.lanes * self.itemsize(loop) <= NARROW_BYTES

    @staticmethod
    def accumulated(loop: For) -> dict[Variable, str]:
        return {s.target: s.op for s in loop.body if isinstance(s, Accumulate)}

    def reduced(self, loop: For, lets: dict[Variable, Expression]) -> list[Statement]:
        """What is accumulated in each column, kept in a row."""
        if loop in self.is_joined:
            return []
        ops = self.accumulated(loop)
        known = dict(self.kept)
        before = self.column_values(loop, known)
        found, after = self.moments(loop), []
        if found is not None:
            center, sweep = self.center(loop, found, known)
            before.append(sweep)
            lets = {**lets, **{v: lets[found.total] for v in found.sums}}
            ops = dict.fromkeys(found.sums, "add")
            loop = loop.replace(body=moments.from_center(found, center))
        for v in ops:
            self.kept[v] = self.local(f"{v.name}_row{self.number}", (self.width,), v)
        if found is not None:
            sums = [Load(self.kept[v], (self.loop.index,)) for v in found.sums]
            after = [self.loop.replace(body=(moments.from_mean(trips(loop), *sums),))]
        is_wide = self.width * self.itemsize(loop) >= WIDE_BLOCKS * BLOCK_BYTES
        reduce = self.in_blocks if is_wide else self.in_chunks
        return [*before, *reduce(_Sums(loop, ops), lets, known), *after]

    def center(self, loop: For, found: Moments, known: dict) -> tuple[Load, For]:
        """What is near the mean of each column, and the loop that computes it."""
        row = self.local(f"{found.total.name}_center{self.number}", (self.width,), found.total)
        value = moments.center_of(loop, found, min(ROWS, trips(loop)))
        store = Store(row, (self.loop.index,), value)
        return Load(row, store.indices), self.loop.replace(body=self.restored((store,), known))

    def moments(self, loop: For) -> Moments | None:
        """What a sweep finds together with the next one, which needs nothing else but its mean."""
        sweeps = [s for s in self.loop.body if isinstance(s, For)]
        after = sweeps[sweeps.index(loop) + 1 :][:1]
        lets = {s.variable: s.value for s in self.loop.body if isinstance(s, Let)}
        found = moments_of(loop, after[0], lets) if after else None
        self.is_joined |= {*after} if found is not None else set()
        return found

    def stored(self, loop: For) -> list[Statement]:
        """What is stored in each column, row by row."""
        before = self.column_values(loop, self.kept)
        inner = self.loop.replace(body=self.restored(loop.body))
        return [*before, loop.replace(body=(inner,))]

    def in_blocks(
        self, sums: _Sums, lets: dict[Variable, Expression], known: dict
    ) -> list[Statement]:
        """Columns in blocks, a row of sums for each, which stays in the nearest cache."""
        column, loop = self.loop.index, sums.loop
        width = BLOCK_BYTES // self.itemsize(loop)
        block, strip = [Index(f"{letter}{self.number}_{loop.index.name}") for letter in "bs"]
        first = expressions.multiply(block, expressions.integer(width))
        stop: Expression = expressions.integer(width)
        if self.width % width:
            stop = expressions.minimum(
                stop, expressions.subtract(expressions.integer(self.width), first)
            )
        here = {column: expressions.add(first, column)}
        partial = {
            v: Buffer(f"{v.name}_block{self.number}", array_type((width,), v.dtype), "local")
            for v in sums.ops
        }
        place = {v: Load(partial[v], (column,)) for v in sums.ops}

        def columns(*body: Statement) -> For:
            return self.loop.replace(stop=stop, body=body)

        sums = sums._replace(loop=substitute(self.restored((loop,), known), here)[0])
        add, strips = sums.strip(strip), sums.rows // ROWS
        end = columns(
            *substitute([Let(v, lets[v]) for v in sums.ops], here),
            *sums.joined(None, place),
            *[Store(self.kept[v], (here[column],), v) for v in sums.ops],
        )
        body = (
            *[Allocate(buffer) for buffer in partial.values()],
            columns(*sums.cleared(place)),
            For(
                strip,
                tensor.ZERO,
                expressions.integer(strips),
                (columns(*sums.added(place, add)),),
                "serial",
                1,
            ),
            end,
        )
        count = expressions.integer(-(-self.width // width))
        return [For(block, tensor.ZERO, count, body, "serial", 1)]

    def in_chunks(
        self, sums: _Sums, lets: dict[Variable, Expression], known: dict
    ) -> list[Statement]:
        """Rows in chunks, a few rows at a time, into a partial result for each chunk; then join."""
        column, loop, strips = self.loop.index, sums.loop, sums.rows // ROWS
        per = max(
            -(-strips // MOST_CHUNKS),
            CHUNK_BYTES // (self.width * self.itemsize(loop) * ROWS),
            min(CHUNK_ROWS // ROWS, strips // ENOUGH_CHUNKS),
            1,
        )
        chunks = -(-strips // per)
        chunk, strip = [Index(f"{letter}{self.number}_{loop.index.name}") for letter in "bs"]
        partial = {
            v: self.local(f"{v.name}_chunks{self.number}", (chunks, self.width), v)
            for v in sums.ops
        }
        place = {v: Load(partial[v], (chunk, column)) for v in sums.ops}
        first = expressions.multiply(chunk, expressions.integer(per))
        count: Expression = expressions.integer(per)
        if strips % per:
            left = expressions.subtract(expressions.integer(strips), first)
            count = expressions.minimum(count, left)
        sums = sums._replace(loop=self.restored((loop,), known)[0])
        # A strip of rows adds to the partial results, which stay in the nearest cache. Its number counts from
        # the chunk's first, so that what is stored is seen to be the chunk's own.
        add = sums.strip(expressions.add(first, strip))
        all_ = For(chunk, tensor.ZERO, expressions.integer(chunks), (), "serial", 1)
        body = (
            self.loop.replace(body=sums.cleared(place)),
            For(
                strip,
                tensor.ZERO,
                count,
                (self.loop.replace(body=sums.added(place, add)),),
                "serial",
                1,
            ),
        )
        ends = (
            *[Let(v, lets[v]) for v in sums.ops],
            *sums.joined(all_, place),
            *[Store(self.kept[v], (column,), v) for v in sums.ops],
        )
        return [all_.replace(body=body), self.loop.replace(body=ends)]

    @staticmethod
    def itemsize(loop: For) -> int:
        return max([load.buffer.type.dtype.itemsize for load in loads_of((loop,))], default=1)

    def column_values(self, sweep: For, kept: dict[Variable, Buffer]) -> list[Statement]:
        """Store what the sweep computes from finished variables and the column alone."""
        stores: list[Statement] = []
        pending = [e for s in sweep.body for e in expressions_of(s)]
        while pending:
            e = pending.pop()
            if e in self.values or not any(v in e.free for v in kept):
                continue
            known = (*kept, self.loop.index, *self.fixed)
            outer = all(t in known or isinstance(t, Buffer) for t in e.free)
            if not (outer and isinstance(e, Apply)):
                pending.extend(parts(e))
                continue
            buffer = self.local(f"value{len(self.values)}_{self.number}", (self.width,), e)
            reads = {v: Load(b, (self.loop.index,)) for v, b in kept.items()}
            value = replace_expressions((e,), reads)[e]
            stores.append(self.loop.replace(body=(Store(buffer, (self.loop.index,), value),)))
            self.values[e] = buffer
        return stores

    def local(self, name: str, shape: tuple, like: Expression) -> Buffer:
        buffer = Buffer(name, array_type(shape, like.dtype), "local")
        self.allocations.append(Allocate(buffer))
        return buffer

    def restored(
        self, body: tuple[Statement, ...], kept: dict[Variable, Buffer] | None = None
    ) -> tuple[Statement, ...]:
        """The statements with finished variables read from the rows they were stored in."""
        kept = self.kept if kept is None else kept
        reads = {e: Load(b, (self.loop.index,)) for e, b in (*kept.items(), *self.values.items())}
        return substitute(body, reads)


class _Sums(NamedTuple):
    """What a sweep over rows accumulates, by which ops."""

    loop: For
    ops: dict[Variable, str]

    @property
    def rows(self) -> int:
        return trips(self.loop)

    def strip(self, strip: Expression) -> tuple[Statement, ...]:
        """What adds a few rows, unrolled."""
        size, index = expressions.integer(ROWS), self.loop.index
        sweep = self.loop.replace(stop=size, mark="unroll")
        row = expressions.add(expressions.multiply(strip, size), index)
        return substitute((sweep,), {index: row})

    def cleared(self, place: dict[Variable, Load]) -> tuple[Statement, ...]:
        neutral = {
            v: Literal(expressions.identity(op, v.dtype), v.dtype) for v, op in self.ops.items()
        }
        return tuple([Store(at.buffer, at.indices, neutral[v]) for v, at in place.items()])

    def added(
        self, place: dict[Variable, Load], add: tuple[Statement, ...]
    ) -> tuple[Statement, ...]:
        """What adds to sums that are stored at a place."""
        before = [Let(v, at) for v, at in place.items()]
        return (*before, *add, *[Store(at.buffer, at.indices, v) for v, at in place.items()])

    def joined(self, parts: For | None, place: dict[Variable, Load]) -> tuple[Statement, ...]:
        """What adds up the sums, of `parts` if there are several, and the rows that are left."""
        sums: tuple[Statement, ...] = tuple(
            [Accumulate(v, op, place[v]) for v, op in self.ops.items()]
        )
        sums = sums if parts is None else (parts.replace(body=sums),)
        rest = self.loop.replace(start=expressions.integer(self.rows // ROWS * ROWS))
        return (*sums, rest) if self.rows % ROWS else sums
