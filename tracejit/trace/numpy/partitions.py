"""`partition` and `argpartition`: what is less than an element of some rank first, the rest last."""

from __future__ import annotations

from operator import index
from typing import Any

import numpy as np

from ...ir import ops
from ..application import apply
from ..array import Array, wrap
from ..context import current_trace
from ..host import no_rule
from ..registry import implements
from ..value import Value, known_value, node_of
from .arguments import is_traced
from .building import as_array, choose, concatenated, converted, reshaped, window
from .sorting import back, require_sorting, rows_along, widened


def _ranks(name: str, kth: Any, n: int) -> list[int]:
    """The ranks that are meant, in order; NumPy's errors."""
    if isinstance(kth, Value):
        kth = known_value(node_of(kth))
    if kth is None or is_traced(kth):
        raise no_rule(f"np.{name} for a rank that is not known")
    given = np.asarray(kth)
    if given.dtype.kind not in "iu" or given.ndim > 1 or given.size == 0:
        raise no_rule(f"np.{name} for ranks like {kth!r}")
    ranks = [index(k) for k in given.reshape(-1).tolist()]
    for rank in ranks:
        if not -n <= rank < n:
            raise ValueError(f"kth(={rank + n if rank < 0 else rank}) out of bounds ({n})")
    return sorted({rank % n for rank in ranks})


def _partition(name: str, a: Any, kth: Any, axis: Any, kind: str, order: Any) -> Array:
    trace = current_trace()
    x = as_array(a)
    if trace is not None and trace.is_strict:
        raise no_rule(f"np.{name} in NumPy's own order")
    if kind != "introselect" or order is not None or x.ndim == 0 or 0 in x.shape:
        raise no_rule(f"np.{name} with such options, of a number, or of nothing")
    x, axis = rows_along(x, axis)
    if type(x.shape[-1]) is not int:
        return back(_of_unknown(name, x, kth), axis)
    ranks, dtype = _ranks(name, kth, x.shape[-1]), x.dtype
    x = widened(x)
    is_order = name == "argpartition"
    require_sorting("argsort" if is_order else "sort", "stable" if is_order else "quicksort", x)
    if is_order and len(ranks) > 1:
        raise no_rule("np.argpartition for several ranks")
    if is_order:
        return back(wrap(ops.order_partition(node_of(x), rank=ranks[0])), axis)
    done, first = [], 0
    for rank in ranks:
        x = wrap(ops.partition(node_of(x), rank=rank - first))
        until = rank - first + 1
        done.append(window(x, x.ndim - 1, 0, until))
        x = window(x, x.ndim - 1, until, x.shape[-1])
        first = rank + 1
    return back(converted(concatenated([*done, x], x.ndim - 1), dtype), axis)


def _of_unknown(name: str, x: Array, kth: Any) -> Array:
    """The same of rows of an unknown length, by one rank."""
    rank, n = as_array(kth), as_array(x.shape[-1])
    if rank.ndim or rank.dtype.kind not in "iu" or x.dtype.kind not in "iuf":
        raise no_rule(f"np.{name} of an unknown number of elements for such ranks")
    rank = converted(rank, np.int64)
    rank = choose(apply(np.less, rank, 0), rank + n, rank)
    is_inside = apply(np.logical_and, apply(np.less_equal, 0, rank), apply(np.less, rank, n))
    rank = choose(wrap(ops.legal(node_of(is_inside))), rank, 0)
    rows, place = node_of(widened(x)), node_of(reshaped(as_array(rank), (1, 1)))
    if name == "argpartition":
        require_sorting("argsort", "quicksort", widened(x))
        return wrap(ops.order_partition_at(rows, place))
    require_sorting("sort", "quicksort", widened(x))
    return converted(wrap(ops.partition_at(rows, place)), x.dtype)


@implements(np.partition)
def partition(a, kth, axis=-1, kind="introselect", order=None):
    """`np.partition`, which leaves open in what order elements are on either side of a rank."""
    return _partition("partition", a, kth, axis, kind, order)


@implements(np.argpartition)
def argpartition(a, kth, axis=-1, kind="introselect", order=None):
    """`np.argpartition`, which leaves open in what order positions are on either side of a rank."""
    return _partition("argpartition", a, kth, axis, kind, order)


@implements(method="argpartition")
def argpartition_method(a, kth, axis=-1, kind="introselect", order=None):
    """`x.argpartition(kth)`."""
    return np.argpartition(a, kth, axis=axis, kind=kind, order=order)
