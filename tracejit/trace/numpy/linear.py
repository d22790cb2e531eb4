"""Products of vectors, matrices and tensors: `matmul`, `dot`, `tensordot`, `einsum`, `outer`, ..."""

from __future__ import annotations

from operator import index
from typing import Any

import numpy as np

from ..application import apply
from ..array import Array
from ..broadcasting import is_one
from ..registry import implements
from .arguments import UNSET, available, numpy_dtype, one_axis, refuse, refuse_out, static_int
from .building import (
    as_array,
    broadcast,
    concatenated,
    converted,
    in_common_dtype,
    permuted,
    reshaped,
    scalar_like,
)
from .contractions import Factor, agreeing, contraction

# How many components np.cross takes.
COMPONENTS = (2, 3) if np.lib.NumpyVersion(np.__version__) < "2.5.0" else (3,)
_AXES_REMEDY = "move the axes with np.moveaxis first"


def _common(a: Any, b: Any) -> tuple[Array, Array]:
    return in_common_dtype(as_array(a), as_array(b))


def _mismatch(name: str, x: Array, y: Array, left: Any, right: Any) -> ValueError:
    return ValueError(
        f"{name}: shapes {tuple(x.shape)} and {tuple(y.shape)} not aligned: {left} != {right}"
    )


def _gufunc(
    name: str, x1: Any, x2: Any, left: str, right: str, result: str, options: dict
) -> Array:
    """Contract the core axes, named by letters; the axes before them broadcast."""
    options = dict(options)
    dtype = options.pop("dtype", None)
    refuse_out(name, options.pop("out", None))
    refuse(name, "cast the operands with astype", signature=options.pop("signature", None))
    refuse(name, _AXES_REMEDY, axes=options.pop("axes", UNSET), axis=options.pop("axis", UNSET))
    keepdims = options.pop("keepdims", False)
    refuse(name, "add the axis with None", keepdims=keepdims or None)
    for ignored in ("casting", "order", "subok"):
        options.pop(ignored, None)
    if options:
        raise TypeError(f"{name}() got an unexpected keyword argument '{next(iter(options))}'")
    x, y = _common(x1, x2)
    if x.dtype.kind == "V":  # of which NumPy has no such loops
        dtype = dtype or np.float32
    if dtype is not None:
        x, y = (converted(value, numpy_dtype(dtype)) for value in (x, y))
    for axis in (
        range(1, len(left) + 1) if min(x.ndim - len(left), y.ndim - len(right)) >= 0 else ()
    ):
        if left[-axis] in right:
            x, y = agreeing(x, x.ndim - axis, y, y.ndim - len(right) + right.index(left[-axis]))
    factors = []
    for position, (value, core) in enumerate(((x, left), (y, right))):
        if value.ndim < len(core):
            raise ValueError(
                f"{name}: Input operand {position} does not have enough dimensions (has "
                f"{value.ndim}, gufunc core with signature requires {len(core)})"
            )
        outer = value.ndim - len(core)
        labels = (*range(-outer, 0), *core)
        factors.append(Factor(value, labels))
    _check_cores(name, factors[0], factors[1])
    outer = max(x.ndim - len(left), y.ndim - len(right))
    return scalar_like(contraction(factors, (*range(-outer, 0), *result)))


def _check_cores(name: str, x: Factor, y: Factor) -> None:
    """Axes of equal name must have equal extents: core axes do not stretch, the others may."""
    there = dict(zip(y.labels, y.value.shape))
    for label, extent in zip(x.labels, x.value.shape):
        other = there.get(label, extent)
        stretches = isinstance(label, int) and any(map(is_one, (extent, other)))
        if extent != other and not stretches:
            if isinstance(label, int):
                shapes = f"{x.value.shape} {y.value.shape}"
                raise ValueError(f"operands could not be broadcast together with shapes {shapes}")
            raise ValueError(
                f"{name}: Input operand 1 has a mismatch in its core dimension "
                f"(size {other} is different from {extent})"
            )


@implements(np.matmul, np.linalg.matmul)
def matmul(x1, x2, /, **options):
    """`np.matmul`, for every combination of vectors, matrices and stacks of matrices."""
    x, y = as_array(x1), as_array(x2)
    if x.ndim == 0 or y.ndim == 0:
        raise ValueError(
            f"matmul: Input operand {int(x.ndim > 0)} does not have enough dimensions (has 0, "
            "gufunc core with signature (n?,k),(k,m?)->(n?,m?) requires 1)"
        )
    left, right = ("k" if x.ndim == 1 else "nk"), ("k" if y.ndim == 1 else "km")
    result = left.replace("k", "") + right.replace("k", "")
    return _gufunc("matmul", x, y, left, right, result, options)


def _conjugate(x: Array) -> Array:
    return apply(np.conjugate, x) if x.dtype.kind == "c" else x


