"""Split long loops into chunks for threads.

An outer loop whose iterations are independent becomes `parallel` over chunks. A loop that only
accumulates into variables outside becomes a parallel loop of partial results, stored one per chunk,
and a short loop that combines them: the chunks depend on sizes alone, so the result does not depend
on the number of threads. Waking a parked thread costs some 40 microseconds, so short loops stay; what
threads cost on this machine decides where that is in nobody's bits.
"""

from __future__ import annotations

from math import prod

from ...ir import expressions, tensor
from ...ir.affine import linear
from ...ir.foreign import needs_one_thread
from ...ir.graph import Module, map_kernels
from ...ir.places import changed_in
from ...ir.running import running_of
from ...ir.tensor import (
    Accumulate,
    Allocate,
    Expression,
    Extern,
    For,
    If,
    Index,
    Kernel,
    Let,
    Literal,
    Load,
    Statement,
    Store,
    Variable,
    by_one_thread,
    is_shared,
    loads_of,
    map_bodies,
    statements,
)
from ...ir.term import Term
from ..machine import QUICKEST, USUAL, Machine
from .cost import UNKNOWN_TRIPS, may_run_on, trips
from .duration import seconds_of
from .prefixes import split_running
from .sorts import is_sort, split_sort
from .stacks import split_stack
from .tables import Table, count_of_tables, pieces_of, tables_of, with_sums, with_tables
from .vectorize import independent

CHUNK = 4e-6
MOST_CHUNKS, CHUNKS_OF_CORE = 64, 4
# The part of the time of the slowest thread below which chunks of another size are worth it.
GAIN = 0.95
LONG_STRIP = 1024  # elements, whatever each of them takes
FEW = 8  # turns, of which a thread that comes late leaves others waiting
# How many times longer a region in a loop has to be than one by itself: beside what other threads do, 300 short ones took
# twice the time of one thread.
AGAIN = 2.0


def parallelize(
    module: Module, machine: Machine = USUAL, reorders: bool = True, alone: bool = False
) -> Module:
    """Mark and split loops of every Kernel that does not say itself how it is threaded.

    `reorders`: sums in tables, which NumPy adds up one after the other, may be in another order. `alone`: one
    thread does everything, in the order in which several would.
    """
    return map_kernels(module, lambda kernel: _Splitter(kernel, machine, reorders, alone).run())


