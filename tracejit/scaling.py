"""`f.scaling(...)`: measure a program's kernels on one thread, and simulate its schedule on more."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from .compiler import Compiler, TracedProgram
from .config import config
from .errors import UnsupportedError
from .explaining import arrays_of, measured_seconds
from .ir.tensor import Call
from .report.roofline import moved_bytes
from .report.scaling import Scaling
from .report.simulation import Shared, part_of
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
    known, options = machine(), None
    with config.use(tiers=False):
        traced: TracedProgram = compiler.trace(args, kwargs)
        lowered, options = Lowered(traced.module, traced.options), traced.options
        arrays = arrays_of(traced.program, leaves)
        available = min(options.max_threads or get_num_threads(), get_num_threads())
        times = {}
        for count in sorted({1, available}):
            with threads(count):
                times[count] = measured_seconds(traced.program, lowered, arrays, leaves)
    alone = times[1]
    if isinstance(alone, str) or None in alone:
        why = alone if isinstance(alone, str) else "the time of Python functions is not known"
        raise UnsupportedError(f"{compiler.name} cannot be simulated: {why}")
    entry = lowered.module.entry
    calls = [statement for statement in entry.body if isinstance(statement, Call)]
    everything = sum(map(size_of, entry.parameters))
    parts = []
    for number, (call, seconds) in enumerate(zip(calls, alone), 1):
        moved = moved_bytes(Touched(call.kernel), 1, known, everything)
        name = f"{number}. {call.kernel.name}"
        parts.append(part_of(name, call.kernel, seconds, moved, options, known))
    limits = _shared(known, memory)
    measured = {n: sum(found) for n, found in times.items() if not isinstance(found, str)}
    counts = tuple(sorted({1, *counts}))
    return Scaling(entry.name, tuple(parts), counts, measured, limits, known.fork, available)


def _shared(known: Machine, memory: float | None) -> dict[str, Shared]:
    """What cores share of each level of memory. A third-level cache grows with the cores that have parts of
    it, so no limit is known for it; memory is limited to what all cores of this machine get."""
    level = [*known.bandwidth][-1]
    one, every = known.bandwidth[level]
    return {level: Shared(one, max(one, every) if memory is None else memory)}
