"""The op that gathers what a mask selects."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import expressions, tensor
from ..op import SCAN, Loops, Op, define
from ..types import ArrayType, DType, array_type, bool_, i64


def _compress_type(x: ArrayType, mask: ArrayType) -> ArrayType:
    if mask.dtype is not bool_ or mask.shape != x.shape[:1]:
        raise ValueError(f"{mask} does not select rows of {x}")
    return array_type(x.shape, x.dtype)


def _compress_reference(x: Any, mask: Any) -> Any:
    x = np.asarray(x)
    result = x.copy()
    result[: np.count_nonzero(mask)] = x[np.asarray(mask)]
    return result


def _compress_loops(x: tensor.Buffer, mask: tensor.Buffer, out: tensor.Buffer) -> tuple:
    """Every row is stored, and only after one that is selected the next goes to another place: so
    nothing branches, and a place keeps the last row that was stored there."""
    index = tuple([tensor.Index(f"i{axis}") for axis in range(x.type.ndim)])
    place = tensor.Variable("place", i64)
    body: tuple = (tensor.Store(out, (place, *index[1:]), tensor.Load(x, index)),)
    for i, extent in zip(reversed(index[1:]), reversed(x.type.shape[1:])):
        body = (tensor.For(i, tensor.ZERO, expressions.extent(extent), body, "serial", 1),)
    selected = expressions.cast(tensor.Load(mask, index[:1]), i64)
    body = (*body, tensor.Assign(place, tensor.Apply("add", (place, selected), i64)))
    stop = expressions.extent(x.type.shape[0])
    rows = tensor.For(index[0], tensor.ZERO, stop, body, "serial", 1)
    return (tensor.Let(place, tensor.ZERO), rows)


def _compress_samples(dtype: DType) -> list:
    shapes = ((40,), (7, 3), (0,), (1,), (5, 0))
    return [([array_type(shape, dtype), array_type(shape[:1], bool_)], {}) for shape in shapes]


# The rows of `x` that the mask selects, from the first row on; what follows them is unspecified.
compress = define(
    Op(
        "compress",
        SCAN,
        _compress_type,
        _compress_reference,
        Loops(_compress_loops),
        samples=_compress_samples,
    )
)
