"""Python's `int` of a float, which not every float has."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import tensor
from ..op import ELEMENTWISE, Element, Op, define
from ..types import ArrayType, DType, array_type, f64, i64

__all__ = ["NOT_WHOLE", "whole"]

# What Python says of floats without an int, and what we say of those without one of 64 bits.
NOT_WHOLE: dict[str, tuple[type[Exception], str]] = {
    "nan": (ValueError, "cannot convert float NaN to integer"),
    "infinite": (OverflowError, "cannot convert float infinity to integer"),
    "large": (OverflowError, "an int of more than 64 bits in a compiled function"),
}


def _type(x: ArrayType) -> ArrayType:
    if x.dtype is not f64:
        raise TypeError(f"{x} must be of dtype f64")
    return array_type(x.shape, i64)


def _reference(x: Any) -> Any:
    problems = {"nan": np.isnan(x), "infinite": np.isinf(x), "large": ~(np.abs(x) < 2.0**63)}
    for name, found in problems.items():
        if np.any(found):
            kind, text = NOT_WHOLE[name]
            raise kind(text)
    return np.asarray(x).astype(np.int64)[()]


def _element(index: tuple, x: Any, *, type: ArrayType) -> tensor.Expression:
    return tensor.Apply("whole", (x(index),), i64)


def _samples(dtype: DType) -> list:
    return [([array_type(shape, f64)], {}) for shape in ((), (0,), (3, 5), (100,))]


# The int that a number has before its point; the program has no result where there is none.
whole = define(
    Op("whole", ELEMENTWISE, _type, _reference, Element(_element), cost=3.0, samples=_samples)
)
