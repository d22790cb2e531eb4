"""`f.scaling(...)`: measure a program's kernels on one thread, and simulate its schedules on more."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from .compiler import Compiler, TracedProgram
from .config import config
from .errors import UnsupportedError
from .explaining import arrays_of, measured_seconds
from .ir.tensor import Call
from .ir.text import show
from .report.roofline import moved_bytes
from .report.scaling import Scaling
from .report.simulation import Part, Shared, part_of
from .report.traffic import Touched
from .report.work import size_of
from .runtime.machine import Machine, machine
from .runtime.threads import get_num_threads, threads
from .stages import Lowered
from .trace.tracing import flatten_arguments

THREADS = (1, 2, 4, 8, 16, 32, 64)


def scale(
    compiler: Compiler,
    args: tuple,
    kwargs: dict[str, Any],
    counts: Iterable[int] = THREADS,
    memory: float | None = None,
) -> Scaling:
    """The simulation for these arguments; `memory` is what all cores get from memory together, in bytes per
    second, if that is another machine's."""
    leaves, _ = flatten_arguments(args, kwargs)
    known, counts = machine(), tuple(sorted({1, *counts}))
    parts: dict[int, tuple[Part, ...]] = {}
    measured: dict[int, float] = {}
    seen: dict[str, tuple[Part, ...]] = {}
    with config.use(tiers=False):
        traced: TracedProgram = compiler.trace(args, kwargs)
        arrays, options = arrays_of(traced.program, leaves), traced.options
        available = min(options.max_threads or get_num_threads(), get_num_threads())
        for count in counts:
            cores = options.machine._replace(cores=count)
            lowered = Lowered(traced.module, options._replace(threads=count, machine=cores))
            text = show(lowered.module)
            if text not in seen:
                with threads(1):
                    times = measured_seconds(traced.program, lowered, arrays, leaves)
                seen[text] = _parts(compiler.name, lowered, times, known)
            parts[count] = seen[text]
            if 1 < count == available:
                times = measured_seconds(traced.program, lowered, arrays, leaves)
                measured |= {} if isinstance(times, str) else {count: sum(times)}
    measured[1] = sum(part.seconds for part in parts[1])
    name = lowered.module.entry.name
    return Scaling(name, parts, measured, _shared(known, memory), known.fork, available)


def _parts(
    name: str, lowered: Lowered, times: list[float | None] | str, known: Machine
) -> tuple[Part, ...]:
    """The kernels of a program, which took so long on one thread."""
    if isinstance(times, str) or None in times:
        why = times if isinstance(times, str) else "the time of Python functions is not known"
        raise UnsupportedError(f"{name} cannot be simulated: {why}")
    entry = lowered.module.entry
    calls = [statement for statement in entry.body if isinstance(statement, Call)]
    everything = sum(map(size_of, entry.parameters))
    found = []
    for number, (call, seconds) in enumerate(zip(calls, times), 1):
        moved = moved_bytes(Touched(call.kernel), 1, known, everything)
        label = f"{number}. {call.kernel.name}"
        found.append(part_of(label, call.kernel, seconds, moved, lowered.options, known))
    return tuple(found)


def _shared(known: Machine, memory: float | None) -> dict[str, Shared]:
    """What cores share of each level of memory. A third-level cache grows with the cores that have parts of
    it, so no limit is known for it; memory is limited to what all cores of this machine get."""
    level = [*known.bandwidth][-1]
    one, every = known.bandwidth[level]
    return {level: Shared(one, max(one, every) if memory is None else memory)}
