"""What this machine can do at most: bandwidth at each level of memory, multiply-adds per second, fresh pages.

The loops and how they are timed are tracejit.runtime.probes, which tracejit.runtime.machine uses for less long.
Memory may be twice as fast in one minute as in the next. A row is therefore held against a probe of its own
(`bench.probes`), which runs in turns with it; what is measured here is for the head of the report.
"""

import mmap
import time
from dataclasses import asdict, dataclass, field

import numpy as np

from tracejit.runtime.machine import last_cache
from tracejit.runtime.probes import Effort, Kernels

from .peers import THREADS

EFFORT = Effort(tries=50, block_seconds=0.003)
PAGES = 256 * 1024 * 1024


# Bytes per array: the working set of two to five such arrays lies in that level of today's machines. One array
# alone is twice as large as the last cache, so that nothing of it is left there at the next call.
LEVELS = {"L2": 128 << 10, "L3": 4 << 20, "DRAM": max(64 << 20, 2 * last_cache())}
# The first two levels belong to a core, the others are shared by all.
PRIVATE = {"L1": 8 << 10, "L2": LEVELS["L2"]}
SHARED = {level: LEVELS[level] for level in ("L3", "DRAM")}


@dataclass
class Limits:
    """Bytes per second by level ("DRAM, streaming": stores that bypass the cache; "DRAM, copy": so does `z = x`)
    and flops per second by dtype, each for one thread and for all; bytes per second of first writes to fresh
    pages by page size."""

    threads: int
    bandwidth: dict[str, tuple[float, float]] = field(default_factory=dict)
    flops: dict[str, tuple[float, float]] = field(default_factory=dict)
    fresh_pages: dict[str, float] = field(default_factory=dict)

    def to_json(self) -> dict:
        return asdict(self)


def measure_limits() -> Limits:
    """Measure this machine; takes a few seconds."""
    kernels = Kernels()
    limits = Limits(THREADS)
    for level, size in PRIVATE.items():
        limits.bandwidth[level] = tuple(
            EFFORT.bandwidth(kernels.triad, [size] * count) for count in (1, THREADS)
        )
    for level, size in SHARED.items():
        limits.bandwidth[level] = tuple(
            EFFORT.bandwidth(kernels.triad, [size // count] * count) for count in (1, THREADS)
        )
    for kind, kernel, arrays in (("streaming", kernels.streaming, 3), ("copy", kernels.copy, 2)):
        limits.bandwidth[f"DRAM, {kind}"] = tuple(
            EFFORT.bandwidth(kernel, [SHARED["DRAM"] // count] * count, arrays)
            for count in (1, THREADS)
        )
    for dtype, lanes in kernels.lanes.items():
        fused = kernels.operations["multiply_add", dtype]
        limits.flops[dtype] = tuple(
            2 * lanes * EFFORT.vectors(fused, count) for count in (1, THREADS)
        )
    limits.fresh_pages = _fresh_pages()
    return limits


def _fresh_pages() -> dict[str, float]:
    """Bytes per second of writing memory for the first time, with small pages and, where there are any, huge ones."""
    advice = {"small": "MADV_NOHUGEPAGE", "huge": "MADV_HUGEPAGE"}
    rates = {}
    for name, constant in advice.items():
        if not hasattr(mmap, constant):
            continue
        best = float("inf")
        for _ in range(3):
            with mmap.mmap(-1, PAGES, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as pages:
                try:
                    pages.madvise(getattr(mmap, constant))
                except OSError:
                    break
                view = np.frombuffer(pages, np.uint8)
                start = time.perf_counter()
                view[:] = 1
                best = min(best, time.perf_counter() - start)
                del view
        if best < float("inf"):
            rates[name] = PAGES / best
    return rates
