"""The machine this process runs on: cores, caches, and what memory and arithmetic reach at most.

What the system tells is read; rates and the prices of threads and of fresh pages are measured, in
one to two seconds, by the first process that asks (`machine`), and kept in the cache directory. A
compile asks for nothing to be measured: `known` is what is in the file, or else `assumed`. A file of another
machine, or one that cannot be understood, counts as none. Processes that measure at the same time do so each
for itself, and the last one's file stays: files are written whole.
"""

from __future__ import annotations

import ast
import functools
import math
import pathlib
import time
from typing import Any, NamedTuple

from tracejit.deferred import module
from tracejit.runtime import disk, engine, native_code
from tracejit.runtime.cores import cores_of_process

# Of what is measured, and how; another number makes old measurements void.
VERSION = 5
TRIES, BLOCK_SECONDS = 8, 0.001
# No array of a probe is larger: fresh pages take their time.
MOST_BYTES = 64 << 20
# Where Linux tells of the caches of a core; where the system says nothing.
CACHES = "/sys/devices/system/cpu/cpu0/cache"
USUAL_CACHES = {"L1": 32 << 10, "L2": 1 << 20, "L3": 32 << 20}
MEMORY = "DRAM"
PRIVATE = ("L1", "L2")
# Of a core of today, until its own are measured: cycles a second, vectors of bytes that come from each
# level in a cycle, vectors of multiply-adds in a cycle.
USUAL_CLOCK = 3.5e9
USUAL_VECTORS = {"L1": 2.0, "L2": 1.0, "L3": 0.5}
USUAL_MEMORY, USUAL_UNITS = 12e9, 2
LEAST_LIGHT = (
    0.8  # in whole functions, whose comparisons and masks have fewer units (fitted on Zen 5)
)
# Cycles of a vector that is divided, or whose roots are taken.
RARE = {"divide": {"float32": 5.0, "float64": 8.0}, "sqrt": {"float32": 6.0, "float64": 12.0}}
USUAL_FORK, USUAL_WAKE, USUAL_PAGE = 2e-6, 40e-6, 0.25e-6
# Of the last cache, where it was not measured; parts of it that are tried, and how fast the largest is that stays; and
# of rounds until what is missed stays the same.
USUAL_STAYS, PARTS, NEARLY, ROUNDS = 0.75, (0.5, 0.625, 0.75, 0.875, 1.0), 0.85, 50


class Machine(NamedTuple):
    """Rates are per second, for one thread and for all; a multiply-add counts as two operations.

    `caches`: bytes of each level, `L1` and `L2` of a core, `L3` shared; `bandwidth`: bytes, by level
    of memory; `flops`: by dtype; `light`: what an operation that does not multiply takes of the time of
    one that does, beside it; `rare`: vectors that one core divides, or whose roots it takes
    ("divide float64"); `clock`: cycles; `fork`: seconds of an empty parallel region whose
    threads wait for it, `wake`: where they sleep; `page`: seconds of the first write to a page; `stays`: bytes of
    the last cache that others leave a program; `measured`: when, in seconds since 1970; 0 for what is assumed.
    """

    cpu: str
    cores: int
    vector_bytes: int
    caches: dict[str, int]
    bandwidth: dict[str, tuple[float, float]]
    flops: dict[str, tuple[float, float]]
    light: float
    rare: dict[str, float]
    clock: float
    fork: float
    wake: float
    page: float
    stays: float
    measured: float

    def level_of(self, size: int, threads: int = 1) -> str:
        """The nearest memory that holds so many bytes of a program on so many threads."""
        for level, capacity in self.caches.items():
            if size <= capacity * (threads if self.is_private(level) else 1):
                return level
        return MEMORY

    @staticmethod
    def is_private(level: str) -> bool:
        """Whether each core has a cache of its own at this level."""
        return level in PRIVATE

    def missed(self, level: str, size: float, threads: int = 1) -> float:
        """The part of so many bytes of a thread, used again and again, that are not found in a level each time.

        A core's own caches keep nearly all, or of what goes round in them next to nothing. In the last one a line that
        comes takes any other's place, so a line is still there after a round that brought `missed * size` bytes
        with a probability of `exp(-missed * size / stays)`.
        """
        if self.is_private(level):
            return float(size > self.caches[level])
        return missed_of(size * threads / self.stays)

    def bytes_per_second(self, level: str, threads: int) -> float:
        return _rate(self.bandwidth[level], threads)

    def operations_per_second(self, dtype: str, threads: int, fused: bool = True) -> float:
        """At most, for elements of `dtype`; half of it where additions and products are not fused.

        Of dtypes that were not measured, what fits into a vector decides: complex numbers have the
        rate of their parts, integers of so many bytes that of floats of that size.
        """
        peak = _rate(self.flops[_like(dtype)], threads) * _size_ratio(dtype)
        return peak if fused else peak / 2


