"""What is told of each compile, to whoever listens: tests that count them, reports of a test run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple


class Compile(NamedTuple):
    """One compile: of which function, for which arguments, why, in how many seconds; and the calls of
    Python in the program, each with its line."""

    name: str
    signature: str
    why: str
    seconds: float
    python_calls: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.name}{self.signature}: {self.why}"


# Called with each Compile.
listeners: list[Callable[[Compile], None]] = []


@contextmanager
def compiles() -> Iterator[list[Compile]]:
    """The compiles of all threads while the block runs, in a list that grows."""
    found: list[Compile] = []
    listeners.append(found.append)
    try:
        yield found
    finally:
        listeners.remove(found.append)
