"""Vector loops: whole vectors first and the rest under a mask, lanes joined at the end."""

from __future__ import annotations

from collections.abc import Callable

from ...errors import IRError
from ...ir import expressions, tensor
from ...ir.packing import Packing, packing_of
from ...ir.running import Running, neutral, running_of
from ...ir.tensor import For, Literal
from . import totals
from .access import CACHE_LINE
from .alignment import LEAST_VECTORS, aligning_store
from .builder import Value, is_number
from .control import Control
from .frame import Lanes, Parts
from .overlap import is_long, is_repeatable
from .state import dtype_of


class LaneLoops(Control):
    """Emits loops in vector lanes."""

    def vector(self, loop: For, trips: int | None) -> None:
        """Full vectors first, then the rest under a mask, in as few lanes as hold it.

        Where the body is long and may run twice, the last vector instead starts early, so that it
        ends with the loop: the code is half as long, and so is LLVM's time.
        """
        if self.lanes is not None:
            raise IRError(f"vector loop over {loop.index.name} inside another vector loop")
        if trips is None:
            self.in_lanes(loop, loop.lanes, lambda: self.vector_unknown(loop, loop.lanes))
            return
        start, lanes = loop.start, loop.lanes
        full, rest = divmod(trips, lanes)
        if full >= LEAST_VECTORS and len(self.scopes) == 1 and aligning_store(loop) is not None:
            self.in_lanes(loop, lanes, lambda: self.vector_unknown(loop, lanes))
            return
        if full and rest and is_long(loop) and is_repeatable(loop):
            self.in_lanes(loop, lanes, lambda: self.lane_loop_overlapping(loop, lanes))
            return
        if full:
            self.in_lanes(loop, lanes, lambda: self.vector_full(loop, lanes, full))
            start = expressions.add(start, expressions.integer(full * lanes))
        if rest:
            while lanes // 2 >= rest:
                lanes //= 2
            mask, used = None, rest if rest < lanes else 0
            if used:
                mask = self.b.vector([lane < rest for lane in range(lanes)], "i1")
            self.in_lanes(loop, lanes, lambda: self.lane_iteration(loop, lanes, start, mask, used))

    def lane_body(self, loop: For) -> None:
        if found := packing_of(loop):
            self.each((*found.lets, *found.others))
            for packing in found.packings:
                self.pack(packing)
            self.leave(found.lets)
        elif running := running_of(loop):
            self.run_on(running)
        else:
            self.body(loop.body)

    def run_on(self, running: Running) -> None:
        """Store the running totals of one vector; the total itself is kept in all lanes."""
        b, lanes, op, dtype = self.b, self.lanes, running.op, running.total.dtype
        self.each(running.lets)
        value = self.per_lane(self.emit(running.value))
        if lanes.mask is not None:
            nothing = self.per_lane(self.literal(neutral(op, dtype), dtype))
            value = (b.select(lanes.mask, value[0], nothing[0]),)
        before = self.get(running.total)

        def combine(first: Value, second: Value) -> Value:
            (both,) = self.joined(op, dtype, (first,), (second,))
            return both

        own = (totals.running(b, value[0], self.upper_halves, combine),)
        self.put(running.total, self.joined(op, dtype, before, own))
        self.body((running.store, *running.others))
        # Not the last lane of what is stored, which would be waited for longer.
        last = (totals.last(b, own[0]),)
        self.put(running.total, self.joined(op, dtype, before, last))
        self.leave(running.lets)

    def pack(self, packing: Packing) -> None:
        """Store what the lanes select side by side, and count it."""
        b, lanes, store = self.b, self.lanes, packing.store
        selected = self.one(packing.selected)
        (value,) = self.emit(packing.value) if store else (selected,)
        pointer = None
        if store:
            _, atoms, constant = self.address_of(store.buffer, store.indices)
            pointer = self.pointer(store.buffer, atoms, constant)
        self.here()
        value, selected = [b.splat(each, lanes.count) for each in (value, selected)]
        if lanes.mask is not None:
            selected = b.binary("and", selected, lanes.mask)
        number = b.count(selected)
        if store:
            packed = b.packed(value, selected)
            if lanes.mask is None and not packing.is_exact:
                b.store(packed, pointer)
            else:
                steps = b.vector(range(lanes.count), "i64")
                kept = b.compare("slt", steps, b.splat(number, lanes.count))
                b.store_masked(packed, pointer, kept)
            self.invalidate(store.buffer)
        (place,) = self.values[packing.place]
        self.put(packing.place, (b.binary("add", place, number),))

    def in_lanes(self, loop: For, count: int, emit: Callable[[], None]) -> None:
        """Emit vector code; variables from outside are accumulated per lane and joined at the end."""
        _, ops, _ = self.changed_in(loop.body)
        running = running_of(loop)
        if running is not None:
            self.here()
            (total,) = self.get(running.total)
            self.put(running.total, (self.b.splat(total, count),))
            self.upper_halves = totals.upper_halves(self.b, count)
        outer = {target: self.get(target) for target in ops}
        for target, op in ops.items():
            self.here()
            dtype = dtype_of(target)
            nothing = self.literal(neutral(op, dtype), dtype)
            self.put(target, tuple([self.b.splat(part, count) for part in nothing]))
        saved = self.raise_levels(ops, self.depth)
        self.joined_later = set(ops)
        emit()
        self.lanes = None
        for target, op in ops.items():
            self.here()
            dtype = dtype_of(target)
            total = self.across(op, dtype, self.get(target))
            self.put(target, self.joined(op, dtype, outer[target], total))
        if running is not None:
            self.here()
            (total,) = self.get(running.total)
            self.put(running.total, (self.b.extract_at(total, self.b.const(0, "i64")),))
        self.level.update(saved)

    def vector_full(self, loop: For, count: int, full: int) -> None:
        if full == 1:
            self.lane_iteration(loop, count, loop.start, None)
            return
        stop = expressions.add(loop.start, expressions.integer(full * count))
        self.lane_loop(loop, self.one(loop.start), self.one(stop), count, True)

    def lane_iteration(
        self,
        loop: For,
        count: int,
        base: tensor.Expression,
        mask: Value | None,
        used: int = 0,
    ) -> None:
        first = self.one(base)
        with self.inlined() as depth:
            self.level[loop.index] = depth
            end = loop.stop.value if isinstance(loop.stop, Literal) else None
            self.lanes = Lanes(loop.index, count, first, mask, base, end, used)
            if is_number(first.text):
                # One vector, and known which: its values are shared as those of constants are.
                self.fixed[loop.index] = (first.text, count, mask)
            self.lane_body(loop)
            self.fixed.pop(loop.index, None)
            self.lanes = None

    def lane_loop(
        self,
        loop: For,
        start: Value,
        stop: Value,
        count: int,
        nonempty: bool,
        origin: tensor.Expression | None = None,
    ) -> None:
        def inside() -> None:
            (base,) = self.values[loop.index]
            self.lanes = Lanes(loop.index, count, base, None, origin or loop.start)
            self.lane_body(loop)

        self.loop(loop.index, start, stop, count, nonempty, loop.body, inside)
        self.lanes = None

    def lane_loop_overlapping(self, loop: For, count: int) -> None:
        start, stop, last = (
            loop.start,
            loop.stop,
            expressions.subtract(loop.stop, expressions.integer(count)),
        )

        def inside() -> None:
            (counter,) = self.values[loop.index]
            base = self.b.intrinsic("smin", counter, final)
            self.values[loop.index] = (base,)
            # Of where vectors start nothing is known: their origin is wherever they are.
            self.lanes = Lanes(loop.index, count, base, None, loop.index)
            self.body(loop.body)

        final = self.one(last)
        first, ends = self.one(start), self.one(stop)
        self.loop(loop.index, first, ends, count, True, loop.body, inside, overshoots=True)
        self.lanes = None

    def vector_unknown(self, loop: For, count: int) -> None:
        start, stop = self.one(loop.start), self.one(loop.stop)
        origin = loop.start
        aligned = self.first_in_line(loop, start, stop)
        if aligned is not None:
            self.masked(loop, start, aligned, count)
            start, origin = aligned, loop.index  # of where vectors start nothing is known
        self.here()
        b = self.b
        middle = start
        if not _is_one_vector(loop, count):
            trips = b.binary("sub", stop, start)
            full = b.binary("and", trips, b.const(-count, "i64"))
            middle = b.binary("add", start, b.intrinsic("smax", full, b.const(0, "i64")))
            self.lane_loop(loop, start, middle, count, False, origin)
            self.here()
        self.masked(loop, middle, stop, count)

    def masked(self, loop: For, start: Value, stop: Value, count: int) -> None:
        """Vectors from `start` on, in which lanes from `stop` on are masked off."""
        b = self.b

        def inside() -> None:
            (base,) = self.values[loop.index]
            steps = b.binary("add", b.splat(base, count), b.vector(range(count), "i64"))
            mask = b.compare("slt", steps, b.splat(stop, count))
            self.lanes = Lanes(loop.index, count, base, mask)
            self.lane_body(loop)

        self.loop(loop.index, start, stop, count, False, loop.body, inside, overshoots=True)
        self.lanes = None

    def first_in_line(self, loop: For, start: Value, stop: Value) -> Value | None:
        """The first index of a loop whose store begins at a cache line of what is updated."""
        # limit: loops of unknown length inside others may be short.
        found = aligning_store(loop) if len(self.scopes) == 1 else None
        if found is None:
            return None
        buffer, first, each = found
        distance = self.one(first)
        self.here()
        b, itemsize = self.b, CACHE_LINE // each
        address = b.cast("ptrtoint", self.pointers[buffer], "i64")
        items = b.binary("lshr", address, b.const(itemsize.bit_length() - 1, "i64"))
        past = b.binary("add", items, distance)
        missing = b.binary(
            "and", b.binary("sub", b.const(0, "i64"), past), b.const(each - 1, "i64")
        )
        return b.intrinsic("smin", b.binary("add", start, missing), stop)

    def across(self, op: str, dtype, parts: Parts) -> Parts:
        """Combine lanes pairwise, halves first."""
        lanes = parts[0].lanes
        while lanes > 1:
            lanes //= 2
            low = tuple([self.b.shuffle(p, p, list(range(lanes))) for p in parts])
            high = tuple([self.b.shuffle(p, p, list(range(lanes, 2 * lanes))) for p in parts])
            parts = self.combine(op, [dtype, dtype], dtype, [low, high])
        return parts


def _is_one_vector(loop: For, count: int) -> bool:
    """Whether a loop of unknown extent has one vector at the most."""
    match expressions.subtract(loop.stop, loop.start):
        case tensor.Apply("minimum", (_, Literal(most))) if most <= count:
            return True
    return False
