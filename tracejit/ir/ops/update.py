"""Updates: an array with some of its elements exchanged, the value of an in-place write.

The graph is pure, so an update is a new value. Where the old one is not needed any more, memory
planning makes it a write into the same memory: of the part that changes, nothing is copied.
"""

from __future__ import annotations

from functools import partial, reduce
from typing import Any

import numpy as np

from .. import tensor
from ..op import UPDATE, Element, Op, define
from ..types import ArrayType
from .movement import slice_
from .samples import samples


def _update_type(
    old: ArrayType, value: ArrayType, *, start: tuple, stop: tuple, step: tuple
) -> ArrayType:
    part = slice_.type_rule(old, start=start, stop=stop, step=step)
    if value.shape != part.shape or value.dtype is not old.dtype:
        raise ValueError(f"{value} does not fit where {part} is exchanged")
    return ArrayType(old.shape, old.dtype, None)


def _update_reference(old: Any, value: Any, *, start: tuple, stop: tuple, step: tuple) -> Any:
    new = np.array(old)
    slice_.reference(new, start=start, stop=stop, step=step)[...] = value
    return new


def _update_element(
    index: tuple, old: Any, value: Any, *, type: ArrayType, start: tuple, stop: tuple, step: tuple
) -> Any:
    """The new array as a choice, element by element; how it is computed where it is not in memory."""
    if any(extent == 0 and isinstance(extent, int) for extent in value.type.shape):
        return old(index)
    tests, source = [], []
    for i, n, a, s in zip(index, value.type.shape, start, step):
        distance = tensor.subtract(i, tensor.extent(a))
        if s < 0:
            distance = tensor.multiply(distance, tensor.integer(-1))
        steps = tensor.floor_divide(distance, tensor.integer(abs(s)))
        last = tensor.subtract(tensor.extent(n), tensor.ONE)
        tests.append(tensor.compare("greater_equal", distance, tensor.ZERO))
        tests.append(tensor.compare("less_equal", steps, last))
        if abs(s) != 1:
            rest = tensor.remainder(distance, tensor.integer(abs(s)))
            tests.append(tensor.compare("equal", rest, tensor.ZERO))
        source.append(tensor.maximum(tensor.minimum(steps, last), tensor.ZERO))
    if not tests:
        return value(())
    inside = reduce(partial(tensor.compare, "logical_and"), tests)
    return tensor.select(inside, value(tuple(source)), old(index))


update = define(
    Op(
        "update",
        UPDATE,
        _update_type,
        _update_reference,
        Element(_update_element),
        samples=samples(
            ([(10,), (4,)], {"start": (2,), "stop": (6,), "step": (1,)}),
            ([(10,), (10,)], {"start": (9,), "stop": (-1,), "step": (-1,)}),
            ([(100,), (32,)], {"start": (97,), "stop": (1,), "step": (-3,)}),
            ([(17, 9), (5, 4)], {"start": (2, 8), "stop": (15, 0), "step": (3, -2)}),
            ([(5, 40), (1, 40)], {"start": (1, 0), "stop": (2, 40), "step": (1, 1)}),
            ([(5,), (0,)], {"start": (3,), "stop": (3,), "step": (1,)}),
            ([(), ()], {"start": (), "stop": (), "step": ()}),
        ),
    )
)
