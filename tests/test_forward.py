"""Values that wait in memory for the loop that uses them are computed there, where that is the same."""

from __future__ import annotations

import numpy as np
import pytest

from tracejit.ir import ops  # noqa: F401  (the vocabulary that the texts use)
from tracejit.ir.reference import reference
from tracejit.ir.tensor import Allocate, statements
from tracejit.ir.text import parse, show
from tracejit.ir.verify import Stage, verify
from tracejit.lower.tensor.forward import forward_values
from tracejit.stages import build

SIGNATURE = "x: f64[12], p: i64[12], z: updated(f64[12, 12]), y: updated(f64[12])"
TEMPORARY = "t: f64[12] = local()\n"


def waiting(value: str, use: str, stop: str = "12", before: str = "") -> str:
    """Inside a loop over k, values that a later loop uses."""
    first = f"for a in range(0, {stop}):\n    t[a] = {value}\n"
    return TEMPORARY + first + before + f"for b in range(0, {stop}):\n    {use}"


# Statements inside `for k in ordered(1, 11)`, and the arrays in memory that are left.
CASES = [
    # What is read is not written.
    (waiting("x[a] * 2.0", "y[b] = t[b] + 1.0"), 0),
    (waiting("y[a] * 2.0", "y[b] = t[b] + 1.0"), 0),
    (waiting("z[k - 1, a] + 1.0", "z[k, b] = z[k, b] - t[b]"), 0),
    (waiting("z[a, k] * x[k]", "z[b, k + 1] = t[b]"), 0),
    (waiting("z[k, a + k + 1] * x[k]", "z[b + k + 1, k + 1] = t[b]", "11 - k"), 0),
    # It may be.
    (waiting("y[11 - a] * 2.0", "y[b] = t[b] + 1.0"), 1),
    (waiting("y[k] * x[a]", "y[b] = t[b] + 1.0"), 1),
    (waiting("y[p[a]] * 2.0", "y[b] = t[b] + 1.0"), 1),
    (waiting("x[a] * y[3]", "z[k, b] = t[b]", before="y[p[k]] = 5.0\n"), 1),
    (waiting("x[a] * y[3]", "z[k, b] = t[b]", before="y[2] = 5.0\n"), 0),
    # It would be computed again and again, or is as well read elsewhere.
    (waiting("sqrt(x[a] * x[a])", "for c in range(0, 12):\n        z[b, c] = t[b]"), 1),
    (waiting("x[a] * 2.0", "y[b] = t[b] + t[11 - b]"), 1),
    (waiting("x[a]", "y[b] = t[b] + t[11 - b]"), 0),
    (waiting("z[a, k]", "y[b] = t[b] + t[11 - b]"), 1),
    # What is refused is refused, all of it.
    (waiting("x[checked_index(p[a], 12, 0)]", "y[b] = t[b]"), 0),
    (
        waiting("x[checked_index(p[a], 12, 0)]", "y[b] = t[b] + 1.0").replace(
            "b in range(0", "b in range(1"
        ),
        1,
    ),
    # A scalar that was computed already.
    (
        "s: f64 = 0.0\ns = x[k] / y[k]\n"
        + waiting("z[k, a] * (x[k] / y[k])", "z[k, b] = t[b]", before="y[k] = s\n"),
        0,
    ),
    # Two arrays at once, and one that is used by the other.
    (
        "u: f64[12] = local()\n"
        + TEMPORARY
        + "for a in range(0, 12):\n    t[a] = x[a] + y[a]\n    u[a] = x[a] * 2.0\n"
        + "for b in range(0, 12):\n    y[b] = t[b]\nfor c in range(0, 12):\n    z[k, c] = u[c]",
        0,
    ),
    (
        "u: f64[12] = local()\n"
        + TEMPORARY
        + "for a in range(0, 12):\n    t[a] = x[a] + 1.0\nfor b in range(0, 12):\n    u[b] = t[b] * 2.0\n"
        + "for c in range(0, 12):\n    y[c] = u[c]",
        0,
    ),
]


@pytest.mark.parametrize("body, expected", CASES, ids=range(len(CASES)))
def test_forward(body: str, expected: int):
    lines = "\n".join("        " + line for line in body.splitlines())
    text = f"@kernel\ndef k({SIGNATURE}):\n    for k in ordered(1, 11):\n{lines}\n"
    module = verify(parse(text), Stage.TRACED)
    done = verify(forward_values(module), Stage.TRACED)
    left = [s for s in statements(done.entry.body) if isinstance(s, Allocate)]
    assert len(left) == expected, show(done)
    generator = np.random.default_rng(0)
    arguments = (
        generator.uniform(1.0, 2.0, 12),
        generator.integers(0, 12, 12),
        generator.uniform(1.0, 2.0, (12, 12)),
        generator.uniform(1.0, 2.0, 12),
    )
    wanted = reference(module, *arguments)
    memory = [array.copy() for array in arguments]
    build(module)(*memory)
    for found in (reference(done, *arguments), memory[2:]):
        for give, want in zip(found, wanted, strict=True):
            np.testing.assert_allclose(give, want, rtol=1e-13)


def test_values_that_variables_have():
    """What is made of a variable's value is found under the next one's name; what changes is not."""
    text = f"""
@kernel
def k({SIGNATURE}):
    a: f64 = 0.0
    b: f64 = 0.0
    c: f64 = 0.0
    for k in ordered(1, 11):
        a = x[k] * 2.0
        b = x[k] * 2.0 + 1.0
        c = (x[k] * 2.0 + 1.0) * y[k]
        z[0, k] = (x[k] * 2.0 + 1.0) * y[k] + b
        y[k] = (x[k] * 2.0 + 1.0) * y[k] - a
        z[1, k] = (x[k] * 2.0 + 1.0) * y[k]
        b = 5.0
        z[2, k] = x[k] * 2.0 + 1.0 + b
"""
    module = verify(parse(text), Stage.TRACED)
    done = verify(forward_values(module), Stage.TRACED)
    shown = show(done)
    for line in ("b = a + 1.0", "] = c + b", "v1 = (a + 1.0) * y[", "] = v1", "] = a + 1.0 + b"):
        assert line in shown, shown
    generator = np.random.default_rng(0)
    x, z, y = generator.random(12), generator.random((12, 12)), generator.random(12)
    arguments = (x, np.zeros(12, np.int64), z, y)
    for give, want in zip(reference(done, *arguments), reference(module, *arguments), strict=True):
        np.testing.assert_allclose(give, want, rtol=1e-13)
