"""`jit(tune=...)`: variants of a program's kernels are measured, and the fastest ones remembered.

A program is compiled as the model of the machine says, and serves calls. Meanwhile a thread runs it and its
variants (lower/variants.py) on copies of the arguments, with clocks between the kernels, in turn, so that
noise hits all alike. What won is written down by the text of the kernel, in the cache directory, and from then on
is part of lowering: `tuned` puts the winners' loops into the program, under names that say so. The entry of
the signature changes to the new code in one step, and calls that run in the old one finish there.

Where nothing is much faster, that is written down as well. A winner must give the same results: in
"strict" only variants are tried that give the same bits, in the other contracts those that are as near as these allow.
"""

from __future__ import annotations

import ast
import atexit
import mmap
import os
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from .config import config
from .dump import say
from .ir.graph import Kernel, Module
from .ir.text import show
from .ir.types import ArrayType
from .ir.verify import Stage
from .lower import pipeline
from .lower.pipeline import Options
from .lower.variants import Variant, alternatives, calls_of, grafted, variants
from .report.clocks import can_read_clocks, with_clocks
from .runtime import disk, tiers
from .stages import Compiled, Lowered, fit

SECONDS = 2.0  # to spend on a signature, unless told otherwise
WORTH = 0.95  # of the time that the model's choice takes: what is slower than that is not worth a change
ROUNDS = 5
# What won is run once more, as it will be: in blocks of calls, for so many seconds.
CONFIRMING, BLOCK_NANOSECONDS = 0.15, 1e5
NOTHING = ""  # the name of the variant that is none
# How far results may be apart, by the size of the largest: sums in another order.
TOLERANCE = {np.dtype(np.float32): 1e-4, np.dtype(np.complex64): 1e-4, np.dtype(np.float16): 1e-2}
VERSION = 1


class Choice(NamedTuple):
    """A variant's name, and how many times as fast the program was with it, and what else won there."""

    variant: str
    gain: float


_known: dict[Any, Choice] = {}


# What is remembered.


def _key(text: str, options: Options) -> tuple:
    parameters = (*options.machine[:5], options.vector_bytes, options.stream_bytes, options.library)
    kept = (options.numerics, options.keeps_bits)
    return (VERSION, text, *kept, options.slots, *parameters)


def _recalled(key: tuple) -> Choice | None:
    found = _known.get(key)
    if found is None:
        content = disk.read_cached(disk.cached_file("tuned-", key, ".json"))
        try:
            found = Choice(*ast.literal_eval(content.decode())) if content else None
            if found is not None and not (type(found.variant) is str and found.gain > 0):
                found = None
        except (ValueError, SyntaxError, TypeError):
            found = None
        if found is not None:
            _known[key] = found
    return found


def _remember(key: tuple, choice: Choice) -> None:
    _known[key] = choice
    path = disk.cached_file("tuned-", key, ".json")
    if path is not None and disk.is_writable(path.parent):
        disk.write_cached(path, repr(tuple(choice)).encode())


class Tuned(NamedTuple):
    """The stages of a program with what is remembered; notes for readers; whether something is unknown."""

    stages: dict[Stage, Module]
    notes: tuple[str, ...]
    is_open: bool


def tuned(module: Module, options: Options, stages: dict[Stage, Module]) -> Tuned:
    """A lowered program with the variants that were measured to be faster, as far as that is known."""
    by_name = {variant.name: variant for variant in variants(options)}
    notes: list[str] = []
    choice = _recalled(_key(_anonymous(module), options))
    is_open = choice is None
    if choice is not None and choice.variant in by_name:
        stages = _lowered(module, by_name[choice.variant], options) or stages
        notes.append(f"{choice.variant}: {_times(choice)}")
    base = stages[Stage.SCHEDULED]
    chosen: dict[int, Kernel] = {}
    others: dict[str, dict[int, Kernel]] = {}
    for number, call in enumerate(calls_of(base)):
        choice = _recalled(_key(_text(call.kernel), options))
        is_open |= choice is None
        if choice is None or choice.variant not in by_name:
            continue
        if choice.variant not in others:
            others[choice.variant] = _kernels(module, by_name[choice.variant], options, base)
        if number in others[choice.variant]:
            name = f"{call.kernel.name}_{choice.variant}"
            chosen[number] = others[choice.variant][number].replace(name=name)
            notes.append(f"{name}: {_times(choice)}")
    if chosen:
        stages = {**stages, Stage.SCHEDULED: grafted(base, chosen)}
    return Tuned(stages, tuple(dict.fromkeys(notes)), is_open)


