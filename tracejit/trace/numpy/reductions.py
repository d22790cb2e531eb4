"""Reductions along axes: `sum`, `prod`, `max`, `min`, `any`, `all`, `count_nonzero`, `ptp`."""

from __future__ import annotations

from math import prod as prod_of
from typing import Any

import numpy as np

from ...ir import ops
from ...ir.dims import is_never_negative
from ...ir.expressions import identity
from ...ir.graph import Node
from ...ir.op import Op
from ...ir.types import bool_, i64, to_dtype
from ..application import apply
from ..array import Array, to_array, wrap
from ..broadcasting import broadcast_to_shape
from ..context import current_trace
from ..host import call_through_python, known
from ..promotion import constant
from ..registry import implements
from ..value import extent_node, node_of
from .arguments import UNSET, all_axes, numpy_dtype, option, refuse_out
from .building import as_array, broadcast, choose, converted, number, reduced, scalar_like


def accumulator_dtype(x: Array, dtype: Any) -> np.dtype:
    """The dtype NumPy adds and multiplies in: small integers and bools widen to 64 bits."""
    if dtype is not None:
        return numpy_dtype(dtype)
    if x.dtype.kind in "bi":
        return np.dtype(np.int64)
    return np.dtype(np.uint64) if x.dtype.kind == "u" else x.dtype


def masked(x: Array, where: Any, other: Any) -> Array:
    """`x` where the mask says so and the number `other` elsewhere; `where` may be unset or True."""
    if where is UNSET or where is True:
        return x
    if getattr(where, "shape", ()) and where.dtype.kind != "b":
        np.add.reduce(np.ones(1), where=np.ones(1, where.dtype))  # raises NumPy's TypeError
    mask = broadcast(as_array(where, bool), x.shape)
    return choose(mask, x, number(other, x.dtype))


def _reduction(
    op: Op,
    combine: np.ufunc,
    x: Array,
    neutral: Any,
    axis: Any,
    out: Any,
    keepdims: Any,
    initial: Any,
    where: Any,
) -> Array:
    """Mask, reduce, then combine with `initial`, all in the dtype of `x`."""
    refuse_out(op.name, out)
    axes = all_axes(axis, x.ndim, lenient=True)
    x = masked(x, where, neutral)
    result = reduced(op, x, axes, bool(option(keepdims, False)))
    if initial is UNSET or initial is None:
        return result
    return converted(apply(combine, number(initial, x.dtype), result), x.dtype)


def _arithmetic(op: Op, logical: Op, combine: np.ufunc, neutral: int, a: Any, dtype: Any) -> tuple:
    x = as_array(a)
    x = converted(x, accumulator_dtype(x, dtype))
    if to_dtype(x.dtype) is bool_:
        logical_combine = np.logical_or if logical is ops.any_ else np.logical_and
        return logical, logical_combine, x, bool(neutral)
    return op, combine, x, neutral


def _is_numpys(a: Any, dtype: Any, initial: Any, where: Any) -> bool:
    """Whether NumPy itself has to add up, for its very bits: what it casts or masks it takes in pieces
    that depend on its buffers, and a number to begin with is part of the first of them."""
    trace = current_trace()
    if trace is None or not trace.is_strict:
        return False
    own = as_array(a).dtype
    result = accumulator_dtype(as_array(a), dtype)
    if result.kind == "V":
        return True
    is_plain = initial in (UNSET, None) and (where is UNSET or where is True)
    return result.kind in "fc" and not (own == result and is_plain)


def _by_numpy(function: Any, a: Any, axis: Any, **options: Any) -> Array:
    """NumPy's own reduction, called by the program."""
    given = {name: value for name, value in options.items() if value is not UNSET}
    found = call_through_python(known(function), (as_array(a), axis), given)
    return scalar_like(to_array(found))


@implements(np.sum, method="sum")
def sum(a, axis=None, dtype=None, out=None, keepdims=UNSET, initial=UNSET, where=UNSET):
    """`np.sum`; small integers add up in 64 bits."""
    if _is_numpys(a, dtype, initial, where):
        refuse_out("sum", out)
        options = {"dtype": dtype, "keepdims": keepdims, "initial": initial, "where": where}
        return _by_numpy(np.sum, a, axis, **options)
    chosen = _arithmetic(ops.sum_, ops.any_, np.add, 0, a, dtype)
    return _reduction(*chosen, axis, out, keepdims, initial, where)


