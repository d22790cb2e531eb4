"""Loops and comprehensions over what data selects: `for kind in np.unique(y)`."""

import numpy as np
import pytest

import tracejit
from tracejit.testing import assert_no_fallback


def scatter_within(y, x):
    total = np.zeros((3, 3))
    for kind in np.unique(y):
        own = x[y == kind]
        offsets = own - own.mean(axis=0)
        total += offsets.T @ offsets
    return total


def best_kind(y, x):
    best, value = -1, -1e300
    for kind in np.unique(y):
        found = x[y == kind].sum()
        if found > value:
            best, value = kind, found
    return best, value


def shares(y, x):
    found = np.zeros(10)
    for kind, count in zip(*np.unique(y, return_counts=True)):
        found[kind] = count / len(y)
    return found


def numbered(y, x):
    found = np.empty(len(x))
    for number, kind in enumerate(np.unique(y)):
        found[y == kind] = number * 10 + kind
    return found


def weighed(y, x):
    total = 0.0
    for place in np.flatnonzero(x[:, 0] > 0):
        total += x[place, 1] * place
    return total


PROGRAMS = [
    scatter_within,
    best_kind,
    shares,
    numbered,
    weighed,
    lambda y, x: np.array([x[y == kind].mean(axis=0) for kind in np.unique(y)]),
    lambda y, x: np.array([np.sum(y == kind) for kind in np.unique(y)]),
    lambda y, x: sum(x[y == kind, 0].max() for kind in np.unique(y)),
    lambda y, x: np.array([row.sum() for row in x[x[:, 0] > 0.5]]),
    lambda y, x: [int(place) * 2 for place in np.flatnonzero(x[:, 0] > 0.9)],
]


def arguments(seed, kinds=5):
    rng = np.random.default_rng(seed)
    return rng.integers(0, kinds, 60), rng.normal(size=(60, 3))


@pytest.mark.parametrize("program", PROGRAMS)
def test_they_are_gone_through(program):
    compiled = tracejit.jit(program)
    for seed, kinds in enumerate((5, 3, 9, 1)):
        actual, wanted = compiled(*arguments(seed, kinds)), program(*arguments(seed, kinds))
        np.testing.assert_allclose(actual, wanted, rtol=1e-12)
        assert type(actual) is type(wanted)
    assert compiled.cache_info().misses == 1


@pytest.mark.parametrize("program", PROGRAMS[:7])
def test_without_python(program):
    assert_no_fallback(program, arguments(0))


def test_none_are_selected():
    compiled = tracejit.jit(weighed)
    y, x = arguments(0)
    assert compiled(y, x - 100.0) == weighed(y, x - 100.0) == 0.0


def test_what_is_gone_through_may_be_written():
    def doubled(x):
        chosen = x[x > 0]
        total = 0.0
        for k, value in enumerate(chosen):
            chosen[k] = value * 2
            total += chosen[k]
        return total, chosen, x

    x = np.random.default_rng(0).normal(size=30)
    for actual, wanted in zip(tracejit.jit(doubled)(x.copy()), doubled(x.copy())):
        np.testing.assert_allclose(actual, wanted, rtol=1e-12)
