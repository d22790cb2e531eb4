"""Reductions along columns of large arrays, turned so that memory is read row by row.

A reduction over leading axes runs lanes along the columns, with the rows inside: for each handful
of columns it walks down the whole array, which touches a new page at every step. Where the array
outgrows the cache, the loop over columns is split into its parts,

    for j: acc = 0; for i: acc += x[i, j]; y[j] = acc
 -> for b: for s in chunk b: for j: part[b, j] += x[4s, j] + ... + x[4s + 3, j]
    for j: acc = 0; for b: acc += part[b, j]; y[j] = acc

so that memory is read in a few streams from end to end. Rows so long that their sums would leave the
nearest cache are cut in blocks instead, each of which is added up from top to bottom by itself; sweeps that store elements instead run over
rows outside and columns inside. What these need of
a column alone (a standard deviation) is computed once for each, and stored.
"""

from __future__ import annotations

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
from .cost import stride, trips
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
            parts = _Columns(statement, number, cache).split()
        elif has_control((statement,)):
            statement = map_bodies(statement, lambda inner: _body(inner, f"{number}_", cache))
        new += parts if parts is not None else [statement]
    return tuple(new)


class _Columns:
    def __init__(self, loop: For, number: str, cache: int):
        self.loop, self.number, self.cache = loop, number, cache
        self.width = trips(loop)
        self.kept: dict[Variable, Buffer] = {}
        self.values: dict[Expression, Buffer] = {}
        self.allocations: list[Statement] = []

    def split(self) -> list[Statement] | None:
        """The statements instead of the loop; None when it should stay as it is."""
        if not self.applies():
            return None
        result: list[Statement] = []
        lets: dict[Variable, Expression] = {}
        for statement in self.loop.body:
            match statement:
                case Let(variable, value):
                    lets[variable] = value
                case For() if self.accumulated(statement):
                    result += self.reduced(statement, lets)
                case For():
                    result += self.column_values(statement, self.kept)
                    inner = self.loop.replace(body=self.restored(statement.body))
                    result.append(statement.replace(body=(inner,)))
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
            accumulates = self.accumulated(loop)
            if accumulates and len(accumulates) != len(loop.body):
                return False
            if not accumulates.keys() <= own:  # of all columns together
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
        ops = self.accumulated(loop)
        known = dict(self.kept)
        for v in ops:
            self.kept[v] = self.local(f"{v.name}_row{self.number}", (self.width,), v)
        before = self.column_values(loop, known)
        is_wide = self.width * self.itemsize(loop) >= WIDE_BLOCKS * BLOCK_BYTES
        reduce = self.in_blocks if is_wide else self.in_chunks
        return [*before, *reduce(loop, ops, lets, known)]

    def strip_of(self, loop: For, strip: Index, known: dict[Variable, Buffer]) -> For:
        """A few rows, unrolled."""
        moved = {
            loop.index: expressions.add(
                expressions.multiply(strip, expressions.integer(ROWS)), loop.index
            )
        }
        body = substitute(self.restored(loop.body, known), moved)
        return loop.replace(stop=expressions.integer(ROWS), body=body, mark="unroll")

    def in_blocks(
        self, loop: For, ops: dict[Variable, str], lets: dict[Variable, Expression], known: dict
    ) -> list[Statement]:
        """Columns in blocks, a row of sums for each, which stays in the nearest cache."""
        column, rows, size = self.loop.index, trips(loop), self.itemsize(loop)
        width = BLOCK_BYTES // size
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
            for v in ops
        }

        def columns(*body: Statement) -> For:
            return self.loop.replace(stop=stop, body=body)

        neutral = {v: Literal(expressions.identity(op, v.dtype), v.dtype) for v, op in ops.items()}
        clear = columns(*[Store(partial[v], (column,), neutral[v]) for v in ops])
        add = columns(
            *[Let(v, Load(partial[v], (column,))) for v in ops],
            *substitute((self.strip_of(loop, strip, known),), here),
            *[Store(partial[v], (column,), v) for v in ops],
        )
        strips = expressions.integer(rows // ROWS)
        rest = self.restored((loop.replace(start=expressions.integer(rows // ROWS * ROWS)),), known)
        end = columns(
            *substitute([Let(v, lets[v]) for v in ops], here),
            *[Accumulate(v, op, Load(partial[v], (column,))) for v, op in ops.items()],
            *(substitute(rest, here) if rows % ROWS else ()),
            *[Store(self.kept[v], (here[column],), v) for v in ops],
        )
        allocations = [Allocate(buffer) for buffer in partial.values()]
        sums = For(strip, tensor.ZERO, strips, (add,), "serial", 1)
        count = expressions.integer(-(-self.width // width))
        return [For(block, tensor.ZERO, count, (*allocations, clear, sums, end), "serial", 1)]

    def in_chunks(
        self, loop: For, ops: dict[Variable, str], lets: dict[Variable, Expression], known: dict
    ) -> list[Statement]:
        """Rows in chunks, a few rows at a time, into a partial result for each chunk; then join."""
        column, rows = self.loop.index, trips(loop)
        strips = rows // ROWS
        per = max(
            -(-strips // MOST_CHUNKS),
            CHUNK_BYTES // (self.width * self.itemsize(loop) * ROWS),
            min(CHUNK_ROWS // ROWS, strips // ENOUGH_CHUNKS),
            1,
        )
        chunks = -(-strips // per)
        chunk, strip = [Index(f"{letter}{self.number}_{loop.index.name}") for letter in "bs"]
        partial = {
            v: self.local(f"{v.name}_chunks{self.number}", (chunks, self.width), v) for v in ops
        }
        neutral = {v: Literal(expressions.identity(op, v.dtype), v.dtype) for v, op in ops.items()}
        place = (chunk, column)
        clear = self.loop.replace(body=tuple([Store(partial[v], place, neutral[v]) for v in ops]))
        # A strip of rows adds to the partial results, which stay in the nearest cache.
        add = self.loop.replace(
            body=(
                *[Let(v, Load(partial[v], place)) for v in ops],
                self.strip_of(loop, strip, known),
                *[Store(partial[v], place, v) for v in ops],
            )
        )
        first = expressions.multiply(chunk, expressions.integer(per))
        last = expressions.add(first, expressions.integer(per))
        if strips % per:
            last = expressions.minimum(last, expressions.integer(strips))
        sums = For(
            chunk,
            tensor.ZERO,
            expressions.integer(chunks),
            (clear, For(strip, first, last, (add,), "serial", 1)),
            "serial",
            1,
        )
        rest = self.restored((loop.replace(start=expressions.integer(strips * ROWS)),), known)
        join = tuple([Accumulate(v, op, Load(partial[v], place)) for v, op in ops.items()])
        joined = self.loop.replace(
            body=(
                *[Let(v, lets[v]) for v in ops],
                For(chunk, tensor.ZERO, expressions.integer(chunks), join, "serial", 1),
                *(rest if rows % ROWS else ()),
                *[Store(self.kept[v], (column,), v) for v in ops],
            )
        )
        return [sums, joined]

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
            outer = all(t in kept or t is self.loop.index or isinstance(t, Buffer) for t in e.free)
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
