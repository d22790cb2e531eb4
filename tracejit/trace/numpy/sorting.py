"""Sorting by NumPy's own functions, and what is read off sorted values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ...ir import ops
from ...ir.numpy_code import is_found
from ...ir.numpy_sorts import Sorting
from ...ir.types import to_dtype
from ..application import apply
from ..array import Array, wrap
from ..host import no_rule
from ..registry import implements
from ..value import Value, known_value, node_of
from .arguments import all_axes, is_traced, one_axis, ordered_axes, refuse_out
from .building import (
    as_array,
    choose,
    count,
    gathered,
    permuted,
    reshaped,
    scalar_like,
    taken,
    window,
)

_KINDS = {None: "quicksort", "quicksort": "quicksort", "mergesort": "stable", "stable": "stable"}


def _kind(function: str, kind: Any, order: Any, stable: Any) -> str:
    if kind is not None and stable is not None:
        raise ValueError(
            "`kind` and keyword parameters can't be provided at the same time. "
            "Use only one of them."
        )
    if stable is not None:
        kind = "stable" if stable else "quicksort"
    if order is not None or kind not in _KINDS:
        raise no_rule(f"np.{function} with order={order!r}, kind={kind!r}")
    return _KINDS[kind]


def _rows(x: Array, axis: Any) -> tuple[Array, int]:
    """`x` with `axis` last, or as one row where that is None; and which axis it was."""
    if axis is None:
        x, axis = reshaped(x, (x.size,)), 0
    axis = one_axis(axis, x.ndim)
    return permuted(x, (*[k for k in range(x.ndim) if k != axis], axis)), axis


def _back(x: Array, axis: int) -> Array:
    """The last axis at its place again."""
    return permuted(x, (*range(axis), x.ndim - 1, *range(axis, x.ndim - 1)))


def _require(name: str, kind: str, *arrays: Array) -> None:
    for x in arrays:
        if not is_found(Sorting(name, kind, to_dtype(x.dtype)).symbol):
            raise no_rule(f"np.{name}")


def sorted_rows(x: Array, kind: str = "quicksort") -> Array:
    """`x` sorted along its last axis."""
    _require("sort", kind, x)
    return wrap(ops.sort(node_of(x), kind=kind))


def order_of_rows(*keys: Array, kind: str = "quicksort") -> Array:
    """Positions along the last axis, by the last key first."""
    _require("argsort", kind, *keys)
    return wrap(ops.order(*[node_of(key) for key in keys], kind=kind))


@implements(np.sort)
def sort(a, axis=-1, kind=None, order=None, *, stable=None):
    """`np.sort`; heap sort is left to NumPy."""
    x, axis = _rows(as_array(a), axis)
    return _back(sorted_rows(x, _kind("sort", kind, order, stable)), axis)


@implements(np.argsort)
def argsort(a, axis=-1, kind=None, order=None, *, stable=None):
    """`np.argsort`; heap sort is left to NumPy."""
    x = as_array(a)
    if x.ndim == 0:
        raise no_rule("np.argsort of a number")
    x, axis = _rows(x, axis)
    return _back(order_of_rows(x, kind=_kind("argsort", kind, order, stable)), axis)


@implements(method="argsort")
def argsort_method(a, axis=-1, kind=None, order=None, *, stable=None):
    """`x.argsort()`."""
    return np.argsort(a, axis=axis, kind=kind, order=order, stable=stable)


@implements(np.lexsort)
def lexsort(keys, axis=-1):
    """`np.lexsort`: by the last key first."""
    given = [as_array(key) for key in keys]
    if not given or any(key.ndim == 0 or key.shape != given[0].shape for key in given):
        raise no_rule("np.lexsort of such keys")
    rows = [_rows(key, axis) for key in given]
    return _back(order_of_rows(*[row for row, _ in rows], kind="stable"), rows[0][1])


@implements(np.sort_complex)
def sort_complex(a):
    """`np.sort_complex`."""
    x = sort(a)
    if x.dtype.kind == "c":
        return x
    return x.astype(np.complex64 if x.dtype.char in "bhBH" else np.complex128)


# What is read off sorted values.


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


def _nan_where_last_is(rows: Array, result: Array) -> Array:
    """NaN where a sorted row has any, which then is its last element."""
    if rows.dtype.kind not in "fc":
        return result
    last = taken(rows, rows.ndim - 1, rows.shape[-1] - 1)
    return choose(apply(np.isnan, last), last, result)


@implements(np.median)
def median(a, axis=None, out=None, overwrite_input=False, keepdims=False):
    """`np.median`; of equal zeros of different signs it may have another than NumPy."""
    refuse_out("median", out)
    x = as_array(a)
    if overwrite_input or x.ndim == 0 or 0 in x.shape:
        raise no_rule("np.median of a number, of nothing, or overwriting its operand")
    x, axes = _gathered_axes(x, axis)
    n = x.shape[-1]
    if type(n) is not int:
        raise no_rule("np.median of an unknown number of elements")
    rows = sorted_rows(x)
    middle = window(rows, x.ndim - 1, (n - 1) // 2, n // 2 + 1).mean(-1)
    result = _nan_where_last_is(rows, as_array(middle))
    return _with_axes(result, axes) if keepdims else scalar_like(result)


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


def _weights(method: str, places: np.ndarray, first: np.ndarray) -> np.ndarray:
    """How far from the first element of two to the second a quantile lies."""
    gamma = np.asanyarray(places - first)
    match method:
        case "averaged_inverted_cdf":
            gamma = np.where(gamma == 0, 0.5, 1.0)
        case "midpoint":
            gamma = np.where(places % 1 == 0, 0.0, 0.5)
    return np.asanyarray(gamma, dtype=places.dtype)


def _interpolated(a: Array, b: Array, t: Any) -> Array:
    """`a + (b - a) * t`, from the nearer end, as NumPy rounds it."""
    distance = b - a
    from_first = apply(np.add, a, distance * t)
    if type(t) is float:
        far = apply(np.subtract, b, distance * (1 - t)).astype(from_first.dtype)
        return far if t >= 0.5 else from_first
    from_second = apply(np.subtract, b, distance * (1 - t), dtype=from_first.dtype.type)
    return choose(as_array(t >= 0.5), from_second, from_first)


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
        raise no_rule(f"np.{name} of an unknown number of elements")
    rows = sorted_rows(rows)
    rank = rows.ndim - 1
    elements = permuted(rows, (rank, *range(rank)))
    places = np.asanyarray(_PLACES[method](n, q))

    def at(positions: np.ndarray) -> Array:
        return gathered(elements, as_array(positions.astype(np.intp)), 0)

    if method in _DISCRETE or (method == "linear" and places.dtype.kind in "iu"):
        result = at(places % n)
    else:
        first = np.floor(places)
        is_last, is_first = places >= n - 1, places < 0
        low = np.where(is_last, -1, np.where(is_first, 0, first))
        high = np.where(is_last, -1, np.where(is_first, 0, first + 1))
        gamma = _weights(method, places, low.astype(np.intp))
        t = float(gamma) if weak else gamma.reshape(places.shape + (1,) * rank)
        result = _interpolated(at(low % n), at(high % n), t)
    last = taken(elements, 0, n - 1)
    if rows.dtype.kind == "f":
        if result.ndim == 0 and result.dtype != rows.dtype:
            raise no_rule(f"np.{name} whose dtype depends on whether there is a NaN")
        result = choose(apply(np.isnan, last), last, result)
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
    at_hand = _known_quantiles("quantile", q, out, overwrite_input, weights)
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
    at_hand = np.true_divide(_known_quantiles("percentile", q, out, overwrite_input, weights), 100)
    if as_array(a).dtype.kind == "c":
        raise TypeError("a must be an array of real numbers")
    if not ((at_hand >= 0) & (at_hand <= 1)).all():
        raise ValueError("Percentiles must be in the range [0, 100]")
    at_hand = np.asanyarray(at_hand)
    return _quantile("percentile", a, at_hand, axis, method, keepdims, type(q) in (int, float))


def _known_quantiles(
    name: str, q: Any, out: Any, overwrite_input: bool, weights: Any
) -> np.ndarray:
    refuse_out(name, out)
    if isinstance(q, Value):
        q = known_value(node_of(q))
    if overwrite_input or weights is not None or q is None or is_traced(q):
        raise no_rule(f"np.{name} with such options")
    return np.asanyarray(q)
