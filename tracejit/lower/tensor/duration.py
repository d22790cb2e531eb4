"""How long a loop takes on one core: its cycles, or what memory takes, whichever is more."""

from __future__ import annotations

from collections.abc import Iterable
from math import prod

from ...ir.tensor import (
    Accumulate,
    Address,
    Buffer,
    Extern,
    For,
    Kernel,
    Load,
    Statement,
    Store,
    bodies_of,
    expressions_of,
    parts,
)
from ...ir.term import Term, postorder
from ..machine import Machine
from .cost import expected_trips, seconds
from .cycles import cycles_on


def seconds_of(loop: For, kernel: Kernel, machine: Machine) -> float:
    """Of a loop of a kernel, from its beginning to its end."""
    near = cycles_on(kernel.replace(body=(loop,)), machine)
    size = touched_bytes((loop,))
    return seconds(max(near, size * machine.byte_cycles(size)))


def touched_bytes(body: Iterable[Statement]) -> float:
    """Of memory that statements read or write: of each array as many elements as there are accesses, and at
    most all."""
    found: dict[Buffer, float] = {}

    def touch(place: Load, trips: dict[Term, int]) -> None:
        buffer = place.buffer
        if buffer.space == "register":
            return
        terms = set().union(*[index.free for index in place.indices])
        varies = terms if terms <= trips.keys() else trips  # else it is not known with what
        elements = prod(trips[term] for term in varies)
        size = buffer.type.size
        elements = min(elements, size) if isinstance(size, int) else elements
        count = elements * buffer.type.dtype.itemsize
        found[buffer] = max(found.get(buffer, 0), count)

    def visit(body: Iterable[Statement], trips: dict[Term, int]) -> None:
        for statement in body:
            for part in postorder(expressions_of(statement), parts):
                if isinstance(part, Load):
                    touch(part, trips)
            match statement:
                case Store(buffer, indices):
                    touch(Load(buffer, indices), trips)
                case Accumulate(Load() as place):
                    touch(place, trips)
                case Extern(_, arguments):
                    for address in arguments:
                        if isinstance(address, Address):
                            touch(Load(address.buffer, address.indices), trips)
            own = isinstance(statement, For)
            inside = trips | {statement.index: expected_trips(statement)} if own else trips
            for inner in bodies_of(statement):
                visit(inner, inside)

    visit(body, {})
    return sum(found.values())
