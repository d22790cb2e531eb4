"""Which intermediate arrays are in memory while each kernel runs, and where in the workspace."""

from __future__ import annotations

from typing import NamedTuple

from ..ir.tensor import Allocate, Call, Kernel
from ..lower.tensor.arena import layout
from ..lower.tensor.kept import KEPT
from .work import size_of


class Life(NamedTuple):
    """An intermediate array: from the first call that touches it to the last, counted from 1.

    `offset` is its place in the workspace; None where that is not known before the program runs.
    """

    name: str
    type: str
    bytes: int
    first: int
    last: int
    offset: int | None


class Memory(NamedTuple):
    """`live` are the bytes alive while each call runs, `peak` the most of them, `workspace` what the
    program asks for, kernels' own buffers included; 0 where sizes are not known."""

    lives: tuple[Life, ...]
    live: tuple[int, ...]
    peak: int
    workspace: int


def timeline(entry: Kernel, threads: int = 0) -> Memory:
    """The life of each intermediate array of the entry."""
    calls = [statement for statement in entry.body if isinstance(statement, Call)]
    places = layout(entry, threads)
    lives = []
    for statement in entry.body:
        if isinstance(statement, Allocate) and statement.buffer.space != KEPT:
            buffer = statement.buffer
            uses = [k for k, made in enumerate(calls, 1) if buffer in made.buffers]
            if not uses:
                continue
            place = places.places.get((entry, buffer))
            offset = place[0] if place is not None and isinstance(place[0], int) else None
            size = size_of(buffer)
            lives.append(Life(buffer.name, str(buffer.type), size, uses[0], uses[-1], offset))
    live = [
        sum(life.bytes for life in lives if life.first <= k <= life.last)
        for k in range(1, len(calls) + 1)
    ]
    workspace = places.workspace_bytes if isinstance(places.workspace_bytes, int) else 0
    return Memory(tuple(lives), tuple(live), max(live, default=0), workspace)
