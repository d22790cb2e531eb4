"""Where values live: the entry becomes a Kernel that calls kernels on buffers.

A reshape of something in memory is the same memory. A call that updates a value destroys it, so
calls get an order in which whoever else reads the value comes first. Where that cannot be, or where
the memory is not the program's to change, the value is copied and the copy is updated.

A result is computed right where it belongs, in memory of its own or in that of the updated
parameter, if nobody needs what is there now; else it is moved there at the end.

Bodies of control flow are planned in the same way, and called by the Kernels of their loops. What is done
once is kept: its memory is nobody else's.

A refused index leaves behind what NumPy would leave: before a call that writes memory of the caller,
its indices are checked, and those of later calls that do not follow from it. Where they cannot be
known so early, a copy is written, and moved to the caller at the end.
"""

from __future__ import annotations

from functools import partial

from ...errors import IRError
from ...ir.graph import Function, Kernel, Module, Node, call, call_results, item, parameter
from ...ir.tensor import (
    ARGUMENT,
    UPDATED,
    Allocate,
    Buffer,
    Call,
    For,
    Statement,
)
from ...ir.types import ArrayType
from ..graph.layouts import CONTROL_FLOW
from ..graph.order import Dependents, readers_first, readers_of
from .checks import checks_of, may_miss, may_refuse
from .control import lower_control
from .in_place import merged_in_place, with_buffer
from .kept import KEPT
from .loops import contiguous, lower_function, parameter_buffer


def plan_memory(module: Module) -> Module:
    """Turn the entry, and the bodies of control flow in it, from graphs of calls into Kernels of Calls."""
    if isinstance(module.entry, Kernel):
        return module
    return Module(_planned(module.entry))


def _planned(function: Function, is_body: bool = False) -> Kernel:
    function, once = _without_control(function)
    return _Planner(function, is_body, once).run()


def _without_control(function: Function) -> tuple[Function, set[Node]]:
    """The same function, which calls Kernels for its loops, branches and scopes; and the calls to make once."""
    if not any(node.op in CONTROL_FLOW for node in function.nodes):
        return function, set()
    once: set[Node] = set()
    new: dict[Node, Node] = {}
    results: dict[Node, tuple[Node, ...]] = {}
    for node in function.nodes:
        operands = tuple([new.get(operand, operand) for operand in node.operands])
        if node.op in CONTROL_FLOW:
            kernel, order = lower_control(node, partial(_planned, is_body=True))
            outputs = call_results(kernel, *operands)
            if node.attrs.get("once"):
                first = outputs[0]
                once.add(first if first.op is call else first.operands[0])
            results[node] = tuple([outputs[k] for k in order])
            new[node] = outputs[0]
        elif node.op is item and node.operands[0] in results:
            new[node] = results[node.operands[0]][node.attrs["index"]]
        else:
            new[node] = Node(node.op, operands, node.attributes)
    return function.replace(results=tuple([new[result] for result in function.results])), once


