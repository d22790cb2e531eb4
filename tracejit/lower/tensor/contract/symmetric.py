"""Products of a matrix and its own transpose: one half is multiplied, the other is its mirror image.

Tiles that lie above the diagonal as a whole are left out. When all others are done, each square of
elements below the diagonal is copied to its place above, rows to columns in registers, and what is
computed from the product is computed where both are near.
"""

from __future__ import annotations

from ....ir import expressions, tensor
from ....ir.expressions import integer
from ....ir.tensor import Expression, For, Index, Load, Store
from .chunks import CHUNK, parallel
from .problem import Body, Problem

SHORTEST = 48  # depth, of which half the products take longer than the mirror
CHUNKS = 8  # of strips, for threads
STRIP, SQUARE, TURN, ROW, COLUMN = map(Index, ("strip", "square", "turn", "row", "column"))


def is_symmetric(problem: Problem) -> bool:
    """Whether the factors are the same matrix, one of them transposed, and it pays to know."""
    rows, columns, depth = problem.rows, problem.columns, problem.depth
    extents = (rows.extent, columns.extent, depth.extent, problem.repeats)
    if not all(isinstance(n, int) for n in extents) or rows.extent != columns.extent:
        return False
    if depth.extent * problem.repeats < SHORTEST or problem.is_part or not problem.in_place:
        return False
    if problem.wide.real.itemsize not in (4, 8) or problem.padded:
        return False
    left = problem.factor(problem.left, ROW, None, COLUMN)
    return left is problem.factor(problem.right, None, ROW, COLUMN)


def computed_part(panels: int) -> float:
    """How much of the product the tiles are that touch the lower half, in so many panels."""
    return (panels + 1) / (2 * panels)


def panels_below(
    start: int, width: int, top: Expression, rows: int, stop: Expression
) -> Expression:
    """The end of those panels from column `start` on, before `stop`, that these rows reach."""
    reach = expressions.add(top, integer(rows - 1 - start + width))
    return expressions.minimum(stop, expressions.floor_divide(reach, integer(width)))


def mirrored(problem: Problem, side: int, threads: bool) -> Body:
    """Complete the result from its lower half, in squares of `side` elements."""
    extent = problem.rows.extent
    count, rest = divmod(extent, side)
    first, other = [expressions.multiply(at, integer(side)) for at in (STRIP, SQUARE)]
    row, column = expressions.add(first, ROW), expressions.add(other, COLUMN)
    # Lanes are along what is written.
    lines = For(COLUMN, tensor.ZERO, integer(side), (_copy(problem, row, column),), "unroll", 1)
    square = For(ROW, tensor.ZERO, integer(side), (lines,), "vector", side)
    both = (square, *_both(problem, first, other, side))
    pairs = For(SQUARE, tensor.ZERO, STRIP, both, "serial", 1)
    on_it = _copy(problem, row, expressions.add(first, COLUMN))
    along = For(COLUMN, tensor.ZERO, ROW, (on_it,), "serial", 1)
    triangle = For(ROW, tensor.ZERO, integer(side), (along,), "serial", 1)
    strip = (pairs, triangle, *_finished(problem, first, first, side, side, side))
    found: Body = ()
    if count:
        found = _strips(strip, count, threads)
    if rest:
        end = integer(extent - rest)
        along = For(COLUMN, tensor.ZERO, ROW, (_copy(problem, ROW, COLUMN),), "serial", 1)
        found += (
            For(ROW, end, integer(extent), (along,), "serial", 1),
            *_finished(problem, end, tensor.ZERO, rest, extent, side),
            *_finished(problem, tensor.ZERO, end, extent - rest, rest, side),
        )
    return found


def _strips(body: Body, count: int, threads: bool) -> Body:
    """All strips of squares; of threads each takes long and short ones."""
    if not threads or count < 2 * CHUNKS:
        return (For(STRIP, tensor.ZERO, integer(count), body, "serial", 1),)
    turns = expressions.floor_divide(
        expressions.subtract(integer(count + CHUNKS - 1), CHUNK), integer(CHUNKS)
    )
    strip = expressions.add(expressions.multiply(TURN, integer(CHUNKS)), CHUNK)
    one = For(STRIP, strip, expressions.add(strip, tensor.ONE), body, "serial", 1)
    return parallel(CHUNKS, (For(TURN, tensor.ZERO, turns, (one,), "serial", 1),))


def _copy(problem: Problem, row: Expression, column: Expression) -> Store:
    value = Load(problem.out, problem.position(row, column))
    return Store(problem.out, problem.position(column, row), value)


def _both(problem: Problem, first: Expression, other: Expression, side: int) -> Body:
    """What is computed from a square, and from its image."""
    found = _finished(problem, first, other, side, side, side)
    return found and found + _finished(problem, other, first, side, side, side)


def _finished(
    problem: Problem, top: Expression, left: Expression, rows: int, columns: int, lanes: int
) -> Body:
    """What is computed from a block of the product, in its place."""
    if problem.is_bare:
        return ()
    position = problem.position(expressions.add(top, ROW), expressions.add(left, COLUMN))
    along = For(COLUMN, tensor.ZERO, integer(columns), problem.refined(position), "vector", lanes)
    return (For(ROW, tensor.ZERO, integer(rows), (along,), "serial", 1),)
