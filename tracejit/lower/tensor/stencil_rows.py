"""Rows of a stencil are computed several at a time, so that what two of them read is read once.

    for i:                                             for i in fours:
        for j in lanes:                                    for j in lanes:
            y[i, j] = x[i, j] + x[i + 1, j]      ->            y[i, j] = x[i, j] + x[i + 1, j]
                                                               y[i + 1, j] = x[i + 1, j] + x[i + 2, j], ...

Neighbours in a row do not begin where vectors do, so that most reads meet two lines of the cache, and count
twice: Sobel's operator reads 8 vectors for each of its own, 4.5 where four rows are together, and takes 0.7 of the time.
"""

from __future__ import annotations

from ...ir import expressions, tensor
from ...ir.expressions import integer, replace_expressions
from ...ir.graph import Module, map_kernels
from ...ir.op import OPS
from ...ir.tensor import (
    Apply,
    For,
    Index,
    Kernel,
    Let,
    Load,
    Statement,
    Store,
    expressions_of,
    loads_of,
    parts,
)
from ...ir.term import postorder
from .checks import is_refusing
from .cost import stride, trip_count, trips
from .rename import FreshNames, Renaming
from .substitute import substitute
from .vectorize import independent
from .walk import exchange_outer_loops

# Rows together, the reads that two neighbours must share, and the most terms of a row, for registers and for time.
ROWS, LEAST_SHARED, MOST_TERMS = 4, 2, 80
# An op that costs more is a function, and the reads are little beside it.
MOST_COST = 8.0


def join_stencil_rows(module: Module) -> Module:
    """Compute rows together wherever they read the same neighbours."""
    return map_kernels(module, lambda kernel: _Joiner(kernel).run())


class _Joiner:
    def __init__(self, kernel: Kernel):
        self.kernel, self.names = kernel, FreshNames(kernel)

    def run(self) -> Kernel:
        return self.kernel.replace(body=exchange_outer_loops(self.kernel.body, self.joined))

    def joined(self, loop: For) -> list[Statement] | None:
        """Rows together, and then those that are left."""
        if not _is_stencil(loop):
            return None
        (along,) = loop.body
        block = Index(self.names.pick(f"{loop.index.name}_rows"))
        blocks = expressions.floor_divide(trip_count(loop), integer(ROWS))
        first = expressions.add(loop.start, expressions.multiply(block, integer(ROWS)))
        inside: list[Statement] = []
        for number in range(ROWS):
            row = substitute(along.body, {loop.index: expressions.add(first, integer(number))})
            inside += Renaming(self.names.of_body(along.body)).body(row)
        together = along.replace(body=tuple(inside))
        rest = expressions.add(loop.start, expressions.multiply(blocks, integer(ROWS)))
        found: list[Statement] = [For(block, tensor.ZERO, blocks, (together,), "serial", 1)]
        known = trips(loop)
        return (
            found if known is not None and known % ROWS == 0 else [*found, loop.replace(start=rest)]
        )


def _is_stencil(loop: For) -> bool:
    """Whether the loop stores rows in lanes, each from several of another array that the next row reads, too."""
    if loop.mark != "serial" or len(loop.body) != 1 or not isinstance(loop.body[0], For):
        return False
    (along,) = loop.body
    known = trips(loop)
    if along.mark != "vector" or known is not None and known < ROWS:
        return False
    if not all(isinstance(s, Let | Store) for s in along.body):
        return False
    if loop.index in along.start.free | along.stop.free:
        return False
    shared = _shared(loop, along)
    if len(shared) < LEAST_SHARED or not independent(loop):
        return False
    terms = postorder([e for s in along.body for e in expressions_of(s)], parts)
    if len(terms) > MOST_TERMS or any(map(is_refusing, terms)):
        return False
    known_ops = [OPS[term.op] for term in terms if isinstance(term, Apply) and term.op in OPS]
    return all(op.cost <= MOST_COST for op in known_ops)


def _shared(loop: For, along: For) -> set[Load]:
    """What a row reads in lanes of what the row before has read."""
    reads = {load for load in loads_of(along.body) if _is_of_row(load, loop, along)}
    following = expressions.add(loop.index, tensor.ONE)
    moved = replace_expressions(tuple(reads), {loop.index: following})
    return {read for read in reads if moved[read] in reads}


def _is_of_row(load: Load, loop: For, along: For) -> bool:
    type = load.buffer.type
    return stride(type, load.indices, along.index) == 1 and bool(
        stride(type, load.indices, loop.index)
    )
