"""Loops, branches and scopes as Kernels that call the Kernels of their bodies.

What a loop carries is updated in place, from one iteration to the next; so is an operand of a branch
or a scope of which a result is an update, whichever way is taken. The bodies' own Kernels are
planned as entries are (memory.py), and put into the loops later (inline.py).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from ...ir import expressions, ops, tensor
from ...ir.dims import Symbol
from ...ir.graph import Function, Node, parameter, substitute
from ...ir.ops.control import unknown_of
from ...ir.tensor import (
    ARGUMENT,
    Allocate,
    Apply,
    Break,
    Buffer,
    Call,
    For,
    If,
    Index,
    Kernel,
    Let,
    Load,
    Statement,
)
from ...ir.types import bool_
from .loops import contiguous
from .rename import TRIP
from .rotate import rotating, source_of, turns_of

Plan = Callable[[Function], Kernel]


class Lowered(NamedTuple):
    """The Kernel of a node of control flow, and for each result of the node its number among the
    Kernel's outputs."""

    kernel: Kernel
    outputs: tuple[int, ...]


def lower_control(node: Node, plan: Plan) -> Lowered:
    """The Kernel that does what `node` says; `plan` makes Kernels of its bodies."""
    match node.op:
        case ops.for_loop:
            return _for(node, plan)
        case ops.while_loop:
            return _while(node, plan)
        case ops.branch:
            return _branch(node, plan)
    return _scope(node, plan)


def _for(node: Node, plan: Plan) -> Lowered:
    attrs, count = node.attrs, node.attrs["carried"]
    index = Index(unknown_of(attrs["index"]).name)
    bounds = expressions.extent(attrs["start"]), expressions.extent(attrs["stop"])
    turns = None if attrs.get("breaks") else turns_of(attrs["body"], count)
    if turns is not None:
        many = range(count + turns.spares)
        body = plan(updating(turns.body, many, [turns.order.index(k) for k in many]))
        buffers = _buffers(body.inputs)
        spares = [b.replace(space="local") for b in buffers[count : len(many)]]
        own = (*buffers[:count], *buffers[len(many) :])
        allocated = tuple([Allocate(spare) for spare in spares])
        given = (*buffers[:count], *spares, *buffers[len(many) :])
        rotated = rotating(body, given, turns, index, bounds)
        return Lowered(Kernel("loop", own, 0, (*allocated, *rotated)), tuple(range(count)))
    body = plan(updating(attrs["body"], range(count), range(count)))
    buffers = _buffers(body.inputs)
    inside: tuple[Statement, ...] = (Call(body, buffers),)
    outside: tuple[Statement, ...] = ()
    if attrs.get("breaks"):
        ends = _condition("ends")
        outside = (Allocate(ends),)
        inside = (Call(body, (*buffers, ends)), Break(Load(ends, ())))
    loop = For(index, *bounds, inside, "ordered", 1)
    return Lowered(Kernel("loop", buffers, 0, (*outside, loop)), tuple(range(count)))


def _while(node: Node, plan: Plan) -> Lowered:
    attrs, count = node.attrs, node.attrs["carried"]
    body = plan(updating(attrs["body"], range(count), range(count)))
    condition = plan(attrs["condition"])
    buffers, goes = _buffers(body.inputs), _condition("goes")
    test = Call(condition, (*buffers, goes))
    stop = Break(Apply("logical_not", (Load(goes, ()),), bool_))
    inside = (Call(body, buffers), test, stop)
    loop = For(Index(TRIP), tensor.ZERO, expressions.ENDLESS, inside, "ordered", 1)
    statements = (Allocate(goes), test, If(Load(goes, ()), (loop,), ()))
    return Lowered(Kernel("loop", buffers, 0, statements), tuple(range(count)))


