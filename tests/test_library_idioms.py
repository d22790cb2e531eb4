"""What functions of installed packages do with arrays, as small programs of the same constructs."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
import pytest
from test_user_programs import same

import tracejit
from tracejit.errors import UnsupportedError

X = np.linspace(-1.5, 1.5, 12)


def check(function, *args):
    """The same as NumPy, twice, and with its other ways of being called."""
    wanted = function(*args)
    jitted = tracejit.jit(function)
    for _ in range(2):
        same(jitted(*args), wanted)
    return jitted


# Classes of numbers, called and compared.


def as_float(a, dtype=None):
    dtype = np.float64 if dtype is None else dtype
    assert dtype in (np.float32, np.float64)
    return dtype(a)


def test_classes_of_numbers_convert_arrays():
    check(lambda x: (np.uint8(abs(x) * 80), np.float32(x), np.complex128(x[0])), X)
    check(lambda x: (as_float(x) + 1, as_float(x, np.float32)), X)
    check(lambda x: np.float32([x[0], 1.0]), X)
    check(lambda x: np.int16(x.sum() * 100), X)
    check(lambda x: x * np.float32(0.1) + np.int8(3), X.astype(np.float32))
    check(lambda x, s: np.float32(s) * x, X.astype(np.float32), 0.1)


def test_converting_to_the_own_dtype_gives_the_array_itself():
    jitted = tracejit.jit(lambda x: np.float64(x))
    assert jitted(X) is X


def test_classes_of_numbers_stay_dtypes():
    def function(x):
        assert x.dtype == np.float64 and np.float64 == x.dtype.type
        assert x.dtype in (np.float64, np.complex128) and not x.dtype == np.float32
        assert np.issubdtype(x.dtype, np.floating) and np.issubdtype(np.float32, np.floating)
        assert isinstance(x[0], np.float64) and not isinstance(x[0], np.float32)
        sizes = {np.float32: 4, np.float64: 8}
        eps = np.finfo(np.float32).eps
        made = np.zeros(3, np.float32), x.astype(np.int32), np.sum(x, dtype=np.complex64)
        return *made, x * sizes[x.dtype.type], x + eps, np.result_type(np.int8, np.float32).type(2)

    check(function, X)


def test_a_class_of_numbers_is_returned_as_it_is():
    assert tracejit.jit(lambda x: (np.float32, x))(X)[0] is np.float32


# Iterators over elements, lists of known numbers, what a mask selects of a selection.


def test_functions_take_flat_iterators():
    check(lambda x: np.isnan(x.flat), X.reshape(3, 4))
    check(lambda x: np.where(x, np.array(x.T.flat).reshape(3, 4), 0), X.reshape(3, 4))
    check(lambda x: np.concatenate([x.flat, x.flat]), X.reshape(3, 4))
    check(lambda x: np.add(x.flat, 1, dtype=np.float64), X.reshape(3, 4))


def test_flat_iterators_are_written_by_masks():
    def function(x):
        out = np.zeros_like(x)
        good = ~np.isnan(x.flat) & (x.flat > np.zeros(12))
        out.flat[good] = 1.0 / x.flat[good]
        out.flat[~good] = np.nan
        return out

    check(function, X.reshape(3, 4))


def test_lists_of_known_numbers_are_sizes():
    def lagged(x):
        lags = np.arange(4)
        lags = lags[lags > 0]
        out = np.zeros(x.size + 3)
        for lag in [0, *lags.tolist()]:
            out[lag : lag + x.size] += x
        return out

    check(lagged, X)


def test_a_mask_of_a_selections_elements():
    def function(x):
        chosen = x[x[:, 0] > -1]
        chosen[np.abs(chosen) < 0.5] = 0
        chosen[chosen > 1] *= 2
        return chosen, chosen[chosen != 0].sum()

    check(function, X.reshape(6, 2))


def test_what_may_be_overwritten_is_not():
    check(lambda x: np.median(x, overwrite_input=True) + x, X)
    check(lambda x: np.nanpercentile(x, 30, overwrite_input=True) + x, X)


# Results that are tuples and more.


class Fit(tuple):
    """A tuple of named items that is made of them and of something else."""

    _fields = ("slope", "offset")

    def __new__(cls, slope, offset, *, note):
        return tuple.__new__(cls, (slope, offset))

    def __init__(self, slope, offset, *, note):
        self.__dict__["note"] = note

    @property
    def slope(self):
        return self[0]


def test_tuples_that_are_made_otherwise():
    def function(x):
        fit = Fit(x.mean(), x * 2, note=x.max())
        return Fit(fit.slope + 1, fit[1], note=fit.note * 2)

    for _ in range(2):
        found, wanted = tracejit.jit(function)(X), function(X)
        same(found, wanted)
        same(found.note, wanted.note)
        assert found.slope == pytest.approx(1.0)


# SciPy's objects.


def test_scipys_distributions():
    stats = pytest.importorskip("scipy.stats")
    check(lambda x: stats.norm.cdf(x) * 2, X)
    check(lambda x: stats.norm(0.5, 2).pdf(x), X)
    check(lambda x: stats.norm.pdf(0.5, x.mean(), abs(x) + 1) + x, X)
    check(lambda x: stats.pearsonr(x, x**2).statistic + x, X)
    standard = stats.norm(0, 1)
    check(lambda x: x + standard.ppf(0.9) + standard.sf(x), X)


def test_scipys_distributions_draw_anew():
    stats = pytest.importorskip("scipy.stats")
    jitted = tracejit.jit(lambda x: x + stats.norm.rvs(size=12))
    np.random.seed(3)
    found = [jitted(X) for _ in range(3)]
    np.random.seed(3)
    for drawn in found:
        np.testing.assert_array_equal(drawn, X + stats.norm.rvs(size=12))
    given = tracejit.jit(lambda x, state: x + stats.norm.rvs(size=12, random_state=state))
    with pytest.raises(UnsupportedError, match="generator"):
        given(X, np.random.RandomState(3))


class Shape(ABC):
    @abstractmethod
    def area(self, x): ...


class Square(Shape):
    def area(self, x):
        return x * x + np.zeros(1)


def test_classes_with_an_abstract_base():
    def function(x):
        shape = Square()
        assert isinstance(shape, Shape) and issubclass(Square, Shape)
        assert not isinstance(x, Shape) and not isinstance(3, Shape) and not issubclass(int, Shape)
        return shape.area(x)

    check(function, X)


def test_scipys_interpolators():
    interpolate = pytest.importorskip("scipy.interpolate")
    grid = np.arange(12.0)
    outside = interpolate.CubicSpline(grid, grid**2)
    check(lambda x: outside(x) + outside.derivative()(x) + outside.c[0, 0], X)
    check(lambda x: interpolate.CubicSpline(grid, x)(0.5) + x, X)
    check(lambda x, y: interpolate.interp1d(x, y, kind="linear")(x[1:-1] + 0.01), X, X**2)


def test_scipys_sparse_matrices():
    sparse = pytest.importorskip("scipy.sparse")
    matrix = sparse.csr_matrix(np.eye(12) + np.eye(12, k=1))
    check(lambda x: matrix @ x + 1, X)
    check(lambda x: matrix.T @ x + (2 * matrix).dot(x) + matrix.shape[0], X)
    check(lambda x: x if sparse.issparse(x) else x * 2, X)
