"""Products whose right factor is read at sums of indices, as windows of pictures are: unfolded.

The axes of windows do not lie in memory one after the other, so that neither the columns nor the
depth act as one index while the factor stays where it is, and lines shorter than a tile leave lanes
unused. A copy can have any order: for some columns and a block of the depth at a time the windows
are copied side by side, which makes it the product of two matrices. Every copy is used for all rows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import prod
from typing import NamedTuple

from ....ir import expressions, tensor
from ....ir.expressions import integer
from ....ir.tensor import Allocate, Buffer, Expression, For, Index, Load, Store
from ....ir.types import array_type
from .chunks import WORTHWHILE, chunk_range, chunks_of, even, parallel
from .machine import Machine, seconds
from .matrix import Matrix
from .packing import depth_block
from .panels import BLOCK, PANEL, Blocks, Segment
from .problem import Body, Group, Problem, merged, slowest_first
from .rows import Rows
from .tile import power_of_two

LINES = Index("lines")
MOST_COLUMNS = 256  # of a block: as deep as blocks are, it is half of the second-level cache
FEWEST_ROWS = 16  # that make up for the copy
FEWEST_CHUNKS = 4  # for two threads that take one after the other


def unfold(problem: Problem) -> Problem | None:
    """The same product with longer columns or a longer depth, if a copy of the right factor has them."""
    left, right = problem.left, problem.right
    if not (left.is_memory and right.is_memory and problem.in_place) or problem.is_part:
        return None
    if isinstance(problem.rows.extent, int) and problem.rows.extent < FEWEST_ROWS:
        return None
    across = dict(zip(problem.result, problem.out.type.strides))
    others = "".join([x for x in problem.outer if x not in left.labels])
    contracted = slowest_first(problem.sums + problem.depth.labels, left.strides)
    if not _is_in_order(problem, contracted):
        problem = _with_rows(problem)
        if problem is None:
            return None
        left = problem.left
        contracted = "".join([x for x in left.labels if x in contracted])
    _, columns = merged(others + problem.columns.labels, problem.extents, [left.strides, across])
    while not all(isinstance(problem.extents[label], int) for label in columns[1:]):
        columns = columns[1:]  # an index is not split by unknown extents
    apart, depth = merged(contracted, problem.extents, [left.strides])
    if apart or not depth:
        return None
    if not all(isinstance(problem.extents[label], int) for label in depth[1:]):
        return None
    if not isinstance(problem.extents[depth[0]], int):
        columns = _short(problem, columns)
    if (columns, depth) == (problem.columns.labels, problem.depth.labels):
        return None
    outer = "".join([x for x in problem.outer if x not in columns])
    groups = [Group(x, tuple([problem.extents[label] for label in x])) for x in (columns, depth)]
    return replace(problem, columns=groups[0], depth=groups[1], outer=outer, sums="")


def _is_in_order(problem: Problem, contracted: str) -> bool:
    """Whether neighbours of the left factor along its rows or along the depth are neighbours in memory."""
    along = problem.left.strides.get(contracted[-1:])
    return 1 in (along, problem.step(problem.left, problem.rows))


def _with_rows(problem: Problem) -> Problem | None:
    """The problem with a copy of its left factor, whose rows are read in order."""
    left, contracted = problem.left, problem.sums + problem.depth.labels
    inside = slowest_first(contracted, problem.right.strides)
    rows = problem.rows.labels
    around = "".join([x for x in left.labels if x not in rows + contracted + problem.single])
    if not all(isinstance(problem.extents[x], int) for x in around + rows + inside):
        return None
    return replace(problem, left=Rows(left, rows + around + inside, problem.extents))


def _short(problem: Problem, columns: str) -> str:
    """The fastest labels of the columns, of which a block of windows stays near as a whole."""
    while len(columns) > 1 and prod(problem.extents[x] for x in columns) > MOST_COLUMNS:
        columns = columns[1:]
    return columns


class Chunks(NamedTuple):
    """The columns, so many of the slowest label's indices at a time."""

    group: Group
    each: int

    @property
    def full(self) -> int:
        return self.group.extents[0] // self.each

    @property
    def rest(self) -> int:
        return self.group.extents[0] % self.each

    def part(self, number: Expression, count: int) -> Group:
        """The columns of `count` indices in chunk `number`."""
        line = self.each * prod(self.group.extents[1:])
        start = expressions.multiply(number, integer(line))
        return Group(self.group.labels, (count, *self.group.extents[1:]), start)


