"""Partition a Function into groups that each become one loop nest, and make every group a Function.

A group has a domain: the shape `S` its loops run over and, once a reduction joins, the axes `A`
that are reduced. Its nodes are of two levels: element nodes have shape `S`; row nodes have the
shape that is left when `A` is dropped (reductions over `A`, and elementwise ops on their results).
A node may join a group when it reads every member of the group just where the group's loops are:
an element node at the element's own index, a row node at the index of the row. So a softmax, or a
normalisation by mean and variance, is one group that sweeps each row several times.

Nodes are visited in order. A node joins the groups of its operands, and merges those that can be
merged without making groups depend on each other in a circle. Movement ops, constants and 0-d
arithmetic are never stored: whoever needs them computes them. A cheap elementwise node that is
read at another index than its own (shifted, transposed) is computed again by its reader, an
expensive one is stored. Contractions, scans and calls stand alone.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from ...ir.graph import Function, Module, Node, call_results, substitute
from ...ir.graph import parameter as make_parameter
from ...ir.ops import reshape
from ...ir.op import CONTROL, CREATION, ELEMENTWISE, MOVEMENT, REDUCTION
from ...ir.tensor import Expression, Literal
from ...ir.types import bool_, f64, array_type
from ..elements import Composer, Position, axis_indices

CLONE_COST = 8.0
GROUP_LIMIT = 192

Reads = list[tuple[Node, Position]]


@dataclass(eq=False)
class Group:
    """Nodes computed by one loop nest."""

    number: int
    shape: tuple
    axes: tuple[int, ...] | None = None
    opaque: bool = False
    nodes: list[Node] = field(default_factory=list)
    rows: set[Node] = field(default_factory=set)
    clones: set[Node] = field(default_factory=set)
    depends: int = 0

    @property
    def bit(self) -> int:
        return 1 << self.number

    @property
    def kept(self) -> tuple[int, ...]:
        """The axes that are not reduced."""
        return tuple([a for a in range(len(self.shape)) if a not in (self.axes or ())])


def fuse(module: Module) -> Module:
    """Every op of the entry moves into a Function of its own group; the entry only calls."""
    return Module(_Fuser(module.entry).run())


def is_inline(node: Node) -> bool:
    """Never stored for its own sake."""
    kind = node.op.kind
    if kind in (MOVEMENT, CREATION):
        return True
    return kind == ELEMENTWISE and node.type.shape == ()


def is_argument(node: Node) -> bool:
    """A parameter, or the same memory in another shape."""
    while node.op is reshape and node.operands[0].type.layout is None:
        (node,) = node.operands
    return node.op.name == "parameter"


class _Fuser:
    def __init__(self, function: Function):
        self.function = function
        self.groups: dict[int, Group] = {}
        self.group_of: dict[Node, Group] = {}
        self.order = [n for n in function.nodes if n.op.name != "parameter"]
        self.roots = self.find_roots()
        self.uses = self.count_uses()
        self.reads: dict[Node, Reads] = {}
        self.count = 0

    def find_roots(self) -> set[Node]:
        """Inline nodes that must be stored after all: results, and operands of what stands alone."""
        roots = {n for n in self.function.results if n.op.name != "parameter"}
        for node in self.order:
            if node.op.kind not in (ELEMENTWISE, MOVEMENT, CREATION, REDUCTION):
                roots.update(o for o in node.operands if not is_argument(o))
        return roots

    def count_uses(self) -> Counter:
        """How many stored nodes read each node, counted once for every path through inline ones."""
        uses: Counter[Node] = Counter(self.function.results)
        for node in reversed(self.order):
            through = uses[node] if is_inline(node) and node not in self.roots else 1
            for operand in node.operands:
                uses[operand] += through
        return uses

    def run(self) -> Function:
        for node in self.order:
            if not is_inline(node) or node in self.roots:
                self.assign(node)
        return self.rewrite()

    # What a node reads.

    def is_stored(self, node: Node) -> bool:
        return node in self.group_of or node.op.kind == CONTROL or is_argument(node)

    def reads_of(self, node: Node) -> Reads:
        """The stored nodes `node` reads, and where, as a function of its own canonical index.

        A reduction's index runs over its operand's shape.
        """
        found = self.reads.get(node)
        if found is None:
            if node.op.kind == REDUCTION:
                (operand,) = node.operands
                found = self.reach(operand, axis_indices(operand.type.ndim))
            else:
                found = self.reach(node, axis_indices(node.type.ndim), node)
            self.reads[node] = found
        return found

    def reach(self, node: Node, index: Position, start: Node | None = None) -> Reads:
        reads: dict[tuple[Node, Position], None] = {}

        def stored(n: Node, at: Position) -> Expression | None:
            if n is start or not self.is_stored(n):
                return None
            reads[n, at] = None
            return _placeholder(n)

        Composer(stored).value(node, index)
        return list(reads)

    # Joining groups.

    def assign(self, node: Node) -> None:
        if node.op.kind not in (ELEMENTWISE, MOVEMENT, CREATION, REDUCTION):
            group = self.new_group(node.type.shape if node.op.kind != CONTROL else ())
            group.opaque = True
            group.nodes.append(node)
            self.group_of[node] = group
            self.depend(group, [(o, ()) for o in node.operands])
            return
        reads = self.reads_of(node)
        sources = {self.group_of[n]: None for n, _ in reads if n in self.group_of}
        for candidate in sorted(sources, key=lambda g: -g.number):
            if self.join(node, candidate, reads):
                break
        else:
            self.start(node, reads)

    def start(self, node: Node, reads: Reads) -> None:
        """A new group for `node`; cheap producers it reads out of place are computed again."""
        reduced = node.op.kind == REDUCTION
        shape = node.operands[0].type.shape if reduced else node.type.shape
        group = self.new_group(shape, node.attrs["axes"] if reduced else None)
        clones: set[Node] = set()
        reads = self.settle(node, group, reads, clones) or reads
        self.add(node, group, reads, clones, reduced)

    def new_group(self, shape: tuple, axes: tuple[int, ...] | None = None) -> Group:
        group = Group(self.count, shape, axes)
        self.groups[self.count] = group
        self.count += 1
        return group

    def add(self, node: Node, group: Group, reads: Reads, clones: set[Node], row: bool) -> None:
        group.nodes.append(node)
        group.clones |= clones
        self.group_of[node] = group
        if row:
            group.rows.add(node)
        self.depend(group, reads)

    def depend(self, group: Group, reads: Reads) -> None:
        """Record what `group` needs, for it and for all that need it."""
        new = 0
        for source, _ in reads:
            other = self.group_of.get(source)
            if other is not None and other is not group:
                new |= other.depends | other.bit
        group.depends |= new
        for other in self.groups.values():
            if other.depends & group.bit:
                other.depends |= new

    def join(self, node: Node, group: Group, reads: Reads) -> bool:
        """Put `node` into `group`, merging the groups of its other operands, if that is sound."""
        if group.opaque or len(group.nodes) >= GROUP_LIMIT:
            return False
        level = self.level_in(node, group)
        if level is None:
            return False
        clones: set[Node] = set()
        settled = self.settle(node, group, reads, clones, level == "row")
        if settled is None:
            return False
        others = {self.group_of[n] for n, _ in settled if n in self.group_of} - {group}
        if any(other.depends & group.bit for other in others):
            return False
        for other in sorted(others, key=lambda g: -g.number):
            places = [at for n, at in settled if self.group_of.get(n) is other]
            if self.can_merge(group, other, node, settled) and places:
                self.merge(group, other)
        if node.op.kind == REDUCTION:
            group.axes = node.attrs["axes"]
        self.add(node, group, settled, clones, level == "row" or node.op.kind == REDUCTION)
        return True

    def level_in(self, node: Node, group: Group) -> str | None:
        """Whether `node` would be an element node or a row node of `group`, or neither."""
        if node.op.kind == REDUCTION:
            same = node.operands[0].type.shape == group.shape
            free = group.axes is None or group.axes == node.attrs["axes"]
            return "element" if same and free else None
        if node.type.shape == group.shape:
            return "element"
        if group.axes is not None:
            kept = tuple([group.shape[axis] for axis in group.kept])
            if node.type.shape == kept:
                return "row"
        return None

    def settle(
        self, node: Node, group: Group, reads: Reads, clones: set[Node], row: bool = False
    ) -> Reads | None:
        """The reads of `node` as a member of `group`, or None when some are out of place.

        A cheap producer read out of place is replaced by what it reads itself.
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
            if home is group:
                wanted = row_index if source in group.rows else own
                legible = not (row and source not in group.rows)
                if at == wanted and legible:
                    settled.append((source, at))
                    continue
            elif home is None or at == own or not self.may_clone(source, node):
                settled.append((source, at))
                continue
            if not self.may_clone(source, node):
                return None
            clones.add(source)
            for read in self.reach(source, at, source):
                if read not in seen:
                    seen.add(read)
                    pending.append(read)
        return settled

    def may_clone(self, source: Node, reader: Node) -> bool:
        """Computing `source` again is no dearer than storing it: cheap, or nobody else wants it."""
        if source.op.kind != ELEMENTWISE or source in self.roots:
            return False
        if self.uses[source] == 1 and reader.type.size == source.type.size:
            return True
        total, pending, seen = 0.0, [source], set()
        while pending:
            node = pending.pop()
            if node in seen or is_argument(node):
                continue
            seen.add(node)
            if node.op.kind not in (ELEMENTWISE, MOVEMENT, CREATION):
                return False
            total += node.op.cost
            if total > CLONE_COST:
                return False
            pending.extend(node.operands)
        return True

    def can_merge(self, group: Group, other: Group, node: Node, reads: Reads) -> bool:
        """Whether `other` can be computed by the same loops as `group`."""
        if other.opaque or other.shape != group.shape:
            return False
        if None not in (group.axes, other.axes) and group.axes != other.axes:
            return False
        if len(group.nodes) + len(other.nodes) > GROUP_LIMIT:
            return False
        axes = other.axes if group.axes is None else group.axes
        domain = axis_indices(len(group.shape))
        kept = tuple([domain[a] for a in range(len(domain)) if a not in (axes or ())])
        for source, at in reads:
            if self.group_of.get(source) is other:
                if at != (kept if source in other.rows else domain):
                    return False
        between = [g for g in self.groups.values() if g not in (group, other)]
        for third in between:
            if third.depends & group.bit and other.depends & third.bit:
                return False
            if third.depends & other.bit and group.depends & third.bit:
                return False
        return not (other.depends & group.bit)

    def merge(self, group: Group, other: Group) -> None:
        order = {n: k for k, n in enumerate(self.order)}
        group.nodes = sorted([*other.nodes, *group.nodes], key=order.__getitem__)
        group.rows |= other.rows
        group.clones |= other.clones
        group.axes = other.axes if group.axes is None else group.axes
        group.depends = (group.depends | other.depends) & ~other.bit & ~group.bit
        for node in other.nodes:
            self.group_of[node] = group
        del self.groups[other.number]
        for third in self.groups.values():
            if third.depends & other.bit:
                third.depends = third.depends & ~other.bit | group.bit | group.depends
            elif third.depends & group.bit:
                third.depends |= group.depends

    # Making Functions of groups.

    def rewrite(self) -> Function:
        """Replace the nodes of each group by calls, groups in order of dependence."""
        wanted = self.wanted_outputs()
        replacement: dict[Node, Node] = {}
        remaining = dict(self.groups)
        done = 0
        names: Counter[str] = Counter()
        while remaining:
            ready = [g for g in remaining.values() if not g.depends & ~done]
            assert ready, "groups depend on each other in a circle"
            for group in ready:
                del remaining[group.number]
                done |= group.bit
                outputs = [n for n in group.nodes if n in wanted]
                if outputs:
                    self.emit_group(group, outputs, replacement, names)
        results = tuple([replacement.get(r, r) for r in self.function.results])
        return self.function.replace(results=results)

    def wanted_outputs(self) -> set[Node]:
        """Stored nodes somebody outside their group reads, found backwards from the results."""
        wanted: set[Node] = set()
        pending = [r for r in self.function.results if r in self.group_of]
        while pending:
            node = pending.pop()
            if node in wanted:
                continue
            wanted.add(node)
            pending.extend(self.boundary(self.group_of[node], [node]))
        return wanted

    def boundary(self, group: Group, outputs: list[Node]) -> list[Node]:
        """The stored nodes of other groups (and calls' items) that `outputs` are computed from."""
        found: dict[Node, None] = {}
        pending, seen = list(outputs), set()
        while pending:
            node = pending.pop()
            if node in seen:
                continue
            seen.add(node)
            home = self.group_of.get(node)
            if home is not None and home is not group and node not in group.clones:
                found[node] = None
                continue
            pending.extend(node.operands)
        return list(found)

    def emit_group(
        self, group: Group, outputs: list[Node], replacement: dict[Node, Node], names: Counter
    ) -> None:
        (first, *_) = outputs
        if group.opaque and first.op.kind == CONTROL:
            operands = tuple([replacement.get(o, o) for o in first.operands])
            replacement[first] = Node(first.op, operands, first.attributes)
            return
        inside = set(group.nodes) | group.clones
        inputs: dict[Node, Node] = {}
        order: dict[Node, None] = {}
        pending, seen = list(reversed(outputs)), set()
        while pending:
            node = pending.pop()
            if node in seen:
                continue
            seen.add(node)
            home = self.group_of.get(node)
            outside = home is not None and node not in inside
            if outside or (home is None and is_argument(node)):
                order[node] = None
            else:
                pending.extend(reversed(node.operands))
        for position, node in enumerate(order):
            type = node.type
            if node.op.name != "parameter":
                type = array_type(type.shape, type.dtype)
            inputs[node] = make_parameter(f"a{position}", type)
        results = substitute(outputs, inputs)
        function = Function(group_name(outputs, names), tuple(inputs.values()), results)
        operands = [replacement.get(node, node) for node in inputs]
        for node, result in zip(outputs, call_results(function, *operands)):
            replacement[node] = result


def group_name(outputs: list[Node], names: Counter) -> str:
    """Named for what the group ends in, with a number when that is not unique."""
    stem = "fused_" + "_".join(dict.fromkeys(n.op.name for n in outputs[-2:]))
    names[stem] += 1
    return stem if names[stem] == 1 else f"{stem}_{names[stem]}"


def _placeholder(node: Node) -> Any:
    """Stands for a stored value while only the indices matter."""
    dtype = getattr(node.type, "dtype", f64)
    return Literal(False, bool_) if dtype is bool_ else Literal(0, dtype)
