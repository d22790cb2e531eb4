"""Elements at given positions, and choices by number: `take`, `take_along_axis`, `choose`, ..."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...errors import UnsupportedError
from ...ir import ops
from ...ir.types import i64
from .. import masked
from ..advanced import constant_value, counted_from_start, mismatch_text
from ..application import apply
from ..array import Array, wrap
from ..broadcasting import broadcast_shapes
from ..context import failure
from ..promotion import cast
from ..registry import implements
from ..value import Value, known_value, node_of, to_node
from . import building
from .arguments import one_axis, refuse_out
from .building import along, as_array, broadcast, gathered, in_common_dtype, reshaped, taken
from .joining import stack
from .repetition import picked

# Up to this many choices are compared with, one after the other; more are stacked and read.
FEW_CHOICES = 16


@implements(np.take, method="take")
def take(a, indices, axis=None, out=None, mode="raise"):
    """`np.take`; a position that turns out to be outside raises IndexError when the program runs."""
    refuse_out("take", out)
    x, axis = along(as_array(a), axis)
    positions = _positions(indices)
    extent = x.shape[axis]
    if type(extent) is int and extent == 0 and positions.size != 0:
        raise IndexError("cannot do a non-empty take from an empty axes.")
    positions = moded(positions, extent, mode)
    known = _known_inside(positions, axis, extent)
    if known is not None and known.ndim == 0:
        result = taken(x, axis, int(known))
    elif known is not None:
        flat = picked(x, axis, known.ravel())
        result = reshaped(flat, (*x.shape[:axis], *known.shape, *x.shape[axis + 1 :]))
    else:
        result = gathered(x, positions, axis)
    result.storage.knows_order = True
    return result if result.shape else result[()]


def _positions(indices: Any) -> Array:
    """Positions as i64; NumPy truncates what is in a list or is a Python number, and no arrays."""
    node = to_node(indices)
    dtype = node.type.dtype.numpy
    strong = isinstance(indices, np.ndarray | np.generic) or (
        isinstance(indices, Value) and indices.weak is None
    )
    if strong and dtype.kind not in "iub":
        np.take(np.zeros(1), np.zeros(0, dtype))  # raises NumPy's TypeError
    return wrap(cast(node, i64))


def moded(positions: Array, extent: Any, mode: str) -> Array:
    """Positions as `mode` understands them: reduced modulo the extent, or moved to the ends."""
    if mode == "wrap":
        return apply(np.remainder, positions, extent)
    if mode == "clip":
        return apply(np.minimum, apply(np.maximum, positions, 0), apply(np.subtract, extent, 1))
    if mode != "raise":
        raise ValueError(f"clipmode must be one of 'clip', 'raise', or 'wrap' (got '{mode}')")
    return positions


def _known_inside(positions: Array, axis: int, extent: Any) -> np.ndarray | None:
    """Positions that are known while tracing, counted from the start; NumPy's IndexError."""
    known = constant_value(node_of(positions)) if type(extent) is int else None
    if known is None:
        return None
    return counted_from_start(np.asarray(known), axis, extent)


@implements(np.take_along_axis)
def take_along_axis(arr, indices, axis=-1):
    """`np.take_along_axis`."""
    x, positions = as_array(arr), as_array(indices)
    if axis is None:
        if positions.ndim != 1:
            raise ValueError("when axis=None, `indices` must have a single dimension.")
        x, axis = reshaped(x, (x.size,)), 0
    axis = one_axis(axis, x.ndim)
    if positions.dtype.kind not in "iu":
        raise IndexError("`indices` must be an integer array")
    if positions.ndim != x.ndim:
        raise ValueError("`indices` and `arr` must have the same number of dimensions")
    beside = [(*shape[:axis], 1, *shape[axis + 1 :]) for shape in (x.shape, positions.shape)]
    try:
        common = broadcast_shapes(*beside)
    except ValueError:
        ones = (1,) * x.ndim
        shapes = [(*ones[:k], n, *ones[k + 1 :]) for k, n in enumerate(x.shape)]
        shapes[axis] = positions.shape
        raise IndexError(mismatch_text(shapes)) from None
    full = [
        broadcast(y, (*common[:axis], y.shape[axis], *common[axis + 1 :])) for y in (x, positions)
    ]
    return wrap(ops.take_along(node_of(full[0]), cast(node_of(full[1]), i64), axis=axis))


