"""Sets as sorted vectors: `unique`, what one has of another, and whether elements are in a table.

How many elements there are depends on data: they are selected by a mask from the sorted ones. NumPy
finds some by hashing, and sorts them then: the same ones.
# limit: of 0.0 and -0.0, which are equal, another may stay than with NumPy.
"""

from __future__ import annotations

from math import prod
from typing import Any, NamedTuple

import numpy as np

from ...ir import ops
from ...ir.dims import is_never_negative
from ...ir.graph import Function, Node, item, parameter
from ...ir.ops.distinct import MOST
from ..application import apply
from ..array import Array, wrap
from ..context import current_trace
from ..extents import bound
from ..host import no_rule
from ..masked import Selection
from ..registry import implements
from ..value import node_of
from . import reductions, scans
from .arguments import one_axis
from .building import (
    as_array,
    concatenated,
    converted,
    filled,
    gathered,
    in_common_dtype,
    permuted,
    promoted_dtype,
    reshaped,
    taken,
    window,
)
from .creation import arange
from .packed_orders import packs_order
from .sorting import order_of_rows, sorted_rows, widened
from .tables import searchsorted


def _elements(name: str, x: Any) -> Array:
    """The elements as a vector, of which there is one at least."""
    x = as_array(x)
    x = reshaped(x, (x.size,))
    if not is_never_negative(node_of(x).type.size - 1):
        raise no_rule(f"np.{name} of what may be nothing")
    return x


def _is_first(ordered: Array, equal_nan: bool = True) -> Array:
    """Where a sorted vector has another element than before."""
    n = ordered.shape[0]
    here, before = window(ordered, 0, 1, n), window(ordered, 0, 0, n - 1)
    differs = apply(np.not_equal, here, before)
    if equal_nan and ordered.dtype.kind in "fc":
        both = apply(np.logical_and, apply(np.isnan, here), apply(np.isnan, before))
        differs = apply(np.logical_and, differs, apply(np.logical_not, both))
    return concatenated([filled((1,), True, bool), differs], 0)


# Rows of more elements than that are sorted by NumPy.
MOST_KEYS = 16


def _is_first_row(rows: Array) -> Array:
    """Where sorted rows have another one than before; nan differs from nan, as it does to NumPy."""
    n = rows.shape[0]
    differs = apply(np.not_equal, window(rows, 0, 1, n), window(rows, 0, 0, n - 1))
    return concatenated([filled((1,), True, bool), reductions.any(differs, 1)], 0)


@implements(np.unique)
def unique(
    ar,
    return_index=False,
    return_inverse=False,
    return_counts=False,
    axis=None,
    *,
    equal_nan=True,
    sorted=True,
):
    """`np.unique` of all elements, or of what lies along an axis, if that is little."""
    if not sorted:
        raise no_rule("np.unique in no order")
    given = as_array(ar)
    if axis is not None and given.ndim > 1:
        return _unique_along(
            given, one_axis(axis, given.ndim), _Asked(return_index, return_inverse, return_counts)
        )
    if axis is not None and (given.ndim == 0 or axis not in (0, -1)):
        raise no_rule("np.unique along an axis that there is not")
    x = _elements("unique", given)
    asked = _Asked(return_index, return_inverse, return_counts)
    shape = given.shape if axis is None else (x.size,)
    is_alike = equal_nan or x.dtype.kind not in "fc"
    found = (
        _described_if_few(x, asked) if is_alike and _is_long(x) else _described(x, asked, equal_nan)
    )
    if return_inverse:
        found = found._replace(inverse=reshaped(found.inverse, shape))
    return found.results(asked, x.size)


class _Asked(NamedTuple):
    """What is asked about the distinct elements of a vector, besides themselves."""

    index: bool = False
    inverse: bool = False
    counts: bool = False


class _Found(NamedTuple):
    """Distinct elements in order, and of these, where it is asked for, where they are first in the vector, and
    where in the sorted one; and for each element of the vector, which of them it is."""

    values: Any
    index: Any = None
    inverse: Any = None
    starts: Any = None

    def results(self, asked: _Asked, n: Any) -> Any:
        """What `np.unique` gives for a vector of `n` elements."""
        chosen = [part for part, wanted in zip(self[1:3], asked) if wanted]
        if asked.counts:
            starts = wrap(node_of(self.starts))
            rest = window(starts, 0, 1, starts.shape[0])
            stops = concatenated([rest, reshaped(as_array(n), (1,))], 0)
            chosen.append(apply(np.subtract, stops, starts))
        return (self.values, *chosen) if chosen else self.values


def _described(x: Array, asked: _Asked, equal_nan: bool = True) -> _Found:
    """What is asked about a vector, by sorting it."""
    if not (asked.index or asked.inverse):
        ordered = sorted_rows(x)
        return _runs(ordered, None, _is_first(ordered, equal_nan), asked)
    # Of equal elements the first one is asked for; otherwise their order does not matter.
    is_stable = asked.index or packs_order(x, "stable")
    order = order_of_rows(x, kind="stable" if is_stable else "quicksort")
    ordered = gathered(x, order, 0)
    return _runs(ordered, order, _is_first(ordered, equal_nan), asked)


