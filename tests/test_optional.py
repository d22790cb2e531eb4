"""Numbers that are None on some paths, as traced values decide: they are carried, asked for, and returned."""

from __future__ import annotations

import types

import numpy as np
import pytest

from tracejit.events import compiles
from tracejit.testing import assert_matches_numpy

X = np.random.default_rng(4).random(40)


def greatest_below(x, limit):
    best = where = None
    for i, v in enumerate(x):
        if v < limit and (best is None or v > best):
            best, where = v, i
    return best, where


def gaps(x):
    last, total = None, 0
    for i in range(len(x)):
        if x[i] > 0.8:
            if last is not None:
                total += i - last
            last = i
    return total


def first_above(x, limit):
    for i in range(len(x)):
        if x[i] > limit:
            return i


def rises(x, count):
    before, total = None, x[0]
    for i in range(count):
        if before is not None and x[i] > before:
            total += x[i] - before
        before = x[i]
    return total, before


def two_greatest(x):
    first = second = None
    for v in x:
        if first is None or v > first:
            first, second = v, first
        elif second is None or v > second:
            second = v
    return first, second


def truth_of_it(x):
    found, i = None, 0
    while i < len(x):
        if x[i] > 0.5:
            found = found + x[i] if found else x[i]
        i += 1
    return x[0] if found is None else found


def attribute(x):
    held = types.SimpleNamespace(best=None)
    for v in x:
        if v > 0.5 and (held.best is None or v < held.best):
            held.best = v
    return held.best


def stretches(x):
    found, begin = [], None
    for i in range(len(x)):
        if x[i] > 0.3:
            if begin is None:
                begin = i
        elif begin is not None:
            found.append((begin, i))
            begin = None
    return found


def unasked(x, limit):
    best = None
    for v in x:
        if v < limit:
            best = v
    return best + 1.0


@pytest.mark.parametrize(
    ("function", "arguments", "others"),
    [
        (greatest_below, (X, 0.7), (X, -1.0)),
        (gaps, (X,), (X * 0.1,)),
        (first_above, (X, 0.9), (X, 2.0)),
        (rises, (X, np.int64(30)), (X, np.int64(0))),
        (two_greatest, (X,), (X[:1],)),
        (truth_of_it, (X,), (X * 0.1,)),
        (attribute, (X,), (X * 0.1,)),
        (stretches, (X,), (X * 0.1,)),
        (unasked, (X, 0.7), (X, -1.0)),
    ],
    ids=lambda x: getattr(x, "__name__", ""),
)
def test_none_or_a_number(function, arguments, others):
    with compiles() as found:
        assert_matches_numpy(function, arguments, layouts=["C"], rtol=1e-12)
        assert_matches_numpy(function, others, layouts=["C"], rtol=1e-12)
    assert found
