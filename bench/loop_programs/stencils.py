"""Grids that step through time: each cell from its neighbours."""

from typing import Any

import numpy as np

from .record import LoopProgram

prange = range
jax: Any = None
jnp: Any = None
lax: Any = None


def jacobi_1d(u, steps):
    u = u.copy()
    for _ in range(steps):
        u[1:-1] = (u[:-2] + u[1:-1] + u[2:]) / 3
    return u


def jacobi_1d_numba(u, steps):
    u, new = u.copy(), u.copy()
    for _ in range(steps):
        for i in prange(1, u.size - 1):
            new[i] = (u[i - 1] + u[i] + u[i + 1]) / 3
        u, new = new, u
    return u


def jacobi_1d_jax(u, steps):
    def step(_, u):
        return u.at[1:-1].set((u[:-2] + u[1:-1] + u[2:]) / 3)

    return lax.fori_loop(0, steps, step, u)


def jacobi_2d(u, steps):
    """Laplace's equation between two grids."""
    u, new = u.copy(), u.copy()
    for _ in range(steps):
        new[1:-1, 1:-1] = 0.25 * (u[:-2, 1:-1] + u[2:, 1:-1] + u[1:-1, :-2] + u[1:-1, 2:])
        u, new = new, u
    return u


def jacobi_2d_numba(u, steps):
    u, new = u.copy(), u.copy()
    n, m = u.shape
    for _ in range(steps):
        for i in prange(1, n - 1):
            for j in range(1, m - 1):
                new[i, j] = 0.25 * (u[i - 1, j] + u[i + 1, j] + u[i, j - 1] + u[i, j + 1])
        u, new = new, u
    return u


def jacobi_2d_jax(u, steps):
    def step(_, u):
        near = u[:-2, 1:-1] + u[2:, 1:-1] + u[1:-1, :-2] + u[1:-1, 2:]
        return u.at[1:-1, 1:-1].set(0.25 * near)

    return lax.fori_loop(0, steps, step, u)


def jacobi_3d(u, steps):
    u = u.copy()
    for _ in range(steps):
        u[1:-1, 1:-1, 1:-1] = (
            u[:-2, 1:-1, 1:-1]
            + u[2:, 1:-1, 1:-1]
            + u[1:-1, :-2, 1:-1]
            + u[1:-1, 2:, 1:-1]
            + u[1:-1, 1:-1, :-2]
            + u[1:-1, 1:-1, 2:]
        ) / 6
    return u


def jacobi_3d_numba(u, steps):
    u, new = u.copy(), u.copy()
    n, m, p = u.shape
    for _ in range(steps):
        for i in prange(1, n - 1):
            for j in range(1, m - 1):
                for k in range(1, p - 1):
                    near = u[i - 1, j, k] + u[i + 1, j, k] + u[i, j - 1, k] + u[i, j + 1, k]
                    new[i, j, k] = (near + u[i, j, k - 1] + u[i, j, k + 1]) / 6
        u, new = new, u
    return u


def jacobi_3d_jax(u, steps):
    def step(_, u):
        near = u[:-2, 1:-1, 1:-1] + u[2:, 1:-1, 1:-1]
        near = near + u[1:-1, :-2, 1:-1] + u[1:-1, 2:, 1:-1]
        near = near + u[1:-1, 1:-1, :-2] + u[1:-1, 1:-1, 2:]
        return u.at[1:-1, 1:-1, 1:-1].set(near / 6)

    return lax.fori_loop(0, steps, step, u)


def heat(u, rate, steps):
    """Explicit diffusion, in place."""
    u = u.copy()
    for _ in range(steps):
        u[1:-1, 1:-1] += rate * (
            u[:-2, 1:-1] + u[2:, 1:-1] + u[1:-1, :-2] + u[1:-1, 2:] - 4.0 * u[1:-1, 1:-1]
        )
    return u


def heat_numba(u, rate, steps):
    u, new = u.copy(), u.copy()
    n, m = u.shape
    for _ in range(steps):
        for i in prange(1, n - 1):
            for j in range(1, m - 1):
                near = u[i - 1, j] + u[i + 1, j] + u[i, j - 1] + u[i, j + 1]
                new[i, j] = u[i, j] + rate * (near - 4.0 * u[i, j])
        u, new = new, u
    return u