def _runs(ordered: Array, order: Array | None, is_first: Array, asked: _Asked) -> _Found:
    """Those of sorted elements that are the first of equal ones, and what is asked about them."""
    n = ordered.shape[0]
    index = inverse = starts = None
    if asked.index:
        index = order[is_first]
    if asked.inverse:
        inverse = filled((n,), 0, np.int64)
        inverse[order] = scans.cumsum(converted(is_first, np.int64)) - 1
    if asked.counts:
        starts = arange(n)[is_first]
    return _Found(ordered[is_first], index, inverse, starts)


# So many elements are worth a look whether they are few again and again, and a program that takes long to compile.
LONG = 8 * MOST


def _is_long(x: Array) -> bool:
    trace, n, dtype = current_trace(), x.size, node_of(x).type.dtype
    is_fit = type(n) is int and n >= LONG and dtype.kind in "iuf"
    return is_fit and trace is not None and trace.packs and not trace.lacks_ints


def _described_if_few(x: Array, asked: _Asked) -> _Found:
    """The same of a long vector, by hashing it where few elements are different."""
    node, trace = node_of(widened(x)), current_trace()
    n, few = node.type.size, ops.distinct(node)
    values, count = [item(few, index=k) for k in range(2)]
    own = (parameter("x", node.type), parameter("few", values.type))
    by_sorting = _described(wrap(own[0]), asked)
    all_rows = [_rows(part) for part in by_sorting if part is not None]
    some, number = _hashed(*map(wrap, own), asked)
    some_rows = [
        _in_room(node_of(part), n, -k - len(_Found._fields) * len(trace.bindings))
        for k, part in enumerate(some, 1)
        if part is not None
    ]
    branches = (
        Function("distinct_by_hashing", own, (*some_rows, number)),
        Function("distinct_by_sorting", own, (*all_rows, by_sorting.values.count)),
    )
    is_much = node_of(converted(apply(np.greater, wrap(count), MOST), np.int64))
    both = ops.branch(is_much, node, values, branches=branches)
    trace.has_packed = True
    *rows, number = [wrap(item(both, index=k)) for k in range(len(all_rows) + 1)]
    extent = bound(node_of(number), 1, n, "distinct")
    given = iter(rows)
    parts = _Found(*[None if part is None else next(given) for part in by_sorting])
    found = _Found(
        *[
            part if part is None or part is parts.inverse else window(part, 0, 0, extent)
            for part in parts
        ]
    )
    return found._replace(values=converted(found.values, x.dtype))


def _rows(part: Any) -> Node:
    """An array, or what a mask selects from its first row on."""
    return part.rows if isinstance(part, Selection) else node_of(part)


def _hashed(x: Array, values: Array, asked: _Asked) -> tuple[_Found, Node]:
    """What is asked about a vector of a few distinct `values`, and how many of these there are, from the first row on."""
    is_first = _is_first(values)
    chosen, n = values[is_first], x.shape[0]
    rank = scans.cumsum(converted(is_first, np.int64)) - 1
    index = inverse = starts = None
    if any(asked):
        place = wrap(ops.place_of_distinct(node_of(x), node_of(values)))
        inverse = gathered(rank, place, 0)
    if asked.index:
        index = filled((MOST,), n, np.int64)
        np.minimum.at(index, inverse, arange(n))
    if asked.counts:
        counts = filled((MOST,), 0, np.int64)
        np.add.at(counts, inverse, 1)
        starts = scans.cumsum(counts) - counts
    if not asked.inverse:
        inverse = None
    return _Found(wrap(chosen.rows), index, inverse, starts), chosen.count


def _in_room(node: Node, n: int, number: int) -> Node:
    """A vector of `n` elements, or of which what is given are the first."""
    if node.type.shape == (n,):
        return node
    room = ops.unset(shape=(n,), dtype=node.type.dtype, number=number)
    return ops.update(room, node, start=(0,), stop=node.type.shape, step=(1,))


def _unique_along(x: Array, axis: int, asked: _Asked) -> Any:
    """What lies along an axis as rows of numbers, sorted by the first of them, then the next."""
    x = x.swapaxes(0, axis)  # as NumPy does, so the other axes are in this order
    n, width = x.shape[0], prod(x.shape[1:])
    if type(n) is not int or not n or type(width) is not int or not 0 < width <= MOST_KEYS:
        raise no_rule("np.unique of long rows, or of nothing")
    rows = reshaped(x, (n, width))
    order = order_of_rows(*[taken(rows, 1, k) for k in reversed(range(width))], kind="stable")
    ordered = gathered(rows, order, 0)
    found = _runs(ordered, order, _is_first_row(ordered), asked)
    first = as_array(found.values)
    first = reshaped(first, (first.shape[0], *x.shape[1:]))
    axes = [axis if k == 0 else 0 if k == axis else k for k in range(x.ndim)]
    return found._replace(values=permuted(first, tuple(axes))).results(asked, n)


