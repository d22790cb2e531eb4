"""Programs as NumPy's users write them, unmodified: NumPy's results, for both precisions."""

from __future__ import annotations

import copy
import warnings

import everyday_programs as programs
import numpy as np
import pytest

from tracejit import jit

# Where rounding decides how many steps a point takes.
CHAOTIC = ("mandel",)


def arguments(name, n, dtype):
    programs.rng = np.random.default_rng(5)
    make = programs.ARGUMENTS.get(name)
    return make(n, dtype) if make else (programs.vector(n, dtype),)


def parts(found):
    return [np.asarray(part) for part in (found if isinstance(found, tuple) else (found,))]


@pytest.mark.parametrize("dtype", ["f8", "f4"])
@pytest.mark.parametrize("name", programs.PROGRAMS)
def test_as_numpy(name, dtype):
    program = programs.PROGRAMS[name]
    given = arguments(name, 1000, dtype)
    own = copy.deepcopy(given)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        wanted = program(*copy.deepcopy(given))
        compiled = jit(program)
        found = [compiled(*own), compiled(*own)]
    tolerance = 2e-3 if dtype == "f4" else 1e-8
    for result in found:
        assert type(result) is type(wanted)
        for one, other in zip(parts(result), parts(wanted), strict=True):
            assert (one.dtype, one.shape) == (other.dtype, other.shape)
            if other.dtype.kind in "fc":
                size = np.abs(np.where(np.isfinite(other), other, 0)).max(initial=1)
                np.testing.assert_allclose(one, other, tolerance, tolerance * size)
            elif name not in CHAOTIC or dtype == "f8":
                np.testing.assert_array_equal(one, other)
    for array, before in zip(own, given):
        np.testing.assert_array_equal(array, before)
