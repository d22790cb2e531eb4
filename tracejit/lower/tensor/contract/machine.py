"""What schedules of contractions assume about the core they run on."""

from __future__ import annotations

from dataclasses import dataclass

from .problem import Problem

L1_BYTES = 32 * 1024
L2_BYTES = 512 * 1024
MULTIPLY_ADDS_PER_SECOND = 25e9  # of 8 bytes, on one core
BYTES_PER_SECOND = 12e9  # from memory, by one core
WORTHWHILE = 30e-6  # shorter work is not worth waking a thread
CHUNK = 15e-6


@dataclass(frozen=True)
class Machine:
    """The vector registers: their width in bytes; 64-byte ones come in 32, others in 16."""

    vector_bytes: int

    @property
    def registers(self) -> int:
        return 32 if self.vector_bytes == 64 else 16

    def lanes(self, problem: Problem) -> int:
        """Lanes of one register in the accumulator's dtype."""
        return max(1, self.vector_bytes // problem.wide.real.itemsize)

    def tile(self, problem: Problem) -> tuple[int, int]:
        """Rows and vectors of the tile that spends the fewest cycles on the whole product."""
        rows, columns, lanes = problem.rows.extent, problem.columns.extent, self.lanes(problem)
        vectors = -(-columns // lanes)
        budget = self.registers // problem.parts - 1
        best, least = (1, 1), float("inf")
        for wide in (4, 3, 2, 1, 6, 5, 8):
            # One register holds the broadcast element, `wide` hold the other factor.
            tall = min((budget - wide) // wide, rows)
            if tall < 1 or wide > max(vectors, 1):
                continue
            tiles = -(-rows // tall)
            high = -(-rows // tiles)
            full, rest = divmod(vectors, wide)
            cost = tiles * (full * _step(high, wide) + (_step(high, rest) if rest else 0))
            if cost < least:
                best, least = (high, wide), cost
        return best


def _step(rows: int, vectors: int) -> float:
    """Cycles of one step of the contracted index: arithmetic, loads, latency, the loop itself."""
    return max(rows * vectors, rows + vectors, 4) + 0.5


def seconds(problem: Problem) -> float:
    """A guess at one core's time for all of the contraction."""
    size = problem.wide.itemsize * problem.parts
    arithmetic = problem.batches * problem.work * size / 8 / MULTIPLY_ADDS_PER_SECOND
    depth = problem.depth.extent * problem.repeats
    m, n = problem.rows.extent, problem.columns.extent
    elements = m * n + m * depth + n * depth
    return max(arithmetic, problem.batches * elements * size / BYTES_PER_SECOND)
