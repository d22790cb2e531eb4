"""Loops over time that are tiled compute the same bits."""

from __future__ import annotations

import random

import numpy as np
import pytest
from test_capture_random import function_of

import tracejit
from tracejit.ir import ops  # noqa: F401  (the vocabulary that the texts use)
from tracejit.ir.reference import reference
from tracejit.ir.tensor import For, statements
from tracejit.ir.text import parse
from tracejit.ir.verify import Stage, verify
from tracejit.lower.machine import Machine
from tracejit.lower.tensor.tile_time import tile_time

SMALL = Machine(l1_bytes=64, l2_bytes=4096)


def small_caches(seen):
    """The pipeline for a machine with next to no cache, which notes whether something was tiled."""

    def tile(module):
        tiled = tile_time(module, SMALL)
        seen.append(tiled is not module)
        return tiled

    return tracejit.pipeline().replace("tile_time", tile)


def run(function, *arguments):
    """The results of the tiled program, which are those of plain Python to the bit."""
    seen: list[bool] = []
    jitted = tracejit.jit(function, passes=small_caches(seen), numerics="strict")
    ours, numpys = [[a.copy() if isinstance(a, np.ndarray) else a for a in arguments] for _ in "ab"]
    actual, wanted = jitted(*ours), function(*numpys)
    for one, other in zip((actual, *ours), (wanted, *numpys)):
        np.testing.assert_array_equal(one, other)
    return any(seen)


RANDOM = np.random.default_rng(0)
LINE, OTHER, PLANE = RANDOM.random(1700), RANDOM.random(1700), RANDOM.random((2000, 9))


def in_place(a, steps):
    for _ in range(steps):
        a[1:-1] = 0.25 * a[:-2] + 0.5 * a[1:-1] + 0.25 * a[2:]
    return a


def exchanged(u, steps):
    new = u.copy()
    for _ in range(steps):
        new[2:-2] = (u[:-4] + u[1:-3] + u[3:-1] + u[4:]) / 4
        u, new = new, u
    return u


def waves(u, v, steps):
    for t in range(steps):
        v[1:-1] += 0.1 * (u[2:] - 2 * u[1:-1] + u[:-2])
        u += 0.5 * v
        u[0] = 0.3 * t
        u[-1] = u[-2]
    return u


def plane(u, steps):
    for _ in range(steps):
        u = u.copy()
        u[1:-1, 1:-1] += 0.1 * (u[:-2, 1:-1] + u[2:, 1:-1] + u[1:-1, :-2] - 3 * u[1:-1, 1:-1])
        u[0], u[-1] = u[1], u[-2]
        u[:, 0], u[:, -1] = u[:, 1], u[:, -2]
    return u


@pytest.mark.parametrize("steps", [13, 40])
@pytest.mark.parametrize(
    "function, arrays",
    [(in_place, (LINE,)), (exchanged, (LINE,)), (waves, (LINE, OTHER)), (plane, (PLANE,))],
)
def test_steps_are_tiled(function, arrays, steps):
    assert run(function, *arrays, steps)


def along_rows(u, steps):
    for t in range(steps):
        u[:, 1:-1] = 0.5 * (u[:, :-2] + u[:, 2:]) + 0.01 * t
        u[:, 0] = u[:, 1]
        u[7] -= 0.5 * t
    return u


def shrinking(u, steps):
    """As the prices in a tree of binomial steps."""
    u = u.repeat(6, axis=1)
    for _ in range(steps):
        u = 0.999 * (0.25 * u[:, 1:] + 0.75 * u[:, :-1])
    return u


def two_arrays(u, v, steps):
    for _ in range(steps):
        u, v = 0.5 * (u + v), np.sqrt(u * v)
        v[3:9] = u[3:9]
    return u - v


@pytest.mark.parametrize("steps", [1, 13, 40])
@pytest.mark.parametrize(
    "function, arrays",
    [
        (along_rows, (PLANE,)),
        (shrinking, (PLANE,)),
        (two_arrays, (LINE, OTHER)),
    ],
)
def test_rows_that_need_no_other_take_all_steps(function, arrays, steps):
    assert run(function, *arrays, steps) or steps == 1


