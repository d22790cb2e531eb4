"""Rows that share what they are multiplied with run side by side."""

from __future__ import annotations

import numpy as np
import pytest

from tracejit.ir import ops  # noqa: F401  (the vocabulary that the texts use)
from tracejit.ir.reference import reference
from tracejit.ir.text import parse, show
from tracejit.ir.verify import Stage, verify
from tracejit.lower.tensor.jam import jam_rows
from tracejit.stages import build

PROGRAM = """
@kernel
def k(x: f64[13, 20], y: f64[20], z: updated(f64[13])):
    for t in ordered(3, 12):
        for a in range({start}, {stop}):
            s: f64 = y[a]
            for b in vector({first}, 19, 16):
                {step}
            {store}
"""
ROW = {
    "start": "0",
    "stop": "t",
    "first": "0",
    "step": "s += x[a, b] * y[b]",
    "store": "z[a] = s",
}

# What is unlike `ROW`, and whether rows are put together.
CASES = [
    ({}, True),
    ({"start": "2", "stop": "13"}, True),
    ({"start": "t", "stop": "13", "step": "s += x[a, b] * x[t, b + 1]"}, True),
    ({"step": "s += x[a, b] * y[b] - y[b + 1]", "store": "z[a] = s * y[a]"}, True),
    ({"start": "t + 1", "stop": "6"}, True),  # which is before it begins, in the end
    ({"stop": "3"}, False),  # too few
    ({"step": "s += x[a, b]"}, False),  # they share nothing
    ({"first": "a"}, False),  # nor the range
    ({"store": "z[0] = s"}, False),
    ({"step": "s += x[a, b] * y[b] * z[a + 1]"}, False),  # which the row after it stores
]


@pytest.mark.parametrize("changes, together", CASES)
def test_rows_side_by_side(changes, together):
    module = verify(parse(PROGRAM.format(**{**ROW, **changes})), Stage.TRACED)
    jammed = verify(jam_rows(module, 64), Stage.TRACED)
    assert (show(jammed) != show(module)) is together
    generator = np.random.default_rng(0)
    given = generator.normal(size=(13, 20)), generator.normal(size=20), generator.normal(size=13)
    wanted = reference(module, *given)
    found = reference(jammed, *given)
    np.testing.assert_allclose(found, wanted, rtol=1e-12)
    build(module)(*given)
    np.testing.assert_allclose(given[2], wanted, rtol=1e-12)
