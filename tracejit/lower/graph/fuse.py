"""Partition a Function into groups that each become one loop nest, and make every group a Function.

A group has a domain: the shape `S` its loops run over and, once a reduction joins, the axes `A`
that are reduced. Its nodes are of two levels: element nodes have shape `S`; row nodes have the
shape that is left when `A` is dropped (reductions over `A`, and elementwise ops on their results).
A node may join a group when it reads every member of the group just where the group's loops are:
an element node at the element's own index, a row node at the index of the row. So a softmax, or a
normalisation by mean and variance, is one group that sweeps each row several times.

An update is an element (or row) node of the shape of what is written; it exchanges elements of a
parameter of its group's Function, the *old* value, in place. That value may be read in the group
only at the very element that is written. Where other groups read it, they are made to come before:
what reads it and is needed by something that must come after is stored. Should that not be
possible for all, memory planning copies the old value.

Nodes are visited in order. A node joins the groups of its operands, and merges those that can be
merged without making groups depend on each other in a circle. What may be stored at all is decided before
(stored.py). An elementwise node that is read at another index than its own (shifted, transposed) is
computed again by its reader where that is cheaper than storing it (recompute.py). Scans and calls stand alone, but for what packs the elements that
a mask selects: it is an element node, whose elements go to wherever the next one belongs, so nobody in
the group reads it. It and writes to where data says go from one element to the next, which
lanes cannot; what is dear is stored before. A contraction begins a group
of which it is an element node: what is computed from it, element by element, is computed where its
sums are, before they are stored; so does the call of a group that a user's pass has made, which also
takes what is computed for it alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain
from typing import NamedTuple

from ...ir.graph import Function, Kernel, Module, Node, call, each_program
from ...ir.op import CONTROL, ELEMENTWISE, REDUCTION, UPDATE
from ..elements import axis_indices, domain_of
from ..machine import USUAL, Machine
from .beside import put_side_by_side
from .calls import Calls
from .groups import (
    Group,
    goes_in_turn,
    in_turn_at_a_price,
    is_argument,
    is_open,
    is_packing,
)
from .prologues import is_prologue
from .recompute import Reads, reach
from .share import Sharing
from .stored import Stored
from .updates import in_memory, memory_of, old_of, separated
from .weigh import Choice, load_of, passing

GROUP_LIMIT = 192
# Reductions along columns that may follow on one another in a group: a mean and a variance.
COLUMN_SWEEPS = 2


@each_program
def fuse(module: Module, machine: Machine = USUAL) -> Module:
    """Every op of the entry moves into a Function of its own group; the entry only calls."""
    return Module(_Fuser(separated(module.entry), machine).run())


class Grouping(NamedTuple):
    """What `fuse` decides for a program, for reading: what it makes; the groups that became calls, with
    their results and the call; what could not join which group, and why; and which values are stored,
    or computed again, by the model."""

    function: Function
    calls: list[tuple[Group, list[Node], Node]]
    refused: list[tuple[Node, Group, str]]
    group_of: dict[Node, Group]
    choices: list[Choice]


def grouping(function: Function, machine: Machine = USUAL) -> Grouping:
    """The decisions that `fuse` takes for `function`, and its reasons."""
    fuser = _Fuser(separated(function), machine)
    return Grouping(fuser.run(), fuser.calls, fuser.refused, fuser.group_of, fuser.choices)


class _Fuser(Stored):
    def __init__(self, function: Function, machine: Machine):
        super().__init__(function, machine)
        self.groups: dict[int, Group] = {}
        # The bits of the groups that others depend on, and by value in memory the groups that read it.
        self.needed = 0
        self.readers: dict[Node, set[Group]] = {}
        self.sweeps: dict[Node, int] = {}
        self.group_of: dict[Node, Group] = {}
        self.has_turns = any(map(goes_in_turn, self.order))
        self.count = 0
        # For reading alone: what could not join which group and why; what became of the groups.
        self.refused: list[tuple[Node, Group, str]] = []
        self.calls: list[tuple[Group, list[Node], Node]] = []

    def run(self) -> Function:
        for node in self.order:
            if node in self.candidates:
                self.assign(node)
            elif node in self.renamed:
                group = self.group_of[node] = self.group_of[memory_of(node)]
                group.renamed.append(node)
        if not self.updates:
            Sharing(self, Calls(self.function, self.groups.values(), self.group_of)).run()
        put_side_by_side(self)
        calls = Calls(self.function, self.groups.values(), self.group_of)
        self.calls = calls.made
        return calls.run()

    # Joining groups.

    def assign(self, node: Node) -> None:
        if not self.is_fusible(node):
            has_loops = node.op.kind != CONTROL or is_open(node)
            group = self.new_group(node.type.shape if has_loops else ())
            if is_open(node):
                group.product = node
            else:
                group.opaque = True
            group.nodes.append(node)
            reads = self.reads_of(node)
            group.reads.update({(source, at, False): None for source, at in reads})
            self.note_readers(group, reads)
            self.group_of[node] = group
            self.depend(group, reads)
            if group.product is node:
                self.take_producers(node, group)
            return
        reads = self.reads_of(node)
        if node in self.alone:
            self.start(node, reads)
            self.group_of[node].opaque = True
            return
        sources = {self.group_of[n]: None for n, _ in reads if n in self.group_of}
        for candidate in sorted(sources, key=lambda g: -g.number):
            refused = self.join(node, candidate, reads)
            if refused is None:
                break
            self.refused.append((node, candidate, refused))
        else:
            self.start(node, reads)

    def take_producers(self, node: Node, group: Group) -> None:
        """Let a product or a user's group have what is computed, element by element, for it alone."""
        if isinstance(node.attrs.get("callee"), Kernel):
            return  # which reads its arguments in memory
        for operand in dict.fromkeys(node.operands):
            home = self.group_of.get(operand)
            if (
                home is None
                or home is group
                or home.opaque
                or home.product
                or home.axes
                or home.old
                or self.comes_between(group, home)
            ):
                continue
            own = {*home.nodes, node}
            is_own = all(own.issuperset(self.users.get(n, ())) for n in home.nodes)
            if is_own and (node.op is call or is_prologue(node, operand, home)):
                # It is read as the group likes, and before what follows the product.
                home.reads = {(source, (), False): None for source, _, _ in home.reads}
                self.merge(group, home)

    def start(self, node: Node, reads: Reads) -> None:
        """A new group for `node`; cheap producers it reads out of place are computed again."""
        reduced = node.op.kind == REDUCTION
        group = self.new_group(domain_of(node), node.attrs["axes"] if reduced else None)
        clones: set[Node] = set()
        reads = self.settle(group, reads, clones) or reads
        self.add(node, group, reads, clones, reduced, False)

    def new_group(self, shape: tuple, axes: tuple[int, ...] | None = None) -> Group:
        group = Group(self.count, shape, axes)
        self.groups[self.count] = group
        self.count += 1
        return group

    def add(
        self,
        node: Node,
        group: Group,
        reads: Reads,
        clones: set[Node],
        is_row: bool,
        reads_rows: bool,
    ) -> None:
        group.nodes.append(node)
        group.clones |= clones
        group.reads.update({(source, at, reads_rows): None for source, at in reads})
        self.note_readers(group, reads)
        inside = [read for read in reads if self.group_of.get(read[0]) is group]
        self.sweeps[node] = self.sweeps_before(inside) + (node.op.kind == REDUCTION)
        self.group_of[node] = group
        if is_row:
            group.rows.add(node)
        self.depend(group, [*reads, *self.unread_by((node, *clones))])
        if self.updates:
            self.record_updates(node, group, reads)

    def record_updates(self, node: Node, group: Group, reads: Reads) -> None:
        """Let updates come after the groups that read what they exchange."""
        if node.op.kind == UPDATE:
            old = old_of(node)
            group.old[old] = self.updates.place(node)
            self.depend(group, [(old, ())])
            for other in self.readers_in_order(old):
                if other is not group:
                    self.come_after(group, other)
        for source, _ in reads:
            for update in self.updates.of_value.get(memory_of(source), ()):
                later = self.group_of.get(update)
                if later is not None and later is not group:
                    self.come_after(later, group)

    def depend(self, group: Group, reads: Reads) -> None:
        """Record what `group` needs, for it and for all that need it."""
        new = 0
        for source, _ in reads:
            other = self.group_of.get(source)
            if other is not None and other is not group:
                new |= other.depends | other.bit
        self.need(group, new)

    def come_after(self, group: Group, other: Group) -> None:
        """Let `group`, which updates what `other` reads, come later, unless it must come first."""
        if not other.depends & group.bit:
            self.need(group, other.depends | other.bit)

    def need(self, group: Group, others: int) -> None:
        group.depends |= others
        self.needed |= others
        if self.needed & group.bit:
            for later in self.groups.values():
                if later.depends & group.bit:
                    later.depends |= others

    def note_readers(self, group: Group, reads: Reads) -> None:
        for source, _ in reads:
            self.readers.setdefault(memory_of(source), set()).add(group)

    def readers_in_order(self, value: Node) -> list[Group]:
        """The groups that read a value in memory."""
        return sorted(self.readers.get(value, ()), key=lambda group: group.number)

    def disturbs_updates(self, node: Node, group: Group, reads: Reads) -> bool:
        """Whether `node` in `group` would read what an update there exchanges too late, or elsewhere;
        or what one of another group exchanges, that must come before this group."""
        old = dict(group.old)
        if node.op.kind == UPDATE:
            exchanged = old_of(node)
            home = self.group_of.get(exchanged)
            if exchanged in old or home is group or (home is not None and home.depends & group.bit):
                return True
            old[exchanged] = self.updates.place(node)
            reads = [*reads, *[(source, at) for source, at, _ in group.reads]]
            readers = self.readers.get(exchanged, ())
            if any(reader is not group and reader.depends & group.bit for reader in readers):
                return True
        sweeps = group.axes is not None or node.op.kind == REDUCTION
        if sweeps and any(group in self.readers.get(value, ()) for value in group.old):
            return True  # what is swept again would be computed again, from new values
        axes = node.attrs["axes"] if node.op.kind == REDUCTION else group.axes
        if sweeps and None in old.values() and len(axes) < len(group.shape):
            return True  # elements are written in the order of the value, as the last one stays
        for source, at in [in_memory(*read) for read in reads]:
            if source.op.kind == UPDATE and self.group_of.get(source) is group:
                return True
            if source in old and (sweeps or at != old[source]):
                return True
            for update in self.updates.of_value.get(source, ()):
                later = self.group_of.get(update)
                if later is not None and later is not group and group.depends & later.bit:
                    return True
        return False

    def join(self, node: Node, group: Group, reads: Reads) -> str | None:
        """Put `node` into `group`, merging the groups of its other operands; or say why not."""
        if group.opaque:
            return "it stands alone: scans, library calls and Python's do not fuse"
        if len(group.nodes) >= GROUP_LIMIT and group.shape:
            return f"the kernel has {GROUP_LIMIT} operations already"
        if group.product is not None and node.op.kind != ELEMENTWISE:
            return "the loops of a contraction or of a user's group take up elementwise operations alone"
        if group.product is not None and self.is_read_anyway(node, group, reads):
            return "another kernel reduces what it is computed from, and computes it there"
        level = self.level_in(node, group)
        if level is None:
            return self.other_loops(node, group)
        clones: set[Node] = set()
        is_row = level == "row"
        settled = self.settle(group, reads, clones, is_row)
        if settled is None:
            return (
                "it reads values elsewhere than where the loops make them (another row or element)"
            )
        others = self.homes(settled) - {group}
        needed = others | self.homes(self.unread_by((node, *clones)))
        if node.op.kind == UPDATE:
            needed |= self.homes([(old_of(node), ())])
        if any(other.depends & group.bit for other in needed):
            return "it also needs a kernel that must come after"
        if node.op.kind == REDUCTION and self.sweeps_too_often(node, group, settled):
            return f"it would sweep columns more than {COLUMN_SWEEPS} times"
        if self.in_turn_at_a_price(group.nodes, clones, (node,)):
            return (
                "elements go one after the other where data says; what is dear runs in lanes before"
            )
        dear = self.dear_again(group, settled)
        if level == "element" and dear is not None:
            return dear
        if self.updates and self.disturbs_updates(node, group, settled):
            return "a write in place must come after, or before, all who read that memory"
        if node.op.kind == REDUCTION:
            group.axes = node.attrs["axes"]
        for other in sorted(others, key=lambda g: -g.number):
            # What `node` needs besides may need `other` itself.
            is_needed = any(third.depends & other.bit for third in needed)
            dear = self.in_turn_at_a_price(group.nodes, other.nodes, (node,))
            if not is_needed and not dear and self.can_merge(group, other, settled, is_row):
                self.merge(group, other)
        self.add(node, group, settled, clones, is_row or node.op.kind == REDUCTION, is_row)
        return None

    def in_turn_at_a_price(self, *parts: Iterable[Node]) -> bool:
        """The same of the nodes of all parts, in a program where some elements go in turn."""
        return self.has_turns and in_turn_at_a_price(chain(*parts))

    def is_read_anyway(self, node: Node, group: Group, reads: Reads) -> bool:
        """Whether what `node` reads of a group is reduced by another kernel, and it is cheap for that one.

        With the product it would be one more array to store, and to read.
        """
        own = [source for source, _ in reads if self.group_of.get(source) is group]
        reduced = lambda n: any(u is not None and u.op.kind == REDUCTION for u in self.users[n])
        return node.op.cost <= 1 and None not in self.users[node] and all(map(reduced, own))

    def homes(self, reads: Reads) -> set[Group]:
        """The groups that make what is read."""
        return {self.group_of[source] for source, _ in reads if source in self.group_of}

    def other_loops(self, node: Node, group: Group) -> str:
        """Why `node` has no place among the loops of `group`."""
        shape = "x".join(map(str, group.shape)) or "one number"
        own = "x".join(map(str, domain_of(node))) or "one number"
        if domain_of(node) == group.shape:
            return f"it reduces axes {node.attrs['axes']}, the kernel reduces {group.axes}"
        return f"its loops run over {own}, the kernel's over {shape}"

    def sweeps_too_often(self, node: Node, group: Group, reads: Reads) -> bool:
        """Whether this reduction would be one too many in a chain of them along columns.

        Each sweep of a column computes anew what the sweeps before it did.
        """
        along_columns = len(group.shape) - 1 not in node.attrs["axes"]
        return along_columns and self.sweeps_before(reads) >= COLUMN_SWEEPS

    def sweeps_before(self, reads: Reads) -> int:
        return max([self.sweeps.get(source, 0) for source, _ in reads], default=0)

    def dear_again(self, group: Group, reads: Reads) -> str | None:
        """Why one more sweep of columns had better read what those before it computed, if it is so.

        Columns are too many to keep what is computed of each for the next sweep, as rows do.
        """
        if group.axes is None or len(group.shape) - 1 in group.axes:
            return None
        sweep = self.sweeps_before([r for r in reads if self.group_of.get(r[0]) is group])
        for source, _ in reads:
            is_before = self.group_of.get(source) is group and self.sweeps[source] < sweep
            if not is_before or source in group.rows:
                continue
            is_read = lambda n: (
                n in group.rows or is_argument(n) or self.group_of.get(n) not in (None, group)
            )
            load = load_of((source,), is_read, self.machine)
            again, once = load.unstored, load.cycles - load.unstored + passing(source, self.machine)
            if again > once:
                return (
                    f"another sweep of columns would compute {source.op.name} again, in {again:.3g} cycles; "
                    f"stored, and read, it takes {once:.3g}"
                )
        return None

    def level_in(self, node: Node, group: Group) -> str | None:
        """Whether `node` would be an element node or a row node of `group`, or neither."""
        if node.op.kind == REDUCTION:
            free = group.axes is None or group.axes == node.attrs["axes"]
            return "element" if domain_of(node) == group.shape and free else None
        if domain_of(node) == group.shape:
            return "element"
        if group.axes is not None:
            kept = tuple([group.shape[axis] for axis in group.kept])
            # Rows may be done in any order; what packs them goes from one to the next.
            if domain_of(node) == kept and not is_packing(node):
                return "row"
        return None

    def settle(
        self, group: Group, reads: Reads, clones: set[Node], row: bool = False
    ) -> Reads | None:
        """The reads of a member of `group`, or None when some are out of place.

        A producer read out of place that is not stored is replaced by what it reads itself.
        """
        shape = group.shape
        domain = axis_indices(len(shape))
        own = axis_indices(len(group.kept)) if row else domain
        row_index = own if row else tuple([domain[axis] for axis in group.kept])
        settled: Reads = []
        pending = list(reads)
        seen = set(pending)
        while pending:
            source, at = pending.pop()
            home = self.group_of.get(source)
            if home is group and source in self.renamed:
                pending += reach(source, at, self.is_stored)
                continue
            if home is group and is_packing(source):
                return None  # of which nothing is certain before the loops are over
            if home is group:
                wanted = row_index if source in group.rows else own
                legible = not (row and source not in group.rows)
                if at == wanted and legible:
                    settled.append((source, at))
                    continue
            elif home is None or at == own or source in self.stored:
                settled.append((source, at))
                continue
            if source in self.stored:
                return None
            clones.add(source)
            for read in reach(source, at, self.is_stored):
                if read not in seen:
                    seen.add(read)
                    pending.append(read)
        return settled

    def can_merge(self, group: Group, other: Group, reads: Reads, row: bool) -> bool:
        """Whether `other` can be computed by the same loops as `group` and a node with `reads`."""
        if other.opaque or other.shape != group.shape or group.old or other.old:
            return False
        if self.in_turn_at_a_price(group.nodes, other.nodes):
            return False
        products = [g for g in (group, other) if g.product is not None]
        if len(products) == 2 or products and (group.axes or other.axes):
            return False
        if None not in (group.axes, other.axes) and group.axes != other.axes:
            return False
        if len(group.nodes) + len(other.nodes) > GROUP_LIMIT and group.shape:
            return False
        axes = other.axes if group.axes is None else group.axes
        if axes and len(group.shape) - 1 not in axes and group.depends & other.bit:
            sweeps = [max([self.sweeps[n] for n in g.nodes]) for g in (group, other)]
            if sum(sweeps) > COLUMN_SWEEPS:
                return False
        domain = axis_indices(len(group.shape))
        kept = tuple([domain[a] for a in range(len(domain)) if a not in (axes or ())])
        for source, at, by_row in (*group.reads, *[(n, at, row) for n, at in reads]):
            if self.group_of.get(source) is not other:
                continue
            is_row = source in other.rows
            if by_row and not is_row or source in self.renamed or is_packing(source):
                return False
            if at != (axis_indices(len(kept)) if by_row else kept if is_row else domain):
                return False
        return not (other.depends & group.bit or self.comes_between(group, other))

    def comes_between(self, group: Group, other: Group) -> bool:
        """Whether a third group, perhaps a write, must come after one of them and before the other."""
        return any(
            third.depends & group.bit
            and other.depends & third.bit
            or third.depends & other.bit
            and group.depends & third.bit
            for third in self.groups.values()
            if third is not group and third is not other
        )

    def merge(self, group: Group, other: Group) -> None:
        group.nodes = sorted([*other.nodes, *group.nodes], key=self.position.__getitem__)
        group.rows |= other.rows
        group.clones |= other.clones
        group.renamed += other.renamed
        group.reads.update(other.reads)
        for source, _, _ in other.reads:
            readers = self.readers[memory_of(source)]
            readers.discard(other)
            readers.add(group)
        group.axes = other.axes if group.axes is None else group.axes
        group.product = group.product or other.product
        group.depends = (group.depends | other.depends) & ~other.bit & ~group.bit
        for node in (*other.nodes, *other.renamed):
            self.group_of[node] = group
        del self.groups[other.number]
        if not self.needed & (group.bit | other.bit):
            return
        self.needed |= group.bit | group.depends
        for third in self.groups.values():
            if third.depends & other.bit:
                third.depends = third.depends & ~other.bit | group.bit | group.depends
            elif third.depends & group.bit:
                third.depends |= group.depends
