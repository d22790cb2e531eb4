"""Short loops of sweeps over arrays are written out, so that all of their iterations are one sweep.

    total = np.zeros_like(x)
    for i in range(5):
        for j in range(5):
            total = total + w[i, j] * p[i : i + n, j : j + m]

Each iteration reads and writes the sum; written out, it is 25 terms of one kernel. That is done where an
iteration's elements need nothing of the one before it but the very same elements: what reads its neighbours
(a stencil's steps over time) would be computed again at all of their places, and is a loop that
`tile_time` cuts. Loops that fill a factor of a product with copies are written out as well, as these may be windows (windows.py). Lists that grow by an array in each iteration become what joins these. Small arrays stay in the nearest cache from one iteration to the next, and scalars in registers,
so their loops stay loops; so do those whose arithmetic takes longer than their sweeps, and long ones, for the time that
their code would take to compile.
"""

from __future__ import annotations

from typing import Any

from ...ir import ops
from ...ir.dims import Dim, bound
from ...ir.graph import Function, Module, Node, each_program, item, rebuild_nodes
from ...ir.op import CREATION, ELEMENTWISE, MOVEMENT, OPS
from ...ir.term import from_same_place
from ...ir.types import TupleType
from ..machine import USUAL, Machine
from .fold import evaluated
from .values import constant_like
from .weigh import WRITE, arithmetic, passing, size_of

# Iterations, operations that they become, and elements of what they carry.
MOST_ITERATIONS, MOST_NODES, LEAST_ELEMENTS = 64, 640, 4096

MOVED = (ops.reshape, ops.transpose, OPS["slice"])
# What passing over these takes of the arithmetic, where it is worth saving.
LEAST_PART = 0.5


@each_program
def unroll_sweeps(module: Module, machine: Machine = USUAL) -> Module:
    """The same module without such loops; inner ones are written out first."""
    entry = module.entry
    if not any(node.op is ops.for_loop for node in entry.nodes):
        return module
    factors = _factors(entry)
    # What stands for a loop of several results is one node for each; their items find them here.
    results: dict[Node, tuple[Node, ...]] = {}

    def visit(node: Node) -> Node:
        if node.op is item and node.operands[0] in results:
            return results[node.operands[0]][node.attrs["index"]]
        if node.op is not ops.for_loop:
            return node
        filled = _filled(node, MOST_ITERATIONS) if node in factors else None
        if filled is not None or not _is_short(node, machine):
            return filled or node
        made = _written_out(node, node.attrs["body"])
        if isinstance(node.type, TupleType):
            results[node] = made
            return node
        return made[0]

    return Module(entry.replace(results=rebuild_nodes(entry.results, visit)))


def _factors(function: Function) -> set[Node]:
    """What is multiplied in products, in whatever order of its axes."""
    found = set()
    for factor in [o for node in function.nodes if node.op is ops.contract for o in node.operands]:
        while factor.op in MOVED:
            (factor,) = factor.operands
        found.add(factor)
    return found


