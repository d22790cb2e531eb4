"""Rows of stencils are computed several at a time; what is left of them, one by one."""

import numpy as np
import pytest
from samples import assert_same_bits

import tracejit
from tracejit.ir import ops  # noqa: F401  (the vocabulary that the texts use)
from tracejit.ir.reference import reference
from tracejit.ir.tensor import Store, statements
from tracejit.ir.text import parse, show
from tracejit.ir.verify import Stage, verify
from tracejit.lower.tensor import stencil_rows
from tracejit.stages import build

PROGRAMS = {
    "down": lambda x: x[2:] - 2 * x[1:-1] + x[:-2],
    "around": lambda x: x[2:, 1:-1] + x[:-2, 1:-1] + x[1:-1, 2:] + x[1:-1, :-2] - 4 * x[1:-1, 1:-1],
    "two results": lambda x: (x[1:] + x[:-1] - x[1:, ::-1], (x[1:] - x[:-1]) * x[1:]),
    "upside down": lambda x: x[2:][::-1] + x[1:-1][::-1] * x[:-2][::-1],
    "a choice": lambda x: np.where(x[1:-1] > x[2:], x[1:-1], x[2:]) - np.maximum(x[:-2], x[1:-1]),
    "in place": lambda x: _smoothed(x.copy()),
    "from the row before": lambda x: _carried(x.copy()),
}


def _smoothed(x):
    for _ in range(3):
        x[1:-1, 1:-1] = (x[:-2, 1:-1] + x[2:, 1:-1] + x[1:-1, 1:-1]) * 0.5
    return x


def _carried(x):
    for i in range(2, x.shape[0]):
        x[i] = x[i] + x[i - 1] - x[i - 2]
    return x


@pytest.mark.parametrize("dtype", ["float32", "float64", "int16"])
@pytest.mark.parametrize("shape", [(5, 40), (7, 16), (103, 33), (400, 300)])
@pytest.mark.parametrize("name", PROGRAMS)
def test_rows_together(name, shape, dtype, monkeypatch):
    """The bits of rows computed one by one."""
    x = (np.random.default_rng(0).standard_normal(shape) * 100).astype(dtype)
    found = tracejit.jit(PROGRAMS[name])(x)
    monkeypatch.setattr(stencil_rows, "ROWS", 10**9)
    expected = tracejit.jit(lambda x: PROGRAMS[name](x))(x)
    pair = isinstance(found, tuple)
    for one, other in zip(found if pair else (found,), expected if pair else (expected,)):
        assert_same_bits(one, other)


PARTS = """
@kernel
def k(x: f64[40, 40], y: updated(f64[40, 40])):
    for t in ordered(1, 39):
        for i in range(t, 19):
            for j in vector(1, 39, 8):
                y[i, j] = x[i, j] + x[i + 1, j] * x[i + 2, j] + y[i, j] * 0.5
"""


def test_rows_of_a_part_that_may_be_empty():
    """A part that ends before it begins has no rows, whole ones or others."""
    module = verify(parse(PARTS), Stage.TRACED)
    joined = verify(stencil_rows.join_stencil_rows(module), Stage.TRACED)
    assert show(joined) != show(module)
    x, y = np.random.default_rng(0).standard_normal((2, 40, 40))
    wanted = reference(module, x, y)
    np.testing.assert_array_equal(reference(joined, x, y), wanted)
    build(module)(x, y)
    np.testing.assert_allclose(y, wanted, rtol=1e-12)


@pytest.mark.parametrize(
    ("program", "stores"),
    [
        (PROGRAMS["down"], 5),  # four together, one in what is left
        (lambda x: x[1:] * 2, 1),  # nothing is read twice
        (lambda x: np.exp(x[2:] - x[:-2] + x[1:-1]), 1),  # reads are little beside that
    ],
)
def test_which_rows_are_together(program, stores):
    x = np.zeros((101, 300))
    module = tracejit.jit(program).trace(x).lower().module
    found = [s for k in module.functions for s in statements(k.body) if isinstance(s, Store)]
    assert len(found) == stores


@pytest.mark.parametrize("rows", [1000, 1024])
def test_rows_of_empty_ranges(rows):
    """Blocks of time steps end in ranges that stop before they start: no row is computed again."""

    def steps(u):
        u = u.copy()
        for _ in range(10):
            u[1:-1, 1:-1] += 0.125 * (u[:-2, 1:-1] + u[2:, 1:-1] - 2 * u[1:-1, 1:-1])
        return u

    u = np.random.default_rng(0).integers(0, 9, (rows, 1024)).astype(np.float32)
    np.testing.assert_allclose(tracejit.jit(steps)(u), steps(u), rtol=1e-5)
