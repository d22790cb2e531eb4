"""Random programs with loops and branches: jitted and plain, they never disagree, nor hang."""

import copy
import itertools
import linecache

import numpy as np
from control_texts import programs
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from traced import run

import tracejit
from tracejit import TracejitError
from tracejit.config import config

ARGUMENTS = [
    np.array([0.3, -1.2, 2.5, 0.7, -0.4]),
    np.array([1.5, 0.2, -0.5, 2.0, 0.1]),
    np.arange(5.0) - 2,
    1.25,
]
NUMBERS = itertools.count()
LIBERAL = {"deadline": None, "suppress_health_check": list(HealthCheck)}


def function_of(text):
    """The function that a text defines, which knows its source."""
    name = f"<program {next(NUMBERS)}>"
    linecache.cache[name] = (len(text), None, text.splitlines(True), name)
    space = {"np": np, "__name__": "programs"}
    exec(compile(text, name, "exec"), space)
    return space["program"]


def alike(actual, wanted):
    if isinstance(wanted, tuple | list):
        assert len(actual) == len(wanted)
        for one, other in zip(actual, wanted):
            alike(one, other)
    else:
        np.testing.assert_allclose(actual, wanted, rtol=1e-9)


def agree(text, unroll, call):
    function = function_of(text)
    ours, numpys = copy.deepcopy(ARGUMENTS), copy.deepcopy(ARGUMENTS)
    with np.errstate(all="ignore"), config.use(unroll=unroll):
        wanted = function(*numpys)
        try:
            actual = call(function, *ours)
        except TracejitError:  # refused, with a message: never wrong
            return
    alike(actual, wanted)
    alike(ours, numpys)


@settings(max_examples=80, **LIBERAL)
@given(programs(), st.sampled_from([0, 4]))
def test_traced(text, unroll):
    agree(text, unroll, run)


@settings(max_examples=15, **LIBERAL)
@given(programs(), st.sampled_from([0, 4]))
def test_compiled(text, unroll):
    agree(text, unroll, lambda function, *args: tracejit.jit(function)(*args))
