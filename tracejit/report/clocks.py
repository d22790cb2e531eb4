"""Timing the kernels of a program from inside: the entry reads the clock before each call, and after.

So each kernel runs on what the others left in memory and in the caches, as it does in the program.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..ir import expressions, tensor
from ..ir.graph import Module
from ..ir.tensor import UPDATED, Address, Buffer, Call, Extern, Kernel, Literal
from ..ir.types import array_type, i32, i64

# Time to spend on all runs together, and how many there are at most and at least.
BUDGET_SECONDS = 0.15
MOST_RUNS, LEAST_RUNS = 200, 3


def with_clocks(module: Module) -> Module:
    """The scheduled program with one more parameter: `clock: i64[n, 2]`, updated, of seconds and
    nanoseconds: twice before the first call, which shows what reading takes, and after each."""
    entry = module.entry
    type = array_type((2 + calls_of(module), 2), i64)
    clock = Buffer("clock", type, UPDATED)
    readings = iter([Call(_reading(type, number), (clock,)) for number in range(type.shape[0])])
    body = [next(readings), next(readings)]
    for statement in entry.body:
        body.append(statement)
        if isinstance(statement, Call):
            body.append(next(readings))
    inputs = (*entry.inputs, clock)
    return Module(Kernel(entry.name, (*inputs, *entry.fresh), entry.results, tuple(body)))


def can_read_clocks() -> bool:
    """Whether the system has the function: POSIX systems do."""
    return hasattr(time, "clock_gettime")


def calls_of(module: Module) -> int:
    """How many calls the entry makes."""
    return sum(isinstance(statement, Call) for statement in module.entry.body)


def _reading(type: Any, number: int) -> Kernel:
    own = Buffer("clock", type, UPDATED)
    place = Address(own, (expressions.integer(number), tensor.ZERO))
    kind = Literal(getattr(time, "CLOCK_MONOTONIC", 1), i32)
    return Kernel(f"clock_{number}", (own,), 0, (Extern("clock_gettime", (kind, place)),))


def measure(
    run: Callable[[Sequence[np.ndarray]], Any],
    arrays: Sequence[np.ndarray],
    written: Sequence[int],
    count: int,
) -> list[float]:
    """The least seconds of each of `count` calls, of the runs that fit into the time to spend.

    `run` runs the program with clocks; arrays that are `written` are copies, renewed for each run.
    """
    started, least = time.perf_counter(), np.full(count + 1, np.iinfo(np.int64).max)
    for runs in range(1, MOST_RUNS + 1):
        clock = np.zeros((count + 2, 2), np.int64)
        run([*[a.copy() if k in written else a for k, a in enumerate(arrays)], clock])
        least = np.minimum(least, np.diff(clock @ [10**9, 1]))
        spent = time.perf_counter() - started
        if spent > 10 * BUDGET_SECONDS or (runs >= LEAST_RUNS and spent > BUDGET_SECONDS):
            break
    reading, *calls = least.tolist()
    return [max(nanoseconds - reading, 1) * 1e-9 for nanoseconds in calls]
