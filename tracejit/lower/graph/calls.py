"""Groups become Functions that the entry calls, in order of dependence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from ...ir import ops
from ...ir.graph import Function, Node, call, call_results, substitute
from ...ir.graph import parameter as make_parameter
from ...ir.op import CONTROL, UPDATE
from ...ir.types import array_type
from .groups import Group, in_memory_as, in_one_piece, is_argument, shaped
from .updates import memory_of, old_of


class Calls:
    """Makes the Function that calls one for each group of `function`; `made` says what became of them."""

    def __init__(self, function: Function, groups: Iterable[Group], group_of: Mapping[Node, Group]):
        self.function, self.groups, self.group_of = function, list(groups), group_of
        self.names: Counter[str] = Counter()
        self.functions: dict[Function, Function] = {}
        # For reading alone: each group with its results, and the call.
        self.made: list[tuple[Group, list[Node], Node]] = []

    def run(self) -> Function:
        """Replace the nodes of each group by calls, groups in order of dependence."""
        wanted = self.wanted_outputs()
        replacement: dict[Node, Node] = {}

        def final(result: Node) -> Node:
            own = in_one_piece(result)
            return shaped(replacement.get(own, own), result.type.shape)

        remaining = {group.number: group for group in self.groups}
        done = 0
        while remaining:
            missing = ~done
            ready = [g for g in remaining.values() if not g.depends & missing]
            assert ready, "groups depend on each other in a circle"
            for group in ready:
                del remaining[group.number]
                done |= group.bit
                outputs = [n for n in group.nodes if n in wanted]
                if outputs:
                    self.emit_group(group, outputs, replacement)
        results = tuple([final(r) for r in self.function.results])
        return self.function.replace(results=results)

    def wanted_outputs(self) -> set[Node]:
        """Stored nodes somebody outside their group reads, found backwards from the results."""
        wanted: set[Node] = set()
        seen: dict[Group, set[Node]] = {}
        pending = [r for r in map(in_one_piece, self.function.results) if r in self.group_of]
        while pending:
            node = pending.pop()
            if node in wanted:
                continue
            wanted.add(node)
            group = self.group_of[node]
            pending.extend(self.boundary(group, node, seen.setdefault(group, set())))
        return wanted

    def boundary(self, group: Group, output: Node, seen: set[Node]) -> list[Node]:
        """The stored nodes of other groups (and calls' items) that `output` is computed from, but for those
        by way of nodes `seen` before."""
        found: dict[Node, None] = {}
        pending = [output]
        while pending:
            node = pending.pop()
            if node in seen:
                continue
            seen.add(node)
            home = self.group_of.get(node)
            if home is not None and home is not group and node not in group.clones:
                found[in_memory_as(node)] = None
                continue
            pending.extend(node.operands)
        return list(found)

    def named(self, function: Function) -> Function:
        """Under a name of its own; groups that compute the same are one Function."""
        known = self.functions.get(function)
        if known is None:
            stem = function.name
            self.names[stem] += 1
            number = self.names[stem]
            known = function if number == 1 else function.replace(name=f"{stem}_{number}")
            self.functions[function] = known
        return known

    def emit_group(self, group: Group, outputs: list[Node], replacement: dict[Node, Node]) -> None:
        (first, *_) = outputs
        if first.op.kind == CONTROL and len(group.nodes) == 1:
            operands = tuple([_stored(o, replacement) for o in first.operands])
            replacement[first] = Node(first.op, operands, first.attributes)
            self.made.append((group, outputs, replacement[first]))
            return
        inside = {*group.nodes, *group.renamed, *group.clones}
        outputs = sorted(outputs, key=lambda node: node.op.kind != UPDATE)
        # By the value in memory: in the shape in which it is exchanged.
        exchanged = {old_of(n): n.operands[0] for n in outputs if n.op.kind == UPDATE}
        inputs: dict[Node, Node] = {}
        parameters: list[Node] = []
        operands: list[Node] = []
        order: dict[Node, None] = {}
        pending, seen = list(reversed(outputs)), set()
        while pending:
            node = pending.pop()
            if node in seen:
                continue
            seen.add(node)
            home = self.group_of.get(node)
            outside = home is not None and node not in inside
            if memory_of(node) in exchanged:
                continue
            if outside or (home is None and is_argument(node)):
                order[node] = None
            else:
                pending.extend(reversed(node.operands))
        # Updated parameters come in the order of their updates, which are the first results.
        ordered = [*exchanged, *order]
        for position, node in enumerate(ordered):
            type = exchanged.get(node, node).type
            if node.op.name != "parameter" or node in exchanged:
                type = array_type(type.shape, type.dtype)
            formal = make_parameter(f"a{position}", type, updated=node in exchanged)
            inputs[node] = shaped(formal, node.type.shape)
            inputs[exchanged.get(node, node)] = formal
            parameters.append(formal)
            operands.append(shaped(_stored(node, replacement), type.shape))
        results = substitute(outputs, inputs)
        function = self.named(Function(group_stem(outputs), tuple(parameters), results))
        made = call_results(function, *operands)
        self.made.append((group, outputs, made[0] if len(made) == 1 else made[0].operands[0]))
        replacement.update(zip(outputs, made))


def _stored(node: Node, replacement: Mapping[Node, Node]) -> Node:
    """What `node` is in the entry: what a call gives, perhaps in another shape."""
    memory = in_memory_as(node)
    made = replacement.get(memory, memory)
    return made if memory is node else shaped(made, node.type.shape)


def group_stem(outputs: list[Node]) -> str:
    """Named for what the group ends in, as the program wrote it."""
    return "fused_" + "_".join(dict.fromkeys(map(_name, outputs[-2:])))


def _name(node: Node) -> str:
    if node.op is call:
        return node.attrs["callee"].name
    return "add" if node.op is ops.fma else node.op.name
