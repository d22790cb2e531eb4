"""What a function was compiled to: the records of its kernels, the lines they came from, and why.

`describe` collects them from the stages of a program; with a history of the passes it knows lines
and reasons, with a machine the roofline, and with measured times those.
"""

from __future__ import annotations

import linecache
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from ..ir.foreign import FOREIGN
from ..ir.graph import Function, Kernel, Module, Node
from ..ir.op import CONTRACTION, MOVEMENT, OPAQUE, OPS, SCAN
from ..ir.tensor import Call
from ..ir.term import location_of
from ..ir.text import show
from ..ir.verify import Stage
from ..lower.pipeline import Options
from ..lower.tensor.cost import seconds as seconds_of
from ..runtime.machine import known
from .graphs import graphs, line_at, numbered
from .history import History
from .provenance import NOWHERE, Chosen, Origin, origins
from .records import (
    CHECK,
    CONTROL,
    COPY,
    LIBRARY,
    LOOPS,
    NUMPY,
    ONCE,
    PYTHON,
    Data,
    KernelRecord,
    Line,
    LineRecord,
    ModelChoice,
    WhyNot,
)
from .roofline import estimate, lanes_of, threads_of
from .timeline import timeline
from .work import Work, size_of, work_of

HIDDEN = ("control", "creation")
ALONE = (CONTRACTION, SCAN, OPAQUE)
# Lines of source shown around those that became kernels.
AROUND = 2


def describe(
    stages: dict[Stage, Module],
    options: Options,
    *,
    history: History | None = None,
    machine: Any = None,
    threads: int = 1,
    slots: int = 0,
    measured: Sequence[float | None] | str = "",
    copies: Iterable[str] = (),
    tuned: Iterable[str] = (),
    assembly: str = "",
) -> Data:
    """The records of a program, with memory for `slots` threads.

    `measured` are seconds for each kernel call, or why there are none.
    """
    entry = stages[Stage.SCHEDULED].entry
    calls = [s for s in entry.body if isinstance(s, Call)]
    program = history.before("fuse") if history is not None else None
    origin = (
        origins(program, entry, options.core) if program is not None else [NOWHERE] * len(calls)
    )
    functions = {f.name: f for f in stages[Stage.FUSED].functions if isinstance(f, Function)}
    traced = stages[Stage.TRACED].entry
    times = [None] * len(calls) if isinstance(measured, str) else measured
    names = _machine_names(calls)
    numbers = numbered(program) if program is not None else {}
    memory = timeline(entry, slots)
    total = sum(size_of(buffer) for buffer in entry.parameters) + memory.workspace
    kernels = tuple([
        _record(k, call, functions.get(call.kernel.name), origin, machine, threads,
                options, times[k - 1], names[k - 1], numbers, total)
        for k, call in enumerate(calls, 1)
    ])  # fmt: skip
    kernels = _with_reasons(kernels, origin, calls)
    lines = _lines(kernels)
    each_call = [s for s, kernel in zip(times, kernels) if kernel.kind != ONCE]
    known = [seconds for seconds in each_call if seconds is not None]
    return Data(
        entry.name,
        ", ".join(f"{buffer.name}: {buffer.type}" for buffer in entry.inputs),
        sum(n.op.kind not in ("control", "opaque") for n in getattr(traced, "nodes", ())),
        kernels,
        lines,
        memory,
        history.records() if history is not None else (),
        graphs(traced, program, kernels, calls, entry) if program is not None else (),
        tuple(python_calls(traced)),
        tuple(copies),
        tuple(tuned),
        measured if isinstance(measured, str) else "",
        sum(known) if calls and len(known) == len(each_call) else None,
        machine,
        _sources(lines),
        {stage.name: show(module) for stage, module in stages.items()} if history else {},
        _sections(assembly),
    )


