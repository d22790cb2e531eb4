"""Arrays that are copied or computed, and exchanged in part, are written once."""

from __future__ import annotations

import numpy as np
import pytest

import tracejit
from tracejit.testing import assert_kernels

U = np.random.default_rng(0).standard_normal((40, 50))
U[3, 4], U[0, 7], U[39, 0], U[20, 20] = np.nan, np.inf, -np.inf, -0.0
X3 = np.random.default_rng(1).standard_normal((9, 11, 13))


def near(u):
    return u[:-2, 1:-1] + u[2:, 1:-1] + u[1:-1, :-2] + u[1:-1, 2:]


def copied(u):
    new = u.copy()
    new[1:-1, 1:-1] = near(u)
    return new


def computed(u):
    new = 2 * u
    new[1:-1, 1:-1] += near(u)
    return new


def of_a_side(u):
    new = np.exp(u)
    new[:, 3:] *= 2
    return new


def of_a_corner(u):
    new = u.copy()
    new[:5, 40:] = np.sin(u[:5, 40:])
    return new


def of_a_row(u):
    new = u.copy()
    new[7] = u[8] - u[6]
    return new


def then_summed(u):
    new = u * 0.5
    new[:, 0] = 1
    return (new * new).sum(axis=1)


def whole(u):
    new = u.copy()
    new[:] = u + 1
    return new


ONCE = [copied, computed, of_a_side, of_a_corner, then_summed, whole]


def compared(function, *arguments):
    given = [np.copy(a) for a in arguments]
    with np.errstate(all="ignore"):
        wanted = function(*[np.copy(a) for a in arguments])
        for numerics in ("strict", "default"):
            found = tracejit.jit(function, numerics=numerics)(*given)
            pairs = zip(found, wanted) if isinstance(wanted, tuple) else [(found, wanted)]
            for a, b in pairs:
                np.testing.assert_allclose(a, b, rtol=1e-13, atol=1e-14)
    for before, after in zip(arguments, given):
        np.testing.assert_array_equal(before, after)


@pytest.mark.parametrize("function", ONCE)
def test_one_kernel(function):
    compared(function, U)
    assert_kernels(function, (U,), exactly=1)


def test_three_axes():
    def heat(u):
        new = u.copy()
        new[1:-1, 2:-1, 1:-3] = u[1:-1, 2:-1, 1:-3] + u[2:, 2:-1, 3:-1]
        return new

    compared(heat, X3)
    assert_kernels(heat, (X3,), exactly=1)


def others_read_it(u):
    old = np.exp(u)
    new = old.copy()
    new[1:-1] = old[:-2] + old[2:]
    return new, old.sum()


def read_elsewhere(u):
    new = np.exp(u)
    new[1:-1] = new[:-2] + new[2:]
    return new


def read_shifted(u):
    new = u.copy()
    new[1:-1] = u[:-2] + u[2:]
    return new[1:] - new[:-1]


def of_the_callers(u):
    u[1:-1] *= 2
    return u.sum()


def by_steps(u):
    new = u.copy()
    new[::2] = u[::2] + 1
    return new


def nothing(u):
    new = u.copy()
    new[3:3] = 5
    return new


def in_a_loop(u):
    u = u.copy()
    for _ in range(9):
        u[1:-1] += 0.1 * (u[2:] + u[:-2] - 2 * u[1:-1])
    return u


@pytest.mark.parametrize(
    "function",
    [others_read_it, read_elsewhere, read_shifted, by_steps, nothing, in_a_loop, of_a_row],
)
def test_what_stays_an_update(function):
    compared(function, np.nan_to_num(U, posinf=1, neginf=2))


def test_callers_arrays_are_written_in_their_place():
    given, wanted = U.copy(), U.copy()
    with np.errstate(all="ignore"):
        expected = of_the_callers(wanted)
        found = tracejit.jit(of_the_callers)(given)
    np.testing.assert_array_equal(given, wanted)
    np.testing.assert_allclose(found, expected)
