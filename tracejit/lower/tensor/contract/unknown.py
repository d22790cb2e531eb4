"""Products of unknown extents: tiles of known size, as many of them as there turn out to be.

The columns are panels as wide as a tile and, for what is left over, narrow ones of one vector, the
last of which is cut. A block of the depth at a time, panels of the right factor are packed; threads
take chunks of the rows. Registers cannot be stored in part, so tiles that are cut go through a small
buffer. Lanes beyond the last column compute with whatever is there, rows behind the last one with
that once more, and neither is stored.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

from ....ir import expressions, tensor
from ....ir.dims import Dim
from ....ir.expressions import integer
from ....ir.tensor import Allocate, Buffer, Expression, For, If, Index, Load, Store
from ....ir.types import array_type
from .chunks import CHUNK
from .machine import Machine
from .matrix import TILE
from .packing import depth_block
from .panels import BLOCK, PANEL, columns_along, is_by_row
from .problem import Body, Group, Problem
from .tile import LANE, ROW, Factor, Shape, Steps, multiply_tile, power_of_two
from .unfold import copy_windows, whole_windows

Size = int | Dim

TYPICAL_ROWS, TYPICAL_VECTORS = 60, 12  # divisible by all tiles of a few rows and vectors
FEW_ROWS = 16  # for which it does not pay to pack the other factor
MULTIPLY_ADDS, COPIES = 400_000, 50_000  # of 8 bytes: what is worth a chunk
MOST_CHUNKS, MOST_BATCHES = 32, 8  # chunks of batches have memory of their own


class Panels(NamedTuple):
    """Neighbouring panels of one width, and their copy; the last is narrower if they are `cut`."""

    start: Size
    number: Size
    width: int
    is_cut: bool
    packed: Buffer | None

    def column(self, inside: Expression) -> Expression:
        """The column of the product that a column of the current panel is."""
        first = expressions.multiply(PANEL, integer(self.width))
        return expressions.add(expressions.add(first, expressions.extent(self.start)), inside)


class UnknownProduct:
    """The schedule of one problem."""

    def __init__(self, problem: Problem, machine: Machine, unfolds: bool = False):
        self.problem, self.machine = problem, machine
        self.lanes = machine.lanes(problem)
        groups = (problem.rows, problem.columns, problem.depth)
        self.m, self.n, self.k = [group.extent for group in groups]
        # Partial sums need the result's memory; without it the depth is one block.
        most = depth_block(problem)
        is_short = isinstance(self.k, int) and self.k <= most
        self.block: Size = self.k if is_short or not problem.in_place else most
        self.windows: Buffer | None = None
        if unfolds:
            self.block = whole_windows(problem).size
            # Whole vectors, the last of which computes with whatever is there.
            shape = (self.block, _ceiling(self.n, self.lanes) * self.lanes)
            self.windows = Buffer("windows", array_type(shape, problem.wide), "local")
        self.count, self.first, self.length = tensor.ONE, tensor.ZERO, expressions.extent(self.k)
        if self.block != self.k:
            self.count = expressions.maximum(
                expressions.extent(_ceiling(self.k, self.block)), tensor.ONE
            )
            self.first = expressions.multiply(BLOCK, integer(self.block))
            behind = expressions.subtract(self.length, self.first)
            self.length = expressions.minimum(integer(self.block), behind)
        self.height, self.vectors = self.tile(machine)
        self.tiles = self.m // self.height
        is_known = isinstance(self.n, int) and isinstance(self.k, int)
        self.in_panels = problem.panel_width == self.vectors * self.lanes and is_known
        # What is the same for all products is packed before them.
        inside = set(problem.outer) & set(problem.right.labels)
        self.packs_once = bool(problem.outer) and not inside and not self.in_panels and not unfolds
        self.segments = self.panels(self.vectors)
        self.left = self.left_buffer()
        self.threads = True
        # Loops around the rows, inside those over panels, so that a panel is used for all of them.
        self.spread: Callable[[Body], Body] = lambda body: body

    def tile(self, machine: Machine) -> tuple[int, int]:
        """Rows and vectors of a tile: as for a large product where extents are unknown."""
        problem = self.problem
        guesses = (TYPICAL_ROWS, TYPICAL_VECTORS * self.lanes, depth_block(problem))
        rows, columns, depth = [
            Group(group.labels[-1:], (size if isinstance(size, int) else guess,))
            for group, size, guess in zip(
                (problem.rows, problem.columns, problem.depth), (self.m, self.n, self.k), guesses
            )
        ]
        tall, wide = machine.tile(replace(problem, rows=rows, columns=columns, depth=depth))
        if isinstance(self.m, int):
            m = self.m
            tall = min(range(1, tall + 1), key=lambda h: -(-m // h) * (h + 1))
        return tall, wide

    def panels(self, vectors: int) -> list[Panels]:
        """The columns: panels as wide as a tile, and the rest."""
        width = vectors * self.lanes
        count = self.n // width
        start, rest = count * width, self.n - count * width
        found = []
        if count != 0:
            packed = None if self.reads_right_in_place() else self.packed("right", count, width)
            found.append(Panels(0, count, width, False, packed))
        if not isinstance(rest, int):
            packed = self.packed("right_rest", vectors, self.lanes)
            narrow = _ceiling(self.n, self.lanes) - count * vectors
            found.append(Panels(start, narrow, self.lanes, True, packed))
        elif rest:
            in_place = self.reads_right_in_place()
            padded = _ceiling(rest, self.lanes) * self.lanes
            packed = None if in_place else self.packed("right_rest", 1, padded)
            found.append(Panels(start, 1, rest, False, packed))
        return found

    def packed(self, name: str, count: Size, width: int) -> Buffer:
        if self.windows is not None:
            return self.windows
        shape: tuple = (count, self.block, width)
        if self.problem.sums:
            shape = (self.problem.repeats, *shape)
        if self.packs_once:
            shape = (_ceiling(self.k, self.block), *shape)
        return Buffer(name, array_type(shape, self.problem.wide), "local")

    def place(self, segment: Panels, k: Expression, inside: Expression) -> tuple[Expression, ...]:
        """Where an element of the current block and panel is in the copy."""
        if self.windows is not None:
            return (k, segment.column(inside))
        block = (BLOCK,) if self.packs_once else ()
        turn = (self.problem.turn,) if self.problem.sums else ()
        return (*block, *turn, PANEL, k, inside)

    def reads_right_in_place(self) -> bool:
        """Whether rows of the right factor are contiguous, and used few times or always near."""
        problem = self.problem
        right, sizes = problem.right, (self.n, self.k)
        if self.in_panels:
            return True
        if not right.is_memory or problem.step(right, problem.columns) != 1:
            return False
        if isinstance(self.m, int) and self.m <= FEW_ROWS:
            return True
        known = all(isinstance(size, int) for size in sizes)
        return known and self.n * self.k * right.itemsize <= self.machine.near_bytes // 4

    # Loops.

    def body(self) -> Body:
        """The whole product, batches outside: by threads, unless there are few of them."""
        problem = self.problem
        extents = {label: problem.extents[label] for label in problem.outer}
        before: Body = ()
        if self.packs_once:
            copies = For(BLOCK, tensor.ZERO, self.count, self.pack_right(), "serial", 1)
            before = (*self.right_buffers(), copies)
        if all(isinstance(n, int) and n < 4 for n in extents.values()):
            return (*before, *self.buffers(), *problem.loops(problem.outer, self.blocks()))
        widest = next((x for x, n in extents.items() if isinstance(n, Dim)), "")
        widest = widest or max(extents, key=lambda label: extents[label])
        others = problem.outer.replace(widest, "")

        def some(first: Expression, last: Expression) -> Body:
            loop = lambda inner: (
                For(problem.index(widest), first, last, problem.loops(others, inner), "serial", 1),
            )
            self.threads = False
            if self.packs_once and self.left is None:
                self.spread = loop
                found = self.blocks()
            else:
                found = loop(self.blocks())
            self.threads = True
            return self.buffers() + found

        each = [self.m, self.n, self.k, *[extents[label] for label in others]]
        work = self.share(extents[widest], each, MULTIPLY_ADDS, some, MOST_BATCHES)
        return before + work

    def buffers(self) -> Body:
        """Memory for one product."""
        left = () if self.left is None else (Allocate(self.left),)
        return left if self.packs_once else left + self.right_buffers()

    def right_buffers(self) -> Body:
        buffers = dict.fromkeys([segment.packed for segment in self.segments])
        return tuple([Allocate(buffer) for buffer in buffers if buffer is not None])

    def blocks(self) -> Body:
        """One product."""
        steps = self.multiply() if self.packs_once else self.pack_right() + self.multiply()
        return (For(BLOCK, tensor.ZERO, self.count, steps, "serial", 1),)

    def share(
        self,
        count: Size | Expression,
        each: list[Size | Expression],
        worth: int,
        body: Callable[[Expression, Expression], Body],
        most: int = MOST_CHUNKS,
    ) -> Body:
        """`body(first, last)` for chunks of `count` items, by threads if there is work for several.

        An item is as much work as the product of `each`.
        """
        count = _expression(count)
        if not self.threads or count is tensor.ONE:
            return body(tensor.ZERO, count)
        work = count
        for factor in each:
            work = expressions.multiply(work, _expression(factor))
        worth = worth * 8 // (self.problem.wide.itemsize * self.problem.parts)
        chunks = expressions.minimum(expressions.floor_divide(work, integer(worth)), count)
        chunks = expressions.minimum(expressions.maximum(chunks, tensor.ONE), integer(most))
        rounded = expressions.subtract(expressions.add(count, chunks), tensor.ONE)
        size = expressions.floor_divide(rounded, chunks)
        first = expressions.multiply(CHUNK, size)
        last = expressions.minimum(expressions.add(first, size), count)
        return (For(CHUNK, tensor.ZERO, chunks, body(first, last), "parallel", 1),)

    def columns_left(self, segment: Panels) -> Expression:
        """How many columns the current one of panels that are cut has."""
        behind = expressions.subtract(expressions.extent(self.n), segment.column(tensor.ZERO))
        return expressions.minimum(behind, integer(segment.width))

    # The right factor.

    def pack_right(self) -> Body:
        """Copy a block of it, row by row if these are contiguous, else along the depth."""
        problem, k = self.problem, Index("k_right")
        if self.windows is not None:
            return copy_windows(problem, whole_windows(problem), self.windows, self.lanes)
        segments = [segment for segment in self.segments if segment.packed]
        if problem.step(problem.right, problem.columns) == 1:
            rows = tuple([self.pack_row(segment, k) for segment in segments])
            steps = lambda first, last: (For(k, first, last, rows, "serial", 1),)
            found = self.share(self.length, [self.n], COPIES, steps) if segments else ()
        else:
            found = tuple([s for segment in segments for s in self.pack_along(segment, k)])
        return problem.loops(problem.sums, found)

    def copy(self, segment: Panels, k: Expression, inside: Expression) -> Store:
        problem, at = self.problem, expressions.add(self.first, k)
        value = problem.factor(problem.right, None, segment.column(inside), at)
        return Store(segment.packed, self.place(segment, k, inside), value)

    def pack_row(self, segment: Panels, k: Expression) -> For:
        """One row of all panels."""
        if segment.is_cut:
            stop, store = self.columns_left(segment), self.copy(segment, k, LANE)
            copy: Body = (For(LANE, tensor.ZERO, stop, (store,), "vector", self.lanes),)
        else:
            shape = Shape(1, segment.width, self.lanes)
            each = lambda row, column, total: (self.copy(segment, k, column),)
            copy = shape.each(shape.sums(self.problem.wide), each)
        return For(PANEL, tensor.ZERO, expressions.extent(segment.number), copy, "serial", 1)

    def pack_along(self, segment: Panels, k: Index) -> Body:
        """All columns of all panels."""
        if segment.is_cut:
            down = For(k, tensor.ZERO, self.length, (self.copy(segment, k, LANE),), "serial", 1)
            stop = self.columns_left(segment)
            lane = For(LANE, tensor.ZERO, stop, (down,), "serial", 1)
            return (
                For(PANEL, tensor.ZERO, expressions.extent(segment.number), (lane,), "serial", 1),
            )
        store = lambda column: (self.copy(segment, k, column),)
        along = columns_along(segment.width, k, self.length, store)
        steps = lambda first, last: (For(PANEL, first, last, along, "serial", 1),)
        return self.share(segment.number, [self.length, segment.width], COPIES, steps)

    # The left factor.

    def left_buffer(self) -> Buffer | None:
        """Memory for a block of the left factor, where reading it in place would be slow."""
        problem = self.problem
        if problem.left.is_memory and is_by_row(problem):
            return None
        if is_by_row(problem):
            shape: tuple = (self.m, self.block + self.lanes)
        else:
            shape = (_ceiling(self.m, self.height), self.block, self.height)
        return Buffer("left", array_type(shape, problem.wide), "local")

    def pack_left(self, first: Expression, last: Expression) -> Body:
        """Copy the rows of the tiles from `first` to `last`."""
        if self.left is None:
            return ()
        problem, k = self.problem, Index("k_left")
        at, height = expressions.add(self.first, k), integer(self.height)
        if is_by_row(problem):
            store = Store(self.left, (ROW, k), problem.factor(problem.left, ROW, None, at))
            along = For(k, tensor.ZERO, self.length, (store,), "vector", self.lanes)
            stop = expressions.minimum(
                expressions.multiply(last, height), expressions.extent(self.m)
            )
            return (For(ROW, expressions.multiply(first, height), stop, (along,), "serial", 1),)
        top = expressions.multiply(TILE, height)
        value = problem.factor(problem.left, expressions.add(top, ROW), None, at)
        lanes = power_of_two(self.height)

        def copy(rows: Expression, start: Expression, stop: Expression) -> For:
            store = Store(self.left, (TILE, k, ROW), value)
            across = For(ROW, tensor.ZERO, rows, (store,), "vector", lanes)
            steps = For(k, tensor.ZERO, self.length, (across,), "serial", 1)
            return For(TILE, start, stop, (steps,), "serial", 1)

        tiles = expressions.extent(self.tiles)
        full = copy(height, first, expressions.minimum(last, tiles))
        return (
            full,
            *(
                [copy(self.behind, expressions.maximum(first, tiles), last)]
                if self.has_rest
                else []
            ),
        )

    def left_factor(self, top: Expression, is_rest: bool) -> Factor:
        """Elements of the rows from `top` on; behind the last row, where there are none, of that."""
        problem = self.problem

        def element(row: Expression, k: Expression) -> Expression:
            if self.left is not None and not is_by_row(problem):
                return Load(self.left, (TILE, k, row))
            if is_rest and not isinstance(self.m, int):
                row = expressions.minimum(row, expressions.subtract(self.behind, tensor.ONE))
            row = expressions.add(top, row)
            if self.left is not None:
                return Load(self.left, (row, k))
            return problem.factor(problem.left, row, None, expressions.add(self.first, k))

        return element

    # Tiles.

    @property
    def behind(self) -> Expression:
        """How many rows there are from the beginning of the current tile on."""
        top = expressions.multiply(TILE, integer(self.height))
        return expressions.subtract(expressions.extent(self.m), top)

    @property
    def has_rest(self) -> bool:
        """Whether there may be rows beside those in tiles."""
        return not isinstance(self.m, int) or self.m % self.height > 0

    def multiply(self) -> Body:
        """All panels for all rows, by threads."""
        units = _ceiling(self.m, self.height)
        each = [self.height, self.n, self.length]
        return self.share(units, each, MULTIPLY_ADDS, self.some_rows)

    def some_rows(self, first: Expression, last: Expression) -> Body:
        """All panels for the rows of the tiles from `first` to `last`, the last of which may be cut."""
        tiles = expressions.extent(self.tiles)
        top = expressions.multiply(TILE, integer(self.height))
        found = self.pack_left(first, last)
        for segment in self.segments:
            tile = self.cut_tile if segment.is_cut else self.tile_of
            full = tile(segment, top, self.height)
            rows: Body = (For(TILE, first, expressions.minimum(last, tiles), full, "serial", 1),)
            if isinstance(self.m, int) and self.has_rest:
                rest = tile(segment, top, self.m % self.height)
                rows += (For(TILE, expressions.maximum(first, tiles), last, rest, "serial", 1),)
            elif self.has_rest:
                # That some rows are left is what the loop says too, in a form that proofs cannot use.
                rest = self.cut_tile(segment, top, self.height, self.behind)
                rest = (If(expressions.compare("greater", self.behind, tensor.ZERO), rest, ()),)
                rows += (For(TILE, expressions.maximum(first, tiles), last, rest, "serial", 1),)
            stop = expressions.extent(segment.number)
            found += (For(PANEL, tensor.ZERO, stop, self.spread(rows), "serial", 1),)
        return found

    def sums(
        self,
        segment: Panels,
        top: Expression,
        shape: Shape,
        store: Callable[..., Body],
        is_rest: bool = False,
    ) -> Body:
        """Multiply a tile over the block of the depth, and `store` its sums."""
        problem = self.problem

        def right(column: Expression, k: Expression) -> Expression:
            if segment.packed:
                return Load(segment.packed, self.place(segment, k, column))
            at = expressions.add(self.first, k)
            if self.in_panels:
                start = expressions.extent(segment.start // problem.panel_width)
                return problem.in_panel(expressions.add(PANEL, start), column, at)
            return problem.factor(problem.right, None, segment.column(column), at)

        steps = Steps(self.length)
        left = self.left_factor(top, is_rest)
        return multiply_tile(problem, shape, left, right, steps, store, problem.sums)

    def tile_of(self, segment: Panels, top: Expression, rows: int) -> Body:
        """A tile of panels that are not cut."""
        shape = Shape(rows, segment.width, self.lanes)
        at = lambda r, c: self.problem.position(expressions.add(top, r), segment.column(c))
        tile = self.sums(segment, top, shape, lambda r, c, x: self.store(at(r, c), x))
        finish = self.finish(at(ROW, LANE))
        along = For(LANE, tensor.ZERO, integer(segment.width), finish, "vector", self.lanes)
        rows_of = (For(ROW, tensor.ZERO, integer(rows), (along,), "serial", 1),)
        return tile + self.in_last_block(rows_of)

    def cut_tile(
        self, segment: Panels, top: Expression, rows: int, stored: Expression | None = None
    ) -> Body:
        """A tile of which some columns, and all but `stored` rows, may be none of the product's."""
        problem, shape = self.problem, Shape(rows, segment.width, self.lanes)
        edge = Buffer("edge", array_type((rows, segment.width), problem.wide), "local")
        into_edge = lambda r, c, x: (Store(edge, (r, c), x),)
        tile = self.sums(segment, top, shape, into_edge, stored is not None)
        height = integer(rows) if stored is None else stored
        position = problem.position(expressions.add(top, ROW), segment.column(LANE))

        def each(body: Body) -> Body:
            stop = self.columns_left(segment) if segment.is_cut else integer(segment.width)
            lane = For(LANE, tensor.ZERO, stop, body, "vector", self.lanes)
            return (For(ROW, tensor.ZERO, height, (lane,), "serial", 1),)

        copy = each(self.store(position, Load(edge, (ROW, LANE))))
        return (Allocate(edge), *tile, *copy, *self.in_last_block(each(self.finish(position))))

    @property
    def is_one_block(self) -> bool:
        return self.count is tensor.ONE

    def store(self, position: tuple, total: Expression) -> Body:
        """Write the sum over a block, on top of those over the blocks before."""
        problem = self.problem
        if self.is_one_block and problem.finishes_in_registers:
            return problem.finished(position, total)
        if self.is_one_block:
            return (Store(problem.out, position, total),)
        again = expressions.compare("greater", BLOCK, tensor.ZERO)
        joined = problem.join(Load(problem.out, position), total)
        return (Store(problem.out, position, expressions.select(again, joined, total)),)

    def finish(self, position: tuple) -> Body:
        return self.problem.refined(position)

    def in_last_block(self, body: Body) -> Body:
        """What is computed from the product, once its sums are complete."""
        if self.problem.is_bare or self.is_one_block and self.problem.finishes_in_registers:
            return ()
        block = tensor.ZERO if self.is_one_block else BLOCK
        return self.problem.after_last(body, block, self.count)


def _ceiling(size: Size, unit: Size) -> Size:
    return (size + unit - 1) // unit


def _expression(value: Size | Expression) -> Expression:
    return value if isinstance(value, Expression) else expressions.extent(value)
