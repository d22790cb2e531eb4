"""Where values would go in a sorted table, by binary search without branches.

In a table of a known extent the steps are written out, as one expression, which fuses with what makes the values.
In one of an unknown extent they are a loop, as many as its entries need.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import expressions
from ..op import MOVEMENT, OPAQUE, Element, Extern, Op, define
from ..tensor import (
    ONE,
    ZERO,
    Accumulate,
    Apply,
    Assign,
    Buffer,
    Expression,
    For,
    If,
    Index,
    Let,
    Load,
    Statement,
    Store,
    Variable,
)
from ..types import ArrayType, DType, array_type, bool_, i64
from .gufunc import nested

__all__ = ["search_any", "search_sorted"]


def _type(table: ArrayType, values: ArrayType, *, side: str) -> ArrayType:
    if table.ndim != 1 or table.dtype is not values.dtype or side not in ("left", "right"):
        raise ValueError(f"{values} cannot be searched for in {table}, side {side!r}")
    return array_type(values.shape, i64)


def _known_type(table: ArrayType, values: ArrayType, *, side: str) -> ArrayType:
    found = _type(table, values, side=side)
    if not isinstance(table.shape[0], int):
        raise ValueError(f"the extent of {table} is not known; search_any searches such tables")
    return found


def _reference(table: Any, values: Any, *, side: str) -> Any:
    return np.searchsorted(table, values, side)


def _sorts_before(a: Expression, b: Expression) -> Expression:
    """`a < b`, with NaN after everything else, as NumPy sorts.

    # limit: complex numbers with a NaN in one part are all alike, where NumPy orders them, too.
    """
    less = expressions.compare("less", a, b)
    if a.dtype.kind not in "fc":
        return less
    a_is_nan, b_is_nan = [Apply("isnan", (e,), bool_) for e in (a, b)]
    only_b = expressions.compare("logical_and", b_is_nan, Apply("logical_not", (a_is_nan,), bool_))
    return expressions.compare("logical_or", less, only_b)


def _comes_before(entry: Expression, value: Expression, side: str) -> Expression:
    """Whether an entry of the table counts among those before a value."""
    if side == "left":
        return _sorts_before(entry, value)
    return Apply("logical_not", (_sorts_before(value, entry),), bool_)


def _element(index: tuple, table: Any, values: Any, *, type: ArrayType, side: str) -> Expression:
    """Halve what is left: the answer is at one of so many entries from `position` on, or after them.

    Every step has the same form, so lanes stay together; where nothing is left to halve, it reads
    an entry in vain.
    """
    (extent,), value = table.type.shape, values(index)
    if extent == 0:
        return ZERO
    position: Expression = ZERO
    for step in range((extent - 1).bit_length()):
        # Before it, ceil(extent / 2 ** step) entries are left.
        half = (extent + (1 << step) - 1) // (2 << step)
        middle = expressions.add(position, expressions.integer(half))
        found = _comes_before(table((expressions.subtract(middle, ONE),)), value, side)
        position = expressions.select(found, middle, position)
    after = expressions.add(position, ONE)
    return expressions.select(_comes_before(table((position,)), value, side), after, position)


# Bits of the number of entries of a table, and more.
MOST_STEPS = 40


def _any_statements(
    table: Buffer, values: Buffer, out: Buffer, *, side: str
) -> tuple[Statement, ...]:
    """The same steps in a loop."""
    index = tuple([Index(f"i{axis}") for axis in range(out.type.ndim)])
    count = expressions.extent(table.type.shape[0])
    last = expressions.subtract(count, ONE)
    bit, step, steps = Index("bit"), Index("step"), Index("steps")
    bits, position = Variable("bits", i64), Variable("position", i64)
    value = Variable("value", values.type.dtype)

    def found(place: Expression) -> Expression:
        inside = expressions.maximum(expressions.minimum(place, last), ZERO)
        return _comes_before(Load(table, (inside,)), value, side)

    is_used = expressions.compare("less", Apply("left_shift", (ONE, bit), i64), count)
    power = Apply("left_shift", (ONE, step), i64)
    left = expressions.add(count, Apply("subtract", (power, ONE), i64))
    half = Apply("right_shift", (left, Apply("add", (step, ONE), i64)), i64)
    middle = Apply("add", (position, half), i64)
    halve = expressions.select(found(Apply("subtract", (middle, ONE), i64)), middle, position)
    is_after = expressions.cast(found(position), i64)
    end = expressions.minimum(Apply("add", (position, is_after), i64), count)
    body = (
        Let(value, Load(values, index)),
        Let(position, ZERO),
        For(step, ZERO, steps, (Assign(position, halve),), "ordered", 1),
        Store(out, index, end),
    )
    count_bits = Accumulate(bits, "add", expressions.cast(is_used, i64))
    return (
        Let(bits, ZERO),
        For(bit, ZERO, expressions.integer(MOST_STEPS), (count_bits,), "serial", 1),
        Let(steps, expressions.minimum(bits, expressions.integer(MOST_STEPS))),
        If(
            expressions.compare("less", ZERO, count),
            nested(index, out.type.shape, body),
            nested(index, out.type.shape, (Store(out, index, ZERO),)),
        ),
    )


def _samples(dtype: DType) -> list:
    cases = [((9,), (40,)), ((8,), (3, 5)), ((1,), (7,)), ((0,), (3,)), ((33,), ()), ((5,), (0,))]
    return [
        ([array_type(shape, dtype) for shape in shapes], {"side": side})
        for shapes, side in zip(cases, ("left", "right") * 3)
    ]


# How many entries of the sorted `table` come before each value; those equal to it count where
# `side` is "right".
search_sorted = define(
    Op(
        "search_sorted",
        MOVEMENT,
        _known_type,
        _reference,
        Element(_element),
        cost=40.0,
        samples=_samples,
    )
)

# The same for tables of any extent, also one that is unknown.
search_any = define(
    Op(
        "search_any",
        OPAQUE,
        _type,
        _reference,
        Extern(_any_statements),
        cost=40.0,
        samples=_samples,
    )
)
