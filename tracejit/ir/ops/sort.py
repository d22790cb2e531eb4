"""Sorting along the last axis, by NumPy's own functions, a row at a time."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import expressions, tensor
from ..numpy_sorts import KINDS, Sorting
from ..op import OPAQUE, Extern, Op, define
from ..tensor import Address, Allocate, Buffer, Index, Load, Store
from ..types import ArrayType, DType, array_type, i64
from .gufunc import copied, nested

__all__ = ["order", "sort"]


def _check(kind: str, *types: ArrayType) -> None:
    if kind not in KINDS:
        raise ValueError(f"there is no sorting of the kind {kind!r}")
    if types[0].ndim == 0 or any(type.shape != types[0].shape for type in types):
        raise ValueError(f"rows of {', '.join(map(str, types))} cannot be sorted")


def _sort_type(x: ArrayType, *, kind: str) -> ArrayType:
    _check(kind, x)
    return array_type(x.shape, x.dtype)


def _sort_reference(x: Any, *, kind: str) -> Any:
    return np.sort(x, axis=-1, kind=kind)


def _sort_statements(x: Buffer, out: Buffer, *, kind: str) -> tuple[tensor.Statement, ...]:
    if 0 in out.type.shape:
        return ()
    rows, extent, start = _rows(out)
    sorting = Sorting("sort", kind, x.type.dtype)
    index = (*rows, Index("k"))
    copy = nested(index[-1:], out.type.shape[-1:], (Store(out, index, Load(x, index)),))
    call = tensor.Extern(sorting.symbol, (Address(out, start), extent, tensor.ZERO))
    return nested(rows, out.type.shape[:-1], (*copy, call))


def _rows(buffer: Buffer) -> tuple[tuple[Index, ...], tensor.Expression, tuple]:
    """The indices of rows, how long these are, and where one begins."""
    rows = tuple([Index(f"i{axis}") for axis in range(buffer.type.ndim - 1)])
    return rows, expressions.extent(buffer.type.shape[-1]), (*rows, tensor.ZERO)


def _sort_samples(dtype: DType) -> list:
    cases = (((9,), "quicksort"), ((3, 70), "stable"), ((2, 0), "quicksort"), ((2, 3, 4), "stable"))
    return [([array_type(shape, dtype)], {"kind": kind}) for shape, kind in cases]


# The rows of `x` in order, NaN last.
sort = define(
    Op(
        "sort",
        OPAQUE,
        _sort_type,
        _sort_reference,
        Extern(_sort_statements),
        cost=100.0,
        samples=_sort_samples,
    )
)


def _order_type(*keys: ArrayType, kind: str) -> ArrayType:
    _check(kind, *keys)
    if len(keys) > 1 and kind != "stable":
        raise ValueError("only stable sorting goes by several keys")
    return array_type(keys[0].shape, i64)


def _order_reference(*keys: Any, kind: str) -> Any:
    if len(keys) == 1:
        return np.argsort(keys[0], axis=-1, kind=kind)
    return np.lexsort(keys, axis=-1)


def _order_statements(*buffers: Buffer, kind: str) -> tuple[tensor.Statement, ...]:
    *keys, out = buffers
    if 0 in out.type.shape:
        return ()
    body: tuple[tensor.Statement, ...] = ()
    rows, extent, start = _rows(out)
    index = (*rows, Index("k"))
    number = Store(out, index, index[-1])
    calls = nested(index[-1:], out.type.shape[-1:], (number,))
    for position, key in enumerate(keys):
        key, copy = in_one_piece(key, f"key{position}")
        body += copy
        sorting = Sorting("argsort", kind, key.type.dtype)
        calls += (
            tensor.Extern(
                sorting.symbol, (Address(key, start), Address(out, start), extent, tensor.ZERO)
            ),
        )
    return body + nested(rows, out.type.shape[:-1], calls)


def in_one_piece(keys: Buffer, name: str) -> tuple[Buffer, tuple[tensor.Statement, ...]]:
    """Keys whose rows lie in one piece, as NumPy's function needs them; and what copies them, if that has to be."""
    if keys.type.strides[-1] == 1:
        return keys, ()
    own = Buffer(name, array_type(keys.type.shape, keys.type.dtype), "local")
    return own, (Allocate(own), *copied(keys, own))


def _order_samples(dtype: DType) -> list:
    single = [([type], attrs) for [type], attrs in _sort_samples(dtype)]
    pair = [array_type((2, 40), dtype), array_type((2, 40), i64)]
    return [*single, (pair, {"kind": "stable"})]


# The positions of the elements of each row in their order: by the last key, where its elements are
# equal by the one before it, and so on.
order = define(
    Op(
        "order",
        OPAQUE,
        _order_type,
        _order_reference,
        Extern(_order_statements),
        cost=200.0,
        samples=_order_samples,
    )
)
