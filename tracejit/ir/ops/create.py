"""Creation ops: values without operands."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from .. import expressions, tensor
from ..dims import Dim
from ..op import CREATION, OPAQUE, Element, Loops, Op, define
from ..types import ArrayType, DType, array_type, i64, row_major

ARRAY_LIMIT = 1024


def _constant_type(*, value: Any, dtype: DType) -> ArrayType:
    if type(value) not in (bool, int, float, complex):
        raise TypeError(f"a constant is a Python scalar, not {value!r}")
    return array_type((), dtype)


def _constant_element(index: tuple, *, type: ArrayType, value: Any, dtype: DType) -> Any:
    return tensor.Literal(value, dtype)


constant = define(
    Op(
        "constant",
        CREATION,
        _constant_type,
        lambda *, value, dtype: dtype(value),
        Element(_constant_element),
        cost=0.0,
        samples=lambda dtype: [((), {"value": dtype(k).item(), "dtype": dtype}) for k in (0, 1, 3)],
    )
)


def _array_type(*, data: tuple, shape: tuple, dtype: DType) -> ArrayType:
    if len(data) != prod(shape) or len(data) > ARRAY_LIMIT:
        raise ValueError(f"{len(data)} elements for shape {shape}")
    return array_type(shape, dtype)


def _array_element(
    index: tuple, *, type: ArrayType, data: tuple, shape: tuple, dtype: DType
) -> Any:
    """A read from a constant table; one without elements is never read."""
    if not data:
        return tensor.Literal(dtype(0).item(), dtype)
    flat: tensor.Expression = tensor.ZERO
    for i, stride in zip(index, row_major(shape)):
        flat = expressions.add(flat, expressions.multiply(i, expressions.integer(stride)))
    if isinstance(flat, tensor.Literal):
        return tensor.Literal(data[flat.value], dtype)
    return tensor.Table(data, flat, dtype)


def _array_reference(*, data: tuple, shape: tuple, dtype: DType) -> Any:
    return np.array(data, dtype.numpy).reshape(shape)


def _array_samples(dtype: DType) -> list:
    numbers = [dtype(k).item() for k in (0, 1, 1, 0, 3, 5)]
    shapes = [(6,), (2, 3), (0, 2), (1,), ()]
    return [
        ((), {"data": tuple(numbers[: prod(shape)]), "shape": shape, "dtype": dtype})
        for shape in shapes
    ]


array = define(
    Op(
        "array",
        CREATION,
        _array_type,
        _array_reference,
        Element(_array_element),
        cost=0.0,
        samples=_array_samples,
    )
)


def _iota_type(*, extent: Any, dtype: DType) -> ArrayType:
    return array_type((extent,), dtype)


def _iota_element(index: tuple, *, type: ArrayType, extent: Any, dtype: DType) -> Any:
    return expressions.cast(index[0], dtype)


iota = define(
    Op(
        "iota",
        CREATION,
        _iota_type,
        lambda *, extent, dtype: np.arange(extent).astype(dtype.numpy),
        Element(_iota_element),
        cost=0.0,
        samples=lambda dtype: [((), {"extent": n, "dtype": dtype}) for n in (0, 1, 7, 100)],
    )
)


def _extent_type(*, value: Any) -> ArrayType:
    if not isinstance(value, int | Dim):
        raise TypeError(f"an extent is an int or a Dim, not {value!r}")
    return array_type((), i64)


def _extent_element(index: tuple, *, type: ArrayType, value: Any) -> Any:
    return expressions.extent(value)


# The number that an extent, or the index of a loop, is.
extent = define(
    Op(
        "extent",
        CREATION,
        _extent_type,
        lambda *, value: np.int64(value),
        Element(_extent_element),
        cost=0.0,
        samples=lambda dtype: [((), {"value": n}) for n in (0, 7)],
    )
)


def _unset_type(*, shape: tuple, dtype: DType, number: int) -> ArrayType:
    return array_type(shape, dtype)


def _unset_reference(*, shape: tuple, dtype: DType, number: int) -> Any:
    return np.zeros(shape, dtype.numpy)


def _unset_loops(out: tensor.Buffer, **attrs: Any) -> tuple:
    """A loop over none of the elements."""
    index = tuple([tensor.Index(f"i{axis}") for axis in range(out.type.ndim)])
    body: tuple = (
        tensor.Store(out, index, tensor.Literal(out.type.dtype(0).item(), out.type.dtype)),
    )
    for i in reversed(index):
        body = (tensor.For(i, tensor.ZERO, tensor.ZERO, body, "serial", 1),)
    return body


def _unset_samples(dtype: DType) -> list:
    """Of elements nothing can be said."""
    return [((), {"shape": shape, "dtype": dtype, "number": 0}) for shape in ((0,), (0, 3))]


# Room for elements that updates will set: what is there before is unspecified, and nobody may read it.
# Each has a `number` of its own, so that no two are one value, which one update would have to copy.
unset = define(
    Op(
        "unset",
        OPAQUE,
        _unset_type,
        _unset_reference,
        Loops(_unset_loops),
        cost=0.0,
        samples=_unset_samples,
    )
)
