"""Lookups in tables: `searchsorted` and `digitize` search; `bincount` counts; others compare with all.

Comparing with all entries at once has no branches and fuses with what makes the values.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from ...errors import UnsupportedError
from ...ir import ops
from ...ir.dims import Dim
from ...ir.types import i64
from ..advanced import constant_value
from ..application import apply
from ..array import Array, wrap
from ..context import failure
from ..host import no_rule
from ..promotion import cast
from ..registry import implements
from ..value import Value, known_value, node_of
from . import reductions
from .arguments import is_traced, numpy_dtype, refuse, static_int, static_shape
from .building import (
    as_array,
    broadcast,
    choose,
    concatenated,
    converted,
    filled,
    gathered,
    in_common_dtype,
    number,
    promoted_dtype,
    reshaped,
    scalar_like,
    taken,
    window,
)
from .calculus import diff
from .creation import linspace
from .rooms import at_hand, extent_in, room_for


def _beside_table(x: Array) -> Array:
    """An axis at the end, for the table."""
    return reshaped(x, (*x.shape, 1))


@implements(np.searchsorted)
def searchsorted(a, v, side="left", sorter=None):
    """`np.searchsorted`; a table that is not sorted gives other positions than NumPy's."""
    if side not in ("left", "right"):
        raise ValueError(f"search side must be 'left' or 'right' (got '{side}')")
    table, values = in_common_dtype(a, v)
    if table.ndim != 1:
        raise ValueError("object too deep for desired array")
    if sorter is not None:
        table = gathered(table, _order(sorter, table.shape[0]), 0)
    is_known = type(table.shape[0]) is int
    search = ops.search_sorted if is_known else ops.search_any
    return scalar_like(wrap(search(node_of(table), node_of(values), side=side)))


def _order(sorter: Any, extent: Any) -> Array:
    """The order in which a table is sorted.

    # limit: an entry outside raises IndexError, where NumPy raises ValueError or does not notice.
    """
    order = as_array(sorter)
    if order.ndim != 1:
        raise TypeError("could not parse sorter argument")
    if order.dtype.kind not in "iu":
        raise TypeError("sorter must only contain integers")
    if order.shape[0] != extent:
        raise ValueError("sorter.size must equal a.size")
    return order


@implements(method="searchsorted")
def searchsorted_method(a, v, side="left", sorter=None):
    """`table.searchsorted(values)`."""
    return searchsorted(a, v, side, sorter)


@implements(np.digitize)
def digitize(x, bins, right=False):
    """`np.digitize`, with bins in rising or falling order."""
    x, bins = as_array(x), as_array(bins)
    if x.dtype.kind == "c":
        raise TypeError("x may not be complex")
    if bins.ndim != 1:
        raise ValueError("object of too small depth for desired array")
    n = bins.shape[0]
    side = "left" if right else "right"
    rising = searchsorted(bins, x, side)
    if type(n) is int and n < 2:
        return rising
    falling = apply(np.subtract, n, searchsorted(window(bins, 0, n - 1, -1, -1), x, side))
    known = known_value(bins.node)
    if known is not None:
        np.digitize(np.zeros(0), known)  # raises NumPy's ValueError
        is_rising = not (known[1:] < known[:-1]).any() and (known[1:] > known[:-1]).any()
        return rising if is_rising or (known == known[0]).all() else falling
    before, after = window(bins, 0, 0, n - 1), window(bins, 0, 1, n)
    ascends, descends = reductions.any(before < after), reductions.any(before > after)
    # A nan, which is last, is neither above nor below.
    is_level = reductions.all(apply(np.equal, before, after))
    is_rising = (ascends | is_level) & ~descends
    legal = wrap(ops.legal(node_of(~(ascends & descends))), True)
    return scalar_like(choose(is_rising & legal, rising, falling))


def _inside(positions: Array, extent: Any) -> Array:
    """Positions from 0 to before `extent`; where they are not, the program raises a ValueError."""
    count = broadcast(as_array(extent), positions.shape)
    return wrap(ops.checked_choice(node_of(positions), cast(node_of(count), i64)))