def _found(values: Array, table: Array) -> Array:
    """Which values are in a sorted table; a nan never is."""
    return apply(np.equal, gathered(table, _place(values, table), 0), values)


def _place(values: Array, table: Array) -> Array:
    """Where in a sorted table values are first, if they are there."""
    return apply(np.minimum, searchsorted(table, values), table.shape[0] - 1)


def _pair(name: str, one: Any, two: Any) -> tuple[Array, Array]:
    given = [_elements(name, x) for x in (one, two)]
    kinds = {x.dtype.kind for x in given}
    if promoted_dtype(*given).kind == "f" and "f" not in kinds:
        raise no_rule(f"np.{name} of ints that have no common dtype")
    one, two = in_common_dtype(*given)
    if one.dtype.kind == "c":  # of which those with a nan are in no order that a search could use
        raise no_rule(f"np.{name} of complex numbers")
    return one, two


@implements(np.setdiff1d)
def setdiff1d(ar1, ar2, assume_unique=False):
    """`np.setdiff1d`."""
    if assume_unique:  # if elements are not unique after all, NumPy leaves some out
        raise no_rule("np.setdiff1d of what is assumed to be unique")
    first = _elements("setdiff1d", ar1)
    one, two = _pair("setdiff1d", ar1, ar2)
    ordered = sorted_rows(first)
    missing = apply(np.logical_not, _found(converted(ordered, one.dtype), sorted_rows(two)))
    return ordered[apply(np.logical_and, missing, _is_first(ordered))]


@implements(np.intersect1d)
def intersect1d(ar1, ar2, assume_unique=False, return_indices=False):
    """`np.intersect1d`."""
    if assume_unique:  # if elements are not unique after all, NumPy has them twice
        raise no_rule("np.intersect1d of what is assumed to be unique")
    one, two = _pair("intersect1d", ar1, ar2)
    if not return_indices:
        ordered = sorted_rows(one)
        is_common = _found(ordered, sorted_rows(two))
        return ordered[apply(np.logical_and, is_common, _is_first(ordered))]
    orders = [order_of_rows(x, kind="stable") for x in (one, two)]
    ordered, table = (gathered(x, order, 0) for x, order in zip((one, two), orders))
    is_wanted = apply(np.logical_and, _found(ordered, table), _is_first(ordered))
    of_second = gathered(orders[1], _place(ordered, table), 0)
    return tuple([x[is_wanted] for x in (ordered, orders[0], of_second)])


@implements(np.setxor1d)
def setxor1d(ar1, ar2, assume_unique=False):
    """`np.setxor1d`: of all sorted, those elements whose equals are all of one of the two."""
    if assume_unique:  # if elements are not unique after all, NumPy leaves some out
        raise no_rule("np.setxor1d of what is assumed to be unique")
    one, two = _pair("setxor1d", ar1, ar2)
    first, second = sorted_rows(one), sorted_rows(two)
    parts = []
    for own, other in ((first, second), (second, first)):
        alone = apply(np.logical_not, _found(own, other))
        parts.append(own[apply(np.logical_and, alone, _is_first(own))])
    return sorted_rows(np.concatenate(parts))


@implements(np.union1d)
def union1d(ar1, ar2):
    """`np.union1d`."""
    one, two = _pair("union1d", ar1, ar2)
    return unique(concatenated([one, two], 0))


# With so many elements to look for, or fewer, each value is compared with all of them.
FEW = 32
# How many integers an array of bools tells about, for each value and element there is.
RANGE = 2


def _among_ints(values: Any, table: Any, most: int) -> Any:
    """Which values are in a table. It is traced like a function of the user's: values decide which way
    the program takes, and where `low + most` wraps around, it sorts."""
    low, high = table.min(), table.max()
    if high <= low + most:
        is_there = np.zeros(most + 1, bool)
        is_there[table - low] = True
        inside = (values >= low) & (values <= high)
        found = is_there[np.where(inside, values - low, 0)] & inside
    else:
        ordered = np.sort(table)
        place = np.minimum(np.searchsorted(ordered, values), table.size - 1)
        found = ordered[place] == values
    return found


@implements(np.isin)
def isin(element, test_elements, assume_unique=False, invert=False, *, kind=None):
    """`np.isin`."""
    values, table = as_array(element), as_array(test_elements)
    n = table.size
    if type(n) is int and n <= FEW:
        values, table = in_common_dtype(values, table)
        equal = apply(np.equal, reshaped(values, (*values.shape, 1)), reshaped(table, (n,)))
        inside = reductions.any(equal, -1)
    else:
        one, two = _pair("isin", values, table)
        if one.dtype.kind in "iu":
            wide = np.uint64 if one.dtype == np.uint64 else np.int64
            most = RANGE * (one.size + two.size)
            of_ints = current_trace().hook_plain(_among_ints)
            found = of_ints(converted(one, wide), converted(two, wide), most)
        else:
            found = _found(one, sorted_rows(two))
        inside = reshaped(found, values.shape)
    return wrap(node_of(apply(np.logical_not, inside) if invert else inside))
