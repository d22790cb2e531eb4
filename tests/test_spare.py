"""Steps that write where they still read take turns with spare memory, and only those."""

from __future__ import annotations

import numpy as np
import pytest

import tracejit
from tracejit.ir import ops  # noqa: F401  (the vocabulary that the texts use)
from tracejit.ir.reference import reference
from tracejit.ir.text import parse, show
from tracejit.ir.verify import Stage, verify
from tracejit.lower.graph.spare import take_turns
from tracejit.stages import build

WINDOW = "start=(1,), step=(1,), stop=(99,)"
INSIDE = f"t2 = update(u, t1, {WINDOW})\n    return t2"
# The body of a loop over `u: f64[100], x: f64[98]`, and whether it takes turns.
CASES = {
    "neighbours": (
        "t0 = slice(u, start=(2,), step=(1,), stop=(100,))\n"
        f"    t3 = slice(u, {WINDOW})\n    t1 = add(t0, t3)\n    {INSIDE}",
        True,
    ),
    "all of it": (
        "t0 = sum(u, axes=(0,))\n    t3 = broadcast(t0, axes=(), shape=(98,))\n"
        f"    t1 = add(t3, x)\n    {INSIDE}",
        True,
    ),
    "itself": (f"t0 = slice(u, {WINDOW})\n    t1 = add(t0, x)\n    {INSIDE}", False),
    "nothing": (f"t1 = add(x, x)\n    {INSIDE}", False),
    "a small part": (
        "t0 = slice(u, start=(50,), step=(1,), stop=(60,))\n"
        "    t2 = update(u, t0, start=(45,), step=(1,), stop=(55,))\n    return t2",
        False,
    ),
    "a part that moves": (
        "t0 = slice(u, start=(0,), step=(1,), stop=(80,))\n"
        "    t2 = update(u, t0, start=(k,), step=(1,), stop=(k + 80,))\n    return t2",
        False,
    ),
}


@pytest.mark.parametrize("trips", [4, 5])
@pytest.mark.parametrize("name", CASES)
def test_turns(name: str, trips: int):
    body, expected = CASES[name]
    text = (
        f"k = bounded(0, {trips - 1})\n\n\ndef body(u: f64[100], x: f64[98]):\n    {body}\n\n\n"
        "def main(u: f64[100], x: f64[98]):\n    t0 = for_loop("
        f"u, x, body=body, carried=1, index=k, start=0, stop={trips})\n    return t0\n"
    )
    module = verify(parse(text), Stage.TRACED)
    done = verify(take_turns(module), Stage.TRACED)
    assert ("u_next" in show(done)) == expected
    generator = np.random.default_rng(0)
    arguments = generator.normal(size=100), generator.normal(size=98)
    wanted = reference(module, *arguments)
    np.testing.assert_allclose(reference(done, *arguments), wanted, rtol=1e-13)
    np.testing.assert_allclose(build(module)(*arguments), wanted, rtol=1e-12)


def test_a_few_steps_are_not_worth_the_copy():
    body, _ = CASES["neighbours"]
    text = (
        f"k = bounded(0, 1)\n\n\ndef body(u: f64[100], x: f64[98]):\n    {body}\n\n\n"
        "def main(u: f64[100], x: f64[98]):\n    t0 = for_loop("
        "u, x, body=body, carried=1, index=k, start=0, stop=2)\n    return t0\n"
    )
    module = parse(text)
    assert take_turns(module) is module or "u_next" not in show(take_turns(module))


def test_what_one_update_stores_the_other_reads_from_memory():
    text = """
k = bounded(0, 8)


def body(u: f64[100], v: f64[100]):
    t0 = slice(u, start=(0,), step=(1,), stop=(98,))
    t1 = slice(u, start=(2,), step=(1,), stop=(100,))
    t2 = subtract(t0, t1)
    t3 = update(v, t2, start=(1,), step=(1,), stop=(99,))
    t4 = slice(t3, start=(0,), step=(1,), stop=(98,))
    t5 = multiply(t4, t2)
    t6 = update(u, t5, start=(1,), step=(1,), stop=(99,))
    return t6, t3


def main(u: f64[100], v: f64[100]):
    t0, t1 = for_loop(u, v, body=body, carried=2, index=k, start=0, stop=9)
    return t0, t1
"""
    module = verify(parse(text), Stage.TRACED)
    done = verify(take_turns(module), Stage.TRACED)
    assert "_next" not in show(done) and show(done).count("slice") == 4
    arguments = np.random.default_rng(0).normal(size=(2, 100))
    wanted = reference(module, *arguments)
    np.testing.assert_array_equal(reference(done, *arguments), wanted)
    np.testing.assert_allclose(build(module)(*arguments), wanted, rtol=1e-12)


def test_what_an_update_stores_twice_is_not_read_back():
    """Of three elements the one inside is the one that the border gets: the update itself needs it again."""

    def function(u, v, w, steps):
        for t in range(steps):
            v[1:-1] = u[1:-1] + 0.5 * v[1:-1]
            w[1:-1] = u[1:-1] * 0.5 - u[1:-1]
            u, v = v, u
            u[-1] = t
            w[0] = w[-2]
        return u, v, w

    given = np.random.default_rng(0).normal(size=(3, 3))
    got = tracejit.jit(function, numerics="strict")(*given.copy(), 5)
    np.testing.assert_array_equal(got, function(*given.copy(), 5))
