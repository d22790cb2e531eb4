"""Reductions and searches have NumPy's shapes, dtypes, values and errors."""

import numpy as np
import pytest
from numpy_calls import DTYPES, FLOATS, REAL_DTYPES, check, sample, with_nan

from tracejit import jit
from tracejit.config import config

AXES = [None, 0, -1, 1, (0, 1), (1, 0), (), 2]
REDUCTIONS = [np.sum, np.prod, np.max, np.min, np.any, np.all, np.mean, np.var, np.std]
MASK = np.array([[True, False, True, True], [False] * 4, [True] * 4])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("function", REDUCTIONS, ids=lambda f: f.__name__)
def test_every_dtype(function, dtype):
    x = sample((3, 4), dtype)
    check(function, x)
    check(lambda x: function(x, axis=0), x)
    check(lambda x: function(x, 1, keepdims=True), x)
    check(function, x[0, 0])
    check(function, x[0, :1].reshape(()))


@pytest.mark.parametrize("axis", AXES, ids=str)
@pytest.mark.parametrize("function", REDUCTIONS, ids=lambda f: f.__name__)
def test_every_axis(function, axis):
    x = sample((3, 4))
    check(lambda x: function(x, axis=axis), x)
    check(lambda x: function(x, axis=axis, keepdims=True), x)


@pytest.mark.parametrize("function", REDUCTIONS, ids=lambda f: f.__name__)
def test_three_axes(function):
    x = sample((2, 3, 4))
    check(lambda x: function(x, axis=(0, 2)), x)
    check(lambda x: function(x, axis=(-1, 1), keepdims=True), x)


@pytest.mark.parametrize("shape", [(0,), (0, 3), (3, 0), (0, 0)], ids=str)
@pytest.mark.parametrize("function", REDUCTIONS, ids=lambda f: f.__name__)
def test_empty(function, shape):
    x = np.zeros(shape, np.float32)
    check(function, x)
    check(lambda x: function(x, axis=0), x)
    check(lambda x: function(x, axis=-1), x)


@pytest.mark.parametrize("name", ["sum", "prod", "max", "min", "any", "all", "mean", "var", "std"])
def test_methods(name):
    x = sample((3, 4), "float32")
    check(lambda x: getattr(x, name)(), x)
    check(lambda x: getattr(x, name)(0), x)
    check(lambda x: getattr(x, name)(axis=(0, 1), keepdims=True), x)


@pytest.mark.parametrize("function", [np.sum, np.prod], ids=lambda f: f.__name__)
@pytest.mark.parametrize("dtype", ["bool", "int8", "float16", "float64", "complex64"])
def test_dtype_of_the_result(function, dtype):
    for source in ("int8", "float32", "bool"):
        check(lambda x: function(x, axis=0, dtype=dtype), sample((3, 4), source))


@pytest.mark.parametrize("source", REAL_DTYPES)
def test_where_and_initial(source):
    x = sample((3, 4), source)
    check(lambda x, m: np.sum(x, where=m), x, MASK)
    check(lambda x, m: np.sum(x, axis=1, where=m, initial=3), x, MASK)
    check(lambda x, m: np.prod(x, axis=0, where=m[0]), x, MASK)
    check(lambda x, m: np.max(x, axis=1, where=m, initial=1), x, MASK)
    check(lambda x, m: np.min(x, axis=1, where=m, initial=1), x, MASK)
    check(lambda x, m: np.any(x, axis=1, where=m), x, MASK)
    check(lambda x, m: np.all(x, axis=1, where=m), x, MASK)
    check(lambda x, m: np.mean(x, axis=1, where=m), x, MASK)
    check(lambda x, m: np.var(x, axis=1, where=m), x, MASK)
    check(lambda x: np.max(x[:0], initial=1), x)


