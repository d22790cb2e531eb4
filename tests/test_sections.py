"""Small kernels side by side: which, in what order, and that nothing else changes."""

from __future__ import annotations

import numpy as np
import pytest

import tracejit
from tracejit.errors import IRError
from tracejit.ir.tensor import Call, Kernel
from tracejit.ir.verify import Stage, verify
from tracejit.lower.machine import Machine
from tracejit.lower.tensor.sections import calls_in, is_sections, run_sections
from tracejit.runtime.machine import cores_of_process

TWO_CORES = pytest.mark.skipif(cores_of_process() < 2, reason="one core runs no sections")


def adam(weights, slopes, means, squares):
    found = []
    for w, g, m, v in zip(weights, slopes, means, squares):
        m = 0.9 * m + 0.1 * g
        v = 0.999 * v + 0.001 * g * g
        found.append((w - 0.001 * m / (np.sqrt(v) + 1e-8), m, v))
    return found


def several(*arrays):
    return [np.cumsum(np.exp(-x)) * 2 + x.sum() for x in arrays]


def diamond(x, y):
    a, b = np.cumsum(np.sin(x)), np.cumsum(np.cos(y))
    c = np.cumsum(a[:20000] * b[:20000])
    return np.cumsum(np.exp(-c)), np.cumsum(np.tanh(c)), np.cumsum(a)


def written(x, y, z):
    for array in (x, y, z):
        array *= np.exp(-np.cumsum(array))
    return x[::-1] + 1, np.cumsum(y)


def products(*arrays):
    half = len(arrays) // 2
    return [np.tanh(a @ b) for a, b in zip(arrays[:half], arrays[half:])]


def gates(x, h, *weights):
    """Chains of two products each, which meet in the end."""
    a, b, c = [np.tanh(x @ w + h @ u) for w, u in zip(weights[::2], weights[1::2])]
    return a * b + (1 - a) * c


def given(function, rng):
    if function is adam:
        return [[rng.random(5000 + 9 * k) for k in range(7)] for _ in range(4)]
    if function is gates:
        return [rng.random(n) for n in ((1, 250), (1, 250), *[(250, 250)] * 6)]
    if function is products:
        return [rng.random((64, 64 + 8 * k)) for k in range(6)] + [
            rng.random((64 + 8 * k, 64)) for k in range(6)
        ]
    return [rng.random(20000 + 100 * k) for k in range({diamond: 2, written: 3}.get(function, 5))]


def flat(found):
    if isinstance(found, tuple | list):
        return [each for part in found for each in flat(part)]
    return [found]


@TWO_CORES
@pytest.mark.parametrize("function", [adam, several, diamond, written, products, gates])
def test_as_in_numpy(function):
    arguments = given(function, np.random.default_rng(0))
    f = tracejit.jit(function, threads=2)
    module = f.lower(*arguments).module
    made = any(is_sections(k) for k in module.functions if isinstance(k, Kernel))
    # Products of shorter vectors are long enough for threads of their own.
    assert made or function is products
    verify(module, Stage.SCHEDULED)
    assert tracejit.parse(tracejit.show(module)) is module
    for _ in range(20):
        mine, wanted = (given(function, np.random.default_rng(1)) for _ in range(2))
        for got, expected in zip(flat(f(*mine)), flat(function(*wanted)), strict=True):
            np.testing.assert_allclose(got, expected, rtol=1e-11)
        for got, expected in zip(flat(mine), flat(wanted)):
            np.testing.assert_allclose(got, expected, rtol=1e-11)
    alone = tracejit.jit(function, threads=1)
    assert "section" not in tracejit.show(alone.lower(*arguments).module)
    one, two = (flat(g(*given(function, np.random.default_rng(2)))) for g in (alone, f))
    assert [x.tobytes() for x in one] == [x.tobytes() for x in two]


def test_what_is_short_stays_as_it_is():
    arrays = [np.ones(300) for _ in range(6)]
    assert "section" not in tracejit.show(tracejit.jit(several, threads=2).lower(*arrays).module)


PROGRAM = """
@kernel
def first(x: f64[9000], *, out: f64[9000]):
    for i in range(0, 9000):
        out[i] = exp(x[i])

@kernel
def second(x: f64[9000], *, out: f64[9000]):
    for i in range(0, 9000):
        out[i] = sin(x[i])

@kernel
def entry(x: f64[9000], *, out0: f64[9000], out1: f64[9000]):
    t: f64[9000] = local()
    first(x, out=t)
    second({source}, out=out0)
    first({source}, out=out1)
"""


@pytest.mark.parametrize("source, calls", [("x", 1), ("t", 2)])
def test_chains_stay_in_order(source, calls):
    module = tracejit.parse(PROGRAM.format(source=source))
    found = run_sections(module, Machine(cores=4))
    verify(found, Stage.SCHEDULED)
    made = [s for s in found.entry.body if isinstance(s, Call)]
    assert len(made) == calls and sum(len(calls_in(call)) for call in made) == 3
    assert run_sections(module, Machine(cores=1)) is module


def test_sections_that_meet_are_refused():
    text = """
@kernel
def one(*, out: f64[8]):
    for i in range(0, 8):
        out[i] = 1.0

@kernel
def entry(*, a: f64[8], b: f64[8]):
    for section in parallel(0, 2):
        if section == 0:
            one(out=a)
        else:
            if section == 1:
                one(out={second})
"""
    verify(tracejit.parse(text.format(second="b")), Stage.SCHEDULED)
    with pytest.raises(IRError, match="sections of a parallel loop meet at a"):
        verify(tracejit.parse(text.format(second="a")), Stage.SCHEDULED)


@TWO_CORES
def test_explain_knows_the_lines_of_all():
    arrays = [np.ones(6000 + 100 * k) for k in range(5)]
    found = tracejit.jit(several, threads=2).explain(*arrays)
    (kernel,) = [k for k in found.kernels if k.name == "sections"]
    assert kernel.lines and kernel.measured is not None
