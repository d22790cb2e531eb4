"""Stacks of matrices that are computed side by side, against LAPACK's results one by one."""

from __future__ import annotations

import numpy as np
import pytest
from combinations import each, pairs

from tracejit import jit
from tracejit.config import config


def matrices(count, m, n, seed=0):
    generator = np.random.default_rng(seed)
    return generator.normal(size=(count, m, n)) + 2 * n * np.eye(m, n)


def symmetric(count, n):
    a = matrices(count, n, n, 1)
    return a + a.transpose(0, 2, 1)


def positive(count, n):
    a = matrices(count, n, n, 2)
    return a @ a.transpose(0, 2, 1)


SQUARE = {
    "det": lambda a: np.linalg.det(a),
    "slogdet": lambda a: np.linalg.slogdet(a),
    "inv": lambda a: np.linalg.inv(a),
    "inv of a product": lambda a: np.linalg.inv(a @ a) * 2,
    "solve": lambda a: np.linalg.solve(a, a[:, :, :2] + 1),
    "solve vectors": lambda a: np.linalg.solve(a, a[:, :, :1])[..., 0],
    "qr": lambda a: np.linalg.qr(a),
    "r": lambda a: np.linalg.qr(a, mode="r"),
    "diagonals": lambda a: np.abs(np.diagonal(np.linalg.qr(a)[1], axis1=1, axis2=2)),
    "svd": lambda a: np.linalg.svd(a, compute_uv=False),
    "svdvals": lambda a: np.linalg.svdvals(a),
}


def agree(function, *args, scale=1e-12):
    jitted = jit(function, fallback="error")
    found, wanted = jitted(*args), function(*args)
    pairs = zip(found, wanted) if isinstance(wanted, tuple) else [(found, wanted)]
    for have, want in pairs:
        assert have.dtype == want.dtype and have.shape == want.shape
        tolerance = scale if want.dtype == np.float64 else 1e-5
        np.testing.assert_allclose(have, want, atol=tolerance * np.abs(want).max(), rtol=0)
    assert "stack_" in str(jitted.trace(*args)) or "eliminated_" in str(jitted.trace(*args))


SHAPES = [(3, 5), (17, 6), (40, 8), (7, 11)]
FIRST = ["det", "inv", "qr", "svd"]


@pytest.mark.parametrize(
    "name, shape",
    [*pairs(FIRST, SHAPES), *each([name for name in SQUARE if name not in FIRST], SHAPES)],
)
def test_square(name, shape):
    count, n = shape
    agree(SQUARE[name], matrices(count, n, n))


@pytest.mark.parametrize("name", ["det", "inv", "qr", "svd"])
def test_dtypes_and_layouts(name):
    a = matrices(18, 5, 5)
    agree(SQUARE[name], a.astype(np.float32))
    agree(SQUARE[name], np.round(a).astype(np.int64))
    agree(SQUARE[name], a.transpose(0, 2, 1))
    agree(SQUARE[name], matrices(36, 5, 5)[::-2])


@pytest.mark.parametrize("shape", [(20, 7, 3), (20, 3, 7), (8, 9, 1), (33, 2, 8)])
def test_tall_and_wide(shape):
    a = matrices(*shape)
    agree(lambda a: np.linalg.qr(a), a)
    agree(lambda a: np.linalg.qr(a.reshape(1, *a.shape)), a)
    if min(shape[1:]) > 1:
        agree(lambda a: np.linalg.svd(a, compute_uv=False), a)


@pytest.mark.parametrize("n", [2, 3, 4, 6, 9])
def test_symmetric(n):
    a = symmetric(19, n)
    agree(lambda a: np.linalg.eigvalsh(a), a)
    one_half = np.tril(a) + np.triu(np.full_like(a, np.nan), 1)
    np.testing.assert_allclose(
        jit(lambda a: np.linalg.eigvalsh(a))(one_half), np.linalg.eigvalsh(a), atol=1e-12
    )
    agree(lambda a: np.linalg.eigvalsh(a, UPLO="U"), a)
    b = positive(19, max(n, 5))
    agree(lambda a: np.linalg.cholesky(a), b)
    agree(lambda a: np.linalg.cholesky(a, upper=True), b)


def degenerate():
    generator = np.random.default_rng(5)
    for n in (3, 5, 8):
        q = np.linalg.qr(generator.normal(size=(16, n, n)))[0]
        for values in (
            np.ones((16, n)),
            generator.integers(0, 3, (16, n)).astype(float),
            10.0 ** generator.uniform(-14, 14, (16, n)),
            1 + 1e-9 * generator.normal(size=(16, n)),
            np.zeros((16, n)),
        ):
            yield (q * values[:, None]) @ q.transpose(0, 2, 1)
        yield np.ones((16, n, n))
        yield generator.integers(-1, 2, (16, n, n)).astype(float)


