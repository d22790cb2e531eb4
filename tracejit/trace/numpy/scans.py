"""Running sums and products: `cumsum`, `cumprod` and kin."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...ir import ops
from ...ir.op import Op
from ..array import Array, wrap
from ..host import no_rule
from ..registry import implements
from ..value import node_of
from .arguments import available, one_axis, refuse_out
from .building import as_array, concatenated, converted, filled, reshaped
from .reductions import accumulator_dtype


def _scan(op: Op, a: Any, axis: Any, dtype: Any) -> Array:
    x = as_array(a)
    return _along(op, converted(x, accumulator_dtype(x, dtype)), axis)


def _along(op: Op, x: Array, axis: Any) -> Array:
    if axis is None:
        x, axis = reshaped(x, (x.size,)), 0
    if x.ndim == 0:
        one_axis(axis, 1)
        return reshaped(x, (1,))
    return wrap(op(node_of(x), axis=one_axis(axis, x.ndim)))


@implements(np.cumsum, method="cumsum")
def cumsum(a, axis=None, dtype=None, out=None):
    """`np.cumsum`; small integers add up in 64 bits."""
    refuse_out("cumsum", out)
    return _scan(ops.cumsum, a, axis, dtype)


@implements(np.cumprod, method="cumprod")
def cumprod(a, axis=None, dtype=None, out=None):
    """`np.cumprod`; small integers multiply in 64 bits."""
    refuse_out("cumprod", out)
    return _scan(ops.cumprod, a, axis, dtype)


@implements(np.maximum.accumulate)
def running_maximum(array, axis=0, dtype=None, out=None):
    """`np.maximum.accumulate`."""
    return _extreme(ops.cummax, np.maximum, array, axis, dtype, out)


@implements(np.minimum.accumulate)
def running_minimum(array, axis=0, dtype=None, out=None):
    """`np.minimum.accumulate`."""
    return _extreme(ops.cummin, np.minimum, array, axis, dtype, out)


def _extreme(op: Op, ufunc: np.ufunc, array: Any, axis: Any, dtype: Any, out: Any) -> Array:
    x = as_array(array)
    if out is not None:
        raise no_rule(f"np.{ufunc.__name__}.accumulate into memory")
    return _along(op, x if dtype is None else converted(x, dtype), axis)


def _cumulative(op: Op, first: int, x: Any, axis: Any, dtype: Any, include_initial: bool) -> Array:
    x = as_array(x)
    x = x if x.ndim else reshaped(x, (1,))
    if axis is None:
        if x.ndim > 1:
            raise ValueError(
                "For arrays which have more than one dimension ``axis`` argument is required."
            )
        axis = 0
    result = _scan(op, x, axis, dtype)
    if not include_initial:
        return result
    axis = one_axis(axis, x.ndim)
    shape = (*x.shape[:axis], 1, *x.shape[axis + 1 :])
    return concatenated([filled(shape, first, result.dtype), result], axis)


@implements(*available("cumulative_sum"))
def cumulative_sum(x, /, *, axis=None, dtype=None, out=None, include_initial=False):
    """`np.cumulative_sum`."""
    refuse_out("cumulative_sum", out)
    return _cumulative(ops.cumsum, 0, x, axis, dtype, include_initial)


@implements(*available("cumulative_prod"))
def cumulative_prod(x, /, *, axis=None, dtype=None, out=None, include_initial=False):
    """`np.cumulative_prod`."""
    refuse_out("cumulative_prod", out)
    return _cumulative(ops.cumprod, 1, x, axis, dtype, include_initial)
