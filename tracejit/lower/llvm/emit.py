"""Statements in LLVM: loops, vector lanes, accumulators, regions for threads.

Loops are rotated (guard, preheader, body, exit), so what is hoisted to a preheader runs only if the
loop does. A vector loop runs whole vectors first and the rest under a mask; what it accumulates
into variables from outside is kept per lane and joined at its end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from math import prod
from typing import Any

from ...errors import IRError
from ...ir import tensor
from ...ir.affine import linear
from ...ir.host import HostFunction
from ...ir.tensor import (
    Accumulate,
    Address,
    Allocate,
    Assign,
    Buffer,
    Call,
    Extern,
    For,
    Index,
    Kernel,
    Let,
    Literal,
    Load,
    Statement,
    Store,
    Variable,
    statements,
)
from ...ir.types import DType
from .access import CACHE_LINE, Access
from .alignment import LEAST_VECTORS, aligning_store
from .builder import Builder, Value, is_number
from .frame import Lanes, Parts, Scope
from .overlap import is_long, is_repeatable

STACK_LIMIT = 32 * 1024
# `void tj_host_call(ptr site, ptr slots, ptr symbols)` runs a Python function (runtime/host.py).
HOST_CALL = "tj_host_call"
# The status after a Python function failed; the runtime knows how.
HOST_FAILED = 255


class Emitter(Access):
    """Emits statements of one function; `program` (a program.Program) has the other functions."""

    def __init__(self, program: Any, kernel: Kernel, builder: Builder):
        super().__init__(builder)
        self.program, self.kernel = program, kernel
        self.workspace = Value("%workspace", "ptr")
        self.symbols = Value("%symbols", "ptr")
        self.joined_later: set[object] = set()
        builder.on_refusal = self.note_refusal

    def body(self, body: Iterable[Statement]) -> None:
        for statement in body:
            match statement:
                case For():
                    self.for_loop(statement)
                case Let(variable, value):
                    self.level[variable] = self.depth
                    self.assign(variable, self.emit(value))
                case Assign(variable, value):
                    self.assign(variable, self.emit(value))
                case Accumulate(target, op, value):
                    self.accumulate(target, op, value)
                case Store(buffer, indices, value):
                    parts = self.emit(value)
                    if buffer.space == "register":
                        self.set(Load(buffer, indices), self.per_lane(parts))
                    else:
                        self.store(buffer, indices, parts)
                    self.invalidate(buffer)
                case Allocate(buffer):
                    self.allocate(buffer)
                case Call(kernel, buffers):
                    pointers = [f"ptr {self.pointers[buffer].text}" for buffer in buffers]
                    rest = [f"ptr {self.workspace.text}", f"ptr {self.symbols.text}"]
                    name = self.program.kernel(kernel)
                    self.here()
                    self.b.emit(f"call void @{name}({', '.join(pointers + rest)})")
                    for buffer in buffers:
                        self.invalidate(buffer)
                    if kernel in self.program.refusing:
                        self.stop_if_refused()
                case Extern("prefetch", (address,)):
                    self.prefetch(address)
                case Extern():
                    self.extern(statement)
        self.leave(body)

    def extern(self, statement: Extern) -> None:
        """Call a foreign function; stages.addresses says where it is."""
        values: list[Value] = []
        for argument in statement.arguments:
            if isinstance(argument, Address):
                _, atoms, constant = self.address_of(argument.buffer, argument.indices)
                values.append(self.pointer(argument.buffer, atoms, constant))
            else:
                values.append(self.one(argument))
        self.here()
        if isinstance(statement.symbol, HostFunction):
            self.call_host(statement, values)
        else:
            module = self.program.module
            module.externals.add(statement.symbol)
            module.declare("void", statement.symbol, [value.type for value in values])
            listed = ", ".join(f"{value.type} {value.text}" for value in values)
            self.b.emit(f"call void @{statement.symbol}({listed})")
        for address in statement.addresses:
            self.invalidate(address.buffer)

    def prefetch(self, address: Address) -> None:
        """Ask for the cache lines that the lanes will read."""
        _, atoms, constant = self.address_of(address.buffer, address.indices)
        pointer = self.pointer(address.buffer, atoms, constant)
        self.here()
        size = (self.lanes.count if self.lanes else 1) * address.buffer.type.dtype.itemsize
        self.program.module.declare("void", "llvm.prefetch.p0", ["ptr", "i32", "i32", "i32"])
        for distance in range(0, size, CACHE_LINE):
            place = self.b.offset(pointer, self.b.const(distance, "i64"), "i8")
            # To read, into the first-level cache, data.
            self.b.emit(f"call void @llvm.prefetch.p0(ptr {place.text}, i32 0, i32 3, i32 1)")

    def call_host(self, statement: Extern, pointers: list[Value]) -> None:
        """Call a Python function; where it fails, report that."""
        b, program = self.b, self.program
        name = f"host.{len(program.hosts)}"
        program.hosts[name] = statement
        program.module.declarations[name] = f"@{name} = external global i8"
        program.module.declare("void", HOST_CALL, ["ptr"] * 3)
        program.module.externals.add(HOST_CALL)
        # What the call writes when all went well comes first.
        slots = self.stack_slot(f"[{1 + len(pointers)} x i64]", 8)
        for position, value in enumerate([b.const(0, "i64"), *pointers]):
            b.store(value, b.offset(slots, b.const(position, "i64"), "i64"), 8)
        b.emit(f"call void @{HOST_CALL}(ptr @{name}, ptr {slots.text}, ptr {self.symbols.text})")
        outcome = b.load(slots, "i64", align=8)
        self.note_refusal(b.compare("eq", outcome, b.const(0, "i64")), HOST_FAILED)

    def leave(self, body: Iterable[Statement]) -> None:
        """What `body` declared ends with it; another loop may declare the same."""
        for statement in body:
            match statement:
                case Let(variable, _):
                    self.values.pop(variable, None)
                case Allocate(buffer) if buffer.space == "register":
                    for key in [key for key in self.registers if key[0] is buffer]:
                        del self.registers[key]

    def note_refusal(self, mask: Value, status: int, *details: Value) -> None:
        """Report at the head of the workspace when `mask` holds in a lane that counts.

        The first report stays; what it tells of its lane follows the status.
        """
        b, lanes = self.b, self.lanes
        if lanes is not None and lanes.mask is not None and mask.lanes == lanes.count:
            mask = b.binary("and", mask, lanes.mask)
        self.program.refusing.add(self.kernel)
        refused, first, passed = b.fresh("refused"), b.fresh("first"), b.fresh("passed")
        b.branch_if(b.any(mask), refused, passed)
        b.label(refused)
        report = b.value(
            f"cmpxchg ptr {self.workspace.text}, i64 0, i64 {status} monotonic monotonic",
            "{ i64, i1 }",
        )
        b.branch_if(b.value(f"extractvalue {{ i64, i1 }} {report.text}, 1", "i1"), first, passed)
        b.label(first)
        lane = b.first(mask)
        for position, detail in enumerate(details, 1):
            place = b.offset(self.workspace, b.const(position, "i64"), "i64")
            b.store(b.extract_at(detail, lane), place, 8)
        b.branch(passed)
        b.label(passed)

    def stop_if_refused(self) -> None:
        """Return when a kernel has reported: what comes later might write what the caller sees."""
        b = self.b
        self.program.refusing.add(self.kernel)
        status = b.load(self.workspace, "i64")
        stop, passed = b.fresh("stop"), b.fresh("passed")
        b.branch_if(b.compare("ne", status, b.const(0, "i64")), stop, passed)
        b.label(stop)
        b.emit(f"ret i64 {status.text}" if b.signature.startswith("i64") else "ret void")
        b.label(passed)

    # Mutable state: variables and register elements, both called targets.

    def get(self, target: object) -> Parts:
        return self.values[target] if isinstance(target, Variable) else self.registers[target]

    def put(self, target: object, parts: Parts) -> None:
        if isinstance(target, Variable):
            self.values[target] = parts
            self.invalidate(target)
        else:
            self.registers[target] = parts
            self.invalidate(target[0])

    def set(self, target: Variable | Load, parts: Parts) -> None:
        self.put(target if isinstance(target, Variable) else self.register_key(target), parts)

    def per_lane(self, parts: Parts) -> Parts:
        """State declared inside a vector loop has a value for each lane."""
        self.here()
        count = self.lanes.count if self.lanes else 1
        return tuple([self.b.splat(part, count) for part in parts])

    def assign(self, variable: Variable, parts: Parts) -> None:
        inside = self.lanes and self.level[variable] >= self.level[self.lanes.index]
        self.set(variable, self.per_lane(parts) if inside else parts)

    def accumulate(self, target: Variable | Load, op: str, value: tensor.Expression) -> None:
        key = target if isinstance(target, Variable) else self.register_key(target)
        dtype = target.dtype
        factors = value.operands if _is_product(value, op) else None
        if factors:
            a, b = [self.emit(factor) for factor in factors]
            count = self.get(key)[0].lanes
            a, b = [
                self.widen(f, v, count) if v[0].lanes != count else v
                for f, v in zip(factors, (a, b))
            ]
            self.here()
            new = self.multiply_add(a, b, self.get(key))
        else:
            parts = self.emit(value)
            self.here()
            new = self.joined(op, dtype, self.get(key), parts)
        if self.lanes is not None and self.lanes.mask is not None and self.is_observed(target, key):
            old = self.get(key)
            if old[0].lanes > 1:
                new = tuple([self.b.select(self.lanes.mask, n, o) for n, o in zip(new, old)])
        self.put(key, new)

    def multiply_add(self, a: Parts, b: Parts, c: Parts) -> Parts:
        """`a * b + c` by fused operations, four of them for complex numbers."""
        fma = self.b.fma
        if len(c) == 1:
            return (fma(a[0], b[0], c[0]),)
        real = fma(self.b.unary("fneg", a[1]), b[1], fma(a[0], b[0], c[0]))
        return (real, fma(a[1], b[0], fma(a[0], b[1], c[1])))

    def is_observed(self, target: Variable | Load, key: object) -> bool:
        """Whether lanes that are masked off would be seen: joined later, or elements that exist."""
        if key in self.joined_later:
            return True
        if isinstance(target, Variable):
            return False
        extents = zip(target.indices, target.buffer.type.shape)
        return (self.lanes.index, self.lanes.end) not in extents

    def joined(self, op: str, dtype, a: Parts, b: Parts) -> Parts:
        lanes = max(a[0].lanes, b[0].lanes)
        values = [tuple([self.b.splat(v, lanes) for v in parts]) for parts in (a, b)]
        return self.combine(op, [dtype, dtype], dtype, values)

    def changed_in(self, body: Sequence[Statement]) -> tuple[list, dict, set]:
        """Targets alive now that `body` changes, the op that accumulates each, and buffers written."""
        targets: dict[object, None] = {}
        ops: dict[object, str] = {}
        written: set[Buffer] = set()
        registers: set[Buffer] = set()
        register_ops: dict[Buffer, str] = {}
        for statement in statements(body):
            match statement:
                case Assign(variable, _) if variable in self.values:
                    targets[variable] = None
                case Accumulate(Variable() as variable, op, _) if variable in self.values:
                    targets[variable] = None
                    ops[variable] = op
                case Accumulate(Load(buffer, _), op, _):
                    registers.add(buffer)
                    register_ops[buffer] = op
                case Store(buffer, _, _):
                    (registers if buffer.space == "register" else written).add(buffer)
                case Call(_, buffers):
                    written.update(buffers)
                case Extern():
                    written.update(address.buffer for address in statement.addresses)
        for key in self.registers:
            if key[0] in registers:
                targets[key] = None
                if key[0] in register_ops and "lanes" not in key:
                    ops[key] = register_ops[key[0]]
        return list(targets), ops, written

    # Loops.

    def for_loop(self, loop: For) -> None:
        start, stop = loop.start, loop.stop
        atoms, trips = linear(tensor.subtract(stop, start))
        if atoms:
            trips = None
        elif trips <= 0:
            return
        if loop.mark == "parallel":
            self.parallel(loop, trips)
        elif loop.mark == "unroll":
            if trips is None or not isinstance(start, Literal):
                raise IRError(f"an unrolled loop over {loop.index.name} needs a known extent")
            for value in range(start.value, stop.value):
                self.iteration(loop, value)
        elif loop.mark == "vector" and loop.lanes > 1:
            self.vector(loop, trips)
        elif trips == 1 and isinstance(start, Literal):
            self.iteration(loop, start.value)
        else:
            self.loop(
                loop.index, self.one(start), self.one(stop), 1, trips is not None, loop.body,
                lambda: self.body(loop.body),
            )  # fmt: skip

    def iteration(self, loop: For, value: int) -> None:
        with self.inlined() as depth:
            self.values[loop.index] = (self.b.const(value, "i64"),)
            self.constants[loop.index] = self.fixed[loop.index] = value
            self.level[loop.index] = depth
            self.body(loop.body)
            del self.constants[loop.index], self.fixed[loop.index]

    def loop(
        self,
        index: Index,
        start: Value,
        stop: Value,
        step: int,
        nonempty: bool,
        body: Sequence[Statement],
        inside: Callable[[], None],
    ) -> None:
        """A native loop; `inside` emits the body with `values[index]` bound to the counter."""
        b = self.b
        targets, _, written = self.changed_in(body)
        self.here()
        if not nonempty:
            guard = self.open_guard(start, stop)
        initial = {target: self.get(target) for target in targets}
        head = b.open(b.fresh("loop"))
        label = head.label
        self.scopes.append(Scope(head))
        depth = self.depth
        self.here()
        saved = self.raise_levels([*targets, *written], depth)
        phis: list[tuple[int, str, Value]] = []
        for target in targets:
            parts = []
            for part in initial[target]:
                parts.append(self.phi(part, phis))
            self.put(target, tuple(parts))
        counter = self.phi(start, phis)
        self.values[index] = (counter,)
        self.level[index] = depth
        inside()
        self.here()
        following = b.value(f"add nuw nsw i64 {counter.text}, {step}", "i64")
        more = b.compare("slt", following, stop)
        latch, exit_label = b.region.label, b.fresh("after")
        b.branch_if(more, label, exit_label)
        final = [part for target in targets for part in self.get(target)] + [following]
        before = self.scopes[-2].region
        before.lines.append(f"  br label %{label}")
        for (line, name, first), last in zip(phis, final):
            head.lines[line] = (
                f"  {name} = phi {first.type} [ {first.text}, %{before.label} ], "
                f"[ {last.text}, %{latch} ]"
            )
        self.scopes.pop()
        self.level.update(saved)
        for term in [*targets, *written]:
            self.invalidate(term[0] if isinstance(term, tuple) else term)
        self.move(b.open(exit_label))
        if not nonempty:
            self.close_guard(guard, targets, initial)

    def phi(self, first: Value, phis: list) -> Value:
        """Reserve a line at the head of the loop; it is written when the loop is closed."""
        name = f"%{self.b.fresh('p')}"
        phis.append((len(self.b.region.lines), name, first))
        self.b.region.lines.append("")
        return Value(name, first.kind, first.lanes)

    def raise_levels(self, terms: Iterable[object], depth: int) -> dict:
        saved = {}
        for term in terms:
            key = term[0] if isinstance(term, tuple) else term
            saved.setdefault(key, self.level.get(key, 0))
            self.level[key] = depth
        return saved

    def open_guard(self, start: Value, stop: Value) -> tuple:
        """Skip the loop when it is empty; nothing is read ahead of this test."""
        b = self.b
        outer = b.region
        some = b.compare("slt", start, stop)
        region = b.open(b.fresh("enter"))
        self.scopes.append(Scope(region))
        self.here()
        saved = self.raise_levels(list(self.pointers), self.depth)
        return outer, some, region.label, saved

    def close_guard(self, guard: tuple, targets: list, initial: dict) -> None:
        b = self.b
        outer, some, entered, saved = guard
        inner, join = b.region, b.fresh("join")
        b.branch(join)
        self.scopes.pop()
        self.level.update(saved)
        outer = self.scopes[-1].region
        outer.lines.append(f"  br i1 {some.text}, label %{entered}, label %{join}")
        self.move(b.open(join))
        for target in targets:
            merged = []
            for first, last in zip(initial[target], self.get(target)):
                text = (
                    f"phi {first.type} [ {first.text}, %{outer.label} ], "
                    f"[ {last.text}, %{inner.label} ]"
                )
                merged.append(b.value(text, first.kind, first.lanes))
            self.put(target, tuple(merged))

    # Vector loops.

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
            start = tensor.add(start, tensor.integer(full * lanes))
        if rest:
            while lanes // 2 >= rest:
                lanes //= 2
            mask = None
            if rest < lanes:
                mask = self.b.vector([lane < rest for lane in range(lanes)], "i1")
            self.in_lanes(loop, lanes, lambda: self.lane_iteration(loop, lanes, start, mask))

    def in_lanes(self, loop: For, count: int, emit: Callable[[], None]) -> None:
        """Emit vector code; variables from outside are accumulated per lane and joined at the end."""
        _, ops, _ = self.changed_in(loop.body)
        outer = {target: self.get(target) for target in ops}
        for target, op in ops.items():
            self.here()
            dtype = _dtype_of(target)
            neutral = self.literal(tensor.identity(op, dtype), dtype)
            self.put(target, tuple([self.b.splat(part, count) for part in neutral]))
        saved = self.raise_levels(ops, self.depth)
        self.joined_later = set(ops)
        emit()
        self.lanes = None
        for target, op in ops.items():
            self.here()
            dtype = _dtype_of(target)
            total = self.across(op, dtype, self.get(target))
            self.put(target, self.joined(op, dtype, outer[target], total))
        self.level.update(saved)

    def vector_full(self, loop: For, count: int, full: int) -> None:
        if full == 1:
            self.lane_iteration(loop, count, loop.start, None)
            return
        stop = tensor.add(loop.start, tensor.integer(full * count))
        self.lane_loop(loop, self.one(loop.start), self.one(stop), count, True)

    def lane_iteration(
        self, loop: For, count: int, base: tensor.Expression, mask: Value | None
    ) -> None:
        first = self.one(base)
        with self.inlined() as depth:
            self.level[loop.index] = depth
            end = loop.stop.value if isinstance(loop.stop, Literal) else None
            self.lanes = Lanes(loop.index, count, first, mask, base, end)
            if is_number(first.text):
                # One vector, and known which: its values are shared as those of constants are.
                self.fixed[loop.index] = (first.text, count, mask)
            self.body(loop.body)
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
            self.body(loop.body)

        self.loop(loop.index, start, stop, count, nonempty, loop.body, inside)
        self.lanes = None

    def lane_loop_overlapping(self, loop: For, count: int) -> None:
        start, stop, last = loop.start, loop.stop, tensor.subtract(loop.stop, tensor.integer(count))

        def inside() -> None:
            (counter,) = self.values[loop.index]
            base = self.b.intrinsic("smin", counter, final)
            self.values[loop.index] = (base,)
            # Of where vectors start nothing is known: their origin is wherever they are.
            self.lanes = Lanes(loop.index, count, base, None, loop.index)
            self.body(loop.body)

        final = self.one(last)
        self.loop(loop.index, self.one(start), self.one(stop), count, True, loop.body, inside)
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
            self.body(loop.body)

        self.loop(loop.index, start, stop, count, False, loop.body, inside)
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
        missing = b.binary("and", b.binary("sub", b.const(0, "i64"), past), b.const(each - 1, "i64"))
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

    # Threads.

    def parallel(self, loop: For, trips: int | None) -> None:
        """The body as a function of its own, called for each index by the thread pool."""
        if trips == 1 and isinstance(loop.start, Literal):
            self.iteration(loop, loop.start.value)
            return
        captured = self.captured_by(loop)
        name = self.program.outlined(self, loop, captured)
        b = self.b
        first = self.one(loop.start)
        stop = self.one(loop.stop)
        self.here()
        slots: list[Value] = [self.workspace, self.symbols, first]
        slots += [value for term in captured for value in self.captured_values(term)]
        context = self.stack_slot(f"[{len(slots)} x i64]", 8)
        self.here()
        for position, value in enumerate(slots):
            b.store(value, b.offset(context, b.const(position, "i64"), "i64"), 8)
        count = b.binary("sub", stop, first)
        runtime = self.program.parallel_for
        b.emit(
            f"call void @{runtime}(ptr @{name}, ptr {context.text}, i64 {count.text}, "
            f"i64 {self.program.max_threads})"
        )
        for statement in statements(loop.body):
            if isinstance(statement, Store):
                self.invalidate(statement.buffer)
            elif isinstance(statement, Extern):
                for address in statement.addresses:
                    self.invalidate(address.buffer)

    def captured_by(self, loop: For) -> list[object]:
        """Buffers, variables and outer indices the body reads, in a fixed order."""
        found: dict[object, None] = {}
        own: set[object] = set()
        for statement in statements((loop,)):
            for expression in tensor.expressions_of(statement):
                found.update(dict.fromkeys(expression.free))
            match statement:
                case For(index):
                    own.add(index)
                case Let(declared) | Allocate(declared):
                    own.add(declared)
                case Accumulate(target, _, _):
                    found.update(dict.fromkeys(target.free))
                case Store(buffer, _, _):
                    found[buffer] = None
                case Call(_, buffers):
                    found.update(dict.fromkeys(buffers))
                case Extern():
                    found.update({address.buffer: None for address in statement.addresses})
        return [
            term
            for term in sorted(found, key=lambda term: (type(term).__name__, term.name))
            if term not in own and (term in self.pointers or term in self.values)
        ]

    def captured_values(self, term: object) -> Parts:
        return (self.pointers[term],) if isinstance(term, Buffer) else self.values[term]

    def stack_slot(self, type: str, align: int) -> Value:
        """Memory in the function's frame; allocated at its entry, once."""
        entry = self.b._regions[0]
        name = f"%{self.b.fresh('s')}"
        entry.lines.insert(1, f"  {name} = alloca {type}, align {align}")
        return Value(name, "ptr")

    # Memory.

    def allocate(self, buffer: Buffer) -> None:
        if buffer.space == "register":
            self.level[buffer] = self.depth
            return
        size = prod(buffer.type.shape) * buffer.type.dtype.itemsize
        offset = self.program.offset_of(self.kernel, buffer)
        if offset is None:
            self.pointers[buffer] = self.stack_slot(f"[{max(size, 1)} x i8]", 64)
            return
        self.here()
        position, stride = offset
        place = tensor.extent(position)
        if stride is not None:
            index, step = stride
            place = tensor.add(place, tensor.multiply(index, tensor.extent(step)))
        self.pointers[buffer] = self.b.offset(self.workspace, self.one(place), "i8")
        self.level["pointer", buffer] = self.depth
        self.level.setdefault(buffer, self.depth)


def _is_one_vector(loop: For, count: int) -> bool:
    """Whether a loop of unknown extent has one vector at the most."""
    match tensor.subtract(loop.stop, loop.start):
        case tensor.Apply("minimum", (_, Literal(most))) if most <= count:
            return True
    return False


def _dtype_of(target: object) -> DType:
    return target.dtype if isinstance(target, Variable) else target[0].type.dtype


def _is_product(value: tensor.Expression, op: str) -> bool:
    return (
        op == "add"
        and isinstance(value, tensor.Apply)
        and value.op == "multiply"
        and value.dtype.real.name in ("f32", "f64")
    )
