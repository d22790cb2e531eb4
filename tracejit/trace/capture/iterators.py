"""Functions of `itertools`, and `functools.reduce`, over what loops can be rolled over.

limit: what they give can be gone through again, where Python's iterators are used up.
"""

from __future__ import annotations

import functools
import itertools
import math
import operator
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np

from ...ir.types import i64
from ..array import Array, wrap
from ..context import current_trace
from ..numpy.python_math import to_int
from ..promotion import filled
from ..registry import creates
from ..tree import containers_are
from ..value import Value, literal
from . import folds
from .functions import is_to_be_driven
from .generators import Lazy, Selected, room_for
from .iterables import Bound, Items, Positions, Rows, Zipped, items_of
from .joins import Kind, joined, kind_of

# Larger tables of positions are not made.
MOST_PLACES = 1 << 20


class Part(Items):
    """The items from one place to before another one."""

    def __init__(self, items: Items, start: Bound, stop: Bound):
        self.items, self.bounds = items, (start, stop)
        known = all(type(bound) is int for bound in items.bounds)
        self.most = len(items) if known else items.most

    def item(self, index: Any) -> Any:
        return self.items.item(index)

    def listed(self) -> Any:
        """The list of them."""
        if isinstance(self.items, Rows) and self.items.array.ndim == 1:
            start, stop = self.bounds
            part = wrap(self.items.array[start:stop].node)
            return Selected(part, kind_of(self.items.array[0]))
        return Lazy(self, lambda item: item)


def _apart(part: Part) -> tuple:
    return _build, (_Same(part.items),), part.bounds


def _build(data: tuple, children: list) -> Part:
    return Part(data[0].items, *children)


class _Same(NamedTuple):
    """Items that are equal where they are the same object."""

    items: Items

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and self.items is other.items

    def __hash__(self) -> int:
        return id(self.items)


containers_are(Part, _apart)


class _Product(Items):
    """`itertools.product`: tuples of an item of each, the last of which changes first."""

    def __init__(self, several: list[Items]):
        self.several = several
        self.positions = Positions(tuple(map(len, several)))
        self.bounds = self.positions.bounds

    def item(self, index: Any) -> tuple:
        pairs = zip(self.several, self.positions.item(index))
        return tuple([_at(items, position) for items, position in pairs])


class _Chosen(Items):
    """Tuples of the items at the places that the rows of a table tell."""

    def __init__(self, items: Items, places: np.ndarray):
        self.items, self.places = items, places
        self.bounds = 0, len(places)

    def item(self, index: Any) -> tuple:
        if type(index) is int:
            return tuple([_at(self.items, place) for place in self.places[index].tolist()])
        table = wrap(literal(self.places))
        return tuple([_at(self.items, table[index, k]) for k in range(self.places.shape[1])])


class _Groups(Items):
    """`itertools.groupby`: keys, each with the items side by side that have it."""

    def __init__(self, items: Items, keys: Array, kind: Kind):
        self.items, self.keys, self.kind = items, keys, kind
        self.most = len(items)
        self.starts = wrap(filled(0, i64, (self.most + 1,)))
        self.bounds = 0, _hooked(folds.find_runs)(keys, self.starts)

    def item(self, index: Any) -> tuple:
        first, stop = [to_int(self.starts[index + k]) for k in (0, 1)]
        return self.kind.wrap(self.keys[first].node), Part(self.items, first, stop)


def _at(items: Items, position: Any) -> Any:
    """The item with so many before it."""
    first = items.bounds[0]
    return items.item(position if type(first) is int and first == 0 else first + position)


def _counted(iterable: Any) -> Items | None:
    """What is gone through, if a loop can be rolled over it and it is known how long it is."""
    items = None if current_trace() is None or isinstance(iterable, Lazy) else items_of(iterable)
    if items is None or not all(type(bound) is int for bound in items.bounds):
        return None
    return items if len(items) else None


def _hooked(function: Callable[..., Any]) -> Callable[..., Any]:
    trace = current_trace()
    assert trace is not None
    return trace.hook(function)


@creates(functools.reduce)
def _reduce(function: Any, iterable: Any, /, *initial: Any) -> Any:
    items = _counted(iterable)
    if items is None:
        return functools.reduce(_hooked(function), iterable, *initial)
    if not initial:
        initial, items = (_at(items, 0),), _rest(items)
    return _hooked(folds.reduced)(items, _hooked(function), *initial)


