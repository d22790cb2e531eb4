"""Rows that are written past the caches are stored beside the arithmetic of the next row; results stay as they are."""

from __future__ import annotations

import numpy as np
import pytest

import tracejit
from tracejit.ir.reference import reference
from tracejit.ir.text import parse, show
from tracejit.lower.pipeline import Options
from tracejit.stages import Lowered


def softmax(x):
    e = np.exp(x - x.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def of_length_one(x):
    y = np.sin(x)
    return y * (1 / np.sqrt((y * y).sum(axis=1, keepdims=True)))


def with_sums(x):
    e = np.exp(x)
    total = e.sum(axis=1)
    return e / total[:, None], total


def of_planes(x):
    y = x[None] * np.arange(1, 4, dtype=x.dtype)[:, None, None]
    e = np.exp(y - y.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


PROGRAMS = [softmax, of_length_one, with_sums, of_planes]


def rows(count: int, columns: int, dtype: str = "f4") -> np.ndarray:
    return np.random.default_rng(3).normal(size=(count, columns)).astype(dtype)


def lowered(function, x: np.ndarray, stream_bytes: int, threads: int = 1) -> Lowered:
    traced = tracejit.jit(function).trace(x)
    return Lowered(traced.module, Options(64, threads, stream_bytes))


def is_behind(program: Lowered) -> bool:
    return "_before" in str(program)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("function", [softmax, of_length_one, of_planes])
def test_rows_past_the_caches_are_stored_a_row_later(function, threads):
    assert is_behind(lowered(function, rows(200, 1500), 200 * 1500 * 4, threads))


@pytest.mark.parametrize(
    "function, shape, stream_bytes",
    [
        (softmax, (200, 1500), 0),
        (softmax, (200, 1500), 200 * 1500 * 4 + 1),  # what stays in the caches
        (softmax, (1, 1500), 1),  # there is no next row
        (lambda x: x - x.mean(axis=1, keepdims=True), (200, 1500), 1),  # nothing is kept
        (lambda x: np.exp(x) / 3, (200, 1500), 1),  # one sweep
    ],
)
def test_others_are_stored_at_once(function, shape, stream_bytes):
    assert not is_behind(lowered(function, rows(*shape), stream_bytes))


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("shape", [(2, 1024), (3, 300), (5, 2045), (65, 1500), (257, 600)])
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("function", PROGRAMS)
def test_results_are_the_same_bits(function, threads, shape, dtype):
    x = rows(*shape, dtype)
    x[-1, 5] = np.inf
    with np.errstate(all="ignore"):
        later, at_once = [lowered(function, x, size, threads).compile()(x) for size in (1, 0)]
        np.testing.assert_equal(later, at_once)


def test_the_text_is_a_program():
    x = rows(7, 1030)
    module = lowered(softmax, x, 1).module
    assert parse(show(module)) is module
    assert "out0[maximum(i0 + -1, 0), i1] = row0[i1] / sum1_before" in show(module)
    np.testing.assert_allclose(reference(module, x), softmax(x), rtol=1e-5)
