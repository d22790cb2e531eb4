"""`python -m bench.fusion [section or program ...]`: how well programs of many fields fuse.

For each: its kernels, the bytes that they read and write against those of the arguments and the results, its time, what the
model foretold, and the best time of JAX and Numba that run the same text, and of NumPy. Programs whose kernels are
more than they should be, that move more than they must, that are behind or were foretold wrongly, are marked.
"""

import argparse
import time
import types
import warnings
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np

import tracejit
from tracejit.report.explanation import Explanation
from tracejit.report.records import CHECK

from . import peers
from .fused_programs import SECTIONS, FusedProgram

ELEMENTS = 1 << 20
ROUNDS, LEAST_ROUND = 7, 2e-3
# From which ratio on something is marked.
MORE_BYTES, BEHIND, WRONG = 1.25, 1.05, 2.0


class Row(NamedTuple):
    """What became of a program; seconds by who ran it."""

    program: FusedProgram
    kernels: int
    moved: float
    predicted: float
    measured: float
    seconds: dict[str, float]

    @property
    def marks(self) -> str:
        """`k`: more kernels than there should be; `b`: bytes; `p`: a peer is ahead; `w`: foretold wrongly."""
        ratio = self.predicted / self.measured if self.measured else 1.0
        behind = self.seconds and self.best * BEHIND < self.seconds["tracejit"]
        wrong = not 1 / WRONG <= ratio <= WRONG
        flags = (self.kernels > self.program.kernels, self.moved > MORE_BYTES, behind, wrong)
        return "".join([mark if flag else "." for mark, flag in zip("kbpw", flags)])

    @property
    def best(self) -> float:
        return min([s for who, s in self.seconds.items() if who != "tracejit"], default=np.inf)

    def __str__(self) -> str:
        timed = " ".join([f"{who} {1e6 * s:.0f}" for who, s in self.seconds.items()])
        return (
            f"{self.marks} {self.program.name:28} {self.kernels:2} of {self.program.kernels} kernels, bytes {self.moved:5.2f}, "
            f"predicted {self.predicted / self.measured if self.measured else np.nan:5.2f} of {1e6 * self.measured:7.0f} us; {timed}"
        )


def bytes_of(values: Any) -> int:
    if isinstance(values, list | tuple):
        return sum(map(bytes_of, values))
    return np.asarray(values).nbytes


def copies(values: Any) -> Any:
    if isinstance(values, list | tuple):
        return type(values)(map(copies, values))
    return values.copy() if isinstance(values, np.ndarray) else values


def runners(
    program: FusedProgram, arguments: tuple, who: list[str]
) -> Iterator[tuple[str, Callable]]:
    """The same text for each peer that can run it."""
    ours = tracejit.jit(program.function)
    yield "tracejit", lambda: ours(*arguments)
    if "numpy" in who:
        yield "numpy", lambda: program.function(*arguments)
    if "jax" in who and program.is_pure:
        jax = peers.loaded("jax")
        function = jax.jit(_rebound(program.function, np=jax.numpy))
        given = jax.tree.map(jax.numpy.asarray, arguments)
        yield "jax", lambda: jax.block_until_ready(function(*given))
    if "numba" in who:
        numba = peers.loaded("numba")
        for parallel in (False, True):
            made = _rebound(program.function, numba.njit(fastmath=True, parallel=parallel))
            yield "numba-p" if parallel else "numba", lambda made=made: made(*arguments)


def _rebound(function: Callable, made: Callable = lambda f: f, **names: Any) -> Callable:
    """The function and those of ours that it calls, each as `made`, with other global names."""
    scope = {**function.__globals__, **names}
    for name, value in scope.items():
        if isinstance(value, types.FunctionType) and value.__module__.startswith(__package__):
            scope[name] = made(_in_scope(value, scope))
    return made(_in_scope(function, scope))


def _in_scope(function: Callable, scope: dict[str, Any]) -> Callable:
    return types.FunctionType(
        function.__code__, scope, function.__name__, function.__defaults__, function.__closure__
    )


def compiled(run: Iterable[tuple[str, Callable]]) -> dict[str, tuple[Callable, int]]:
    """Those that can run the text, with how often they are called in a round."""
    found: dict[str, tuple[Callable, int]] = {}
    for who, call in run:
        try:
            call()
            start = time.perf_counter()
            call()
            found[who] = call, max(1, int(LEAST_ROUND / (time.perf_counter() - start)))
        except Exception:
            if who == "tracejit":
                raise
    return found


def timed(run: dict[str, tuple[Callable, int]]) -> dict[str, float]:
    """Least seconds of each, in turns."""
    best: dict[str, float] = {}
    for _ in range(ROUNDS):
        for who, (call, count) in run.items():
            for _ in range(count):
                start = time.perf_counter()
                call()
                best[who] = min(best.get(who, np.inf), time.perf_counter() - start)
    return best


def row(program: FusedProgram, n: int, who: list[str]) -> Row:
    arguments = program.arguments(n)
    run = compiled(runners(program, arguments, who)) if who else {}
    explanation, seconds = measure(program, arguments, run)
    kernels = [kernel for kernel in explanation.kernels if kernel.kind != CHECK]
    results = program.function(*copies(arguments))
    least = bytes_of(arguments) + (bytes_of(results) if results is not None else 0)
    moved = sum([kernel.bytes for kernel in kernels]) / least
    known = [kernel for kernel in kernels if kernel.measured]
    predicted, measured = (
        sum([getattr(k, name) for k in known]) for name in ("predicted", "measured")
    )
    return Row(program, len(kernels), moved, predicted, measured, seconds)


def measure(
    program: FusedProgram, arguments: tuple, run: dict
) -> tuple[Explanation, dict[str, float]]:
    """All that needs a quiet machine."""
    return tracejit.jit(program.function).explain(*arguments), timed(run)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.fusion", description=__doc__)
    parser.add_argument("names", nargs="*", help=f"of {', '.join(SECTIONS)}, or of programs")
    parser.add_argument("--elements", type=int, default=ELEMENTS)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--peers", default="numpy,jax,numba", help="whom to time; none with ''")
    chosen = parser.parse_args()
    who = [name for name in chosen.peers.split(",") if name]
    names = {name for name in chosen.names}
    picked = [p for s, ps in SECTIONS.items() for p in ps if not names or {s, p.name} & names]
    warnings.simplefilter("ignore")
    rows = []
    with tracejit.threads(chosen.threads), np.errstate(all="ignore"):
        for program in picked:
            rows.append(row(program, chosen.elements, who))
            print(rows[-1], flush=True)
    print(summary(rows))


def summary(rows: list[Row]) -> str:
    counts = [sum(mark in r.marks for r in rows) for mark in "kbpw"]
    labels = ("more kernels", "more bytes", "a peer ahead", "foretold wrongly")
    text = ", ".join([f"{count} {label}" for count, label in zip(counts, labels)])
    ahead = [r.best / r.seconds["tracejit"] for r in rows if np.isfinite(r.best)]
    mean = f"; {np.exp(np.mean(np.log(ahead))):.2f} times the best peer" if ahead else ""
    return f"{len(rows)} programs: {text}{mean}"


if __name__ == "__main__":
    main()
