"""Loops and branches as functions: in jitted functions and outside, the same."""

import numpy as np
import pytest

import tracejit
from tracejit import cond, fori_loop, scan, switch, while_loop

X = np.linspace(-1, 2, 8)


def powers(x):
    return fori_loop(0, 9, lambda i, v: v * 0.5 + x * i, x)


def halved(x):
    return while_loop(lambda v: v[1] > 0.1, lambda v: (v[0] + 1, v[1] * 0.5), (0, x[7]))


def either(x):
    return cond(x[0] > 0, lambda a, b: a + b, lambda a, b: a - b, x, 2.0)


def one_of(x, k):
    return switch(k[0], [lambda a: a, lambda a: a * 2, lambda a: a - 1], x)


def running(x):
    return scan(lambda s, v: (s + v, s * v), 0.0, x)


def backwards(x):
    def step(s, row):
        return {"s": s["s"] * 0.5 + row[0]}, (s["s"], row[1] * row[0])

    return scan(step, {"s": 1.0}, (x, x[::-1]), reverse=True)


def counted(x):
    return tracejit.scan(lambda s, _: (s * 2, s), x[0], None, length=7)


def traced_bounds(x, k):
    return tracejit.fori_loop(k[0], k[1], lambda i, s: s + x[i], 0.0)


def alike(a, b):
    if isinstance(b, tuple):
        for one, other in zip(a, b, strict=True):
            alike(one, other)
    elif isinstance(b, dict):
        alike(tuple(a.values()), tuple(b.values()))
    else:
        np.testing.assert_allclose(a, b)


@pytest.mark.parametrize(
    "function, args",
    [
        (powers, (X,)), (halved, (X,)), (either, (X,)), (either, (-X,)), (running, (X,)),
        (backwards, (X,)), (counted, (X,)), (traced_bounds, (X, np.array([1, 6]))),
        *[(one_of, (X, np.array([k]))) for k in (-3, 0, 1, 2, 9)],
    ],
)  # fmt: skip
def test_as_in_python(function, args):
    alike(tracejit.jit(function)(*args), function(*args))


def test_scan_of_nothing():
    with pytest.raises(ValueError, match="nothing"):
        scan(lambda s, v: (s, v), 0.0, X[:0])


def test_positions_in_parts_that_may_be_empty():
    def function(x):
        n = (x > 9).sum()
        first = last = -1
        if n > 0:
            first, last = np.argmax(x[:n]), np.argmin(x[-n:])
        total = 0
        for q in range(n):
            total = total + np.argmax(x[q:n])
        return first, last, total

    compiled, x = tracejit.jit(function), np.arange(6.0)
    for given in (x, x * 4, x, x[::-1] * 9):
        assert compiled(given) == function(given)
    with pytest.raises(ValueError, match="argmax of an empty sequence"):
        tracejit.jit(lambda x: np.argmax(x[: (x > 9).sum()]))(x)
