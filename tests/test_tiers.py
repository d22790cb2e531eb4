"""Code that was made quickly, and what replaces it: the same bits, at any moment, in every handle."""

from __future__ import annotations

import gc
import os
import re
import threading
import time
import weakref

import numpy as np
import pytest
from children import run_in_child, run_python
from dispatch_programs import Jitted
from samples import EXHAUSTIVE, FEW, LAWFUL_OPS, assert_same_bits, instances, operands_of
from test_laws import module_of

import tracejit
from tracejit import stages
from tracejit.config import NUMERICS, config
from tracejit.ir import expressions, term
from tracejit.runtime import engine, fallback, pieces, tiers
from tracejit.runtime.dispatch import Executable
from tracejit.runtime.signature import Plan, Signature
from tracejit.stages import build

pytestmark = pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")

CONSTANT = "define i64 @entry(ptr %args) {\n  ret i64 NUMBER\n}\n"
X = np.linspace(0.1, 2.0, 1000)


@pytest.fixture
def tiered():
    """Two tiers, the second of which comes when `tracejit.wait` is called, or not at all."""
    with config.use(tiers=True), pytest.MonkeyPatch.context() as patch:
        patch.setattr(tiers, "_start", lambda: None)
        yield
        tiers._jobs.clear()


def wave(x):
    return np.exp(-x) * np.sin(x) + np.sqrt(x)


def program(number: int, text: str = CONSTANT) -> str:
    return text.replace("NUMBER", str(number))


def one_of_each(op):
    """Of the applications to operands of each dtype the last."""
    found = {str([type.dtype for type in i.types[:1]]): i for i in instances(op)}
    few = {names: i for names, i in found.items() if all(t.dtype.name in FEW for t in i.types)}
    return (found if EXHAUSTIVE else few or found).values()


@pytest.mark.parametrize("op", LAWFUL_OPS, ids=lambda op: op.name)
def test_both_tiers_give_the_same_bits(op, tiered):
    for instance in one_of_each(op):
        arrays = operands_of(op, instance)
        compiled = build(module_of(op, instance))
        quick = compiled(*arrays)
        tracejit.wait()
        assert compiled.library.is_replaced or compiled.may_be_long
        final = compiled(*arrays)
        pairs = zip(quick, final, strict=True) if isinstance(quick, tuple) else [(quick, final)]
        for before, after in pairs:
            assert_same_bits(before, after, f"{op}{instance}")


@pytest.mark.parametrize("threads", [1, 2])
def test_both_tiers_of_whole_programs_give_the_same_bits(threads, tiered):
    rng = np.random.default_rng(3)
    a, b = rng.normal(size=(24, 90)), rng.normal(size=(90, 20)).astype("f4")
    programs = [
        lambda a, b: (a @ b, a.sum(axis=0) / a.std(axis=0)),
        lambda a, b: np.exp(a - a.max(axis=1, keepdims=True)).cumsum(axis=1),
        lambda a, b: (np.sort(b, axis=0)[::2], np.where(a > 0, np.log(a), a.T.sum())),
        lambda a, b: (a[a > 0].sum(), b[::-1, 1:] * b[:, :-1], np.float32(3) * b.mean()),
    ]
    improved = 0
    with np.errstate(all="ignore"):
        for numerics in NUMERICS:
            for function in programs:
                f = tracejit.jit(function, threads=threads, numerics=numerics)
                quick = f(a, b)
                tracejit.wait()
                (entry,) = f._compiler._entries.values()
                improved += entry.compiled.library.is_replaced
                for one, other in zip(quick, f(a, b), strict=True):
                    assert_same_bits(one, other)
    assert improved >= len(programs)


def test_every_handle_runs_the_better_code(tiered):
    """Native calls, calls by way of Python, and executables read one cell."""
    text, better = program(1), program(2)
    library = tiers.load(tiers.Source(text, {}), ["entry"])
    handles = [Jitted(), Executable(plan_of_status(library), ())]
    handles[0].publish(Signature(()), plan_of_status(library))
    assert [status_of(handle) for handle in handles] == [1, 1]
    assert status_of(lambda: fallback.run(plan_of_status(library), (), ())) == 1
    library.replace(engine.load(engine.compile_ir(better), ["entry"]))
    assert [status_of(handle) for handle in handles] == [2, 2]
    assert status_of(lambda: fallback.run(plan_of_status(library), (), ())) == 2


def plan_of_status(library):
    return Plan(library.cell("entry"), (), "tuple", keep=library)


def status_of(call) -> int:
    with pytest.raises(RuntimeError, match="status") as caught:
        call()
    return int(str(caught.value).split()[-1])


