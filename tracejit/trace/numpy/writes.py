"""Functions that write to their first argument: `fill`, `copyto`, `putmask`, `fill_diagonal`, ..."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...errors import UnsupportedError
from ...ir import ops
from ...ir.types import array_type, bool_
from ..application import apply
from ..array import Array, assign, assign_items, viewing, wrap
from ..assigned import assigned_node
from ..context import failure
from ..registry import FUNCTIONS, implements
from ..value import Value, node_of
from ..views import is_in_order
from . import reductions
from .arguments import one_axis, static_int
from .building import as_array, choose, converted, gathered, iota, number, reshaped
from .selection import moded


def _destination(function: str, x: Any) -> Array:
    """A traced array that is to be written; NumPy's TypeError for what is none."""
    if isinstance(x, Array) and not x.is_scalar:
        return x
    if isinstance(x, np.ndarray) and not isinstance(x, Value):
        raise failure(
            UnsupportedError,
            f"np.{function} writes to an array that is not traced",
            "make it inside the jitted function, or pass it as an argument",
        )
    raise TypeError(f"{function}: argument 1 must be numpy.ndarray, not {type(x).__name__}")


@implements(method="fill")
def fill(a, value):
    """`x.fill(value)`."""
    if (value.ndim if isinstance(value, Value) else np.ndim(value)) > 0:
        raise ValueError("setting an array element with a sequence.")
    assign(_destination("fill", a), value)


@implements(method="sort")
def sort(a, *args, **options):
    """`x.sort()`."""
    assign(_destination("sort", a), np.sort(a, *args, **options))


@implements(method="partition")
def partition(a, kth, axis=-1, kind="introselect", order=None):
    """`x.partition(kth)`."""
    assign(_destination("partition", a), np.partition(a, kth, axis=axis, kind=kind, order=order))


@implements(np.copyto)
def copyto(dst, src, casting="same_kind", where=True):
    """`np.copyto`."""
    target = _destination("copyto", dst)
    node = assigned_node(src, target.node.type, casting)
    if where is not True:
        mask = assigned_node(where, array_type(target.node.type.shape, bool_), "safe")
        node = ops.where(mask, node, target.node)
    target.write(node)


@implements(np.putmask)
def putmask(a, mask, values):
    """`np.putmask`: values are repeated, by position in the array, not by count of the chosen."""
    target = _destination("putmask", a)
    chosen, given = as_array(mask, bool), as_array(values)
    if chosen.size != target.size:
        raise ValueError("putmask: mask and data must be the same size")
    if given.size == 0:
        return
    loses_parts = given.dtype.kind == "c" and target.dtype.kind in "iuf"
    is_plain = isinstance(values, np.ndarray) or loses_parts
    casting = "safe" if is_plain else "unsafe"  # of numbers, as where single elements are assigned
    if given.ndim == 0 or given.size != 1:
        given = values if given.ndim == 0 else FUNCTIONS[np.resize](given, target.shape)
    chosen = reshaped(chosen, target.shape)
    node = assigned_node(given, target.node.type, casting)
    target.write(ops.where(node_of(chosen), node, target.node))


@implements(np.place)
def place(arr, mask, vals):
    """`np.place`: the values one after the other, and again from the first, where the mask is true."""
    target, chosen, given = _destination("place", arr), as_array(mask, bool), as_array(vals)
    given = reshaped(given, (given.size,))
    if given.dtype.kind != "c":  # whose imaginary parts NumPy refuses to lose
        given = converted(given, target.dtype)
    if chosen.size != target.size:
        raise ValueError("place: mask and data must be the same size")
    if given.size == 0:
        if chosen.size == 0:
            return
        is_right = ops.sound["insertion"](node_of(~reductions.any(chosen)))
        target.write(node_of(choose(wrap(is_right), target, number(0, target.dtype))))
        return
    if given.size != 1 and target.size != 0:
        flat = reshaped(chosen, (chosen.size,))
        count = FUNCTIONS[np.cumsum](flat, dtype=np.int64)
        turn = apply(np.remainder, apply(np.maximum, count - 1, 0), given.size)
        given = reshaped(gathered(given, turn, 0), target.shape)
    node = assigned_node(given if given.shape == target.shape else given[0], target.node.type)
    target.write(ops.where(node_of(reshaped(chosen, target.shape)), node, target.node))


