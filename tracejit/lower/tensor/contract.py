"""Contractions as loops: batch, rows and columns outside, the contracted axes inside."""

from __future__ import annotations

from ...ir import tensor
from ...ir.graph import Function, Kernel, Node
from ...ir.ops.contract import label_roles, split_spec
from ...ir.tensor import Accumulate, Apply, Buffer, For, Index, Let, Literal, Load, Store, Variable
from ...ir.types import bool_, f16, f32


def lower_contraction(function: Function, node: Node) -> Kernel:
    """`out[batch, rows, columns] = sum over contracted of a * b`."""
    a, b = node.operands
    inputs = {p: Buffer(p.attrs["name"], p.type, "argument") for p in function.parameters}
    out = Buffer("out0", node.type, "argument")
    spec = node.attrs["spec"]
    left, right, result = split_spec(spec)
    extents = {**dict(zip(left, a.type.shape)), **dict(zip(right, b.type.shape))}
    index = {label: Index(label) for label in extents}
    dtype = node.type.dtype
    wide = f32 if dtype is f16 else dtype
    combine, times = ("logical_or", "logical_and") if dtype is bool_ else ("add", "multiply")
    total = Variable("total", wide)
    factors = [
        tensor.cast(Load(inputs[x], tuple([index[label] for label in labels])), wide)
        for x, labels in ((a, left), (b, right))
    ]
    body: tuple = (Accumulate(total, combine, Apply(times, tuple(factors), wide)),)
    _, _, _, contracted = label_roles(spec)
    for label in reversed(contracted):
        body = (For(index[label], tensor.ZERO, tensor.extent(extents[label]), body, "serial", 1),)
    start = Literal(tensor.identity(combine, wide), wide)
    position = tuple([index[label] for label in result])
    body = (Let(total, start), *body, Store(out, position, tensor.cast(total, dtype)))
    for label in reversed(result):
        body = (For(index[label], tensor.ZERO, tensor.extent(extents[label]), body, "serial", 1),)
    return Kernel(function.name, (*inputs.values(), out), 1, body)
