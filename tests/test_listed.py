"""Lanes that read at positions in memory: the elements, also where positions count from the end, and the errors."""

from __future__ import annotations

import numpy as np
import pytest

from tracejit import jit
from tracejit.ir.tensor import For, statements

RANDOM = np.random.default_rng(0)
N = 75  # vectors of lanes, and some left over
LINE, PLANE = RANDOM.normal(size=40), RANDOM.normal(size=(40, 30))
I, J = RANDOM.integers(0, 40, N), RANDOM.integers(0, 30, N)

PROGRAMS = {
    "elements": (lambda x, i: x[i], (LINE, I)),
    "of a part": (lambda x, i: x[3::2][i // 3], (LINE, I)),
    "positions in steps": (lambda x, i: x[i[::2]], (LINE, I)),
    "backwards": (lambda x, i: x[i[::-1]], (LINE, I)),
    "two of one array": (lambda x, i, j: x[i] - x[j], (LINE, I, J)),
    "by two positions": (lambda x, i, j: x[i, j], (PLANE, I, J)),
    "of one row": (lambda x, j: x[7, j], (PLANE, J)),
    "of each row": (lambda x, j: np.take_along_axis(x, j, 1), (PLANE, np.tile(J, (40, 1)))),
    "down columns": (lambda x, i: np.take_along_axis(x, i, 0), (PLANE, np.tile(I, (30, 1)).T)),
    "with the lane's own": (lambda x, j: x[np.arange(30), j[:30]], (PLANE, J)),
    "known to be inside": (lambda x, i: x[i % 40] + x[i & 31], (LINE, I)),
    "bytes": (lambda x, i: x[i], (LINE, I.astype(np.uint8))),
    "one known, one not": (lambda x, i, j: x[i, j.astype(np.uint8) & 15], (PLANE, I, J)),
    "large numbers": (lambda x, i: x[i], (LINE, I.astype(np.uint64))),
    "of what is computed": (lambda x, i: np.sqrt(np.abs(x))[i] * x[i], (LINE, I)),
    "positions at positions": (lambda x, i, j: x[i[j]], (LINE, I, J)),
    "of truths": (lambda x, i: (x > 0)[i] & (x < 1)[i], (LINE, I)),
    "changed in between": (lambda x, i: _changed(x.copy(), i.copy()), (LINE, I)),
}


def _changed(x, i):
    for k in range(0, i.size - 8, 8):
        i[k + 8 : k + 16][: i.size - k - 8] //= 2
        x[:8] = x[i[k : k + 8]] * 0.5
    return x


@pytest.mark.parametrize("dtype", ["f8", "f4", "f2", "c16"])
@pytest.mark.parametrize("name", PROGRAMS)
def test_elements(name, dtype):
    function, (x, *places) = PROGRAMS[name]
    x = (x * 50).astype(dtype)
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(jit(function)(x, *places), function(x, *places))


@pytest.mark.parametrize(
    "name", ["elements", "two of one array", "by two positions", "of each row"]
)
def test_some_count_from_the_end(name):
    function, (x, *places) = PROGRAMS[name]
    jitted = jit(function)
    for k, position in enumerate(places):
        for count in (1, 5):
            own = position.copy()
            own.reshape(-1)[RANDOM.integers(0, own.size, count)] *= -1
            given = [*places[:k], own, *places[k + 1 :]]
            np.testing.assert_array_equal(jitted(x, *given), function(x, *given))


@pytest.mark.parametrize("bad", [40, -41, 2**62, -(2**63)])
@pytest.mark.parametrize("place", [0, 13, N - 1])
@pytest.mark.parametrize("name", ["elements", "two of one array", "by two positions"])
def test_outside(name, place, bad):
    """The error is that of NumPy, whatever lies at other positions."""
    function, (x, i, *others) = PROGRAMS[name]
    i = np.where(np.arange(N) == place, bad, i)
    with pytest.raises(IndexError) as wanted:
        function(x, i, *others)
    with pytest.raises(IndexError) as found:
        jit(function)(x, i, *others)
    assert str(found.value) == str(wanted.value)


@pytest.mark.parametrize(
    "function, size, mark",
    [
        (lambda x, i, j: x[i] - x[j], 40_000, "serial"),
        (lambda x, i, j: x[i] - x[j], 4000, "vector"),  # in the nearest cache
        (lambda x, i, j: x[i], 40_000, "vector"),
        (lambda x, i, j: np.sqrt(x[i] - x[j]), 40_000, "vector"),
        (lambda x, i, j: (x[i] - x[j]).sum(), 40_000, "vector"),
    ],
)
def test_what_is_only_brought_together_is_so_one_by_one(function, size, mark):
    x, (i, j) = RANDOM.normal(size=size), RANDOM.integers(-size, size, (2, 1000))
    compiled = jit(function, threads=1)
    kernels = compiled.lower(x, i, j).module.functions
    loops = [s for k in kernels for s in statements(k.body) if isinstance(s, For)]
    assert loops[-1].mark == mark
    with np.errstate(invalid="ignore"):
        np.testing.assert_allclose(compiled(x, i, j), function(x, i, j), rtol=1e-11)
    for bad in (size, -size - 1):
        i[700] = bad
        with pytest.raises(IndexError, match=f"index {bad} is out of bounds"):
            compiled(x, i, j)
