"""`search_sorted`: where values would go in a sorted table, by binary search without branches."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import expressions, tensor
from ..op import MOVEMENT, Element, Op, define
from ..types import ArrayType, DType, array_type, bool_, i64

# Steps for tables of unknown extents, which have fewer than 2 ** 40 entries.
UNKNOWN_STEPS = 40


def _type(table: ArrayType, values: ArrayType, *, side: str) -> ArrayType:
    if table.ndim != 1 or table.dtype is not values.dtype or side not in ("left", "right"):
        raise ValueError(f"{values} cannot be searched for in {table}, side {side!r}")
    return array_type(values.shape, i64)


def _reference(table: Any, values: Any, *, side: str) -> Any:
    return np.searchsorted(table, values, side)


def _sorts_before(a: tensor.Expression, b: tensor.Expression) -> tensor.Expression:
    """`a < b`, with NaN after everything else, as NumPy sorts.

    # limit: complex numbers with a NaN in one part are all alike, where NumPy orders them, too.
    """
    less = expressions.compare("less", a, b)
    if a.dtype.kind not in "fc":
        return less
    a_is_nan, b_is_nan = [tensor.Apply("isnan", (e,), bool_) for e in (a, b)]
    only_b = expressions.compare(
        "logical_and", b_is_nan, tensor.Apply("logical_not", (a_is_nan,), bool_)
    )
    return expressions.compare("logical_or", less, only_b)


def _element(
    index: tuple, table: Any, values: Any, *, type: ArrayType, side: str
) -> tensor.Expression:
    """Halve what is left: the answer is at one of so many entries from `position` on, or after them.

    Every step has the same form, so lanes stay together; where nothing is left to halve, it reads
    an entry in vain.
    """
    (extent,) = table.type.shape
    value, is_known = values(index), isinstance(extent, int)
    if is_known and extent == 0:
        return tensor.ZERO
    last = expressions.subtract(expressions.extent(extent), tensor.ONE)

    def is_before(at: tensor.Expression) -> tensor.Expression:
        if not is_known:  # there may be no entry
            at = expressions.maximum(expressions.minimum(at, last), tensor.ZERO)
        entry = table((at,))
        if side == "left":
            return _sorts_before(entry, value)
        return tensor.Apply("logical_not", (_sorts_before(value, entry),), bool_)

    position = tensor.ZERO
    for step in range((extent - 1).bit_length() if is_known else UNKNOWN_STEPS):
        # Before it, ceil(extent / 2 ** step) entries are left.
        half = (extent + (1 << step) - 1) // (2 << step)
        middle = expressions.add(position, expressions.extent(half))
        found = is_before(expressions.subtract(middle, tensor.ONE))
        position = expressions.select(found, middle, position)
    after = expressions.add(position, tensor.ONE)
    position = expressions.select(is_before(position), after, position)
    return position if is_known else expressions.minimum(position, expressions.extent(extent))


def _samples(dtype: DType) -> list:
    cases = [((9,), (40,)), ((8,), (3, 5)), ((1,), (7,)), ((0,), (3,)), ((33,), ()), ((5,), (0,))]
    return [
        ([array_type(shape, dtype) for shape in shapes], {"side": side})
        for shapes, side in zip(cases, ("left", "right") * 3)
    ]


# How many entries of the sorted `table` come before each value; those equal to it count where
# `side` is "right".
search_sorted = define(
    Op("search_sorted", MOVEMENT, _type, _reference, Element(_element), cost=40.0, samples=_samples)
)