def _rest(items: Items) -> Items:
    """All but the first."""
    first, stop = items.bounds
    return Part(items, first + 1, stop)


@creates(itertools.accumulate)
def _accumulate(iterable: Any, func: Any = None, *, initial: Any = None) -> Any:
    function = operator.add if func is None else _hooked(func)
    items = _counted(iterable)
    kind = None if items is None else _kind_of_totals(items, function, initial)
    if items is None or kind is None:
        return itertools.accumulate(iterable, function, initial=initial)
    room = room_for(len(items) + (initial is not None), kind)
    first = _at(items, 0) if initial is None else initial
    rest = _rest(items) if initial is None else items
    _hooked(folds.accumulate)(room, rest, function, first)
    return Selected(room, kind)


def _kind_of_totals(items: Items, function: Any, initial: Any) -> Kind | None:
    """The kind of what is made of the items up to each; None where it is none, or not traced."""
    first = _at(items, 0)
    total = first if initial is None else initial
    made = function(total, first)
    kinds = kind_of(total), kind_of(made)
    if None in kinds or not any(isinstance(value, Value) for value in (first, made)):
        return None
    kind = joined(*kinds)
    return kind if kind is not None and kind.is_scalar else None


@creates(itertools.product)
def _product(*iterables: Any, repeat: int = 1) -> Any:
    several = [_counted(iterable) for iterable in iterables]
    if not several or not all(several) or type(repeat) is not int or repeat < 1:
        return itertools.product(*iterables, repeat=repeat)
    return _Product(several * repeat)


def _choosing(original: Callable[..., Any], count: Callable[[int, int], int]) -> None:
    """`original` chooses so many of the items, by their places alone."""

    @creates(original)
    def chosen(iterable: Any, r: Any = None) -> Any:
        items = _counted(iterable)
        several = () if r is None else (r,)
        size = 0 if items is None else len(items) if r is None else r
        if items is None or type(size) is not int or not 0 < size <= len(items):
            return original(iterable, *several)
        if count(len(items), size) * size > MOST_PLACES:
            return original(iterable, *several)
        places: Iterable = original(range(len(items)), *several)
        return _Chosen(items, np.array(list(places), np.int64))


_choosing(itertools.combinations, math.comb)
_choosing(itertools.permutations, math.perm)
_choosing(itertools.combinations_with_replacement, lambda n, r: math.comb(n + r - 1, r))


def _pairwise(iterable: Any, /) -> Any:
    items = _counted(iterable)
    return itertools.pairwise(iterable) if items is None else Zipped([items, _rest(items)])


if hasattr(itertools, "pairwise"):  # Python 3.10
    creates(itertools.pairwise)(_pairwise)


@creates(itertools.islice)
def _islice(iterable: Any, *bounds: Any) -> Any:
    items = _counted(iterable)
    known = slice(*bounds)
    if items is None or known.step not in (None, 1):
        return itertools.islice(iterable, *bounds)
    start, stop, _ = known.indices(len(items))
    first = items.bounds[0]
    return Part(items, first + start, first + max(start, stop))


def _is_gone_through(iterable: Any) -> bool:
    """Whether loops over it are captured."""
    return items_of(iterable) is not None or is_to_be_driven(iterable)


def _passing(original: Any, generator: Callable[..., Any]) -> None:
    """`original` takes a function and what to go through; `generator` is what it does."""

    @creates(original)
    def chosen(function: Any, iterable: Any, /) -> Any:
        if not _is_gone_through(iterable):
            return original(_hooked(function), iterable)
        return _hooked(generator)(_hooked(function), iterable)


_passing(itertools.takewhile, folds.taken_while)
_passing(itertools.dropwhile, folds.dropped_while)


@creates(itertools.chain)
def _chain(*iterables: Any) -> Any:
    if not any(map(_is_gone_through, iterables)):
        return itertools.chain(*iterables)
    return _hooked(folds.chained)(iterables)


@creates(itertools.count)
def _count(start: Any = 0, step: Any = 1) -> Any:
    return _hooked(folds.counted)(start, step)


@creates(itertools.groupby)
def _groupby(iterable: Any, key: Any = None) -> Any:
    items = _counted(iterable)
    function = (lambda item: item) if key is None else _hooked(key)
    kind = None if items is None else kind_of(function(_at(items, 0)))
    if items is None or kind is None or not kind.is_scalar:
        return itertools.groupby(iterable, function)
    room = room_for(len(items), kind)
    _hooked(folds.fill)(room, items, function)
    return _Groups(items, room, kind)
