"""Layouts that operators prefer: `relayout`, and how the pass carries them through neighbours."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from operator_programs import check

import tracejit
from tracejit.errors import IRError, ShapeError
from tracejit.ir import ops
from tracejit.ir.graph import Function, Module, parameter
from tracejit.ir.ops.relayout import parts_of
from tracejit.ir.types import array_type, f64
from tracejit.lower.graph.carry_layouts import carry_layouts

BLOCKS = "n m -> m/8 n m%8"
X = np.random.default_rng(5).normal(size=(7, 24))

RUNNING = """
@kernel
def running(x: f64[b, n, 8], *, out: f64[b, n, 8]):
    for block in range(0, b):
        s: f64[8] = register()
        for j in range(0, 8):
            s[j] = 0.0
        for i in range(0, n):
            for j in range(0, 8):
                s[j] += x[block, i, j]
                out[block, i, j] = s[j]
"""


@pytest.fixture(scope="module")
def running():
    return tracejit.op(RUNNING, name="my_running", layouts=[BLOCKS, BLOCKS])


def test_an_operator_is_one_of_values(running):
    np.testing.assert_allclose(running(X), np.cumsum(X, axis=0))
    check(lambda x: running(x), X)
    check(lambda x: running(x.T.copy().T[:, ::3]) + 1, X)


def test_a_layout_is_carried_across_operators(running):
    """In, and out, once each, whatever stands between."""

    def program(x, y):
        a = running(np.sin(x))
        b = running(np.sqrt(np.abs(a)) * 2 + y)
        return running(b - a) - 1

    lowered = check(program, X, X * 2)
    fused = lowered.stages[list(lowered.stages)[1]]
    inverse = [line for line in str(fused).splitlines() if "inverse=True" in line]
    assert len(inverse) == 1
    # Of x and y, where sin and the sum are computed; nothing is only brought into another order.
    for function in fused.functions[:-1]:
        names = {node.op.name for node in function.nodes} - {"parameter", "item"}
        assert names != {"relayout"}, function
    assert str(fused).count(" = relayout(") == 3


def test_a_result_that_is_used_elsewhere_too(running):
    check(lambda x: (running(x), running(running(x) * 2).sum(axis=1), running(x).T), X)
    check(lambda x: [running(x[k : k + 3]) for k in range(2)][1], X)


def test_extents_that_are_no_blocks(running):
    with pytest.raises(ShapeError, match=r"blocks of 8(?s:.*)test_relayout.py(?s:.*)pad axis 1"):
        tracejit.jit(lambda x: running(x))(X[:, :9])


def test_a_layout_for_each_operand_and_result():
    short = tracejit.op(RUNNING, name="my_running_short", layouts=[BLOCKS])
    with pytest.raises(TypeError, match="1 operands and 1 results, and 1 layouts"):
        short(X)


@pytest.mark.parametrize(
    "layout", ["n m -> m n n", "n m -> n", "n -> n/2", "n m -> m/4 n m%2", "n -> k"]
)
def test_what_is_no_layout(layout):
    with pytest.raises(ValueError, match="layout"):
        parts_of(layout)
    with pytest.raises(IRError, match="layout"):
        ops.relayout(parameter("x", array_type((4, 4), f64)), layout=layout)


def test_pairs_cancel_and_elementwise_ops_follow_memory():
    x = parameter("x", array_type((2, 3, 8), f64))
    y = parameter("y", array_type((3, 16), f64))
    value = ops.relayout(x, inverse=True, layout=BLOCKS)
    result = ops.relayout(ops.multiply(ops.exp(value), y), layout=BLOCKS)
    (found,) = carry_layouts(Module(Function("f", (x, y), (result,)))).entry.results
    assert found is ops.multiply(ops.exp(x), ops.relayout(y, layout=BLOCKS))


@settings(deadline=None, max_examples=25)
@given(
    st.lists(st.tuples(st.integers(1, 3), st.sampled_from([1, 2, 4])), min_size=1, max_size=3),
    st.data(),
)
def test_any_layout_there_and_back(axes, data):
    names = "abc"[: len(axes)]
    parts = [f"{n}/{block}" for n, (_, block) in zip(names, axes)]
    parts += [f"{n}%{block}" for n, (_, block) in zip(names, axes)]
    layout = f"{' '.join(names)} -> {' '.join(data.draw(st.permutations(parts)))}"
    x = np.random.default_rng(0).normal(size=[count * block for count, block in axes])
    node = parameter("x", array_type(x.shape, f64))
    memory = ops.relayout(node, layout=layout)
    results = (ops.multiply(memory, memory), ops.relayout(memory, layout=layout, inverse=True))
    module = Module(Function("f", (node,), results))
    wanted = ops.relayout.reference(x, layout=layout)
    for run in (lambda: tracejit.reference(module, x), lambda: tracejit.build(module)(x)):
        squares, same = run()
        np.testing.assert_array_equal(same, x)
        np.testing.assert_array_equal(squares, wanted * wanted)