@implements(np.unravel_index)
def unravel_index(indices, shape, order="C"):
    """`np.unravel_index`."""
    flat = as_array(indices)
    _check_integers(flat, "iu")
    extents, size = _extents_of(shape)
    rest = scalar_like(_inside(converted(flat, np.int64), size))
    found: list[Array] = []
    for extent in reversed(extents) if order == "C" else extents:
        found.append(apply(np.remainder, rest, extent))
        rest = apply(np.floor_divide, rest, extent)
    return tuple(reversed(found)) if order == "C" else tuple(found)


def _extents_of(shape: Any) -> tuple[Sequence, Any]:
    """The extents that positions are to be inside of, which may be traced, and their product: a ValueError
    of the program where that is more than int64 has."""
    if not is_traced(shape):
        extents = static_shape(shape)
        return extents, prod(extents)
    items = as_array(shape)
    _check_integers(items, "iu")
    if items.ndim != 1 or type(items.shape[0]) is not int or not items.shape[0]:
        raise no_rule("positions in such a shape")
    extents = [converted(items[k], np.int64) for k in range(items.shape[0])]
    size, wide, fits = extents[0], converted(extents[0], np.float64), extents[0] >= 0
    for n in extents[1:]:
        size, wide, fits = size * n, wide * n, fits & (n >= 0)
    return extents, size * (fits & (wide < 2.0**62))


def _check_integers(indices: Array, kinds: str) -> None:
    if indices.dtype.kind not in kinds:
        raise TypeError("only int indices permitted")


@implements(np.ravel_multi_index)
def ravel_multi_index(multi_index, dims, mode="raise", order="C"):
    """`np.ravel_multi_index`."""
    extents, size = _extents_of(dims)
    modes = mode if isinstance(mode, tuple) else (mode,) * len(extents)
    pairs = list(zip(multi_index, extents, modes, strict=True))
    total: Any = None
    for index, extent, how in pairs if order == "C" else reversed(pairs):
        given = as_array(index)
        _check_integers(given, "biu")
        index = scalar_like(converted(given, np.int64))
        if how == "wrap":
            index = apply(np.remainder, index, extent)
        elif how == "clip":
            index = apply(np.minimum, apply(np.maximum, index, 0), apply(np.subtract, extent, 1))
        else:
            index = scalar_like(_inside(index, extent))
        total = index if total is None else total * extent + index
    return scalar_like(_inside(total, size)) if isinstance(size, Value) else total


@implements(np.bincount)
def bincount(x, /, weights=None, minlength=0):
    """`np.bincount`."""
    given = as_array(x)
    if given.ndim != 1:
        raise ValueError(
            "object too deep for desired array"
            if given.ndim
            else "object of too small depth for desired array"
        )
    least = static_int(minlength, "minlength")
    if least < 0:
        raise ValueError("'minlength' must not be negative")
    known = constant_value(given.node)
    if known is not None:
        np.bincount(known)  # raises NumPy's own errors
        length = max(least, int(np.max(known, initial=-1)) + 1)
    elif (
        given.dtype.kind in "bu"
        and least > np.iinfo(np.uint8 if given.dtype.kind == "b" else given.dtype).max
    ):
        length = least
    else:
        return _counts_of_data(given, weights, least)
    return _weighed(converted(given, np.int64), weights, length)


def _weighed(places: Array, weights: Any, length: int | Dim) -> Array:
    """How often each place is there, or what the weights of it add up to."""
    if weights is None:
        counts = filled((length,), 0, np.int64)
        np.add.at(counts, places, 1)
        return counts
    w = converted(as_array(weights), np.float64)
    if w.shape != places.shape:
        raise ValueError("The weights and list don't have the same length.")
    sums = filled((length,), 0, np.float64)
    np.add.at(sums, places, w)
    return sums


# Where the greatest of few elements is beyond this, counting is not what a program is made for.
MOST_COUNTS = 1 << 16


