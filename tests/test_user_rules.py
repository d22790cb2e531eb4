"""Rules of users: conditions on types, attributes and uses, numbers, and the same rules on kernels."""

from __future__ import annotations

import numpy as np
import pytest
from golden import expect

import tracejit
from tracejit.errors import IRError
from tracejit.ir.rewrite import rewriter
from tracejit.ir.types import f32, f64
from tracejit.ir.verify import Stage, verify
from tracejit.rewrite import any_use, fma, ops, rewriting, wild

x, y, c = wild("x"), wild("y"), wild("c")
X = np.linspace(0.5, 2.0, 12).reshape(3, 4)


def rewritten(text, *rules):
    return tracejit.show(verify(rewriting(*rules)(tracejit.parse(text)), Stage.TRACED))


def test_a_list_of_rules_is_a_pass_with_a_name():
    cancel = rewriting(ops.exp(ops.log(x)) >> x, name="cancel")
    f = lambda a: np.exp(np.log(a)) + 1
    passes = tracejit.pipeline().prepend(cancel)
    assert passes.names[0] == "cancel"
    assert "log" not in str(tracejit.jit(f, passes=passes).lower(X))
    np.testing.assert_array_equal(tracejit.jit(f, passes=passes)(X), X + 1)
    with pytest.raises(TypeError, match="a rule is `pattern >> replacement`"):
        rewriting(ops.exp(x))
    with pytest.raises(ValueError, match="begins with an op"):
        x >> y


def test_conditions_on_types_attributes_and_values():
    text = """
def f(a: f32[3, 4], b: f64[3, 4]):
    t0 = negative(a)
    t1 = negative(b)
    t2 = sum(a, axes=(1,))
    t3 = sum(b, axes=(0,))
    return t0, t1, t2, t3
"""
    singles = ops.negative(wild("x", dtype=f32)) >> ops.square(x)
    also = ops.negative(wild("x", dtype="float32")) >> ops.square(x)
    assert rewritten(text, singles) == rewritten(text, also)
    expect(
        rewritten(
            text,
            singles,
            ops.sum(wild("x", kind="f", ndim=2), axes=wild("axes", lambda a: a == (1,)))
            >> (lambda x, axes: ops.max(x, axes=axes)),
            ops.sum(wild("x", shape=(3, 4)), axes=(0,)) >> (lambda x: ops.min(x, axes=(0,))),
        ),
        """
        def f(a: f32[3, 4], b: f64[3, 4]):
            t0 = square(a)
            t1 = negative(b)
            t2 = max(a, axes=(1,))
            t3 = min(b, axes=(0,))
            return t0, t1, t2, t3
        """,
    )
    small = ops.add(x, y) >> ops.multiply(x, y)
    on = small.when(lambda x, y: x is not y).when(lambda node: node.dtype is f64)
    two = "def f(a: f64[2], b: f64[2]):\n    t0 = add(a, a)\n    t1 = add(a, b)\n    return t0, t1"
    assert rewritten(two, on).count("multiply") == 1
    with pytest.raises(IRError, match="no wildcard is called 'z'; there are x, y"):
        rewritten(two, small.when(lambda z: True))


def test_numbers_match_constants_and_become_them():
    f = lambda a: (a * 2.0 + 2.0) * 3.0
    module = tracejit.jit(f).trace(X).module
    doubled = rewriting(ops.multiply(x, 2.0) >> ops.add(x, x))(module)
    assert "add(a, a)" in str(doubled) and str(doubled).count("multiply") == 1
    tripled = rewriting(ops.multiply(x, 3.0) >> ops.multiply(x, 4.0))(module)
    np.testing.assert_array_equal(tracejit.build(tripled)(X), (X * 2 + 2) * 4)
    assert rewriting(ops.multiply(x, -2.0) >> x)(module) is module


SHARED = """
def f(a: f64[3], b: f64[3]):
    t0 = multiply(a, b)
    t1 = multiply(b, b)
    t2 = add(t0, a)
    t3 = add(t1, a)
    t4 = exp(t0)
    return t2, t3, t4
"""


