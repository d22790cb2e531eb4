"""Python's loops and branches over traced values: captured, they mean what Python means."""

import copy

import numpy as np
import pytest

from capture_programs import PROGRAMS
from traced import run

import tracejit
from tracejit.config import config

IDS = [f"{k}-{program[0].__name__}" for k, program in enumerate(PROGRAMS)]
# Loops of any length are rolled; short ones are unrolled; all are.
UNROLL = [0, 4, 1 << 20]


def alike(actual, wanted):
    """Equal in structure, and in values but for how sums are rounded."""
    if isinstance(wanted, tuple | list):
        assert len(actual) == len(wanted)
        for one, other in zip(actual, wanted):
            alike(one, other)
        return
    if isinstance(wanted, np.ndarray):
        assert (actual.shape, actual.dtype) == (wanted.shape, wanted.dtype)
    if isinstance(wanted, str) or wanted is None:
        assert actual == wanted
        return
    assert np.asarray(actual).dtype == np.asarray(wanted).dtype
    np.testing.assert_allclose(actual, wanted, rtol=1e-12)


@pytest.mark.parametrize("unroll", UNROLL)
@pytest.mark.parametrize("program", PROGRAMS, ids=IDS)
def test_programs(program, unroll):
    function, *args = program
    ours, numpys = copy.deepcopy(args), copy.deepcopy(args)
    wanted = function(*numpys)
    with config.use(unroll=unroll):
        actual = run(function, *ours)
    alike(actual, wanted)
    alike(ours, numpys)


def halved(n, m):
    if n % 2 == 0:
        return n // 2
    return 3 * n + 1


def divided(n, m):
    if m != 0:
        return n // m
    return n


@pytest.mark.parametrize("function, branches", [(halved, False), (divided, True)])
def test_only_what_may_not_be_computed_is_branched_around(function, branches):
    text = tracejit.show(tracejit.jit(function).trace(np.int64(3), np.int64(0)).module)
    assert ("branch(" in text) == branches
