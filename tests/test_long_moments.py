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


@pytest.mark.parametrize("size", [1000, 20_000])
def test_a_row_that_stays_near_is_swept_twice(size):
    assert "_blocks" not in text_of(np.var, np.zeros(size))


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
