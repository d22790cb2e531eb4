"""Products of a matrix and its own transpose: half of them is computed, the rest is copied."""

from __future__ import annotations

import numpy as np
import pytest
from combinations import pairs
from hypothesis import given, settings
from hypothesis import strategies as st

import tracejit

RNG = np.random.default_rng(0)


def gram(x):
    return x.T @ x


def outer_gram(x):
    return x @ x.T


def covariance(x):
    return np.einsum("ki,kj->ij", x, x) / len(x)


def distances(x):
    squares = (x * x).sum(1)
    return squares[:, None] + squares[None] - 2 * (x @ x.T)


def uneven(x):
    """What is computed from the product is no mirror image."""
    return np.tanh(x @ x.T / 50) + np.arange(len(x), dtype=x.dtype)[:, None]


def of_pictures(x):
    return x.swapaxes(1, 2) @ x


PROGRAMS = [gram, outer_gram, covariance, distances, uneven]
MIRRORED = "for strip in range("


def laid_out(x, layout):
    if layout == "columns":
        return np.asfortranarray(x)
    if layout == "part":
        wide = np.zeros((x.shape[0], 2 * x.shape[1] + 3), x.dtype)
        wide[:, 1:-2:2] = x
        return wide[:, 1:-2:2]
    return x


@given(
    st.integers(1, 150),
    st.integers(1, 150),
    st.sampled_from(["float32", "float64", "int32", "complex64"]),
    st.sampled_from(["rows", "columns", "part"]),
    st.sampled_from(PROGRAMS),
    st.sampled_from(["strict", "default", "fast"]),
)
@settings(max_examples=8, deadline=None)
def test_every_shape_and_layout(rows, columns, dtype, layout, program, numerics):
    x = RNG.integers(-9, 10, (rows, columns)).astype(dtype)
    if dtype == "complex64":
        x += np.complex64(1j) * x[::-1]
    x = laid_out(x, layout)
    got, wanted = tracejit.jit(program, numerics=numerics)(x), program(x)
    assert got.dtype == wanted.dtype
    near = 1e-4 if dtype in ("float32", "complex64") else 1e-10
    np.testing.assert_allclose(got, wanted, rtol=near, atol=near * abs(wanted).max())


@pytest.mark.parametrize(
    "program, dtype, shape", pairs(PROGRAMS, ["float32", "float64"], [(301, 203), (1030, 96)])
)
def test_half_of_it_is_computed(program, shape, dtype):
    x = RNG.standard_normal(shape).astype(dtype)
    wanted = program(x.astype("float64"))
    near = 1e-5 if dtype == "float32" else 1e-12
    results = []
    for threads in (1, 2):
        lowered = tracejit.jit(program, threads=threads).lower(x)
        assert MIRRORED in tracejit.show(lowered.module)
        results.append(lowered.compile()(x))
        np.testing.assert_allclose(results[-1], wanted, rtol=near, atol=near * abs(wanted).max())
    if program is not uneven:
        assert (results[0] == results[0].T).all()
    assert (results[0] == results[1]).all()


def test_many_of_them():
    x = RNG.standard_normal((3, 150, 120))
    f = tracejit.jit(of_pictures)
    assert MIRRORED in tracejit.show(f.lower(x).module)
    np.testing.assert_allclose(f(x), of_pictures(x), rtol=1e-12, atol=1e-12 * 150)


def test_others_are_computed_as_a_whole():
    def other(x, y):
        return x.T @ y

    def reversed_rows(x):
        return x.T @ x[::-1]

    x = RNG.standard_normal((200, 200))
    for f, arguments in ((other, (x, x.copy())), (reversed_rows, (x,)), (lambda x: x @ x, (x,))):
        compiled = tracejit.jit(f)
        assert MIRRORED not in tracejit.show(compiled.lower(*arguments).module)
        np.testing.assert_allclose(compiled(*arguments), f(*arguments), rtol=1e-10, atol=1e-10)
