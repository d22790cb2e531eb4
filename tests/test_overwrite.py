"""Kernels that fill what a loop stores over are dropped, and no others."""

from __future__ import annotations

import types

import numpy as np
import pytest

from tracejit import jit, pipeline
from tracejit.ir import ops  # noqa: F401  (the vocabulary that the texts use)
from tracejit.ir.reference import reference
from tracejit.ir.tensor import Call, Literal, Store, statements
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


def fills(module):
    """How many numbers are stored by the module's kernels."""
    found = [s for k in module.functions for s in statements(k.body)]
    return sum(isinstance(s, Store) and isinstance(s.value, Literal) for s in found)


def recurrence(x, start, ahead):
    y = np.empty_like(x)
    y[0] = x[0]
    for i in range(start, len(x)):
        y[i] = 0.5 * y[i - 1] + x[i]
        if ahead:
            y[i] += y[min(i + ahead, len(x) - 1)]
    return y


def of_rows(x, start):
    y = np.empty_like(x)
    y[0] = x[0]
    for i in range(start, len(x)):
        y[i] = x[i] - 0.25 * y[i - 1]
    return y


def by_condition(x):
    y = np.empty_like(x)
    y[0] = x[0]
    for i in range(1, len(x)):
        if x[i] > 0:
            y[i] = y[i - 1] + x[i]
    return y


def until(x):
    y = np.zeros_like(x)
    y[0] = x[0]
    for i in range(1, len(x)):
        y[i] = y[i - 1] + x[i]
        if x[i] > 1.5:
            break
    return y


X = np.random.default_rng(3).normal(size=200)


def test_the_rest_of_a_recurrence_is_not_filled():
    assert fills(jit(recurrence).lower(X, 1, 0).module) == 0
    passes = pipeline().drop("drop_overwritten_parts")
    assert fills(jit(recurrence, passes=passes).lower(X, 1, 0).module) == 1


@pytest.mark.parametrize(
    "function, args", ((recurrence, (X, 2, 0)), (by_condition, (X,)), (until, (X,)))
)
def test_what_may_be_left_is_filled(function, args):
    assert fills(jit(function).lower(*args).module) > 0


@pytest.mark.parametrize(
    "function, args",
    (
        (recurrence, (X, 1, 0)),
        (recurrence, (X, 2, 0)),
        (recurrence, (X, 1, 1)),
        (recurrence, (X, 1, 300)),
        (of_rows, (X.reshape(40, 5), 1)),
        (of_rows, (X.reshape(40, 5), 3)),
        (by_condition, (X,)),
        (until, (X,)),
    ),
)
def test_parts_that_are_not_stored_over_are_zeros(function, args):
    compiled = jit(function)
    for _ in range(3):  # memory of results is used again, and holds nan then
        result = compiled(*args)
        np.testing.assert_allclose(result, with_zeros(function)(*args), rtol=1e-12)
        result[:] = np.nan
        del result


def with_zeros(function):
    """The function, in which memory is zeros to begin with, as it is in compiled programs."""
    numpy = types.SimpleNamespace(empty_like=np.zeros_like, zeros_like=np.zeros_like)
    return types.FunctionType(function.__code__, {**globals(), "np": numpy})
