"""Arrays joined and split: `concatenate`, `stack` and kin, `block`, `append`, `split` and kin."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...errors import ShapeError, TraceError
from ..array import Array, viewing
from ..broadcasting import shape_text
from ..context import failure
from ..registry import implements
from .arguments import available, numpy_dtype, one_axis, refuse_out, static, static_int
from .building import (
    as_array,
    concatenated,
    converted,
    copied,
    reshaped,
    scalar_like,
    taken,
    window,
)
from .shapes import atleast_1d, atleast_2d, atleast_3d, moveaxis, ravel


def _common_dtype(arrays: list[Array], dtype: Any, casting: str) -> list[Array]:
    target = np.result_type(*[x.dtype for x in arrays]) if dtype is None else numpy_dtype(dtype)
    for x in arrays:
        if not np.can_cast(x.dtype, target, casting):
            raise TypeError(
                f"Cannot cast array data from {x.dtype!r} to {target!r} according to the rule "
                f"'{casting}'"
            )
    return [converted(x, target) for x in arrays]


@implements(np.concatenate, np.concat)
def concatenate(arrays, /, axis=0, out=None, *, dtype=None, casting="same_kind"):
    """`np.concatenate`."""
    refuse_out("concatenate", out)
    if (rows := _rows_of_one(arrays, 1, dtype)) is not None and axis is not None:
        return _merged(rows, one_axis(axis, rows.ndim - 1))
    values = [as_array(x) for x in _items(arrays)]
    if not values:
        raise ValueError("need at least one array to concatenate")
    values = _common_dtype(values, dtype, casting)
    if axis is None:
        return concatenated([reshaped(x, (x.size,)) for x in values], 0)
    if any(x.ndim == 0 for x in values):
        raise ValueError("zero-dimensional arrays cannot be concatenated")
    axis = one_axis(axis, values[0].ndim)
    _check_shapes(values, axis)
    return concatenated(values, axis)


def _items(arrays: Any) -> Sequence:
    """The arrays of a sequence, or the rows of one array."""
    if isinstance(arrays, list | tuple):
        return arrays
    return list(as_array(arrays))


def _rows_of_one(arrays: Any, least: int, dtype: Any) -> Array | None:
    """One array whose rows, of `least` axes or more, are to be joined: they are side by side already."""
    is_one = isinstance(arrays, Array) and dtype is None and arrays.ndim > least
    return arrays if is_one and arrays.shape[0] != 0 else None


def _merged(rows: Array, axis: int) -> Array:
    """The rows joined along an axis of theirs."""
    shape = rows.shape[1:]
    joined = (*shape[:axis], rows.shape[0] * shape[axis], *shape[axis + 1 :])
    return copied(reshaped(moveaxis(rows, 0, axis), joined))


def _check_shapes(arrays: list[Array], axis: int) -> None:
    first = arrays[0]
    for position, x in enumerate(arrays):
        if x.ndim != first.ndim:
            raise ValueError(
                "all the input array dimensions except for the concatenation axis must match "
                f"exactly, but the array at index 0 has {first.ndim} dimension(s) and the array "
                f"at index {position} has {x.ndim} dimension(s)"
            )
        for along, (left, right) in enumerate(zip(first.shape, x.shape)):
            if along != axis and left != right:
                raise failure(
                    ShapeError,
                    "all the input array dimensions except for the concatenation axis must match "
                    f"exactly, but along dimension {along}, the array at index 0 has size {left} "
                    f"and the array at index {position} has size {right}",
                    "the arrays may differ only along the axis they are joined on",
                )


@implements(np.stack)
def stack(arrays, axis=0, out=None, *, dtype=None, casting="same_kind"):
    """`np.stack`: along a new axis."""
    refuse_out("stack", out)
    if (rows := _rows_of_one(arrays, 0, dtype)) is not None:
        return copied(moveaxis(rows, 0, one_axis(axis, rows.ndim)))
    values = [as_array(x) for x in _items(arrays)]
    if not values:
        raise ValueError("need at least one array to stack")
    shape = values[0].shape
    if any(x.shape != shape for x in values):
        listed = " ".join(shape_text(x.shape) for x in values)
        raise failure(
            ShapeError,
            f"all input arrays must have the same shape: {listed}",
            "broadcast or pad them first",
        )
    axis = one_axis(axis, len(shape) + 1)
    widened = (*shape[:axis], 1, *shape[axis:])
    values = _common_dtype(values, dtype, casting)
    return concatenated([reshaped(x, widened) for x in values], axis)


@implements(np.vstack)
def vstack(tup, *, dtype=None, casting="same_kind"):
    """`np.vstack`."""
    if (rows := _rows_of_one(tup, 1, dtype)) is not None and rows.ndim == 2:
        return copied(rows)
    return concatenate([atleast_2d(x) for x in _items(tup)], 0, dtype=dtype, casting=casting)


@implements(np.hstack)
def hstack(tup, *, dtype=None, casting="same_kind"):
    """`np.hstack`."""
    if (rows := _rows_of_one(tup, 1, dtype)) is not None:
        return _merged(rows, min(1, rows.ndim - 2))
    arrays = [atleast_1d(x) for x in _items(tup)]
    axis = 0 if arrays and arrays[0].ndim == 1 else 1
    return concatenate(arrays, axis, dtype=dtype, casting=casting)


@implements(np.dstack)
def dstack(tup):
    """`np.dstack`."""
    return concatenate([atleast_3d(x) for x in _items(tup)], 2)


@implements(np.column_stack)
def column_stack(tup):
    """`np.column_stack`: vectors become columns."""
    if (rows := _rows_of_one(tup, 1, None)) is not None:
        return copied(moveaxis(rows, 0, 1)) if rows.ndim == 2 else _merged(rows, 1)
    arrays = [as_array(x) for x in _items(tup)]
    return concatenate([x if x.ndim > 1 else reshaped(x, (x.size, 1)) for x in arrays], 1)


@implements(np.append)
def append(arr, values, axis=None):
    """`np.append`: a new, longer array."""
    if axis is None:
        return concatenate([ravel(arr), ravel(values)], 0)
    return concatenate([arr, values], axis)


@implements(np.block)
def block(arrays):
    """`np.block`: nested lists of blocks."""
    depth = _depth(arrays)
    leaves = list(_leaves(arrays))
    ndim = max(depth, *(as_array(leaf).ndim for leaf in leaves))
    return _joined_block(arrays, depth, ndim, 0)


def _depth(arrays: Any) -> int:
    if type(arrays) is tuple:
        raise TypeError("arrays is a tuple. Only lists can be used to arrange blocks")
    if not isinstance(arrays, list):
        return 0
    if not arrays:
        raise ValueError("List at arrays cannot be empty")
    depths = {_depth(item) for item in arrays}
    if len(depths) > 1:
        raise ValueError("List depths are mismatched")
    return 1 + depths.pop()


def _leaves(arrays: Any) -> Any:
    if isinstance(arrays, list):
        for item in arrays:
            yield from _leaves(item)
    else:
        yield arrays


def _joined_block(arrays: Any, depth: int, ndim: int, level: int) -> Array:
    if level == depth:
        x = as_array(arrays)
        return reshaped(x, (1,) * (ndim - x.ndim) + x.shape)
    parts = [_joined_block(item, depth, ndim, level + 1) for item in arrays]
    return concatenate(parts, axis=level - depth)


@implements(np.array_split)
@viewing
def array_split(ary, indices_or_sections, axis=0):
    """`np.array_split`: parts that may differ by one element in extent."""
    x = as_array(ary)
    axis = one_axis(axis, x.ndim)
    extent = x.shape[axis]
    given = static(indices_or_sections, "places to split")
    if isinstance(given, list | tuple | np.ndarray):
        if not all(type(bound) is int for bound in (extent, *map(int, given))):
            raise failure(TraceError, f"an axis of extent {extent} cannot be split here")
        bounds = [0, *map(int, given), extent]
    else:
        sections = static_int(given, "a number of sections")
        if sections <= 0:
            raise ValueError("number sections must be larger than 0.")
        small = extent // sections
        extra = extent - small * sections
        bounds = [k * small + min(k, extra) for k in range(sections + 1)]
    return [_part(x, axis, low, high) for low, high in zip(bounds, bounds[1:])]


def _part(x: Array, axis: int, low: Any, high: Any) -> Array:
    """`x[low:high]` along `axis`, with Python's rules for bounds out of range."""
    if type(x.shape[axis]) is int:
        low, high, _ = slice(low, high).indices(x.shape[axis])
        high = max(low, high)
    return window(x, axis, low, high)


