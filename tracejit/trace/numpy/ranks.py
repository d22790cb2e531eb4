"""What is read off the elements of rows by their rank: medians, quantiles, partitions.

`overwrite_input` allows NumPy to use the operand's memory; here it stays as it is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ...ir import ops
from ...ir.dims import is_never_negative
from ...ir.ops.ranks import SHORT
from ..application import apply
from ..array import Array, wrap
from ..host import no_rule
from ..registry import implements
from ..value import Value, known_value, node_of
from . import reductions
from .arguments import UNSET, all_axes, is_traced, option, ordered_axes, refuse_out
from .building import (
    as_array,
    choose,
    concatenated,
    converted,
    count,
    filled,
    gathered,
    permuted,
    promoted_dtype,
    reshaped,
    scalar_like,
    taken,
)
from .selection import take_along_axis
from .sorting import require_sorting, sorted_rows, widened
from .statistics import divided

# Of more ranks than these, all of a row is sorted.
MOST_RANKS = 24
# Of so many quantiles at places that are computed each has a pass of its own.
MOST_AT = 5


def _gathered_axes(x: Array, axis: Any) -> tuple[Array, tuple[int, ...]]:
    """`x` with the given axes as one, the last; and which those are."""
    axes = all_axes(None, x.ndim) if axis is None else tuple(sorted(ordered_axes(axis, x.ndim)))
    outer = tuple([k for k in range(x.ndim) if k not in axes])
    moved = permuted(x, (*outer, *axes))
    return reshaped(moved, (*moved.shape[: len(outer)], count(x, axes))), axes


def _with_axes(result: Array, axes: tuple[int, ...], first: int = 0) -> Array:
    """The axes that are gone as axes of extent 1; `first` axes come before those of the operand."""
    shape = list(result.shape)
    for axis in axes:
        shape.insert(first + axis, 1)
    return reshaped(result, tuple(shape))


def ranked(rows: Array, ranks: tuple[int, ...]) -> Array:
    """The elements that each row has at `ranks` when it is sorted, NaN where it has one anywhere."""
    wide = widened(rows)
    require_sorting("sort", "quicksort", wide)
    return converted(wrap(ops.ranked(node_of(wide), ranks=ranks)), rows.dtype)


def _ranked_at(rows: Array, ranks: Array) -> Array:
    """The same for ranks that are computed, in rows of any length."""
    wide = widened(rows)
    require_sorting("sort", "quicksort", wide)
    found = ops.ranked_at(node_of(wide), node_of(converted(ranks, np.int64)))
    return converted(wrap(found), rows.dtype)


@implements(np.median)
def median(a, axis=None, out=None, overwrite_input=False, keepdims=False):
    """`np.median`; of equal zeros of different signs it may have another than NumPy."""
    refuse_out("median", out)
    x = as_array(a)
    if x.ndim == 0 or 0 in x.shape:
        raise no_rule("np.median of a number, or of nothing")
    x, axes = _gathered_axes(x, axis)
    n = x.shape[-1]
    if type(n) is int:
        middle = ranked(x, tuple(range((n - 1) // 2, n // 2 + 1)))
        elements = [taken(middle, x.ndim - 1, k) for k in range(middle.shape[-1])]
        result = _mean_of(*elements)
    else:
        elements = _middle_of_unknown(x)
        is_odd = apply(np.equal, apply(np.remainder, as_array(n), 2), 1)
        result = choose(is_odd, _mean_of(elements[0]), _mean_of(*elements))
    if x.dtype.kind == "c":  # of which one part may be a number
        result = choose(apply(np.isnan, elements[0]), elements[0], result)
    return _with_axes(result, axes) if keepdims else scalar_like(result)


def _middle_of_unknown(x: Array) -> list[Array]:
    """The two elements in the middle of rows, the same where their number is odd; NaN where a row has any."""
    axis, n = x.ndim - 1, as_array(x.shape[-1])
    halves = [apply(np.floor_divide, apply(np.subtract, n, k), 2) for k in (1, 0)]
    if x.dtype.kind in "iuf" and is_never_negative(node_of(x).type.shape[-1] - 1):
        both = concatenated([reshaped(as_array(place), (1, 1)) for place in halves], 1)
        middle = _ranked_at(x, both)
        return [taken(taken(middle, axis + 1, k), axis, 0) for k in range(2)]
    rows = sorted_rows(x)
    *found, last = [
        taken(gathered(rows, reshaped(as_array(place), (1,)), axis), axis, 0)
        for place in (*halves, apply(np.subtract, n, 1))
    ]
    if x.dtype.kind not in "fc":
        return found
    return [choose(apply(np.isnan, last), last, element) for element in found]


def _mean_of(*elements: Array) -> Array:
    """The mean of one or two, as NumPy rounds it."""
    dtype = np.dtype(np.float64) if elements[0].dtype.kind in "biu" else elements[0].dtype
    wide = np.float32 if dtype == np.float16 else dtype
    first, *others = [converted(element, wide) for element in elements]
    total = first if not others else apply(np.add, first, *others)
    return converted(divided(as_array(total), len(elements)), dtype)


# Quantiles: between which two of the sorted elements, and where between them.


def _cdf_index(n: int, q: np.ndarray, shift: float, stays: Callable[..., Any]) -> np.ndarray:
    """Of the two elements around `n * q - 1 - shift` the first where it `stays` there, else the second."""
    index = n * q - 1 - shift
    first = np.floor(index)
    chosen = np.where(stays(index - first, first), first, first + 1)
    return np.maximum(chosen.astype(np.intp), 0)


def _between(n: int, q: np.ndarray, alpha: float, beta: float) -> np.ndarray:
    """Hyndman and Fan's family: at `n * q + alpha + q * (1 - alpha - beta) - 1`."""
    return n * q + (alpha + q * (1 - alpha - beta)) - 1


