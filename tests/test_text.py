"""Text reads back as the very same terms, runs as Python, and reads well."""

from __future__ import annotations

import ast
import math

import numpy as np
import pytest
from golden import expect
from hypothesis import given, settings
from hypothesis import strategies as st

from tracejit.errors import IRError
from tracejit.ir import expressions, ops
from tracejit.ir.dims import symbol
from tracejit.ir.expressions import integer
from tracejit.ir.graph import Function, Kernel, Module, call, call_results, item, parameter
from tracejit.ir.op import OPS
from tracejit.ir.reference import reference
from tracejit.ir.show import show_value
from tracejit.ir.tensor import (
    ZERO,
    Accumulate,
    Allocate,
    Apply,
    Assign,
    Buffer,
    Call,
    For,
    Index,
    Let,
    Literal,
    Load,
    Store,
    Table,
    Variable,
)
from tracejit.ir.term import locate
from tracejit.ir.text import diff, parse, show
from tracejit.ir.types import (
    DTYPES,
    Layout,
    array_type,
    bool_,
    c64,
    c128,
    f32,
    f64,
    i32,
    i64,
    u8,
)

n, m = symbol("n"), symbol("m")
i, j = Index("i"), Index("j")


def round_trip(entry) -> str:
    module = Module(entry)
    text = show(module)
    ast.parse(text)
    assert parse(text) is module
    return text


def kernel(*body, parameters=None, results=1, name="k0"):
    parameters = parameters or (
        Buffer("x", f64[12], "argument"),
        Buffer("out", f64[12], "argument"),
    )
    return Kernel(name, parameters, results, body)


X, OUT = kernel().parameters
X_I = Load(X, (i,))


def loop(*body, stop=12, mark="serial", lanes=1, index=i):
    return For(index, ZERO, integer(stop), body, mark, lanes)


def test_graph_function():
    x, b = parameter("x", f64[3, n]), parameter("b", f64[n])
    t = ops.add(x, OPS["broadcast"](b, shape=(3, n), axes=(1,)))
    locate(t, "model.py:41")
    f = Function("main", (x, b), (t, OPS["sum"](t, axes=(0, 1))))
    expect(
        round_trip(f),
        """
        def main(x: f64[3, n], b: f64[n]):
            t0 = broadcast(b, axes=(1,), shape=(3, n))
            t1 = add(x, t0)
            t2 = sum(t1, axes=(0, 1))
            return t1, t2
        """,
    )
    assert "t1 = add(x, t0)  # f64[3, n]  model.py:41\n" in show(Module(f), notes=True)
    assert parse(show(Module(f), notes=True)) is Module(f)


def test_kernel():
    s, t = Variable("s", f64), Buffer("t", f64[1024], "local")
    inner = Kernel("k1", (X, t.replace(name="y", space="argument")), 1, ())
    body = (
        Let(s, Literal(0.0, f64)),
        loop(
            Accumulate(s, "add", X_I),
            Accumulate(s, "maximum", X_I),
            Assign(s, Apply("add", (s, X_I), f64)),
            Store(
                OUT, (i,), Apply("multiply", (Apply("sin", (X_I,), f64), Literal(2.0, f64)), f64)
            ),
        ),
        loop(mark="vector", lanes=16, index=j),
        loop(
            loop(Accumulate(Load(OUT, (i,)), "multiply", s), mark="unroll", index=j),
            mark="parallel",
        ),
        Allocate(t),
        Call(inner, (X, t)),
        Allocate(Buffer("r", array_type((), c64), "register")),
    )
    expect(
        round_trip(kernel(*body)),
        """
        @kernel
        def k1(x: f64[12], *, y: f64[1024]):
            pass


        @kernel
        def k0(x: f64[12], *, out: f64[12]):
            s: f64 = 0.0
            for i in range(0, 12):
                s += x[i]
                s = accumulate(maximum, s, x[i])
                s = s + x[i]
                out[i] = sin(x[i]) * 2.0
            for j in vector(0, 12, 16):
                pass
            for i in parallel(0, 12):
                for j in unroll(0, 12):
                    out[i] *= s
            t: f64[1024] = local()
            k1(x, y=t)
            r: c64[()] = register()
        """,
    )


