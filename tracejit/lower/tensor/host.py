"""Calls of Python functions as kernels: one foreign call, on whole buffers."""

from __future__ import annotations

from ...ir import tensor
from ...ir.graph import Function, Kernel, Node
from ...ir.tensor import Address, Buffer, Extern
from ...ir.types import array_type


def lower_host(function: Function, node: Node) -> Kernel:
    """The Kernel of a Function that is a call of a Python function."""
    inputs = {p: Buffer(p.attrs["name"], p.type, "argument") for p in function.parameters}
    outputs = [
        Buffer(f"out{position}", array_type(type.shape, type.dtype), "argument")
        for position, type in enumerate(node.attrs["results"])
    ]
    operands = [inputs[operand] for operand in node.operands]
    arguments = [Address(b, (tensor.ZERO,) * b.type.ndim) for b in (*operands, *outputs)]
    body = (Extern(node.attrs["function"], tuple(arguments)),)
    return Kernel(function.name, (*inputs.values(), *outputs), len(outputs), body)
