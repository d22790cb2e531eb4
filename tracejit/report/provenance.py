"""From the kernels of a program back to the lines they came from, and the fuser's reasons.

The lines are those of the nodes just before fusing. The fuser says which of them became which call;
planning memory turns calls into statements, in another order and with other buffers, so a statement
is recognised as the call of a function of its name on the same values.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from ..ir.graph import Function, Node, call, item
from ..ir.tensor import Call, Kernel
from ..ir.term import location_of, terms_in
from ..lower.graph.fuse import Grouping, grouping
from ..lower.graph.groups import Group
from ..lower.graph.weigh import Choice
from ..lower.machine import Machine
from ..lower.tensor.sections import calls_in

# What kernels of control flow are called, by their ops.
CONTROL = {"for_loop": "loop", "while_loop": "loop", "branch": "branch", "scope": "scope"}


class Refusal(NamedTuple):
    """Why something of one kernel is not in another one: what, and the statement's number."""

    other: int
    op: str
    lines: tuple[str, ...]
    reason: str


class Chosen(NamedTuple):
    """What the model chose for a value that a kernel makes or reads: which op's, how, and instead of what."""

    op: str
    lines: tuple[str, ...]
    choice: Choice


class Origin(NamedTuple):
    """Of one kernel call: the nodes it computes, their lines, what it could not join, and what the model
    chose for its values."""

    nodes: tuple[Node, ...]
    lines: tuple[str, ...]
    refusals: tuple[Refusal, ...]
    choices: tuple[Chosen, ...] = ()


NOWHERE = Origin((), (), ())


def origins(program: Function, entry: Kernel, machine: Machine) -> list[Origin]:
    """For each Call of the scheduled entry where it came from; `program` is what `fuse` is given.
    Within `own_locations` of the trace."""
    found, lines = grouping(program, machine), lines_of(program)
    matched = _matched(found.function, entry)
    parts = {made: (group, outputs) for group, outputs, made in found.calls}
    numbers: dict[Group, int] = {}
    nodes: list[tuple[Node, ...]] = []
    for number, made in enumerate(matched):
        inside: dict[Node, None] = {}
        for group, outputs in [parts[node] for node in made if node in parts]:
            inside |= _computed(found, group, outputs)
            numbers[group] = number
        nodes.append(tuple([n for n in program.nodes if n in inside]))
    refusals = _refusals(found, numbers, lines)
    reasons: dict[int, list[Refusal]] = {}
    for group, number in numbers.items():
        reasons.setdefault(number, []).extend(refusals.get(group, ()))
    choices = _choices(found, numbers, lines)
    return [
        Origin(
            n,
            _joined(lines, n),
            tuple(r for r in reasons.get(k, ()) if r.other != k),
            tuple(choices.get(k, ())),
        )
        for k, n in enumerate(nodes)
    ]


def lines_of(function: Function) -> dict[Node, tuple[str, ...]]:
    """The lines each node came from: what no line is known of was made for those that read it."""
    users: dict[Node, list[Node]] = {}
    for node in function.nodes:
        for operand in node.operands:
            users.setdefault(operand, []).append(node)
    found: dict[Node, tuple[str, ...]] = {}
    for node in reversed(function.nodes):
        is_given = node.op.name == "parameter"
        own = () if is_given else (location_of(node), *_inside(node))
        if not any(own) and node.op.name not in ("constant", "parameter"):
            own = tuple([line for user in users.get(node, ()) for line in found[user]])
        found[node] = tuple(dict.fromkeys(line for line in own if line))
    return found


def _inside(node: Node) -> list[str]:
    """The lines of the bodies that a node of control flow runs."""
    lines: list[str] = []
    pending = [t for _, v in node.attributes for t in terms_in(v) if isinstance(t, Function)]
    seen: set[Function] = set()
    while pending:
        function = pending.pop()
        if function not in seen:
            seen.add(function)
            lines += [location_of(n) or "" for n in function.nodes if n.op.name != "parameter"]
            pending += [f for f in function.callees if isinstance(f, Function)]
    return lines


def _computed(found: Grouping, group: Group, outputs: list[Node]) -> dict[Node, None]:
    """The nodes that a group's kernel computes for its outputs, those it repeats among them."""
    seen: dict[Node, None] = {}
    pending = list(outputs)
    while pending:
        node = pending.pop()
        home = found.group_of.get(node)
        elsewhere = home is not None and home is not group and node not in group.clones
        if node in seen or node.op.name == "parameter" or elsewhere:
            continue
        seen[node] = None
        pending += node.operands
    return seen