def test_calls():
    x = parameter("x", f64[12])
    two = Kernel("two", (X, OUT, OUT.replace(name="more")), 2, ())
    a, b = call_results(two, x)
    callee = Function("half", (x,), (ops.negative(x),))
    both = Function("main", (x,), (b, call(a, callee=callee)))
    assert "t0, t1 = call(x, callee=two)" in round_trip(both)
    assert "_, t0 = call(x, callee=two)" in round_trip(Function("main", (x,), (b,)))
    whole = call(x, callee=two)
    text = round_trip(Function("main", (x,), (item(whole, index=1), whole)))
    assert "t0 = call(x, callee=two)" in text and "item(t0, index=1)" in text
    round_trip(Function("none", (x,), ()))
    round_trip(Function("twice", (x, parameter("y", i64[3])), (x, x)))


def test_same_names_stay_apart():
    x = parameter("x", f64[3])
    one, two = Function("f", (x,), (ops.sin(x),)), Function("f", (x,), (ops.cos(x),))
    f = Function("f", (x,), (ops.add(call(x, callee=one), call(x, callee=two)),))
    assert len(parse(round_trip(f)).functions) == 3
    np.testing.assert_array_equal(
        reference(Module(f), np.arange(3.0)), np.sin(np.arange(3.0)) + np.cos(np.arange(3.0))
    )


@pytest.mark.parametrize("name", ["sum", "f64", "lambda", "a.b[0]", "t0", "n", "0", "named", "é"])
def test_awkward_names(name):
    x, y = parameter(name, f64[n]), parameter("x", f64[n])
    f = Function(name, (x, y), (ops.subtract(ops.sin(x), y),))
    round_trip(f)
    values = np.arange(3.0)
    np.testing.assert_array_equal(reference(Module(f), values, values), np.sin(values) - values)
    buffer, index = Buffer(name, f64[12], "argument"), Index(f"{name}_")
    value = Variable(name, f64)
    k = kernel(
        For(
            index,
            ZERO,
            integer(12),
            (Let(value, Load(buffer, (index,))), Store(OUT, (index,), value)),
            "serial",
            1,
        ),
        parameters=(buffer, OUT),
    )
    round_trip(k)
    np.testing.assert_array_equal(reference(Module(k), np.arange(12.0)), np.arange(12.0))


ATTRIBUTES = [
    0, -3, True, None, "a'b\n", b"\x00", 0.5, -0.0, 0.0, math.inf, -math.inf, math.nan, 1e300, 5e-324,
    complex(-0.0, math.nan), complex(math.inf, -0.0), (), (1,), ((1.0, 2), (True,)),
    n, 2 * n * m + 3, n - 1, (n + 1) // 2, n // (m + 1) * 4, ((n + 1) // 2 + 3) // 4 % m,
    f32, c128, f64[3, n + 1], array_type((), u8), f64[3, 4] @ Layout((1, 3)),
]  # fmt: skip


@pytest.mark.parametrize("value", ATTRIBUTES, ids=repr)
def test_attributes(value):
    from_text = parse(
        f"def f():\n    t0 = parameter(name={show_value((value,))}, type=f64[3])\n    return t0"
    )
    (read,) = from_text.entry.results[0].attrs["name"]
    x = parameter((value,), f64[3])
    assert from_text.entry.results[0] is x, read


def test_host_objects():
    x = parameter("x", f64[3])
    for thing in (np.sin, math.sin, lambda x: x, lambda x: -x):
        node = parameter((thing,), f64[3])
        round_trip(Function("f", (x,), (node,)))


