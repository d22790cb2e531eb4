"""Sorting compiled: NumPy's own functions, and medians and quantiles of what they sort."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import test_fallback
from combinations import pairs
from test_linalg import agree, calls_of_python, check

from tracejit import jit
from tracejit.config import config
from tracejit.ir import numpy_code

DTYPES = ["?", "i1", "u2", "i4", "u4", "i8", "u8", "f2", "f4", "f8", "c8", "c16"]
SHAPES = [(12,), (1,), (3, 9), (2, 7, 6), (0, 4), (4, 0), (700,), (3, 300)]
AXES = [-1, 0, None]
KINDS = [None, "quicksort", "stable", "mergesort"]


@pytest.fixture(autouse=True)
def quietly():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def values(shape, dtype, seed=0, special=True):
    """Numbers with ties, and with zeros of both signs, infinities and NaN where there are such."""
    rng = np.random.default_rng(seed)
    x = rng.integers(-40, 40, shape).astype(dtype)
    if x.dtype.kind in "fc" and special and x.size:
        where = rng.integers(0, 4, shape) == 0
        odd = rng.choice([np.nan, np.inf, -np.inf, 0.0, 1e-3, 2.5], shape)
        x = np.where(where, odd, x).astype(dtype)
        if x.dtype.kind == "c":
            x.imag = rng.choice([0.0, np.nan, 1.0, -2.0], shape)
    return x


@pytest.mark.parametrize("dtype, shape, axis, kind", pairs(DTYPES, SHAPES, AXES, KINDS))
def test_sort_and_argsort(dtype, shape, axis, kind):
    how = {"axis": axis, "kind": kind}
    check(lambda x: (np.sort(x, **how), np.argsort(x, **how)), values(shape, dtype))


@pytest.mark.parametrize("function", [np.sort, np.argsort])
def test_options(function):
    x = values((4, 5), "f8")
    check(lambda x: function(x, stable=True), x)
    check(lambda x: function(x, stable=False), x)
    check(lambda x: function(x, kind="stable", stable=True), x)
    check(lambda x: function(x, axis=2), x)
    for kind in ("heapsort", "nonsense"):
        outcomes = []
        for run in (lambda x: function(x, kind=kind), jit(lambda x: function(x, kind=kind))):
            try:
                outcomes.append(run(x))
            except ValueError as error:
                outcomes.append(str(error))
        assert type(outcomes[0]) is type(outcomes[1])
        np.testing.assert_array_equal(*outcomes)


@pytest.mark.parametrize("function", [np.sort, np.argsort])
def test_of_memory_of_any_layout(function):
    x = values((6, 10, 8), "f8")
    for view in (x.T, x[::2, ::-1, ::3], np.asfortranarray(x), x[:, :, ::-1], x.astype(">f8")):
        check(lambda x: function(x.astype(float)), view)
        check(lambda x: function(x, axis=0) * 2, view.astype("f8"))


def test_numbers_are_no_rows():
    for function in (np.sort, np.argsort, np.median):
        for x in (np.array(3.0), np.float64(2)):
            outcomes = []
            for run in (function, jit(function)):
                try:
                    outcomes.append(run(x))
                except np.exceptions.AxisError as error:
                    outcomes.append(str(error))
            np.testing.assert_array_equal(*outcomes)


def test_in_place():
    def program(x):
        y = x.copy()
        y.sort(axis=0)
        x.sort()
        return y[::-1], x.argsort(axis=0)

    for dtype in ("f8", "i4", "c16"):
        first, second = values((5, 6), dtype), values((5, 6), dtype)
        agree(jit(program)(first), program(second))
        np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("dtype", ["?", "i4", "f4", "f8", "c16"])
def test_lexsort(dtype):
    x = values((3, 20), dtype)
    check(lambda x: np.lexsort(x), x)
    check(lambda x: np.lexsort((x, x[::-1].real)), x)
    check(lambda x: np.lexsort((x, x[::-1]), axis=0), x)
    check(lambda x: np.lexsort((x[0] > 1, x[1], x[2])), x)


@pytest.mark.parametrize("dtype", DTYPES)
def test_sort_complex(dtype):
    check(np.sort_complex, values((9,), dtype))


@pytest.mark.parametrize(
    "dtype, shape, special, axis, keepdims",
    pairs(
        DTYPES,
        [(12,), (1,), (2,), (3, 9), (2, 7, 6), (501,)],
        [True, False],
        [None, 0, -1, "all"],
        [False, True],
    ),
)
def test_median(dtype, shape, special, axis, keepdims):
    axis = tuple(range(len(shape))) if axis == "all" else axis
    x = values(shape, dtype, special=special)
    check(lambda x: np.median(x, axis=axis, keepdims=keepdims), x)


@pytest.fixture
def strict():
    """Interpolation to NumPy's last bit."""
    with config.use(numerics="strict"):
        yield


