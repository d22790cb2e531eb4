"""Functions that rearrange elements give NumPy's shapes, dtypes, values and errors."""

import numpy as np
import pytest
from numpy_calls import DTYPES, check, sample

from tracejit.ir.ops.movement import matched_axes


@pytest.mark.parametrize(
    "shape", [12, (2, 6), (-1,), (3, -1, 2), (1, 12, 1), (5,), (-1, -1), (0, -1)]
)
@pytest.mark.parametrize("order", ["C", "F"])
def test_reshape(shape, order):
    x = sample((3, 4))
    check(lambda x: np.reshape(x, shape, order), x)
    check(lambda x: x.reshape(shape, order=order), x)
    check(lambda x: np.reshape(x, shape=shape, order=order, copy=True), x)


def test_reshape_of_little():
    check(lambda x: x.reshape(2, -1), sample((3, 4)))
    check(lambda x: x.reshape(()), sample((1, 1)))
    check(lambda x: x.reshape(-1), sample(()))
    check(lambda x: x.reshape(0, 5), np.zeros((2, 0)))
    check(lambda x: x.reshape(-1), np.zeros((2, 0)))
    check(lambda x: x.reshape(3, -1), np.zeros((2, 0)))
    check(lambda x: np.reshape(x, (1, 1)), 2.5)


@pytest.mark.parametrize("dtype", DTYPES)
def test_flattening(dtype):
    x = sample((2, 3, 2), dtype)
    for order in "CF":
        check(lambda x: np.ravel(x, order), x)
        check(lambda x: x.ravel(order=order), x)
        check(lambda x: x.flatten(order), x)
    check(np.ravel, sample((), dtype))
    check(np.ravel, np.zeros((2, 0), dtype))


AXES = [
    lambda x: np.transpose(x),
    lambda x: np.transpose(x, (2, 0, 1)),
    lambda x: np.transpose(x, axes=(-1, 0, 1)),
    lambda x: np.permute_dims(x, (1, 0, 2)),
    lambda x: np.transpose(x, (0, 1)),
    lambda x: np.transpose(x, (0, 1, 1)),
    lambda x: np.transpose(x, (0, 1, 5)),
    lambda x: x.transpose(),
    lambda x: x.transpose(None),
    lambda x: x.transpose(1, 2, 0),
    lambda x: x.transpose((1, 2, 0)),
    lambda x: np.swapaxes(x, 0, -1),
    lambda x: x.swapaxes(1, 2),
    lambda x: np.swapaxes(x, 0, 7),
    lambda x: np.moveaxis(x, 0, -1),
    lambda x: np.moveaxis(x, [0, 1], [-1, 0]),
    lambda x: np.moveaxis(x, [0, 1], [0]),
    lambda x: np.moveaxis(x, (0, 0), (1, 2)),
    lambda x: np.rollaxis(x, 2),
    lambda x: np.rollaxis(x, 0, 3),
    lambda x: np.rollaxis(x, 1, -1),
    lambda x: np.rollaxis(x, 1, 9),
    lambda x: np.matrix_transpose(x),
    lambda x: np.linalg.matrix_transpose(x),
    lambda x: np.matrix_transpose(x[0, 0]),
    lambda x: np.expand_dims(x, 0),
    lambda x: np.expand_dims(x, (0, -1)),
    lambda x: np.expand_dims(x, (0, 0)),
    lambda x: np.expand_dims(x, 9),
    lambda x: np.squeeze(x[:1, :, :1]),
    lambda x: np.squeeze(x[:1], axis=0),
    lambda x: np.squeeze(x[:1, :, :1], (0, -1)),
    lambda x: np.squeeze(x, 0),
    lambda x: x[:1].squeeze(),
    lambda x: np.squeeze(x[0, 0, 0]),
    lambda x: np.squeeze(x[:1, :1, :1]),
    lambda x: np.broadcast_to(x, (4, 2, 3, 4)),
    lambda x: np.broadcast_to(x[:, :1], (2, 5, 4)),
    lambda x: np.broadcast_to(x, (3, 4)),
    lambda x: np.broadcast_to(x[0, 0, 0], 3),
    lambda x: np.broadcast_arrays(x, x[0], x[0, 0, 0]),
    lambda x: np.broadcast_arrays(x, x[:, :2]),
    lambda x: np.atleast_1d(x[0, 0, 0]),
    lambda x: np.atleast_1d(x, x[0, 0, 0]),
    lambda x: np.atleast_2d(x[0, 0, 0], x[0, 0], x[0], x),
    lambda x: np.atleast_3d(x[0, 0, 0], x[0, 0], x[0], x),
    lambda x: np.atleast_3d(x[0]),
]


@pytest.mark.parametrize("function", AXES)
def test_axes(function):
    check(function, sample((2, 3, 4)))


TURNS = [
    lambda x: np.flip(x),
    lambda x: np.flip(x, 0),
    lambda x: np.flip(x, (0, -1)),
    lambda x: np.flip(x, 5),
    lambda x: np.fliplr(x),
    lambda x: np.flipud(x),
    lambda x: np.fliplr(x[0, 0]),
    lambda x: np.flip(x[:0], 0),
    lambda x: np.rot90(x),
    lambda x: np.rot90(x, -1),
    lambda x: np.rot90(x, 2, (1, 2)),
    lambda x: np.rot90(x, 3, axes=(2, 0)),
    lambda x: np.rot90(x, 4),
    lambda x: np.rot90(x, 1, (1, 1)),
    lambda x: np.rot90(x, 1, (1, 4)),
]


@pytest.mark.parametrize("function", TURNS)
def test_turns(function):
    check(function, sample((2, 3, 4), "int32"))


@pytest.mark.parametrize(
    "old, new, runs",
    [
        ((56, 56, 64), (1, 56, 56, 64), [([], [0]), ([0], [1]), ([1], [2]), ([2], [3])]),
        ((6, 4), (2, 3, 4), [([0], [0, 1]), ([1], [2])]),
        ((2, 3, 4), (6, 4), [([0, 1], [0]), ([2], [1])]),
        ((4, 6), (3, 8), [([0, 1], [0, 1])]),
        ((1, 2, 1, 3), (2, 3, 1), [([0], []), ([1, 2], [0]), ([3], [1, 2])]),
    ],
)
def test_reshape_mixes_no_more_axes_than_it_must(old, new, runs):
    assert matched_axes(old, new) == runs
