"""`itertools`, `functools.reduce` and `sorted` of many items: loops of the program, not copies of their bodies."""

from __future__ import annotations

import functools
import itertools
import operator

import numpy as np
import pytest

from tracejit.events import compiles
from tracejit.testing import assert_matches_numpy

INTS = np.random.default_rng(1).integers(0, 5, 70)
FLOATS = np.random.default_rng(2).random(60)


def triples(x, total):
    count = 0
    for a, b, c in itertools.combinations(x, 3):
        if a + b + c == total:
            count += 1
    return count


def ordered_pairs(x):
    best = 0
    for (i, a), (j, b) in itertools.permutations(enumerate(x), 2):
        if i < j:
            best = max(best, (j - i) * min(a, b))
    return best


def products(x, y):
    return max(a * b - a - b for a, b in itertools.product(x, y))


def running(x):
    tops = itertools.accumulate(x, max)
    sums = np.array(list(itertools.accumulate(x, initial=2.5)))
    return sum(t - v for t, v in zip(tops, x)), sums


def steps(x):
    ups = 0
    for a, b in itertools.pairwise(x):
        if b > a:
            ups += 1
    return ups, [v * 2 for v in itertools.islice(x, 3, 40)][-1]


def reduced(x):
    return functools.reduce(operator.mul, x), functools.reduce(lambda a, b: a * 0.5 + b, x, 1)


def runs(x):
    longest = max(len(list(group)) for _, group in itertools.groupby(x))
    return longest, [(int(key), len(list(group))) for key, group in itertools.groupby(x)]


def sums_of_runs(x):
    total = 0
    for is_large, group in itertools.groupby(x, lambda v: v > 2):
        for v in group:
            total = (total * 3 + v) % 1009
        total += 1 if is_large else 7
    return total


def by_distance(x):
    near = sorted(x, key=lambda v: abs(v - 0.5))
    order = sorted(range(len(x)), key=lambda i: -x[i])
    pairs = sorted(zip(x, range(len(x))), key=lambda pair: pair[0], reverse=True)
    return np.array(near), order[:3], pairs[1]


@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        (triples, (INTS[:30], 7)),
        (ordered_pairs, (INTS[:40],)),
        (products, (FLOATS, INTS)),
        (running, (FLOATS,)),
        (steps, (FLOATS,)),
        (reduced, (FLOATS,)),
        (runs, (INTS,)),
        (sums_of_runs, (INTS,)),
        (by_distance, (FLOATS,)),
    ],
    ids=lambda x: getattr(x, "__name__", ""),
)
def test_iterators(function, arguments):
    with compiles() as found:
        assert_matches_numpy(function, arguments, layouts=["C"], rtol=1e-12)
    assert found
