"""Lists of numbers that are written at traced places, and lists of such rows: `counts[v] += 1`.

Such a list cannot be followed item by item. The function is traced again then, and the display that made
the list, `counts = [0] * 10`, makes a `Table`: an array of the items. Its rows are views, as the rows of a
list of lists are lists of their own that others may have, too.

limit: items are numbers of one kind, which NumPy's promotion finds; a place that is out of bounds is an
IndexError in NumPy's words. A row cannot be exchanged for another one.
"""

from __future__ import annotations

import operator
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from ...errors import UnsupportedError
from ..application import apply
from ..array import Array, wrap
from ..context import Trace, current_trace, failure
from ..numpy.python_math import to_int
from ..promotion import cast, filled
from ..registry import CREATIONS, FUNCTIONS
from ..tree import LEAF, containers_are
from ..value import Value, known_value, node_of, to_node
from . import growing
from .generators import Selected, as_arrays
from .growing import Regrow, growth
from .iterables import Items, Unsized
from .joins import Kind, joined, kind_of


class Note(NamedTuple):
    """What a list is: of which kind its items are, or those of its rows, and how many there are."""

    kind: Kind
    shape: tuple[int, ...]
    has_arrays: bool = True  # it can be tried without, as a list of arrays


class _Key:
    """Where a list is made, and its shape there: which does not tell one from another."""

    def __init__(self, place: Any, shape: tuple[int, ...]):
        self.place, self.shape = place, shape

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Key)

    def __hash__(self) -> int:
        return 0


def grows(items: Any, key: Any) -> Any:
    """What a display makes: the list, or what stands for it where it was found to be written so."""
    trace = current_trace()
    if getattr(items, "maxlen", None) is not None:  # a deque that drops items
        return items
    note = trace.growing.get(key) if trace is not None else None
    if isinstance(items, Selected) and trace is not None:
        trace.lists[id(items)] = items, key
    if not isinstance(note, Note) or type(items) not in (list, Selected):
        return growing.grows(items, key)
    found = _note_of(items)
    if found is None or found.shape != note.shape or joined(found.kind, note.kind) != note.kind:
        if len(note.shape) > 1:
            raise _refused("another list of the same place")
        raise Regrow(key, growing.Note(LEAF, (note.kind,)))  # its length changes
    return Table(_Key(key, note.shape), note.kind, _filled(items, note))


def _filled(items: list | Selected, note: Note) -> Array:
    """The array that has the items."""
    if isinstance(items, Selected):
        return wrap(cast(items.array.node, note.kind.dtype))
    array = wrap(filled(0, note.kind.dtype, note.shape))
    if len(note.shape) > 1:
        rows = [_filled(row, note._replace(shape=note.shape[1:])) for row in items]
        return FUNCTIONS[np.stack](rows)
    distinct = {id(item): item for item in items}
    if len(distinct) == 1:
        array[...] = items[0]
    elif not any(isinstance(item, Value) for item in items):
        array[...] = np.array(items, note.kind.dtype.numpy)
    else:
        for place, item in enumerate(items):
            array[place] = item
    return array


def table_growth(trace: Trace | None, container: Any, *values: Any) -> Regrow | None:
    """What makes a list a table into which these values are written; None where it cannot be."""
    found = None if trace is None else _display_of(trace, container)
    if found is None:
        return None
    items, key = found
    note = None if key in trace.growing else _note_of(items)
    for value in values if note is not None else ():
        kind = kind_of(value)
        kind = None if kind is None else joined(note.kind, kind)
        if kind is None:
            return None
        note = note._replace(kind=kind)
    return None if note is None else Regrow(key, note)


def _display_of(trace: Trace, container: Any) -> tuple[list, Any] | None:
    """The list that a display made and where it is, of this list or of one whose row it is."""
    if id(container) in trace.lists:
        return trace.lists[id(container)]
    for items, key in trace.lists.values():
        if type(items) is list and any(row is container for row in items):
            return items, key
    return None


