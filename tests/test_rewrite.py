"""The rewriting engine: matching, building, fixed points, depth, and rules that never end."""

from __future__ import annotations

from collections import Counter

import pytest
from golden import expect

from tracejit.errors import IRError
from tracejit.ir import ops
from tracejit.ir.graph import Function, Module, parameter
from tracejit.ir.op import OPS
from tracejit.ir.rewrite import any_use, rewriter, wild
from tracejit.ir.term import locate, location_of
from tracejit.ir.text import parse, show
from tracejit.ir.types import f64

a, b, p, q = wild("a"), wild("b"), wild("p"), wild("q")
X, Y = parameter("x", f64[3, 4]), parameter("y", f64[3, 4])


def rewrite(rules, result):
    (new,) = rewriter(*rules)(Function("f", (X, Y), (result,))).results
    return new


def test_before_and_after():
    twice = ops.transpose(ops.transpose(a, axes=p), axes=q) >> (
        lambda a, p, q: ops.transpose(a, axes=tuple(p[axis] for axis in q))
    )
    identity = ops.transpose(a, axes=(0, 1)) >> a
    rules = (twice, identity, ops.add(a, ops.negative(b)) >> ops.subtract(a, b))
    before = """
def f(x: f64[3, 4], y: f64[3, 4]):
    t0 = transpose(x, axes=(1, 0))
    t1 = transpose(t0, axes=(1, 0))
    t2 = negative(t1)
    t3 = add(t2, y)
    return t3, t1
"""
    counts = Counter()
    after = rewriter(*rules, counts=counts)(parse(before).entry)
    expect(
        show(Module(after)),
        """
        def f(x: f64[3, 4], y: f64[3, 4]):
            t0 = subtract(y, x)
            return t0, x
        """,
    )
    assert [counts[rule] for rule in rules] == [1, 1, 1]


def test_matching():
    assert rewrite([ops.subtract(a, a) >> ops.negative(a)], ops.subtract(X, X)) is ops.negative(X)
    assert rewrite([ops.subtract(a, a) >> ops.negative(a)], ops.subtract(X, Y)) is ops.subtract(
        X, Y
    )
    flipped = ops.subtract(ops.sin(a), b) >> ops.add(a, b)
    assert rewrite([flipped], ops.subtract(Y, ops.sin(X))) is ops.subtract(Y, ops.sin(X))
    commuted = ops.multiply(ops.sin(a), b) >> ops.subtract(a, b)
    assert rewrite([commuted], ops.multiply(Y, ops.sin(X))) is ops.subtract(X, Y)
    # Both orders are tried even below: the first wildcard decides too early otherwise.
    deep = ops.add(ops.multiply(a, b), ops.sin(b)) >> ops.subtract(a, b)
    found = rewrite([deep], ops.add(ops.sin(X), ops.multiply(X, Y)))
    assert found is ops.subtract(Y, X)
    guarded = ops.negative(wild("a", lambda node: node.op is ops.sin)) >> a
    assert rewrite([guarded], ops.negative(ops.sin(X))) is ops.sin(X)
    assert rewrite([guarded], ops.negative(X)) is ops.negative(X)
    itself = ops.add(a, Y) >> a
    assert rewrite([itself], ops.add(X, Y)) is X and rewrite([itself], ops.add(X, X)) is ops.add(
        X, X
    )
    negated = any_use(ops.subtract) >> (lambda node: ops.add(*node.operands))
    assert rewrite([negated], ops.subtract(X, Y)) is ops.add(X, Y)
    declined = any_use(ops.subtract) >> (lambda: None)
    assert rewrite([declined], ops.subtract(X, Y)) is ops.subtract(X, Y)


def test_attributes_match_by_type_and_bits():
    constant = OPS["constant"]
    pairs = [(0.0, -0.0, False), (1, True, False), (1, 1.0, False), (2.0, 2.0, True)]
    for given, wanted, matches in pairs:
        rule = constant(value=wanted, dtype=p) >> (lambda p: constant(value=5.0, dtype=p))
        node = ops.negative(constant(value=given, dtype=f64))
        new = rewrite([rule], node)
        assert new is (ops.negative(constant(value=5.0, dtype=f64)) if matches else node)


def test_deep_graphs():
    node = X
    for _ in range(5000):
        node = ops.negative(node)
    assert rewrite([ops.negative(ops.negative(a)) >> a], node) is X
    # The transpose starts at the very end and is pushed down through all of it.
    node = X
    for _ in range(5000):
        node = ops.sin(node)
    sink = ops.transpose(ops.sin(a), axes=p) >> ops.sin(ops.transpose(a, axes=p))
    node = rewrite([sink], ops.transpose(node, axes=(1, 0)))
    for _ in range(5000):
        (node,) = node.operands
    assert node is ops.transpose(X, axes=(1, 0))


def test_shared_graphs_are_visited_once():
    node = X
    for _ in range(200):
        node = ops.add(ops.negative(ops.negative(node)), node)
    counts = Counter()
    rule = ops.negative(ops.negative(a)) >> a
    rewriter(rule, counts=counts)(Function("f", (X,), (node,)))
    assert counts[rule] == 200


def test_endless_rules():
    there, back = ops.sin(a) >> ops.cos(a), ops.cos(a) >> ops.sin(a)
    grow = ops.sin(a) >> ops.sin(ops.cos(a))
    around = ops.sin(a) >> ops.negative(ops.sin(a))
    for rules in ((there, back), (grow,), (around,)):
        with pytest.raises(IRError, match="come to an end"):
            rewrite(rules, ops.exp(ops.sin(X)))


def test_a_rule_may_not_change_the_type():
    with pytest.raises(IRError, match=r"cast\(a, dtype=f64\)|turns"):
        rewrite([ops.negative(a) >> (lambda a: ops.transpose(a, axes=(1, 0)))], ops.negative(X))


def test_places_in_the_users_code_survive():
    node = ops.negative(ops.negative(ops.exp2(X)))
    other = ops.sinh(ops.tanh(X))
    locate(other, "model.py:3")
    new = rewrite([ops.tanh(a) >> ops.arctan(a)], other)
    assert location_of(new) == "model.py:3"
    assert rewrite([ops.negative(ops.negative(a)) >> a], node) is ops.exp2(X)
