"""Sums of what masks select, and running extrema: NumPy's own bits, without Python."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from test_linalg import agree, calls_of_python

from tracejit import jit

SUMS = [
    lambda x: x[x > 0.5].mean(),
    lambda x: np.sum(np.sqrt(x[x > 0]) * 2 + 1),
    lambda x: np.prod(x[np.abs(x) > 0.9]),
    lambda x: x[x < -9].mean(),
    lambda x: (x[x > 0] + x[x > 0] ** 2).sum(),
]


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("number", range(len(SUMS)))
def test_sums_of_what_is_selected_in_numpys_order(number, dtype):
    compiled = jit(SUMS[number], numerics="strict")
    for shape in [(10,), (1000,), (10007,), (40, 50), (0,)]:
        x = np.random.default_rng(1).normal(size=shape).astype(dtype)
        for view in (x, np.asfortranarray(x), x[::-1]):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                agree(compiled(view), SUMS[number](view))
        assert not calls_of_python(compiled, x)


@pytest.mark.parametrize("dtype", ["f4", "f8", "f2", "i4", "u1", "?", "c16"])
@pytest.mark.parametrize("ufunc", [np.maximum, np.minimum])
def test_running_extrema(ufunc, dtype):
    for shape in [(1000,), (40, 33), (3, 0), (1,)]:
        x = (np.random.default_rng(2).normal(size=shape) * 20).astype(dtype)
        if x.dtype.kind == "f" and x.size > 5:
            x.flat[x.size // 2] = np.nan
        for axis in (0, -1):
            compiled = jit(lambda x, axis=axis: ufunc.accumulate(x, axis=axis))
            np.testing.assert_array_equal(compiled(x), ufunc.accumulate(x, axis=axis))
            assert not calls_of_python(compiled, x)


TOTALS = [
    lambda x: x[x.real > 0].sum(),
    lambda x: x[x.real > 0].sum(keepdims=True),
    lambda x: x[x.real > 0].sum(initial=3.5),
    lambda x: x[x.real > 0].sum(dtype=np.complex128),
    lambda x: x[x.real > 0].prod(),
    lambda x: x[x.real > 0].mean(),
    lambda x: np.var(x[x.real > 0]),
    lambda x: np.nansum(x[x.real > 0]),
    lambda x: x.reshape(-1, 5)[x[:47].real > 0].sum(),
    lambda x: x.reshape(-1, 5)[x[:47].real > 0].sum(axis=0),
    lambda x: np.sum(x, where=x.real > 0),
]


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", "c8", "c16", "i4"])
@pytest.mark.parametrize("number", range(len(TOTALS)))
def test_totals_of_all_kinds_are_numpys(number, dtype):
    values = np.random.default_rng(number).normal(size=235) * 3
    x = (values + 1j * values[::-1] if dtype[0] == "c" else values).astype(dtype)
    compiled = jit(TOTALS[number], numerics="strict")
    for given in (x, -x[::-1].copy(), x):
        wanted, found = TOTALS[number](given), compiled(given)
        assert type(found) is type(wanted) and found.dtype == wanted.dtype
        np.testing.assert_array_equal(found, wanted)
