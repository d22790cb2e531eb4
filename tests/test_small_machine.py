"""What is done for large arrays, done for small ones: programs drawn at random give what NumPy gives."""

from __future__ import annotations

import warnings

import everyday_programs
import numpy as np
import pytest
from hypothesis import given
from programs import examples, programs
from small_machine import make_small
from test_everyday_programs import test_as_numpy as everyday
from test_programs import agrees

from tracejit import jit


@pytest.fixture(autouse=True, scope="module")
def small_machine():
    with pytest.MonkeyPatch.context() as monkeypatch, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        make_small(monkeypatch)
        with np.errstate(all="ignore"):
            yield


@examples(100)
@given(programs(lines=8))
def test_programs(program):
    agrees(program)


@pytest.mark.parametrize("name", everyday_programs.PROGRAMS)
def test_everyday_programs(name):
    everyday(name, "f8")


def stencil(seed: int):
    """Steps over time: each writes the inside of an array from the neighbours, in place or into another array."""
    draw = np.random.default_rng(seed)
    ndim = int(draw.integers(1, 4))
    shape = [int(draw.integers(5, most)) for most in ((3000,), (300, 50), (60, 12, 12))[ndim - 1]]
    radius = int(draw.integers(1, 3))
    count = int(draw.integers(1, 7))
    offsets = [tuple(k) for k in draw.integers(-radius, radius + 1, (count, ndim)).tolist()]
    kind = str(draw.choice(["in place", "two arrays", "two fields", "edges"]))
    dtype = str(draw.choice(["float32", "float64", "int32"]))
    return shape, radius, offsets, int(draw.integers(1, 24)), kind, dtype


def program_of(radius: int, offsets: list[tuple[int, ...]], steps: int, kind: str):
    def at(u, offset):
        return u[tuple([slice(radius + k, n - radius + k) for k, n in zip(offset, u.shape)])]

    def mean(u):
        total = at(u, offsets[0])
        for number, offset in enumerate(offsets[1:]):
            total = total - at(u, offset) if number % 2 else total + at(u, offset)
        return total // 8 if u.dtype.kind == "i" else total * 0.125

    def run(u):
        u, v = u.copy(), u.copy()
        inside = (slice(radius, -radius),) * u.ndim
        for _ in range(steps):
            if kind == "in place":
                u[inside] += mean(u)
            elif kind == "two arrays":
                v[inside] = mean(u)
                u, v = v, u
            elif kind == "two fields":
                u[inside] += mean(v)
                v[inside] -= mean(u)
            else:
                u[inside] = mean(u)
                u[0], u[-1] = u[1], u[-2]
        return u, v

    return run


@pytest.mark.parametrize("seed", range(40))
def test_time_steps(seed):
    shape, *how, dtype = stencil(seed)
    u = np.random.default_rng(0).integers(-9, 9, shape).astype(dtype)
    program = program_of(*how)
    compiled = jit(program)
    for found, wanted in zip(compiled(u), program(u)):
        np.testing.assert_allclose(found, wanted, 1e-4, 1e-4 * np.abs(wanted).max(initial=1))
