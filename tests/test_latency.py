"""Of integer sums and extremes in ordered loops, what an iteration waits for comes last."""

from __future__ import annotations

import numpy as np
import pytest

from tracejit.ir import ops  # noqa: F401  (the vocabulary that the texts use)
from tracejit.ir.reference import reference
from tracejit.ir.text import parse, show
from tracejit.ir.verify import Stage, verify
from tracejit.lower.tensor.latency import put_late_values_last
from tracejit.stages import build

# The value that `left` is given in each iteration, and what it becomes; None: it stays.
CASES = [
    ("minimum(minimum(left + 1, x[i]), y[i])", "minimum(minimum(x[i], y[i]), left + 1)"),
    (
        "where(x[i] < where(left < y[i], left, y[i]), x[i], where(left < y[i], left, y[i]))",
        "minimum(minimum(x[i], y[i]), left)",
    ),
    (
        "where(y[i] > maximum(left, x[i]), maximum(left, x[i]), y[i])",
        "where(y[i] > v0, v0, y[i])",
    ),
    ("left + x[i] + y[i]", "x[i] + y[i] + left"),
    ("left ^ x[i] ^ y[i]", "x[i] ^ y[i] ^ left"),
    ("where(left & 1 == 0, left ^ x[i], left)", "left ^ where(left & 1 == 0, x[i], 0)"),
    ("where(left > y[i], left, x[i] + left)", "left + where(left > y[i], 0, x[i])"),
    ("where(left > y[i], left, x[i] - left)", None),
    ("x[i] + y[i] + left", None),
    ("minimum(left, x[i])", None),
    ("left - x[i] - y[i]", None),
    ("minimum(minimum(left, x[i]), left + y[i])", None),
]


@pytest.mark.parametrize("value, expected", CASES, ids=range(len(CASES)))
def test_integers(value: str, expected: str | None):
    text = (
        "@kernel\ndef k(x: i64[12], y: i64[12], *, out: i64[12]):\n    left: i64 = 5\n"
        f"    for i in ordered(0, 12):\n        left = {value}\n        out[i] = left\n"
    )
    module = verify(parse(text), Stage.TRACED)
    done = verify(put_late_values_last(module), Stage.TRACED)
    assert f"left = {expected or value}\n" in show(done)
    x, y = np.random.default_rng(0).integers(-9, 9, (2, 12))
    wanted = reference(module, x, y)
    np.testing.assert_array_equal(reference(done, x, y), wanted)
    np.testing.assert_array_equal(build(module)(x, y), wanted)


def test_floats_keep_their_order():
    text = (
        "@kernel\ndef k(x: f64[12], *, out: f64[12]):\n    left: f64 = 5.0\n"
        "    for i in ordered(0, 12):\n        left = left + x[i] + x[0]\n        out[i] = left\n"
    )
    module = parse(text)
    assert show(put_late_values_last(module)) == show(module)
