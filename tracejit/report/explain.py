"""What a function was compiled to, in words: its kernels, what each fuses, reads and writes."""

from __future__ import annotations

from collections import Counter
from math import prod

from ..ir.graph import Function, Kernel, Module
from ..ir.op import OPS
from ..ir.tensor import Allocate, Apply, Buffer, Call, For, Load, parts, statements
from ..ir.term import location_of, postorder
from ..ir.verify import Stage
from ..lower.tensor.cost import body_cost, expressions, seconds


def explain(stages: dict[Stage, Module], vector_bytes: int) -> str:
    """A paragraph for each kernel of the program, in the order they run, and a total."""
    entry = stages[Stage.SCHEDULED].entry
    fused = {f.name: f for f in stages[Stage.FUSED].functions if isinstance(f, Function)}
    traced = [n for n in stages[Stage.TRACED].entry.nodes if n.op.kind not in ("control", "opaque")]
    calls = [statement for statement in entry.body if isinstance(statement, Call)]
    lines = [f"{entry.name}: {len(traced)} operations in {len(calls)} kernel calls"]
    for number, call in enumerate(calls, 1):
        kernel = call.kernel
        lines += [f"{number}. {kernel.name}{_signature(call)}", f"   {_work(kernel, fused)}"]
        lines.append(f"   {_loops(kernel)}; {_estimate(kernel, vector_bytes)}")
    local = sum(_bytes(s.buffer) for s in entry.body if isinstance(s, Allocate))
    if local:
        lines.append(f"intermediate arrays between kernels: {_size(local)}")
    lines += python_calls(stages[Stage.TRACED].entry)
    return "\n".join(lines)


def python_calls(function: Function | Kernel) -> list[str]:
    """A line for each call of a function through Python, with the user's line that makes it."""
    if isinstance(function, Kernel):
        return []
    calls = [node for node in function.nodes if node.op is OPS["host_call"]]
    return [
        f"through Python, not compiled: {node.attrs['function'].name} at {location_of(node)}"
        for node in calls
    ]


def _signature(call: Call) -> str:
    inputs = len(call.kernel.inputs)
    reads = ", ".join(f"{b.name}: {b.type}" for b in call.buffers[:inputs])
    writes = ", ".join(f"{b.name}: {b.type}" for b in call.buffers[inputs:])
    return f"({reads}) -> {writes}"


def _work(kernel: Kernel, fused: dict[str, Function]) -> str:
    function = fused.get(kernel.name)
    if function is None:
        return "copies memory"
    for node in function.nodes:
        if node.op is OPS["host_call"]:
            return f"calls {node.attrs['function'].name} through Python"
    names = Counter(n.op.name for n in function.nodes if n.op.kind not in ("control", "creation"))
    listed = ", ".join(name if n == 1 else f"{name} x{n}" for name, n in names.items())
    return f"fuses {listed}" if sum(names.values()) > 1 else f"computes {listed}"


def _loops(kernel: Kernel) -> str:
    marks: dict[str, None] = {}
    for statement in statements(kernel.body):
        if isinstance(statement, For) and statement.mark == "vector":
            marks[f"{statement.lanes} lanes"] = None
        elif isinstance(statement, For) and statement.mark != "serial":
            marks[statement.mark] = None
    return ", ".join(marks) or "scalar code"


def _estimate(kernel: Kernel, vector_bytes: int) -> str:
    moved = sum(_bytes(buffer) for buffer in kernel.parameters)
    cost = seconds(body_cost(kernel.body, frozenset(), None, 1, vector_bytes))
    return f"touches {_size(moved)}, {_operations(kernel)} scalar operations in its text, " + (
        f"about {_time(cost)} on one core by the cost model"
    )


def _operations(kernel: Kernel) -> int:
    found = set()
    for statement in statements(kernel.body):
        if not isinstance(statement, For):
            values = expressions(statement)
            found.update(postorder(values, lambda e: () if isinstance(e, Load) else parts(e)))
    return sum(isinstance(e, Apply) and e.op in OPS for e in found)


def _bytes(buffer: Buffer) -> int:
    """Size of a buffer; 0 while its extents are unknown."""
    size = prod(buffer.type.shape)
    return size * buffer.type.dtype.itemsize if isinstance(size, int) else 0


def _size(count: int) -> str:
    for unit in ("bytes", "KB", "MB"):
        if count < 1000:
            return f"{count:.4g} {unit}"
        count /= 1000
    return f"{count:.4g} GB"


def _time(value: float) -> str:
    for unit, scale in (("ns", 1e9), ("us", 1e6), ("ms", 1e3)):
        if value * scale < 1000:
            return f"{value * scale:.3g} {unit}"
    return f"{value:.3g} s"