def test_one_thread_does_it_when_nothing_more_is_compiled():
    with config.use(tiers=True), pytest.MonkeyPatch.context() as patch:
        patch.setattr(tiers, "_QUIET", 0.3)
        f = tracejit.jit(lambda x: wave(x) + 2.5)
        f(X)
        library = weakref.ref(newest_library())
    deadline = time.monotonic() + 20
    while not library().is_replaced and time.monotonic() < deadline:
        f(X)
    assert library().is_replaced and not tiers._jobs
    tracejit.wait()


def newest_library() -> engine.Library:
    return tiers._jobs[-1].library()


def test_code_that_nobody_uses_any_more_is_not_improved(tiered, monkeypatch):
    library = tiers.load(tiers.Source(program(3), {}), ["entry"])
    del library
    gc.collect()
    monkeypatch.setattr(engine, "compile_ir", None)  # calling it would be an error
    tracejit.wait()
    assert not tiers._jobs


def test_long_calls_begin_with_the_final_code(tiered):
    """Those of much data, and of loops that may run for ever."""

    def halved(x):
        while x > 1:
            x = x * 0.5
        return x

    tracejit.jit(lambda x: np.sin(x) * 2).lower(np.ones(30_000_000)).compile()
    tracejit.jit(halved).lower(9.0).compile()
    assert not tiers._jobs


def test_tiers_can_be_switched_off(tiered):
    with config.use(tiers=False):
        tracejit.jit(wave)(X)
    assert not tiers._jobs


def test_the_text_shown_is_the_final_code_s(tiered):
    compiled = tracejit.jit(wave).lower(X).compile()
    before = compiled.asm, compiled.llvm_ir
    tracejit.wait()
    final = tracejit.jit(wave).lower(X).compile()
    assert before == (final.asm, final.llvm_ir) == (compiled.asm, compiled.llvm_ir)


def test_calls_in_other_threads_meet_the_change(tiered):
    f = tracejit.jit(wave)
    wanted, wrong, stop = f(X), [], threading.Event()

    def call_for_ever():
        while not stop.is_set():
            if not np.array_equal(f(X), wanted):
                wrong.append(1)

    threads = [threading.Thread(target=call_for_ever) for _ in range(3)]
    for thread in threads:
        thread.start()
    for shift in range(10):
        tracejit.jit(lambda x, shift=shift / 7: wave(x) + shift)(X)
        tracejit.wait()
    stop.set()
    for thread in threads:
        thread.join()
    assert not wrong


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this platform")
def test_the_child_of_a_fork_does_what_was_to_be_done():
    with config.use(tiers=True), pytest.MonkeyPatch.context() as patch:
        patch.setattr(tiers, "_QUIET", 0.3)
        f = tracejit.jit(lambda x: wave(x) + 1.25)
        wanted = f(X)
        library = newest_library()

        def work():
            deadline = time.monotonic() + 10
            while not library.is_replaced and time.monotonic() < deadline:
                assert np.array_equal(f(X), wanted)
            assert library.is_replaced

        assert [run_in_child(work) for _ in range(5)] == [0] * 5
    tracejit.wait()
    assert library.is_replaced