def _branch(node: Node, plan: Plan) -> Lowered:
    branches = node.attrs["branches"]
    choice = Buffer("choice", contiguous(node.operands[0].type), ARGUMENT)
    bodies, order, inputs, fresh = _bodies(branches, plan)
    *others, last = [(Call(body, (*inputs, *fresh)),) for body in bodies]
    statements: tuple[Statement, ...] = last
    for number, call in reversed([*enumerate(others)]):
        sides = (Load(choice, ()), expressions.integer(number))
        if number == 0 and node.attrs.get("usual"):
            is_other = expressions.seldom(expressions.compare("greater", *sides))
            statements = (If(is_other, statements, call),)
        else:
            statements = (If(expressions.compare("less_equal", *sides), call, statements),)
    return Lowered(Kernel("branch", (choice, *inputs, *fresh), len(fresh), statements), order)


def _scope(node: Node, plan: Plan) -> Lowered:
    unknowns = [unknown_of(extent) for extent in node.attrs["extents"]]
    values = [
        Buffer(f"{unknown.name}_value", contiguous(operand.type), ARGUMENT)
        for unknown, operand in zip(unknowns, node.operands)
    ]
    (body,), order, inputs, fresh = _bodies((node.attrs["body"],), plan)
    lets = [Let(Index(u.name), _at_least(u, Load(value, ()))) for u, value in zip(unknowns, values)]
    statements = (*lets, Call(body, (*inputs, *fresh)))
    name = "once" if node.attrs.get("once") else "scope"
    return Lowered(Kernel(name, (*values, *inputs, *fresh), len(fresh), statements), order)


def _at_least(unknown: Symbol, value: tensor.Expression) -> tensor.Expression:
    """The value, which says itself how small it may be: passes know an unknown by its name alone."""
    least = unknown.least
    return expressions.maximum(value, expressions.integer(least)) if type(least) is int else value


def _bodies(
    functions: tuple[Function, ...], plan: Plan
) -> tuple[list[Kernel], tuple[int, ...], tuple[Buffer, ...], tuple[Buffer, ...]]:
    """The Kernels of bodies one of which runs, the outputs that their results are, and the buffers
    that they share: inputs, and memory of their results' own."""
    positions = _exchanged(functions)
    chosen = [updating(f, positions.keys(), positions.values()) for f in functions]
    bodies = [plan(function) for function in chosen]
    inputs = _buffers(bodies[0].inputs)
    taken = {buffer.name for buffer in inputs}
    fresh = []
    for buffer in bodies[0].fresh:
        name = buffer.name
        while name in taken:
            name += "_"
        taken.add(name)
        fresh.append(Buffer(name, contiguous(buffer.type), ARGUMENT))
    results = range(len(functions[0].results))
    placed = [*positions.values(), *[k for k in results if k not in positions.values()]]
    return bodies, tuple([placed.index(k) for k in results]), inputs, tuple(fresh)


def _exchanged(functions: tuple[Function, ...]) -> dict[int, int]:
    """The operands that are updated whichever function runs, in order: which result each becomes."""
    found: dict[int, int] = {}
    for number in range(len(functions[0].results)):
        sources = {source_of(function, number) for function in functions}
        position = sources.pop() if len(sources) == 1 else None
        if position is not None:
            found.setdefault(position, number)
    return dict(sorted(found.items()))


def updating(function: Function, parameters, results) -> Function:
    """The same function, in which some parameters are updated to some of its results."""
    new = {}
    for position in parameters:
        old = function.parameters[position]
        new[old] = parameter(old.attrs["name"], contiguous(old.type), updated=True)
    first = list(results)
    order = [*first, *[k for k in range(len(function.results)) if k not in first]]
    found = substitute(function.results, new)
    return Function(
        function.name,
        tuple([new.get(p, p) for p in function.parameters]),
        tuple([found[k] for k in order]),
    )


def _buffers(inputs: tuple[Buffer, ...]) -> tuple[Buffer, ...]:
    return tuple([Buffer(b.name, b.type, b.space) for b in inputs])


def _condition(name: str) -> Buffer:
    return Buffer(name, contiguous(ops.constant(value=True, dtype=bool_).type), "local")
