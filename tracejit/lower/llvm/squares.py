"""Squares of elements whose rows become columns in registers."""

from __future__ import annotations

from .builder import Builder, Value


def transposed(b: Builder, rows: list[Value], width: int = 1) -> list[Value]:
    """Vector `k` of the result holds lane `k` of each of the vectors; these are as many as their lanes,
    each of which is `width` numbers.

    Pairs of rows exchange every other lane, then pairs of pairs every other two: Eklundh, A fast
    computer method for matrix transposing (1972).
    """
    count, values, distance = len(rows), list(rows), 1
    while distance < count:
        kept = [lane if not lane & distance else count + lane - distance for lane in range(count)]
        moved = [lane + distance if not lane & distance else count + lane for lane in range(count)]
        kept, moved = [
            [lane * width + k for lane in lanes for k in range(width)] for lanes in (kept, moved)
        ]
        for first in range(count):
            if not first & distance:
                pair = values[first], values[first + distance]
                values[first] = b.shuffle(*pair, kept)
                values[first + distance] = b.shuffle(*pair, moved)
        distance *= 2
    return values
