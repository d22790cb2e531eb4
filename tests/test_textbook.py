"""Whole algorithms and idioms with only `@jit` added: what plain Python gives, also when called again."""

import copy
import warnings

import capture_idioms
import hostile_programs
import meeting_programs
import numpy as np
import pytest
import textbook_loops
import textbook_numeric
from textbook_programs import PROGRAMS
from traced import run

import tracejit

assert (
    capture_idioms and hostile_programs and meeting_programs and textbook_loops and textbook_numeric
)  # imported to enter their programs
# Those whose loops are of a kind that the native code has not seen elsewhere.
NATIVE = {
    "seam", "romberg", "count_queens", "shrinking", "halves", "quicksort_iter", "union_find", "pagerank", "jacobi_conv", "hull", "swap_while2", "tryfin",
    "solver_swap", "while_swap_ret_mid", "for_swap_break", "sorted_rev", "walrus", "list_cond", "any_big", "merge", "windows", "dot",
}  # fmt: skip
# Their exceptions are raised by NumPy, which runs them then.
RAISING = {
    "early_ret_none", "saddle", "min_empty", "raise_index_order", "zero_guard", "nan_guard", "assert_in_loop", "guard_then_while", "sqrt_newton", "raise_write", "raise_loop", "assert_", "raise_draw",
}  # fmt: skip


def alike(actual, wanted, tolerance):
    """Equal in structure and types, and in values but for how sums are rounded."""
    if isinstance(wanted, tuple | list):
        assert type(actual) is type(wanted) and len(actual) == len(wanted)
        for one, other in zip(actual, wanted):
            alike(one, other, tolerance)
    elif isinstance(wanted, dict):
        assert list(actual) == list(wanted)
        alike(list(actual.values()), list(wanted.values()), tolerance)
    elif isinstance(wanted, np.random.Generator):
        assert actual.bit_generator.state == wanted.bit_generator.state
    elif isinstance(wanted, np.random.RandomState):
        alike(actual.get_state(), wanted.get_state(), tolerance)
    elif isinstance(wanted, np.ndarray | np.generic | int | float | complex):
        a, b = np.asarray(actual), np.asarray(wanted)
        assert (a.dtype, a.shape) == (b.dtype, b.shape)
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)
    else:
        assert type(actual) is type(wanted) and actual == wanted


def outcome(function, args):
    """What a call gives or raises, and what it made of its arguments."""
    own = copy.deepcopy(args)
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return function(*own), own
        except Exception as error:
            return error, own


def check(function, program):
    plain, calls = program
    for args in calls:
        wanted = outcome(plain, args)
        actual = outcome(function, args)
        is_coarse = any(isinstance(x, np.ndarray) and x.dtype.char in "fF" for x in args)
        tolerance = 1e-4 if is_coarse else 1e-8
        if isinstance(wanted[0], Exception):
            assert type(actual[0]) is type(wanted[0])
            if plain.__name__ in RAISING:
                assert str(actual[0]) == str(wanted[0])
        elif isinstance(actual[0], Exception):
            raise actual[0]
        alike(actual[1], wanted[1], tolerance)
        if not isinstance(wanted[0], Exception):
            alike(actual[0], wanted[0], tolerance)


def draws(calls):
    return any(isinstance(x, np.random.Generator | np.random.RandomState) for x in calls[0])


def is_native(program):
    return program[0].__name__ in NATIVE | RAISING or draws(program[1])


@pytest.mark.parametrize(
    "program",
    [p for p in PROGRAMS if p[0].__name__ not in RAISING and not draws(p[1])],
    ids=lambda p: p[0].__name__,
)
def test_programs(program):
    check(lambda *args: run(program[0], *args), program)


@pytest.mark.parametrize(
    "program", [p for p in PROGRAMS if is_native(p)], ids=lambda p: p[0].__name__
)
def test_native_programs(program):
    function = tracejit.jit(program[0])
    check(function, program)
    check(function, program)
