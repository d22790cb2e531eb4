"""Reading by arrays of indices agrees with NumPy: values, shapes, kinds of scalar, errors and texts."""

from __future__ import annotations

import threading

import hypothesis.extra.numpy as numpy_st
import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings
from layouts import byte_swapped, fortran, misaligned, reversed_, strided, window
from traced import check as check_traced

import tracejit
from tracejit.errors import UnsupportedError
from tracejit.ir.verify import unproved
from tracejit.lower.pipeline import Options, run

INTEGERS = ["i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8"]
LAYOUTS = [np.copy, fortran, strided, reversed_, byte_swapped, misaligned, window]


def outcome(function, *args):
    try:
        return function(*args)
    except Exception as error:
        return error


def assert_same(actual, wanted):
    """Equal values of the same class, or errors of one class with one text."""
    if isinstance(wanted, Exception):
        assert isinstance(actual, type(wanted)), f"{actual!r} instead of {wanted!r}"
        assert str(actual).splitlines()[0].strip() == str(wanted).strip()
        return
    if isinstance(actual, Exception):
        raise actual
    assert type(actual) is type(wanted), f"{type(actual)} instead of {type(wanted)}"
    if isinstance(wanted, tuple | list):
        for a, b in zip(actual, wanted, strict=True):
            assert_same(a, b)
        return
    assert (actual.dtype, actual.shape) == (wanted.dtype, wanted.shape)
    np.testing.assert_array_equal(actual, wanted)


def check(function, *args):
    """The compiled function does what NumPy does, twice: after an error, too."""
    jitted = tracejit.jit(function)
    wanted = outcome(function, *args)
    for _ in range(2):
        assert_same(outcome(jitted, *args), wanted)
    return jitted


def numbers(shape, dtype="f8"):
    return (np.arange(np.prod(shape, dtype=int)) * 7 % 101).reshape(shape).astype(dtype)


@st.composite
def indices_for(draw, shape, limit=0):
    """An index of any kind for an array of `shape`; positions up to `limit` beyond the ends."""
    items, axis = [], 0
    common = draw(numpy_st.array_shapes(min_dims=0, max_dims=2, min_side=0, max_side=3))
    while axis < len(shape):
        n = shape[axis]
        kind = draw(st.sampled_from(["int", "slice", "array", "array", "none", "mask", "end"]))
        if kind == "end":
            break
        if kind == "none":
            items.append(None)
        elif kind == "slice" or n == 0:
            items.append(draw(st.slices(n)))
            axis += 1
        elif kind == "int":
            items.append(draw(st.integers(-n - limit, n - 1 + limit)))
            axis += 1
        elif kind == "mask":
            count = draw(st.integers(0, min(2, len(shape) - axis)))
            own = shape[axis : axis + count]
            items.append(draw(numpy_st.arrays(bool, own)))
            axis += count
        else:
            items.append(draw(arrays_of_positions(n, common, limit)))
            axis += 1
    if draw(st.booleans()):
        items.insert(draw(st.integers(0, len(items))), Ellipsis)
    return tuple(items)


@st.composite
def arrays_of_positions(draw, n, common, limit):
    drop = draw(st.integers(0, len(common)))
    own = tuple(draw(st.sampled_from([extent, 1])) for extent in common[drop:])
    dtype = np.dtype(draw(st.sampled_from(INTEGERS)))
    low = -n - limit if dtype.kind == "i" else 0
    found = draw(numpy_st.arrays(np.int64, own, elements=st.integers(low, n - 1 + limit)))
    return found.astype(dtype) if draw(st.booleans()) else found.tolist()


SHAPES = numpy_st.array_shapes(min_dims=1, max_dims=4, min_side=0, max_side=4)


@settings(max_examples=400, deadline=None)
@given(st.data())
def test_any_index_known_while_tracing(data):
    shape = data.draw(SHAPES)
    index = data.draw(indices_for(shape, limit=data.draw(st.sampled_from([0, 0, 0, 1]))))
    check_traced(lambda x: x[index], numbers(shape))


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_index_that_is_an_argument(data):
    shape = data.draw(SHAPES)
    index = data.draw(indices_for(shape, limit=data.draw(st.sampled_from([0, 0, 1]))))
    arrays = [item for item in index if isinstance(item, np.ndarray) and item.dtype != bool]

    def read(x, *given):
        rest = iter(given)
        items = [
            next(rest) if isinstance(i, np.ndarray) and i.dtype != bool else i for i in index
        ]
        return x[tuple(items)] * 2

    wanted = outcome(read, numbers(shape), *arrays)
    actual = outcome(tracejit.jit(read), numbers(shape), *arrays)
    several = isinstance(wanted, IndexError) and isinstance(actual, IndexError)
    # Of several positions that are outside, any may be named.
    if not several:
        assert_same(actual, wanted)
