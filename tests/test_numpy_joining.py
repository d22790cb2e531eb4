"""Joined, split, repeated and padded arrays are NumPy's."""

import numpy as np
import pytest
from numpy_calls import check, sample

from tracejit import jit

JOINS = [
    lambda x, y: np.concatenate([x, y]),
    lambda x, y: np.concatenate((x, y), axis=-1),
    lambda x, y: np.concatenate([x, y], axis=None),
    lambda x, y: np.concatenate([x, y[:, :2]]),
    lambda x, y: np.concatenate([x, y[:, :2]], axis=1),
    lambda x, y: np.concatenate([x, y[0]]),
    lambda x, y: np.concatenate([x, y], axis=5),
    lambda x, y: np.concatenate([x[0, 0], y[0, 0]]),
    lambda x, y: np.concatenate([x[:0], y]),
    lambda x, y: np.concatenate([x], dtype="float32"),
    lambda x, y: np.concatenate([x, y], dtype="int8"),
    lambda x, y: np.concatenate([x, y], dtype="int8", casting="unsafe"),
    lambda x, y: np.concatenate([x, [[1, 2, 3, 4]]]),
    lambda x, y: np.concatenate(x),
    lambda x, y: np.concat([x, y]),
    lambda x, y: np.stack([x, y]),
    lambda x, y: np.stack([x, y], axis=-1),
    lambda x, y: np.stack([x, y], 1),
    lambda x, y: np.stack([x, y], 3),
    lambda x, y: np.stack([x, y[0]]),
    lambda x, y: np.stack([x[0, 0], y[0, 0]]),
    lambda x, y: np.vstack([x, y]),
    lambda x, y: np.vstack([x[0], y[0]]),
    lambda x, y: np.vstack([x[0, 0], y[0, 0]]),
    lambda x, y: np.hstack([x, y]),
    lambda x, y: np.hstack([x[0], y[0]]),
    lambda x, y: np.hstack([x[0, 0], 3]),
    lambda x, y: np.dstack([x, y]),
    lambda x, y: np.dstack((x[0], y[0])),
    lambda x, y: np.column_stack([x[:, 0], y]),
    lambda x, y: np.column_stack([x[0], y[0]]),
    lambda x, y: np.append(x, y),
    lambda x, y: np.append(x, y, axis=0),
    lambda x, y: np.append(x, 3),
    lambda x, y: np.block([[x, y], [y, x]]),
    lambda x, y: np.block([x, y]),
    lambda x, y: np.block([[x], [y]]),
    lambda x, y: np.block([x[0], 1, y[0]]),
    lambda x, y: np.block([[x], y]),
    lambda x, y: np.unstack(x),
    lambda x, y: np.unstack(x, axis=1),
]


@pytest.mark.parametrize("function", JOINS)
def test_joins(function):
    check(function, sample((3, 4)), sample((3, 4), "int32", seed=1))
    check(function, sample((3, 4), "bool"), sample((3, 4), "float16", seed=1))


SPLITS = [
    lambda x: np.split(x, 3),
    lambda x: np.split(x, 4),
    lambda x: np.split(x, [1, 4]),
    lambda x: np.split(x, [2, 9, 1], axis=1),
    lambda x: np.split(x, 2, axis=-1),
    lambda x: np.array_split(x, 4),
    lambda x: np.array_split(x, 9),
    lambda x: np.array_split(x, 0),
    lambda x: np.array_split(x, (-1,)),
    lambda x: np.hsplit(x, 2),
    lambda x: np.hsplit(x[0], 2),
    lambda x: np.vsplit(x, 2),
    lambda x: np.vsplit(x[0], 2),
    lambda x: np.dsplit(x[:, :, None], 1),
    lambda x: np.dsplit(x, 1),
]


@pytest.mark.parametrize("function", SPLITS)
def test_splits(function):
    check(function, sample((6, 4)))