@implements(np.split)
@viewing
def split(ary, indices_or_sections, axis=0):
    """`np.split`: equal parts."""
    x = as_array(ary)
    given = static(indices_or_sections, "places to split")
    if not isinstance(given, list | tuple | np.ndarray):
        extent = x.shape[one_axis(axis, x.ndim)]
        if given and extent % given != 0:
            raise ValueError("array split does not result in an equal division")
    return array_split(x, given, axis)


def _split_along(name: str, least: int, axis: Any) -> Any:
    def splitter(ary: Any, indices_or_sections: Any) -> list[Array]:
        x = as_array(ary)
        if x.ndim < least:
            raise ValueError(f"{name} only works on arrays of {least} or more dimensions")
        return split(x, indices_or_sections, axis(x.ndim))

    splitter.__name__ = name
    splitter.__doc__ = f"`np.{name}`."
    return splitter


hsplit = implements(np.hsplit)(_split_along("hsplit", 1, lambda ndim: 1 if ndim > 1 else 0))
vsplit = implements(np.vsplit)(_split_along("vsplit", 2, lambda ndim: 0))
dsplit = implements(np.dsplit)(_split_along("dsplit", 3, lambda ndim: 2))


@implements(*available("unstack"))
@viewing
def unstack(x, /, *, axis=0):
    """`np.unstack`: the slices along an axis."""
    x = as_array(x)
    if x.ndim == 0:
        raise ValueError("Input array must be at least 1-d.")
    axis = one_axis(axis, x.ndim)
    parts = [taken(x, axis, k) for k in range(static_int(x.shape[axis], "an extent"))]
    return tuple(scalar_like(part) for part in parts)  # as an array of one axis gives scalars
