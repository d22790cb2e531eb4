"""Fourier transforms side by side in lanes, against NumPy's in double precision."""

from __future__ import annotations

import numpy as np
import pytest
from combinations import each, pairs

from tracejit import jit, sizes
from tracejit.config import config

F = np.fft
# Of the largest modulus, in units of the last place of one; rounding errors grow with the steps.
BOUND = 6


def numbers(shape, dtype, seed=0):
    x = np.random.default_rng(seed).normal(size=(2, *shape))
    return (x[0] + 1j * x[1] if np.dtype(dtype).kind == "c" else x[0]).astype(dtype)


def agree(function, *args, bound=BOUND):
    """Near NumPy's result for the same numbers in double precision, and by the op."""
    jitted = jit(function, fallback="error")
    found, plain = jitted(*args), function(*args)
    assert (found.dtype, found.shape) == (plain.dtype, plain.shape)
    wide = [x.astype(np.result_type(x, np.float64)) for x in args]
    wanted = function(*wide)
    error = np.abs(found - wanted).max() / np.abs(wanted).max()
    assert error <= bound * np.finfo(found.dtype).eps
    assert is_in_lanes(jitted, *args)


def is_in_lanes(jitted, *args):
    return " fourier(" in str(jitted.trace(*args))


ONE = {
    "fft": ("c16", F.fft),
    "ifft": ("c16", F.ifft),
    "real fft": ("f8", F.fft),
    "real ifft": ("f8", F.ifft),
    "rfft": ("f8", F.rfft),
    "irfft": ("c16", F.irfft),
    "hfft": ("c16", F.hfft),
    "ihfft": ("f8", F.ihfft),
}
SINGLE = {"c16": "c8", "f8": "f4"}
# The others are made of these, but for their first or last step.
FIRST = ["fft", "ifft", "rfft", "irfft"]
OTHERS = [name for name in ONE if name not in FIRST]


def cases(*parameters):
    """Pairs for the transforms that are computed, and every value for those made of them."""
    return [*pairs(FIRST, *parameters), *each(OTHERS, *parameters)]


