"""Sets as sorted vectors: `unique`, what one has of another, and whether elements are in a table.

How many elements there are depends on data: they are selected by a mask from the sorted ones. NumPy
finds some by hashing, and sorts them then: the same ones.
# limit: of 0.0 and -0.0, which are equal, another may stay than with NumPy.
"""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from ...ir.dims import is_never_negative
from ..application import apply
from ..array import Array, wrap
from ..context import current_trace
from ..host import no_rule
from ..registry import implements
from ..value import node_of
from . import reductions, scans
from .arguments import one_axis
from .building import (
    as_array,
    choose,
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
from .sorting import order_of_rows, sorted_rows
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
            given, one_axis(axis, given.ndim), return_index, return_inverse, return_counts
        )
    if axis is not None and (given.ndim == 0 or axis not in (0, -1)):
        raise no_rule("np.unique along an axis that there is not")
    x = _elements("unique", given)
    if not (return_index or return_inverse or return_counts):
        ordered = sorted_rows(x)
        return ordered[_is_first(ordered, equal_nan)]
    if not (return_index or return_inverse):
        return _counted(sorted_rows(x), equal_nan)
    # Of equal elements the first one is asked for; otherwise their order does not matter.
    order = order_of_rows(x, kind="stable" if return_index else "quicksort")
    ordered = gathered(x, order, 0)
    shape = given.shape if axis is None else (x.size,)
    asked = (return_index, return_inverse, return_counts)
    return _described(ordered, order, _is_first(ordered, equal_nan), asked, shape)


def _described(
    ordered: Array, order: Array, is_first: Array, asked: tuple[bool, bool, bool], shape: tuple
) -> tuple[Array, ...]:
    """Those of sorted elements that are the first of equal ones, and what is asked about them."""
    n = order.shape[0]
    rank = scans.cumsum(converted(is_first, np.int64)) - 1
    results = [ordered[is_first]]
    with_index, with_inverse, with_counts = asked
    if with_index:
        results.append(order[is_first])
    if with_inverse:
        inverse = filled((n,), 0, np.int64)
        inverse[order] = rank
        results.append(reshaped(inverse, shape))
    if with_counts:
        counts = filled((n,), 0, np.int64)
        np.add.at(counts, rank, 1)
        results.append(gathered(counts, rank, 0)[is_first])
    return tuple(results)


def _unique_along(x: Array, axis: int, *asked: bool) -> Any:
    """What lies along an axis as rows of numbers, sorted by the first of them, then the next."""
    x = x.swapaxes(0, axis)  # as NumPy does, so the other axes are in this order
    n, width = x.shape[0], prod(x.shape[1:])
    if type(n) is not int or not n or type(width) is not int or not 0 < width <= MOST_KEYS:
        raise no_rule("np.unique of long rows, or of nothing")
    rows = reshaped(x, (n, width))
    order = order_of_rows(*[taken(rows, 1, k) for k in reversed(range(width))], kind="stable")
    ordered = gathered(rows, order, 0)
    found = _described(ordered, order, _is_first_row(ordered), asked, (n,))
    first = as_array(found[0])
    first = reshaped(first, (first.shape[0], *x.shape[1:]))
    axes = [axis if k == 0 else 0 if k == axis else k for k in range(x.ndim)]
    first = permuted(first, tuple(axes))
    return (first, *found[1:]) if any(asked) else first


def _counted(ordered: Array, equal_nan: bool) -> tuple[Array, Array]:
    """The elements of a sorted vector and how often each is there: the last of each is selected, as
    it knows how far it is from the first."""
    n = ordered.shape[0]
    is_first = _is_first(ordered, equal_nan)
    is_last = concatenated([window(is_first, 0, 1, n), filled((1,), True, bool)], 0)
    place = arange(n)
    first = scans.running_maximum(choose(is_first, place, 0))
    return ordered[is_last], (place - first + 1)[is_last]


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