def test_how_often_a_value_is_used():
    once = ops.add(ops.multiply(x, y).used(1), c) >> ops.subtract(ops.multiply(x, y), c)
    expect(
        rewritten(SHARED, once),
        """
        def f(a: f64[3], b: f64[3]):
            t0 = multiply(a, b)
            t1 = add(t0, a)
            t2 = multiply(b, b)
            t3 = subtract(t2, a)
            t4 = exp(t0)
            return t1, t3, t4
        """,
    )
    # A result is a use; that of a wildcard counts too.
    twice = ops.exp(wild("x", uses=2)) >> ops.sin(x)
    assert "sin" in rewritten(SHARED, twice) and "sin" not in rewritten(
        SHARED, ops.exp(wild("x", uses=1)) >> ops.sin(x)
    )
    endless = ops.exp(wild("x", uses=2)) >> ops.exp(ops.negative(ops.negative(x)))
    with pytest.raises(IRError, match="come to an end"):
        rewritten("def f(a: f64[3]):\n    t0 = exp(a)\n    t1 = add(t0, a)\n    return t1",
                  endless, ops.negative(ops.negative(wild("x", uses=1))) >> x,
                  ops.negative(ops.negative(x)) >> x)  # fmt: skip


def test_names_of_inner_nodes():
    named = ops.add(ops.multiply(x, y).named("product"), c)
    seen = []
    rewritten(SHARED, named >> (lambda product, c: seen.append((product.op.name, c.op.name))))
    assert ("multiply", "parameter") in seen
    positive = ops.exp(any_use(ops.multiply).where(lambda node: node.operands[0] is not None))
    assert "sinh" in rewritten(SHARED, positive >> (lambda node: ops.sinh(*node.operands)))


KERNEL = """
@kernel
def k(a: f64[8], b: f64[8], *, out: f64[8]):
    for i in range(0, 8):
        out[i] = a[i] * b[i] + 1.0
        if a[i] * 2.0 + 1.0 > 0.0:
            s: f64 = exp(log(b[i]))
            s += a[i] * s + f64(f32(s))
            out[i] = s
"""


def test_the_same_rules_on_expressions_of_kernels():
    contract = ops.add(ops.multiply(x, y), c) >> fma(x, y, c)
    expect(
        rewritten(
            KERNEL,
            contract.when(lambda c: c.dtype is f64),
            ops.exp(ops.log(x)) >> x,
            ops.cast(ops.cast(x, dtype=f32), dtype=f64) >> x,
            ops.greater(x, 0.0) >> ops.greater_equal(x, 0.5),
        ),
        """
        @kernel
        def k(a: f64[8], b: f64[8], *, out: f64[8]):
            for i in range(0, 8):
                out[i] = fma(a[i], b[i], 1.0)
                if fma(a[i], 2.0, 1.0) >= 0.5:
                    s: f64 = b[i]
                    s += fma(a[i], s, s)
                    out[i] = s
        """,
    )
    used = rewritten(KERNEL, ops.add(ops.multiply(x, y).used(1), c) >> fma(x, y, c))
    assert used.count("fma") == 3
    with pytest.raises(IRError, match="is no operation of kernels"):
        rewritten(KERNEL, ops.exp(x) >> ops.bitwise_and(x, x))
    with pytest.raises(IRError, match="turns f64 into f32"):
        rewritten(KERNEL, ops.exp(x) >> (lambda x: ops.cast(x, dtype=f32)))


def test_a_rule_in_the_pipeline_after_the_loops_are_made():
    contract = rewriting(ops.add(ops.multiply(x, y), c) >> fma(x, y, c), name="contract_products")
    f = tracejit.jit(
        lambda a: a * a + 1.0, passes=tracejit.pipeline().insert_after("to_loops", contract)
    )
    assert "fma" in str(f.lower(X)) and "llvm.fma" in f.lower(X).compile().llvm_ir
    np.testing.assert_allclose(f(X), X * X + 1, rtol=1e-15)


def test_kernels_that_kernels_and_bodies_of_loops_call():
    text = """
@kernel
def inner(a: f64[4], *, out: f64[4]):
    for i in range(0, 4):
        out[i] = exp(a[i])


@kernel
def outer(a: f64[4], *, out: f64[4]):
    inner(a, out=out)


def group(a: f64[4]):
    t0 = call(a, callee=outer)
    return t0


def f(a: f64[4]):
    t0 = call(a, callee=group)
    t1 = exp(t0)
    return t1
"""
    assert "exp" not in rewritten(text, ops.exp(x) >> ops.square(x))
    assert rewritten(text, ops.exp(x) >> ops.square(x)).count("square") == 2


def test_rewriter_takes_kernels():
    kernel = tracejit.parse(KERNEL).entry
    assert rewriter(ops.sin(x) >> x)(kernel) is kernel
