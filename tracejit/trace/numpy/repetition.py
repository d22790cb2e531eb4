"""Elements at other and at more places: `roll`, `tile`, `repeat`, `resize`, `delete`, ..."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np

from ..array import Array, wrap
from ..registry import implements
from ..value import literal
from .arguments import one_axis, refuse, static, static_int
from .building import (
    along,
    as_array,
    broadcast,
    concatenated,
    converted,
    copied,
    filled,
    gathered,
    reshaped,
    spread,
    window,
)

# More runs than these are not worth a piece of code each.
PIECES_LIMIT = 16


@implements(np.roll)
def roll(a, shift, axis=None):
    """`np.roll`: the two parts of an axis change places."""
    x = as_array(a)
    shift = static(shift, "a shift")
    if axis is None:
        flat = reshaped(x, (x.size,))
        return reshaped(_rolled(flat, 0, _total(shift)), x.shape)
    shifts = np.broadcast_arrays(shift, axis)
    if shifts[0].ndim > 1:
        raise ValueError("'shift' and 'axis' should be scalars or 1D sequences")
    if shifts[0].size == 0 and x.ndim == 0:
        np.roll(np.zeros(()), shift, axis)  # raises NumPy's error
    x = copied(x)
    totals: dict[int, int] = {}
    for amount, along in zip(*(part.ravel().tolist() for part in shifts)):
        along = one_axis(along, x.ndim)
        totals[along] = totals.get(along, 0) + amount
    for along, amount in totals.items():
        x = _rolled(x, along, amount)
    return x


@implements(np.fft.fftshift)
def fftshift(x, axes=None):
    """`np.fft.fftshift`: the middle of every axis comes first."""
    return _shifted(x, axes, lambda n: n // 2)


@implements(np.fft.ifftshift)
def ifftshift(x, axes=None):
    """`np.fft.ifftshift`: what undoes `fftshift`."""
    return _shifted(x, axes, lambda n: -(n // 2))


def _shifted(x: Any, axes: Any, shift: Callable[[Any], Any]) -> Array:
    x = as_array(x)
    axes = tuple(range(x.ndim)) if axes is None else axes
    axes = axes if isinstance(axes, tuple | list) else (axes,)
    for axis in axes:
        along = one_axis(axis, x.ndim)
        x = _rolled(x, along, shift(x.shape[along]))
    return x if axes else copied(x)


def _total(shift: Any) -> int:
    return int(np.sum(shift)) if isinstance(shift, tuple | list | np.ndarray) else shift


def _rolled(x: Array, axis: int, shift: Any) -> Array:
    extent = x.shape[axis]
    if extent == 0:
        return x
    shift = static_int(shift, "a shift")
    if type(extent) is int:
        shift %= extent
    elif shift < 0:
        shift = shift + extent
    if shift == 0:
        return x
    cut = extent - shift
    return concatenated([window(x, axis, cut, extent), window(x, axis, 0, cut)], axis)


@implements(np.tile)
def tile(A, reps):
    """`np.tile`: a repeated axis before every axis, folded into it."""
    x = as_array(A)
    reps = static(reps, "repetitions")
    reps = tuple(reps) if isinstance(reps, tuple | list | np.ndarray) else (reps,)
    times = tuple(static_int(item, "repetitions") for item in reps)
    ndim = max(x.ndim, len(times))
    times = (1,) * (ndim - len(times)) + times
    shape = (1,) * (ndim - x.ndim) + x.shape
    x = reshaped(x, shape)
    doubled = tuple(extent for pair in zip(times, shape) for extent in pair)
    repeated = spread(x, doubled, tuple(range(1, 2 * ndim, 2)))
    return reshaped(repeated, tuple(t * n for t, n in zip(times, shape)))


@implements(np.repeat, method="repeat")
def repeat(a, repeats, axis=None):
    """`np.repeat`; different numbers of repeats must be known while tracing."""
    x, axis = along(as_array(a), axis)
    repeats = static(repeats, "repeats")
    if isinstance(repeats, tuple | list | np.ndarray) and np.size(repeats) != 1:
        return _repeated_by(x, np.asarray(repeats), axis)
    times = static_int(np.ravel(repeats)[0] if np.ndim(repeats) else repeats, "repeats")
    if type(times) is int and times < 0:
        raise ValueError("repeats may not contain negative values.")
    extent = x.shape[axis]
    wide = (*x.shape[: axis + 1], times, *x.shape[axis + 1 :])
    places = tuple(k if k <= axis else k + 1 for k in range(x.ndim))
    shape = (*x.shape[:axis], extent * times, *x.shape[axis + 1 :])
    return reshaped(spread(x, wide, places), shape)


def _repeated_by(x: Array, repeats: np.ndarray, axis: int) -> Array:
    if repeats.ndim > 1:
        raise ValueError("object too deep for desired array")
    if repeats.dtype.kind not in "iub":
        raise TypeError(
            f"Cannot cast array data from {repeats.dtype!r} to dtype('int64') according to the "
            "rule 'safe'"
        )
    if (repeats < 0).any():
        raise ValueError("repeats may not contain negative values.")
    if repeats.shape != (x.shape[axis],):
        raise ValueError(
            "operands could not be broadcast together with shape "
            f"({x.shape[axis]},) {repeats.shape}"
        )
    return picked(x, axis, np.repeat(np.arange(x.shape[axis]), repeats).tolist())


@implements(np.resize)
def resize(a, new_shape):
    """`np.resize`: the elements over and over."""
    x = as_array(a)
    shape = static(new_shape, "a shape")
    shape = tuple(shape) if isinstance(shape, tuple | list | np.ndarray) else (shape,)
    shape = tuple(static_int(extent, "a shape") for extent in shape)
    if any(extent < 0 for extent in shape):
        raise ValueError("all elements of `new_shape` must be non-negative")
    size = prod(shape)
    if 0 in (x.size, size):
        return filled(shape, 0, x.dtype)
    repeats = (size + x.size - 1) // x.size
    flat = tile(reshaped(x, (x.size,)), repeats)
    return reshaped(window(flat, 0, 0, size), shape)


def picked(x: Array, axis: int, positions: list[int]) -> Array:
    """The elements at `positions` of `axis`, in that order: a few evenly spaced runs, or a gather."""
    runs = _runs(positions)
    if not runs:
        return window(x, axis, 0, 0)
    if len(runs) > PIECES_LIMIT:
        return gathered(x, wrap(literal(np.array(positions))), axis)
    return concatenated([_run(x, axis, *run) for run in runs], axis)


def _runs(positions: list[int]) -> list[tuple[int, int, int]]:
    """Maximal runs `(first, step, length)`."""
    runs: list[tuple[int, int, int]] = []
    for position in positions:
        if runs:
            first, step, length = runs[-1]
            if length == 1:
                runs[-1] = (first, position - first, 2)
                continue
            if position == first + step * length:
                runs[-1] = (first, step, length + 1)
                continue
        runs.append((position, 0, 1))
    return runs


def _run(x: Array, axis: int, first: int, step: int, length: int) -> Array:
    if step == 0:
        one = window(x, axis, first, first + 1)
        return broadcast(one, (*x.shape[:axis], length, *x.shape[axis + 1 :]))
    if step > 0:
        return window(x, axis, first, first + step * (length - 1) + 1, step)
    return window(x, axis, first, first + step * (length - 1) - 1, step)


def _kept_positions(obj: Any, extent: int, axis: int) -> list[int]:
    keep = np.ones(extent, bool)
    obj = obj if isinstance(obj, slice) else static(obj, "positions")
    if not isinstance(obj, slice):
        obj = np.asarray(obj)
        if obj.size == 0:
            obj = obj.astype(np.int64)
        if obj.dtype == bool and obj.shape != (extent,):
            raise ValueError(
                "boolean array argument obj to delete must be one dimensional and match the axis "
                f"length of {extent}"
            )
        if obj.dtype.kind in "iu" and ((obj < -extent) | (obj >= extent)).any():
            raise IndexError(f"index {obj} is out of bounds for axis {axis} with size {extent}")
    keep[obj] = False
    return np.flatnonzero(keep).tolist()


@implements(np.delete)
def delete(arr, obj, axis=None):
    """`np.delete` of positions known while tracing."""
    x = as_array(arr)
    if axis is None:
        x, axis = reshaped(x, (x.size,)), 0
    axis = one_axis(axis, x.ndim)
    extent = static_int(x.shape[axis], "an extent").__index__()
    return picked(x, axis, _kept_positions(obj, extent, axis))


@implements(np.insert)
def insert(arr, obj, values, axis=None):
    """`np.insert` before one position known while tracing."""
    x = as_array(arr)
    if axis is None:
        x, axis = reshaped(x, (x.size,)), 0
    axis = one_axis(axis, x.ndim)
    extent = x.shape[axis]
    position = obj if isinstance(obj, slice) else np.asarray(static(obj, "a position"))
    several = isinstance(position, slice) or position.size != 1 or position.dtype == bool
    refuse("insert", "insert at one position at a time", obj=obj if several else None)
    at = int(position.item())
    if not -extent <= at <= extent:
        raise IndexError(f"index {obj} is out of bounds for axis {axis} with size {extent}")
    at = at + extent if at < 0 else at
    new = converted(as_array(values), x.dtype)
    new = reshaped(new, (1,) * (x.ndim - new.ndim) + new.shape)
    if position.ndim == 0:  # NumPy lets the first axis of the values be the new one
        order = list(range(1, new.ndim))
        order.insert(axis, 0)
        new = new.transpose(order)
    shape = tuple(new.shape[axis] if k == axis else n for k, n in enumerate(x.shape))
    parts = [window(x, axis, 0, at), broadcast(new, shape), window(x, axis, at, extent)]
    return concatenated(parts, axis)
