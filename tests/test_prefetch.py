"""A later sweep over a row of a large array asks for the row after it; results stay as they are."""

from __future__ import annotations

import numpy as np
import pytest

import tracejit
from tracejit.ir.graph import Kernel
from tracejit.ir.reference import reference
from tracejit.ir.tensor import Extern, For, statements
from tracejit.ir.text import parse, show
from tracejit.ir.verify_kernel import unproved
from tracejit.lower.pipeline import Options
from tracejit.stages import Lowered


def softmax(x):
    e = np.exp(x - x.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def centred(x):
    return x - x.mean(axis=1, keepdims=True)


def rows(count: int, columns: int, dtype: str) -> np.ndarray:
    return np.random.default_rng(3).normal(size=(count, columns)).astype(dtype)


def lowered(function, x: np.ndarray, large: int, threads: int = 1) -> Lowered:
    return Lowered(tracejit.jit(function).trace(x).module, Options(32, threads, large))


def prefetches(program: Lowered) -> list[list[str]]:
    """By sweep, the prefetches in it."""
    (kernel,) = [k for k in program.module.functions if k is not program.module.entry]
    assert isinstance(kernel, Kernel) and unproved(kernel) == []
    loops = [s for s in statements(kernel.body) if isinstance(s, For) and s.mark == "vector"]
    return [[s.symbol for s in loop.body if isinstance(s, Extern)] for loop in loops]


@pytest.mark.parametrize("threads", [1, 2])
def test_the_second_sweep_asks_for_the_next_row(threads):
    x = rows(70, 1100, "f4")
    assert prefetches(lowered(softmax, x, x.nbytes, threads)) == [[], ["prefetch"], []]
    assert prefetches(lowered(centred, x, x.nbytes, threads)) == [[], ["prefetch"]]


@pytest.mark.parametrize(
    "function, shape, large",
    [
        (softmax, (70, 1100), 70 * 1100 * 4 + 1),  # not large
        (softmax, (70, 1100), 0),
        (softmax, (70, 100), 1),  # the rows are short
        (softmax, (3, 20000), 1),  # or too long to stay
        (lambda x: x.sum(axis=1), (70, 1100), 1),  # swept once
        (lambda x: np.exp(x) * 2, (70, 1100), 1),
        (lambda x: softmax(x.T), (1100, 70), 1),  # down the columns
    ],
)
def test_nothing_is_asked_for_where_it_does_not_help(function, shape, large):
    program = lowered(function, rows(*shape, "f4"), large)
    assert "prefetch" not in str(program)


def normalised(x):
    c = x / np.abs(x).max(axis=1, keepdims=True)
    return x * (c * c).sum(axis=1, keepdims=True)


def columns(x):
    return np.cumsum(x, axis=0)


def test_a_sweep_that_stores_past_the_caches_does_not_ask_where_another_can():
    x = rows(70, 1100, "f4")
    assert prefetches(lowered(normalised, x, x.nbytes)) == [[], ["prefetch"], []]


def test_short_rows_are_asked_for_several_rows_ahead():
    x = rows(70, 1100, "f4")
    assert "a0[minimum(i0 + 3, 69):, i1:]" in show(lowered(softmax, x, 1).module)


@pytest.mark.parametrize("large, asks", [(1, True), (70 * 1100 * 4 + 1, False)])
def test_a_single_sweep_over_what_lies_in_memory_asks_for_rows(large, asks):
    program = lowered(columns, rows(70, 1100, "f4"), large)
    assert ("prefetch" in str(program)) is asks


@pytest.mark.parametrize(
    "function",
    [
        lambda x: np.cumsum(x, axis=1),
        lambda x: np.cumsum(x - x.max(axis=1, keepdims=True), axis=1),
        lambda x: np.cumsum(x, axis=1) * 2,
    ],
)
def test_running_sums_are_left_as_they_are(function):
    """Lanes share what they do, of which loops that do anything else are not seen to be."""
    x = np.random.default_rng(4).integers(-9, 9, (70, 1100)).astype("f4")
    np.testing.assert_array_equal(lowered(function, x, 1).compile()(x), function(x))


def test_a_single_sweep_that_reads_two_arrays_does_not_ask():
    x = rows(70, 1100, "f4")
    traced = tracejit.jit(lambda x, y: x[:, ::-1] + y).trace(x, x.copy())
    assert "prefetch" not in str(Lowered(traced.module, Options(32, 1, 1)))


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("shape", [(1, 1111), (2, 1024), (5, 2047), (33, 1100), (40, 300)])
@pytest.mark.parametrize("function", [softmax, centred, normalised, columns])
def test_results_are_the_same_bits(function, shape, dtype):
    x = rows(*shape, dtype)
    with_it, without = [lowered(function, x, large).compile()(x) for large in (1, 0)]
    np.testing.assert_array_equal(with_it, without)


def test_the_text_says_it_and_means_nothing():
    x = rows(3, 1030, "f4")
    module = lowered(softmax, x, 1).module
    assert parse(show(module)) is module
    assert "extern('prefetch', a0[minimum(i0 + 3, 2):, i1:])" in show(module)
    np.testing.assert_allclose(reference(module, x), softmax(x), rtol=1e-5)


@pytest.mark.parametrize("dtype", ["i2", "i8"])
def test_what_both_sweeps_go_through_is_no_row(dtype):
    """The second axis is an inner loop of each sweep, so that the next row is none of one sweep's."""
    x = np.asfortranarray(np.arange(4000 * 50 * 30).reshape(4000, 50, 30).astype(dtype))

    def centred(x):
        return x - x.max(axis=(0, 1), keepdims=True)

    np.testing.assert_array_equal(lowered(centred, x, 1).compile()(x), centred(x))


@pytest.mark.parametrize("mode", ["wrap", "symmetric", "reflect"])
def test_sweeps_of_other_lengths_ask_for_nothing(mode):
    """A row is written with its border after it, which is a sweep of its own over two elements."""
    x = rows(70, 1100, "f4")
    padded = lowered(lambda x: np.pad(x, (0, 2), mode=mode), x, 1).compile()(x)
    np.testing.assert_array_equal(padded, np.pad(x, (0, 2), mode=mode))
