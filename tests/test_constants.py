"""Constants: arrays that never change, what is computed from them once, and layouts chosen for them."""

from __future__ import annotations

import copy
import pickle
from dataclasses import dataclass

import numpy as np
import pytest

import tracejit
from tracejit import stages
from tracejit.ir.tensor import Allocate, Call
from tracejit.lower.machine import USUAL
from tracejit.trace.constants import never_changes

RNG = np.random.default_rng(0)
X = RNG.uniform(-1, 1, (5, 64))
W = RNG.uniform(-1, 1, (64, 48))


def kept(lowered) -> list[str]:
    """The types of what a program computes once."""
    body = lowered.module.entry.body
    return [
        str(s.buffer.type) for s in body if isinstance(s, Allocate) and s.buffer.space == "kept"
    ]


def same(actual, expected) -> None:
    np.testing.assert_allclose(actual, expected, rtol=1e-10, atol=1e-10)


# The arrays.


def test_a_constant_has_the_values_and_cannot_be_written():
    c = tracejit.constant(W)
    np.testing.assert_array_equal(c, W)
    for array in (c, c[3:], c.T, c.reshape(-1), c.view(np.int64)):
        assert never_changes(array)
        with pytest.raises(ValueError, match="WRITEABLE"):
            array.setflags(write=True)
    with pytest.raises(ValueError, match="read-only"):
        c[0, 0] = 1.0


def test_it_is_a_copy():
    source = W.copy()
    c = tracejit.constant(source)
    source[...] = 0.0
    np.testing.assert_array_equal(c, W)


@dataclass
class Layer:
    w: np.ndarray
    b: np.ndarray
    name: str


def test_trees_and_what_is_no_array():
    found = tracejit.constant({"layers": [Layer(W, W[0], "first")], "rate": 0.5})
    layer = found["layers"][0]
    assert never_changes(layer.w) and never_changes(layer.b)
    assert (layer.name, found["rate"]) == ("first", 0.5)


def test_a_constant_of_a_constant_is_the_same_array():
    c = tracejit.constant(W)
    assert tracejit.constant(c) is c
    assert tracejit.constant([c.T])[0].base is not None


def test_copies_are_arrays_as_any_other():
    c = tracejit.constant(W)
    for other in (c.copy(), copy.deepcopy(c), pickle.loads(pickle.dumps(c)), c + 0):
        assert not never_changes(other)
        other[0, 0] = 2.0
    assert c[0, 0] == W[0, 0]


def test_a_flag_alone_makes_no_constant():
    array = W.copy()
    array.setflags(write=False)
    assert not never_changes(array)


@pytest.mark.parametrize("array", [np.array([None, 1]), np.ma.masked_array([1.0], [True])])
def test_what_is_no_constant(array):
    with pytest.raises(TypeError, match="no constant"):
        tracejit.constant(array)


@pytest.mark.parametrize("shape", [(), (0, 3), (7,), (2, 1, 3)])
@pytest.mark.parametrize("dtype", ["f4", "i2", "c16", "?", ">f8"])
def test_shapes_and_dtypes(shape, dtype):
    array = RNG.uniform(-9, 9, shape).astype(dtype)
    c = tracejit.constant(array)
    assert (c.shape, c.dtype) == (array.shape, array.dtype)
    np.testing.assert_array_equal(c, array)
    f = tracejit.jit(lambda x: x + c)
    x = np.ones(shape, np.dtype(dtype).newbyteorder("="))
    np.testing.assert_array_equal(f(x), x + array)


# Programs.


def test_what_depends_on_constants_alone_is_computed_once():
    w, b = tracejit.constant((W, W[0]))
    f = tracejit.jit(lambda x: np.maximum(x, 0) @ np.exp(w) + (b * b).sum())
    lowered = f.lower(X)
    assert kept(lowered) == ["f64[64, 48]", "f64[()]"]
    assert "constant(f64[64, 48])" in str(lowered.stages[tracejit.Stage.TRACED])
    assert "once=True" in str(lowered.stages[tracejit.Stage.FUSED])
    for x in (X, X + 1):
        same(f(x), np.maximum(x, 0) @ np.exp(W) + (W[0] ** 2).sum())


