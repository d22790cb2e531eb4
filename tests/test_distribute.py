"""What iterations do by themselves gets a loop of its own, and what they carry another one."""

from __future__ import annotations

import numpy as np
import pytest

from tests.golden import expect
from tracejit.ir import ops  # noqa: F401  (the vocabulary that the texts use)
from tracejit.ir.reference import reference
from tracejit.ir.text import parse, show
from tracejit.ir.verify import Stage, verify
from tracejit.lower.tensor.distribute import BLOCK, distribute_loops
from tracejit.stages import build

HALVINGS = """for t in ordered(0, 9223372036854775807):
    v = v * 0.5
    c = c + 1
    if v < 0.25: break"""


def program(rest: str, size: int = 40, work: str = HALVINGS):
    lines = "\n".join("        " + line for line in [*work.splitlines(), *rest.splitlines()])
    text = f"""
@kernel
def k(x: f64[{size}], w: updated(f64[{size}]), *, out: f64[2]):
    most: i64 = 0
    s: f64 = 1.0
    for i in ordered(0, {size}):
        v: f64 = x[i]
        c: i64 = 0
{lines}
    out[0] = s
    out[1] = f64(most)
"""
    return verify(parse(text), Stage.TRACED)


def check(module, size: int = 40) -> bool:
    rng = np.random.default_rng(0)
    x, w = rng.uniform(0, 1000, size), rng.standard_normal(size)
    done = verify(distribute_loops(module), Stage.TRACED)
    expected = reference(module, x, w.copy())
    memory = w.copy()
    native = build(module, numerics="strict")(x, memory)
    for results in (reference(done, x, w.copy()), (memory, native)):
        for ours, wanted in zip(results, expected):
            np.testing.assert_array_equal(ours, wanted, err_msg=show(done))
    return done is not module


def test_two_loops():
    module = program("s = where(c > most, f64(c) + s * 0.5, s)\nmost = maximum(most, c)")
    assert check(module)
    done = show(distribute_loops(module))
    expect(
        done[done.index("    c_all") : done.index("    out[0]")],
        """
        c_all: i64[40] = local()
            for i in ordered(0, 40):
                v: f64 = x[i]
                c: i64 = 0
                for t in ordered(0, 9223372036854775807):
                    v = v * 0.5
                    c = c + 1
                    if v < 0.25: break
                c_all[i] = c
            for i in ordered(0, 40):
                s = where(c_all[i] > most, f64(c_all[i]) + s * 0.5, s)
                most = maximum(most, c_all[i])
        """,
    )


# What follows the work in an iteration, and whether the loop is split.
CASES = [
    ("if c > most:\n    most = c\n    s = v", True),
    ("w[i] = v\ns = s * 0.5 + f64(c)", True),
    ("d: f64 = s * 0.5\ns = d + v", True),
    ("s = s * 0.5 + v\nv = v + 1.0\nw[i] = v", False),  # another v is handed on
    ("w[i] = v\ns = s * 0.5 + w[i]", False),
    ("s = s * 0.5 + v\nw[i] = s", False),
    ("for j in range(0, 3):\n    most += c\ns = s * 0.5 + f64(most)", False),
    ("for j in range(0, 3):\n    most += c\ns = s * 0.5 + v", True),
    ("s = s * 0.5 + v\nfor j in range(0, 3):\n    v += 1.0\nw[i] = v", False),
    ("w[0] = v\ns = s * 0.5 + f64(c)", False),
    ("w[i] = v", False),
    ("if s > 3.0:\n    w[i] = v\ns = s * 0.5 + v", False),
]


@pytest.mark.parametrize("rest, splits", CASES, ids=range(len(CASES)))
def test_what_is_split(rest: str, splits: bool):
    assert check(program(rest)) == splits


def test_little_work_stays():
    assert not check(program("s = s * 0.5 + v", work="v = v + 1.0"))


def test_long_loops_go_in_blocks():
    size = 2 * BLOCK + 77
    module = program("s = s * 0.5 + v\nmost = most * 3 + c", size)
    assert f"f64[{BLOCK}]" in show(distribute_loops(module))
    assert check(module, size)
