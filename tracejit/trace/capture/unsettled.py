"""Why a loop's body is not traced once for all iterations, and what is done instead.

The loop peels an iteration, takes several of them as one, or runs them all as Python makes them.
"""

from __future__ import annotations

import math
from typing import Any

from .state import is_array


class Unsettled(Exception):
    """The body cannot be traced once for all iterations; `why`, in words.

    `can_peel`: it may be possible from the second iteration on.
    """

    def __init__(self, why: str, can_peel: bool = True):
        super().__init__(why)
        self.why, self.can_peel = why, can_peel
        self.regrow: BaseException | None = None  # what makes a list of the loop one that grows


class Plain(Unsettled):
    """What the body computes depends on nothing but the index: Python can run it."""

    def __init__(self) -> None:
        super().__init__("it is plain Python", can_peel=False)


class Rotated(Exception):
    """Names exchange the arrays they are bound to, which come back after `period` iterations."""

    def __init__(self, period: int):
        super().__init__(period)
        self.period = period


def place_of(value: Any) -> Any:
    """Where an array is in memory; of other values nothing is known."""
    return (value.storage, value.steps) if is_array(value) else id(value)


def rotation(moved: dict[Any, Any]) -> Exception:
    """What is to be done about names that are bound to other arrays after an iteration."""
    if {*moved} != {*moved.values()}:
        return Unsettled("a name is bound to other memory in the first iteration than in the next")
    period = 1
    for first, place in moved.items():
        length = 1
        while place != first:
            length, place = length + 1, moved[place]
        period = math.lcm(period, length)
    return Rotated(period)
