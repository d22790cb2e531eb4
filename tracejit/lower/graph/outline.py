"""Move each call of a Python function into a Function of its own, as the kernel it will be."""

from __future__ import annotations

import re

from ...ir import ops
from ...ir.graph import Function, Module, Node, call, each_program, item, parameter, rebuild_nodes
from ...ir.types import TupleType


@each_program
def outline(module: Module) -> Module:
    """Rewrite the entry, in which nothing then fuses with such a call."""
    entry = module.entry
    if all(node.op is not ops.host_call for node in entry.nodes):
        return module
    return Module(entry.replace(results=rebuild_nodes(entry.results, _outlined)))


def _outlined(node: Node) -> Node:
    if node.op is not ops.host_call:
        return node
    operands = tuple(dict.fromkeys(node.operands))
    inside = {o: parameter(f"a{k}", o.type) for k, o in enumerate(operands)}
    own = Node(node.op, tuple([inside[o] for o in node.operands]), node.attributes)
    results: tuple[Node, ...] = (own,)
    if isinstance(own.type, TupleType):
        results = tuple([item(own, index=k) for k in range(len(own.type.items))])
    name = re.sub(r"\W", "_", node.attrs["function"].name.partition("(")[0])
    return call(*operands, callee=Function(name, tuple(inside.values()), results))
