"""Rows that threads sort together: what they are sorted to, and when."""

from __future__ import annotations

import numpy as np
import pytest

import tracejit
from tracejit import jit
from tracejit.ir.ops.ranks import plan_of
from tracejit.ir.tensor import Extern, For, statements
from tracejit.ir.types import f64
from tracejit.lower import pipeline
from tracejit.lower.tensor import sorts

N = sorts.LONG + 1234
DTYPES = ["f4", "f8", "i4", "i8", "u4", "u8"]


def numbers(dtype, kind, n=N):
    rng = np.random.default_rng(5)
    x = rng.standard_normal(n) * 1e6
    match kind:
        case "few":
            x = rng.integers(0, 5, n)
        case "one":
            x = np.full(n, 3)
        case "sorted":
            x = np.sort(x)
        case "falling":
            x = -np.sort(x)
        case "sawtooth":
            x = np.arange(n) % 1000
    with np.errstate(invalid="ignore"):
        return np.asarray(x).astype(dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", ["normal", "few", "one", "sorted", "falling", "sawtooth"])
def test_a_long_row_is_sorted_as_numpy_does(dtype, kind):
    x = numbers(dtype, kind)
    before = x.copy()
    assert np.array_equal(jit(np.sort)(x), np.sort(x))
    assert np.array_equal(x, before)


@pytest.mark.parametrize("share", [0.0, 0.01, 0.6, 1.0])
def test_nan_comes_last_and_infinities_before_it(share):
    x = numbers("f8", "normal")
    rng = np.random.default_rng(2)
    x[rng.integers(0, x.size, 9)] = np.inf
    x[rng.integers(0, x.size, 9)] = -np.inf
    x[rng.random(x.size) < share] = np.nan
    x[17] = -np.nan
    assert np.array_equal(jit(np.sort)(x), np.sort(x), equal_nan=True)


def test_infinities_alone():
    x = np.where(np.arange(N) % 3 == 0, np.inf, -np.inf)
    x[5::7] = np.nan
    assert np.array_equal(jit(np.sort)(x), np.sort(x), equal_nan=True)


@pytest.mark.parametrize("n", [sorts.LONG - 1, sorts.LONG, 300_007, 1_100_001])
def test_sizes(n):
    x = numbers("f4", "normal", n)
    assert np.array_equal(jit(np.sort)(x), np.sort(x))


def test_what_goes_in_and_comes_out_is_computed_around_it():
    def f(x):
        y = np.sort(x * 2.0 + 1.0)
        return y - y[0], x

    x = numbers("f8", "normal")
    y = np.sort(x * 2.0 + 1.0)
    found = jit(f)(x)
    assert np.allclose(found[0], y - y[0], rtol=1e-15)
    assert found[1] is x


def test_in_place_and_backwards():
    def f(x):
        x.sort()
        return x[::-1] + np.sort(x[::-1])

    x, y = numbers("f8", "normal"), numbers("f8", "normal")
    assert np.array_equal(jit(f)(x), f(y))
    assert np.array_equal(x, y)


def test_unknown_sizes_are_shared_where_they_are_long():
    f = jit(np.sort)
    for n in (1000, 2000, 3000, 4000, 5000, sorts.LONG - 1, sorts.LONG, N, 200_001):
        x = numbers("f8", "normal", n)
        assert np.array_equal(f(x), np.sort(x)), n


def test_what_was_made_before_a_condition_is_sorted_where_it_is():
    """A partition sorts all of a row whose sample has misled it."""
    x = numbers("f8", "normal")
    x[plan_of(N, (N // 2,), f64, 1).positions] = 7e9
    found, wanted = jit(lambda x: np.partition(x, N // 2))(x), np.sort(x)
    assert found[N // 2] == wanted[N // 2]
    assert np.array_equal(np.sort(found), wanted)


@pytest.mark.parametrize("count", [1, 2, 3, 4, 7])
def test_the_same_on_any_number_of_threads(count):
    x = numbers("f8", "few", 200_003)
    x[::5] = np.random.default_rng(1).random(x[::5].size)
    f = jit(np.sort)
    with tracejit.threads(count):
        assert np.array_equal(f(x), np.sort(x))


def is_shared(x, width=64, **options):
    """Whether threads share the sort, on a machine with vectors of so many bytes."""
    module = jit(options.pop("function", np.sort)).trace(x).module
    stages = pipeline.run(module, pipeline.Options(width, 0, **options))
    kernels = stages[next(reversed(stages))].functions
    loops = [s for kernel in kernels for s in statements(kernel.body) if isinstance(s, For)]
    shared = [s for loop in loops if loop.mark == "parallel" for s in statements(loop.body)]
    return any(isinstance(s, Extern) for s in shared)  # copies before may be shared anyway


def test_when_threads_share_a_sort():
    x = numbers("f8", "normal")
    assert is_shared(x)
    assert not is_shared(x[: sorts.LONG - 1])
    assert not is_shared(x, numerics="strict")  # zeros of both signs are as NumPy leaves them
    assert not is_shared(x, reproducible=True, function=lambda x: np.sort(x, kind="stable"))
    assert not is_shared(x, width=32)  # which cannot pack
    assert not is_shared(x, function=lambda x: np.sort(x, kind="stable"))
    assert not is_shared(np.zeros(N, "f2"))
