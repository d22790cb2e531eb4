"""Code in two tiers: made quickly for the first calls, replaced in the background by better code.

LLVM's code generator takes most of a compile's time and, with fewer optimisations, a third to a half
of that, for code that gives the same bits and mostly takes less than 1.4 times as long. That serves
the calls until a thread, once nobody has compiled for a moment, has made the better one; its
address is then put into the cell that every call reads (`Library.cell`). Nobody stops or waits:
calls that run in the quick code finish there, so it stays loaded as long as its Library lives.

Quick code is what level 0 makes, except where loops carry values: level 0 would keep these in
memory, which makes sums and products of matrices up to eight times slower. Level 1 on functions
marked `optnone` does without most optimisations too, but not without registers.
limit: LLVM 22 aborts on some vectors of 8 or 16 bits that a known mask blends, in `optnone` code
past level 0, so such code is slow until it is replaced.
"""

from __future__ import annotations

import contextlib
import os
import re
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from tracejit.errors import CompileError
from tracejit.runtime import engine, kept
from tracejit.runtime.pieces import pieces_of

# Seconds after the last compile before the thread begins: they come in bursts, and it would take
# from each of them the core and the lock.
_QUIET = 0.01
# The same for what is not urgent: programs that are over at once need not wait for it at their end.
_LEISURE = 0.2
# Seconds from one look to the next whether nobody waits for a compile any more.
_PAUSE = 0.001
# Seconds that the thread stays when there is nothing left to do: who starts a thread waits until it runs,
# which on a machine that has much to do takes longer than the compile.
_IDLE = 10.0
# What must not be made at level 1 (the limit above).
_SHORT_LANES = re.compile(r"x (half|i16|i8)>")


class Source(NamedTuple):
    """LLVM IR text, LLVM's pipeline for it, and the addresses of what it declares; and where its best code is
    kept for other processes, if it is."""

    text: str
    imports: Mapping[str, int]
    passes: str = ""
    place: Path | None = None

    def load(self, exports: Sequence[str], level: int = 2) -> engine.Library:
        """Machine code."""
        code = engine.compile_ir(self.text, level, self.passes)
        return engine.load(code, exports, self.imports)

    def load_best(
        self, exports: Sequence[str], between: Callable[[], None] = lambda: None
    ) -> engine.Library:
        """The best code, kept for others; of a large program a few kernels at a time: LLVM is free `between`."""
        made = []
        for piece in pieces_of(self.text, exports):
            between()
            made.append((engine.compile_ir(piece.text, 2, self.passes), piece.exports))
        library = self._linked(made)
        kept.write(self.place, made)
        return library

    def load_kept(self) -> engine.Library | None:
        """The best code, if it was made before."""
        found = kept.read(self.place)
        if found is None:
            return None
        try:
            return self._linked(found)
        except CompileError:
            return None

    def _linked(self, pieces: kept.Pieces) -> engine.Library:
        """The library of the last piece, which those before it are loaded for."""
        imports, loaded = dict(self.imports), []
        for code, exports in pieces:
            loaded.append(engine.load(code, exports, imports))
            imports |= {name: loaded[-1].address(name) for name in exports}
        *kernels, library = loaded
        library.keep = tuple(kernels)
        return library


class _Job(NamedTuple):
    """A library of quick code, and what makes the better one."""

    library: weakref.ref[engine.Library]
    source: Source
    exports: tuple[str, ...]

    def do(self, between: Callable[[], None]) -> None:
        """Replace the code, unless that is done or nobody uses it any more."""
        library = self.library()
        if library is None or library.is_replaced:
            return
        with contextlib.suppress(CompileError):
            better = self.source.load_best(self.exports, between)
            with engine.lock:
                if not library.is_replaced:
                    library.replace(better)


class _Task(NamedTuple):
    """Anything else that is done better later."""

    make: Callable[[], object]

    def do(self, between: Callable[[], None]) -> None:
        with engine.lock, contextlib.suppress(CompileError):
            self.make()


