"""Sorting by NumPy's own functions."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...ir import ops
from ...ir.numpy_code import is_found
from ...ir.numpy_sorts import Sorting
from ...ir.types import i64, to_dtype
from ..array import Array, wrap
from ..host import no_rule
from ..registry import implements
from ..value import node_of
from .arguments import one_axis
from .building import (
    as_array,
    converted,
    filled,
    permuted,
    reshaped,
)
from .packed_orders import packed_order, packs_order

_KINDS = {None: "quicksort", "quicksort": "quicksort", "mergesort": "stable", "stable": "stable"}


def _kind(function: str, kind: Any, order: Any, stable: Any) -> str:
    if kind is not None and stable is not None:
        np.sort((), kind=kind, stable=stable)  # which raises, in the words of its version
    if stable is not None:
        kind = "stable" if stable else "quicksort"
    if order is not None or kind not in _KINDS:
        raise no_rule(f"np.{function} with order={order!r}, kind={kind!r}")
    return _KINDS[kind]


def rows_along(x: Array, axis: Any) -> tuple[Array, int]:
    """`x` with `axis` last, or as one row where that is None; and which axis it was."""
    if axis is None:
        x, axis = reshaped(x, (x.size,)), 0
    axis = one_axis(axis, x.ndim)
    return permuted(x, (*[k for k in range(x.ndim) if k != axis], axis)), axis


def back(x: Array, axis: int) -> Array:
    """The last axis at its place again."""
    return permuted(x, (*range(axis), x.ndim - 1, *range(axis, x.ndim - 1)))


def require_sorting(name: str, kind: str, *arrays: Array) -> None:
    for x in arrays:
        if not is_found(Sorting(name, kind, to_dtype(x.dtype)).symbol):
            raise no_rule(f"np.{name}")


def sorted_rows(x: Array, kind: str = "quicksort") -> Array:
    """`x` sorted along its last axis."""
    if x.dtype.kind in "iu" and x.dtype.itemsize == 1 and x.ndim == 1 and type(x.size) is int:
        if x.size >= MANY_BYTES:
            return _sorted_bytes(x)
    require_sorting("sort", kind, x)
    return wrap(ops.sort(node_of(x), kind=kind))


# So many bytes are counted rather than compared.
MANY_BYTES = 2048


def _sorted_bytes(x: Array) -> Array:
    """As many of each of the 256 numbers as there are: equal ones are the same."""
    lowest = int(np.iinfo(x.dtype).min)
    counts = filled((256,), 0, np.int64)
    np.add.at(counts, converted(x, np.int64) - lowest, 1)
    before = wrap(ops.cumsum(node_of(counts), axis=0))
    place = wrap(ops.iota(extent=x.size, dtype=i64))
    found = wrap(ops.search_sorted(node_of(before), node_of(place), side="right"))
    return converted(found + lowest, x.dtype)


def order_of_rows(*keys: Array, kind: str = "quicksort") -> Array:
    """Positions along the last axis, by the last key first."""
    require_sorting("argsort", kind, *keys)
    if len(keys) == 1 and packs_order(keys[0], kind):
        return wrap(packed_order(keys[0], kind))
    wide = [widened(key) for key in keys] if len(keys) > 1 and _are_long(keys[0]) else []
    if wide and all(packs_order(key, "stable") for key in wide):
        return _order_by_turns(wide)
    return wrap(ops.order(*[node_of(key) for key in keys], kind=kind))


# Rows from so many elements on are worth a program that takes long to compile.
LONG_ROW = 1 << 12


def _are_long(rows: Array) -> bool:
    extent = rows.shape[-1]
    return type(extent) is int and extent >= LONG_ROW


def widened(x: Array) -> Array:
    """The same numbers in 32 bits or more, which machines pack and sort much faster than shorter ones."""
    if x.dtype.itemsize >= 4:
        return x
    return converted(x, np.float32 if x.dtype.kind == "f" else np.int32)


def _order_by_turns(keys: list[Array]) -> Array:
    """By one key after the other, each of which leaves those that are equal as the ones before have them."""
    first, *others = keys
    order = packed_order(first, "stable")
    for key in others:
        again = packed_order(wrap(ops.take_along(node_of(key), order, axis=key.ndim - 1)), "stable")
        order = ops.take_along(order, again, axis=key.ndim - 1)
    return wrap(order)


@implements(np.sort)
def sort(a, axis=-1, kind=None, order=None, *, stable=None):
    """`np.sort`; heap sort is left to NumPy."""
    x, axis = rows_along(as_array(a), axis)
    return back(sorted_rows(x, _kind("sort", kind, order, stable)), axis)


@implements(np.argsort)
def argsort(a, axis=-1, kind=None, order=None, *, stable=None):
    """`np.argsort`; heap sort is left to NumPy."""
    x = as_array(a)
    if x.ndim == 0:
        raise no_rule("np.argsort of a number")
    x, axis = rows_along(x, axis)
    return back(order_of_rows(x, kind=_kind("argsort", kind, order, stable)), axis)


@implements(method="argsort")
def argsort_method(a, *args, **options):
    """`x.argsort()`."""
    return np.argsort(a, *args, **options)


@implements(np.lexsort)
def lexsort(keys, axis=-1):
    """`np.lexsort`: by the last key first."""
    given = [as_array(key) for key in keys]
    if not given or any(key.ndim == 0 or key.shape != given[0].shape for key in given):
        raise no_rule("np.lexsort of such keys")
    rows = [rows_along(key, axis) for key in given]
    return back(order_of_rows(*[row for row, _ in rows], kind="stable"), rows[0][1])


@implements(np.sort_complex)
def sort_complex(a):
    """`np.sort_complex`."""
    x = sort(a)
    if x.dtype.kind == "c":
        return x
    return x.astype(np.complex64 if x.dtype.char in "bhBH" else np.complex128)
