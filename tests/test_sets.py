"""Sets as sorted vectors: `unique` with its options, unions, differences, `isin`."""

from __future__ import annotations

import numpy as np
import pytest
from combinations import each, pairs

from tracejit import jit
from tracejit.events import compiles

RANDOM = np.random.default_rng(11)
NAN = np.array([1.5, np.nan, 0.0, np.nan, -2.0, 1.5, np.inf])
VECTORS = [
    RANDOM.integers(-5, 5, 40),
    RANDOM.integers(0, 9, 33).astype(np.uint8),
    RANDOM.integers(0, 9, (6, 5)).astype(np.float32),
    np.round(RANDOM.normal(size=101), 1),
    NAN,
    NAN + 1j * np.array([0, 1, np.nan, 2, 3, 0, 0]),
    RANDOM.normal(size=20) > 0,
    np.array([3.0]),
    np.zeros(0),
    RANDOM.integers(-5, 5, 40)[::-3],
]


def check(function, *args, native: bool | None = True):
    jitted = jit(function)
    wanted = function(*args)
    with compiles() as made:
        results = [jitted(*args), jitted(*args)]
    for got in results:
        pairs = zip(got, wanted, strict=True) if isinstance(wanted, tuple) else [(got, wanted)]
        for a, b in pairs:
            np.testing.assert_array_equal(a, b)
            assert (a.dtype, a.shape) == (b.dtype, b.shape)
    assert native is None or any(one.python_calls for one in made) != native


OPTIONS = [
    {},
    {"return_index": True},
    {"return_inverse": True},
    {"return_counts": True},
    {"return_index": True, "return_inverse": True, "return_counts": True},
    {"equal_nan": False},
]


@pytest.mark.parametrize(
    "x, options",
    [
        *pairs([VECTORS[0], *VECTORS[4:6]], OPTIONS),
        *each(VECTORS[1:4] + VECTORS[6:], OPTIONS),
        *each(VECTORS[1:4] + VECTORS[6:], OPTIONS[3:] + OPTIONS[:3]),
    ],
    ids=lambda x: "-".join(x) if isinstance(x, dict) else f"{x.dtype}-{x.shape}",
)
def test_unique(x, options):
    check(lambda x: np.unique(x, **options), x, native=True if x.size else None)


def test_results_of_unique_go_on():
    x = RANDOM.integers(0, 7, 50)
    check(lambda x: np.unique(x) * 2 + 1, x)
    check(lambda x: np.unique(x).sum(), x)
    check(lambda x: np.unique(x, sorted=False), x, native=False)
    check(lambda x: tuple(np.unique_all(x)), x)
    check(lambda x: tuple(np.unique_counts(x)), x)
    check(lambda x: np.unique(x.reshape(2, 25), axis=0), x, native=False)


def test_another_count_at_every_call():
    jitted = jit(lambda x: np.unique(x, return_counts=True))
    for most in (1, 3, 50, 2, 1000):
        x = RANDOM.integers(0, most, 64)
        for a, b in zip(jitted(x), np.unique(x, return_counts=True)):
            np.testing.assert_array_equal(a, b)
    assert jitted.cache_info().misses == 1


PAIRS = [
    (RANDOM.integers(0, 20, 30), RANDOM.integers(5, 40, 90)),
    (RANDOM.integers(0, 20, 30).astype(np.float32), RANDOM.integers(5, 40, 90)),
    (NAN, np.concatenate([NAN, np.arange(60.0)])),
    (RANDOM.integers(0, 20, (3, 4)), np.arange(50)[::-1]),
    (RANDOM.integers(0, 5, 7), RANDOM.integers(0, 5, 3)),
]


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: f"{pair[0].dtype}-{pair[1].dtype}")
@pytest.mark.parametrize(
    "function",
    [
        np.isin,
        lambda a, b: np.isin(a, b, invert=True),
        np.setdiff1d,
        np.intersect1d,
        np.union1d,
    ],
)
def test_two_sets(function, pair):
    check(lambda a, b: function(a, b), *pair)


