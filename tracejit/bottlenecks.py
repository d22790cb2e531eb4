"""`f.bottlenecks(...)`: how often each block of a program's machine code runs, and what it takes by itself."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any

import numpy as np

from .compiler import Compiler, TracedProgram
from .config import config
from .errors import UnsupportedError
from .explaining import arrays_of, run_on
from .report.blocks import COUNTS, blocks_of, counted
from .report.bottlenecks import Bottlenecks, Hot, hottest, threads_of
from .report.replay import replay
from .report.traces import traces
from .runtime import engine
from .runtime.machine import machine
from .runtime.threads import get_num_threads, threads
from .stages import Compiled, Lowered
from .trace.tracing import flatten_arguments


def find(compiler: Compiler, args: tuple, kwargs: dict[str, Any]) -> Bottlenecks:
    """Count and measure the blocks of the program for these arguments; runs it once, on copies of what it writes.

    Raises UnsupportedError where that is not known of this processor's code, or Python functions are called.
    """
    if not engine.target().triple.startswith("x86_64"):
        raise UnsupportedError("bottlenecks are known of x86-64 code only")
    known = machine()
    leaves, _ = flatten_arguments(args, kwargs)
    with config.use(tiers=False):
        traced: TracedProgram = compiler.trace(args, kwargs)
        if traced.program.has_failed:
            raise UnsupportedError("a function called through Python failed")
        compiled = Compiled(Lowered(traced.module, traced.options), {})
    if compiled.code.hosts:
        raise UnsupportedError("the program calls Python functions")
    counts = _counts(compiled, arrays_of(traced.program, leaves), leaves)
    limit = traced.options.max_threads or get_num_threads()
    blocks = blocks_of(compiled.asm)
    used, regions = threads_of(blocks, counts, min(limit, get_num_threads()))
    chosen = hottest(traces(blocks, counts))
    measured = replay([trace.work for trace in chosen])
    hot = [Hot(trace, used[trace.function], one) for trace, one in zip(chosen, measured)]
    return Bottlenecks(compiler.name, tuple(hot), regions, known.fork, known.clock)


def _counts(compiled: Compiled, arrays: Sequence[np.ndarray], leaves: Sequence[Any]) -> list[int]:
    """How often each block runs."""
    exports = ["entry", "shapes"] if compiled.code.symbols else ["entry"]
    code = engine.assemble(counted(compiled.asm))
    library = engine.load(code, [*exports, COUNTS], compiled.imports)
    updated = {k for k, b in enumerate(compiled.module.entry.inputs) if b.space == "updated"}
    given = [a.copy() if k in updated else a for k, a in enumerate(arrays)]
    number = len(blocks_of(compiled.asm))
    words = (ctypes.c_int64 * number).from_address(library.address(COUNTS))
    with threads(1):  # whose counts are exact
        run_on(compiled.with_library(library), (), leaves, given)
    return list(words)
