"""Compute before a loop what each of its iterations would compute anew.

A body's array that depends on nothing the loop changes is computed once, and read by the body. Scalars
stay where they are: the loop's code finds them again. What may be refused stays as well, as a loop
that never runs refuses nothing.
"""

from __future__ import annotations

from ...ir import ops
from ...ir.graph import Function, Module, Node, each_program, parameter, rebuild_nodes, substitute
from ...ir.op import CONTRACTION, CREATION, ELEMENTWISE, MOVEMENT, REDUCTION, SCAN
from ...ir.syntax import symbol_names
from ...ir.types import array_type
from .updates import may_refuse

_COMPUTED = (ELEMENTWISE, REDUCTION, CONTRACTION, SCAN)
_PURE = (*_COMPUTED, MOVEMENT, CREATION)


@each_program
def hoist(module: Module) -> Module:
    """The same module, whose loops compute no array twice; inner loops first, so that it moves out of
    all of them."""
    entry = module.entry
    if not any(node.op in (ops.for_loop, ops.while_loop) for node in entry.nodes):
        return module

    def visit(node: Node) -> Node:
        return _lightened(node) if node.op in (ops.for_loop, ops.while_loop) else node

    return Module(entry.replace(results=rebuild_nodes(entry.results, visit)))


def _lightened(loop: Node) -> Node:
    attrs = dict(loop.attributes)
    body, count = attrs["body"], attrs["carried"]
    moved = _invariant(body, count, symbol_names(attrs.get("index", ())))
    if not moved:
        return loop
    outside = dict(zip(body.parameters, loop.operands))
    values = substitute(moved, outside)
    taken = {p.attrs["name"] for p in body.parameters}
    inside: dict[Node, Node] = {}
    for node in moved:
        name = f"a{len(taken)}"
        while name in taken:
            name += "_"
        taken.add(name)
        inside[node] = parameter(name, array_type(node.type.shape, node.type.dtype))
    own = (*body.parameters, *inside.values())
    attrs["body"] = Function(body.name, own, substitute(body.results, inside))
    if "condition" in attrs:
        condition = attrs["condition"]
        attrs["condition"] = condition.replace(
            parameters=(*condition.parameters, *own[-len(moved) :])
        )
    return Node(loop.op, (*loop.operands, *values), tuple(attrs.items()))


def _invariant(body: Function, count: int, unknowns: set[str]) -> list[Node]:
    """The arrays that are computed from what is only read, and needed by what is not."""
    free: set[Node] = {*body.parameters[count:]}
    for node in body.nodes:
        is_free = node.op.kind in _PURE and all(operand in free for operand in node.operands)
        mentioned = symbol_names((node.type, *[value for _, value in node.attributes]))
        if is_free and not may_refuse(node) and not mentioned & unknowns:
            free.add(node)
    found: dict[Node, None] = {}
    users = [(node, node.operands) for node in body.nodes if node not in free]
    for operand in [o for _, operands in users for o in operands] + [*body.results]:
        for source in _computed(operand) if operand in free else ():
            found[source] = None
    return list(found)


def _computed(node: Node) -> list[Node]:
    """Below movement, the arrays that arithmetic makes, and those that were chosen to lie in another order."""
    if node.op is ops.relayout and "inverse" not in node.attrs:
        return [node]
    if node.op.kind in (MOVEMENT, CREATION) or node.op.name == "parameter":
        return [found for operand in node.operands for found in _computed(operand)]
    return [node] if node.type.ndim and node.type.size != 1 else []
