"""Means, variances and what follows: `mean`, `var`, `std`, `average`, `cov`, `corrcoef`."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...ir import ops
from ..application import apply
from ..array import Array, wrap
from ..registry import implements
from ..value import node_of
from . import reductions
from .arguments import UNSET, all_axes, option, ordered_axes, refuse_out
from .building import (
    as_array,
    broadcast,
    choose,
    concatenated,
    converted,
    count,
    filled,
    number,
    permuted,
    promoted_dtype,
    reshaped,
    scalar_like,
    window,
)

EXACT_IN_FLOAT32 = 1 << 24


def divided(total: Array, n: Any) -> Array:
    """`total / n` in the dtype of `total`, where `n` is a count, exact or as an array."""
    dividend = total
    if total.dtype == np.float16 and not isinstance(n, Array):
        dividend = converted(total, np.float32)
    if total.dtype == np.complex64:  # as NumPy's count is an integer of 64 bits
        dividend = converted(total, np.complex128)
    if type(n) is int and n > EXACT_IN_FLOAT32:
        dividend = converted(total, np.result_type(total.dtype, np.float64))
    return converted(apply(np.true_divide, dividend, n), total.dtype)


def counted(x: Array, axis: Any, where: Any, keepdims: bool) -> Any:
    """How many elements are averaged: one number, or an array of them when there is a mask."""
    if where is UNSET or where is True:
        return count(x, all_axes(axis, x.ndim))
    mask = broadcast(as_array(where, bool), x.shape)
    return reductions.sum(mask, axis, np.int64, keepdims=keepdims)


def _float64_for_integers(x: Array, dtype: Any) -> Any:
    return np.float64 if dtype is None and x.dtype.kind in "biu" else dtype


@implements(np.mean, method="mean")
def mean(a, axis=None, dtype=None, out=None, keepdims=UNSET, *, where=UNSET):
    """`np.mean`: the sum over the count; float16 is summed as float32."""
    refuse_out("mean", out)
    x = as_array(a)
    is_half = dtype is None and x.dtype == np.float16
    dtype = np.float32 if is_half else _float64_for_integers(x, dtype)
    keepdims = bool(option(keepdims, False))
    total = reductions.sum(x, axis, dtype, keepdims=keepdims, where=where)
    result = divided(total, counted(x, axis, where, keepdims))
    return converted(result, np.float16) if is_half else result


def squared_magnitude(x: Array) -> Array:
    """`x * conj(x)`, a real number."""
    if x.dtype.kind == "c":
        return apply(np.square, x.real) + apply(np.square, x.imag)
    return apply(np.multiply, x, x) if x.dtype.kind == "b" else apply(np.square, x)


@implements(np.var, method="var")
def var(
    a,
    axis=None,
    dtype=None,
    out=None,
    ddof=0,
    keepdims=UNSET,
    *,
    where=UNSET,
    mean=UNSET,
    correction=UNSET,
):
    """`np.var` in two passes, as NumPy does: the mean, then the mean of squared deviations."""
    refuse_out("var", out)
    ddof = one_ddof(ddof, correction)
    x = as_array(a)
    dtype = _float64_for_integers(x, dtype)
    center = option(mean, None)
    if center is None:
        total = reductions.sum(x, axis, dtype, keepdims=True, where=where)
        center = divided(total, counted(x, axis, where, True))
    squares = squared_magnitude(apply(np.subtract, x, center))
    keepdims = bool(option(keepdims, False))
    total = reductions.sum(squares, axis, dtype, keepdims=keepdims, where=where)
    return divided(total, _freedom(counted(x, axis, where, keepdims), ddof))


def one_ddof(ddof: Any, correction: Any) -> Any:
    """The degrees of freedom taken away, which have two names in NumPy; only one may be given."""
    if correction is UNSET:
        return ddof
    if ddof != 0:
        raise ValueError("ddof and correction can't be provided simultaneously.")
    return correction


def _freedom(n: Any, ddof: Any) -> Any:
    """`n - ddof`, not below zero."""
    if ddof == 0 and not isinstance(ddof, Array):
        return n
    if type(n) is int and isinstance(ddof, int | float):
        return max(n - ddof, 0)
    return apply(np.maximum, apply(np.subtract, as_array(n), ddof), 0)


@implements(np.std, method="std")
def std(
    a,
    axis=None,
    dtype=None,
    out=None,
    ddof=0,
    keepdims=UNSET,
    *,
    where=UNSET,
    mean=UNSET,
    correction=UNSET,
):
    """`np.std`: the square root of the variance."""
    refuse_out("std", out)
    options = {"where": where, "mean": mean, "correction": correction}
    variance = var(a, axis, dtype, None, ddof, keepdims, **options)
    return converted(apply(np.sqrt, variance), variance.dtype)


@implements(np.average)
def average(a, axis=None, weights=None, returned=False, *, keepdims=UNSET):
    """`np.average`."""
    x = as_array(a)
    axes = None if axis is None else ordered_axes(axis, x.ndim, "axis")
    if weights is None:
        result = mean(x, axes, keepdims=keepdims)
        n = count(x, all_axes(axes, x.ndim))
        scale = filled(result.shape, n, result.dtype)
    else:
        w = _aligned_weights(as_array(weights), x, axes)
        least = (np.float64,) if x.dtype.kind in "biu" else ()
        dtype = np.result_type(x.dtype, w.dtype, *least)
        total = reductions.sum(apply(np.multiply, x, w, dtype=dtype), axes, keepdims=keepdims)
        scale = _not_zero(reductions.sum(w, axes, dtype, keepdims=keepdims))
        result = apply(np.true_divide, total, scale)
        scale = broadcast(scale, result.shape)
    return (result, scalar_like(scale)) if returned else result


def _not_zero(total: Array) -> Array:
    """Sums of weights, of which the program refuses those that are zero."""
    has_weight = wrap(ops.sound["weights"](node_of(apply(np.not_equal, total, 0))))
    return choose(has_weight, total, number(1, total.dtype))


def _aligned_weights(w: Array, x: Array, axes: tuple | None) -> Array:
    if w.shape == x.shape:
        return w
    if axes is None:
        raise TypeError("Axis must be specified when shapes of a and weights differ.")
    if w.shape != tuple(x.shape[axis] for axis in axes):
        raise ValueError(
            "Shape of weights must be consistent with shape of a along specified axis."
        )
    order = sorted(range(len(axes)), key=axes.__getitem__)
    shape = tuple(n if axis in axes else 1 for axis, n in enumerate(x.shape))
    return reshaped(permuted(w, tuple(order)), shape)


@implements(np.cov)
def cov(m, y=None, rowvar=True, bias=False, ddof=None, fweights=None, aweights=None, *, dtype=None):
    """`np.cov`.

    # limit: weights are not checked for being integral and positive, as their values are unknown.
    """
    if ddof is not None and ddof != int(ddof):
        raise ValueError("ddof must be integer")
    given = [as_array(value) for value in (m, y) if value is not None]
    for value, name in zip(given, "my"):
        if value.ndim > 2:
            raise ValueError(f"{name} has more than 2 dimensions")
    dtype = promoted_dtype(*given, np.float64(0)) if dtype is None else dtype
    x = concatenated([_rows(converted(v, dtype), rowvar, k) for k, v in enumerate(given)], 0)
    if x.shape[0] == 0:
        return reshaped(as_array([], np.float64), (0, 0))
    ddof = (0 if bias else 1) if ddof is None else ddof
    w = _combined_weights(fweights, aweights, x.shape[1])
    center, scale = average(x, 1, w, True)
    if w is None:
        freedom: Any = _freedom(x.shape[1], ddof)
    else:
        freedom = _weighted_freedom(w, scale[0], ddof, aweights)
    factor = apply(np.true_divide, 1.0, as_array(freedom, np.float64))
    deviation = apply(np.subtract, x, reshaped(center, (x.shape[0], 1)))
    other = deviation if w is None else apply(np.multiply, deviation, w)
    if other.dtype.kind == "c":
        other = apply(np.conjugate, other)
    product = apply(np.matmul, deviation, permuted(other, (1, 0)))
    scaled = converted(apply(np.multiply, product, factor), product.dtype)
    return reshaped(scaled, tuple(n for n in scaled.shape if n != 1))


def _rows(x: Array, rowvar: bool, position: int) -> Array:
    """Two axes, with the variables along the first."""
    was_vector = x.ndim < 2
    x = reshaped(x, (1,) * (2 - x.ndim) + x.shape)
    turn = not rowvar and not (was_vector if position == 0 else x.shape[0] == 1)
    return permuted(x, (1, 0)) if turn else x


def _combined_weights(fweights: Any, aweights: Any, n: Any) -> Array | None:
    result = None
    for weights, name in ((fweights, "fweights"), (aweights, "aweights")):
        if weights is None:
            continue
        w = as_array(weights, float)
        if w.ndim > 1:
            raise RuntimeError(f"cannot handle multidimensional {name}")
        if w.shape[0] != n:
            raise RuntimeError(f"incompatible numbers of samples and {name}")
        result = w if result is None else apply(np.multiply, result, w)
    return result


def _weighted_freedom(w: Array, total: Array, ddof: Any, aweights: Any) -> Array:
    if ddof == 0:
        freedom = total
    elif aweights is None:
        freedom = total - ddof
    else:
        freedom = total - ddof * reductions.sum(w * as_array(aweights, float)) / total
    return apply(np.maximum, freedom, 0.0)


@implements(np.corrcoef)
def corrcoef(x, y=None, rowvar=True, *, dtype=None):
    """`np.corrcoef`: covariances over the products of standard deviations, within -1 and 1."""
    c = cov(x, y, rowvar, dtype=dtype)
    if c.ndim < 2:
        return apply(np.true_divide, c, c)
    n = c.shape[0]
    flat = reshaped(c, (n * n,))
    variances = window(flat, 0, 0, n * n, n + 1)
    deviation = apply(np.sqrt, variances.real)
    c = c / reshaped(deviation, (n, 1)) / deviation
    if c.dtype.kind != "c":
        return _within_one(c)
    return wrap(ops.complex(_within_one(c.real).node, _within_one(c.imag).node))


def _within_one(x: Array) -> Array:
    return apply(np.minimum, apply(np.maximum, x, -1.0), 1.0)
