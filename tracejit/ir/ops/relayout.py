"""`relayout`: the same elements in another order of memory, as an op.

A layout such as `"n m -> m/8 n m%8"` names the axes of a value and then those of the memory it lies
in: whole axes, or the number of a block of so many (`m/8`) and the place inside of it (`m%8`). With
`inverse` the operand is that memory, and the result the value.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from .. import expressions, tensor
from ..op import MOVEMENT, Element, Op, define
from ..types import ArrayType, DType, array_type

__all__ = ["relayout"]


class Part(NamedTuple):
    """An axis of memory: of an axis of the value the whole (no block), the block's number, or the
    place in it."""

    axis: int
    block: int = 0
    is_place: bool = False


@cache
def parts_of(layout: str) -> tuple[int, tuple[Part, ...]]:
    """How many axes a value of this layout has, and the axes of its memory.

    Raises ValueError where the text is no layout, in which each axis lies in memory once.
    """
    names, _, memory = [side.split() for side in layout.partition("->")]
    parts = []
    for text in memory:
        found = re.fullmatch(r"([A-Za-z_]\w*)(?:([/%])(\d+))?", text)
        if found is None or found[1] not in names or (found[3] and int(found[3]) < 1):
            raise ValueError(
                f"{text!r} in the layout {layout!r} is no axis n, n/8 or n%8 of a value"
            )
        parts.append(Part(names.index(found[1]), int(found[3] or 0), found[2] == "%"))
    for axis, name in enumerate(names):
        own = sorted([part for part in parts if part.axis == axis])
        blocks = [(part.block, part.is_place) for part in own]
        is_split = len(own) == 2 and own[0].block == own[1].block
        if blocks != [(0, False)] and not (is_split and [p for _, p in blocks] == [False, True]):
            raise ValueError(f"{name} does not lie in memory once in the layout {layout!r}")
    if not names or len(set(names)) < len(names):
        raise ValueError(f"{layout!r} does not name the axes of a value")
    return len(names), tuple(parts)


def _type(x: ArrayType, *, layout: str, inverse: bool = False) -> ArrayType:
    ndim, parts = parts_of(layout)
    if inverse:
        return array_type(_value_shape(x, layout), x.dtype)
    if x.ndim != ndim:
        raise ValueError(f"{x} has {x.ndim} axes, the layout {layout!r} has {ndim}")
    shape = []
    for part in parts:
        extent = x.shape[part.axis]
        if part.block and extent % part.block != 0:
            raise ValueError(
                f"an axis of {extent} has no blocks of {part.block}, as {layout!r} says"
            )
        shape.append(
            part.block if part.is_place else extent // part.block if part.block else extent
        )
    return array_type(tuple(shape), x.dtype)


def _value_shape(memory: ArrayType, layout: str) -> tuple:
    ndim, parts = parts_of(layout)
    if memory.ndim != len(parts):
        raise ValueError(f"{memory} is no memory of the layout {layout!r}")
    shape: list[Any] = [1] * ndim
    for part, extent in zip(parts, memory.shape):
        if part.is_place and extent != part.block:
            raise ValueError(f"{memory} is no memory of the layout {layout!r}")
        shape[part.axis] = shape[part.axis] * extent
    return tuple(shape)


def _reference(x: Any, *, layout: str, inverse: bool = False) -> Any:
    x = np.asarray(x)
    ndim, parts = parts_of(layout)
    order = sorted(range(len(parts)), key=lambda k: parts[k])
    if inverse:
        shape: list[int] = [1] * ndim
        for part, extent in zip(parts, x.shape):
            shape[part.axis] *= extent
        return np.ascontiguousarray(np.transpose(x, order)).reshape(shape)
    split = []
    for part in sorted(parts):
        extent = x.shape[part.axis]
        split.append(part.block if part.is_place else extent // (part.block or 1))
    return np.ascontiguousarray(np.transpose(x.reshape(split), np.argsort(order)))


def _element(
    index: tuple, x: Any, *, type: ArrayType, layout: str, inverse: bool = False
) -> tensor.Expression:
    ndim, parts = parts_of(layout)
    if inverse:
        place = []
        for part in parts:
            i = index[part.axis]
            block = expressions.integer(part.block or 1)
            place.append(
                expressions.remainder(i, block)
                if part.is_place
                else expressions.floor_divide(i, block)
            )
        return x(tuple(place))
    places: list[tensor.Expression] = [tensor.ZERO] * ndim
    for part, i in zip(parts, index):
        scaled = (
            i if part.is_place else expressions.multiply(i, expressions.integer(part.block or 1))
        )
        places[part.axis] = expressions.add(places[part.axis], scaled)
    return x(tuple(places))


def _samples(dtype: DType) -> list:
    cases = [
        ((6,), "n -> n/2 n%2"),
        ((3, 8), "n m -> m/4 n m%4"),
        ((4, 6), "n m -> n/2 m/3 m%3 n%2"),
        ((2, 3, 4), "a b c -> c a b"),
        ((0, 4), "n m -> m/2 n m%2"),
    ]
    found = []
    for shape, layout in cases:
        value = array_type(shape, dtype)
        found.append(([value], {"layout": layout}))
        found.append(([_type(value, layout=layout)], {"layout": layout, "inverse": True}))
    return found


relayout = define(Op("relayout", MOVEMENT, _type, _reference, Element(_element), samples=_samples))
