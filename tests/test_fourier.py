"""numpy.fft compiled: NumPy's own loops, so its very bits, shapes, dtypes and errors."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from combinations import pairs
from test_linalg import check, matrices

from tracejit import jit
from tracejit.config import config

F = np.fft
ONE = ["fft", "ifft", "rfft", "irfft", "hfft", "ihfft"]
SEVERAL = ["fft2", "ifft2", "fftn", "ifftn", "rfft2", "irfft2", "rfftn", "irfftn"]
DTYPES = ["?", "u1", "i8", "f2", "f4", "f8", "c8", "c16"]


@pytest.fixture(autouse=True)
def quietly():
    with warnings.catch_warnings(), config.use(numerics="strict"):
        warnings.simplefilter("ignore")  # of complex numbers made real
        yield


@pytest.mark.parametrize(
    "name, dtype, shape, options",
    pairs(ONE, DTYPES, [(12,), (3, 7), (2, 3, 1), (0, 4)], [{}, {"axis": 0}]),
)
def test_along_one_axis(name, dtype, shape, options):
    function = getattr(F, name)
    check(lambda x: function(x, **options), matrices(shape, dtype))


@pytest.mark.parametrize(
    "name, n, norm, dtype",
    pairs(
        ONE,
        [None, 1, 5, 8, 20],
        [None, "backward", "ortho", "forward"],
        ["f4", "f8", "c8", "c16"],
    ),
)
def test_norms_and_numbers_of_points(name, n, norm, dtype):
    function = getattr(F, name)
    check(lambda x: function(x, n, norm=norm), matrices((2, 8), dtype))


HOW = [
    {},
    {"axes": (2, 0)},
    {"s": (7, 3), "axes": (0, 1), "norm": "ortho"},
    {"s": (2, -1), "axes": (1, 0), "norm": "forward"},
]


@pytest.mark.parametrize("name, dtype, how", pairs(SEVERAL, ["i4", "f4", "f8", "c16"], HOW))
def test_along_several_axes(name, dtype, how):
    function = getattr(F, name)
    check(lambda x: function(x, **how), matrices((4, 5, 6), dtype))


@pytest.mark.parametrize("name", ONE)
def test_of_memory_of_any_layout(name):
    function = getattr(F, name)
    x = matrices((4, 6, 10), "f8")
    for view in (x[::2, :, ::-1], x.T, x[:, ::3].swapaxes(0, 1), np.asfortranarray(x)):
        check(lambda x: function(x), view)


@pytest.mark.parametrize(
    "function",
    [
        lambda x: F.fft(x, 0),
        lambda x: F.fft(x, -3),
        lambda x: F.fft(x, norm="other"),
        lambda x: F.ifft(x, norm="other"),
        lambda x: F.hfft(x, norm="other"),
        lambda x: F.fft(x, axis=2),
        lambda x: F.irfft(x[:, :1]),
        lambda x: F.fft2(x[0]),
        lambda x: F.fftn(x, s=(2, 3), axes=(0,)),
    ],
)
def test_what_numpy_refuses(function):
    assert check(function, matrices((3, 4), "c16")) is None


def test_special_values():
    x = np.array([1.0, np.nan, np.inf, -0.0, 0.0, -np.inf, 3.0, 1e308])
    for name in ONE:
        check(lambda x, name=name: getattr(F, name)(x), x)


def test_frequencies_and_shifts():
    check(lambda x: F.fftfreq(x.shape[0], 0.1) * x, np.arange(9.0))
    check(lambda x: F.rfftfreq(9) * x[:5], np.arange(9.0))
    check(lambda x: F.fftshift(F.fft(x)), np.arange(9.0))


def test_a_convolution_in_stacks_for_threads():
    def function(x, kernel):
        spectrum = F.rfft(x) * F.rfft(kernel, x.shape[-1])
        return F.irfft(spectrum, x.shape[-1])

    x, kernel = matrices((7, 40, 512), "f8"), matrices((31,), "f8")
    wanted, actual = function(x, kernel), jit(function)(x, kernel)
    np.testing.assert_allclose(actual, wanted, atol=1e-12)
    check(lambda x: F.fft(x), x)
    check(lambda x: F.fft(x, axis=1), x)


def test_sizes_that_change_compile_once():
    compiled = jit(lambda x: F.fft(x) * 2)
    for n in (20, 21, 22, 23, 24, 27, 1000):
        x = matrices((n,), "f8")
        np.testing.assert_array_equal(compiled(x), F.fft(x) * 2)
    assert compiled.cache_info().misses == 4


@pytest.mark.parametrize("shape", [(0,), (3, 0)])
def test_transforms_of_nothing_are_of_zeros(shape):
    x = np.zeros(shape, np.float32)
    for function in (
        lambda x: np.fft.fft(x, n=4),
        lambda x: np.fft.rfft(x, n=3),
        lambda x: np.fft.irfft(x, n=4),
        lambda x: np.fft.irfft2(x, s=(4,), axes=(-1,)),
    ):
        found, wanted = jit(function)(x), function(x)
        assert (found.dtype, found.shape) == (wanted.dtype, wanted.shape)
        np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("name", ["irfft", "hfft"])
def test_half_precision_of_many_rows(name):
    """Transforms side by side, in single precision, give what NumPy's loops do: half precision."""
    x = matrices((64, 64), "f2")
    for keywords in ({}, {"axis": 0}, {"n": 9}, {"norm": "ortho"}):
        wanted = getattr(F, name)(x, **keywords)
        got = jit(lambda x: getattr(F, name)(x, **keywords), numerics="default")(x)
        assert got.dtype == wanted.dtype == np.float16
        np.testing.assert_allclose(got, wanted, rtol=2e-2, atol=2e-2)
