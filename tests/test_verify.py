"""Every way a Module can be wrong is found and named; what is right passes."""

from __future__ import annotations

import pytest

from tracejit.errors import IRError
from tracejit.ir import expressions, ops, tensor
from tracejit.ir.bounds import Bounds
from tracejit.ir.dims import symbol
from tracejit.ir.expressions import integer
from tracejit.ir.graph import Function, Module, call, parameter
from tracejit.ir.op import ELEMENTWISE, Op
from tracejit.ir.tensor import (
    ZERO,
    Accumulate,
    Allocate,
    Apply,
    Buffer,
    For,
    Index,
    Kernel,
    Let,
    Literal,
    Load,
    Store,
    Variable,
)
from tracejit.ir.term import locate
from tracejit.ir.text import parse
from tracejit.ir.types import f32, f64, i64
from tracejit.ir.verify import Stage, unproved, verify

n = symbol("n")


def check(text, stage=Stage.TRACED):
    return verify(parse(text), stage)


def kernel_text(body, signature="x: f64[12], *, out: f64[12]"):
    lines = "\n".join("    " + line for line in body.strip("\n").splitlines())
    return f"@kernel\ndef k({signature}):\n{lines}"


LEGAL = [
    "for i in range(0, 12):\n    out[i] = x[i]",
    "for i in vector(0, 12, 4):\n    s: f64 = x[i]\n    s = s + 1.0\n    out[i] = s",
    "s: f64 = 0.0\nfor i in vector(0, 12, 4):\n    s += x[i]\nout[0] = s",
    "for i in vector(0, 12, 4):\n    out[i] = x[i]\n    out[i] = out[i] + 1.0",
    "for i in vector(0, 6, 4):\n    out[i * 2] = x[i]\n    out[i * 2 + 1] = out[i * 2]",
    "for i in vector(0, 4, 4):\n    out[i] = x[i]\n    out[i + 4] = out[i + 8]",
    "for i in parallel(0, 3):\n    for j in range(i * 4, i * 4 + 4):\n        out[j] = x[j]",
    "for i in parallel(0, 3):\n    t: f64[4] = local()\n    for j in range(0, 4):\n        t[j] = x[i * 4 + j]\n"
    "    out[i] = t[0]",
    "t: f64[4] = register()\nfor i in unroll(0, 4):\n    t[i] = 0.0\nfor j in vector(0, 12, 4):\n"
    "    t[0] += x[j]\nout[0] = t[0]",
]


@pytest.mark.parametrize("body", LEGAL)
def test_legal_kernels(body):
    module = check(kernel_text(body))
    assert unproved(module.entry) == []


ILLEGAL = [
    ("out[0] = s", "index s is not bound"),
    ("s: f64 = 0.0\nt: f64 = s + i8(1)", "add"),
    ("s: f64 = f32(1.0)\nout[0] = s", "f32 where f64"),
    ("out[0] = 1", "i64 where f64"),
    ("out[1.0] = 1.0", "f64 where i64"),
    ("out[0] = x[x[0]]", "index of dtype f64"),
    ("x[0] = 1.0", "is an input"),
    ("x[0] += 1.0\nout[0] = 1.0", "is an input"),
    ("pass", "the output out: .* is never written"),
    ("out[12] = 1.0", r"out\[12\] leaves an axis of extent 12"),
    ("out[-1] = 1.0", "leaves an axis"),
    ("for i in range(0, 12):\n    out[i] = x[i + 1]", r"x\[i \+ 1\] leaves"),
    ("for i in range(0, 12):\n    out[i] = f64((1.0, 2.0))[i]", "leaves an axis of extent 2"),
    ("for i in range(0, 12):\n    for i in range(0, 2):\n        out[i] = 1.0", "i is already bound"),
    ("for i in range(0.0, 12):\n    out[i] = 1.0", "f64 where i64"),
    ("for i in often(0, 12):\n    out[i] = 1.0", "unknown mark 'often'"),
    ("for i in vector(0, 12, 0):\n    out[i] = 1.0", "0 lanes"),
    ("s: f64 = 0.0\ns = accumulate(subtract, s, x[0])\nout[0] = s", "subtract is not associative"),
    ("for i in range(0, 2):\n    s: f64 = 0.0\nout[0] = s", "index s is not bound"),
    ("s: f64 = 0.0\nfor i in vector(0, 12, 4):\n    s = s + x[i]\nout[0] = s", "changes s in every"),
    ("s: f64 = 0.0\nfor i in parallel(0, 12):\n    s += x[i]\nout[0] = s", "accumulates into s across"),
    ("for i in vector(0, 12, 4):\n    out[0] = x[i]", r"vector loop meet at out\[0\]"),
    ("for i in vector(0, 11, 4):\n    out[i + 1] = out[i]", "meet at out"),
    ("for i in parallel(0, 12):\n    for j in range(0, 12):\n        out[j] = x[i]", r"parallel loop meet at out\[j\]"),
    ("for i in parallel(0, 12):\n    out[0] += x[i]", "parallel loop meet"),
    ("t: f64[n] = local()\nout[0] = 1.0", "extents \\['n'\\] are unknown"),
]  # fmt: skip


