"""bfloat16 of ml_dtypes: computed in float32 and rounded after each operation, as the package does."""

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


UNARY = (
    "absolute", "ceil", "exp", "floor", "isfinite", "isnan", "log", "log1p", "negative", "reciprocal", "rint",
    "signbit", "sin", "sqrt", "square", "tanh",
)  # fmt: skip
BINARY = (
    "add", "copysign", "divide", "equal", "floor_divide", "fmod", "less", "logical_and", "maximum", "minimum",
    "multiply", "power", "remainder", "subtract",
)  # fmt: skip


def equal(got, wanted):
    """The same bits, but for those of a nan."""
    assert got.dtype == wanted.dtype and got.shape == wanted.shape
    if wanted.dtype == bfloat16:
        got, wanted = got.astype("float32"), wanted.astype("float32")
    np.testing.assert_array_equal(got, wanted)
    if wanted.dtype.kind == "f":
        numbers = ~np.isnan(wanted)
        np.testing.assert_array_equal(np.signbit(got)[numbers], np.signbit(wanted)[numbers])


@pytest.mark.parametrize("names", [UNARY, BINARY], ids=["unary", "binary"])
def test_ufuncs_are_those_of_the_package(names):
    ufuncs = [getattr(np, name) for name in names]
    given_ = [ALL, RNG.permutation(ALL)][: ufuncs[0].nin]
    f = tracejit.jit(lambda *x: [ufunc(*x) for ufunc in ufuncs], fallback="error")
    with np.errstate(all="ignore"):
        for ufunc, got in zip(ufuncs, f(*given_)):
            equal(got, ufunc(*given_))


def arithmetic(x, v):
    y = x * v + x / 3 - 257
    y += x
    y[2:5] = 0.3
    y[y > 2] = 1.7
    out = np.empty_like(y)
    np.add(y, v[0], out=out)
    return out, np.where(x > 0, x, 0), np.maximum(x, 0), np.full((3,), 1.3, x.dtype), abs(x) ** 2


def promoted(x, v):
    return (
        x * 2.5, x * 3, x * True, x + np.float32(0.1), x * x.astype("float32"), x + np.ones(6), x + np.arange(6, dtype="i1"),
        np.clip(x, -1, 1), np.clip(x, 0, None), x @ v.T, v.dot(v.T), np.outer(x[0], v[0]), x == v, np.tensordot(v, v, 2),
    )  # fmt: skip


def reduced(x, v):
    return (
        v.sum(0), v.sum(), x.max(1), x.min(), x.argmax(0), v.mean(1), x.any(), v[:, :2].prod(1), v[0] @ v[1],
        x - x.max(-1, keepdims=True), np.ptp(x), np.count_nonzero(v),
    )  # fmt: skip


def by_numpy(x, v):
    return np.median(x, 0), np.sort(x, 1), v.cumsum(0), np.nanmax(x, 0), np.sign(x), np.round(x)


def in_loops(x, v):
    y = x.copy()
    for i in range(1, len(x)):
        y[i] = y[i - 1] * 0.5 + x[i]
    return y


def table(x, v):
    return np.linspace(0, 1, 5).astype(x.dtype) * 2 + x[0, :5]


@pytest.mark.parametrize(
    "program", [arithmetic, promoted, reduced, by_numpy, in_loops, table], ids=lambda f: f.__name__
)
def test_programs(program):
    x, v = weights(9, 6), RNG.integers(-3, 4, (9, 6)).astype(bfloat16)  # whose sums are exact
    fallback = "python" if program is by_numpy else "error"
    got, wanted = tracejit.jit(program, fallback=fallback)(x, v), program(x, v)
    for a, b in zip(got, wanted) if isinstance(wanted, tuple) else [(got, wanted)]:
        equal(np.asarray(a), np.asarray(b))


def test_sums_are_rounded_once():
    x = np.ones(1000, bfloat16)
    assert tracejit.jit(lambda x: x.sum())(x) == 1000 and np.sum(x) == 256
    assert tracejit.jit(lambda x: x.sum(), numerics="strict")(x) == 256
    chain = lambda x: x * bfloat16.type(1.01) * bfloat16.type(1.01)
    equal(tracejit.jit(chain)(x), chain(x))
    whole = (x.astype("float32") * np.float32(bfloat16.type(1.01)) ** 2).astype(bfloat16)
    equal(tracejit.jit(chain, numerics="fast")(x), whole)


def test_einsum_does_not_know_it():
    x = weights(3, 3)
    with pytest.raises(TypeError, match="invalid data type for einsum"):
        tracejit.jit(lambda x: np.einsum("ij,jk->ik", x, x))(x)


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