def missed_of(rounds: float) -> float:
    """Of what is so many times as much as stays, the part that is missed in each round over it."""
    missed = 1.0 if rounds > 1 else 0.0
    for _ in range(ROUNDS):
        missed = 1 - math.exp(-missed * rounds)
    return missed


def _rate(rates: tuple[float, float], threads: int) -> float:
    return rates[0] if threads == 1 else max(rates)


def _like(dtype: str) -> str:
    return "float64" if dtype in ("float64", "complex128", "int64", "uint64") else "float32"


def _size_ratio(dtype: str) -> float:
    """How many more lanes than of float32 a vector has of what is narrower, and is computed so."""
    return {"int16": 2.0, "uint16": 2.0, "int8": 4.0, "uint8": 4.0, "bool": 4.0}.get(dtype, 1.0)


@native_code.once
def machine() -> Machine:
    """The machine's parameters, from the cache or measured now."""
    return _read(_file()) or measure_again()


@native_code.once
def known() -> Machine:
    """What is known without measuring: from the cache, or assumed."""
    return _read(_file()) or assumed()


def assumed() -> Machine:
    """The machine as far as the system tells, with the rates of a usual core."""
    cores, sizes, vector_bytes = cores_of_process(), cache_sizes(), engine.target().vector_bytes
    each = {level: USUAL_VECTORS.get(level, 1.0) * vector_bytes * USUAL_CLOCK for level in sizes}
    bandwidth = {
        level: (rate, rate * cores if level in PRIVATE else 2 * rate)
        for level, rate in (each | {MEMORY: USUAL_MEMORY}).items()
    }
    flops = {}
    for dtype, item in (("float32", 4), ("float64", 8)):
        one = 2 * USUAL_UNITS * (vector_bytes // item) * USUAL_CLOCK
        flops[dtype] = (one, one * cores)
    rare = {f"{name} {dtype}": USUAL_CLOCK / RARE[name][dtype] for name in RARE for dtype in flops}
    stays = USUAL_STAYS * [*sizes.values()][-1]
    rates = (1.0, rare, USUAL_CLOCK, USUAL_FORK, USUAL_WAKE, USUAL_PAGE, stays)
    return Machine(_cpu(), cores, vector_bytes, sizes, bandwidth, flops, *rates, 0.0)


def measure_again() -> Machine:
    """Measure, and keep that for the processes to come; this one may know the old figures already."""
    found = measure()
    _keep(_file(), found)
    return found


def measure() -> Machine:
    """Read and measure everything."""
    probes = module("tracejit.runtime.probes")
    kernels, effort = probes.Kernels(), probes.Effort(TRIES, BLOCK_SECONDS)
    cores, sizes = cores_of_process(), cache_sizes()
    bandwidth = {}
    for level in (*sizes, MEMORY):
        private = level in PRIVATE
        arrays = _array_bytes(level, sizes)
        bandwidth[level] = tuple([
            effort.bandwidth(kernels.triad, [arrays if private else arrays // count] * count)
            for count in (1, cores)
        ])  # fmt: skip
    # Stores that bypass the cache are what large outputs are written with.
    large = [_array_bytes(MEMORY, sizes)]
    alone = effort.bandwidth(kernels.streaming, large)
    shared = effort.bandwidth(kernels.streaming, [large[0] // cores] * cores)
    one, every = bandwidth[MEMORY]
    bandwidth[MEMORY] = (max(one, alone), max(every, shared))
    flops = {}
    for dtype, lanes in kernels.lanes.items():
        fused = kernels.operations["multiply_add", dtype]
        flops[dtype] = tuple([2 * lanes * effort.vectors(fused, count) for count in (1, cores)])
    one = 1 / effort.vectors(kernels.operations["multiply_add", "float64"])
    more = 1 / effort.vectors(kernels.operations["mixed", "float64"]) - one
    light = min(max(more / one, LEAST_LIGHT), 1.0)
    rare = {
        f"{name} {dtype}": effort.vectors(kernels.operations[name, dtype])
        for name in RARE
        for dtype in kernels.lanes
    }
    fork, wake = probes.region_seconds(kernels)
    rates = (light, rare, effort.clock(kernels), fork, wake, probes.page_seconds())
    stays = _staying(kernels, effort, bandwidth, sizes)
    vector_bytes = engine.target().vector_bytes
    return Machine(_cpu(), cores, vector_bytes, sizes, bandwidth, flops, *rates, stays, time.time())


def _staying(kernels: Any, effort: Any, bandwidth: dict, sizes: dict) -> float:
    """How much of the last cache a program has to itself: the most that comes nearly as fast as less does."""
    last = [*sizes][-1]
    stays = sizes[last] * PARTS[0]
    for part in PARTS:
        size = sizes[last] * part
        if effort.bandwidth(kernels.triad, [int(size) // 3]) < NEARLY * bandwidth[last][0]:
            break
        stays = size
    return stays


def cache_sizes() -> dict[str, int]:
    """Bytes of the data caches that a core sees, by level, nearest first."""
    return dict(_told_sizes())


@functools.cache
def _told_sizes() -> tuple[tuple[str, int], ...]:
    found: dict[str, int] = {}
    for cache in sorted(pathlib.Path(CACHES).glob("index*")):
        try:
            kind = (cache / "type").read_text().strip()
            level = f"L{(cache / 'level').read_text().strip()}"
            text = (cache / "size").read_text().strip()
            size = int(text[:-1]) << {"K": 10, "M": 20, "G": 30}[text[-1]]
        except (OSError, ValueError, KeyError):
            continue
        if kind != "Instruction" and size > 0:
            found[level] = max(size, found.get(level, 0))
    return tuple(sorted(found.items())) or tuple(USUAL_CACHES.items())


def last_cache() -> int:
    """Bytes of the largest cache that a core sees."""
    return max(cache_sizes().values())


def _array_bytes(level: str, sizes: dict[str, int]) -> int:
    """Bytes of each of three arrays that lie in this level together, well inside, and in none nearer."""
    if level == MEMORY:
        return max(min(MOST_BYTES, 2 * max(sizes.values())), 16 << 20)
    return min(sizes[level] // 8, MOST_BYTES // 8)


@functools.cache
def _cpu() -> str:
    """The processor's name as the system tells it, or as LLVM does."""
    try:
        with open("/proc/cpuinfo") as file:  # of many cores the first says enough
            lines = file.read(4096).splitlines()
        name = next(
            line.partition(":")[2].strip() for line in lines if line.startswith("model name")
        )
        return f"{name} ({engine.target().cpu})"
    except (OSError, StopIteration):
        return engine.target().cpu


def _file() -> pathlib.Path | None:
    key = (VERSION, _cpu(), cores_of_process(), cache_sizes())
    return disk.cached_file("machine-", key, ".json")


def _keep(path: pathlib.Path | None, found: Machine) -> None:
    if path is not None and disk.is_writable(path.parent):
        disk.write_cached(path, repr(found._asdict()).encode())


def _read(path: pathlib.Path | None) -> Machine | None:
    """What is in a file, if it is about this machine as it is now."""
    content = disk.read_cached(path)
    if not content:
        return None
    try:
        fields: dict[str, Any] = ast.literal_eval(content.decode())
        found = Machine(**fields)
        is_whole = {*found.bandwidth} == {*found.caches, MEMORY} and len(found.flops) == 2
        rates = [
            rate for pair in (*found.bandwidth.values(), *found.flops.values()) for rate in pair
        ]
        is_whole &= len(found.rare) == len(RARE) * len(found.flops)
        is_whole &= (
            min(
                *rates,
                found.light,
                *found.rare.values(),
                found.clock,
                found.fork,
                found.wake,
                found.page,
                found.stays,
            )
            > 0
        )
    except (ValueError, SyntaxError, TypeError, AttributeError):
        return None
    here = (_cpu(), cores_of_process(), engine.target().vector_bytes, cache_sizes())
    return found if is_whole and found[:4] == here else None
