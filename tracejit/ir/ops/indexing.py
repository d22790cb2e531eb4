"""Ops that read at computed positions: `gather` and `take_along`.

An index that comes from data may be anything. It goes through `checked_index`, which wraps negative
ones and refuses what lies outside, so that every read is proved to be inside; a pass drops the
checks that can never fail. Where what is read has no use for a position, as along an axis on which it
repeats, it is guarded by it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import expressions, tensor
from ..op import MOVEMENT, Element, Op, define
from ..term import postorder
from ..types import ArrayType, DType, array_type, i64
from .checks import checked_index
from .samples import Samples


def _inside(index: tensor.Expression, extent: Any, axis: int) -> tensor.Expression:
    operands = (index, expressions.extent(extent), expressions.integer(axis))
    return tensor.Apply("checked_index", operands, i64)


def _read(x: Any, position: list, axes: tuple[int, ...]) -> tensor.Expression:
    """`x` at `position`, with the checks of these axes; where one has no elements its check alone, which
    fails."""
    for axis in axes:
        if type(x.type.shape[axis]) is int and x.type.shape[axis] == 0:
            return expressions.cast(position[axis], x.type.dtype)
    value = x(tuple(position))
    used = {*postorder((value,), tensor.parts)}
    for axis in axes:
        if position[axis] not in used:
            value = expressions.guarded(position[axis], value)
    return value


def _gather_type(x: ArrayType, *indices: ArrayType, axes: tuple[int, ...]) -> ArrayType:
    if not indices or len(indices) != len(axes) or list(axes) != sorted({*axes} & {*range(x.ndim)}):
        raise ValueError(f"{len(indices)} indices along the axes {axes} of {x}")
    _check_indices(indices)
    rest = [n for axis, n in enumerate(x.shape) if axis not in axes]
    return array_type((*rest[: axes[0]], *indices[0].shape, *rest[axes[0] :]), x.dtype)


def _check_indices(indices: tuple[ArrayType, ...]) -> None:
    for index in indices:
        if index.dtype is not i64 or index.shape != indices[0].shape:
            raise ValueError(f"indices are i64 and of one shape: {', '.join(map(str, indices))}")


def _gather_reference(x: Any, *indices: Any, axes: tuple[int, ...]) -> Any:
    x = np.asarray(x)
    checked = [
        checked_index.reference(np.asarray(i), np.int64(x.shape[axis]), np.int64(axis))
        for i, axis in zip(indices, axes)
    ]
    picked = np.moveaxis(x, axes, range(len(axes)))[tuple(checked)]
    ndim = np.ndim(indices[0])
    return np.moveaxis(picked, range(ndim), range(axes[0], axes[0] + ndim))


def _gather_element(
    index: tuple, x: Any, *indices: Any, type: ArrayType, axes: tuple[int, ...]
) -> tensor.Expression:
    return _read(x, [*gathered_position(index, x.type.shape, indices, axes)], axes)


def gathered_position(index: tuple, shape: tuple, indices: tuple, axes: tuple[int, ...]) -> tuple:
    """Where in an array of `shape` the element is that a gather has at `index`."""
    first, ndim = axes[0], indices[0].type.ndim
    own, rest = index[first : first + ndim], [*index[:first], *index[first + ndim :]]
    chosen = {axis: i(own) for axis, i in zip(axes, indices)}
    return tuple(
        [
            _inside(chosen[axis], n, axis) if axis in chosen else rest.pop(0)
            for axis, n in enumerate(shape)
        ]
    )


def _cases(*cases: tuple[tuple, tuple[tuple, ...], dict[str, Any]]) -> Samples:
    """An operand of any dtype of the first shape, and indices of the other shapes."""

    def of(dtype: DType) -> list:
        return [
            ([array_type(shape, dtype), *[array_type(i, i64) for i in indices]], attrs)
            for shape, indices, attrs in cases
        ]

    return of


# Elements of `x` at positions along `axes`, which are increasing. The indices have one shape; its
# axes take the place of the first of `axes`, between the other axes of `x`.
gather = define(
    Op(
        "gather",
        MOVEMENT,
        _gather_type,
        _gather_reference,
        Element(_gather_element),
        cost=4.0,
        samples=_cases(
            ((7,), ((40,),), {"axes": (0,)}),
            ((6, 5), ((3, 2),), {"axes": (0,)}),
            ((4, 6), ((17,),), {"axes": (1,)}),
            ((3, 4, 2), ((5,), (5,)), {"axes": (0, 1)}),
            ((3, 4, 2), ((5,), (5,)), {"axes": (0, 2)}),
            ((3, 2, 4), ((), ()), {"axes": (1, 2)}),
            ((1, 3), ((1,),), {"axes": (0,)}),
            ((0, 3), ((0,),), {"axes": (0,)}),
            ((3, 0), ((2,),), {"axes": (0,)}),
        ),
    )
)


def _take_along_type(x: ArrayType, index: ArrayType, *, axis: int) -> ArrayType:
    _check_indices((index,))
    beside = [n for k, n in enumerate(index.shape) if k != axis]
    if axis not in range(x.ndim) or beside != [n for k, n in enumerate(x.shape) if k != axis]:
        raise ValueError(f"{x} and {index} differ beside axis {axis}")
    return array_type(index.shape, x.dtype)


def _take_along_reference(x: Any, index: Any, *, axis: int) -> Any:
    x, index = np.asarray(x), np.asarray(index)
    inside = checked_index.reference(index, np.int64(x.shape[axis]), np.int64(axis))
    return np.take_along_axis(x, inside, axis)


def _take_along_element(
    index: tuple, x: Any, along: Any, *, type: ArrayType, axis: int
) -> tensor.Expression:
    position = list(index)
    position[axis] = _inside(along(index), x.type.shape[axis], axis)
    return _read(x, position, (axis,))


# Elements of `x` at positions along one axis, of their own for every place beside it.
take_along = define(
    Op(
        "take_along",
        MOVEMENT,
        _take_along_type,
        _take_along_reference,
        Element(_take_along_element),
        cost=4.0,
        samples=_cases(
            ((9,), ((40,),), {"axis": 0}),
            ((5, 6), ((5, 17),), {"axis": 1}),
            ((5, 3), ((2, 3),), {"axis": 0}),
            ((2, 3, 4), ((2, 1, 4),), {"axis": 1}),
            ((0, 3), ((0, 3),), {"axis": 0}),
        ),
    )
)