def test_equal_small_and_vanishing_values():
    functions = [np.linalg.eigvalsh, np.linalg.svdvals]
    compiled = [jit(lambda a, function=function: function(a)) for function in functions]
    factors = jit(lambda a: np.linalg.qr(a))
    for a in degenerate():
        a = np.tril(a) + np.tril(a, -1).transpose(0, 2, 1)
        size = np.abs(a).max(axis=(1, 2))[:, None] + 1e-300
        for function, own in zip(functions, compiled):
            assert np.max(np.abs(own(a) - function(a)) / size) < 5e-14
        q, r = factors(a)
        np.testing.assert_allclose(q @ r / size[..., None], a / size[..., None], atol=1e-14)
        assert np.abs(q.transpose(0, 2, 1) @ q - np.eye(a.shape[-1])).max() < 1e-13


def test_large_and_small_numbers():
    a = matrices(16, 5, 5)
    for factor in (1e-170, 1e170):
        for function in (np.linalg.svdvals, np.linalg.eigvalsh, lambda a: np.linalg.qr(a)[1]):
            found = jit(lambda a, function=function: function(a))(a * factor)
            np.testing.assert_allclose(found / factor, function(a * factor) / factor, atol=1e-12)
    # Products of pivots that leave the range of numbers on the way.
    d = np.zeros((16, 6, 6))
    d[:, range(6), range(6)] = [1e200, 1e200, 1e-250, 1e-150, 3.0, -1.0]
    np.testing.assert_allclose(jit(lambda a: np.linalg.det(a))(d), np.linalg.det(d), rtol=1e-12)


@pytest.mark.parametrize("name", ["inv", "solve", "solve vectors"])
def test_singular(name):
    a = matrices(9, 5, 5)
    a[4] = 1.0
    with pytest.raises(np.linalg.LinAlgError, match="Singular"):
        jit(SQUARE[name])(a)
    assert jit(SQUARE["det"])(a)[4] == 0
    sign, logarithm = jit(SQUARE["slogdet"])(a)
    assert sign[4] == 0 and logarithm[4] == -np.inf and abs(sign[3]) == 1


def test_where_there_is_no_result():
    a = positive(9, 6)
    a[3] = -np.eye(6)
    with pytest.raises(np.linalg.LinAlgError, match="not positive definite"):
        jit(lambda a: np.linalg.cholesky(a))(a)
    a[3, 2, 1] = np.nan
    for function in (np.linalg.eigvalsh, np.linalg.svdvals):
        try:
            wanted = function(a)
        except np.linalg.LinAlgError as error:
            with pytest.raises(np.linalg.LinAlgError, match=str(error)):
                jit(lambda a, function=function: function(a))(a)
        else:
            np.testing.assert_allclose(jit(lambda a, f=function: f(a))(a), wanted, atol=1e-10)


def test_an_exception_is_handled():
    def function(a, out):
        out += 1
        try:
            return np.linalg.inv(a)
        except np.linalg.LinAlgError:
            return np.zeros_like(a)

    a, out = matrices(9, 5, 5), np.zeros(3)
    jitted = jit(function)
    np.testing.assert_allclose(jitted(a, out), np.linalg.inv(a), atol=1e-12)
    a[2] = 0.0
    assert not jitted(a, out).any() and out.tolist() == [2, 2, 2]


def test_few_and_strict_are_left_to_lapack():
    a = matrices(40, 6, 6)
    strict = jit(lambda a: np.linalg.det(a), numerics="strict")
    for some in (a, a[:1], a[0]):
        assert strict(some).tobytes() == np.linalg.det(some).tobytes()
    assert "stack_" not in str(jit(lambda a: np.linalg.svdvals(a)).trace(a[:1]))


def test_a_stack_of_unknown_extent():
    jitted = jit(lambda a: np.linalg.det(a) + np.linalg.svd(a, compute_uv=False).sum(axis=-1))
    for count in (20, 21, 33, 1, 5):
        a = matrices(count, 6, 6, count)
        wanted = np.linalg.det(a) + np.linalg.svd(a, compute_uv=False).sum(axis=-1)
        np.testing.assert_allclose(jitted(a), wanted, rtol=1e-11)


def test_verified():
    with config.use(verify=2):
        for name in ("det", "inv", "qr", "svd"):
            agree(SQUARE[name], matrices(18, 5, 5))


def test_eigenvalues_of_matrices_that_are_not_finite_are_no_numbers():
    matrix = symmetric(40, 2)
    function = jit(lambda a: np.linalg.eigvalsh(a))
    for row, column, value in ((0, 0, np.inf), (1, 1, -np.inf), (1, 0, np.inf), (1, 0, np.nan)):
        a = matrix.copy()
        a[3, row, column] = a[3, column, row] = value
        assert np.isnan(np.linalg.eigvalsh(a)[3]).all()
        np.testing.assert_allclose(function(a), np.linalg.eigvalsh(a), rtol=1e-12)


@pytest.mark.parametrize("shape", [(2, 1), (5, 1)])
def test_reflections_of_what_is_not_finite_are_no_numbers(shape):
    for row in range(shape[0]):
        a = matrices(20, *shape)
        a[3, row, 0] = np.inf
        for mode in ("reduced", "r"):
            found = jit(lambda a, mode=mode: np.linalg.qr(a, mode=mode))(a)
            wanted = np.linalg.qr(a, mode=mode)
            pairs = [(found, wanted)] if mode == "r" else zip(found, wanted)
            for have, want in pairs:
                np.testing.assert_array_equal(np.isfinite(have), np.isfinite(want))
