"""Python's builtins that go through a sequence of traced values, and its `in`.

They are the loops of folds.py; over an array without a condition some are an op of NumPy's.

limit: `sorted` puts nan last, where Python leaves it somewhere.
"""

from __future__ import annotations

import bisect
import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from ...errors import TraceError, UnsupportedError
from ...ir import ops
from ...ir.types import bool_
from ..application import apply
from ..array import Array, wrap
from ..context import current_trace, failure
from ..location import user_line
from ..promotion import cast, constant
from ..registry import FUNCTIONS, creates
from ..unread import instead
from ..unruled import apply_function
from ..value import Value, known_value, node_of, to_node
from . import folds, stacks
from .comprehensions import listed
from .functions import is_to_be_driven
from .generators import Lazy, Selected, room_for, selected
from .growing import MOST_LISTED, Growing, growth, note_of
from .integers import power
from .iterables import INSTEAD, Items, Unsized, Zipped, items_of
from .iterators import Part
from .joins import describe, joined, kind_of
from .state import is_array
from .tables import table_growth

_SEQUENCES = (list, tuple, dict, set, frozenset)


def _identity(value: Any) -> Any:
    return value


def _lazy(iterable: Any) -> Lazy | None:
    """What to go through, if there may be traced values in it."""
    if isinstance(iterable, Lazy):
        return iterable
    if isinstance(iterable, Value | Items | Unsized):
        return Lazy(iterable, _identity)
    if type(iterable) in _SEQUENCES and not any(isinstance(x, Value) for x in iterable):
        return None
    if isinstance(iterable, str | bytes | range | np.ndarray):
        return None
    return Lazy(iterable, _identity)


def _any_lazy(iterable: Any) -> Lazy:
    """What to go through, where what is made of each value may be traced."""
    return iterable if isinstance(iterable, Lazy) else Lazy(iterable, _identity)


def _folding(original: Callable[..., Any]) -> Callable[..., Any]:
    """Decorate what is done instead of a builtin where there may be traced values."""

    def enter(implementation: Callable[..., Any]) -> Callable[..., Any]:
        @creates(original)
        def chosen(*args: Any, **options: Any) -> Any:
            found = _lazy(args[0]) if args else None
            if found is None:
                return original(*args, **options)
            return implementation(found, *args[1:], **options)

        return chosen

    return enter


def _hooked(function: Callable[..., Any]) -> Callable[..., Any]:
    trace = current_trace()
    assert trace is not None
    return trace.hook(function)


def _whole(found: Lazy) -> Array | None:
    """The array that is gone through, all of it, if that is what there is."""
    array = getattr(found.source, "array", None)
    is_all = found.value is _identity and isinstance(found.source, Items)
    return array if is_all and isinstance(array, Array) and array.ndim == 1 else None


@_folding(any)
def _any(found: Lazy) -> Any:
    whole = _whole(found)
    if whole is not None:
        return Array(FUNCTIONS[np.any](whole).node, True, bool)
    return _hooked(folds.any_of)(found)


@_folding(all)
def _all(found: Lazy) -> Any:
    whole = _whole(found)
    if whole is not None:
        return Array(FUNCTIONS[np.all](whole).node, True, bool)
    return _hooked(folds.all_of)(found)


@_folding(sum)
def _sum(found: Lazy, start: Any = 0) -> Any:
    return _hooked(folds.total_of)(found, start)


@creates(sorted)
def _sorted(iterable: Any, /, *, key: Any = None, reverse: Any = False) -> Any:
    """Where what they are sorted by has one dtype, the list of them in NumPy's stable order."""
    found = _any_lazy(iterable)
    is_simple = key is None and found.is_rolled and not found.is_nested
    if is_simple and not found.is_counted:
        return _sorted_choice(found, reverse)
    if found.is_sure and found.is_rolled and len(found.source) > MOST_LISTED // 2:
        many = _sorted_by_loop(found, key, reverse)
        if many is not None:
            return many
    items = list(found)
    ranks = items if key is None else [key(item) for item in items]
    if not any(isinstance(rank, Value) for rank in ranks):
        by = iter(ranks)
        return sorted(items, key=lambda item: next(by), reverse=reverse)
    kinds = {kind_of(rank) for rank in ranks}
    if None in kinds or len(kinds) > 1 or any(kind.shape for kind in kinds):
        raise failure(
            TraceError,
            "sorted() by traced values that are not numbers of one type",
            "sort arrays: np.argsort tells their order",
        )
    ranks = wrap(to_node(ranks[::-1] if reverse else ranks))
    order = apply_function(np.argsort, (ranks,), {"kind": "stable"})
    if reverse:
        order = len(items) - 1 - order[::-1]
    return [_at(items, order[position]) for position in range(len(items))]


def _sorted_choice(found: Lazy, reverse: Any) -> Any:
    """The list of items in order of which traced values decide how many there are."""
    trace, source = current_trace(), found.source
    assert trace is not None
    first, stop = source.bounds
    items = selected(trace, found, stop - first, found.value(source.item(first)))
    items.sort(reverse=reverse)
    return items


