"""What schedules know of the machine: a record that is handed down with the options.

The defaults are a server's core of today. What the system tells (caches, cores) replaces them always,
what was measured only where it is known: then the same program compiles to the same loops before and
after. Decisions about the order of sums depend on neither, so results do not.
"""

from __future__ import annotations

from typing import NamedTuple


class Machine(NamedTuple):
    """Bytes of vector registers and caches (`l2_bytes` and nearer of a core, `l3_bytes` shared), rates
    of one core, and what a parallel region costs.

    `multiply_adds` are per second, of 8 bytes; `memory_bytes` are read or written per second;
    `fork_seconds` is from the beginning of an empty region to its end;
    `store_price` is how many times as dear a value is to store as caches say, for `tune=` to try;
    `dots`: four bytes are multiplied with four others, and added up, in one instruction.
    """

    vector_bytes: int = 32
    cores: int = 2
    l1_bytes: int = 32 << 10
    l2_bytes: int = 1 << 20
    l3_bytes: int = 32 << 20
    multiply_adds: float = 25e9
    memory_bytes: float = 12e9
    fork_seconds: float = 2e-6
    store_price: float = 1.0
    dots: bool = False

    @property
    def registers(self) -> int:
        """Vector registers: 64-byte ones come in 32, others in 16."""
        return 32 if self.vector_bytes == 64 else 16

    @property
    def near_bytes(self) -> int:
        """What is meant to stay in a core's own cache while other data streams through it."""
        return self.l2_bytes // 2

    @property
    def stream_bytes(self) -> int:
        """Outputs of so many bytes and more do not stay in any cache until they are read."""
        return self.l3_bytes * 3 // 4

    @property
    def far_bytes(self) -> int:
        """More than this is not found in the last cache again, as others use it, too."""
        return self.l3_bytes // 4

    def byte_cycles(self, size: float) -> float:
        """Cycles of reading or writing a byte of an array of so many, by where it fits."""
        return 1 / 32 if size <= self.l2_bytes else 1 / 16 if size <= self.far_bytes else 1 / 8

    @property
    def region_seconds(self) -> float:
        """What a parallel region costs: others hear of it, and one waits for the last of them."""
        return max(self.fork_seconds, LEAST_FORK)

    @property
    def worthwhile_seconds(self) -> float:
        """The least work that threads are worth."""
        return WORTHWHILE * self.region_seconds


# Times what a parallel region costs: two threads take then 0.7 of the time of one, and as long as one where the
# model takes work for two to three times as long as it is.
WORTHWHILE = 5.0
LEAST_FORK = 1e-6  # with the last chunk, for which others wait, however fast an empty region is
USUAL = Machine()
WIDE = Machine(vector_bytes=64)
# Where threads are as cheap as they can be: what is shorter than worth while there is so everywhere.
QUICKEST = Machine(fork_seconds=0.0)
