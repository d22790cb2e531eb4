"""Arguments in any memory: the same results, and the arguments untouched."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from combinations import pairs
from programs import DTYPES, small_numbers
from samples import compare

from tracejit import jit
from tracejit.testing.layouts import LAYOUTS

SHAPES = [
    (),
    (0,),
    (1,),
    (7,),
    (33,),
    (4, 5),
    (17, 16),
    (1, 9),
    (9, 1),
    (3, 0, 2),
    (2, 3, 5),
    (2, 1, 3, 4),
]


def elementwise(x):
    return x + x


def rows(x):
    return x.sum(axis=-1) if x.ndim else x + 1


def columns(x):
    return np.max(x, axis=0, initial=0) if x.ndim else x + 1


def moved(x):
    return np.transpose(x)[..., ::-1] * 2 if x.ndim else x * 2


def scanned(x):
    return np.cumsum(x)


def joined(x):
    return np.concatenate([np.ravel(x), np.ravel(x)])


def everything(x):
    return x.sum(), x * 2, np.ravel(x)


FUNCTIONS = [elementwise, rows, columns, moved, scanned, joined, everything]


@pytest.fixture(autouse=True)
def quietly():
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        yield


def check(compiled, function, x):
    before = np.array(x)
    wanted = function(np.array(x, x.dtype.newbyteorder("=")))
    actual = compiled(x)
    if not isinstance(wanted, tuple):
        actual, wanted = (actual,), (wanted,)
    for one, other in zip(actual, wanted, strict=True):
        if not one.dtype.isnative:  # a view of the argument has its byte order
            one = one.astype(other.dtype)
        compare(one, other, 0, f"{function.__name__}({x.dtype}{list(x.shape)})", either_zero=True)
    np.testing.assert_array_equal(np.asarray(x), before)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda f: f.__name__)
def test_layouts(function, layout):
    """Two calls: one that compiles, one that finds the code; every other shape in another dtype.

    A fourth of the shapes for a layout and function, so that each meets all of them.
    """
    compiled = jit(function)
    first = (FUNCTIONS.index(function) + [*LAYOUTS].index(layout)) % 4
    for number, shape in [*enumerate(SHAPES)][first::4]:
        dtype = np.dtype(DTYPES[(number * 5 + len(layout)) % len(DTYPES)])
        for seed in (1, 2):
            if dtype.kind == "c" and function is columns:
                continue
            x = LAYOUTS[layout](np.array(small_numbers(shape, dtype, seed)))
            check(compiled, function, x)


def test_one_function_meets_every_layout():
    """Layouts compile on their own until there are too many; the results stay the same."""
    compiled = jit(elementwise)
    x = small_numbers((5, 6), np.dtype("float32"), 1)
    for _ in range(2):
        for layout in LAYOUTS.values():
            check(compiled, elementwise, layout(x))
    for step in range(2, 24):
        memory = np.zeros((5, 6 * step), np.float32)
        memory[:, ::step] = x
        check(compiled, elementwise, memory[:, ::step])


def overlapping(a, b):
    return a + b, a * b


@pytest.mark.parametrize("dtype", ["int64", "float32", "complex128"])
def test_arguments_that_overlap(dtype):
    memory = small_numbers((40,), np.dtype(dtype), 1)
    compiled = jit(overlapping)
    for a, b in [
        (memory, memory),
        (memory[:-1], memory[1:]),
        (memory[::-1], memory),
        (memory[:20:2], memory[20::2]),
        (np.broadcast_to(memory[3], (40,)), memory),
    ]:
        for actual, wanted in zip(compiled(a, b), overlapping(a, b), strict=True):
            compare(actual, wanted, 0, either_zero=True)


@pytest.mark.parametrize(
    "dtype, shape, function",
    pairs(DTYPES, [(7, 1), (16,)], [elementwise, rows, moved, scanned]),
)
def test_broadcast_arguments(dtype, shape, function):
    """Strides of zero."""
    x = np.broadcast_to(small_numbers(shape, np.dtype(dtype), 1), (7, 16))
    check(jit(function), function, x)


def test_results_are_new_and_writable():
    x = np.arange(6.0).reshape(2, 3)
    for function in (elementwise, lambda x: x.T.copy(), lambda x: x.reshape(3, 2) * 1):
        result = jit(function)(x)
        assert result.flags.writeable and not np.shares_memory(result, x)
        result[...] = -1
    assert np.array_equal(x, np.arange(6.0).reshape(2, 3))


def test_views_that_are_returned_are_views_of_the_argument():
    x = np.arange(6.0).reshape(2, 3)
    for function in (
        lambda x: x.T,
        lambda x: x[::-1, 1],
        lambda x: x.reshape(3, 2),
        lambda x: x[:],
    ):
        compiled = jit(function)
        for _ in range(2):
            result, wanted = compiled(x), function(x)
            assert np.shares_memory(result, x) and result.strides == wanted.strides
            assert result.ctypes.data == wanted.ctypes.data
    twice = jit(lambda x: (x[0], x[0]))(x)
    twice[0][0] = 99
    assert twice[1][0] == x[0, 0] == 99


def test_bodies_read_arguments_that_were_turned_twice():
    def function(x):
        y = x.T.T
        if x.sum() > 0:
            y = y * 2
        return y, np.nanargmax(x, axis=0)

    for x in (np.arange(6.0).reshape(3, 2).T, np.arange(6.0).reshape(2, 3)):
        for got, wanted in zip(jit(function)(x), function(x)):
            assert np.array_equal(got, wanted)
