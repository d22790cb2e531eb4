"""Elements at other and at more places: `roll`, `tile`, `repeat`, `resize`, `delete`, `insert`."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np

from ...ir import ops
from ..application import apply
from ..array import Array, wrap
from ..host import no_rule
from ..registry import implements
from ..value import Value, known_value, literal, node_of
from .arguments import one_axis, static, static_int
from .building import (
    along,
    as_array,
    broadcast,
    choose,
    concatenated,
    converted,
    copied,
    filled,
    gathered,
    iota,
    reshaped,
    spread,
    window,
)
from .rooms import at_hand, extent_in, room_for
from .scans import cumsum
from .sorting import order_of_rows

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
    for amount, own in zip(*(part.ravel().tolist() for part in shifts)):
        own = one_axis(own, x.ndim)
        totals[own] = totals.get(own, 0) + amount
    for own, amount in totals.items():
        x = _rolled(x, own, amount)
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
    if isinstance(repeats, Value) and repeats.ndim == 1 and known_value(node_of(repeats)) is None:
        return _repeated_by_data(x, repeats, axis)
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
    return picked(x, axis, np.repeat(np.arange(x.shape[axis]), repeats))


def _repeated_by_data(x: Array, repeats: Any, axis: int) -> Array:
    """The number of each place of the result grows where the elements before it end."""
    extent = x.shape[axis]
    if repeats.dtype.kind not in "iu" or repeats.shape != (extent,) or extent == 0:
        raise no_rule("np.repeat by such numbers")
    numbers = at_hand(repeats, "np.repeat")
    room = room_for(int(np.sum(numbers)), repeats, numbers.size)
    counts = converted(repeats, np.int64)
    is_wrong = apply(np.less, repeats, 0).any()
    size = extent_in(room, choose(is_wrong, -1, counts.sum()), "repeated")
    if x.ndim == 1:
        return window(wrap(ops.expand(node_of(x), node_of(counts), room=room)), 0, 0, size)
    ends = cumsum(counts)
    passed = filled((room + 1,), 0, np.int64)
    np.add.at(passed, apply(np.minimum, apply(np.maximum, ends, 0), as_array(room)), 1)
    number = window(cumsum(passed), 0, 0, size)
    return gathered(x, apply(np.minimum, number, extent - 1), axis)


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


def picked(x: Array, axis: int, positions: np.ndarray) -> Array:
    """The elements at `positions` of `axis`, in that order: a few evenly spaced runs, or a gather."""
    positions = positions.astype(np.int64)
    runs = _runs(positions)
    if not runs:
        return window(x, axis, 0, 0)
    if len(runs) > PIECES_LIMIT:
        return gathered(x, wrap(literal(positions)), axis)
    return concatenated([_run(x, axis, *run) for run in runs], axis)


def _runs(positions: np.ndarray) -> list[tuple[int, int, int]]:
    """Maximal runs `(first, step, length)`, but no more than are of use."""
    steps = np.diff(positions)
    turns = np.flatnonzero(steps[1:] != steps[:-1]) + 1
    runs: list[tuple[int, int, int]] = []
    at, count = 0, positions.size
    while at < count and len(runs) <= PIECES_LIMIT:
        turn = int(np.searchsorted(turns, at, "right"))
        end = int(turns[turn]) if turn < turns.size else count - 1
        step = int(steps[at]) if at < count - 1 else 0
        length = max(end - at, 0) + 1
        runs.append((int(positions[at]), step, length))
        at += length
    return runs


def _run(x: Array, axis: int, first: int, step: int, length: int) -> Array:
    if step == 0:
        one = window(x, axis, first, first + 1)
        return broadcast(one, (*x.shape[:axis], length, *x.shape[axis + 1 :]))
    if step > 0:
        return window(x, axis, first, first + step * (length - 1) + 1, step)
    return window(x, axis, first, first + step * (length - 1) - 1, step)


def _kept_positions(obj: Any, extent: int, axis: int) -> np.ndarray:
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
    return np.flatnonzero(keep)


@implements(np.delete)
def delete(arr, obj, axis=None):
    """`np.delete`: of positions known while tracing it takes the others, else it selects them."""
    x, axis = along(as_array(arr), axis)
    extent = static_int(x.shape[axis], "an extent").__index__()
    if not isinstance(obj, Value) or known_value(node_of(obj)) is not None:
        return picked(x, axis, _kept_positions(obj, extent, axis))
    if obj.ndim == 0 and obj.dtype.kind in "iu":
        place = iota(extent - 1)
        at = gathered(iota(extent), as_array(obj), 0)
        return gathered(x, place + converted(apply(np.greater_equal, place, at), np.int64), axis)
    keep = filled((extent,), True, bool)
    keep[obj] = False
    return x[(*[slice(None)] * axis, keep)]


@implements(np.insert)
def insert(arr, obj, values, axis=None):
    """`np.insert`; a mask of positions, or a slice, is known while tracing."""
    x, axis = along(as_array(arr), axis)
    extent = x.shape[axis]
    if isinstance(obj, slice) or not isinstance(obj, Value) or obj.dtype.kind == "b":
        obj = _positions(obj, extent)
    new = converted(as_array(values), x.dtype)
    if not isinstance(obj, Value) and obj.size == 1:
        return _inserted_at(x, axis, obj, new)
    if obj.ndim != 1:
        raise no_rule("np.insert at one position that is not known")
    count = obj.shape[0]
    new = broadcast(new, (*x.shape[:axis], count, *x.shape[axis + 1 :]))
    if isinstance(obj, Value):
        places = choose(obj < 0, obj + extent, obj)
        order = order_of_rows(converted(places, np.int64), kind="stable")
        places[order] = places[order] + iota(count)
        return _merged(x, axis, places, new)
    places = np.where(obj < 0, obj + extent, obj)
    order = np.argsort(places, kind="stable")
    begin = places[order]
    places[order] += np.arange(count)
    for place in places.tolist():
        if not -extent - count <= place < extent + count:
            size = extent + count
            raise IndexError(f"index {place} is out of bounds for axis {axis} with size {size}")
    if count > PIECES_LIMIT // 2 or (begin < 0).any():
        return _merged(x, axis, as_array(places), new)
    parts, last = [], 0
    for k, at in zip(order.tolist(), begin.tolist()):
        parts += [window(x, axis, last, at), window(new, axis, k, k + 1)]
        last = at
    return concatenated([*parts, window(x, axis, last, extent)], axis)


def _positions(obj: Any, extent: Any) -> np.ndarray:
    """Where to insert, as numbers; a single one keeps its axes, of which NumPy makes a difference."""
    extent = static_int(extent, "an extent")
    if isinstance(obj, slice):
        return np.arange(*obj.indices(int(extent)))
    found = np.asarray(static(obj, "positions"))
    if found.dtype == bool:
        if found.ndim != 1:
            raise ValueError("boolean array argument obj to insert must be one dimensional")
        return np.flatnonzero(found)
    if found.ndim > 1:
        raise ValueError("index array argument obj to insert must be one dimensional or scalar")
    return found if found.size else found.astype(np.int64)


def _inserted_at(x: Array, axis: int, position: np.ndarray, new: Array) -> Array:
    """All of the values before one position."""
    extent, at = x.shape[axis], int(position.item())
    if not -extent <= at <= extent:
        raise IndexError(f"index {at} is out of bounds for axis {axis} with size {extent}")
    at = at + extent if at < 0 else at
    new = reshaped(new, (1,) * (x.ndim - new.ndim) + new.shape)
    if position.ndim == 0:  # NumPy lets the first axis of the values be the new one
        order = list(range(1, new.ndim))
        order.insert(axis, 0)
        new = new.transpose(order)
    shape = tuple(new.shape[axis] if k == axis else n for k, n in enumerate(x.shape))
    parts = [window(x, axis, 0, at), broadcast(new, shape), window(x, axis, at, extent)]
    return concatenated(parts, axis)


def _merged(x: Array, axis: int, places: Array, new: Array) -> Array:
    """`new` at its places along the axis of the result, and what there was between in order."""
    extent = x.shape[axis]
    total = extent + places.shape[0]
    is_new = filled((total,), 0, np.uint8)
    is_new[places] = 1
    counted = np.int32 if type(total) is int and total < 1 << 31 else np.int64
    before = iota(total, counted) - cumsum(is_new, dtype=counted)
    if extent == 0:
        result = filled((*x.shape[:axis], total, *x.shape[axis + 1 :]), 0, x.dtype)
    else:
        result = gathered(x, apply(np.minimum, apply(np.maximum, before, 0), extent - 1), axis)
    result[(*[slice(None)] * axis, places)] = new
    return result
