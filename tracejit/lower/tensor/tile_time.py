"""Time steps over arrays that no cache holds take many steps for a block of rows at a time.

    for t in range(T):                    for t0 in range(0, T, K):
        for x: v[x] = f(u, x)                 for each chunk, by threads:
        for x: u[x] = f(v, x)      ->             for each block of the chunk:
                                                      for t in range(t0, t0 + K): rows of the block
                                              for each seam between chunks, by threads:
                                                  for t in range(t0, t0 + K): rows of the seam

A step needs the rows around each row as the step before left them, so a block moves `stride` rows to
the left with every step (Wolf & Lam 1991, "skewing"; McCalpin & Wonnacott 1999, "time skewing"): what is on its
left has been computed by the block before, and what is still needed there is not yet written over.
Chunks shrink by as much at both ends, so they need nothing from each other; the seams, which grow by
as much, come after all chunks. Every row is computed once for each step, from the same numbers as before:
the results are the same to the bit. Memory is read once for K steps.

Where a row needs no other one, there is nothing to stay behind: blocks of rows take all steps, each by itself.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from ...ir import expressions, tensor
from ...ir.expressions import add, integer, maximum, minimum, multiply, subtract
from ...ir.graph import Module, map_kernels
from ...ir.tensor import (
    ZERO,
    Buffer,
    Expression,
    For,
    Index,
    Kernel,
    Load,
    Statement,
    Store,
    has_control,
    loads_of,
    map_bodies,
)
from ..machine import USUAL, Machine
from .cost import trips
from .rename import FreshNames, Renaming
from .substitute import substitute
from .sweeps import Steps, Sweep, steps_of
from .walk import exchange_outer_loops

# The fewest rows and the most steps that a block moves on for one read of memory, the most chunks, and
# how many times the rows of a seam a chunk has at least.
FEWEST_ROWS, MOST_STEPS, MOST_CHUNKS, LEAST_CHUNK = 6, 32, 64, 4


def tile_time(module: Module, machine: Machine = USUAL) -> Module:
    """Tile the loops over time in every Kernel whose state is larger than the cache."""
    return map_kernels(module, lambda k: _Tiler(k, machine).run() if has_control(k.body) else k)


class _Sizes(NamedTuple):
    """Steps and rows of a block, and how many chunks there are."""

    steps: int
    rows: int
    chunks: int


class _Tiler:
    def __init__(self, kernel: Kernel, machine: Machine):
        self.kernel, self.machine, self.names = kernel, machine, FreshNames(kernel)

    def run(self) -> Kernel:
        return self.kernel.replace(body=exchange_outer_loops(self.kernel.body, self.loop))

    def loop(self, loop: For) -> Iterable[Statement] | None:
        steps = steps_of(loop) if loop.mark == "ordered" else None
        if steps is None:
            return None
        if not steps.stride and not any(steps.lags):
            return self.apart(loop, steps)
        sizes = _sizes(loop, steps, self.machine)
        return self.tiled(loop, steps, sizes) if sizes is not None else None

    def apart(self, time: For, steps: Steps) -> list[Statement] | None:
        """All steps for one block of rows after the other, where not all rows are near."""
        first, stop = _range(steps)
        row = _row_bytes(steps)
        if row * (stop - first) <= self.machine.l1_bytes or trips(time) == 1:
            return None
        rows = max(self.machine.l1_bytes // (2 * row), 1)
        block = Index(self.names.pick("block_"))
        low = add(multiply(block, integer(rows)), integer(first))
        high = minimum(add(low, integer(rows)), integer(stop))
        inner = self.swept(time, steps, lambda behind: (low, high))
        count = integer(-(-(stop - first) // rows))
        return [*steps.memory, For(block, ZERO, count, (inner,), "parallel", 1)]

    def tiled(self, time: For, steps: Steps, sizes: _Sizes) -> list[Statement]:
        first, stop = _range(steps)
        margin = _margin(steps, sizes.steps)
        length = -(-(stop - first + 2 * margin) // sizes.chunks)
        tile, chunk, block = [Index(self.names.pick(n)) for n in ("steps_", "chunk_", "block_")]
        start = add(time.start, multiply(tile, integer(sizes.steps)))
        end = minimum(add(start, integer(sizes.steps)), time.stop)
        steps_of_tile = time.replace(start=start, stop=end)
        count = expressions.floor_divide(
            add(subtract(time.stop, time.start), integer(sizes.steps - 1)), integer(sizes.steps)
        )
        left = add(multiply(chunk, integer(length)), integer(first - margin))
        # Blocks of a chunk, which shrinks; the seam at its left end, which grows.
        own = add(left, multiply(block, integer(sizes.rows)))
        inner = self.swept(
            steps_of_tile,
            steps,
            lambda behind: (
                maximum(add(left, behind), subtract(own, behind)),
                subtract(
                    minimum(add(own, integer(sizes.rows)), add(left, integer(length))), behind
                ),
            ),
        )
        blocks = For(block, ZERO, integer(-(-length // sizes.rows)), (inner,), "ordered", 1)
        seam = self.swept(
            steps_of_tile, steps, lambda behind: (subtract(left, behind), add(left, behind))
        )
        chunks = integer(sizes.chunks)
        whole = (
            For(chunk, ZERO, chunks, (blocks,), "parallel", 1),
            For(chunk, tensor.ONE, chunks, (seam,), "parallel", 1),
        )
        return [*steps.memory, For(tile, ZERO, count, whole, "ordered", 1)]

    def swept(self, time: For, steps: Steps, bounds) -> For:
        """The steps, each sweep only over rows within `bounds(rows that it is behind)`."""
        passed = multiply(subtract(time.index, time.start), integer(steps.stride))
        body: list[Statement] = [*steps.named]
        for sweep, lag in zip(steps.sweeps, steps.lags):
            low, high = bounds(add(passed, integer(lag)))
            body.append(self.between(steps, sweep, low, high))
        names = self.names.of_body(body)
        return time.replace(body=Renaming(names).body(body))

    def between(self, steps: Steps, sweep: Sweep, low: Expression, high: Expression) -> For:
        """The part of a sweep in these rows."""
        start, stop = maximum(low, integer(sweep.first)), minimum(high, integer(sweep.stop))
        if sweep.base is None:
            row = Index(self.names.pick("row_"))
            body = _of_row((sweep.statement,), steps.changed, subtract(row, integer(sweep.first)))
            return For(row, start, stop, body, "ordered", 1)
        base = integer(sweep.base)
        return sweep.statement.replace(start=subtract(start, base), stop=subtract(stop, base))


def _of_row(
    body: tuple[Statement, ...], changed: set[Buffer], moved: Expression
) -> tuple[Statement, ...]:
    """The statements with `moved`, which is zero, in the rows that they name: a row is one iteration's."""
    places = {e: e.indices for e in loads_of(body) if e.buffer in changed}
    reads = {e: Load(e.buffer, (add(moved, row), *rest)) for e, (row, *rest) in places.items()}

    def stored(statement: Statement) -> Statement:
        if isinstance(statement, Store) and statement.buffer in changed:
            row, *rest = statement.indices
            return statement.replace(indices=(add(moved, row), *rest))
        return map_bodies(statement, lambda inner: tuple(map(stored, inner)))

    return tuple(map(stored, substitute(body, reads)))


