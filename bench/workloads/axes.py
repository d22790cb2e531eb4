"""Sums, scans and copies along each axis of arrays, and what is made of rows."""

from collections.abc import Callable, Iterator

import numpy as np

from ..harness import Case
from ..program import Program
from .arrays import Settings, array_cases

prange = range
TILE = 32


def logsumexp(x):
    top = np.max(x, axis=1)
    return np.log(np.sum(np.exp(x - top[:, None]), axis=1)) + top


def logsumexp_loop(x):
    out = np.empty(x.shape[0], x.dtype)
    for i in prange(x.shape[0]):
        top = x[i, 0]
        for j in range(1, x.shape[1]):
            top = max(top, x[i, j])
        total = x[i, 0] * 0.0
        for j in range(x.shape[1]):
            total += np.exp(x[i, j] - top)
        out[i] = np.log(total) + top
    return out


def rms_norm(x, gain):
    return x / np.sqrt(np.mean(x * x, axis=1, keepdims=True) + 1e-6) * gain


def rms_norm_loop(x, gain):
    out = np.empty_like(x)
    out[0, 0] = x.shape[1]
    count = out[0, 0]
    for i in prange(x.shape[0]):
        total = x[i, 0] * 0.0
        for j in range(x.shape[1]):
            total += x[i, j] * x[i, j]
        scale = 1.0 / np.sqrt(total / count + 1e-6)
        for j in range(x.shape[1]):
            out[i, j] = x[i, j] * scale * gain[j]
    return out


def standardise(x):
    """Columns of mean 0 and variance 1."""
    centred = x - np.mean(x, axis=0)
    return centred / np.sqrt(np.mean(centred * centred, axis=0))


def standardise_loop(x):
    rows, columns = x.shape
    out = np.empty_like(x)
    out[0, 0] = rows
    count = out[0, 0]  # in the dtype of x, as in rows.py
    total = np.zeros(columns, x.dtype)
    for i in prange(rows):
        total += x[i]
    mean = total / count
    squares = np.zeros(columns, x.dtype)
    for i in prange(rows):
        squares += (x[i] - mean) * (x[i] - mean)
    scale = 1.0 / np.sqrt(squares / count)
    for i in prange(rows):
        for j in range(columns):
            out[i, j] = (x[i, j] - mean[j]) * scale[j]
    return out


def best_product(x, weights):
    """Where each row is largest, weighed by column."""
    return np.argmax(x * weights, axis=1)


def best_product_loop(x, weights):
    out = np.empty(x.shape[0], np.int64)
    for i in prange(x.shape[0]):
        top, place = x[i, 0] * weights[0], 0
        for j in range(1, x.shape[1]):
            value = x[i, j] * weights[j]
            if value > top:
                top, place = value, j
        out[i] = place
    return out


def row_means(x):
    return np.mean(x, axis=1)


def row_means_loop(x):
    out = np.empty(x.shape[0], x.dtype)
    for i in prange(x.shape[0]):
        total = x[i, 0] * 0.0
        for j in range(x.shape[1]):
            total += x[i, j]
        out[i] = total
    count = x[0, 0] * 0.0 + x.shape[1]
    return out / count


def layers_sum(x):
    return np.sum(x, axis=0)


def layers_sum_loop(x):
    out = np.zeros(x.shape[1:], x.dtype)
    for j in prange(x.shape[1]):
        for i in range(x.shape[0]):
            for k in range(x.shape[2]):
                out[j, k] += x[i, j, k]
    return out


def middle_sum(x):
    return np.sum(x, axis=1)


def middle_sum_loop(x):
    out = np.zeros((x.shape[0], x.shape[2]), x.dtype)
    for i in prange(x.shape[0]):
        for j in range(x.shape[1]):
            for k in range(x.shape[2]):
                out[i, k] += x[i, j, k]
    return out


def inner_sum(x):
    return np.sum(x, axis=2)


def inner_sum_loop(x):
    out = np.empty(x.shape[:2], x.dtype)
    for i in prange(x.shape[0]):
        for j in range(x.shape[1]):
            total = x[i, j, 0] * 0.0
            for k in range(x.shape[2]):
                total += x[i, j, k]
            out[i, j] = total
    return out


def running_sum(x):
    return np.cumsum(x, axis=0)


def running_sum_loop(x):
    out = np.empty_like(x)
    total = x[0] * 0.0
    for i in range(x.size):
        total += x[i]
        out[i] = total
    return out


def running_product(x):
    return np.cumprod(x, axis=0)


def running_product_loop(x):
    out = np.empty_like(x)
    total = x[0] * 0.0 + 1.0
    for i in range(x.size):
        total *= x[i]
        out[i] = total
    return out


def running_columns(x):
    return np.cumsum(x, axis=0)


