"""Fourier transforms of many elements: side by side in lanes, by the op `fourier` (ir/ops/fourier.py).

Each function gives None where NumPy's own loops are for it: for few elements, for numbers of points with large
factors or that are not known, and for `numerics="strict"`.

Real numbers are transformed as the parts of half as many complex ones. With the transform Z of these, h
points, that of 2 h real ones is made of what Z has at k and at h - k, and the other way round:

    X[k] = (Z[k] + conj(Z[h - k])) / 2 - i exp(-2 pi i k / (2 h)) (Z[k] - conj(Z[h - k])) / 2
"""

from __future__ import annotations

from functools import lru_cache
from math import prod

import numpy as np

from ...ir import ops
from ..application import apply
from ..array import Array, wrap
from ..constants import constant
from ..context import current_trace
from ..value import node_of
from .building import as_array, concatenated, converted, padded, permuted, reshaped, window

# Factors that are written out; the largest first.
FACTORS = (13, 11, 7, 5, 3)
# The most points of transforms whose blocks stay in the caches, and of those that others are made of.
MOST_POINTS, MOST_OF_PART = 1024, 4096
# The fewest points of rows that are taken apart though there are many, and the most bytes of all these.
LEAST_APART, MOST_BYTES_APART = 256, 1 << 20
# So many transforms at least, side by side; and so many elements.
LEAST, LEAST_SIZE = 4, 256


