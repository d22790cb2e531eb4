"""Numbers that are None on some paths: `best = None`, and later `if best is None or v > best: best = v`.

Where traced values decide which it is, a name has a `Maybe`: a truth, and a number that counts where that
does not hold. Whoever uses it as a number has asked before, as a rule, and is inside of the arm that says
so; where that is not seen, the program asks, and NumPy runs the function, which raises what it raises.
"""

from __future__ import annotations

from typing import Any

from ...ir import ops
from ...ir.graph import Node
from ...ir.types import TupleType
from ..array import Array
from ..context import Trace, current_trace
from ..regions import Region
from ..tree import containers_are
from ..value import Value, known_value
from . import arithmetic


class Maybe(Array):
    """`some`, or None where `is_none` holds."""

    __slots__ = ("asked", "is_none", "some")

    def __init__(self, is_none: Array, some: Array):
        super().__init__(some.node, True, some.weak)
        self.is_none, self.some = is_none, some
        self.asked: list[Region] = []

    @property
    def node(self) -> Node:
        """The number, of which it is certain that there is one, or asked."""
        trace = current_trace()
        assert trace is not None
        is_asked = any(trace.region.is_within(region) for region in self.asked)
        if not is_asked and not is_known(trace, self.is_none.node, False):
            trace.hook(arithmetic.check_some)(self.is_none)
            self.asked.append(trace.region)
        return self._node

    @property
    def __class__(self) -> type:
        return self.some.__class__


def is_none(value: Any) -> Any:
    """`value is None`."""
    return value.is_none if type(value) is Maybe else value is None


def of_some(value: Maybe, truth: Node) -> Node:
    """That there is a number, and a truth about it."""
    return ops.logical_and(ops.logical_not(value.is_none.node), truth)


def is_known(trace: Trace, node: Node, truth: bool) -> bool:
    """Whether the arms around tell that a condition has this truth."""
    region: Region | None = trace.region
    while region is not None:
        arms = getattr(region.owner, "arms", ())
        if region in arms and _tells(region.owner.condition, region is arms[0], node, truth):
            return True
        region = region.parent
    return False


def _tells(fact: Node, holds: bool, node: Node, truth: bool) -> bool:
    """Whether a condition that holds, or does not, tells the truth of another one."""
    if fact is node:
        return holds is truth
    operands = fact.operands
    if fact.op is ops.logical_not:
        return _tells(operands[0], not holds, node, truth)
    if fact.op is (ops.logical_and if holds else ops.logical_or):
        return any(_tells(part, holds, node, truth) for part in operands)
    found = _choice(fact)
    if found is not None:  # which choice it was, if the other one is out of question
        condition, *chosen = found
        for which, (other, value) in ((True, chosen[::-1]), (False, chosen)):
            if other is not None and _is(other, not holds, condition, not which):
                return _tells(condition, which, node, truth) or (
                    value is not None and _tells(value, holds, node, truth)
                )
    return False


def _choice(fact: Node) -> tuple[Node, Node | None, Node | None] | None:
    """A condition and two values, of which one is chosen, as far as they are known outside of the arms."""
    if fact.op is ops.where:
        return fact.operands
    if fact.op is not ops.branch or isinstance(fact.type, TupleType):
        return None
    number, *operands = fact.operands
    values: list[Node | None] = []
    for body in fact.attrs["branches"]:
        inputs = dict(zip(body.parameters, operands))
        (result,) = body.results
        values.append(result if result.op is ops.constant else inputs.get(result))
    condition = number.operands[0] if number.op is ops.cast else number
    return condition, *values[::-1]


def _is(node: Node, value: bool, condition: Node, holds: bool) -> bool:
    """Whether a truth is certain where a condition holds, or does not."""
    if node.op is ops.constant:
        return node.attrs["value"] is value
    return _tells(condition, holds, node, value)


def _apart(value: Maybe) -> tuple:
    return _build, None, (value.is_none, value.some)


def _build(_: Any, children: list) -> Any:
    """A Maybe; of what a program gives, None or the number."""
    is_none, some = children
    if isinstance(is_none, Value):
        known = known_value(is_none.node)
        if known is None:
            return Maybe(is_none, some)
        is_none = bool(known)
    return None if is_none else some


containers_are(Maybe, _apart)
