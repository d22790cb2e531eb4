"""Loops that are linear in the bits of a number become tables, and mean the same."""

from __future__ import annotations

import numpy as np
import pytest

from tracejit.ir import ops  # noqa: F401  (the vocabulary that the texts use)
from tracejit.ir.reference import reference
from tracejit.ir.tensor import For, Table, expressions_of, parts, statements
from tracejit.ir.term import postorder
from tracejit.ir.text import parse
from tracejit.ir.verify import Stage, verify
from tracejit.lower.tensor.bits import tabulate_bits
from tracejit.stages import build

PROGRAM = """
@kernel
def k(x: {t}[70], *, out0: {t}[70]):
    c: {t} = {t}(0)
    for i in ordered(0, 70):
        c = c ^ x[i]
        for k in ordered(0, {steps}):
            {body}
        out0[i] = c
"""
FEEDBACK = "c = c >> {t}(1) ^ where(c & {t}(1) != {t}(0), {t}(77), {t}(0))"

# The dtype, the steps, the body, and the tables; None where it stays a loop.
CASES = [
    ("u32", 8, FEEDBACK, 1),
    ("u8", 8, FEEDBACK, 1),
    ("u64", 16, FEEDBACK, 2),
    ("i32", 8, FEEDBACK, 1),  # copies of the sign come down as well
    ("u16", 8, "c = where(c & {t}(32768) != {t}(0), c << {t}(1) ^ {t}(4129), c << {t}(1))", 1),
    ("u16", 8, "c = where(c & {t}(32768) == {t}(32768), c << {t}(1) ^ {t}(4129), c << {t}(1))", 1),
    ("u16", 8, "c = where(c & {t}(32768) == {t}(0), c << {t}(1), c << {t}(1) ^ {t}(4129))", 1),
    ("u32", 8, "c = c >> {t}(1) ^ (-(c & {t}(1)) & {t}(177))", 1),
    ("u32", 8, "c = c >> {t}(1) ^ (c & {t}(1)) * {t}(177)", 1),
    ("u32", 8, "b: {t} = c & {t}(1)\nc = c >> {t}(1)\nc = where(b != {t}(0), ~c, c)", 1),
    ("u32", 8, "c = c << {t}(1) | c >> {t}(31)", 1),  # a rotation
    ("u8", 9, "c = ~(c << {t}(1) | (c >> {t}(7) ^ c >> {t}(3)) & {t}(1))", 1),
    ("u8", 20, "c = c & {t}(0) | {t}(5)", 0),  # a constant
    ("u8", 2, FEEDBACK, None),  # hardly worth it
    ("u64", 40, FEEDBACK, None),  # too many tables
    ("u8", 8, "c = c >> {t}(1) ^ where(c & {t}(3) != {t}(0), {t}(77), {t}(0))", None),
    ("u8", 8, "c = c + (c >> {t}(1) ^ c << {t}(1)) ^ {t}(1)", None),
    ("u8", 8, "c = (c >> {t}(1)) * {t}(3) ^ (c & {t}(1)) ^ c", None),
    ("u8", 8, "c = c << {t}(1) | c >> {t}(6) | {t}(k) ^ {t}(1) & c", None),
    ("u8", 8, "c = c >> {t}(1) ^ (c & c << {t}(1)) ^ {t}(1)", None),
]  # fmt: skip


@pytest.mark.parametrize("dtype, steps, body, tables", CASES)
def test_steps_over_bits(dtype, steps, body, tables):
    text = PROGRAM.replace("{body}", body.replace("\n", "\n" + 12 * " ")).format(
        t=dtype, steps=steps
    )
    module = verify(parse(text), Stage.TRACED)
    done = verify(tabulate_bits(module), Stage.TRACED)
    loops = [s for s in statements(done.entry.body) if isinstance(s, For)]
    terms = postorder([e for s in statements(done.entry.body) for e in expressions_of(s)], parts)
    assert (len(loops) == 1) is (tables is not None)
    assert sum(isinstance(e, Table) for e in terms) == (tables or 0)
    numpy_dtype = {"u": "uint", "i": "int"}[dtype[0]] + dtype[1:]
    info = np.iinfo(numpy_dtype)
    x = np.random.default_rng(3).integers(info.min, info.max, 70, numpy_dtype, endpoint=True)
    with np.errstate(over="ignore"):
        wanted = reference(module, x)
    np.testing.assert_array_equal(reference(done, x), wanted)
    np.testing.assert_array_equal(build(done)(x), wanted)
