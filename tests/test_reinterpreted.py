"""The bits of numbers as other numbers: `x.view(dtype)`."""

from __future__ import annotations

import numpy as np
import pytest

from tracejit import jit
from tracejit.events import compiles

X = np.array([[0.0, -0.0, 1.5], [np.inf, np.nan, -2.5e-310], [1e300, -7.0, 3.0]])


def check(function, *args, native=True):
    wanted_args, got_args = ([np.copy(a) for a in args] for _ in range(2))
    wanted = function(*wanted_args)
    with compiles() as made:
        got = jit(function)(*got_args)
    assert native != any(one.python_calls for one in made)
    assert (got.dtype, got.shape) == (wanted.dtype, wanted.shape)
    assert got.tobytes() == wanted.tobytes()
    for a, b in zip(got_args, wanted_args):
        assert a.tobytes() == b.tobytes()


@pytest.mark.parametrize("size", [2, 4, 8])
@pytest.mark.parametrize("source", "iuf")
@pytest.mark.parametrize("target", "iuf")
def test_as_wide(source, target, size):
    with np.errstate(all="ignore"):
        x = X.astype(f"f{size}").view(f"i{size}").view(f"{source}{size}")
    check(lambda x: x.view(f"{target}{size}"), x)
    check(lambda x: x.T[1:].view(f"{target}{size}"), x)


def test_written_through():
    def clear_sign(x):
        bits = x.view(np.uint64)
        bits &= 0x7FFF_FFFF_FFFF_FFFF
        bits[0, 0] = 1
        return x + 0

    def set_low(i):
        y = i.view(np.float64)
        y[1:] = 2.0
        return i * 2

    check(clear_sign, X)
    check(set_low, X.view(np.int64))
    check(lambda x: clear_sign(x * 3), X)


def test_inverse_square_root_by_bits():
    def guess(x):
        i = 0x5F3759DF - (x.view(np.int32) >> 1)
        y = i.view(np.float32)
        return y * (np.float32(1.5) - np.float32(0.5) * x * y * y)

    check(guess, np.abs(X[X == X]).astype(np.float32)[2:5])


def test_scalars_keep_their_bits():
    check(lambda x: x[2].view(np.int64), X[0])
    check(lambda x: x.sum().view(np.uint64), X[2])


def test_complex_numbers_as_pairs():
    z = X + 1j * X[::-1]
    check(lambda z: z.view(np.float64) * 2, z)
    check(lambda x: x.view(np.complex128) + 1, np.ascontiguousarray(X[:, :2]))
    check(lambda z: (z * 2).view(np.float64).sum(axis=0), z[:1])
    with pytest.raises(ValueError, match="last axis must be contiguous"):
        jit(lambda z: z.T.view(np.float64))(z)


def test_other_widths_are_left_to_numpy():
    check(lambda x: x.view(np.uint8).sum(), X, native=False)
    check(lambda x: (x * 2).view(np.uint8)[:, 3:], X, native=False)
