"""Values that several kernels need: stored by one of them, or computed by each, whichever is less work.

A value that a kernel makes and others read, each at its own index, costs a way to memory and back. Where it
is cheap, and what it is made of is near anyway, each reader computes it again instead, and it is not
stored: `z = (x - mean) / deviation` for sums along both axes is read as `x`. The time of the kernels
with and without it decides (weigh.py). What is read at other places was decided before (recompute.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple, Protocol

from ...ir.graph import Node
from ...ir.op import CREATION, ELEMENTWISE, MOVEMENT
from ..elements import Position, axis_indices
from ..machine import Machine
from .calls import Calls
from .groups import Group, in_one_piece, is_argument
from .recompute import Reads, reach
from .weigh import PASS_CYCLES, Choice, bytes_of, load_of

LEAST_BYTES = 1 << 15  # what a first cache holds is cheap to read
MOST_NODES = 24  # of an expression that is computed again
LEAST_GAIN = 0.05  # of the time of the kernels
SMALL = 4  # a value of so much fewer elements is stored for whoever reads it


class Fuser(Protocol):
    """What makes groups, and says what it does."""

    groups: dict[int, Group]
    group_of: Mapping[Node, Group]
    order: list[Node]
    roots: set[Node]
    stored: set[Node]
    sweeps: dict[Node, int]
    machine: Machine
    choices: list[Choice]

    def is_stored(self, node: Node) -> bool: ...


class _Again(NamedTuple):
    """A value as each reader would compute it: its nodes, and what they read."""

    nodes: set[Node]
    leaves: set[Node]


class Sharing:
    """Takes stores out of a fuser's groups where readers had better compute the value themselves."""

    def __init__(self, fuser: Fuser, calls: Calls):
        self.fuser = fuser
        self.wanted = calls.wanted_outputs()
        self.results = set(map(in_one_piece, calls.function.results))
        self.readers: dict[Node, dict[Group, list[tuple[Position, bool]]]] = {}
        for group in fuser.groups.values():
            for source, at, by_row in group.reads:
                if fuser.group_of.get(source) is not group:
                    places = self.readers.setdefault(source, {}).setdefault(group, [])
                    places.append((at, by_row))

    def run(self) -> None:
        """Decide for each value in turn, the last first: it may have been what others are made of."""
        for node in reversed(self.fuser.order):
            if node in self.wanted and self.is_open(node):
                again = self.again(node)
                if again is not None:
                    self.decide(node, again)

    def is_open(self, node: Node) -> bool:
        """Whether a value may be computed by its readers, and all of them can."""
        fuser, home = self.fuser, self.fuser.group_of[node]
        if node.op.kind != ELEMENTWISE or bytes_of(node) < LEAST_BYTES or home.opaque:
            return False
        if node in self.results or node in fuser.roots or node in home.renamed:
            return False
        own, readers = axis_indices(node.type.ndim), self.readers.get(node, {})
        return bool(readers) and all(
            not group.opaque
            and group.product is None
            and group.shape == node.type.shape
            and all(place == (own, False) for place in places)
            for group, places in readers.items()
        )

    def again(self, value: Node) -> _Again | None:
        """What computing a value again takes; None where that is no chain of simple operations."""
        fuser, home = self.fuser, self.fuser.group_of[value]
        nodes, leaves, pending = set(), set(), [value]
        while pending:
            node = pending.pop()
            if node in nodes or node in leaves:
                continue
            own = fuser.group_of.get(node)
            is_small = fuser.is_stored(node) and node.type.size * SMALL <= value.type.size
            is_read = is_argument(node) or own not in (None, home) or is_small
            if node is not value and (is_read or node in self.wanted):
                leaves.add(node)
            elif node.op.kind in (ELEMENTWISE, MOVEMENT, CREATION) and len(nodes) < MOST_NODES:
                nodes.add(node)
                pending += node.operands
            else:
                return None
        return _Again(nodes, leaves)

    def decide(self, value: Node, again: _Again) -> None:
        fuser, home = self.fuser, self.fuser.group_of[value]
        kept = {n for n in again.leaves if fuser.group_of.get(n) is home}
        own = {n for n in home.nodes if n in self.wanted}
        readers = self.readers[value]
        before = self.cycles(home, own)
        after = self.cycles(home, own - {value} | kept)
        for group in readers:
            outputs = {n for n in group.nodes if n in self.wanted}
            before += self.cycles(group, outputs)
            after += self.cycles(group, outputs, again.nodes)
        count = f"{len(readers)} kernels" if len(readers) > 1 else "the kernel that reads it"
        both = ("computed again by", after), ("stored for", before)
        is_less = after < (1 - LEAST_GAIN) * before
        (chosen, cycles), (other, others) = both if is_less else both[::-1]
        fuser.choices.append(Choice(value, f"{chosen} {count}", cycles, f"{other} {count}", others))
        if is_less:
            self.spread(value, again, kept)

    def cycles(self, group: Group, outputs: set[Node], more: Iterable[Node] = ()) -> float:
        """Cycles of a group that makes these outputs, if it computes `more` than now by itself."""
        fuser, inside = self.fuser, {*group.clones, *more}

        def is_read(node: Node) -> bool:
            home = fuser.group_of.get(node)
            return is_argument(node) or home not in (None, group) and node not in inside

        sweeps = 1
        if group.axes is not None and len(group.shape) - 1 not in group.axes:
            sweeps = max([fuser.sweeps[n] + (n not in group.rows) for n in outputs], default=1)
        if not outputs:
            return 0.0
        return PASS_CYCLES + load_of(outputs, is_read, fuser.machine, max(sweeps, 1)).cycles

    def spread(self, value: Node, again: _Again, kept: set[Node]) -> None:
        """Let the readers of a value compute it."""
        fuser = self.fuser
        self.wanted.discard(value)
        self.wanted |= kept
        clones = {n for n in again.nodes if n in fuser.group_of}
        reads = self.reads_of(value, clones)
        for group, places in self.readers.pop(value).items():
            group.clones |= clones
            for at, by_row in places:
                del group.reads[value, at, by_row]
            for source, at in reads:
                group.reads[source, at, False] = None
                if fuser.group_of.get(source) is not None:
                    found = self.readers.setdefault(source, {}).setdefault(group, [])
                    if (at, False) not in found:
                        found.append((at, False))

    def reads_of(self, value: Node, clones: set[Node]) -> Reads:
        """What is read, and where, to compute a value by itself."""
        index = axis_indices(value.type.ndim)
        found: Reads = []
        pending, seen = reach(value, index, self.fuser.is_stored), set()
        while pending:
            source, at = read = pending.pop()
            if read in seen:
                continue
            seen.add(read)
            if source in clones:
                pending += reach(source, at, self.fuser.is_stored)
            else:
                found.append(read)
        return found
