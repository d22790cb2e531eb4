"""Every function is called as NumPy's: same parameters, positions and keywords."""

import inspect

import numpy as np
import pytest

import tracejit
import tracejit.trace.numpy  # noqa: F401, fills the tables
from tracejit.trace.registry import CREATIONS, FUNCTIONS, METHODS

# What a few versions of NumPy have; a call with such a keyword is left to NumPy.
LEFT_TO_NUMPY = {"bias", "ddof", "descending", "interpolation", "newshape"}
BY_KEYWORD = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


def signatures():
    for table in (FUNCTIONS, CREATIONS):
        for function, implementation in table.items():
            if table is CREATIONS and function in FUNCTIONS:
                continue
            if isinstance(function, np.ufunc):  # their options are read from a dictionary
                continue
            if not callable(function):  # np.mgrid and its like
                continue
            if function is np.vectorize:  # how what it makes is called
                continue
            name = f"{function.__module__}.{function.__name__}"
            yield pytest.param(function, implementation, id=name)


def methods():
    for name, implementation in METHODS.items():
        yield pytest.param(getattr(np.ndarray, name), implementation, id=name)


def is_left(parameter):
    """Whether it is of a few versions; `bias` of np.corrcoef is, but not that of np.cov."""
    is_special = parameter.kind is parameter.KEYWORD_ONLY or parameter.default is np._NoValue
    return is_special and parameter.name in LEFT_TO_NUMPY


def compare(theirs, ours):
    own = ours.parameters.values()
    takes_keywords = any(parameter.kind is parameter.VAR_KEYWORD for parameter in own)
    takes_positions = any(parameter.kind is parameter.VAR_POSITIONAL for parameter in own)
    own_names = [p.name for p in own if p.kind in BY_KEYWORD]
    for parameter in theirs.parameters.values():
        if parameter.kind in BY_KEYWORD and not takes_keywords and not is_left(parameter):
            assert parameter.name in own_names, f"{parameter.name} is missing"
    positions = [p for p in theirs.parameters.values() if p.kind < p.VAR_POSITIONAL]
    positions = [p for p in positions if not is_left(p)]
    own_positions = [p for p in own if p.kind < p.VAR_POSITIONAL]
    if not takes_positions:
        assert len(own_positions) >= len(positions)
        for left, right in zip(positions, own_positions):
            assert left.name == right.name or left.kind is left.POSITIONAL_ONLY


@pytest.mark.parametrize("function, implementation", list(signatures()))
def test_functions(function, implementation):
    try:
        theirs = inspect.signature(function)
    except ValueError:
        pytest.skip("NumPy gives no signature")
    compare(theirs, inspect.signature(implementation))


@pytest.mark.parametrize(
    "call",
    [
        lambda x: np.sort(x, descending=True),
        lambda x: np.argsort(x, descending=True),
        lambda x: x.argsort(descending=True),
        lambda x: np.reshape(x, newshape=(4, 3)),
        lambda x: np.quantile(x, 0.3, interpolation="nearest"),
        lambda x: np.corrcoef(x, bias=True),
        lambda x: np.sum(x, nonsense=1),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_keywords_of_few_versions(call):
    x = np.random.default_rng(0).standard_normal((3, 4))
    outcomes = []
    for run in (call, tracejit.jit(call)):
        try:
            outcomes.append((run(x),))
        except TypeError as error:
            outcomes.append(str(error))
    assert isinstance(outcomes[0], str) == isinstance(outcomes[1], str)
    if isinstance(outcomes[0], str):
        assert outcomes[0] in outcomes[1]
    else:
        np.testing.assert_array_equal(outcomes[1][0], outcomes[0][0])


@pytest.mark.parametrize("method, implementation", list(methods()))
def test_methods(method, implementation):
    try:
        theirs = inspect.signature(method)
    except ValueError:
        pytest.skip("NumPy gives no signature")
    compare(theirs, inspect.signature(implementation))
