"""The machine's limit for one row: a loop that moves the row's bytes, or multiplies and adds as often as it must.

Memory is as fast as it is at the moment: on a machine that others use it may be twice as fast a minute later. So a
row is held against a *probe* that runs in turns with it, on as many threads, over as many arrays of as many bytes as
the row reads and writes; the least that each of the two took gives the row's share of the limit. A probe does as
little as there is to do between reading and writing, stores past the caches where that is faster, and does not count
what starting threads takes. Where all must be read before anything can be written, the probe reads it before, too.
"""

import ctypes
import functools
import time
import timeit
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

import tracejit
from tracejit.runtime import engine, threads
from tracejit.runtime.machine import machine
from tracejit.runtime.probes import ACCUMULATORS, UNROLL, Kernels, aligned, stream

from .harness import Case, Variant
from .peers import THREADS

# More arrays than these are probed with so many, each of them larger.
MOST_READ, MOST_WRITTEN = 6, 3
TRIES, TRY_SECONDS = 20, 0.0003
# Less is done before another thread has begun: one that waits for work takes 2 us to begin and end some.
SHORT_SECONDS = 4e-6
KINDS = {"kept": False, "streamed": True}
PIECES, PIECE_BYTES = 8, 64 << 10
# What a thread is given: how many turns, of which loop, and on what. A thread of a region calls the part
# with its number.
WORDS = 16
PART = """define void @NAME(ptr %rows, i64 %number, i64 %thread) {
  %place = mul i64 %number, 128
  %row = getelementptr i8, ptr %rows, i64 %place
  %turns = load i64, ptr %row
  %loop.place = getelementptr i8, ptr %row, i64 8
  %loop = load ptr, ptr %loop.place
  %size.place = getelementptr i8, ptr %row, i64 16
  %size = load i64, ptr %size.place
  %arrays = getelementptr i8, ptr %row, i64 24
  CALL
  ret void
}"""
PARTS = {
    "stream": "call void %loop(ptr %arrays, i64 %size, i64 %turns)",
    "chains": "%out = load ptr, ptr %arrays\n  call void %loop(ptr %out, i64 %turns)",
}

# Of so many places as are a multiple of a step.
PICK = """define void @pick(ptr noalias %arrays, i64 %n, i64 %repeats) {
entry:
POINTERS
  %end = sub i64 %n, STEP
  br label %outer
outer:
  %repeat = phi i64 [0, %entry], [%next, %done]
  br label %inner
inner:
  %k = phi i64 [0, %outer], [%step, %inner]
BODY
  %step = add i64 %k, STEP
  %more = icmp sle i64 %step, %end
  br i1 %more, label %inner, label %done
done:
  %next = add i64 %repeat, 1
  %again = icmp slt i64 %next, %repeats
  br i1 %again, label %outer, label %exit
exit:
  ret void
}"""


@dataclass(frozen=True)
class Stream:
    """Memory that is read and written: how many arrays, and the bytes of all of them."""

    reads: int
    writes: int
    bytes: int

    def __str__(self) -> str:
        return f"{self.reads}r{self.writes}w"


