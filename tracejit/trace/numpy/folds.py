"""`ufunc.reduce`, `accumulate` and `reduceat` of the ufuncs that no function of NumPy's is named for."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...ir import ops
from ...ir.expressions import identity
from ...ir.ops.reduce import FOLDS
from ...ir.types import i64, to_dtype
from ..application import apply
from ..array import Array, wrap
from ..context import current_trace
from ..host import no_rule
from ..promotion import cast, loop_of
from ..registry import UFUNC_METHODS
from ..ufunc import is_compiled
from ..value import node_of
from .arguments import UNSET, all_axes, one_axis, option
from .building import (
    as_array,
    choose,
    concatenated,
    converted,
    number,
    reduced,
    reshaped,
    taken,
    window,
)
from .reductions import accumulator_dtype, masked, reduces_nothing, sum
from .scans import cumsum

# A reduction by these along so few elements is written out, in NumPy's order.
FEW = 16
_IN_ORDER = (np.subtract, np.divide, np.hypot, np.logaddexp, np.logaddexp2, np.lcm)
# What parts of an axis are combined with.
_OF_PARTS = (np.add, np.multiply, np.maximum, np.minimum, np.logical_or, np.logical_and, *FOLDS)
_LOGICAL = (np.logical_or, np.logical_and, np.logical_xor)
_BASE = {np.logaddexp: (np.exp, np.log), np.logaddexp2: (np.exp2, np.log2)}


def _in_own_dtype(ufunc: np.ufunc, x: Array, dtype: Any) -> Array:
    """The operand in the dtype it is combined in, which is that of the result."""
    if ufunc in _LOGICAL:
        return as_array(x, bool)
    if dtype is None and ufunc in (np.add, np.multiply):
        dtype = accumulator_dtype(x, None)
    own = np.dtype(dtype) if dtype is not None else x.dtype
    *operands, out = loop_of(ufunc, (own, own))
    if not is_compiled(ufunc) or {*operands} != {out}:
        raise no_rule(f"np.{ufunc.__name__} of {own} to itself")
    return converted(x, out.numpy)


def reduce(
    ufunc: np.ufunc,
    array: Any,
    axis: Any = 0,
    dtype: Any = None,
    out: Any = None,
    keepdims: Any = False,
    initial: Any = UNSET,
    where: Any = True,
) -> Array:
    """`ufunc.reduce(array)`, where it is made of ops that reduce, or goes along few elements."""
    x = _in_own_dtype(ufunc, as_array(array), dtype)
    axes = all_axes(axis, x.ndim, lenient=True)
    is_plain = initial in (UNSET, None) and where is True
    if ufunc.identity is None and (not is_plain or reduces_nothing(x, axes)):
        raise no_rule(f"np.{ufunc.__name__}.reduce of nothing, or with such options")
    if ufunc in FOLDS:
        neutral = identity(ufunc.__name__, to_dtype(x.dtype))
        found = reduced(FOLDS[ufunc], masked(x, where, neutral), axes, bool(option(keepdims, 0)))
        if initial not in (UNSET, None):
            found = converted(apply(ufunc, number(initial, x.dtype), found), x.dtype)
        return found
    if not is_plain or len(axes) != 1:
        raise no_rule(f"np.{ufunc.__name__}.reduce with such options")
    found = _along(ufunc, x, axes[0])
    if option(keepdims, False):
        found = reshaped(
            as_array(found), tuple([1 if k in axes else n for k, n in enumerate(x.shape)])
        )
    return found


def _along(ufunc: np.ufunc, x: Array, axis: int) -> Array:
    extent = x.shape[axis]
    if type(extent) is int and extent <= FEW and ufunc in _IN_ORDER:
        return _partial(ufunc, x, axis)[-1]
    trace = current_trace()
    is_ordered = trace is not None and trace.is_strict and x.dtype.kind in "fc"
    if ufunc is np.subtract and not is_ordered:
        rest = sum(window(x, axis, 1, extent), axis, x.dtype)
        return apply(ufunc, taken(x, axis, 0), rest)
    if ufunc in _BASE:  # as one may add numbers that are scaled, so that the greatest is 1
        power, logarithm = _BASE[ufunc]
        most = reduced(ops.max_, x, (axis,), True)
        scale = choose(apply(np.isinf, most), number(0, x.dtype), most)
        total = sum(apply(power, apply(np.subtract, x, scale)), axis)
        return apply(np.add, apply(logarithm, total), taken(scale, axis, 0))
    raise no_rule(f"np.{ufunc.__name__}.reduce")


def _partial(ufunc: np.ufunc, x: Array, axis: int) -> list[Array]:
    """What the first one, two, ... elements are combined to."""
    extent = x.shape[axis]
    found = [taken(x, axis, 0)[()]]
    for k in range(1, extent):
        found.append(apply(ufunc, found[-1], taken(x, axis, k)[()]))
    return found


def accumulate(
    ufunc: np.ufunc, array: Any, axis: Any = 0, dtype: Any = None, out: Any = None
) -> Array:
    """`ufunc.accumulate(array)`."""
    x = as_array(array)
    if ufunc in (np.logical_and, np.logical_or):
        extreme = np.minimum if ufunc is np.logical_and else np.maximum
        return extreme.accumulate(as_array(x, bool), axis)
    x = _in_own_dtype(ufunc, x, dtype)
    if x.ndim == 0 or axis is None:
        raise no_rule(f"np.{ufunc.__name__}.accumulate of a number, or along all axes")
    axis = one_axis(axis, x.ndim)
    extent = x.shape[axis]
    if ufunc is np.subtract and extent != 0:  # each step rounds as that of a sum does
        rest = apply(np.negative, window(x, axis, 1, extent))
        return cumsum(concatenated([window(x, axis, 0, 1), rest], axis), axis, x.dtype)
    trace, scan = current_trace(), ops.SCANS_OF_LOGARITHMS.get(ufunc)
    if scan is not None and x.dtype in (np.float32, np.float64):
        if trace is None or not trace.is_strict:
            return wrap(scan(node_of(x), axis=axis))
    if type(extent) is not int or not 0 < extent <= FEW or ufunc not in _IN_ORDER:
        raise no_rule(f"np.{ufunc.__name__}.accumulate")
    one = (*x.shape[:axis], 1, *x.shape[axis + 1 :])
    return concatenated([reshaped(as_array(part), one) for part in _partial(ufunc, x, axis)], axis)


def reduceat(
    ufunc: np.ufunc, array: Any, indices: Any, axis: Any = 0, dtype: Any = None, out: Any = None
) -> Array:
    """`ufunc.reduceat(array, indices)`; where a part begins outside, NumPy says so."""
    x, starts = as_array(array), as_array(indices)
    trace = current_trace()
    if ufunc not in _OF_PARTS or x.ndim == 0 or starts.ndim != 1 or starts.dtype.kind not in "iu":
        raise no_rule(f"np.{ufunc.__name__}.reduceat of such operands")
    x = _in_own_dtype(ufunc, x, dtype)
    if trace is not None and trace.is_strict and ufunc in (np.add, np.multiply):
        if x.dtype.kind in "fc":
            raise no_rule(f"np.{ufunc.__name__}.reduceat in NumPy's order")
    axis = one_axis(axis, x.ndim)
    extent = x.shape[axis]
    if extent == 0:
        raise no_rule(f"np.{ufunc.__name__}.reduceat of nothing")
    starts = converted(starts, np.int64)
    is_inside = apply(np.logical_and, starts >= 0, apply(np.less, starts, extent))
    legal = wrap(ops.legal(node_of(is_inside.all())))
    starts = choose(legal, starts, 0)
    combine = ufunc.__name__
    return wrap(ops.segments(node_of(x), cast(node_of(starts), i64), axis=axis, combine=combine))


UFUNC_METHODS |= {"reduce": reduce, "accumulate": accumulate, "reduceat": reduceat}