# Where among n sorted elements a quantile is: a whole number says at which one (R. J. Hyndman and
# Y. Fan, "Sample quantiles in statistical packages", 1996, and NumPy's own four).
_PLACES: dict[str, Callable[[int, np.ndarray], np.ndarray]] = {
    "inverted_cdf": lambda n, q: _cdf_index(n, q, 0, lambda gamma, _: gamma == 0),
    "averaged_inverted_cdf": lambda n, q: n * q - 1,
    "closest_observation": lambda n, q: _cdf_index(
        n, q, 0.5, lambda gamma, first: (gamma == 0) & (first % 2 == 1)
    ),
    "interpolated_inverted_cdf": lambda n, q: _between(n, q, 0, 1),
    "hazen": lambda n, q: _between(n, q, 0.5, 0.5),
    "weibull": lambda n, q: _between(n, q, 0, 0),
    "linear": lambda n, q: (n - 1) * q,
    "median_unbiased": lambda n, q: _between(n, q, 1 / 3.0, 1 / 3.0),
    "normal_unbiased": lambda n, q: _between(n, q, 3 / 8.0, 3 / 8.0),
    "lower": lambda n, q: np.floor((n - 1) * q).astype(np.intp),
    "higher": lambda n, q: np.ceil((n - 1) * q).astype(np.intp),
    "midpoint": lambda n, q: 0.5 * (np.floor((n - 1) * q) + np.ceil((n - 1) * q)),
    "nearest": lambda n, q: np.around((n - 1) * q).astype(np.intp),
}


_DISCRETE = ("inverted_cdf", "closest_observation", "lower", "higher", "nearest")


def _weights(method: str, places: Any, first: Any) -> Any:
    """How far from the first element of two to the second a quantile lies."""
    gamma = places - first
    match method:
        case "averaged_inverted_cdf":
            gamma = np.where(gamma == 0, 0.5, 1.0)
        case "midpoint":
            gamma = np.where(places % 1 == 0, 0.0, 0.5)
    return gamma


def _interpolated(a: Array, b: Array, t: Any) -> Array:
    """`a + (b - a) * t`, from the nearer end, as NumPy rounds it."""
    distance = b - a
    from_first = apply(np.add, a, distance * t)
    if type(t) is float:
        far = apply(np.subtract, b, distance * (1 - t)).astype(from_first.dtype)
        return far if t >= 0.5 else from_first
    return _mixed(a, b, t, 1 - t, as_array(t >= 0.5))


def _mixed(a: Array, b: Array, t: Any, rest: Any, is_far: Array) -> Array:
    """`a + (b - a) * t`, or `b - (b - a) * rest` where that is nearer."""
    distance = b - a
    from_first = apply(np.add, a, distance * t)
    from_second = apply(np.subtract, b, distance * rest, dtype=from_first.dtype.type)
    return choose(is_far, from_second, from_first)


