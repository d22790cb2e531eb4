"""Bodies of control flow read the memory of their operands as it lies.

A body that only reads an operand gets a parameter of that operand's layout. What a loop carries, or
a branch exchanges elements of, is contiguous memory of the program's own.
"""

from __future__ import annotations

from ...ir import ops
from ...ir.graph import Function, Kernel, Module, Node, parameter, rebuild_nodes, substitute
from ...ir.types import ArrayType, array_type

CONTROL_FLOW = (ops.for_loop, ops.while_loop, ops.branch, ops.scope)


def adopt_layouts(module: Module) -> Module:
    """Give the parameters of bodies the layouts of what they stand for, outer bodies first."""
    entry = module.entry
    return module if isinstance(entry, Kernel) else Module(_adopted(entry))


def bodies_of(node: Node) -> dict[str, tuple[Function, ...]]:
    """The bodies of a node of control flow, by attribute."""
    found = {}
    for key, value in node.attributes:
        functions = value if type(value) is tuple else (value,)
        if functions and all(isinstance(f, Function | Kernel) for f in functions):
            found[key] = functions
    return found


def first_operand(node: Node) -> int:
    """The position of the first operand that a body of the node is given."""
    return {"branch": 1, "scope": len(node.attrs.get("extents", ()))}.get(node.op.name, 0)


def with_bodies(node: Node, change) -> Node:
    """The same node, each of its bodies changed."""
    attributes = dict(node.attributes)
    for key, functions in bodies_of(node).items():
        changed = tuple([change(function) for function in functions])
        attributes[key] = changed if type(attributes[key]) is tuple else changed[0]
    return Node(node.op, node.operands, tuple(attributes.items()))


def _adopted(function: Function) -> Function:
    if not any(node.op in CONTROL_FLOW for node in function.nodes):
        return function

    def visit(node: Node) -> Node:
        if node.op not in CONTROL_FLOW:
            return node
        operands = node.operands[first_operand(node) :]
        kept = node.attrs.get("carried", 0)
        types = [_laid_out(o, k < kept) for k, o in enumerate(operands)]
        return with_bodies(node, lambda body: _adopted(with_types(body, types)))

    return function.replace(results=rebuild_nodes(function.results, visit))


def _laid_out(operand: Node, is_carried: bool) -> ArrayType:
    type = operand.type
    if operand.op.name == "parameter" and not is_carried:
        return type
    return array_type(type.shape, type.dtype)


def with_types(function: Function, types: list[ArrayType]) -> Function:
    """The same function with parameters of these types, which differ in layout alone."""
    new = {
        p: parameter(p.attrs["name"], type)
        for p, type in zip(function.parameters, types)
        if p.type is not type
    }
    parameters = tuple([new.get(p, p) for p in function.parameters])
    return Function(function.name, parameters, substitute(function.results, new))