def _times(choice: Choice) -> str:
    return f"the program was {choice.gain:.2f} times as fast as the model made it"


def _anonymous(module: Module) -> str:
    """The text of a program, whatever its function is called."""
    return show(Module(module.entry.replace(name="program")))


def _text(kernel: Kernel) -> str:
    return show(Module(kernel))


def _lowered(module: Module, variant: Variant, options: Options) -> dict[Stage, Module] | None:
    changed = variant.options(options)
    return None if changed is None else pipeline.run(module, changed)


def _kernels(module: Module, variant: Variant, options: Options, base: Module) -> dict[int, Kernel]:
    """The kernels of a variant that differ from those of `base`, by the number of their call."""
    if variant.loops is not None:
        changed = [variant.loops(call.kernel) for call in calls_of(base)]
        pairs = enumerate(zip(calls_of(base), changed))
        return {k: new for k, (call, new) in pairs if new is not call.kernel}
    stages = _lowered(module, variant, options)
    return {} if stages is None else alternatives(base, stages[Stage.SCHEDULED])


# Measuring.


class _Trial:
    """A program with clocks, and the least nanoseconds of each of its calls so far."""

    def __init__(self, lowered: Lowered, module: Module):
        self.compiled = Compiled(lowered.with_module(with_clocks(module)), {})
        tiers.wait()
        self.least = np.full(len(calls_of(module)), np.inf)

    def run(self, arrays: Sequence[np.ndarray], written: Sequence[int]) -> list[np.ndarray]:
        """What the program returns, and leaves in what it writes."""
        clock = np.zeros((len(self.least) + 2, 2), np.int64)
        given = [a.copy("K") if k in written else a for k, a in enumerate(arrays)]
        with np.errstate(all="ignore"):
            made = self.compiled(*given, clock)
        times = np.diff(clock @ [10**9, 1]).astype(float)
        self.least = np.minimum(self.least, np.maximum(times[1:] - times[0], 1.0))
        results = made if isinstance(made, tuple) else (made,)
        return [np.asarray(r) for r in results if r is not None] + [given[k] for k in written]

    @property
    def total(self) -> float:
        return float(self.least.sum())


