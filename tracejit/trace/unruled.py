"""NumPy's functions and methods for which there is no rule, or none for such arguments."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from ..errors import TraceError, UnsupportedError
from .context import current_trace
from .host import Callee, call_through_python, known, name_of, no_rule
from .registry import FUNCTIONS
from .tree import flatten

# They write into an argument, or ask where it lies.
_NOT_CALLED_THROUGH_PYTHON = (
    np.copyto, np.fill_diagonal, np.place, np.put, np.put_along_axis, np.putmask,
    np.may_share_memory, np.shares_memory,
)  # fmt: skip
_METHODS_NOT_CALLED = "partition put resize setfield setflags sort to_device getfield view".split()
_OUTPUT = (np.save, np.savetxt, np.savez, np.savez_compressed)


def apply_function(function: Any, args: tuple, kwargs: dict[str, Any]) -> Any:
    """A NumPy function on traced arrays: by its rule, or through Python where that fails.

    A rule that fails where sizes or ints are unknown may serve when the function is traced for these
    very ones.
    """
    implementation = FUNCTIONS.get(function)
    if implementation is not None:
        try:
            return implementation(*args, **kwargs)
        except (TraceError, UnsupportedError):  # a rule that does not know these options
            trace = current_trace()
            writes = kwargs.get("out") is not None or function in _NOT_CALLED_THROUGH_PYTHON
            if writes or trace is None or trace.is_tentative or not trace.calls_python:
                raise
    elif function in _NOT_CALLED_THROUGH_PYTHON:
        raise no_rule(name_of(function))
    return call_through_python(_callee(function, args, kwargs), args, kwargs)


def _callee(function: Any, args: tuple, kwargs: dict[str, Any]) -> Callee:
    """A function of a library's; what it is given to call may do anything."""
    called = [leaf for leaf in flatten((args, kwargs))[0] if callable(leaf)]
    is_plain = all(isinstance(leaf, np.ufunc | type) for leaf in called)
    is_numpys = (function.__module__ or "").partition(".")[0] == "numpy"
    has_effects = not is_plain or function in _OUTPUT
    return replace(known(function), has_effects=has_effects, is_known=is_plain and is_numpys)


def method_without_rule(name: str) -> Callable[..., Any]:
    """A method of arrays that has no rule, as a function that takes the array first."""

    def run(*args: Any, **kwargs: Any) -> Any:
        if name in _METHODS_NOT_CALLED:
            raise no_rule(f"ndarray.{name}")
        callee = known(_Method(name), f"numpy.ndarray.{name}")
        if name in ("dump", "tofile"):
            callee = replace(callee, has_effects=True)
        return call_through_python(callee, args, kwargs)

    return run


class _Method(NamedTuple):
    """A method as a function; of arrays and of scalars."""

    name: str

    def __call__(self, value: Any, /, *args: Any, **kwargs: Any) -> Any:
        return getattr(value, self.name)(*args, **kwargs)
