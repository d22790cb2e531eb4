"""Generator expressions and comprehensions whose loops and conditions may be traced."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ...errors import UnsupportedError
from ...ir.dims import highest
from ..array import Array, wrap
from ..context import Trace, failure
from ..promotion import cast, filled
from ..registry import CREATIONS, FUNCTIONS
from ..tree import LEAF, items_structure
from ..value import Value, node_of
from . import folds
from .iterables import Items, Unsized, items_of
from .joins import Kind, kind_of


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
    def is_counted(self) -> bool:
        """Whether it is known how many values there are, of a source that a loop can be rolled over."""
        start, stop = self.source.bounds
        if type(start) is not int or type(stop) is not int:
            return False
        return start >= stop or not isinstance(self.keeps(self.source.item(start)), Value)

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

    It is an array of them, which NumPy's functions may be given, and which can be gone through; each is
    of one `kind`. `regrow` makes it a list that grows, where more than that is asked of it.
    """

    def __init__(self, array: Array, kind: Kind, regrow: BaseException | None = None):
        self.array, self.kind, self.regrow = array, kind, regrow
        self.bounds = 0, array.shape[0]

    def item(self, index: Any) -> Any:
        found = self.array[index]
        is_number = self.kind.is_scalar
        return self.kind.wrap(cast(node_of(found), self.kind.dtype)) if is_number else found

    def returned(self) -> tuple[list, Any] | None:
        if self.array.ndim > 1:
            return None
        return [wrap(self.array.node)], items_structure(LEAF, (self.kind.weak is not None,))

    @property
    def size(self) -> Any:
        return self.array.shape[0]

    def __len__(self) -> int:
        return len(self.array)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return Selected(self.array[index], self.kind)
        return self.item(index)

    def sort(self, *, key: Any = None, reverse: bool = False) -> None:
        """`list.sort`; nan comes last."""
        if key is not None or self.array.ndim > 1:
            self.append(None)
        found = FUNCTIONS[np.sort](self.array)
        self.array = found[::-1] if reverse else found

    def __array_function__(self, function: Any, types: Any, args: tuple, kwargs: dict) -> Any:
        return function(*as_arrays(args), **kwargs)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        return getattr(ufunc, method)(*as_arrays(inputs), **options)

    def for_numpy(self) -> Array:
        """What NumPy's functions are given."""
        return self.array

    def append(self, *items: Any) -> Any:
        raise self.regrow or failure(
            UnsupportedError,
            "a list whose length traced values decide gets another item",
            "make it an array, np.array([... for ... if ...]), and join arrays with np.append",
        )

    extend = insert = pop = remove = __add__ = __radd__ = __iadd__ = append

    def __eq__(self, other: object) -> bool:
        raise failure(
            UnsupportedError,
            "a comparison of a list that traced values decide about",
            "compare arrays: np.array_equal(a, b)",
        )


def as_arrays(args: tuple) -> tuple:
    """Arguments, with arrays for lists whose length traced values decide."""
    return tuple(map(_as_array, args))


def _as_array(arg: Any) -> Any:
    if isinstance(arg, Unsized):
        return arg.array
    if type(arg) is list and any(isinstance(part, list | Unsized) for part in arg):
        return [*map(_as_array, arg)]
    return arg


def selected(trace: Trace, found: Lazy, size: Any, sample: Any) -> Selected:
    """The values that conditions choose; `sample` is like each of them."""
    most, kind = found.source.most, kind_of(sample)
    if most is None and not isinstance(size, Value):
        most = highest(size)
    if most is None or kind is None:
        raise failure(
            UnsupportedError,
            "a list of which traced values decide how many items of what kind it has",
            "write the loop, and let it fill an array that is large enough",
        )
    room = room_for(most, kind)
    count = trace.hook(folds.collect)(found, room, 0)
    return Selected(room[:count], kind)


def room_for(count: int, kind: Kind) -> Array:
    return wrap(filled(0, kind.dtype, (count, *kind.shape)))


def _of_lists(implementation: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(implementation)
    def made(*args: Any, **options: Any) -> Any:
        return implementation(*as_arrays(args), **options)

    return made


for _function in (np.array, np.asarray, np.asanyarray, np.ascontiguousarray):
    CREATIONS[_function] = _of_lists(CREATIONS[_function])
