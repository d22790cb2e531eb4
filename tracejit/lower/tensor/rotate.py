"""Loops that carry arrays from one memory to the other: `u, new = new, u` exchanges no elements.

Where each value that a body gives lies in the memory of another one that it was given, the body is
written once for every way in which the memory takes turns, and what is left to exchange is moved
after the last iteration.
"""

from __future__ import annotations

from ...ir import ops, tensor
from ...ir.graph import Function, Node, parameter
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
from .loops import lower_function

# The most ways to write a body for, and the fewest elements that are dear to move.
MOST_TURNS, FEWEST_ELEMENTS = 4, 32
ROUND = Index("round")

Order = tuple[int, ...]


def exchanged_memory(body: Function, count: int) -> Order | None:
    """For each value carried, whose memory the body leaves it in; None if each stays in its own, or
    is computed in new memory."""
    order = tuple([source_of(body, number) for number in range(count)])
    if sorted([k for k in order if k is not None]) != list(range(count)):
        return None
    moved = [k for k in range(count) if order[k] != k]
    large = [p for p in map(body.parameters.__getitem__, moved) if _is_large(p)]
    return order if large and _turns(order) <= MOST_TURNS else None


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
    """What the call that gives `value` updates to it, if it does."""
    source, number = (value, 0)
    if value.op.name == "item":
        source, number = value.operands[0], value.attrs["index"]
    if source.op.name != "call":
        return None
    inputs = source.attrs["callee"].inputs
    updated = [o for o, buffer in zip(source.operands, inputs) if buffer.space == UPDATED]
    return updated[number] if number < len(updated) else None


def rotating(
    body: Kernel,
    buffers: tuple[Buffer, ...],
    order: Order,
    index: Index,
    bounds: tuple[Expression, Expression],
) -> tuple[Statement, ...]:
    """Run the body for `index` in `bounds`, its memory in turns; what it carries ends in its own."""
    start, stop = bounds
    turns = _turns(order)
    trips = tensor.maximum(tensor.subtract(stop, start), tensor.ZERO)
    rounds = tensor.floor_divide(trips, tensor.integer(turns))
    rest = tensor.remainder(trips, tensor.integer(turns))
    places = [tuple(range(len(order)))]
    for _ in range(turns):
        places.append(tuple([places[-1][k] for k in order]))

    def turn(first: Expression, number: int) -> Statement:
        at = tensor.add(first, tensor.integer(number))
        given = [buffers[k] for k in places[number]] + list(buffers[len(order) :])
        call = Call(body, tuple(given))
        return For(index, at, tensor.add(at, tensor.ONE), (call,), "ordered", 1)

    first = tensor.add(start, tensor.multiply(ROUND, tensor.integer(turns)))
    whole = tuple([turn(first, number) for number in range(turns)])
    statements: list[Statement] = [For(ROUND, tensor.ZERO, rounds, whole, "ordered", 1)]
    last = tensor.subtract(stop, rest)
    for left in range(1, turns):
        end = (*[turn(last, number) for number in range(left)], *_moves(buffers, places[left]))
        if isinstance(rest, Literal):
            statements += end if rest.value == left else ()
        else:
            is_left = Apply("equal", (rest, tensor.integer(left)), bool_)
            statements.append(If(is_left, end, ()))
    return tuple(statements)


def _turns(order: Order) -> int:
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
