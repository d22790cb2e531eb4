"""Loops that store where data says take several iterations a step, and no more than there are."""

from __future__ import annotations

import numpy as np
import pytest

from tracejit.ir import ops  # noqa: F401  (the vocabulary that the texts use)
from tracejit.ir.reference import reference
from tracejit.ir.text import parse, show
from tracejit.ir.verify import Stage, verify
from tracejit.lower.tensor.repeat import repeat_bodies

PROGRAM = """
@kernel
def k(i: i64[100], x: f64[100], y: updated(f64[7])):
    for t in range(0, 30):
        for a in range({start}, {stop}):
            y[i[a]] = y[i[a]] + x[a] * x[t]
"""


@pytest.mark.parametrize("bounds", [("0", "100"), ("t", "100"), ("t * 3", "60"), ("3", "t + 2")])
def test_all_iterations_and_no_others(bounds):
    module = verify(parse(PROGRAM.format(start=bounds[0], stop=bounds[1])), Stage.TRACED)
    repeated = verify(repeat_bodies(module), Stage.TRACED)
    assert "unroll" in show(repeated)
    generator = np.random.default_rng(0)
    i, x, y = generator.integers(0, 7, 100), generator.normal(size=100), np.zeros(7)
    np.testing.assert_array_equal(reference(repeated, i, x, y), reference(module, i, x, y))
