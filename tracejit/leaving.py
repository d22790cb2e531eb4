"""Calls that NumPy runs, as they compute with what no program does: dates, text, objects, masked arrays.

Such a call runs the function itself, which is right by definition. `TRACEJIT_DEBUG=1` says so, and
`explain`, `trace` and `lower` say why; with `jit(fallback="error")` the call says it too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from .dump import say
from .errors import TracejitError

# Beyond so many kinds of calls what is known of them is forgotten.
MOST_KINDS = 256
# Calls that look the same and so often raised an error of the function's while it was traced are not
# traced any more.
MOST_RAISED = 2


class Leaving:
    """The kinds of calls of one jitted function that are left to NumPy."""

    def __init__(self, name: str, allowed: bool):
        self._name, self._allowed = name, allowed
        self._kinds: set[Any] = set()
        self._raised: Counter[Any] = Counter()

    def takes(self, structure: Any, leaves: Sequence[Any], looks: Any) -> bool:
        """Whether a call is like one that was left to NumPy; `looks`: what it looks like, if that is known."""
        if self._raised and looks is not None and self._raised[looks] >= MOST_RAISED:
            return True
        return bool(self._kinds) and _kinds_of(structure, leaves) in self._kinds

    def note_raised(self, looks: Any) -> None:
        """A call raised an error of the function's while it was traced, and NumPy runs it."""
        if len(self._raised) >= MOST_KINDS:
            self._raised.clear()
        if looks is not None:
            self._raised[looks] += 1

    def note(self, structure: Any, leaves: Sequence[Any], error: TracejitError) -> None:
        """Leave calls like this one to NumPy; raises the error if it is about something else."""
        if not (self._allowed and error.is_about_kinds):
            raise error
        if len(self._kinds) >= MOST_KINDS:
            self._kinds.clear()
        self._kinds.add(_kinds_of(structure, leaves))
        say(1, lambda: f"tracejit: {self._name} runs in NumPy: {error.message}")


def _kinds_of(structure: Any, leaves: Sequence[Any]) -> Any:
    return structure, tuple([_kind_of(leaf) for leaf in leaves])


def _kind_of(leaf: Any) -> Any:
    if isinstance(leaf, np.ndarray | np.generic):
        return type(leaf), leaf.dtype
    return (type(leaf), leaf) if type(leaf) in (str, int, bool) else type(leaf)
