"""The machine this process runs on: cores, caches, and what memory and arithmetic reach at most.

What the system tells is read; bandwidths and multiply-adds per second are measured, in about half a
second, by the first process that asks, and kept in the cache directory. Processes that measure at
the same time do so each for itself, and the last one's file stays: files are written whole.
"""

from __future__ import annotations

import json
import os
import pathlib
import time
from typing import Any, NamedTuple

from tracejit.runtime import engine, native_code
from tracejit.runtime.probes import Effort, Kernels

# Of what is measured, and how; another number makes old measurements void.
VERSION = 1
EFFORT = Effort(tries=6, block_seconds=0.001)
# No array of a probe is larger: fresh pages take their time.
MOST_BYTES = 64 << 20
# Where the system says nothing.
USUAL_CACHES = {"L1": 32 << 10, "L2": 1 << 20, "L3": 32 << 20}
MEMORY = "DRAM"


class Machine(NamedTuple):
    """Rates are per second, for one thread and for all; a multiply-add counts as two operations.

    `caches`: bytes of each level, `L1` and `L2` of a core, `L3` shared; `bandwidth`: bytes, by level
    of memory; `flops`: by dtype; `measured`: when, in seconds since 1970.
    """

    cpu: str
    cores: int
    vector_bytes: int
    caches: dict[str, int]
    bandwidth: dict[str, tuple[float, float]]
    flops: dict[str, tuple[float, float]]
    measured: float

    def level_of(self, size: int, threads: int = 1) -> str:
        """The nearest memory that holds so many bytes of a program on so many threads."""
        for level, capacity in self.caches.items():
            private = level in ("L1", "L2")
            if size <= capacity * (threads if private else 1):
                return level
        return MEMORY

    def bytes_per_second(self, level: str, threads: int) -> float:
        return _rate(self.bandwidth[level], threads)

    def operations_per_second(self, dtype: str, threads: int, fused: bool = True) -> float:
        """At most, for elements of `dtype`; half of it where additions and products are not fused.

        Of dtypes that were not measured, what fits into a vector decides: complex numbers have the
        rate of their parts, integers of so many bytes that of floats of that size.
        """
        peak = _rate(self.flops[_like(dtype)], threads) * _size_ratio(dtype)
        return peak if fused else peak / 2


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
    path = _file()
    found = _read(path)
    if found is None:
        found = measure()
        _keep(path, found)
    return found


def measure_again() -> Machine:
    """Measure, and keep that for the processes to come; this one may know the old figures already."""
    found = measure()
    _keep(_file(), found)
    return found


def measure() -> Machine:
    """Read and measure everything."""
    kernels, cores, sizes = Kernels(), _cores(), cache_sizes()
    bandwidth = {}
    for level in (*sizes, MEMORY):
        private = level in ("L1", "L2")
        arrays = _array_bytes(level, sizes)
        bandwidth[level] = tuple([
            EFFORT.bandwidth(kernels.triad, [arrays if private else arrays // count] * count)
            for count in (1, cores)
        ])  # fmt: skip
    # Stores that bypass the cache are what large outputs are written with.
    large = [_array_bytes(MEMORY, sizes)]
    alone = EFFORT.bandwidth(kernels.streaming, large)
    shared = EFFORT.bandwidth(kernels.streaming, [large[0] // cores] * cores)
    one, every = bandwidth[MEMORY]
    bandwidth[MEMORY] = (max(one, alone), max(every, shared))
    flops = {
        dtype: tuple([EFFORT.flops(kernel, lanes, count) for count in (1, cores)])
        for dtype, (kernel, lanes) in kernels.multiply_add.items()
    }
    vector_bytes = engine.target().vector_bytes
    return Machine(_cpu(), cores, vector_bytes, sizes, bandwidth, flops, time.time())


def cache_sizes() -> dict[str, int]:
    """Bytes of the data caches that a core sees, by level, nearest first."""
    found: dict[str, int] = {}
    for cache in sorted(pathlib.Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")):
        try:
            kind = (cache / "type").read_text().strip()
            level = f"L{(cache / 'level').read_text().strip()}"
            text = (cache / "size").read_text().strip()
            size = int(text[:-1]) << {"K": 10, "M": 20, "G": 30}[text[-1]]
        except (OSError, ValueError, KeyError):
            continue
        if kind != "Instruction":
            found[level] = max(size, found.get(level, 0))
    return dict(sorted(found.items())) or dict(USUAL_CACHES)


def last_cache() -> int:
    """Bytes of the largest cache that a core sees."""
    return max(cache_sizes().values())


def _array_bytes(level: str, sizes: dict[str, int]) -> int:
    """Bytes of each of three arrays that lie in this level together, and in none nearer."""
    if level == MEMORY:
        return max(min(MOST_BYTES, 2 * max(sizes.values())), 16 << 20)
    return min(sizes[level] // 4, MOST_BYTES // 8)


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _cpu() -> str:
    """The processor's name as the system tells it, or as LLVM does."""
    try:
        lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
        name = next(
            line.partition(":")[2].strip() for line in lines if line.startswith("model name")
        )
        return f"{name} ({engine.target().cpu})"
    except (OSError, StopIteration):
        return engine.target().cpu


def _file() -> pathlib.Path | None:
    key = (VERSION, _cpu(), _cores(), cache_sizes())
    return native_code.cached_file("machine-", key, ".json")


def _keep(path: pathlib.Path | None, found: Machine) -> None:
    if path is not None and native_code.is_writable(path.parent):
        native_code.write_cached(path, json.dumps(found._asdict()).encode())


def _read(path: pathlib.Path | None) -> Machine | None:
    content = native_code.read_cached(path)
    if not content:
        return None
    fields: dict[str, Any] = json.loads(content)
    for table in ("bandwidth", "flops"):
        fields[table] = {name: tuple(rates) for name, rates in fields[table].items()}
    return Machine(**fields)
