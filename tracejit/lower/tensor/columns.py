"""Reductions along columns of large arrays, turned so that memory is read row by row.

A reduction over leading axes runs lanes along the columns, with the rows inside: for each handful
of columns it walks down the whole array, which touches a new page at every step. Where the array
outgrows the cache, the loop over columns is split into its parts,

    for j: acc = 0; for i: acc += x[i, j]; y[j] = acc
 -> for b: for s in chunk b: for j: part[b, j] += x[s, j]
    for j: acc = 0; for b: acc += part[b, j]; y[j] = acc

so that memory is read from end to end. Rows so long that their sums would leave the
nearest cache are cut in blocks instead, each of which is added up from top to bottom by itself; sweeps that
only store elements run over rows outside and columns inside. What these need of a column alone (a standard
deviation) is computed once for each, and stored.
"""

from __future__ import annotations

from functools import partial
from itertools import pairwise
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
# Of a row at a time: what is stored must be there again for the next one.
VECTORS = 4
# The least an array's chunk holds: of rows so many that joining the partial results, which one thread
# does, is little beside them.
CHUNK_BYTES, CHUNK_ROWS = 512 * 1024, 64
MOST_CHUNKS, ENOUGH_CHUNKS = 32, 8
# Of a row of sums that is cut in blocks, which stay in the nearest cache; longer blocks were slower. A row is
# cut where there are so many blocks that threads share them.
BLOCK_BYTES, WIDE_BYTES = 8 * 1024, 64 * 1024
# Rows added up before their sums are stored again. Caches are fastest read from end to end, where blocks are
# too short for that; what lies in memory comes faster from several places at once. A processor stores one
# vector of sums for each that it reads, but not several.
ROWS_OF_NEAR, ROWS_OF_BLOCKS, ROWS_OF_FAR, ROWS_OF_SEVERAL = 1, 2, 8, 4
# Whose mean is taken to be near the mean of a column.
FIRST_ROWS = 4


def stream_columns(module: Module, machine: Machine = USUAL) -> Module:
    """Split the loops over columns of every Kernel where that pays."""
    return map_kernels(module, lambda k: k.replace(body=_body(k.body, "", machine)))


def _body(body: tuple[Statement, ...], prefix: str, machine: Machine) -> tuple[Statement, ...]:
    """Names of what a loop is given start with `prefix` and the place it has in its body."""
    new: list[Statement] = []
    for statement in body:
        number, parts = f"{prefix}{len(new)}", None
        if isinstance(statement, For) and statement.mark == "vector":
            parts = Columns(statement, number, machine).split()
        elif has_control((statement,)):
            inside = partial(_body, prefix=f"{number}_", machine=machine)
            statement = map_bodies(statement, inside)
        new += parts if parts is not None else [statement]
    return tuple(new)


