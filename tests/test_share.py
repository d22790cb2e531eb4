"""Values that several kernels need: stored, or computed again by each, as the model of kernels has it."""

from __future__ import annotations

import numpy as np
import pytest

import tracejit
from tracejit.ir.tensor import Accumulate, For, Store, statements

RNG = np.random.default_rng(0)
X = RNG.standard_normal((1000, 800)).astype("f4")


def dear(x):
    return np.exp(np.sin(x) * x) + np.sqrt(np.abs(x))


def check(function, *arrays):
    """The function, jitted for these arrays, and its kernels."""
    f = tracejit.jit(function, threads=1)
    lowered = f.lower(*arrays)
    for stage, module in lowered.stages.items():
        tracejit.ir.verify.verify(module, stage)
    got, wanted = f(*arrays), function(*[a.astype("f8") for a in arrays])
    pairs = zip(got, wanted) if isinstance(wanted, tuple) else [(got, wanted)]
    for one, other in pairs:
        np.testing.assert_allclose(one, other, rtol=2e-3, atol=2e-3)
    return f, [k for k in lowered.module.functions if k is not lowered.module.entry]


def both_axes(of):
    return lambda x: (of(x).sum(0), of(x).sum(1))


def test_what_is_cheap_is_computed_by_each_reader():
    f, kernels = check(both_axes(lambda x: x * x + 1), X)
    assert f.memory(X).workspace < X.nbytes / 8 and len(kernels) == 2


def test_what_is_dear_is_stored_once():
    f, _ = check(both_axes(dear), X)
    assert f.memory(X).workspace >= X.nbytes


def test_what_is_made_of_columns_is_read_with_their_sums():
    """Of mean and deviation, which are small, both readers compute the elements."""

    def standard(x):
        z = (x - x.mean(0)) / x.std(0)
        return z.sum(1), np.abs(z).max(1), z.max(0)

    f, _ = check(standard, X)
    assert f.memory(X).workspace < X.nbytes / 2


def test_results_are_stored_whatever_they_cost():
    f, _ = check(lambda x: (x * 2, (x * 2).sum(0), (x * 2).sum(1)), X)
    assert f.memory(X).workspace < X.nbytes / 8


def test_what_is_written_in_place_is_not_read_later():
    def write(x):
        y = x * 2
        x[1:] = 0
        return y.sum(0), y.sum(1)

    x = X.copy()
    got, wanted = tracejit.jit(write)(x), write(X.copy())
    for one, other in zip(got, wanted):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-3)
    assert not x[1:].any()


@pytest.mark.parametrize("axis", [0, (0, 1)])
def test_sweeps_of_columns_store_what_is_dear(axis):
    """An exponential is computed once, where the sum of its column is, and divided in its place."""
    x = RNG.standard_normal((30, 40, 300)) if axis == (0, 1) else X

    def softmax(x):
        e = np.exp(x - x.max(axis))
        return e / e.sum(axis)

    f, kernels = check(softmax, x)
    assert len(kernels) == 2 and f.memory(x).workspace < x.nbytes / 2
    assert tracejit.show(f.lower(x).module).count("exp(") == 1


def test_a_sweep_that_stores_and_adds_up_reads_row_by_row():
    def function(x):
        y = np.exp(x)
        return y, y.sum(0)

    for shape in ((3001, 500), (300, 70000)):
        x = RNG.standard_normal(shape)
        _, (kernel,) = check(function, x)
        loops = [s for s in statements(kernel.body) if isinstance(s, For)]
        inner = [s for s in loops if s.mark == "unroll"]
        both = [s for s in inner if {type(t) for t in s.body} >= {Store, Accumulate}]
        assert both, tracejit.show(kernel)
        shared = tracejit.jit(function, threads=2)
        loops = [s for k in shared.lower(x).module.functions for s in statements(k.body)]
        wide = [s for s in loops if isinstance(s, For) and s.mark == "parallel"]
        assert any(isinstance(s, Accumulate) for loop in wide for s in statements(loop.body))
        for one, other in zip(shared(x), function(x)):
            np.testing.assert_allclose(one, other, rtol=1e-10)


def test_many_results_are_several_kernels():
    x = RNG.standard_normal(70000)
    _, kernels = check(lambda x: tuple(x * k + 1 for k in range(2, 20)), x)
    assert [len(k.fresh) for k in kernels] == [8, 8, 2]


def test_explain_tells_what_the_model_chose():
    e = tracejit.jit(both_axes(lambda x: x * x + 1), threads=1).explain(X)
    chosen = [c for kernel in e.kernels for c in kernel.choices]
    assert any(c.chosen.startswith("computed again") and c.seconds < c.others for c in chosen)
    text = str(e)
    assert "by the model; stored for" in text
    e = tracejit.jit(both_axes(dear), threads=1).explain(X)
    assert any(c.chosen.startswith("stored for") for kernel in e.kernels for c in kernel.choices)


def test_what_foreign_code_reads_and_writes_is_no_results_memory():
    x, i = np.random.default_rng(0).random(8), np.arange(8)

    def ordered(x, i):
        return np.lexsort((x, i % 3))

    np.testing.assert_array_equal(tracejit.jit(ordered)(x, i), ordered(x, i))
