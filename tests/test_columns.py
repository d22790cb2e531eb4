"""Reductions down the columns of large arrays: the rows are read in order, columns' values once."""

from __future__ import annotations

import numpy as np
import pytest

import tracejit
from tracejit.ir.tensor import Allocate, Apply, For, expressions_of, parts, statements
from tracejit.ir.term import postorder

RNG = np.random.default_rng(11)


def standardize(x):
    return (x - x.mean(axis=0)) / np.sqrt(x.var(axis=0) + 1e-5)


def softmax(x, axis):
    e = np.exp(x - x.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


def kernel_of(function, *args, threads=1):
    module = tracejit.jit(function, threads=threads).lower(*args).module
    (kernel,) = [k for k in module.functions if k is not module.entry]
    return kernel


def sweeps_with(kernel, op: str) -> list[int]:
    """How deep the loops are that compute `op`."""
    found = []

    def visit(body, depth):
        for s in body:
            if isinstance(s, For):
                visit(s.body, depth + 1)
            elif any(
                isinstance(e, Apply) and e.op == op for e in postorder(expressions_of(s), parts)
            ):
                found.append(depth)

    visit(kernel.body, 0)
    return found


def test_what_depends_on_the_column_alone_is_computed_once_for_each():
    kernel = kernel_of(standardize, np.zeros((2000, 500)))
    assert sweeps_with(kernel, "sqrt") == [1]
    # What a strip weighs beside those before it is divided for strips, above all columns.
    assert sweeps_with(kernel, "divide").count(1) == 2, "mean and deviation"


def test_lanes_run_along_the_columns():
    module = tracejit.jit(lambda x: softmax(x, 0), threads=1).lower(np.zeros((2000, 500))).module
    loops = [s for k in module.functions for s in statements(k.body) if isinstance(s, For)]
    assert {loop.index.name for loop in loops if loop.mark == "vector"} == {"i1"}


def test_rows_with_memory_of_their_own_run_in_threads():
    kernel = kernel_of(lambda x: softmax(x, 1), np.zeros((2000, 500)), threads=2)
    assert any(isinstance(s, Allocate) for s in statements(kernel.body))
    assert kernel.body[0].mark == "parallel"


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("shape", [(2, 3, 5), (70, 90, 11), (300, 7, 130), (1, 500, 300)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_softmax(axis, shape, dtype):
    x = (RNG.random(shape) * 8).astype(dtype)
    got = tracejit.jit(lambda x: softmax(x, axis))(x)
    np.testing.assert_allclose(got, softmax(x, axis), rtol=2e-5 if dtype is np.float32 else 1e-12)


@pytest.mark.parametrize("shape", [(64, 1000), (65, 1001), (1000, 513), (3, 4), (5000, 129)])
def test_standardize(shape):
    x = RNG.random(shape)
    np.testing.assert_allclose(tracejit.jit(standardize)(x), standardize(x), rtol=1e-9, atol=1e-11)
    weights = RNG.random(shape[1])
    scaled = lambda x, w: standardize(x) * w + np.exp(-x.min(axis=0))
    np.testing.assert_allclose(
        tracejit.jit(scaled)(x, weights), scaled(x, weights), rtol=1e-9, atol=1e-11
    )


@pytest.mark.parametrize("width", [2, 3, 5])
def test_short_rows_run_a_row_in_each_lane(width):
    def normalize(x):
        return x / np.sqrt((x * x).sum(axis=1, keepdims=True))

    x = RNG.random((1000, width))
    for function in (normalize, lambda x: softmax(x, 1)):
        kernel = kernel_of(function, x)
        vectors = {
            s.index.name for s in statements(kernel.body) if s.__class__ is For and s.lanes > 1
        }
        assert vectors == {"i0"}
        np.testing.assert_allclose(tracejit.jit(function)(x), function(x), rtol=1e-13)


def lanes_of(function, *args) -> list[int]:
    kernel = kernel_of(function, *args)
    return [s.lanes for s in statements(kernel.body) if isinstance(s, For) and s.mark == "vector"]


def test_columns_are_read_in_runs_that_registers_hold():
    """Sixteen vectors of each row, shared between the sums of a sweep and no more than there are."""
    x = np.zeros((16, 512), np.float32)
    (one,) = lanes_of(lambda x: x.sum(axis=0), x)
    (two,) = lanes_of(lambda x: x.sum(axis=0) + (x * x).sum(axis=0), x)
    (row,) = lanes_of(lambda x: x.sum(), x)
    (few,) = lanes_of(lambda x: x.sum(axis=0), x[:, : one // 2 + 1].copy())
    assert (one, two, row, few) == (4 * row, 2 * row, row, 2 * row)


def strips_of(x) -> set[int]:
    """How many rows are added up before their sums are stored again."""
    loops = [s for s in statements(kernel_of(lambda x: x.sum(axis=0), x).body) if type(s) is For]
    return {s.stop.value for s in loops if s.mark == "unroll"}


def test_how_many_rows_are_read_at_once_depends_on_where_they_lie():
    """Caches are read from end to end, blocks of long rows two at a time, and memory in several places."""
    assert strips_of(np.zeros((64, 512), np.float32)) == {1}
    assert strips_of(np.zeros((1024, 1024), np.float32)) == {1}
    assert strips_of(np.zeros((64, 16384), np.float32)) == {2}
    assert strips_of(np.zeros((4096, 4096), np.float32)) == {8}
    assert strips_of(np.zeros((16, 512), np.float32)) == set(), "columns are walked down"


@pytest.mark.parametrize("shape", [(33, 700), (64, 512), (9001, 1030), (259, 40000), (40, 7, 300)])
def test_sums_of_what_lies_in_all_caches_and_memory(shape):
    x = np.random.default_rng(5).integers(-3, 4, shape).astype(np.float32)
    for program in (lambda x: x.sum(axis=0), lambda x: x.max(axis=0) - x[0], lambda x: x.mean(0)):
        np.testing.assert_allclose(tracejit.jit(program)(x), program(x), rtol=1e-6)
    two = lambda x: x.sum(axis=0) * np.exp(-x.max(axis=0)) + x.min(axis=0)
    np.testing.assert_allclose(tracejit.jit(two)(x), two(x), rtol=1e-5)


@pytest.mark.parametrize("shape", [(66, 16384), (131, 17000)])
@pytest.mark.parametrize("dtype", ["float32", "int16"])
def test_long_rows_are_cut_in_blocks(shape, dtype):
    x = np.random.default_rng(5).integers(-3, 4, shape).astype(dtype)
    for program in (lambda x: x.sum(axis=0), lambda x: x.max(axis=0) - x.min(axis=0) * 2):
        np.testing.assert_array_equal(tracejit.jit(program)(x), program(x))
    centred = lambda x: (x - x.mean(axis=0)) / (1 + np.mean((x - x.mean(axis=0)) ** 2, axis=0))
    np.testing.assert_allclose(tracejit.jit(centred)(x), centred(x), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("shape", [(512, 512), (300, 1000)])
def test_totals_of_what_lies_column_by_column(shape):
    x = np.asfortranarray(RNG.normal(size=shape))
    for function in (lambda x: x.max(), lambda x: x.min() + x.sum(), lambda x: x / x.max()):
        np.testing.assert_allclose(tracejit.jit(function)(x), function(x), rtol=1e-10)


@pytest.mark.parametrize("shape", [(2000, 70), (300, 5000)])
@pytest.mark.parametrize(("dtype", "offset"), [("float64", 1e8), ("float32", 1e4), ("float32", 0)])
def test_deviations_of_numbers_far_from_zero(shape, dtype, offset):
    """No more is lost than in two sweeps."""
    x = (np.random.default_rng(0).standard_normal(shape) + offset).astype(dtype)
    exact = x.astype(np.longdouble)
    for function in (lambda x: x.var(axis=0), lambda x: x.mean(axis=0)):
        numpys, ours = [
            np.abs(f(x) - function(exact)).max() for f in (function, tracejit.jit(function))
        ]
        assert ours <= 4 * numpys + np.finfo(dtype).eps


@pytest.mark.parametrize("row", [0, 1999])
@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan, 1e300, 1e308])
def test_deviations_of_what_is_infinite_or_very_large(value, row):
    x = np.random.default_rng(0).standard_normal((2000, 70))
    x[row, 0] = value
    with np.errstate(all="ignore"):
        np.testing.assert_allclose(tracejit.jit(lambda x: x.var(axis=0))(x), x.var(axis=0))
        np.testing.assert_allclose(tracejit.jit(lambda x: x.mean(axis=0))(x), x.mean(axis=0))


def test_deviations_of_equal_numbers_are_not_negative():
    x = np.full((2000, 70), 0.1)
    assert (tracejit.jit(lambda x: x.var(axis=0))(x) >= 0).all()


@pytest.mark.parametrize("step", [2, 3])
def test_rows_of_elements_a_step_apart_are_added_up_along_the_rows(step):
    """Lanes down the columns would meet a page each."""
    x = RNG.random((700, 600 * step)).astype(np.float32)[:, ::step]
    kernel = kernel_of(lambda x: x.sum(axis=1), x, threads=2)
    assert {
        s.index.name for s in statements(kernel.body) if s.__class__ is For and s.lanes > 1
    } == {"i1"}
    for function in (np.sum, np.max, np.std):
        got = tracejit.jit(lambda x: function(x, axis=1))(x)
        np.testing.assert_allclose(got, function(x, axis=1), rtol=1e-4)
