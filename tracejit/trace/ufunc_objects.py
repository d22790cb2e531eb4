"""NumPy's universal functions as objects of traced code, where they are given lists of traced arrays.

A ufunc tells of the arrays among its operands by a protocol, but turns a list of these into an ndarray
itself. So where one has asked a traced array to be an ndarray, the function is traced once more,
with these in the ufuncs' places: `np.maximum.reduce([x, y])`, `np.sin([x, y])`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from .array import to_array
from .context import current_trace
from .tree import flatten
from .value import Value

_METHODS = ("reduce", "accumulate", "reduceat", "outer", "at")
_INDEX = {"reduceat": 1, "at": 1}  # where these take what is no operand


class Ufunc:
    """A ufunc whose operands may be lists that hold traced arrays; equal to the ufunc itself."""

    def __init__(self, ufunc: np.ufunc):
        self._ufunc = ufunc

    @property
    def __class__(self) -> type:
        return np.ufunc

    def __eq__(self, other: Any) -> bool:
        return self._ufunc == (other._ufunc if type(other) is Ufunc else other)

    def __hash__(self) -> int:
        return hash(self._ufunc)

    def __repr__(self) -> str:
        return repr(self._ufunc)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return _called(self._ufunc, None, args, kwargs)

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._ufunc, name)
        if name not in _METHODS:
            return found

        @functools.wraps(found)
        def method(*args: Any, **kwargs: Any) -> Any:
            return _called(found, _INDEX.get(name), args, kwargs)

        return method


def _called(
    function: Callable[..., Any], index: int | None, args: tuple, kwargs: dict[str, Any]
) -> Any:
    if current_trace() is not None:
        args = tuple([x if k == index else _operand(x) for k, x in enumerate(args)])
    return function(*args, **kwargs)


def _operand(x: Any) -> Any:
    """`x`, or the traced array that a list with traced values is."""
    is_list = isinstance(x, list | tuple) and any(isinstance(leaf, Value) for leaf in flatten(x)[0])
    return to_array(x) if is_list else x
