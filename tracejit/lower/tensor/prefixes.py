"""Running totals by threads: what each chunk adds up to, the totals before each, then all of them.

    for c in parallel: part = neutral; for i in chunk c of the first stretch: part += x[i]; parts[c] = part
    for s in stretches:
        for c: parts[c], total = total, total + parts[c]
        for c in parallel:
            own = parts[c]; part = neutral
            for i in chunk c of s: own = own + x[i]; out[i] = own; part += x[i + stretch]
            parts[c] = part

A stretch is short enough for what the chunks read at first to be near when they are read again. What the
next one adds up to is found in the same loop: that waits for memory while the lanes of the totals are
exchanged; where the next chunk is not whole, in a loop of its own.

Two cores wait for each other too often so, unless all lies in memory, of which one core alone moves half as much
as both. One of them has the first chunks, and the other adds these up itself, which is faster than to wait, and
has the rest:

    for c in parallel of 2:
        for k in the first chunks, if c: part = neutral; for i in chunk k: part += x[i]; total = total + part
        for k in chunks of c:
            own = total; part = neutral
            for i in chunk k: own = own + x[i]; out[i] = own; part += x[i]
            total = total + part

Chunks depend on sizes alone, and all of these add up the same numbers in the same order: results depend
neither on how many threads there are nor on how many cores.
"""

from __future__ import annotations

from ...ir import expressions, tensor
from ...ir.expressions import replace_expressions
from ...ir.running import Running, neutral
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
)
from ...ir.types import array_type
from ..machine import Machine
from .cost import trips
from .substitute import with_expressions

CHUNK_BYTES, CHUNKS = 64 << 10, 32
# A shorter array is done by one thread, which need not read it twice, before several would be.
LEAST_CHUNKS = 8
# The first one's part of what two cores do: to add up takes half as long as to exchange lanes and store.
FIRST_PART = 2 / 3


def split_running(
    loop: For, running: Running, name: str, machine: Machine
) -> list[Statement] | None:
    """The statements instead of a vector loop that stores running totals; None for a short one."""
    count, size = trips(loop), CHUNK_BYTES // running.total.dtype.itemsize
    if count is None or count < LEAST_CHUNKS * size:
        return None
    chunks = _Chunks(loop, running, name, size)
    if machine.cores == 1:
        return [chunks.one_by_one()]
    is_far = count * running.total.dtype.itemsize > machine.far_bytes
    return chunks.in_stretches() if is_far or machine.cores > 2 else chunks.by_two()


