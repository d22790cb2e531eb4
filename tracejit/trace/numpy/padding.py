"""`np.pad`: each axis in turn is joined to what continues it on both sides."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...errors import UnsupportedError
from ..application import apply
from ..array import Array
from ..context import failure
from ..registry import implements
from . import reductions, statistics
from .arguments import is_traced, static
from .building import (
    as_array,
    broadcast,
    concatenated,
    converted,
    copied,
    padded,
    taken,
    window,
)
from .creation import linspace
from .shapes import flip

_OPTIONS = {
    "empty": (),
    "edge": (),
    "wrap": (),
    "constant": ("constant_values",),
    "linear_ramp": ("end_values",),
    "maximum": ("stat_length",),
    "mean": ("stat_length",),
    "median": ("stat_length",),
    "minimum": ("stat_length",),
    "reflect": ("reflect_type",),
    "symmetric": ("reflect_type",),
}
_STATISTICS = {
    "maximum": reductions.max,
    "minimum": reductions.min,
    "mean": statistics.mean,
}
Pair = tuple[Any, Any]


@implements(np.pad)
def pad(array, pad_width, mode="constant", **kwargs):
    """`np.pad` in every mode but "median" and functions."""
    x = copied(as_array(array))
    widths = _widths(static(pad_width, "a width"), x.ndim)
    if callable(mode) or mode == "median":
        raise failure(
            UnsupportedError,
            f"np.pad with mode {mode!r} cannot be compiled",
            "pad outside the jitted function, or with another mode",
        )
    if mode not in _OPTIONS:
        raise ValueError(f"mode '{mode}' is not supported")
    unknown = set(kwargs) - set(_OPTIONS[mode])
    if unknown:
        raise ValueError(f"unsupported keyword arguments for mode '{mode}': {unknown}")
    if mode in ("constant", "empty"):
        return _constant(x, widths, kwargs.get("constant_values", 0))
    if 0 in x.shape:
        return _checked_empty(x, widths)
    values = _pairs(kwargs.get("end_values", 0), x.ndim)
    lengths = _pairs(static(kwargs.get("stat_length"), "a length"), x.ndim, is_count=True)
    for axis, width in enumerate(widths):
        if any(width):
            before, after = _sides(x, axis, width, mode, kwargs, values[axis], lengths[axis])
            x = concatenated([before, x, after], axis)
    return x


def _sides(
    x: Array, axis: int, width: Pair, mode: str, kwargs: dict, ends: Pair, lengths: Pair
) -> tuple[Array, Array]:
    """What stands before and after `x` along `axis`."""
    extent = x.shape[axis]
    if mode == "edge" or (mode in ("reflect", "symmetric") and extent == 1):
        edges = (window(x, axis, 0, 1), window(x, axis, extent - 1, extent))
        return tuple(_repeated(edge, axis, n) for edge, n in zip(edges, width))
    if mode == "linear_ramp":
        return _ramps(x, axis, width, ends)
    if mode == "wrap":
        return _wrapped(x, axis, width)
    if mode in _STATISTICS:
        chunks = _statistics(x, axis, lengths, mode)
        return tuple(_repeated(chunk, axis, n) for chunk, n in zip(chunks, width))
    is_odd = kwargs.get("reflect_type", "even") == "odd"
    return _reflected(x, axis, width, is_odd, include_edge=mode == "symmetric")


def _widths(pad_width: Any, ndim: int) -> tuple[Pair, ...]:
    if isinstance(pad_width, dict):
        pairs: list[Any] = [(0, 0)] * ndim
        for axis, width in pad_width.items():
            pairs[axis] = width if isinstance(width, tuple) else (width, width)
        pad_width = pairs
    given = np.asarray(pad_width)
    if given.dtype.kind not in "i":
        raise TypeError("`pad_width` must be of integral type.")
    return _pairs(given, ndim, is_count=True)


def _pairs(values: Any, ndim: int, is_count: bool = False) -> tuple[Pair, ...]:
    """One pair per axis, from a number, a pair or pairs; traced numbers stay traced."""
    if values is None:
        return ((None, None),) * ndim
    if is_traced(values):
        return _traced_pairs(values, ndim)
    given = np.asarray(values)
    if is_count:
        given = np.round(given).astype(np.int64)
        if given.size and given.min() < 0:
            raise ValueError("index can't contain negative values")
    is_one_pair = given.ndim < 3 and given.size == 2 and given.shape != (2, 1)
    if is_one_pair or given.size == 1:
        given = given.ravel()
    return tuple(tuple(pair) for pair in np.broadcast_to(given, (ndim, 2)).tolist())


def _traced_pairs(values: Any, ndim: int) -> tuple[Pair, ...]:
    given = as_array(values)
    if given.ndim == 0:
        return ((given, given),) * ndim
    every = broadcast(given, (ndim, 2))
    return tuple((every[axis, 0], every[axis, 1]) for axis in range(ndim))


def _constant(x: Array, widths: tuple[Pair, ...], values: Any) -> Array:
    pairs = _pairs(values, x.ndim)
    distinct = {id(v) if is_traced(v) else repr(v) for pair in pairs for v in pair}
    if len(distinct) <= 1:
        value = pairs[0][0] if pairs else 0
        low, high = (tuple(pair[side] for pair in widths) for side in (0, 1))
        return padded(x, low, high, _one_value(value, x))
    for axis, (width, pair) in enumerate(zip(widths, pairs)):
        for side in (0, 1):
            amounts = tuple(width[side] if k == axis else 0 for k in range(x.ndim))
            none = (0,) * x.ndim
            low, high = (amounts, none) if side == 0 else (none, amounts)
            x = padded(x, low, high, _one_value(pair[side], x))
    return x


def _one_value(value: Any, x: Array) -> Array:
    """The padding as `x` stores it: assignment converts as `astype` does."""
    return converted(as_array(value), x.dtype)


def _checked_empty(x: Array, widths: tuple[Pair, ...]) -> Array:
    for axis, width in enumerate(widths):
        if x.shape[axis] == 0 and any(width):
            raise ValueError(
                f"can't extend empty axis {axis} using modes other than 'constant' or 'empty'"
            )
    low, high = (tuple(pair[side] for pair in widths) for side in (0, 1))
    return padded(x, low, high)


def _repeated(edge: Array, axis: int, times: Any) -> Array:
    return broadcast(edge, (*edge.shape[:axis], times, *edge.shape[axis + 1 :]))


def _ramps(x: Array, axis: int, width: Pair, ends: Pair) -> tuple[Array, Array]:
    extent = x.shape[axis]
    ramps = []
    for side, position in enumerate((0, extent - 1)):
        edge = taken(x, axis, position)
        ramp = linspace(ends[side], edge, width[side], endpoint=False, dtype=x.dtype, axis=axis)
        ramps.append(ramp if side == 0 else flip(ramp, axis))
    return ramps[0], ramps[1]


def _statistics(x: Array, axis: int, lengths: Pair, mode: str) -> tuple[Array, Array]:
    extent = x.shape[axis]
    left, right = (extent if n is None or n > extent else n for n in lengths)
    if mode != "mean" and 0 in (left, right):
        raise ValueError("stat_length of 0 yields no value for padding")
    found = []
    for low, high in ((0, left), (extent - right, extent)):
        value = _STATISTICS[mode](window(x, axis, low, high), axis=axis, keepdims=True)
        if x.dtype.kind in "iu" and value.dtype.kind == "f":
            value = apply(np.rint, value)
        found.append(converted(value, x.dtype))
    return found[0], found[1]


def _wrapped(x: Array, axis: int, width: Pair) -> tuple[Array, Array]:
    """As many copies as it takes, and a part of one."""
    extent = x.shape[axis]
    full, part = divmod(width[0], extent)
    before = [window(x, axis, extent - part, extent), *[x] * full]
    full, part = divmod(width[1], extent)
    after = [*[x] * full, window(x, axis, 0, part)]
    return concatenated(before, axis), concatenated(after, axis)


def _reflected(
    x: Array, axis: int, width: Pair, is_odd: bool, include_edge: bool
) -> tuple[Array, Array]:
    """Mirror at the ends until both sides are long enough, as NumPy does step by step.

    An odd reflection is turned about the edge's value as well: `2 * edge - mirrored`.
    """
    period = x.shape[axis]
    left, right = width
    empty = window(x, axis, 0, 0)
    before, after = [empty], [empty]
    current = x
    while left > 0 or right > 0:
        length = current.shape[axis]
        if include_edge:
            usable, skip = length // period * period, 0
        else:
            usable, skip = (length - 1) // (period - 1) * (period - 1), 1
        low, high = min(usable, left), min(usable, right)
        new_before = _mirror(current, axis, skip, skip + low, 0, is_odd)
        widened = concatenated([new_before, current], axis)
        # NumPy mirrors the right end after the left one is in place.
        total = widened.shape[axis]
        new_after = _mirror(widened, axis, total - skip - high, total - skip, total - 1, is_odd)
        before.insert(0, new_before)
        after.append(new_after)
        current = concatenated([widened, new_after], axis)
        left, right = left - low, right - high
    return concatenated(before, axis), concatenated(after, axis)


def _mirror(x: Array, axis: int, low: int, high: int, edge: int, is_odd: bool) -> Array:
    chunk = flip(window(x, axis, low, high), axis)
    if not is_odd:
        return chunk
    about = window(x, axis, edge, edge + 1)
    return converted(apply(np.subtract, apply(np.multiply, 2, about), chunk), x.dtype)
