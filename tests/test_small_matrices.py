"""Matrices of up to four rows, computed element by element."""

from __future__ import annotations

import numpy as np
import pytest
from combinations import pairs
from numpy.linalg import LinAlgError
from test_linalg import calls_of_python

from tracejit import jit

L = np.linalg
FUNCTIONS = {
    "inv": L.inv,
    "det": L.det,
    "solve": lambda a: L.solve(a, a[..., :2] + 1),
    "solve a vector": lambda a: L.solve(a, np.arange(a.shape[-1])),
    "solve for one matrix": lambda a: L.solve(np.eye(a.shape[-1]) * 3, a),
    "cholesky": lambda a: L.cholesky(a @ a.swapaxes(-1, -2) + np.eye(a.shape[-1])),
    "upper cholesky": lambda a: L.cholesky(a @ a.swapaxes(-1, -2) + a.dtype.type(1), upper=True),
    "power": lambda a: L.matrix_power(a, -2),
}


def matrices(side, outer, dtype, seed=0):
    """Some of them need rows exchanged, at any step."""
    rng = np.random.default_rng(seed)
    a = rng.integers(-4, 5, (*outer, side, side)) + rng.normal(size=(*outer, side, side)) / 8
    return a.astype(dtype)


@pytest.mark.parametrize(
    "name, side, outer, dtype",
    pairs(FUNCTIONS, [1, 2, 3, 4], [(), (50,), (2, 3), (0,)], ["f8", "f4", "i4"]),
)
def test_as_numpy_but_for_rounding(name, side, outer, dtype):
    def program(a):
        return FUNCTIONS[name](a)

    compiled = jit(program)
    a = matrices(side, outer, dtype)
    if a.dtype.kind == "i":
        a = a * 10 + np.eye(side, dtype="i4") * 37
    wanted, found = program(a), compiled(a)
    assert type(found) is type(wanted)
    assert (found.dtype, found.shape) == (wanted.dtype, wanted.shape)
    assert not calls_of_python(compiled, a)
    if not a.size:
        return
    # Backward error of elimination: some roundings, times the condition of the matrix.
    unit = max(np.finfo(wanted.dtype).eps, 2**-52)
    condition = np.reshape(L.cond(a.astype("f8")) ** (2 if name == "power" else 1), (-1,))
    rows = [np.reshape(x, (condition.size, -1)) for x in (found, wanted)]
    error = np.abs(rows[0] - rows[1]).max(axis=1)
    bound = 64 * unit * condition * (np.abs(rows[1]).max(axis=1) + 1)
    assert np.all(error <= bound)


def test_no_library_is_called():
    compiled = jit(lambda a: L.inv(a))
    names = {node.op.name for node in compiled.trace(np.eye(3)).module.entry.nodes}
    assert "linalg_inv" not in names and "regular_pivot" in names
    names = {node.op.name for node in compiled.trace(np.eye(5)).module.entry.nodes}
    assert "eliminated_inv" in names


@pytest.mark.parametrize(
    "function",
    [
        lambda a: L.inv(a) * 2,
        lambda a: L.solve(a, np.ones(a.shape[-1])),
        lambda a: L.cholesky(a),
    ],
)
def test_singular(function):
    compiled = jit(function)
    for side in (1, 2, 3, 4):
        stack = np.stack([np.eye(side)] * 20)
        compiled(stack)
        stack[13] = 0
        with pytest.raises(LinAlgError) as wanted:
            function(stack)
        with pytest.raises(LinAlgError) as found:
            compiled(stack)
        assert str(found.value) == str(wanted.value)


def test_the_users_handler_is_asked():
    def program(a):
        try:
            return L.inv(a)
        except LinAlgError:
            return np.zeros_like(a)

    compiled = jit(program)
    for a in (np.eye(3) * 2, np.zeros((3, 3)), np.ones((3, 3))):
        np.testing.assert_allclose(compiled(a), program(a))


def test_determinants_of_singular_matrices_are_zero():
    a = np.zeros((4, 3, 3))
    a[1] = 1
    a[2, 0] = 5
    a[3] = [[0, 1, 2], [0, 3, 4], [0, 5, 6]]
    np.testing.assert_array_equal(jit(lambda a: L.det(a))(a), np.zeros(4))


def test_nan_stays_where_it_is():
    a = np.stack([np.eye(3)] * 9)
    a[4, 1, 1] = np.nan
    for function in (L.inv, L.det):
        found, wanted = jit(lambda a: function(a))(a), function(a)
        np.testing.assert_array_equal(
            np.isnan(found).reshape(9, -1).any(-1), np.isnan(wanted).reshape(9, -1).any(-1)
        )
