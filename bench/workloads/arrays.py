"""Turns array programs into cases: each at three sizes, each in float32 and float64."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import peers
from ..harness import Case
from ..limits import LEVELS
from ..program import TOLERANCE, Program

DTYPES = ("float32", "float64")


@dataclass(frozen=True)
class Settings:
    """What the command line chose."""

    subjects: tuple[str, ...] = peers.SUBJECTS
    quick: bool = False
    only: str = ""  # cases whose name holds this text
    threads: tuple[int, ...] = (0,)  # of array programs; 0 is all
    levels: tuple[
        str, ...
    ] = ()  # of array programs; () is all, or the caches when it must be quick

    def wants(self, name: str) -> bool:
        return self.only.lower() in name.lower()


def array_cases(
    section: str,
    programs: Iterable[Program],
    settings: Settings,
    levels: Mapping[str, int] = LEVELS,
) -> Iterator[Case]:
    """The cases of `programs`; arrays are made when a case's turn comes and dropped after it."""
    chosen = settings.levels or tuple(levels)[: 2 if settings.quick else None]
    levels = {level: size for level, size in levels.items() if level in chosen}
    for program in programs:
        if not settings.wants(program.name):
            continue
        for dtype in DTYPES:
            for level, size in levels.items():
                generator = np.random.default_rng(0)
                elements = size // np.dtype(dtype).itemsize
                arguments = program.inputs(elements, np.dtype(dtype), generator)
                made, missing = peers.variants(program, arguments, settings.subjects)
                results = _bytes(program.function(*arguments))
                moved = _bytes(arguments) + results
                for threads in settings.threads:
                    chosen, without = peers.limited(made, missing, threads)
                    yield Case(
                        section,
                        program.name,
                        f"{level} 1 thread" if threads == 1 else level,
                        dtype,
                        chosen,
                        level=level,
                        bytes=sum(moved),
                        written=sum(results),
                        largest=max(moved, default=0),
                        sweeps=program.sweeps,
                        picked=arguments if program.picks else (),
                        threads=threads,
                        tolerance=TOLERANCE[dtype],
                        missing=without,
                    )


def _bytes(values: Any) -> list[int]:
    """Of each array."""
    if isinstance(values, tuple):
        return [size for value in values for size in _bytes(value)]
    return [values.nbytes] if isinstance(values, np.ndarray) else []
