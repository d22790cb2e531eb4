"""NumPy's functions and methods for which there is no rule, or none for such arguments."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from inspect import signature
from typing import Any, NamedTuple

import numpy as np

from ..errors import TraceError, UnsupportedError
from .attempts import NotTraced, attempt, is_plain
from .context import current_trace
from .host import Callee, NoRule, call_through_python, known, name_of, no_rule
from .registry import FUNCTIONS
from .tree import flatten
from .value import Value

# They write into their first argument.
_WRITING = (
    np.copyto, np.fill_diagonal, np.place, np.put, np.put_along_axis, np.putmask,
)  # fmt: skip
_WRITING_METHODS = ("put",)
# They ask where memory is, or change what it is.
_NOT_CALLED = (np.may_share_memory, np.shares_memory)
_METHODS_NOT_CALLED = ("setfield", "setflags", "getfield")
# What they do is not to compute.
_UNTRACED = (np.save, np.savetxt, np.savez, np.savez_compressed, *_NOT_CALLED)
_OUTPUT = (np.save, np.savetxt, np.savez, np.savez_compressed)


def apply_function(function: Any, args: tuple, kwargs: dict[str, Any]) -> Any:
    """A NumPy function on traced arrays: by its rule, or through Python where that fails.

    A rule that fails where sizes or ints are unknown may serve when the function is traced for these
    very ones.
    """
    implementation = FUNCTIONS.get(function)
    if implementation is not None and _takes(implementation, (*kwargs,)):
        try:
            return implementation(*args, **kwargs)
        except (TraceError, UnsupportedError) as error:  # a rule that does not know these options
            trace = current_trace()
            has_out = kwargs.get("out") is not None
            if has_out or trace is None or not trace.calls_python:
                raise
            if trace.is_tentative and not isinstance(error, NoRule):
                raise
    plain = _plain_of(function)
    if plain is not None:
        with contextlib.suppress(NotTraced):
            return attempt(plain, args, kwargs)
    if function in _NOT_CALLED:
        raise no_rule(name_of(function))
    if kwargs.get("overwrite_input"):  # that it may be overwritten, not that it must
        kwargs = {**kwargs, "overwrite_input": False}
    callee = _callee(function, args, kwargs)
    if function in _WRITING:
        return write_through_python(callee, args, kwargs)
    return call_through_python(callee, args, kwargs)


@lru_cache(maxsize=1024)
def _takes(implementation: Callable[..., Any], keywords: tuple[str, ...]) -> bool:
    """Whether a rule knows these keywords; some there are in a few versions of NumPy only."""
    parameters = signature(implementation).parameters
    is_open = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    return is_open or all(name in parameters for name in keywords)


def made_through_python(function: Any, error: TraceError, args: tuple, kwargs: dict) -> Any:
    """What a function gives that makes an array, the size of which depends on values.

    It is made for the size at hand; for another one the program is compiled anew, or left to NumPy.
    """
    trace, needed = current_trace(), getattr(error, "needed", None)
    is_numpys = (getattr(function, "__module__", None) or "").partition(".")[0] == "numpy"
    if trace is None or needed is None or not is_numpys or not trace.calls_python:
        raise error
    if trace.is_tentative or trace.is_counted(needed):
        raise error
    return call_through_python(known(function), args, kwargs)


def _plain_of(function: Any) -> Any:
    """The Python code of a function that may be traced; None where there is none."""
    plain = getattr(function, "_implementation", function)  # behind NumPy's dispatch by protocols
    return plain if is_plain(plain) and function not in _UNTRACED else None


def write_through_python(callee: Callee, args: tuple, kwargs: dict[str, Any]) -> None:
    """A function that changes its first argument: it changes a copy, which is written back."""
    if not args or not isinstance(args[0], Value) or args[0].is_scalar:
        raise no_rule(callee.name)
    trial = None if callee.trial is None else _on_copy(callee.trial)
    called = replace(callee, find=_OnCopy(callee.find), trial=trial)
    target: Any = args[0]
    target[...] = call_through_python(called, args, kwargs)


@dataclass(frozen=True)
class _OnCopy:
    """Finds what does to a copy, which it gives, what the callee does to the array itself."""

    find: Callable[[dict], Callable[..., Any]]

    def __call__(self, objects: dict) -> Any:
        return _on_copy(self.find(objects))


def _on_copy(function: Callable[..., Any]) -> Callable[..., np.ndarray]:
    def run(target: np.ndarray, *args: Any, **kwargs: Any) -> np.ndarray:
        changed = target.copy()
        function(changed, *args, **kwargs)
        return changed

    return run


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
        if name in _WRITING_METHODS:
            return write_through_python(callee, args, kwargs)
        if name in ("dump", "tofile"):
            callee = replace(callee, has_effects=True)
        return call_through_python(callee, args, kwargs)

    return run


class _Method(NamedTuple):
    """A method as a function; of arrays and of scalars."""

    name: str

    def __call__(self, value: Any, /, *args: Any, **kwargs: Any) -> Any:
        return getattr(value, self.name)(*args, **kwargs)
