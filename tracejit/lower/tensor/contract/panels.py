"""Factors of a matrix product, copied so that tiles read them in order.

The right factor becomes panels as wide as a tile, in blocks of the depth: `[block, panel, k, column]`.
The left factor's rows are copied a block at a time, along whichever of its axes is contiguous.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from ....ir import expressions, tensor
from ....ir.expressions import integer
from ....ir.tensor import Buffer, Expression, For, Index, Store
from ....ir.types import array_type
from .problem import Body, Problem
from .tile import ROW, Shape, power_of_two

PANEL, BLOCK, STRIP = map(Index, ("panel", "block", "strip"))
STRIP_ROWS = 64  # of the right factor that a thread copies at a time


class Segment(NamedTuple):
    """Neighbouring panels of one width, from column `start` on."""

    start: int
    panels: int
    width: int

    def column(self, panel: Expression) -> Expression:
        """The first column of a panel."""
        return expressions.add(
            expressions.multiply(panel, integer(self.width)), integer(self.start)
        )


class Blocks(NamedTuple):
    """The depth in blocks of one size but for the last; `BLOCK` is the current one.

    There are as many for each of the `turns` that other contracted labels take.
    """

    depth: int
    size: int
    turns: int = 1
    turn: Expression = tensor.ZERO

    @property
    def count(self) -> int:
        return -(-self.depth // self.size)

    @property
    def total(self) -> int:
        return self.count * self.turns

    def number(self, block: Expression = BLOCK) -> Expression:
        """Which of them all `block` of the current turn is."""
        if self.count == 1:
            return self.turn
        return expressions.add(expressions.multiply(self.turn, integer(self.count)), block)

    @property
    def first(self) -> Expression:
        return expressions.multiply(BLOCK, integer(self.size))

    @property
    def length(self) -> Expression:
        return _at_most(self.size, self.depth, self.first)

    def loop(self, body: Body) -> Body:
        return (For(BLOCK, tensor.ZERO, integer(self.count), body, "serial", 1),)


def blocks_of(problem: Problem, depth: int, most: int) -> Blocks:
    """Blocks of at most `most`, in whole strips if there are several."""
    size = depth
    if depth > most:
        size = -(-depth // -(-depth // most))
        size = -(-size // STRIP_ROWS) * STRIP_ROWS
    return Blocks(depth, size, problem.repeats, problem.turn)


def _at_most(size: int, total: int, first: Expression) -> Expression:
    """How many of `size` items from `first` on there are, of `total`."""
    if total % size == 0:
        return integer(size)
    return expressions.minimum(integer(size), expressions.subtract(integer(total), first))


def pack_panels(
    problem: Problem, blocks: Blocks, segment: Segment, lanes: int, packed: Buffer, threads: bool
) -> Body:
    """Copy the right factor to `packed`."""
    mark = "parallel" if threads else "serial"
    k = Index("k_right")
    base = segment.column(PANEL)

    def element(block: Expression, inside: Expression, at: Expression, column: Expression) -> Body:
        source = problem.factor(problem.right, None, expressions.add(base, column), at)
        return (Store(packed, (block, PANEL, inside, column), source),)

    panels = integer(segment.panels)
    if problem.step(problem.right, problem.columns) != 1:

        def along(column: Expression) -> Body:
            return element(blocks.number(), k, expressions.add(blocks.first, k), column)

        loop = blocks.loop(columns_along(segment.width, k, blocks.length, along))
        loop = problem.loops(problem.sums, loop)
        return (For(PANEL, tensor.ZERO, panels, loop, mark, 1),)
    # Row by row through all panels: memory is read in order, however far apart the rows are.
    strips = -(-blocks.depth // STRIP_ROWS)
    first = expressions.multiply(STRIP, integer(STRIP_ROWS))
    if blocks.count == 1:
        block, inside = blocks.number(), expressions.add(first, k)
    else:
        each = integer(blocks.size // STRIP_ROWS)
        block = blocks.number(expressions.floor_divide(STRIP, each))
        inside = expressions.multiply(expressions.remainder(STRIP, each), integer(STRIP_ROWS))
        inside = expressions.add(inside, k)
    shape = Shape(1, segment.width, lanes)
    copy = shape.each(
        shape.sums(problem.wide),
        lambda row, column, total: element(block, inside, expressions.add(first, k), column),
    )
    copy = (For(PANEL, tensor.ZERO, panels, copy, "serial", 1),)
    count = _at_most(STRIP_ROWS, blocks.depth, first)
    loop = (For(k, tensor.ZERO, count, copy, "serial", 1),)
    if strips > 1 or not problem.sums:
        loop = problem.loops(problem.sums, loop)
        return (For(STRIP, tensor.ZERO, integer(strips), loop, mark, 1),)
    loop = (For(STRIP, tensor.ZERO, tensor.ONE, loop, "serial", 1),)
    (turns,) = problem.loops(problem.sums, loop)
    return (turns.replace(mark=mark),)


def pack_some(
    problem: Problem,
    blocks: Blocks,
    segment: Segment,
    panels: tuple[Expression, Expression],
    lanes: int,
    packed: Buffer,
) -> Body:
    """Copy the current block of a few panels to `packed`, the first of them to its beginning."""
    k = Index("k_right")
    base = segment.column(PANEL)
    place = expressions.subtract(PANEL, panels[0])

    def element(column: Expression) -> Body:
        at = expressions.add(blocks.first, k)
        source = problem.factor(problem.right, None, expressions.add(base, column), at)
        return (Store(packed, (place, k, column), source),)

    if problem.step(problem.right, problem.columns) != 1:
        copy = columns_along(segment.width, k, blocks.length, element)
        return (For(PANEL, *panels, copy, "serial", 1),)
    shape = Shape(1, segment.width, lanes)
    copy = shape.each(shape.sums(problem.wide), lambda row, column, total: element(column))
    copy = (For(PANEL, *panels, copy, "serial", 1),)
    return (For(k, tensor.ZERO, blocks.length, copy, "serial", 1),)


def columns_along(
    width: int, k: Index, count: Expression, element: Callable[[Expression], Body]
) -> Body:
    """Read a few columns at a time, each along the depth; more would share the sets of the cache."""
    strip, copy = Index("columns"), Index("copy")
    full, rest = divmod(width, 8)
    found: Body = ()
    if full:
        column = expressions.add(expressions.multiply(strip, integer(8)), copy)
        inner = For(copy, tensor.ZERO, integer(8), element(column), "unroll", 1)
        steps = For(k, tensor.ZERO, count, (inner,), "serial", 1)
        found += (For(strip, tensor.ZERO, integer(full), (steps,), "serial", 1),)
    if rest:
        column = expressions.add(copy, integer(full * 8))
        inner = For(copy, tensor.ZERO, integer(rest), element(column), "unroll", 1)
        found += (For(k, tensor.ZERO, count, (inner,), "serial", 1),)
    return found


def is_by_row(problem: Problem) -> bool:
    """Whether the left factor is contiguous along the depth."""
    return problem.step(problem.left, problem.depth) == 1


class Tiles(NamedTuple):
    """A copy of the left factor: `rows` at most of each tile, for one block of the depth.

    Where rows are contiguous along the depth they stay so. Else a tile's rows are side by side at each step,
    and its steps follow one another: as rows of all tiles they would share few sets of the cache.
    """

    buffer: Buffer
    rows: int
    by_row: bool

    def place(self, tile: Expression, row: Expression, k: Expression) -> tuple[Expression, ...]:
        """The indices of an element; tiles are counted from the first that is copied."""
        if not self.by_row:
            return (tile, k, row)
        return (expressions.add(expressions.multiply(tile, integer(self.rows)), row), k)


def tiles_of_left(problem: Problem, blocks: Blocks, count: int, rows: int, lanes: int) -> Tiles:
    """Memory for one block of so many tiles of the left factor."""
    by_row = is_by_row(problem)
    # A vector more than needed: rows a power of two apart would share sets of the cache again.
    shape = (count * rows, blocks.size + lanes) if by_row else (count, blocks.size, rows)
    return Tiles(Buffer("left", array_type(shape, problem.wide), "local"), rows, by_row)


def pack_tile_rows(
    problem: Problem,
    blocks: Blocks,
    copy: Tiles,
    top: Expression,
    rows: int,
    tile: Expression,
    lanes: int,
) -> Body:
    """Copy the current block of `rows` rows from `top` on, which are those of `tile`."""
    k = Index("k_left")
    value = problem.factor(
        problem.left, expressions.add(top, ROW), None, expressions.add(blocks.first, k)
    )
    store = Store(copy.buffer, copy.place(tile, ROW, k), value)
    if copy.by_row:
        along = For(k, tensor.ZERO, blocks.length, (store,), "vector", lanes)
        return (For(ROW, tensor.ZERO, integer(rows), (along,), "serial", 1),)
    across = For(ROW, tensor.ZERO, integer(rows), (store,), "vector", power_of_two(rows))
    return (For(k, tensor.ZERO, blocks.length, (across,), "serial", 1),)
