"""Short loops of sweeps over arrays are one sweep; others stay loops."""

from __future__ import annotations

import numpy as np
import pytest

import tracejit
from tracejit.ir.dims import bound, symbol
from tracejit.ir.reference import reference
from tracejit.ir.text import parse
from tracejit.lower.graph.unroll import unroll_sweeps
from tracejit.stages import build
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


def small(x, y):
    total = x[0]
    for k in range(9):
        total = total * 0.5 + y[k, 0]
    return total


def sums(x, y):
    for _ in range(9):
        x = x - x.mean()
    return x


@pytest.mark.parametrize("function", [steps, small, sums])
def test_what_stays_a_loop(function):
    x, y = np.nan_to_num(X, posinf=1, neginf=2), np.ones((90, 1, 90))
    traced = tracejit.jit(function).trace(x, y).module
    assert loops(traced) == loops(unroll_sweeps(traced)) == 1
    np.testing.assert_allclose(tracejit.jit(function)(x, y), function(x, y), rtol=1e-12, atol=1e-12)


TEXT = """
i = bounded(0, {last})


def body(a: f64[{n}], b: f64[{n}], taps: f64[100], x: f64[{n}]):
    t0 = slice(taps, start=(i,), step=(1,), stop=(i + 1,))
    t1 = broadcast(reshape(t0, shape=()), axes=(), shape=({n},))
    t2 = {dear}(multiply(x, t1))
    t3 = cast(broadcast(extent(value=i), axes=(), shape=({n},)), dtype=f64)
    return add(b, t2), subtract(a, t3)


def both(x: f64[{n}], taps: f64[100]):
    t0, t1 = for_loop(x, x, taps, x, body=body, carried=2, index=i, start=0, stop={last} + 1)
    return t0, t1
"""


@pytest.mark.parametrize(
    "last, n, dear, left",
    [
        (7, 5000, "negative", 0),
        (7, 300, "negative", 1),  # in the nearest cache
        (90, 5000, "negative", 1),  # much code
        (7, 5000, "power_of_itself", 1),  # arithmetic is what takes time
    ],
)
def test_what_is_worth_it(last: int, n: int, dear: str, left: int):
    text = TEXT.replace("{last} + 1", str(last + 1)).format(last=last, n=n, dear=dear)
    if dear == "power_of_itself":
        text = text.replace("power_of_itself(multiply(x, t1))", "arctan2(exp(sin(x)), exp(t1))")
    module = parse(text)
    assert (loops(module), loops(unroll_sweeps(module))) == (1, left)
    x, taps = np.random.default_rng(0).random(n), np.random.default_rng(1).random(100)
    wanted = reference(module, x, taps)
    for found in (reference(unroll_sweeps(module), x, taps), build(module)(x, taps)):
        for a, b in zip(found, wanted):
            np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12)


def test_extents_with_an_unknown_known():
    i, n = symbol("i", 0, 9), symbol("n")
    assert bound(2 * i + 3, {"i": 4}) == 11
    assert bound(i * n + i // 2, {"i": 4}) == 4 * n + 2
    assert bound(n - 1, {"i": 4}) is n - 1
    assert bound((n + i) // 2, {"i": 4}) == (n + 4) // 2
