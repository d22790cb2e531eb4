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
