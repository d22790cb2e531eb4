"""The work of a compile: its steps are counted, not timed, and grow as the program does."""

import itertools
import linecache
import sys

import numpy as np
import pytest

import tracejit
from tracejit.config import config
from tracejit.ir.tensor import Call, Kernel, statements
from tracejit.ir.text import parse
from tracejit.runtime import engine, tiers
from tracejit.stages import build
from tracejit.trace.capture.rolling import Rolling

X = np.linspace(0.1, 1.0, 300)


NUMBERS = itertools.count()


def function_of(lines, parameters="x"):
    """A function of these lines, whose source Python finds."""
    text = f"def f({parameters}):\n" + "".join(f"    {line}\n" for line in lines)
    name = f"<compile_time_{next(NUMBERS)}>"
    linecache.cache[name] = (len(text), None, text.splitlines(True), name)
    namespace = {"np": np}
    exec(compile(text, name, "exec"), namespace)  # noqa: S102  our own text
    return namespace["f"]


def many(before, line, after, parameters="x"):
    """By size, programs of so many lines alike."""
    return lambda n: function_of(
        [*before, *[line.format(k=k) for k in range(n)], after], parameters
    )


def in_loop(before, line, after):
    """The same, in a loop."""
    loop = "for i in range(1, x.shape[0]):"
    return lambda n: function_of(
        [
            *[b.format(n=n) for b in before],
            loop,
            *["    " + line.format(k=k) for k in range(n)],
            after,
        ]
    )


PROGRAMS = {
    "chain": many([], "x = np.sin(x) * ({k} + 0.5) + x", "return x"),
    "kernels": many(["r = []"], "r.append(np.sin(x[{k}:]) * 2)", "return r"),
    "reductions": many(["r = []"], "r.append(np.sum(x * ({k} + 0.5)))", "return r"),
    "writes": many(["x = x.copy()"], "x[{k}:{k} + 99] += x[{k} + 100:{k} + 199]", "return x"),
    "elements": many(["x = x.copy()"], "x[{k}] = x[{k} + 99] * 2", "return x"),
    "numbers": many(["r, s = [], 0.0"], "s = s * 0.5 + x[{k}]; r.append(s * 2)", "return r"),
    "line in a loop": in_loop(["s = 0.0"], "s = s * ({k} + 0.5) + x[i]", "return s"),
    "stores in a loop": in_loop(
        ["o = np.zeros((300, {n}))"], "o[i, {k}] = x[i] * ({k} + 0.5) + o[i, max({k} - 1, 0)]", "return o"
    ),
    "keys of an order": lambda n: function_of(
        [f"return np.lexsort([{', '.join(f'x * {k}.5' for k in range(n))}])"]
    ),
    "selections in a loop": in_loop(["s = 0.0"], "s = s * 0.5 if x[i] > {k} else s", "return s"),
}  # fmt: skip


def steps_of_lowering(function):
    """How many Python functions are called."""
    traced = tracejit.jit(function).trace(X)
    count = 0

    def see(frame, event, _):
        nonlocal count
        count += event == "call"

    before = sys.getprofile()
    sys.setprofile(see)
    try:
        traced.lower()
    finally:
        sys.setprofile(before)
    return count


@pytest.mark.parametrize("name", PROGRAMS)
def test_twice_the_program_is_twice_the_work(name):
    steps_of_lowering(PROGRAMS[name](2))  # what is done once in a process
    small, large = [steps_of_lowering(PROGRAMS[name](n)) for n in (14, 28)]
    assert large < 2.3 * small


def test_a_long_chain_of_lookups():
    """Each is read where the next one says: an index would be as deep as the chain."""
    f, places = many([], "x = x[y] * 0.5", "return x", "x, y")(300), np.arange(300)[::-1].copy()
    np.testing.assert_array_equal(tracejit.jit(f)(X, places), f(X, places))


def test_numbers_made_of_one_another_are_one_kernel():
    module = tracejit.jit(PROGRAMS["numbers"](40)).lower(X).module
    assert len([s for s in statements(module.entry.body) if isinstance(s, Call)]) == 1
    np.testing.assert_allclose(
        tracejit.jit(PROGRAMS["numbers"](40))(X), PROGRAMS["numbers"](40)(X), rtol=1e-14
    )


def nest(depth):
    lines = ["s = 0.0"]
    for k in range(depth):
        lines.append("    " * k + f"for i{k} in range(x.shape[0]):")
        lines.append("    " * (k + 1) + f"s = s * 0.5 + x[i{k}]")
    return function_of([*lines, "return s"])


