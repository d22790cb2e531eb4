"""Short loops of little work are written out."""

import numpy as np

from tracejit import parse, reference, show
from tracejit.lower.tensor.unroll import unroll_short_loops
from tracejit.stages import build

BITS = """
@kernel
def k(x: u32[9], *, out: u32[9]):
    for i in ordered(0, 9):
        s: u32 = x[i]
        for j in ordered(0, {trips}):
            s = where((s & u32(1)) != u32(0), (s >> u32(1)) ^ u32(3988292384), s >> u32(1))
        out[i] = s
"""


def test_short_loops_are_written_out():
    module = parse(BITS.format(trips=8))
    changed = unroll_short_loops(module)
    assert "unroll(0, 8)" in show(changed) and "ordered(0, 9)" in show(changed)
    x = np.arange(9, dtype="u4")
    np.testing.assert_array_equal(build(changed)(x), reference(module, x))


def test_others_are_not():
    module = parse(BITS.format(trips=9))
    assert unroll_short_loops(module) is module
