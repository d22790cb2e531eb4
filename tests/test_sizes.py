"""Shapes and ints that keep changing: symbols instead of compiling for ever, and NumPy's answers."""

from __future__ import annotations

import numpy as np
import pytest

import tracejit
from tracejit.ir.dims import LEAST, Extent, as_number, plain, symbol

SIZES = [(13, 14), (15, 16), (17, 18), (19, 20), (11, 12), (100, 201), (8, 9), (64, 33)]


def same(got, wanted):
    assert type(got) is type(wanted)
    if isinstance(wanted, tuple):
        for a, b in zip(got, wanted, strict=True):
            same(a, b)
        return
    np.testing.assert_allclose(got, wanted, rtol=1e-12, atol=1e-12)
    assert np.shape(got) == np.shape(wanted)


def softmax(x, y):
    e = np.exp(x - x.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True) + y


def many(x, y):
    return (
        x.sum(),
        np.concatenate([y, y]),
        x.T + 1,
        x.mean(axis=0),
        x @ x.T,
        y * y.shape[0],
        x.shape[0] * 2,
        x[1:] - x[:-1],
        np.zeros(x.shape) + x,
        x.reshape(-1),
        np.pad(x, 1)[2:, 1:-1],
        np.cumsum(x, axis=1),
        x.argmax(axis=1),
    )


@pytest.mark.parametrize("function", [softmax, many])
def test_one_executable_serves_every_size(function):
    jitted = tracejit.jit(function)
    rng = np.random.default_rng(0)
    for n, m in SIZES:
        x, y = rng.random((n, m)), rng.random(m)
        same(jitted(x, y), function(x, y))
    assert jitted.cache_info().misses == 4


def test_small_extents_are_compiled_as_they_are():
    jitted = tracejit.jit(softmax)
    rng = np.random.default_rng(1)
    for n, m in [*SIZES, (1, 9), (9, 1), (1, 1), (3, 100)]:
        x, y = rng.random((n, m)), rng.random(m)
        same(jitted(x, y), softmax(x, y))


def test_extents_that_agree_by_chance_are_different_symbols():
    def f(x, y):
        return x.sum() + y.sum()

    jitted = tracejit.jit(f)
    for n, m in [(10, 10), (11, 11), (12, 12), (13, 13), (14, 20), (15, 30), (16, 40)]:
        x, y = np.arange(float(n)), np.arange(float(m))
        same(jitted(x, y), f(x, y))


@pytest.mark.parametrize("where", [9, 12, 30])
def test_a_branch_on_a_size_is_never_guessed(where):
    def f(x):
        if x.shape[0] == where:
            return x * 2
        return x + len(x) if x.shape[0] > where else x - 1

    jitted = tracejit.jit(f)
    for n in range(8, 40):
        x = np.arange(float(n))
        same(jitted(x), f(x))


