"""bfloat16 of ml_dtypes: stored and converted as numbers of a program; what computes with it is NumPy's."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tracejit
from tracejit.ir.reference import reference
from tracejit.ir.text import parse, show

bfloat16 = np.dtype(pytest.importorskip("ml_dtypes").bfloat16)
RNG = np.random.default_rng(0)
ALL = np.arange(1 << 16, dtype=np.uint16).view(bfloat16)


def weights(*shape):
    return RNG.standard_normal(shape).astype(bfloat16)


def product(x, w):
    return x @ w.astype(np.float32)


def mixed(x, w):
    return np.maximum(x @ w, 0) * w[0]


def turned(x, w):
    return x @ w.T.copy().astype("float32").T


def rounded(x, w):
    return (x @ w.astype(np.float64)).astype(w.dtype)


def moved(x, w):
    return w[::-1, 1::2].T, np.concatenate([w, w], 1), w.reshape(-1)[3:]


def looked_up(x, w):
    return w[np.arange(len(x)) % len(w)].astype(np.float32).sum(-1)


COMPILED = [product, mixed, turned, rounded, moved, looked_up]


def same(got, wanted):
    for a, b in zip(got, wanted) if isinstance(wanted, tuple) else [(got, wanted)]:
        assert a.dtype == b.dtype and a.shape == b.shape
        near = 1e-2 if b.dtype == bfloat16 else 1e-4
        np.testing.assert_allclose(a.astype(float), b.astype(float), rtol=near, atol=near)


@pytest.mark.parametrize("program", COMPILED, ids=lambda f: f.__name__)
def test_it_is_compiled(program):
    x, w = RNG.standard_normal((70, 50)).astype("float32"), weights(50, 90)
    f = tracejit.jit(program, fallback="error")
    for given_ in (w, w[::-1], np.asfortranarray(w), weights(100, 90)[::2]):
        same(f(x, given_), program(x, given_))


def test_conversions_are_those_of_the_package():
    with np.errstate(all="ignore"):
        for dtype in ("float32", "float64", "float16", "bool", "complex64"):
            f = tracejit.jit(lambda h, dtype=dtype: h.astype(dtype), fallback="error")
            np.testing.assert_array_equal(f(ALL), ALL.astype(dtype))
        small = ALL[np.abs(ALL.astype("float32")) < 100]
        for dtype in ("int8", "uint8", "int32", "int64"):
            f = tracejit.jit(lambda h, dtype=dtype: h.astype(dtype), fallback="error")
            np.testing.assert_array_equal(f(small), small.astype(dtype))


def test_rounding_is_that_of_the_package():
    halves = (np.arange(1 << 17, dtype=np.uint32) << 15).view("float32")
    with np.errstate(all="ignore"):
        near = np.nextafter(halves, np.float32(np.inf))
    f = tracejit.jit(lambda x: x.astype(bfloat16), fallback="error")
    with np.errstate(all="ignore"):
        for x in (halves, near, -near, halves.astype("float64"), np.arange(-999, 99999)):
            np.testing.assert_array_equal(f(x).view("u2"), x.astype(bfloat16).view("u2"))


@pytest.mark.parametrize(
    "program", [lambda w: w * w + w, lambda w: w.sum(0), lambda w: w > 0, lambda w: np.exp(w)]
)
def test_numpy_computes_with_it(program):
    w = weights(9, 8)
    got, wanted = tracejit.jit(program)(w), program(w)
    assert got.dtype == wanted.dtype
    np.testing.assert_array_equal(got, wanted)
    with pytest.raises(tracejit.UnsupportedError, match="stored and converted only"):
        tracejit.jit(program, fallback="error")(w)


def test_text():
    x, w = np.ones((3, 4), "float32"), weights(4, 5)
    module = tracejit.jit(product).lower(x, w).module
    assert "bf16[4, 5]" in show(module) and parse(show(module)) is module
    traced = tracejit.jit(product).trace(x, w).module
    same(reference(traced, x, w), product(x, w))
    same(reference(module, x, w), product(x, w))


@given(st.integers(0, 20), st.integers(0, 20), st.integers(0, 20), st.booleans())
@settings(max_examples=20, deadline=None)
def test_any_shape(rows, depth, columns, by_row):
    x = RNG.standard_normal((rows, depth)).astype("float32")
    w = weights(columns, depth).T if by_row else weights(depth, columns)
    same(tracejit.jit(product, fallback="error")(x, w), product(x, w))
