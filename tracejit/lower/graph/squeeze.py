"""Drop axes of extent 1, so that `keepdims=True` and `None` in an index do not hide what is fusable.

Every value is replaced by one without unit axes: elementwise ops then meet operands that already
agree, broadcasts lose axes on both sides, reductions over unit axes disappear. Where an op cannot
say it without them, the axes are put back around it. Reshapes at the parameters and the results
keep the Function's type; they cost nothing on memory.
"""

from __future__ import annotations

from ...ir import ops
from ...ir.graph import Function, Module, Node, each_program
from ...ir.op import ELEMENTWISE, REDUCTION
from ...ir.term import from_same_place


@each_program
def squeeze(module: Module) -> Module:
    """Rewrite the entry without unit axes."""
    function = module.entry
    if all(1 not in _shape(node) for node in function.nodes):
        return module
    new: dict[Node, Node] = {}
    for node in function.nodes:
        new[node] = from_same_place(_squeezed(node, new), node)
    results = tuple(
        [
            result if new[result] is result else _reshape(new[result], result.type.shape)
            for result in function.results
        ]
    )
    return Module(Function(function.name, function.parameters, results))


def _shape(node: Node) -> tuple:
    return getattr(node.type, "shape", ())


def _long(shape: tuple) -> list[int]:
    """The axes that are no unit axes."""
    return [axis for axis, extent in enumerate(shape) if not (extent == 1 and type(extent) is int)]


def _without(shape: tuple) -> tuple:
    return tuple([shape[axis] for axis in _long(shape)])


def _reshape(node: Node, shape: tuple) -> Node:
    if node.type.shape == shape:
        return node
    if node.op is ops.reshape:
        return _reshape(node.operands[0], shape)
    return ops.reshape(node, shape=shape)


def _squeezed(node: Node, new: dict[Node, Node]) -> Node:
    operands = [new[operand] for operand in node.operands]
    shape = _shape(node)
    attrs = node.attrs
    if node.op.kind == ELEMENTWISE:
        return Node(node.op, tuple(operands), node.attributes)
    if node.op is ops.reshape:
        return _reshape(operands[0], _without(shape))
    if node.op is ops.broadcast:
        return _broadcast(node, operands[0], attrs["axes"], shape)
    if node.op is ops.transpose:
        source = _shape(node.operands[0])
        position = {axis: k for k, axis in enumerate(_long(source))}
        axes = tuple([position[axis] for axis in attrs["axes"] if axis in position])
        return (
            operands[0]
            if axes == tuple(range(len(axes)))
            else ops.transpose(operands[0], axes=axes)
        )
    if node.op.kind == REDUCTION:
        position = {axis: k for k, axis in enumerate(_long(_shape(node.operands[0])))}
        axes = tuple([position[axis] for axis in attrs["axes"] if axis in position])
        return node.op(operands[0], axes=axes) if axes else operands[0]
    if node.op is ops.update and _is_whole_beside(node.operands[1].type.shape, _shape(node)):
        old, value = node.operands
        long = _long(old.type.shape)
        part = _reshape(operands[1], tuple([value.type.shape[axis] for axis in long]))
        bounds = {key: tuple([each[axis] for axis in long]) for key, each in attrs.items()}
        return ops.update(operands[0], part, **bounds)
    # The op as it was, on operands that have their unit axes back.
    full = tuple([_restored(o, old) for o, old in zip(operands, node.operands)])
    same = full == node.operands
    rebuilt = node if same else Node(node.op, full, node.attributes)
    return _reshape(rebuilt, _without(shape)) if 1 in shape else rebuilt


def _is_whole_beside(part: tuple, shape: tuple) -> bool:
    """Whether a part of an array has the unit axes of it, none of which data may leave out."""
    long = _long(shape)
    return all(extent == 1 for axis, extent in enumerate(part) if axis not in long)


def _restored(node: Node, old: Node) -> Node:
    return node if _shape(node) == _shape(old) else _reshape(node, _shape(old))


def _broadcast(node: Node, operand: Node, axes: tuple, shape: tuple) -> Node:
    source = _shape(node.operands[0])
    position = {axis: k for k, axis in enumerate(_long(shape))}
    kept = tuple([position[axis] for k, axis in enumerate(axes) if k in set(_long(source))])
    target = _without(shape)
    return (
        operand if operand.type.shape == target else ops.broadcast(operand, shape=target, axes=kept)
    )
