"""Loops of one iteration go where nothing depends on them."""

from __future__ import annotations

import numpy as np
import pytest

from tracejit.ir import ops  # noqa: F401  (the vocabulary that the texts use)
from tracejit.ir.reference import reference
from tracejit.ir.text import parse, show
from tracejit.ir.verify import Stage, verify
from tracejit.lower.tensor.unwrap import unwrap_loops

# Statements in `for i in ordered(0, 12)`, after `v: i64 = 0`, and the loops that are left in it.
CASES = [
    ("for j in range(0, 1):\n    y[i + j] = x[i]", ""),
    ("for j in range(i, i + 1):\n    y[j] = x[j]", ""),
    ("for j in range(0, 1):\n    for t in range(3, 4):\n        y[i] = x[t + j]", ""),
    ("for j in range(0, 1):\n    for t in range(0, 2):\n        y[i] = x[t + j]", "t"),
    ("for j in ordered(0, 1):\n    y[i] = x[i]\n    if x[i] > 0.0: break", ""),
    ("if x[i] > 0.0:\n    for j in range(2, 3):\n        y[i] = x[j]", ""),
    ("for j in range(0, 2):\n    y[i] = x[j]", "j"),
    ("for j in range(0, i):\n    y[i] = x[j]", "j"),
    ("for j in range(v, v + 1):\n    v = v + 1\n    y[i] = f64(j)", "j"),
    ("for j in range(0, 1):\n    s: f64 = x[j]\n    y[i] = s", "j"),
    ("for j in vector(0, 1, 8):\n    y[i] = x[i + j]", "j"),
]


@pytest.mark.parametrize("body, left", CASES, ids=range(len(CASES)))
def test_loops_of_one_iteration(body, left):
    lines = "\n".join("        " + line for line in body.splitlines())
    text = f"""
@kernel
def k(x: f64[12], y: updated(f64[12])):
    v: i64 = 0
    for i in ordered(0, 12):
{lines}
"""
    module = verify(parse(text), Stage.TRACED)
    changed = verify(unwrap_loops(module), Stage.TRACED)
    assert [name for name in "jt" if f"for {name} in" in show(changed)] == list(left)
    x, y = np.random.default_rng(0).standard_normal((2, 12))
    np.testing.assert_array_equal(reference(changed, x, y), reference(module, x, y))
