"""Programs that read at computed positions: gathers, tables, searches; and what masks select."""

from collections.abc import Iterator

import numpy as np

from ..harness import Case
from ..program import Program
from .arrays import Settings, array_cases

prange = range
WIDTH = 128
TABLE = 4096
BINS = 1000


def elements(x, i):
    return x[i]


def elements_loop(x, i):
    out = np.empty(i.size, x.dtype)
    for k in prange(i.size):
        out[k] = x[i[k]]
    return out


def differences(x, i, j):
    return x[i] - x[j]


def differences_loop(x, i, j):
    out = np.empty(i.size, x.dtype)
    for k in prange(i.size):
        out[k] = x[i[k]] - x[j[k]]
    return out


def rows(x, i):
    return x[i]


def rows_loop(x, i):
    out = np.empty((i.size, x.shape[1]), x.dtype)
    for k in prange(i.size):
        for column in range(x.shape[1]):
            out[k, column] = x[i[k], column]
    return out


def along(x, i):
    return np.take_along_axis(x, i, axis=1)


def along_loop(x, i):
    out = np.empty(i.shape, x.dtype)
    for row in prange(i.shape[0]):
        for column in range(i.shape[1]):
            out[row, column] = x[row, i[row, column]]
    return out


def look_up(table, image):
    return table[image]


def look_up_loop(table, image):
    out = np.empty(image.shape, table.dtype)
    for row in prange(image.shape[0]):
        for column in range(image.shape[1]):
            out[row, column] = table[image[row, column]]
    return out


def search(table, x):
    return np.searchsorted(table, x)


def search_loop(table, x):
    out = np.empty(x.size, np.int64)
    for k in prange(x.size):
        out[k] = np.searchsorted(table, x[k])
    return out


def interpolate(x, xp, fp):
    return np.interp(x, xp, fp)


def interpolate_loop(x, xp, fp):
    out = np.empty(x.size)
    for k in prange(x.size):
        j = min(max(np.searchsorted(xp, x[k], "right") - 1, 0), xp.size - 2)
        slope = (fp[j + 1] - fp[j]) / (xp[j + 1] - xp[j])
        out[k] = slope * (x[k] - xp[j]) + fp[j]
        if x[k] <= xp[0]:
            out[k] = fp[0]
        if x[k] >= xp[-1]:
            out[k] = fp[-1]
    return out


def select(x):
    return x[x > 0.5]


def select_loop(x):
    out = np.empty(x.size, x.dtype)
    count = 0
    for k in range(x.size):
        if x[k] > 0.5:
            out[count] = x[k]
            count += 1
    return out[:count].copy()


def mean_of_selected(x):
    return x[x > 0.5].mean()


def mean_of_selected_loop(x):
    total, count = 0.0, 0
    for k in prange(x.size):
        if x[k] > 0.5:
            total += x[k]
            count += 1
    return x.dtype.type(total / count)


def scale_selected(x):
    out = x.copy()
    out[out > 0.5] *= 2
    return out


def scale_selected_loop(x):
    out = np.empty_like(x)
    for k in prange(x.size):
        out[k] = x[k] * 2 if x[k] > 0.5 else x[k]
    return out


def _numbers(count: int, dtype: np.dtype, generator: np.random.Generator) -> tuple:
    return (generator.normal(size=count).astype(dtype),)


def counts(image):
    return np.bincount(image, minlength=256)


def counts_loop(image):
    out = np.zeros(256, np.int64)
    for k in range(image.size):
        out[image[k]] += 1
    return out


def averages(i, x):
    """Of the elements of each group, as many as there turn out to be."""
    return np.bincount(i, x) / np.bincount(i)


def averages_loop(i, x):
    groups = i.max() + 1
    total, count = np.zeros(groups), np.zeros(groups, np.int64)
    for k in range(i.size):
        total[i[k]] += x[k]
        count[i[k]] += 1
    return total / count


def histogram(i, x):
    out = np.zeros(BINS)
    np.add.at(out, i, 1)
    return out


