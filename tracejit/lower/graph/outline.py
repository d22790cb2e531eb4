"""Move each op that foreign functions carry out into a Function of its own, as the kernel it will be."""

from __future__ import annotations

import re

from ...ir.graph import Function, Module, Node, call, each_program, item, parameter, rebuild_nodes
from ...ir.op import Extern
from ...ir.types import TupleType


@each_program
def outline(module: Module) -> Module:
    """Rewrite the entry, in which nothing then fuses with such an op."""
    entry = module.entry
    if not any(isinstance(node.op.lowering, Extern) for node in entry.nodes):
        return module
    return Module(entry.replace(results=rebuild_nodes(entry.results, _outlined)))


def _outlined(node: Node) -> Node:
    if not isinstance(node.op.lowering, Extern):
        return node
    operands = tuple(dict.fromkeys(node.operands))
    inside = {o: parameter(f"a{k}", o.type) for k, o in enumerate(operands)}
    own = Node(node.op, tuple([inside[o] for o in node.operands]), node.attributes)
    results: tuple[Node, ...] = (own,)
    if isinstance(own.type, TupleType):
        results = tuple([item(own, index=k) for k in range(len(own.type.items))])
    function = node.attrs.get("function")
    name = node.op.name if function is None else function.name.partition("(")[0]
    name = re.sub(r"\W", "_", name)
    return call(*operands, callee=Function(name, tuple(inside.values()), results))
