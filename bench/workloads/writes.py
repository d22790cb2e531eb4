"""Programs that write: stencils in place, arrays filled by parts, updates of the caller's arrays."""

from collections.abc import Iterator

import numpy as np

from ..harness import Case
from ..program import Program
from .arrays import Settings, array_cases

prange = range
STEPS = 10


def heat(u):
    """Ten steps of explicit diffusion; each is evaluated before it is written, as NumPy does."""
    u = u.copy()
    for _ in range(STEPS):
        u[1:-1, 1:-1] += 0.1 * (
            u[:-2, 1:-1] + u[2:, 1:-1] + u[1:-1, :-2] + u[1:-1, 2:] - 4.0 * u[1:-1, 1:-1]
        )
    return u


def heat_loop(u):
    u, new = u.copy(), u.copy()
    for _ in range(STEPS):
        for i in prange(1, u.shape[0] - 1):
            for j in range(1, u.shape[1] - 1):
                new[i, j] = u[i, j] + 0.1 * (
                    u[i - 1, j] + u[i + 1, j] + u[i, j - 1] + u[i, j + 1] - 4.0 * u[i, j]
                )
        u, new = new, u
    return u


def points(radius, angle, height):
    """Cylindrical to Cartesian coordinates, a column each."""
    out = np.empty((radius.size, 3), radius.dtype)
    out[:, 0] = radius * np.cos(angle)
    out[:, 1] = radius * np.sin(angle)
    out[:, 2] = height
    return out


def points_loop(radius, angle, height):
    out = np.empty((radius.size, 3), radius.dtype)
    for i in prange(radius.size):
        out[i, 0] = radius[i] * np.cos(angle[i])
        out[i, 1] = radius[i] * np.sin(angle[i])
        out[i, 2] = height[i]
    return out


def gradient(x):
    """Central differences inside, one-sided ones at the ends."""
    out = np.zeros_like(x)
    out[1:-1] = (x[2:] - x[:-2]) * 0.5
    out[0] = x[1] - x[0]
    out[-1] = x[-1] - x[-2]
    return out


def gradient_loop(x):
    out = np.zeros_like(x)
    for i in prange(1, x.size - 1):
        out[i] = (x[i + 1] - x[i - 1]) * 0.5
    out[0] = x[1] - x[0]
    out[-1] = x[-1] - x[-2]
    return out


def clamped(x, low, high):
    """Into the same memory again and again: it changes nothing after the first time."""
    x[x < low] = low
    x[x > high] = high
    return x


def clamped_loop(x, low, high):
    for i in prange(x.size):
        if x[i] < low:
            x[i] = low
        elif x[i] > high:
            x[i] = high
    return x


def _square(elements: int, dtype: np.dtype, generator: np.random.Generator) -> tuple:
    side = int(elements**0.5)
    return (generator.normal(size=(side, side)).astype(dtype),)


def _columns(elements: int, dtype: np.dtype, generator: np.random.Generator) -> tuple:
    return tuple(generator.uniform(0.5, 3.0, elements // 3).astype(dtype) for _ in range(3))


def _vector(elements: int, dtype: np.dtype, generator: np.random.Generator) -> tuple:
    return (generator.normal(size=elements).astype(dtype),)


def _limited(elements: int, dtype: np.dtype, generator: np.random.Generator) -> tuple:
    return (*_vector(elements, dtype, generator), dtype.type(-1), dtype.type(1))


PROGRAMS = (
    Program("diffusion in place, 10 steps", heat, _square, heat_loop),
    Program("an array by columns", points, _columns, points_loop),
    Program("inside and ends", gradient, _vector, gradient_loop),
    Program("x[x < a] = a, in place", clamped, _limited, clamped_loop),
)


def cases(settings: Settings) -> Iterator[Case]:
    """Every program at every size and dtype; JAX has no writes, so its column stays empty."""
    return array_cases("writes", PROGRAMS, settings)