REPEATS = [
    lambda x: np.roll(x, 1),
    lambda x: np.roll(x, -2, axis=0),
    lambda x: np.roll(x, 7, axis=1),
    lambda x: np.roll(x, (1, -1), axis=(0, 1)),
    lambda x: np.roll(x, 1, axis=(0, 1)),
    lambda x: np.roll(x, (1, 1), axis=0),
    lambda x: np.roll(x, 0),
    lambda x: np.roll(x[:, :0], 2, axis=1),
    lambda x: np.roll(x, 1, axis=4),
    lambda x: np.tile(x, 2),
    lambda x: np.tile(x, (2, 1)),
    lambda x: np.tile(x, (2, 3, 1)),
    lambda x: np.tile(x[0], (2, 2)),
    lambda x: np.tile(x, 0),
    lambda x: np.tile(x[0, 0], 3),
    lambda x: np.tile(x[:, :1], (1, 4)),
    lambda x: np.repeat(x, 2),
    lambda x: np.repeat(x, 3, axis=0),
    lambda x: np.repeat(x, 2, axis=-1),
    lambda x: np.repeat(x, [2], axis=1),
    lambda x: np.repeat(x, [2, 0, 3], axis=0),
    lambda x: np.repeat(x, [1, 2], axis=0),
    lambda x: np.repeat(x, 0, axis=0),
    lambda x: np.repeat(x, -1),
    lambda x: np.repeat(x[:, :1], 3, axis=1),
    lambda x: np.repeat(x[0, 0], 3),
    lambda x: x.repeat(2, axis=1),
    lambda x: np.resize(x, (2, 5)),
    lambda x: np.resize(x, 30),
    lambda x: np.resize(x, (0, 3)),
    lambda x: np.resize(x[:0], (2, 3)),
    lambda x: np.take(x, 1),
    lambda x: np.take(x, [1, 3, 5, 0, -1]),
    lambda x: np.take(x, [[0, 1], [2, 0]], axis=0),
    lambda x: np.take(x, [2, 2, 2], axis=1),
    lambda x: np.take(x, np.array([], int), axis=1),
    lambda x: np.take(x, 9, axis=1),
    lambda x: np.take(x, [9, -9], axis=1, mode="wrap"),
    lambda x: np.take(x, [9, -9], axis=1, mode="clip"),
    lambda x: np.take(x, [1.5]),
    lambda x: x.take(2, axis=1),
    lambda x: x.take(np.array([3, 2, 1, 0]), 1),
    lambda x: np.delete(x, 1),
    lambda x: np.delete(x, -1, axis=1),
    lambda x: np.delete(x, [0, 2], axis=0),
    lambda x: np.delete(x, slice(None, None, 2), axis=1),
    lambda x: np.delete(x, [], axis=1),
    lambda x: np.delete(x, [True, False, True], axis=0),
    lambda x: np.delete(x, 7, axis=1),
    lambda x: np.insert(x, 1, 9),
    lambda x: np.insert(x, 1, 9, axis=1),
    lambda x: np.insert(x, -1, [1, 2, 3], axis=1),
    lambda x: np.insert(x, 0, x[0], axis=0),
    lambda x: np.insert(x, 4, x.T[:1].T, axis=1),
    lambda x: np.insert(x, [1], [[1], [2], [3]], axis=1),
    lambda x: np.insert(x, 9, 1, axis=1),
    lambda x: np.insert(x, [1, 3], [7, 8]),
    lambda x: np.insert(x, [3, -1, 0, 3], [7, 8, 9, 10]),
    lambda x: np.insert(x, [0, 2], 5, axis=1),
    lambda x: np.insert(x, [2, 0], x[:2], axis=0),
    lambda x: np.insert(x, slice(1, None), 0, axis=1),
    lambda x: np.insert(x, np.array([True, False, True]), 3, axis=0),
    lambda x: np.insert(x, [], 3),
    lambda x: np.insert(x, [0, 9], 3, axis=1),
    lambda x: np.insert(x, list(range(12)), 3),
    lambda x: np.insert(x[:, :0], [0, 0], 3),
    lambda x: np.insert(x, [[0]], 3),
    lambda x: np.delete(x, list(range(0, 12, 2)), axis=None),
]