def test_initial_follows_the_dtype():
    check(lambda x: np.sum(x, initial=1.5), sample((4,), "int8"))
    check(lambda x: np.max(x, initial=300), sample((4,), "int8"))
    check(lambda x: np.max(x, where=x > 0), sample((4,), "int8"))
    check(lambda x: np.sum(x, where=np.ones((2, 4), bool)), sample((4,), "int8"))


@pytest.mark.parametrize("dtype", [*FLOATS, "complex64", "int32"])
def test_degrees_of_freedom(dtype):
    x = sample((3, 4), dtype)
    check(lambda x: np.var(x, ddof=1), x)
    check(lambda x: np.std(x, axis=0, ddof=1), x)
    check(lambda x: np.std(x, axis=1, correction=1), x)
    check(lambda x: np.var(x, axis=0, ddof=3), x)
    check(lambda x: np.var(x, axis=0, mean=np.mean(x, axis=0, keepdims=True)), x)
    check(lambda x: x.var(axis=0, dtype="float64", ddof=1), x)
    check(lambda x: np.mean(x, dtype="float32"), x)
    check(lambda x: np.var(x, ddof=1, correction=1), x)


@pytest.mark.parametrize("function", [np.argmax, np.argmin], ids=lambda f: f.__name__)
@pytest.mark.parametrize("dtype", DTYPES)
def test_positions(function, dtype):
    x = sample((3, 5), dtype)
    for axis in (None, 0, 1, -1, 2):
        check(lambda x: function(x, axis=axis), x)
        check(lambda x: function(x, axis, keepdims=True), x)
    check(function, x[0, 0])
    check(lambda x: function(x, axis=0), x[0, 0])
    check(function, x[:0])
    check(lambda x: function(x, axis=1), x[:0])
    check(lambda x: getattr(x, function.__name__)(1), x)


@pytest.mark.parametrize("function", [np.argmax, np.argmin, np.max, np.min])
@pytest.mark.parametrize("dtype", [*FLOATS, "complex64"])
def test_nan_wins(function, dtype):
    x = with_nan((3, 5), dtype)
    check(lambda x: function(x, axis=0), x)
    check(function, x)
    check(function, sample((3, 5), dtype))


@pytest.mark.parametrize("dtype", DTYPES)
def test_counts_and_ranges(dtype):
    x = sample((3, 4), dtype)
    check(np.count_nonzero, x)
    check(lambda x: np.count_nonzero(x, axis=1, keepdims=True), x)
    check(np.ptp, x)
    check(lambda x: np.ptp(x, axis=0), x)


NAN_REDUCTIONS = [np.nansum, np.nanprod, np.nanmax, np.nanmin, np.nanmean, np.nanvar, np.nanstd]


@pytest.mark.parametrize("function", NAN_REDUCTIONS, ids=lambda f: f.__name__)
@pytest.mark.parametrize("dtype", [*FLOATS, "int32", "bool", "complex128"])
def test_nan_is_left_out(function, dtype):
    x = with_nan((3, 5), dtype) if dtype.startswith(("f", "c")) else sample((3, 5), dtype)
    if dtype == "complex128" and function in (np.nanmax, np.nanmin):
        x = sample((3, 5), dtype)
    check(function, x)
    check(lambda x: function(x, axis=0), x)
    check(lambda x: function(x, axis=1, keepdims=True), x)
    if dtype.startswith("float"):
        check(function, np.full(3, np.nan, dtype))


def test_average():
    x, w = sample((3, 4)), abs(sample((3, 4), seed=1)) + 1
    check(np.average, x)
    check(lambda x, w: np.average(x, weights=w), x, w)
    check(lambda x, w: np.average(x, axis=1, weights=w), x, w)
    check(lambda x, w: np.average(x, axis=1, weights=w[0]), x, w)
    check(lambda x, w: np.average(x, axis=0, weights=w[:, 0], keepdims=True), x, w)
    check(lambda x, w: np.average(x, axis=0, weights=w[:, 0], returned=True), x, w)
    check(lambda x: np.average(x, axis=1, returned=True), x)
    check(lambda x, w: np.average(x, weights=w), sample((3, 4), "int32"), w.astype("float32"))


