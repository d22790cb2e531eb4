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
    if _are_long(x.type):
        return _long_rows(x, mask, out)
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


# Bytes of a row that is not copied for nothing.
LONG_ROW = 128


def _are_long(x: ArrayType) -> bool:
    row = array_type(x.shape[1:], x.dtype).size if x.ndim > 1 else 0
    return type(row) is int and row * x.dtype.itemsize >= LONG_ROW and type(x.shape[0]) is int


def _long_rows(x: tensor.Buffer, mask: tensor.Buffer, out: tensor.Buffer) -> tuple:
    """The positions of the rows first; then the rows, which threads may share."""
    i, k, found = tensor.Index("i0"), tensor.Index("k"), tensor.Index("found")
    place, count = tensor.Variable("place", i64), expressions.extent(x.type.shape[0])
    places = tensor.Buffer("places", array_type(x.type.shape[:1], i64), "local")
    selected = expressions.cast(tensor.Load(mask, (i,)), i64)
    step = tensor.Assign(place, tensor.Apply("add", (place, selected), i64))
    inside = tuple([tensor.Index(f"i{axis}") for axis in range(1, x.type.ndim)])
    last = expressions.subtract(count, tensor.ONE)
    row = expressions.maximum(expressions.minimum(tensor.Load(places, (k,)), last), tensor.ZERO)
    body: tuple = (tensor.Store(out, (k, *inside), tensor.Load(x, (row, *inside))),)
    for j, extent in zip(reversed(inside), reversed(x.type.shape[1:])):
        body = (tensor.For(j, tensor.ZERO, expressions.extent(extent), body, "serial", 1),)
    return (
        tensor.Allocate(places),
        tensor.Let(place, tensor.ZERO),
        tensor.For(i, tensor.ZERO, count, (tensor.Store(places, (place,), i), step), "serial", 1),
        tensor.Let(found, expressions.minimum(place, count)),
        tensor.For(k, tensor.ZERO, found, body, "serial", 1),
    )


def _compress_samples(dtype: DType) -> list:
    shapes = ((40,), (7, 3), (0,), (1,), (5, 0), (9, 130), (3, 20, 9))
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