@pytest.mark.parametrize("body, message", ILLEGAL, ids=[body for body, _ in ILLEGAL])
def test_illegal_kernels(body, message):
    with pytest.raises(IRError, match=message):
        check(kernel_text(body))


def test_illegal_terms():
    """What text cannot say."""
    x, out = (Buffer(name, f64[12], "argument") for name in ("x", "out"))
    s, store = Variable("s", f64), Store(out, (ZERO,), Literal(0.0, f64))

    def refused(message, *body, parameters=(x, out), results=1):
        with pytest.raises(IRError, match=message):
            verify(Module(Kernel("k", parameters, results, body)), Stage.LOOPS)

    refused("s: f64 is not declared", Store(out, (ZERO,), s))
    refused("not declared", Accumulate(s, "add", Literal(0.0, f64)))
    refused("y: .* is not declared", Store(out, (ZERO,), Load(x.replace(name="y"), (ZERO,))))
    refused("has no rule", Store(out, (ZERO,), Apply("nosuch", (Load(x, (ZERO,)),), f64)))
    refused(
        "sin\\(f64\\) gives f64, here f32",
        Let(Variable("s", f32), Apply("sin", (Load(x, (ZERO,)),), f32)),
    )
    refused("3 of 2 parameters", store, results=3)
    refused("one name", store, parameters=(x, x.replace(type=f64[3]), out))
    refused("space 'local'", store, parameters=(x.replace(space="local"), out))
    refused("cannot be allocated", Allocate(x.replace(name="t")), store)
    refused("registers have a known size", Allocate(Buffer("t", f64[n], "register")), store)
    refused("literal True as f64", Store(out, (ZERO,), Literal(True, f64)))
    refused("cast takes one", Store(out, (ZERO,), Apply("cast", (ZERO, ZERO), f64)))
    one = Kernel("one", (x, out), 1, (store,))
    refused("one takes", tensor.Call(one, (x,)))
    refused("cannot also be written", tensor.Call(one, (out, out)))
    refused("cannot also be written", tensor.Call(one, (out, x)))
    index = Index("i")
    looped = For(index, ZERO, integer(12), (tensor.Call(one, (x, out)),), "parallel", 1)
    refused("writes out.* in every iteration", looped)
    deep = For(
        index, ZERO, integer(3), (store, Allocate(Buffer("t", f64[2], "local"))), "serial", 1
    )
    refused(
        "t: .* is not declared",
        deep,
        Store(Buffer("t", f64[2], "local"), (ZERO,), Literal(0.0, f64)),
    )


