"""Sums and products in NumPy's order, by NumPy's own loops: for `numerics="strict"`.

The operand is row-major, with its axes in the order in which NumPy goes over them (iteration.py). Its
rows are taken one after the other: a row that is reduced is added up by NumPy's loop, in pairs, and
the total added to its element of the result; one that is kept is added to the result element by
element. Axes are reduced and kept by turns, as NumPy takes those that belong together as one.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from .. import expressions, tensor
from ..numpy_code import Loop, loop_for
from ..op import OPAQUE, Extern, Op, define
from ..tensor import Address, Buffer, Index, Statement, Store
from ..types import ArrayType, DType, array_type, i64
from .gufunc import nested

__all__ = ["FIRST_IN_ORDER", "ORDERED", "ordered_loop"]


def ordered_loop(ufunc: np.ufunc, dtype: DType) -> Loop:
    """NumPy's loop that adds or multiplies; TypeError for a dtype it rounds nothing of."""
    return loop_for(ufunc, (dtype.numpy, dtype.numpy))


def _type(ufunc: np.ufunc, x: ArrayType, *, axes: tuple[int, ...]) -> ArrayType:
    ordered_loop(ufunc, x.dtype)
    if not axes or axes not in (tuple(range(0, x.ndim, 2)), tuple(range(1, x.ndim, 2))):
        raise ValueError(f"{axes} is not every other axis of {x}")
    return array_type(tuple(n for axis, n in enumerate(x.shape) if axis not in axes), x.dtype)


def _reference(ufunc: np.ufunc, x: Any, *, axes: tuple[int, ...]) -> Any:
    return ufunc.reduce(np.ascontiguousarray(x), axis=axes)


def _statements(
    ufunc: np.ufunc, x: Buffer, out: Buffer, *, axes: tuple[int, ...]
) -> tuple[Statement, ...]:
    loop, dtype = ordered_loop(ufunc, x.type.dtype), x.type.dtype
    index = tuple([Index(f"i{axis}") for axis in range(x.type.ndim)])
    own = tuple([i for axis, i in enumerate(index) if axis not in axes])
    start = tensor.Literal(expressions.identity(ufunc.__name__, dtype), dtype)
    body: tuple[Statement, ...] = nested(own, out.type.shape, (Store(out, own, start),))
    if 0 in x.type.shape:
        return body
    last = x.type.ndim - 1
    along = 0 if last in axes else out.type.strides[-1]
    steps = [step * dtype.itemsize for step in (along, x.type.strides[-1], along)]
    numbers = [expressions.extent(n) for n in (x.type.shape[-1], *steps)]
    target = Address(out, own if last in axes else (*own[:-1], tensor.ZERO))
    row = Address(x, (*index[:-1], tensor.ZERO))
    call = tensor.Extern(loop.symbol, (target, row, target, *numbers))
    return (*body, *nested(index[:-1], x.type.shape[:-1], (call,)))


def _samples(ufunc: np.ufunc, dtype: DType) -> list:
    if dtype.kind not in "fc":
        return []
    cases = (((300,), (0,)), ((3, 40), (1,)), ((40, 3), (0,)), ((2, 3, 20), (0, 2)), ((0, 3), (0,)))
    return [([array_type(shape, dtype)], {"axes": axes}) for shape, axes in cases]


def _ordered(ufunc: np.ufunc) -> Op:
    return define(
        Op(
            f"{ufunc.__name__}_in_order",
            OPAQUE,
            partial(_type, ufunc),
            partial(_reference, ufunc),
            Extern(partial(_statements, ufunc)),
            samples=partial(_samples, ufunc),
        )
    )


# By the name of the reduction that they carry out.
ORDERED = {"sum": _ordered(np.add), "prod": _ordered(np.multiply)}


# Of the first elements of a row, as many as data says: those that a mask has selected.


def _first_type(ufunc: np.ufunc, x: ArrayType, count: ArrayType) -> ArrayType:
    ordered_loop(ufunc, x.dtype)
    if x.ndim != 1 or count.shape != () or count.dtype is not i64:
        raise ValueError(f"the first {count} elements of {x}")
    return array_type((), x.dtype)


def _first_reference(ufunc: np.ufunc, x: Any, count: Any) -> Any:
    return ufunc.reduce(np.asarray(x)[: int(count)])


def _first_statements(
    ufunc: np.ufunc, x: Buffer, count: Buffer, out: Buffer
) -> tuple[Statement, ...]:
    loop, dtype = ordered_loop(ufunc, x.type.dtype), x.type.dtype
    start = Store(out, (), tensor.Literal(expressions.identity(ufunc.__name__, dtype), dtype))
    if 0 in x.type.shape:
        return (start,)
    step = expressions.extent(x.type.strides[0] * dtype.itemsize)
    target, number = Address(out, ()), tensor.Load(count, ())
    row = Address(x, (tensor.ZERO,))
    numbers = (number, tensor.ZERO, step, tensor.ZERO)
    return (start, tensor.Extern(loop.symbol, (target, row, target, *numbers)))


def _first_samples(dtype: DType) -> list:
    count = array_type((), i64)
    return [([array_type((n,), dtype), count], {}) for n in (300, 1, 0) if dtype.kind in "fc"]


def _first(ufunc: np.ufunc) -> Op:
    return define(
        Op(
            f"{ufunc.__name__}_first_in_order",
            OPAQUE,
            partial(_first_type, ufunc),
            partial(_first_reference, ufunc),
            Extern(partial(_first_statements, ufunc)),
            samples=_first_samples,
        )
    )


FIRST_IN_ORDER = {"sum": _first(np.add), "prod": _first(np.multiply)}