class _Search:
    """The variants of one program, on one set of arguments, for so many seconds."""

    def __init__(
        self, module: Module, options: Options, arrays: Sequence[np.ndarray], written: Sequence[int],
        seconds: float, is_wanted: Callable[[], bool],
    ):  # fmt: skip
        self.module, self.options, self.arrays, self.written = module, options, arrays, written
        self.until, self.is_wanted = time.monotonic() + seconds, is_wanted
        self.lowered = Lowered(module, options._replace(tune=False))
        known = tuned(module, options, self.lowered.stages)
        self.base = known.stages[Stage.SCHEDULED]
        self.trial = _Trial(self.lowered, self.base)
        self.results = self.trial.run(arrays, written)

    @property
    def is_over(self) -> bool:
        return time.monotonic() > self.until or not self.is_wanted()

    def race(self, other: _Trial, most: int = ROUNDS) -> bool:
        """Run both in turn; whether the other's results are as good."""
        found = other.run(self.arrays, self.written)
        if not _agree(found, self.results, self.options.keeps_bits):
            return False
        for _ in range(most):
            self.trial.run(self.arrays, self.written)
            other.run(self.arrays, self.written)
            if self.is_over:
                break
        return True

    def run(self) -> bool:
        """Look for what is faster, and remember; whether anything is."""
        best = {k: (NOTHING, None) for k in range(len(calls_of(self.base)))}
        least = np.full(len(best), np.inf)
        program = (NOTHING, 0.0)
        for variant in variants(self.options):
            if self.is_over:
                break
            if self.options.keeps_bits and not variant.is_exact:
                continue
            kernels = {} if variant.of_program else self.kernels(variant)
            if not kernels and variant.loops is None:
                program = max(
                    program, (variant.name, self.gain_of_program(variant)), key=lambda p: p[1]
                )
                continue
            if not kernels:
                continue
            trial = _Trial(self.lowered, grafted(self.base, kernels))
            if not self.race(trial):
                continue
            for number, kernel in kernels.items():
                if trial.least[number] < least[number]:
                    least[number] = trial.least[number]
                    best[number] = (variant.name, kernel)
        if not self.is_wanted():
            return False
        faster = least < WORTH * self.trial.least
        chosen = {k: best[k] for k in best if faster[k]}
        gain = self.confirmed({k: kernel for k, (_, kernel) in chosen.items()})
        if program[1] > max(gain, 1.0):
            self.keep({}, 1.0, Choice(*program))
            return True
        self.keep(
            {k: name for k, (name, _) in chosen.items()} if gain else {}, gain, Choice(NOTHING, 1.0)
        )
        return gain > 0

    def kernels(self, variant: Variant) -> dict[int, Kernel]:
        """The kernels of a variant that differ; none where it makes other kernels of the program."""
        return _kernels(self.module, variant, self.options, self.base)

    def gain_of_program(self, variant: Variant) -> float:
        """How many times as fast the program is in a variant of all of it; 0 where it is not faster, or
        results differ."""
        changed = variant.options(self.options)
        if changed is None:
            return 0.0
        lowered = Lowered(self.module, changed._replace(tune=False))
        is_same = show(lowered.module) == show(self.base) and (
            changed.stream_bytes == self.options.stream_bytes or not self.has_large_outputs()
        )
        if is_same:
            return 0.0
        trial = _Trial(lowered, lowered.module)
        if not self.race(trial) or trial.total > WORTH * self.trial.total:
            return 0.0
        return self.gain(lowered, lowered.module, trial)

    def has_large_outputs(self) -> bool:
        """Whether stores past the caches are a question: of what is smaller than these they are not."""
        return sum(r.nbytes for r in self.results) > self.options.machine.l2_bytes

    def confirmed(self, chosen: dict[int, Kernel]) -> float:
        """How many times as fast the program is with all winners together; 0 if it is not, or wrong."""
        if not chosen:
            return 0.0
        module = grafted(self.base, chosen)
        trial = _Trial(self.lowered, module)
        return self.gain(self.lowered, module, trial) if self.race(trial) else 0.0

    def gain(self, lowered: Lowered, module: Module, trial: _Trial) -> float:
        """How many times as fast calls of the program are as it will be, without clocks; 0 if that is
        not worth a change."""
        found = self.speedup(lowered, module, trial)
        return found if found * WORTH > 1 else 0.0

    def speedup(self, lowered: Lowered, module: Module, trial: _Trial) -> float:
        if self.written:  # each run needs new copies, which would be timed as well
            return self.trial.total / trial.total
        pair = [Compiled(l.with_module(m), {}) for l, m in ((self.lowered, self.base), (lowered, module))]  # fmt: skip
        tiers.wait()
        count = max(1, int(BLOCK_NANOSECONDS / self.trial.total))
        least = [np.inf, np.inf]
        until = min(self.until + CONFIRMING, time.monotonic() + CONFIRMING)
        rounds = 0
        while rounds < ROUNDS or time.monotonic() < until and self.is_wanted():
            rounds += 1
            for k, program in enumerate(pair):
                start = time.perf_counter()
                for _ in range(count):
                    program(*self.arrays)
                least[k] = min(least[k], time.perf_counter() - start)
        return least[0] / least[1]

    def keep(self, chosen: dict[int, str], gain: float, program: Choice) -> None:
        """Write down a choice for each kernel, and one for the program."""
        for number, call in enumerate(calls_of(self.base)):
            name = chosen.get(number, NOTHING)
            if not program.variant:
                _remember(
                    _key(_text(call.kernel), self.options), Choice(name, gain if name else 1.0)
                )
        _remember(_key(_anonymous(self.module), self.options), program)


def _agree(found: list[np.ndarray], wanted: list[np.ndarray], exactly: bool) -> bool:
    """Whether results are the same, up to the order of sums unless `exactly`."""
    for one, other in zip(found, wanted, strict=True):
        if exactly or one.dtype.kind not in "fc":
            if one.tobytes() != other.tobytes() and not np.array_equal(one, other):
                return False
            continue
        finite = np.abs(other[np.isfinite(other)])
        near = TOLERANCE.get(one.dtype, 1e-9) * (finite.max() if finite.size else 0.0)
        if not np.allclose(one, other, rtol=0.0, atol=float(near) + 1e-300, equal_nan=True):
            return False
    return True


# Jobs.


