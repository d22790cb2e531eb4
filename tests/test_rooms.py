"""Arrays that are made with as many elements as only data tells."""

import numpy as np
import pytest

import tracejit
from tracejit.testing import assert_no_fallback

X = np.random.default_rng(0).integers(0, 9, 50)
V = np.random.default_rng(1).random(50)


def largest_of_groups(x, v):
    kinds, group = np.unique(x, return_inverse=True)
    largest = np.full(len(kinds), -np.inf)
    np.maximum.at(largest, group, v)
    return largest


def confusion(x, v):
    kinds, group = np.unique(x, return_inverse=True)
    counts = np.zeros((len(kinds), len(kinds)))
    np.add.at(counts, (group, group[::-1]), 1)
    return counts


def flattened(x, v):
    places = np.stack([x, x[::-1] % 4, (v * 10).astype(int)])
    dims = places.max(1) + 1
    flat = np.ravel_multi_index(places, dims)
    back = np.unravel_index(flat, dims)
    return np.stack([flat, *back])


def filled_in(x, v):
    n = int((v > 0.5).sum())
    out = np.zeros(n)
    for k in range(n):
        out[k] = v[k] * 2
    return out


PROGRAMS = {
    "full": lambda x, v: np.full(len(np.unique(x)), -np.inf),
    "zeros": lambda x, v: np.zeros((v > 0.5).sum()),
    "empty": lambda x, v: np.empty(np.unique(x).size) * 0,
    "arange": lambda x, v: np.arange(len(np.unique(x))) * 2,
    "rows": lambda x, v: np.ones((len(v[v > 0.5]), 3)) * v[:3],
    "the greatest": lambda x, v: np.zeros(x.max() + 1) + 1.0,
    "beside what is selected": lambda x, v: v[v > 0.5] * np.ones(len(v[v > 0.5])),
    "every second place": lambda x, v: np.nonzero(v > 0.5)[0][::2],
    "eye": lambda x, v: np.eye(len(np.unique(x))),
    "one of several": lambda x, v: np.eye(len(np.unique(x)))[np.unique(x, return_inverse=True)[1]],
    "groups": largest_of_groups,
    "pairs of groups": confusion,
    "a loop": filled_in,
    "positions": flattened,
    "positions of two axes": lambda x, v: np.ravel_multi_index((x, x % 10), (x.max() + 1, 10)),
    "positions that are clipped": lambda x, v: np.ravel_multi_index(
        (x, x + 2), (x.max() + 1, x.max() + 1), mode=("raise", "clip"), order="F"
    ),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_sizes_that_data_tells(name):
    compiled = tracejit.jit(PROGRAMS[name])
    for seed in range(4):
        rng = np.random.default_rng(seed)
        for x, v in ((X, V), (rng.integers(0, 3 + 20 * seed, 50), rng.random(50) * seed)):
            wanted, actual = PROGRAMS[name](x, v), compiled(x, v)
            assert actual.dtype == wanted.dtype
            np.testing.assert_array_equal(actual, wanted)


def test_groups_run_without_python():
    assert_no_fallback(largest_of_groups, (X, V))


@pytest.mark.parametrize("dims", [(4, 3), (3, 9), (-3, -9), (2**40, 2**40)])
def test_positions_outside_are_numpys_errors(dims):
    x, d = np.array([0, 2, 3]), np.array(dims)
    for function in (
        lambda x, d: np.ravel_multi_index((x, x), (d[0], d[1])),
        lambda x, d: np.unravel_index(x * 50, (d[0], d[1])),
    ):
        try:
            function(x, d)
        except ValueError:
            pass
        else:
            continue  # as with negative extents, of which unravel_index makes something
        with pytest.raises(ValueError):
            tracejit.jit(function)(x, d)


@pytest.mark.parametrize("make", [np.zeros, np.ones, np.arange])
def test_less_than_nothing_is_numpys_affair(make):
    def made(x):
        return make(x.min())

    compiled = tracejit.jit(made)
    np.testing.assert_array_equal(compiled(np.array([3, 4])), make(3))
    x = np.array([-3, 4])
    try:
        wanted = made(x)
    except ValueError as error:
        with pytest.raises(ValueError, match=str(error)):
            compiled(x)
    else:
        np.testing.assert_array_equal(compiled(x), wanted)


def test_sizes_of_iterations_do_not_compile_again_for_ever():
    def butterflies(x):
        x, size = x.copy(), 2
        while size <= len(x):
            w = np.exp(-2j * np.pi * np.arange(size // 2) / size)
            for start in range(0, len(x), size):
                middle = start + size // 2
                even, odd = x[start:middle].copy(), x[middle : start + size] * w
                x[start:middle], x[middle : start + size] = even + odd, even - odd
            size *= 2
        return x

    def counted(x):
        sizes = np.zeros(6)
        for k in range(6):
            sizes[k] = np.bincount(x * k).size
        return sizes

    for function, x in ((butterflies, np.ones(16) + 0j), (counted, np.arange(7))):
        compiled = tracejit.jit(function)
        for _ in range(20):
            np.testing.assert_allclose(compiled(x), function(x), rtol=1e-12)
        misses = compiled.cache_info().misses
        compiled(x)
        assert compiled.cache_info().misses == misses
