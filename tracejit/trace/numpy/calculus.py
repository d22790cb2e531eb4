"""Differences, integrals and filters on a grid: `diff`, `gradient`, `trapezoid`, `convolve`, ..."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...errors import UnsupportedError
from ...ir import ops
from ...ir.dims import Dim
from ..application import apply
from ..array import Array, view_or_doubt, wrap
from ..context import failure
from ..registry import implements
from ..value import known_value, node_of
from . import reductions, scans
from .arguments import UNSET, one_axis, ordered_axes, static, static_int
from .building import (
    as_array,
    broadcast,
    choose,
    concatenated,
    converted,
    in_common_dtype,
    number,
    padded,
    promoted_dtype,
    reshaped,
    taken,
    window,
)
from .contractions import Factor, contraction
from .joining import concatenate
from .shapes import flip

# Beyond this many taps, a filter is a product with a matrix of windows instead of a sum of slices.
_TAPS_LIMIT = 32


def _neighbours(x: Array, axis: int) -> tuple[Array, Array]:
    """Each element but the first, and the one before it."""
    before = (slice(None),) * axis
    return x[(*before, slice(1, None))], x[(*before, slice(-1))]


@implements(np.diff)
def diff(a, n=1, axis=-1, prepend=UNSET, append=UNSET):
    """`np.diff`; differences of bools say where neighbours differ."""
    n = static_int(n, "an order")
    if n == 0:
        return a
    if n < 0:
        raise ValueError(f"order must be non-negative but got {n!r}")
    x = as_array(a)
    if x.ndim == 0:
        raise ValueError("diff requires input that is at least one dimensional")
    axis = one_axis(axis, x.ndim)
    parts = [_edge(prepend, x, axis), x, _edge(append, x, axis)]
    parts = [part for part in parts if part is not None]
    if len(parts) > 1:
        x = concatenate(parts, axis)
    combine = np.not_equal if x.dtype == bool else np.subtract
    for _ in range(n):
        x = apply(combine, *_neighbours(x, axis))
    return x


def _edge(value: Any, x: Array, axis: int) -> Array | None:
    if value is UNSET:
        return None
    value = as_array(value)
    if value.ndim:
        return value
    return broadcast(value, (*x.shape[:axis], 1, *x.shape[axis + 1 :]))


@implements(np.ediff1d)
def ediff1d(ary, to_end=None, to_begin=None):
    """`np.ediff1d`: differences of the flattened array, in its dtype."""
    x = as_array(ary)
    x = reshaped(x, (x.size,))
    parts = [apply(np.subtract, *_neighbours(x, 0))] if x.size != 0 else [x]
    for name, value, place in (("to_begin", to_begin, 0), ("to_end", to_end, len(parts) + 1)):
        if value is not None:
            value = as_array(value)
            if not np.can_cast(value.dtype, x.dtype, "same_kind"):
                raise TypeError(
                    f"dtype of `{name}` must be compatible with input `ary` under the "
                    "`same_kind` rule."
                )
            parts.insert(place, converted(reshaped(value, (value.size,)), x.dtype))
    return concatenated(parts, 0)


@implements(np.gradient)
def gradient(f, *varargs, axis=None, edge_order=1):
    """`np.gradient`: second order inside, first or second order at the edges.

    Coordinates that happen to be evenly spaced are not looked for: their values are unknown.
    """
    x = as_array(f)
    axes = tuple(range(x.ndim)) if axis is None else ordered_axes(axis, x.ndim)
    spacings = _spacings(x, axes, varargs)
    if edge_order > 2:
        raise ValueError("'edge_order' greater than 2 not supported")
    if x.dtype.kind in "iu":
        x = converted(x, np.float64)
    outcome = x.dtype if x.dtype.kind in "fc" else np.dtype(np.float64)
    results = []
    for along, spacing in zip(axes, spacings):
        extent = x.shape[along]
        if type(extent) is int and extent < edge_order + 1:
            raise ValueError(
                "Shape of array too small to calculate a numerical gradient, "
                "at least (edge_order + 1) elements are required."
            )
        results.append(_gradient_along(x, along, spacing, edge_order, outcome))
    return results[0] if len(axes) == 1 else tuple(results)


def _spacings(x: Array, axes: tuple[int, ...], given: tuple) -> list[Any]:
    """For each axis one distance, or an array of the distances between neighbours."""
    if not given:
        return [1.0] * len(axes)
    if len(given) == 1 and _is_single(given[0]):
        return [given[0]] * len(axes)
    if len(given) != len(axes):
        raise TypeError("invalid number of arguments")
    spacings = []
    for value, axis in zip(given, axes):
        if _is_single(value):
            spacings.append(value)
            continue
        places = as_array(value)
        if places.ndim != 1:
            raise ValueError("distances must be either scalars or 1d")
        if places.shape[0] != x.shape[axis]:
            raise ValueError(
                "when 1d, distances must match the length of the corresponding dimension"
            )
        if places.dtype.kind in "iu":
            places = converted(places, np.float64)
        spacings.append(diff(places))
    return spacings


def _is_single(value: Any) -> bool:
    return isinstance(value, int | float | complex) or as_array(value).ndim == 0


def _gradient_along(x: Array, axis: int, step: Any, order: int, outcome: np.dtype) -> Array:
    n = x.shape[axis]
    left, middle, right = (window(x, axis, k, n - 2 + k) for k in range(3))
    is_even = _is_single(step)
    if is_even:
        inside = (right - left) / (2.0 * step)
        first_step = last_step = step
    else:
        before, after = (_beside(x, axis, window(step, 0, k, n - 2 + k)) for k in (0, 1))
        inside = (
            -after / (before * (before + after)) * left
            + (after - before) / (before * after) * middle
            + before / (after * (before + after)) * right
        )
        first_step, last_step = step[0], step[n - 2]
    ends = []
    for side in (0, 1):
        if order == 1:
            low = 0 if side == 0 else n - 2
            difference = window(x, axis, low + 1, low + 2) - window(x, axis, low, low + 1)
            ends.append(difference / (first_step if side == 0 else last_step))
        else:
            near = (step, step) if is_even else (step[0], step[1])
            far = (step, step) if is_even else (step[n - 3], step[n - 2])
            ends.append(_second_order_end(x, axis, near if side == 0 else far, side, is_even))
    parts = [ends[0], inside, ends[1]]
    return concatenated([converted(as_array(part), outcome) for part in parts], axis)


def _beside(x: Array, axis: int, steps: Array) -> Array:
    """Distances along `axis`, shaped to broadcast against `x`."""
    return reshaped(steps, (*steps.shape, *[1] * (x.ndim - axis - 1)))


def _second_order_end(x: Array, axis: int, steps: tuple, side: int, is_even: bool) -> Array:
    n = x.shape[axis]
    one, two = steps
    if is_even:
        table = (-1.5, 2.0, -0.5) if side == 0 else (0.5, -2.0, 1.5)
        factors = [factor / one for factor in table]
    elif side == 0:
        factors = [
            -(2.0 * one + two) / (one * (one + two)),
            (one + two) / (one * two),
            -one / (two * (one + two)),
        ]
    else:
        factors = [
            two / (one * (one + two)),
            -(two + one) / (one * two),
            (2.0 * two + one) / (two * (one + two)),
        ]
    start = 0 if side == 0 else n - 3
    a, b, c = (window(x, axis, start + k, start + k + 1) for k in range(3))
    return factors[0] * a + factors[1] * b + factors[2] * c


@implements(np.trapezoid)
def trapezoid(y, x=None, dx=1.0, axis=-1):
    """`np.trapezoid`."""
    y = as_array(y)
    axis = one_axis(axis, y.ndim)
    step = dx
    if x is not None:
        places = as_array(x)
        step = diff(places) if places.ndim == 1 else diff(places, axis=axis)
        if places.ndim == 1:
            step = reshaped(step, (*step.shape, *[1] * (y.ndim - axis - 1)))
    pairs = apply(np.add, *_neighbours(y, axis))
    return reductions.sum(apply(np.multiply, step, pairs) / 2.0, axis)


@implements(np.unwrap)
def unwrap(p, discont=None, axis=-1, *, period=2 * np.pi):
    """`np.unwrap`."""
    p = as_array(p)
    axis = one_axis(axis, p.ndim)
    steps = diff(p, axis=axis)
    discont = period / 2 if discont is None else discont
    dtype = promoted_dtype(steps, period)
    if dtype.kind in "iu":
        high, remainder = divmod(period, 2)
        is_ambiguous = remainder == 0
    else:
        high, is_ambiguous = period / 2, True
    wrapped = apply(np.mod, steps - -high, period) + -high
    if is_ambiguous:
        at_edge = (wrapped == -high) & (steps > 0)
        wrapped = choose(at_edge, number(high, wrapped.dtype), wrapped)
    correction = wrapped - steps
    is_small = apply(np.less, apply(np.absolute, steps), discont)
    correction = choose(is_small, number(0, correction.dtype), correction)
    later = window(p, axis, 1, p.shape[axis]) + scans.cumsum(correction, axis)
    first = window(p, axis, 0, 1)
    return concatenated([converted(first, dtype), converted(later, dtype)], axis)


def windows_of(x: Array, axis: int, width: int) -> Array:
    """Every run of `width` neighbours along `axis`; where in a run is a new last axis."""
    return wrap(ops.windows(node_of(x), axis=axis, width=width))


@implements(np.lib.stride_tricks.sliding_window_view)
def sliding_window_view(x, window_shape, axis=None, *, subok=False, writeable=False):
    """`np.lib.stride_tricks.sliding_window_view`, as a value beside which none may be written."""
    source = x = as_array(x)
    window_shape = static(window_shape, "a window")
    widths = tuple(window_shape) if isinstance(window_shape, tuple | list) else (window_shape,)
    if any(width < 0 for width in widths):
        raise ValueError("window_shape cannot contain negative values")
    axes = tuple(range(x.ndim)) if axis is None else ordered_axes_with_repeats(axis, x.ndim)
    if len(widths) != len(axes):
        raise ValueError(
            "Must provide matching length window_shape and axis; "
            f"got {len(widths)} window_shape elements and {len(axes)} axes elements."
        )
    for along, width in zip(axes, widths):
        if width > x.shape[along]:
            raise ValueError("window shape cannot be larger than input array shape")
        x = windows_of(x, along, width)
    return view_or_doubt(source, x, "windows", can_write=False)


def ordered_axes_with_repeats(axis: Any, ndim: int) -> tuple[int, ...]:
    """Non-negative axes in the order given; an axis may come twice."""
    axes = axis if isinstance(axis, tuple | list) else (axis,)
    return tuple(one_axis(item, ndim) for item in axes)


@implements(np.convolve)
def convolve(a, v, mode="full"):
    """`np.convolve` of two vectors."""
    x, y = _vectors(a, v, "a", "v")
    if _is_longer(y, x):
        x, y = y, x
    return _correlated(x, flip(y), mode)


@implements(np.correlate)
def correlate(a, v, mode="valid"):
    """`np.correlate` of two vectors, the second conjugated."""
    x, y = _vectors(a, v, "first array argument", "second array argument")
    if y.dtype.kind == "c":
        y = apply(np.conjugate, y)
    if _is_longer(y, x):
        return flip(_correlated(y, x, mode))
    return _correlated(x, y, mode)


def _vectors(a: Any, v: Any, *names: str) -> tuple[Array, Array]:
    x, y = in_common_dtype(as_array(a), as_array(v))
    vectors = []
    for value, name in zip((x, y), names):
        value = value if value.ndim else reshaped(value, (1,))
        if value.ndim > 1:
            raise ValueError("object too deep for desired array")
        if value.size == 0:
            raise ValueError(f"{name} cannot be empty")
        vectors.append(value)
    return vectors[0], vectors[1]


def _is_longer(x: Array, y: Array) -> bool:
    sizes = (x.size, y.size)
    if any(isinstance(size, Dim) for size in sizes):
        return not isinstance(sizes[1], Dim)
    return sizes[0] > sizes[1]


def _correlated(x: Array, taps: Array, mode: Any) -> Array:
    """`sum(x[k + j] * taps[j])`, with zeros around `x` as far as `mode` wants."""
    m = taps.size
    if isinstance(m, Dim):
        raise failure(
            UnsupportedError,
            "a filter needs a number of taps known while tracing",
            "let the function be compiled for each size",
        )
    before = _room(mode, m)
    after = m - 1 - before if mode == "same" else before
    if before or after:
        taps = _finite(taps)
    x = padded(x, (before,), (after,))
    n = x.size - m + 1
    if m > _TAPS_LIMIT:
        return contraction([Factor(windows_of(x, 0, m), ("n", "m")), Factor(taps, ("m",))], ("n",))
    total = None
    for k in range(m):
        term = apply(np.multiply, window(x, 0, k, n + k), taken(taps, 0, k))
        total = term if total is None else apply(np.add, total, term)
    return total


def _finite(taps: Array) -> Array:
    """The taps, which zeros around an array may be multiplied with; NumPy has no zeros, and is left what is
    not finite."""
    known = known_value(taps.node)
    if taps.dtype.kind not in "fc" or (known is not None and np.isfinite(known).all()):
        return taps
    legal = ops.legal(node_of(reductions.all(apply(np.isfinite, taps))))
    return choose(wrap(legal), taps, number(0, taps.dtype))


def _room(mode: Any, m: int) -> int:
    if mode == "valid":
        return 0
    if mode == "full":
        return m - 1
    if mode == "same":
        return m // 2
    raise ValueError(f"mode must be one of 'valid', 'same', or 'full' (got {mode!r})")