class Columns:
    """A loop over columns with loops over rows inside; `fixed` are indices of loops around it that what
    a column alone decides may depend on."""

    def __init__(self, loop: For, number: str, machine: Machine, fixed: tuple[Index, ...] = ()):
        self.loop, self.number, self.machine, self.fixed = loop, number, machine, fixed
        self.width = trips(loop)
        self.kept: dict[Variable, Buffer] = {}
        self.values: dict[Expression, Buffer] = {}
        self.allocations: list[Statement] = []
        self.joined = self.pairs()

    def split(self) -> list[Statement] | None:
        """The statements instead of the loop; None when it should stay as it is."""
        return self.in_rows() if self.applies() else None

    def in_rows(self) -> list[Statement]:
        size = max([self.itemsize(s) for s in self.loop.body if isinstance(s, For)])
        few = VECTORS * self.machine.vector_bytes // size
        self.loop = self.loop.replace(lanes=min(self.loop.lanes, few))
        result: list[Statement] = []
        lets: dict[Variable, Expression] = {}
        body, end = self.parted()
        for statement in body:
            match statement:
                case Let(variable, value):
                    lets[variable] = value
                case For() if self.accumulated(statement):
                    result += self.reduced(statement, lets, end if statement is body[-1] else ())
                case For():
                    result += self.stored(statement)
                case _:
                    result.append(self.loop.replace(body=self.restored((statement,))))
        return [*self.allocations, *result]

    def parted(self) -> tuple[tuple[Statement, ...], tuple[Statement, ...]]:
        """What the last sweep adds up and nothing but stores uses is stored as soon as it is known."""
        body = self.loop.body
        last = max([place for place, s in enumerate(body) if isinstance(s, For)])
        sweep, end = body[last], body[last + 1 :]
        is_plain = bool(self.accumulated(sweep)) and all(isinstance(s, Store) for s in end)
        if not is_plain or any(sweep is second for second, _ in self.joined.values()):
            return body, ()
        return body[: last + 1], end

    def pairs(self) -> dict[For, tuple[For, Moments]]:
        """What a sweep finds together with the next one, which needs nothing else but its mean."""
        sweeps = [s for s in self.loop.body if isinstance(s, For)]
        lets = {s.variable: s.value for s in self.loop.body if isinstance(s, Let)}
        found = {one: (two, moments_of(one, two, lets)) for one, two in pairwise(sweeps)}
        return {one: pair for one, pair in found.items() if pair[1] is not None}

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
            few = NARROW_ROWS if self.is_narrow(loop) or self.is_cut(loop) else LEAST_ROWS
            if rows is None or rows < few:
                return False
        return any(self.walks_far(loop) for loop in inner)

    def walks_far(self, loop: For) -> bool:
        """Whether the loop strides through an array that is larger than the cache, or is work for all cores."""
        rows = trips(loop)
        for load in loads_of((loop,)):
            step = stride(load.buffer.type, load.indices, loop.index)
            lane_step = stride(load.buffer.type, load.indices, self.loop.index)
            if step is None or lane_step is None or abs(lane_step) > max(abs(step), 1):
                continue
            row_bytes = self.width * load.buffer.type.dtype.itemsize
            is_near = self.is_narrow(loop) or self.is_cut(loop)
            most = NEAR_BYTES if is_near else self.machine.l2_bytes // PART_OF_CACHE
            if abs(step) > 64 and rows * row_bytes > most:
                return True
            if abs(step) > 1 and row_bytes >= NARROW_BYTES and rows * row_bytes > SHARED_BYTES:
                return True
        return False

    def is_narrow(self, loop: For) -> bool:
        """Whether lanes walk down a few columns at a time, through lines that are used up in part:
        only the nearest cache bears that."""
        return self.loop.lanes * self.itemsize(loop) <= NARROW_BYTES

    def is_cut(self, loop: For) -> bool:
        """Whether a sum's lanes walk down the rows several times, in runs that are parts of a row."""
        is_whole = self.width <= self.loop.lanes
        return not is_whole and len(self.accumulated(loop)) == 1

    @staticmethod
    def accumulated(loop: For) -> dict[Variable, str]:
        return {s.target: s.op for s in loop.body if isinstance(s, Accumulate)}

    def reduced(
        self, loop: For, lets: dict[Variable, Expression], end: tuple[Statement, ...]
    ) -> list[Statement]:
        """What is accumulated in each column, kept in a row; or what is stored in the end."""
        if any(loop is second for second, _ in self.joined.values()):
            return []
        ops = self.accumulated(loop)
        known = dict(self.kept)
        before = self.column_values(loop, known)
        found, after = None, []
        if loop in self.joined:
            found = self.joined[loop][1]
            center, sweep = self.center(loop, found, known)
            before.append(sweep)
            lets = {**lets, **{v: lets[found.total] for v in found.sums}}
            ops = dict.fromkeys(found.sums, "add")
            loop = loop.replace(body=moments.from_center(found, center))
        end = self.restored(end, known)
        if not end:
            for v in ops:
                self.kept[v] = self.local(f"{v.name}_row{self.number}", (self.width,), v)
            end = tuple([Store(self.kept[v], (self.loop.index,), v) for v in ops])
        if found is not None:
            sums = [Load(self.kept[v], (self.loop.index,)) for v in found.sums]
            value = moments.squares_from_mean(trips(loop), *sums)
            store = Store(sums[-1].buffer, sums[-1].indices, value)
            after = [self.loop.replace(body=(store,))]
        is_wide = self.width * self.itemsize(loop) >= WIDE_BYTES
        sums = _Sums(loop, ops, self.strip_size(loop, len(ops), is_wide))
        reduce = self.in_blocks if is_wide else self.in_chunks
        return [*before, *reduce(sums, lets, known, end), *after]

    def strip_size(self, loop: For, sums: int, is_wide: bool) -> int:
        """How many rows to add up at a time."""
        if sums > 1:
            return ROWS_OF_SEVERAL
        if trips(loop) * self.width * self.itemsize(loop) > self.machine.far_bytes:
            return ROWS_OF_FAR
        return ROWS_OF_BLOCKS if is_wide else ROWS_OF_NEAR

    def center(self, loop: For, found: Moments, known: dict) -> tuple[Load, For]:
        """What is near the mean of each column, and the loop that computes it."""
        row = self.local(f"{found.total.name}_center{self.number}", (self.width,), found.total)
        value = moments.center_of(loop, found, min(FIRST_ROWS, trips(loop)))
        store = Store(row, (self.loop.index,), value)
        return Load(row, store.indices), self.loop.replace(body=self.restored((store,), known))

    def stored(self, loop: For) -> list[Statement]:
        """What is stored in each column, row by row."""
        before = self.column_values(loop, self.kept)
        inner = self.loop.replace(body=self.restored(loop.body))
        return [*before, loop.replace(body=(inner,))]

    def in_blocks(
        self,
        sums: _Sums,
        lets: dict[Variable, Expression],
        known: dict[Variable, Buffer],
        end: tuple[Statement, ...],
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
        rows = {
            v: Buffer(f"{v.name}_block{self.number}", array_type((width,), v.dtype), "local")
            for v in sums.ops
        }
        place = {v: Load(rows[v], (column,)) for v in sums.ops}

        def columns(*body: Statement) -> For:
            return self.loop.replace(stop=stop, body=body)

        sums = sums._replace(loop=substitute(self.restored((loop,), known), here)[0])
        strips = _serial(strip, expressions.integer(sums.strips))
        body = (
            *[Allocate(buffer) for buffer in rows.values()],
            columns(*sums.cleared(place)),
            strips.replace(body=(columns(*sums.added(place, sums.strip(strip))),)),
            columns(
                *substitute([Let(v, lets[v]) for v in sums.ops], here),
                *sums.joined(None, place),
                *sums.rest(),
                *substitute(end, here),
            ),
        )
        blocks = _serial(block, expressions.integer(-(-self.width // width)))
        return [blocks.replace(body=body)]

    def in_chunks(
        self,
        sums: _Sums,
        lets: dict[Variable, Expression],
        known: dict[Variable, Buffer],
        end: tuple[Statement, ...],
    ) -> list[Statement]:
        """Rows in chunks, one or a few at a time, into a partial result for each chunk; then join."""
        column, loop, strips = self.loop.index, sums.loop, sums.strips
        per = max(
            -(-strips // MOST_CHUNKS),
            CHUNK_BYTES // (self.width * self.itemsize(loop) * sums.size),
            min(CHUNK_ROWS // sums.size, strips // ENOUGH_CHUNKS),
            1,
        )
        chunks = -(-strips // per)
        chunk, strip = [Index(f"{letter}{self.number}_{loop.index.name}") for letter in "bs"]
        rows = {
            v: self.local(f"{v.name}_chunks{self.number}", (chunks, self.width), v)
            for v in sums.ops
        }
        place = {v: Load(rows[v], (chunk, column)) for v in sums.ops}
        first = expressions.multiply(chunk, expressions.integer(per))
        count: Expression = expressions.integer(per)
        if strips % per:
            left = expressions.subtract(expressions.integer(strips), first)
            count = expressions.minimum(count, left)
        sums = sums._replace(loop=self.restored((loop,), known)[0])
        # A strip of rows adds to the partial results, which stay in the nearest cache. Its number counts from
        # the chunk's first, so that what is stored is seen to be the chunk's own.
        add = self.loop.replace(body=sums.added(place, sums.strip(expressions.add(first, strip))))
        all_ = _serial(chunk, expressions.integer(chunks))
        body = (
            self.loop.replace(body=sums.cleared(place)),
            _serial(strip, count).replace(body=(add,)),
        )
        lasts = (*sums.joined(all_, place), *sums.rest())
        ends = (*[Let(v, lets[v]) for v in sums.ops], *lasts, *end)
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
    """What a sweep over rows accumulates, by which ops, in strips of so many rows."""

    loop: For
    ops: dict[Variable, str]
    size: int

    @property
    def strips(self) -> int:
        return trips(self.loop) // self.size

    def strip(self, strip: Expression) -> tuple[Statement, ...]:
        """What adds a strip, unrolled."""
        size, index = expressions.integer(self.size), self.loop.index
        row = expressions.add(expressions.multiply(strip, size), index)
        sweep = self.loop.replace(stop=size, mark="unroll")
        return substitute((sweep,), {index: row})

    def rest(self) -> tuple[Statement, ...]:
        """What adds the rows that are left, if any."""
        rest = self.loop.replace(start=expressions.integer(self.strips * self.size))
        return (rest,) if trips(rest) else ()

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
        """What adds up the sums, of `parts` if there are several."""
        sums: tuple[Statement, ...] = tuple(
            [Accumulate(v, op, place[v]) for v, op in self.ops.items()]
        )
        return sums if parts is None else (parts.replace(body=sums),)


def _serial(index: Index, count: Expression) -> For:
    return For(index, tensor.ZERO, count, (), "serial", 1)