def _range(steps: Steps) -> tuple[int, int]:
    return min(s.first for s in steps.sweeps), max(s.stop for s in steps.sweeps)


def _margin(steps: Steps, count: int) -> int:
    """How far the last sweep of so many steps is behind the first one."""
    return (count - 1) * steps.stride + max(steps.lags)


def _sizes(time: For, steps: Steps, machine: Machine) -> _Sizes | None:
    """How the steps are tiled; None where that would not pay."""
    first, stop = _range(steps)
    row = _row_bytes(steps)
    count = trips(time)
    if row * (stop - first) <= machine.l2_bytes * 2:
        return None
    most = MOST_STEPS if count is None else min(MOST_STEPS, count)
    # The first-level cache will do for short rows; what is left of a block when it moves on is read again.
    rows = machine.l1_bytes // row
    if rows < 2 * most * steps.stride:
        rows = machine.l2_bytes // row
    many = min(most, rows // steps.stride)
    if many * steps.stride < FEWEST_ROWS:
        return None
    margin = _margin(steps, many)
    chunks = min(MOST_CHUNKS, (stop - first) // (2 * LEAST_CHUNK * margin))
    return _Sizes(many, rows // 2, chunks) if chunks >= 2 else None


def _row_bytes(steps: Steps) -> int:
    """What a row of all arrays takes that the steps use."""
    first, stop = _range(steps)
    used = steps.changed | {load.buffer for s in steps.sweeps for load in loads_of((s.statement,))}
    sizes = [b.type.size * b.type.dtype.itemsize for b in used if b.space != "register"]
    return max(sum(n for n in sizes if isinstance(n, int)) // (stop - first), 1)
