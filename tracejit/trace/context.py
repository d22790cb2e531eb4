"""The trace in progress on this thread, and errors that name the user's line."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from ..errors import TraceError, TracejitError
from ..ir.graph import Node, parameter
from ..ir.term import locate
from ..ir.types import array_type, to_dtype
from .location import user_line, with_source


class Trace:
    """One run of a function on Arrays; it owns them, and the outside arrays they met.

    `captures` maps the id of an ndarray that is not an argument to that array, the node standing
    for it and a copy that shows whether it was written to behind the trace's back.
    """

    def __init__(self) -> None:
        self.captures: dict[int, tuple[np.ndarray, Node, np.ndarray]] = {}
        self.names: set[str] = set()
        self._used_contents: set[int] = set()

    def unique_name(self, name: str) -> str:
        """`name`, with a number when a parameter of this trace has it already."""
        name = "".join(c if c.isalnum() else "_" for c in name) or "x"
        name = name if not name[0].isdigit() else f"_{name}"
        candidate, count = name, 1
        while candidate in self.names:
            count += 1
            candidate = f"{name}_{count}"
        self.names.add(candidate)
        return candidate

    def locate(self, node: Node) -> None:
        """Note the user's line as the origin of `node`; the first one stays."""
        locate(node, user_line() or "")

    def capture(self, array: np.ndarray, name: str = "captured") -> Node:
        """The hidden parameter bound to this very ndarray."""
        found = self.captures.get(id(array))
        if found is None:
            type = array_type(array.shape, to_dtype(array.dtype))
            node = parameter(self.unique_name(name), type)
            found = self.captures[id(array)] = (array, node, np.array(array))
        return found[1]

    def contents_of(self, node: Node) -> np.ndarray | None:
        """The values of a captured array, on which the program then depends."""
        for key, (array, captured, _) in self.captures.items():
            if captured is node:
                self._used_contents.add(key)
                return array
        return None

    def contents(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """The captured arrays whose values were used while tracing, each with those values."""
        return [
            (array, before)
            for key, (array, _, before) in self.captures.items()
            if key in self._used_contents
        ]

    def check_captures(self) -> None:
        """Refuse a program that wrote to an outside array in a way the trace could not see."""
        for array, node, before in self.captures.values():
            if array.tobytes() != before.tobytes():
                raise TraceError(
                    f"the array {node.attrs['name']} of type {node.type} changed while the "
                    "function was traced; it is not a traced array",
                    hint="create it inside the jitted function, or pass it as an argument",
                )


class _Current(threading.local):
    trace: Trace | None = None


_current = _Current()


def current_trace() -> Trace | None:
    """The trace this thread is in the middle of."""
    return _current.trace


@contextmanager
def tracing(trace: Trace) -> Iterator[Trace]:
    """Make `trace` the current one."""
    before, _current.trace = _current.trace, trace
    try:
        yield trace
    finally:
        _current.trace = before


def failure(kind: type[TracejitError], message: str, hint: str | None = None) -> Any:
    """The exception to raise: `message`, the user's line, what to do about it."""
    return kind(message, with_source(user_line()), hint)
