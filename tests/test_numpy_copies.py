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


_IN_ORDER = {
    "ascontiguousarray": np.ascontiguousarray,
    "asfortranarray": np.asfortranarray,
    "asarray C": lambda x: np.asarray(x, order="C"),
    "asarray F": lambda x: np.asarray(x, order="F"),
    "array F": lambda x: np.array(x, order="F", copy=None),
    "array": lambda x: np.array(x, copy=None),
    "astype": lambda x: x.astype(x.dtype, order="C", copy=False),
    "np.astype": lambda x: np.astype(x, np.float64, copy=False),
    "require C": lambda x: np.require(x, requirements="C"),
    "require F": lambda x: np.require(x, requirements="F"),
}


@pytest.mark.parametrize("name", _IN_ORDER)
@pytest.mark.parametrize("shape", [(3, 4), (1, 5), (5, 1)])
def test_a_copy_only_where_the_order_is_another(name, shape):
    """What is written to one of them is seen in the other where NumPy makes no copy."""

    def function(x, order):
        found = []
        least = [x.min(axis=-1, keepdims=True).T] if order == "C" else []
        for source in (x, x[:, :1], x[:1], x.T, x.copy().T, x[::2], *least):
            taken = _IN_ORDER[name](source)
            source += 1
            taken[0] *= 2
            found += [source * 1, taken * 1]
        return found

    for order in "CF":
        x = np.asarray(sample(shape, "float64"), order=order)
        ours = tracejit.jit(function)(x.copy(order="K"), order)
        for one, other in zip(ours, function(x.copy(order="K"), order)):
            np.testing.assert_array_equal(one, other)


def test_a_copy_that_may_be_none():
    """Sums of what lies in Fortran order lie in an order that is not followed."""

    def function(x):
        y = x * 2
        z = np.ascontiguousarray(y)
        z += 1
        return y, z

    x = sample((3, 4), "float64")
    np.testing.assert_array_equal(tracejit.jit(function)(x)[0], function(x)[0])
    with pytest.raises(tracejit.UnsupportedError, match="copy in one order"):
        tracejit.jit(function)(np.asfortranarray(x))