def test_layouts_and_symbols():
    x = Buffer("x", f64[3, 4] @ Layout((1, 3)), "argument")
    out = Buffer("out", f64[n, 2 * n + 1], "argument")
    t = Buffer("t", f64[(n + 1) // 2], "local")
    body = (
        Allocate(t),
        Store(out, (expressions.extent(n - 1), ZERO), expressions.extent((n + 1) // 2 * m)),
    )
    assert "x: f64[3, 4] @ strides(1, 3)" in round_trip(kernel(*body, parameters=(x, out)))


LITERALS = [
    (2.0, f64), (2, i64), (True, bool_), (2.0, f32), (7, u8), (-0.0, f64), (-0.0, f32), (math.nan, f64),
    (-math.inf, f32), (math.inf, f64), (-(2**63), i64), (2**64 - 1, DTYPES["u64"]), (1, f64), (1.0, i64), (0, bool_),
    (complex(1, -0.0), c64), (complex(-math.inf, math.nan), c128), (-5, i64), (1e-310, f64), (False, f32),
]  # fmt: skip


@pytest.mark.parametrize("literal", LITERALS, ids=str)
def test_literals(literal):
    leaf = Literal(*literal)
    for e in (
        leaf,
        Apply("negative", (leaf,), leaf.dtype),
        Apply("cast", (leaf,), f32),
        Apply("subtract", (leaf, leaf), leaf.dtype),
        Apply("subtract", (X_I, Apply("negative", (leaf,), leaf.dtype)), f64),
        Table((literal[0], literal[0]), i, literal[1]),
    ):
        round_trip(kernel(Store(OUT, (ZERO,), e)))


LEAVES = st.sampled_from(
    [
        X_I,
        Load(X, (Apply("add", (i, integer(1)), i64),)),
        Variable("s", f64),
        Literal(-2.5, f64),
        Literal(0.5, f64),
    ]
)
FLOAT_OPS = [
    "add",
    "subtract",
    "multiply",
    "divide",
    "remainder",
    "floor_divide",
    "power",
    "maximum",
]


def _grow(below):
    binary = st.builds(
        lambda op, a, b: Apply(op, (a, b), f64), st.sampled_from(FLOAT_OPS), below, below
    )
    unary = st.builds(
        lambda op, a: Apply(op, (a,), f64), st.sampled_from(["negative", "sin"]), below
    )
    chosen = st.builds(
        lambda op, a, b: Apply("where", (Apply(op, (a, b), bool_), a, b), f64),
        st.sampled_from(["less", "equal", "greater_equal"]),
        below,
        below,
    )
    squared = st.builds(lambda a: Apply("multiply", (a, a), f64), below)
    narrow = st.builds(lambda a: Apply("cast", (Apply("cast", (a,), f32),), f64), below)
    odd = st.builds(lambda a: Apply("add", (a, Literal(1, i32)), f64), below)
    return st.one_of(binary, unary, chosen, squared, narrow, odd)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.recursive(LEAVES, _grow, max_leaves=20), min_size=1, max_size=3))
def test_any_expression(expressions):
    s = Variable("s", f64)
    body = [Let(s, Literal(1.0, f64))]
    for e in expressions:
        body += [Store(OUT, (i,), e), Assign(s, e)]
    round_trip(kernel(loop(*body, stop=11)))


def test_sharing_does_not_blow_up():
    e = X_I
    for _ in range(60):
        e = Apply("add", (Apply("sin", (e,), f64), Apply("multiply", (e, e), f64)), f64)
    text = round_trip(kernel(loop(Store(OUT, (i,), e))))
    assert len(text) < 10_000
    chain = X_I
    for _ in range(5000):
        chain = Apply("sin", (chain,), f64)
    text = round_trip(kernel(loop(Store(OUT, (i,), chain))))
    assert max(map(len, text.splitlines())) < 100


def test_stale_aliases_are_not_used():
    """The text must compute what the terms say, so a name for `f(s)` ends where `s` changes."""
    s = Variable("s", f64)
    half = Apply("multiply", (s, Literal(0.5, f64)), f64)
    e = Apply("multiply", (half, Apply("add", (s, X_I), f64)), f64)
    more = Apply("add", (Apply("multiply", (X_I, X_I), f64), Apply("multiply", (X_I, e), f64)), f64)
    k = kernel(
        Let(s, Load(X, (ZERO,))),
        loop(
            Store(OUT, (i,), Apply("add", (e, e), f64)),
            Assign(s, Apply("add", (e, more), f64)),
            loop(Assign(s, Apply("subtract", (e, s), f64)), stop=3, index=j),
            Accumulate(Load(OUT, (i,)), "add", more),
        ),
    )
    assert "v1" in round_trip(k)
    values = np.linspace(0.1, 0.3, 12)
    expected = np.empty(12)
    v = values[0]
    for position, x in enumerate(values):

        def e_of(v, x=x):
            return (v * 0.5) * (v + x)

        expected[position] = e_of(v) + e_of(v)
        v = e_of(v) + (x * x + x * e_of(v))
        for _ in range(3):
            v = e_of(v) - v
        expected[position] += x * x + x * e_of(v)
    np.testing.assert_array_equal(reference(Module(k), values), expected)


def test_deep_graph():
    x = t = parameter("x", f64[2])
    for _ in range(5000):
        t = ops.negative(t)
    round_trip(Function("main", (x,), (t,)))
    np.testing.assert_array_equal(reference(Module(Function("main", (x,), (t,))), np.ones(2)), 1.0)


def test_undeclared_things_still_show():
    x, y = parameter("x", f64[2]), parameter("y", f64[2])
    round_trip(Function("main", (x,), (ops.add(x, y),)))
    assert "s" in show(kernel(Assign(Variable("s", f64), X_I)))
    assert "k1(" in show(kernel(Call(Kernel("k1", (X,), 0, ()), (X, X, X))))


REFUSED = [
    ("", "no function"),
    ("x = 1", "line 1: only functions"),
    ("def f(x):\n    return x", "a parameter needs a type"),
    ("def f(x: f64[2]):\n    t0 = nosuch(x)\n    return t0", "line 2: not an op: nosuch"),
    ("def f(x: f64[2]):\n    t0 = sin(y)\n    return t0", "not a value: y"),
    ("def f(x: f64[2]):\n    t0 = add(x, x, x)\n    return t0", "line 2"),
    ("def f(x: f64[2]):\n    pass", "ends by returning"),
    ("def f(x: f64[2]):\n  return x)", "line 2: unmatched"),
    ("@kernel\ndef k(x: f64[2]):\n    y[0] = 1.0", "not a buffer: y"),
    ("@kernel\ndef k(x: f64[2]):\n    x[0, 1] = 1.0", "2 axes|1 axes"),
    ("@kernel\ndef k(x: f64[2]):\n    while True:\n        pass", "not a line of a kernel"),
    ("@kernel\ndef k(x: f64[2]):\n    x[0] = nosuch(1.0)", "say its dtype"),
    ("@inline\ndef k(x: f64[2]):\n    pass", "unknown decorator"),
]


@pytest.mark.parametrize("text, message", REFUSED, ids=range(len(REFUSED)))
def test_refusals(text, message):
    with pytest.raises(IRError, match=message):
        parse(text)


def test_differences_as_text():
    before = parse("def f(x: f64[3]):\n    t0 = sin(x)\n    t1 = add(t0, x)\n    return t1")
    after = parse("def f(x: f64[3]):\n    t0 = cos(x)\n    t1 = add(t0, x)\n    return t1")
    assert diff(before, before) == ""
    lines = diff(before, after, ("old", "new")).splitlines()
    assert lines[:2] == ["--- old", "+++ new"]
    assert [line for line in lines[2:] if line[0] in "+-"] == [
        "-    t0 = sin(x)",
        "+    t0 = cos(x)",
    ]