def stream_of(case: Case) -> Stream:
    """What a case moves, as arrays about as large as its largest."""
    unit = max(case.largest, case.bytes // (MOST_READ + MOST_WRITTEN), 1)
    reads = min(round((case.bytes - case.written) / unit), MOST_READ)
    writes = min(round(case.written / unit), MOST_WRITTEN)
    return Stream(max(reads, not writes), writes, case.bytes)


def memory_of(arrays: Iterable[np.ndarray], written: int, threads: int) -> dict[str, Any]:
    """What a case says of arrays that are read, and bytes that are written: the memory that holds them, for one."""
    sizes = [*[array.nbytes for array in arrays], written]
    level = machine().level_of(sum(sizes), threads)
    near = "L2" if level == "L1" else level
    return {"bytes": sum(sizes), "written": written, "largest": max(sizes), "memory": near}


def limits_of(case: Case) -> list[Variant]:
    """The probes of a case, labelled with what they are limited by; of those of one label the fastest counts."""
    count = case.threads or THREADS
    found = []
    place = case.memory or case.level
    if place and case.bytes:
        moved = stream_of(case)
        alone = _streams(moved, 1)
        short = min(probe.seconds() / probe.share for probe in alone) < SHORT_SECONDS
        threads = 1 if short else count
        chosen = _streams(moved, threads)
        label, before = f"{place} {moved}", []
        if case.sweeps:
            sweep = Stream(1, 0, moved.bytes // (moved.reads + moved.writes))
            label, before = f"{place} {sweep}+{moved}", _streams(sweep, threads)
        found += [probe.variant(label, before, case.passes) for probe in chosen]
    if case.picked:
        found.append(_picks(case.picked, count).variant(f"{case.level}, place by place"))
    if case.flops and case.dtype in _kernels().lanes:
        found.append(_multiply_adds(case.flops, case.dtype, count).variant("multiply-adds"))
    return found


@functools.cache
def call_seconds(count: int) -> float:
    """What a call takes of so many arrays, which hardly does anything with them."""
    names = ", ".join(f"a{k}" for k in range(count))
    function = tracejit.jit(eval(f"lambda {names}: a0 + 1"))  # noqa: S307  our own text
    arrays = [np.zeros(1) for _ in range(count)]
    function(*arrays)
    tracejit.wait()
    timer = timeit.Timer(lambda: function(*arrays))
    empty = timeit.Timer(lambda: None)
    number = 1000
    return max(min(timer.repeat(TRIES, number)) - min(empty.repeat(TRIES, number)), 0.0) / number


class _Probe:
    """A loop that each thread runs over memory of its own. `share` of the row's work is what all of them do in
    a turn."""

    def __init__(self, part: str, loop: int, rows: list[list[int]], keeps: object, share: float):
        self.keeps, self.share, self.parts = keeps, share, len(rows)
        self.words = (ctypes.c_int64 * (WORDS * len(rows)))()
        for number, row in enumerate(rows):
            first = WORDS * number
            self.words[first : first + 2 + len(row)] = [1, loop, *row]
        self.address = _parts().address(part)
        self.alone = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64)(
            self.address
        )

    def run(self) -> None:
        where = ctypes.addressof(self.words)
        if self.parts == 1:
            self.alone(where, 0, 0)
        else:
            _region()(self.address, where, self.parts, 0, 0)

    def seconds(self) -> float:
        """The least time of a turn."""
        self.run()
        turns, grown = 0, self.words[0]
        while grown > 1.5 * turns:  # what one turn takes is not known from a few short ones
            turns = grown
            self.take(turns)
            start = time.perf_counter()
            self.run()
            seconds = (time.perf_counter() - start) / turns
            # A part that had several turns at once would find what it read in a nearer cache, unless a
            # thread has no other.
            grown = round(TRY_SECONDS / seconds) if self.parts <= THREADS else 1
        return min(timeit.repeat(self.run, number=1, repeat=TRIES)) / turns

    def take(self, turns: int) -> None:
        """Do so many turns in a run."""
        for number in range(self.parts):
            self.words[number * WORDS] = turns

    def variant(self, label: str, before: Sequence["_Probe"] = (), passes: int = 1) -> Variant:
        """What takes as long as the row's work would, which does it so often, and as many turns of others first."""
        self.seconds()  # of so many turns that starting threads does not count
        for probe in before:
            probe.take(self.words[0])

        def run() -> None:
            for probe in (*before, self):
                probe.run()

        share = self.words[0] * self.share / passes
        return Variant("limit", "f()", {"f": run}, label=label, calls=share)


def _streams(moved: Stream, count: int) -> list[_Probe]:
    """The probes of a stream: what is written stays in the caches, or does not."""
    arrays = moved.reads + max(moved.writes, 1)
    step = UNROLL * engine.target().vector_bytes
    total = moved.bytes // (moved.reads + moved.writes)
    # Where other programs take a processor away, the other threads do what it leaves: in pieces, where there is much.
    parts = count * PIECES if count > 1 and total > count * PIECES * PIECE_BYTES else count
    size = max(total // parts // step * step, step)
    memory = [aligned(size * parts) for _ in range(arrays)]
    rows = [
        [size // 8, *[array.ctypes.data + size * part for array in memory]] for part in range(parts)
    ]
    share = size * parts * (moved.reads + moved.writes) / moved.bytes
    loops = _stream_loops(moved.reads, moved.writes)
    kinds = KINDS if moved.writes else ("kept",)
    return [_Probe("stream", loops.address(kind), rows, memory, share) for kind in kinds]


def _picks(arrays: Sequence[np.ndarray], count: int) -> _Probe:
    """Reads the first array at the places that each of the others lists, and stores what it found there."""
    source, *lists = arrays
    out = np.ones(lists[0].size, source.dtype)
    each = out.size // count
    rows = []
    for part in range(count):
        pieces = [a[part * each :] for a in (*lists, out)]
        rows.append([each, *[array.ctypes.data for array in (source, *pieces)]])
    loop = _picking(len(lists), 8 * source.itemsize).address("pick")
    return _Probe("stream", loop, rows, (*arrays, out), each * count / out.size)


@functools.cache
def _picking(lists: int, bits: int) -> engine.Library:
    """`void pick(ptr arrays, i64 n, i64 repeats)`, as a compiler makes it of a loop in C, four places a turn."""
    kind, names, body = f"i{bits}", range(1, lists + 1), []
    for k in range(UNROLL):
        body.append(f"  %k{k} = add i64 %k, {k}")
        value = "0"
        for a in names:
            body += [
                f"  %p{a}.{k} = getelementptr i64, ptr %a{a}, i64 %k{k}",
                f"  %i{a}.{k} = load i64, ptr %p{a}.{k}",
                f"  %q{a}.{k} = getelementptr {kind}, ptr %a0, i64 %i{a}.{k}",
                f"  %x{a}.{k} = load {kind}, ptr %q{a}.{k}",
                f"  %v{a}.{k} = or {kind} {value}, %x{a}.{k}",
            ]
            value = f"%v{a}.{k}"
        body.append(f"  %o.{k} = getelementptr {kind}, ptr %a{lists + 1}, i64 %k{k}")
        body.append(f"  store {kind} {value}, ptr %o.{k}")
    text = PICK.replace("BODY", "\n".join(body)).replace("STEP", str(UNROLL))
    pointers = [
        f"  %s{a} = getelementptr ptr, ptr %arrays, i64 {a}\n  %a{a} = load ptr, ptr %s{a}"
        for a in range(lists + 2)
    ]
    return engine.load(engine.compile_ir(text.replace("POINTERS", "\n".join(pointers))), ["pick"])


def _multiply_adds(flops: int, dtype: str, count: int) -> _Probe:
    kernels = _kernels()
    memory = [aligned(4096) for _ in range(count)]
    for array in memory:
        array.view(np.float32)[:] = 1.0
    share = 2 * ACCUMULATORS * kernels.lanes[dtype] * count / flops
    loop = kernels.library.address(f"multiply_add_{dtype}")
    return _Probe("chains", loop, [[0, array.ctypes.data] for array in memory], memory, share)


_kernels = functools.cache(Kernels)


@functools.cache
def _stream_loops(reads: int, writes: int) -> engine.Library:
    lanes = engine.target().vector_bytes // 8
    loops = [stream(kind, lanes, reads, writes, far) for kind, far in KINDS.items()]
    return engine.load(engine.compile_ir("\n".join([*loops, "!0 = !{i32 1}"])), list(KINDS))


@functools.cache
def _parts() -> engine.Library:
    parts = [PART.replace("NAME", name).replace("CALL", call) for name, call in PARTS.items()]
    return engine.load(engine.compile_ir("\n".join(parts)), list(PARTS))


@functools.cache
def _region() -> Callable:
    """Runs the parts of a probe on the threads that tracejit's loops run on."""
    pointer, integer = ctypes.c_void_p, ctypes.c_int64
    region = ctypes.CFUNCTYPE(None, pointer, pointer, *[integer] * 3)
    return region(threads.parallel_for_address())
