"""Merge neighbouring axes that always travel together, so that loops are few and long.

Applies to fused Functions made of elementwise ops, broadcasts, gathers and reductions. Every axis of
every value is labelled with the axis of the loops' domain it runs along; two neighbouring domain axes
merge when each value has both, side by side, or neither, and each reduction takes both or none. An
axis that a gather reads at computed positions has a label of its own, outside the domain.
Parameters and results are then of the merged shapes; around the call stand reshapes, which cost
nothing on memory.
"""

from __future__ import annotations

from math import prod

from ...ir import ops
from ...ir.graph import Function, Module, Node, call, call_results, item, parameter
from ...ir.op import ELEMENTWISE, OPAQUE, REDUCTION
from ...ir.types import array_type

Labels = tuple[int, ...]


def collapse(module: Module) -> Module:
    """Rewrite the calls of the entry to functions of fewer axes.

    Bodies of control flow keep their axes: their loops are put where the bodies run, beside others.
    """
    entry = module.entry
    done: dict[Function, Function] = {}
    new: dict[Node, Node] = {}
    pieces: dict[Node, tuple[Node, ...]] = {}
    for node in entry.nodes:
        if node.op is call and isinstance(node.attrs["callee"], Function):
            callee = node.attrs["callee"]
            if callee not in done:
                done[callee] = collapsed(callee)
            smaller = done[callee]
            operands = [new[o] for o in node.operands]
            if smaller is not callee:
                operands = [_shaped(o, p) for o, p in zip(operands, smaller.parameters)]
            results = call_results(smaller, *operands)
            shaped = tuple([_shaped(r, wanted) for r, wanted in zip(results, callee.results)])
            pieces[node] = shaped
            if len(shaped) == 1:
                new[node] = shaped[0]
        elif node.op is item and node.operands[0] in pieces:
            new[node] = pieces[node.operands[0]][node.attrs["index"]]
        else:
            operands = tuple([new[o] for o in node.operands])
            same = operands == node.operands
            new[node] = node if same else Node(node.op, operands, node.attributes)
    return Module(entry.replace(results=tuple([new[r] for r in entry.results])))


def _shaped(node: Node, like: Node) -> Node:
    shape = like.type.shape
    return node if node.type.shape == shape else ops.reshape(node, shape=shape)


def collapsed(function: Function) -> Function:
    """The same computation with fewer axes, or the function itself."""
    domain = _domain(function)
    if domain is None or len(domain) < 2:
        return function
    labels = _label(function, domain)
    if labels is None:
        return function
    groups = _groups(function, labels, domain)
    if len(groups) == len(domain):
        return function
    return _rebuild(function, labels, groups)


def _domain(function: Function) -> tuple | None:
    """The shape of the loops: that of the widest value; None where there are none of ours."""
    widest: tuple | None = None
    sources = _sources(function)
    for node in function.nodes:
        if node.op.kind == OPAQUE:
            return None
        if any(not isinstance(n, int) for n in node.type.shape) or 0 in node.type.shape:
            return None
        if node in sources:
            continue
        if widest is None or prod(node.type.shape) > prod(widest):
            widest = node.type.shape
        elif prod(node.type.shape) == prod(widest) and len(node.type.shape) > len(widest):
            widest = node.type.shape
    return widest


def _sources(function: Function) -> set[Node]:
    """What gathers read from: the loops do not run over it."""
    found: set[Node] = set()
    for node in reversed(function.nodes):
        if node.op is ops.gather:
            found.add(node.operands[0])
        elif node in found:
            found.update(node.operands)
    return found


def _label(function: Function, domain: tuple) -> dict[Node, Labels] | None:
    """The domain axis of each axis of each value; None when they do not line up."""
    nodes = function.nodes
    for node in nodes:
        if node.op.kind not in (ELEMENTWISE, REDUCTION) and node.op.name not in _ALLOWED:
            return None
        if node.op.name == "parameter" and node.type.layout is not None:
            return None
    full, sources = tuple(range(len(domain))), _sources(function)
    labels = {
        n: full if n.type.shape == domain else ()
        for n in nodes
        if n.type.shape in (domain, ()) and n not in sources
    }
    before = -1
    while len(labels) != before:
        before = len(labels)
        for node in (*reversed(nodes), *nodes):
            for target, value in _implied(node, labels):
                if labels.setdefault(target, value) != value:
                    return None
    distinct = all(len(set(own)) == len(own) for own in labels.values())
    return labels if distinct and len(labels) == len(nodes) else None