@implements(np.vecdot)
def vecdot(x1, x2, /, **options):
    """`np.vecdot`: dot products of the last axes, the first operand conjugated."""
    axis = options.pop("axis", UNSET)
    x, y = as_array(x1), as_array(x2)
    if axis is not UNSET and axis != -1:
        x, y = (_last(value, axis) for value in (x, y))
    return _gufunc("vecdot", _conjugate(x), y, "n", "n", "", options)


@implements(np.linalg.vecdot)
def linalg_vecdot(x1, x2, /, *, axis=-1):
    """`np.linalg.vecdot`."""
    return vecdot(x1, x2, axis=axis)


def _last(x: Array, axis: Any) -> Array:
    axis = one_axis(axis, x.ndim)
    return permuted(x, (*[k for k in range(x.ndim) if k != axis], axis))


@implements(*available("matvec"))
def matvec(x1, x2, /, **options):
    """`np.matvec`: stacks of matrices times stacks of vectors."""
    return _gufunc("matvec", x1, x2, "mn", "n", "m", options)


@implements(*available("vecmat"))
def vecmat(x1, x2, /, **options):
    """`np.vecmat`: stacks of vectors, conjugated, times stacks of matrices."""
    return _gufunc("vecmat", _conjugate(as_array(x1)), x2, "n", "nm", "m", options)


@implements(np.dot, method="dot")
def dot(a, b, out=None):
    """`np.dot`: the last axis of `a` with the last but one of `b`; a product with a scalar."""
    refuse_out("dot", out)
    x, y = _common(a, b)
    if x.ndim == 0 or y.ndim == 0:
        return apply(np.multiply, x, y)
    along = max(y.ndim - 2, 0)
    x, y = agreeing(x, x.ndim - 1, y, along)
    if x.shape[-1] != y.shape[along]:
        left, right = (
            f"{value.shape[axis]} (dim {axis})" for value, axis in ((x, x.ndim - 1), (y, along))
        )
        raise ValueError(f"shapes {_text(x)} and {_text(y)} not aligned: {left} != {right}")
    return scalar_like(_tensor_product(x, y, (x.ndim - 1,), (along,)))


def _text(x: Array) -> str:
    return str(tuple(x.shape)).replace(" ", "")


def _tensor_product(x: Array, y: Array, left: tuple, right: tuple) -> Array:
    """Sum over pairs of axes; the other axes of `x`, then of `y`, remain."""
    labels_x = tuple(range(x.ndim))
    labels_y = [x.ndim + k for k in range(y.ndim)]
    for first, second in zip(left, right):
        labels_y[second] = first
    kept = (*[k for k in labels_x if k not in left], *[k for k in labels_y if k >= x.ndim])
    return contraction([Factor(x, labels_x), Factor(y, tuple(labels_y))], kept)


@implements(np.inner)
def inner(a, b, /):
    """`np.inner`: the last axis of both."""
    x, y = _common(a, b)
    if x.ndim == 0 or y.ndim == 0:
        return apply(np.multiply, x, y)
    x, y = agreeing(x, x.ndim - 1, y, y.ndim - 1)
    if x.shape[-1] != y.shape[-1]:
        raise ValueError(
            f"shapes {_text(x)} and {_text(y)} not aligned: {x.shape[-1]} (dim {x.ndim - 1}) != "
            f"{y.shape[-1]} (dim {y.ndim - 1})"
        )
    return scalar_like(_tensor_product(x, y, (x.ndim - 1,), (y.ndim - 1,)))


@implements(np.vdot)
def vdot(a, b, /):
    """`np.vdot`: dot product of the flattened operands, the first conjugated."""
    x, y = _common(a, b)
    x, y = (reshaped(value, (value.size,)) for value in (x, y))
    return dot(_conjugate(x), y)


@implements(np.outer)
def outer(a, b, out=None):
    """`np.outer`: every product of an element of one with an element of the other."""
    refuse_out("outer", out)
    x, y = as_array(a), as_array(b)
    return apply(np.multiply, reshaped(x, (x.size, 1)), reshaped(y, (1, y.size)))


@implements(np.linalg.outer)
def linalg_outer(x1, x2, /):
    """`np.linalg.outer`: of two vectors."""
    x, y = as_array(x1), as_array(x2)
    if x.ndim != 1 or y.ndim != 1:
        raise ValueError(
            "Input arrays must be one-dimensional, but they are "
            f"x1.ndim={x.ndim!r} and x2.ndim={y.ndim!r}."
        )
    return outer(x, y)


@implements(np.tensordot)
def tensordot(a, b, axes=2):
    """`np.tensordot`."""
    x, y = _common(a, b)
    if isinstance(axes, tuple | list | np.ndarray):
        left, right = axes
    else:
        axes = static_int(axes, "a number of axes")
        left, right = range(-axes, 0), range(axes)
    left, right = (_axis_list(side) for side in (left, right))
    if len(left) != len(right):
        raise ValueError("shape-mismatch for sum")
    left = tuple(one_axis(axis, x.ndim) for axis in left)
    right = tuple(one_axis(axis, y.ndim) for axis in right)
    if any(x.shape[first] != y.shape[second] for first, second in zip(left, right)):
        raise ValueError("shape-mismatch for sum")
    return _tensor_product(x, y, left, right)