def _filled(loop: Node, most: int) -> Node | None:
    """What a loop fills with copies alone, written out with the loops in it; None where it does more, or
    more often."""
    attrs, body = loop.attrs, loop.attrs["body"]
    start, stop = attrs["start"], attrs["stop"]
    if attrs["carried"] != 1 or attrs.get("breaks") or not type(start) is type(stop) is int:
        return None
    copies = (*MOVED, ops.update, ops.for_loop)
    if not 0 < stop - start <= most or any(
        node.op not in copies and node.op.name != "parameter" for node in body.nodes
    ):
        return None

    def inner(node: Node) -> Node:
        found = _filled(node, most // (stop - start)) if node.op is ops.for_loop else None
        return found or node

    body = body.replace(results=rebuild_nodes(body.results, inner))
    return None if any(n.op is ops.for_loop for n in body.nodes) else _written_out(loop, body)[0]


def _is_short(loop: Node, machine: Machine) -> bool:
    """Whether a loop is written out."""
    attrs = loop.attrs
    start, stop, body = attrs["start"], attrs["stop"], attrs["body"]
    if not (type(start) is int and type(stop) is int) or attrs.get("breaks"):
        return False
    count = stop - start
    carried = body.parameters[: attrs["carried"]]
    arrays = [p for p in carried if p.type.shape]
    return (
        0 < count <= MOST_ITERATIONS
        and count * sum(map(_is_sweep, body.nodes)) <= MOST_NODES
        and bool(arrays)
        and all(_is_large(p.type.shape) for p in arrays)
        and _is_by_element(body, carried)
        and _is_passing(body, arrays, machine)
    )


def _is_passing(body: Function, arrays: list[Node], machine: Machine) -> bool:
    """Whether an iteration takes as long for reading and writing what is carried as for its arithmetic, or half as long."""
    work = sum([size_of(node.type.shape) * arithmetic(node, machine) for node in body.nodes])
    return (1 + WRITE) * sum([passing(array, machine) for array in arrays]) >= LEAST_PART * work


def _is_sweep(node: Node) -> bool:
    """Whether a node is arithmetic of arrays: numbers that the index gives are folded away."""
    return node.op.kind == ELEMENTWISE and node.type.shape != ()


def _is_large(shape: tuple) -> bool:
    size = 1
    for extent in shape:
        size *= extent if type(extent) is int else 1
    return size >= LEAST_ELEMENTS


def _is_by_element(body: Function, carried: tuple[Node, ...]) -> bool:
    """Whether all is computed of elements, and of what is carried of those at its own index, or of numbers; and
    what is only written to, of none."""
    lists = {p for p, result in zip(carried, body.results) if _grows(p, result, body)}
    needing = {p for p in carried if p.type.shape and p not in lists}
    for node in body.nodes:
        if node.op.name == "parameter" or node.op is ops.scatter and node.operands[0] in lists:
            continue
        if node.op.kind not in (ELEMENTWISE, MOVEMENT, CREATION):
            return False
        if not needing.isdisjoint(node.operands):
            if node.op.kind != ELEMENTWISE:
                return False
            needing.add(node)
    return True


def _grows(parameter: Node, result: Node, body: Function) -> bool:
    """Whether what is carried is given one array in each iteration, and is else not looked at."""
    return (
        result.op is ops.scatter
        and result.operands[0] is parameter
        and result.attrs["axes"] == (0,)
        and result.attrs["combine"] is None
        and result.operands[2].type.shape == ()
        and all(parameter not in n.operands or n is result for n in body.nodes)
        and all(result not in n.operands for n in body.nodes)
    )


def _written_out(loop: Node, body: Function) -> tuple[Node, ...]:
    """What a loop of this body carries after the last iteration."""
    attrs = loop.attrs
    count = attrs["carried"]
    (symbol,) = attrs["index"].terms[0][1]
    carried, read = loop.operands[:count], loop.operands[count:]
    for number in range(attrs["start"], attrs["stop"]):
        start = dict(zip(body.parameters, (*carried, *read)))
        carried = _iteration(body, start, symbol.name, number)
    return tuple(carried)


def _iteration(body: Function, new: dict[Node, Node], name: str, number: int) -> tuple[Node, ...]:
    """The results of a body, given its parameters, in the iteration `number`."""
    values = {name: number}
    for node in body.nodes:
        if node in new:
            continue
        operands = tuple([new[operand] for operand in node.operands])
        attributes = tuple([(key, _with_number(value, values)) for key, value in node.attributes])
        if node.op is ops.extent and type(dict(attributes)["value"]) is int:
            made = constant_like(node, dict(attributes)["value"])
        else:
            made = Node(node.op, operands, attributes)
            made = operands and evaluated(made) or made
        new[node] = from_same_place(made, node)
    return tuple([new[result] for result in body.results])


def _with_number(value: Any, values: dict[str, int]) -> Any:
    if isinstance(value, Dim):
        return bound(value, values)
    if type(value) is tuple:
        return tuple([_with_number(item, values) for item in value])
    return value
