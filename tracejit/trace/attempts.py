"""Tracing functions of libraries that are plain Python: what is in them is NumPy code like the user's.

It is an attempt. Where something in such a function cannot be compiled, whatever it is, the trace is
put back to what it was, and the function is called through Python, as one that is not plain Python.
"""

from __future__ import annotations

import types
import warnings
from collections.abc import Callable
from typing import Any

from .context import Trace, current_trace
from .views import Storage

# What an attempt that failed may have changed of a trace, beside what is put back one by one.
_LISTS = ("records", "passes", "_doubts", "asked")
_PLAIN = ("token", "region", "births", "generators", "repeated", "writes")


class NotTraced(Exception):
    """The attempt has failed, and left nothing behind."""


def attempt(function: types.FunctionType, args: tuple, kwargs: dict[str, Any]) -> Any:
    """What `function`, of a library, gives for traced arguments, compiled; raises NotTraced."""
    trace = current_trace()
    assert trace is not None
    if any(tried.function is function for tried in trace.attempts):
        raise NotTraced  # it may never end
    before = _State(trace, function)
    trace.attempts.append(before)
    try:
        return trace.hook_plain(function)(*args, **kwargs)
    except Exception as error:
        before.put_back()
        raise NotTraced from error
    finally:
        trace.attempts.pop()


class _State:
    """What a trace was like; `writes` are the storages that were written since, with their values."""

    def __init__(self, trace: Trace, function: types.FunctionType):
        self.trace, self.function = trace, function
        self.plain = {name: getattr(trace, name) for name in _PLAIN}
        self.lists = {name: list(getattr(trace, name)) for name in _LISTS}
        self.homes = dict(trace.homes)
        self.written = dict(trace.region.written)
        self.bindings = list(trace.region.bindings)
        self.held = [(held, _copy(held)) for held in trace.held()]
        self.writes: list[tuple[Storage, Any]] = []

    @property
    def region(self) -> Any:
        return self.plain["region"]

    def put_back(self) -> None:
        trace = self.trace
        for storage, node in reversed(self.writes):
            storage.node = node
        for name, value in self.plain.items():
            setattr(trace, name, value)
        for name, items in self.lists.items():
            getattr(trace, name)[:] = items
        trace.homes.clear()
        trace.homes.update(self.homes)
        region = trace.region
        region.written.clear()
        region.written.update(self.written)
        region.bindings[:] = self.bindings
        known = {id(held) for held, _ in self.held}
        fresh = [(held, items) for held, items in trace.held_first() if id(held) not in known]
        for held, items in [*self.held, *fresh]:
            if isinstance(held, list):
                held[:] = items
            else:
                held.clear()
                held.update(items)


def _copy(held: Any) -> Any:
    return list(held) if isinstance(held, list) else dict(held)


def is_plain(function: Any) -> bool:
    """Whether a function is plain Python code."""
    return isinstance(function, types.FunctionType) and function.__code__.co_flags & _UNUSUAL == 0


_UNUSUAL = 0x20 | 0x80 | 0x200  # generators and coroutines


def warn(message: Any, category: Any = None, stacklevel: int = 1, **options: Any) -> None:
    """`warnings.warn` in traced code. In an arm of a choice in a library's function nothing is said:
    it is traced whether or not the program will ever come to it."""
    trace = current_trace()
    if trace is not None and trace.attempts and trace.region is not trace.attempts[0].region:
        return
    warnings.warn(message, category, stacklevel + 1, **options)


WARN: Callable[..., None] = warnings.warn
