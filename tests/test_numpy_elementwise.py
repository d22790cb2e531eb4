"""Functions of single elements that are no ufuncs agree with NumPy."""

import numpy as np
import pytest
from numpy_calls import DTYPES, FLOATS, check, sample, with_nan

import tracejit

SPECIAL = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 0.5, -1.5, 2.5, 1e300, 5e-324])


@pytest.mark.parametrize("left", DTYPES)
@pytest.mark.parametrize("right", ["int8", "float32", "complex64", int, float, complex])
def test_where(left, right):
    x, mask = sample((3, 4), left), sample((4,), "bool", seed=2)
    if isinstance(right, str):
        check(np.where, mask, x, sample((3, 1), right))
    else:
        value = right(1.5)
        check(lambda c, x: np.where(c, x, value), mask, x)
        check(lambda c, x: np.where(c, value, x), mask, x)


def test_where_of_little():
    check(lambda c: np.where(c, 1, 2), sample((3,), "bool"))
    check(lambda c: np.where(c, 1.0, 2), sample((3,), "float64"))
    check(lambda x: np.where(x > 0, x, 0.0), np.float32(2))
    check(lambda x: np.where(x, x, [1, 2, 3]), sample((2, 3), "int8"))
    check(lambda x: np.where(x > 0, x, np.ones(5)), sample((3,)))
    check(lambda x, s: np.where(x > 0, x, s), sample((3,), "float32"), 2.5)


BOUNDS = [
    (0, 2),
    (-300, 300),
    (None, 1),
    (-1, None),
    (None, None),
    (0.5, 1.5),
    (2, -2),
    (np.nan, 1),
]


@pytest.mark.parametrize("bounds", BOUNDS, ids=str)
@pytest.mark.parametrize("dtype", DTYPES)
def test_clip(bounds, dtype):
    x = sample((3, 4), dtype)
    check(lambda x: np.clip(x, *bounds), x)
    check(lambda x: x.clip(*bounds), x)
    check(lambda x: np.clip(x, min=bounds[0], max=bounds[1]), x)
    check(lambda x: np.clip(x[0, 0], *bounds), x)


def test_clip_by_arrays():
    x, low = sample((3, 4), "float32"), sample((4,), "float64", seed=1)
    check(lambda x, low: np.clip(x, low, low + 2), x, low)
    check(lambda x, low: np.clip(x, None, low), x, low)
    check(lambda x: np.clip(x, np.int8(0), np.int64(3)), sample((4,), "int8"))
    check(lambda x: np.clip(x, 0), x)
    check(lambda x: np.clip(x), x)
    check(lambda x: np.clip(x, 0, 1, min=3), x)
    check(lambda x: np.clip(x, 0, 1, dtype="float64"), x)
    check(lambda x: np.clip(x, -1, 1), SPECIAL)


@pytest.mark.parametrize("decimals", [0, 1, 2, -1, -2, 30])
@pytest.mark.parametrize("dtype", DTYPES)
def test_round(decimals, dtype):
    x = (sample((3, 4), dtype) * np.asarray(7.25, dtype)).astype(dtype)
    check(lambda x: np.round(x, decimals), x)
    check(lambda x: np.around(x, decimals=decimals), x)
    check(lambda x: x.round(decimals), x)
    check(lambda x: x.round(decimals), x[0, 0])


def test_round_of_special():
    for decimals in (0, 1, 5, -3):
        check(lambda x: np.round(x, decimals), SPECIAL, exact=True)
    check(np.round, np.array([0.5, 1.5, 2.5, -0.5]), exact=True)


UNARY = [
    np.fix, np.nan_to_num, np.sinc, np.i0, np.angle, np.real, np.imag, np.isneginf, np.isposinf,
    np.iscomplex, np.isreal, np.iscomplexobj, np.isrealobj, np.ndim, np.shape, np.size,
    lambda x: np.angle(x, deg=True), lambda x: np.nan_to_num(x, nan=1.5, posinf=2, neginf=-3),
    lambda x: x.conj(), lambda x: x.conjugate(), lambda x: np.copy(x), lambda x: x.copy(),
    lambda x: np.astype(x, "float32"), lambda x: x.astype("int16"), lambda x: x.astype(bool),
    lambda x: x.astype("float32", casting="safe"), lambda x: np.zeros_like(x),
    lambda x: np.ones_like(x, dtype="int8"), lambda x: np.full_like(x, 2.5),
    lambda x: np.full_like(x, 1, shape=(2, 2)), lambda x: np.zeros_like(x, shape=3),
    lambda x: np.isclose(x, x), lambda x: np.isclose(x, 1), lambda x: np.isclose(x, x, equal_nan=True),
]  # fmt: skip


