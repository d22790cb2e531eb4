"""Differences, integrals, filters and statistics on grids agree with NumPy."""

import numpy as np
import pytest
from numpy_calls import DTYPES, check, sample

import tracejit

DIFFERENCES = [
    lambda x: np.diff(x),
    lambda x: np.diff(x, 2),
    lambda x: np.diff(x, 9),
    lambda x: np.diff(x, 0),
    lambda x: np.diff(x, -1),
    lambda x: np.diff(x, axis=0),
    lambda x: np.diff(x, prepend=0),
    lambda x: np.diff(x, axis=0, append=x[:1]),
    lambda x: np.diff(x, prepend=x[:, :2], append=1),
    lambda x: np.diff(x[0, 0]),
    lambda x: np.ediff1d(x),
    lambda x: np.ediff1d(x, to_end=x[0, :2], to_begin=[x[0, 0]]),
    lambda x: np.ediff1d(x, to_begin=1.5),
    lambda x: np.gradient(x),
    lambda x: np.gradient(x, axis=0),
    lambda x: np.gradient(x, 2.0),
    lambda x: np.gradient(x, 2.0, 0.5),
    lambda x: np.gradient(x, 2, axis=(0, 1)),
    lambda x: np.gradient(x, [0, 1, 3.0, 4], axis=1),
    lambda x: np.gradient(x, [0, 1, 3], [1, 2, 4, 8]),
    lambda x: np.gradient(x, edge_order=2),
    lambda x: np.gradient(x, [0, 1, 3.0, 4], axis=1, edge_order=2),
    lambda x: np.gradient(x, 1, 2, 3),
    lambda x: np.gradient(x, edge_order=3),
    lambda x: np.gradient(x[:1]),
    lambda x: np.trapezoid(x),
    lambda x: np.trapezoid(x, dx=0.5, axis=0),
    lambda x: np.trapezoid(x, [0, 1, 3, 4]),
    lambda x: np.trapezoid(x, x * 2, axis=0),
    lambda x: np.trapezoid(x[0]),
    lambda x: np.unwrap(x),
    lambda x: np.unwrap(x * 3, axis=0),
    lambda x: np.unwrap(x * 3, period=4),
    lambda x: np.unwrap(x * 2, discont=4, period=5),
    lambda x: np.polyval(x[0], x),
    lambda x: np.polyval([1, 2, 3], x),
    lambda x: np.lib.stride_tricks.sliding_window_view(x, (2, 3)),
    lambda x: np.lib.stride_tricks.sliding_window_view(x, 2, axis=0),
    lambda x: np.lib.stride_tricks.sliding_window_view(x, 4, axis=1),
    lambda x: np.lib.stride_tricks.sliding_window_view(x, 5, axis=1),
    lambda x: np.lib.stride_tricks.sliding_window_view(x, 1, axis=1),
]


@pytest.mark.parametrize("function", DIFFERENCES)
@pytest.mark.parametrize("dtype", ["float64", "float32", "int16", "complex64", "bool", "uint8"])
def test_differences(function, dtype):
    check(function, sample((3, 4), dtype))


@pytest.mark.parametrize("mode", ["full", "same", "valid", "most"])
@pytest.mark.parametrize(
    "sizes", [(7, 3), (3, 7), (5, 5), (6, 4), (1, 1), (50, 40), (0, 2)], ids=str
)
def test_filters(mode, sizes):
    for dtype in ("float64", "int8", "complex64"):
        a, v = sample(sizes[:1], dtype), sample(sizes[1:], dtype, seed=1)
        check(lambda a, v: np.convolve(a, v, mode), a, v)
        check(lambda a, v: np.correlate(a, v, mode), a, v)
    check(lambda a: np.convolve(a, [1, 0.5], mode=mode), a)


@pytest.mark.parametrize("dtype", DTYPES)
def test_filters_of_every_dtype(dtype):
    check(np.convolve, sample((7,), dtype), sample((3,), dtype))


