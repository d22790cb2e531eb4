"""The programs of loops and branches that the benchmarks time, at small sizes: `@jit` against plain Python."""

import numpy as np
import pytest

import tracejit
from bench.loop_programs import PROGRAMS, LoopProgram
from tracejit.config import NUMERICS

programs = pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.name)


def results(function, program: LoopProgram, size: int) -> tuple:
    """Results and arguments after the call, as arrays."""
    arguments = program.arguments(size)
    found = function(*arguments)
    found = found if isinstance(found, tuple) else (found,)
    return tuple(map(np.asarray, (*found, *arguments)))


def same(found: tuple, wanted: tuple, tolerance: float) -> None:
    assert len(found) == len(wanted)
    for give, want in zip(found, wanted):
        assert give.dtype == want.dtype
        assert give.shape == want.shape
        scale = np.max(np.abs(want), where=np.isfinite(want), initial=0)
        np.testing.assert_allclose(give, want, rtol=0, atol=tolerance * scale)


@programs
@pytest.mark.parametrize("numerics", NUMERICS)
def test_jit_gives_what_python_gives(program: LoopProgram, numerics: str):
    function = tracejit.jit(program.function, numerics=numerics)
    tolerance = program.tolerance if numerics == "strict" else max(program.tolerance, 1e-9)
    for size in (program.small, program.small + 3):
        wanted = results(program.function, program, size)
        same(results(function, program, size), wanted, tolerance)


@pytest.mark.parametrize(
    "program", [p for p in PROGRAMS if p.numba], ids=lambda program: program.name
)
def test_the_loops_for_numba_do_the_same(program: LoopProgram):
    """Run by Python: their `prange` is `range`."""
    wanted = results(program.function, program, program.small)
    found = results(program.numba, program, program.small)
    tolerance = max(program.tolerance, 1e-12)
    for give, want in zip(found, wanted):
        same((give.astype(want.dtype),), (want,), tolerance)