def test_it_is_said_why_each_size_is_compiled(capfd):
    @tracejit.jit
    def halves(x):
        return x[: len(x) // 2].sum() if len(x) % 2 == 0 else x.sum()

    with tracejit.config.use(debug=1):
        for size in (5, 7, 9, 11):
            halves(np.ones(size))
    assert "halves is compiled for each size: TraceError" in capfd.readouterr().err


def test_mismatched_shapes_still_raise():
    def f(x, y):
        return x + y

    jitted = tracejit.jit(f)
    for n in (10, 11, 12, 13, 14):
        jitted(np.ones(n), np.ones(n))
    for n in (15, 16, 17, 18, 19, 20):
        with pytest.raises(ValueError, match="broadcast"):
            jitted(np.ones(n), np.ones(n + 1))
        same(jitted(np.ones(n), np.ones(1)), np.ones(n) + 1)


def test_an_int_that_keeps_changing_becomes_an_input():
    def f(x, k):
        return x * k + k

    jitted = tracejit.jit(f)
    for k in [*range(10), -5, 2**40, -(2**62)]:
        same(jitted(np.arange(3.0), k), f(np.arange(3.0), k))
    assert jitted.cache_info().misses == 2


def test_an_int_that_is_needed_stays_part_of_the_signature():
    def f(x, k):
        return np.zeros(k) + x

    jitted = tracejit.jit(f)
    for k in range(1, 6):
        same(jitted(1.5, k), f(1.5, k))
    assert jitted.cache_info().misses == 5


def test_an_int_out_of_range_of_a_dtype_raises_as_in_numpy():
    jitted = tracejit.jit(lambda x, k: x + k)
    x = np.arange(10, dtype=np.uint8)
    for k in (1, 2, 3, 200):
        got = jitted(x, k)
        assert got.dtype == np.uint8 and (got == x + k).all()
    with pytest.raises(OverflowError):
        jitted(x, 300)


def test_extents_compare_as_numbers_or_refuse():
    n = as_number(symbol("n"))
    assert type(n) is Extent and type(plain(n)) is not Extent
    assert n == n and n + 1 == 1 + n and n != n + 1 and n != 3 and not n == LEAST - 1
    assert n > 1 and n >= LEAST and n - 1 > 0
    for question in (lambda: n == LEAST, lambda: n == 100, lambda: n == as_number(symbol("m"))):
        with pytest.raises(tracejit.TraceError, match="depends on the size"):
            question()


def test_arrays_that_clash_are_told_apart_at_every_size():
    """A program for every size is no program for read-only arrays, or for one array given twice."""

    def shift(x, y):
        x[1:] = y[:-1] * 2.0

    function = tracejit.jit(shift)
    for n in range(24, 32):
        function(np.ones(n), np.ones(n))
    for n in (24, 31, 40):
        fixed = np.arange(float(n))
        fixed.flags.writeable = False
        with pytest.raises(ValueError, match="read-only"):
            function(fixed, np.ones(n))
        np.testing.assert_array_equal(fixed, np.arange(n))
        mine, wanted = np.arange(float(n)), np.arange(float(n))
        function(mine, mine)
        shift(wanted, wanted)
        np.testing.assert_array_equal(mine, wanted)


def dilated(x):
    p = np.pad(x, 2, mode="edge")
    return np.maximum(p[2:, 2:], p[:-2, :-2])


def rolled(x):
    return np.roll(x, 3, axis=1) - np.roll(x, -2, axis=0) + np.roll(x, (1, 1), (0, 1))


def joined(x):
    return np.concatenate([x[:3], np.diff(x, axis=0), x[::-1], x[-4:] * 2.0])


def mirrored(x):
    return np.pad(x, ((7, 6), (0, 3)), mode="symmetric") + 1.0, np.pad(x, 6, mode="reflect")


def upper(x):
    return np.triu(x, 2) - np.tril(x, -1)


def written(x):
    y = np.zeros_like(x)
    y[2:-2, 1:] = x[4:, :-1]
    y[:, -1] += x[:, 0]
    return np.where(np.arange(x.shape[1]) < 5, y, -y)


CUT = [dilated, rolled, joined, mirrored, upper, written]


@pytest.mark.parametrize("function", CUT)
def test_loops_that_are_cut_serve_every_size(function):
    """Also the least ones, of which some pieces are empty or come close to one another."""
    jitted = tracejit.jit(function)
    rng = np.random.default_rng(2)
    sizes = [(30, 31), (32, 34), (36, 35), (40, 41)]
    for n, m in [*sizes, *((n, m) for n in range(8, 14) for m in range(8, 14)), (200, 9), (9, 200)]:
        x = rng.random((n, m))
        same(jitted(x), function(x))
    assert jitted.cache_info().misses == 4


@pytest.mark.parametrize("function", [dilated, rolled, joined])
def test_conditions_are_cut_out_at_every_size(function):
    jitted = tracejit.jit(function)
    for n in range(20, 25):
        jitted(np.ones((n, n + 1)))
    (entry,) = [e for e in jitted._compiler._entries.values() if e.compiled.code.symbols]
    assert "where" not in tracejit.show(entry.compiled.lowered.module)


def test_programs_for_a_size_stay_in_use():
    """One for every size comes after those that were made for the very sizes, whose code is better."""
    jitted = tracejit.jit(lambda x: x * 2.0 + 1.0)
    for n in [20, 21, 22, 23, 20, 21, 22, 24, 20]:
        jitted(np.ones(n))
    entries = jitted._table._entries
    served = {entry.has_symbols: 0 for entry in entries}
    for entry in entries:
        served[entry.has_symbols] += entry.get("hits")
    assert served == {True: 1, False: 4} and entries[0].has_symbols