def python_calls(function: Function | Kernel) -> list[str]:
    """A line for each call of a function through Python, in loops and branches too, with the user's
    line that makes it."""
    if isinstance(function, Kernel):
        return []
    functions = [f for f in Module(function).functions if isinstance(f, Function)]
    calls = [node for f in reversed(functions) for node in f.nodes if node.op is OPS["host_call"]]
    found = []
    for node in calls:
        called = node.attrs["function"]
        if not called.is_fallback:
            continue
        how = "left to NumPy where it happens" if called.leaves else "through Python, not compiled"
        found.append(f"{how}: {called.name} at {location_of(node)}")
    return list(dict.fromkeys(found))


def _record(
    number: int, call: Call, function: Function | None, origin: list[Origin], machine: Any,
    threads: int, options: Options, seconds: float | None, name: str, numbers: dict[Node, int],
    program_bytes: int,
) -> KernelRecord:  # fmt: skip
    kernel, inputs = call.kernel, len(call.kernel.inputs)
    work, used = work_of(kernel), threads_of(kernel, threads)
    own = origin[number - 1]
    nodes = own.nodes or (function.nodes if function is not None else ())
    found = estimate(kernel, work, used, options, machine or known(), program_bytes)
    written = {b for o, b in zip(kernel.parameters, call.buffers) if o in kernel.updated}
    updated = tuple([f"{b.name} (in place)" for b in call.buffers[:inputs] if b in written])
    return KernelRecord(
        number,
        kernel.name,
        _kind(kernel, function, work),
        tuple([line_at(place) for place in own.lines]),
        dict(Counter([n.op.name for n in nodes_of(nodes) if n.op.kind not in HIDDEN])),
        tuple([f"{b.name}: {b.type}" for b in call.buffers[:inputs]]),
        (*updated, *[f"{b.name}: {b.type}" for b in call.buffers[inputs:]]),
        used,
        lanes_of(kernel),
        work.read,
        work.written,
        None if work.foreign else work.operations,
        found.predicted,
        found.cycles,
        found.moved,
        found.limit,
        found.roof,
        found.bound,
        work.foreign,
        show(Module(kernel)),
        name,
        tuple([numbers[n] for n in own.nodes if n in numbers]),
        seconds,
        choices=tuple(map(_choice, own.choices)),
    )


def _choice(chosen: Chosen) -> ModelChoice:
    _, what, cycles, other, others = chosen.choice
    places = tuple(map(line_at, chosen.lines))
    return ModelChoice(chosen.op, places, what, seconds_of(cycles), other, seconds_of(others))


def nodes_of(nodes: Iterable[Node]) -> list[Node]:
    """The nodes, with those of Functions that are called in place of the calls."""
    found = []
    for node in nodes:
        callee = node.attrs.get("callee")
        found += nodes_of(callee.nodes) if isinstance(callee, Function) else [node]
    return found


def _kind(kernel: Kernel, function: Function | None, work: Work) -> str:
    foreign = work.foreign
    if work.python:
        return PYTHON
    if function is None:
        if kernel.name in ("loop", "branch", "scope"):
            return CONTROL
        if kernel.name == "once":
            return ONCE
        return COPY if kernel.outputs else CHECK
    real = [n for n in function.nodes if n.op.kind not in HIDDEN and n.op.name != "parameter"]
    if any(symbol.startswith("cblas_") for symbol in foreign):
        return LIBRARY
    if any(symbol in FOREIGN and symbol.startswith("numpy_") for symbol in foreign):
        return NUMPY
    if foreign and not all(symbol in FOREIGN for symbol in foreign):
        return LIBRARY
    moves = bool(real) and all(node.op.kind == MOVEMENT for node in real)
    return COPY if moves and 2 * work.read >= work.written else LOOPS


