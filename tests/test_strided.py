"""`np.lib.stride_tricks.as_strided`: every view within the memory is NumPy's, every other an error."""

import numpy as np
import pytest
from combinations import pairs
from numpy.lib.stride_tricks import as_strided

import tracejit
from tracejit.errors import UnsupportedError


def test_random_views():
    generator = np.random.default_rng(0)
    inside = outside = 0
    for _ in range(150):
        x = generator.normal(size=generator.integers(1, 7, generator.integers(1, 4)))
        x = x.T if generator.random() < 0.3 else x
        shape = tuple(map(int, generator.integers(0, 5, generator.integers(0, 4))))
        chosen = [0, 8, 16, 24, *x.strides]
        strides = tuple([int(generator.choice(chosen)) for _ in shape])
        reach = sum((n - 1) * step // 8 for n, step in zip(shape, strides))

        def view(x, shape=shape, strides=strides):
            return as_strided(x, shape, strides) + 0

        function = tracejit.jit(view)
        if 0 in shape or reach < x.size:
            np.testing.assert_array_equal(function(x), view(x))
            inside += 1
        else:
            with pytest.raises(ValueError, match="leaves the memory"):
                function(x)
            outside += 1
    assert inside > 50 and outside > 5


def means(image):
    rows, columns = image.shape
    blocks = as_strided(image, (rows - 2, columns - 2, 3, 3), image.strides * 2)
    return blocks.mean(axis=(2, 3))


def test_windows_are_read_in_place():
    x = np.random.default_rng(0).normal(size=(60, 50))
    function = tracejit.jit(means, fallback="error")
    np.testing.assert_allclose(function(x), means(x), atol=1e-14)
    assert "[i0 + i2, i1 + i3]" in str(function.lower(x))


def test_what_is_refused():
    x = np.arange(6.0)

    def unaligned(x):
        return as_strided(x, (2,), (3,))

    def around(x):
        return as_strided(x[::2], (2,), (8,))

    def written(x):
        view = as_strided(x, (3, 2), (8, 8))
        view[0] = 1
        return x

    for function in (unaligned, around):
        with pytest.raises(UnsupportedError):
            tracejit.jit(function)(x)
    with pytest.raises(ValueError, match="read-only"):
        tracejit.jit(written)(x)
    with pytest.raises(ValueError, match="leaves the memory"):
        tracejit.jit(lambda x: as_strided(x, (2,), (-8,)))(x)


# Around whole vectors of every dtype, and halves and quarters of them.
COUNTS = [1, 2, 3, 4, 5, 7, 8, 9, 11, 14, 15, 16, 17, 20, 23, 24, 31, 32, 33, 39]


@pytest.mark.parametrize(
    "dtype, step, count", pairs(["f4", "f8", "i2", "i1", "c8", "?"], [2, 3, 4, 5], COUNTS)
)
def test_fewer_elements_than_lanes(dtype, step, count):
    generator = np.random.default_rng(step)
    x = (generator.normal(size=(3, count * step - step + 1)) * 9).astype(dtype)
    both = lambda x: x[:, ::step] | x[:1, ::step] if x.dtype == bool else x[:, ::step] * 2
    np.testing.assert_array_equal(tracejit.jit(both)(x), both(x))


REPEATED = [
    lambda x, y, n: np.repeat(x, n, axis=1) + y,
    lambda x, y, n: np.repeat(x[:, ::-1], n, axis=1) + y,
    lambda x, y, n: np.repeat(x, n, axis=1)[:, 3:] + y[:, 3:] * np.repeat(x, n, axis=1)[:, :-3],
]


@pytest.mark.parametrize(
    "dtype, size, function",
    pairs(
        ["f4", "f8", "i2", "c8", "f2", "?"],
        [(16, 2), (9, 4), (40, 8), (33, 3), (7, 16), (1, 64), (65, 2)],
        REPEATED,
    ),
)
def test_lanes_that_take_elements_in_turns(dtype, size, function):
    generator = np.random.default_rng(1)
    count, turns = size
    x = (generator.normal(size=(2, count)) * 9).astype(dtype)
    y = (generator.normal(size=(2, count * turns)) * 9).astype(dtype)
    found, expected = tracejit.jit(function)(x, y, turns), function(x, y, turns)
    near = {"rtol": 1e-2, "atol": 1e-1} if dtype in ("f2", "c8") else {"rtol": 1e-5, "atol": 1e-5}
    np.testing.assert_allclose(found, expected, **near)
