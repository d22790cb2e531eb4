"""What Python asks of a number, and of a traced one: a truth value, an int, an index, its text."""

from __future__ import annotations

import operator
from inspect import CO_GENERATOR
from typing import Any

import numpy as np

from ..ir import ops
from ..ir.types import f64, i64
from .capture.functions import has_source
from .context import for_numpy
from .location import user_frame
from .operators import Operators, needs_value
from .promotion import cast
from .registry import FUNCTIONS
from .value import Value, known_value, node_of


class Conversions(Operators):
    """Conversions to Python's own numbers and to text, which need the value: TraceError where it is not
    known while tracing, and NumPy may not run the function instead.

    Whole numbers of `round` stay traced.
    """

    __slots__ = ()

    def __bool__(self) -> bool:
        frame = user_frame()
        if frame is None or has_source(frame.f_code):
            # In a generator that is not captured it decides what others are given, if they ask.
            is_generator = frame is not None and frame.f_code.co_flags & CO_GENERATOR
            return bool(_concrete(self, "as a truth value", decides=not is_generator))
        remedy = "the source of the function is not to be had, so that no branch of it is captured"
        return bool(_concrete(self, "as a truth value", remedy, decides=True))

    def __int__(self) -> int:
        return int(_concrete(self, "by int()", "use astype or a NumPy function"))

    def __float__(self) -> float:
        return float(_concrete(self, "by float()", "use astype or a NumPy function"))

    def __complex__(self) -> complex:
        return complex(_concrete(self, "by complex()", "use astype or a NumPy function"))

    def __index__(self) -> int:
        remedy = "make what it indexes an array: np.asarray(items)[k]"
        return operator.index(_concrete(self, "as an index or a count", remedy, decides=True))

    def __round__(self, digits: int | None = None) -> Any:
        kind = self.dtype.kind
        if known_value(node_of(self)) is not None or not self.is_scalar or kind not in "iuf":
            return round(_concrete(self, "by round()"), digits)
        if digits is None:
            near = ops.rint(cast(self.node, f64)) if kind == "f" else self.node
            return type(self)(cast(ops.convertible(near) if kind == "f" else near, i64), True, int)
        if self.weak is float:  # which Python rounds in decimal
            return round(_concrete(self, "by round()"), digits)
        return FUNCTIONS[np.round](self, digits)

    def __trunc__(self) -> int:
        return int(_concrete(self, "by math.trunc()"))

    def __floor__(self) -> int:
        return int(np.floor(_concrete(self, "by math.floor()")))

    def __ceil__(self) -> int:
        return int(np.ceil(_concrete(self, "by math.ceil()")))

    def __hash__(self) -> int:
        if not self.is_scalar:
            raise TypeError("unhashable type: 'numpy.ndarray'")
        return hash(_concrete(self, "as a key"))

    def __str__(self) -> str:
        return str(_concrete(self, "as text", _FORMAT))

    def __format__(self, form: str) -> str:
        use = f"to be formatted as {form!r}" if form else "as text"
        return format(_concrete(self, use, _FORMAT), form)


_FORMAT = "format the result of the call"


def _concrete(
    array: Value,
    use: str,
    remedy: str = "use np.where for a choice by value",
    decides: bool = False,
) -> Any:
    """The value itself. `decides`: it is the way that the function goes, which is to be said; what
    only becomes text, a key or a number of Python's is NumPy's to compute, if it may."""
    known = known_value(node_of(array))
    if known is None:
        error = needs_value(array, use, remedy)
        raise error if decides else for_numpy(error)
    return np.asarray(known)[()]
