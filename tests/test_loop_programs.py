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
    for size in (program.small, program.small + 3)[: 2 if numerics == "default" else 1]:
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


def test_inner_loops_of_loops_that_end_by_themselves():
    """One such loop in another, after another one, in a branch: each has an index of its own."""

    def function(b, n):
        m = 0
        if n > 0:
            while m < n and b[0] > m:
                m += 1
            for _ in range(2):
                rounds = 0
                while rounds < n and b[1] > 0:
                    rounds += 1
                    count = 0
                    while count < n and b[1] > count:
                        count += 1
                        m = (m + count) % 6
                b[1] = m
        return m

    jitted = tracejit.jit(function)
    for n in map(np.int64, (0, 3, 7)):
        ours, numpys = np.full(4, 3.0), np.full(4, 3.0)
        assert jitted(ours, n) == function(numpys, n)
        np.testing.assert_array_equal(ours, numpys)