def _chunks(columns: Group, lanes: int) -> tuple[str, Chunks]:
    """Labels that stay loops, and chunks of the columns that leave few lanes unused."""
    first = len(columns.labels) - 1
    while first > 0 and prod(columns.extents[first:]) * 2 <= MOST_COLUMNS:
        first -= 1
    group = Group(columns.labels[first:], columns.extents[first:])
    line, count = prod(group.extents[1:]), group.extents[0]
    most = min(count, max(1, MOST_COLUMNS // line))

    def vectors(each: int) -> float:
        full, rest = divmod(count, each)
        found = full * -(-each * line // lanes) + -(-rest * line // lanes)
        return found * (1.1 if rest else 1.0), -each

    each = min(range(-(-most // 3), most + 1), key=vectors)
    return columns.labels[:first], Chunks(group, each)


def multiply_unfolded(problem: Problem, machine: Machine) -> Body:
    """All products: threads take products, chunks of the columns, or of the rows, as there are enough."""
    more, chunks = _chunks(problem.columns, machine.lanes(problem))
    outer = problem.outer + more
    total = seconds(problem)
    level = "none"
    # Threads for any number of products are a later pass's.
    if total >= WORTHWHILE and all(isinstance(problem.extents[label], int) for label in outer):
        level = "rows"
        widest = max(outer, key=lambda label: problem.extents[label], default="")
        if chunks.full >= FEWEST_CHUNKS:
            level = "columns"
        if widest and problem.extents[widest] >= FEWEST_CHUNKS:
            level = "outer"

    def piece(number: Expression, count: int) -> Body:
        part = replace(problem, outer=outer, columns=chunks.part(number, count))
        return Unfolded(part, machine, level == "rows").body()

    before = problem.left.copied(problem) if isinstance(problem.left, Rows) else ()
    body: Body = ()
    if chunks.full == 1:
        body = piece(tensor.ZERO, chunks.each)
    elif chunks.full:
        mark = "parallel" if level == "columns" else "serial"
        body = (For(LINES, tensor.ZERO, integer(chunks.full), piece(LINES, chunks.each), mark, 1),)
    if chunks.rest:
        body += piece(integer(chunks.full), chunks.rest)
    if level != "outer":
        return before + problem.loops(outer, body)
    count = problem.extents[widest]
    number = even(chunks_of(count, total / count, 64), machine.cores, count)
    first, last = chunk_range(count, number)
    inner = problem.loops(outer.replace(widest, ""), body)
    loop = For(problem.index(widest), first, last, inner, "serial", 1)
    return before + parallel(number, (loop,))


class Unfolded(Matrix):
    """The schedule of some of the columns."""

    shares_panels = False  # threads share rows, or products

    def __init__(self, problem: Problem, machine: Machine, threads: bool):
        super().__init__(problem, machine, threads)
        self.blocks = whole_windows(problem)
        self.is_blocked = True
        vectors = -(-problem.columns.extent // self.lanes)
        # An odd number of vectors, so that rows do not share sets of the cache.
        shape = (self.blocks.size, (vectors | 1) * self.lanes)
        self.windows = Buffer("windows", array_type(shape, problem.wide), "local")

    def should_pack_right(self) -> bool:
        return True

    def should_go_by_panel(self) -> bool:
        return False

    def body(self) -> Body:
        packed = dict.fromkeys(self.segments, self.windows)
        if not self.threads:
            work = self.packed_rows(tensor.ZERO, integer(self.tiles), self.tiles, packed)
            return (Allocate(self.windows), *work)
        chunks = min(self.tiles, self.machine.cores)  # each of them copies the windows
        first, last = chunk_range(self.tiles, chunks)
        work = self.packed_rows(first, last, -(-self.tiles // chunks), packed)
        return parallel(chunks, (Allocate(self.windows), *work))

    def packed_factor(self, segment: Segment, packed: Buffer) -> Callable[..., Load]:
        return lambda column, k: Load(packed, (k, expressions.add(segment.column(PANEL), column)))

    def before_block(self) -> Body:
        return copy_windows(self.problem, self.blocks, self.windows, self.lanes)


def whole_windows(problem: Problem) -> Blocks:
    """Blocks of the depth that cut no window: all of its labels but the slowest."""
    count, inner = problem.depth.extents[0], prod(problem.depth.extents[1:])
    most = max(1, depth_block(problem) // inner)
    each = -(-count // -(-count // most)) if isinstance(count, int) else most
    return Blocks(count * inner, each * inner)


def copy_windows(problem: Problem, blocks: Blocks, windows: Buffer, lanes: int) -> Body:
    """Copy the current block of the right factor to `windows[k, column]`, a line at a time."""
    depth, columns = problem.depth, problem.columns
    line, inner = prod(columns.extents[1:]), prod(depth.extents[1:])
    places = problem.others(problem.outer)
    places |= {label: problem.index(label) for label in depth.labels + columns.labels}
    row, column = (_joined(group, places) for group in (depth, columns))
    slowest, first = depth.labels[0], columns.labels[0]
    each = integer(blocks.size // inner)
    total = depth.extents[0]
    behind = expressions.subtract(expressions.extent(total), expressions.multiply(BLOCK, each))
    is_even = isinstance(total, int) and total % each.value == 0
    count = each if is_even else expressions.minimum(each, behind)
    places[slowest] = expressions.add(expressions.multiply(BLOCK, each), places[slowest])
    start = expressions.floor_divide(columns.start, integer(line))
    places[first] = expressions.add(start, places[first])
    body: Body = (Store(windows, (row, column), problem.right.at(places)),)
    *outer, fastest = columns.extents
    if isinstance(fastest, int):
        lanes = min(lanes, power_of_two(fastest))
    stop = expressions.extent(fastest)
    body = (For(problem.index(columns.labels[-1]), tensor.ZERO, stop, body, "vector", lanes),)
    loops = [*zip(depth.labels[1:], depth.extents[1:]), *zip(columns.labels, outer)]
    for label, extent in reversed(loops):
        body = (
            For(problem.index(label), tensor.ZERO, expressions.extent(extent), body, "serial", 1),
        )
    return (For(problem.index(slowest), tensor.ZERO, count, body, "serial", 1),)


def _joined(group: Group, places: dict[str, Expression]) -> Expression:
    """The one index of a group, from its beginning on."""
    found = places[group.labels[0]]
    for label, extent in zip(group.labels[1:], group.extents[1:]):
        found = expressions.add(expressions.multiply(found, integer(extent)), places[label])
    return found
