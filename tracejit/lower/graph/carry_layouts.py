"""Carry the layouts that operators prefer through what stands between them.

Where an operator wants its operands in blocks, and gives blocks, its expansion is a `relayout` before
it and an inverse one after it. Two that meet cancel. What is computed element by element is computed
in the order of memory: the inverse `relayout` of an operand moves behind it, and its other operands
are brought into that order. So blocks stay blocks from one such operator to the next, and putting
elements in order is left to the first kernel, which reads them anyway, and the last.
"""

from __future__ import annotations

from ...ir import ops
from ...ir.graph import Function, Module, Node, map_programs, rebuild_nodes
from ...ir.op import ELEMENTWISE


def carry_layouts(module: Module) -> Module:
    """Rewrite every program in which there is a `relayout`."""
    return map_programs(module, _carried)


def _carried(function: Function) -> Function:
    if not any(node.op is ops.relayout for node in function.nodes):
        return function
    return function.replace(results=rebuild_nodes(function.results, _visit))


def _visit(node: Node) -> Node:
    if node.op is ops.relayout:
        return _cancelled(node)
    if node.op.kind != ELEMENTWISE:
        return node
    layouts = {_layout_behind(operand): None for operand in node.operands}
    layouts.pop("", None)
    if len(layouts) != 1:  # none, or operands that lie differently, of which none is better
        return node
    (layout,) = layouts
    operands = tuple([_in_memory(operand, layout) for operand in node.operands])
    return ops.relayout(Node(node.op, operands, node.attributes), inverse=True, layout=layout)


def _layout_behind(node: Node) -> str:
    """The layout of the memory that a value is made of; "" for a value of its own."""
    is_inverse = node.op is ops.relayout and "inverse" in node.attrs
    return node.attrs["layout"] if is_inverse else ""


def _cancelled(node: Node) -> Node:
    (operand,) = node.operands
    is_pair = operand.op is ops.relayout and operand.attrs["layout"] == node.attrs["layout"]
    opposite = is_pair and ("inverse" in operand.attrs) != ("inverse" in node.attrs)
    return operand.operands[0] if opposite else node


def _in_memory(node: Node, layout: str) -> Node:
    """A value in the order of memory; what is the same everywhere only gets another shape."""
    if node.op is ops.broadcast and node.operands[0].type.shape == ():
        shape = ops.relayout(node, layout=layout).type.shape
        return ops.broadcast(node.operands[0], axes=(), shape=shape)
    return _cancelled(ops.relayout(node, layout=layout))
