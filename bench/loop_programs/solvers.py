"""Linear systems, sparse products and shortest paths, with extents that depend on the loop."""

from typing import Any

import numpy as np

from .record import LoopProgram

prange = range
jax: Any = None
jnp: Any = None
lax: Any = None


def solve_by_rows(a, b):
    """Forward substitution: each unknown takes a dot product with those before it."""
    x = np.zeros_like(b)
    for i in range(b.size):
        x[i] = (b[i] - a[i, :i] @ x[:i]) / a[i, i]
    return x


def solve_by_rows_numba(a, b):
    x = np.empty_like(b)
    for i in range(b.size):
        total = 0.0
        for j in range(i):
            total += a[i, j] * x[j]
        x[i] = (b[i] - total) / a[i, i]
    return x


def solve_by_rows_jax(a, b):
    def step(i, x):
        return x.at[i].set((b[i] - a[i] @ x) / a[i, i])

    return lax.fori_loop(0, b.size, step, jnp.zeros_like(b))


def solve_by_columns(a, b):
    """Forward substitution: each unknown is taken out of the equations after it."""
    x = b.copy()
    for j in range(b.size):
        x[j] /= a[j, j]
        x[j + 1 :] -= a[j + 1 :, j] * x[j]
    return x


def solve_by_columns_numba(a, b):
    x = b.copy()
    for j in range(b.size):
        x[j] /= a[j, j]
        for i in range(j + 1, b.size):
            x[i] -= a[i, j] * x[j]
    return x


def solve_by_columns_jax(a, b):
    """Whole columns, zeros above the diagonal included, of which JAX keeps the rows."""
    rows = a.T

    def step(j, state):
        x, rest = state
        value = rest[j] / rows[j, j]
        return x.at[j].set(value), rest - rows[j] * value

    return lax.fori_loop(0, b.size, step, (jnp.zeros_like(b), b))[0]


def lu(a):
    """Without pivoting, both factors in one matrix."""
    a = a.copy()
    for k in range(a.shape[0] - 1):
        a[k + 1 :, k] /= a[k, k]
        a[k + 1 :, k + 1 :] -= np.outer(a[k + 1 :, k], a[k, k + 1 :])
    return a


def lu_numba(a):
    a = a.copy()
    n = a.shape[0]
    for k in range(n - 1):
        for i in prange(k + 1, n):
            factor = a[i, k] / a[k, k]
            a[i, k] = factor
            for j in range(k + 1, n):
                a[i, j] -= factor * a[k, j]
    return a


def lu_jax(a):
    places = jnp.arange(a.shape[0])

    def step(k, a):
        after = places > k
        column = jnp.where(after, a[:, k] / a[k, k], 0.0)
        row = jnp.where(after, a[k], 0.0)
        a = a - column[:, None] * row
        return a.at[:, k].set(jnp.where(after, column, a[:, k]))

    return lax.fori_loop(0, a.shape[0] - 1, step, a)


def cholesky(a):
    factor = np.zeros_like(a)
    for j in range(a.shape[0]):
        done = factor[j, :j]
        factor[j, j] = np.sqrt(a[j, j] - done @ done)
        factor[j + 1 :, j] = (a[j + 1 :, j] - factor[j + 1 :, :j] @ done) / factor[j, j]
    return factor


def cholesky_numba(a):
    factor = np.zeros_like(a)
    n = a.shape[0]
    for j in range(n):
        total = a[j, j]
        for k in range(j):
            total -= factor[j, k] * factor[j, k]
        factor[j, j] = np.sqrt(total)
        for i in prange(j + 1, n):
            total = a[i, j]
            for k in range(j):
                total -= factor[i, k] * factor[j, k]
            factor[i, j] = total / factor[j, j]
    return factor