class _Planner:
    def __init__(self, function: Function, is_body: bool, once: set[Node]):
        self.function, self.is_body, self.once = function, is_body, once
        self.inputs = [parameter_buffer(p) for p in function.parameters]
        count = len(function.updated)
        self.outputs = [
            Buffer(f"out{k}", contiguous(result.type), ARGUMENT)
            for k, result in enumerate(function.results[count:])
        ]
        self.order = call_order(function, is_body)
        self.refusing: list[int] = []
        if function.updated and not is_body:
            found = enumerate(self.order)
            self.refusing = [k for k, node in found if may_refuse(node.attrs["callee"])]
        self.below = Dependents(function.nodes, self.order if self.refusing else ())
        self.memory: dict[Node, Buffer] = dict(zip(function.parameters, self.inputs))
        # Which value is in a buffer now.
        self.occupant: dict[Buffer, Node] = {b: p for p, b in self.memory.items()}
        self.position = {node: position for position, node in enumerate(self.order)}
        self.last = self.last_reads()
        homes = [self.memory[p] for p in function.updated]
        self.places = [*zip(function.results, [*homes, *self.outputs])]
        # Where a value is best computed: where the result is to be that it is updated to.
        self.wanted: dict[Node, Buffer] = {}
        for result, buffer in self.places:
            for value in updates_of(result):
                self.wanted.setdefault(value, buffer)
        latest = {buffer: value for value, buffer in self.wanted.items()}
        for buffer in self.outputs if not is_body else ():
            self.want_in_place(latest.get(buffer), buffer)
        self.body: list[Statement] = []
        self.count = 0  # of the buffers that it has made
        # Calls whose indices were checked ahead.
        self.checked: set[Node] = set()

    def last_reads(self) -> dict[Node, int]:
        """The position of the call that reads each value last; results are read at the end."""
        last: dict[Node, int] = {}
        for position, node in enumerate(self.order):
            last |= dict.fromkeys([memory_of(operand) for operand in node.operands], position)
        return last | {memory_of(result): len(self.order) for result in self.function.results}

    def want_in_place(self, value: Node | None, buffer: Buffer) -> None:
        """Let what a result is made of, element by element, be where the result will take its place."""
        while value is not None:
            value = self.replaced_by(value)
            if value is not None:
                self.wanted[value] = buffer

    def replaced_by(self, value: Node) -> Node | None:
        """A value that nobody needs once `value` is made of it, in its memory."""
        node = value if value.op is call else value.operands[0]
        kernel, position = node.attrs["callee"], self.position[node]
        if node in self.once or not isinstance(kernel, Kernel):
            return None
        own = kernel.outputs[0 if value is node else value.attrs["index"]]
        sources = [memory_of(operand) for operand in node.operands]
        for k, source in enumerate(sources):
            is_made = source.op in (call, item) and source not in self.wanted
            is_last = self.last[source] == position and sources.count(source) == 1
            if is_made and is_last and merged_in_place(kernel, k, own) is not None:
                return source
        return None

    def run(self) -> Kernel:
        for position, node in enumerate(self.order):
            self.call(position, node)
        self.move_results()
        parameters = (*self.inputs, *self.outputs)
        return Kernel(self.function.name, parameters, len(self.outputs), tuple(self.body))

    def call(self, position: int, node: Node) -> None:
        kernel = node.attrs["callee"]
        if not isinstance(kernel, Kernel):
            raise IRError(f"{kernel!r} is not lowered to a Kernel yet")
        results = results_of(node)
        if self.is_body:
            if may_refuse(kernel) and not runs_in_order(kernel):
                self.check_ahead([node])
        elif any(self.wanted.get(result) in self.inputs for result in results):
            later = [self.order[k] for k in self.refusing if k >= position]
            self.check_ahead([call for call in later if not self.below.depends(call, node)])
        elif may_miss(kernel):
            self.check_ahead([node])
        buffers = [self.memory[memory_of(operand)] for operand in node.operands]
        outputs = iter(results)
        for k, own in enumerate(kernel.inputs):
            if own.space == UPDATED:
                result = next(outputs)
                if not self.may_destroy(node, k, result, position):
                    buffers[k] = self.copied(buffers[k], own.type, result, position)
                self.put(result, buffers[k])
        for result, own in zip(outputs, kernel.fresh):
            if node in self.once:
                buffers.append(self.put(result, self.local(own.type, KEPT)))
                continue
            buffer = self.place_for(result, position)
            if buffer in buffers:
                once = buffers.count(buffer) == 1
                merged = merged_in_place(kernel, buffers.index(buffer), own) if once else None
                if merged is not None:
                    kernel = merged
                    self.put(result, buffer)
                    continue
                buffer = None
            buffers.append(self.put(result, buffer or self.local(own.type)))
        self.body.append(Call(kernel, tuple(buffers)))

    def check_ahead(self, nodes: list[Node]) -> None:
        """Check the indices of these calls that are known by now, before anything is written."""
        for node in nodes:
            kernel = node.attrs["callee"]
            checks = checks_of(kernel) if node not in self.checked else None
            if checks is None:
                continue
            names = {buffer.name for buffer in checks.parameters}
            needed = [memory_of(o) for o, b in zip(node.operands, kernel.inputs) if b.name in names]
            buffers = [self.memory.get(value) for value in needed]
            if all(self.occupant.get(b) is value for b, value in zip(buffers, needed)):
                self.body.append(Call(checks, tuple(buffers)))
                self.checked.add(node)

    def may_destroy(self, node: Node, operand: int, result: Node, position: int) -> bool:
        """Whether a call may update an operand where it is."""
        value = memory_of(node.operands[operand])
        buffer = self.memory[value]
        wanted = self.wanted.get(result)
        if buffer.space == KEPT:
            return False
        if buffer in self.inputs and (buffer.space != UPDATED or wanted not in (None, buffer)):
            return False
        if buffer in self.inputs and not self.may_be_seen(position):
            return False
        is_only_use = sum(memory_of(o) is value for o in node.operands) == 1
        is_free = self.occupant[buffer] is value and self.last[value] <= position
        return is_only_use and is_free and buffer.type.layout is None

    def may_be_seen(self, position: int) -> bool:
        """Whether a call may write to the caller's memory, as no error can come that NumPy would raise
        before: one of itself, or of a later call that does not follow from it."""
        node = self.order[position]
        in_order = runs_in_order(node.attrs["callee"])

        def is_harmless(other: Node) -> bool:
            follows = self.below.depends(other, node)
            return follows or other in self.checked or in_order and other is node

        return all(is_harmless(self.order[k]) for k in self.refusing if k >= position)

    def place_for(self, value: Node, position: int) -> Buffer | None:
        """Where a value belongs, if what is there now is needed by no later call, and lies in order."""
        buffer = self.wanted.get(value)
        if buffer is None or buffer.type.layout is not None:
            return None
        if buffer in self.inputs and not self.may_be_seen(position):
            return None
        occupant = self.occupant.get(buffer)
        return buffer if occupant is None or self.last.get(occupant, -1) <= position else None

    def copied(self, source: Buffer, type: ArrayType, result: Node, position: int) -> Buffer:
        """A copy of a value, to be updated to `result`."""
        target = self.place_for(result, position)
        # The call, which comes after, may read what would be copied over.
        is_read = target is not None and self.last.get(self.occupant.get(target)) == position
        if target is None or target is source or is_read:
            target = self.local(type)
        self.copy(source, target)
        return target

    def put(self, value: Node, buffer: Buffer) -> Buffer:
        self.memory[value], self.occupant[buffer] = buffer, value
        return buffer

    def local(self, type: ArrayType, space: str = "local") -> Buffer:
        buffer = Buffer(f"t{self.count}", contiguous(type), space)
        self.count += 1
        self.body.append(Allocate(buffer))
        return buffer

    def copy(self, source: Buffer, target: Buffer) -> None:
        """The same values in other memory, which may be laid out in another way."""
        from_type = source.type
        if from_type.layout is None:
            from_type = contiguous(target.type)
        node = parameter("a0", from_type)
        kernel = lower_function(Function("copy", (node,), (node,)))
        if target.type.layout is not None:
            own = Buffer("out0", target.type, ARGUMENT)
            kernel = kernel.replace(
                parameters=(*kernel.inputs, own),
                body=with_buffer(kernel.body, kernel.fresh[0], own),
            )
        self.body.append(Call(kernel, (source, target)))

    def move_results(self) -> None:
        """Bring every result to its place; what stands where another goes is saved first."""
        moves = [(self.memory[memory_of(result)], place) for result, place in self.places]
        moves = [(source, target) for source, target in moves if source is not target]
        targets = {target for _, target in moves}
        saved: dict[Buffer, Buffer] = {}
        for source, _ in moves:
            if source in targets and source not in saved:
                saved[source] = self.local(source.type)
                self.copy(source, saved[source])
        for source, target in moves:
            self.copy(saved.get(source, source), target)