def _with_reasons(
    kernels: tuple[KernelRecord, ...], origin: list[Origin], calls: list[Call]
) -> tuple[KernelRecord, ...]:
    """Each kernel with why it is not one with those before it; with the next at least."""
    new = []
    for number, kernel in enumerate(kernels, 1):
        found = [
            WhyNot(r.other + 1, kernels[r.other].name, r.op, tuple(map(line_at, r.lines)), r.reason)
            for r in origin[number - 1].refusals
        ]
        if number > 1 and not any(r.other == number - 1 for r in found):
            writes, reads = set(calls[number - 2].written), set(calls[number - 1].buffers)
            op, reason = _other_reason(kernels[number - 2], kernel, writes, reads)
            found.append(WhyNot(number - 1, kernels[number - 2].name, op, (), reason))
        new.append(_replaced(kernel, tuple(found)))
    return tuple(new)


def _replaced(kernel: KernelRecord, found: tuple[WhyNot, ...]) -> KernelRecord:
    return KernelRecord(**{**vars(kernel), "why_not": found})


def _other_reason(
    before: KernelRecord, own: KernelRecord, writes: set, reads: set
) -> tuple[str, str]:
    """Why a kernel is not one with that before it, where the fuser did not come to compare them."""
    if not writes & reads:
        return "nothing", "it does not read what that kernel makes"
    value = ", ".join(sorted(buffer.name for buffer in writes & reads))
    for kernel in (before, own):
        if kernel.kind != LOOPS:
            return value, f"with {kernel.name} ({kernel.kind}) nothing fuses"
        alone = [name for name in kernel.operations if OPS[name].kind in ALONE]
        if alone:
            return value, f"with {alone[0]}, which has loops of its own, nothing fuses"
    return value, (
        "it reads that elsewhere than where the loops make it, or its loops run over another shape"
    )


def _lines(kernels: tuple[KernelRecord, ...]) -> tuple[LineRecord, ...]:
    of: dict[Line, list[KernelRecord]] = {}
    for kernel in kernels:
        for line in kernel.lines:
            of.setdefault(line, []).append(kernel)
    return tuple([
        LineRecord(
            line,
            tuple([kernel.number for kernel in of[line]]),
            tuple([len(kernel.lines) - 1 for kernel in of[line]]),
        )
        for line in sorted(of, key=lambda line: (line.file, line.number))
    ])  # fmt: skip


def _sources(lines: tuple[LineRecord, ...]) -> dict[str, tuple[int, tuple[str, ...]]]:
    """For each file the number of the first line to show, and the text from there on."""
    found: dict[str, tuple[int, tuple[str, ...]]] = {}
    for file in dict.fromkeys(record.line.file for record in lines):
        numbers = [record.line.number for record in lines if record.line.file == file]
        text = linecache.getlines(file)
        first = max(1, min(numbers) - AROUND)
        shown = text[first - 1 : max(numbers) + AROUND]
        found[file] = first, tuple([line.rstrip("\n") for line in shown])
    return found


def _machine_names(calls: list[Call]) -> list[str]:
    """What the kernels are called in the machine code, where equal ones are one function."""
    found: dict[Kernel, str] = {}
    order: dict[Kernel, None] = {}

    def visit(kernel: Kernel) -> None:
        if kernel not in order:
            order[kernel] = None
            found[kernel] = f"{kernel.name}.{len(found)}"
            for callee in kernel.callees:
                visit(callee)

    for call in calls:
        visit(call.kernel)
    return [found[call.kernel] for call in calls]


def _sections(assembly: str) -> dict[str, str]:
    """Assembly by the labels of functions."""
    found: dict[str, list[str]] = {}
    name = ""
    for line in assembly.splitlines():
        if line.endswith(":") and not line.startswith((".", "\t", " ")):
            name = line[:-1].strip('"')
            found[name] = []
        elif name and not line.lstrip().startswith(
            (".cfi", ".p2align", ".size", ".type", ".section")
        ):
            found[name].append(line)
    return {name: "\n".join(lines) for name, lines in found.items()}
