"""Checks of what a matrix is divided by, and of what is made of one: where they fail, the program ends
as NumPy's LAPACK does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.linalg import LinAlgError

from .. import tensor
from ..numpy_code import NO_EIGENVALUES, NOT_POSITIVE, SINGULAR
from ..op import ELEMENTWISE, Element, Op, define
from ..types import ArrayType, DType, array_type, f64

__all__ = ["PIVOTS", "definite_pivot", "proper_result", "regular_pivot"]


def _type(pivot: ArrayType) -> ArrayType:
    if pivot.dtype is not f64:
        raise TypeError(f"{pivot} must be of dtype f64")
    return pivot


def _pivot(name: str, text: str, fails: Callable[[Any], Any]) -> Op:
    def reference(pivot: Any) -> Any:
        if np.any(fails(pivot)):
            raise LinAlgError(text)
        return pivot

    def element(index: tuple, pivot: Any, *, type: ArrayType) -> tensor.Expression:
        return tensor.Apply(name, (pivot(index),), f64)

    def samples(dtype: DType) -> list:
        return [([array_type(shape, f64)], {}) for shape in ((), (3, 40), (0,))]

    return define(
        Op(name, ELEMENTWISE, _type, reference, Element(element), cost=1.0, samples=samples)
    )


# The pivot itself; there is no result if it is zero, or if it is not above zero.
regular_pivot = _pivot("regular_pivot", SINGULAR, lambda x: np.equal(x, 0))
definite_pivot = _pivot("definite_pivot", NOT_POSITIVE, lambda x: ~np.greater(x, 0))
# What an algorithm has found, which is nan where it has found nothing: NumPy says which way it failed.
proper_result = _pivot("proper_result", NO_EIGENVALUES, np.isnan)
# By name, what NumPy says.
PIVOTS = {
    "regular_pivot": SINGULAR,
    "definite_pivot": NOT_POSITIVE,
    "proper_result": NO_EIGENVALUES,
}
