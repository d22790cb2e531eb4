"""Dear operations that wait for dear ones are in loops of their own, and give the same bits."""

from __future__ import annotations

import numpy as np
import pytest

import tracejit

RNG = np.random.default_rng(8)
UNCUT = tracejit.pipeline().drop("cut_chains")


def loops_of(function, *arguments) -> int:
    return str(tracejit.jit(function, threads=1).lower(*arguments)).count("in vector(")


def chain(x, y):
    inner = np.sin(np.exp(y) / (x * x + 1))
    return np.tanh(inner - x), np.log(inner * inner + 1) + y


def in_place(x, y):
    x[1:] = np.exp(np.sin(x[1:] * y[:-1]))
    x *= np.cos(np.exp(-y * y))
    return x[::-1] + y


def masked(x, y):
    small = np.sin(x) < 0.5
    return np.where(small, np.exp(np.cos(x)), y), np.sum(np.exp(np.sin(y)))


@pytest.mark.parametrize(("function", "dtype"), [(chain, "f8"), (in_place, "f4"), (masked, "f8")])
def test_bits_are_the_same(function, dtype):
    cut, uncut = tracejit.jit(function), tracejit.jit(function, passes=UNCUT)
    for size in (5001, 300):
        x, y = RNG.normal(size=(2, size)).astype(dtype)
        found, wanted = [f(x.copy(), y) for f in (cut, uncut)]
        for a, b in zip(found, wanted):
            np.testing.assert_array_equal(a, b)


def test_each_dear_operation_has_a_loop():
    x, few = np.ones(4096), np.ones(40)
    assert loops_of(lambda x: np.sin(np.cos(np.exp(x))), x) == 3
    assert loops_of(lambda x: np.sin(np.cos(np.exp(x))), few) == 1, "there is nothing to see ahead"
    assert loops_of(lambda x: np.sin(x) + np.cos(x) * np.exp(x), x) == 1, "none waits for another"
    assert loops_of(lambda x: np.exp(x + 1) * x, x) == 1
    half = x.astype("f2")
    assert loops_of(lambda x: np.sin(np.cos(x)), half) == 1, "may be computed in wider numbers"