def passes(monkeypatch, function):
    """How often bodies of loops are traced."""
    count, start = [], Rolling.start
    with monkeypatch.context() as patch:
        patch.setattr(Rolling, "start", lambda self: count.append(1) or start(self))
        tracejit.jit(function).trace(X[:60])
    return len(count)


def test_loops_in_loops_are_not_traced_twice_for_each_around(monkeypatch):
    assert passes(monkeypatch, nest(6)) < 40  # two to the power of seven


def test_whiles_in_loops_are_not_either(monkeypatch):
    def whiles(x):
        total = 0.0
        for i in range(x.shape[0]):
            for j in range(x.shape[0]):
                k = j
                while k > 0 and x[k] > x[i]:
                    k = k // 2
                    total = total + x[k]
        return total

    found = passes(monkeypatch, whiles)
    monkeypatch.setattr(Rolling, "guesses", lambda self: False)
    assert found < passes(monkeypatch, whiles)
    y = np.cos(np.arange(60.0))
    np.testing.assert_allclose(tracejit.jit(whiles)(y), whiles(y), rtol=1e-12)


@pytest.mark.parametrize("first", [0, 0.0, np.float32(0)])
def test_what_is_carried_has_its_own_type_in_each_loop(first):
    """One loop, called with values of several types, in the passes of a loop around."""

    def summed(x, s):
        for k in range(40):
            s = s + x[k] // 1
        return s

    def program(x, n):
        a = b = first
        for i in range(40):
            a = summed(x, a)
            b = summed(n, b)
        c = summed(n, first)
        return a, b, c

    n = np.arange(60)
    for own, wanted in zip(tracejit.jit(program)(X * 50, n), program(X * 50, n), strict=True):
        assert np.asarray(own).dtype == np.asarray(wanted).dtype
        np.testing.assert_allclose(own, wanted)


def test_a_wrong_guess_is_found_out():
    """The second time the loop finds values of the same kinds, of which one is known."""

    def chosen(x, flag, s):
        for k in range(40):
            s = s + (0.5 if flag > 0 else 1)
        return s

    def program(x):
        a = b = 0
        for i in range(40):
            a = chosen(x, x[i], 0)
            b = b + chosen(x, np.float64(-1.0), 0)
        return a, b

    for own, wanted in zip(tracejit.jit(program)(X), program(X), strict=True):
        assert own == wanted and np.asarray(own).dtype == np.asarray(wanted).dtype


LOOP = """
t = bounded(0, 6)


def body(u: f64[10]):
    t0 = exp(u)
    return t0


def main(u: f64[10]):
    t0 = for_loop(u, body=body, carried=1, index=t, start=0, stop=7)
    return t0
"""


@pytest.fixture
def tiered(monkeypatch):
    with config.use(tiers=True):
        monkeypatch.setattr(tiers, "_start", lambda: None)
        yield
        tiers._jobs.clear()


def test_loops_of_known_time_begin_in_quick_code(tiered):
    compiled = build(parse(LOOP))
    assert len(tiers._jobs) == 1 and not compiled.may_be_long
    u = np.linspace(-3.0, -2.0, 10)
    with np.errstate(over="ignore"):
        quick = compiled(u)
        tracejit.wait()
        np.testing.assert_array_equal(quick, compiled(u))


def test_products_begin_in_quick_code(tiered):
    """What a first estimate takes for a second, as it knows nothing of panels."""
    a = np.ones((200, 200), "f4")
    compiled = tracejit.jit(lambda a: np.maximum(a @ a.T, 0.5)).lower(a).compile()
    assert len(tiers._jobs) == 1 and not compiled.may_be_long


def test_calls_in_loops_are_reckoned_as_often_as_they_are_made():
    def program(x):
        for _ in range(1000):
            x = np.sort(np.sin(x)) + x[::-1]
        return x

    one = tracejit.jit(lambda x: np.sort(np.sin(x)) + x[::-1]).lower(X).compile()
    assert tracejit.jit(program).lower(X).compile().seconds > 100 * one.seconds


def test_equal_programs_are_given_to_llvm_once(monkeypatch):
    texts, compile_ir = [], engine.compile_ir
    monkeypatch.setattr(
        engine, "compile_ir", lambda text, *how: texts.append(text) or compile_ir(text, *how)
    )
    kept = [tracejit.jit(lambda x: np.sqrt(x) * 7.25 + 0.125).lower(X).compile() for _ in range(3)]
    assert len(texts) == 1 and all(isinstance(c.module.entry, Kernel) for c in kept)
