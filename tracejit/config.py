"""Every TRACEJIT_* variable: one typed table, read once at import, each also a context manager."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

# How far results may be from NumPy's: `jit` says more.
NUMERICS = ("strict", "default", "fast")


def _size(text: str) -> int:
    """A byte count such as ``1000``, ``64K``, ``512M`` or ``2G``."""
    units = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
    suffix = text[-1:].upper()
    return int(text[:-1]) * units[suffix] if suffix in units else int(text)


def _flag(text: str) -> bool:
    return text.strip().lower() not in ("", "0", "no", "off", "false")


def _numerics(text: str) -> str:
    if text not in NUMERICS:
        raise ValueError(f"numerics must be 'strict', 'default' or 'fast', not {text!r}")
    return text


class Variable(NamedTuple):
    """One knob: how its text is read, what it is when unset, what it means."""

    parse: Any
    default: Any
    meaning: str


VARIABLES = {
    "debug": Variable(int, 0, "1: a line per compile ... 6: the Module after each pass, as a diff"),
    "verify": Variable(int, 1, "0: never, 1: before and after lowering, 2: after every pass"),
    "dump": Variable(str, "", "a directory; every stage is written there as text"),
    "reference": Variable(_flag, False, "run every Module with NumPy instead of native code"),
    "cache": Variable(
        str, "", "directory of what is kept on disk, or 'off'; empty: the user's cache"
    ),
    "keep": Variable(_flag, True, "is machine code of programs kept on disk for later processes?"),
    "threads": Variable(int, 0, "threads of parallel loops; 0: as many as the process may use"),
    "pool": Variable(_size, -1, "idle bytes the buffer pool may keep; -1: chosen from the memory"),
    "huge_pages": Variable(
        _flag, True, "may results and workspaces of 2 MiB and more lie in huge pages?"
    ),
    "cache_size": Variable(int, 128, "signatures a jitted function keeps before the oldest goes"),
    "unroll": Variable(int, 4, "loops of so many iterations, or fewer, are unrolled"),
    "unroll_limit": Variable(
        int, 10_000, "the most iterations that are unrolled where they must be"
    ),
    "numerics": Variable(_numerics, "default", "jit's default: 'strict', 'default' or 'fast'"),
    "reproducible": Variable(
        _flag, False, "jit's default: the same bits for any number of threads, also for `threads=1`"
    ),
    "tiers": Variable(_flag, True, "may code be made quickly first, and replaced by better code?"),
    "dot": Variable(str, "auto", "contractions: 'generated', 'library' (BLAS), or 'auto'"),
}


class Config:
    """The current values, as attributes; set one for a while with ``with config.use(debug=1)``.

    `followers` are called after variables were set so.
    """

    def __init__(self, environment: Any = os.environ):
        self.followers: list[Callable[[], None]] = []
        for name, variable in VARIABLES.items():
            text = environment.get(f"TRACEJIT_{name.upper()}")
            try:
                value = variable.default if text is None else variable.parse(text)
            except (ValueError, KeyError):
                raise ValueError(
                    f"TRACEJIT_{name.upper()}={text!r} is not understood: {variable.meaning}"
                ) from None
            setattr(self, name, value)

    @contextmanager
    def use(self, **values: Any) -> Iterator[Config]:
        """Set variables inside a ``with`` block; process-wide, restored on the way out."""
        unknown = values.keys() - VARIABLES.keys()
        if unknown:
            raise TypeError(f"unknown variable {sorted(unknown)}; there are {sorted(VARIABLES)}")
        before = {name: getattr(self, name) for name in values}
        self._set(values)
        try:
            yield self
        finally:
            self._set(before)

    def _set(self, values: dict[str, Any]) -> None:
        vars(self).update(values)
        for follow in self.followers:
            follow()


config = Config()


def to_numerics(chosen: str | None) -> str:
    """The contract that is asked for, or the one that is configured; raises ValueError."""
    return _numerics(config.numerics if chosen is None else chosen)
