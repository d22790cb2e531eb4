"""Running totals by threads: what each chunk adds up to, the totals before each, then all of them.

    for c in parallel: part = neutral; for i in chunk c of the first stretch: part += x[i]; parts[c] = part
    for s in stretches:
        for c: parts[c], total = total, total + parts[c]
        for c in parallel:
            own = parts[c]; for i in chunk c of s: own = own + x[i]; out[i] = own
            part = neutral; for i in chunk c of s + 1: part += x[i]; parts[c] = part

A stretch is short enough for what the chunks read at first to be near when they are read again; what the
next one adds up to is found in the same parallel region, as these are dear beside so little work. Chunks
depend on sizes alone, and so do results.
"""

from __future__ import annotations

from ...ir import expressions, tensor
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


def split_running(loop: For, running: Running, name: str) -> list[Statement] | None:
    """The statements instead of a vector loop that stores running totals; None for a short one."""
    total, dtype = running.total, running.total.dtype
    count, size = trips(loop), CHUNK_BYTES // dtype.itemsize
    if count is None or count < 2 * size:
        return None
    chunk, stretch = Index(name), Index(f"{name}_stretch")
    parts = Buffer(f"{name}_parts", array_type((CHUNKS,), dtype), "local")
    place = Load(parts, (chunk,))
    part, own, before = [Variable(f"{name}_{word}", dtype) for word in ("part", "own", "before")]

    def lanes_of(number: Expression) -> For:
        """The loop over the chunk in stretch `number`."""
        first = expressions.multiply(number, expressions.integer(CHUNKS * size))
        start = expressions.add(expressions.multiply(chunk, expressions.integer(size)), loop.start)
        start = expressions.add(first, start)
        stop = expressions.minimum(expressions.add(start, expressions.integer(size)), loop.stop)
        return loop.replace(start=start, stop=stop)

    def sums(number: Expression) -> tuple[Statement, ...]:
        body = (*running.lets, Accumulate(part, running.op, running.value))
        added = lanes_of(number).replace(lanes=SUMS * loop.lanes, body=body)
        nothing = Let(part, Literal(neutral(running.op, dtype), dtype))
        return nothing, added, Store(parts, (chunk,), part)

    def chunks(mark: str, *body: Statement) -> For:
        return For(chunk, tensor.ZERO, expressions.integer(CHUNKS), body, mark, 1)

    totals = lanes_of(stretch).replace(
        body=(
            *running.lets,
            Assign(own, Apply(running.op, (own, running.value), dtype)),
            with_expressions(running.store, {total: own}),
        )
    )
    steps = (
        chunks(
            "serial",
            Let(before, place),
            Store(parts, (chunk,), total),
            Assign(total, Apply(running.op, (total, before), dtype)),
        ),
        chunks("parallel", Let(own, place), totals, *sums(expressions.add(stretch, tensor.ONE))),
    )
    stretches = expressions.integer(-(-count // (CHUNKS * size)))
    return [
        Allocate(parts),
        chunks("parallel", *sums(tensor.ZERO)),
        For(stretch, tensor.ZERO, stretches, steps, "serial", 1),
    ]