PROVED = [
    ("x: f64[n], *, out: f64[n]", "for i in range(0, n):\n    out[i] = x[n - 1 - i]", []),
    ("x: f64[n], *, out: f64[2*n + 1]", "for i in range(0, n):\n    out[2 * i + 1] = x[i]", []),
    ("x: f64[n, m], *, out: f64[n*m]",
     "for i in range(0, n):\n    for j in range(0, m):\n        out[i * m + j] = x[i, j]", []),
    ("x: f64[n], *, out: f64[n]", "for i in range(0, n):\n    out[i] = x[i + 1]", ["x[i + 1]"]),
    ("x: f64[n], *, out: f64[n]",
     "for i in range(0, n):\n    out[i] = x[minimum(i + 1, n - 1)] + x[maximum(i - 1, 0)]", []),
    ("x: f64[12], *, out: f64[3, 4]", "for i in range(0, 12):\n    out[i // 4, i % 4] = x[i]", []),
    ("x: f64[100], *, out: f64[100]",
     "for i in range(0, 7):\n    for j in range(i * 16, minimum(i * 16 + 16, 100)):\n        out[j] = x[j]", []),
    ("x: f64[n], *, out: f64[n]",
     "for i in range(0, (n + 15) // 16):\n    for j in range(i * 16, minimum(i * 16 + 16, n)):\n"
     "        t: f64[16] = register()\n        t[j - i * 16] = x[j]\n        out[j] = t[j - i * 16]", []),
    ("x: f64[256], y: u8[4], *, out: f64[4]", "for i in range(0, 4):\n    out[i] = x[i64(y[i])]", []),
    ("x: f64[256], y: i64[4], *, out: f64[4]", "for i in range(0, 4):\n    out[i] = x[y[i]]", ["x[y[i]]"]),
    ("x: f64[256], y: i64[4], *, out: f64[4]", "for i in range(0, 4):\n    out[i] = x[y[i] & 255]", []),
    ("x: f64[256], y: i64[4], *, out: f64[4]", "for i in range(0, 4):\n    out[i] = x[y[i] & -256]", ["x[y[i] & -256]"]),
    ("x: f64[8], *, out: f64[8]", "for i in range(0, 8):\n    out[i] = x[where(i < 4, i, i - 4)]", ["x[where(i < 4, i, i - 4)]"]),
    ("x: f64[8], *, out: f64[8]", "for i in range(0, 8):\n    out[i] = x[where(i < 4, i, 7 - i)]", []),
    ("x: f64[n, 4], *, out: f64[n, 4]",
     "for i in range(0, n):\n    for j in range(0, 4):\n        out[i, j] = x[(i * 4 + j) % n, (i + j) % 4]", []),
]  # fmt: skip


@pytest.mark.parametrize("signature, body, expected", PROVED, ids=range(len(PROVED)))
def test_bounds_are_proved(signature, body, expected):
    module = check(kernel_text(body, signature))
    assert unproved(module.entry) == expected


def test_proofs_are_sound():
    """Against enumeration: whatever is proved holds in every iteration."""
    i, j = Index("i"), Index("j")
    pieces = [i, j, integer(3), expressions.add(i, j), expressions.multiply(i, integer(-2))]
    for op in ("minimum", "maximum", "floor_divide", "remainder", "bitwise_and"):
        pieces += [Apply(op, (expressions.add(i, integer(k)), j), i64) for k in (-1, 0)]
        pieces += [Apply(op, (expressions.subtract(i, j), integer(3)), i64)]
    pieces += [Apply("multiply", (i, expressions.subtract(j, integer(1))), i64)]
    pieces += [
        expressions.floor_divide(
            expressions.multiply(expressions.add(i, integer(k)), integer(22)), integer(4)
        )
        for k in (0, 1)
    ]
    loops = (
        For(i, integer(-2), integer(4), (), "serial", 1),
        For(
            j,
            expressions.add(i, integer(3)),
            expressions.multiply(expressions.add(i, integer(3)), integer(2)),
            (),
            "serial",
            1,
        ),
    )
    bounds, proofs = Bounds(loops), 0
    for a in pieces:
        for b in pieces:
            for e in (
                expressions.add(a, b),
                expressions.subtract(a, b),
                expressions.add(expressions.subtract(a, b), integer(7)),
            ):
                values = [
                    _value(e, {i: p, j: q}) for p in range(-2, 4) for q in range(p + 3, 2 * p + 6)
                ]
                low, high = bounds.interval(e)
                assert (low is None or low <= min(values)) and (high is None or high >= max(values))
                if bounds.is_nonnegative(e):
                    proofs += 1
                    assert min(values) >= 0
    assert proofs > 100


def test_parts_of_something_are_at_most_as_long_as_the_longest():
    chunk, item = Index("chunk"), Index("item")
    border = lambda number: expressions.floor_divide(
        expressions.multiply(number, integer(22)), integer(4)
    )
    first, last = border(chunk), border(expressions.add(chunk, integer(1)))
    loops = (
        For(chunk, integer(0), integer(4), (), "serial", 1),
        For(item, first, last, (), "serial", 1),
    )
    place = expressions.subtract(item, first)
    assert Bounds(loops).is_below(place, 6) and not Bounds(loops).is_below(place, 5)
    assert Bounds(loops).is_below(item, 22) and not Bounds(loops).is_below(item, 21)


