"""Choices become selections where both arms are cheap and cannot fail, and nowhere else."""

from __future__ import annotations

import numpy as np
import pytest

from tracejit.ir import ops  # noqa: F401  (the vocabulary that the texts use)
from tracejit.ir.reference import reference
from tracejit.ir.text import parse, show
from tracejit.ir.verify import Stage, verify
from tracejit.lower.tensor.select import select_values
from tracejit.stages import build

SIGNATURE = "x: f64[12], p: i64[12], z: updated(f64[12, 12]), y: updated(f64[12])"


def program(body: str):
    lines = "\n".join("    " + line for line in body.splitlines())
    return verify(parse(f"@kernel\ndef k({SIGNATURE}):\n{lines}"), Stage.TRACED)


# Statements in a loop `for i in {mark}(0, 12)`, the mark, and whether the choice in it goes.
CASES = [
    ("if x[i] > 0.0:\n    y[i] = x[i]\nelse:\n    y[i] = 0.0", "ordered", True),
    ("if x[i] > 0.0:\n    y[i] = x[i]", "range", True),
    ("if x[i] > 0.0:\n    y[i] = x[i]", "ordered", False),  # a read before the store
    ("if x[i] > 0.0:\n    y[i] = sin(x[i])\nelse:\n    y[i] = cos(x[i])", "range", True),
    ("if x[i] > 0.0:\n    y[i] = sin(x[i])\nelse:\n    y[i] = cos(x[i])", "ordered", False),
    ("s: f64 = 1.0\nif x[i] > 0.0:\n    s = x[i]\ny[i] = s", "ordered", True),
    (
        "s: f64 = 1.0\nt: f64 = 2.0\nif x[i] > 0.0:\n    s = t\n    t = s\nz[i, 0] = s\ny[i] = t",
        "ordered",
        True,
    ),
    (
        "s: f64 = 1.0\nt: f64 = 2.0\nif x[i] > 0.0:\n    s = t\n    t = s + 1.0\nelse:\n    t = s\n"
        "z[i, 0] = s\ny[i] = t",
        "ordered",
        True,
    ),
    # Reads that only the condition makes right.
    ("if i > 0:\n    y[i] = x[i - 1]\nelse:\n    y[i] = 0.0", "range", False),
    ("if i > 0:\n    y[i] = x[maximum(i - 1, 0)]\nelse:\n    y[i] = 0.0", "range", True),
    (
        "if p[i] < 3:\n    y[i] = x[checked_index(p[i], 12, 0)]\nelse:\n    y[i] = 0.0",
        "range",
        False,
    ),
    ("m: index = p[i] % 12\nif p[i] < 3:\n    y[i] = x[m]\nelse:\n    y[i] = 0.0", "range", True),
    # Elements that may be one.
    ("if x[i] > 0.0:\n    y[i] = 1.0\nelse:\n    y[p[i]] = 2.0", "range", False),
    ("if x[i] > 0.0:\n    y[i] = 1.0\n    y[p[i]] = y[i] + 2.0", "range", False),
    ("if x[i] > 0.0:\n    y[i] = 1.0\n    z[i, 0] = 3.0\nelse:\n    z[i, 0] = 4.0", "range", True),
    ("if x[i] > 0.0:\n    y[i] = 1.0\n    s: f64 = y[i]\n    z[i, 0] = s", "range", False),
    # More than values.
    ("if x[i] > 0.0:\n    for j in range(0, 12):\n        z[i, j] = 1.0", "range", False),
    (
        "if x[i] > 0.0:\n    if x[i] > 1.0:\n        y[i] = 2.0\n    else:\n        y[i] = 1.0\nelse:\n    y[i] = 0.0",
        "range",
        True,
    ),
]


def inputs() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    x, z, y = rng.standard_normal(12), rng.standard_normal((12, 12)), rng.standard_normal(12)
    return [x, rng.integers(0, 12, 12), z, y]


def check_results(module, changed) -> None:
    expected = reference(module, *inputs())
    memory = inputs()
    build(module)(*memory)
    for ours, native, numpys in zip(reference(changed, *inputs()), memory[2:], expected):
        np.testing.assert_array_equal(ours, numpys)
        np.testing.assert_allclose(native, numpys, rtol=1e-14)


@pytest.mark.parametrize("body, mark, is_selected", CASES, ids=range(len(CASES)))
def test_choices_in_a_loop(body, mark, is_selected):
    lines = "\n".join("    " + line for line in body.splitlines())
    module = program(f"for i in {mark}(0, 12):\n{lines}")
    changed = verify(select_values(module), Stage.TRACED)
    assert ("if " not in show(changed)) == is_selected
    check_results(module, changed)


def test_what_the_next_iteration_needs_keeps_its_branch():
    module = program(
        "s: f64 = 0.0\nfor i in ordered(0, 12):\n    if x[i] > s:\n        s = x[i]\n    y[i] = s"
    )
    assert select_values(module) is module
    check_results(module, module)


def test_loops_with_choices_run_in_lanes():
    module = program(
        "for i in ordered(0, 12):\n    s: f64 = x[i]\n    if s < 0.0:\n        s = exp(s)\n"
        "    else:\n        s = sqrt(s)\n    y[i] = s"
    )
    built = build(module)
    assert "vector(" in str(built)
    memory = inputs()
    built(*memory)
    with np.errstate(all="ignore"):
        expected = np.where(memory[0] < 0, np.exp(memory[0]), np.sqrt(memory[0]))
    np.testing.assert_allclose(memory[3], expected, rtol=1e-14)