def _note_of(items: list | Selected) -> Note | None:
    if isinstance(items, Selected):
        count = items.array.shape[0]
        return Note(items.kind, (count,)) if type(count) is int and not items.kind.shape else None
    if not items:
        return None
    if all(type(row) is list for row in items):
        notes = [_note_of(row) for row in items]
        is_apart = len({id(row) for row in items}) == len(items)
        if None in notes or len({note.shape for note in notes}) > 1 or not is_apart:
            return None
        shape = (len(items), *notes[0].shape)
        kinds = [note.kind for note in notes]
    else:
        shape, kinds = (len(items),), [kind_of(item) for item in items]
    kind = kinds[0]
    for other in kinds[1:]:
        if kind is None or other is None:
            return None
        kind = joined(kind, other)
    if kind is None or kind.shape or not kind.is_scalar:
        return None
    return Note(kind, shape)


class Table(Unsized):
    """A list as an array: `buffer` has one axis, or two where its items are rows."""

    described = "list that is written at places which traced values tell"

    def __init__(self, key: _Key, kind: Kind, buffer: Any):
        self.key, self.kind, self.buffer = key, kind, buffer

    @property
    def size(self) -> int:
        return self.buffer.shape[0]

    @property
    def array(self) -> Array:
        """The items, in memory of their own."""
        return wrap(self.buffer.node)

    @property
    def items(self) -> Items:
        return _Walked(self)

    def at(self, place: Any) -> Any:
        if self.buffer.ndim > 1:
            return Table(self.key, self.kind, self.buffer[place])
        return self.kind.wrap(cast(node_of(self.buffer[place]), self.kind.dtype))

    def __getitem__(self, index: Any) -> Any:
        if not isinstance(index, slice):
            return self.at(index)
        parts = (index.start, index.stop, index.step)
        if any(isinstance(x, Value) and known_value(node_of(x)) is None for x in parts):
            return Selected(self.array[index], self.kind)
        return Table(self.key, self.kind, self.array[index])

    def __setitem__(self, index: Any, value: Any) -> None:
        if isinstance(index, slice) or self.buffer.ndim > 1:
            raise _refused("to exchange several items or a row")
        own = kind_of(value)
        kind = None if own is None or own.shape else joined(self.kind, own)
        if kind is None:
            raise _refused("an item that is no number")
        if kind != self.kind:
            raise Regrow(self.key.place, Note(kind, self.key.shape))
        self.buffer[index] = kind.wrap(kind.node(value))

    def append(self, item: Any) -> None:
        """It becomes a list that grows, too."""
        if self.buffer.ndim > 1 or self.key.place is None:
            raise _refused("append()")
        raise Regrow(self.key.place, growing.Note(LEAF, (self.kind,)))

    extend = insert = pop = remove = append

    def sort(self, *, key: Any = None, reverse: bool = False) -> None:
        """`list.sort`; nan comes last."""
        if key is not None or self.buffer.ndim > 1:
            raise _refused("sort() by a key, or of rows")
        found = FUNCTIONS[np.sort](self.array)
        self.buffer[...] = found[::-1] if reverse else found

    def reverse(self) -> None:
        self.buffer[...] = self.array[::-1]

    def count(self, value: Any) -> Any:
        return to_int(FUNCTIONS[np.sum](apply(np.equal, self.array, value)))

    def copy(self) -> Table:
        return Table(self.key, self.kind, self.array)

    def __len__(self) -> int:
        return operator.index(self.size)

    def __bool__(self) -> bool:
        return len(self) > 0

    def __iter__(self) -> Iterator[Any]:
        return iter([self.at(place) for place in range(len(self))])

    def __eq__(self, other: object) -> bool:
        raise _refused("a comparison")

    __hash__ = None  # type: ignore[assignment] # no result of a program

    def __array_function__(self, function: Any, types: Any, args: tuple, kwargs: dict) -> Any:
        return function(*as_arrays(args), **kwargs)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        return getattr(ufunc, method)(*as_arrays(inputs), **options)

    def __getattr__(self, name: str) -> Any:
        if hasattr(list, name) and not name.startswith("__"):
            raise _refused(f"{name}()")
        raise AttributeError(name)


