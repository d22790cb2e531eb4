"""Chains of stencils over large arrays, in strips of lines."""

from __future__ import annotations

import numpy as np
import pytest
from combinations import each

import tracejit
from tracejit.ir.verify import Stage, verify
from tracejit.lower.graph import stencils

WITHOUT = tracejit.pipeline().drop("chain_stencils")


def blurred(x):
    y = (x[:-2] + 2 * x[1:-1] + x[2:]) / 4
    return (y[:, :-2] + 2 * y[:, 1:-1] + y[:, 2:]) / 4


def twice(x):
    return blurred(blurred(x))


def edges(x):
    b = blurred(blurred(x))
    across, down = b[1:-1, 2:] - b[1:-1, :-2], b[2:, 1:-1] - b[:-2, 1:-1]
    m = np.sqrt(across * across + down * down)
    centre = m[1:-1, 1:-1]
    return np.where((centre >= m[:-2, 1:-1]) & (centre >= m[2:, 1:-1]), centre, 0)


def heat(x):
    for _ in range(3):
        inner = x[1:-1, 1:-1]
        around = x[2:, 1:-1] + x[:-2, 1:-1] + x[1:-1, 2:] + x[1:-1, :-2]
        x = np.pad(inner + x.dtype.type(0.1) * (around - 4 * inner), 1)
    return x


def corners(x):
    """The first stage has three results, which have differences in common."""

    def box(a):
        rows = a[:-2] + a[1:-1] + a[2:]
        return rows[:, :-2] + rows[:, 1:-1] + rows[:, 2:]

    across, down = x[1:-1, 2:] - x[1:-1, :-2], x[2:, 1:-1] - x[:-2, 1:-1]
    a, b, c = box(across * across), box(down * down), box(across * down)
    return a + b - c


@pytest.mark.parametrize(
    "function, dtype",
    [
        *each([twice, edges, heat, corners], ["float64"]),
        # A factor of `heat` is a fraction.
        *each([twice, edges, heat, corners], ["float32", "int32"]),
    ],
)
def test_values_between_stay_near(function, dtype):
    x = (np.random.default_rng(0).random((701, 803)) * 100).astype(dtype)
    lowered = tracejit.jit(function).lower(x)
    for stage, module in lowered.stages.items():
        verify(module, stage)
        assert tracejit.parse(tracejit.show(module)) is module
    assert any(g.name == "stencils" for g in lowered.stages[Stage.FUSED].functions)
    wanted, near = function(x), 1e-4 if dtype == "float32" else 1e-11
    for got in (lowered.compile()(x), tracejit.jit(function, threads=1)(x)):
        np.testing.assert_allclose(got, wanted, rtol=near, atol=near * 100)
    strict = tracejit.jit(function, numerics="strict")(x)
    np.testing.assert_array_equal(strict, wanted)
    if function is not heat:  # the last pad of which is a copy of its own
        before = tracejit.jit(function, passes=WITHOUT).memory(x)
        assert lowered.memory.workspace < before.workspace


def test_what_is_needed_elsewhere_is_stored():
    def program(x):
        b = blurred(x)
        return blurred(b), b

    x = np.random.default_rng(0).random((701, 803))
    for got, wanted in zip(tracejit.jit(program)(x), program(x)):
        np.testing.assert_allclose(got, wanted, rtol=1e-12)


STEPS = [
    lambda x: x[1:] + x[:-1] * 0.5,
    lambda x: x[:, 2:] - x[:, :-2],
    lambda x: np.pad(x, 1) * 2,
    lambda x: np.pad(x[1:-1] - x[:-2], ((1, 1), (0, 0)), constant_values=3.0),
    lambda x: np.maximum(x[2:, 1:], x[:-2, :-1]) + x[1:-1, 1:],
    lambda x: x[::2] + 1,
    lambda x: np.sqrt(np.abs(x[1:-1, 1:-1])) + x[2:, 2:],
    lambda x: x - np.arange(x.shape[1]) + x[:, :1],
    lambda x: x[::-1] + x,
    lambda x: x[:-1] * x[1:].mean(),
]


@pytest.mark.parametrize("seed, threads", each(range(24), [1, 2]))
def test_random_chains(seed, threads, monkeypatch):
    monkeypatch.setattr(stencils, "LEAST_BYTES", 1)
    rng = np.random.default_rng(seed)
    steps = [STEPS[k] for k in rng.integers(0, len(STEPS), rng.integers(2, 6))]

    def program(x):
        for step in steps:
            x = step(x)
        return x

    x = rng.random((int(rng.integers(180, 320)), int(rng.integers(20, 60))))
    np.testing.assert_allclose(tracejit.jit(program, threads=threads)(x), program(x), rtol=1e-10)
