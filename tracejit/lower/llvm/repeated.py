"""Lanes that read elements in turns of several: `x[i // 4 * 4 + k]` has one element for every four lanes.

Where the elements of all lanes lie within one vector, it is loaded, and shuffled.
"""

from __future__ import annotations

from typing import NamedTuple

from ...ir.affine import linear
from ...ir.tensor import Apply, Buffer, Expression, Literal
from .builder import Value
from .frame import Frame, Lanes, Parts, memory_kind


class Turns(NamedTuple):
    """How far each lane's element is from the first, which is at an address that lanes share: `atoms` and
    a constant, and so much more for each of the quotients of the first lane's index."""

    steps: list[int]
    atoms: dict[Expression, int]
    quotients: dict[int, int]
    constant: int


class RepeatedReads(Frame):
    """Emits the reads of one function that take a vector's elements several times."""

    def turns_of(self, buffer: Buffer, indices: tuple[Expression, ...]) -> Turns | None:
        """How lanes share elements of one vector; None where they do not."""
        lanes = self.lanes
        if lanes is None or lanes.count == 1 or lanes.mask is not None:
            return None
        if buffer.type.dtype.is_complex or memory_kind(buffer.type.dtype) == "half":
            return None
        atoms, constant = self.linear_form(self.flat_index(buffer, indices))
        shared: dict[Expression, int] = {}
        quotients: dict[int, int] = {}
        for atom, scale in atoms.items():
            match atom:
                case Apply("floor_divide", (index, Literal(unit))) if index is lanes.index:
                    if scale < 1 or not _is_multiple(lanes, unit):
                        return None
                    quotients[unit] = scale
                case _ if atom in self.constants:
                    constant += scale * self.constants[atom]
                case _ if self.varies(atom):
                    return None
                case _:
                    shared[atom] = scale
        steps = [
            sum(scale * (lane // unit) for unit, scale in quotients.items())
            for lane in range(lanes.count)
        ]
        if not quotients or steps[-1] >= lanes.count:
            return None
        return Turns(steps, shared, quotients, constant)

    def read_turns(self, buffer: Buffer, turns: Turns) -> Parts:
        """The lanes' elements."""
        b, lanes, region = self.b, self.lanes, self.b.region
        pointer = self.pointer(buffer, turns.atoms, turns.constant)
        b.region = region
        kind, span = memory_kind(buffer.type.dtype), turns.steps[-1] + 1
        for unit, scale in turns.quotients.items():
            number = b.binary("ashr", lanes.base, b.const(unit.bit_length() - 1, "i64"))
            pointer = b.offset(pointer, b.binary("mul", number, b.const(scale, "i64")), kind)
        if span == lanes.count:
            vector = b.load(pointer, kind, span)
        else:
            inside: Value = b.vector([lane < span for lane in range(lanes.count)], "i1")
            vector = b.load_masked(pointer, inside, kind)
        return (b.shuffle(vector, vector, turns.steps),)


def _is_multiple(lanes: Lanes, unit: int) -> bool:
    """Whether every vector begins with a turn of so many lanes, a power of two."""
    if unit < 2 or unit & (unit - 1) or lanes.count % unit:
        return False
    atoms, constant = linear(lanes.origin)
    return all(n % unit == 0 for n in (*atoms.values(), constant))
