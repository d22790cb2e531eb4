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
exchanged. Where the next stretch ends early, the rest of this one has a loop of its own. Chunks depend on
sizes alone, and so do results.
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
from .cost import trips
from .substitute import with_expressions
from .vectorize import SUMS

CHUNK_BYTES, CHUNKS = 64 << 10, 16
# A shorter array is done by one thread, which need not read it twice, before several would be.
LEAST_CHUNKS = 8


def split_running(loop: For, running: Running, name: str) -> list[Statement] | None:
    """The statements instead of a vector loop that stores running totals; None for a short one."""
    count = trips(loop)
    chunks = _Chunks(loop, running, name)
    return chunks.statements(count) if count and count >= LEAST_CHUNKS * chunks.size else None


class _Chunks:
    """The chunks of one loop, each of `size` elements."""

    def __init__(self, loop: For, running: Running, name: str):
        self.loop, self.running, self.chunk = loop, running, Index(name)
        self.dtype = running.total.dtype
        self.size = CHUNK_BYTES // self.dtype.itemsize
        self.stretch_size = CHUNKS * self.size
        self.name = name
        self.part, self.own, self.before = [
            Variable(f"{name}_{word}", self.dtype) for word in ("part", "own", "before")
        ]
        self.parts = Buffer(f"{name}_parts", array_type((CHUNKS,), self.dtype), "local")
        self.place = Load(self.parts, (self.chunk,))

    def statements(self, count: int) -> list[Statement]:
        total, stretch = self.running.total, Index(f"{self.name}_stretch")
        steps = (
            self.chunks(
                "serial",
                Let(self.before, self.place),
                Store(self.parts, (self.chunk,), total),
                Assign(total, self.combined(total, self.before)),
            ),
            self.chunks(
                "parallel",
                Let(self.own, self.place),
                self.nothing(),
                *self.totals(stretch),
                Store(self.parts, (self.chunk,), self.part),
            ),
        )
        stretches = expressions.integer(-(-count // self.stretch_size))
        return [
            Allocate(self.parts),
            self.chunks("parallel", *self.sums()),
            For(stretch, tensor.ZERO, stretches, steps, "serial", 1),
        ]

    def chunks(self, mark: str, *body: Statement) -> For:
        return For(self.chunk, tensor.ZERO, expressions.integer(CHUNKS), body, mark, 1)

    def combined(self, a: Expression, b: Expression) -> Expression:
        return Apply(self.running.op, (a, b), self.dtype)

    def nothing(self) -> Let:
        return Let(self.part, Literal(neutral(self.running.op, self.dtype), self.dtype))

    def range(self, stretch: Expression) -> tuple[Expression, Expression]:
        """Where the chunk begins and where it ends."""
        loop, size = self.loop, expressions.integer(self.size)
        first = expressions.add(expressions.multiply(self.chunk, size), loop.start)
        past = expressions.multiply(stretch, expressions.integer(self.stretch_size))
        start = expressions.add(past, first)
        return start, expressions.minimum(expressions.add(start, size), loop.stop)

    def sums(self) -> tuple[Statement, ...]:
        """What the chunk of the first stretch adds up to."""
        running, (start, stop) = self.running, self.range(tensor.ZERO)
        body = (*running.lets, Accumulate(self.part, running.op, running.value))
        added = self.loop.replace(start=start, stop=stop, lanes=SUMS * self.loop.lanes, body=body)
        return self.nothing(), added, Store(self.parts, (self.chunk,), self.part)

    def totals(self, stretch: Expression) -> tuple[Statement, ...]:
        """The chunk's running totals, beside what the chunk of the next stretch adds up to."""
        running, loop = self.running, self.loop
        start, stop = self.range(stretch)
        size = expressions.integer(self.stretch_size)
        last = expressions.minimum(stop, expressions.subtract(loop.stop, size))
        middle = expressions.maximum(start, last)
        body = (
            *running.lets,
            Assign(self.own, self.combined(self.own, running.value)),
            with_expressions(running.store, {running.total: self.own}),
        )
        ahead = Accumulate(self.part, running.op, self.ahead())
        return (
            loop.replace(start=start, stop=middle, body=(*body, ahead)),
            loop.replace(start=middle, stop=stop, body=body),
        )

    def ahead(self) -> Expression:
        """What is added a stretch later."""
        known: dict[Expression, Expression] = {}
        for let in self.running.lets:
            known[let.variable] = replace_expressions((let.value,), known)[let.value]
        value = replace_expressions((self.running.value,), known)[self.running.value]
        later = expressions.add(self.loop.index, expressions.integer(self.stretch_size))
        return replace_expressions((value,), {self.loop.index: later})[value]
