"""Functions of libraries that are plain Python are traced, and called as they are where that fails."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import tracejit
from tracejit import jit

X = np.random.default_rng(3).normal(size=40)
M = X.reshape(8, 5)


def librarys(function):
    """The function as if it were from a library."""
    function.__module__ = "scipy.tests"
    return function


def check(function, *args, calls_python: bool = False):
    jitted = jit(function)
    wanted = function(*args)
    for _ in range(2):
        got = jitted(*args)
        pairs = zip(got, wanted, strict=True) if isinstance(wanted, tuple) else [(got, wanted)]
        for a, b in pairs:
            np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-13)
            assert np.asarray(a).dtype == np.asarray(b).dtype
    assert ("through Python, not compiled: " in str(jitted.explain(*args))) == calls_python
    return jitted


@pytest.mark.parametrize(
    "name", ["special:softmax", "special:log_softmax", "optimize:rosen", "optimize:rosen_der"]
)
@pytest.mark.parametrize("x", [X, M])
def test_of_scipy(name, x):
    module, _, name = name.partition(":")
    function = getattr(pytest.importorskip(f"scipy.{module}"), name)
    check(lambda x: function(x) + 1, x)


@pytest.mark.parametrize("name", ["zscore", "skew", "kurtosis", "sem", "moment", "describe"])
def test_of_statistics(name):
    function = getattr(pytest.importorskip("scipy.stats"), name)
    check(lambda x: function(x), X)
    # What follows depends on whether there is a nan.
    with_nan = np.where(X > 1, np.nan, X)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        check(lambda x: function(x), with_nan)


def test_of_rows():
    stats = pytest.importorskip("scipy.stats")
    check(lambda x: stats.zscore(x, axis=1), M)
    with pytest.raises(ValueError, match="nan_policy"):
        jit(lambda x: stats.zscore(x, nan_policy="maybe"))(M)


def test_of_numpy():
    check(lambda x: np.apply_over_axes(np.sum, x, [0]), M)
    check(lambda x: np.polynomial.polynomial.polyval(x, [1.0, 2.0, 0.5]), X)
    check(lambda x: np.histogram_bin_edges(x, "auto"), X, calls_python=True)
    check(lambda x: np.nanargmax(x), X)


def test_what_cannot_be_traced_is_called():
    stats = pytest.importorskip("scipy.stats")
    check(lambda x: stats.linregress(x, 2 * x).slope + 1, X, calls_python=True)
    check(lambda x: stats.rankdata(x) * 2, X, calls_python=True)


def test_a_failure_leaves_nothing_behind():
    outside = {"made": 0}

    @librarys
    def half_way(x):
        y = x.copy()
        y[0] = 99.0
        for k in range(3):
            y += k
            if y.sum() > 0:
                y[1] = -1.0
                if y[2] > 1000:
                    outside["made"] = 5
                x = np.asarray([float(v) for v in y.tolist()])
        return x + y

    def program(x):
        z = x * 2
        z[3] = 7.0
        a = half_way(z)
        if z[0] > 0:
            z[0] = a[0]
        return z + half_way(z)

    check(program, X, calls_python=True)
    check(program, -X, calls_python=True)


def test_functions_that_call_themselves():
    @librarys
    def power(x, n):
        return x if n == 1 else x * power(x, n - 1)

    check(lambda x: power(x, 5) + 1, X, calls_python=True)


def test_errors_that_values_decide_about():
    @librarys
    def root(x):
        if np.any(x < 0):
            raise ValueError("x must not be negative")
        return np.sqrt(x)

    jitted = jit(lambda x: root(x) + 1)
    np.testing.assert_allclose(jitted(np.abs(X)), np.sqrt(np.abs(X)) + 1)
    with pytest.raises(ValueError, match="must not be negative"):
        jitted(X)
    with pytest.raises(ValueError, match="must not be negative"):
        jit(lambda x: root(x) + 1)(X)


def test_where_python_may_not_be_called():
    special = pytest.importorskip("scipy.special")
    stats = pytest.importorskip("scipy.stats")
    jitted = jit(lambda x: special.softmax(x), fallback="error")
    np.testing.assert_allclose(jitted(X), special.softmax(X))
    with pytest.raises(tracejit.UnsupportedError, match="linregress"):
        jit(lambda x: stats.linregress(x, x).slope, fallback="error")(X)


def test_any_size():
    special = pytest.importorskip("scipy.special")
    jitted = jit(lambda x: special.softmax(x))
    for n in (20, 21, 22, 23, 24, 25, 26, 40):
        np.testing.assert_allclose(jitted(X[:n]), special.softmax(X[:n]))
    assert jitted.cache_info().misses < 8


def test_warnings_of_what_may_not_happen():
    stats = pytest.importorskip("scipy.stats")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        jit(lambda x: stats.skew(x))(X)