@pytest.mark.parametrize("name, n, precision", cases([4, 15, 64, 182, 512], ["double", "single"]))
def test_numbers_of_points(name, n, precision):
    dtype, function = ONE[name]
    dtype = dtype if precision == "double" else SINGLE[dtype]
    agree(lambda x: function(x, n), numbers((4000 // n + 11, n), dtype))


@pytest.mark.parametrize("name, axis", cases([0, 1, -1]))
def test_axes(name, axis):
    dtype, function = ONE[name]
    agree(lambda x: function(x, 20, axis=axis), numbers((24, 11, 30), dtype))


@pytest.mark.parametrize("name, n, rows", cases([3000, 4096], [1, 3]))
def test_one_of_many_points(name, n, rows):
    dtype, function = ONE[name]
    if rows == 1:
        agree(lambda x: function(x, n), numbers((n,), dtype))
    else:
        agree(lambda x: function(x, n), numbers((rows, n), SINGLE[dtype]), bound=2 * BOUND)


@pytest.mark.parametrize("name, norm", cases(["backward", "ortho", "forward"]))
def test_norms(name, norm):
    dtype, function = ONE[name]
    agree(lambda x: function(x, 48, norm=norm), numbers((60, 48), dtype))


@pytest.mark.parametrize("name", ["fft2", "ifft2", "rfft2", "fftn", "ifftn", "rfftn"])
def test_several_axes(name):
    function = getattr(F, name)
    dtype = "f8" if name.startswith("r") else "c16"
    agree(lambda x: function(x), numbers((6, 24, 40), dtype))
    agree(lambda x: function(x, (20, 50), (0, 1)), numbers((40, 30), SINGLE[dtype]))


@pytest.mark.parametrize("name", ["irfft2", "irfftn"])
def test_inverse_of_several_axes(name):
    function = getattr(F, name)
    agree(lambda x: function(x), F.rfft2(numbers((6, 24, 40), "f8")))
    agree(lambda x: function(x, (20, 90), (0, 1)), numbers((40, 60), "c16"))


@pytest.mark.parametrize("name, n", cases([30, 60]))
def test_more_and_fewer_points_than_given(name, n):
    dtype, function = ONE[name]
    agree(lambda x: function(x, n), numbers((70, 41), dtype))


VIEWS = [
    lambda x: x[::2, ::-1],
    lambda x: x.T,
    lambda x: x.swapaxes(0, 1),
    np.asfortranarray,
    lambda x: x[:, :, 1:9],
]


@pytest.mark.parametrize("name, view", each(["fft", "rfft", "irfft"], VIEWS))
def test_memory_of_any_layout(name, view):
    dtype, function = ONE[name]
    agree(lambda x: function(x, 24, axis=1), view(numbers((40, 36, 12), dtype)))


def test_imaginary_parts_that_real_numbers_have_not():
    """What a spectrum of real numbers has at both ends is real, whatever else stands there."""
    x = numbers((64, 17), "c16")
    is_end = np.isin(np.arange(17), (0, 16))
    assert np.array_equal(
        jit(lambda x: F.irfft(x))(x), jit(lambda x: F.irfft(x))(np.where(is_end, x.real, x))
    )
    agree(lambda x: F.irfft(x), x)


def test_whole_programs():
    def smoothed(x, kernel):
        return F.irfft(F.rfft(x) * F.rfft(kernel), x.shape[-1])

    def spectrum(x):
        return np.abs(F.rfft(x * np.hanning(x.shape[-1]))) ** 2

    for dtype in ("f4", "f8"):
        x, kernel = numbers((40, 256), dtype), numbers((256,), dtype, 1)
        agree(smoothed, x, kernel, bound=2 * BOUND)
        agree(spectrum, x, bound=2 * BOUND)
        agree(spectrum, x.ravel(), bound=2 * BOUND)


def test_numbers_that_are_not_finite_stay_in_their_transform():
    x = numbers((40, 64), "c16")
    x[3, 5], x[20, 0] = np.nan, np.inf
    found = jit(F.fft)(x)
    assert np.array_equal(np.isfinite(found).all(axis=1), np.isfinite(x).all(axis=1))


def test_what_is_for_numpy():
    """Few elements, large factors, strict numerics: NumPy's very bits."""
    for x in (numbers((3, 8), "c16"), numbers((40, 34), "c16"), numbers((1009,), "c16")):
        jitted = jit(lambda x: F.fft(x))
        assert not is_in_lanes(jitted, x)
        assert np.array_equal(jitted(x), F.fft(x))
    x = numbers((40, 64), "f4")
    with config.use(numerics="strict"):
        jitted = jit(lambda x: F.rfft(x))
        assert not is_in_lanes(jitted, x)
        assert np.array_equal(jitted(x), F.rfft(x))


@pytest.mark.parametrize("name", ["fft", "rfft", "irfft"])
def test_unknown_numbers_of_transforms(name, monkeypatch):
    """The points of each one are then beside each other in lanes."""
    monkeypatch.setattr(sizes, "CONCRETE_SHAPES", 1)
    dtype, function = ONE[name]
    for axis in (0, 1):
        jitted = jit(lambda x, axis=axis: function(x, 48, axis=axis))
        for count in (9, 10, 8, 30, 33, 1):
            x = numbers((count, 48), dtype)
            x = x if axis else np.ascontiguousarray(x.T)
            np.testing.assert_allclose(jitted(x), function(x, 48, axis=axis), atol=1e-13)
        assert jitted.cache_info().misses == 3


def test_transforms_in_loops():
    def f(x):
        for _ in range(3):
            x = F.ifft(F.fft(x) * 0.5)
        return x

    agree(f, numbers((40, 64), "c16"))


@pytest.mark.parametrize("dtype", ["c8", "c16"])
@pytest.mark.parametrize("shape", [(64, 64), (37, 100), (130, 9)])
def test_squares_of_complex_numbers(dtype, shape):
    """Rows become columns in registers."""
    x = numbers(shape, dtype)
    assert np.array_equal(jit(lambda x: np.ascontiguousarray(x.T))(x), x.T)
    assert np.array_equal(jit(lambda x: (x.T + 1).copy())(x), x.T + 1)


@pytest.mark.parametrize(
    "name, shape, axis", cases([(256, 1, 9), (800, 8, 1), (32, 1000, 1), (1000, 2)], [-1, -2])
)
def test_of_one_point_or_two(name, shape, axis):
    """Nothing is to be added in lanes, and no step is made of it."""
    dtype, function = ONE[name]
    if function in (F.irfft, F.hfft) and shape[axis] == 1:
        function = F.fft  # theirs would be of no points at all, which NumPy refuses
    x = numbers(shape, dtype)
    found = jit(lambda x: function(x, axis=axis))(x)
    np.testing.assert_allclose(found, function(x, axis=axis), 1e-12, 1e-12)
