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
    return min(count, max(4, min(most, int(count * seconds_each / CHUNK_SECONDS))))


def even(chunks: int, cores: int, count: int) -> int:
    """As many chunks or a few more of `count` items, so that all cores have as many of them."""
    return min(count, -(-chunks // cores) * cores)


def evenest(most: int, cores: int, count: int) -> int:
    """The most chunks of `count` items, up to `most`, that leave hardly a core waiting in the end."""

    def longest(chunks: int) -> int:
        ends = [0] * cores
        borders = [number * count // chunks for number in range(chunks + 1)]
        for first, last in zip(borders, borders[1:]):
            ends[ends.index(min(ends))] += last - first
        return max(ends)

    found, least = {}, -(-count // cores)
    for chunks in range(most, min(cores, most) - 1, -1):
        found[chunks] = longest(chunks)
        if found[chunks] <= 1.03 * least:
            return chunks
    return max([chunks for chunks, end in found.items() if end <= 1.03 * min(found.values())])


def even_size(count: int, cores: int, most: int) -> int:
    """The most of `count` items for a chunk, up to `most`, that leave hardly a core waiting in the end."""
    longest = [-(-count // (size * cores)) * size for size in range(1, most + 1)]
    fits = [size for size, each in enumerate(longest, 1) if each <= 1.03 * min(longest)]
    return max(fits)


def chunk_range(
    count: int, chunks: int, chunk: Expression = CHUNK
) -> tuple[Expression, Expression]:
    """The first and the last item, exclusively, of a chunk.

    Neighbouring chunks have the same number of items, but for one: so do threads, whichever chunks
    they take.
    """
    if count % chunks == 0:
        size = integer(count // chunks)
        first = expressions.multiply(chunk, size)
        return first, expressions.add(first, size)

    def border(number: Expression) -> Expression:
        return expressions.floor_divide(
            expressions.multiply(number, integer(count)), integer(chunks)
        )

    return border(chunk), border(expressions.add(chunk, tensor.ONE))


def one_by_one(chunks: int, body: Body) -> Body:
    """The chunks SHARE of one thread, which may be inside of a loop over CHUNK."""
    return (For(SHARE, tensor.ZERO, integer(chunks), body, "serial", 1),)


def parallel(chunks: int, body: Body) -> Body:
    return (For(CHUNK, tensor.ZERO, integer(chunks), body, "parallel", 1),)