def test_what_is_assumed_to_be_unique():
    a, b = np.arange(40.0), np.arange(20.0, 70.0)
    check(lambda a, b: np.setdiff1d(a, b, assume_unique=True), a, b, native=None)
    check(lambda a, b: np.intersect1d(a, b, return_indices=True), a, b, native=None)
    check(lambda a, b: np.isin(a, b, assume_unique=True), a, b)


def test_ints_without_a_common_dtype():
    large = np.array([2**63, 2**63 + 1, 5], np.uint64)
    check(lambda a, b: np.isin(a, b), np.arange(50), np.tile(large, 20), native=False)


ROWS = RANDOM.integers(0, 3, (60, 3))


@pytest.mark.parametrize(
    "dtype, options, axis",
    pairs(
        ["i8", "f4", "c16", "?"], [{}, {"return_index": True, "return_counts": True}], [0, -1, 1]
    ),
)
def test_unique_rows(dtype, options, axis):
    x = ROWS.astype(dtype)
    x = {0: x, -1: x.T[:, ::2], 1: x.reshape(5, 12, 3)}[axis]
    check(lambda x: np.unique(x, axis=axis, **options), x, native=None if axis else True)


def test_unique_rows_with_nan_are_all_different():
    x = np.array([[1.0, np.nan], [1.0, np.nan], [0.0, 2.0], [0.0, 2.0]])
    check(lambda x: np.unique(x, axis=0), x)
    check(lambda x: np.unique(x, axis=0, return_inverse=True), x[2:])
    check(lambda x: np.unique(x, axis=1), np.zeros((2, 0)), native=None)


def test_exclusive_or():
    x, y = RANDOM.integers(0, 30, 40), RANDOM.integers(10, 50, 33)
    check(lambda x, y: np.setxor1d(x, y), x, y)
    check(lambda x, y: np.setxor1d(x, y).sum(), x, y.astype(float))
    check(lambda x, y: np.setxor1d(x, y), x, x)
    check(lambda x, y: np.setxor1d(x, y), NAN, NAN[:3])


def test_places_of_common_elements():
    x, y = RANDOM.integers(0, 30, 40), RANDOM.integers(10, 50, 33)
    check(lambda x, y: np.intersect1d(x, y, return_indices=True), x, y)
    check(lambda x, y: np.intersect1d(x, y, return_indices=True), NAN, NAN[2:])
    check(lambda x, y: np.intersect1d(x, y, return_indices=True), x, y + 100)


INTEGERS = ["i1", "u1", "i2", "u4", "i8", "u8"]


@pytest.mark.parametrize("dtype", INTEGERS)
def test_integers_that_are_near_each_other_are_looked_up(dtype):
    """And those that are not, or whose ends wrap around, are searched for, by the same program."""
    info, rng = np.iinfo(dtype), np.random.default_rng(0)
    least, greatest = int(info.min), int(info.max)
    jitted = jit(lambda a, b: np.isin(a, b), fallback="error")
    ends = [(0, 100), (least, greatest), (greatest - 90, greatest), (least, least + 90)]
    ends.append((max(least, -(1 << 40)), min(greatest, 1 << 40)))
    for low, high in ends:
        x = rng.integers(low, high, 200, dtype=dtype, endpoint=True)
        table = rng.integers(low, high, 60, dtype=dtype, endpoint=True)
        x[:2], table[:2] = (least, greatest), (low, high)
        np.testing.assert_array_equal(jitted(x, table), np.isin(x, table))
    assert jitted.cache_info().misses == 1


@pytest.mark.parametrize("axis", [0, -1, 1])
def test_unique_along_an_axis_that_there_is_not(axis):
    shape = () if axis < 1 else (3,)
    with pytest.raises(np.exceptions.AxisError):
        jit(lambda x: np.unique(x, axis=axis))(np.ones(shape))
