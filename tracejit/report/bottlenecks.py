"""What sets the time of a program's instructions: its hottest blocks, each with how often it ran and what binds it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from .blocks import Block
from .replay import Replay
from .traces import Trace

# Blocks with so much of all instructions that ran are looked at.
ENOUGH = 0.01
_BODY = re.compile(r"\.body\d+\.")
SHOWN = 4
# From how many times as much on it is told what loads across lines take.
MORE = 1.1


class Hot(NamedTuple):
    """A trace, on how many threads it ran, and what it takes by itself."""

    trace: Trace
    threads: int
    replay: Replay

    @property
    def each(self) -> float:
        """Seconds of a turn."""
        return self.replay.seconds if self.trace.carried else self.replay.apart

    @property
    def seconds(self) -> float:
        return self.trace.turns * self.each / self.threads

    @property
    def crossing(self) -> float:
        """Seconds of a turn whose vectors all cross lines of the cache when they are loaded."""
        return max(self.each, self.replay.crossing)

    @property
    def bound(self) -> str:
        """What sets them."""
        return self.replay.bound_of(self.each)

    @property
    def assembly(self) -> str:
        """The instructions of a turn."""
        return "\n".join(map(str, self.trace.work))

    def to_json(self) -> dict[str, Any]:
        """Seconds of all turns on all threads, and of one turn; what binds it; how many instructions of each class
        it has, and the seconds of each class alone; and of one turn where vectors cross lines of the cache."""
        return {
            "function": self.trace.function,
            "label": self.trace.label,
            "turns": self.trace.turns,
            "threads": self.threads,
            "seconds": self.seconds,
            "turn": self.each,
            "crossing": self.crossing,
            "bound": self.bound,
            "counts": self.replay.counts,
            "alone": self.replay.alone,
            "assembly": self.assembly,
        }

    def text(self, clock: float) -> str:
        """`9.8 cycles for 18 additions, 8 multiply-adds, 8 loads: additions`."""
        found = sorted(self.replay.counts.items(), key=lambda item: -self.replay.alone.get(item[0], 0.0))  # fmt: skip
        listed = ", ".join(f"{number} {kind}" for kind, number in found[:SHOWN])
        alone = self.replay.alone.get(self.bound)
        rest = "" if alone is None else f", {alone * clock:.1f} alone"
        if self.crossing > MORE * self.each:
            rest += f"; {self.crossing * clock:.1f} where its vectors cross lines"
        return f"{self.each * clock:.1f} cycles for {listed}: {self.bound}{rest}"


class Bottlenecks(NamedTuple):
    """The traces of a program that take time; how many parallel regions it begins, and seconds of one;
    cycles per second."""

    name: str
    hot: tuple[Hot, ...]
    regions: int
    region: float
    clock: float

    @property
    def instructions(self) -> float:
        """Seconds that all instructions take when they wait for no memory."""
        return sum(found.seconds for found in self.hot)

    @property
    def seconds(self) -> float:
        """Those, and what beginning and ending parallel loops takes."""
        return self.instructions + self.regions * self.region

    def ordered(self) -> list[Hot]:
        """The blocks, those that take most first."""
        return sorted(self.hot, key=lambda found: -found.seconds)

    def largest(self, count: int) -> list[str]:
        """A line for each of the traces that take most."""
        parts = [(found.seconds / self.instructions, found) for found in self.ordered()[:count]]
        return [
            f"{part:.0%} of its instructions: {found.text(self.clock)}" for part, found in parts
        ]

    def __str__(self) -> str:
        return "\n".join(self.lines())

    def show(self, file: Any = None) -> None:
        """Print."""
        print(self, file=file)

    def to_json(self) -> dict[str, Any]:
        """Everything as dicts, lists, numbers and text."""
        return {
            "name": self.name,
            "seconds": self.seconds,
            "instructions": self.instructions,
            "regions": self.regions,
            "clock": self.clock,
            "blocks": [found.to_json() for found in self.ordered()],
        }

    def lines(self) -> Iterator[str]:
        yield f"{self.name}: instructions take {1e6 * self.instructions:.2f} us with all memory in the nearest cache"
        if self.regions:
            yield f"and {self.regions} parallel loops {1e6 * self.regions * self.region:.2f} us to begin and end"
        for found in self.ordered():
            place = f"{found.trace.function} {found.trace.label}".strip()
            part = found.seconds / self.instructions if self.instructions else 0.0
            yield (
                f"{part:5.0%}  {place}, {found.trace.turns} times on {found.threads} "
                f"thread{'s' * (found.threads != 1)}: {found.text(self.clock)}"
            )


def hottest(found: list[Trace]) -> list[Trace]:
    """The traces that have a part of all instructions that ran which counts."""
    work = [trace.turns * len(trace.work) for trace in found]
    least = max(ENOUGH * sum(work), 1)
    return [trace for trace, own in zip(found, work) if own >= least]


def threads_of(
    blocks: Iterable[Block], counts: Iterable[int], threads: int
) -> tuple[dict[str, int], int]:
    """On how many threads each function runs: bodies of parallel loops on as many as a region has turns; and how many
    regions there are that have several."""
    turns: dict[str, int] = {}
    regions: dict[str, int] = {}
    for block, times in zip(blocks, counts):
        turns.setdefault(block.function, times)
        for instruction in block.instructions:
            if instruction.name.startswith("lea") and "(%rip)" in instruction.operands[0]:
                name = instruction.operands[0].removesuffix("(%rip)").strip('"')
                regions[name] = regions.get(name, 0) + times
    used = {name: 1 for name in turns}
    for name, begun in regions.items():
        if begun and _BODY.search(name) and name in turns:
            used[name] = min(threads, max(turns[name] // begun, 1))
    return used, sum(begun for name, begun in regions.items() if used.get(name, 1) > 1)