def _joined(lines: dict[Node, tuple[str, ...]], nodes: Iterable[Node]) -> tuple[str, ...]:
    joined = {line: None for node in nodes for line in lines.get(node, ())}
    return tuple(sorted(joined, key=_place))


def _place(line: str) -> tuple[str, int]:
    file, _, number = line.rpartition(":")
    return file, int(number)


def _refusals(
    found: Grouping, numbers: dict[Group, int], lines: dict[Node, tuple[str, ...]]
) -> dict[Group, list[Refusal]]:
    reasons: dict[Group, dict[int, Refusal]] = {}
    for node, group, reason in found.refused:
        # A group may have been merged into another one since.
        there = found.group_of[group.nodes[0]] if group.nodes else group
        own = found.group_of[node]
        if own is not there and own in numbers and there in numbers:
            other = numbers[there]
            refusal = Refusal(other, node.op.name, lines.get(node, ()), reason)
            reasons.setdefault(own, {}).setdefault(other, refusal)
    return {group: list(of.values()) for group, of in reasons.items()}


def _choices(
    found: Grouping, numbers: dict[Group, int], lines: dict[Node, tuple[str, ...]]
) -> dict[int, list[Chosen]]:
    """For each kernel what was chosen for the values that it makes, or computes again."""
    of: dict[int, list[Chosen]] = {}
    for choice in found.choices:
        value = choice.value
        chosen = Chosen(value.op.name, lines.get(value, ()), choice)
        for group, number in numbers.items():
            if value in group.clones or value in group.nodes:
                of.setdefault(number, []).append(chosen)
    return of


class _Keys:
    """Values as numbers: equal ones for what the same calls make of the same values."""

    def __init__(self) -> None:
        self.numbers: dict[Any, int] = {}

    def __call__(self, *parts: Any) -> int:
        return self.numbers.setdefault(parts, len(self.numbers))


def _matched(function: Function, entry: Kernel) -> list[tuple[Node, ...]]:
    """For each Call of `entry` the nodes of `function` that it carries out: sections are several."""
    key = _Keys()
    waiting: dict[str, list[tuple[int, Node]]] = {}
    of_node: dict[Node, int] = {}
    for node in function.nodes:
        below = [of_node[operand] for operand in node.operands]
        if node.op.name == "parameter":
            of_node[node] = key("parameter", node.attrs["name"])
        elif node.op.name == "reshape":
            of_node[node] = below[0]
        elif node.op is item:
            of_node[node] = key("item", node.attrs["index"], below[0])
        else:
            name = node.attrs["callee"].name if node.op is call else CONTROL.get(node.op.name, "")
            name = "once" if node.attrs.get("once") else name
            of_node[node] = key(name, *below)
            waiting.setdefault(name, []).append((of_node[node], node))
    of_buffer = {buffer: key("parameter", buffer.name) for buffer in entry.inputs}
    found: list[tuple[Node, ...]] = []
    for whole in [s for s in entry.body if isinstance(s, Call)]:
        made: list[Node] = []
        for statement in calls_in(whole):
            kernel, buffers = statement.kernel, statement.buffers
            own = key(kernel.name, *[of_buffer.get(b, -1) for b in buffers[: len(kernel.inputs)]])
            if kernel.name == "copy" and kernel.name not in waiting:
                of_buffer[buffers[-1]] = of_buffer.get(buffers[0], -1)
                continue
            choices = waiting.get(kernel.name, [])
            choice = next((c for c in choices if c[0] == own), choices[0] if choices else None)
            if choice is not None:
                choices.remove(choice)
                made.append(choice[1])
            written = statement.written
            for index, buffer in enumerate((*_updated(statement), *_fresh(statement))):
                of_buffer[buffer] = key("item", index, own) if len(written) > 1 else own
        found.append(tuple(made))
    return found


def _updated(statement: Call) -> list[Any]:
    pairs = zip(statement.kernel.parameters, statement.buffers)
    return [buffer for own, buffer in pairs if own in statement.kernel.updated]


def _fresh(statement: Call) -> list[Any]:
    pairs = zip(statement.kernel.parameters, statement.buffers)
    return [buffer for own, buffer in pairs if own in statement.kernel.fresh]