@implements(np.prod, method="prod")
def prod(a, axis=None, dtype=None, out=None, keepdims=UNSET, initial=UNSET, where=UNSET):
    """`np.prod`; small integers multiply in 64 bits."""
    if _is_numpys(a, dtype, initial, where):
        refuse_out("prod", out)
        options = {"dtype": dtype, "keepdims": keepdims, "initial": initial, "where": where}
        return _by_numpy(np.prod, a, axis, **options)
    chosen = _arithmetic(ops.prod, ops.all_, np.multiply, 1, a, dtype)
    return _reduction(*chosen, axis, out, keepdims, initial, where)


def _extremum(op: Op, combine: np.ufunc, a: Any, *options: Any) -> Array:
    x = as_array(a)
    axis, _, _, initial, where = options
    if initial is UNSET or initial is None:
        if reduces_nothing(x, axis):
            raise ValueError(
                f"zero-size array to reduction operation {combine.__name__} which has no identity"
            )
        if where is not UNSET and where is not True:
            raise ValueError(
                f"reduction operation '{combine.__name__}' does not have an identity, "
                "so to use a where mask one has to specify 'initial'"
            )
    neutral = identity(combine.__name__, to_dtype(x.dtype))
    result = _reduction(op, combine, x, neutral, *options)
    axes = all_axes(axis, x.ndim, lenient=True)
    count = prod_of([x.node.type.shape[axis] for axis in axes])
    if is_never_negative(count - 1) or initial is not UNSET and initial is not None:
        return result
    return of_something(result, extent_node(count), combine.__name__, neutral)


def of_something(result: Array, count: Node, reduction: str, neutral: Any) -> Array:
    """The result of a reduction that the program refuses when there is nothing to reduce."""
    node = node_of(result)
    checked = ops.some[reduction](count)
    known = broadcast_to_shape(ops.greater(checked, constant(0, i64)), node.type.shape)
    other = broadcast_to_shape(constant(neutral, node.type.dtype), node.type.shape)
    return wrap(ops.where(known, node, other), result.is_scalar)


def reduces_nothing(x: Array, axis: Any) -> bool:
    """Whether one of the axes to reduce has no elements."""
    shape = x.node.type.shape
    axes = all_axes(axis, x.ndim, lenient=True)
    return 0 in [shape[k] for k in axes if type(shape[k]) is int]


@implements(np.max, np.amax, method="max")
def max(a, axis=None, out=None, keepdims=UNSET, initial=UNSET, where=UNSET):
    """`np.max`; nan if there is one."""
    return _extremum(ops.max_, np.maximum, a, axis, out, keepdims, initial, where)


@implements(np.min, np.amin, method="min")
def min(a, axis=None, out=None, keepdims=UNSET, initial=UNSET, where=UNSET):
    """`np.min`; nan if there is one."""
    return _extremum(ops.min_, np.minimum, a, axis, out, keepdims, initial, where)


@implements(np.any, method="any")
def any(a, axis=None, out=None, keepdims=UNSET, *, where=UNSET):
    """`np.any`; nan counts as true."""
    x = as_array(a, bool)
    return _reduction(ops.any_, np.logical_or, x, False, axis, out, keepdims, UNSET, where)


@implements(np.all, method="all")
def all(a, axis=None, out=None, keepdims=UNSET, *, where=UNSET):
    """`np.all`; nan counts as true."""
    x = as_array(a, bool)
    return _reduction(ops.all_, np.logical_and, x, True, axis, out, keepdims, UNSET, where)


@implements(np.count_nonzero)
def count_nonzero(a, axis=None, *, keepdims=False):
    """`np.count_nonzero`, as 64-bit integers."""
    return sum(as_array(a, bool), axis, keepdims=keepdims)


@implements(np.ptp)
def ptp(a, axis=None, out=None, keepdims=UNSET):
    """`np.ptp`: largest minus smallest."""
    refuse_out("ptp", out)
    return max(a, axis, keepdims=keepdims) - min(a, axis, keepdims=keepdims)
