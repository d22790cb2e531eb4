"""Rows that are normalised for a product: made a strip at a time, and never stored as a whole."""

from __future__ import annotations

import numpy as np
import pytest
from combinations import each
from hypothesis import given, settings
from hypothesis import strategies as st

import tracejit
from tracejit.lower.graph import row_starts

WITHOUT = tracejit.pipeline().drop("feed_products")
RNG = np.random.default_rng(0)


def layer_norm(x, w):
    mean = x.mean(-1, keepdims=True)
    return ((x - mean) / np.sqrt(((x - mean) ** 2).mean(-1, keepdims=True) + 1e-5)) @ w


def root_mean_square(x, w):
    return np.maximum((x / np.sqrt((x * x).mean(-1, keepdims=True) + 1e-5) * w[:, 0]) @ w + 1, 0)


def softmax(x, w):
    e = np.exp(x - x.max(-1, keepdims=True))
    return (e / e.sum(-1, keepdims=True)) @ w


def of_the_right_factor(x, w):
    return w.T @ (x / x.sum(-1, keepdims=True)).T


def read_elsewhere(x, w):
    y = x - x.mean(-1, keepdims=True)
    return y @ w, y.max()


PROGRAMS = [layer_norm, root_mean_square, softmax, of_the_right_factor]


def values(rows, depth, columns, dtype):
    return RNG.random((rows, depth)).astype(dtype), RNG.standard_normal((depth, columns)).astype(
        dtype
    )


@pytest.mark.parametrize(
    "program, dtype", [*each(PROGRAMS, ["float32", "float64"]), (layer_norm, "float64")]
)
def test_the_rows_are_not_stored(program, dtype):
    x, w = values(40003, 64, 48, dtype)
    wanted = program(x.astype("float64"), w.astype("float64"))
    results = []
    for options in ({"threads": 1}, {"threads": 2}, {"numerics": "fast"}):
        f = tracejit.jit(program, **options)
        results.append(f(x, w))
        assert f.memory(x, w).workspace < x.nbytes / 4
    np.testing.assert_array_equal(results[0], results[1])
    apart = tracejit.jit(program, passes=WITHOUT)
    results.append(apart(x, w))
    assert apart.memory(x, w).workspace >= x.nbytes
    for got in results:
        near = 2e-5 if dtype == "float32" else 1e-12
        np.testing.assert_allclose(got, wanted, rtol=near, atol=near * abs(wanted).max())


@settings(max_examples=20, deadline=None)
@given(
    program=st.sampled_from([*PROGRAMS, read_elsewhere]),
    rows=st.integers(1, 70),
    depth=st.integers(1, 40),
    columns=st.integers(1, 40),
    batch=st.integers(0, 3),
    backwards=st.booleans(),
)
def test_any_shape(program, rows, depth, columns, batch, backwards):
    x, w = values(rows * max(batch, 1), depth, columns, "float64")
    if batch and program is not of_the_right_factor and program is not root_mean_square:
        x = x.reshape(batch, rows, depth)
    if backwards:
        x = x[..., ::-1]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(row_starts, "saves_more", lambda function, between: True)
        got = tracejit.jit(program)(x, w)
    for a, b in zip(got, program(x, w)) if isinstance(got, tuple) else [(got, program(x, w))]:
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-10)


def test_few_rows_are_stored():
    """They pass over the other factor as a whole."""
    x, w = values(64, 1024, 1024, "float32")
    f = tracejit.jit(layer_norm, threads=1)
    assert "fused_contract" in [kernel.name for kernel in f.explain(x, w).kernels]