def test_average_without_weight():
    x, w = sample((3, 4)), abs(sample((3, 4), seed=1)) + 1
    w[1] = [1, -1, 2, -2]

    def caught(x, w):
        try:
            return np.average(x, weights=w)
        except ZeroDivisionError:
            return x[0, 0]

    for function, weights in [
        (lambda x, w: np.average(x, weights=w), w - w),
        (lambda x, w: np.average(x, axis=1, weights=w), w),
        (lambda x, w: np.average(x, axis=1, weights=w[1] * 1j), w),
        (lambda x, w: np.average(x, axis=0, weights=[1, -1, 0]), w),
    ]:
        with pytest.raises(ZeroDivisionError, match="^Weights sum to zero, can't be normalized"):
            jit(function)(x, weights)
    assert jit(caught)(x, w - w) == x[0, 0]
    assert jit(caught)(x, w) == caught(x, w)


@pytest.mark.parametrize("function", [np.cumsum, np.cumprod], ids=lambda f: f.__name__)
@pytest.mark.parametrize("dtype", DTYPES)
def test_running(function, dtype):
    x = sample((3, 4), dtype)
    check(function, x)
    check(lambda x: function(x, axis=0), x)
    check(lambda x: function(x, axis=-1, dtype="float64"), x)
    check(function, x[0, 0])
    check(lambda x: getattr(x, function.__name__)(1), x)
    check(lambda x: function(x, axis=2), x)


@pytest.mark.skipif(not hasattr(np, "cumulative_sum"), reason="NumPy before 2.1")
@pytest.mark.parametrize("name", ["cumulative_sum", "cumulative_prod"])
def test_running_with_initial(name):
    function = getattr(np, name)
    x = sample((3, 4), "int8")
    check(function, x[0])
    check(function, x)
    check(lambda x: function(x, axis=1), x)
    check(lambda x: function(x, axis=1, include_initial=True), x)
    check(lambda x: function(x, axis=0, dtype="float32", include_initial=True), x)


def test_running_without_nan():
    check(np.nancumsum, with_nan((3, 5)))
    check(lambda x: np.nancumprod(x, axis=1), with_nan((3, 5)))


def test_weak_and_numpy_scalars():
    check(lambda s: np.sum(s), 2.5)
    check(lambda s: np.mean(s), np.float32(2.5))
    check(lambda s: s.sum(), np.float32(2.5))
    check(lambda s: np.max([s, 1.0, 3.0]), 2.5)


def test_running_sums_of_halves_in_the_lanes_of_a_rest():
    """LLVM's fast instruction selector gave up on halves gathered under a mask."""
    x = np.ones((30, 40, 50), np.float16)
    with config.use(tiers=True):
        np.testing.assert_array_equal(jit(lambda x: np.cumsum(x, axis=-1))(x), x.cumsum(axis=-1))


REDUCES = [
    lambda u, x: u.reduce(x, 0, None, None, True),
    lambda u, x: u.reduce(x, 0, None, None, True, 1),
    lambda u, x: u.reduce(x, 0, None, np.zeros(4)),
    lambda u, x: u.reduce(x, axis=None, initial=0),
    lambda u, x: u.reduce(x, dtype=None),
    lambda u, x: u.reduce(x, dtype=bool),
    lambda u, x: u.reduce(x, axis=(0, 1), where=x > 0, initial=2),
]


@pytest.mark.parametrize("reduce", REDUCES)
@pytest.mark.parametrize("name", ["logical_or", "logical_and", "maximum", "add", "multiply"])
def test_reduce_of_a_ufunc_has_options_of_its_own(name, reduce):
    ufunc, x = getattr(np, name), np.arange(12.0).reshape(3, 4) - 5
    found, wanted = jit(lambda x: reduce(ufunc, x))(x), reduce(ufunc, x)
    assert found.dtype == wanted.dtype
    np.testing.assert_array_equal(found, wanted)