class _Chunks:
    """The chunks of one loop, each of `size` elements but the last."""

    def __init__(self, loop: For, running: Running, name: str, size: int):
        self.loop, self.running, self.size, self.name = loop, running, size, name
        self.chunk, self.count = Index(name), -(-trips(loop) // size)
        self.dtype = running.total.dtype
        self.part, self.own = [Variable(f"{name}_{w}", self.dtype) for w in ("part", "own")]
        self.parts = Buffer(f"{name}_parts", array_type((CHUNKS,), self.dtype), "local")
        self.place = Load(self.parts, (self.chunk,))

    def in_stretches(self) -> list[Statement]:
        """By any number of threads."""
        total, before = self.running.total, Variable(f"{self.name}_before", self.dtype)
        stretch = Index(f"{self.name}_stretch")
        stretches = expressions.integer(-(-self.count // CHUNKS))
        first = expressions.multiply(stretch, expressions.integer(CHUNKS))
        keep = Store(self.parts, (self.chunk,), self.part)
        steps = (
            _each(
                self.chunk,
                CHUNKS,
                "serial",
                Let(before, self.place),
                Store(self.parts, (self.chunk,), total),
                Assign(total, self.combined(total, before)),
            ),
            _each(
                self.chunk,
                CHUNKS,
                "parallel",
                Let(self.own, self.place),
                self.nothing(),
                *self.totals_and_next(expressions.add(first, self.chunk)),
                keep,
            ),
        )
        return [
            Allocate(self.parts),
            _each(self.chunk, CHUNKS, "parallel", self.nothing(), self.sum(self.chunk), keep),
            For(stretch, tensor.ZERO, stretches, steps, "serial", 1),
        ]

    def by_two(self) -> list[Statement]:
        """By two threads."""
        total, first = self.running.total, int(self.count * FIRST_PART)
        number, own = Index(f"{self.name}_number"), Variable(f"{self.name}_total", self.dtype)
        start = expressions.multiply(self.chunk, expressions.integer(first))
        rest = expressions.multiply(self.chunk, expressions.integer(self.count - first))
        stop = expressions.add(expressions.integer(first), rest)
        more = Assign(own, self.combined(own, self.part))
        both = (
            Let(own, total),
            For(number, tensor.ZERO, start, (self.nothing(), self.sum(number), more), "serial", 1),
            For(number, start, stop, (*self.totals(number, own), more), "serial", 1),
            Store(self.parts, (self.chunk,), own),
        )
        end = Assign(total, Load(self.parts, (tensor.ONE,)))
        return [Allocate(self.parts), _each(self.chunk, 2, "parallel", *both), end]

    def one_by_one(self) -> For:
        """By one thread."""
        total = self.running.total
        more = Assign(total, self.combined(total, self.part))
        return _each(self.chunk, self.count, "serial", *self.totals(self.chunk, total), more)

    def combined(self, a: Expression, b: Expression) -> Expression:
        return Apply(self.running.op, (a, b), self.dtype)

    def nothing(self) -> Let:
        return Let(self.part, Literal(neutral(self.running.op, self.dtype), self.dtype))

    def range(self, number: Expression) -> tuple[Expression, Expression]:
        """Where a chunk begins and where it ends."""
        size = expressions.integer(self.size)
        start = expressions.add(expressions.multiply(number, size), self.loop.start)
        return start, expressions.minimum(expressions.add(start, size), self.loop.stop)

    def sum(self, number: Expression) -> For:
        """What adds up a chunk."""
        start, stop = self.range(number)
        added = Accumulate(self.part, self.running.op, self.running.value)
        return self.loop.replace(start=start, stop=stop, body=(*self.running.lets, added))

    def stored(self) -> tuple[Statement, ...]:
        """A running total, stored."""
        running = self.running
        return (
            *running.lets,
            Assign(self.own, self.combined(self.own, running.value)),
            with_expressions(running.store, {running.total: self.own}),
        )

    def totals(self, number: Expression, before: Expression) -> tuple[Statement, ...]:
        """The running totals of a chunk, beside what it adds up to."""
        start, stop = self.range(number)
        added = Accumulate(self.part, self.running.op, self.running.value)
        both = self.loop.replace(start=start, stop=stop, body=(*self.stored(), added))
        return Let(self.own, before), self.nothing(), both

    def totals_and_next(self, number: Expression) -> tuple[Statement, ...]:
        """The running totals of a chunk, beside what the chunk a stretch later adds up to."""
        later = expressions.integer(CHUNKS * self.size)
        start, stop = self.range(number)
        next_start, next_stop = self.range(expressions.add(number, expressions.integer(CHUNKS)))
        ends = expressions.add(next_start, expressions.integer(self.size))
        is_whole = expressions.compare("less_equal", ends, self.loop.stop)
        middle = expressions.select(is_whole, stop, start)
        ahead = expressions.add(self.loop.index, later)
        value = replace_expressions((self.value(),), {self.loop.index: ahead})[self.value()]
        added = Accumulate(self.part, self.running.op, value)
        rest = self.sum(number)
        return (
            self.loop.replace(start=start, stop=middle, body=(*self.stored(), added)),
            self.loop.replace(start=middle, stop=stop, body=self.stored()),
            rest.replace(start=expressions.select(is_whole, next_stop, next_start), stop=next_stop),
        )

    def value(self) -> Expression:
        """What is added for an element, in terms of the element alone."""
        known: dict[Expression, Expression] = {}
        for let in self.running.lets:
            known[let.variable] = replace_expressions((let.value,), known)[let.value]
        return replace_expressions((self.running.value,), known)[self.running.value]


def _each(index: Index, count: int, mark: str, *body: Statement) -> For:
    return For(index, tensor.ZERO, expressions.integer(count), body, mark, 1)
