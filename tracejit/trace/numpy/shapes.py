"""Other shapes for the same elements: `reshape`, `transpose`, `squeeze`, `broadcast_to` and kin."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from ...errors import ShapeError, UnsupportedError
from ...ir.dims import Dim
from ..array import Array, viewing
from ..broadcasting import shape_text
from ..context import failure, for_numpy
from ..registry import implements
from ..value import Value
from ..views import is_contiguous, is_in_order, strides_after
from .arguments import one_axis, ordered_axes, refuse_order, static_int, static_shape
from .building import (
    as_array,
    broadcast,
    broadcast_together,
    copied,
    permuted,
    reshaped,
    scalar_like,
    window,
)


def _completed(shape: Any, size: Any) -> tuple[Any, ...]:
    """`shape` with its -1 filled in."""
    items = shape if isinstance(shape, tuple | list | np.ndarray) else (shape,)
    extents = [static_int(item, "a shape") for item in items]
    unknown = [k for k, extent in enumerate(extents) if type(extent) is int and extent < 0]
    if len(unknown) > 1:
        raise ValueError("can only specify one unknown dimension")
    shown = tuple(extents)
    if unknown:
        known = prod(extent for k, extent in enumerate(extents) if k not in unknown)
        concrete = type(known) is int and type(size) is int
        if known == 0 or (concrete and size % known):
            raise _no_reshape(size, shown)
        extents[unknown[0]] = size // known
    differs = prod(extents) != size
    if isinstance(differs, Value):
        raise for_numpy(
            failure(
                UnsupportedError,
                f"whether {size} elements have the shape {shape_text(shown)} depends on the arguments",
                "let one of the extents be -1, or take slices of lengths that are known",
            )
        )
    if differs:
        raise _no_reshape(size, shown)
    return tuple(extents)


def _no_reshape(size: int | Dim, shape: tuple) -> ShapeError:
    return failure(
        ShapeError,
        f"cannot reshape array of size {size} into shape {shape_text(shape)}",
        "the product of the extents must stay the same; one of them may be -1",
    )


def _in_order(x: Array, shape: tuple, order: str) -> Array:
    """Reshape, counting the first axis fastest for order F."""
    if order == "C":
        return reshaped(x, shape)
    backwards = permuted(x, tuple(reversed(range(x.ndim))))
    result = reshaped(backwards, tuple(reversed(shape)))
    return permuted(result, tuple(reversed(range(len(shape)))))


@implements(np.reshape)
@viewing
def reshape(a, /, shape, order="C", *, copy=None):
    """`np.reshape` for orders C and F."""
    x = as_array(a)
    if x.ndim > 1 or order not in ("A", "K"):
        refuse_order("reshape", order)
    return _in_order(x, _completed(shape, x.size), order if x.ndim > 1 or order == "F" else "C")


@implements(method="reshape")
@viewing
def reshape_method(a, /, *shape, order="C", copy=None):
    """`x.reshape(2, 3)` or `x.reshape((2, 3))`."""
    if len(shape) == 1:
        shape = shape[0] if isinstance(shape[0], tuple | list) else shape
    return reshape(a, shape, order=order, copy=copy)


@implements(np.ravel, method="ravel")
def ravel(a, order="C"):
    """`np.ravel` for orders C and F: a view only of what lies side by side, unlike reshape."""
    x = as_array(a)
    flat = reshape(x, (-1,) if 0 not in x.shape else (0,), order)
    strides = strides_after(x.storage, x.steps) if is_in_order(x.storage) else None
    if strides is None or is_contiguous(x.node.type.shape, strides, order):
        return flat
    return copied(flat)


@implements(method="flatten")
def flatten(a, order="C"):
    """`x.flatten()` for orders C and F: a copy."""
    return copied(ravel(a, order))


@implements(np.transpose, np.permute_dims)
@viewing
def transpose(a, axes=None):
    """`np.transpose`."""
    x = as_array(a)
    if axes is None:
        return permuted(x, tuple(reversed(range(x.ndim))))
    if len(axes) != x.ndim:
        raise ValueError("axes don't match array")
    try:
        return permuted(x, ordered_axes(axes, x.ndim))
    except np.exceptions.AxisError:
        raise
    except ValueError:
        raise ValueError("repeated axis in transpose") from None


@implements(method="transpose")
@viewing
def transpose_method(a, /, *axes):
    """`x.transpose(1, 0)`, `x.transpose((1, 0))` or `x.transpose()`."""
    if len(axes) == 1 and (axes[0] is None or isinstance(axes[0], tuple | list)):
        return transpose(a, axes[0])
    return transpose(a, axes or None)


@implements(np.matrix_transpose, np.linalg.matrix_transpose)
@viewing
def matrix_transpose(x, /):
    """`np.matrix_transpose`: the last two axes change places."""
    x = as_array(x)
    if x.ndim < 2:
        raise ValueError(f"Input array must be at least 2-dimensional, but it is {x.ndim}")
    return swapaxes(x, -1, -2)


@implements(np.swapaxes, method="swapaxes")
@viewing
def swapaxes(a, axis1, axis2):
    """`np.swapaxes`."""
    x = as_array(a)
    first, second = one_axis(axis1, x.ndim), one_axis(axis2, x.ndim)
    order = list(range(x.ndim))
    order[first], order[second] = order[second], order[first]
    return permuted(x, tuple(order))


@implements(np.moveaxis)
@viewing
def moveaxis(a, source, destination):
    """`np.moveaxis`."""
    x = as_array(a)
    sources = ordered_axes(source, x.ndim, "source")
    destinations = ordered_axes(destination, x.ndim, "destination")
    if len(sources) != len(destinations):
        raise ValueError(
            "`source` and `destination` arguments must have the same number of elements"
        )
    order = [axis for axis in range(x.ndim) if axis not in sources]
    for to, axis in sorted(zip(destinations, sources)):
        order.insert(to, axis)
    return permuted(x, tuple(order))


@implements(np.rollaxis)
@viewing
def rollaxis(a, axis, start=0):
    """`np.rollaxis`."""
    x = as_array(a)
    axis = one_axis(axis, x.ndim)
    given = start
    start = start + x.ndim if start < 0 else start
    if not 0 <= start <= x.ndim:
        raise np.exceptions.AxisError(
            f"'start' arg requires {-x.ndim} <= start < {x.ndim + 1}, but {given} was passed in"
        )
    start -= axis < start
    order = list(range(x.ndim))
    order.remove(axis)
    order.insert(start, axis)
    return permuted(x, tuple(order))


@implements(np.expand_dims)
@viewing
def expand_dims(a, axis):
    """`np.expand_dims`."""
    x = as_array(a)
    axis = axis if isinstance(axis, tuple | list) else (axis,)
    axes = ordered_axes(tuple(axis), x.ndim + len(axis))
    extents = iter(x.shape)
    shape = tuple(1 if k in axes else next(extents) for k in range(x.ndim + len(axis)))
    return reshaped(x, shape)


@implements(np.squeeze, method="squeeze")
@viewing
def squeeze(a, axis=None):
    """`np.squeeze`."""
    x = as_array(a)
    if axis is None:
        axes = tuple(k for k, extent in enumerate(x.shape) if extent == 1)
    else:
        axes = ordered_axes(axis, x.ndim or 1)[: x.ndim]  # a scalar has an axis to squeeze out
        if any(x.shape[k] != 1 for k in axes):
            raise ValueError("cannot select an axis to squeeze out which has size not equal to one")
    result = reshaped(x, tuple(n for k, n in enumerate(x.shape) if k not in axes))
    return scalar_like(result) if getattr(a, "is_scalar", False) else result


@implements(np.broadcast_to)
@viewing
def broadcast_to(array, shape, subok=False):
    """`np.broadcast_to`: a view that cannot be written."""
    return broadcast(as_array(array), static_shape(shape))


@implements(np.broadcast_arrays)
def broadcast_arrays(*args, subok=False):
    """`np.broadcast_arrays`."""
    if not args:
        return ()
    results = broadcast_together(*map(as_array, args), what="broadcast_arrays")
    return tuple(viewing(lambda _, result=result: result)(x) for x, result in zip(args, results))


def _at_least(arrays: tuple, widen: Any) -> Any:
    results = tuple(viewing(lambda x: widen(as_array(x)))(x) for x in arrays)
    return results[0] if len(results) == 1 else results


@implements(np.atleast_1d)
def atleast_1d(*arys):
    """`np.atleast_1d`."""
    return _at_least(arys, lambda x: x if x.ndim else reshaped(x, (1,)))


@implements(np.atleast_2d)
def atleast_2d(*arys):
    """`np.atleast_2d`."""
    return _at_least(arys, lambda x: reshaped(x, (1,) * (2 - x.ndim) + x.shape))


@implements(np.atleast_3d)
def atleast_3d(*arys):
    """`np.atleast_3d`."""
    shapes = {0: lambda s: (1, 1, 1), 1: lambda s: (1, *s, 1), 2: lambda s: (*s, 1)}
    return _at_least(arys, lambda x: reshaped(x, shapes.get(x.ndim, tuple)(x.shape)))


@implements(np.flip)
@viewing
def flip(m, axis=None):
    """`np.flip`: read the axes backwards."""
    x = copied(as_array(m))
    axes = range(x.ndim) if axis is None else ordered_axes(axis, x.ndim)
    for k in axes:
        if x.shape[k] != 0:
            x = window(x, k, x.shape[k] - 1, -1, -1)
    return x


@implements(np.fliplr)
@viewing
def fliplr(m):
    """`np.fliplr`."""
    if as_array(m).ndim < 2:
        raise ValueError("Input must be >= 2-d.")
    return flip(m, 1)


@implements(np.flipud)
@viewing
def flipud(m):
    """`np.flipud`."""
    if as_array(m).ndim < 1:
        raise ValueError("Input must be >= 1-d.")
    return flip(m, 0)


@implements(np.rot90)
@viewing
def rot90(m, k=1, axes=(0, 1)):
    """`np.rot90`."""
    x = as_array(m)
    if len(axes) != 2:
        raise ValueError("len(axes) must be 2.")
    if axes[0] == axes[1] or abs(axes[0] - axes[1]) == x.ndim:
        raise ValueError("Axes must be different.")
    if any(not -x.ndim <= axis < x.ndim for axis in axes):
        raise ValueError(f"Axes={tuple(axes)} out of range for array of ndim={x.ndim}.")
    first, second = (one_axis(axis, x.ndim) for axis in axes)
    turns = static_int(k, "a number of turns") % 4
    if turns in (0, 2):
        return flip(x, (first, second) if turns else ())
    if turns == 1:
        return swapaxes(flip(x, second), first, second)
    return flip(swapaxes(x, first, second), second)