def _radices(n: int) -> tuple[int, ...] | None:
    """The steps of a transform of `n` points: of as many as eight, in as few steps as can be."""
    if n < 2:
        return None
    found, rest = [], n
    for factor in FACTORS:
        while rest % factor == 0:
            found.append(factor)
            rest //= factor
    twos = rest.bit_length() - 1
    if rest != 1 << twos:
        return None
    steps = -(-twos // 3)
    return (*[1 << (twos + k) // steps for k in range(steps)][::-1], *found)


@lru_cache(256)
def _table(n: int, rows: range, columns: int, dtype: np.dtype) -> np.ndarray:
    """The cosines and sines of `-2 pi i j k / n`, for j of `rows` and k below `columns`."""
    angles = np.outer(rows, np.arange(columns)) % n * (-2 * np.pi / n)
    return constant(np.array([np.cos(angles), np.sin(angles)]).astype(dtype))


@lru_cache(256)
def _half_turns(n: int, dtype: np.dtype) -> np.ndarray:
    """`-i exp(-2 pi i k / n)` for k up to n / 2."""
    angles = np.arange(n // 2 + 1) * (-2 * np.pi / n)
    return constant((-1j * np.exp(1j * angles)).astype(dtype))


def _op(x: Array, n: int, turns_of: int = 0, **attrs) -> Array:
    """The op's result for transforms of `n` points; times factors where they are part of those of
    `turns_of` points."""
    real, radices = x.real.dtype, _radices(n)
    tables = [_table(n, range(1, 2), n, real)]
    if turns_of:
        near, inner = prod(radices[:-1]), turns_of // n
        for rows in (range(near), range(0, n, near)):
            tables.append(_table(turns_of, rows, inner, real))
    roots, *turns = map(as_array, tables)
    nodes = [node_of(operand) for operand in (x, reshaped(roots, (2, n)), *turns)]
    return wrap(ops.fourier(*nodes, radices=radices, **attrs))


def _parts_of(n: int) -> tuple[int, int] | None:
    """Two factors that are transformed one after the other: as near to each other as can be."""
    for first in range(int(n**0.5), LEAST - 1, -1):
        if n % first == 0 and n // first <= MOST_OF_PART:
            return first, n // first
    return None


def _is_better_apart(x: Array, n: int) -> bool:
    """Whether rows of n points are themselves transformed in lanes, in two parts that fill these: rows and
    columns are exchanged once then, not twice, but what is between lies in memory."""
    lanes = 64 // x.real.dtype.itemsize
    return n >= LEAST_APART and n % lanes**2 == 0 and x.size * x.dtype.itemsize <= MOST_BYTES_APART


def _rows(x: Array, inverse: bool, scale: float, is_real: bool = False) -> Array | None:
    """The transforms of rows; `is_real`: as real numbers, two for each point."""
    count, n = x.shape
    n = n if x.dtype.kind == "c" else n // 2
    if _radices(n) is None:
        return None
    is_many = type(count) is int and count >= LEAST
    if n <= MOST_POINTS and is_many and (is_real or not _is_better_apart(x, n)):
        attrs = {"source": "rows", "target": "rows", "is_real": is_real, "inverse": inverse}
        found = _op(reshaped(x, (1, *x.shape)), n, scale=scale, **attrs)
        return reshaped(found, found.shape[1:])
    parts = _parts_of(n)
    if parts is None:
        return None
    attrs = {"target": "columns", "is_real": False, "inverse": inverse}
    columns = reshaped(x, (count, parts[0], x.shape[1] // parts[0]))
    found = _op(columns, parts[0], n, source="columns", scale=1.0, **attrs)
    found = _op(found, parts[1], source="rows", scale=scale, **attrs)
    found = reshaped(found, (count, n))
    return _as_reals(found) if is_real else found


def _as_reals(x: Array) -> Array:
    """The parts of complex numbers in turn, along the last axis."""
    pairs = [reshaped(part, (*x.shape, 1)) for part in (x.real, x.imag)]
    return reshaped(concatenated(pairs, x.ndim), (*x.shape[:-1], 2 * x.shape[-1]))


def _columns(x: Array, inverse: bool, scale: float) -> Array | None:
    """The transforms along the middle one of three axes."""
    n = x.shape[1]
    if _radices(n) is None or n > MOST_OF_PART:
        return None
    return _op(
        x, n, source="columns", target="columns", is_real=False, inverse=inverse, scale=scale
    )


def _is_for_lanes(x: Array) -> bool:
    trace = current_trace()
    if trace is None or trace.is_strict or x.real.dtype not in (np.float32, np.float64):
        return False
    size = prod(x.node.type.shape)
    return type(size) is not int or size >= LEAST_SIZE


def _last(x: Array, axis: int) -> Array:
    """The array with an axis moved to the end."""
    return permuted(x, (*[k for k in range(x.ndim) if k != axis], axis))


def _back(x: Array, axis: int) -> Array:
    """The array with its last axis moved back to where another one was."""
    last = x.ndim - 1
    return permuted(x, (*range(axis), last, *range(axis, last)))


def _complex_points(x: Array, axis: int, inverse: bool, scale: float) -> Array | None:
    """The transforms of complex numbers, along any axis."""
    outer, n, inner = prod(x.shape[:axis]), x.shape[axis], prod(x.shape[axis + 1 :])
    if type(inner) is int and inner >= LEAST:
        found = _columns(reshaped(x, (outer, n, inner)), inverse, scale)
        return None if found is None else reshaped(found, x.shape)
    rows = _last(x, axis)
    found = _rows(reshaped(rows, (outer * inner, n)), inverse, scale)
    return None if found is None else _back(reshaped(found, rows.shape), axis)


def _fitted(x: Array, axis: int, n: int) -> Array:
    """So many elements along an axis: the first ones, or with zeros after them."""
    given = x.shape[axis]
    if given >= n:
        return window(x, axis, 0, n)
    high = [0] * x.ndim
    high[axis] = n - given
    return padded(x, (0,) * x.ndim, tuple(high))


def _mirrored(x: Array, axis: int, n: int) -> Array:
    """All `n` points of a transform of real numbers, of the first ones."""
    rest = window(x, axis, n - n // 2 - 1, 0, -1)
    return concatenated([x, apply(np.conjugate, rest)], axis)


def fft(x: Array, n: int, axis: int, inverse: bool, scale: float) -> Array | None:
    """The transform of `n` points along an axis, times `scale`."""
    if x.dtype.kind != "c" and not inverse:
        half = rfft(x, n, axis, scale)
        return None if half is None else _mirrored(half, axis, n)
    x = converted(_fitted(x, axis, n), np.result_type(x.dtype, 1j))
    return _complex_points(x, axis, inverse, scale) if _is_for_lanes(x) else None


def rfft(x: Array, n: int, axis: int, scale: float) -> Array | None:
    """The first half of the transform of real numbers."""
    x = _fitted(x, axis, n)
    if not _is_for_lanes(x):
        return None
    if n % 2:
        whole = _complex_points(converted(x, np.result_type(x.dtype, 1j)), axis, False, scale)
        return None if whole is None else window(whole, axis, 0, n // 2 + 1)
    rows = _last(x, axis)
    found = _rows(reshaped(rows, (prod(rows.shape[:-1]), n)), False, scale / 2)
    if found is None:
        return None
    half = reshaped(found, (*rows.shape[:-1], n // 2))
    whole = concatenated([half, window(half, half.ndim - 1, 0, 1)], half.ndim - 1)
    return _back(_unfolded(whole, as_array(_half_turns(n, whole.dtype))), axis)


def irfft(x: Array, n: int, axis: int, scale: float) -> Array | None:
    """The real numbers whose transform has this first half, the parts that theirs has not left out."""
    rows = _last(_fitted(x, axis, n // 2 + 1), axis)
    if not _is_for_lanes(rows):
        return None
    axis_of_points, h = rows.ndim - 1, n // 2
    ends = [window(rows, axis_of_points, k, k + 1) for k in (0, h)]
    first, last = [converted(end.real, rows.dtype) for end in ends]
    if n % 2:
        whole = concatenated([first, window(rows, axis_of_points, 1, h + 1)], axis_of_points)
        found = _complex_points(_mirrored(whole, axis_of_points, n), axis_of_points, True, scale)
        return None if found is None else _back(found.real, axis)
    whole = concatenated([first, window(rows, axis_of_points, 1, h), last], axis_of_points)
    turns = apply(np.conjugate, as_array(_half_turns(n, whole.dtype)))
    folded = window(_unfolded(whole, turns), axis_of_points, 0, h)
    found = _rows(reshaped(folded, (prod(rows.shape[:-1]), h)), True, scale, is_real=True)
    return None if found is None else _back(reshaped(found, (*rows.shape[:-1], n)), axis)


def _unfolded(x: Array, turns: Array) -> Array:
    """`x[k] + y[k] + turns[k] * (x[k] - y[k])` along the last axis, y being the conjugate of x backwards."""
    last = x.ndim - 1
    y = apply(np.conjugate, window(x, last, x.shape[last] - 1, -1, -1))
    return apply(np.add, apply(np.add, x, y), apply(np.multiply, turns, apply(np.subtract, x, y)))
