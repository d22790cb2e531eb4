"""What code may change: its names, what containers hold, the memory of arrays, the order of calls.

A `State` is all of it at a point of the trace, so that another arm, or another pass over a loop's
body, can start from there, and so that what changed can be told.
"""

from __future__ import annotations

import types
from collections import deque
from collections.abc import Iterator, MutableMapping
from enum import Enum
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

from ...ir.graph import Node
from ..array import Array
from ..context import Trace
from ..location import is_internal, is_library_class
from ..regions import Region
from ..tree import flatten, slot_names
from ..value import Value
from ..views import Storage
from .closures import CALLED, Closed, assigned_by, reached_by


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
# Classes of libraries whose instances are what users put into them, and nothing else.
_OPEN = {
    ("tracejit.trace.capture.growing", "Growing"),
    ("types", "SimpleNamespace"),
    ("argparse", "Namespace"),
    ("collections", "UserDict"),
    ("collections", "UserList"),
    ("collections", "ChainMap"),
}


class Cell(NamedTuple):
    """Where a value is kept: `holder[key]`. `is_read`: at the beginning of an iteration."""

    holder: Any
    key: Any
    is_read: bool

    @property
    def id(self) -> tuple[int, Any]:
        return id(self.holder), self.key


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
    roots = [names.values(), records, trace.held(), trace.consumers]
    outer = frame.f_back
    while outer is not None and outer.f_code is not trace.outermost:
        if not is_internal(outer.f_code.co_filename):
            roots.append(list(outer.f_locals.values()))
        outer = outer.f_back
    found: dict[int, tuple[Any, Any]] = {}
    called: set[int] = set()
    pending = [value for root in roots for value in root]
    while pending:
        value = pending.pop()
        if isinstance(value, tuple):
            pending.extend(value)
        elif isinstance(value, CALLED) and id(value) not in called:
            called.add(id(value))
            pending.extend(reached_by(value))
            for cell in assigned_by(trace, value, names, frame.f_code):
                found.setdefault(id(cell), (cell, _copy(cell)))
        for inner in _inside(trace, value):
            if id(inner) not in found:
                found[id(inner)] = inner, _copy(inner)
                if len(inner) <= LARGEST:
                    pending.extend(_values(inner))
    return State(names, tuple(found.values()), trace.token)


def names_of(frame: types.FrameType) -> dict[str, Any]:
    """The names of a frame that are the user's."""
    return {name: value for name, value in frame.f_locals.items() if name[:1] != "@"}


class Slots(MutableMapping[str, Any]):
    """The attributes that an object keeps in slots, as a dict."""

    def __init__(self, owner: Any):
        self._owner, self._names = owner, slot_names(type(owner))

    def __getitem__(self, key: str) -> Any:
        try:
            return object.__getattribute__(self._owner, key)
        except AttributeError:
            raise KeyError(key) from None

    def __setitem__(self, key: str, value: Any) -> None:
        object.__setattr__(self._owner, key, value)  # also where the class is frozen

    def __delitem__(self, key: str) -> None:
        object.__delattr__(self._owner, key)

    def __iter__(self) -> Iterator[str]:
        return (name for name in self._names if name in self)

    def __len__(self) -> int:
        return sum(1 for _ in self)


def _inside(trace: Trace, value: Any) -> Iterator[Any]:
    """The containers that a value is, or that hold its attributes."""
    if isinstance(value, _MUTABLE):
        yield value
    if not _is_users_object(value):
        return
    if type(value).__dictoffset__:
        yield vars(value)
    if slot_names(type(value)):
        yield trace.slotted.setdefault(id(value), Slots(value))


def _is_users_object(value: Any) -> bool:
    """Whether a value may have attributes that the user's code changes."""
    kind = type(value)
    known = _is_users.get(kind)
    if known is None:
        known = _is_users[kind] = _is_users_class(kind)
    return known


def _is_users_class(kind: type) -> bool:
    if kind in (tuple, dict, list, set) or issubclass(kind, _NEVER):
        return False
    is_open = (kind.__module__, kind.__qualname__) in _OPEN
    is_open |= hasattr(kind, "__dataclass_fields__")
    return is_open or not is_library_class(kind)


_NEVER = (Value, Slots, Closed, type, types.ModuleType, types.FunctionType, Enum, BaseException)
_is_users: WeakKeyDictionary[type, bool] = WeakKeyDictionary()


def _copy(container: Any) -> Any:
    return dict(container) if isinstance(container, dict | Slots | Closed) else list(container)


def _values(container: Any) -> Iterator[Any]:
    if isinstance(container, dict | Slots | Closed):
        return (v for k, v in container.items() if k != "__builtins__")
    return iter(container)


def refill(container: Any, items: Any) -> None:
    """Make a container hold these items, as it held them."""
    now = _copy(container)
    if len(now) == len(items) and all(a is b for a, b in zip(flat(now), flat(items))):
        return
    if isinstance(container, list):
        container[:] = items
        return
    container.clear()
    (container.extend if isinstance(container, deque) else container.update)(items)


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
