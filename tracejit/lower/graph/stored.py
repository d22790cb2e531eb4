"""What of a program is in memory, and what each node reads of it, and where.

Results, operands of what stands alone, and values that are dear to compute again are stored; movement, constants
and 0-d arithmetic never are: whoever needs them computes them. A stored value in another shape is the same
memory. This is decided before there are groups (fuse.py), which only say who stores what.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property

from ...ir.graph import Function, Node
from ...ir.op import CONTROL, ELEMENTWISE, REDUCTION, UPDATE
from ..elements import axis_indices, domain_of
from ..machine import Machine
from .groups import (
    in_memory_as,
    in_one_piece,
    is_argument,
    is_fusible,
    is_inline,
    is_renaming,
    is_same_line,
    source_of,
)
from .recompute import Reads, choose_stored, cut_nests, reach
from .updates import Updates, memory_of, old_of
from .values import is_scalar_constant, scalar_of
from .weigh import Choice


class Stored:
    """A Function's nodes in `order`: `candidates` are what may be stored, `stored` what must be, `renamed` values in another
    shape than that in which they are stored, `alone` what shares its loops with nothing."""

    def __init__(self, function: Function, machine: Machine):
        self.function, self.machine = function, machine
        self.order = [n for n in function.nodes if n.op.name != "parameter"]
        self.updates = Updates(self.order)
        self.alone = self.updates.refused_apart(function)
        self.renamed: set[Node] = set()
        self.roots = self.find_roots()
        self.renamed |= self.find_renamed()
        self.candidates = {n for n in self.order if not is_inline(n) or n in self.roots}
        self.reads: dict[Node, Reads] = {}
        self.has_empty = any(getattr(n.type, "size", 1) == 0 for n in self.order)
        if self.updates:
            self.order, stored = self.updates.arrange(self.is_stored)
            self.roots |= stored
            self.candidates |= stored
        self.position = {n: k for k, n in enumerate(self.order)}
        self.choices: list[Choice] = []
        self.stored = self.choose_stored()

    def find_roots(self) -> set[Node]:
        """Inline nodes that must be stored after all.

        They are results, operands of what stands alone, and movement nested too deeply.
        """
        results = map(in_one_piece, self.function.results)
        roots = {n for n in results if n.op.name != "parameter"} | self.alone
        for node in self.order:
            if not self.is_fusible(node):
                read = [o for o in map(source_of(node), node.operands) if not is_argument(o)]
                roots.update(map(in_memory_as, read))
                self.renamed.update(filter(is_renaming, read))
            elif node.op.kind == UPDATE and not is_argument(node.operands[0]):
                roots.add(old_of(node))
        roots |= cut_nests(self.order, lambda n: n in roots or not is_inline(n))
        return roots | self.find_shared(roots)

    def find_shared(self, roots: set[Node]) -> set[Node]:
        """0-d arithmetic that stored numbers are made of, and something else as well: one kernel computes
        them together, where each by itself would compute anew all that it is made of."""
        made_of: set[Node] = set()
        shared: set[Node] = set()
        for node in reversed(self.order):
            is_update, users = node.op.kind == UPDATE, self.users.get(node, ())
            if not (is_update or is_inline(node)) or any(n != 1 for n in domain_of(node)):
                continue
            if node in roots or is_update or not made_of.isdisjoint(users):
                made_of.add(node)
                if len(users) > 1 and node.op.kind == ELEMENTWISE:
                    shared.add(node)
        return shared

    def find_renamed(self) -> set[Node]:
        """Reshapes of what is stored anyway, but for unit axes: these never hide what is fusable."""
        return {
            node
            for node in self.order
            if is_renaming(node)
            and not is_same_line(node)
            and node not in self.roots
            and (memory_of(node).op.kind != ELEMENTWISE or memory_of(node) in self.roots)
        }

    def choose_stored(self) -> set[Node]:
        """Nodes that are not worth computing again."""
        order = [n for n in self.order if n in self.candidates]
        cannot = {n for n in order if n in self.roots or n.op.kind != ELEMENTWISE}

        def fixed(node: Node) -> bool:
            return node in cannot or node.op.kind == CONTROL or is_argument(node)

        return cannot | choose_stored(
            order, self.reads_of, self.is_stored, fixed, self.machine, self.choices
        )

    def is_fusible(self, node: Node) -> bool:
        return is_fusible(node, self.machine)

    def is_stored(self, node: Node) -> bool:
        is_memory = node in self.candidates or node in self.renamed
        return is_memory or node.op.kind == CONTROL or is_argument(node)

    def reads_of(self, node: Node) -> Reads:
        """The stored nodes `node` reads, and where, as a function of its own canonical index.

        A reduction's index runs over its operand's shape.
        """
        found = self.reads.get(node)
        if found is None:
            found = self.find_reads(node)
            self.reads[node] = found
        return found

    def find_reads(self, node: Node) -> Reads:
        if node.op.kind == UPDATE:
            return reach(node, axis_indices(len(domain_of(node))), self.is_stored)
        if node.op.kind == REDUCTION:
            (operand,) = node.operands
            index = axis_indices(operand.type.ndim)
            if self.is_stored(operand):
                return [(operand, index)]
            return reach(operand, index, self.is_stored)
        if not self.is_fusible(node):
            return [(operand, ()) for operand in map(source_of(node), node.operands)]
        index = axis_indices(node.type.ndim)
        if node.op.kind == ELEMENTWISE:
            found = [o for o in node.operands if not self.is_written_out(o)]
            if all(map(self.is_stored, found)):
                return [(operand, index) for operand in dict.fromkeys(found)]
        return reach(node, index, self.is_stored)

    def is_written_out(self, operand: Node) -> bool:
        """Whether it is a constant of which nothing is read, as it is part of the code."""
        return is_scalar_constant(operand) and not any(
            map(self.is_stored, {operand, scalar_of(operand)})
        )

    def unread_by(self, nodes: Iterable[Node]) -> Reads:
        """The stored values that nodes are made of, where there are parts without elements: of these
        nothing is read, but the calls that make them come first."""
        found: dict[Node, None] = {}
        pending, seen = [o for n in nodes for o in n.operands] if self.has_empty else [], set()
        while pending:
            node = pending.pop()
            if node in seen:
                continue
            seen.add(node)
            if not self.is_stored(node):
                pending.extend(node.operands)
            else:
                found[node] = None
        return [(node, ()) for node in found]

    @cached_property
    def users(self) -> dict[Node, set[Node | None]]:
        """What reads each node; None for the results."""
        users: dict[Node, set[Node | None]] = {result: {None} for result in self.function.results}
        for node in self.order:
            for operand in node.operands:
                users.setdefault(operand, set()).add(node)
        return users
