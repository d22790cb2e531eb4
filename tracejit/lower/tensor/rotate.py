"""Loops that carry arrays from one memory to the other: `u, new = new, u` exchanges no elements.

Where each value that a body gives lies in the memory of another one that it was given, the body is
written once for every way in which the memory takes turns, and what is left to exchange is moved
after the last iteration. A value that is computed anew from all of the old one, `u = step(u)`, takes
turns with spare memory.
"""

from __future__ import annotations

from typing import NamedTuple

from ...ir import expressions, ops, tensor
from ...ir.graph import Function, Node, item, parameter
from ...ir.tensor import (
    UPDATED,
    Allocate,
    Apply,
    Buffer,
    Call,
    Expression,
    For,
    If,
    Index,
    Kernel,
    Literal,
    Statement,
)
from ...ir.types import array_type, bool_
from .in_place import merged_in_place
from .loops import lower_function

# The most ways to write a body for, and the fewest elements that are dear to move.
MOST_TURNS, FEWEST_ELEMENTS = 4, 32
ROUND = Index("round")

Order = tuple[int, ...]


class Turns(NamedTuple):
    """A body whose memory takes turns.

    `body` has `spares` more parameters behind the `count` that are carried, for new memory; value
    number k is left in the memory of parameter number `order[k]`.
    """

    body: Function
    count: int
    spares: int
    order: Order


def turns_of(body: Function, count: int) -> Turns | None:
    """How the memory of a loop takes turns; None if each value stays in its own, or cannot do so."""
    sources = [source_of(body, number) for number in range(count)]
    renewed = [k for k in range(count) if sources[k] is None and _needs_memory(body, k, sources)]
    spared = _with_spares(body, count, renewed)
    for spare, number in enumerate(renewed, count):
        sources[number] = spare
    order = tuple([*sources, *renewed])
    if sorted([k for k in order if k is not None]) != list(range(len(order))):
        return None
    moved = [spared.parameters[k] for k in range(len(order)) if order[k] != k]
    if not any(map(_is_large, moved)) or _count_turns(order) > MOST_TURNS:
        return None
    return Turns(spared, count, len(renewed), order)


def _needs_memory(body: Function, number: int, sources: list[int | None]) -> bool:
    """Whether a value is computed anew, from more of the old one than what it replaces."""
    old, value = body.parameters[number], body.results[number]
    while value.op is ops.reshape:
        (value,) = value.operands
    call, output = (value.operands[0], value.attrs["index"]) if value.op is item else (value, 0)
    if number in sources or call.op.name != "call" or not _is_large(old):
        return False
    users = [node for node in body.nodes if old in node.operands]
    kernel = call.attrs["callee"]
    if users == [call] and call.operands.count(old) == 1:
        merged = merged_in_place(kernel, call.operands.index(old), kernel.outputs[output])
        return merged is None
    return bool(users)


def _with_spares(body: Function, count: int, renewed: list[int]) -> Function:
    """The body with more memory carried, which is given the old values."""
    names = {p.attrs["name"] for p in body.parameters}
    spares = []
    for number in renewed:
        old = body.parameters[number]
        name = f"{old.attrs['name']}_next"
        while name in names:
            name += "_"
        names.add(name)
        spares.append(parameter(name, array_type(old.type.shape, old.type.dtype)))
    carried, read = body.parameters[:count], body.parameters[count:]
    results = (*body.results, *[body.parameters[k] for k in renewed])
    return Function(body.name, (*carried, *spares, *read), results)


def _is_large(node: Node) -> bool:
    size = node.type.size
    return not isinstance(size, int) or size > FEWEST_ELEMENTS


def source_of(function: Function, number: int) -> int | None:
    """The parameter that a result is, or that it was updated from."""
    result = function.results[number]
    value: Node | None = result
    while value is not None and value not in function.parameters:
        value = value.operands[0] if value.op is ops.reshape else _updated_operand(value)
    if value is None or value.type.shape != result.type.shape:
        return None
    return function.parameters.index(value)


