"""What the machine's limits allow a kernel at best, and what the cost model expects of it."""

from __future__ import annotations

from typing import Any, NamedTuple

from ..ir.tensor import For, Kernel, statements
from ..lower.tensor.cost import body_cost, expected_trips, seconds
from .work import Work, size_of

# The part of the roof that contractions are expected to reach.
OF_TILES = 0.7


class Estimate(NamedTuple):
    """Seconds predicted; the roof and what sets it, "" and None where the machine is not known."""

    predicted: float
    roof: float | None
    bound: str


def threads_of(kernel: Kernel, available: int) -> int:
    """How many threads a kernel's widest parallel loop keeps busy."""
    loops = [s for s in statements(kernel.body) if isinstance(s, For) and s.mark == "parallel"]
    return max([min(expected_trips(loop), available) for loop in loops], default=1)


def lanes_of(kernel: Kernel) -> tuple[int, ...]:
    """The widths of its vector loops, in order of first appearance."""
    found = [s.lanes for s in statements(kernel.body) if isinstance(s, For) and s.mark == "vector"]
    return tuple(dict.fromkeys(found))


def estimate(
    kernel: Kernel,
    work: Work,
    threads: int,
    vector_bytes: int,
    machine: Any = None,
    contracts: bool = False,
) -> Estimate:
    """`machine` is a `runtime.machine.Machine`, or None to do without.

    The cost model knows nothing of registers that are used again and again; of what `contracts` the
    tiles are made to reach the roof, so it decides.
    """
    cost = seconds(body_cost(kernel.body, frozenset(), None, 1, vector_bytes)) / threads
    if machine is None:
        return Estimate(cost, None, "")
    level = machine.level_of(sum(map(size_of, kernel.parameters)), threads)
    memory = (work.read + work.written) / machine.bytes_per_second(level, threads)
    if work.foreign:
        # Of arithmetic inside foreign code only the cost model knows something.
        return Estimate(max(cost, memory), None, "")
    rates = machine.operations_per_second
    arithmetic = sum(count / rates(dtype, threads) for dtype, count in work.operations.items())
    roof = max(memory, arithmetic)
    bound = "arithmetic" if arithmetic > memory else f"memory: {level}"
    predicted = roof / OF_TILES if contracts and roof else max(cost, memory)
    return Estimate(predicted, roof or None, bound if roof else "")
