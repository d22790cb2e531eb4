"""`np.apply_along_axis`: compiled where its function can be traced, else called by NumPy."""

from __future__ import annotations

import numpy as np
import pytest

from tracejit import jit
from tracejit.events import compiles

X = np.random.default_rng(3).normal(size=(6, 20))
T = np.random.default_rng(4).normal(size=(3, 5, 8)).astype(np.float32)


def check(function, *args, native=True):
    wanted = function(*args)
    jitted = jit(function)
    with compiles() as made:
        results = [jitted(*args) for _ in range(2)]
    for got in results:
        assert (got.dtype, got.shape) == (wanted.dtype, wanted.shape)
        np.testing.assert_allclose(got, wanted, rtol=1e-5)
    calls = [call for one in made for call in one.python_calls]
    assert native != any("numpy." in call for call in calls), calls


def centred(row, by=1.0):
    return (row - row.mean()) * by


@pytest.mark.parametrize(
    "function",
    [
        lambda row: row.max() - row.min(),
        lambda row: row[row > 0].sum(),
        np.sort,
        np.median,
        np.argmax,
        centred,
        lambda row: np.convolve(row, [1, 2, 1], "same"),
        lambda row: np.outer(row[:2], row[:3]),
        lambda row: (row.sum(), row.min()),
        lambda row: row[0] if row[0] > 0 else row[1],
    ],
)
def test_along(function):
    check(lambda x: np.apply_along_axis(function, 1, x), X)
    check(lambda x: np.apply_along_axis(function, 0, x), X.T)
    check(lambda x: np.apply_along_axis(function, -2, x) * 2, T)


def test_arguments_go_on():
    check(lambda x: np.apply_along_axis(centred, 1, x, 2.5), X)
    check(lambda x: np.apply_along_axis(centred, axis=0, arr=x, by=2.5), X)


def test_the_first_result_decides_about_the_dtype():
    check(lambda x: np.apply_along_axis(lambda row: row.astype("f4"), 1, x), X)


def test_what_cannot_be_traced_is_called():
    check(lambda x: np.apply_along_axis(lambda row: float(str(row[0])), 1, x), X, native=False)
    check(lambda x: np.apply_along_axis(np.sum, 0, x), X[0], native=False)


def test_what_a_function_does_is_done_for_every_row():
    def counting(x):
        seen = []

        def count(row):
            seen.append(row[0])
            return row.sum()

        total = np.apply_along_axis(count, 1, x)
        return total + len(seen)

    np.testing.assert_allclose(jit(counting)(X), counting(X))

    def counting_itself(x):
        calls = 0

        def count(row):
            nonlocal calls
            calls += 1
            return row.sum()

        return np.apply_along_axis(count, 1, x) + calls

    np.testing.assert_allclose(jit(counting_itself)(X), counting_itself(X))


def test_rows_are_views():
    def centre(row):
        row -= row.mean()
        row.sort()
        return row.max()

    for x in (X, T):
        for axis in range(x.ndim):
            ours, numpys = x.copy(), x.copy()
            wanted = np.apply_along_axis(centre, axis, numpys)
            got = jit(lambda x, axis=axis: np.apply_along_axis(centre, axis, x))(ours)
            np.testing.assert_allclose(got, wanted, rtol=1e-4)
            np.testing.assert_allclose(ours, numpys, rtol=1e-4, atol=1e-6)


def test_what_a_function_writes_to_beside_its_rows():
    def program(x):
        total = np.zeros(x.shape[1])

        def add(row):
            total[:] += row
            return row.sum()

        return np.apply_along_axis(add, 1, x), total

    for got, wanted in zip(jit(program)(X), program(X)):
        np.testing.assert_allclose(got, wanted, rtol=1e-12)


@np.vectorize
def hill(v):
    return v * v if v > 0 else np.sin(v)


def collatz(v):
    steps = 0
    while v > 1 and steps < 50:
        v = v * 0.5 if v > 7 else v - 1
        steps += 1
    return steps


def both(a, b):
    return a if a > b else b * 2


def inverse(v):
    return 1 / v


def test_vectorized():
    check(lambda x: hill(x) + 1, X)
    check(lambda x: np.vectorize(collatz)(x * 90), np.abs(X))
    check(lambda x: np.vectorize(both)(x, x[::-1]), X)
    check(lambda x: np.vectorize(lambda v: v > 0)(x), X[0])
    check(lambda x: np.vectorize(both, otypes=[np.float32])(x.T, x.T), X)


def test_vectorized_functions_that_numpy_calls():
    check(lambda x: hill(x), X.astype(np.float32), native=False)
    check(lambda x: np.vectorize(inverse)(x), X, native=False)
    check(lambda x: np.vectorize(both)(x, 0.0), X, native=False)
    with pytest.raises(ZeroDivisionError):
        jit(lambda x: np.vectorize(inverse)(x))(X * 0)


def test_the_dtype_of_vectorized_results_is_that_of_the_first():
    mixed = jit(lambda x: np.vectorize(lambda v: v if v > 0 else -1)(x))
    for x in (np.abs(X), -np.abs(X), X, np.abs(X)):
        wanted = np.vectorize(lambda v: v if v > 0 else -1)(x)
        got = mixed(x)
        assert got.dtype == wanted.dtype
        np.testing.assert_array_equal(got, wanted)


def test_random_numbers_are_drawn_as_often_as_by_numpy():
    def program(x):
        return np.apply_along_axis(lambda row: row + np.random.normal(), 1, x)

    results = []
    for function in (program, jit(program)):
        np.random.seed(3)
        results.append([function(X), function(X), np.random.normal()])
    for wanted, got in zip(*results):
        np.testing.assert_array_equal(got, wanted)
