"""What a program asks for in vain raises what it raises in NumPy, all the same.

A graph has what its results need. Where nobody needs an element that the user's code reads, or an array
that it writes to, the positions are checked by themselves, in the order of calls with effects. In a body
nobody knows what is needed before its end, so there it is done at once, of statements whose value no name
keeps (capture/rewrite.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from types import CodeType, FunctionType
from typing import Any

import numpy as np

from ..ir import ops
from ..ir.dims import Dim
from ..ir.graph import Node, item, operands_of
from ..ir.op import OPS
from ..ir.term import postorder
from ..ir.types import TupleType, bool_, i64
from .broadcasting import broadcast_to_shape
from .context import Trace
from .location import is_library
from .promotion import constant
from .regions import encloses
from .value import extent_node

_READING = (np.take, np.take_along_axis, np.choose)
_INSTEAD: set[CodeType] = set()
# What reads or writes at positions, which may be out of bounds, with how many operands come before these.
AT_POSITIONS = {ops.gather: 1, ops.take_along: 1, ops.scatter: 2}


def may_fail(function: Callable[..., Any]) -> bool:
    """Whether a function of NumPy's may have no result for some values."""
    return function in _READING or function.__module__ == "numpy.linalg"


def note(trace: Trace, node: Node, code: CodeType | None = None) -> None:
    """Keep in mind what the user's code asks for; no other `code`."""
    if trace.attempts or code and is_library(code.co_filename) and code not in _INSTEAD:
        return
    elements = node.operands[:2] if node.op is ops.scatter else (node,)
    if code and any(n.type.size == 0 for n in elements):  # so that no position is ever looked at
        check_value(trace, node)
    trace.asked.append((node, trace.region))


def instead(function: FunctionType) -> FunctionType:
    """Decorate what is called in place of an expression of the user's."""
    _INSTEAD.add(function.__code__)
    return function


def check_unread(trace: Trace, needed: Sequence[Node]) -> None:
    """At the end of a trace: check what was asked for and is not `needed`."""
    asked = [node for node, region in trace.asked if region.settled() is trace.region]
    used = {*postorder(needed, operands_of)} if asked else set()
    unread = [node for node in dict.fromkeys(asked) if node not in used]
    if not unread:
        return
    found = postorder(unread, lambda n: () if n in used else n.operands)
    made = {guard for node in used for guard in _checks(node)}
    guards = [guard for node in found if node not in used for guard in _guards(node)]
    _guard(trace, [guard for guard in guards if guard not in made])


def check_value(trace: Trace, node: Node) -> None:
    """The same, here, of a value and what is computed for it here."""

    def is_older(node: Node) -> bool:
        return encloses(trace.homes.get(node), trace.region)

    found = postorder((node,), lambda n: () if is_older(n) else operands_of(n))
    _guard(trace, [guard for node in found if not is_older(node) for guard in _guards(node)])


def _guard(trace: Trace, guards: Iterable[Node]) -> None:
    for guard in guards:
        token = constant(0, i64) if trace.token is None else trace.token
        trace.token = ops.guarded(_reduced(guard), token)
        trace.locate(trace.token)
        trace.values[trace.token] = np.zeros((), np.int64)


def _guards(node: Node) -> list[Node]:
    """What fails where a node does: checks of its positions, or itself; nothing where it cannot fail."""
    if node.op in AT_POSITIONS or not ops.refusals_of(node):
        return _checks(node)
    return [item(node, index=0) if isinstance(node.type, TupleType) else node]


def _checks(node: Node) -> list[Node]:
    """The checks of the positions at which a node reads or writes."""
    before, extents = AT_POSITIONS.get(node.op), extents_at(node)
    pairs = zip(node.operands[before:], extents.items())
    return [_checked(index, extent_node(extent), axis) for index, (axis, extent) in pairs]


def extents_at(node: Node) -> dict[int, int | Dim]:
    """How many positions there are along the axes at which a node reads or writes."""
    if node.op not in AT_POSITIONS:
        return {}
    attrs, shape = node.attrs, node.operands[0].type.shape
    axes = attrs["axes"] if "axes" in attrs else (attrs["axis"],)
    return {axis: shape[axis] for axis in axes}


def _checked(index: Node, extent: Node, axis: int) -> Node:
    sides = [broadcast_to_shape(n, index.type.shape) for n in (extent, constant(axis, i64))]
    return ops.checked_index(index, *sides)


def _reduced(guard: Node) -> Node:
    """One number that all elements take part in."""
    dtype, axes = guard.type.dtype, tuple(range(guard.type.ndim))
    if dtype.is_complex:
        guard = ops.real(guard)
    if not axes:
        return guard
    return OPS["any" if dtype is bool_ else "max"](guard, axes=axes)