def test_arrays_that_may_change_are_read_at_every_call():
    w = W.copy()
    w.setflags(write=False)
    f = tracejit.jit(lambda x: x @ np.exp(w))
    assert kept(f.lower(X)) == []
    same(f(X), X @ np.exp(W))
    w.setflags(write=True)
    w[...] = 0.0
    same(f(X), X @ np.ones_like(W))


def test_a_result_that_never_changes_is_a_new_array_each_time():
    w = tracejit.constant(W)
    f = tracejit.jit(lambda x: (x + 1, w * 3.0, w))
    first = f(X)
    first[1][...] = 0.0
    second = f(X)
    same(second[1], W * 3)
    assert second[2] is w


def test_a_copy_of_what_is_kept_may_be_written():
    w = tracejit.constant(W)

    @tracejit.jit
    def f(x):
        y = w * 2.0
        y[0] = x[0, :48]
        return y.sum() + (w * 2.0).sum()

    same(f(X), (W * 2)[1:].sum() + X[0, :48].sum() + (W * 2).sum())
    same(f(X), (W * 2)[1:].sum() + X[0, :48].sum() + (W * 2).sum())


def test_what_is_much_larger_than_the_constants_is_not_kept():
    a = tracejit.constant(RNG.uniform(size=400))
    f = tracejit.jit(lambda x: x + np.exp(a)[:, None] * np.exp(-a))
    x = RNG.uniform(size=(400, 400))
    assert kept(f.lower(x)) == ["f64[400]", "f64[400]"]
    same(f(x), x + np.exp(a)[:, None] * np.exp(-a))


def test_constants_given_as_arguments_are_arguments():
    w = tracejit.constant(W)
    f = tracejit.jit(lambda x, w: x @ np.exp(w))
    assert kept(f.lower(X, w)) == []
    same(f(X, W), X @ np.exp(W))


def test_static_constants():
    w = tracejit.constant(W)
    f = tracejit.jit(lambda x, w: x @ np.exp(w), static_argnames="w")
    assert kept(f.lower(X, w)) == ["f64[64, 48]"]
    same(f(X, w), X @ np.exp(W))
    same(f(X, tracejit.constant(2 * W)), X @ np.exp(2 * W))


def test_ahead_of_time_the_constants_are_given_and_may_be_others():
    w = tracejit.constant(W)
    f = tracejit.jit(lambda x: x @ np.exp(w))
    compiled = f.lower(X).compile()
    same(compiled(X, W), X @ np.exp(W))
    same(compiled(X, 2 * W), X @ np.exp(2 * W))


def test_every_stage_is_text_and_means_the_same():
    w = tracejit.constant(W)
    f = tracejit.jit(lambda x: np.maximum(x @ np.exp(w), 0))
    for module in f.lower(X).stages.values():
        assert tracejit.parse(tracejit.show(module)) is module
        same(tracejit.reference(module, X, W), np.maximum(X @ np.exp(W), 0))


def test_checking_every_pass():
    w = tracejit.constant(W)
    f = tracejit.jit(lambda x: np.tanh(x @ np.exp(w)), check=True)
    same(f(X), np.tanh(X @ np.exp(W)))


def test_explain_tells_what_is_done_once():
    w = tracejit.constant(W)
    explanation = tracejit.jit(lambda x: x @ np.exp(w)).explain(X)
    once, product = explanation.data.kernels
    assert once.kind == "done once" and "not at every call" in str(explanation)
    assert explanation.data.seconds == product.measured
    assert explanation.data.memory.peak == 0


def test_threads_that_call_at_the_same_time():
    from concurrent.futures import ThreadPoolExecutor

    w = tracejit.constant(W)
    f = tracejit.jit(lambda x: x @ np.exp(w))
    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(f, [X] * 16):
            same(found, X @ np.exp(W))


# Layouts.


@pytest.fixture
def usual(monkeypatch):
    """Schedules for a machine that is the same everywhere."""
    monkeypatch.setattr(stages, "schedule_parameters", lambda: USUAL._replace(vector_bytes=64))


