"""Cycles that one core takes for a kernel's loops when every load comes from its first cache.

An iteration takes as long as its busiest resource: arithmetic units (two vectors a cycle), loads (two),
stores (one), or instructions in all; no less than what its values wait for the iteration before; and, where what waits
for one another in it is long, no less than lets a core see the next iterations beside it.
A value is computed in the innermost loop that it changes in, and once for all iterations of an unrolled
or one-vector loop that it does not depend on: registers keep it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from math import ceil, log2, prod
from types import MappingProxyType
from typing import NamedTuple

from ...ir.affine import linear
from ...ir.foreign import foreign
from ...ir.op import OPS
from ...ir.tensor import (
    Accumulate,
    Apply,
    Assign,
    Call,
    Expression,
    Extern,
    For,
    If,
    Index,
    Kernel,
    Let,
    Literal,
    Load,
    Statement,
    Store,
    Table,
    Variable,
    parts,
    statements,
)
from ...ir.term import Term, postorder, remembered
from ...ir.types import DType, i64
from ..machine import Machine
from .cost import NOTHING, cost_of_choice, stride
from .cost import trips as trip_bounds
from .turns import average_trips, changing_loops, values_of

# In a cycle: vector operations, loads and stores of a register, instructions of any kind.
UNITS, LOADS, STORES, ISSUED = 2.0, 2.0, 1.0, 6.0
LATENCY = 3.0  # of an addition or a multiply-add, until the next can use it
LONGER = 1.4  # how much longer elementary functions wait for themselves in float64, of which they need more terms
OVERHEAD = 1.0  # of an iteration of a loop: its counter and branch
ENTRY = 6.0  # of a loop: what comes before, and the branch that nobody foresaw at its end
FORESEEN, SHORT_ENTRY = (
    16,
    1.0,
)  # turns of a loop, always as many, whose end is foreseen; its entry then
# A core looks so many instructions ahead: what waits for itself in fewer turns than have these waits beside the next ones.
AHEAD = 400.0
# So many vector operations wait at a time for what they need; no iteration begins before there is room (fitted on Zen 5).
WAITING = 224.0
# Cycles for each lane that is loaded by itself, as its place is before it; that is stored so.
GATHER, SCATTER = 1.0, 1.1
REACH = 12.0  # cycles until what is loaded from the first cache is there, moved into its lane
MOVED = 1.0  # cycles for a register whose lanes are moved into their places
LINE = 64
SPLIT = 2.5  # what a register in two lines costs more than one in one
CALL = 20.0  # of a kernel, in cycles
BRANCH = 2.0


@dataclass
class _Frame:
    """What one iteration of a loop takes, by resource; `inner` are cycles of loops in it, `path` those from what it
    reads to its last value."""

    loop: For | None
    lanes: int = 1
    turns: float = 1.0
    units: float = 0.0
    loads: float = 0.0
    stores: float = 0.0
    busy: float = 0.0
    divider: float = 0.0
    issued: float = 0.0
    inner: float = 0.0
    path: float = 0.0
    chains: dict[Term, float] = field(default_factory=dict)

    @property
    def instructions(self) -> float:
        return self.units + self.loads + self.stores + self.issued

    @property
    def cycles(self) -> float:
        own = max(
            self.units / UNITS,
            self.loads / LOADS,
            self.stores / STORES,
            self.divider,
            self.instructions / ISSUED,
            self.path * self.units / WAITING,
        )
        waits = max(self.chains.values(), default=0.0)
        # Where loops are inside, each iteration waits for them anyway.
        return max(own + self.busy, 0.0 if self.inner else waits) + self.inner


class Price(NamedTuple):
    """Of one operation on a vector: instructions, by the registers they work on; those of them that do not
    multiply (`light`); registers that are divided or whose roots are taken, by names of `rare` units;
    cycles of what goes lane by lane; and of those instructions that wait for one another, if that is known."""

    instructions: float
    light: float = 0.0
    rare: tuple[tuple[str, float], ...] = ()
    cycles: float = 0.0
    chain: float = 0.0

    @property
    def waits(self) -> float:
        """Cycles from its operands to the result, or so."""
        if self.chain:
            return self.chain
        waiting = self.instructions if self.instructions <= 2 else 0.6 * self.instructions
        return LATENCY * (waiting + 3.0 * sum(count for _, count in self.rare))


class Core(NamedTuple):
    """What cycles are counted for: the width of vectors; what an op costs, by its name, the dtypes of its
    operands and its own, and lanes; how much of an arithmetic unit what does not multiply takes; and for
    how many cycles a register keeps each of the rare units busy."""

    vector_bytes: int
    price: Callable[[str, tuple[DType, ...], DType, int], Price]
    light: float = 1.0
    rare: Mapping[str, float] = MappingProxyType({})


def core_of(machine: Machine) -> Core:
    """The core as the records of ops see it: nothing is measured, or emitted, to know it."""

    def price(op: str, operands: tuple[DType, ...], dtype: DType, lanes: int) -> Price:
        cost = OPS[op].cost if op in OPS else 1.0
        registers = max(1.0, lanes * dtype.itemsize / machine.vector_bytes)
        longer = LONGER if dtype.kind == "f" and dtype.itemsize > 4 and cost > 2 else 1.0
        return Price(cost * registers, chain=LATENCY * longer * cost)

    return Core(machine.vector_bytes, price)


def cycles_of(kernel: Kernel, core: Core) -> float:
    """Cycles of one run of a kernel on one thread."""
    return _Counter(kernel, core).run()


# Passes ask for the same kernels again.
@remembered
def cycles_on(kernel: Kernel, machine: Machine) -> float:
    """The same, on a core of this machine."""
    return cycles_of(kernel, core_of(machine))


class _Counter:
    def __init__(self, kernel: Kernel, core: Core):
        self.kernel, self.core = kernel, core
        self.changed = changing_loops(kernel)
        self.frames = [_Frame(None)]
        # Loops that are in line: unrolled ones, and vectors that are one iteration.
        self.inline: list[tuple[For, float]] = []
        self.lane_loop: For | None = None
        self.lets: dict[Term, Expression] = {}
        self.ready: dict[Term, float] = {}  # cycles of an iteration until a variable is known
        self.begun: dict[
            Term, int
        ] = {}  # in how many loops a variable, or an array of registers, is set

    def run(self) -> float:
        self.body(self.kernel.body)
        return self.frames[0].cycles + CALL

    def body(self, body: Iterable[Statement]) -> None:
        seen: dict[Expression, float] = {}
        for statement in body:
            match statement:
                case For():
                    self.loop(statement)
                case If(condition, then, orelse):
                    self.values([condition], seen)
                    self.frames[-1].busy += BRANCH
                    self.branches(condition, then, orelse)
                case Call(kernel):
                    self.frames[-1].inner += cycles_of(kernel, self.core)
                case Extern(symbol) if symbol in NOTHING:
                    self.frames[-1].issued += 1.0
                case Extern(symbol, arguments):
                    known = foreign(symbol)
                    numbers = [a.value if isinstance(a, Literal) else None for a in arguments]
                    self.frames[-1].inner += known.cycles(*numbers) if known is not None else 0.0
                case _:
                    self.simple(statement, seen)

    def branches(
        self, condition: Expression, then: tuple[Statement, ...], orelse: tuple[Statement, ...]
    ) -> None:
        """The one that counts; both where lanes may part."""
        frame = self.frames[-1]
        costs = []
        for inside in (then, orelse):
            self.frames.append(_Frame(frame.loop, frame.lanes))
            self.body(inside)
            costs.append(self.frames.pop().cycles)
        frame.inner += sum(costs) if frame.lanes > 1 else cost_of_choice(condition, *costs)

    def loop(self, loop: For) -> None:
        outer = [frame.loop for frame in self.frames if frame.loop is not None]
        trips = average_trips(loop, [*outer, *[other for other, _ in self.inline]])
        lanes = loop.lanes if loop.mark == "vector" else 1
        around, self.lane_loop = self.lane_loop, loop if loop.mark == "vector" else self.lane_loop
        if loop.mark == "unroll" or lanes > 1 and trips <= lanes:
            before = self.frames[-1].lanes
            self.inline.append((loop, 1.0 if lanes > 1 else trips))
            self.frames[-1].lanes = max(lanes, before)
            self.body(loop.body)
            self.frames[-1].lanes = before
            self.inline.pop()
            self.lane_loop = around
            if lanes > 1:
                self.join(loop, False)
            return
        count = ceil(trips / lanes) if lanes > 1 else trips
        frame = _Frame(loop, max(lanes, self.frames[-1].lanes), count)
        kept, self.inline = self.inline, []
        self.frames.append(frame)
        self.body(loop.body)
        self.forget_short_chains(frame)
        self.frames.pop()
        self.inline, self.lane_loop = kept, around
        if lanes > 1:
            self.join(loop, count * frame.instructions >= AHEAD)
        each = max(frame.cycles, OVERHEAD if not frame.inner else 0.0)
        entry = SHORT_ENTRY if count <= FORESEEN and trip_bounds(loop) is not None else ENTRY
        self.frames[-1].inner += (entry + count * each) * prod(n for _, n in self.inline)

    def join(self, loop: For, waits: bool) -> None:
        """What it takes to add up lanes, where a loop sums them up for those around it: half of them to the others, again
        and again; a long one's results are waited for."""
        inside = {s.variable for s in statements(loop.body) if isinstance(s, Let | Assign)}
        inside |= {s.buffer for s in statements(loop.body) if isinstance(s, Store)}
        for dtype, count in _sums(loop.body, loop, inside):
            registers = max(1.0, loop.lanes * dtype.itemsize / self.core.vector_bytes)
            steps = log2(max(loop.lanes / registers, 1.0))
            times = count * prod(n for other, n in self.inline if other.mark == "unroll")
            self.frames[-1].units += times * (registers - 1 + 2 * steps)
            self.frames[-1].busy += 2 * LATENCY * steps if waits else 0.0

    def forget_short_chains(self, frame: _Frame) -> None:
        """Drop what is set anew before it has waited for itself for long."""
        for target in [*frame.chains]:
            begun = self.begun.get(target.buffer if isinstance(target, Load) else target, 0)
            turns = prod(inside.turns for inside in self.frames[begun + 1 :])
            if turns * frame.instructions < AHEAD:
                del frame.chains[target]

    def simple(self, statement: Statement, seen: dict[Expression, float]) -> None:
        self.values(values_of(statement), seen)
        match statement:
            case Let(target, value):
                self.lets[target] = value
                self.ready[target] = seen[value]
                self.begun.setdefault(target, len(self.frames) - 1)
            case Assign(target, value):
                self.begun.setdefault(target, len(self.frames) - 1)
                self.chain(target, self.depth(value, {target}))
            case Store(buffer) if buffer.space == "register":
                self.begun.setdefault(buffer, len(self.frames) - 1)
            case Accumulate(target, op, value):
                fused = op == "add" and isinstance(value, Apply) and value.op == "multiply"
                if not fused:
                    self.spend(target, op, (target.dtype, target.dtype), target.dtype, 1.0)
                self.accumulate(target, statement)
            case Store(buffer, indices, value) if buffer.space != "register":
                place = Load(buffer, indices)
                frame, times = self.place_of(place)
                registers = self.registers(value.dtype)
                step = self.lane_step(place)
                if step in (0, 1, -1):
                    frame.stores += times * registers * self.lines(place)
                else:
                    frame.busy += SCATTER * frame.lanes * times

    def accumulate(self, target: Expression, statement: Statement) -> None:
        """What waits for the sum of the iteration before: as often as the same sum is added to."""
        frame = self.frames[-1]
        if isinstance(target, Load) and target.buffer.space != "register":
            frame.loads += self.registers(target.dtype)
            frame.stores += self.registers(target.dtype)
            return
        free = target.free if isinstance(target, Load) else {target}
        again = prod(n for loop, n in self.inline if loop.index not in free)
        self.chain(target, LATENCY * again)

    def chain(self, target: Term, cycles: float) -> None:
        frame = self.frames[-1]
        frame.chains[target] = max(frame.chains.get(target, 0.0), cycles)

    def depth(self, value: Expression, targets: set[Term]) -> float:
        """Cycles from what was assigned in the iteration before to this value."""
        found: dict[Expression, float] = {}
        for part in postorder((value,), parts):
            before = max([found.get(p, 0.0) for p in parts(part)], default=0.0)
            if isinstance(part, Variable) and part in self.lets and part not in targets:
                before = self.depth(self.lets[part], targets | {part})
            waits = part in targets or before > 0
            own = 0.0
            if isinstance(part, Apply) and waits:
                spent = self.price(part.op, tuple(p.dtype for p in parts(part)), part.dtype)
                own = spent.waits if part.dtype.is_float else 1.0
            if isinstance(part, Load) and before > 0:
                own = REACH
            found[part] = before + own if waits or before else 0.0
            if part in targets:
                found[part] = 1e-9
        return found[value]

    def values(self, roots: Iterable[Expression], seen: dict[Expression, float]) -> None:
        """`seen` has the cycles until each value is known, of an iteration of the loop around."""
        for part in postorder(roots, parts):
            if part in seen:
                continue
            before, own = max([seen[p] for p in parts(part)], default=0.0), 0.0
            match part:
                case Load(buffer) if buffer.space != "register":
                    self.load(part)
                    own = REACH if before else 0.0
                case Table():
                    frame, times = self.place_of(part)
                    frame.busy += GATHER * frame.lanes * times
                    own = REACH
                case Apply(op, operands, dtype) if not _is_index(part):
                    spent = self.spend(part, op, tuple(o.dtype for o in operands), dtype, 1.0)
                    own = spent.waits if dtype.is_float else 1.0
                case Variable():
                    before = self.ready.get(part, 0.0)
            seen[part] = before + own
            self.frames[-1].path = max(self.frames[-1].path, seen[part])

    def load(self, part: Load) -> None:
        frame, times = self.place_of(part)
        step = self.lane_step(part)
        if step in (0, 1, -1):
            frame.loads += times * (self.registers(part.dtype) * self.lines(part) if step else 1.0)
        else:
            square = self.is_of_square(part)
            each = (
                self.exchanged(part.dtype) if square else self.apart(step, frame.lanes, part.dtype)
            )
            frame.busy += each * times

    def spend(
        self, part: Expression, op: str, operands: tuple[DType, ...], dtype: DType, times: float
    ) -> Price:
        frame, again = self.place_of(part)
        spent = self.price(op, operands, dtype, self.lanes_of(part))
        heavy = spent.instructions - spent.light
        frame.units += (heavy + spent.light * self.core.light) * times * again
        frame.issued += spent.light * (1 - self.core.light) * times * again
        frame.busy += spent.cycles * times * again
        frame.divider += self.divider(spent) * times * again
        return spent

    def divider(self, spent: Price) -> float:
        """Cycles that the unit for divisions and roots is busy."""
        return sum(count * self.core.rare[name] for name, count in spent.rare)

    def price(
        self, op: str, operands: tuple[DType, ...], dtype: DType, lanes: int | None = None
    ) -> Price:
        lanes = self.frames[-1].lanes if lanes is None else lanes
        return self.core.price(op, operands, dtype, lanes)

    def lanes_of(self, part: Expression) -> int:
        """How many values a vector has of it: one where it is the same in all lanes."""
        loop, lanes = self.lane_loop, self.frames[-1].lanes
        if loop is None or lanes == 1:
            return lanes
        changes = any(loop in self.changed.get(term, ()) for term in part.free)
        return lanes if changes or isinstance(part, Variable | Load) else 1

    def place_of(self, part: Expression) -> tuple[_Frame, float]:
        """The frame in which a value is computed, and how often in an iteration of it."""
        changing: set[For] = set().union(*[self.changed.get(term, ()) for term in part.free])
        times = prod(n for loop, n in self.inline if loop in changing)
        if any(loop in changing for loop, _ in self.inline):
            return self.frames[-1], times
        for frame in reversed(self.frames):
            if frame.loop is None or frame.loop in changing:
                return frame, times
        return self.frames[0], times

    def registers(self, dtype: DType) -> float:
        return max(1.0, self.frames[-1].lanes * dtype.itemsize / self.core.vector_bytes)

    def lane_step(self, place: Load) -> int | None:
        """Elements from lane to lane; 0 where all read the same."""
        loop = self.lane_loop
        return 0 if loop is None else stride(place.buffer.type, place.indices, loop.index)

    def apart(self, step: int | None, lanes: int, dtype: DType) -> float:
        """Cycles of lanes that are not neighbours: the vectors they lie in, and moving them, or one by one."""
        if step is None:
            return GATHER * lanes
        between = abs(step) * lanes * dtype.itemsize / self.core.vector_bytes
        return min(GATHER * lanes, between / LOADS / 2 + MOVED * self.registers(dtype))

    def is_of_square(self, place: Load) -> bool:
        """Whether loops in line have neighbours of it in turn: as many vectors, whose lanes are exchanged."""
        unrolled = [loop for loop, _ in self.inline if loop.mark == "unroll"]
        lanes = self.frames[-1].lanes
        steps = [
            stride(place.buffer.type, place.indices, l.index)
            for l in unrolled
            if trip_bounds(l) == lanes
        ]
        return lanes > 1 and 1 in steps

    def exchanged(self, dtype: DType) -> float:
        """Cycles of a vector of a square, whose lanes are moved once for each halving."""
        return self.registers(dtype) * (
            1 / LOADS + MOVED * (self.frames[-1].lanes.bit_length() - 1)
        )

    def lines(self, place: Load) -> float:
        """How many lines of a cache a register of a contiguous access lies in, on average."""
        loop = self.lane_loop
        if loop is None or not place.indices:
            return 1.0
        apart = linear(place.indices[-1])[1] + linear(loop.start)[1]
        width = min(self.core.vector_bytes, self.frames[-1].lanes * place.dtype.itemsize)
        return 1.0 + (SPLIT * width / LINE if apart * place.dtype.itemsize % width else 0.0)


def _sums(body: Iterable[Statement], loop: For, inside: set[Term]) -> Iterator[tuple[DType, float]]:
    """The dtypes of what a vector loop accumulates over its lanes, and how many of each there are: of what is not set
    `inside` it."""
    for statement in body:
        match statement:
            case For() if statement.mark == "unroll":
                for dtype, count in _sums(statement.body, loop, inside):
                    yield dtype, count * (trip_bounds(statement) or 1)
            case Accumulate(target) if loop.index not in target.free:
                own = target.buffer if isinstance(target, Load) else target
                is_memory = isinstance(target, Load) and own.space != "register"
                if own not in inside and not is_memory:
                    yield target.dtype, 1.0


def _is_index(part: Apply) -> bool:
    return part.dtype is i64 and all(isinstance(t, Index) for t in part.free)
