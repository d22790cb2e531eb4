"""check=True: right programs pass, and each wrong pass is named, shrunk and written down."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import tracejit
from tracejit.check import Expected, difference
from tracejit.errors import IRError, UnsupportedError
from tracejit.ir.graph import map_kernels
from tracejit.ir.tensor import For, Literal, statements
from tracejit.ir.types import i64
from tracejit.lower.pipeline import PIPELINE
from tracejit.rewrite import any_use, ops, rewriting, wild

x, y = wild("x"), wild("y")
RNG = np.random.default_rng(3)
X, W, B = RNG.random((6, 8)), RNG.random((8, 5)), RNG.random(5)


def program(x, w, b):
    h = np.tanh(x @ w + b)
    centred = h - h.mean(axis=0)
    e = np.exp(centred - centred.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True), centred.sum(), np.where(h > 0.5, 1, 2)


def last_loop_is_short(module):
    """A wrong pass: the last loop of every kernel forgets its last iteration."""

    def change(kernel):
        loops = [s for s in statements(kernel.body) if isinstance(s, For)]
        loops = [s for s in loops if isinstance(s.stop, Literal) and s.stop.value > 1]
        if not loops:
            return kernel
        last = loops[-1]

        def body(inner):
            return tuple([shorter(s) if isinstance(s, For) else s for s in inner])

        def shorter(loop):
            if loop is last:
                return loop.replace(stop=Literal(loop.stop.value - 1, i64))
            return loop.replace(body=body(loop.body))

        return kernel.replace(body=body(kernel.body))

    return map_kernels(module, change)


WRONG = {
    "root": PIPELINE.prepend(rewriting(ops.tanh(x) >> ops.sin(x), name="wrong")),
    "mean": PIPELINE.prepend(
        rewriting(
            any_use(ops.sum).where(lambda n: n.attrs["axes"] == (1,))
            >> (lambda node: ops.max(node.operands[0], axes=(1,))),
            name="wrong",
        )
    ),
    "compare": PIPELINE.insert_after(
        "fold", rewriting(ops.greater(x, y) >> ops.less_equal(x, y), name="wrong")
    ),  # fmt: skip
    "groups": PIPELINE.insert_after("fuse", rewriting(ops.exp(x) >> ops.exp2(x), name="wrong")),
    "kernels": PIPELINE.insert_after(
        "to_loops", rewriting(ops.exp(x) >> ops.expm1(x), name="wrong")
    ),
    "loops": PIPELINE.insert_after("to_loops", last_loop_is_short),
    "memory": PIPELINE.insert_after("plan_memory", last_loop_is_short),
    "threads": PIPELINE.wrap("vectorize", lambda p: lambda m: last_loop_is_short(p(m))),
}


def test_right_programs_pass():
    f = tracejit.jit(program, check=True)
    for got, wanted in zip(f(X, W, B), program(X, W, B)):
        np.testing.assert_allclose(got, wanted, rtol=1e-12, atol=1e-14)
    # What cancels, and float32 sums whose order changes.
    x32 = RNG.standard_normal((64, 33)).astype(np.float32)
    for g in (lambda a: (a - a.mean()).sum(), lambda a: a.sum(axis=0) - a.sum(axis=0)[::-1]):
        tracejit.jit(g, check=True)(x32)
    tracejit.jit(lambda a: a.argmax(axis=1), check=True)(x32)


@pytest.mark.parametrize("numerics", ["strict", "default", "fast"])
def test_right_programs_pass_in_every_mode(numerics):
    arrays = RNG.random((20, 9)), RNG.random((9, 7)), RNG.random(7)
    f = tracejit.jit(program, check=True, numerics=numerics)
    for got, wanted in zip(f(*arrays), program(*arrays)):
        np.testing.assert_allclose(got, wanted, rtol=1e-6, atol=1e-12)
    g = tracejit.jit(
        lambda x: (x / x.sum(axis=0) * 3.0 - 1.0) ** 2 / 7.0, check=True, numerics=numerics
    )
    g(arrays[0].astype(np.float32))


def test_arguments_that_are_written_and_captured():
    table = np.arange(8.0)

    def f(a):
        a[1:] += table[:-1]
        return a.sum()

    given = np.ones(8)
    np.testing.assert_allclose(tracejit.jit(f, check=True)(given), 8 + table[:-1].sum())
    np.testing.assert_array_equal(given[1:], 1 + table[:-1])


@pytest.mark.parametrize("which", WRONG)
def test_wrong_passes_are_named_shrunk_and_written(which, tmp_path):
    passes = WRONG[which]
    (name,) = [n for n in passes.names if n not in PIPELINE.names] or ["vectorize"]
    with tracejit.config.use(dump=str(tmp_path)):
        with pytest.raises(
            IRError, match=f"the pass {name} changes what the program computes"
        ) as e:
            tracejit.jit(program, passes=passes, check=True)(X, W, B)
    assert "differ" in str(e.value) and "hint: tracejit.parse reads that file" in str(e.value)
    (path,) = Path(tmp_path).glob("check_*.py")
    small = tracejit.parse(path.read_text())
    arrays = list(np.load(path.with_suffix(".npz")).values())
    # The file fails by itself, and is small.
    step = next(s for s in passes if s.name == name)
    assert Expected(small, tuple(arrays)).problem_with(step(small)) is not None
    lines = [line for line in path.read_text().splitlines() if line.strip()]
    assert len(lines) <= 10, path.read_text()


def test_a_wrong_rewrite_becomes_one_node(tmp_path):
    with tracejit.config.use(dump=str(tmp_path)), pytest.raises(IRError):
        tracejit.jit(program, passes=WRONG["root"], check=True)(X, W, B)
    (path,) = Path(tmp_path).glob("check_*.py")
    assert path.read_text() == ("def program(v0: f64[1, 1]):\n    t0 = tanh(v0)\n    return t0\n")


def test_lower_and_build_check_as_well():
    f = tracejit.jit(program)
    with pytest.raises(IRError, match="the pass wrong"):
        f.lower(X, W, B, passes=WRONG["root"], check=True)
    module = f.trace(X, W, B).module
    for check in (True, (X, W, B)):
        with pytest.raises(IRError, match="the pass wrong"):
            tracejit.build(module, passes=WRONG["root"], check=check)
    tracejit.build(module, check=True)
    assert f.trace(X, W, B).lower(check=True).module is f.lower(X, W, B).module


def test_a_pass_whose_program_does_not_run():
    broken = rewriting(
        ops.tanh(x)
        >> (lambda x: ops.reshape(ops.parameter(name="lost", type=x.type), shape=x.shape)),
        name="broken",
    )
    with tracejit.config.use(verify=0), pytest.raises(IRError, match="broken.*cannot be run"):
        tracejit.jit(program, passes=PIPELINE.prepend(broken), check=True)(X, W, B)


def test_programs_with_effects_are_refused():
    rng = np.random.default_rng(0)
    f = tracejit.jit(lambda a: a + rng.random(3), check=True)
    with pytest.raises(UnsupportedError, match="several times"):
        f(np.ones(3))


def test_differences():
    one = np.array([1.0, np.nan, np.inf])
    assert difference(one, one.copy(), []) is None
    assert difference(one + 1e-15, one, []) is None
    assert "at [0]" in difference(one + 1e-9, one, [])
    assert difference(one + 1e-9, one, [one + 1e-10]) is None
    assert "not" in difference(np.array([1.0, 2.0, np.inf]), one, [])
    assert "1 of 2 differ" in difference(np.array([1, 2]), np.array([1, 3]), [])
    assert "float32" in difference(np.float32(1), np.float64(1), [])
