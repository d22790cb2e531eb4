"""Put what ops are made of in their place, so that all that follows sees other ops alone."""

from __future__ import annotations

from ...ir.graph import Function, Module, Node, map_functions, rebuild_nodes
from ...ir.graph import item as item_op
from ...ir.op import Composite


def expand(module: Module) -> Module:
    """Expand composites in every Function, until there are none."""
    while any(isinstance(f, Function) and _has_composites(f) for f in module.functions):
        module = map_functions(module, _expanded, _has_composites)
    return module


def _has_composites(function: Function) -> bool:
    return any(isinstance(node.op.lowering, Composite) for node in function.nodes)


def _expanded(function: Function) -> Function:
    several: dict[Node, tuple[Node, ...]] = {}

    def visit(node: Node) -> Node:
        if node.op is item_op and node.operands[0] in several:
            return several[node.operands[0]][node.attrs["index"]]
        if not isinstance(node.op.lowering, Composite):
            return node
        results = node.op.lowering.rule(*node.operands, **node.attrs)
        if len(results) == 1:
            return results[0]
        several[node] = tuple(results)
        return node

    return function.replace(results=rebuild_nodes(function.results, visit))
