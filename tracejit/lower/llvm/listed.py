"""Reading at positions that lie in memory: each lane loads its position, and then its element.

    y[i] = x[k[i]]

A gather instruction takes longer than the loads it stands for: from the nearest caches, lane by lane, x[k] is read in
0.7 of its time. The positions are read as a vector as well where they must be checked, for all lanes at
once; if one is negative or outside, which is rare, the lanes are gathered.
"""

from __future__ import annotations

from typing import NamedTuple

from ...ir.tensor import Apply, Buffer, Expression, Load
from ...ir.types import i64
from .builder import Value
from .checks import wrapped_index
from .frame import Frame, Parts, memory_kind


class Listed(NamedTuple):
    """A part of an element's distance from the first one: `scale` times a position, which is read at `source`,
    and checked against the extent of an axis unless it is known to be inside."""

    position: Expression
    source: Load
    scale: int
    check: Apply | None


class Listing(NamedTuple):
    """Where the lanes' elements are: at such positions beyond an address that lanes know, `atoms` and a constant,
    as `Access.address_of` has it."""

    listed: tuple[Listed, ...]
    atoms: dict[Expression, int]
    constant: int


class ListedReads(Frame):
    """Emits the reads of one function at positions in memory."""

    def listing_of(self, buffer: Buffer, indices: tuple[Expression, ...]) -> Listing | None:
        """How lanes find their elements one by one; None where they should be gathered."""
        lanes = self.lanes
        if lanes is None or lanes.count == 1 or lanes.mask is not None or self.arms:
            return None
        if buffer.type.dtype.is_complex or memory_kind(buffer.type.dtype) == "half":
            return None
        scope, key = self.scopes[-1].memo, ("listing", buffer, indices)
        if key not in scope:
            scope[key] = self.find_listing(buffer, indices)
        return scope[key]

    def find_listing(self, buffer: Buffer, indices: tuple[Expression, ...]) -> Listing | None:
        atoms, constant = self.linear_form(self.flat_index(buffer, indices))
        listed: list[Listed] = []
        others: dict[Expression, int] = {}
        for atom, scale in atoms.items():
            if atom is self.lanes.index or not self.varies(atom):
                others[atom] = scale
                continue
            match atom:
                case Apply("checked_index", (position, extent, axis)) if not (
                    self.varies(extent) or self.varies(axis)
                ):
                    check = atom
                case _:
                    position, check = atom, None
            source = _source(position)
            if source is None or not self.is_in_a_row(source):
                return None
            listed.append(Listed(position, source, scale, check))
        constant += sum([s * self.constants[a] for a, s in others.items() if a in self.constants])
        others = {a: s for a, s in others.items() if a not in self.constants}
        return Listing(tuple(listed), others, constant) if listed else None

    def is_in_a_row(self, source: Load) -> bool:
        """Whether the lanes' positions lie side by side."""
        if source.buffer.space == "register":
            return False
        offset, atoms, _ = self.address_of(source.buffer, source.indices)
        return offset is None and atoms.get(self.lanes.index) == 1

    def needs_of(self, listing: Listing) -> tuple[Expression, ...]:
        """What is computed before the elements are read."""
        needs: list[Expression] = [*listing.atoms]
        is_checked = any(part.check is not None for part in listing.listed)
        for position, source, _, check in listing.listed:
            _, atoms, _ = self.address_of(source.buffer, source.indices)
            needs += atoms
            if is_checked:
                needs += [position] if check is None else check.operands
        return tuple([need for need in needs if need is not self.lanes.index])

    def read_listed(self, buffer: Buffer, listing: Listing) -> Parts:
        """The lanes' elements."""
        b, region = self.b, self.b.region
        checks = [part.check.operands for part in listing.listed if part.check is not None]
        pairs = [self.aligned(operands[:2]) for operands in checks]
        first = self.pointer(buffer, listing.atoms, listing.constant)
        sources = []
        for part in listing.listed:
            _, atoms, constant = self.address_of(part.source.buffer, part.source.indices)
            sources.append(self.pointer(part.source.buffer, atoms, constant))
        b.region = region
        if not pairs:
            return self.one_by_one(buffer, listing, first, sources)
        outside = None
        for (index,), (extent,) in pairs:
            beyond = b.compare("uge", index, extent)
            outside = beyond if outside is None else b.binary("or", outside, beyond)
        usual, unusual, both = b.fresh("usual"), b.fresh("unusual"), b.fresh("both")
        b.branch_if(b.any(outside), unusual, usual)
        b.label(unusual)
        (rare,) = self.gathered(buffer, listing, first)
        after = b.region.label
        b.branch(both)
        b.label(usual)
        (common,) = self.one_by_one(buffer, listing, first, sources)
        b.branch(both)
        b.label(both)
        ways = f"[ {rare.text}, %{after} ], [ {common.text}, %{usual} ]"
        return (b.value(f"phi {common.type} {ways}", common.kind, common.lanes),)

    def one_by_one(
        self, buffer: Buffer, listing: Listing, first: Value, sources: list[Value]
    ) -> Parts:
        b, count = self.b, self.lanes.count
        kind = memory_kind(buffer.type.dtype)
        along = listing.atoms.get(self.lanes.index, 0)
        result = None
        for lane in range(count):
            place = b.offset(first, b.const(lane * along, "i64"), kind)
            for part, source in zip(listing.listed, sources):
                dtype = part.source.dtype
                own = b.offset(source, b.const(lane, "i64"), memory_kind(dtype))
                (position,) = self.convert((b.load(own, memory_kind(dtype)),), dtype, i64)
                if part.scale != 1:
                    position = b.binary("mul", position, b.const(part.scale, "i64"))
                place = b.offset(place, position, kind)
            result = b.insert(result, b.load(place, kind), lane, count)
        return (result,)

    def gathered(self, buffer: Buffer, listing: Listing, first: Value) -> Parts:
        """The same where some position is not what it says."""
        b, count, kind = self.b, self.lanes.count, memory_kind(buffer.type.dtype)
        steps = [lane * listing.atoms.get(self.lanes.index, 0) for lane in range(count)]
        total = b.vector(steps, "i64")
        for position, _, scale, check in listing.listed:
            own = self.known_in_lanes(position)
            if check is not None:
                own = wrapped_index(b, own, *map(self.known_in_lanes, check.operands[1:]))
            total = b.binary("add", total, b.binary("mul", own, b.like(scale, own)))
        text = f"getelementptr {kind}, ptr {first.text}, {total.type} {total.text}"
        pointers = b.value(text, "ptr", count)
        return (b.gather(pointers, b.const(True, "i1", count), kind),)

    def known_in_lanes(self, expression: Expression) -> Value:
        (value,) = self.known(expression)
        return self.b.splat(value, self.lanes.count)


def _source(position: Expression) -> Load | None:
    match position:
        case Apply("cast", (Load() as source,), dtype) if (
            dtype is i64 and source.dtype.kind in "iu"
        ):
            return source
        case Load() if position.dtype is i64:
            return position
    return None
