"""Matrices of a middle size, eliminated one by one, against LAPACK's results."""

from __future__ import annotations

import numpy as np
import pytest
from combinations import each, pairs

from tracejit import jit
from tracejit.config import config

L = np.linalg
FUNCTIONS = {
    "det": L.det,
    "slogdet": L.slogdet,
    "inv": L.inv,
    "solve": lambda a: L.solve(a, a[..., ::2] + 1),
    "solve a vector": lambda a: L.solve(a, np.arange(a.shape[-1]) + 1.0),
    "solve for one matrix": lambda a: L.solve(np.diag(np.arange(a.shape[-1]) + 2.0), a),
    "inv of a product": lambda a: L.inv(a @ a) * 2,
}


def matrices(shape, seed=0):
    """Rows are exchanged at most steps."""
    return np.random.default_rng(seed).normal(size=shape)


def agree(function, a, scale=1e-12):
    jitted = jit(lambda a: function(a), fallback="error")
    found, wanted = jitted(a), function(a)
    pairs = zip(found, wanted) if isinstance(wanted, tuple) else [(found, wanted)]
    condition = np.max(L.cond(a.astype(float)))
    for have, want in pairs:
        assert type(have) is type(want) and have.dtype == want.dtype and have.shape == want.shape
        tolerance = scale if want.dtype == np.float64 else 1e-6
        bound = tolerance * (1 + condition**2 * 1e-3) * np.abs(want).max()
        np.testing.assert_allclose(have, want, atol=bound, rtol=0)
    assert "eliminated_" in str(jitted.trace(a))


SIZES = [5, 8, 9, 16, 23, 64, 100]
OTHERS = ["slogdet", "solve a vector", "solve for one matrix", "inv of a product"]


@pytest.mark.parametrize(
    "name, n, stack",
    [
        *pairs(["det", "inv", "solve"], SIZES, [(), (2,)]),
        *each(OTHERS, SIZES, [(2,), ()]),
        *each(OTHERS, SIZES[1:] + SIZES[:1], [(), (2,)]),
    ],
)
def test_one_and_few(name, n, stack):
    agree(FUNCTIONS[name], matrices((*stack, n, n), n))


@pytest.mark.parametrize("name", ["det", "inv", "solve"])
def test_dtypes_and_layouts(name):
    a = matrices((12, 12))
    agree(FUNCTIONS[name], a.astype(np.float32))
    agree(FUNCTIONS[name], np.round(a * 9).astype(np.int64))
    agree(FUNCTIONS[name], a.T)
    agree(FUNCTIONS[name], matrices((30, 40))[::-2, 3:33:2])
    agree(FUNCTIONS[name], matrices((2, 1, 9, 9)))


def test_many_of_a_middle_size():
    a = matrices((40, 50, 50))
    agree(FUNCTIONS["det"], a)
    agree(FUNCTIONS["solve a vector"], a)


def test_singular():
    a = matrices((7, 7))
    a[:, 3] = a[:, 1]
    a[2] = 0.0
    for name in ("inv", "solve", "solve a vector"):
        with pytest.raises(L.LinAlgError, match="Singular"):
            jit(FUNCTIONS[name])(a)
    assert jit(FUNCTIONS["det"])(a) == 0.0
    sign, logarithm = jit(FUNCTIONS["slogdet"])(a)
    assert (sign, logarithm) == (0.0, -np.inf)


def test_large_and_small_numbers():
    """Products of pivots that leave the range of numbers on the way; and pivots that are nearly nothing."""
    d = np.diag([1e200, 1e200, 1e-250, 1e-150, 3.0, -1.0])
    np.testing.assert_allclose(jit(FUNCTIONS["det"])(d), L.det(d), rtol=1e-12)
    for size in (1e-310, 1e300):
        a = np.eye(6) * size
        np.testing.assert_allclose(
            jit(FUNCTIONS["solve a vector"])(a), L.solve(a, np.arange(6) + 1.0)
        )


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("name", ["det", "slogdet", "solve a vector", "inv"])
def test_numbers_that_are_not_finite(name, value):
    a = matrices((6, 6))
    a[2, 4] = value
    with np.errstate(all="ignore"):
        for have, want in zip(
            np.atleast_1d(jit(FUNCTIONS[name])(a)), np.atleast_1d(FUNCTIONS[name](a))
        ):
            np.testing.assert_array_equal(np.isnan(have), np.isnan(want))


def test_in_a_loop():
    def newton(x):
        for _ in range(4):
            x = x - np.linalg.solve(np.diag(2 * x) + 0.1, x * x - 2)
        return x

    x = np.linspace(1, 2, 6)
    np.testing.assert_allclose(jit(newton)(x), newton(x), rtol=1e-12)


def test_strict_is_lapacks():
    a = matrices((9, 9))
    with config.use(numerics="strict"):
        jitted = jit(lambda a: L.inv(a))
        assert jitted(a).tobytes() == L.inv(a).tobytes()
        assert "eliminated_" not in str(jitted.trace(a))
