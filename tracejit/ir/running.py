"""Loops that store running totals:

    for i: total = total + x[i]; out[i] = total

Where the order of additions is free, lanes can share the work: each vector is summed up in itself,
in as many steps as it has halves, and the total of all before it is added to all its lanes. The loop may
accumulate other things besides.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from . import expressions
from .tensor import Accumulate, Apply, Assign, Expression, For, Let, Store, Variable, loads_of
from .types import DType

OPS = ("add", "multiply", "minimum", "maximum", "logaddexp", "logaddexp2")


class Running(NamedTuple):
    """The parts of such a loop: what it computes first, the total, how it grows by what, the store, and what it
    accumulates besides."""

    lets: tuple[Let, ...]
    total: Variable
    op: str
    value: Expression
    store: Store
    others: tuple[Accumulate, ...] = ()


def running_of(loop: For) -> Running | None:
    """The parts of a loop that stores running totals; None if it does anything else."""
    body = list(loop.body)
    others: list[Accumulate] = []
    while body and isinstance(body[-1], Accumulate):
        others.insert(0, body.pop())
    if len(body) < 2:
        return None
    *lets, step, store = body
    match step, store:
        case (
            Assign(total, Apply(op, (again, value), _)),
            Store(buffer, indices, stored),
        ) if total is again is stored and op in OPS and total.dtype.kind in "iuf":
            is_read = any(load.buffer is buffer for load in loads_of(loop.body))
            used = [value, *indices, *[let.value for let in lets if isinstance(let, Let)]]
            used += [other.value for other in others]
            is_plain = all(isinstance(let, Let) and let.variable is not total for let in lets)
            is_plain = is_plain and all(other.target is not total for other in others)
            if is_read or not is_plain or any(total in e.free for e in used):
                return None
            return Running(tuple(lets), total, op, value, store, tuple(others))
    return None


def neutral(op: str, dtype: DType) -> Any:
    """What leaves any value as it is, zeros with their signs too."""
    return -0.0 if op == "add" and dtype.is_float else expressions.identity(op, dtype)
