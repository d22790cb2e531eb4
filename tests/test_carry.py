"""What one iteration stores and the next ones read stays in registers, and everything else does not."""

from __future__ import annotations

import numpy as np
import pytest

from tracejit.ir import ops  # noqa: F401  (the vocabulary that the texts use)
from tracejit.ir.reference import reference
from tracejit.ir.text import parse, show
from tracejit.ir.verify import Stage, verify
from tracejit.lower.tensor.carry import carry_values
from tracejit.stages import build

SIGNATURE = "x: f64[12], n: i64[()], z: updated(f64[12, 12]), y: updated(f64[12])"

# Loops, and how many values they carry.
CASES = [
    ("for i in ordered(1, 12):\n    y[i] = y[i - 1] * 0.5 + x[i]", 1),
    ("for i in ordered(2, 12):\n    y[i] = y[i - 1] * 0.5 + y[i - 2]", 2),
    ("for i in ordered(2, 12):\n    y[i] = y[i - 2] * 0.5 + x[i]", 0),
    ("for i in ordered(0, 11):\n    y[10 - i] = y[11 - i] + x[i]", 1),
    ("for i in ordered(0, 11):\n    y[i] = y[i + 1] + x[i]", 0),
    ("for i in ordered(1, n[()]):\n    y[i] = y[i - 1] + x[i]", 1),
    (
        "for i in ordered(1, 12):\n    for j in ordered(1, 12):\n        z[i, j] = z[i - 1, j] + z[i, j - 1]",
        1,
    ),
    ("for i in ordered(1, 12):\n    z[i, i] = z[i - 1, i - 1] + x[i]", 1),
    ("for i in ordered(1, 12):\n    z[0, 0] = z[0, 0] + x[i]", 0),
    # Where it is stored, and where it is read.
    ("for i in ordered(1, 12):\n    if x[i] > 0.0:\n        y[i] = y[i - 1] + x[i]", 0),
    (
        "for i in ordered(1, 12):\n    s: f64 = y[i - 1]\n    if x[i] > 0.0:\n        y[i] = s + x[i]\n"
        "    else:\n        y[i] = y[i - 1] - 1.0",
        1,
    ),
    (
        "for i in ordered(0, 12):\n    if i > 0:\n        y[i] = y[i - 1] + x[i]\n"
        "    else:\n        y[i] = x[i]",
        0,
    ),
    ("for i in ordered(1, 12):\n    y[i] = y[i - 1] + x[i]\n    y[0] = 3.0", 0),
    (
        "for i in ordered(1, 12):\n    y[i] = y[i - 1] + x[i]\n    for j in ordered(0, 2):\n        y[j] = 3.0",
        0,
    ),
    ("for i in ordered(1, 12):\n    y[i] = x[i]\n    z[0, i] = y[i - 1] + y[i]", 1),
    ("for i in ordered(1, 12):\n    y[i] = y[i - 1] + x[i]\n    if y[i - 1] > 1.0: break", 1),
    ("for i in ordered(1, 12):\n    z[i, 1] = z[i - 1, 0] + x[i]", 0),
    ("v: i64 = 0\nfor i in ordered(1, 12):\n    z[v, i] = z[v, i - 1] + x[i]\n    v = v + 1", 0),
    (
        "for i in ordered(1, 12):\n    for j in ordered(0, 3):\n        z[j, i] = z[j, i - 1] + x[i]",
        0,
    ),
    (
        "for i in ordered(1, 12):\n    z[0, i] = x[i]\n    for j in ordered(0, 3):\n        y[i] = y[j] + z[0, i - 1]",
        0,
    ),
]


@pytest.mark.parametrize("body, count", CASES, ids=range(len(CASES)))
def test_values_that_are_carried(body, count):
    lines = "\n".join("    " + line for line in body.splitlines())
    module = verify(parse(f"@kernel\ndef k({SIGNATURE}):\n{lines}"), Stage.TRACED)
    carried = verify(carry_values(module), Stage.TRACED)
    text = show(carried)
    assert text.count("_old: ") + text.count("_old_1: ") == count
    rng = np.random.default_rng(0)
    x, z, y = rng.standard_normal(12), rng.standard_normal((12, 12)), rng.standard_normal(12)
    for n in (12, 2, 1, 0, -3):
        given = x, np.array(n), z, y
        expected = reference(module, *given)
        for ours, numpys in zip(reference(carried, *given), expected):
            np.testing.assert_array_equal(ours, numpys)
        memory = [array.copy() for array in given]
        build(module)(*memory)
        # Sums are in the order of lanes.
        np.testing.assert_allclose(memory[2], expected[0], 1e-14)
        np.testing.assert_array_equal(memory[3], expected[1])
