"""Random programs with loops and branches: jitted and plain, they never disagree, nor hang."""

import copy
import itertools
import linecache
import signal
from contextlib import contextmanager

import capture_texts
import numpy as np
from control_texts import programs
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st
from traced import run

import tracejit
from tracejit import IRError, TracejitError
from tracejit.config import config

ARGUMENTS = [
    np.array([0.3, -1.2, 2.5, 0.7, -0.4]),
    np.array([1.5, 0.2, -0.5, 2.0, 0.1]),
    np.arange(5.0) - 2,
    1.25,
]
NUMBERS = itertools.count()
# To explain a failure, hypothesis would run compilers line by line.
PHASES = [Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink]
LIBERAL = {"deadline": None, "suppress_health_check": list(HealthCheck), "phases": PHASES}


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


def outcome(function, arguments):
    """What a call gives, and what it raises."""
    try:
        with np.errstate(all="ignore"):
            return function(*arguments), None
    except TracejitError:
        raise
    except (ArithmeticError, AssertionError, IndexError, ValueError) as error:
        return None, error


class Hangs(BaseException):
    """A program has not ended."""


@contextmanager
def ending(seconds=60.0):
    """Native loops look for signals, so one that never ends is found here."""

    def end(*_):
        raise Hangs

    if not hasattr(signal, "setitimer"):
        yield
        return
    before = signal.signal(signal.SIGALRM, end)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def agree_exactly(text, unroll):
    """Jitted and plain, a program gives the same, or raises the same, and writes the same."""
    function = function_of(text)
    ours, numpys = capture_texts.arguments(), capture_texts.arguments()
    wanted, error = outcome(function, numpys)
    with config.use(unroll=unroll), ending():
        try:
            found, other = outcome(tracejit.jit(function), ours)
        except IRError:
            raise
        except TracejitError:  # refused, with a message: never wrong
            return
    assert type(other) is type(error)
    np.testing.assert_equal(found, wanted)
    np.testing.assert_equal(ours, numpys)


# What a loop carries is at first a constant that something else reads, too.
CARRIED = capture_texts.PREAMBLE + """

def program(a, b, k, g, z, x):
    s, t, u, n, m, f = x, 1, 0.5, 0, 1, False
    p, d, l, o, w = (x, 2), {'k': 1, 'q': (0.5, 3)}, [1, x, 2.5], Pair(1, x), z[0]
    q = [x, 1.0]
    c1 = 0
    while c1 < 5 and any(v > s for v in a):
        c1 += 1
        try:
            d['q'] = (d['q'][1], (clipped(s, -3, s)) % 5)
            o.push((min(s * 1.0, s * 1.0)) % 5)
        finally:
            u = (s) % 5
        if d['k'] < n:
            s = (clipped(s, -3, s)) % 5
            s = (s) % 5
    else:
        a[a > s] = t
    return s, t, u, n, m, f, p, d['k'], d['q'], l[0], l[2], o.x, o.y, w, len(q), q[0], q[-1], a, b, k, g, z
"""


@settings(max_examples=40, **LIBERAL)
@example(CARRIED, 0)
@given(capture_texts.programs(depth=2), st.sampled_from([0, 4]))
def test_everything_that_control_flow_is_made_of(text, unroll):
    agree_exactly(text, unroll)
