"""Give values the order of memory that those who read them want, where that saves more than it costs.

An op's record says which layouts it would like its operands to have and what each use saves (`Op.prefers`,
`Preferred`). What all uses of a value save together, each as often as the loops around it run, is weighed
against bringing it into that order: once where it is computed, outside of all loops that only read it; for
nothing where it is made of constants, which is done when the program is compiled.

A chosen layout is a `relayout`, and its inverse where the value is read, which is an index map and no work.
What a loop only reads is brought into order before it, by `hoist`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from ...ir import ops
from ...ir.graph import (
    Function,
    Kernel,
    Module,
    Node,
    map_programs,
)
from ...ir.op import CONTRACTION, Preferred
from ...ir.ops.relayout import parts_of
from ..machine import USUAL, Machine
from ..tensor.contract.prefer import preferred_layouts
from .constants import is_worth_keeping, made_of_constants
from .layouts import CONTROL_FLOW, bodies_of, first_operand

SOME_ITERATIONS = 16.0  # of loops whose number is not known
CLOCK = 3e9


def choose_layouts(module: Module, machine: Machine = USUAL) -> Module:
    """The same module, in which some operands are read in other orders of memory."""
    if isinstance(module.entry, Kernel):
        return module
    uses = _Uses(module.entry, machine)
    chosen = {use.reader: use for use in uses.worthwhile()}
    if not chosen:
        return module
    return map_programs(module, lambda function: _rewritten(function, chosen))


class _Value(NamedTuple):
    """A value where it is computed, and how often that is."""

    node: Node
    times: float
    is_free: bool  # made of constants


class _Use(NamedTuple):
    """An op that would like to have an operand in a layout, and what that saves in a call."""

    reader: Node
    preferred: Preferred
    value: _Value
    seconds: float


class _Uses:
    """All uses in a program, in the bodies of loops as well."""

    def __init__(self, entry: Function, machine: Machine):
        self.machine = machine
        # Ops that may have wishes, with how often they run, and the values that they read.
        self.readers: list[tuple[Node, float, list[_Value]]] = []
        constants = made_of_constants(entry)
        values = {
            node: _Value(node, 1.0, is_worth_keeping(node, constants)) for node in entry.nodes
        }
        self.collect(entry, 1.0, values)
        self.counts = Counter([value.node for _, _, read in self.readers for value in read])
        self.found = [use for reader in self.readers for use in self.uses_of(*reader)]

    def collect(self, function: Function, times: float, values: dict[Node, _Value]) -> None:
        for node in function.nodes:
            values.setdefault(node, _Value(node, times, False))
            if node.op.prefers is not None or node.op.kind == CONTRACTION:
                self.readers.append((node, times, [values[operand] for operand in node.operands]))
            if node.op in CONTROL_FLOW:
                operands = node.operands[first_operand(node) :]
                kept = node.attrs.get("carried", 0)
                for body in [body for bodies in bodies_of(node).values() for body in bodies]:
                    read = zip(body.parameters[kept:], operands[kept:])
                    self.collect(body, times * iterations(node), {p: values[o] for p, o in read})

    def uses_of(self, node: Node, times: float, read: list[_Value]) -> Iterable[_Use]:
        """The wishes of an op that may be worth fulfilling: no single use pays for a relayout."""
        if not any(v.is_free or times > v.times or self.counts[v.node] > 1 for v in read):
            return
        wishes = preferred_layouts if node.op.prefers is None else node.op.prefers
        for preferred in wishes(node, self.machine):
            value = read[preferred.operand]
            yield _Use(node, preferred, value, times * preferred.seconds)

    def worthwhile(self) -> list[_Use]:
        """The uses of values that are brought into order: of each value in one way at most."""
        by_value: dict[Node, dict[str, list[_Use]]] = {}
        for use in self.found:
            by_value.setdefault(use.value.node, {}).setdefault(use.preferred.layout, []).append(use)
        chosen = []
        for layouts in by_value.values():
            best = max(layouts.values(), key=lambda uses: sum(use.seconds for use in uses))
            if sum(use.seconds for use in best) > self.price(best[0].value):
                chosen += best
        return chosen

    def price(self, value: _Value) -> float:
        """Seconds of bringing it into order: reading all and writing all."""
        size = value.node.type.size * value.node.type.dtype.itemsize
        each = 3 * size * self.machine.byte_cycles(size) / CLOCK
        return 0.0 if value.is_free else value.times * each


def iterations(node: Node) -> float:
    """How often a body runs for each time that its op does."""
    if node.op is ops.for_loop:
        count = node.attrs["stop"] - node.attrs["start"]
        return float(max(count, 0)) if isinstance(count, int) else SOME_ITERATIONS
    return SOME_ITERATIONS if node.op is ops.while_loop else 1.0


def _rewritten(function: Function, chosen: dict[Node, _Use]) -> Function:
    if not any(node in chosen for node in function.nodes):
        return function
    new: dict[Node, Node] = {}
    for node in function.nodes:
        operands = [new[operand] for operand in node.operands]
        use = chosen.get(node)
        if use is not None:
            number = use.preferred.operand
            operands[number] = in_layout(operands[number], use.preferred.layout)
        new[node] = Node(node.op, tuple(operands), node.attributes)
    return function.replace(results=tuple([new[result] for result in function.results]))


def in_layout(value: Node, layout: str) -> Node:
    """The same value, of memory in this order; with zeros at the ends of axes that blocks do not divide."""
    _, parts = parts_of(layout)
    more = [0] * value.type.ndim
    for part in parts:
        if part.block:
            more[part.axis] = -value.type.shape[part.axis] % part.block
    padded = value
    if any(more):
        zero = ops.constant(value=value.dtype.numpy.type(0).item(), dtype=value.dtype)
        padded = ops.pad(value, zero, low=(0,) * len(more), high=tuple(more))
    memory = ops.relayout(padded, layout=layout)
    found = ops.relayout(memory, inverse=True, layout=layout)
    if padded is value:
        return found
    start, step = (0,) * len(more), (1,) * len(more)
    return ops.slice_(found, start=start, stop=value.type.shape, step=step)
