"""Functions that their authors want called, not traced."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class Applied:
    """Base of callables of ours that traced code calls as they are: they know traced values."""


# The functions, by identity, with whether each is pure. Never forgotten: they are a program's own.
REGISTERED: dict[int, tuple[Callable[..., Any], bool]] = {}


def host(function: Callable[..., Any] | None = None, *, pure: bool = False) -> Any:
    """Let jitted functions call `function` through Python, with real arrays, in its place.

    Such a function may do anything: read files, use other libraries, keep state. It is called once
    for each call of the jitted function that reaches it, in the order of the program; with
    ``pure=True`` it may be called more or less often. It gives arrays, numbers, None, or containers
    of these, whose dtypes and shapes should stay what they were; it gets copies, and must not
    change them. Outside jitted functions it is what it always was.

    >>> @tracejit.host
    ... def measured(x):
    ...     return instrument.read(len(x))
    """
    if function is None:
        return lambda decorated: host(decorated, pure=pure)
    if not callable(function):
        raise TypeError(f"host takes a function, not {type(function).__name__}")
    REGISTERED[id(function)] = (function, pure)
    return function


def purity(function: Any) -> bool | None:
    """Whether a registered function is pure; None for a function that is not registered."""
    found = REGISTERED.get(id(function))
    return found[1] if found is not None and found[0] is function else None
