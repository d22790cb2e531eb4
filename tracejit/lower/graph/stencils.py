"""Chains of stencils over large arrays become groups, which are made a strip of lines at a time.

What a stencil reads at several places is stored. Where it is large it goes to memory and back, for a
few operations on each element. As a group (lower/tensor/composite.py) the stencils of a chain follow
one another within a strip of lines of the last one's result; the lines near the border of a strip are
computed for both of its neighbours, and values between stay in the cache.
"""

from __future__ import annotations

from math import prod

from ...ir.graph import Function, Module, Node, each_program, substitute
from ...ir.group import group_call, with_calls
from ...ir.op import CREATION, ELEMENTWISE
from ...ir.ops import broadcast, pad, slice_
from ...ir.term import postorder
from .fuse import grouping
from .groups import Group, in_one_piece

# Values between that are worth it; what they may take in a strip of the fewest lines there should be.
LEAST_BYTES, NEAR_BYTES, FEWEST_LINES = 1 << 20, 512 << 10, 16
MOST_BETWEEN, MOST_NODES = 8, 96
MOVED = (slice_, pad, broadcast)


@each_program
def chain_stencils(module: Module) -> Module:
    """Make groups of the entry's chains of stencils."""
    function = module.entry
    if not any(_is_shifted(node) for node in function.nodes):
        return module
    new: dict[Node, Node] = {}
    for chain in _chains(function):
        stages: dict[Node, Node] = {}
        for output, inside in chain:
            (stages[output],) = substitute((group_call(output, inside, "stencil"),), stages)
        new[output] = group_call(stages[output], set(stages.values()), "stencils")
    return Module(with_calls(function, new)) if new else module


def _is_shifted(node: Node) -> bool:
    """Whether a node is a large computed value, seen from another place."""
    if node.op not in (slice_, pad):
        return False
    (source, *_) = node.operands
    return source.op.kind == ELEMENTWISE and _is_large(source)


def _is_large(node: Node) -> bool:
    shape = node.type.shape
    known = bool(shape) and all(type(n) is int for n in shape)
    return known and prod(shape) * node.type.dtype.itemsize >= LEAST_BYTES


def _chains(function: Function) -> list[list[tuple[Node, set[Node]]]]:
    """The stencils of each chain in order: what is stored of one, and the nodes for it."""
    decided = grouping(function)
    results = set(map(in_one_piece, function.results))
    readers: dict[Node, list[Group]] = {}
    for group, _, _ in decided.calls:
        for source, _, _ in group.reads:
            readers.setdefault(source, []).append(group)
    fit = {group: outputs for group, outputs, _ in decided.calls if _fits(group, outputs)}
    taken: set[Group] = set()
    found: list[list[tuple[Node, set[Node]]]] = []
    order = [group for group, _, _ in decided.calls]
    for group in reversed(order):
        if group in taken or len(fit.get(group, ())) != 1:
            continue
        members = [group]
        for member in members:
            for source, _, _ in member.reads:
                home = decided.group_of.get(source)
                inner = fit.get(home, ())
                is_inner = source in inner and results.isdisjoint(inner)
                if not is_inner or home in taken or home in members:
                    continue
                read = {reader for output in inner for reader in readers.get(output, ())}
                if read <= {*members} and _has_room(fit, members, home):
                    members.append(home)
        if len(members) > 1:
            taken.update(members)
            found.append([stage for m in order if m in members for stage in _stages(m, fit[m])])
    return found[::-1]


def _stages(group: Group, outputs: list[Node]) -> list[tuple[Node, set[Node]]]:
    """What a group stores, and the nodes for each: what several need is computed for each of them."""
    own = {*group.nodes, *group.clones}
    if len(outputs) == 1:
        return [(outputs[0], own)]
    others = {*outputs}
    return [
        (
            output,
            own.intersection(
                postorder(
                    (output,),
                    lambda n, output=output: () if n in others and n is not output else n.operands,
                )
            )
            - (others - {output}),
        )
        for output in outputs
    ]


def _fits(group: Group, outputs: list[Node]) -> bool:
    """Whether a group is one nest of loops over its large results, that reads at steady distances."""
    if group.opaque or group.product or group.axes is not None or group.old:
        return False
    whole = all(o.type.shape == group.shape and _is_large(o) for o in outputs)
    if not whole or group.shape[0] < FEWEST_LINES:
        return False
    own = {*group.nodes, *group.clones}
    if any(node.op.kind != ELEMENTWISE for node in own):
        return False
    stored = {source for source, _, _ in group.reads}
    pending, seen = [o for node in own for o in node.operands], set()
    while pending:
        node = pending.pop()
        if node in seen or node in own or node in stored:
            continue
        seen.add(node)
        if node.op.kind != CREATION and node.op not in MOVED and node.type.shape != ():
            return False
        pending.extend(node.operands)
    return True


def _has_room(fit: dict[Group, list[Node]], members: list[Group], more: Group) -> bool:
    """Whether the values between, with one group's more, fit the cache for a few lines."""
    between = [output for group in (*members[1:], more) for output in fit[group]]
    lines = sum(prod(o.type.shape[1:]) * o.type.dtype.itemsize for o in between)
    nodes = sum(len(g.nodes) for g in (*members, more))
    fits = len(between) <= MOST_BETWEEN and nodes <= MOST_NODES
    return fits and lines * FEWEST_LINES <= NEAR_BYTES
