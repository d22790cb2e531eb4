"""Generators of the user's: their branches and loops are captured together with the loop that goes through them."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from tracejit.events import compiles
from tracejit.testing import assert_matches_numpy

X = np.random.default_rng(6).normal(size=40)
INTS = np.random.default_rng(7).integers(0, 100, 40)


def positive(x):
    for i in range(len(x)):
        if x[i] > 0:
            yield i


def marked(x):
    for i in range(len(x)):
        if x[i] > 0:
            x[i] = 0.0
            yield i
            x[i] = 2.0


def until(x, most):
    count = 0
    for v in x:
        if v < -1.5 or count >= most:
            return
        yield v
        count += 1
    yield 100.0


def halved(n):
    while n > 0:
        yield n
        n = n // 2


def congruential(seed):
    while True:
        seed = (seed * 1103515245 + 12345) % 2147483648
        yield seed / 2147483648


def both_write(x):
    x = x.copy()
    total = 0.0
    for i in marked(x):
        total += x.sum() * i
        if i + 1 < len(x):
            x[i + 1] = -x[i + 1]
    return x, total


def jumps(x):
    total = 0
    for i in positive(x):
        for j in positive(x):
            if j > i:
                break
            if (i + j) % 3 == 0:
                continue
            total += i * j
        if total > 500:
            return total, i
    else:
        total = -total
    return total, -1


def reduced(x):
    digits = sum(k * v for k, v in enumerate(halved(abs(x[0] * 1000) // 1)))
    return sum(until(x, 7)), sum(until(x, 700)), any(i > 30 for i in positive(x)), digits


def estimated(seed, count):
    inside, numbers = 0, congruential(seed)
    for k, number in enumerate(numbers):
        if k >= count:
            break
        inside += number * number < 0.5
    return inside


def containers(x):
    held, found = {"count": 0, "sum": 0.0}, []
    for i in positive(x):
        held["count"] += 1
        held["sum"] += x[i]
        if i % 2:
            found.append(i)
    return held, found, [i * 2 for i in positive(x)], list(positive(x))


def chained(x):
    total = 0.0
    for i, v in enumerate(itertools.chain(x[:7], x[12:])):
        total = total * 0.5 + v * i
    for i in itertools.count():
        if x[i] > 0.5:
            break
    rest = sum(itertools.takewhile(lambda v: v > -0.5, itertools.dropwhile(lambda v: v < 1, x)))
    return total, i, rest


class Held:
    def __init__(self, x):
        self.x = x

    def __iter__(self):
        for v in self.x:
            if v > 0:
                yield v


def named(x):
    yield "a", x[0]
    for k in range(3):
        yield f"b{k}", x[k + 1]


def objects(x):
    parts = {name: v * 2 for name, v in named(x)}
    for name, v in named(x):
        parts[name] += v
    return sum(Held(x)), parts


def by_hand(x):
    numbers = positive(x)
    first = next(numbers)
    return first, sum(a * b for a, b in zip(numbers, positive(-x)))


@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        (both_write, (X,)),
        (jumps, (X,)),
        (reduced, (X,)),
        (estimated, (np.int64(5), 50)),
        (containers, (X,)),
        (chained, (X,)),
        (objects, (X,)),
    ],
    ids=lambda x: getattr(x, "__name__", ""),
)
def test_generators(function, arguments):
    with compiles() as found:
        assert_matches_numpy(function, arguments, layouts=["C"], rtol=1e-12)
    assert found


def inner(x):
    for v in x:
        if v > 0:
            yield v


def outer(x):
    yield from inner(x)


def by_name(x):
    numbers = (v * 2 for v in x if v > 0)
    total = 0.0
    for v in numbers:
        total += v
    return total + sum(outer(x))


@pytest.mark.parametrize("function", [by_hand, by_name])
def test_numpy_runs_what_is_not_captured(function):
    assert_matches_numpy(function, (X,), layouts=["C"])
