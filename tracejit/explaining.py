"""`f.explain(...)`: trace and lower while watching, run with clocks inside, and collect the records."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from .arguments import pass_value
from .compiler import Compiler, TracedProgram
from .config import config
from .ir.graph import Function, Module
from .ir.host import Run, running
from .ir.term import own_locations
from .report.clocks import calls_of, can_read_clocks, measure, with_clocks
from .report.explain import describe
from .report.explanation import Explanation
from .report.history import History
from .runtime.machine import machine
from .runtime.threads import get_num_threads
from .stages import Compiled, Lowered, fit
from .trace.outside import Rehearsal, passed
from .trace.program import Program, Traced
from .trace.tracing import flatten_arguments

NOT_RUN = "it was not run"


def explain(
    compiler: Compiler, args: tuple, kwargs: dict[str, Any], runs: bool = True
) -> Explanation:
    """What the function compiles to for these arguments.

    If it `runs`, on copies of what it writes, times are known; else neither these nor the machine's.
    """
    leaves, _ = flatten_arguments(args, kwargs)
    history = History()
    with own_locations(), config.use(tiers=False):
        traced: TracedProgram = compiler.trace(args, kwargs)
        lowered = Lowered(traced.module, traced.options, (history,))
        arrays = arrays_of(traced.program, leaves)
        limit = traced.options.max_threads or get_num_threads()
        data = describe(
            lowered.stages,
            traced.options,
            history=history,
            machine=machine() if runs else None,
            threads=min(limit, get_num_threads()),
            slots=traced.options.slots,
            measured=measured_seconds(traced.program, lowered, arrays, leaves) if runs else NOT_RUN,
            copies=_copies(traced.program, leaves),
            tuned=lowered.notes,
            assembly=Compiled(lowered, {}).asm if runs else "",
        )
    return Explanation(data)


def arrays_of(program: Program, leaves: Sequence[Any]) -> list[np.ndarray]:
    """What is passed for the parameters of a program: leaves, and what it captured."""
    pairs = zip(leaves, program.leaves)
    taken = [np.asarray(value) for value, leaf in pairs if isinstance(leaf, Traced)]
    given = [*taken, *program.captures]
    parameters = program.function.parameters
    return [fit(a, p.type, p.attrs["name"]) for a, p in zip(given, parameters)]


def _copies(program: Program, leaves: Sequence[Any]) -> list[str]:
    """The arguments that every call copies, because programs take none of their layout."""
    names = iter([p.attrs["name"] for p in program.function.parameters])
    notes = []
    for value, leaf in zip(leaves, program.leaves):
        if not isinstance(leaf, Traced):
            continue
        name = next(names)
        if not isinstance(value, np.ndarray) or pass_value(value, leaf) is value:
            continue
        odd = "byte-swapped" if not value.dtype.isnative else "not aligned"
        if value.dtype.isnative and value.flags.aligned:
            odd = "of a class of its own" if type(value) is not np.ndarray else "of an odd layout"
        notes.append(f"copied at every call: argument {name} is {odd}")
    return notes


def measured_seconds(
    program: Program, lowered: Lowered, arrays: list[np.ndarray], leaves: Sequence[Any]
) -> list[float | None] | str:
    """Seconds of each kernel call, or why they are not known.

    Python functions that do more than compute are not called again: what they gave while the function
    was traced is used, and their time is not known.
    """
    if config.reference:
        return "TRACEJIT_REFERENCE is set"
    if not can_read_clocks():
        return "this system has no clock_gettime"
    if program.has_failed:
        return "a function called through Python failed"
    if _repeats_effects(program):
        return "Python functions that do more than compute are called in a loop or a branch"
    updated = [k for k, p in enumerate(program.function.parameters) if "updated" in p.attrs]
    compiled = Compiled(lowered.with_module(with_clocks(lowered.module)), {})
    run = partial(run_on, compiled, tuple(program.made), leaves)
    try:
        found = measure(run, arrays, updated, calls_of(lowered.module))
    except Exception as error:  # noqa: BLE001 - whatever the program raises for these arguments
        return f"it raised {type(error).__name__}: {error}"
    return [s if k not in _with_effects(lowered.module) else None for k, s in enumerate(found)]


def run_on(compiled: Compiled, made: tuple, leaves: Sequence[Any], arrays: Sequence[Any]) -> None:
    """Run a program, with what Python functions gave while it was traced."""
    with running(Run(made, Rehearsal(copy.deepcopy(passed(leaves))))), np.errstate(all="ignore"):
        compiled(*arrays)


def _repeats_effects(program: Program) -> bool:
    """Whether calls with effects are anywhere but in a row: how many there will be is not known."""
    inner = [f for f in Module(program.function).functions if f is not program.function]
    nodes = [node for f in inner if isinstance(f, Function) for node in f.nodes]
    return any(n.attrs["function"].has_effects for n in nodes if n.op.name == "host_call")


def _with_effects(module: Module) -> set[int]:
    """The numbers of the entry's calls that call Python functions with effects."""
    found = set()
    calls = [s for s in module.entry.body if hasattr(s, "kernel")]
    for number, call in enumerate(calls):
        symbols = [getattr(s, "symbol", None) for s in call.kernel.body]
        if any(getattr(symbol, "has_effects", False) for symbol in symbols):
            found.add(number)
    return found