def _counts_of_data(x: Array, weights: Any, least: int) -> Array:
    """`np.bincount` of as many counts as only data tells: there is room for those of the arguments at
    hand and some more. For numbers beyond, or below 0, the function runs with NumPy."""
    if x.dtype.kind not in "iu" or x.dtype == np.uint64 or x.size == 0:
        raise no_rule("np.bincount of this")
    numbers = at_hand(x, "np.bincount")
    greatest = int(np.max(numbers))
    if greatest > max(MOST_COUNTS, 4 * numbers.size):
        raise no_rule("np.bincount of numbers that are large")
    room = room_for(greatest, x, numbers.size, least)
    # What is below 0 is, without a sign, beyond all others.
    is_far = converted(as_array(room), np.uint64)
    places = converted(apply(np.minimum, converted(x, np.uint64), is_far), np.int64)
    extent = extent_in(room, reductions.max(places) + 1, "counts", least)
    counts = _weighed(places, weights, room + 1)
    return window(counts, 0, 0, extent)


@implements(np.histogram)
def histogram(a, bins=10, range=None, density=None, weights=None):
    """`np.histogram`; edges may be traced, and then are taken to rise."""
    x = as_array(a)
    x = reshaped(x, (x.size,))
    if x.dtype.kind == "c":
        raise failure(UnsupportedError, "np.histogram of complex numbers", "count the real parts")
    if x.dtype.kind == "b":
        x = converted(x, np.uint8)
    edges = edges_of(x, bins, range)
    n = static_int(edges.shape[0], "a number of bins").__index__() - 1
    is_even = as_array(bins).ndim == 0 and x.dtype.itemsize * (x.dtype.kind in "iu") < 8
    if n < (FEW_EVEN_BYTES // promoted_dtype(x, edges).itemsize if is_even else FEW_BINS):
        counts = _compared(x, edges, n, weights)
    else:
        counts = counted(x, (_even_bin if is_even else bin_of)(x, edges, n), n, weights)
    if density:
        widths = converted(diff(edges), np.float64)
        return counts / widths / reductions.sum(counts), edges
    return counts, edges


# With fewer bins every element is compared with every edge; with more it is searched for, or its bin is
# computed where all are of one width: measured with 1e3 to 5e5 elements of 4 and 8 bytes.
FEW_BINS, FEW_EVEN_BYTES = 128, 300


def bin_of(x: Array, edges: Array, n: int) -> Array:
    """The bin of each element; n where it is in none."""
    dtype = promoted_dtype(x, edges)
    found = np.searchsorted(converted(edges, dtype), converted(x, dtype), side="right") - 1
    found = choose(apply(np.equal, x, taken(edges, 0, n)), n - 1, found)
    return choose(found < 0, n, found)


def _even_bin(x: Array, edges: Array, n: int) -> Array:
    """The same where bins are of one width: a quotient says which it is, or the one beside it."""
    first, last = taken(edges, 0, 0), taken(edges, 0, n)
    is_inside = apply(
        np.logical_and, apply(np.greater_equal, x, first), apply(np.less_equal, x, last)
    )
    part = (converted(x, np.float64) - first) / (last - first) * n
    guess = converted(choose(is_inside, apply(np.minimum, part, n - 1), 0.0), np.int64)
    guess = guess - converted(apply(np.less, x, gathered(edges, guess, 0)), np.int64)
    is_beyond = apply(np.greater_equal, x, gathered(edges, guess + 1, 0))
    guess = apply(np.minimum, guess + converted(is_beyond, np.int64), n - 1)
    return choose(is_inside, guess, n)


def counted(x: Array, place: Array, n: int, weights: Any) -> Array:
    """How many elements each bin has, or what they weigh together: by adding to its count."""
    w: Any = 1
    dtype = np.dtype(np.int64)
    if weights is not None:
        w = as_array(weights)
        if w.size != x.size:
            raise ValueError("weights should have the same shape as a.")
        w, dtype = reshaped(w, (w.size,)), w.dtype
    wide = np.promote_types(dtype, np.int64) if dtype.kind in "biu" else dtype
    counts = filled((n + 1,), 0, wide)
    np.add.at(counts, place, w if weights is None else converted(w, wide))
    return converted(counts[:n], dtype)


def _compared(x: Array, edges: Array, n: int, weights: Any) -> Array:
    """The same by comparing every element with every edge."""
    is_before = apply(np.less, _beside_table(x), edges)
    is_last = apply(np.equal, x, taken(edges, 0, n))
    if weights is None:
        before = reductions.sum(is_before, 0)
        counts = diff(before)
        extra = reductions.sum(is_last)
    else:
        w = as_array(weights)
        if w.size != x.size:
            raise ValueError("weights should have the same shape as a.")
        w = reshaped(w, (w.size,))
        if w.dtype.kind in "biu":
            w = converted(w, np.promote_types(w.dtype, np.int64))
        is_inside = window(is_before, 1, 1, n + 1) & ~window(is_before, 1, 0, n)
        zero = filled((), 0, w.dtype)
        counts = reductions.sum(choose(is_inside, _beside_table(w), zero), 0)
        extra = reductions.sum(choose(is_last, w, zero))
        weight_dtype = as_array(weights).dtype
        counts, extra = (converted(part, weight_dtype) for part in (counts, extra))
    last = taken(counts, 0, n - 1) + extra
    return concatenated([window(counts, 0, 0, n - 1), reshaped(as_array(last), (1,))], 0)


def edges_of(x: Array, bins: Any, range: Any) -> Array:
    refuse("histogram", "give a number of bins", bins=bins if isinstance(bins, str) else None)
    given = as_array(bins)
    if given.ndim == 1:
        known = known_value(given.node)
        if known is not None and (known[:-1] > known[1:]).any():
            raise ValueError("`bins` must increase monotonically, when an array")
        return given if known is not None else _ordered(given, np.less_equal)
    if given.ndim > 1:
        raise ValueError("`bins` must be 1d, when an array")
    n = static_int(bins, "a number of bins")
    if n < 1:
        raise ValueError("`bins` must be positive, when an integer")
    first, last = _outer_edges(x, range)
    dtype = promoted_dtype(first, last, x)
    if dtype.kind in "iu":
        dtype = np.dtype(np.result_type(dtype, float))
    return _ordered(as_array(linspace(first, last, n + 1, dtype=numpy_dtype(dtype))), np.less)


def _ordered(edges: Array, compare: np.ufunc) -> Array:
    """Edges, where each compares so with the next; where one does not, NumPy says so."""
    n = edges.shape[0]
    in_order = apply(compare, window(edges, 0, 0, n - 1), window(edges, 0, 1, n))
    legal = wrap(ops.legal(node_of(reductions.all(in_order))))
    return choose(legal, edges, number(0, edges.dtype))


def _finite(first: Array, last: Array) -> tuple[Array, Array]:
    """Both, where they are finite; where they are not, NumPy says so."""
    is_finite = apply(np.logical_and, apply(np.isfinite, first), apply(np.isfinite, last))
    legal = wrap(ops.legal(node_of(is_finite)))
    return choose(legal, first, number(0, first.dtype)), choose(legal, last, number(0, last.dtype))


def _outer_edges(x: Array, range: Any) -> tuple[Any, Any]:
    if range is not None:
        first, last = range
        if first > last:
            raise ValueError("max must be larger than min in range parameter.")
        return (first - 0.5, last + 0.5) if first == last else (first, last)
    if x.size == 0:
        return 0, 1
    first, last = reductions.min(x), reductions.max(x)
    if x.dtype.kind == "f":
        first, last = _finite(first, last)
    is_same = apply(np.equal, first, last)
    widened = (
        scalar_like(choose(is_same, first - 0.5, first)),
        scalar_like(choose(is_same, last + 0.5, last)),
    )
    return widened if x.dtype.kind == "f" else tuple(converted(v, np.float64) for v in widened)