@pytest.mark.parametrize("function", REPEATS)
def test_repeats(function):
    check(function, sample((3, 4), "int32"))
    check(function, sample((3, 4), "complex64"))


def test_places_that_data_tells():
    x = sample((3, 4), "int32")
    places = np.array([1, 0, -1])
    check(lambda x, k: np.insert(x, k, 5, axis=1), x, places)
    check(lambda x, k: np.insert(x, k, x, axis=0), x, places)
    check(lambda x, k: np.delete(x, k, axis=1), x, places[:1])
    check(lambda x, k: np.delete(x, k[0], axis=1), x, places)
    check(lambda x, k: np.delete(x, k, axis=0), x, places)
    check(lambda x, k: np.delete(x, k), x, places)
    for function in (np.insert, np.delete):
        with pytest.raises(IndexError, match="is out of bounds for axis 0"):
            jit(lambda x, k, function=function: function(x, k, *[1][: function is np.insert]))(
                x, np.array([0, 13])
            )


def test_repeats_that_data_tells():
    repeated = jit(lambda x, k: np.repeat(x * 2, k, axis=0) + 1)
    x = sample((5, 3), "int32")
    for counts in ([1, 2, 0, 3, 1], [0, 0, 0, 0, 1], [9, 0, 0, 0, 90], [0, 0, 0, 0, 0]):
        k = np.array(counts)
        np.testing.assert_array_equal(repeated(x, k), np.repeat(x * 2, k, axis=0) + 1)
    with pytest.raises(ValueError, match="negative"):
        repeated(x, np.array([1, -2, 0, 3, 1]))


WIDTHS = [
    1,
    0,
    (1, 2),
    [(1, 2), (0, 3)],
    [(9, 8), (7, 0)],
    [[1], [2]],
    -1,
    1.5,
    {1: 2},
    {0: (1, 2)},
]
MODES = [
    "constant",
    "edge",
    "reflect",
    "symmetric",
    "wrap",
    "linear_ramp",
    "maximum",
    "mean",
    "minimum",
]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("width", WIDTHS, ids=str)
def test_pad(mode, width):
    for shape in ((3, 4), (2, 3), (1, 4), (0, 4)):
        check(lambda x: np.pad(x, width, mode), sample(shape))
    check(lambda x: np.pad(x, width, mode), sample((3, 4), "int32"))


PADS = [
    lambda x: np.pad(x, 2, constant_values=3),
    lambda x: np.pad(x, (1, 2), "constant", constant_values=(3, 4)),
    lambda x: np.pad(x, 2, constant_values=[(1, 2), (3, 4)]),
    lambda x: np.pad(x, 1, constant_values=x[0, 0]),
    lambda x: np.pad(x, 2, constant_values=1.7),
    lambda x: np.pad(x, 3, "reflect", reflect_type="odd"),
    lambda x: np.pad(x, (9, 7), "reflect", reflect_type="odd"),
    lambda x: np.pad(x, (9, 7), "symmetric", reflect_type="odd"),
    lambda x: np.pad(x, 3, "linear_ramp", end_values=(5, -4)),
    lambda x: np.pad(x, 3, "maximum", stat_length=2),
    lambda x: np.pad(x, 3, "mean", stat_length=((1, 2), (3, 1))),
    lambda x: np.pad(x, 3, "minimum", stat_length=0),
    lambda x: np.pad(x, 3, "edge", stat_length=0),
    lambda x: np.pad(x, 3, "backwards"),
    lambda x: np.pad(x, [(1, 1)] * 3),
]


@pytest.mark.parametrize("function", PADS)
def test_pad_options(function):
    check(function, sample((3, 4)))
    check(function, sample((3, 4), "int8"))


def test_pad_is_one_op():
    program = check(lambda x: np.pad(x, [(1, 2), (0, 0)]), sample((3, 4)))
    assert [node.op.name for node in program.function.nodes] == ["parameter", "constant", "pad"]
