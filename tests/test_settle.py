"""Variables that are set once become their values, where these still stand."""

from __future__ import annotations

import numpy as np
import pytest

from tracejit.ir import ops  # noqa: F401  (the vocabulary that the texts use)
from tracejit.ir.reference import reference
from tracejit.ir.tensor import Let, statements
from tracejit.ir.text import parse, show
from tracejit.ir.verify import Stage, verify
from tracejit.lower.tensor.settle import settle_values
from tracejit.stages import build

PROGRAM = """
@kernel
def k(x: i64[12], y: f64[12], z: updated(f64[12]), w: updated(i64[12])):
    for i in ordered(0, 12):
        {body}
"""

HANDED = """s: f64 = 1.0
r: f64 = 2.0
for j in ordered(0, 5):
    t: f64 = 0.0
    if x[j] > 2:
        {}
    else:
        t = s + y[j]
    s = t
z[i] = s + r"""
# The body of a loop, and the variables that are left in it.
CASES = [
    # A number that is a truth; declared as nothing first.
    ("t: i64 = 0\nt = i64(x[i] > 0)\nif t <= 0:\n    pass\nelse:\n    z[i] = 1.0", 0),
    ("t: i64 = i64(x[i] > 0)\nw[i] = where(t <= 0, 3, x[i])", 0),
    ("t: i64 = 0\nt = i + 1\nw[i] = t * t", 0),
    # What it is computed from changes before it is read, or it does itself.
    ("t: i64 = w[0]\nw[i] = 5\nw[11] = t", 1),
    ("t: i64 = x[i] * 2\nw[0] = 1\nw[i] = t", 0),
    ("t: i64 = 0\nt = x[i]\nif x[i] > 3:\n    t = 1\nw[i] = t", 1),
    ("t: i64 = 0\nw[i] = t\nt = x[i]\nw[0] = t", 1),
    ("s: i64 = x[i]\nt: i64 = s + 1\ns = 7\nw[i] = t + s", 2),
    # A loop reads it in every iteration.
    ("t: i64 = i // 2 + 2\nfor j in ordered(0, t):\n    w[checked_index(j, 12, 0)] = t", 0),
    ("t: i64 = w[i]\nfor j in ordered(0, 3):\n    w[j] = t + j", 1),
    # What may be refused stays where it is.
    ("t: i64 = x[checked_index(x[i] + 20, 50, 0) % 12]\nif i > 3:\n    w[i] = t", 1),
    # Floats are not computed twice.
    ("t: f64 = y[i] * 2.0\nz[i] = t", 0),
    ("t: f64 = y[i] * 2.0\nz[i] = t\nz[0] = t + 1.0", 1),
    # What nobody reads goes, however often it is given a value, if none may be refused.
    ("t: i64 = 0\nfor j in ordered(0, 5):\n    t += x[j]\n    w[j] = x[j]\nt = 3", 0),
    ("t: i64 = 0\nt += x[checked_index(x[i] + 5, 12, 0)]\nw[i] = 3", 1),
    # What a choice leaves for another variable.
    (HANDED.format("t = s"), 2),
    (HANDED.format("t = r\n        r = 4.0"), 3),
]


@pytest.mark.parametrize("body, left", CASES)
def test_variables_that_are_set_once(body, left):
    text = PROGRAM.format(body=body.replace("\n", "\n        "))
    module = verify(parse(text), Stage.TRACED)
    done = verify(settle_values(module), Stage.TRACED)
    lets = [s for s in statements(done.entry.body) if isinstance(s, Let)]
    assert len(lets) == left, show(done)
    generator = np.random.default_rng(1)
    x, w = generator.integers(0, 6, size=(2, 12))
    given = x, generator.normal(size=12), generator.normal(size=12), w
    wanted = reference(module, *given)
    for one, other in zip(reference(done, *given), wanted, strict=True):
        np.testing.assert_array_equal(one, other)
    memory = [array.copy() for array in given]
    build(done)(*memory)
    for one, other in zip(memory[2:], wanted):
        np.testing.assert_allclose(one, other, rtol=1e-14)
