"""Methods of ufuncs that no function of NumPy's is named for: `reduce`, `accumulate`, `reduceat`."""

from __future__ import annotations

import numpy as np
import pytest

import tracejit
from tracejit import jit
from tracejit.events import compiles

RANDOM = np.random.default_rng(5)
INTS = RANDOM.integers(-50, 50, (5, 40))
BYTES = RANDOM.integers(0, 255, 97).astype(np.uint8)
FLOATS = RANDOM.normal(size=(3, 37)) * 9
WITH_NAN = np.where(RANDOM.normal(size=(4, 21)) > 1.2, np.nan, RANDOM.normal(size=(4, 21)))
BOOLS = INTS > 10


def check(function, *args, native=True, rtol=1e-12):
    wanted = function(*args)
    jitted = jit(function)
    for _ in range(2):
        with compiles() as made:
            got = jitted(*args)
        assert native != any(one.python_calls for one in made) or not made
        assert type(got) is type(wanted)
        assert (got.dtype, got.shape) == (wanted.dtype, wanted.shape)
        if wanted.dtype.kind in "fc":
            np.testing.assert_allclose(got, wanted, rtol=rtol, atol=1e-13)
        else:
            np.testing.assert_array_equal(got, wanted)


@pytest.mark.parametrize("x", [INTS, BYTES, BOOLS], ids=lambda x: str(x.dtype))
@pytest.mark.parametrize("ufunc", [np.bitwise_or, np.bitwise_and, np.bitwise_xor])
def test_bits_are_folded(ufunc, x):
    check(lambda x: ufunc.reduce(x), x)
    check(lambda x: ufunc.reduce(x, axis=None, keepdims=True), x)
    check(lambda x: ufunc.reduce(x, axis=-1), x)


@pytest.mark.parametrize("ufunc", [np.fmax, np.fmin])
@pytest.mark.parametrize("x", [WITH_NAN, INTS], ids=["nan", "int"])
def test_extremes_beside_nan(ufunc, x):
    check(lambda x: ufunc.reduce(x, axis=1), x)
    check(lambda x: ufunc.reduce(x, axis=0), x)
    check(lambda x: ufunc.reduce(x, axis=(0, 1)), x)


def test_options_of_folds():
    check(lambda x: np.bitwise_or.reduce(x, axis=0, initial=64), INTS)
    check(lambda x: np.bitwise_xor.reduce(x, axis=1, where=x > 3), INTS)
    check(lambda x: np.logical_xor.reduce(x, axis=1), FLOATS)
    check(lambda x: np.fmax.reduce(x, axis=0, initial=0.25), WITH_NAN, native=False)
    check(lambda x: np.bitwise_or.reduce(x[:, :0], axis=1), INTS)


def test_logarithms_of_sums():
    check(lambda x: np.logaddexp.reduce(x, axis=1), FLOATS)
    check(lambda x: np.logaddexp2.reduce(x, axis=1, keepdims=True), FLOATS)
    check(lambda x: np.logaddexp.reduce(x, axis=None), FLOATS, native=False)
    far = np.array([[-np.inf] * 20, [1e4] * 20, [-1e4] * 20, [np.inf] + [0.0] * 19])
    check(lambda x: np.logaddexp.reduce(x, axis=1), far)
    check(lambda x: np.logaddexp.reduce(x, axis=1), np.where(far == 0, np.nan, far))


def test_few_elements_are_taken_in_order():
    few = FLOATS[:, :5]
    for ufunc in (np.hypot, np.subtract, np.divide, np.logaddexp):
        check(lambda x, ufunc=ufunc: ufunc.reduce(np.abs(x) + 1, axis=1), few)
        check(lambda x, ufunc=ufunc: ufunc.accumulate(np.abs(x) + 1, axis=1), few)
    check(lambda x: np.subtract.reduce(x, axis=1), FLOATS)
    check(lambda x: np.subtract.reduce(x), INTS[0])
    check(lambda x: np.hypot.reduce(x, axis=1), FLOATS, native=False)


@pytest.mark.parametrize("ufunc", [np.logaddexp, np.logaddexp2])
@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize(("shape", "axis"), [((40_001,), 0), ((90, 30), 0), ((3, 7, 50), 2)])
def test_running_sums_of_logarithms(ufunc, dtype, shape, axis):
    rng = np.random.default_rng(6)
    x = (rng.standard_normal(shape) * rng.choice([1, 30, 300], shape)).astype(dtype)
    x.flat[0] = -np.inf
    f = tracejit.jit(lambda x: ufunc.accumulate(x, axis=axis))
    found, wanted = f(x), ufunc.accumulate(x.astype("f8"), axis=axis)
    assert found.dtype == x.dtype
    np.testing.assert_allclose(
        found, wanted, rtol=40 * np.finfo(dtype).eps, atol=np.finfo(dtype).eps * 40
    )
    assert "numpy." not in str(f.explain(x))
    strict = tracejit.jit(lambda x: ufunc.accumulate(x, axis=axis), numerics="strict")
    assert np.array_equal(strict(x), ufunc.accumulate(x, axis=axis))
    x.flat[-2] = np.nan
    assert np.isnan(f(x)).sum() == np.isnan(ufunc.accumulate(x, axis=axis)).sum()