def _sorted_by_loop(found: Lazy, key: Any, reverse: Any) -> Any:
    """The list of many items in order, which loops make; None where it is a plain one, or cannot be made so."""
    first = found.value(found.source.item(found.source.bounds[0]))
    rank = first if key is None else key(first)
    note, kind = note_of([first]), kind_of(rank)
    if not isinstance(rank, Value) or note is None or note.has_arrays or kind is None or kind.shape:
        return None
    items = Growing((user_line(), "sorted"), note._replace(room=len(found.source)), ())
    _hooked(stacks.fill)(items, found.source, found.value)
    items.end = len(found.source)
    ranks = room_for(items.end, kind)
    _hooked(folds.fill)(
        ranks, found.source, found.value if key is None else lambda x: key(found.value(x))
    )
    order = apply_function(np.argsort, (ranks[::-1] if reverse else ranks,), {"kind": "stable"})
    if reverse:
        order = items.end - 1 - order[::-1]
    items.buffers = tuple([buffer[order] for buffer in items.buffers])
    return items


def _at(items: list, position: Array) -> Any:
    """The item at a traced position, of items of one kind."""
    kinds = {kind_of(item) for item in items}
    if None in kinds or len(kinds) > 1:
        raise failure(
            TraceError,
            "sorted() by traced values of what is no number or array of one type",
            "sort arrays: np.argsort tells their order",
        )
    (kind,) = kinds
    found = wrap(to_node(items))[position]
    return kind.wrap(cast(found.node, kind.dtype))


def _extreme(original: Callable[..., Any], is_better: np.ufunc) -> None:
    """`max` and `min`, where some values are traced; the first of equals wins."""

    @creates(original)
    def chosen(*args: Any, key: Any = None, **options: Any) -> Any:
        word = original.__name__
        if len(args) != 1:
            if not any(map(_is_number, args)) or (key is None and options):
                return original(*args, key=key, **options)
            if key is None:
                return _best(word, list(args), is_better)
            args = (list(args),)
        found = _lazy(args[0]) if key is None else _any_lazy(args[0])
        if found is None:
            return original(*args, key=key, **options)
        if found.is_sure and not found.is_rolled and key is None:
            return _best(word, list(found), is_better)
        better = operator.gt if original is max else operator.lt
        if found.is_sure:
            return _hooked(folds.best_of)(found, better, key)
        return _hooked(folds.best_or)(found, better, key, tuple(options.values()), f"{word}()")


def _is_number(value: Any) -> bool:
    return isinstance(value, Value) and value.is_scalar


def _best(word: str, values: list, is_better: np.ufunc) -> Any:
    """The best of several values, of the type that NumPy's promotion gives."""
    best, *rest = values
    for value in rest:
        kinds = kind_of(best), kind_of(value)
        kind = None if None in kinds or not all(not k.shape for k in kinds) else joined(*kinds)
        if kind is None:
            raise failure(
                TraceError,
                f"{word}() of {describe(best)} and {describe(value)}",
                f"use np.{word}imum for arrays",
            )
        condition = apply(is_better, value, best).node
        best = kind.wrap(ops.where(condition, kind.node(value), kind.node(best)))
    return best


_extreme(max, np.greater)
_extreme(min, np.less)


@creates(len)
def _length(value: Any, /) -> Any:
    """`len`, which Python itself lets only give an int: here also an extent that is a symbol."""
    if isinstance(value, Unsized):
        return value.size
    return value.shape[0] if isinstance(value, Value) and value.ndim else len(value)


class Mapped(Items):
    """`map(function, items)`."""

    def __init__(self, function: Callable[[Any], Any], items: Items):
        self.function, self.items = function, items
        self.bounds, self.most = items.bounds, items.most

    def item(self, index: Any) -> Any:
        return self.function(self.items.item(index))


def _map(function: Any, *iterables: Any) -> Any:
    """`map`, over what a loop can be rolled over."""
    several = [items_of(iterable) for iterable in iterables]
    if current_trace() is None or not several:
        return map(function, *iterables)
    hooked = _hooked(function)
    if len(several) == 1 and isinstance(iterables[0], Lazy):
        inner = iterables[0]
        return Lazy(inner.source, lambda x: hooked(inner.value(x)), inner.condition)
    if any(items is None for items in several):
        return map(function, *iterables)
    if len(several) == 1:
        return Mapped(hooked, several[0])
    return Mapped(lambda values: hooked(*values), Zipped(several))


def _filter(function: Any, iterable: Any) -> Any:
    """`filter`, over the same."""
    if current_trace() is None or items_of(iterable) is None:
        return filter(function, iterable)
    return Lazy(iterable, _identity, _identity if function is None else _hooked(function))


_enumerate_items = INSTEAD[id(enumerate)]


def _enumerate(iterable: Any, start: Any = 0) -> Any:
    """`enumerate`, of a generator, too."""
    is_driven = current_trace() is not None and is_to_be_driven(iterable)
    return (
        _hooked(folds.numbered)(iterable, start) if is_driven else _enumerate_items(iterable, start)
    )


