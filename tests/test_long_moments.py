"""Means and deviations of long rows: one sweep over memory, in blocks, as exact as two sweeps."""

from __future__ import annotations

import numpy as np
import pytest

import tracejit

RNG = np.random.default_rng(12)
LONG = 150_000


def normalised(x):
    return (x - x.mean()) / (x.std() + 1e-5)


def text_of(function, x, **options) -> str:
    return str(tracejit.jit(function, **options).lower(x))


def test_a_long_row_is_read_once_for_both_sums():
    text = text_of(np.var, np.zeros(LONG))
    assert "_blocks" in text
    sweeps = [line for line in text.splitlines() if "vector(" in line]
    assert sum("vector(0, 2048" in line for line in sweeps) == 2, "of a block"
    assert sum(f"vector({LONG // 2048 * 2048}," in line for line in sweeps) == 2, "of what is left"
    assert len(sweeps) == 6, "and two of blocks"


def sweeps(function, x) -> int:
    return text_of(function, x, threads=1).count("vector(")


def test_a_row_that_stays_near_is_swept_once():
    deviations = lambda x: x.std(axis=1)
    assert sweeps(deviations, np.zeros((40, 1000))) == 1
    assert sweeps(lambda x: x.var(), np.zeros(20_000)) == 1
    assert sweeps(deviations, np.zeros((40, 100))) == 2, "too short for that"
    assert sweeps(deviations, np.zeros((40_000, 1000), np.float32)) == 2, "memory is waited for"


@pytest.mark.parametrize("shape", [(30, 1000), (7, 259), (3, 20_000)])
@pytest.mark.parametrize(
    ("dtype", "offset"), [("f8", 1e8), ("f8", -3.0), ("f4", 1e3), ("f4", -30.0), ("f4", 0.0)]
)
def test_deviations_in_one_sweep_are_as_exact(shape, dtype, offset):
    x = (np.random.default_rng(3).standard_normal(shape) + offset).astype(dtype)
    exact = x.astype(np.longdouble)
    for function in (lambda x: x.var(axis=1), lambda x: x.std(axis=1)):
        numpys, ours = [
            np.abs(f(x) - function(exact)).max() for f in (function, tracejit.jit(function))
        ]
        assert ours <= 4 * numpys + np.abs(function(exact)).max() * 8 * np.finfo(dtype).eps


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_the_first_few_may_be_far_from_all_others(dtype):
    """Rows begin with large numbers, of which the center is the mean."""
    x = np.random.default_rng(3).standard_normal((50, 2000)).astype(dtype)
    x[:, :4] = 1000
    exact = x.astype(np.longdouble).var(axis=1)
    error = np.abs(tracejit.jit(lambda x: x.var(axis=1))(x) / exact - 1).max()
    # Of the squares of what all are apart from the center, 1 / 500 is due to what they are from their mean.
    assert error < 4 * 500 * np.finfo(dtype).eps


@pytest.mark.parametrize("place", [0, 3, 4, 999])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e300, 1e308])
def test_rows_with_what_is_not_finite_or_very_large(value, place):
    x = np.random.default_rng(0).standard_normal((5, 1000))
    x[2, place] = value
    with np.errstate(all="ignore"):
        for function in (lambda x: x.var(axis=1), lambda x: x.mean(1) + x.std(1)):
            np.testing.assert_allclose(tracejit.jit(function)(x), function(x))


def test_what_is_in_numpys_order_stays_in_it():
    assert "_blocks" not in text_of(np.var, np.zeros(LONG), numerics="strict")


@pytest.mark.parametrize("size", [131_072, LONG, LONG + 1, 264_191])
@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("offset", [0.0, 1000.0, -1e5])
def test_as_exact_as_two_sweeps(size, dtype, offset):
    x = (RNG.normal(size=size) + offset).astype(dtype)
    wide = x.astype("f8")
    # The mean is a number of this dtype: the square of what it is off is all that is lost.
    tolerance = (1e-12 if dtype == "f8" else 2e-5) + 4 * (offset * np.finfo(dtype).eps / 2) ** 2
    for function in (np.var, np.std, lambda x: x.var(ddof=1), lambda x: np.mean(x) + np.var(x)):
        np.testing.assert_allclose(tracejit.jit(function)(x), function(wide), rtol=tolerance)
    bound = 1e-9 if dtype == "f8" else 0.05 if offset else 1e-3
    np.testing.assert_allclose(tracejit.jit(normalised)(x), normalised(wide), atol=bound)


def test_rows_of_a_matrix():
    x = RNG.normal(size=(3, LONG))
    for function in (lambda x: x.std(axis=1), lambda x: (x - x.mean(1, keepdims=True)) ** 2):
        np.testing.assert_allclose(tracejit.jit(function)(x), function(x), rtol=1e-9)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite(value):
    x = RNG.normal(size=LONG)
    x[77_777] = value
    with np.errstate(invalid="ignore"):
        np.testing.assert_array_equal(tracejit.jit(np.var)(x), np.var(x))


def test_the_same_bits_for_any_number_of_threads():
    x = RNG.normal(size=LONG).astype("f4")
    results = []
    for count in (1, 2, 3):
        with tracejit.threads(count):
            results.append(tracejit.jit(np.var)(x))
    assert len(set(results)) == 1