def everywhere(u, steps):
    for _ in range(steps):
        u[1:-1] = 0.5 * (u[:-2] + u[2:])
        u[0] = u[-2]  # all around
        u[-1] = u[1]
    return u


def summed(u, steps):
    total = 0.0
    for _ in range(steps):
        u[1:-1] = 0.5 * (u[:-2] + u[2:])
        total += u.sum()
    return total


def in_order(u, steps):
    for _ in range(steps):
        for i in range(1, len(u) - 1):
            u[i] = 0.5 * (u[i - 1] + u[i + 1])
    return u


def turned(u, steps):
    for _ in range(steps):
        u[1:-1] = 0.5 * (u[:-2][::-1] + u[2:])
    return u


@pytest.mark.parametrize("function", [everywhere, summed, in_order, turned])
def test_steps_that_need_all_of_the_last_one_are_not(function):
    assert not run(function, LINE, 9)


LINES = (
    "{a}[1:-1] = 0.3 * {b}[:-2] + {b}[2:] * {k}",
    "{a}[2:-2] += {k} * ({b}[:-4] - {a}[3:-1])",
    "{a}[3:] = {b}[:-3] * {k} - {c}[3:]",
    "{a} = {b} * {k} - {c}",
    "{a} = {b} + 0.5 * {c}",
    "{a}[0] = {b}[2] * {k}",
    "{a}[-1] = {b}[-3] - {k}",
    "{a}[5] = {k} * t",
    "{a}, {b} = {b}, {a}",
    "{a}[1:-1] = np.where({b}[1:-1] > 0.3, {c}[:-2], {a}[2:])",
)


def random_steps(seed):
    """A loop over time of a few statements that look around in three arrays."""
    draw = random.Random(seed)
    lines = ["def program(x, y, z, steps):", "    for t in range(steps):"]
    for _ in range(draw.randint(1, 4)):
        a, b, c = draw.sample("xyz", 3)
        line = draw.choice(LINES).format(a=a, b=b, c=c, k=round(draw.uniform(-0.6, 0.6), 2))
        lines.append("        " + line)
    return "\n".join([*lines, "    return x + 2 * y + 3 * z"])


def test_random_steps():
    tiled = []
    for seed in range(24):
        function = function_of(random_steps(seed))
        tiled.append(run(function, LINE, OTHER, LINE * OTHER, 13 + seed % 3))
    assert sum(tiled) >= 8


PROGRAM = """
@kernel
def k(u: updated(f64[1700]), v: updated(f64[1700]), x: f64[1700], w: updated(f64[50])):
    for t in ordered(0, 50):
        {first}
        for a in range(1, 1699):
            u[a] = v[a + 1] * 0.5 + v[a - 1]
"""


@pytest.mark.parametrize(
    "first, tiled",
    [
        ("for a in range(0, 1700):\n            v[a] = u[a] * x[t]", True),
        ("for a in vector(0, 1700, 8):\n            v[a] = u[a] * x[1699 - a]", True),
        ("for a in range(0, 1699):\n            v[a + 1] = u[a] * 0.5", True),
        ("s: f64 = x[t] * 2.0\n        v[3] = s", True),
        ("v[0] = u[1699]", True),  # too far to ever meet within a block
        ("for a in range(0, 1700):\n            v[a] = u[1699 - a]", False),
        ("for a in ordered(1, 1700):\n            v[a] = v[a - 1] * 0.5", False),
        ("for a in range(0, 850):\n            v[2 * a] = u[a]", False),
        ("for a in range(0, 1700):\n            v[a] = u[t] * 0.5", False),
        ("w[t] = u[5]", False),
        ("s: f64 = u[t]\n        v[3] = s", False),
        ("for a in range(0, t):\n            v[a] = u[a] * 0.5", False),
    ],
)
def test_kernels(first, tiled):
    module = verify(parse(PROGRAM.format(first=first)), Stage.TRACED)
    done = verify(tile_time(module, SMALL), Stage.TRACED)
    marks = [s.mark for s in statements(done.entry.body) if isinstance(s, For)]
    if first != "v[0] = u[1699]":
        assert ("parallel" in marks) is tiled
    given = LINE, OTHER, LINE * OTHER, LINE[:50]
    for one, other in zip(reference(done, *given), reference(module, *given), strict=True):
        np.testing.assert_array_equal(one, other)
