"""The pool of threads, simulated: how long the parallel regions of a schedule take on any number of cores.

A region's turns are cut into a segment for each thread; a thread begins with its own and then helps with the
others, claiming turns one by one (runtime/native/threads.ll). What is assumed of machines with more cores than
this one: each core computes as fast as this one's do alone; of what cores share, every level of memory gives
all of them together no more than `Shared` says; a region takes longer to end with every thread, as all leave
by the same word.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from ..ir.tensor import For, Kernel, Literal, Statement
from ..lower.pipeline import Options
from ..lower.tensor.substitute import substitute
from ..lower.tensor.turns import value_at
from .prices import cycles_of

# Turns of a region beyond which not the cost of each is computed.
MOST_TURNS = 64
LEAVE_SECONDS = 50e-9  # of each thread after the second


class Region(NamedTuple):
    """A parallel loop, as a kernel runs it: how often, and the cycles of each of its turns."""

    times: float
    turns: tuple[float, ...]


class Part(NamedTuple):
    """A kernel in numbers of one run on one thread: seconds of what is not in a region, of each turn of each
    region, and bytes of memory that all cores share, by level, for each second of the whole run."""

    name: str
    seconds: float
    serial: float
    regions: tuple[Region, ...]
    bytes: dict[str, float]


class Shared(NamedTuple):
    """Bytes per second of a level of memory for one core, and for all together at most."""

    one: float
    every: float


def part_of(
    name: str, kernel: Kernel, seconds: float, shared_bytes: dict[str, float], options: Options, machine: object,
) -> Part:  # fmt: skip
    """A kernel that took so many seconds on one thread: these are shared out as the model's cycles are."""
    regions = _regions(kernel, kernel.body, 1.0, options, machine)
    inside = sum(region.times * sum(region.turns) for region in regions)
    whole = max(cycles_of(kernel, options, machine), inside, 1.0)
    each = seconds / whole
    scaled = [Region(r.times, tuple([turn * each for turn in r.turns])) for r in regions]
    return Part(name, seconds, seconds - inside * each, tuple(scaled), shared_bytes)


def _regions(
    kernel: Kernel, body: Iterable[Statement], times: float, options: Options, machine: object
) -> list[Region]:
    found = []
    for statement in body:
        if not isinstance(statement, For):
            continue
        start, stop = value_at(statement.start, {}), value_at(statement.stop, {})
        count = 0 if start is None or stop is None else max(stop - start, 0)
        if statement.mark != "parallel":
            middle = Literal((start or 0) + count // 2, statement.index.dtype)
            body = (
                substitute(statement.body, {statement.index: middle}) if count else statement.body
            )
            found += _regions(kernel, body, times * max(count, 1), options, machine)
        elif count:
            found.append(Region(times, _turns(kernel, statement, start, count, options, machine)))
    return found


def _turns(
    kernel: Kernel, loop: For, start: int, count: int, options: Options, machine: object
) -> tuple[float, ...]:
    """Cycles of every turn; of many the nearest that is computed."""
    computed = min(count, MOST_TURNS)
    places = [start + (2 * k + 1) * count // (2 * computed) for k in range(computed)]
    costs = []
    for place in places:
        body = substitute(loop.body, {loop.index: Literal(place, loop.index.dtype)})
        costs.append(cycles_of(kernel.replace(body=body), options, machine))
    return tuple([costs[k * computed // count] for k in range(count)])


def run(parts: Sequence[Part], threads: int, shared: dict[str, Shared], fork: float) -> float:
    """Seconds of a program on so many threads."""
    return sum(run_part(part, threads, shared, fork) for part in parts)


def run_part(part: Part, threads: int, shared: dict[str, Shared], fork: float) -> float:
    """Seconds of a kernel: its serial rest, and its regions, none faster than shared memory allows."""
    total = part.serial
    for region in part.regions:
        used = min(threads, len(region.turns))
        slower = max([1.0, *[_crowding(part, level, used, s) for level, s in shared.items()]])
        seconds = region_seconds(region.turns, used, slower)
        total += region.times * (seconds + (fork_seconds(used, fork) if used > 1 else 0.0))
    return total


def _crowding(part: Part, level: str, threads: int, shared: Shared) -> float:
    """How many times as long turns take because so many threads together want more than there is."""
    wanted = part.bytes.get(level, 0.0) / max(part.seconds, 1e-12) * threads
    return wanted / min(threads * shared.one, max(shared.every, shared.one))


def fork_seconds(threads: int, fork: float) -> float:
    """What beginning and ending a region takes; `fork` for two threads."""
    return fork + LEAVE_SECONDS * (threads - 2)


def region_seconds(turns: Sequence[float], threads: int, slower: float = 1.0) -> float:
    """From when threads begin to claim turns until the last ends, as the pool hands them out."""
    count = len(turns)
    following = [segment * count // threads for segment in range(threads)]
    ends = [(segment + 1) * count // threads for segment in range(threads)]
    free = [(0.0, thread, thread) for thread in range(threads)]
    heapq.heapify(free)
    last = 0.0
    while free:
        now, thread, segment = heapq.heappop(free)
        steps = 0
        while steps < threads and following[segment] >= ends[segment]:
            segment, steps = (segment + 1) % threads, steps + 1
        if steps == threads:
            last = max(last, now)
            continue
        turn = following[segment]
        following[segment] += 1
        heapq.heappush(free, (now + turns[turn] * slower, thread, segment))
    return last