def heat_jax(u, rate, steps):
    def step(_, u):
        inner = u[1:-1, 1:-1]
        near = u[:-2, 1:-1] + u[2:, 1:-1] + u[1:-1, :-2] + u[1:-1, 2:]
        return u.at[1:-1, 1:-1].set(inner + rate * (near - 4.0 * inner))

    return lax.fori_loop(0, steps, step, u)


def gauss_seidel(u, f, sweeps):
    """Poisson's equation; a cell sees what was already changed above and to the left."""
    u = u.copy()
    for _ in range(sweeps):
        for i in range(1, u.shape[0] - 1):
            for j in range(1, u.shape[1] - 1):
                near = u[i - 1, j] + u[i + 1, j] + u[i, j - 1] + u[i, j + 1]
                u[i, j] = 0.25 * (near - f[i, j])
    return u


def gauss_seidel_numba(u, f, sweeps):
    """What comes from the left is added last, so that a cell waits for one sum and one product."""
    u = u.copy()
    for _ in range(sweeps):
        for i in range(1, u.shape[0] - 1):
            left = u[i, 0]
            for j in range(1, u.shape[1] - 1):
                left = 0.25 * (u[i - 1, j] + u[i + 1, j] + u[i, j + 1] - f[i, j] + left)
                u[i, j] = left
    return u


def gauss_seidel_jax(u, f, sweeps):
    """A row at a time, itself a recurrence along the row."""

    def sweep(_, u):
        def row(above, lines):
            here, below, source = lines
            known = 0.25 * (above[1:-1] + below[1:-1] + here[2:] - source[1:-1])

            def cell(left, value):
                left = 0.25 * left + value
                return left, left

            inner = lax.scan(cell, here[0], known, unroll=16)[1]
            new = jnp.concatenate([here[:1], inner, here[-1:]])
            return new, new

        rows = lax.scan(row, u[0], (u[1:-1], u[2:], f[1:-1]))[1]
        return u.at[1:-1].set(rows)

    return lax.fori_loop(0, sweeps, sweep, u)


def alternating(u, rate, steps):
    """Implicit diffusion, half a step along rows and half a step along columns, all lines at once."""
    n = u.shape[0]
    pivot = np.zeros(n)
    for k in range(1, n - 1):
        pivot[k] = 1.0 / (1.0 + 2.0 * rate - rate * rate * pivot[k - 1])
    u = u.copy()
    new = u.copy()
    for _ in range(steps):
        second = u[:-2, 1:-1] - 2.0 * u[1:-1, 1:-1] + u[2:, 1:-1]
        new[1:-1, 1:-1] = u[1:-1, 1:-1] + rate * second
        for k in range(1, n - 1):
            new[1:-1, k] = (new[1:-1, k] + rate * new[1:-1, k - 1]) * pivot[k]
        for k in range(n - 2, 0, -1):
            new[1:-1, k] += rate * pivot[k] * new[1:-1, k + 1]
        second = new[1:-1, :-2] - 2.0 * new[1:-1, 1:-1] + new[1:-1, 2:]
        u[1:-1, 1:-1] = new[1:-1, 1:-1] + rate * second
        for k in range(1, n - 1):
            u[k, 1:-1] = (u[k, 1:-1] + rate * u[k - 1, 1:-1]) * pivot[k]
        for k in range(n - 2, 0, -1):
            u[k, 1:-1] += rate * pivot[k] * u[k + 1, 1:-1]
    return u


def alternating_numba(u, rate, steps):
    """Memory is walked in its order: along a row first where lines are rows, across rows where columns."""
    n = u.shape[0]
    pivot = np.zeros(n)
    for k in range(1, n - 1):
        pivot[k] = 1.0 / (1.0 + 2.0 * rate - rate * rate * pivot[k - 1])
    u = u.copy()
    new = u.copy()
    for _ in range(steps):
        for i in prange(1, n - 1):
            for k in range(1, n - 1):
                second = u[i - 1, k] - 2.0 * u[i, k] + u[i + 1, k]
                new[i, k] = u[i, k] + rate * second
            for k in range(1, n - 1):
                new[i, k] = (new[i, k] + rate * new[i, k - 1]) * pivot[k]
            for k in range(n - 2, 0, -1):
                new[i, k] += rate * pivot[k] * new[i, k + 1]
        for i in prange(1, n - 1):
            for k in range(1, n - 1):
                second = new[i, k - 1] - 2.0 * new[i, k] + new[i, k + 1]
                u[i, k] = new[i, k] + rate * second
        for k in range(1, n - 1):
            for j in range(1, n - 1):
                u[k, j] = (u[k, j] + rate * u[k - 1, j]) * pivot[k]
        for k in range(n - 2, 0, -1):
            for j in range(1, n - 1):
                u[k, j] += rate * pivot[k] * u[k + 1, j]
    return u


