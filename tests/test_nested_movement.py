"""Concatenations, rolls and paddings of one another: NumPy's values, and code that grows with the length."""

import numpy as np
import pytest

import tracejit
from tracejit.ir.graph import Function, Module
from tracejit.ir.graph import parameter as make_parameter
from tracejit.ir.ops import concatenate
from tracejit.ir.reference import reference
from tracejit.ir.types import array_type, f64
from tracejit.ir.verify import Stage
from tracejit.lower.graph.canonicalize import canonicalize
from tracejit.lower.graph.joining import JOIN_LIMIT

GRID = np.arange(11.0 * 7).reshape(11, 7)


def rolls(count):
    def program(x):
        for k in range(count):
            x = np.roll(x, 1 + k % 5, 0)
        return x

    return program


def rolls_both_ways(count):
    def program(x):
        for k in range(count):
            x = np.roll(x, (1 + k, 2), (0, 1))
        return x

    return program


def wrapped(count):
    def program(x):
        for _ in range(count):
            x = np.pad(x, 1, mode="wrap")[1:-1, :-2]
        return x

    return program


def shuffled(count):
    def program(x):
        for _ in range(count):
            x = np.concatenate([x[1::2], x[::-2], x[2:4]])[:11]
        return x

    return program


def repeated(count):
    def program(x):
        for _ in range(count):
            x = np.concatenate([x[2:], x[-3:], x[3:9:2]])[1:12]
        return x

    return program


PROGRAMS = (rolls, rolls_both_ways, wrapped, shuffled, repeated)


@pytest.mark.parametrize("make", PROGRAMS)
@pytest.mark.parametrize("count", [1, 2, 3, 6])
def test_values(make, count):
    program = make(count)
    compiled = tracejit.jit(program).lower(GRID).compile()
    np.testing.assert_array_equal(compiled(GRID), program(GRID))


@pytest.mark.parametrize("make", PROGRAMS)
def test_code_grows_with_the_length(make):
    for count in (4, 6, 8, 16, 32):
        text = tracejit.jit(make(count)).lower(GRID).compile().llvm_ir
        assert len(text) < 6000 * count + 20_000


def canonical(*operands, build):
    parameters = tuple(make_parameter(f"p{k}", type) for k, type in enumerate(operands))
    module = Module(Function("f", parameters, (build(*parameters),)))
    found = canonicalize(module)
    arrays = [np.random.default_rng(k).normal(size=t.shape) for k, t in enumerate(operands)]
    np.testing.assert_array_equal(reference(found, *arrays), reference(module, *arrays))
    return found.entry.results[0]


def test_rolls_of_rolls_are_one_roll():
    lowered = tracejit.jit(rolls(40)).lower(np.arange(1000.0))
    (loops,) = [f.body for f in lowered.module.functions if f is not lowered.module.entry]
    assert [(loop.start.value, loop.stop.value) for loop in loops] == [(0, 120), (120, 1000)]


def test_concatenations_of_concatenations_are_one():
    row = array_type((2, 3), f64)
    found = canonical(
        row, row, build=lambda a, b: concatenate(concatenate(a, b, axis=0), a, axis=0)
    )
    assert found.op is concatenate and [o.op.name for o in found.operands] == ["parameter"] * 3


def test_another_axis_stays_nested():
    a, b = array_type((2, 3), f64), array_type((2, 6), f64)
    found = canonical(a, b, build=lambda a, b: concatenate(concatenate(a, a, axis=1), b, axis=0))
    assert [o.op.name for o in found.operands] == ["concatenate", "parameter"]


def test_growing_lists_are_not_copied_for_ever():
    def program(x):
        total = x
        for k in range(200):
            total = np.concatenate([total, x * k])
        return total

    x = np.arange(3.0)
    lowered = tracejit.jit(program).lower(x)
    functions = lowered.stages[Stage.FUSED].functions
    joined = [n for f in functions for n in f.nodes if n.op is concatenate]
    assert joined and all(len(n.operands) <= JOIN_LIMIT for n in joined)
    np.testing.assert_array_equal(lowered.compile()(x), program(x))
