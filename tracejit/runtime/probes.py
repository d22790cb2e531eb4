"""What one machine can do at most: loops that stream memory and multiply-add registers, and their timing.

The kernels are LLVM IR. Every figure is the best of a few tries, since anything less is noise of other
programs. Bandwidth counts the bytes that a program like `z = a * x + y` names (two reads, one write);
what the hardware moves besides, such as reading a line before it is written, is its own affair.
"""

from __future__ import annotations

import contextlib
import ctypes
import mmap
import os
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from tracejit.runtime import engine, threads

ACCUMULATORS = 12  # hides the latency of two multiply-add units, and fits 16 registers
UNROLL = 4
# What is done with registers, again and again, as LLVM IR.
OPERATIONS = {
    "multiply_add": "{new} = call {vector} @llvm.fma.{suffix}({vector} {old}, {vector} %factor, {vector} %factor)",
    "divide": "{new} = fdiv {vector} %factor, {old}",
    "sqrt": "{new} = call {vector} @llvm.sqrt.{suffix}({vector} {old})",
    "mixed": "{new}.half = call {vector} @llvm.fma.{suffix}({vector} {old}, {vector} %factor, {vector} %factor)\n"
    "  {new} = fadd {vector} {new}.half, %factor",
}
CHAIN = 16  # additions that wait for one another, in an iteration


class Effort:
    """How long to look for the least time: so many blocks of so many seconds."""

    def __init__(self, tries: int, block_seconds: float):
        self.tries, self.block_seconds = tries, block_seconds

    def bandwidth(self, kernel: Callable, sizes: list[int], moves: int = 3) -> float:
        """Bytes per second when thread `i` runs the kernel, which reads and writes `moves` arrays,
        on as many of `sizes[i]` bytes."""
        work: list[Any] = []
        moved = 0
        for size in sizes:
            arrays = [aligned(size) for _ in range(moves)]
            step = UNROLL * engine.target().vector_bytes
            count = size // step * step // 8
            table = (ctypes.c_void_p * moves)(*[array.ctypes.data for array in arrays])
            work.append((arrays, lambda n, t=table, c=count: kernel(ctypes.addressof(t), c, n)))
            moved += moves * count * 8
        return moved / self.seconds([call for _, call in work])

    def vectors(self, kernel: Callable, threads: int = 1) -> float:
        """Operations on registers per second, of a kernel of `Kernels.operations`."""
        out = [aligned(4096) for _ in range(threads)]
        for array in out:
            array.view(np.float32)[:] = 1.0
        inner = 1000
        calls = [lambda n, a=array.ctypes.data: kernel(a, n * inner) for array in out]
        return ACCUMULATORS * inner * threads / self.seconds(calls)

    def seconds(self, calls: list[Callable[[int], Any]]) -> float:
        """The least time of one repetition when each call runs in a thread of its own; they take
        the count."""
        for call in calls:
            call(1)
        start = time.perf_counter()
        calls[0](1)
        repeats = max(1, int(self.block_seconds / max(time.perf_counter() - start, 1e-7)))
        best = min(together(calls, repeats) for _ in range(self.tries))
        return best / repeats

    def clock(self, kernels: Kernels) -> float:
        """Cycles per second: of additions that wait for one another a core does one in each."""
        inner = 1000
        return CHAIN * inner / self.seconds([lambda n: kernels.chain(1, n * inner)])


def region_seconds(kernels: Kernels) -> tuple[float, float]:
    """Seconds of a parallel region in which each thread has a turn and waits for the others to begin
    theirs, while the threads wait for regions, and after they went to sleep."""
    pointer, integer = ctypes.c_void_p, ctypes.c_int64
    region = ctypes.CFUNCTYPE(None, pointer, pointer, *[integer] * 3)(
        threads.parallel_for_address()
    )
    meet, count = kernels.library.address("meet"), threads.get_num_threads()

    def once() -> float:
        missing = ctypes.c_int64(count)
        start = time.perf_counter()
        region(meet, ctypes.addressof(missing), count, 0, 0)
        return time.perf_counter() - start

    waiting = min(once() for _ in range(200))
    asleep = []
    for _ in range(10):
        time.sleep(5e-9 * threads.SPIN_NANOSECONDS)
        asleep.append(once())
    return waiting, max(min(asleep), waiting)