def histogram_loop(i, x):
    out = np.zeros(BINS)
    for k in range(i.size):
        out[i[k]] += 1
    return out


def scatter_add(i, x):
    out = np.zeros(BINS, x.dtype)
    np.add.at(out, i, x)
    return out


def scatter_add_loop(i, x):
    out = np.zeros(BINS, x.dtype)
    for k in range(i.size):
        out[i[k]] += x[k]
    return out


def permute(x, i):
    out = np.empty_like(x)
    out[i] = x
    return out


def permute_loop(x, i):
    out = np.empty_like(x)
    for k in range(i.size):
        out[i[k]] = x[k]
    return out


def _elements(count: int, dtype: np.dtype, generator: np.random.Generator) -> tuple:
    return generator.normal(size=count).astype(dtype), generator.integers(0, count, count)


def _pairs(count: int, dtype: np.dtype, generator: np.random.Generator) -> tuple:
    return (*_elements(count, dtype, generator), generator.integers(0, count, count))


def _rows(count: int, dtype: np.dtype, generator: np.random.Generator) -> tuple:
    n = count // WIDTH
    return generator.normal(size=(n, WIDTH)).astype(dtype), generator.integers(0, n, n)


def _sorted_rows(count: int, dtype: np.dtype, generator: np.random.Generator) -> tuple:
    x = generator.normal(size=(count // 1024, 1024)).astype(dtype)
    return x, np.argsort(x, axis=1)


def _image(count: int, dtype: np.dtype, generator: np.random.Generator) -> tuple:
    image = generator.integers(0, 256, (count // 1024, 1024)).astype(np.uint8)
    return generator.normal(size=256).astype(dtype), image


def _bytes(count: int, dtype: np.dtype, generator: np.random.Generator) -> tuple:
    return (generator.integers(0, 256, count).astype(np.uint8),)


def _bins(count: int, dtype: np.dtype, generator: np.random.Generator) -> tuple:
    return generator.integers(0, BINS, count), generator.normal(size=count).astype(dtype)


def _permutation(count: int, dtype: np.dtype, generator: np.random.Generator) -> tuple:
    return generator.normal(size=count).astype(dtype), generator.permutation(count)


def _search(count: int, dtype: np.dtype, generator: np.random.Generator) -> tuple:
    table = np.sort(generator.normal(size=TABLE)).astype(dtype)
    return table, generator.normal(size=count).astype(dtype)


def _interpolate(count: int, dtype: np.dtype, generator: np.random.Generator) -> tuple:
    table, x = _search(count, dtype, generator)
    return x, table, np.cos(table)


PROGRAMS = (
    Program("x[i]", elements, _elements, elements_loop, picks=True),
    Program("x[i] - x[j]", differences, _pairs, differences_loop, picks=True),
    Program(f"rows x[i], {WIDTH} wide", rows, _rows, rows_loop),
    Program("take_along_axis", along, _sorted_rows, along_loop),
    Program("table[bytes]", look_up, _image, look_up_loop),
    Program(f"searchsorted in {TABLE}", search, _search, search_loop),
    Program(f"interp in {TABLE}", interpolate, _interpolate, interpolate_loop),
    Program("x[x > t]", select, _numbers, select_loop),
    Program("x[x > t].mean()", mean_of_selected, _numbers, mean_of_selected_loop),
    Program("x[x > t] *= 2", scale_selected, _numbers, scale_selected_loop),
    Program("bincount of bytes", counts, _bytes, counts_loop),
    Program(f"means of {BINS} groups", averages, _bins, averages_loop),
    Program(f"add.at, {BINS} bins", histogram, _bins, histogram_loop),
    Program(f"add.at of values, {BINS} bins", scatter_add, _bins, scatter_add_loop),
    Program("out[permutation] = x", permute, _permutation, permute_loop),
)


def cases(settings: Settings) -> Iterator[Case]:
    """Every program at every size and dtype."""
    return array_cases("indexing", PROGRAMS, settings)
