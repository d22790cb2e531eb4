"""Every stage prints, parses back to the identical Module, runs with NumPy, and builds."""

from __future__ import annotations

import numpy as np
import pytest

import tracejit
from tracejit.errors import IRError
from tracejit.ir.verify import Stage, verify


def program(x, w, b):
    h = np.tanh(x @ w + b)
    e = np.exp(h - h.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True), np.cumsum(h, axis=0), np.pad(h, 1).T


@pytest.fixture(scope="module")
def arrays():
    rng = np.random.default_rng(0)
    return rng.random((20, 9)), rng.random((9, 7)), rng.random(7)


@pytest.fixture(scope="module")
def lowered(arrays):
    return tracejit.jit(program).trace(*arrays).lower()


@pytest.mark.parametrize("stage", Stage)
def test_text_reference_and_build_at_every_stage(lowered, arrays, stage):
    module, wanted = lowered.stages[stage], program(*arrays)
    assert tracejit.parse(tracejit.show(module)) is module
    for run in (lambda *a: tracejit.reference(module, *a), tracejit.build(module)):
        for got, value in zip(run(*arrays), wanted, strict=True):
            np.testing.assert_allclose(got, value, rtol=1e-12)


def test_jax_names_for_the_steps(arrays):
    traced = tracejit.jit(program).trace(*arrays)
    lowered = traced.lower()
    compiled = lowered.compile()
    assert "def program(" in str(traced) and "@kernel" in str(lowered)
    assert traced.module is lowered.stages[Stage.TRACED]
    assert compiled.module is lowered.module is compiled.stages[Stage.SCHEDULED]
    assert "define i64 @entry" in compiled.llvm_ir and "entry" in compiled.asm
    for got, value in zip(compiled(*arrays), program(*arrays), strict=True):
        np.testing.assert_allclose(got, value, rtol=1e-12)


def test_build_from_a_kernel_written_by_hand():
    module = tracejit.parse(
        """
@kernel
def saxpy(a: f64[()], x: f64[8], y: f64[8], *, out: f64[8]):
    for i in vector(0, 8, 8):
        out[i] = a[()] * x[i] + y[i]
"""
    )
    x, y = np.arange(8.0), np.ones(8)
    assert (tracejit.build(module)(2.0, x, y) == 2 * x + y).all()


def test_build_from_a_graph_with_unknown_extents():
    function = tracejit.build(
        tracejit.parse("def total(x: f64[n, m]):\n    t0 = sum(x, axes=(1,))\n    return t0")
    )
    for n, m in [(10, 12), (8, 1000)]:
        assert (function(np.ones((n, m))) == np.full(n, m)).all()
    with pytest.raises(TypeError, match="not an array of float32"):
        function(np.ones((10, 12), np.float32))
    with pytest.raises(ValueError, match="not of shape"):
        function(np.ones(10))
    with pytest.raises(TypeError, match="takes 1 arrays"):
        function()


def test_compiled_takes_any_layout_and_byte_order(arrays):
    compiled = tracejit.jit(program).lower(*arrays).compile()
    x, w, b = arrays
    odd = [np.asfortranarray(x), w[::-1][::-1], b.astype(">f8")]
    for got, value in zip(compiled(*odd), program(*arrays), strict=True):
        np.testing.assert_allclose(got, value, rtol=1e-12)


def test_explain_names_what_was_fused(arrays):
    text = tracejit.jit(program).explain(*arrays)
    assert "kernel calls" in text and "contract" in text and "tanh" in text


def test_a_pass_of_ones_own_runs_on_the_traced_graph(arrays):
    seen = []

    def spy(module):
        seen.append(module)
        return module

    tracejit.jit(program, passes=(spy, *tracejit.pipeline()))(*arrays)
    assert len(seen) == 1 and seen[0].entry.name == "program"


def test_reference_mode_runs_numpy_instead(arrays):
    with tracejit.config.use(reference=True):
        function = tracejit.jit(lambda x: (x * 2, x.sum(), "text"))
        doubled, total, text = function(arrays[0])
    assert (doubled == arrays[0] * 2).all() and text == "text"
    assert type(total) is np.float64
    np.testing.assert_allclose(total, arrays[0].sum())


def test_dump_writes_every_stage_as_text_that_parses(arrays, tmp_path):
    with tracejit.config.use(dump=str(tmp_path)):
        tracejit.jit(program)(*arrays)
    texts = sorted(tmp_path.glob("*.py"))
    assert [path.stem.split("_")[-1] for path in texts] == [s.name.lower() for s in Stage]
    for path in texts:
        tracejit.parse(path.read_text())
    assert len(list(tmp_path.glob("*.ll"))) == len(list(tmp_path.glob("*.s"))) == 1


