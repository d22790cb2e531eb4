"""NumPy's number classes in traced code, where `np.float32(x)` converts a traced array.

The class itself would ask the array for its elements. Its stand-in is a subclass of it, so that
NumPy takes one for the other wherever a dtype is named; it equals the original, and makes the
original's numbers.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from ..ir.dims import Dim
from .context import current_trace
from .registry import CREATIONS
from .shadows import Copy
from .tree import flatten
from .value import Value

_CLASSES = frozenset(cls for cls in np.sctypeDict.values() if np.dtype(cls).kind in "biufc")


class _NumberClass(Copy):
    """Class of the stand-ins."""

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        original = cls.__mro__[1]
        leaves, _ = flatten(args)
        if current_trace() is None or not any(isinstance(leaf, Value | Dim) for leaf in leaves):
            return original(*args, **kwargs)
        result = CREATIONS[np.asarray](*args, dtype=original)
        return result if result.ndim else result[()]

    def __eq__(cls, other: Any) -> Any:
        if not isinstance(other, type):
            return NotImplemented  # dtypes know which classes are theirs
        return other is cls or other is cls.__mro__[1]

    def __hash__(cls) -> int:
        return hash(cls.__mro__[1])


def is_number_class(value: Any) -> bool:
    """Whether `value` is one of NumPy's classes of numbers."""
    return isinstance(value, type) and value in _CLASSES


@functools.cache
def number_class(original: type) -> type:
    """The stand-in of a class of numbers."""
    described = {"__slots__": (), "__module__": original.__module__, "__doc__": original.__doc__}
    return _NumberClass(original.__name__, (original,), described)
