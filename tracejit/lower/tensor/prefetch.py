"""Rows of a large array are asked for while rows before them are computed with.

Where each row is swept several times (its maximum, then the exponentials of differences from that),
only the first sweep waits for memory, and memory has nothing to do during the others:

    for i:                                      for i:
        for j: top = max(top, x[i, j])              for j: top = max(top, x[i, j])
        for j: ... exp(x[i, j] - top)      ->       for j: prefetch x[i + 1, j]; ... exp(x[i, j] - top)

The last of the others asks that does not write past the caches itself, since a core that does waits for that.
Where a single sweep reads one array from memory and writes past the caches, it asks, too: a core looks ahead as far as
its window of instructions reaches, which are a few lines where other things are done for each. Without that, running
sums down columns move half as many bytes as a copy, and with it more.
"""

from __future__ import annotations

from typing import NamedTuple

from ...ir import expressions, tensor
from ...ir.expressions import replace_expressions
from ...ir.graph import Module, map_kernels
from ...ir.packing import packing_of
from ...ir.running import running_of
from ...ir.tensor import (
    Address,
    Buffer,
    Extern,
    For,
    Kernel,
    Let,
    Load,
    Statement,
    Store,
    loads_of,
    map_bodies,
    statements,
)
from .cost import expected_trips, stride

# A shorter row is little beside what comes between rows, a longer one gone again before it is used.
LEAST_ROW, MOST_ROW = 512, 64 << 10
# So much is on its way: short rows are asked for several rows ahead.
AHEAD = 16 << 10


def prefetch_rows(module: Module, large: int = 0, far: int = 0) -> Module:
    """Add prefetches of inputs of `large` bytes and more; 0: of none. Outputs of `far` bytes and more are written
    past the caches.

    Rows of smaller ones come soon enough from a core's own cache.
    """
    if not large:
        return module

    def change(kernel: Kernel) -> Kernel:
        asked = _Asked(
            _of_size(kernel.inputs, large),
            *[_of_size(buffers, far) for buffers in (kernel.inputs, kernel.fresh)],
        )
        return kernel.replace(body=_body(kernel.body, asked)) if asked.large else kernel

    return map_kernels(module, change)


class _Asked(NamedTuple):
    """Inputs that are large; those that are in memory, and outputs that are written there."""

    large: frozenset[Buffer]
    far: frozenset[Buffer]
    streamed: frozenset[Buffer]


def _of_size(buffers: tuple[Buffer, ...], least: int) -> frozenset[Buffer]:
    known = [b for b in buffers if isinstance(b.type.size, int)]
    return frozenset([b for b in known if b.type.size * b.type.dtype.itemsize >= least])


def _body(body: tuple[Statement, ...], asked: _Asked) -> tuple[Statement, ...]:
    def change(statement: Statement) -> Statement:
        if isinstance(statement, For):
            return _loop(statement, asked)
        return map_bodies(statement, lambda inner: _body(inner, asked))

    return tuple([change(statement) for statement in body])


def _loop(loop: For, asked: _Asked) -> For:
    if loop.mark not in ("serial", "ordered", "parallel"):
        return loop
    sweeps = [s for s in loop.body if isinstance(s, For) and s.mark == "vector"]
    # What the emitter takes as a whole may do nothing besides.
    sweeps = [s for s in sweeps if running_of(s) is None and packing_of(s) is None]
    found = _asking(loop, sweeps, asked) if sweeps and loop.mark != "parallel" else None
    if found is None:
        return loop.replace(body=_body(loop.body, asked))
    load, sweep = found
    changed = sweep.replace(body=(_ahead(loop, load, sweeps[0], sweep), *sweep.body))
    return loop.replace(body=tuple([changed if s is sweep else s for s in loop.body]))


def _asking(loop: For, sweeps: list[For], asked: _Asked) -> tuple[Load, For] | None:
    """What is read that can be asked for, and the sweep that does so."""
    first, *others = sweeps
    rows = [load for load in loads_of(first.body) if load.buffer in asked.large]
    rows = [load for load in rows if _is_row(load, loop, first)]
    if not others:
        is_one = len({load for load in loads_of(first.body) if load.buffer in asked.far}) == 1
        rows = [load for load in rows if load.buffer in asked.far]
        return (rows[0], first) if rows and is_one and _streams(first, asked) else None
    for load in rows:
        again = [s for s in others if s.start is first.start and s.stop is first.stop]
        again = [s for s in again if any(l.buffer is load.buffer for l in loads_of(s.body))]
        if again:
            # limit: of several arrays that are swept again only the first is asked for.
            return load, [*again[:1], *[s for s in again if not _streams(s, asked)]][-1]
    return None


def _streams(sweep: For, asked: _Asked) -> bool:
    """Whether it writes past the caches."""
    return any(isinstance(s, Store) and s.buffer in asked.streamed for s in statements(sweep.body))


def _row_bytes(load: Load, sweep: For) -> int:
    return expected_trips(sweep) * load.buffer.type.dtype.itemsize


def _is_row(load: Load, loop: For, sweep: For) -> bool:
    """Whether `sweep` reads a stretch of memory, another one in each iteration of `loop`."""
    type = load.buffer.type
    inside = {s.index for s in statements(sweep.body) if isinstance(s, For)}
    inside |= {s.variable for s in statements(sweep.body) if isinstance(s, Let)}
    return (
        not any(index.free & inside for index in load.indices)
        and LEAST_ROW <= _row_bytes(load, sweep) <= MOST_ROW
        and stride(type, load.indices, sweep.index) == 1
        and bool(stride(type, load.indices, loop.index))
    )


def _ahead(loop: For, load: Load, first: For, sweep: For) -> Extern:
    """The prefetch, in `sweep`, of what `first` will read some iterations of `loop` later."""
    rows = expressions.integer(max(AHEAD // _row_bytes(load, first), 1))
    last = expressions.subtract(loop.stop, tensor.ONE)
    following = expressions.minimum(expressions.add(loop.index, rows), last)
    new = replace_expressions(load.indices, {first.index: sweep.index, loop.index: following})
    return Extern("prefetch", (Address(load.buffer, tuple([new[i] for i in load.indices])),))