def alternating_jax(u, rate, steps):
    n = u.shape[0]

    def divide(before, _):
        value = 1.0 / (1.0 + 2.0 * rate - rate * rate * before)
        return value, value

    pivot = lax.scan(divide, 0.0, length=n - 2)[1]

    def solve(lines):
        """Implicit along the first axis; its first and last entries are given."""

        def down(before, line):
            value, scale = line
            value = (value + rate * before) * scale
            return value, value

        def up(after, line):
            value, scale = line
            value = value + rate * scale * after
            return value, value

        inner = lax.scan(down, lines[0], (lines[1:-1], pivot))[1]
        return lax.scan(up, lines[-1], (inner, pivot), reverse=True)[1]

    def step(_, u):
        second = u[:-2, 1:-1] - 2.0 * u[1:-1, 1:-1] + u[2:, 1:-1]
        u = u.at[1:-1, 1:-1].add(rate * second)
        u = u.at[1:-1, 1:-1].set(solve(u[1:-1].T).T)
        second = u[1:-1, :-2] - 2.0 * u[1:-1, 1:-1] + u[1:-1, 2:]
        u = u.at[1:-1, 1:-1].add(rate * second)
        return u.at[1:-1, 1:-1].set(solve(u[:, 1:-1]))

    return lax.fori_loop(0, steps, step, u)


def _grid(rank: int, steps: int, *values: float):
    def make(size: int, generator: np.random.Generator) -> tuple:
        return generator.normal(size=(size,) * rank), *values, steps

    return make


def _poisson(size: int, generator: np.random.Generator) -> tuple:
    return generator.normal(size=(size, size)), generator.normal(size=(size, size)), 20


PROGRAMS = (
    LoopProgram(
        "Jacobi 1-D", jacobi_1d, _grid(1, 500), 10_000, 20, jacobi_1d_jax, jacobi_1d_numba, 1e-13
    ),
    LoopProgram(
        "Jacobi 2-D", jacobi_2d, _grid(2, 101), 300, 9, jacobi_2d_jax, jacobi_2d_numba, 1e-13
    ),
    LoopProgram(
        "Jacobi 3-D", jacobi_3d, _grid(3, 20), 64, 7, jacobi_3d_jax, jacobi_3d_numba, 1e-13
    ),
    LoopProgram(
        "heat 2-D, 100 steps",
        heat,
        _grid(2, 100, 0.1),
        500,
        9,
        heat_jax,
        heat_numba,
        1e-13,
        passes=100,
    ),
    # What no cache holds.
    LoopProgram(
        "Jacobi 1-D in memory",
        jacobi_1d,
        _grid(1, 40),
        3_000_000,
        20,
        jacobi_1d_jax,
        jacobi_1d_numba,
        1e-13,
    ),
    LoopProgram(
        "Jacobi 2-D in memory",
        jacobi_2d,
        _grid(2, 16),
        1800,
        9,
        jacobi_2d_jax,
        jacobi_2d_numba,
        1e-13,
    ),
    LoopProgram(
        "Jacobi 3-D in memory",
        jacobi_3d,
        _grid(3, 6),
        160,
        7,
        jacobi_3d_jax,
        jacobi_3d_numba,
        1e-13,
    ),
    LoopProgram(
        "Gauss-Seidel",
        gauss_seidel,
        _poisson,
        200,
        8,
        gauss_seidel_jax,
        gauss_seidel_numba,
        1e-13,
    ),
    LoopProgram(
        "alternating directions",
        alternating,
        _grid(2, 10, 0.5),
        300,
        8,
        alternating_jax,
        alternating_numba,
        1e-12,
    ),
)
