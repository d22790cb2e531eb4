"""Reductions and scans along axes; the reduced axes are dropped, the dtype is kept.

The order of combination is free, so sums may differ from NumPy's pairwise order in the last bits.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..expressions import identity
from ..op import REDUCTION, SCAN, Fold, Op, define
from ..types import ArrayType, DType, array_type, bool_, f16, f32, to_dtype
from .elementwise import loop_dtype


def _reduced(x: ArrayType, axes: tuple[int, ...]) -> ArrayType:
    if list(axes) != sorted(set(axes)) or not all(0 <= axis < x.ndim for axis in axes):
        raise ValueError(f"{axes} are not distinct, sorted axes of {x}")
    return array_type(tuple(n for axis, n in enumerate(x.shape) if axis not in axes), x.dtype)


def _reduction(
    name: str,
    ufunc: np.ufunc,
    accumulate: Callable[[DType], DType] = lambda dtype: dtype,
) -> Op:
    def type_rule(x: ArrayType, *, axes: tuple[int, ...]) -> ArrayType:
        if ufunc in (np.logical_and, np.logical_or, np.logical_xor) and x.dtype is not bool_:
            raise ValueError(f"{name} takes bools, not {x.dtype}; cast the operand first")
        loop_dtype(ufunc, (x.dtype, x.dtype))
        return _reduced(x, axes)

    def reference(x: Any, *, axes: tuple[int, ...]) -> Any:
        x = np.asarray(x)
        start = x.dtype.type(identity(ufunc.__name__, to_dtype(x.dtype)))
        return ufunc.reduce(x, axis=axes, dtype=x.dtype, initial=start)

    lowering = Fold(ufunc.__name__, accumulate)
    return define(Op(name, REDUCTION, type_rule, reference, lowering))


def _wide(dtype: DType) -> DType:
    return f32 if dtype is f16 else dtype


sum_ = _reduction("sum", np.add, _wide)
prod = _reduction("prod", np.multiply, _wide)
max_ = _reduction("max", np.maximum)
min_ = _reduction("min", np.minimum)
all_ = _reduction("all", np.logical_and)
any_ = _reduction("any", np.logical_or)
# Of other ufuncs that are associative, by the ufunc: what its method `reduce` gives.
FOLDS = {
    ufunc: _reduction(f"fold_{ufunc.__name__}", ufunc)
    for ufunc in (
        np.bitwise_or, np.bitwise_and, np.bitwise_xor, np.logical_xor, np.fmax, np.fmin,
    )
}  # fmt: skip


def _scan(name: str, ufunc: np.ufunc, kinds: str = "biufc") -> Op:
    def type_rule(x: ArrayType, *, axis: int) -> ArrayType:
        if not 0 <= axis < x.ndim:
            raise ValueError(f"{x} has no axis {axis}")
        if x.dtype.kind not in kinds:
            raise TypeError(f"{name} of {x.dtype}")
        return array_type(x.shape, x.dtype)

    def reference(x: Any, *, axis: int) -> Any:
        x = np.asarray(x)
        return ufunc.accumulate(x, axis=axis, dtype=x.dtype)

    return define(Op(name, SCAN, type_rule, reference, Fold(ufunc.__name__)))


cumsum = _scan("cumsum", np.add)
cumprod = _scan("cumprod", np.multiply)
cummax = _scan("cummax", np.maximum)
cummin = _scan("cummin", np.minimum)
# Of the logarithms of sums, by the ufunc.
SCANS_OF_LOGARITHMS = {
    ufunc: _scan(f"cum{ufunc.__name__}", ufunc, "f") for ufunc in (np.logaddexp, np.logaddexp2)
}
