"""Compare a jitted function with the plain one, also in what it does to its arguments."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from tracejit import jit
from tracejit.config import config

# Relative and absolute, by dtype; where results need not be NumPy's bits.
NEARLY = {"float16": (4e-3, 1e-3), "float32": (1e-4, 1e-5), "complex64": (1e-4, 1e-5)}


@pytest.fixture(autouse=True)
def quietly() -> Iterator[None]:
    """No warnings; every pass is verified. For tests that import it."""
    with warnings.catch_warnings(), np.errstate(all="ignore"), config.use(verify=2):
        warnings.simplefilter("ignore")
        yield


def outcome(function: Callable[..., Any], args: tuple) -> Any:
    """What a call gives, or raises."""
    try:
        return function(*args)
    except Exception as error:  # noqa: BLE001 - compared by the caller
        return error


def same(actual: Any, wanted: Any, nearly: bool = False) -> None:
    """Equal in type, dtype, shape and values, bit by bit but for `nearly`; item by item."""
    if isinstance(wanted, tuple | list):
        assert len(actual) == len(wanted)
        for one, other in zip(actual, wanted):
            same(one, other, nearly)
        return
    if isinstance(wanted, np.ndarray | np.generic):
        assert type(actual) is type(wanted)
        assert (actual.dtype, actual.shape) == (wanted.dtype, wanted.shape)
    if nearly and not (wanted is None or isinstance(wanted, str)):
        rtol, atol = NEARLY.get(np.asarray(wanted).dtype.name, (1e-11, 1e-13))
        np.testing.assert_allclose(actual, wanted, rtol=rtol, atol=atol)
    else:
        np.testing.assert_array_equal(actual, wanted)


def check(
    function: Callable[..., Any],
    *args: Any,
    calls: int = 2,
    compiled: Any = None,
    nearly: bool = False,
) -> Any:
    """The same result, the same arguments afterwards, or the same error, call after call."""
    compiled = compiled or jit(function)
    for _ in range(calls):
        ours, numpys = copy.deepcopy(args), copy.deepcopy(args)
        wanted, actual = outcome(function, numpys), outcome(compiled, ours)
        if isinstance(wanted, Exception):
            assert isinstance(actual, type(wanted)), f"{actual!r}, not {wanted!r}"
            assert str(actual).splitlines()[0] == str(wanted).splitlines()[0]
        elif isinstance(actual, Exception):
            raise actual
        else:
            same(actual, wanted, nearly)
        same(ours, numpys, nearly)
    return compiled
