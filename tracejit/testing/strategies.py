"""Hypothesis strategies of what functions are called with: dtypes, shapes, arrays of any layout.

hypothesis is imported when the first strategy is made; whoever makes none does not need it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import prod
from typing import Any

import numpy as np

from ..deferred import module
from ..ir.types import DTYPES, array_type
from .layouts import LAYOUTS

# Extents at which vectors, tiles and remainders begin and end.
EXTENTS = (0, 1, 2, 3, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 64, 100)
LARGEST = 4096


def hypothesis() -> Any:
    """The module `hypothesis.strategies`; ImportError says how to get it."""
    try:
        return module("hypothesis.strategies")
    except ImportError:
        raise ImportError(
            "tracejit.testing's strategies need hypothesis: pip install hypothesis"
        ) from None


def dtypes(kinds: str = "biufc") -> Any:
    """NumPy dtypes that compile, of these kinds: bool, signed, unsigned, float, complex."""
    found = [dtype.numpy for dtype in DTYPES.values() if dtype.numpy.kind in kinds]
    if not found:
        raise ValueError(f"no dtype is of the kinds {kinds!r}: they are some of 'biufc'")
    return hypothesis().sampled_from(found)


def shapes(
    least: int = 0, most: int = 3, extents: Sequence[int] = EXTENTS, limit: int = LARGEST
) -> Any:
    """Shapes of `least` to `most` axes, with no more than `limit` elements.

    The extents are those at which loops have something special at their ends, 0 and 1 among them.
    """
    st = hypothesis()
    axes = st.lists(st.sampled_from(list(extents)), min_size=least, max_size=most)
    return axes.map(tuple).filter(lambda shape: prod(shape) <= limit)


def types(kinds: str = "biufc", least: int = 0, most: int = 3) -> Any:
    """Array types as programs have them, `f64[3, 4]`; `.dtype.numpy` and `.shape` are NumPy's."""
    st = hypothesis()
    pairs = st.tuples(shapes(least, most), dtypes(kinds))
    by_dtype = {dtype.numpy: dtype for dtype in DTYPES.values()}
    return pairs.map(lambda pair: array_type(pair[0], by_dtype[pair[1]]))


def specials(dtype: Any) -> np.ndarray:
    """Values that find mistakes: limits, zeros of both signs, infinities, nan, tiny and large ones."""
    dtype = np.dtype(dtype)
    if dtype.kind == "b":
        return np.array([False, True])
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        chosen = {
            0,
            1,
            2,
            3,
            7,
            100,
            limits.max,
            limits.max - 1,
            limits.min,
            limits.min + 1,
            -1,
            -2,
        }
        return np.array(sorted(n for n in chosen if limits.min <= n <= limits.max), dtype)
    if dtype.kind == "c":
        parts = np.array([0.0, -0.0, 1.0, -2.5, np.inf, np.nan])
        both = np.empty((len(parts), len(parts)), dtype)
        both.real, both.imag = parts[:, None], parts
        return both.ravel()
    limits = np.finfo(dtype)
    numbers = [
        0.0,
        -0.0,
        1.0,
        -1.0,
        0.5,
        -2.5,
        np.inf,
        -np.inf,
        np.nan,
        limits.max,
        limits.tiny,
        limits.eps,
    ]
    return np.array([*numbers, limits.smallest_subnormal], dtype)


def arrays(
    dtype: Any = None,
    shape: Any = None,
    *,
    layouts: Iterable[str] | None = None,
    special: bool = True,
    low: float = -8,
    high: float = 8,
) -> Any:
    """A strategy of arrays: any dtype and shape that is not given, in any of the layouts.

    dtype, shape   values, or strategies of them; default `dtypes()` and `shapes()`
    layouts        names in `LAYOUTS` to choose from; default all; the first is the simplest
    special        whether some values are limits, zeros of both signs, infinities and nan
    low, high      bounds of the other values

    Elements come from one drawn seed: they do not shrink one by one, while shape, dtype and layout do.
    """
    st = hypothesis()
    names = list(LAYOUTS) if layouts is None else list(layouts)
    unknown = sorted(set(names) - set(LAYOUTS))
    if unknown:
        raise ValueError(f"unknown layouts {unknown}; there are {list(LAYOUTS)}")
    own_dtypes = (
        dtype if hasattr(dtype, "map") else dtypes() if dtype is None else st.just(np.dtype(dtype))
    )
    own_shapes = shape if hasattr(shape, "map") else shapes() if shape is None else st.just(shape)
    drawn = st.tuples(own_dtypes, own_shapes, st.sampled_from(names), st.integers(0, 2**16))
    return drawn.map(
        lambda d: LAYOUTS[d[2]](_values(np.dtype(d[0]), d[1], d[3], special, low, high))
    )


def _values(
    dtype: np.dtype, shape: Any, seed: int, special: bool, low: float, high: float
) -> np.ndarray:
    rng = np.random.default_rng(seed)
    if dtype.kind == "b":
        return rng.integers(0, 2, shape).astype(bool)
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        low, high = max(int(low), int(limits.min)), min(int(high), int(limits.max))
        found = np.asarray(rng.integers(low, high, shape, endpoint=True)).astype(dtype)
    elif dtype.kind == "c":
        found = np.asarray(
            rng.uniform(low, high, shape) + 1j * rng.uniform(low, high, shape)
        ).astype(dtype)
    else:
        found = np.asarray(rng.uniform(low, high, shape)).astype(dtype)
    # Every fourth array is ordinary throughout.
    if special and seed % 4:
        chosen = rng.integers(0, 8, shape) == 0
        found = np.asarray(np.where(chosen, rng.choice(specials(dtype), shape), found)).astype(
            dtype
        )
    return found
