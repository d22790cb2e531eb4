"""What schedules of contractions assume about the core they run on."""

from __future__ import annotations

from ... import machine
from .problem import Problem
from .symmetric import computed_part, is_symmetric

WAYS = 8  # of the first-level cache: rows a power of two apart share one set
# The same on all machines, as they decide in how many parts sums are cut.
MULTIPLY_ADDS_PER_SECOND = machine.USUAL.multiply_adds
BYTES_PER_SECOND = machine.USUAL.memory_bytes


class Machine(machine.Machine):
    """The machine, and the tiles that its registers hold."""

    __slots__ = ()

    def lanes(self, problem: Problem) -> int:
        """Lanes of one register in the accumulator's dtype."""
        return max(1, self.vector_bytes // problem.wide.real.itemsize)

    def tile(self, problem: Problem, shares: int = 1) -> tuple[int, int]:
        """Rows and vectors of the tile that spends the fewest cycles on the whole product.

        Panels as wide as a tile are for so many threads to share.
        """
        rows, columns, lanes = problem.rows.extent, problem.columns.extent, self.lanes(problem)
        vectors = -(-columns // lanes)
        budget = self.registers * 9 // 10 // problem.parts  # or the next loads would not find room
        depth = max(1, problem.depth.extent * problem.repeats)
        across = problem.step(problem.left, problem.rows)
        conflicts = across is not None and across * problem.left.itemsize % 2048 == 0
        best, least = (1, 1), float("inf")
        given = problem.panel_width // lanes
        is_halved = is_symmetric(problem)
        widths = range(1, min(vectors, budget // 2) + 1)
        for wide in [given] if given in widths else widths:
            # Of these `wide` hold the other factor.
            for tall in range(1, min(budget // wide - 1, rows) + 1):
                cost = _cycles(rows, tall, vectors, wide, columns % (wide * lanes) > 0, depth)
                if conflicts and tall > WAYS:
                    cost *= 1.5
                panels = -(-vectors // wide)
                if is_halved:
                    cost *= computed_part(panels)
                if panels >= shares > 1:
                    cost *= max(1.0, -(-panels // shares) * wide * shares / vectors)
                if cost < least:
                    best, least = (tall, wide), cost
        return best


def _cycles(rows: int, tall: int, vectors: int, wide: int, is_ragged: bool, depth: int) -> float:
    """Cycles for one step of the depth over all tiles, and a little for every kind of tile."""
    tiles, rest = -(-rows // tall), rows % tall
    high = rows / tiles
    full, narrow = divmod(vectors, wide)
    cycles = tiles * (full * _step(high, wide, depth) + (narrow and _step(high, narrow, depth)))
    kinds = (2 if rest and tiles > 1 else 1) * (2 if is_ragged and full else 1)
    return cycles * (1 + 0.0005 * kinds * tall * wide)


def _step(rows: float, vectors: int, depth: int) -> float:
    """Cycles of one step in a tile: arithmetic, loads or latency; and its share of start and end.

    A cycle is a multiply-add. The right factor's vectors come from the second-level cache, which
    gives one in the time of five.
    """
    loads = 0.15 * (rows + vectors)
    return max(rows * vectors, 5 * vectors, 4) + loads + (20 + 1.5 * rows * vectors) / depth


def seconds(problem: Problem) -> float:
    """A guess at one core's time for all of the contraction."""
    size = problem.wide.itemsize * problem.parts
    arithmetic = problem.batches * problem.work * size / 8 / MULTIPLY_ADDS_PER_SECOND
    depth = problem.depth.extent * problem.repeats
    m, n = problem.rows.extent, problem.columns.extent
    elements = m * n + m * depth + n * depth
    return max(arithmetic, problem.batches * elements * size / BYTES_PER_SECOND)