def memory_of(node: Node) -> Node:
    """The value whose memory `node` is."""
    while node.op.name == "reshape":
        (node,) = node.operands
    if node.op.name != "parameter" and node.op not in (call, item):
        raise IRError(f"{node!r} is left in the entry, but nothing computes it")
    return node


def results_of(node: Node) -> list[Node]:
    """The values a call gives, one for each output of its Kernel."""
    count = len(node.attrs["callee"].outputs)
    return [item(node, index=k) for k in range(count)] if count > 1 else [node]


def updated_operands(node: Node) -> list[Node]:
    """The operands that a call updates."""
    inputs = node.attrs["callee"].inputs
    return [o for o, buffer in zip(node.operands, inputs) if buffer.space == UPDATED]


def updates_of(value: Node) -> list[Node]:
    """A value, and those it was updated from, latest first."""
    found = []
    value = memory_of(value)
    while value.op in (call, item):
        found.append(value)
        source, index = (
            (value, 0) if value.op is call else (value.operands[0], value.attrs["index"])
        )
        updated = updated_operands(source)
        if index >= len(updated):
            break
        value = memory_of(updated[index])
    return found


def runs_in_order(kernel: Kernel) -> bool:
    """Whether a kernel does things in NumPy's own order: one after the other, without loops over arrays."""
    return bool(kernel.callees) or not any(isinstance(s, For) for s in kernel.body)


def call_order(function: Function, is_body: bool = False) -> list[Node]:
    """The calls of an entry, operands first, what updates a value after all who read it.

    Where memory of the caller's is updated, what may be refused comes as early as it can; not in the
    body of a loop, whose other iterations have written before.
    """
    nodes = [node for node in function.nodes if node.op.name != "parameter"]
    if function.updated and not is_body:
        nodes = _refused_first(nodes)
    users: dict[Node, list[Node]] = {}
    overwrites: dict[Node, list[Node]] = {}
    for node in nodes:
        updated = updated_operands(node) if node.op is call else []
        if updated:
            overwrites[node] = [memory_of(operand) for operand in updated]
        for operand in node.operands:
            if operand not in updated:
                users.setdefault(operand, []).append(node)
    if overwrites:
        values = {value for found in overwrites.values() for value in found}
        readers = {v: readers_of(v, users, lambda node: node.op is not call)[0] for v in values}
        nodes = readers_first(nodes, overwrites, readers)
    return [node for node in nodes if node.op is call]


def _refused_first(nodes: list[Node]) -> list[Node]:
    """The same nodes: those that may be refused with all they need, then the others."""
    needed: set[Node] = set()
    for node in reversed(nodes):
        if node in needed or (node.op is call and may_refuse(node.attrs["callee"])):
            needed |= {node, *node.operands}
    return [n for n in nodes if n in needed] + [n for n in nodes if n not in needed]
