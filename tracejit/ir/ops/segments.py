"""Reductions of parts of an axis, one after the other: what `ufunc.reduceat` gives.

A part begins at its start and ends before the next part's, or is of one element where that does not
come after it; the last one ends with the axis.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import expressions
from ..op import OPAQUE, Extern, Op, define
from ..tensor import (
    ONE,
    ZERO,
    Accumulate,
    Buffer,
    Expression,
    For,
    Index,
    Let,
    Load,
    Statement,
    Store,
    Variable,
)
from ..types import ArrayType, DType, array_type, f16, f32, i64
from .gufunc import nested

__all__ = ["segments"]

# So many elements of a long part are combined side by side.
BLOCK = 128


def _type(x: ArrayType, starts: ArrayType, *, axis: int, combine: str) -> ArrayType:
    if starts.dtype is not i64 or starts.ndim != 1 or not 0 <= axis < x.ndim:
        raise ValueError(f"{starts} are not starts of parts of axis {axis} of {x}")
    if x.shape[axis] == 0:
        raise ValueError(f"axis {axis} of {x} has no parts")
    return array_type((*x.shape[:axis], starts.shape[0], *x.shape[axis + 1 :]), x.dtype)


def _reference(x: Any, starts: Any, *, axis: int, combine: str) -> Any:
    inside = np.clip(starts, 0, np.shape(x)[axis] - 1)
    return getattr(np, combine).reduceat(x, inside, axis=axis, dtype=np.asarray(x).dtype)


def _are_long(extent: Any, parts: Any) -> bool:
    """Whether parts have blocks, which are combined in lanes."""
    return type(extent) is not int or type(parts) is not int or extent >= 2 * BLOCK * parts


def _statements(
    x: Buffer, starts: Buffer, out: Buffer, *, axis: int, combine: str
) -> tuple[Statement, ...]:
    n, count = [expressions.extent(extent) for extent in (x.type.shape[axis], out.type.shape[axis])]
    index = tuple([Index(f"i{k}") for k in range(x.type.ndim)])
    part, k = index[axis], Index("k")
    start, stop = Index("start"), Index("stop")

    def clamped(value: Expression, least: Expression, most: Expression) -> Expression:
        return expressions.maximum(least, expressions.minimum(value, most))

    last, end = expressions.subtract(count, ONE), expressions.subtract(n, ONE)
    after = Load(starts, (expressions.minimum(expressions.add(part, ONE), last),))
    after = expressions.minimum(after, end)
    is_last = expressions.compare("equal", part, last)
    dtype = f32 if x.type.dtype is f16 else x.type.dtype
    total = Variable("total", dtype)

    def combined(place: Expression) -> Statement:
        element = Load(x, (*index[:axis], place, *index[axis + 1 :]))
        return Accumulate(total, combine, expressions.cast(element, dtype))

    blocks: tuple[Statement, ...] = ()
    rest: Expression = expressions.add(start, ONE)
    if axis == x.type.ndim - 1 and _are_long(x.type.shape[axis], out.type.shape[axis]):
        block, inner, rest = Index("block"), Index("inner"), Index("rest")
        width = expressions.integer(BLOCK)
        begin = expressions.add(start, ONE)
        whole = expressions.floor_divide(expressions.subtract(stop, begin), width)
        first = expressions.add(begin, expressions.multiply(block, width))
        row = For(inner, ZERO, width, (combined(expressions.add(first, inner)),), "serial", 1)
        blocks = (
            For(block, ZERO, whole, (row,), "serial", 1),
            Let(rest, expressions.add(begin, expressions.multiply(whole, width))),
        )
    body = (
        Let(start, clamped(Load(starts, (part,)), ZERO, end)),
        Let(stop, clamped(expressions.select(is_last, n, after), expressions.add(start, ONE), n)),
        Let(total, combined(start).value),
        *blocks,
        For(k, rest, stop, (combined(k),), "serial", 1),
        Store(out, index, expressions.cast(total, x.type.dtype)),
    )
    return nested(index, out.type.shape, body)


def _samples(dtype: DType) -> list:
    cases = [((40,), 7, 0), ((3, 20), 5, 1), ((20, 3), 4, 0), ((2, 9, 3), 3, 1), ((5,), 0, 0)]
    combine = "logical_or" if dtype.kind == "b" else "maximum" if dtype.kind == "f" else "add"
    return [
        ([array_type(shape, dtype), array_type((m,), i64)], {"axis": axis, "combine": combine})
        for shape, m, axis in cases
    ]


# The parts of an axis, each combined to one element; starts outside are taken to be the nearest inside.
segments = define(
    Op("segments", OPAQUE, _type, _reference, Extern(_statements), cost=2.0, samples=_samples)
)
