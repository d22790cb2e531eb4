"""Every stage prints, parses back to the identical Module, runs with NumPy, and builds."""

from __future__ import annotations

import numpy as np
import pytest

import tracejit
from tracejit.ir.verify import Stage


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
