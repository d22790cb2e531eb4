"""Statements in LLVM: each in turn, calls of other functions, refusals, regions for threads."""

from __future__ import annotations

from collections.abc import Iterable
from math import prod
from typing import Any

from ...ir import expressions, tensor
from ...ir.foreign import POLL, foreign, polls_in
from ...ir.host import HostFunction
from ...ir.numpy_random import BY_SYMBOL
from ...ir.tensor import (
    Accumulate,
    Address,
    Allocate,
    Assign,
    Break,
    Buffer,
    Call,
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
    has_control,
    statements,
)
from ..tensor.arena import slots_of
from ..tensor.cost import nanoseconds_of_iteration
from .access import CACHE_LINE
from .builder import Builder, Value
from .draws import draw_one, draws_one
from .foreign import call_loop
from .frame import Parts
from .lanes import LaneLoops

STACK_LIMIT = 32 * 1024
# `void tj_host_call(ptr site, ptr slots, ptr symbols)` runs a Python function (runtime/host.py).
HOST_CALL = "tj_host_call"
# The status after a Python function failed; the runtime knows how.
HOST_FAILED = 255


class Emitter(LaneLoops):
    """Emits statements of one function; `program` (a program.Program) has the other functions."""

    def __init__(self, program: Any, kernel: Kernel, builder: Builder):
        super().__init__(builder)
        self.program, self.kernel = program, kernel
        self.workspace = Value("%workspace", "ptr")
        self.thread: Value | None = None  # which of a parallel loop's it is
        self.symbols = Value("%symbols", "ptr")
        builder.on_refusal = self.note_refusal
        # Whether it does things in NumPy's order, so that nothing may come after a refusal, and
        # whether lanes have gone on after one.
        names = [s for s in statements(kernel.body) if isinstance(s, Let)]
        is_scope = any(isinstance(s.variable, Index) for s in names)
        self.is_in_order = is_scope or has_control(kernel.body)
        self.may_have_refused = False

    def body(self, body: Iterable[Statement]) -> None:
        self.each(body)
        self.leave(body)

    def each(self, body: Iterable[Statement]) -> None:
        """The statements, while what they declare is still there."""
        for statement in body:
            match statement:
                case For():
                    self.for_loop(statement)
                    if self.may_have_refused and self.lanes is None:
                        self.here()
                        self.stop_if_refused()
                case If():
                    self.choose(statement)
                case Break(condition):
                    self.leaving = self.everywhere(self.one(condition))
                case Let(Index() as index, value):
                    self.values[index] = self.emit(value)
                    self.level[index] = self.depth
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
                case Extern(symbol) if symbol == POLL:
                    self.poll()
                case Extern():
                    self.extern(statement)

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
        known = foreign(statement.symbol)
        if isinstance(statement.symbol, HostFunction):
            self.call_host(statement, values)
        elif known is not None and known.loop is not None:
            call_loop(self, statement.symbol, known, values)
        elif _draws_one(statement):
            draw_one(self, BY_SYMBOL[statement.symbol], values)
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
        extents = statement.extents
        symbols = self.stack_slot(f"[{max(len(extents), 1)} x i64]", 8)
        for position, extent in enumerate(extents):
            b.store(self.one(Index(extent)), b.offset(symbols, b.const(position, "i64"), "i64"), 8)
        b.emit(f"call void @{HOST_CALL}(ptr @{name}, ptr {slots.text}, ptr {symbols.text})")
        outcome = b.load(slots, "i64", align=8)
        self.note_refusal(b.compare("eq", outcome, b.const(0, "i64")), HOST_FAILED)

    def poll(self) -> None:
        """Let signal handlers run, and end here if one raised, or another thread has reported."""
        b, program = self.b, self.program
        self.here()
        program.refusing.add(self.kernel)
        program.module.declare("i64", "tj_poll", ["ptr", "i64"])
        program.module.externals.add("tj_poll")
        thread = self.thread or b.const(0, "i64")
        asked = f"call i64 @tj_poll(ptr {self.workspace.text}, i64 {thread.text})"
        self.stop_if(b.value(asked, "i64"))

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
        b.branch_if(b.any(mask), refused, passed, b.usually(False))
        b.label(refused)
        report = b.value(
            f"cmpxchg ptr {self.workspace.text}, i64 0, i64 {status} monotonic monotonic",
            "{ i64, i1 }",
        )
        is_first = b.value(f"extractvalue {{ i64, i1 }} {report.text}, 1", "i1")
        after = b.fresh("stop") if self.is_in_order and lanes is None else passed
        self.may_have_refused = self.may_have_refused or self.is_in_order and lanes is not None
        b.branch_if(is_first, first, after)
        b.label(first)
        lane = b.first(mask)
        for position, detail in enumerate(details, 1):
            place = b.offset(self.workspace, b.const(position, "i64"), "i64")
            b.store(b.extract_at(detail, lane), place, 8)
        b.branch(after)
        if after is not passed:
            b.label(after)
            self.leave_function(status)
        b.label(passed)

    def leave_function(self, status: object) -> None:
        """Return from the middle of everything."""
        self.b.emit(f"ret i64 {status}" if self.b.signature.startswith("i64") else "ret void")

    def stop_if_refused(self) -> None:
        """Return when a kernel has reported: what comes later might write what the caller sees."""
        self.program.refusing.add(self.kernel)
        self.stop_if(self.b.load(self.workspace, "i64"))
        self.may_have_refused = False

    def stop_if(self, status: Value) -> None:
        """Return where the status is not 0."""
        b = self.b
        stop, passed = b.fresh("stop"), b.fresh("passed")
        b.branch_if(b.compare("ne", status, b.const(0, "i64")), stop, passed, b.usually(False))
        b.label(stop)
        self.leave_function(status.text)
        b.label(passed)

    # Threads.

    def parallel(self, loop: For, trips: int | None) -> None:
        """The body as a function of its own, called for each index by the thread pool."""
        if trips == 1 and isinstance(loop.start, Literal):
            self.iteration(loop, loop.start.value)
            return
        name, context = self.outlined(loop)
        b = self.b
        count = b.binary("sub", self.one(loop.stop), self.one(loop.start))
        polls = polls_in(loop.body)
        runtime, most = "tj_parallel_for" + ("_polling" if polls else ""), self.program.max_threads
        inside = [s.buffer for s in statements((loop,)) if isinstance(s, Allocate)]
        if any(self.home_of(buffer)[1] is not None for buffer in inside):
            most = slots_of(loop, self.program.slots)
        self.program.module.externals.add(runtime)
        self.program.module.declare("void", runtime, ["ptr", "ptr", "i64", "i64", "i64"])
        each = nanoseconds_of_iteration(loop, self.program.vector_bytes)
        told = f"ptr @{name}, ptr {context.text}, i64 {count.text}, i64 {most}, i64 {each}"
        b.emit(f"call void @{runtime}({told})")
        self.forget_stored(loop)
        if polls:
            self.stop_if_refused()

    def apart(self, loop: For, trips: int | None) -> None:
        """The body as a function that is never inlined: what is around it keeps its registers."""
        name, context = self.outlined(loop)
        first, last = self.one(loop.start), self.one(loop.stop)
        polls = polls_in(loop.body)

        def inside() -> None:
            (at,) = self.values[loop.index]
            count = self.b.binary("sub", at, first)
            thread = self.thread.text if self.thread else "0"
            told = f"ptr {context.text}, i64 {count.text}, i64 {thread}"
            self.b.emit(f"call void @{name}({told}) noinline")
            if polls:
                self.stop_if_refused()

        self.loop(loop.index, first, last, 1, trips is not None, loop.body, inside)
        self.forget_stored(loop)

    def outlined(self, loop: For) -> tuple[str, Value]:
        """A function for the body, by the number of the iteration, and what it is told."""
        captured = self.captured_by(loop)
        name = self.program.outlined(self, loop, captured)
        b = self.b
        first = self.one(loop.start)
        self.here()
        slots = [self.workspace, self.symbols, first, self.thread or b.const(0, "i64")]
        slots += [value for term in captured for value in self.captured_values(term)]
        context = self.stack_slot(f"[{len(slots)} x i64]", 8)
        self.here()
        for position, value in enumerate(slots):
            b.store(value, b.offset(context, b.const(position, "i64"), "i64"), 8)
        return name, context

    def forget_stored(self, loop: For) -> None:
        """What a body elsewhere has written is no longer what was read before."""
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
        buffers = [term for term in found if isinstance(term, Buffer)]
        strides = [expressions.extent(step) for buffer in buffers for step in buffer.type.strides]
        named = dict.fromkeys([index for step in strides for index in step.free])
        found.update({i: None for i in named if i.name not in self.program.symbols})
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

    def home_of(self, buffer: Buffer) -> tuple[object, object]:
        """Where in the workspace, and how far apart for each thread; None: on the stack."""
        if buffer.space == "register":
            return None, None
        return self.program.offset_of(self.kernel, buffer) or (None, None)

    def allocate(self, buffer: Buffer) -> None:
        if buffer.space == "register":
            self.level[buffer] = self.depth
            return
        size = prod(buffer.type.shape) * buffer.type.dtype.itemsize
        position, step = self.home_of(buffer)
        if position is None:
            self.pointers[buffer] = self.stack_slot(f"[{max(size, 1)} x i8]", 64)
            return
        self.here()
        place = self.one(expressions.extent(position))
        if step is not None and self.thread:
            own = self.b.binary("mul", self.thread, self.one(expressions.extent(step)))
            place = self.b.binary("add", place, own)
        self.pointers[buffer] = self.b.offset(self.workspace, place, "i8")
        self.level["pointer", buffer] = self.depth
        self.level.setdefault(buffer, self.depth)


def _draws_one(statement: Extern) -> bool:
    distribution = BY_SYMBOL.get(statement.symbol)
    is_single = distribution is not None and statement.arguments[4] is expressions.integer(1)
    return is_single and draws_one(distribution)