def _elements_at(rows: Array, *places: np.ndarray) -> tuple[Array, list[Array]]:
    """Elements of sorted rows, their axes after those of the places; and some one, which is NaN where
    a row has any."""
    positions = [np.asarray(place).astype(np.intp) for place in places]
    ranks = np.unique(np.concatenate([place.ravel() for place in positions]))
    if ranks.size <= MOST_RANKS:
        found = ranked(rows, tuple(ranks.tolist()))
        positions = [np.searchsorted(ranks, place) for place in positions]
    else:
        found = sorted_rows(rows)
    axis = found.ndim - 1
    elements = permuted(found, (axis, *range(axis)))
    some = taken(elements, 0, elements.shape[0] - 1)
    return some, [gathered(elements, as_array(place), 0) for place in positions]


def _quantile(name: str, a: Any, q: Any, axis: Any, method: str, keepdims: bool, weak: bool) -> Any:
    """Quantiles of `q`, an array at hand, whose axes come first in the result."""
    if method not in _PLACES:
        raise no_rule(f"np.{name} by the method {method!r}")
    x = as_array(a)
    if x.ndim == 0 or 0 in x.shape or q.ndim > 2 or q.size == 0 or q.dtype.kind not in "iuf":
        raise no_rule(f"np.{name} of a number, of nothing, or for such quantiles")
    rows, axes = _gathered_axes(x, axis)
    n = rows.shape[-1]
    if type(n) is not int:
        return _quantile_of_unknown(name, rows, axes, q, method, keepdims, weak)
    places = np.asanyarray(_PLACES[method](n, q))
    if method in _DISCRETE or (method == "linear" and places.dtype.kind in "iu"):
        some, (element,) = _elements_at(rows, places % n)
        result = element
    else:
        first = np.floor(places)
        is_last, is_first = places >= n - 1, places < 0
        low = np.where(is_last, -1, np.where(is_first, 0, first))
        high = np.where(is_last, -1, np.where(is_first, 0, first + 1))
        gamma = np.asanyarray(_weights(method, places, low.astype(np.intp)), dtype=places.dtype)
        t = float(gamma) if weak else gamma.reshape(places.shape + (1,) * (rows.ndim - 1))
        some, neighbours = _elements_at(rows, low % n, high % n)
        result = _interpolated(*neighbours, t)
    if rows.dtype.kind == "f":
        if result.ndim == 0 and result.dtype != rows.dtype:
            raise no_rule(f"np.{name} whose dtype depends on whether there is a NaN")
        result = choose(apply(np.isnan, some), some, result)
    return _with_axes(as_array(result), axes, q.ndim) if keepdims else scalar_like(result)


def _quantile_of_unknown(
    name: str, rows: Array, axes: tuple[int, ...], q: Any, method: str, keepdims: bool, weak: bool
) -> Any:
    """The same where it is computed at which elements they are, of what is something."""
    own = node_of(rows).type.shape[-1]
    if q.dtype.kind != "f" or not is_never_negative(own - 1) or rows.dtype.kind not in "iuf":
        raise no_rule(f"np.{name} of an unknown number of elements")
    axis, last = rows.ndim - 1, as_array(rows.shape[-1]) - 1
    place = as_array(_PLACES[method](converted(last + 1, q.dtype), as_array(q.reshape(-1))))
    first = apply(np.floor, converted(place, q.dtype))
    low, high = [
        apply(np.minimum, apply(np.maximum, converted(each, np.int64), 0), last)
        for each in (first, first + 1)
    ]
    if method in _DISCRETE:
        high = low
    neighbours = [permuted(each, (axis, *range(axis))) for each in _pairs_at(rows, low, high)]
    if method in _DISCRETE:
        return _finished(neighbours[0], rows, neighbours, axes, q, keepdims)
    # NumPy measures from the end where it is met, and so not at all.
    is_inside = apply(np.logical_and, apply(np.less, place, converted(last, q.dtype)), place >= 0)
    gamma = choose(is_inside, as_array(_weights(method, place, first)), 0.0)
    gamma = reshaped(converted(gamma, q.dtype), (q.size,) + (1,) * axis)
    weights = [gamma, 1 - gamma]
    if weak:  # as below
        weights = [converted(w, promoted_dtype(*neighbours, 1.0)) for w in weights]
    result = _mixed(*neighbours, *weights, is_far=apply(np.greater_equal, gamma, 0.5))
    return _finished(result, rows, neighbours, axes, q, keepdims)


