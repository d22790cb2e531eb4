"""Loops that are there twice, with checks of indices and without; and what is selected by leaving one."""

import numpy as np
import pytest

import tracejit


def shifted_sums(x, starts, lengths):
    total = 0.0
    for i in range(len(starts)):
        part = 0.0
        for k in range(lengths[i]):
            if part < 3.0:
                part += x[starts[i] + k]
        total += part * (i + 1)
    return total


def mirrored(x, y, at, count):
    for k in range(count):
        y[k] = y[k - 1] + x[at - k]
    return y


def filled(values, counts, room):
    out = np.zeros(room, values.dtype)
    place = 0
    for i in range(len(values)):
        for _ in range(counts[i]):
            out[place] = values[i]
            place += 1
    return out


def ways(coins, most):
    found = np.zeros(most + 1, np.int64)
    found[0] = 1
    for coin in coins:
        for amount in range(coin, most + 1):
            found[amount] += found[amount - coin]
    return found


def test_shorter_version_has_no_checks():
    lowered = str(tracejit.jit(ways).lower(np.array([1, 5, 10, 25, 50]), 1000))
    (choice,) = lowered.split("if seldom(")[1:]
    checked, plain = choice.split("@kernel")[0].split("else:")
    assert "checked_index" in checked and "checked_index" not in plain
    assert "poll" in checked and "poll" not in plain


def test_where_versions_meet():
    np.testing.assert_array_equal(
        tracejit.jit(ways)(np.array([7, 2, 3]), 500), ways([7, 2, 3], 500)
    )
    counts = np.array([3, 0, 1, 30_000, 70_000, 2])
    values, room = np.arange(6.0), 100_006
    np.testing.assert_array_equal(
        tracejit.jit(filled)(values, counts, room), filled(values, counts, room)
    )


@pytest.mark.parametrize("seed", range(12))
def test_indices_from_either_end(seed):
    rng = np.random.default_rng(seed)
    x = rng.integers(0, 3, 20) / 4  # sums of these are exact in any order
    starts, lengths = rng.integers(-23, 22, 6), rng.integers(-2, 25, 6)
    _agree(shifted_sums, x, starts, lengths)
    _agree(mirrored, x, np.zeros(12), rng.integers(-3, 22), rng.integers(-2, 15))


@pytest.mark.parametrize("far", [2**63 - 1, -(2**63), 2**62])
def test_indices_that_wrap_around(far):
    for size in (1, 2, 5):
        _agree(mirrored, np.ones(size), np.zeros(3), np.int64(far), np.int64(3))
        _agree(shifted_sums, np.ones(size), np.array([far]), np.array([4]))


def _agree(function, *arguments):
    """The same result or the same exception as NumPy's, and the same left in the arguments."""
    found = []
    for run in (function, tracejit.jit(function)):
        own = [x.copy() if isinstance(x, np.ndarray) else x for x in arguments]
        try:
            found.append((np.array(run(*own)), own))
        except IndexError as error:
            found.append((type(error), own))
    np.testing.assert_equal(found[1], found[0])


def first_above(x, least):
    place, value = -1, 0.0
    for i in range(len(x)):
        if x[i] > least:
            place, value = i, x[i]
            break
    return place, value


def is_sorted(x):
    good = True
    for i in range(1, len(x)):
        if x[i] < x[i - 1]:
            good = False
            break
    return 1 if good else 2


def last_seen(x, stop):
    before, seen, i = 0.0, 0.0, 0
    while i < len(x):
        done = x[i] == stop
        before, seen = seen, x[i]
        if done:
            before = -before
            break
        i += 1
    return before, seen, i


@pytest.mark.parametrize("x", [[], [1.0], [0.5, 2.0, 1.0, 3.0], [3.0, 2.0], [1.0, 1.0, 2.0]])
def test_what_a_break_leaves(x):
    x = np.array(x)
    for run, *more in ((first_above, 1.5), (first_above, 9.0), (is_sorted,), (last_seen, 1.0)):
        assert tracejit.jit(run)(x, *more) == run(x, *more)
