"""Ranges of work that threads take one after the other."""

from __future__ import annotations

from ....ir import expressions, tensor
from ....ir.expressions import integer
from ....ir.tensor import Expression, For, Index
from .problem import Body

CHUNK, SHARE = Index("chunk"), Index("share")
CHUNK_SECONDS = 15e-6
WORTHWHILE = 30e-6  # shorter work is not worth waking a thread


def chunks_of(count: int, seconds_each: float, most: int = 32) -> int:
    """How many chunks to split `count` items into, for threads that take a chunk at a time."""
    wanted = max(4, min(most, int(count * seconds_each / CHUNK_SECONDS)))
    size = -(-count // wanted)
    return -(-count // size)


def chunk_range(
    count: int, chunks: int, chunk: Expression = CHUNK
) -> tuple[Expression, Expression]:
    """The first and the last item, exclusively, of a chunk."""
    size = -(-count // chunks)
    first = expressions.multiply(chunk, integer(size))
    last = expressions.add(first, integer(size))
    return first, last if count % size == 0 else expressions.minimum(last, integer(count))


def one_by_one(chunks: int, body: Body) -> Body:
    """The chunks SHARE of one thread, which may be inside of a loop over CHUNK."""
    return (For(SHARE, tensor.ZERO, integer(chunks), body, "serial", 1),)


def parallel(chunks: int, body: Body) -> Body:
    return (For(CHUNK, tensor.ZERO, integer(chunks), body, "parallel", 1),)
