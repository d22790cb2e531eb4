"""Programs around LAPACK, Fourier transforms and sorting, which every peer leaves to a library."""

from collections.abc import Iterator

import numpy as np

from ..harness import Case
from ..program import Program
from .arrays import Settings, array_cases

prange = range


def solve(a, b):
    """Many 3 x 3 systems."""
    return np.linalg.solve(a, b[..., None])[..., 0] * 2.0


def solve_loop(a, b):
    out = np.empty_like(b)
    for i in prange(a.shape[0]):
        out[i] = np.linalg.solve(a[i], b[i]) * 2.0
    return out


def inverse(a, b):
    """Many 3 x 3 inverses, and what they do to a vector."""
    return np.sum(np.linalg.inv(a) * b[:, None, :], axis=-1)


def inverse_loop(a, b):
    out = np.empty_like(b)
    for i in prange(a.shape[0]):
        inverted = np.linalg.inv(a[i])
        for row in range(a.shape[1]):
            out[i, row] = np.sum(inverted[row] * b[i])
    return out


def whiten(x):
    """The Cholesky factor of a covariance."""
    centred = x - np.mean(x, axis=0)
    return np.linalg.cholesky(centred.T @ centred / x.shape[0])


def whiten_loop(x):
    centred = np.empty_like(x)
    for j in prange(x.shape[1]):
        centred[:, j] = x[:, j] - np.mean(x[:, j])
    return np.linalg.cholesky(np.dot(centred.T, centred) / x.shape[0])


def smooth(x, kernel):
    """A convolution of rows by Fourier transforms."""
    return np.fft.irfft(np.fft.rfft(x) * np.fft.rfft(kernel), x.shape[-1])


def spectrum(x):
    return np.abs(np.fft.rfft(x)) ** 2


def ordered(x):
    """Rows in the order of their first elements."""
    return x[np.argsort(x[:, 0])]


def ordered_loop(x):
    return x[np.argsort(x[:, 0])]


def ranked(x):
    return np.sort(x) * 2.0


def ranked_loop(x):
    return np.sort(x) * 2.0


def middle(x):
    return np.median(np.abs(x - 0.5))


def middle_loop(x):
    return np.median(np.abs(x - 0.5))


def _systems(elements: int, dtype: np.dtype, generator: np.random.Generator) -> tuple:
    count = max(elements // 12, 1)
    a = generator.normal(size=(count, 3, 3)) + 4 * np.eye(3)
    return a.astype(dtype), generator.normal(size=(count, 3)).astype(dtype)


def _tall(elements: int, dtype: np.dtype, generator: np.random.Generator) -> tuple:
    return (generator.normal(size=(elements // 32, 32)).astype(dtype),)


def _signals(elements: int, dtype: np.dtype, generator: np.random.Generator) -> tuple:
    rows = max(elements // 1024, 1)
    return tuple(generator.normal(size=shape).astype(dtype) for shape in ((rows, 1024), (1024,)))


def _vector(elements: int, dtype: np.dtype, generator: np.random.Generator) -> tuple:
    return (generator.normal(size=elements).astype(dtype),)


def _rows(elements: int, dtype: np.dtype, generator: np.random.Generator) -> tuple:
    return (generator.normal(size=(elements // 8, 8)).astype(dtype),)


PROGRAMS = (
    Program("solve 3 x 3", solve, _systems, solve_loop),
    Program("inverse 3 x 3", inverse, _systems, inverse_loop),
    Program("Cholesky of a covariance", whiten, _tall, whiten_loop),
    Program("convolution of rows", smooth, _signals),
    Program("power spectrum", spectrum, _vector),
    Program("sort", ranked, _vector, ranked_loop),
    Program("argsort and gather", ordered, _rows, ordered_loop),
    Program("median", middle, _vector, middle_loop),
)


def cases(settings: Settings) -> Iterator[Case]:
    """Every program at every size and dtype."""
    return array_cases("library", PROGRAMS, settings)
