"""Short axes taken apart: geometry in arrays of points is computed without arrays of all pairs' vectors."""

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest

import tracejit
from tracejit.ir.graph import Kernel
from tracejit.lower.graph.components import split_components


def forces(x, m):
    d = x[None] - x[:, None]
    s = np.sum(d * d, axis=-1) + 0.01
    return np.sum((m / (s * np.sqrt(s)))[:, :, None] * d, axis=1)


def nearest(x, centres):
    d = x[:, None] - centres
    return np.argmin(np.sum(d * d, axis=2), axis=1)


def radius(x):
    return np.max(np.sqrt(np.sum((x - np.mean(x, axis=0)) ** 2, axis=1)))


def widest(x, y):
    return np.max(np.max(np.abs(x[:, None] - y), axis=2), axis=0)


def volumes(x):
    return np.sum(np.prod(np.abs(x) + 1, axis=1))


def inside(x, y):
    return np.count_nonzero(np.all(x[:, None] < y, axis=-1), axis=1)


def leading(x, y):
    """The short axis comes first."""
    d = x.T[:, :, None] - y.T[:, None, :]
    s = np.sum(d * d, axis=0)
    return np.sum(s * d, axis=2)


PROGRAMS = (forces, nearest, widest, inside, leading)


def arguments(function, n, m, extent, dtype, generator):
    x = generator.normal(size=(n, extent)).astype(dtype)
    if function is forces:
        return x, generator.uniform(1, 2, n).astype(dtype)
    return (x,) if function in (radius, volumes) else (x, x[:1] + x[: max(m, 1)])


@pytest.mark.parametrize("function", [*PROGRAMS, radius, volumes])
@pytest.mark.parametrize("extent", [2, 3, 8])
def test_as_numpy(function, extent):
    for dtype in ("f4", "f8"):
        given = arguments(function, 37, 21, extent, dtype, np.random.default_rng(extent))
        found, expected = tracejit.jit(function)(*given), function(*given)
        assert found.dtype == expected.dtype and found.shape == expected.shape
        np.testing.assert_allclose(found, expected, rtol=3e-5 if dtype == "f4" else 1e-12)


@pytest.mark.parametrize("function", PROGRAMS)
def test_no_vector_of_all_pairs_is_stored(function):
    given = arguments(function, 64, 48, 3, "f8", np.random.default_rng(0))
    module = tracejit.jit(function).lower(*given).module
    buffers = [b for f in module.functions if isinstance(f, Kernel) for b in f.parameters]
    assert max(len(b.type.shape) for b in buffers) == 2


def test_long_or_stored_axes_are_left():
    def squares(x):
        return np.sum(np.sum(x * x, axis=1) ** 2)

    def sums(x):
        return np.sum(np.sum(x, axis=1) ** 2)

    for function, extent, expected in ((squares, 3, True), (squares, 9, False), (sums, 3, False)):
        traced = tracejit.jit(function).trace(np.ones((30, extent)))
        assert ("slice" in str(split_components(traced.module))) == expected


def test_special_values():
    x = np.array([[np.nan, 1, 2], [np.inf, -np.inf, 0], [-0.0, 0.0, 0.0], [1, 2, 3]])
    with np.errstate(all="ignore"):
        for function in (nearest, widest):
            np.testing.assert_array_equal(tracejit.jit(function)(x, x), function(x, x))


@hypothesis.given(
    st.sampled_from(PROGRAMS),
    st.integers(0, 9),
    st.integers(1, 9),
    st.integers(1, 9),
    st.sampled_from(["f4", "f8", "i4", "u1", "c16"]),
)
@hypothesis.settings(deadline=None, max_examples=40)
def test_every_extent_and_dtype(function, n, m, extent, dtype):
    generator = np.random.default_rng(n)
    given = arguments(function, n, m, extent, dtype, generator)

    def outcome(f):
        try:
            with np.errstate(all="ignore"):
                return f(*given)
        except Exception as error:  # noqa: BLE001  whatever NumPy raises
            return type(error)

    found, expected = outcome(tracejit.jit(function)), outcome(function)
    if isinstance(expected, type):
        assert found is expected
    else:
        assert found.dtype == expected.dtype
        np.testing.assert_allclose(found, expected, rtol=1e-4 if dtype == "f4" else 1e-9)
