"""Lists that traced values make longer and shorter: stacks, queues, heaps, and what is found by chance.

A list that a loop or a branch changes so cannot be followed item by item. The function is traced again
then, and the display that made the list, `stack = []`, makes a `Growing` one: an array with room for so
many items, from where to where they are, as traced ints. Where the room is not enough when the program
runs, NumPy runs the function instead, and the next call compiles it with more.

Items that are arrays are copied into the list. As in Python they would be the same memory, neither they
nor what is read from the list may be written while there is the list.

limit: items are numbers of one kind, which NumPy's promotion finds, arrays of one static type, or tuples
of such; an item that is read has that type.
"""

from __future__ import annotations

import heapq
import math
import operator
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np

from ...errors import UnsupportedError
from ...ir import ops
from ...ir.graph import Node
from ...ir.host import ResultChanged
from ...ir.types import i8
from ..application import apply
from ..array import Array, wrap
from ..context import Trace, current_trace, failure
from ..host import refuse_through_python
from ..promotion import cast, filled
from ..registry import FUNCTIONS, creates
from ..tree import LEAF, flatten, items_structure, unflatten
from ..value import Value, node_of
from . import stacks
from .generators import Selected, as_arrays
from .iterables import Enumerated, Items, Reversed, Unsized, Zipped
from .joins import Kind, joined, kind_of
from .state import is_array

# How many items a list has room for at first, and how much more if that is not enough.
ROOM, MORE = 1024, 16
# Bytes that a list of arrays has room for at first, and at most.
FIRST_BYTES, MOST_BYTES = 1 << 26, 1 << 30
# Operations that make the items of a list, one by one, where loops could.
MOST_LISTED = 100
# The room that a note has of a list whose number of items loops do not tell.
UNKNOWN = 0
# By the display that made the list: for how many items there is room now.
_rooms: dict[Any, int] = {}


