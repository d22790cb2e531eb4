"""The graphs that pictures are drawn of: the operations as traced, as fused, and the kernels.

Numbers that operations take are written into them: a constant is no node of a picture, and neither
is what repeats one along axes.
"""

from __future__ import annotations

import linecache
from collections.abc import Iterable

from ..ir.graph import Function, Kernel, Node
from ..ir.tensor import Call
from .provenance import lines_of
from .records import Graph, KernelRecord, Line, NodeRecord

SPREADING = ("broadcast", "reshape", "cast")


def line_at(place: str) -> Line:
    """The line at `path:number`."""
    file, _, number = place.rpartition(":")
    return Line(file, int(number), linecache.getline(file, int(number)).rstrip())


def numbered(function: Function) -> dict[Node, int]:
    """The nodes of a function by their numbers, by which records name them."""
    return {node: k for k, node in enumerate(function.nodes)}


def graphs(
    traced: Function,
    program: Function,
    kernels: tuple[KernelRecord, ...],
    calls: list[Call],
    entry: Kernel,
) -> tuple[Graph, ...]:
    """Pictures of a program: as it was traced, as `fuse` found it, and its kernels."""
    return (
        _traced(traced, kernels),
        _operations(program, kernels),
        _kernels(kernels, calls, entry),
    )


def _traced(function: Function, kernels: tuple[KernelRecord, ...]) -> Graph:
    """The operations as they were traced; the kernels are those that their lines became."""
    of_line: dict[Line, dict[int, None]] = {}
    for kernel in kernels:
        for line in kernel.lines:
            of_line.setdefault(line, {})[kernel.number] = None
    lines = {node: tuple(map(line_at, places)) for node, places in lines_of(function).items()}
    found = {
        node: tuple(dict.fromkeys(k for line in own for k in of_line.get(line, ())))
        for node, own in lines.items()
    }
    return Graph("traced", _nodes(function, found, lines))


def _operations(function: Function, kernels: tuple[KernelRecord, ...]) -> Graph:
    """The operations just before they are fused, each with the kernels that compute it."""
    lines = {node: tuple(map(line_at, places)) for node, places in lines_of(function).items()}
    computed: dict[int, list[int]] = {}
    for kernel in kernels:
        for k in kernel.nodes:
            computed.setdefault(k, []).append(kernel.number)
    found = {node: tuple(computed.get(k, ())) for node, k in numbered(function).items()}
    return Graph("operations", _nodes(function, found, lines))


def _nodes(
    function: Function,
    kernels: dict[Node, tuple[int, ...]],
    lines: dict[Node, tuple[Line, ...]],
) -> tuple[NodeRecord, ...]:
    """Records of the nodes that a picture shows, operands by their numbers among these."""
    values: dict[Node, str] = {}
    shown: dict[Node, int] = {}
    records = []
    for node in function.nodes:
        value = _value(node, values)
        if value is not None and node not in function.results:
            values[node] = value
            continue
        inside = [values[o] for o in node.operands if o in values]
        operands = [shown[operand] for operand in node.operands if operand in shown]
        shown[node] = len(records)
        records.append(
            NodeRecord(
                " ".join([label_of(node), *inside]),
                str(node.type),
                tuple(dict.fromkeys(operands)),
                kernels[node],
                lines[node],
            )
        )
    return tuple(records)


def _value(node: Node, values: dict[Node, str]) -> str | None:
    """How a constant, or one that is spread, is written; None for other nodes."""
    if node.op.name == "constant":
        return f"{node.attrs['value']!r}"
    if node.op.name in SPREADING and node.operands[0] in values:
        return values[node.operands[0]]
    return None


def label_of(node: Node) -> str:
    """What a picture calls a node."""
    attrs = node.attrs
    match node.op.name:
        case "parameter":
            return attrs["name"]
        case "constant":
            return repr(attrs["value"])
        case "call":
            return attrs["callee"].name
    return node.op.name


def _kernels(kernels: Iterable[KernelRecord], calls: list[Call], entry: Kernel) -> Graph:
    """The kernels, with an edge from what wrote a buffer last to what reads it."""
    nodes = [NodeRecord(b.name, str(b.type), (), (), ()) for b in entry.inputs]
    writer = {buffer: k for k, buffer in enumerate(entry.inputs)}
    for record, call in zip(kernels, calls):
        read = call.buffers[: len(call.kernel.inputs)]
        sources = tuple(dict.fromkeys(writer[b] for b in read if b in writer))
        shown = ", ".join(record.writes)
        nodes.append(NodeRecord(record.name, shown, sources, (record.number,), record.lines))
        writer.update(dict.fromkeys(call.written, len(nodes) - 1))
    for buffer in entry.outputs:
        if buffer in writer and buffer not in entry.inputs:
            nodes.append(NodeRecord(buffer.name, str(buffer.type), (writer[buffer],), (), ()))
    return Graph("kernels", tuple(nodes))
