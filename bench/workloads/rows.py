"""Programs that reduce: softmax, layer normalisation and sums."""

from collections.abc import Iterator

import numpy as np

from ..harness import Case
from ..program import Program
from .arrays import Settings, array_cases

prange = range


def softmax(x):
    e = np.exp(x - np.max(x, axis=1, keepdims=True))
    return e / np.sum(e, axis=1, keepdims=True)


def softmax_loop(x):
    out = np.empty_like(x)
    for i in prange(x.shape[0]):
        top = x[i, 0]
        for j in range(1, x.shape[1]):
            top = max(top, x[i, j])
        total = x[i, 0] * 0.0
        for j in range(x.shape[1]):
            value = np.exp(x[i, j] - top)
            out[i, j] = value
            total += value
        scale = 1.0 / total
        for j in range(x.shape[1]):
            out[i, j] *= scale
    return out


def layer_norm(x, gain, bias):
    centred = x - np.mean(x, axis=1, keepdims=True)
    variance = np.mean(centred * centred, axis=1, keepdims=True)
    return centred / np.sqrt(variance + 1e-5) * gain + bias


def layer_norm_loop(x, gain, bias):
    out = np.empty_like(x)
    out[0, 0] = x.shape[1]
    count = out[0, 0]  # in the dtype of x: an integer would make Numba compute in float64
    for i in prange(x.shape[0]):
        total = x[i, 0] * 0.0
        for j in range(x.shape[1]):
            total += x[i, j]
        mean = total / count
        squares = x[i, 0] * 0.0
        for j in range(x.shape[1]):
            centred = x[i, j] - mean
            squares += centred * centred
        scale = 1.0 / np.sqrt(squares / count + 1e-5)
        for j in range(x.shape[1]):
            out[i, j] = (x[i, j] - mean) * scale * gain[j] + bias[j]
    return out


def total(x):
    return np.sum(x)


def total_loop(x):
    result = x[0] * 0.0
    for i in prange(x.size):
        result += x[i]
    return result


def column_sums(x):
    return np.sum(x, axis=0)


def column_sums_loop(x):
    out = np.zeros(x.shape[1], x.dtype)
    for i in prange(x.shape[0]):
        out += x[i]
    return out


def _matrix(elements: int, dtype: np.dtype, generator: np.random.Generator) -> tuple:
    columns = 512 if elements <= 1 << 18 else 1024 if elements <= 1 << 22 else 4096
    return (generator.normal(size=(elements // columns, columns)).astype(dtype),)


def _normalised(elements: int, dtype: np.dtype, generator: np.random.Generator) -> tuple:
    (x,) = _matrix(elements, dtype, generator)
    gain, bias = generator.normal(size=(2, x.shape[1])).astype(dtype)
    return x, gain, bias


def _vector(elements: int, dtype: np.dtype, generator: np.random.Generator) -> tuple:
    return (generator.uniform(0.0, 1.0, elements).astype(dtype),)


PROGRAMS = (
    Program("softmax of rows", softmax, _matrix, softmax_loop),
    Program("layer norm of rows", layer_norm, _normalised, layer_norm_loop),
    Program("sum(x)", total, _vector, total_loop, numexpr="sum(x)"),
    Program("sum(x, axis=0)", column_sums, _matrix, column_sums_loop, numexpr="sum(x, axis=0)"),
)


def cases(settings: Settings) -> Iterator[Case]:
    """Every reduction at every size and dtype."""
    return array_cases("rows", PROGRAMS, settings)
