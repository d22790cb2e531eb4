"""Programs of many fields become as few kernels as the benchmark says, and give what NumPy gives."""

from __future__ import annotations

import copy
import warnings

import numpy as np
import pytest

import tracejit
from bench.fused_programs import PROGRAMS, FusedProgram
from tracejit.testing import assert_kernels

programs = pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.name)


@programs
def test_kernels(program: FusedProgram):
    """At a size that the nearest caches do not hold."""
    assert_kernels(program.function, program.arguments(1 << 17), at_most=program.kernels)


def flat(values) -> list[np.ndarray]:
    if isinstance(values, list | tuple):
        return [array for value in values for array in flat(value)]
    return [np.asarray(values)]


def outcome(function, arguments):
    """What a call returns, or the class of what it raises, and its arguments afterwards."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            return flat([function(*arguments), arguments])
        except (IndexError, ValueError) as error:
            return type(error)


@programs
def test_as_numpy(program: FusedProgram):
    """Of few elements; then with some of them nan and infinite."""
    function = tracejit.jit(program.function)
    agrees(function, program, program.arguments(1 << 13))
    if program.has_specials:  # others are more than NumPy's arithmetic
        given = program.arguments(1 << 13)
        floats = [array for array in flat(given) if array.dtype.kind == "f" and array.size > 64]
        for value, array in zip((np.nan, np.inf, -np.inf), floats):
            array.flat[array.size // 3] = value
        agrees(function, program, given)


def agrees(function, program: FusedProgram, given):
    wanted = outcome(program.function, copy.deepcopy(given))
    found = outcome(function, given)
    if isinstance(wanted, type):
        assert found is wanted
        return
    for a, b in zip(found, wanted, strict=True):
        assert a.dtype == b.dtype
        if b.dtype != object:
            scale = np.max(np.abs(b), where=np.isfinite(b), initial=0) if b.dtype.kind == "f" else 0
            np.testing.assert_allclose(a, b, rtol=0, atol=program.tolerance * scale)
