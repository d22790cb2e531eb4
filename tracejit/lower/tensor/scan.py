"""Cumulative ops as loops: a running value along one axis, stored at every step."""

from __future__ import annotations

from ...ir import tensor
from ...ir.graph import Function, Kernel, Node
from ...ir.tensor import Apply, Assign, Buffer, For, Let, Load, Store, Variable
from ..elements import axis_indices


def lower_scan(function: Function, node: Node) -> Kernel:
    """`out[.., k, ..] = x[.., 0, ..] combined with ... x[.., k, ..]`, in order."""
    (source,) = node.operands
    inputs = {p: Buffer(p.attrs["name"], p.type, "argument") for p in function.parameters}
    out = Buffer("out0", node.type, "argument")
    axis, dtype = node.attrs["axis"], node.type.dtype
    index = axis_indices(node.type.ndim)
    extent = node.type.shape[axis]
    if extent == 0:
        return Kernel(function.name, (*inputs.values(), out), 1, ())
    combine = node.op.lowering.combine
    total = Variable("total", dtype)
    first = (*index[:axis], tensor.ZERO, *index[axis + 1 :])
    step = Apply(combine, (total, Load(inputs[source], index)), dtype)
    loop = For(
        index[axis],
        tensor.ONE,
        tensor.extent(extent),
        (Assign(total, step), Store(out, index, total)),
        "serial",
        1,
    )
    # Starting from the first element and not from a neutral one keeps -0.0, and infinities whole.
    body: tuple = (Let(total, Load(inputs[source], first)), Store(out, first, total), loop)
    for position in reversed(range(node.type.ndim)):
        if position != axis:
            stop = tensor.extent(node.type.shape[position])
            body = (For(index[position], tensor.ZERO, stop, body, "serial", 1),)
    return Kernel(function.name, (*inputs.values(), out), 1, body)
