"""Where values live: the entry becomes a Kernel that calls kernels on buffers, and buffers get places.

A reshape of something in memory is the same memory. Buffers of the entry share one arena; a buffer's
place is free again after the last call that touches it. Kernels' own local buffers follow the
arena, and since calls come one after the other, all kernels use the same stretch; one allocated
inside a parallel loop has a slot for each iteration, or is on the thread's stack when it is small.
"""

from __future__ import annotations

from math import prod
from typing import Any, NamedTuple

from ...errors import IRError
from ...ir.graph import Function, Kernel, Module, Node, call, item, parameter
from ...ir.tensor import (
    ZERO,
    Allocate,
    Apply,
    Buffer,
    Call,
    For,
    Index,
    Literal,
    Statement,
)
from .cost import trips
from .loops import contiguous, lower_function

ALIGNMENT = 64
# The workspace begins with a word that kernels set when something failed.
STATUS_BYTES = 64
STACK_LIMIT = 32 * 1024


def plan_memory(module: Module) -> Module:
    """Turn the entry from a graph of calls into a Kernel of Calls."""
    if isinstance(module.entry, Kernel):
        return module
    return Module(_Planner(module.entry).run())


class _Planner:
    def __init__(self, function: Function):
        self.function = function
        self.inputs = [Buffer(p.attrs["name"], p.type, "argument") for p in function.parameters]
        self.outputs = [
            Buffer(f"out{k}", contiguous(result.type), "argument")
            for k, result in enumerate(function.results)
        ]
        self.memory: dict[Node, Buffer] = dict(zip(function.parameters, self.inputs))
        self.claims: dict[Node, Buffer] = {}
        self.body: list[Statement] = []

    def run(self) -> Kernel:
        copies = []
        for result, buffer in zip(self.function.results, self.outputs):
            base = _memory_of(result)
            if base.op.name == "parameter" or base in self.claims:
                copies.append((result, buffer))
            else:
                self.claims[base] = buffer
        for node in self.function.nodes:
            if node.op is call:
                self.call(node)
        for result, buffer in copies:
            source = self.memory[_memory_of(result)]
            self.copy(result, source, buffer)
        parameters = (*self.inputs, *self.outputs)
        return Kernel(self.function.name, parameters, len(self.outputs), tuple(self.body))

    def call(self, node: Node) -> None:
        kernel = node.attrs["callee"]
        if not isinstance(kernel, Kernel):
            raise IRError(f"{kernel!r} is not lowered to a Kernel yet")
        sources = [self.memory[_memory_of(operand)] for operand in node.operands]
        targets = []
        values = [node]
        if len(kernel.outputs) > 1:
            values = [item(node, index=k) for k in range(len(kernel.outputs))]
        for value, output in zip(values, kernel.outputs):
            buffer = self.claims.get(value)
            if buffer is None:
                buffer = Buffer(f"t{len(self.memory)}", output.type, "local")
                self.body.append(Allocate(buffer))
            self.memory[value] = buffer
            targets.append(buffer)
        self.body.append(Call(kernel, (*sources, *targets)))

    def copy(self, result: Node, source: Buffer, target: Buffer) -> None:
        """A result that is an argument, or another result, in memory of its own."""
        from_type = source.type
        if from_type.layout is None:
            from_type = contiguous(result.type)

        node = parameter("a0", from_type)
        self.body.append(Call(lower_function(Function("copy", (node,), (node,))), (source, target)))


def _memory_of(node: Node) -> Node:
    """The value whose memory `node` is."""
    while node.op.name == "reshape":
        (node,) = node.operands
    if node.op.name != "parameter" and node.op not in (call, item):
        raise IRError(f"{node!r} is left in the entry, but nothing computes it")
    return node


