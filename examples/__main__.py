"""`python -m examples`: run every program with NumPy and compiled, compare, time, and draw the results."""

import argparse
import pathlib
import statistics
import sys
import time
import traceback
from collections.abc import Callable
from typing import Any

import numpy as np

import tracejit
from tracejit.ir.graph import Function
from tracejit.ir.tensor import Kernel

from .tasks import Task, all_tasks

TIMING_SECONDS = 0.5


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m examples", description=__doc__)
    parser.add_argument(
        "names", nargs="*", help="run only the programs whose name holds one of these"
    )
    parser.add_argument("--output", type=pathlib.Path, default=pathlib.Path("output"))
    arguments = parser.parse_args(argv)
    arguments.output.mkdir(parents=True, exist_ok=True)
    tasks = [
        task
        for task in all_tasks()
        if not arguments.names or any(name.lower() in task.name.lower() for name in arguments.names)
    ]
    print(
        f"{'program':<26}{'NumPy ms':>10}{'compiled ms':>13}{'speed-up':>10}{'compile ms':>12}"
        f"  {'fused':<28}{'largest difference'}"
    )
    failed = [task.name for task in tasks if not _succeeds(task, arguments.output)]
    print(f"\npictures, and the fused programs as text, are in {arguments.output}/")
    if failed:
        print(f"failed: {', '.join(failed)}")
    return 1 if failed else 0


def _succeeds(task: Task, output: pathlib.Path) -> bool:
    try:
        return run(task, output)
    except Exception:  # noqa: BLE001  the other programs still run; the exit status tells
        print(f"{task.name}:")
        traceback.print_exc(file=sys.stdout)
        return False


def run(task: Task, output: pathlib.Path) -> bool:
    """Run one task both ways, print its line and write its picture; True when the results agree."""
    expected = task.apply(task.function)
    compiled = tracejit.jit(task.function)
    seen: list[tuple] = []

    def recording(*arguments: Any) -> Any:
        if not seen:
            seen.append(arguments)
        return compiled(*arguments)

    start = time.perf_counter()
    actual = task.apply(recording)
    first = time.perf_counter() - start
    before, after = _interleaved(lambda: task.apply(task.function), lambda: task.apply(compiled))
    agrees, gap = compare(expected, actual, task)
    stem = output / _file_name(task.name)
    print(
        f"{task.name:<26}{before * 1e3:10.2f}{after * 1e3:13.2f}{before / after:9.1f}x"
        f"{max(first - after, 0.0) * 1e3:12.0f}  {fused(compiled, seen[0], stem.with_suffix('.txt')):<28}"
        f"{gap}{'' if agrees else '  NOT EQUAL'}",
        flush=True,
    )
    results = actual if isinstance(actual, tuple) else (actual,)
    task.draw(stem.with_suffix(".png"), *results)
    return agrees


def compare(expected: Any, actual: Any, task: Task) -> tuple[bool, str]:
    """Whether `actual` has NumPy's structure, dtypes, shapes and, to the task's tolerance, values; and how far off."""
    wanted = expected if isinstance(expected, tuple) else (expected,)
    given = actual if isinstance(actual, tuple) else (actual,)
    if len(wanted) != len(given):
        return False, f"{len(given)} results, not {len(wanted)}"
    largest = beyond = 0.0
    for want, give in zip(wanted, given):
        want, give = np.asarray(want), np.asarray(give)
        if want.dtype != give.dtype or want.shape != give.shape:
            return False, f"{give.dtype}{give.shape}, not {want.dtype}{want.shape}"
        scale = float(np.max(np.abs(want))) or 1.0
        gaps = np.abs(want.astype(np.float64) - give.astype(np.float64)) / scale
        is_far = ~(gaps <= task.tolerance)  # true for NaN too
        largest = max(largest, float(np.max(gaps, where=~is_far, initial=0.0)))
        beyond = max(beyond, float(np.mean(is_far)))
    text = f"{largest:.1e} (allowed {task.tolerance:.1e})"
    if beyond or task.flips:
        text += f"; more in {beyond:.3%} (allowed {task.flips:.2%})"
    return beyond <= task.flips, text


def fused(compiled: Any, arguments: tuple, path: pathlib.Path) -> str:
    """How many operations were traced, and into how many kernels they went; the program is written to `path`."""
    traced = compiled.trace(*arguments)
    module = traced.lower().module
    path.write_text(str(module))
    operations = sum(
        bool(node.operands)
        for function in traced.module.functions
        if isinstance(function, Function)
        for node in function.nodes
    )
    # The entry calls the kernels, or is the only one.
    kernels = max(1, sum(isinstance(function, Kernel) for function in module.functions) - 1)
    return f"{operations} operations, {kernels} kernels"


def _interleaved(one: Callable, other: Callable) -> tuple[float, float]:
    """Median seconds of both, timed in turn."""
    times: tuple[list[float], list[float]] = ([], [])
    deadline = time.perf_counter() + TIMING_SECONDS
    while len(times[0]) < 3 or time.perf_counter() < deadline:
        for function, samples in zip((one, other), times):
            function()
            start = time.perf_counter()
            function()
            samples.append(time.perf_counter() - start)
    return statistics.median(times[0]), statistics.median(times[1])


def _file_name(name: str) -> str:
    kept = "".join(letter if letter.isalnum() else " " for letter in name.lower())
    return "-".join(kept.split())


if __name__ == "__main__":
    sys.exit(main())
