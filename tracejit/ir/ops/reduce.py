"""Reductions and scans along axes; the reduced axes are dropped, the dtype is kept.

The order of combination is free, so sums may differ from NumPy's pairwise order in the last bits.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..op import REDUCTION, SCAN, Fold, Op, define
from ..types import ArrayType, DType, array_type, f16, f32, to_dtype


def _reduced(x: ArrayType, axes: tuple[int, ...]) -> ArrayType:
    if list(axes) != sorted(set(axes)) or not all(0 <= axis < x.ndim for axis in axes):
        raise ValueError(f"{axes} are not distinct, sorted axes of {x}")
    return array_type(tuple(n for axis, n in enumerate(x.shape) if axis not in axes), x.dtype)


def _reduction(
    name: str,
    ufunc: np.ufunc,
    identity: Callable[[DType], Any],
    accumulate: Callable[[DType], DType] = lambda dtype: dtype,
) -> Op:
    def type_rule(x: ArrayType, *, axes: tuple[int, ...]) -> ArrayType:
        return _reduced(x, axes)

    def reference(x: Any, *, axes: tuple[int, ...]) -> Any:
        x = np.asarray(x)
        start = identity_of(x.dtype)
        return ufunc.reduce(x, axis=axes, dtype=x.dtype, initial=start)

    def identity_of(dtype: np.dtype) -> Any:
        own = to_dtype(dtype)
        return own(identity(own))

    lowering = Fold(ufunc.__name__, identity, accumulate)
    return define(Op(name, REDUCTION, type_rule, reference, lowering))


def lowest(dtype: DType) -> Any:
    """The identity of `maximum`."""
    if dtype.kind == "b":
        return False
    if dtype.is_integer:
        return int(np.iinfo(dtype.numpy).min)
    return complex(-np.inf, -np.inf) if dtype.is_complex else -np.inf


def highest(dtype: DType) -> Any:
    """The identity of `minimum`."""
    if dtype.kind == "b":
        return True
    if dtype.is_integer:
        return int(np.iinfo(dtype.numpy).max)
    return complex(np.inf, np.inf) if dtype.is_complex else np.inf


def _zero(dtype: DType) -> Any:
    return {"b": False, "i": 0, "u": 0, "f": 0.0, "c": 0j}[dtype.kind]


def _one(dtype: DType) -> Any:
    return {"b": True, "i": 1, "u": 1, "f": 1.0, "c": 1 + 0j}[dtype.kind]


def _wide(dtype: DType) -> DType:
    return f32 if dtype is f16 else dtype


sum_ = _reduction("sum", np.add, _zero, _wide)
prod = _reduction("prod", np.multiply, _one, _wide)
max_ = _reduction("max", np.maximum, lowest)
min_ = _reduction("min", np.minimum, highest)
all_ = _reduction("all", np.logical_and, lambda dtype: True)
any_ = _reduction("any", np.logical_or, lambda dtype: False)


def _scan(name: str, ufunc: np.ufunc) -> Op:
    def type_rule(x: ArrayType, *, axis: int) -> ArrayType:
        if not 0 <= axis < x.ndim:
            raise ValueError(f"{x} has no axis {axis}")
        return array_type(x.shape, x.dtype)

    def reference(x: Any, *, axis: int) -> Any:
        x = np.asarray(x)
        return ufunc.accumulate(x, axis=axis, dtype=x.dtype)

    return define(Op(name, SCAN, type_rule, reference, Fold(ufunc.__name__, _zero)))


cumsum = _scan("cumsum", np.add)
cumprod = _scan("cumprod", np.multiply)