_jobs: deque[_Job | _Task] = deque()
# So many jobs are waiting when those are looked for that nobody needs.
_FEW = 64
_most_jobs = _FEW
_compiling = 0
_compiled_at = 0.0
_thread: threading.Thread | None = None
_wanted = threading.Event()
# Never taken while LLVM works, so that who has made a program need not wait for the thread.
_lock = threading.RLock()


@contextlib.contextmanager
def foreground() -> Iterator[None]:
    """Somebody waits for what is done meanwhile: the thread begins nothing until it is over."""
    global _compiling, _compiled_at
    with _lock:
        _compiling += 1
    try:
        yield
    finally:
        with _lock:
            _compiling -= 1
            _compiled_at = time.monotonic()


def load(
    source: Source, exports: Sequence[str], quick: Source | None = None, carries: bool = False
) -> engine.Library:
    """Code made quickly, loaded; better code will come into its cells.

    `quick` is what the quick code is made from, if not from the same. `carries` tells that loops carry
    values; the functions' attributes are then the group `#0`.
    """
    first = quick or source
    carries = carries and _SHORT_LANES.search(first.text) is None
    if carries:
        first = first._replace(text=first.text + "attributes #0 = { noinline optnone }\n")
    library = first._replace(passes="").load(exports, int(carries))
    _forget_dropped()
    _jobs.append(_Job(weakref.ref(library), source, tuple(exports)))
    _start()
    return library


def _forget_dropped() -> None:
    """Drop the jobs for programs that are gone, now and then: who compiles without a pause has many."""
    global _most_jobs
    if len(_jobs) >= _most_jobs:
        for job in [*_jobs]:
            if type(job) is _Job and job.library() is None:
                with contextlib.suppress(ValueError):  # the thread has done it
                    _jobs.remove(job)
        _most_jobs = 2 * len(_jobs) + _FEW


def add(make: Callable[[], object]) -> None:
    """Let the thread make something, once nobody compiles."""
    _jobs.append(_Task(make))
    _start()


def wait() -> None:
    """Return when every compiled function has its final code: before measuring how fast it is."""
    while _jobs:
        _do_first(lambda: None)


def _do_first(between: Callable[[], None]) -> None:
    job = _first()
    if job is None:  # another thread was faster
        return
    job.do(between)
    # Not before it is done: the child of a fork has to do it again.
    with contextlib.suppress(ValueError):
        _jobs.remove(job)


def _first() -> _Job | _Task | None:
    """What is to be done next: code of programs before all else."""
    waiting = [*_jobs]
    return next((job for job in waiting if type(job) is _Job), waiting[0] if waiting else None)


def _start() -> None:
    """See to it that a thread does what is to be done."""
    global _thread
    with _lock:
        _wanted.set()
        if _jobs and (_thread is None or not _thread.is_alive()):
            _thread = threading.Thread(target=_work, name="tracejit-tiers", daemon=True)
            try:
                _thread.start()
            except RuntimeError:  # no new threads: the interpreter is ending
                _thread = None


def _work() -> None:
    global _thread
    while True:
        is_idle = not _jobs and not _wanted.wait(_IDLE)
        with _lock:
            _wanted.clear()
            if is_idle and not _jobs:
                _thread = None
                return
        quiet = 0.0 if _compiling > 0 else time.monotonic() - _compiled_at
        patience = _LEISURE if type(_first()) is _Task else _QUIET
        if quiet < patience:
            time.sleep(min(patience - quiet, _QUIET))
        else:
            _do_first(_let_others)


def _let_others() -> None:
    """Wait while somebody waits for a compile."""
    while _compiling > 0:
        time.sleep(_PAUSE)


def _after_fork_in_child() -> None:
    global _thread, _compiling, _wanted
    _lock.release()
    _thread, _compiling, _wanted = None, 0, threading.Event()
    _start()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_after_fork_in_child
    )
