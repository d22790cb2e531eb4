"""Ops that foreign functions carry out, as kernels of their own."""

from __future__ import annotations

from ...ir.graph import Function, Kernel, Node
from ...ir.tensor import Buffer
from ...ir.types import TupleType, array_type


def lower_extern(function: Function, node: Node) -> Kernel:
    """The Kernel of a Function that is one such op, and gives all its results."""
    inputs = {p: Buffer(p.attrs["name"], p.type, "argument") for p in function.parameters}
    types = node.type.items if isinstance(node.type, TupleType) else (node.type,)
    outputs = [
        Buffer(f"out{position}", array_type(type.shape, type.dtype), "argument")
        for position, type in enumerate(types)
    ]
    operands = [inputs[operand] for operand in node.operands]
    body = node.op.lowering.rule(*operands, *outputs, **node.attrs)
    return Kernel(function.name, (*inputs.values(), *outputs), len(outputs), body)