def _implied(node: Node, labels: dict[Node, Labels]) -> list[tuple[Node, Labels]]:
    """What the labels of a node say about its operands, and theirs about it."""
    found: list[tuple[Node, Labels]] = []
    own = labels.get(node)
    if node.op.kind == ELEMENTWISE:
        for operand in node.operands:
            if own is not None:
                found.append((operand, own))
            elif operand in labels:
                found.append((node, labels[operand]))
    elif node.op.name == "broadcast":
        if own is not None:
            found.append((node.operands[0], tuple([own[axis] for axis in node.attrs["axes"]])))
    elif node.op is ops.gather:
        if own is not None:
            found += zip(node.operands, _gather_labels(node, own))
    elif node.op.kind == REDUCTION:
        (operand,) = node.operands
        if operand in labels:
            kept = [a for k, a in enumerate(labels[operand]) if k not in node.attrs["axes"]]
            found.append((node, tuple(kept)))
    return found


def _gather_labels(node: Node, own: Labels) -> list[Labels]:
    """The labels of what a gather reads, and of its indices."""
    x, *indices = node.operands
    axes, ndim = node.attrs["axes"], indices[0].type.ndim
    rest = iter((*own[: axes[0]], *own[axes[0] + ndim :]))
    source = tuple([-1 - k if k in axes else next(rest) for k in range(x.type.ndim)])
    return [source, *[own[axes[0] : axes[0] + ndim]] * len(indices)]


def _groups(function: Function, labels: dict[Node, Labels], domain: tuple) -> list[list[int]]:
    """Runs of domain axes to merge, in order."""
    groups = [[0]] if domain else []
    for axis in range(1, len(domain)):
        pair = (axis - 1, axis)
        together = True
        for node in function.nodes:
            own = labels[node]
            if (pair[0] in own) != (pair[1] in own):
                together = False
            elif pair[0] in own and own.index(pair[1]) != own.index(pair[0]) + 1:
                together = False
            if node.op.kind == REDUCTION:
                source = labels[node.operands[0]]
                reduced = {source[k] for k in node.attrs["axes"]}
                together = together and (pair[0] in reduced) == (pair[1] in reduced)
            if node.op is ops.gather:
                # Its errors name axes by their numbers, which must stay.
                before = labels[node.operands[0]][: node.attrs["axes"][-1]]
                together = together and not {*pair} <= {*before}
        if together:
            groups[-1].append(axis)
        else:
            groups.append([axis])
    return groups


def _rebuild(function: Function, labels: dict[Node, Labels], groups: list[list[int]]) -> Function:
    home = {axis: number for number, axes in enumerate(groups) for axis in axes}
    home |= {label: label for own in labels.values() for label in own if label < 0}

    def merged(own: Labels, shape: tuple) -> tuple:
        extents: dict[int, int] = {}
        for axis, extent in zip(own, shape):
            extents[home[axis]] = extents.get(home[axis], 1) * extent
        return tuple(extents.values())

    def positions(own: Labels) -> list[int]:
        return list(dict.fromkeys(home[axis] for axis in own))

    new: dict[Node, Node] = {}
    for node in function.nodes:
        own, shape = labels[node], merged(labels[node], node.type.shape)
        operands = [new[o] for o in node.operands]
        if node.op.name == "parameter":
            new[node] = parameter(node.attrs["name"], array_type(shape, node.type.dtype))
        elif node.op.name == "broadcast":
            source = positions(labels[node.operands[0]])
            axes = tuple([positions(own).index(group) for group in source])
            new[node] = ops.broadcast(*operands, shape=shape, axes=axes)
        elif node.op is ops.gather:
            source = labels[node.operands[0]]
            axes = tuple([positions(source).index(home[source[k]]) for k in node.attrs["axes"]])
            new[node] = ops.gather(*operands, axes=axes)
        elif node.op.kind == REDUCTION:
            source = labels[node.operands[0]]
            reduced = {home[source[k]] for k in node.attrs["axes"]}
            axes = tuple([k for k, g in enumerate(positions(source)) if g in reduced])
            new[node] = node.op(*operands, axes=axes)
        else:
            new[node] = Node(node.op, tuple(operands), node.attributes)
    parameters = tuple([new[p] for p in function.parameters])
    return Function(function.name, parameters, tuple([new[r] for r in function.results]))


_ALLOWED = ("parameter", "constant", "broadcast", "gather")