def _pairs_at(rows: Array, low: Array, high: Array) -> list[Array]:
    """Elements of all rows by their ranks, the last axis of which is that of the ranks; NaN where a row has any."""
    axis = rows.ndim - 1
    if low.size <= MOST_AT:
        pairs = [reshaped(each, (low.size, 1)) for each in (low, high)]
        found = _ranked_at(rows, concatenated(pairs, 1))
        return [taken(found, axis + 1, k) for k in range(2)]
    ordered = sorted_rows(rows)
    found = [gathered(ordered, each, axis) for each in (low, high)]
    if rows.dtype.kind != "f":
        return found
    greatest = gathered(ordered, reshaped(as_array(rows.shape[-1]) - 1, (1,)), axis)
    return [choose(apply(np.isnan, greatest), greatest, each) for each in found]


def _finished(
    result: Array,
    rows: Array,
    neighbours: list[Array],
    axes: tuple[int, ...],
    q: Any,
    keepdims: bool,
) -> Any:
    """Quantiles as NumPy gives them, those of a row with NaN NaN."""
    if rows.dtype.kind == "f":
        some = neighbours[0]
        result = choose(apply(np.isnan, some), some, result)
    result = reshaped(result, (*q.shape, *result.shape[1:]))
    return _with_axes(as_array(result), axes, q.ndim) if keepdims else scalar_like(result)


@implements(np.quantile)
def quantile(
    a,
    q,
    axis=None,
    out=None,
    overwrite_input=False,
    method="linear",
    keepdims=False,
    *,
    weights=None,
):
    """`np.quantile` for quantiles that are known, by all methods."""
    at_hand = _known_quantiles("quantile", q, out, weights)
    if as_array(a).dtype.kind == "c":
        raise TypeError("a must be an array of real numbers")
    if not ((at_hand >= 0) & (at_hand <= 1)).all():
        raise ValueError("Quantiles must be in the range [0, 1]")
    return _quantile("quantile", a, at_hand, axis, method, keepdims, type(q) in (int, float))


@implements(np.percentile)
def percentile(
    a,
    q,
    axis=None,
    out=None,
    overwrite_input=False,
    method="linear",
    keepdims=False,
    *,
    weights=None,
):
    """`np.percentile` for percentages that are known, by all methods."""
    at_hand = np.true_divide(_known_quantiles("percentile", q, out, weights), 100)
    if as_array(a).dtype.kind == "c":
        raise TypeError("a must be an array of real numbers")
    if not ((at_hand >= 0) & (at_hand <= 1)).all():
        raise ValueError("Percentiles must be in the range [0, 100]")
    at_hand = np.asanyarray(at_hand)
    return _quantile("percentile", a, at_hand, axis, method, keepdims, type(q) in (int, float))


def _known_quantiles(name: str, q: Any, out: Any, weights: Any) -> np.ndarray:
    refuse_out(name, out)
    if isinstance(q, Value):
        q = known_value(node_of(q))
    if weights is not None or q is None or is_traced(q):
        raise no_rule(f"np.{name} with such options")
    return np.asanyarray(q)


# Where NaN does not count.


def _counted_rows(name: str, a: Any, axis: Any) -> tuple[Array, Array, tuple[int, ...]]:
    """Rows of floats, how many elements of each are no NaN, and the axes that are gone."""
    x = as_array(a)
    if x.ndim == 0 or 0 in x.shape or x.dtype.kind != "f":
        raise no_rule(f"np.{name} of a number, of nothing, or of {x.dtype}")
    rows, axes = _gathered_axes(x, axis)
    is_number = apply(np.logical_not, apply(np.isnan, rows))
    return rows, as_array(reductions.sum(is_number, -1, np.int64)), axes


def _neighbours(rows: Array, low: Array, high: Array) -> list[Array]:
    """Elements of each row by their ranks, of which the last axis has several, among those that are no NaN."""
    places = [apply(np.maximum, place, 0) for place in (low, high)]
    extent, count = rows.shape[-1], low.shape[-1]
    if count > MOST_AT or type(extent) is int and extent < SHORT:
        ordered = sorted_rows(rows)
        return [take_along_axis(ordered, place, -1) for place in places]
    # Where all that is NaN is greatest, ranks before it stay.
    greatest = filled((), np.inf, rows.dtype)
    numbers = choose(apply(np.isnan, rows), greatest, rows)
    pairs = [reshaped(place, (*place.shape, 1)) for place in places]
    found = _ranked_at(numbers, concatenated(pairs, low.ndim))
    return [taken(found, low.ndim, k) for k in range(2)]