@pytest.mark.parametrize("delay", [0, 0.005, 0.01, 0.015, 0.02])
def test_the_interpreter_may_end_at_any_moment(delay):
    done = run_python(
        f"import numpy as np, time, tracejit\n"
        f"for shift in range(5):\n"
        f"    tracejit.jit(lambda x: np.tanh(np.exp(x) + shift) * np.log(x))(np.ones(9))\n"
        f"time.sleep({delay})",
        TRACEJIT_TIERS="1",
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_quick_code_of_elementary_functions_is_made_once(tiered, monkeypatch):
    """Programs share it; their own code has the functions in its loops."""
    texts, compile_ir = [], engine.compile_ir
    monkeypatch.setattr(
        engine, "compile_ir", lambda text, *how: texts.append(text) or compile_ir(text, *how)
    )
    for k in (3.5, 4.5):
        compiled = tracejit.jit(lambda x, k=k: np.arctan(x) * k).lower(X).compile()
        np.testing.assert_allclose(compiled(X), np.arctan(X) * k, rtol=1e-15)
        assert "alwaysinline" in compiled.llvm_ir and "arctan" not in compiled.asm
    calling = [text for text in texts if re.search(r"^declare .*@arctan\.", text, re.MULTILINE)]
    defining = [text for text in texts if re.search(r"^define [^@]*@arctan\.", text, re.MULTILINE)]
    assert len(calling) == 2 and len(defining) <= 1  # none, if a test before made it


UNCACHED = """
import ctypes, gc, numpy as np, tracejit
from tracejit.config import config
from tracejit.runtime import dispatch, tiers
from tracejit.runtime.callable import VECTORCALL
tiers._start = lambda: None
with config.use(tiers=True):
    double, dropped = tracejit.jit(lambda x: x * 2), tracejit.jit(lambda x: x * 3)
    x = np.arange(5.0)
    def address(f):
        assert f(x).tolist() == (x * 2).tolist()
        return ctypes.c_void_p.from_address(id(f) + VECTORCALL).value
    dropped(x)
    quick = address(double)
    del dropped
    gc.collect()
    tracejit.wait()
    after = tracejit.jit(lambda x: x + x)
    assert quick != address(double) == address(after) and dispatch._Call.quick is None
"""


def test_the_native_call_is_exchanged_where_nothing_is_kept():
    finished = run_python(UNCACHED, TRACEJIT_CACHE="off")
    assert finished.returncode == 0, finished.stderr


def test_the_thread_stays_for_the_next_compile_and_leaves_when_none_comes():
    def improved(number):
        f = tracejit.jit(lambda x: wave(x) + number)
        f(X)
        library = newest_library()
        deadline = time.monotonic() + 20
        while not library.is_replaced and time.monotonic() < deadline:
            time.sleep(0.005)
        assert library.is_replaced
        return tiers._thread

    with config.use(tiers=True), pytest.MonkeyPatch.context() as patch:
        patch.setattr(tiers, "_QUIET", 0.05)
        tracejit.wait()
        assert improved(31.5) is improved(32.5)
        patch.setattr(tiers, "_IDLE", 0.01)
        thread = improved(33.5)
        if thread is not None:  # it may be gone by now
            thread.join(20)
        assert tiers._thread is None
        patch.setattr(tiers, "_IDLE", 10.0)
        assert improved(34.5) is not thread


def test_functions_that_are_dropped_leave_nothing(tiered):
    """Programs made one after the other: no terms, no code, no jobs; elementary functions are shared."""

    def left(numbers):
        for number in numbers:
            tracejit.jit(lambda x, number=number: wave(x * number).sum() + number)(X)
            tracejit.wait()
        expressions.integer.cache_clear()  # which is bounded
        gc.collect()
        return (
            len(term._interned),
            len(stages._libraries),
            len(stages._elementary),
            len(tiers._jobs),
        )

    before = left(np.arange(8) + 0.125)
    after = left(np.arange(40) + 0.375)
    assert after[1:] == (before[1], before[2], 0)
    assert after[0] <= before[0] + 20


def many_kernels(x, y):
    """Kernels with tables, elementary functions and parallel loops, more than one piece of them."""
    found = []
    for k in range(24):
        x = x[::-1] * (k + 1.5) + np.exp(-x).sum()
        x = x / np.abs(x).max()
        found.append(np.sin(x) @ y + np.array([1.0, 2.0, k])[np.arange(x.shape[0]) % 3])
    return found


def test_large_programs_are_replaced_piece_by_piece(tiered):
    x, y = np.linspace(0.1, 1.0, 120), np.ones((120, 120)) / 120
    f = tracejit.jit(many_kernels)
    quick = f(x, y)
    (job,) = [job for job in tiers._jobs if len(job.source.text) > 2 * pieces.PIECE]
    found = pieces.pieces_of(job.source.text, job.exports)
    assert len(found) > 3 and found[-1].exports == ("entry",)
    free = []

    def between():
        def take():
            free.append(engine.lock.acquire(timeout=5))
            engine.lock.release()

        other = threading.Thread(target=take)
        other.start()
        other.join()

    job.do(between)
    assert len(free) == len(found) and all(free)
    library = job.library()
    assert library.is_replaced
    for got, before, wanted in zip(f(x, y), quick, many_kernels(x, y)):
        assert_same_bits(got, before)
        np.testing.assert_allclose(got, wanted, rtol=1e-12)


def test_short_programs_are_one_piece():
    assert pieces.pieces_of(CONSTANT, ["entry"]) == [(CONSTANT, ("entry",))]


def test_a_large_program_lets_others_compile_first(tiered):
    seen = []
    tiers._compiling += 1
    try:
        waiting = threading.Thread(target=lambda: seen.append(tiers._let_others()))
        waiting.start()
        waiting.join(0.05)
        assert waiting.is_alive()
    finally:
        tiers._compiling -= 1
    waiting.join(5)
    assert seen == [None]
