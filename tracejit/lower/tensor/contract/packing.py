"""Which factors of a matrix product are copied before tiles read them."""

from __future__ import annotations

from math import gcd, prod

from .machine import Machine
from .pairs import Several
from .panels import Segment
from .problem import Problem

FEW_ROWS, FEWEST_PANELS = 192, 3
PAGE_BYTES = 4096  # steps further apart are each in a page of their own
MANY_PACKED = 1 << 16  # elements of panels, that are packed before the strips they are for
L2_WAYS = 16  # of the second-level cache
MANY_USES = 8  # that are worth a copy of what just fits it
SHARED_USES = MANY_USES  # at least, of a right factor that is the same for all strips
DEPTH_BYTES = 2048  # of a column of the right factor, in a block of the depth
EVEN = 0.9  # of the time that threads with panels of their own work, where rows could be shared instead


def depth_block(problem: Problem) -> int:
    """The most steps of the depth in a block."""
    return DEPTH_BYTES // problem.wide.itemsize


class Packing:
    """What is asked of a product in so many tiles of rows, and panels of columns."""

    problem: Problem
    machine: Machine
    spread: str
    lanes: int
    depth: int
    tiles: int
    segments: list[Segment]

    @property
    def panels(self) -> int:
        return sum(segment.panels for segment in self.segments)

    def should_pack_right(self) -> bool:
        problem = self.problem
        right, size = problem.right, problem.right.itemsize
        uses = self.tiles * prod(problem.extents[label] for label in self.spread)
        if problem.shares_right:
            uses = max(uses, SHARED_USES)
        if isinstance(right, Several):
            return True
        if uses < 2:
            return False
        elements = self.depth * problem.repeats * problem.columns.extent
        if not problem.left.is_memory and self.panels > 1:
            return True  # or the left factor would be computed again for each panel
        if not right.is_memory or problem.step(right, problem.columns) != 1:
            return elements > self.lanes * self.lanes
        if right.dtype is not problem.wide and elements > self.lanes * self.lanes:
            return True  # or its elements would be converted again for each tile
        # What stays in the second-level cache comes from there as fast as tiles ask for it, wherever its rows
        # lie; but a row far from the next has the sets of all that is between, up to those of a way.
        own = problem.columns.extent * size
        stride = problem.step(right, problem.depth)
        if stride is not None:
            own = max(own, gcd(stride * size, self.machine.l2_bytes // L2_WAYS))
        taken = self.depth * problem.repeats * own
        if taken <= self.machine.near_bytes:
            return False
        return uses >= (4 if taken > self.machine.l2_bytes else MANY_USES)

    def has_short_rows(self, panels: int) -> bool:
        """Whether the right factor's rows follow one another and are a tile wide, or two: a block of the depth
        is read as it lies."""
        problem, right, width = self.problem, self.problem.right, self.problem.columns.extent
        return (
            panels <= 2
            and len(self.segments) == 1
            and right.is_memory
            and right.dtype is problem.wide
            and problem.step(right, problem.columns) == 1
            and problem.step(right, problem.depth) == width
            and width * right.itemsize % 1024 != 0
        )

    @property
    def packs_for_all(self) -> bool:
        """Whether the panels are those of all strips, and so many that threads pack them."""
        return self.problem.shares_right and self.depth * self.problem.columns.extent >= MANY_PACKED

    @property
    def sums_in_tiles(self) -> bool:
        """Whether loops over labels that are contracted beside the depth are inside of tiles: if all together
        is no more than a block, partial sums need not come and go."""
        problem = self.problem
        if not problem.sums or not problem.in_place:
            return bool(problem.sums)
        return problem.left.is_memory and self.depth * problem.repeats <= depth_block(problem)

    def should_pack_left(self) -> bool:
        problem = self.problem
        if not self.pack_right or self.spread and problem.left.is_memory:
            return False
        if self.sums_in_tiles:
            return False  # every turn has factors of its own
        along = problem.step(problem.left, problem.depth)
        across = problem.step(problem.left, problem.rows)
        if not problem.left.is_memory or along is None or across is None:
            return True
        if problem.left.dtype is not problem.wide and self.panels > 1:
            return True  # or its elements would be converted again for each panel
        if self.tiles < 4:
            return False
        if across == 1:  # the rows of a tile are side by side at each step
            return along * problem.left.itemsize > PAGE_BYTES
        # Rows a power of two apart share sets of the cache; few panels use them too seldom to mind.
        conflicts = across * problem.left.itemsize % 2048 == 0
        return along != 1 or conflicts and self.panels >= FEWEST_PANELS

    def should_go_by_panel(self) -> bool:
        problem = self.problem
        if problem.is_part:
            return False  # the panels are the same for all parts, and packed before them
        if self.panels < 4 or self.sums_in_tiles:
            return False
        if not problem.left.is_memory or problem.step(problem.left, problem.depth) != 1:
            return False
        rows = problem.rows.extent * prod(problem.extents[label] for label in self.spread)
        cores = self.machine.cores
        rounds = -(-self.panels // cores)
        # What is converted is converted once for all panels, where it is packed.
        is_even = problem.left.dtype is problem.wide and self.panels >= EVEN * rounds * cores
        return rows <= FEW_ROWS or is_even