@implements(np.nanmedian)
def nanmedian(a, axis=None, out=None, overwrite_input=False, keepdims=UNSET):
    """`np.nanmedian`: NaN, without a warning, where there is nothing else."""
    refuse_out("nanmedian", out)
    keepdims = bool(option(keepdims, False))
    if as_array(a).dtype.kind in "biu":
        return median(a, axis, None, overwrite_input, keepdims)
    rows, number, axes = _counted_rows("nanmedian", a, axis)
    places = [reshaped(apply(np.floor_divide, number - k, 2), (*number.shape, 1)) for k in (1, 0)]
    low, high = [taken(found, number.ndim, 0) for found in _neighbours(rows, *places)]
    is_odd = apply(np.equal, apply(np.remainder, number, 2), 1)
    result = choose(is_odd, low, _mean_of(low, high))
    result = choose(apply(np.equal, number, 0), filled((), np.nan, rows.dtype), result)
    return _with_axes(result, axes) if keepdims else scalar_like(result)


@implements(np.nanquantile)
def nanquantile(
    a,
    q,
    axis=None,
    out=None,
    overwrite_input=False,
    method="linear",
    keepdims=UNSET,
    *,
    weights=None,
):
    """`np.nanquantile` by the linear method, for quantiles that are known."""
    at_hand = _known_quantiles("nanquantile", q, out, weights)
    if not ((at_hand >= 0) & (at_hand <= 1)).all():
        raise ValueError("Quantiles must be in the range [0, 1]")
    is_plain = type(q) in (int, float)
    return _nan_quantile("nanquantile", a, at_hand, axis, method, keepdims, is_plain)


@implements(np.nanpercentile)
def nanpercentile(
    a,
    q,
    axis=None,
    out=None,
    overwrite_input=False,
    method="linear",
    keepdims=UNSET,
    *,
    weights=None,
):
    """`np.nanpercentile` by the linear method, for percentages that are known."""
    at_hand = _known_quantiles("nanpercentile", q, out, weights)
    dtype = as_array(a).dtype
    is_plain = type(q) in (int, float)
    at_hand = np.true_divide(at_hand, dtype.type(100) if dtype.kind == "f" and is_plain else 100)
    if not ((at_hand >= 0) & (at_hand <= 1)).all():
        raise ValueError("Percentiles must be in the range [0, 100]")
    return _nan_quantile("nanpercentile", a, at_hand, axis, method, keepdims, is_plain)


def _nan_quantile(
    name: str, a: Any, q: Any, axis: Any, method: str, keepdims: Any, is_plain: bool
) -> Any:
    x = as_array(a)
    keepdims = bool(option(keepdims, False))
    if x.dtype.kind in "biu":
        return _quantile(name, a, np.asanyarray(q), axis, method, keepdims, is_plain)
    if method != "linear" or np.ndim(q) > 1 or np.size(q) == 0:
        raise no_rule(f"np.{name} by the method {method!r}, or for such quantiles")
    rows, number, axes = _counted_rows(name, a, axis)
    q = np.asarray(q)
    wanted = as_array(q.reshape(q.shape + (1,) * number.ndim))
    last = number - 1
    place = apply(np.multiply, converted(last, q.dtype), wanted)
    first = apply(np.floor, place)
    low = apply(np.minimum, converted(first, np.int64), last)
    high = apply(np.minimum, low + 1, last)
    # NumPy measures from the end where it is met, and so not at all.
    is_last = apply(np.greater_equal, place, converted(last, q.dtype))
    weight = choose(is_last, 0.0, place - first)
    found = [reshaped(each, (q.size, *number.shape)) for each in (low, high)]
    found = [permuted(each, (*range(1, each.ndim), 0)) for each in found]
    found = [
        permuted(each, (each.ndim - 1, *range(each.ndim - 1))) for each in _neighbours(rows, *found)
    ]
    found = [reshaped(each, (*q.shape, *number.shape)) for each in found]
    # A Python number, which is weak, takes on the dtype of the elements after it is subtracted.
    weights = [converted(w, rows.dtype) if is_plain else w for w in (weight, 1 - weight)]
    result = _mixed(*found, *weights, is_far=apply(np.greater_equal, weight, 0.5))
    empty = apply(np.equal, number, 0)
    result = choose(empty, filled((), np.nan, result.dtype), result)
    return _with_axes(result, axes, q.ndim) if keepdims else scalar_like(result)
