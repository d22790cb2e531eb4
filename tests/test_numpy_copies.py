"""What NumPy copies is never the caller's own array, even when nothing had to be done."""

import numpy as np
import pytest
from numpy_calls import sample

import tracejit
from tracejit.trace.program import ArgumentOutput
from tracejit.trace.tracing import trace

COPIES = [
    lambda x: np.copy(x),
    lambda x: x.copy(),
    lambda x: np.array(x),
    lambda x: x.astype(x.dtype),
    lambda x: np.roll(x, 0),
    lambda x: np.roll(x, 0, axis=1),
    lambda x: np.tile(x, 1),
    lambda x: np.repeat(x, 1, axis=0),
    lambda x: np.round(x),
    lambda x: x.round(2),
    lambda x: np.nan_to_num(x),
    lambda x: np.clip(x, None, None),
    lambda x: np.pad(x, 0),
    lambda x: np.pad(x, 0, mode="edge"),
    lambda x: np.concatenate([x]),
    lambda x: np.take(x, range(3), axis=0),
    lambda x: np.delete(x, [], axis=0),
    lambda x: np.append(x, np.zeros((0, 4), int), axis=0),
    lambda x: np.full(x.shape, x),
    lambda x: np.sum(x, axis=()),
    lambda x: np.where(True, x, x),
    lambda x: np.diff(x[:, :0]),
]


@pytest.mark.parametrize("function", COPIES)
def test_copies(function):
    x = sample((3, 4), "int64")
    assert function(x) is not x
    (output,) = trace(function, (x,), {}).outputs
    assert not isinstance(output, ArgumentOutput)


@pytest.mark.parametrize("function", [np.asarray, np.asanyarray, np.atleast_1d, lambda x: x.conj()])
def test_same_object(function):
    x = sample((3, 4), "int64")
    assert function(x) is x
    (output,) = trace(function, (x,), {}).outputs
    assert isinstance(output, ArgumentOutput)


def test_what_lies_in_fortran_order_is_taken_as_it_is():
    def column_sums(x, y):
        f, g = np.asfortranarray(x), np.asfortranarray(y.T)
        g[0] = 7.0  # which is seen in y
        return f is x, f, np.asfortranarray(y), g.sum(0)

    x, y = np.arange(4.0), np.arange(6.0).reshape(2, 3)
    wanted = column_sums(x.copy(), wanted_y := y.copy())
    got = tracejit.jit(column_sums)(x, y)
    assert got[0] and got[1] is x and not np.shares_memory(got[2], y)
    np.testing.assert_array_equal(y, wanted_y)
    for a, b in zip(got[1:], wanted[1:]):
        np.testing.assert_array_equal(a, b)
