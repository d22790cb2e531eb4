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

    def wants(self, name: str) -> bool:
        return self.only.lower() in name.lower()


def array_cases(
    section: str,
    programs: Iterable[Program],
    settings: Settings,
    levels: Mapping[str, int] = LEVELS,
) -> Iterator[Case]:
    """The cases of `programs`; arrays are made when a case's turn comes and dropped after it."""
    levels = dict(list(levels.items())[:2]) if settings.quick else levels
    for program in programs:
        if not settings.wants(program.name):
            continue
        for dtype in DTYPES:
            for level, size in levels.items():
                generator = np.random.default_rng(0)
                elements = size // np.dtype(dtype).itemsize
                arguments = program.inputs(elements, np.dtype(dtype), generator)
                made, missing = peers.variants(program, arguments, settings.subjects)
                written = _bytes(program.function(*arguments))
                yield Case(
                    section,
                    program.name,
                    level,
                    dtype,
                    made,
                    level=level,
                    bytes=_bytes(arguments) + written,
                    written=written,
                    tolerance=TOLERANCE[dtype],
                    missing=missing,
                )


def _bytes(values: Any) -> int:
    if isinstance(values, tuple):
        return sum(map(_bytes, values))
    return values.nbytes if isinstance(values, np.ndarray) else 0
