"""Lookups in small tables agree with NumPy's searches."""

import numpy as np
import pytest
from numpy_calls import check, sample

LOOKUPS = [
    lambda x, t: np.searchsorted(t, x),
    lambda x, t: np.searchsorted(t, x, side="right"),
    lambda x, t: np.searchsorted(t, x[0, 0]),
    lambda x, t: np.searchsorted(t, 2.0, side="right"),
    lambda x, t: t.searchsorted(x),
    lambda x, t: np.searchsorted(t, x, side="middle"),
    lambda x, t: np.searchsorted(t[:0], x),
    lambda x, t: np.digitize(x, t),
    lambda x, t: np.digitize(x, t, right=True),
    lambda x, t: np.digitize(x, t[::-1]),
    lambda x, t: np.digitize(x, [-1, 0, 2]),
    lambda x, t: np.digitize(x, [2, 0, -1], right=True),
    lambda x, t: np.digitize(x, [0, 2, 1]),
    lambda x, t: np.digitize(x[0, 0], [0, 1, 2]),
    lambda x, t: np.isin(x, t),
    lambda x, t: np.isin(x, [0, 1.5], invert=True),
    lambda x, t: np.isin(x[0, 0], t),
    lambda x, t: np.isin(x, []),
]


@pytest.mark.parametrize("function", LOOKUPS)
@pytest.mark.parametrize("dtype", ["float64", "float32", "int32", "uint8"])
def test_lookups(function, dtype):
    x = sample((3, 4), dtype)
    check(function, x, np.unique(sample((6,), dtype, seed=3)))


def test_lookups_of_nan():
    x = np.array([[np.nan, 1.0, np.inf, -np.inf]])
    for table in ([0.0, 1.0, np.nan], [0.0, 1.0, np.inf], [np.nan, np.nan]):
        for side in ("left", "right"):
            check(lambda x, t, side=side: np.searchsorted(t, x, side), x, np.array(table))
        check(lambda x, t: np.isin(x, t), x, np.array(table))


INDICES = [
    lambda x: np.unravel_index(np.argmax(x), x.shape),
    lambda x: np.unravel_index(np.argmax(x, axis=1), (3, 4)),
    lambda x: np.unravel_index(np.argmax(x), x.shape, order="F"),
    lambda x: np.unravel_index(x, x.shape),
    lambda x: np.ravel_multi_index(np.unravel_index(np.argmin(x), x.shape), x.shape),
    lambda x: np.ravel_multi_index((x.astype(int), x.astype(int)), (9, 7), mode="wrap"),
    lambda x: np.ravel_multi_index((x.astype(int), x.astype(int)), (2, 3), mode=("clip", "wrap")),
    lambda x: np.ravel_multi_index((abs(x.astype(int)), [1, 0, 2, 0]), (5, 3), order="F"),
]


@pytest.mark.parametrize("function", INDICES)
def test_indices(function):
    check(function, sample((3, 4)))


HISTOGRAMS = [
    lambda x: np.histogram(x),
    lambda x: np.histogram(x, bins=3),
    lambda x: np.histogram(x, bins=5, range=(-2, 2)),
    lambda x: np.histogram(x, bins=5, range=(1, 1)),
    lambda x: np.histogram(x, bins=5, range=(2, 1)),
    lambda x: np.histogram(x, bins=[-2, 0, 1, 4]),
    lambda x: np.histogram(x, bins=[-2, 1, 0, 4]),
    lambda x: np.histogram(x, bins=0),
    lambda x: np.histogram(x, 4, density=True),
    lambda x: np.histogram(x, 4, weights=x * 2),
    lambda x: np.histogram(x, 4, weights=np.ones(x.shape, int), range=(0, 3)),
    lambda x: np.histogram(x[:1, :1]),
    lambda x: np.histogram(x[:0], range=None),
]


@pytest.mark.parametrize("function", HISTOGRAMS)
@pytest.mark.parametrize("dtype", ["float64", "float32", "int32"])
def test_histograms(function, dtype):
    check(function, sample((5, 8), dtype))
    if dtype != "int32":
        noise = np.random.default_rng(5).standard_normal((5, 8)).astype(dtype)
        check(function, noise)