@pytest.mark.parametrize("function", UNARY)
@pytest.mark.parametrize("dtype", DTYPES)
def test_unary(function, dtype):
    check(function, sample((3, 4), dtype))
    check(function, sample((), dtype))
    check(function, sample((1,), dtype)[0])


@pytest.mark.parametrize("function", UNARY)
def test_unary_of_special(function):
    check(function, SPECIAL)
    with np.errstate(over="ignore"):
        check(function, SPECIAL.astype("float32"))
    check(function, SPECIAL[:0])


SELECTIONS = [
    lambda x: np.select([x < 0, x > 1], [x, 2 * x]),
    lambda x: np.select([x < 0, x > 1], [x, 2 * x], default=7),
    lambda x: np.select([x < 0, x > 1], [1, 2.5], -1),
    lambda x: np.select([x[0] < 0, x > 1], [x, x[:, :1]], 3),
    lambda x: np.select([x < 0], [x, x]),
    lambda x: np.select([], []),
    lambda x: np.select([x], [x]),
    lambda x: np.piecewise(x, [x < 0, x > 1], [-1, 1]),
    lambda x: np.piecewise(x, [x < 0, x > 1], [lambda v: -v, lambda v: 2 * v, 7]),
    lambda x: np.piecewise(x, x < 0, [lambda v: -v, lambda v: v * v]),
    lambda x: np.piecewise(x, [x < 0, x > 1], [1]),
]


@pytest.mark.parametrize("function", SELECTIONS)
def test_selections(function):
    check(function, sample((3, 4)))
    check(function, sample((3, 4), "int32"))


def is_true(answer):
    """A NumPy bool, of Python's and of a traced one."""
    return np.logical_and(answer, True)


@pytest.mark.parametrize("dtype", [*FLOATS, "int32", "complex64"])
def test_comparisons(dtype):
    x = with_nan((3, 4), dtype) if dtype in FLOATS else sample((3, 4), dtype)
    y = x + np.asarray(1e-9, x.dtype)
    for equal_nan in (False, True):
        check(lambda x, y: np.isclose(x, y, equal_nan=equal_nan), x, y)
        check(lambda x, y: np.isclose(x, y, 1e-3, 1e-2), x, y)
        check(lambda x, y: is_true(np.allclose(x, y, equal_nan=equal_nan)), x, y)
        check(lambda x, y: is_true(np.array_equal(x, y, equal_nan=equal_nan)), x, x)
    check(lambda x, y: is_true(np.array_equal(x, y[0])), x, y)
    check(lambda x, y: is_true(np.array_equiv(x, y[0])), x, y)
    check(lambda x, y: is_true(np.array_equiv(x, y[:, :2])), x, y)
    check(lambda x: is_true(np.array_equiv(x[:1], x[0])), x)


def test_types():
    x = sample((3, 4), "float32")
    check(lambda x: np.result_type(x, 1.0) == np.float32, x)
    check(lambda x: np.result_type(x, np.int64) == np.float64, x)
    check(lambda x: np.can_cast(x.dtype, "int8"), x)
    check(lambda x: np.size(x, 1), x)
    check(lambda x: np.shape(x)[0], x)
    check(lambda x: np.common_type(x, x) == np.float32, x)
    check(lambda x: np.isscalar(x.sum()), x)


def test_piecewise_of_numbers_that_do_not_fit():
    x = np.arange(5, dtype=np.uint8)
    for number in (-1, 300):
        with pytest.raises(OverflowError, match="out of bounds for uint8"):
            tracejit.jit(lambda x: np.piecewise(x, [x < 2], [number]))(x)
    assert tracejit.jit(lambda x: np.piecewise(x, [x < 2], [1.5, 200]))(x).tolist() == [
        1,
        1,
        200,
        200,
        200,
    ]
