"""Updates: an array with some of its elements exchanged, the value of an in-place write.

The graph is pure, so an update is a new value. Where the old one is not needed any more, memory
planning makes it a write into the same memory: of the part that changes, nothing is copied.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import expressions, tensor
from ..op import UPDATE, Op, Place, define
from ..syntax import scalar_dtype
from ..types import ArrayType, DType, array_type, i64
from .indexing import gather, gathered_position
from .movement import slice_, sliced_index
from .samples import Samples, samples


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


def _update_place(index: tuple, *_: Any, start: tuple, stop: tuple, step: tuple) -> tuple:
    return sliced_index(index, start, step)


update = define(
    Op(
        "update",
        UPDATE,
        _update_type,
        _update_reference,
        Place(_update_place),
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


def _scatter_type(
    old: ArrayType,
    value: ArrayType,
    *indices: ArrayType,
    axes: tuple[int, ...],
    combine: str | None,
) -> ArrayType:
    part = gather.type_rule(old, *indices, axes=axes)
    fits = value.dtype is old.dtype
    if combine is not None:
        fits = scalar_dtype(combine, (value.dtype, value.dtype)) is value.dtype
    if value.shape != part.shape or not fits:
        raise ValueError(f"{value} does not fit where {part} is exchanged")
    return ArrayType(old.shape, old.dtype, None)


def _scatter_reference(
    old: Any, value: Any, *indices: Any, axes: tuple[int, ...], combine: str | None
) -> Any:
    new = np.array(old, order="C")
    numbers = gather.reference(np.arange(new.size).reshape(new.shape), *indices, axes=axes)
    flat, numbers, values = new.reshape(-1), np.ravel(numbers), np.ravel(value)
    if combine is None:
        flat[numbers] = values
    else:
        getattr(np, combine).at(flat, numbers, values)
    return new


def _scatter_place(
    index: tuple, old: Any, _: Any, *indices: Any, axes: tuple[int, ...], combine: str | None
) -> tuple:
    return gathered_position(index, old.type.shape, indices, axes)


def _scatter_element(
    old: tensor.Expression, value: tensor.Expression, *, axes: tuple[int, ...], combine: str | None
) -> tensor.Expression:
    if combine is None:
        return value
    operands = (expressions.cast(old, value.dtype), value)
    return expressions.cast(tensor.Apply(combine, operands, value.dtype), old.dtype)


def _scatters(*cases: tuple[tuple, tuple, tuple[tuple, ...], tuple, str | None]) -> Samples:
    """Operands of any dtype of the first two shapes, and indices of the other shapes."""

    def of(dtype: DType) -> list:
        return [
            (
                [array_type(shape, dtype), array_type(value, dtype)]
                + [array_type(index, i64) for index in indices],
                {"axes": axes, "combine": combine},
            )
            for shape, value, indices, axes, combine in cases
            if combine is None or scalar_dtype(combine, (dtype, dtype)) is dtype
        ]

    return of


# The old value with elements exchanged at positions along `axes`, as `gather` finds them, in the
# order of the value: of several for one place the last stays. With `combine`, the name of an op,
# each is combined with what is there instead, in the dtype of the value.
scatter = define(
    Op(
        "scatter",
        UPDATE,
        _scatter_type,
        _scatter_reference,
        Place(_scatter_place, _scatter_element),
        samples=_scatters(
            ((7,), (40,), ((40,),), (0,), None),
            ((6, 5), (3, 2, 5), ((3, 2),), (0,), None),
            ((4, 6), (4, 17), ((17,),), (1,), "add"),
            ((3, 4, 2), (5, 2), ((5,), (5,)), (0, 1), "maximum"),
            ((3, 4, 2), (5, 4), ((5,), (5,)), (0, 2), None),
            ((3, 2, 4), (3,), ((), ()), (1, 2), None),
            ((9,), (), ((),), (0,), "multiply"),
            ((0, 3), (0, 3), ((0,),), (0,), None),
            ((3, 0), (2, 0), ((2,),), (0,), "subtract"),
            ((1000,), (300,), ((300,),), (0,), "add"),
        ),
    )
)