class _Splitter:
    def __init__(self, kernel: Kernel, machine: Machine, reorders: bool, alone: bool):
        self.kernel, self.machine, self.reorders, self.alone = kernel, machine, reorders, alone
        self.worthwhile, self.cores = machine.worthwhile_seconds, machine.cores
        self.count = 0

    def run(self) -> Kernel:
        if needs_one_thread(self.kernel.body):
            return self.kernel
        if any(map(is_shared, statements(self.kernel.body))):
            return self.kernel
        body = self.body(self.kernel.body, True)
        return self.kernel.replace(body=by_one_thread(body) if self.alone else body)

    def body(
        self,
        body: tuple[Statement, ...],
        outermost: bool = False,
        made: frozenset[Term] = frozenset(),
    ) -> tuple[Statement, ...]:
        """The statements, with loops for threads; `outermost`: those of the kernel, in no loop. What is `made` so
        far others have written."""
        if outermost and (shared := self.sort(body, made)) is not None:
            return shared
        return self.one_by_one(body, outermost, made)

    def one_by_one(
        self, body: tuple[Statement, ...], outermost: bool, made: frozenset[Term]
    ) -> tuple[Statement, ...]:
        """The same where no sort among these statements themselves is to be shared."""
        new: list[Statement] = []
        for number, statement in enumerate(body):
            if isinstance(statement, For):
                new += self.loop(statement, outermost)
            elif isinstance(statement, Extern):
                new.append(split_stack(statement, self.chunk_name()))
            elif isinstance(statement, If):
                before = made.union(changed_in(body[:number])) if outermost else made
                new.append(map_bodies(statement, lambda arm: self.body(arm, outermost, before)))
            else:
                new.append(statement)
        return tuple(new)

    def sort(
        self, body: tuple[Statement, ...], made: frozenset[Term]
    ) -> tuple[Statement, ...] | None:
        """The statements, in which threads share the sort of a long result that these make; or None."""
        results = set(self.kernel.fresh) - made
        for number, call in enumerate(body if self.reorders and not self.alone else ()):
            if is_sort(call) and any(a.buffer in results for a in call.addresses):
                before = self.one_by_one(body[:number], True, made)  # the sorts there were tried
                shared = split_sort(before, call, self.chunk_name(), self.machine)
                if shared is not None:
                    made = made.union(changed_in(body[: number + 1]))
                    return (*shared, *self.one_by_one(body[number + 1 :], True, made))
        return None

    def inside(self, loop: For) -> For:
        """The loop, with threads in its body: regions that follow one another wait for the later of two cores each time."""
        before, self.worthwhile = self.worthwhile, AGAIN * self.machine.worthwhile_seconds
        body = self.body(loop.body)
        self.worthwhile = before
        return loop.replace(body=body)

    def loop(self, loop: For, outermost: bool) -> list[Statement]:
        count = trips(loop)
        if loop.mark == "unroll" or count == 0:
            return [loop]
        cost = self.cost(loop)
        # An outermost loop of unknown extent may turn out to be long; it is split as it runs.
        if cost < QUICKEST.worthwhile_seconds and not (outermost and count is None):
            return [loop]
        if loop.mark == "ordered":
            return [self.inside(loop)]
        if not outermost and count is None and may_run_on(loop.body) and _strip(loop) < LONG_STRIP:
            return [self.inside(loop)]  # again and again, of which nobody knows how long it takes
        if independent(loop, threads=True) and not _shares_registers(loop):
            outer = self.accumulated(loop)
            nest = [loop] if outer else self.nest(loop, FEW)
            if _is_few(nest, FEW) and nest[-1].mark != "vector" and self.long_inside(loop):
                return [self.inside(loop)]
            if outer:
                return self.partial(loop, cost, count, outer)
            return self.chunked(self.nest(loop, max(FEW, 2 * self.cores)), cost)
        if loop.mark == "vector":
            running = running_of(loop)
            if running is None:
                return [loop]
            return split_running(loop, running, self.chunk_name(), self.machine) or [loop]
        tables = tables_of(loop, self.reorders) if count is not None else ()
        if tables and (wanted := count_of_tables(tables, count)) > 1:
            return self.tables(loop, tables, count, wanted)
        return [self.inside(loop)]

    def tables(
        self, loop: For, tables: tuple[Table, ...], count: int, wanted: int
    ) -> list[Statement]:
        size = -(-count // wanted)
        chunk = Index(self.chunk_name())
        inner = _chunk(loop, chunk, expressions.integer(size))
        chunks = expressions.integer(-(-count // size))
        pieces = with_tables(tables, pieces_of(inner), chunk, chunks.value)
        pieces = with_sums(self.accumulated(loop), pieces, chunk, chunks)
        return pieces.statements(chunk, chunks)

    def nest(self, loop: For, least: int) -> list[For]:
        """The loop, and as many directly inside of it as it takes for so many turns, all for threads to share."""
        nest = [loop]
        while _is_few(nest, least) and nest[-1].mark != "vector" and len(nest[-1].body) == 1:
            (inner,) = nest[-1].body
            fits = isinstance(inner, For) and inner.mark in ("serial", "vector") and trips(inner)
            if not fits or not independent(inner, threads=True) or _shares_registers(inner):
                break
            if self.accumulated(inner):
                break
            nest.append(inner)
        return nest

    def long_inside(self, loop: For) -> bool:
        """Whether a loop inside, which threads may share, is worth while by itself."""
        inner = [s for s in statements(loop.body) if isinstance(s, For)]
        inner = [s for s in inner if independent(s, threads=True)]
        return any(self.cost(s) >= QUICKEST.worthwhile_seconds for s in inner)

    def cost(self, loop: For) -> float:
        return seconds_of(loop, self.kernel, self.machine)

    @staticmethod
    def accumulated(loop: For) -> dict[Variable, str]:
        """Variables from outside that the loop accumulates into, with the op."""
        inside = {s.variable for s in statements(loop.body) if isinstance(s, Let)}
        found = {}
        for statement in statements(loop.body):
            if isinstance(statement, Accumulate) and isinstance(statement.target, Variable):
                if statement.target not in inside:
                    found[statement.target] = statement.op
        return found

    def chunk_name(self) -> str:
        self.count += 1
        return f"c{self.count - 1}"

    def split(
        self, loop: For, cost: float, times: int = 1, partial: bool = False
    ) -> tuple[Expression, Expression]:
        """How many chunks a loop is cut in that is run so many times, and how long they are.

        Of `partial` results there are as many whatever the machine.
        """
        count, unit = trips(loop), _unit(loop)
        if count is None:
            return _chunks_of_unknown(loop, cost, unit)
        most = MOST_CHUNKS if partial else max(MOST_CHUNKS, CHUNKS_OF_CORE * self.cores)
        wanted = max(4, min(most, int(cost / CHUNK)))
        size = -(-count // -(-wanted // times))
        size = -(-size // unit)
        if not partial and times == 1:
            size = _even(-(-count // unit), size, self.cores)
        size *= unit
        return expressions.integer(-(-count // size)), expressions.integer(size)

    def chunked(self, nest: list[For], cost: float) -> list[Statement]:
        """The nest as one parallel loop, over all indices of all but the last and chunks of that."""
        *outer, loop = nest
        counts = [trips(around) for around in outer]
        if self.alone or self.is_short(cost, trips(nest[0])):
            return [nest[0]]
        chunks, step = self.split(loop, cost, prod(counts))
        turns = expressions.multiply(expressions.integer(prod(counts)), chunks)
        if isinstance(turns, Literal) and turns.value < 2:
            return [nest[0]]
        turn = Index(self.chunk_name())
        number = expressions.remainder(turn, chunks) if outer else turn
        rest = expressions.floor_divide(turn, chunks)
        inner = _chunk(loop, number, step)
        for around, count in zip(outer[::-1], counts[::-1]):
            whole = expressions.integer(count)
            at = rest if around is outer[0] else expressions.remainder(rest, whole)
            start, rest = expressions.add(at, around.start), expressions.floor_divide(rest, whole)
            stop = expressions.add(start, tensor.ONE)
            inner = around.replace(start=start, stop=stop, body=(inner,))
        return [For(turn, tensor.ZERO, turns, (inner,), "parallel", 1)]

    def partial(
        self, loop: For, cost: float, count: int | None, outer: dict[Variable, str]
    ) -> list[Statement]:
        chunks, step = self.split(loop, cost, partial=True)
        chunk = Index(self.chunk_name())
        inner = _chunk(loop, chunk, step)
        most = chunks.value if isinstance(chunks, Literal) else MOST_CHUNKS
        if most < 2:
            return [loop]
        found = with_sums(outer, pieces_of(inner), chunk, chunks, most).statements(chunk, chunks)
        # Who adds up is the machine's affair, in which order is not.
        return [*by_one_thread((*found,))] if self.is_short(cost, count) else found

    def is_short(self, cost: float, count: int | None) -> bool:
        """Whether one thread is as good, on this machine."""
        return cost < self.worthwhile and count is not None


def _even(count: int, size: int, cores: int) -> int:
    """The size of chunks, twice or half as large at most, with which threads end together: all chunks are as
    long but the last, which is begun last. The size that was asked for, where that gains little."""

    def longest(size: int) -> int:
        whole = (count - 1) // size
        last = whole // cores * size + count - whole * size
        return max(-(-whole // cores) * size, last)

    # Of long chunks a part in a hundred makes no difference.
    sizes = range(-(-size // 2), 2 * size + 1, max(1, size // 128))
    best = min(sizes, key=lambda size: (longest(size), -size))
    return best if longest(best) < GAIN * longest(size) else size


def _strip(loop: For) -> int:
    """How many elements a loop goes over in a turn of the loop around it, whose index its start counts strips by; 0
    where it does not."""
    atoms, _ = linear(loop.start)
    ((atom, scale),) = atoms.items() if len(atoms) == 1 else ((None, 0),)
    return scale if isinstance(atom, Index) else 0


def _unit(loop: For) -> int:
    """Iterations that stay together."""
    return loop.lanes if loop.mark == "vector" else 1


def _is_few(nest: list[For], least: int) -> bool:
    """Whether loops inside of each other have less turns than so many."""
    counts = [trips(loop) for loop in nest]
    return None not in counts and prod(counts) < least * _unit(nest[-1])


def _chunk(loop: For, number: Expression, step: Expression) -> For:
    """The loop over the chunk of this number, of `step` iterations."""
    count = trips(loop)
    start = expressions.add(expressions.multiply(number, step), loop.start)
    stop = expressions.add(start, step)
    if count is None or count % step.value:
        stop = expressions.minimum(stop, loop.stop)
    return loop.replace(start=start, stop=stop)


def _chunks_of_unknown(loop: For, cost: float, unit: int) -> tuple[Expression, Expression]:
    """Chunks worth their while, however many that are, and iterations in each, at run time."""
    each = cost / UNKNOWN_TRIPS
    worth = max(unit, int(QUICKEST.worthwhile_seconds / 2 / each))
    count = expressions.subtract(loop.stop, loop.start)
    rounded = expressions.add(count, expressions.integer(worth - 1))
    wanted = expressions.floor_divide(rounded, expressions.integer(worth))
    chunks = expressions.minimum(wanted, expressions.integer(MOST_CHUNKS))
    whole = expressions.multiply(chunks, expressions.integer(unit))
    rounded = expressions.add(count, expressions.subtract(whole, tensor.ONE))
    return chunks, expressions.multiply(
        expressions.floor_divide(rounded, whole), expressions.integer(unit)
    )


def _shares_registers(loop: For) -> bool:
    """Whether iterations use registers from outside, as in the depth of a tile."""
    inside = {s.buffer for s in statements(loop.body) if isinstance(s, Allocate)}
    used = {load.buffer for load in loads_of(loop.body)}
    for statement in statements(loop.body):
        match statement:
            case Store(buffer) | Accumulate(Load(buffer)):
                used.add(buffer)
    return any(buffer.space == "register" and buffer not in inside for buffer in used)
