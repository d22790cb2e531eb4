"""Kernels that fill what a loop stores over are dropped, and no others."""

from __future__ import annotations

import numpy as np
import pytest

from tracejit import jit
from tracejit.ir import ops  # noqa: F401  (the vocabulary that the texts use)
from tracejit.ir.reference import reference
from tracejit.ir.tensor import Call, statements
from tracejit.ir.text import parse
from tracejit.ir.verify import Stage, verify
from tracejit.lower.tensor.overwrite import drop_overwritten

PROGRAM = """
@kernel
def fill(*, out0: f64[6, 4]):
    for a in range(0, 6):
        for b in range(0, 4):
            out0[a, b] = 7.0


@kernel
def loop(z: updated(f64[6, 4]), x: f64[8]):
    {body}


@kernel
def k(x: f64[8], *, out0: f64[6, 4]):
    fill(out0=out0)
    loop(out0, x)
"""

# What a loop does, and whether it stores over everything.
CASES = [
    ("for i in ordered(0, 6):\nfor j in range(0, 4):\nz[i, j] = x[j]", True),
    ("for i in ordered(0, 6):\nz[i, 0] = x[i]\nz[i, 1] = 2.0\nz[i, 3] = x[0]\nz[i, 2] = 1.0", True),
    ("for j in ordered(-1, 3):\nfor i in range(1, 7):\nz[i - 1, j + 1] = x[j + 1]", True),
    ("for i in ordered(0, 6):\nz[i, 0] = x[i]\nz[i, 1] = 2.0\nz[i, 3] = x[0]", False),
    ("for i in ordered(0, 5):\nfor j in range(0, 4):\nz[i, j] = x[j]", False),
    ("for i in ordered(0, 4):\nfor j in range(0, i):\nz[i, j] = x[j]", False),
    ("for i in ordered(0, 4):\nz[i, i] = x[i]", False),
    ("for i in ordered(0, 6):\nfor j in range(0, 4):\nz[i, j] = z[i, j] + x[j]", False),
    ("for i in ordered(0, 6):\nif x[i] > 0.0:\nfor j in range(0, 4):\nz[i, j] = x[j]", False),
    (
        "for i in ordered(0, 6):\nfor j in ordered(0, 4):\nz[i, j] = x[j]\nif x[j] > 1.0: break",
        False,
    ),
]


def indented(body: str) -> str:
    lines, depth = [], 1
    for line in body.splitlines():
        lines.append("    " * depth + line)
        depth += line.endswith(":")
    return "\n".join(lines).strip()


@pytest.mark.parametrize("body, whole", CASES)
def test_fills_are_dropped_where_all_is_stored_over(body, whole):
    module = verify(parse(PROGRAM.format(body=indented(body))), Stage.TRACED)
    changed = verify(drop_overwritten(module), Stage.TRACED)
    calls = [s for s in statements(changed.entry.body) if isinstance(s, Call)]
    assert len(calls) == (1 if whole else 2)
    x = np.linspace(-1, 1, 8)
    np.testing.assert_array_equal(reference(changed, x), reference(module, x))


def test_an_empty_array_that_a_loop_fills_is_filled_once():
    @jit
    def running(x):
        out = np.empty((len(x), 2))
        total = 0.0
        for i in range(len(x)):
            total = total * 0.5 + x[i]
            out[i, 0] = total
            out[i, 1] = x[i]
        return out

    x = np.arange(50.0)
    np.testing.assert_array_equal(running(x), running.__wrapped__(x))
    fills = [line for line in str(running.lower(x)).splitlines() if line.endswith("] = 0.0")]
    assert all("[()]" in line for line in fills)