def page_seconds() -> float:
    """Seconds of the first write to a page."""
    count = 1024
    best = float("inf")
    for _ in range(5):
        with mmap.mmap(-1, count * mmap.PAGESIZE) as pages:
            if hasattr(mmap, "MADV_NOHUGEPAGE"):
                with contextlib.suppress(OSError):
                    pages.madvise(mmap.MADV_NOHUGEPAGE)
            view = np.frombuffer(pages, np.uint8)[:: mmap.PAGESIZE]
            start = time.perf_counter()
            view[:] = 1
            best = min(best, time.perf_counter() - start)
            del view
    return best / count


def together(calls: list[Callable[[int], Any]], repeats: int) -> float:
    """Seconds from when the first of the calls, each in a thread of its own, began to when the last ended."""
    if len(calls) == 1:
        start = time.perf_counter()
        calls[0](repeats)
        return time.perf_counter() - start
    barrier = threading.Barrier(len(calls))
    spans: list[tuple[float, float]] = []

    def run(call: Callable[[int], None], place: int) -> None:
        stay_on(place)
        barrier.wait()
        start = time.perf_counter()
        call(repeats)
        spans.append((start, time.perf_counter()))

    workers = [threading.Thread(target=run, args=(c, place)) for place, c in enumerate(calls)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return max(stop for _, stop in spans) - min(start for start, _ in spans)


def stay_on(place: int) -> None:
    """Keep this thread on a processor of its own: a new one often begins on its creator's."""
    if hasattr(os, "sched_setaffinity"):
        allowed = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {allowed[place % len(allowed)]})


def aligned(size: int) -> np.ndarray:
    """Memory that begins with a page."""
    # Written to: pages never written are all one page of zeros, which is read from the cache.
    raw = np.ones(size + 4096, np.uint8)
    start = -raw.ctypes.data % 4096
    return raw[start : start + size]


