"""What Python asks of a number, and of a traced one: a truth value, an int, an index, its text."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from ..ir import ops
from ..ir.types import f64, i64
from .capture.functions import has_source
from .location import user_frame
from .operators import Operators, needs_value
from .promotion import cast
from .registry import FUNCTIONS
from .value import Value, known_value, node_of


class Conversions(Operators):
    """Conversions to Python's own numbers, which need the value: TraceError where it is not known while tracing.

    Whole numbers of `round` stay traced.
    """

    __slots__ = ()

    def __bool__(self) -> bool:
        frame = user_frame()
        if frame is None or has_source(frame.f_code):
            return bool(_concrete(self, "as a truth value"))
        remedy = "the source of the function is not to be had, so that no branch of it is captured"
        return bool(_concrete(self, "as a truth value", remedy))

    def __int__(self) -> int:
        return int(_concrete(self, "by int()", "use astype or a NumPy function"))

    def __float__(self) -> float:
        return float(_concrete(self, "by float()", "use astype or a NumPy function"))

    def __complex__(self) -> complex:
        return complex(_concrete(self, "by complex()", "use astype or a NumPy function"))

    def __index__(self) -> int:
        remedy = "make what it indexes an array: np.asarray(items)[k]"
        return operator.index(_concrete(self, "as an index or a count", remedy))

    def __round__(self, digits: int | None = None) -> Any:
        kind = self.dtype.kind
        if known_value(node_of(self)) is not None or not self.is_scalar or kind not in "iuf":
            return round(_concrete(self, "by round()"), digits)
        if digits is None:
            near = ops.rint(cast(self.node, f64)) if kind == "f" else self.node
            return type(self)(ops.whole(near) if kind == "f" else cast(near, i64), True, int)
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
        if self.is_scalar and self.owner.is_counted(self.node):
            raise needs_value(self, "as text")
        return repr(self)

    def __format__(self, form: str) -> str:
        if not form:
            return str(self)
        known = known_value(node_of(self))
        if known is None:
            raise needs_value(self, f"to be formatted as {form!r}", "format the result of the call")
        return format(np.asarray(known)[()] if self.is_scalar else known, form)


def _concrete(array: Value, use: str, remedy: str = "use np.where for a choice by value") -> Any:
    known = known_value(node_of(array))
    if known is None:
        raise needs_value(array, use, remedy)
    return np.asarray(known)[()]
