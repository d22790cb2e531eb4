"""Ops on what a mask selects: the checks of reductions that nothing has no result of."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import tensor
from ..op import ELEMENTWISE, Element, Op, define
from ..types import ArrayType, DType, array_type, i64

# What NumPy says of the reductions of nothing.
EMPTY = {
    "maximum": "zero-size array to reduction operation maximum which has no identity",
    "minimum": "zero-size array to reduction operation minimum which has no identity",
    "argmax": "attempt to get argmax of an empty sequence",
    "argmin": "attempt to get argmin of an empty sequence",
}


def _type(count: ArrayType) -> ArrayType:
    if count.dtype is not i64:
        raise TypeError(f"{count} must be of dtype i64")
    return count


def _some(reduction: str) -> Op:
    def reference(count: Any) -> Any:
        if np.any(np.equal(count, 0)):
            raise ValueError(EMPTY[reduction])
        return count

    def element(index: tuple, count: Any, *, type: ArrayType) -> tensor.Expression:
        return tensor.Apply(f"some_{reduction}", (count(index),), i64)

    def samples(dtype: DType) -> list:
        return [([array_type((n,), i64)], {}) for n in (0, 3, 100)]

    lowering = Element(element)
    name = f"some_{reduction}"
    return define(Op(name, ELEMENTWISE, _type, reference, lowering, cost=2.0, samples=samples))


# `count`; the program has no result when it is 0.
some = {reduction: _some(reduction) for reduction in EMPTY}