INTERPOLATIONS = [
    lambda x, xp, fp: np.interp(x, xp, fp),
    lambda x, xp, fp: np.interp(x, xp, fp, left=-9.0, right=9.0),
    lambda x, xp, fp: np.interp(x[0], xp, fp),
    lambda x, xp, fp: np.interp(2.0, xp, fp),
    lambda x, xp, fp: np.interp(x, xp[:1], fp[:1]),
    lambda x, xp, fp: np.interp(x, xp, fp * 1j),
    lambda x, xp, fp: np.interp(x, xp, fp[:2]),
    lambda x, xp, fp: np.interp(x, xp[:0], fp[:0]),
    lambda x, xp, fp: np.interp(x, xp.astype("float32"), fp.astype(int)),
]


@pytest.mark.parametrize("function", INTERPOLATIONS)
def test_interpolation(function):
    x = np.concatenate([np.linspace(-1, 6, 29), [np.nan, np.inf, -np.inf]])
    check(function, x, np.array([0.0, 1.0, 2.5, 4.0]), np.array([1.0, -1.0, 3.0, 2.0]))
    check(function, x, np.array([0.0, 1.0, 2.5, 4.0]), np.array([np.inf, np.inf, -np.inf, np.nan]))
    check(function, x, np.array([-np.inf, 1.0, 2.5, np.inf]), np.array([1.0, 1.0, -3.0, 2.0]))
    table = np.sort(np.random.default_rng(0).normal(size=300))
    check(lambda x, xp, fp: np.interp(x, xp, fp), x, table, np.cos(table))


@pytest.mark.parametrize(
    "function",
    [
        lambda x, xp, fp: np.interp(x, xp, fp, period=3),
        lambda x, xp, fp: np.interp(x * 7, xp[::-1], fp, period=-2.5),
        lambda x, xp, fp: np.interp(x, xp, fp * 1j, left=4, period=xp[1] + 0.5),
        lambda x, xp, fp: np.interp(2.0, xp, fp, period=360),
        lambda x, xp, fp: np.interp(x, xp, fp, period=0),
    ],
)
def test_periodic_interpolation(function):
    x = np.linspace(-9, 11, 41)
    check(function, x, np.array([-7.0, 1.0, 2.75, 0.125]), np.array([1.0, 1.5, -3.0, 2.0]))


STATISTICS = [
    lambda x: np.cov(x),
    lambda x: np.cov(x, bias=True),
    lambda x: np.cov(x, ddof=0),
    lambda x: np.cov(x, ddof=9),
    lambda x: np.cov(x, rowvar=False),
    lambda x: np.cov(x[0]),
    lambda x: np.cov(x[0], x[1]),
    lambda x: np.cov(x, x),
    lambda x: np.cov(x, x, rowvar=False),
    lambda x: np.cov(x, fweights=[1, 2, 1, 3]),
    lambda x: np.cov(x, aweights=[1, 2, 1, 0.5]),
    lambda x: np.cov(x, aweights=[1, 2, 1, 0.5], fweights=[1, 2, 1, 3], ddof=0),
    lambda x: np.cov(x[None]),
    lambda x: np.cov(x[:0]),
    lambda x: np.cov(x, dtype="float32"),
    lambda x: np.corrcoef(x),
    lambda x: np.corrcoef(x[0], x[1]),
    lambda x: np.corrcoef(x, rowvar=False),
    lambda x: np.corrcoef(x[0]),
]


@pytest.mark.parametrize("function", STATISTICS)
@pytest.mark.parametrize("dtype", ["float64", "float32", "int32", "complex128"])
def test_statistics(function, dtype):
    check(function, sample((3, 4), dtype))


@pytest.mark.parametrize("mode", ["full", "same", "valid"])
def test_taps_that_are_not_finite_reach_no_further(mode):
    x = np.arange(5.0)
    for taps in ([np.inf, 1.0, 2.0], [1.0, np.nan, 2.0], [1.0, 2.0, 3.0]):
        for function in (np.convolve, np.correlate):
            jitted = tracejit.jit(lambda x, k, f=function: f(x, k, mode))
            np.testing.assert_array_equal(jitted(x, np.array(taps)), function(x, taps, mode))