def running_columns_loop(x):
    out = np.empty_like(x)
    width = 64
    for block in prange((x.shape[1] + width - 1) // width):
        first, last = block * width, min(block * width + width, x.shape[1])
        out[0, first:last] = x[0, first:last]
        for i in range(1, x.shape[0]):
            for j in range(first, last):
                out[i, j] = out[i - 1, j] + x[i, j]
    return out


def running_rows(x):
    return np.cumsum(x, axis=1)


def running_rows_loop(x):
    out = np.empty_like(x)
    for i in prange(x.shape[0]):
        total = x[i, 0] * 0.0
        for j in range(x.shape[1]):
            total += x[i, j]
            out[i, j] = total
    return out


def transpose(x):
    return x.T.reshape(-1)


def transpose_loop(x):
    rows, columns = x.shape
    out = np.empty((columns, rows), x.dtype)
    for tile in prange((columns + TILE - 1) // TILE):
        first, last = tile * TILE, min(tile * TILE + TILE, columns)
        for across in range(0, rows, TILE):
            for j in range(first, last):
                for i in range(across, min(across + TILE, rows)):
                    out[j, i] = x[i, j]
    return out.reshape(-1)


def swap_inner(x):
    return x.swapaxes(1, 2).reshape(-1)


def swap_inner_loop(x):
    out = np.empty((x.shape[0], x.shape[2], x.shape[1]), x.dtype)
    for i in prange(x.shape[0]):
        for first in range(0, x.shape[2], TILE):
            for across in range(0, x.shape[1], TILE):
                for k in range(first, min(first + TILE, x.shape[2])):
                    for j in range(across, min(across + TILE, x.shape[1])):
                        out[i, k, j] = x[i, j, k]
    return out.reshape(-1)


def add_transposed(x, y):
    return x + y.T


def add_transposed_loop(x, y):
    rows, columns = x.shape
    out = np.empty_like(x)
    for tile in prange((rows + TILE - 1) // TILE):
        first, last = tile * TILE, min(tile * TILE + TILE, rows)
        for across in range(0, columns, TILE):
            for i in range(first, last):
                for j in range(across, min(across + TILE, columns)):
                    out[i, j] = x[i, j] + y[j, i]
    return out


def _columns(elements: int) -> int:
    return 512 if elements <= 1 << 18 else 1024 if elements <= 1 << 22 else 4096


def _of_shape(shape: Callable[[int], tuple]) -> Callable[..., tuple]:
    def inputs(elements: int, dtype: np.dtype, generator: np.random.Generator) -> tuple:
        return (generator.normal(size=shape(elements)).astype(dtype),)

    return inputs


def _matrix(elements: int) -> tuple[int, int]:
    return elements // _columns(elements), _columns(elements)


def _cube(elements: int) -> tuple[int, int, int]:
    side = 64 if elements <= 1 << 18 else 128 if elements <= 1 << 22 else 256
    return elements // side**2, side, side


def _weighed(elements: int, dtype: np.dtype, generator: np.random.Generator) -> tuple:
    rows, columns = _matrix(elements)
    x = generator.normal(size=(rows, columns)).astype(dtype)
    return x, generator.uniform(0.5, 1.0, columns).astype(dtype)


def _two(elements: int, dtype: np.dtype, generator: np.random.Generator) -> tuple:
    rows, columns = _matrix(elements)
    x = generator.normal(size=(rows, columns)).astype(dtype)
    return x, generator.normal(size=(columns, rows)).astype(dtype)


def _whole(shape: Callable[[int], tuple], *values: float) -> Callable[..., tuple]:
    """Whole numbers, whose running sums and products are exact in any order."""

    def inputs(elements: int, dtype: np.dtype, generator: np.random.Generator) -> tuple:
        return (generator.choice(np.array(values, dtype), size=shape(elements)),)

    return inputs


def _line(elements: int) -> tuple[int]:
    return (elements,)


PROGRAMS = (
    Program("logsumexp of rows", logsumexp, _of_shape(_matrix), logsumexp_loop),
    Program("RMS norm of rows", rms_norm, _weighed, rms_norm_loop),
    Program("standardised columns", standardise, _of_shape(_matrix), standardise_loop, sweeps=True),
    Program("argmax(x * w, axis=1)", best_product, _weighed, best_product_loop),
    Program("mean(x, axis=1)", row_means, _of_shape(_matrix), row_means_loop),
    Program("sum(x, axis=0), 3-D", layers_sum, _of_shape(_cube), layers_sum_loop),
    Program("sum(x, axis=1), 3-D", middle_sum, _of_shape(_cube), middle_sum_loop),
    Program("sum(x, axis=2), 3-D", inner_sum, _of_shape(_cube), inner_sum_loop),
    Program("cumsum(x)", running_sum, _whole(_line, -2, -1, 1, 2), running_sum_loop),
    Program("cumprod(x)", running_product, _whole(_line, -1, 1), running_product_loop),
    Program("cumsum(x, axis=0)", running_columns, _whole(_matrix, -1, 1), running_columns_loop),
    Program("cumsum(x, axis=1)", running_rows, _whole(_matrix, -1, 1), running_rows_loop),
    Program("transpose", transpose, _of_shape(_matrix), transpose_loop),
    Program("swapaxes(1, 2), 3-D", swap_inner, _of_shape(_cube), swap_inner_loop),
    Program("x + y.T", add_transposed, _two, add_transposed_loop),
)


def cases(settings: Settings) -> Iterator[Case]:
    """Every program at every size and dtype."""
    return array_cases("axes", PROGRAMS, settings)
