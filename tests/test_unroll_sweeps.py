"""Short loops of sweeps over arrays are one sweep; others stay loops."""

from __future__ import annotations

import numpy as np
import pytest

import tracejit
from tracejit.ir.dims import bound, symbol
from tracejit.lower.graph.unroll import unroll_sweeps
from tracejit.testing import assert_kernels

X = np.random.default_rng(0).standard_normal((70, 90))
X[3, 4], X[0, 7], X[60, 0] = np.nan, np.inf, -np.inf
TAPS = np.random.default_rng(1).standard_normal(9)


def fir(x, taps):
    n = x.shape[1] - len(taps) + 1
    return sum(taps[k] * x[:, k : k + n] for k in range(len(taps)))


def box(x, taps):
    p = np.pad(x, 3, mode="edge")
    n, m = x.shape
    total, weights = np.zeros_like(x), np.zeros_like(x)
    for i in range(7):
        for j in range(7):
            w = np.exp(-0.1 * ((i - 3) ** 2 + (j - 3) ** 2))
            total, weights = total + w * p[i : i + n, j : j + m], weights + w
    return total / weights


def horner(x, taps):
    y = np.zeros_like(x)
    for k in range(9):
        y = y * x + taps[k]
    return y


def fractal(x, taps):
    z = x
    for _ in range(12):
        z = np.where(z * z < 4, z * z + x, z)
    return z


@pytest.mark.parametrize("function", [fir, box, horner, fractal])
def test_one_kernel(function):
    with np.errstate(all="ignore"):
        wanted = function(X, TAPS)
        assert_kernels(function, (X, TAPS), exactly=1)
        for numerics in ("strict", "default"):
            found = tracejit.jit(function, numerics=numerics)(X, TAPS)
            np.testing.assert_allclose(found, wanted, rtol=1e-10, atol=1e-10)


def loops(module) -> int:
    entry = module.entry
    return sum(node.op.name == "for_loop" for node in entry.nodes)


def steps(x, y):
    """Each needs the neighbours of the one before."""
    for _ in range(9):
        x = x * 0.5
        x[1:] += x[:-1] * 0.25
    return x


def long(x, y):
    total = x
    for k in range(90):
        total = total * 0.5 + y[k]
    return total


def small(x, y):
    total = x[0]
    for k in range(9):
        total = total * 0.5 + y[k, 0]
    return total


def sums(x, y):
    for _ in range(9):
        x = x - x.mean()
    return x


@pytest.mark.parametrize("function", [steps, long, small, sums])
def test_what_stays_a_loop(function):
    x, y = np.nan_to_num(X, posinf=1, neginf=2), np.ones((90, 1, 90))
    traced = tracejit.jit(function).trace(x, y).module
    assert loops(traced) == loops(unroll_sweeps(traced)) == 1
    np.testing.assert_allclose(tracejit.jit(function)(x, y), function(x, y), rtol=1e-12, atol=1e-12)


def test_what_is_written_out():
    """Of several values that are carried."""

    def both(x, taps):
        a, b = x, np.zeros_like(x)
        for k in range(7):
            a, b = b + taps[k] * x, a - taps[k + 1]
        return a, b

    traced = tracejit.jit(both).trace(X, TAPS).module
    assert (loops(traced), loops(unroll_sweeps(traced))) == (1, 0)
    for found, wanted in zip(tracejit.jit(both)(X, TAPS), both(X, TAPS)):
        np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-12)


def test_extents_with_an_unknown_known():
    i, n = symbol("i", 0, 9), symbol("n")
    assert bound(2 * i + 3, {"i": 4}) == 11
    assert bound(i * n + i // 2, {"i": 4}) == 4 * n + 2
    assert bound(n - 1, {"i": 4}) is n - 1
    assert bound((n + i) // 2, {"i": 4}) == (n + 4) // 2
