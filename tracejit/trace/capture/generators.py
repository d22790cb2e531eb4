"""Generator expressions and comprehensions whose loops and conditions may be traced."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ...errors import UnsupportedError
from ...ir.dims import highest
from ..array import Array, wrap
from ..context import Trace, current_trace, failure
from ..promotion import filled
from ..registry import CREATIONS
from ..value import Value
from . import folds
from .iterables import Items, Unsized, items_of
from .joins import kind_of


class Lazy:
    """`(value(x) for x in source if keeps(x))`; where `is_nested`, `value(x)` is another of these,
    whose values count. Iterating over it gives the values, as Python would."""

    __hash__ = None  # no result of a program

    def __init__(
        self,
        source: Any,
        value: Callable[[Any], Any],
        condition: Callable[[Any], Any] | None = None,
        is_nested: bool = False,
    ):
        items = items_of(source)
        self.source = source if items is None else items
        self.value, self.condition, self.is_nested = value, condition, is_nested

    def keeps(self, x: Any) -> Any:
        return True if self.condition is None else self.condition(x)

    def __iter__(self) -> Iterator[Any]:
        for x in self.source:
            if self.keeps(x):
                if self.is_nested:
                    yield from self.value(x)
                else:
                    yield self.value(x)

    @property
    def is_rolled(self) -> bool:
        """Whether the source is one that a loop can be rolled over."""
        return isinstance(self.source, Items)

    @property
    def is_sure(self) -> bool:
        """Whether it certainly has a value, and the condition does not decide about any."""
        if self.condition is not None or self.is_nested:
            return False
        if self.is_rolled:
            start, stop = self.source.bounds
            return type(start) is int and type(stop) is int and start < stop
        return isinstance(self.source, list | tuple) and bool(self.source)


class Selected(Items, Unsized):
    """The list that a comprehension makes where traced values decide how many items it has.

    It is an array of them, which NumPy's functions may be given, and which can be gone through.
    """

    def __init__(self, array: Array):
        self.array = array
        self.bounds = 0, array.shape[0]

    def item(self, index: Any) -> Any:
        return self.array[index]

    @property
    def size(self) -> Any:
        return self.array.shape[0]

    def __len__(self) -> int:
        return len(self.array)

    def __getitem__(self, index: Any) -> Any:
        found = self.array[index]
        return Selected(found) if isinstance(index, slice) else found

    def __array_function__(self, function: Any, types: Any, args: tuple, kwargs: dict) -> Any:
        return function(*as_arrays(args), **kwargs)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        return getattr(ufunc, method)(*as_arrays(inputs), **options)

    def append(self, item: Any) -> None:
        raise failure(
            UnsupportedError,
            "a list whose length traced values decide gets another item",
            "make it an array, np.array([... for ... if ...]), and join arrays with np.append",
        )

    extend = insert = pop = remove = append


def as_arrays(args: tuple) -> tuple:
    """Arguments, with arrays for lists whose length traced values decide."""
    return tuple([arg.array if isinstance(arg, Unsized) else arg for arg in args])


def listed(found: Lazy) -> Any:
    """`[*found]`: a list, or what stands for one whose length traced values decide."""
    trace = current_trace()
    if trace is None or not found.is_rolled or found.is_nested:
        return list(found)
    first, stop = found.source.bounds
    is_known = not isinstance(first, Value) and not isinstance(stop, Value)
    if is_known and found.condition is None:
        return list(found)
    sample = found.source.item(first)
    if is_known and not isinstance(found.keeps(sample), Value):
        return list(found)
    return Selected(_collected(trace, found, stop - first, found.value(sample)))


def _collected(trace: Trace, found: Lazy, size: Any, sample: Any) -> Array:
    """The values side by side; `sample` is like each of them."""
    most, kind = found.source.most, kind_of(sample)
    if most is None and not isinstance(size, Value):
        most = highest(size)
    if most is None or kind is None:
        raise failure(
            UnsupportedError,
            "a list of which traced values decide how many items of what kind it has",
            "write the loop, and let it fill an array that is large enough",
        )
    room = wrap(filled(0, kind.dtype, (most, *kind.shape)))
    count = trace.hook(folds.collect)(found, room, 0)
    return room[:count]


def _of_lists(implementation: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(implementation)
    def made(*args: Any, **options: Any) -> Any:
        return implementation(*as_arrays(args), **options)

    return made


for _function in (np.array, np.asarray, np.asanyarray, np.ascontiguousarray):
    CREATIONS[_function] = _of_lists(CREATIONS[_function])