def _updated_operand(value: Node) -> Node | None:
    """What gives `value` by updating it, a call, a loop or a choice, if it does."""
    source, number = (value, 0)
    if value.op.name == "item":
        source, number = value.operands[0], value.attrs["index"]
    match source.op:
        case ops.for_loop | ops.while_loop:
            return source.operands[number]
        case ops.branch:
            return _exchanged_operand(source, 1, source.attrs["branches"], number)
        case ops.scope:
            extents = len(source.attrs["extents"])
            return _exchanged_operand(source, extents, (source.attrs["body"],), number)
    if source.op.name != "call":
        return None
    inputs = source.attrs["callee"].inputs
    updated = [o for o, buffer in zip(source.operands, inputs) if buffer.space == UPDATED]
    return updated[number] if number < len(updated) else None


def _exchanged_operand(
    node: Node, first: int, bodies: tuple[Function, ...], number: int
) -> Node | None:
    """The operand, from the `first` on, that becomes a result whichever body runs, if there is one."""
    sources = {source_of(body, number) for body in bodies}
    position = sources.pop() if len(sources) == 1 else None
    return None if position is None else node.operands[first + position]


def rotating(
    body: Kernel,
    buffers: tuple[Buffer, ...],
    turns: Turns,
    index: Index,
    bounds: tuple[Expression, Expression],
) -> tuple[Statement, ...]:
    """Run the body for `index` in `bounds`, its memory in turns; what it carries ends in its own."""
    start, stop = bounds
    order, period = turns.order, _count_turns(turns.order)
    trips = expressions.maximum(expressions.subtract(stop, start), tensor.ZERO)
    rounds = expressions.floor_divide(trips, expressions.integer(period))
    rest = expressions.remainder(trips, expressions.integer(period))
    places = [tuple(range(len(order)))]
    for _ in range(period):
        places.append(tuple([places[-1][k] for k in order]))

    def turn(first: Expression, number: int) -> Statement:
        at = expressions.add(first, expressions.integer(number))
        given = [buffers[k] for k in places[number]] + list(buffers[len(order) :])
        call = Call(body, tuple(given))
        return For(index, at, expressions.add(at, tensor.ONE), (call,), "ordered", 1)

    first = expressions.add(start, expressions.multiply(ROUND, expressions.integer(period)))
    whole = tuple([turn(first, number) for number in range(period)])
    statements: list[Statement] = [For(ROUND, tensor.ZERO, rounds, whole, "ordered", 1)]
    last = expressions.subtract(stop, rest)
    for left in range(1, period):
        end = (
            *[turn(last, number) for number in range(left)],
            *_moves(buffers, places[left][: turns.count]),
        )
        if isinstance(rest, Literal):
            statements += end if rest.value == left else ()
        else:
            is_left = Apply("equal", (rest, expressions.integer(left)), bool_)
            statements.append(If(is_left, end, ()))
    return tuple(statements)


def _count_turns(order: Order) -> int:
    """After how many iterations everything is in its own memory again."""
    own = tuple(range(len(order)))
    count, places = 1, order
    while places != own:
        count, places = count + 1, tuple([places[k] for k in order])
    return count


def _moves(buffers: tuple[Buffer, ...], places: Order) -> list[Statement]:
    """Bring the value number k, which is in the memory number `places[k]`, to its own."""
    moves: list[Statement] = []
    saved: dict[int, Buffer] = {}
    for number, place in enumerate(places):
        if place == number:
            continue
        own = buffers[number]
        if number in places[number + 1 :]:  # somebody else's value is still there
            type = array_type(own.type.shape, own.type.dtype)
            saved[number] = Buffer(f"{own.name}_saved", type, "local")
            moves += [Allocate(saved[number]), _copy(own, saved[number])]
        moves.append(_copy(saved.get(place, buffers[place]), own))
    return moves


def _copy(source: Buffer, target: Buffer) -> Call:
    node = parameter("a0", array_type(source.type.shape, source.type.dtype))
    return Call(lower_function(Function("copy", (node,), (node,))), (source, target))