class Layout(NamedTuple):
    """Places in the workspace: `(offset, None)`, or `(offset, (index, step))` for one per index.

    `workspace_bytes` is 0 when nothing has a place.
    """

    places: dict[tuple[Kernel, Buffer], Any]
    workspace_bytes: Any

    def offset_of(self, kernel: Kernel, buffer: Buffer) -> Any:
        """None: on the stack."""
        return self.places[kernel, buffer]


def layout(entry: Kernel) -> Layout:
    """Give every local buffer of the entry and of the kernels it calls a place."""
    places: dict[tuple[Kernel, Buffer], Any] = {}
    arena = _place_entry(entry, places)
    most = arena
    for kernel in _callees(entry):
        end = _place_locals(kernel, kernel.body, arena, None, places)
        if isinstance(end, int) and isinstance(most, int):
            most = max(most, end)
        elif end != arena:
            # Unknown sizes cannot be compared: each such kernel has a stretch of its own.
            most = _place_locals(kernel, kernel.body, most, None, places)
    return Layout(places, 0 if most == STATUS_BYTES else most)


def _callees(entry: Kernel) -> list[Kernel]:
    found: dict[Kernel, None] = {}
    pending = list(entry.callees)
    while pending:
        kernel = pending.pop()
        if kernel not in found:
            found[kernel] = None
            pending.extend(kernel.callees)
    return list(found)


def _bytes(buffer: Buffer) -> Any:
    size = prod(buffer.type.shape) * buffer.type.dtype.itemsize
    return (size + (ALIGNMENT - 1)) // ALIGNMENT * ALIGNMENT


def _place_entry(entry: Kernel, places: dict) -> Any:
    """First fit: each buffer goes to the lowest place that is free from its first to its last use."""
    last: dict[Buffer, int] = {}
    for position, statement in enumerate(entry.body):
        if isinstance(statement, Call):
            for buffer in statement.buffers:
                last[buffer] = position
    if any(isinstance(s, For) for s in entry.body):
        return _place_locals(entry, entry.body, STATUS_BYTES, None, places)
    live: list[tuple[Any, Any, int]] = []
    end: Any = STATUS_BYTES
    for position, statement in enumerate(entry.body):
        if not isinstance(statement, Allocate):
            continue
        size = _bytes(statement.buffer)
        if not isinstance(size, int) or not isinstance(end, int):
            places[entry, statement.buffer] = (end, None)
            end = end + size
            continue
        live = sorted(block for block in live if block[2] > position)
        offset = STATUS_BYTES
        for start, stop, _ in live:
            if offset + size <= start:
                break
            offset = max(offset, stop)
        places[entry, statement.buffer] = (offset, None)
        live.append((offset, offset + size, last.get(statement.buffer, position)))
        end = max(end, offset + size)
    return end


def _place_locals(kernel: Kernel, body, offset: Any, parallel: For | None, places: dict) -> Any:
    """Place the local buffers below `body` from `offset` on; returns the end."""
    for statement in body:
        if isinstance(statement, For):
            inside = statement if statement.mark == "parallel" and not parallel else parallel
            offset = _place_locals(kernel, statement.body, offset, inside, places)
        elif isinstance(statement, Allocate) and statement.buffer.space == "local":
            size = _bytes(statement.buffer)
            if parallel is None:
                places[kernel, statement.buffer] = (offset, None)
                offset = offset + size
            elif isinstance(size, int) and size <= STACK_LIMIT:
                places[kernel, statement.buffer] = None
            else:
                count = _most_trips(parallel)
                if count is None:
                    raise IRError(f"{statement.buffer} in a parallel loop of unknown extent")
                index: Index = parallel.index
                places[kernel, statement.buffer] = (offset, (index, size))
                offset = offset + size * count
    return offset


def _most_trips(loop: For) -> int | None:
    """An upper bound of how often the body runs, when there is one."""
    count = trips(loop)
    if count is None and loop.start is ZERO:
        match loop.stop:
            case Apply("minimum", (_, Literal(bound)), _):
                return bound
    return count