@pytest.mark.parametrize("level, words", [(1, "first call"), (2, "fuses"), (3, "@kernel"), (4, "define"), (5, "ret"), (6, "after fuse")])  # fmt: skip
def test_debug_levels_say_more_and_more(level, words, capfd):
    with tracejit.config.use(debug=level):
        tracejit.jit(lambda x: np.sin(x) * 2 + 1)(np.arange(3.0))
    assert words in capfd.readouterr().err


def test_long_calls_let_other_threads_run():
    """Also where what is long was cut into chunks for threads."""
    for size, is_long in ((1000, False), (3_000_000, True)):
        compiled = tracejit.jit(lambda x: np.sin(x).sum()).lower(np.ones(size)).compile()
        assert compiled.releases_gil is is_long


MIXED = """
def normalise(x: f64[6, 8]):
    t0 = sum(x, axes=(1,))
    t1 = broadcast(t0, axes=(0,), shape=(6, 8))
    t2 = divide(x, t1)
    return t2


@kernel
def rows(x: f64[6, 8], *, out: f64[6, 8]):
    near: f64[6, 8] = local()
    normalise(x, out0=near)
    for i in range(0, 6):
        for j in range(0, 8):
            out[i, j] = near[5 - i, j]


def main(x: f64[6, 8]):
    t0 = exp(x)
    t1 = call(t0, callee=rows)
    t2 = sin(t1)
    return t2
"""


def test_functions_and_kernels_that_call_each_other():
    module = tracejit.parse(MIXED)
    assert tracejit.parse(tracejit.show(module)) is verify(module, Stage.TRACED)
    x = np.random.default_rng(0).random((6, 8))
    grown = np.exp(x)
    wanted = np.sin((grown / grown.sum(axis=1, keepdims=True))[::-1])
    np.testing.assert_allclose(tracejit.reference(module, x), wanted)
    np.testing.assert_allclose(tracejit.build(module, check=(x,))(x), wanted)
    rows = tracejit.Module(module.functions[1])
    wanted = (x / x.sum(axis=1, keepdims=True))[::-1]
    for run in (tracejit.build(rows), lambda a: tracejit.reference(rows, a)):
        np.testing.assert_allclose(run(x), wanted)


def test_kernels_call_functions_of_many_kernels_but_not_of_control_flow():
    text = """
def pieces(x: f64[4, 8]):
    t0 = sum(x, axes=(1,))
    t1 = sum(x, axes=(0,))
    t2 = contract(x, t1, spec='ab,b->a')
    t3 = add(t0, t2)
    return t3, t1


@kernel
def k(x: f64[4, 8], *, out: f64[4], more: f64[8]):
    for n in range(0, 1):
        pieces(x, out0=out, out1=more)
"""
    x = np.random.default_rng(0).random((4, 8))
    module = tracejit.parse(text)
    for run in (tracejit.build(module), lambda a: tracejit.reference(module, a)):
        one, two = run(x)
        np.testing.assert_allclose(one, x.sum(1) + x @ x.sum(0))
        np.testing.assert_allclose(two, x.sum(0))
    with pytest.raises(IRError, match="pieces takes|pieces"):
        verify(
            tracejit.parse(text.replace("out0=out, out1=more", "out0=more, out1=out")), Stage.TRACED
        )
    text = """
n = bounded(0, 2)

def body(a: f64[4]):
    t0 = sin(a)
    return t0


def loop(a: f64[4]):
    t0 = for_loop(a, body=body, carried=1, index=n, start=0, stop=3)
    return t0


@kernel
def k(a: f64[4], *, out: f64[4]):
    loop(a, out0=out)
"""
    with pytest.raises(
        IRError, match="(?s)loop, which a kernel calls, has a for_loop.*call it from"
    ):
        tracejit.build(tracejit.parse(text))


def test_errors_name_the_line_and_the_rule():
    lines = MIXED.strip().splitlines()

    def refused(old, new, problem):
        with pytest.raises(IRError, match=problem):
            verify(tracejit.parse(MIXED.strip().replace(old, new)), Stage.TRACED)

    number = 1 + next(k for k, line in enumerate(lines) if "sin(t1)" in line)
    refused("sin(t1)", "sin(t7)", f"line {number}: not a value: t7")
    refused("sin(t1)", "sinn(t1)", f"line {number}: not an op: sinn")
    refused("sin(t1)", "add(t1)", f"line {number}: ")
    refused(
        "near[5 - i, j]",
        "near[6 - i, j]",
        r"(?s)leaves an axis of extent 6.*line 7 of rows: out\[i, j\] = ",
    )
    refused("near[5 - i, j]", "near[i, j] + f32(1)", "line 14: ")
    refused("normalise(x,", "normalize(x,", "line 11: no kernel or function above is called so")
    graph = tracejit.parse(
        "def f(x: f64[3]):\n    t0 = negative(x)\n    t1 = exp(t0)\n    return t1"
    )
    with pytest.raises(
        IRError, match=r"(?s)exp.*the stage LOOPS|negative.*line 2 of f: t0 = negative\(x\)"
    ):
        verify(graph, Stage.LOOPS)
