"""What fusing must know of updates: what memory they write, who reads it, and what comes first.

The *old* value of an update is the value in memory that it exchanges elements of, whatever shape it
is seen in. An update can be done in place if all who read the old value come before. So its readers
are put first in the order of nodes, and a value that is computed from the old one, but needed by
what comes after the update, is stored.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from ...ir import ops
from ...ir.graph import Function, Node, substitute
from ...ir.op import ELEMENTWISE, UPDATE
from ..elements import Composer, Position, axis_indices
from .order import Dependents, readers_first, readers_of
from .recompute import reach
from .values import scalar_value


def memory_of(node: Node) -> Node:
    """The value in memory that `node` is, perhaps in another shape."""
    while node.op is ops.reshape:
        (node,) = node.operands
    return node


def in_memory(node: Node, index: Position) -> tuple[Node, Position]:
    """The value in memory that `node` is, and where in it the element at `index` is."""
    memory = memory_of(node)
    if memory is node:
        return node, index
    ((_, position),) = reach(node, index, lambda n: n is memory)
    return memory, position


def old_of(update: Node) -> Node:
    """The value in memory that an update exchanges elements of."""
    return memory_of(update.operands[0])


def may_refuse(node: Node) -> bool:
    """Whether a program may find that `node` has no value, and report an error instead."""
    if node.op is ops.power and node.type.dtype.is_signed:
        return scalar_value(node.operands[1]) is None
    return node.op.name in ops.CHECKS or node.op in (ops.gather, ops.take_along)


def separated(function: Function) -> Function:
    """The same function, in which no update writes to the very memory its value or its indices lie in."""
    copies: dict[Node, Node] = {}
    for node in function.nodes:
        if node.op.kind == UPDATE:
            old, *read = node.operands
            same = {o for o in read if memory_of(o) is memory_of(old) and o.type.ndim}
            if same:
                apart = [ops.concatenate(o, axis=0) if o in same else o for o in read]
                copies[node] = Node(node.op, (old, *apart), node.attributes)
    return function.replace(results=substitute(function.results, copies)) if copies else function


class Updates:
    """The updates of a Function whose nodes come in `order`."""

    def __init__(self, order: list[Node]):
        self.order = order
        self.nodes = [node for node in order if node.op.kind == UPDATE]
        self.of_value: dict[Node, list[Node]] = {}
        for node in self.nodes:
            self.of_value.setdefault(old_of(node), []).append(node)
        self._places: dict[Node, Position | None] = {}

    def __bool__(self) -> bool:
        return bool(self.nodes)

    def refused_apart(self, function: Function) -> set[Node]:
        """What may be refused, and so must not stand in a loop that updates what the caller sees; where
        this loop may be any, as it stores all of it, but for positions: these are looked at before."""
        if any(_is_callers(update) for update in self.nodes):
            return {node for node in self.order if may_refuse(node)}
        if not function.updated:
            return set()
        return {node for node in self.order if node.op.name in ops.CHECKS and node.type.shape == ()}

    def place(self, update: Node) -> Position | None:
        """Where the element of the value at its own index goes, in the old value.

        None where data says so: then it may be anywhere, and an element may be written twice.
        """
        if update not in self._places:
            old, value, *indices = update.operands
            place = None
            if not indices:
                own = Composer(lambda node, at: None).place(update, axis_indices(value.type.ndim))
                _, place = in_memory(old, own)
            self._places[update] = place
        return self._places[update]

    def arrange(self, is_stored: Callable[[Node], bool]) -> tuple[list[Node], set[Node]]:
        """The nodes with readers of old values first, and those that must be stored for that."""
        users: dict[Node, list[Node]] = {}
        for node in self.order:
            # What an update exchanges is no value it reads.
            for operand in node.operands[node.op.kind == UPDATE :]:
                users.setdefault(operand, []).append(node)
        olds = dict.fromkeys(map(old_of, self.nodes))
        below = Dependents([*olds, *self.order], dict.fromkeys([*self.nodes, *olds]))
        readers: dict[Node, set[Node]] = {}
        stored: set[Node] = set()
        for update in self.nodes:
            old = old_of(update)
            readers[old], between = readers_of(
                old, users, lambda node: node.op is ops.reshape or not is_stored(node)
            )
            is_late = partial(below.depends, root=update)
            for node in (readers[old] | between) - {update}:
                is_early = memory_of(node) is not old and not is_late(node)
                if is_early and any(map(is_late, users.get(node, ()))):
                    stored.add(node)
            if any(n is old or below.depends(n, old) for n in update.operands[1:]):
                stored |= self.read_elsewhere(update, is_stored)
        wanted = {update: (old_of(update),) for update in self.nodes}
        return readers_first(self.order, wanted, readers), stored

    def read_elsewhere(self, update: Node, is_stored: Callable[[Node], bool]) -> set[Node]:
        """What must be stored as it needs other elements of the old value than an update replaces."""
        old = old_of(update)
        _, value, *indices = update.operands

        def is_cut(node: Node) -> bool:
            return node is old or is_stored(node) and node.op.kind != ELEMENTWISE

        found: set[Node] = set()
        for place in indices:
            if not is_cut(place):
                deeper = reach(place, axis_indices(place.type.ndim), is_cut)
                if any(memory_of(below) is old for below, _ in deeper):
                    found.add(place)
        if is_stored(value):
            return found  # which the update joins, or reads from memory
        index = axis_indices(value.type.ndim)
        for source, at in reach(value, index, lambda n: n is old or is_stored(n)):
            if memory_of(source) is old:
                if in_memory(source, at)[1] != self.place(update):
                    found.add(value)
            elif source.op.kind == ELEMENTWISE and at != index:
                # It would be computed again where it is read.
                deeper = reach(source, axis_indices(source.type.ndim), is_cut)
                if any(memory_of(below) is old for below, _ in deeper):
                    found.add(source)
        return found


def _is_callers(update: Node) -> bool:
    """Whether an update is one of an argument, perhaps after other updates of it."""
    node = old_of(update)
    while node.op.kind == UPDATE:
        node = old_of(node)
    return node.op.name == "parameter"