def test_accumulated():
    check(lambda x: np.subtract.accumulate(x, axis=1), FLOATS)
    check(lambda x: np.subtract.accumulate(x), INTS)
    check(lambda x: np.logical_or.accumulate(x > 5, axis=1), FLOATS)
    check(lambda x: np.logical_and.accumulate(x, axis=1), np.abs(INTS) > 2)
    check(lambda x: np.subtract.accumulate(x, axis=1), FLOATS[:, :0], native=False)
    check(lambda x: np.power.accumulate(x), FLOATS[0, :5] ** 2, native=False)


def test_long_parts():
    x = RANDOM.normal(size=3001)
    for starts in ([0, 1000, 1700], [5, 2999, 128], [0]):
        check(lambda x, i: np.add.reduceat(x, i), x, np.array(starts))
        check(lambda x, i: np.minimum.reduceat(x, i), x, np.array(starts))
        check(lambda x, i: np.add.reduceat(x, i, axis=1), np.stack([x, x + 1]), np.array(starts))


STARTS = [[0], [0, 3, 1], [5, 5, 2, 30, 8], list(range(37)), [36], []]


@pytest.mark.parametrize("starts", STARTS, ids=str)
@pytest.mark.parametrize("ufunc", [np.add, np.multiply, np.maximum, np.minimum, np.fmax])
def test_parts(ufunc, starts):
    starts = np.array(starts, int)
    check(lambda x, i: ufunc.reduceat(x, i), FLOATS[0], starts)
    check(lambda x, i: ufunc.reduceat(x, i, axis=1), FLOATS, starts)
    check(lambda x, i: ufunc.reduceat(x, i), FLOATS.T, starts)


def test_parts_of_other_dtypes():
    check(lambda x: np.add.reduceat(x, [0, 30, 60]), BYTES)
    check(lambda x: np.add.reduceat(x, [0, 30, 60], dtype=np.float32), BYTES)
    check(lambda x: np.add.reduceat(x, [0, 3]), BOOLS)
    check(lambda x: np.bitwise_or.reduceat(x, [0, 3, 2], axis=0), INTS)
    check(lambda x: np.logical_or.reduceat(x, [0, 3, 7], axis=1), INTS > 40)
    check(lambda x: np.add.reduceat(x, [0, 2, 5], axis=1), FLOATS.astype(np.float16), rtol=1e-2)
    check(lambda x: np.add.reduceat(x + 1j * x, [0, 2, 5], axis=1), FLOATS)
    check(lambda x: np.add.reduceat(x * 2, [0, 9, 20], axis=1).sum(0), FLOATS)


def test_parts_that_begin_outside_are_refused_as_numpy_does():
    f = jit(lambda x, i: np.add.reduceat(x * 2, i))
    x = FLOATS[0]
    for starts in ([0, 37], [-1, 3]):
        with pytest.raises(IndexError, match="out-of-bounds in add.reduceat"):
            f(x, np.array(starts))
    np.testing.assert_allclose(f(x, np.array([0, 3])), np.add.reduceat(x * 2, [0, 3]))


def test_sums_of_parts_in_numpys_order():
    x = RANDOM.normal(size=1001) * 1e8
    exact = tracejit.jit(lambda x: np.add.reduceat(x, [0, 300, 301]), numerics="strict")
    np.testing.assert_array_equal(exact(x), np.add.reduceat(x, [0, 300, 301]))


@pytest.mark.parametrize("dtype", ["u1", "i2", "u4", "f2", "f4"])
@pytest.mark.parametrize("numerics", ["default", "strict"])
def test_differences_of_many_elements_keep_their_dtype(dtype, numerics):
    x = np.random.default_rng(0).integers(0, 5, (70, 3)).astype(dtype)
    for axis in (0, 1):
        wanted = np.subtract.reduce(x, axis=axis)
        got = jit(lambda x: np.subtract.reduce(x, axis=axis), numerics=numerics)(x)
        assert got.dtype == wanted.dtype
        np.testing.assert_array_equal(got, wanted)
