"""Every function is called as NumPy's: same parameters, positions and keywords."""

import inspect

import numpy as np
import pytest

import tracejit.trace.numpy  # noqa: F401, fills the tables
from tracejit.trace.registry import CREATIONS, FUNCTIONS, METHODS

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
            name = f"{function.__module__}.{function.__name__}"
            yield pytest.param(function, implementation, id=name)


def methods():
    for name, implementation in METHODS.items():
        yield pytest.param(getattr(np.ndarray, name), implementation, id=name)


def compare(theirs, ours):
    own = ours.parameters.values()
    takes_keywords = any(parameter.kind is parameter.VAR_KEYWORD for parameter in own)
    takes_positions = any(parameter.kind is parameter.VAR_POSITIONAL for parameter in own)
    own_names = [p.name for p in own if p.kind in BY_KEYWORD]
    for parameter in theirs.parameters.values():
        if parameter.kind in BY_KEYWORD and not takes_keywords:
            assert parameter.name in own_names, f"{parameter.name} is missing"
    positions = [p for p in theirs.parameters.values() if p.kind < p.VAR_POSITIONAL]
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


@pytest.mark.parametrize("method, implementation", list(methods()))
def test_methods(method, implementation):
    try:
        theirs = inspect.signature(method)
    except ValueError:
        pytest.skip("NumPy gives no signature")
    compare(theirs, inspect.signature(implementation))
