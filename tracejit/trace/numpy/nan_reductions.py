"""Reductions that leave nan out: `nansum`, `nanprod`, `nanmax`, `nanmin`, `nanmean`, `nanvar`, ..."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...ir.expressions import identity
from ...ir.types import to_dtype
from ..application import apply
from ..array import Array
from ..registry import implements
from . import reductions, scans, statistics
from .arguments import UNSET, option, refuse_out
from .building import as_array, choose, converted, number


def _can_be_nan(x: Array) -> bool:
    return x.dtype.kind in "fc"


def _without_nan(a: Any, substitute: Any) -> Array:
    x = as_array(a)
    if not _can_be_nan(x):
        return x
    return choose(apply(np.isnan, x), number(substitute, x.dtype), x)


@implements(np.nansum)
def nansum(a, axis=None, dtype=None, out=None, keepdims=UNSET, initial=UNSET, where=UNSET):
    """`np.nansum`."""
    return reductions.sum(_without_nan(a, 0), axis, dtype, out, keepdims, initial, where)


@implements(np.nanprod)
def nanprod(a, axis=None, dtype=None, out=None, keepdims=UNSET, initial=UNSET, where=UNSET):
    """`np.nanprod`."""
    return reductions.prod(_without_nan(a, 1), axis, dtype, out, keepdims, initial, where)


@implements(np.nancumsum)
def nancumsum(a, axis=None, dtype=None, out=None):
    """`np.nancumsum`."""
    return scans.cumsum(_without_nan(a, 0), axis, dtype, out)


@implements(np.nancumprod)
def nancumprod(a, axis=None, dtype=None, out=None):
    """`np.nancumprod`."""
    return scans.cumprod(_without_nan(a, 1), axis, dtype, out)


def _extremum(reduce: Any, combine: np.ufunc, a: Any, *options: Any) -> Array:
    """Put the neutral element for nan; where all are nan, the result is nan."""
    x = as_array(a)
    if not _can_be_nan(x):
        return reduce(x, *options)
    result = reduce(_without_nan(x, identity(combine.__name__, to_dtype(x.dtype))), *options)
    axis, out, keepdims, initial, _ = options
    if initial is not UNSET:
        return result
    all_nan = reductions.all(apply(np.isnan, x), axis, None, keepdims)
    chosen = choose(all_nan, number(np.nan, x.dtype), result)
    return chosen if chosen.shape else chosen[()]


@implements(np.nanmax)
def nanmax(a, axis=None, out=None, keepdims=UNSET, initial=UNSET, where=UNSET):
    """`np.nanmax`; nan only where there is nothing else."""
    return _extremum(reductions.max, np.maximum, a, axis, out, keepdims, initial, where)


@implements(np.nanmin)
def nanmin(a, axis=None, out=None, keepdims=UNSET, initial=UNSET, where=UNSET):
    """`np.nanmin`; nan only where there is nothing else."""
    return _extremum(reductions.min, np.minimum, a, axis, out, keepdims, initial, where)


def _divided(total: Array, n: Array) -> Array:
    return converted(apply(np.true_divide, total, n), total.dtype)


def _counted(x: Array, axis: Any, keepdims: Any, where: Any) -> Array:
    is_number = apply(np.logical_not, apply(np.isnan, x))
    return reductions.sum(is_number, axis, np.int64, keepdims=keepdims, where=where)


@implements(np.nanmean)
def nanmean(a, axis=None, dtype=None, out=None, keepdims=UNSET, *, where=UNSET):
    """`np.nanmean`."""
    x = as_array(a)
    if not _can_be_nan(x):
        return statistics.mean(x, axis, dtype, out, keepdims, where=where)
    refuse_out("nanmean", out)
    total = nansum(x, axis, dtype, keepdims=keepdims, where=where)
    return _divided(total, _counted(x, axis, keepdims, where))


@implements(np.nanvar)
def nanvar(
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
    """`np.nanvar`; nan where no degree of freedom is left."""
    x = as_array(a)
    if not _can_be_nan(x):
        options = {"where": where, "mean": mean, "correction": correction}
        return statistics.var(x, axis, dtype, out, ddof, keepdims, **options)
    refuse_out("nanvar", out)
    ddof = statistics.one_ddof(ddof, correction)
    center = option(mean, None)
    if center is None:
        total = nansum(x, axis, dtype, keepdims=True, where=where)
        center = _divided(total, _counted(x, axis, True, where))
    deviation = converted(apply(np.subtract, x, center), x.dtype)
    deviation = choose(apply(np.isnan, x), number(0, x.dtype), deviation)
    squares = statistics.squared_magnitude(deviation)
    total = reductions.sum(squares, axis, dtype, keepdims=keepdims, where=where)
    freedom = apply(np.subtract, _counted(x, axis, keepdims, where), ddof)
    result = _divided(total, freedom)
    checked = choose(apply(np.less_equal, freedom, 0), number(np.nan, result.dtype), result)
    return checked if checked.shape else checked[()]


@implements(np.nanstd)
def nanstd(
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
    """`np.nanstd`."""
    options = {"where": where, "mean": mean, "correction": correction}
    variance = nanvar(a, axis, dtype, out, ddof, keepdims, **options)
    return converted(apply(np.sqrt, variance), variance.dtype)
