"""What a loop can be rolled over: things whose item is known for an index that is not.

Each has `bounds`, from where to where its index runs, and `item(index)` for an int or a traced one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import reduce
from typing import Any, NamedTuple

import numpy as np

from ...errors import TraceError
from ...ir import ops
from ...ir.dims import Dim, is_never_negative, plain
from ..array import Array
from ..context import current_trace, failure
from ..numpy.python_math import to_complex, to_float, to_int
from ..value import ListOfValues, Value, extent_node, known_value, node_of

Bound = Any  # int, Dim, or a traced int


class Items:
    """Base: `bounds` and `item`; iterating gives the items one by one, as Python would. `most`: there are
    no more, where the bounds do not tell."""

    bounds: tuple[Bound, Bound]
    most: int | None = None
    __hash__ = None  # no result of a program

    def item(self, index: Any) -> Any:
        raise NotImplementedError

    def __iter__(self) -> Iterator[Any]:
        start, stop = self.bounds
        return (self.item(index) for index in range(start, stop))

    def __len__(self) -> int:
        start, stop = self.bounds
        return max(0, stop - start)


class Range(Items):
    """`range`, with bounds that may be traced."""

    def __init__(self, start: Bound, stop: Bound, step: Bound = 1):
        self.start, self.stop, self.step = start, stop, step

    @property
    def bounds(self) -> tuple[Bound, Bound]:
        if type(self.step) is int and self.step == 1:
            return self.start, self.stop
        if type(self.step) is int and self.step < 0:
            return 0, (self.start - self.stop + (-self.step - 1)) // -self.step
        return 0, (self.stop - self.start + (self.step - 1)) // self.step

    def item(self, index: Any) -> Any:
        if type(self.step) is int and self.step == 1:
            return index
        return self.start + index * self.step


class Rows(Items):
    """An array: its elements, or its parts along the first axis."""

    def __init__(self, array: Array):
        self.array = array
        self.bounds = 0, plain(array.shape[0])

    def item(self, index: Any) -> Any:
        return self.array[index]


class Enumerated(Items):
    def __init__(self, items: Items, start: Any):
        self.items, self.start = items, start
        self.bounds = items.bounds

    def item(self, index: Any) -> Any:
        first = self.bounds[0]
        position = index if type(first) is int and first == 0 else index - first
        is_zero = type(self.start) is int and self.start == 0
        return position if is_zero else position + self.start, self.items.item(index)


class Zipped(Items):
    """Several side by side, as long as the shortest."""

    def __init__(self, several: list[Any]):
        self.several = several
        self.bounds = 0, reduce(_lesser, map(_count, several))

    def item(self, index: Any) -> Any:
        return tuple([items.item(_from(items.bounds[0], index)) for items in self.several])


class Reversed(Items):
    def __init__(self, items: Items):
        self.items, self.bounds = items, (0, _count(items))

    def item(self, index: Any) -> Any:
        return self.items.item(_from(self.items.bounds[1] - 1, -index))


class Positions(Items):
    """`np.ndindex`: the tuples of indices into a shape."""

    def __init__(self, shape: tuple[int, ...]):
        self.shape = shape
        self.bounds = 0, int(np.prod(shape, dtype=np.int64))

    def item(self, index: Any) -> tuple:
        found: list[Any] = []
        for extent in reversed(self.shape[1:]):
            found.append(index % extent)
            index = index // extent
        return tuple([index, *reversed(found)][: len(self.shape)])


class Elements(Items):
    """`np.ndenumerate` of an array."""

    def __init__(self, array: Array):
        self.array, self.positions = array, Positions(array.shape)
        self.bounds = self.positions.bounds

    def item(self, index: Any) -> Any:
        position = self.positions.item(index)
        return position, self.array[position]


class Unsized(ListOfValues):
    """A list whose length traced values decide: `items` is what a loop goes through, and `size` their
    number."""

    __hash__ = None  # type: ignore[assignment] # no result of a program
    described = "list whose length traced values decide"

    items: Items
    size: Any

    def returned(self) -> tuple[list, Any] | None:
        """Arrays, and the structure that makes the list of them; None where it cannot be returned."""
        return None


class Placed(NamedTuple):
    """What a loop of ours goes through in the place of one of the user's, from which it is told by
    `place`."""

    items: Items
    place: tuple


def _from(first: Any, index: Any) -> Any:
    return index if type(first) is int and first == 0 else first + index


def _count(items: Items) -> Any:
    start, stop = items.bounds
    return stop if type(start) is int and start == 0 else stop - start


def _lesser(one: Bound, other: Bound) -> Bound:
    """The lower of two counts, where that is known, or else what the program finds."""
    if isinstance(one, Value) or isinstance(other, Value):
        nodes = [node_of(n) if isinstance(n, Value) else extent_node(n) for n in (one, other)]
        return Array(ops.minimum(*nodes), True, int)
    if is_never_negative(other - one):
        return one
    if is_never_negative(one - other):
        return other
    return Array(ops.minimum(extent_node(one), extent_node(other)), True, int)


def items_of(value: Any) -> Items | None:
    """What a loop can be rolled over, of what stands after `in`; None if it is plain Python."""
    if isinstance(value, Items):
        return value
    if isinstance(value, Unsized | Placed):
        return value.items
    if type(value) is range:
        return Range(value.start, value.stop, value.step)
    if isinstance(value, Value) and not value.is_scalar and value.ndim:
        if value.mask is None:
            return Rows(value)
        if value.packs:
            return Rows(value.gathered("to be iterated over"))
    return None


def to_count(value: Value) -> Array:
    """The Python int that `range` makes of a traced integer."""
    if not value.is_scalar or not value.node.type.dtype.is_integer:
        kind = value.__class__.__name__
        raise TypeError(f"'{kind}' object cannot be interpreted as an integer")
    return to_int(value)


def to_bound(value: Any) -> Bound:
    """An argument of `range`: an int or a Dim, or a traced int where neither is known."""
    if isinstance(value, Value):
        node = node_of(value)
        if node.op is ops.extent:
            return node.attrs["value"]
        known = known_value(node)
        return to_count(value) if known is None else known[()].__index__()
    return plain(value) if isinstance(value, Dim) else value


# Builtins and NumPy's iterators, for traced arguments.


def _range(*args: Any) -> Any:
    if not any(isinstance(value, Value | Dim) for value in args):
        return range(*args)
    bounds = [to_bound(value) for value in args]
    if all(type(bound) is int for bound in bounds):
        return range(*bounds)
    start, stop, step = (0, bounds[0], 1) if len(bounds) == 1 else (*bounds, 1)[:3]
    return Range(start, stop, step.__index__() if not isinstance(step, Value) else step)


def _enumerate(iterable: Any, start: Any = 0) -> Any:
    items = items_of(iterable)
    if items is None:
        return enumerate(iterable, start)
    found = Enumerated(items, start)
    return Placed(found, iterable.place) if isinstance(iterable, Placed) else found


def _zip(*iterables: Any, **options: Any) -> Any:
    several = [items_of(iterable) for iterable in iterables]
    is_rolled = several and not any(items is None for items in several) and not options
    if not is_rolled or all(type(iterable) is range for iterable in iterables):
        return zip(*iterables, **options)
    return Zipped(several)


def _reversed(iterable: Any) -> Any:
    if type(iterable) is range:
        return iterable[::-1]
    items = items_of(iterable)
    return reversed(iterable) if items is None else Reversed(items)


def _ndindex(*shape: Any) -> Any:
    extents = shape[0] if len(shape) == 1 and isinstance(shape[0], tuple | list) else shape
    if all(type(extent) is int and extent >= 0 for extent in extents):
        return Positions(tuple(extents))
    return np.ndindex(*shape)


def _ndenumerate(array: Any) -> Any:
    if isinstance(array, Array) and all(type(extent) is int for extent in array.shape):
        return Elements(array)
    return np.ndenumerate(array)


def _next(iterator: Any, *default: Any) -> Any:
    """`next`, which no pass over a body and no arm may do, as it cannot be undone."""
    trace = current_trace()
    if trace is not None and trace.region.parent is not None:
        raise failure(
            TraceError,
            "an iterator is advanced in a branch or a loop that depends on traced values",
            "make a list of it, or advance it outside",
        )
    return next(iterator, *default)


def _type(value: Any, *others: Any) -> Any:
    """`type`, of which a traced value gives what NumPy would have there."""
    trace = current_trace()
    if trace is None or others or not isinstance(value, Value):
        return type(value, *others)
    return trace.hook(value.__class__)  # which `np.float64` is in traced code, too


def _text_of(function: Callable[[Any], str]) -> Callable[[Any], str]:
    """A builtin that makes text of an int, which is NumPy's affair where the int is traced."""

    def run(value: Any, /) -> str:
        if isinstance(value, Value) and known_value(node_of(value)) is None:
            return str(to_count(value))
        return function(value)

    return run


class Seen(NamedTuple):
    """A builtin, and what traced code calls instead."""

    original: Any
    instead: Callable[..., Any]


_SEEN = [
    Seen(range, _range),
    Seen(enumerate, _enumerate),
    Seen(zip, _zip),
    Seen(reversed, _reversed),
    Seen(int, to_int),
    Seen(float, to_float),
    Seen(complex, to_complex),
    Seen(next, _next),
    Seen(type, _type),
    *[Seen(function, _text_of(function)) for function in (bin, oct, hex, chr)],
    Seen(np.ndindex, _ndindex),
    Seen(np.ndenumerate, _ndenumerate),
]
INSTEAD: dict[int, Callable[..., Any]] = {id(seen.original): seen.instead for seen in _SEEN}