@implements(np.put, method="put")
def put(a, ind, v, mode="raise"):
    """`np.put`: to positions in the flattened array; the values are repeated as often as needed.

    limit: when a position is outside, nothing is written; NumPy writes what comes before it.
    """
    target, positions, given = _destination("put", a), as_array(ind), as_array(v)
    positions = reshaped(positions, (positions.size,))
    np.put(np.zeros(1), np.zeros(0, positions.dtype), 0)  # raises NumPy's TypeError
    if positions.size == 0 or given.size == 0:
        return
    if target.size == 0:
        raise IndexError("cannot replace elements of an empty array")
    positions = moded(converted(positions, np.int64), target.size, mode)
    if given.size != 1:
        given = FUNCTIONS[np.resize](given, positions.shape)
    flat = as_array(reshaped(target, (target.size,)))
    assign_items(flat, positions, reshaped(given, given.shape if given.size != 1 else ()))
    target.write(node_of(reshaped(flat, target.shape)))


@implements(np.put_along_axis)
def put_along_axis(arr, indices, values, axis):
    """`np.put_along_axis`: positions along one axis, of their own for every place beside it."""
    target, positions = _destination("put_along_axis", arr), as_array(indices)
    if positions.dtype.kind not in "iu":
        raise IndexError("`indices` must be an integer array")
    if axis is None:
        if positions.ndim != 1:
            raise ValueError("when axis=None, `indices` must have a single dimension.")
        flat = as_array(reshaped(target, (target.size,)))
        assign_items(flat, positions, values)
        target.write(node_of(reshaped(flat, target.shape)))
        return
    axis = one_axis(axis, target.ndim)
    if positions.ndim != target.ndim:
        raise ValueError("`indices` and `arr` must have the same number of dimensions")
    ones = (1,) * target.ndim
    index = [
        positions if k == axis else reshaped(iota(n), (*ones[:k], n, *ones[k + 1 :]))
        for k, n in enumerate(target.shape)
    ]
    assign_items(target, tuple(index), values)


@implements(np.fill_diagonal)
def fill_diagonal(a, val, wrap=False):
    """`np.fill_diagonal`: for matrices, and arrays of more axes of one extent."""
    target = _destination("fill_diagonal", a)
    if target.ndim < 2:
        raise ValueError("array must be at least 2-d")
    shape = target.shape
    end = target.size
    if target.ndim == 2:
        step = shape[1] + 1
        if not wrap:
            end = min(end, shape[1] * shape[1])
    else:
        if len(set(shape)) > 1:
            raise ValueError("All dimensions of input must be of equal length")
        step = 1 + sum(shape[0] ** k for k in range(1, target.ndim))
    step = static_int(step, "the extents of the array")
    given, count = as_array(val), -(-end // step)
    if given.ndim and given.size not in (1, count):  # values are repeated as in `x.flat[...] = val`
        given = FUNCTIONS[np.resize](given, (count,))
    if is_in_order(target.storage):
        flat = viewing(lambda x: reshaped(x, (x.size,)))(target)
        if flat.storage is target.storage:
            assign_items(flat, slice(0, end, step), given)
            return
    # In whatever order its elements are.
    places = np.unravel_index(np.arange(0, end, step), shape)
    is_straight = all(np.array_equal(axis, np.arange(count)) for axis in places)
    index = [iota(count)] * target.ndim if is_straight else [as_array(axis) for axis in places]
    assign_items(target, tuple(index), reshaped(given, (given.size,)) if given.ndim else given)
