"""Places of extremes of long rows: blocks first, then one of them, as NumPy finds them."""

from __future__ import annotations

import numpy as np
import pytest

import tracejit

RNG = np.random.default_rng(21)
SIZES = [16_384, 20_000, 20_001, 70_000]


def check(function, *arguments, **options):
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(
            tracejit.jit(function, **options)(*arguments), function(*arguments)
        )


def text_of(function, *arguments) -> str:
    return str(tracejit.jit(function).lower(*arguments))


def test_a_long_row_is_read_once_and_a_block_of_it_again():
    long, short = [text_of(np.argmax, np.zeros(n)) for n in (70_000, 1000)]
    assert "_blocks" in long and "_blocks" not in short
    lengths = [line.split("vector(")[1] for line in long.splitlines() if "vector(" in line]
    assert sum(line.startswith("0, 2048") for line in lengths) == 2, "of blocks, and the search"


def test_places_are_numbers_as_wide_as_elements():
    narrow, wide = [text_of(np.argmin, np.zeros(1000, dtype)) for dtype in ("f4", "f8")]
    assert "i32(" in narrow and "i32(" not in wide


@pytest.mark.parametrize("size", [100, 3000, *SIZES])
@pytest.mark.parametrize("dtype", ["f4", "f8", "i4", "i8", "u2"])
@pytest.mark.parametrize("function", [np.argmax, np.argmin])
def test_the_first_of_equals(function, dtype, size):
    x = RNG.integers(3, 100, size).astype(dtype)
    check(function, x, numerics="strict")
    for places in ([0], [size - 1], [4095, 4096], [size // 2, size - 2], [2047, 2048, 16_383]):
        y = x.copy()
        places = [min(place, size - 1) for place in places]
        y[places] = 200 if function is np.argmax else 1
        check(function, y)


@pytest.mark.parametrize("function", [np.argmax, np.argmin])
def test_nans_and_infinities(function):
    for size in (3000, *SIZES):
        x = RNG.normal(size=size)
        for places in ([0], [size - 1], [2048], [17, 9000], [2047, size - 1]):
            for value in (np.nan, np.inf, -np.inf):
                y = x.copy()
                y[[min(place, size - 1) for place in places]] = value
                check(function, y)
        for value in (np.nan, np.inf, -np.inf, 0.0):
            check(function, np.full(size, value))


def test_what_is_computed_and_rows_of_matrices():
    x, w = RNG.normal(size=(2, 3, 20_000))
    check(lambda x, w: np.argmax(x * w, axis=1), x, w)
    check(lambda x: (np.argmax(x[0]), x[0].max(), np.argmin(x[1] * 2)), x)


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("function", [np.argmax, np.argmin])
def test_what_is_not_less_is_found_and_the_first_nan_if_there_is_one(function, dtype):
    x = RNG.integers(-9, 9, (12, 200)).astype(dtype)
    x[1], x[2], x[3] = np.inf, -np.inf, np.nan
    x[4, 150] = x[5, 7] = x[5, 9] = np.nan
    x[6, 3], x[6, 90] = np.inf, np.nan
    x[7, 3], x[7, 90] = -np.inf, np.nan
    x[8] = -0.0
    x[8, 50] = 0.0
    check(lambda x: function(x, axis=1), x)
    check(lambda x: function(x * 2, axis=1), x)
    text = text_of(lambda x: function(x, axis=1), x)
    assert "logical_not(" in text and "seldom(isnan(" in text


@pytest.mark.parametrize("dtype", ["f4", "f8", "i2"])
def test_rows_of_unknown_length(dtype):
    function = tracejit.jit(lambda x: (np.argmax(x, axis=1), np.argmin(x, axis=1)))
    for length in (3, 70, 200, 1, 64, 5000, 17):
        x = RNG.integers(0, 9, (6, length)).astype(dtype)
        if dtype != "i2":
            x[1, length // 2 :] = np.nan
            x[2, :], x[3, -1] = -np.inf, np.inf
        for found, wanted in zip(function(x), (x.argmax(1), x.argmin(1))):
            np.testing.assert_array_equal(found, wanted)
