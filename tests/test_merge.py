"""Neighbouring loops that read the same become one, and every value is what it was."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest

from tests.golden import expect
from tracejit.ir import ops  # noqa: F401  (the vocabulary that the texts use)
from tracejit.ir.reference import reference
from tracejit.ir.text import parse, show
from tracejit.ir.verify import Stage, verify
from tracejit.lower.tensor.merge import merge_loops
from tracejit.stages import build

SIGNATURE = "x: f64[20], p: i64[20], y: updated(f64[20]), z: updated(f64[20]), r: updated(f64[4])"


def program(body: str):
    lines = "\n".join("        " + line for line in body.splitlines())
    text = f"""
@kernel
def k({SIGNATURE}):
    for i in ordered(0, 3):
        w: f64[20] = local()
        s: f64 = 0.0
        t: f64 = 1.0
{lines}
        r[0] = r[0] * 0.5 + s
        r[1] = r[1] * 0.5 + t
"""
    return verify(parse(text), Stage.TRACED)


def loops(module) -> int:
    return show(module).count("range(")


def check(module) -> bool:
    """Compare before and after; whether some loops became one."""
    rng = np.random.default_rng(0)
    x, y, z = rng.standard_normal((3, 20))
    p, r = rng.integers(0, 20, 20), rng.standard_normal(4)
    done = verify(merge_loops(module), Stage.SCHEDULED)
    expected = reference(module, x, p, y.copy(), z.copy(), r.copy())
    memory = y.copy(), z.copy(), r.copy()
    build(module, numerics="strict")(x, p, *memory)
    for ours, wanted in zip(reference(done, x, p, y.copy(), z.copy(), r.copy()), expected):
        np.testing.assert_array_equal(ours, wanted, err_msg=show(done))
    for ours, wanted in zip(memory, expected):
        np.testing.assert_allclose(ours, wanted, rtol=1e-12, err_msg=show(done))
    return loops(done) < loops(module)


def test_one_loop_for_three():
    module = program(
        "for a in range(0, 20):\n    w[a] = sqrt(x[a] * x[a] + y[a])\n"
        "for b in range(0, 20):\n    s += w[b] * x[b]\n"
        "u: f64 = 2.0\nfor c in range(0, 20):\n    t += w[c]"
    )
    assert check(module)
    done = show(merge_loops(module))
    expect(
        done[done.index("        u") : done.index("        r[0]")],
        """
        u: f64 = 2.0
                for a in range(0, 20):
                    w_here: f64 = sqrt(x[a] * x[a] + y[a])
                    s += w_here * x[a]
                    t += w_here
        """,
    )
    assert "local()" not in done


FIRST = "for a in range(0, 20):\n    w[a] = x[a] * 2.0\n"
# Two loops and what is between them, and whether they become one.
CASES = [
    (FIRST + "for b in range(0, 20):\n    y[b] = w[b] + x[b]", True),
    (FIRST + "for b in range(0, 20):\n    y[b] = x[b]", True),
    (FIRST + "u: f64 = t * 2.0\nt = 3.0\nfor b in range(0, 20):\n    y[b] = w[b] + u", True),
    (FIRST + "for b in range(0, 20):\n    for c in range(0, 3):\n        s += w[b]", True),
    ("for a in range(0, 20):\n    z[a] = x[a]\nfor b in range(0, 20):\n    s += y[b]", False),
    (FIRST + "for b in range(0, 19):\n    y[b] = w[b]", False),
    (FIRST + "for b in range(0, 20):\n    y[b] = w[19 - b] + w[b]", False),
    (FIRST + "for b in range(0, 20):\n    y[b] = w[p[b]] + w[b]", False),
    (FIRST + "y[0] = 1.0\nfor b in range(0, 20):\n    y[b] = w[b] + y[0]", False),
    (FIRST + "u: f64 = w[3]\nfor b in range(0, 20):\n    y[b] = w[b] + u", False),
    (FIRST + "u: f64 = w[3]\nfor b in range(0, 20):\n    y[b] = w[b]\nt = u", True),
    (FIRST + "for b in range(0, 20):\n    for c in range(0, b):\n        s += w[b] + x[c]", False),
    ("for a in range(0, 20):\n    s += x[a]\nfor b in range(0, 20):\n    y[b] = x[b] * s", False),
    ("for a in range(0, 20):\n    s += x[a]\nfor b in range(0, 20):\n    t += x[b] * 3.0", True),
    ("for a in range(0, 20):\n    s += x[a]\nfor b in range(0, 20):\n    s += x[b] * y[b]", False),
    ("for a in range(0, 20):\n    s += x[a]\ns = 3.0\nfor b in range(0, 20):\n    t += x[b]", True),
    ("for a in range(0, 20):\n    s += x[a]\nt = s\nfor b in range(0, 20):\n    t += x[b]", False),
    (
        "for a in range(0, 20):\n    y[a] = y[a] + z[a]\nfor b in range(0, 20):\n    z[b] = y[b]",
        True,
    ),
]


@pytest.mark.parametrize("body, merges", CASES, ids=range(len(CASES)))
def test_what_becomes_one(body: str, merges: bool):
    assert check(program(body)) == merges


def test_random_loops():
    found = 0
    for seed in range(40):
        random = Random(seed)
        lines = []
        for index in "abcd"[: random.randint(2, 4)]:

            def place(index=index, random=random) -> str:
                where = random.choice([index] * 6 + [f"19 - {index}", "3"])
                return f"{random.choice('xyzw')}[{where}]"

            lines.append(f"for {index} in range(0, 20):")
            for _ in range(random.randint(1, 2)):
                value = f"{place()} * 0.5 + {place()}"
                target = random.choice(["s +=", "t +=", *[f"{b}[{index}] =" for b in "yzw"]])
                lines.append(f"    {target} {value}")
            if random.random() < 0.4:
                lines.append(random.choice(["s = t", f"t = {random.choice('xyzw')}[4]"]))
        start = "for o in range(0, 20):\n    w[o] = 0.5\n"
        found += check(program(start + "\n".join(lines)))
    assert found > 10