class _Job(NamedTuple):
    """A signature that is to be tuned: its entry, and copies of the arguments it was compiled for."""

    compiler: weakref.ref
    entry: weakref.ref
    module: Module
    options: Options
    arrays: list[np.ndarray]
    written: list[int]
    seconds: float

    def is_wanted(self) -> bool:
        return not _stopping.is_set() and self.entry() is not None

    def do(self) -> None:
        if not self.is_wanted():
            return
        search = _Search(self.module, self.options, self.arrays, self.written, self.seconds, self.is_wanted)  # fmt: skip
        if not search.run():
            return
        compiler, entry = self.compiler(), self.entry()
        if compiler is not None and entry is not None and self.is_wanted():
            lowered = Lowered(self.module, self.options)
            compiler.exchange(entry, lowered)
            say(1, lambda: f"tracejit: tuned {compiler.name}: {'; '.join(lowered.notes)}")


_jobs: deque[_Job] = deque()
_lock = threading.Condition(threading.RLock())
_stopping = threading.Event()
_thread: threading.Thread | None = None
_is_busy = False


def start(
    compiler: Any, entry: Any, lowered: Lowered, leaves: Sequence[Any], seconds: float
) -> None:
    """See to it that a signature that was just compiled is tuned, if there is something to find out."""
    global _thread
    program = entry.program
    if not lowered.is_open or config.reference or not can_read_clocks() or program.host_calls:
        return
    arrays = _copies(program, leaves)
    if arrays is None:
        return
    written = [k for k, p in enumerate(program.function.parameters) if "updated" in p.attrs]
    job = _Job(weakref.ref(compiler), weakref.ref(entry), Module(program.function),
               lowered.options, arrays, written, seconds)  # fmt: skip
    with _lock:
        _jobs.append(job)
        if _thread is None or not _thread.is_alive():
            _thread = threading.Thread(target=_work, name="tracejit-tuning", daemon=True)
            try:
                _thread.start()
            except RuntimeError:  # no new threads: the interpreter is ending
                _thread = None
                _jobs.clear()


def _copies(program: Any, leaves: Sequence[Any]) -> list[np.ndarray] | None:
    """Copies of what the program is given; None where they would take too much of the memory."""
    pairs = zip(leaves, program.leaves)
    given = [np.asarray(value) for value, leaf in pairs if hasattr(leaf, "type")]
    given += program.captures
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if sum(array.nbytes for array in given) > memory // 8:
        return None
    parameters = program.function.parameters
    return [_copy(a, p.type, p.attrs["name"]) for a, p in zip(given, parameters)]


def _copy(array: np.ndarray, type: ArrayType, name: str) -> np.ndarray:
    """A copy that lies as the original does, in pages and in lines of the cache: that counts as well."""
    if type.layout is not None:
        return fit(np.array(array, order="C"), type, name)
    array = fit(array, type, name)
    memory = np.empty(array.nbytes + mmap.PAGESIZE, np.uint8)
    offset = (array.ctypes.data - memory.ctypes.data) % mmap.PAGESIZE
    found = memory[offset : offset + array.nbytes].view(array.dtype).reshape(array.shape)
    found[...] = array
    return found


def wait() -> None:
    """Return when every signature that is to be tuned has its final code."""
    with _lock:
        while (_jobs or _is_busy) and _thread is not None and _thread.is_alive():
            _lock.wait(0.1)


def _work() -> None:
    global _thread, _is_busy
    while True:
        with _lock:
            if not _jobs or _stopping.is_set():
                _thread, _is_busy = None, False
                _lock.notify_all()
                return
            job, _is_busy = _jobs.popleft(), True
        try:
            job.do()
        except Exception as error:  # noqa: BLE001 - what was compiled first goes on serving calls
            text = f"tracejit: tuning ended with {type(error).__name__}: {error}"
            say(1, lambda text=text: text)
        del job


def forget() -> None:
    """Drop what this process remembers; files stay."""
    _known.clear()


def _stop() -> None:
    """At the interpreter's end: the program that is being measured runs to its end, and no other begins."""
    _stopping.set()
    thread = _thread
    if thread is not None and thread is not threading.current_thread():
        thread.join(timeout=5.0)


def _after_fork_in_child() -> None:
    global _thread, _lock, _is_busy
    _thread, _is_busy, _lock = None, False, threading.Condition(threading.RLock())
    _jobs.clear()


atexit.register(_stop)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