class _Walked(Items):
    """The items of a table, which has so many all the time."""

    def __init__(self, table: Table):
        self.table, self.bounds = table, (0, len(table))

    def item(self, index: Any) -> Any:
        return self.table.at(index)


class Places:
    """A list that is written: `places[i] = x`, also at a traced `i`."""

    def __init__(self, container: list | Selected):
        self.container = container

    def __getitem__(self, index: Any) -> Any:
        """`places[i] += x`."""
        self.see(index)
        return self.container[index]

    def __setitem__(self, index: Any, value: Any) -> None:
        self.see(index, value)
        self.container[index] = value

    def see(self, index: Any, *values: Any) -> None:
        """Have the function traced again with a table, if that is wanted for an index."""
        is_traced = isinstance(index, Value) and known_value(node_of(index)) is None
        if is_traced or isinstance(self.container, Selected):
            again = table_growth(current_trace(), self.container, *values)
            if again is not None:
                raise again


class Methods:
    """A list of which a method is called that may meet traced values: to compare, or to tell a place."""

    def __init__(self, items: list):
        self._items = items

    def _ask(self, *values: Any, items: tuple = ()) -> None:
        """Have the function traced again with a list that grows, which has these `items`, too, where there
        are traced values."""
        if any(isinstance(value, Value) for value in (*self._items, *values)):
            trace = current_trace()
            again = None if trace is None else growth(trace, self._items, [*self._items, *items])
            if again is not None:
                raise again

    def insert(self, index: Any, item: Any) -> None:
        self._ask(index, items=(item,))
        self._items.insert(index, item)

    def remove(self, item: Any) -> None:
        self._ask(item)
        self._items.remove(item)

    def index(self, item: Any, *more: Any) -> Any:
        self._ask(item)
        return self._items.index(item, *more)

    def pop(self, *index: Any) -> Any:
        if any(isinstance(value, Value) for value in index):
            self._ask(*index)
        return self._items.pop(*index)

    def count(self, item: Any) -> Any:
        found = [x for x in (item, *self._items) if isinstance(x, Value)]
        if not found or not all(map(kind_of, (item, *self._items))):
            return self._items.count(item)
        return to_int(FUNCTIONS[np.sum](apply(np.equal, wrap(to_node(self._items)), item)))

    def sort(self, *, key: Any = None, reverse: Any = False) -> None:
        if key is None:
            self._ask()
        self._items[:] = CREATIONS[sorted](self._items, key=key, reverse=reverse)


def methods(container: Any) -> Any:
    """What stands for something of which a method with the name of a list's is called."""
    return Methods(container) if type(container) is list and current_trace() else container


def places(container: Any) -> Any:
    """What stands for a container whose item is assigned to."""
    is_list = type(container) in (list, Selected) and current_trace() is not None
    return Places(container) if is_list else container


def _refused(what: str) -> UnsupportedError:
    return failure(
        UnsupportedError,
        f"{what} of a list that is written at places which traced values tell",
        "make it an array, np.array(items)",
    )


def _apart(table: Table) -> tuple:
    return _build, (table.key, table.kind), (table.buffer,)


def _build(data: tuple, children: list) -> Any:
    """A table; of the array that a program gives, the list."""
    key, kind = data
    (buffer,) = children
    if not isinstance(buffer, np.ndarray):
        return Table(key, kind, buffer)
    if kind.weak is not None:
        return buffer.tolist()
    return [list(row) for row in buffer] if buffer.ndim > 1 else list(buffer)


containers_are(Table, _apart)