def _axis_list(axes: Any) -> list[int]:
    return [index(axis) for axis in (axes if hasattr(axes, "__iter__") else (axes,))]


@implements(np.linalg.tensordot)
def linalg_tensordot(x1, x2, /, *, axes=2):
    """`np.linalg.tensordot`."""
    return tensordot(x1, x2, axes)


@implements(np.kron)
def kron(a, b):
    """`np.kron`: each element of `a` times all of `b`."""
    x, y = as_array(a), as_array(b)
    ndim = max(x.ndim, y.ndim)
    left, right = ((1,) * (ndim - value.ndim) + value.shape for value in (x, y))
    spaced = tuple(extent for n in left for extent in (n, 1))
    inside = tuple(extent for n in right for extent in (1, n))
    products = apply(np.multiply, reshaped(x, spaced), reshaped(y, inside))
    result = reshaped(products, tuple(n * m for n, m in zip(left, right)))
    return scalar_like(result)


@implements(np.cross)
def cross(a, b, axisa=-1, axisb=-1, axisc=-1, axis=None):
    """`np.cross` of vectors with 3 components; before NumPy 2.5 also 2, where the third is zero."""
    if axis is not None:
        axisa = axisb = axisc = axis
    x, y = _common(a, b)
    if x.ndim < 1 or y.ndim < 1:
        raise ValueError("At least one array has zero dimension")
    x, y = _last(x, axisa), _last(y, axisb)
    if x.shape[-1] not in COMPONENTS or y.shape[-1] not in COMPONENTS:
        raise ValueError(
            "Both input arrays must be (arrays of) 3-dimensional vectors, but they are "
            f"{x.shape[-1]} and {y.shape[-1]} dimensional instead."
        )
    components = _cross_components(x, y)
    if len(components) == 1:
        return reshaped(components[0], components[0].shape)
    shape = np.broadcast_shapes(*[component.shape for component in components])
    stacked = [broadcast(component, shape) for component in components]
    ndim = len(shape) + 1
    from_last = [reshaped(component, (*shape, 1)) for component in stacked]
    joined = concatenated(from_last, ndim - 1)
    to = one_axis(axisc, ndim)
    order = list(range(ndim - 1))
    order.insert(to, ndim - 1)
    return permuted(joined, tuple(order))


def _cross_components(x: Array, y: Array) -> list[Array]:
    """The products NumPy forms, in its order; a missing third component is zero."""
    a, b = ([value[..., k] for k in range(value.shape[-1])] for value in (x, y))
    last = a[0] * b[1] - a[1] * b[0]
    if len(a) == 3 and len(b) == 3:
        return [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], last]
    if len(a) == 3:
        return [-(a[2] * b[1]), a[2] * b[0], last]
    if len(b) == 3:
        return [a[1] * b[2], -(a[0] * b[2]), last]
    return [last]


@implements(np.linalg.cross)
def linalg_cross(x1, x2, /, *, axis=-1):
    """`np.linalg.cross`: vectors with 3 components only."""
    x, y = as_array(x1), as_array(x2)
    if x.shape[axis] != 3 or y.shape[axis] != 3:
        raise ValueError(
            "Both input arrays must be (arrays of) 3-dimensional vectors, but they are "
            f"{x.shape[axis]} and {y.shape[axis]} dimensional instead."
        )
    return cross(x, y, axis=axis)


@implements(np.linalg.multi_dot)
def multi_dot(arrays, *, out=None):
    """`np.linalg.multi_dot`: a chain of matrix products, in a cheap order."""
    refuse_out("linalg.multi_dot", out)
    values = [as_array(x) for x in arrays]
    if len(values) < 2:
        raise ValueError("Expecting at least two arrays.")
    if any(x.ndim != 2 for x in values[1:-1]):
        raise np.linalg.LinAlgError("array must be two-dimensional")
    values = list(in_common_dtype(*values))
    factors, start = [], 0
    if values[0].ndim == 1:
        start = 1
    for position, x in enumerate(values):
        row, column = position, position + 1
        labels = (column,) if position == 0 and start else (row, column)
        if position == len(values) - 1 and x.ndim == 1:
            labels = (row,)
        factors.append(Factor(x, labels))
    for before, after in zip(values, values[1:]):
        if before.shape[-1] != after.shape[0]:
            raise _mismatch("multi_dot", before, after, before.shape[-1], after.shape[0])
    ends = ([] if start else [0]) + ([] if values[-1].ndim == 1 else [len(values)])
    return scalar_like(contraction(factors, tuple(ends)))
