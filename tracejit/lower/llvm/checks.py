"""Checks in compiled code: lanes that fail are reported, and computed with a value that harms nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ...ir.ops.checks import CHECKS
from ...ir.refusal import OUTSIDE
from ...ir.types import bool_, f64, i64
from .builder import Builder, Value
from .scalars import apply_real

_DTYPES = {"i1": bool_, "i64": i64, "double": f64}


class _Functions:
    """The elementwise functions of `Check`, as instructions; numbers are of the kind of the operand."""

    def __init__(self, b: Builder):
        self._b = b

    def __getattr__(self, name: str) -> Callable[..., Value]:
        return lambda *operands: self._apply(name, *operands)

    def _apply(self, name: str, *operands: Any) -> Value:
        sample = next(x for x in reversed(operands) if isinstance(x, Value))
        values = tuple([_like(self._b, x, sample) for x in operands])
        return apply_real(self._b, name, _DTYPES[sample.kind], values)


def apply_check(b: Builder, name: str, operands: tuple[Value, ...]) -> Value:
    """The first operand, which is reported where it is not as it must be."""
    if name == "checked_index":
        return _checked_index(b, *operands)
    check, n = CHECKS[name], _Functions(b)
    value = check.otherwise(n, *operands)
    for report, fails in check.failures:
        failed = fails(n, *operands)
        b.refuse(failed, report.status, *[operands[k] for k in check.told])
        if check.instead is not None:
            value = b.select(failed, _like(b, check.instead(n, *operands), value), value)
    return value


def _like(b: Builder, x: Any, sample: Value) -> Value:
    return x if isinstance(x, Value) else b.like(x, sample)


def _checked_index(b: Builder, index: Value, extent: Value, axis: Value) -> Value:
    """Negative indices count from the end; what lies outside is refused, and read at 0.

    Most are neither, so one comparison decides whether there is anything to do.
    """
    usual, unusual = b.fresh("usual"), b.fresh("unusual")
    is_unusual = b.any(b.compare("uge", index, extent))
    b.branch_if(is_unusual, unusual, usual, b.usually(False))
    before = b.region.label
    b.label(unusual)
    inside = wrapped_index(b, index, extent, axis)
    b.branch(usual)
    ways = f"[ {index.text}, %{before} ], [ {inside.text}, %{b.region.label} ]"
    b.label(usual)
    return b.value(f"phi {index.type} {ways}", index.kind, index.lanes)


def wrapped_index(b: Builder, index: Value, extent: Value, axis: Value) -> Value:
    """The same without asking first whether there is anything to do."""
    negative = b.compare("slt", index, b.like(0, index))
    inside = b.select(negative, b.binary("add", index, extent), index)
    outside = b.compare("uge", inside, extent)
    b.refuse(outside, OUTSIDE.status, index, axis, extent)
    return b.select(outside, b.like(0, inside), inside)