class Kernels:
    """The compiled loops, as foreign functions that run without the interpreter's lock."""

    def __init__(self) -> None:
        width = engine.target().vector_bytes
        lanes = {"float32": width // 4, "float64": width // 8}
        text = "\n".join(
            [
                stream("triad", width // 8, reads=2, writes=1),
                stream("streaming", width // 8, reads=2, writes=1, streaming=True),
                stream("copy", width // 8, reads=1, writes=1, streaming=True),
                *[
                    _chains(f"{name}_{dtype}", name, lanes[dtype], scalar)
                    for name in OPERATIONS
                    for dtype, scalar in (("float32", "float"), ("float64", "double"))
                ],
                _chain("chain"),
                _MEET,
                "!0 = !{i32 1}",
            ]
        )
        names = ["triad", "streaming", "copy", "chain", "meet"]
        names += [f"{name}_{dtype}" for name in OPERATIONS for dtype in lanes]
        self.library = engine.load(engine.compile_ir(text), names)
        pointer, integer = ctypes.c_void_p, ctypes.c_int64
        streams = ctypes.CFUNCTYPE(None, pointer, integer, integer)
        compute = ctypes.CFUNCTYPE(None, pointer, integer)
        self.triad = streams(self.library.address("triad"))
        self.streaming = streams(self.library.address("streaming"))
        self.copy = streams(self.library.address("copy"))
        chain = ctypes.CFUNCTYPE(integer, integer, integer)
        self.chain = chain(self.library.address("chain"))
        self.lanes = lanes
        self.operations = {
            (name, dtype): compute(self.library.address(f"{name}_{dtype}"))
            for name in OPERATIONS
            for dtype in lanes
        }


# A turn ends when every thread has begun one, or never will: another thread's region may run.
_MEET = """define void @meet(ptr %missing, i64 %i) {
entry:
  %before = atomicrmw sub ptr %missing, i64 1 seq_cst, align 8
  br label %look
look:
  %turn = phi i64 [0, %entry], [%next, %look]
  %left = load atomic i64, ptr %missing seq_cst, align 8
  %next = add i64 %turn, 1
  %is_early = icmp sgt i64 %left, 0
  %is_patient = icmp slt i64 %turn, 1000000
  %waits = and i1 %is_early, %is_patient
  br i1 %waits, label %look, label %done
done:
  ret void
}"""


def stream(name: str, lanes: int, reads: int, writes: int, streaming: bool = False) -> str:
    """`void name(ptr arrays, i64 n, i64 repeats)`: goes over `n` words of 8 bytes (a multiple of the step) of each
    array, `repeats` times. The first `reads` of them are read, the next `writes` are given what these have in
    common; where none is written, there is one more, whose first words tell that all were read."""
    vector = f"<{lanes} x i64>"
    mark = ", !nontemporal !0" if streaming else ""
    arrays = range(reads + max(writes, 1))
    body, last = [], []
    for k in range(UNROLL):
        body.append(f"  %i{k} = add i64 %i, {k * lanes}")
        value = f"%seen{k}" if not writes else "splat (i64 1)"
        for array in range(reads):
            body.append(f"  %p{array}.{k} = getelementptr i64, ptr %a{array}, i64 %i{k}")
            body.append(f"  %x{array}.{k} = load {vector}, ptr %p{array}.{k}, align 64")
            body.append(f"  %v{array}.{k} = or {vector} {value}, %x{array}.{k}")
            value = f"%v{array}.{k}"
        for array in range(reads, reads + writes):
            body.append(f"  %p{array}.{k} = getelementptr i64, ptr %a{array}, i64 %i{k}")
            body.append(f"  store {vector} {value}, ptr %p{array}.{k}, align 64{mark}")
        last.append(value)
    seen = range(0 if writes else UNROLL)
    return "\n".join(
        [
            f"define void @{name}(ptr %arrays, i64 %n, i64 %repeats) {{",
            "entry:",
            *(f"  %q{a} = getelementptr ptr, ptr %arrays, i64 {a}" for a in arrays),
            *(f"  %a{a} = load ptr, ptr %q{a}" for a in arrays),
            "  br label %outer",
            "outer:",
            "  %repeat = phi i64 [0, %entry], [%next, %done]",
            "  br label %inner",
            "inner:",
            "  %i = phi i64 [0, %outer], [%step, %inner]",
            *(
                f"  %seen{k} = phi {vector} [splat (i64 1), %outer], [{last[k]}, %inner]"
                for k in seen
            ),
            *body,
            f"  %step = add i64 %i, {UNROLL * lanes}",
            "  %more = icmp slt i64 %step, %n",
            "  br i1 %more, label %inner, label %done",
            "done:",
            *(f"  store {vector} {last[k]}, ptr %a{reads}, align 64" for k in seen),
            "  %next = add i64 %repeat, 1",
            "  %again = icmp slt i64 %next, %repeats",
            "  br i1 %again, label %outer, label %exit",
            "exit:",
            "  ret void",
            "}",
        ]
    )


def _chains(name: str, operation: str, lanes: int, scalar: str) -> str:
    """Independent chains of an operation on registers, `repeats` steps long; the results end in `out`."""
    vector, suffix = f"<{lanes} x {scalar}>", "f32" if scalar == "float" else "f64"
    chains = range(ACCUMULATORS)
    return "\n".join(
        [
            f"define void @{name}(ptr %out, i64 %repeats) {{",
            "entry:",
            *(
                f"  %start{k} = insertelement {vector} zeroinitializer, {scalar} {k}.0, i32 0"
                for k in chains
            ),
            f"  %factor = load {vector}, ptr %out, align 64",
            "  br label %loop",
            "loop:",
            "  %i = phi i64 [0, %entry], [%step, %loop]",
            *(f"  %a{k} = phi {vector} [%start{k}, %entry], [%b{k}, %loop]" for k in chains),
            *(
                "  "
                + OPERATIONS[operation].format(
                    new=f"%b{k}", old=f"%a{k}", vector=vector, suffix=f"v{lanes}{suffix}"
                )
                for k in chains
            ),
            "  %step = add i64 %i, 1",
            "  %more = icmp slt i64 %step, %repeats",
            "  br i1 %more, label %loop, label %exit",
            "exit:",
            *(f"  %p{k} = getelementptr {vector}, ptr %out, i64 {k}" for k in chains),
            *(f"  store {vector} %b{k}, ptr %p{k}, align 64" for k in chains),
            "  ret void",
            "}",
        ]
    )


def _chain(name: str) -> str:
    """`count` times sixteen additions and exclusive ors of `start`, each with the one before."""
    body, last = [], "x"
    for k in range(CHAIN // 2):
        body += [f"  %a{k} = add i64 %{last}, %start", f"  %o{k} = xor i64 %a{k}, %count"]
        last = f"o{k}"
    return "\n".join(
        [
            f"define i64 @{name}(i64 %start, i64 %count) {{",
            "entry:",
            "  br label %loop",
            "loop:",
            "  %i = phi i64 [0, %entry], [%step, %loop]",
            f"  %x = phi i64 [%start, %entry], [%{last}, %loop]",
            *body,
            "  %step = add i64 %i, 1",
            "  %more = icmp slt i64 %step, %count",
            "  br i1 %more, label %loop, label %done",
            "done:",
            f"  ret i64 %{last}",
            "}",
        ]
    )
