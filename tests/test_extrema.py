"""The place of the least or greatest element of short rows, found in one sweep."""

import numpy as np
import pytest

import tracejit
from tracejit.ir.graph import Kernel
from tracejit.ir.tensor import For, statements

SPECIAL = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0])


def rows(dtype: str, length: int) -> np.ndarray:
    """Rows with many ties and, of floats, with special values."""
    generator = np.random.default_rng(length)
    if np.dtype(dtype).kind == "f":
        return generator.choice(SPECIAL, size=(400, length)).astype(dtype)
    limits = np.iinfo(dtype)
    chosen = np.array([limits.min, limits.max, 0, 1], dtype)
    return generator.choice(chosen, size=(400, length))


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", "i4", "i8", "u8", "u1", "?"])
@pytest.mark.parametrize("length", [1, 2, 5, 16, 32, 33])
@pytest.mark.parametrize("find", [np.argmin, np.argmax])
def test_as_numpy(find, dtype, length):
    x = rows("i4", length) > 0 if dtype == "?" else rows(dtype, length)
    function = tracejit.jit(lambda x: find(x, axis=1))
    np.testing.assert_array_equal(function(x), find(x, axis=1))
    np.testing.assert_array_equal(function(x[::-1, ::-1]), find(x[::-1, ::-1], axis=1))
    same = np.full_like(x, x.max() if length else 0)
    np.testing.assert_array_equal(function(same), np.zeros(len(x), int))


def test_what_else_reads_the_row_and_the_extreme():
    def both(x):
        y = np.exp(x)
        at = np.argmax(y, axis=1)
        return at, np.max(y, axis=1), y / np.max(y, axis=1, keepdims=True)

    x = np.random.default_rng(0).normal(size=(100, 7))
    for found, expected in zip(tracejit.jit(both)(x), both(x)):
        np.testing.assert_allclose(found, expected, rtol=1e-14)


def test_one_hot():
    def nearest(points, centres):
        difference = points[:, None] - centres
        at = np.argmin(np.sum(difference * difference, axis=2), axis=1)
        return at[:, None] == np.arange(len(centres))

    generator = np.random.default_rng(0)
    points, centres = generator.normal(size=(200, 3)), generator.normal(size=(9, 3))
    points[3] = np.nan
    np.testing.assert_array_equal(tracejit.jit(nearest)(points, centres), nearest(points, centres))


@pytest.mark.parametrize(("length", "sweeps"), [(10, 1), (100, 3)])
def test_short_rows_are_swept_once(length, sweeps):
    """Longer ones twice, and once more where there is a nan."""
    module = tracejit.jit(lambda x: np.argmin(x, axis=1)).lower(np.ones((1000, length))).module
    loops = [
        s
        for f in module.functions
        if isinstance(f, Kernel)
        for s in statements(f.body)
        if isinstance(s, For) and not any(isinstance(inner, For) for inner in s.body)
    ]
    assert len(loops) == sweeps


@pytest.mark.parametrize("n", [(3 << 13) - 1, 3 << 13, (3 << 13) + 1, 50_000])
@pytest.mark.parametrize("dtype", ["f8", "f4", "i4", "?"])
def test_positions_in_long_vectors_are_the_first(n, dtype):
    """Such a vector is looked at in parts, of which the last may overlap the one before."""
    rng = np.random.default_rng(4)
    largest, smallest = (tracejit.jit(lambda x, f=f: f(x)) for f in (np.argmax, np.argmin))
    kept = tracejit.jit(lambda x: np.argmax(x.reshape(2, -1, 1), keepdims=True))
    for case in range(8):
        x = rng.integers(0, 40, n).astype(dtype)
        if case == 1:
            x[:] = 3
        elif case == 2:
            x[-1] = x.max() + (dtype != "?")
        elif case == 3:
            x[[n // 2, n - 3]] = -5
        elif case == 4 and dtype[0] == "f":
            x[rng.integers(0, n, 3)] = np.nan
        elif case == 5 and dtype[0] == "f":
            x[:] = -np.inf
        elif case == 6:
            x[n - 1024 : n - 1000] = 0
        assert largest(x) == np.argmax(x) and type(largest(x)) is np.int64
        assert smallest(x) == np.argmin(x)
        if n % 2 == 0:
            wanted = np.argmax(x.reshape(2, -1, 1), keepdims=True)
            np.testing.assert_array_equal(kept(x), wanted, strict=True)
