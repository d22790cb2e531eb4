"""What a program takes for granted, as its types depend on it: how many roots there are, or whether
they are real.

A program is made for what holds for the arguments of the first call, and looks at every run whether it
holds again. Such looks are ordered with calls that have effects, so none is dropped.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import tensor
from ..host import ResultChanged
from ..op import ELEMENTWISE, Element, Op, define
from ..types import ArrayType, DType, array_type, bool_, i64

__all__ = ["OTHERWISE", "assumed"]

OTHERWISE = "a value on which the type of a result depends is not what the program was made for"


def _type(token: ArrayType, condition: ArrayType) -> ArrayType:
    if token.dtype is not i64 or condition.dtype is not bool_ or token.shape != condition.shape:
        raise TypeError(f"a token and a condition are wanted, not {token} and {condition}")
    return token


def _reference(token: Any, condition: Any) -> Any:
    if not np.all(condition):
        raise ResultChanged(OTHERWISE)
    return token


def _element(index: tuple, token: Any, condition: Any, *, type: ArrayType) -> tensor.Expression:
    return tensor.Apply("assumed", (token(index), condition(index)), i64)


def _samples(dtype: DType) -> list:
    return [([array_type(n, i64), array_type(n, bool_)], {}) for n in ((), (0,), (3, 5), (100,))]


# The token; the program has no result if the condition does not hold.
assumed = define(
    Op("assumed", ELEMENTWISE, _type, _reference, Element(_element), cost=1.0, samples=_samples)
)