METHODS = [
    "linear", "lower", "higher", "midpoint", "nearest", "inverted_cdf", "averaged_inverted_cdf",
    "closest_observation", "interpolated_inverted_cdf", "hazen", "weibull", "median_unbiased",
    "normal_unbiased",
]  # fmt: skip
QUANTILES = [0.3, 0, 1, [0.1, 0.5, 0.99], np.float32(0.7), np.array([[0.2, 0.5], [0.0, 1.0]])]


@pytest.mark.parametrize(
    "method, q, dtype, shape", pairs(METHODS, QUANTILES, ["f4", "f8", "i4"], [(12,), (3, 9)])
)
def test_quantiles(method, q, dtype, shape, strict):
    def program(x):
        every = np.quantile(x, q, method=method)
        return every, np.quantile(x, q, axis=0, method=method, keepdims=True)

    check(program, values(shape, dtype, special=False))
    program = lambda x: np.quantile(x, q, axis=0, method=method)
    x = values(shape, dtype)
    agree(jit(program)(x), program(x))


def test_percentiles():
    x = values((7, 11), "f8", special=False)
    check(lambda x: np.percentile(x, 50), x)
    check(lambda x: np.percentile(x, [25, 75], axis=-1, keepdims=True), x)
    check(lambda x: np.percentile(x, [2.5, 97.5], keepdims=True), x)
    check(lambda x: np.percentile(x, (5, 50, 95), axis=(1, 0)), x)


@pytest.mark.parametrize(
    "function",
    [
        lambda x: np.quantile(x, 1.5),
        lambda x: np.quantile(x, [0.2, -0.1]),
        lambda x: np.percentile(x, 101),
        lambda x: np.quantile(x + 1j, 0.5),
        lambda x: np.percentile(x + 1j, 50),
        lambda x: np.quantile(x, 0.5, axis=2),
        lambda x: np.median(x, axis=2),
        lambda x: np.median(x, axis=(0, 0)),
        lambda x: np.quantile(x, 0.5, method="nonsense"),
    ],
)
def test_what_numpy_refuses(function):
    assert check(function, values((3, 4), "f8")) is None


def test_rows_for_threads():
    x = values((2000, 64), "f8")
    check(lambda x: np.sort(x, axis=1), x)
    check(lambda x: np.sort(x, axis=0), x)
    check(lambda x: np.argsort(x, axis=-1), x)
    check(lambda x: x[np.argsort(x[:, 0], kind="stable")], x)


def test_sizes_that_change_compile_once():
    for function in (
        lambda x: np.sort(x) * 2,
        lambda x: np.argsort(x[::-1]),
        lambda x: np.median(x) + 1,
    ):
        compiled = jit(function)
        for n in range(20, 29):
            x = values((n,), "f8", special=False)
            agree(compiled(x), function(x))
        assert compiled.cache_info().misses == 4


@pytest.mark.parametrize("program", test_fallback.OTHERS)
def test_programs_of_the_fallback_are_as_they_are_there(program):
    test_fallback.check(*program)


def test_without_numpys_code_it_calls_python(monkeypatch):
    monkeypatch.setattr(numpy_code, "IS_FOUND", [])
    x = values((9,), "f8")
    for function in (lambda x: np.sort(x) + 1, np.argsort, np.median):
        compiled = jit(function)
        agree(compiled(x), function(x))
        assert calls_of_python(compiled, x)


@pytest.mark.parametrize("dtype", ["u1", "i1"])
def test_many_bytes(dtype):
    x = np.random.default_rng(1).integers(np.iinfo(dtype).min, 1 + np.iinfo(dtype).max, 5000)
    for values in (x.astype(dtype), np.full(3000, np.iinfo(dtype).min, dtype)):
        found = jit(lambda x: np.sort(x))(values)
        assert found.dtype == values.dtype and found.tolist() == sorted(values.tolist())
        assert np.array_equal(jit(lambda x: np.unique(x))(values), np.unique(values))