def cholesky_jax(a):
    """Columns not reached yet hold zeros, so whole rows may be multiplied."""
    places = jnp.arange(a.shape[0])

    def step(j, factor):
        column = a[:, j] - factor @ factor[j]
        column = jnp.where(places >= j, column / jnp.sqrt(column[j]), 0.0)
        return factor.at[:, j].set(column)

    return lax.fori_loop(0, a.shape[0], step, jnp.zeros_like(a))


def thomas(a, b, c, d):
    """A tridiagonal system, or many side by side along the second axis."""
    n = d.shape[0]
    upper = np.empty_like(d)
    x = np.empty_like(d)
    upper[0] = c[0] / b[0]
    x[0] = d[0] / b[0]
    for i in range(1, n):
        pivot = b[i] - a[i] * upper[i - 1]
        upper[i] = c[i] / pivot
        x[i] = (d[i] - a[i] * x[i - 1]) / pivot
    for i in range(n - 2, -1, -1):
        x[i] -= upper[i] * x[i + 1]
    return x


def thomas_numba(a, b, c, d):
    n = d.size
    upper, x = np.empty(n), np.empty(n)
    factor, value = c[0] / b[0], d[0] / b[0]
    upper[0], x[0] = factor, value
    for i in range(1, n):
        scale = 1.0 / (b[i] - a[i] * factor)
        factor, value = c[i] * scale, (d[i] - a[i] * value) * scale
        upper[i], x[i] = factor, value
    for i in range(n - 2, -1, -1):
        value = x[i] - upper[i] * value
        x[i] = value
    return x


def thomas_many_numba(a, b, c, d):
    n, count = d.shape
    upper, x = np.empty_like(d), np.empty_like(d)
    for k in range(count):
        upper[0, k], x[0, k] = c[0, k] / b[0, k], d[0, k] / b[0, k]
    for i in range(1, n):
        for k in range(count):
            scale = 1.0 / (b[i, k] - a[i, k] * upper[i - 1, k])
            upper[i, k] = c[i, k] * scale
            x[i, k] = (d[i, k] - a[i, k] * x[i - 1, k]) * scale
    for i in range(n - 2, -1, -1):
        for k in range(count):
            x[i, k] -= upper[i, k] * x[i + 1, k]
    return x


def thomas_jax(a, b, c, d):
    def down(state, line):
        factor, value = state
        a, b, c, d = line
        pivot = b - a * factor
        state = c / pivot, (d - a * value) / pivot
        return state, state

    def up(value, line):
        factor, x = line
        value = x - factor * value
        return value, value

    zeros = jnp.zeros_like(d[0])
    lines = lax.scan(down, (zeros, zeros), (a, b, c, d))[1]
    return lax.scan(up, zeros, lines, reverse=True)[1]


def sparse_by_slices(start, columns, values, x):
    """Compressed rows, each a slice."""
    y = np.zeros(start.size - 1)
    for i in range(start.size - 1):
        row = columns[start[i] : start[i + 1]]
        y[i] = values[start[i] : start[i + 1]] @ x[row]
    return y


def sparse_by_elements(start, columns, values, x):
    y = np.zeros(start.size - 1)
    for i in range(start.size - 1):
        total = 0.0
        for k in range(start[i], start[i + 1]):
            total += values[k] * x[columns[k]]
        y[i] = total
    return y


def sparse_numba(start, columns, values, x):
    y = np.empty(start.size - 1)
    for i in prange(start.size - 1):
        total = 0.0
        for k in range(start[i], start[i + 1]):
            total += values[k] * x[columns[k]]
        y[i] = total
    return y


def sparse_jax(start, columns, values, x):
    count = start.size - 1
    rows = jnp.repeat(jnp.arange(count), jnp.diff(start), total_repeat_length=values.size)
    return jax.ops.segment_sum(values * x[columns], rows, count, indices_are_sorted=True)


def shortest_paths(distance):
    """Floyd and Warshall's."""
    distance = distance.copy()
    for k in range(distance.shape[0]):
        distance = np.minimum(distance, distance[:, k, None] + distance[k])
    return distance