_next_of_iterator = INSTEAD[id(next)]


def _next(iterator: Any, *default: Any) -> Any:
    """`next`, of a generator expression that begins here, too."""
    if not isinstance(iterator, Lazy):
        return _next_of_iterator(iterator, *default)
    if current_trace() is None:
        return next(iter(iterator), *default)
    return _hooked(folds.first_or)(iterator, default)


def _list(*args: Any) -> Any:
    """`list`, of which traced values may decide how many items it has."""
    found = args[0] if args else None
    if isinstance(found, Mapped):
        found = Lazy(found.items, found.function)
    elif isinstance(found, Part):
        found = found.listed()
    elif is_to_be_driven(found):
        found = Lazy(found, _identity)
    if isinstance(found, Lazy):
        return listed(found, (user_line(), "list"))
    return found if isinstance(found, Selected) else list(*args)


INSTEAD |= {
    id(enumerate): _enumerate,
    id(map): _map,
    id(filter): _filter,
    id(list): _list,
    id(next): _next,
    id(pow): power,
}


def _bisecting(original: Callable[..., Any], implementation: Callable[..., Any]) -> None:
    @creates(original)
    def chosen(a: Any, x: Any, lo: Any = 0, hi: Any = None, *, key: Any = None) -> Any:
        known = (list, tuple, np.ndarray)
        is_plain = type(a) in known and not any(isinstance(v, Value) for v in (x, lo, hi))
        if is_plain and not (type(a) in (list, tuple) and any(isinstance(v, Value) for v in a)):
            return original(a, x, lo, hi, key=key)
        if key is not None:
            raise failure(UnsupportedError, f"{original.__name__}() by a key", "sort the keys")
        return _hooked(implementation)(a, x, lo, _length(a) if hi is None else hi)


def _inserting(original: Callable[..., Any], place: Callable[..., Any]) -> None:
    @creates(original)
    def chosen(a: Any, x: Any, lo: Any = 0, hi: Any = None, *, key: Any = None) -> None:
        trace = current_trace()
        if trace is not None and type(a) is list and any(isinstance(v, Value) for v in (*a, x)):
            again = growth(trace, a, [*a, x])
            if again is not None:
                raise again
        if not isinstance(a, Unsized):
            original(a, x, lo, hi, key=key)
            return
        a.insert(_hooked(place)(a, x, lo, _length(a) if hi is None else hi), x)


_bisecting(bisect.bisect_left, folds.bisect_left)
_bisecting(bisect.bisect_right, folds.bisect_right)
_inserting(bisect.insort_left, folds.bisect_left)
_inserting(bisect.insort_right, folds.bisect_right)


@instead
def item_of(container: Any, index: Any) -> Any:
    """`container[index]`: of a list of numbers, or of arrays of one type, at a traced index as well.

    Of arrays it is a copy, and neither it nor they may be written while it is in use. Where loops count the index, arrays are left to
    these, which are unrolled: nothing need be copied then.
    """
    if type(container) not in (list, tuple) or not _is_number(index):
        return container[index]
    node = node_of(index)
    trace = current_trace()
    if (
        not container
        or trace is None
        or not node.type.dtype.is_integer
        or known_value(node) is not None
    ):
        return container[index]
    kinds = {kind_of(item) for item in container}
    (kind, *others) = kinds
    again = table_growth(trace, container) if type(container[0]) is list else None
    if again is not None:
        raise again
    if kind is None or others or kind.shape and trace.is_counted(node):
        return container[index]
    found = wrap(to_node(list(container)))[index]
    if kind.is_scalar:
        return kind.wrap(cast(found.node, kind.dtype))
    for item in filter(is_array, container):
        trace.may_share(found.storage, item.storage)
    return found


def contains(item: Any, container: Any) -> Any:
    """`item in container`: a bool, or a traced one."""
    if isinstance(container, Unsized):
        container = container.array
        if container.ndim > 1:
            raise failure(
                UnsupportedError,
                "traced values decide which arrays or tuples a list has that is searched",
                "compare with the rows of an array: (np.array(items) == item).all(axis=1).any()",
            )
    if isinstance(container, Value) and not container.is_scalar:
        return Array(FUNCTIONS[np.any](apply(np.equal, container, item)).node, True, bool)
    if not _is_number(item) or known_value(node_of(item)) is not None:
        if type(container) not in (list, tuple) or not any(map(_is_number, container)):
            return item in container
    if type(container) is range:
        inside = (item >= min(container, default=0)) & (item <= max(container, default=-1))
        inside = inside & ((item - container.start) % container.step == 0)
        return Array(inside.node, True, bool)
    if type(container) not in _SEQUENCES:
        return item in container
    found: Any = constant(False, bool_)
    for other in container:
        equal = item == other
        found = ops.logical_or(
            found, to_node(bool(equal) if not isinstance(equal, Value) else equal)
        )
    return Array(found, True, bool)