@implements(np.choose, method="choose")
def choose(a, choices, out=None, mode="raise"):
    """`np.choose`: each element from the choice of that number."""
    refuse_out("choose", out)
    if isinstance(choices, np.ndarray):
        choices = [choices[k] for k in range(len(choices))]
    number = as_array(a)
    if number.dtype.kind not in "iub" or number.dtype == np.uint64:
        np.choose(np.zeros(1, number.dtype), [0])  # raises NumPy's TypeError
    options = in_common_dtype(*choices)
    number = wrap(cast(node_of(number), i64))
    shape = broadcast_shapes(number.shape, *[option.shape for option in options])
    number = moded(broadcast(number, shape), len(options), mode)
    if mode == "raise":
        count = broadcast(as_array(len(options)), shape)
        number = wrap(ops.checked_choice(node_of(number), node_of(count)))
    if len(options) > FEW_CHOICES or len(options) == 1:
        stacked = stack([broadcast(option, shape) for option in options])
        result = taken(take_along_axis(stacked, reshaped(number, (1, *shape)), 0), 0, 0)
    else:
        result = broadcast(options[0], shape)
        for position, option in enumerate(options[1:], 1):
            result = building.choose(apply(np.equal, number, position), option, result)
    return result if result.shape else result[()]


@implements(np.compress)
def compress(condition, a, axis=None, out=None):
    """`np.compress`, along the first axis or of all elements where the condition is not known."""
    mask = as_array(condition, bool)
    if mask.ndim != 1:
        raise ValueError("condition must be a 1-d array")
    known = known_value(node_of(mask))
    if known is not None:
        return take(a, np.flatnonzero(known).tolist(), axis, out)
    x, axis = along(as_array(a), axis)
    if axis != 0 or mask.shape[0] > x.shape[0]:
        raise failure(
            UnsupportedError,
            f"np.compress by {node_of(mask).type} along axis {axis} of {node_of(x).type}",
            "use np.where(condition, x, other), or a reduction with where=condition",
        )
    return x[: mask.shape[0]][mask]


@implements(method="compress")
def compress_method(a, condition, axis=None, out=None):
    """`x.compress(condition)`."""
    return compress(condition, a, axis, out)


@implements(np.extract)
def extract(condition, arr):
    """`np.extract`."""
    mask = as_array(condition, bool)
    return compress(reshaped(mask, (mask.size,)), arr)


@implements(np.nonzero, method="nonzero")
def nonzero(a):
    """`np.nonzero`."""
    return masked.nonzero(a)


@implements(np.flatnonzero)
def flatnonzero(a):
    """`np.flatnonzero`."""
    x = as_array(a)
    return masked.nonzero(reshaped(x, (x.size,)))[0]


@implements(np.argwhere)
def argwhere(a):
    """`np.argwhere`: the positions of what is true, a row for each."""
    x = as_array(a)
    if x.ndim == 0:
        return argwhere(reshaped(x, (1,)))[:, :0]
    found = masked.nonzero(x)
    if not isinstance(found[0], masked.Selection):
        return stack(list(found), axis=1)
    if found[0].owner.packs and not found[0].owner.lacks_ints:
        return stack([position.packed() for position in found], axis=1)
    rows = stack([position.full for position in found], axis=-1)
    return masked.Selection(rows, found[0].mask)


@implements(np.ix_)
def ix_(*args):
    """`np.ix_`: each sequence along an axis of its own; masks must be known while tracing."""
    found = []
    for axis, sequence in enumerate(args):
        x = as_array(sequence)
        if x.ndim != 1:
            raise ValueError("Cross index must be 1 dimensional")
        if x.dtype.kind == "b":
            x = as_array(np.flatnonzero(_known_condition("ix_", x)).tolist(), np.int64)
        elif x.size == 0 and not isinstance(sequence, Value | np.ndarray):
            x = building.converted(x, np.int64)
        found.append(reshaped(x, (*[1] * axis, *x.shape, *[1] * (len(args) - axis - 1))))
    return tuple(found)


def _known_condition(function: str, condition: Any) -> np.ndarray:
    node = to_node(condition)
    known = known_value(node)
    if known is None:
        raise failure(
            UnsupportedError,
            f"how many elements np.{function} selects by {node.type} depends on the arguments",
            "use np.where(condition, x, other), or a reduction with where=condition",
        )
    return np.asarray(known)