def test_a_loop_to_a_named_end():
    """`range(i + 1, n)`: the end is `n - (i + 1)`, by its name, and what is read is `i + 1 + j`."""
    i, m, j = Index("i"), Index("m"), Index("j")
    named = expressions.subtract(integer(9), expressions.add(i, tensor.ONE))
    bounds = Bounds((For(i, ZERO, integer(9), (), "ordered", 1),)).naming(m, named)
    inside = bounds.inside(For(j, ZERO, m, (), "ordered", 1))
    place = expressions.add(expressions.add(i, tensor.ONE), j)
    assert inside.is_below(place, 9) and not inside.is_below(place, 8)
    assert not inside.is_below(expressions.add(place, tensor.ONE), 9)
    assert inside.is_below(j, 8) and not inside.is_below(j, 7)
    # What a name stands for may be data, of which no more is known than its bounds.
    some = Apply("maximum", (Variable("count", tensor.i64), ZERO), tensor.i64)
    loop = For(j, ZERO, m, (), "ordered", 1)
    assert not Bounds(()).naming(m, some).inside(loop).is_below(j, 9)
    assert Bounds(()).naming(m, some).inside(loop).is_nonnegative(j)


def _value(e, at):
    match e:
        case Literal(value):
            return value
        case Index():
            return at[e]
        case Apply(op, (a, b)):
            x, y = _value(a, at), _value(b, at)
            return {
                "add": lambda: x + y,
                "multiply": lambda: x * y,
                "minimum": lambda: min(x, y),
                "maximum": lambda: max(x, y),
                "floor_divide": lambda: x // y if y else 0,
                "remainder": lambda: x % y if y else 0,
                "bitwise_and": lambda: x & y,
            }[op]()


# Graphs and stages.

X = parameter("x", f64[3])


def refused(message, entry, stage=Stage.TRACED):
    with pytest.raises(IRError, match=message) as caught:
        verify(Module(entry), stage)
    return str(caught.value)


def test_graphs():
    y = ops.sin(X)
    locate(y, "model.py:7")
    verify(Module(Function("f", (X,), (y,))), Stage.TRACED)
    refused("parameter 'x' is not declared", Function("f", (), (y,)))
    refused("one name", Function("f", (X, parameter("x", f64[4])), (y,)))
    refused("no `parameter` node", Function("f", (y,), ()))
    strange = Op("sin", ELEMENTWISE, lambda x: x, lambda x: x)
    refused("not in the vocabulary", Function("f", (X,), (strange(X),)))
    grown = ops.iota(extent=n, dtype=f64)
    refused(r"extents \['n'\] are unknown", Function("f", (X,), (grown,)))
    verify(Module(Function("f", (parameter("x", f64[n]),), (grown,))), Stage.TRACED)
    two = tuple(Buffer(name, f64[0], "argument") for name in "ab")
    pair = Kernel("k", two, 2, ())
    refused("result is an array", Function("f", (X,), (call(callee=pair),)))


def test_the_place_in_the_users_code_is_told():
    node = ops.exp(X)
    locate(node, "model.py:41")
    assert "model.py:41" in refused("function f: exp", Function("f", (X,), (node,)), Stage.LOOPS)


def test_stages():
    inner = Function("fused_0", (X,), (ops.sin(X),))
    calls = Function("main", (X,), (call(X, callee=inner),))
    verify(Module(calls), Stage.TRACED)
    verify(Module(calls), Stage.FUSED)
    refused("fused_0: there are no called graph Functions", calls, Stage.LOOPS)
    refused("elementwise ops may not be here at the stage FUSED", inner, Stage.FUSED)
    kernel = parse(kernel_text("out[0] = x[0]\nout[1] = x[1]", "x: f64[3], *, out: f64[3]")).entry
    lowered = Function("main", (X,), (call(X, callee=kernel),))
    for stage in Stage:
        verify(Module(lowered), stage)
        verify(Module(kernel), stage)


def test_lanes_contain_neither_lanes_nor_threads():
    text = """
@kernel
def k(x: f64[4, 4], *, out: f64[4, 4]):
    for i in vector(0, 4, 4):
        for j in parallel(0, 4):
            out[i, j] = x[i, j]
"""
    with pytest.raises(IRError, match="a parallel loop in a vector loop"):
        verify(parse(text), Stage.SCHEDULED)