class Note(NamedTuple):
    """What the items of a list are: how they are taken apart, and the kinds of their parts. `room`: how
    many arrays there are, as loops that run so often have told; None where that is to be seen."""

    structure: Any
    kinds: tuple[Kind, ...]
    room: int | None = None

    def joined(self, other: Note) -> Note | None:
        """What has the items of both; None if there is nothing."""
        if self.structure != other.structure:
            return None
        kinds = [_joined(a, b) for a, b in zip(self.kinds, other.kinds)]
        return None if None in kinds else Note(self.structure, tuple(kinds), self.room)

    @property
    def has_arrays(self) -> bool:
        return not all(kind.is_scalar for kind in self.kinds)

    @property
    def first_room(self) -> int:
        """For how many items there is room if nothing is known about their number."""
        return max(1, min(ROOM, FIRST_BYTES // self.bytes)) if self.has_arrays else ROOM

    @property
    def bytes(self) -> int:
        """The size of an item."""
        sizes = [math.prod(kind.shape) * kind.dtype.numpy.itemsize for kind in self.kinds]
        return max(1, sum(sizes))


def _joined(a: Kind, b: Kind) -> Kind | None:
    """What has two parts of items; an array of another dtype would not be the item any more."""
    if a != b and not (a.is_scalar and b.is_scalar):
        return None
    return joined(a, b)


class Regrow(BaseException):
    """The function is to be traced again, with a list that grows."""

    def __init__(self, key: Any, note: Note, is_tried: bool = False):
        super().__init__(key, note)
        self.key, self.note = key, note
        # Whether the loop could be unrolled instead, if more than what is done now is asked of the list.
        self.is_tried = is_tried or note.has_arrays

    def counted(self) -> Regrow:
        """The same for a list whose loops could be unrolled, and tell how many items it gets."""
        return Regrow(self.key, self.note._replace(room=None), is_tried=True)


def _is_frozen(value: Any) -> bool:
    return all(map(_is_frozen, value)) if type(value) is tuple else kind_of(value) is not None


def _is_static(kind: Kind | None) -> bool:
    return kind is not None and all(type(extent) is int for extent in kind.shape)


def note_of(items: Iterable[Any]) -> Note | None:
    """What items have in common."""
    found: Note | None = None
    for item in items:
        leaves, structure = flatten(item)
        kinds = [kind_of(leaf) for leaf in leaves]
        if not _is_frozen(item) or not all(map(_is_static, kinds)):
            return None
        own = Note(structure, tuple(kinds))
        found = own if found is None else found.joined(own)
        if found is None:
            return None
    return found


def growth(trace: Trace, container: Any, *versions: Iterable[Any]) -> Regrow | None:
    """What makes a list one that grows, of which these are items in turn; None where it cannot be."""
    _, key = trace.lists.get(id(container), (None, None))
    note = None if key is None else note_of([item for version in versions for item in version])
    if note is None or note.has_arrays and key in trace.growing:  # that was in vain
        return None
    return Regrow(key, note if note.has_arrays else note._replace(room=UNKNOWN))


def grows(items: Any, key: Any) -> Any:
    """What a display, or a call of `list` or `deque`, makes: the list, or a growing one."""
    trace = current_trace()
    if trace is None or type(items) not in (list, deque):
        return items
    note = trace.growing.get(key)
    if note is None:  # also where it was tried in vain
        trace.lists[id(items)] = items, key
        return items
    return Growing(key, note, items)


def _hooked(function: Any) -> Any:
    trace = current_trace()
    assert trace is not None
    return trace.hook(function)


class Growing(Unsized):
    """A list, or a deque, from `first` to before `end` of arrays with `room`, one for each part of an
    item."""

    def __init__(self, key: Any, note: Note, items: Iterable[Any]):
        self.key, self.note = key, note
        items = list(items)
        self.room = max(note.room or _rooms.setdefault(key, note.first_room), len(items))
        if note.has_arrays and self.room * note.bytes > MOST_BYTES:
            raise self._refused(f"{self.room * note.bytes >> 20} MiB")
        shapes = [(self.room, *kind.shape) for kind in note.kinds]
        self.buffers = tuple(
            [wrap(filled(0, kind.dtype, shape)) for kind, shape in zip(note.kinds, shapes)]
        )
        # Stands for the memory of all items that are arrays.
        self.memory = wrap(filled(0, i8, ())).storage
        self.first: Any = 0
        self.end: Any = len(items)
        for place, item in enumerate(items):
            self.put(place, item)

    # What stacks.py is made of.

    def put(self, place: Any, item: Any) -> None:
        own = note_of([item])
        note = None if own is None else self.note.joined(own)
        if note is None:
            raise failure(
                UnsupportedError,
                "a list whose length traced values decide gets an item that is unlike the others, or no "
                "number, array, or tuple of these",
                "fill arrays that are large enough, and count",
            )
        if note != self.note:
            raise Regrow(self.key, note)
        for buffer, kind, leaf in zip(self.buffers, note.kinds, flatten(item)[0]):
            buffer[place] = kind.wrap(kind.node(leaf))
            self._keep(leaf)

    def at(self, place: Any) -> Any:
        parts = zip(self.buffers, self.note.kinds)
        leaves = [kind.wrap(cast(node_of(buffer[place]), kind.dtype)) for buffer, kind in parts]
        for leaf in leaves:
            self._keep(leaf)
        return unflatten(self.note.structure, leaves)

    def _keep(self, leaf: Any) -> None:
        """What is an item in Python is a copy of one here, so that it may not be written."""
        trace = current_trace()
        if trace is not None and is_array(leaf):
            trace.may_share(leaf.storage, self.memory)

    def outgrow(self) -> None:
        """There is no room for one more."""
        key, room = self.key, self.room
        trace = current_trace()
        assert trace is not None
        if trace.region.parent is None:
            _rooms[key] = max(_rooms.get(key, 0), room * MORE)
            raise Regrow(key, self.note)

        def fail(objects: dict) -> None:
            _rooms[key] = max(_rooms.get(key, 0), room * MORE)
            raise ResultChanged(f"a list had more than {room} items")

        refuse_through_python("a list that grows", fail)

    @property
    def is_counted(self) -> bool:
        """Whether an item is appended without a look at the room: loops are to tell how many there are,
        before the list is read."""
        trace = current_trace()
        if trace is None or self.note.room == UNKNOWN:
            return False
        is_full = type(self.end) is int and self.end >= self.room
        if is_full or not trace.is_in_loops_alone():
            self._is_not_counted()
        trace.guessed[id(self)] = self
        return True

    def _is_not_counted(self) -> None:
        raise Regrow(self.key, self.note._replace(room=UNKNOWN))

    def shrinks(self) -> None:
        """It loses items, so that it may have had more of them than it has in the end."""
        if self.note.room != UNKNOWN:
            self._is_not_counted()

    def fit(self, trace: Trace | None) -> None:
        """See to it that there is room for what was appended without a look at it."""
        if trace is None or id(self) not in trace.guessed:
            return
        room = self.note.room
        if type(self.end) is not int or room is not None and self.end > room:
            self._is_not_counted()
        if room is None:
            raise Regrow(self.key, self.note._replace(room=self.end))
        del trace.guessed[id(self)]

    @staticmethod
    def is_less(one: Any, other: Any) -> Any:
        """Whether an item comes before another one, as Python compares numbers and tuples."""
        a, b = flatten(one)[0], flatten(other)[0]
        if any(map(is_array, [*a, *b])):
            raise Growing._refused("an order of the arrays")
        found: Node | None = None
        for x, y in zip(reversed(a), reversed(b)):
            less = node_of(apply(np.less, x, y))
            if found is not None:
                same = node_of(apply(np.equal, x, y))
                less = ops.logical_or(less, ops.logical_and(same, found))
            found = less
        return Array(found, True, bool)

    @staticmethod
    def is_equal(one: Any, other: Any) -> Any:
        """Whether two items are equal, as Python compares numbers and tuples."""
        (a, structure), (b, own) = flatten(one), flatten(other)
        if any(map(is_array, [*a, *b])):
            raise Growing._refused("a comparison of the arrays")
        if structure != own:
            return False
        found: Node | None = None
        for x, y in zip(a, b):
            same = node_of(apply(np.equal, x, y))
            found = same if found is None else ops.logical_and(found, same)
        return Array(found, True, bool)

    @property
    def size(self) -> Any:
        """How many items there are."""
        return self.end - self.first

    @property
    def items(self) -> Items:
        return _Walked(self)

    @property
    def array(self) -> Any:
        """The items side by side, tuples as rows, in memory of their own."""
        if len({kind.shape for kind in self.note.kinds}) > 1:
            raise self._refused("an array of items that have no shape")
        self.fit(current_trace())
        if self.note.has_arrays:
            # NumPy's array of no items has another shape.
            _hooked(stacks.has_some)(self)
        parts = [wrap(buffer[self.first : self.end].node) for buffer in self.buffers]
        return parts[0] if self.note.structure == LEAF else FUNCTIONS[np.stack](parts, axis=1)

    def for_numpy(self) -> Any:
        """What NumPy's functions are given: an array of the items, or the tuples of a list whose length is
        known."""
        self.fit(current_trace())
        if self.note.structure == LEAF:
            return self.array
        return self if isinstance(self.size, Value) else [*self]

    def returned(self) -> tuple[list, Any] | None:
        if self.note.has_arrays:
            return None
        parts = [wrap(buffer[self.first : self.end].node) for buffer in self.buffers]
        kinds = [kind.weak is not None for kind in self.note.kinds]
        return parts, items_structure(self.note.structure, kinds)

    @staticmethod
    def is_empty() -> None:
        """The list has no items where it is to be an array."""
        refuse_through_python("an array of no arrays")

    # What lists and deques do.

    def append(self, item: Any) -> None:
        self._walks_no_more("append()")
        _hooked(stacks.append)(self, item)

    def _walks_no_more(self, what: str) -> None:
        """Refuse to make the list longer in a loop over its items."""
        trace = current_trace()
        if trace is not None and any(_walks(items, self) for items in trace.walking):
            raise self._refused(f"{what} in a loop over its items,")

    def extend(self, items: Any) -> None:
        _hooked(stacks.extend)(self, items)

    def __iadd__(self, items: Any) -> Any:
        self.extend(items)
        return self

    def __add__(self, items: Any) -> Any:
        if not isinstance(items, list | Growing):
            return NotImplemented
        new = self.copy()
        new.extend(items)
        return new

    def __radd__(self, items: Any) -> Any:
        if not isinstance(items, list):
            return NotImplemented
        new = Growing(self.key, self.note, items)
        new.extend(self)
        return new

    def pop(self, index: Any = -1) -> Any:
        if type(index) is not int or index not in (0, -1):
            return _hooked(stacks.take_out)(self, index)
        return _hooked(stacks.popleft if index == 0 else stacks.pop)(self)

    def insert(self, index: Any, item: Any) -> None:
        self._walks_no_more("insert()")
        _hooked(stacks.insert)(self, index, item)

    def remove(self, item: Any) -> None:
        _hooked(stacks.remove)(self, item)

    def index(self, item: Any) -> Any:
        return _hooked(stacks.index_of)(self, item)

    def count(self, item: Any) -> Any:
        return _hooked(stacks.count_of)(self, item)

    def reverse(self) -> None:
        _hooked(stacks.reverse)(self)

    def sort(self, *, key: Any = None, reverse: bool = False) -> None:
        """`list.sort`; nan comes last."""
        if key is not None or self.note.has_arrays:
            raise self._refused("sort() by a key, or of arrays,")
        if self.note.structure == LEAF:
            (buffer,) = self.buffers
            found = FUNCTIONS[np.sort](wrap(buffer[self.first : self.end].node))
            buffer[self.first : self.end] = found[::-1] if reverse else found
        else:
            _hooked(stacks.sort)(self, self.copy(), reverse)

    def popleft(self) -> Any:
        return self.pop(0)

    def clear(self) -> None:
        self.shrinks()
        self.end = self.first

    def empty(self) -> Growing:
        """A list of its own for such items."""
        return Growing(self.key, self.note, ())

    def copy(self) -> Growing:
        self.fit(current_trace())
        new = self.empty()
        new.first, new.end = self.first, self.end
        new.buffers = tuple([FUNCTIONS[np.copy](buffer) for buffer in self.buffers])
        new.memory = self.memory
        return new

    def __getitem__(self, index: Any) -> Any:
        if not isinstance(index, slice):
            return _hooked(stacks.item)(self, index)
        if index.step not in (None, 1, -1):
            if self.note.has_arrays or self.note.structure != LEAF:
                raise self._refused("a slice with such a step")
            return Selected(self.array[index], self.note.kinds[0])
        return _hooked(stacks.sliced)(self, index.start, index.stop, index.step == -1)

    def __setitem__(self, index: Any, item: Any) -> None:
        _hooked(stacks.assign)(self, index, item)

    def __delitem__(self, index: Any) -> None:
        if isinstance(index, slice):
            raise self._refused("del of a slice")
        self.pop(index)

    # What rewritten code asks of other hooks; Python itself needs to know.

    def __len__(self) -> int:
        return operator.index(self.size)

    def __bool__(self) -> bool:
        return bool(self.size > 0)

    def __iter__(self) -> Iterator[Any]:
        if isinstance(self.size, Value):
            raise self._refused("going through the items, elsewhere than in a loop,")
        return iter(self.items)

    def __eq__(self, other: object) -> bool:
        raise self._refused("a comparison")

    __hash__ = None  # type: ignore[assignment] # no result of a program

    def __array_function__(self, function: Any, types: Any, args: tuple, kwargs: dict) -> Any:
        return function(*as_arrays(args), **kwargs)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        return getattr(ufunc, method)(*as_arrays(inputs), **options)

    def __getattr__(self, name: str) -> Any:
        if hasattr(list, name) and not name.startswith("__"):
            raise self._refused(f"{name}()")
        raise AttributeError(name)

    @staticmethod
    def _refused(what: str) -> UnsupportedError:
        return failure(
            UnsupportedError,
            f"{what} of a list whose length traced values decide",
            "make it an array, np.array(items), or fill an array that is large enough, and count",
        )


class _Walked(Items):
    """The items that a growing list has now."""

    def __init__(self, growing: Growing):
        self.growing, self.bounds = growing, (growing.first, growing.end)
        self.most = growing.room

    def item(self, index: Any) -> Any:
        return self.growing.at(index)


def _walks(items: Any, growing: Growing) -> bool:
    """Whether a loop goes through a list."""
    match items:
        case _Walked():
            return items.growing is growing
        case Enumerated() | Reversed():
            return _walks(items.items, growing)
        case Zipped():
            return any(_walks(one, growing) for one in items.several)
    return False


@creates(heapq.heappush)
def _heappush(heap: Any, item: Any, /) -> None:
    if isinstance(heap, Growing):
        _hooked(stacks.push)(heap, item)
        return
    _ordered_by_values([*heap, item], heap)
    heapq.heappush(heap, item)


@creates(heapq.heappop)
def _heappop(heap: Any, /) -> Any:
    if isinstance(heap, Growing):
        return _hooked(stacks.take)(heap)
    _ordered_by_values(heap, heap)
    return heapq.heappop(heap)


def _ordered_by_values(items: list, heap: Any) -> None:
    """Begin again with a heap that grows, where traced values are to be compared."""
    trace = current_trace()
    leaves = [leaf for item in items for leaf in flatten(item)[0]]
    if trace is not None and any(isinstance(leaf, Value) for leaf in leaves):
        regrow = growth(trace, heap, items)
        if regrow is not None:
            raise regrow