SHAPES = [(8, 256, 200), (5, 300, 96), (64, 128, 256), (200, 600, 520), (2, 256, 256), (3, 64, 999)]


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", ["f4", "f8", "c16"])
def test_weights_in_panels(usual, shape, transposed, dtype):
    m, k, n = shape
    x, w, b = (RNG.uniform(-1, 1, s).astype(dtype) for s in ((m, k), (k, n), n))
    c = tracejit.constant(np.ascontiguousarray(w.T) if transposed else w)
    f = tracejit.jit(lambda x: x @ (c.T if transposed else c) + b)
    if m < 3 or transposed:
        assert bool(packings(f.lower(x))) == (m > 2)
    tolerance = 1e-4 if dtype == "f4" else 1e-10
    np.testing.assert_allclose(f(x), x @ w + b, rtol=tolerance, atol=tolerance)


def packings(lowered) -> list[str]:
    """The relayouts of the stage FUSED, without those that are index maps."""
    lines = str(lowered.stages[tracejit.Stage.FUSED]).splitlines()
    calls = [line.split(" = ")[1] for line in lines if " = relayout(" in line]
    return [call for call in calls if "inverse" not in call]


def test_what_is_near_and_in_order_is_not_copied(usual):
    c = tracejit.constant(RNG.uniform(-1, 1, (64, 256)))
    x = RNG.uniform(-1, 1, (8, 64))
    assert not packings(tracejit.jit(lambda x: x @ c).lower(x))
    assert packings(tracejit.jit(lambda x: x @ c.reshape(256, 64).T).lower(x))


def test_batches_of_any_size_read_the_same_panels(usual):
    w, b = RNG.uniform(-1, 1, (256, 200)), RNG.uniform(-1, 1, 200)
    c = tracejit.constant(w)
    f = tracejit.jit(lambda x: np.maximum(x @ c + b, 0))
    for m in (4, 5, 1, 33, 100, 2):
        x = RNG.uniform(-1, 1, (m, 256))
        same(f(x), np.maximum(x @ w + b, 0))
    assert f.cache_info().misses < 6


def test_weights_of_convolutions_in_panels(usual):
    w = RNG.uniform(-1, 1, (3, 3, 64, 128))
    c = tracejit.constant(w)
    conv = lambda x, w: tracejit.nn.conv(x, w, padding=1, data_format="channels_last")
    f = tracejit.jit(lambda x: tracejit.nn.relu(conv(x, c)))
    x = RNG.uniform(-1, 1, (2, 9, 9, 64))
    assert len(packings(f.lower(x))) == 1
    same(f(x), np.maximum(tracejit.jit(conv)(x, w), 0))


def test_batched_weights_in_panels(usual):
    w = RNG.uniform(-1, 1, (3, 96, 64))
    c = tracejit.constant(w)
    f = tracejit.jit(lambda x: x @ c.swapaxes(1, 2))
    x = RNG.uniform(-1, 1, (3, 10, 64))
    assert packings(f.lower(x)) == ["relayout(a0, layout='a d c -> a d/32 c d%32')"]
    same(f(x), x @ w.swapaxes(1, 2))


def repeated(x, w):
    for _ in range(40):
        x = np.tanh(x @ w.T)
    return x


def test_a_loop_reads_an_operand_that_was_packed_before_it(usual):
    x, w = RNG.uniform(-1, 1, (16, 256)), RNG.uniform(-1, 1, (256, 256)) / 16
    lowered = tracejit.jit(repeated).lower(x, w)
    assert len(packings(lowered)) == 1
    calls = [s.kernel.name for s in lowered.module.entry.body if isinstance(s, Call)]
    assert calls[0] == "fused_relayout" and calls[-1] == "loop"
    same(tracejit.jit(repeated)(x, w), repeated(x, w))


def test_the_pass_can_be_dropped():
    x, w = RNG.uniform(-1, 1, (16, 256)), RNG.uniform(-1, 1, (256, 256)) / 16
    passes = tracejit.pipeline().drop("choose_layouts")
    f = tracejit.jit(repeated, passes=passes)
    assert not packings(f.lower(x, w))
    same(f(x, w), repeated(x, w))


def test_one_use_is_not_worth_another_order():
    x, w = RNG.uniform(-1, 1, (16, 256)), RNG.uniform(-1, 1, (256, 256))
    assert not packings(tracejit.jit(lambda x, w: x @ w).lower(x, w))
