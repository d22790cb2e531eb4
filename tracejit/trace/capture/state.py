"""What code may change: its names, what containers hold, the memory of arrays, the order of calls.

A `State` is all of it at a point of the trace, so that another arm, or another pass over a loop's
body, can start from there, and so that what changed can be told.
"""

from __future__ import annotations

import types
from collections import deque
from collections.abc import Iterator
from typing import Any, NamedTuple

from ...ir.graph import Node
from ..array import Array
from ..context import Trace
from ..location import is_internal, is_library_class
from ..regions import Region
from ..tree import flatten, is_plain_object
from ..value import Value
from ..views import Storage


class _Mark:
    def __init__(self, text: str):
        self.text = text

    def __repr__(self) -> str:
        return self.text


# The value of a name that has none.
UNBOUND: Any = _Mark("undefined")
# Larger containers are not searched for others.
LARGEST = 1000
_MUTABLE = (dict, list, set, deque)


class State(NamedTuple):
    """`names` of the frame; `held` has containers with what they hold; the last ordered call."""

    names: dict[str, Any]
    held: tuple[tuple[Any, Any], ...]
    token: Node | None

    def restore(self, trace: Trace) -> None:
        """Let the containers hold again what they held, and calls follow the same one."""
        for container, items in self.held:
            refill(container, items)
        trace.token = self.token


def state_of(trace: Trace, names: dict[str, Any], frame: types.FrameType) -> State:
    """The state now; `names` are those of the frame."""
    records = [part for record in trace.records for part in record.dicts()]
    roots = [names.values(), records, trace.held()]
    outer = frame.f_back
    while outer is not None and outer.f_code is not trace.outermost:
        if not is_internal(outer.f_code.co_filename):
            roots.append(list(outer.f_locals.values()))
        outer = outer.f_back
    found: dict[int, tuple[Any, Any]] = {}
    pending = [value for root in roots for value in root]
    while pending:
        value = pending.pop()
        inner = vars(value) if _is_users_object(value) else value
        if type(inner) is tuple:
            pending.extend(inner)
        elif isinstance(inner, _MUTABLE) and id(inner) not in found:
            found[id(inner)] = inner, _copy(inner)
            if len(inner) <= LARGEST:
                pending.extend(_values(inner))
    return State(names, tuple(found.values()), trace.token)


def names_of(frame: types.FrameType) -> dict[str, Any]:
    """The names of a frame that are the user's."""
    return {name: value for name, value in frame.f_locals.items() if name[:1] != "@"}


def _is_users_object(value: Any) -> bool:
    kind = type(value)
    if kind in (tuple, dict, list, set) or issubclass(kind, Value) or not hasattr(kind, "__dict__"):
        return False
    return not is_library_class(kind) and is_plain_object(value) and hasattr(value, "__dict__")


def _copy(container: Any) -> Any:
    return dict(container) if isinstance(container, dict) else list(container)


def _values(container: Any) -> Iterator[Any]:
    if isinstance(container, dict):
        return (v for k, v in container.items() if k != "__builtins__")
    return iter(container)


def refill(container: Any, items: Any) -> None:
    """Make a container hold these items, as it held them."""
    now = _copy(container)
    if len(now) == len(items) and all(a is b for a, b in zip(flat(now), flat(items))):
        return
    if isinstance(container, dict):
        container.clear()
        container.update(items)
    elif isinstance(container, list):
        container[:] = items
    else:
        container.clear()
        (container.update if isinstance(container, set) else container.extend)(items)


def flat(items: Any) -> list[Any]:
    """Everything in a copy of a container, keys and values."""
    return [*items.keys(), *items.values()] if isinstance(items, dict) else items


def slots_of(container: Any, items: Any) -> tuple[Any, ...] | None:
    """The keys of the slots in a copy of a container; None for a set."""
    if isinstance(items, dict):
        return tuple(items)
    return tuple(range(len(items))) if isinstance(container, list | deque) else None


def is_same(a: Any, b: Any) -> bool:
    """Whether a name that is bound to one might as well be bound to the other."""
    if a is b:
        return True
    if type(a) is Array and type(b) is Array:
        if a.is_scalar and b.is_scalar:
            return a.node is b.node and a.weak is b.weak
        return a.is_same_view(b)
    kind = type(a)
    if kind is not type(b) or kind not in _SIMPLE:
        return False
    if kind is tuple:
        return len(a) == len(b) and all(map(is_same, a, b))
    return repr(a) == repr(b) if kind in (float, complex) else a == b


_SIMPLE = (int, float, complex, bool, str, bytes, tuple, slice, range)


def rewind(region: Region) -> None:
    """Give the storages that a region has written the values they had before."""
    for storage, before in region.written.items():
        storage.exchange(before)


def written_outside(region: Region) -> list[Storage]:
    """The storages a region has written that are not its own."""
    return [storage for storage in region.written if storage.birth <= region.start]


def contents(region: Region, state: State) -> dict[int, Node]:
    """By identity, the values now of arrays whose memory a region has written."""
    if not region.written:
        return {}
    trees = [*state.names.values(), *[value for _, items in state.held for value in flat(items)]]
    found: dict[int, Node] = {}
    for tree in trees:
        for leaf in flatten(tree)[0]:
            if is_array(leaf) and leaf.storage in region.written:
                found[id(leaf)] = leaf.node
    return found


def is_array(value: Any) -> bool:
    """Whether a value is traced memory, not a traced number."""
    return type(value) is Array and not value.is_scalar