def shortest_paths_numba(distance):
    """In place: the row and the column of k are what they were."""
    distance = distance.copy()
    n = distance.shape[0]
    for k in range(n):
        for i in prange(n):
            first = distance[i, k]
            for j in range(n):
                distance[i, j] = min(distance[i, j], first + distance[k, j])
    return distance


def shortest_paths_jax(distance):
    def step(k, distance):
        return jnp.minimum(distance, distance[:, k, None] + distance[k])

    return lax.fori_loop(0, distance.shape[0], step, distance)


def _lower(size: int, generator: np.random.Generator) -> tuple:
    matrix = np.tril(generator.normal(size=(size, size))) / size
    matrix[np.diag_indices(size)] = generator.uniform(1.0, 2.0, size)
    return matrix, generator.normal(size=size)


def _lower_columns(size: int, generator: np.random.Generator) -> tuple:
    matrix, b = _lower(size, generator)
    return np.asfortranarray(matrix), b


def _dominant(size: int, generator: np.random.Generator) -> tuple:
    return (generator.normal(size=(size, size)) + size * np.eye(size),)


def _positive(size: int, generator: np.random.Generator) -> tuple:
    matrix = generator.normal(size=(size, size))
    return (matrix @ matrix.T / size + np.eye(size),)


def _tridiagonal(size: int, generator: np.random.Generator) -> tuple:
    a, c, d = generator.normal(size=(3, size))
    return a, 4.0 + generator.uniform(0.0, 1.0, size), c, d


def _tridiagonals(size: int, generator: np.random.Generator) -> tuple:
    shape = size, 2 * size
    a, c, d = generator.normal(size=(3, *shape))
    return a, 8.0 + generator.uniform(0.0, 1.0, shape), c, d


def _sparse(size: int, generator: np.random.Generator) -> tuple:
    counts = generator.integers(0, 24, size)
    start = np.concatenate(([0], np.cumsum(counts)))
    columns = generator.integers(0, size, start[-1])
    return start, columns, generator.normal(size=start[-1]), generator.normal(size=size)


def _distances(size: int, generator: np.random.Generator) -> tuple:
    distance = generator.uniform(1.0, 100.0, (size, size))
    distance[generator.uniform(size=(size, size)) < 0.7] = np.inf
    distance[np.diag_indices(size)] = 0.0
    return (distance,)


PROGRAMS = (
    LoopProgram(
        "triangular solve by rows",
        solve_by_rows,
        _lower,
        1000,
        9,
        solve_by_rows_jax,
        solve_by_rows_numba,
        1e-12,
    ),
    LoopProgram(
        "triangular solve by columns",
        solve_by_columns,
        _lower_columns,
        1000,
        9,
        solve_by_columns_jax,
        solve_by_columns_numba,
        1e-12,
    ),
    LoopProgram("LU", lu, _dominant, 300, 9, lu_jax, lu_numba, 1e-12),
    LoopProgram("Cholesky", cholesky, _positive, 300, 9, cholesky_jax, cholesky_numba, 1e-12),
    LoopProgram("Thomas", thomas, _tridiagonal, 100_000, 9, thomas_jax, thomas_numba, 1e-12),
    LoopProgram(
        "Thomas, many systems",
        thomas,
        _tridiagonals,
        200,
        9,
        thomas_jax,
        thomas_many_numba,
        1e-12,
    ),
    LoopProgram(
        "sparse @ x, slices",
        sparse_by_slices,
        _sparse,
        50_000,
        20,
        sparse_jax,
        sparse_numba,
        1e-12,
    ),
    LoopProgram(
        "sparse @ x, elements",
        sparse_by_elements,
        _sparse,
        50_000,
        20,
        sparse_jax,
        sparse_numba,
        1e-12,
    ),
    LoopProgram(
        "Floyd-Warshall",
        shortest_paths,
        _distances,
        250,
        9,
        shortest_paths_jax,
        shortest_paths_numba,
    ),
)
