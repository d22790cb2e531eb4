"""The threads of parallel loops: how many, and the native pool that runs them."""

from __future__ import annotations

import ctypes
import os
import platform
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from operator import index
from pathlib import Path

from tracejit.config import config
from tracejit.interruption import INTERRUPTED, POLL_DUE
from tracejit.runtime import engine, interrupts
from tracejit.runtime.cores import cores_of_process

MAX_THREADS = 1024

# How long a worker spins before it parks. Waking a parked one takes 30 to 50 us (measured in a
# virtual machine), so this bridges the gap between kernels that Python calls one after the other
# and wastes at most about twice what parking at once would have cost.
SPIN_NANOSECONDS = 100_000

# Work that is done before a parked worker has come, and the system has been asked to wake it.
WAKE_NANOSECONDS = 60_000

# Of Linux's architectures: the number of the system call, and the instruction that a spinning
# thread executes to leave the core to others.
FUTEX = {"x86_64": 202, "aarch64": 98, "riscv64": 98}
RELAX = {
    "x86_64": "call void @llvm.x86.sse2.pause()",
    "aarch64": "call void @llvm.aarch64.hint(i32 1)",
}
# Where a processor counts time for everybody: the instruction, and how many ticks make a nanosecond,
# about. Elsewhere the system's clock is asked, which takes three times as long.
TICKS = {"x86_64": ("call i64 @llvm.readcyclecounter()", 3)}
RELAX_DECLARATION = {
    "x86_64": "declare void @llvm.x86.sse2.pause()",
    "aarch64": "declare void @llvm.aarch64.hint(i32)",
}

_chosen: int | None = None
_library: engine.Library | None = None
# How many threads a parallel loop may use, where native code reads it.
_limit = ctypes.c_int64(1)
LIMIT_ADDRESS = ctypes.addressof(_limit)


def get_num_threads() -> int:
    """How many threads a parallel loop may use, the calling one included."""
    return _limit.value


def set_num_threads(count: int) -> None:
    """Set how many threads a parallel loop may use, the calling one included; process-wide.

    Takes effect with the next loop and the next call: programs with parallel loops are compiled again for
    another number, and kept. Raises ValueError outside 1 to 1024.
    """
    count = index(count)
    if not 1 <= count <= MAX_THREADS:
        raise ValueError(f"cannot use {count} threads; the number must be from 1 to {MAX_THREADS}")
    _choose(count)


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Use ``count`` threads inside a ``with`` block; process-wide, restored on the way out."""
    before = _chosen
    set_num_threads(count)
    try:
        yield
    finally:
        _choose(before)


def parallel_for_address() -> int:
    """The address of ``void tj_parallel_for(void (*f)(void *, i64, i64), void *, i64 n, i64 threads, i64 each)``.

    It calls ``f(context, i, thread)`` for every i in [0, n) and returns when all calls have returned, on at
    most ``threads`` threads (0: no limit but ``get_num_threads``, which always holds). ``each`` is how many
    nanoseconds a call takes, about; where all are little, no sleeping thread is woken (0: any is). Iterations
    are claimed one by one; each thread begins with a range of its own. A region that begins inside another, or while another thread's
    runs, is executed by its caller alone. ``thread`` is below ``threads``, and no other thread's. The pool is compiled at the first call.
    """
    return address("tj_parallel_for")


def address(name: str) -> int:
    """Where a function of the pool's is: `tj_parallel_for`, `tj_parallel_for_polling`, for one that polls, or
    `tj_poll` itself."""
    global _library
    with engine.lock:
        if _library is None:
            _library = _load(*_platform())
        return _library.address(name)


def _choose(count: int | None) -> None:
    global _chosen
    with engine.lock:
        _chosen = count
        _publish_limit()


def _publish_limit() -> None:
    """What was chosen, or what TRACEJIT_THREADS says, or as many as there are cores."""
    _limit.value = _chosen or min(max(config.threads, 0) or cores_of_process(), MAX_THREADS)


_publish_limit()
config.followers.append(_publish_limit)


def _platform() -> tuple[str, str]:
    """The native part that fits this system, and its architecture."""
    machine = {"AMD64": "x86_64", "arm64": "aarch64"}.get(platform.machine(), platform.machine())
    if os.name != "posix" or sys.byteorder != "little" or sys.maxsize < 2**63 - 1:
        return "none", machine  # limit: on Windows, 32-bit and big-endian systems loops are serial
    return "linux" if sys.platform == "linux" and machine in FUTEX else "posix", machine


def _load(system: str, machine: str) -> engine.Library:
    native = Path(__file__).parent / "native"
    parts = ("threads", f"threads_{system}", "poll")
    text = "".join([(native / f"{part}.ll").read_text() for part in parts])
    ticks, rate = TICKS.get(machine, ("call i64 @clock()", 1))
    for name, number in {
        "POLL_TICKS": interrupts.NANOSECONDS * rate,
        "POLL_DUE": POLL_DUE,
        "INTERRUPTED": INTERRUPTED,
        "SPIN_NANOSECONDS": SPIN_NANOSECONDS,
        "WAKE_NANOSECONDS": WAKE_NANOSECONDS,
        "FUTEX_CALL": FUTEX.get(machine),
    }.items():
        text = text.replace(name, str(number))
    text += RELAX_DECLARATION.get(machine, "")
    text += f"\ndefine internal void @relax() {{\n  {RELAX.get(machine, '')}\n  ret void\n}}\n"
    text += f"\ndefine internal i64 @ticks() {{\n  %t = {ticks}\n  ret i64 %t\n}}\n"
    text += "declare i64 @llvm.readcyclecounter()\n"
    exports = ["tj_parallel_for", "tj_parallel_for_polling", "tj_poll"]
    exports += ["tj_spin_nanoseconds", "tj_forget_threads"]
    imports = {**interrupts.imports(), "tj_thread_limit": LIMIT_ADDRESS}
    library = engine.load(engine.compile_ir(text, level=0), exports, imports)
    _call_after_fork(library.address("tj_forget_threads"))
    return library


def _call_after_fork(address: int) -> None:
    """Have the C library call a function in the child of every fork, Python's or not."""
    if not hasattr(os, "fork"):
        return
    libc = ctypes.CDLL(None)
    nothing, function = ctypes.c_void_p(), ctypes.c_void_p(address)
    if hasattr(libc, "__register_atfork"):  # glibc exports pthread_atfork under this name only
        libc.__register_atfork(nothing, nothing, function, nothing)
    else:
        libc.pthread_atfork(nothing, nothing, function)
