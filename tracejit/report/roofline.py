"""What the machine's limits allow a kernel at best, and what the model expects of it.

The roof is the least time that arithmetic at the peak, or the kernel's bytes at the bandwidth of the level
that holds them, would take. The model counts instead what the loops do: cycles of a core (`cycles`), and
bytes that come from each level because nearer ones do not keep them (`traffic`). Cores load ahead, so the
larger of the two is the time, with what it takes to begin and end parallel regions.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from ..ir.tensor import For, Kernel, is_shared, statements
from ..lower.pipeline import Options
from ..lower.tensor.cost import expected_trips
from .prices import cycles_of
from .traffic import Touched
from .work import Work, size_of

ARITHMETIC, MEMORY, THREADS = "arithmetic", "memory", "threads"


class Estimate(NamedTuple):
    """Seconds predicted, of which level of memory how many bytes come, and what sets the time; the roof
    and what sets that, None and "" where the machine was not measured."""

    predicted: float
    cycles: float
    moved: dict[str, float]
    limit: str
    roof: float | None
    bound: str


def threads_of(kernel: Kernel, available: int) -> int:
    """How many threads a kernel's widest parallel loop keeps busy."""
    loops = [s for s in statements(kernel.body) if is_shared(s)]
    return max([int(min(expected_trips(loop), available)) for loop in loops], default=1)


def lanes_of(kernel: Kernel) -> tuple[int, ...]:
    """The widths of its vector loops, in order of first appearance."""
    found = [s.lanes for s in statements(kernel.body) if isinstance(s, For) and s.mark == "vector"]
    return tuple(dict.fromkeys(found))


def estimate(
    kernel: Kernel,
    work: Work,
    threads: int,
    options: Options,
    machine: Any,
    program_bytes: int = 0,
) -> Estimate:
    """`machine` is a `runtime.machine.Machine`; `program_bytes` are those of all arrays of the program,
    which the calls of a kernel find in a cache that holds them all."""
    cycles = cycles_of(kernel, options, machine)
    touched = Touched(kernel)
    moved = moved_bytes(touched, threads, machine, program_bytes)
    times = {
        f"{MEMORY}: {level}": count / machine.bytes_per_second(level, threads)
        for level, count in moved.items()
    }
    parts = {ARITHMETIC: cycles / machine.clock / threads, MEMORY: sum(times.values())}
    if threads > 1:
        parts[THREADS] = regions_of(kernel) * machine.fork
    core = max(parts[ARITHMETIC], parts[MEMORY])
    limit = max(parts, key=parts.__getitem__)
    if limit == MEMORY:
        limit = max(times, key=times.__getitem__)
    predicted = core + parts.get(THREADS, 0.0)
    return Estimate(predicted, cycles, moved, limit, *_roof(kernel, work, threads, machine))


def moved_bytes(
    touched: Touched, threads: int, machine: Any, program_bytes: int = 0
) -> dict[str, float]:
    """Bytes that come from each level beyond the first cache, or go there, when the program runs again
    and again: what fits into a cache was left there, and some of what is more than the last one."""
    beyond = []
    everything = max(touched.bytes, program_bytes) / threads
    for level, capacity in machine.caches.items():
        each = capacity if machine.is_private(level) else machine.stays / threads
        missed = machine.missed(level, everything, threads)
        beyond.append(missed * sum(touched.moved_beyond(each).values()) if missed else 0.0)
    levels = [*list(machine.caches)[1:], list(machine.bandwidth)[-1]]
    nearer = [*beyond[1:], 0.0]
    return {level: max(0.0, a - b) for level, a, b in zip(levels, beyond, nearer)}


def regions_of(kernel: Kernel) -> float:
    """How often a run of a kernel begins parallel loops."""

    def count(body: tuple, times: float) -> float:
        total = 0.0
        for statement in body:
            if isinstance(statement, For):
                if statement.mark == "parallel":
                    total += times
                else:
                    total += count(statement.body, times * expected_trips(statement))
        return total

    return count(kernel.body, 1.0)


def _roof(kernel: Kernel, work: Work, threads: int, machine: Any) -> tuple[float | None, str]:
    if work.foreign or not machine.measured:
        return None, ""  # of arithmetic inside foreign code nothing is known
    level = machine.level_of(sum(map(size_of, kernel.parameters)), threads)
    memory = (work.read + work.written) / machine.bytes_per_second(level, threads)
    rates = machine.operations_per_second
    arithmetic = sum(count / rates(dtype, threads) for dtype, count in work.operations.items())
    roof = max(memory, arithmetic)
    bound = ARITHMETIC if arithmetic > memory else f"{MEMORY}: {level}"
    return (roof, bound) if roof else (None, "")
