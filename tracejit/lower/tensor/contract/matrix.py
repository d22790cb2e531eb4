"""Matrix products: tiles in registers, blocks in caches, factors packed where that pays.

The right factor is packed as a whole, panel by panel (a panel is as wide as a tile), when it
outgrows the cache, is read across its rows, or has rows a power of two apart, which all fall into
few sets of the caches. Then threads take blocks of rows: for each block of the depth they pack
their rows of the left factor if need be, and run through the panels, as many at a time as the
second-level cache holds.

Where there are few rows, a panel is used too seldom to be worth a place in memory: threads take
panels, and pack a block of them just before they multiply with it.

Some of the loops around a product may be `spread` over its rows: those of labels that the right factor
does not have, as the lines and pictures of a convolution. They run inside the loops over blocks and
panels, as if they were rows, so that a panel is packed once and used for all of them.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from math import prod

from ....ir import expressions, tensor
from ....ir.expressions import integer
from ....ir.tensor import Allocate, Buffer, Expression, For, Index, Load, Store
from ....ir.types import array_type
from .chunks import (
    CHUNK,
    SHARE,
    chunk_range,
    chunks_of,
    even,
    even_size,
    evenest,
    one_by_one,
    parallel,
)
from .lines import lines_for
from .machine import Machine, seconds
from .packing import Packing, depth_block
from .pairs import starts_of
from .panels import (
    PANEL,
    Segment,
    Tiles,
    blocks_of,
    pack_panels,
    pack_some,
    pack_tile_rows,
    tiles_of_left,
)
from .problem import Body, Problem
from .symmetric import is_symmetric, mirrored, panels_below
from .tile import LANE, ROW, Shape, Steps, multiply_tile

TILE, GROUP = Index("tile"), Index("group")
PACKED_BYTES = 128 << 20  # of the right factor at a time
ROWS = 96  # in a thread's block of rows, when the panels are packed
MOST_PANELS, CHUNKS = 8, 2  # that a thread packs at a time; and how often it does, at least


class Matrix(Packing):
    """The schedule of one problem."""

    shares_panels = True  # between threads, where there are enough of them

    def __init__(self, problem: Problem, machine: Machine, threads: bool, spread: str = ""):
        self.problem, self.machine, self.spread = problem, machine, spread
        self.lanes = machine.lanes(problem)
        self.depth, self.base = problem.depth.extent, tensor.ZERO
        self.store: Callable[[Expression, Expression, Expression], Body] = problem.store
        m, n = problem.rows.extent, problem.columns.extent
        # Small tiles sum in an order of their own, which no number of cores must change.
        shares = machine.cores if threads and m >= 8 and self.shares_panels else 1
        tall, wide = machine.tile(problem, shares)
        self.tiles = -(-m // tall)
        self.height, self.taller = divmod(m, self.tiles)
        width = wide * self.lanes
        full, rest = divmod(n, width)
        self.segments = [Segment(0, full, width)] if full else []
        if rest:
            self.segments.append(Segment(full * width, 1, rest))
        # Whether the right factor lies in memory as it would be packed, or as well.
        self.in_panels = width == problem.panel_width
        self.pack_right = self.in_panels or self.should_pack_right()
        self.in_panels = self.in_panels or self.pack_right and self.has_short_rows(full)
        self.pack_left = self.should_pack_left()
        self.by_panel = self.pack_right and self.should_go_by_panel()
        self.is_blocked = self.pack_right and problem.in_place and not self.sums_in_tiles
        most = depth_block(problem) if self.is_blocked else self.depth
        self.blocks = blocks_of(problem, self.depth, most)
        self.threads = threads
        # Whether tiles above the diagonal are left out.
        self.is_halved = self.panels > 1 and self.tiles > 1 and is_symmetric(problem)
        if self.is_halved:
            self.store = lambda r, c, value: (Store(problem.out, problem.position(r, c), value),)
        self.range_of: dict[str, tuple[Expression, Expression]] = {}

    # Loops.

    def body(self) -> Body:
        found = starts_of(self.problem, self.lanes, self.threads)
        if self.by_panel:
            found += self.panel_blocks()
        else:
            for segments, panels in self.phases():
                found += self.phase(segments, panels)
        if self.is_halved:
            side = self.machine.vector_bytes // self.problem.wide.itemsize
            found += mirrored(self.problem, side, self.threads)
        return found

    def phases(self) -> list[tuple[list[Segment], int]]:
        """Columns that are packed at once: all of them, unless that would be too much memory."""
        if not self.pack_right or self.in_panels:
            return [(self.segments, 0)]
        item = self.problem.wide.itemsize
        depth = self.depth * self.problem.repeats
        most = max(1, PACKED_BYTES // (depth * self.segments[0].width * item))
        first = self.segments[0]
        if first.panels <= most:
            return [(self.segments, 0)]
        found = []
        for panel in range(0, first.panels, most):
            count = min(most, first.panels - panel)
            start = first.start + panel * first.width
            found.append(([Segment(start, count, first.width)], panel))
        return [*found, *[([segment], 0) for segment in self.segments[1:]]]

    def phase(self, segments: list[Segment], number: int) -> Body:
        if not self.pack_right:
            return self.row_blocks(segments, {})
        if self.in_panels:
            return self.row_blocks(segments, dict.fromkeys(segments))
        found: Body = ()
        packed: dict[Segment, Buffer] = {}
        for position, segment in enumerate(segments):
            place = (self.blocks.total, segment.panels)
            buffer = self.panels_buffer(f"right{number}_{position}", place, segment)
            packed[segment] = buffer
            threads = self.threads or self.packs_for_all
            copy = pack_panels(self.problem, self.blocks, segment, self.lanes, buffer, threads)
            found += (Allocate(buffer), *copy)
        return found + self.row_blocks(segments, packed)

    def row_blocks(self, segments: list[Segment], packed: dict[Segment, Buffer]) -> Body:
        """Blocks of rows, by threads if the work is worth it."""
        tiles = self.tiles
        if self.spread:
            return self.spread_rows(packed)
        if not self.threads or self.problem.is_part or tiles == 1 and packed:
            return self.some_rows(tensor.ZERO, integer(tiles), tiles, segments, packed)
        each = seconds(self.problem) / self.problem.batches
        panels = segments[0].panels
        if not packed and tiles < 4 <= panels:
            chunks = even(chunks_of(panels, each / panels), self.machine.cores, panels)
            main, rest = segments[:1], segments[1:]
            work = self.rows(tensor.ZERO, integer(tiles), main, chunk_range(panels, chunks))
            return parallel(chunks, work) + self.rows(tensor.ZERO, integer(tiles), rest)
        if packed:
            # Each block of rows streams the panels through its cache, so there are few.
            chunks = max(6, -(-self.problem.rows.extent // ROWS)) * (1 + self.is_halved)
        else:
            chunks = chunks_of(tiles, each / tiles)
        chunks = evenest(even(chunks, self.machine.cores, tiles), self.machine.cores, tiles)
        # The longest rows first, where they differ.
        chunk = expressions.subtract(integer(chunks - 1), CHUNK) if self.is_halved else CHUNK
        first, last = chunk_range(tiles, chunks, chunk)
        size = -(-tiles // chunks)
        return parallel(chunks, self.some_rows(first, last, size, segments, packed))

    def spread_rows(self, packed: dict[Segment, Buffer]) -> Body:
        """All rows, with those that they are spread over: by threads, or as many as stay in cache."""
        problem, tiles = self.problem, integer(self.tiles)
        widest = max(self.spread, key=lambda label: problem.extents[label])
        count = problem.extents[widest]
        lines = prod(problem.extents[label] for label in self.spread) // count
        near = lines * problem.rows.extent * (self.blocks.size + problem.columns.extent)
        chunks = min(count, -(-count * near * problem.wide.itemsize // self.machine.near_bytes))
        if self.threads:
            chunks = max(chunks, chunks_of(count, seconds(problem) / problem.batches * lines, 64))
        chunks = even(chunks, self.machine.cores, count)
        first, last = chunk_range(count, chunks, CHUNK if self.threads else SHARE)
        self.range_of = {widest: (first, last)}
        self.problem, lines = lines_for(
            problem, widest, first, -(-count // chunks), "", self.machine
        )
        work = lines + self.packed_rows(tensor.ZERO, tiles, self.tiles, packed)
        if self.threads:
            return parallel(chunks, work)
        return one_by_one(chunks, work)

    def spread_over(self, body: Body) -> Body:
        """`body` for each of the loops that are spread over the rows."""
        for label in reversed(self.spread):
            stop = integer(self.problem.extents[label])
            start, stop = self.range_of.get(label, (tensor.ZERO, stop))
            body = (For(self.problem.index(label), start, stop, body, "serial", 1),)
        return body

    def some_rows(
        self,
        first: Expression,
        last: Expression,
        most: int,
        segments: list[Segment],
        packed: dict[Segment, Buffer | None],
    ) -> Body:
        if packed:
            return self.packed_rows(first, last, most, packed)
        return self.rows(first, last, segments)

    def rows(
        self,
        first: Expression,
        last: Expression,
        segments: list[Segment],
        panels: tuple[Expression, Expression] | None = None,
    ) -> Body:
        """Panels for the row tiles from `first` to `last`, with both factors where they are."""
        found: Body = ()
        for segment in segments:
            start, stop = panels or (tensor.ZERO, integer(segment.panels))
            found += self.row_tiles(
                first, last, lambda *tile, s=segment: self.tile(*tile, s), segment, start, stop
            )
        return found

    def packed_rows(
        self, first: Expression, last: Expression, most: int, packed: dict[Segment, Buffer | None]
    ) -> Body:
        """All packed panels for the row tiles from `first` to `last`, at most `most` of them."""
        problem, blocks = self.problem, self.blocks
        found = self.before_block()
        left: Tiles | None = None
        number = expressions.subtract(TILE, first)  # of a tile in the copy of the left factor
        own: Body = ()  # copies of what each index of the loops spread over the rows has
        if self.pack_left:
            rows = self.height + bool(self.taller)
            left = tiles_of_left(problem, blocks, most, rows, self.lanes)
            copy = partial(pack_tile_rows, problem, blocks, left, tile=number, lanes=self.lanes)
            copied = self.row_tiles(first, last, copy)
            found += (Allocate(left.buffer),)
            if self.spread:
                own = copied
            else:
                found += copied
        for segment, buffer in packed.items():
            bytes_each = blocks.size * segment.width * problem.wide.itemsize
            group = min(segment.panels, max(1, self.machine.near_bytes // bytes_each))
            groups = -(-segment.panels // group)
            start = expressions.multiply(GROUP, integer(group))
            stop = expressions.add(start, integer(group))
            if segment.panels % group:
                stop = expressions.minimum(stop, integer(segment.panels))
            factor = self.packed_factor(segment, buffer)
            tile = partial(self.packed_tile, segment, factor, left, number)
            tiles = self.row_tiles(first, last, tile, segment, start, stop)
            inner = self.spread_over((*own, *tiles))
            found += (For(GROUP, tensor.ZERO, integer(groups), inner, "serial", 1),)
        found = blocks.loop(found)
        return problem.loops(problem.sums, found) if self.is_blocked else found

    def panel_blocks(self) -> Body:
        """Panels by threads, as many at a time as are near, packed where they are used."""
        problem, panels, cores = self.problem, self.panels, self.machine.cores
        bytes_each = self.blocks.size * self.segments[0].width * problem.wide.itemsize
        near = max(1, self.machine.near_bytes // bytes_each)
        # Longer stretches of memory than that of one panel, and enough of them for threads to share.
        size = even_size(panels, cores, min(near, MOST_PANELS, max(1, panels // (CHUNKS * cores))))
        chunks = -(-panels // size)
        first = expressions.multiply(CHUNK if self.threads else SHARE, integer(size))
        last = expressions.add(first, integer(size))
        if panels % size:
            last = expressions.minimum(last, integer(panels))
        work: Body = ()
        before = 0
        for position, segment in enumerate(self.segments):
            start, stop = (expressions.subtract(bound, integer(before)) for bound in (first, last))
            if before:
                start = expressions.maximum(start, tensor.ZERO)
            if before + segment.panels < panels:
                stop = expressions.minimum(stop, integer(segment.panels))
            copy: Body = ()
            if self.in_panels:
                factor = self.packed_factor(segment, None)
            else:
                most = (min(size, segment.panels),)
                buffer = self.panels_buffer(f"right{position}", most, segment)
                place = expressions.subtract(PANEL, start)
                factor = lambda column, k, b=buffer, panel=place: Load(b, (panel, k, column))
                panels_of = (start, stop)
                copy = pack_some(problem, self.blocks, segment, panels_of, self.lanes, buffer)
                work += (Allocate(buffer),)
            tile = partial(self.packed_tile, segment, factor, None, tensor.ZERO)
            tiles = self.row_tiles(tensor.ZERO, integer(self.tiles), tile, segment, start, stop)
            inner = self.blocks.loop((*copy, *self.spread_over(tiles)))
            work += problem.loops(problem.sums, inner) if self.is_blocked else inner
            before += segment.panels
        if self.threads:
            return parallel(chunks, work)
        return one_by_one(chunks, work)

    def panels_buffer(self, name: str, panels: tuple[int, ...], segment: Segment) -> Buffer:
        """Memory for packed panels of a segment, whole vectors wide."""
        width = -(-segment.width // self.lanes) * self.lanes
        return Buffer(
            name, array_type((*panels, self.blocks.size, width), self.problem.wide), "local"
        )

    def packed_factor(self, segment: Segment, packed: Buffer | None) -> Callable[..., Expression]:
        """The elements of the current panel in the current block."""
        if packed is None and not self.problem.panel_width:
            return lambda column, k: self.problem.factor(
                self.problem.right,
                None,
                expressions.add(segment.column(PANEL), column),
                expressions.add(self.blocks.first, k),
            )
        if packed is None:
            panel = expressions.add(PANEL, integer(segment.start // self.problem.panel_width))
            return lambda column, k: self.problem.in_panel(
                panel, column, expressions.add(self.blocks.first, k)
            )
        return lambda column, k: Load(packed, (self.blocks.number(), PANEL, k, column))

    def before_block(self) -> Body:
        """What is copied at the beginning of each block of the depth, but for the left factor."""
        return ()

    def row_tiles(
        self,
        first: Expression,
        last: Expression,
        body: Callable[[Expression, int], Body],
        segment: Segment | None = None,
        first_panel: Expression = tensor.ZERO,
        last_panel: Expression = tensor.ONE,
    ) -> Body:
        """`body(top, rows)` for the tiles from `first` to `last`, and for some panels of a segment."""

        def loop(start: Expression, stop: Expression, top: Expression, rows: int) -> For:
            inner = body(top, rows)
            if segment:
                end = last_panel
                if self.is_halved:
                    end = panels_below(segment.start, segment.width, top, rows, end)
                inner = (For(PANEL, first_panel, end, inner, "serial", 1),)
            return For(TILE, start, stop, inner, "serial", 1)

        top = expressions.multiply(TILE, integer(self.height))
        if not self.taller:
            return (loop(first, last, top, self.height),)
        # The first `taller` tiles have a row more.
        border, high = integer(self.taller), self.height + 1
        return (
            loop(
                first,
                expressions.minimum(last, border),
                expressions.multiply(TILE, integer(high)),
                high,
            ),
            loop(
                expressions.maximum(first, border), last, expressions.add(top, border), self.height
            ),
        )

    # Tiles.

    def tile(self, top: Expression, rows: int, segment: Segment) -> Body:
        """A tile that reads both factors where they are."""
        problem = self.problem
        base = segment.column(PANEL)
        shape = Shape(rows, segment.width, self.lanes)
        store, end = self.store, ()
        if store == problem.store and not problem.finishes_in_registers:
            store = lambda r, c, value: (Store(problem.out, problem.position(r, c), value),)
            end = problem.after_last(self.finish_tile(shape, top, base), tensor.ZERO, tensor.ONE)
        tile = multiply_tile(
            problem,
            shape,
            lambda row, k: problem.factor(
                problem.left, expressions.add(top, row), None, expressions.add(self.base, k)
            ),
            lambda column, k: problem.factor(
                problem.right, None, expressions.add(base, column), expressions.add(self.base, k)
            ),
            self.steps(shape),
            lambda r, c, value: store(expressions.add(top, r), expressions.add(base, c), value),
            problem.sums,
            base=base,
        )
        return tile + end

    def steps(self, shape: Shape) -> Steps:
        """All of a short loop in line; a few steps, with sums of their own, where a tile is small."""
        work, depth = shape.rows * shape.vectors * self.problem.parts**2, self.depth
        if depth * work <= 128:
            return Steps(integer(depth), depth)
        copies = 8 // work
        if copies > 1 and depth >= 4 * copies and self.problem.repeats == 1:
            return Steps(integer(depth), copies, True)
        return Steps(integer(depth))

    def packed_tile(
        self,
        segment: Segment,
        right: Callable[[Expression, Expression], Expression],
        left: Tiles | None,
        number: Expression,
        top: Expression,
        rows: int,
    ) -> Body:
        """A tile that reads panels, and the left factor where it is or from its copy."""
        problem = self.problem
        shape = Shape(rows, segment.width, self.lanes)
        base = segment.column(PANEL)

        def left_factor(row: Expression, k: Expression) -> Expression:
            if left is None:
                k = expressions.add(self.blocks.first, k)
                return problem.factor(problem.left, expressions.add(top, row), None, k)
            return Load(left.buffer, left.place(number, row, k))

        def at(row: Expression, column: Expression) -> tuple[Expression, ...]:
            return problem.position(expressions.add(top, row), expressions.add(base, column))

        resume, store, end = None, problem.finished, ()
        block, total = self.blocks.number(), self.blocks.total if self.is_blocked else 1
        if total > 1:
            again = expressions.compare("greater", block, tensor.ZERO)
            resume = (again, lambda r, c: Load(problem.out, at(r, c)))
        is_apart = total > 1 and not problem.is_bare or not problem.finishes_in_registers
        if is_apart or self.is_halved:
            store = lambda position, value: (Store(problem.out, position, value),)
        if is_apart and not self.is_halved:
            last = block if total > 1 else tensor.ZERO
            end = problem.after_last(self.finish_tile(shape, top, base), last, integer(total))
        return (
            multiply_tile(
                problem,
                shape,
                left_factor,
                right,
                Steps(self.blocks.length),
                lambda r, c, value: store(at(r, c), value),
                "" if self.is_blocked else problem.sums,
                resume,
                base,
            )
            + end
        )

    def finish_tile(self, shape: Shape, top: Expression, base: Expression) -> Body:
        """What is computed from the product, where the sums of a tile are complete and stored."""
        problem = self.problem
        position = problem.position(expressions.add(top, ROW), expressions.add(base, LANE))
        refined = problem.refined(position)
        along = For(LANE, tensor.ZERO, integer(shape.columns), refined, "vector", self.lanes)
        return (For(ROW, tensor.ZERO, integer(shape.rows), (along,), "serial", 1),)
