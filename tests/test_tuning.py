"""`jit(tune=...)`: variants give what the program gives, winners are remembered, and take over in one step."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest
from children import run_python

import tracejit
from tracejit import tuning
from tracejit.ir.graph import Module
from tracejit.ir.tensor import For, statements
from tracejit.ir.text import show
from tracejit.ir.verify import Stage, verify
from tracejit.lower.variants import alternatives, calls_of, grafted, in_shares, variants
from tracejit.stages import Lowered
from tracejit.tuning import Choice

RNG = np.random.default_rng(0)
X, B = RNG.standard_normal((160, 160)), RNG.standard_normal(160)


def layer(x, b):
    h = np.tanh(x @ x + b)
    return h.sum(axis=1), np.exp(h) * 2


def rows(x, b):
    e = np.exp(x - x.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True) + b


@pytest.fixture(autouse=True)
def a_cache_of_ones_own(tmp_path):
    with tracejit.config.use(cache=str(tmp_path)):
        tuning.forget()
        yield
        tuning.wait()
        tuning.forget()


def lowered(function, *arguments, **options) -> Lowered:
    return tracejit.jit(function, **options).trace(*arguments).lower()


@pytest.mark.parametrize("numerics", ["strict", "default"])
@pytest.mark.parametrize("function", [layer, rows])
def test_every_variant_is_legal_and_gives_the_same(function, numerics):
    traced = tracejit.jit(function, numerics=numerics).trace(X, B)
    base = traced.lower()
    wanted = base.compile()(X, B)
    seen = set()
    for variant in variants(base.options):
        changed = variant.options(base.options)
        if changed is None:
            continue
        module = Lowered(traced.module, changed).module
        if variant.loops is not None:
            kernels = {k: variant.loops(c.kernel) for k, c in enumerate(calls_of(module))}
            module = grafted(module, kernels)
        verify(module, Stage.SCHEDULED)
        found = base.with_module(module).compile()(X, B)
        check = np.testing.assert_array_equal if variant.is_exact else np.testing.assert_allclose
        pairs = zip(found, wanted) if isinstance(found, tuple) else [(found, wanted)]
        for one, other in pairs:
            check(one, other)
        if show(module) != show(base.module):
            seen.add(variant.name)
    assert seen and ("one_thread" in seen or numerics == "strict")


def test_what_follows_a_product_can_be_apart():
    traced = tracejit.jit(lambda x, b: np.tanh(x @ x + b)).trace(X, B)
    base = traced.lower()
    (apart,) = [v for v in variants(base.options) if v.name == "apart"]
    module = Lowered(traced.module, apart.options(base.options)).module
    assert len(calls_of(base.module)) == 1 and len(calls_of(module)) == 2
    assert alternatives(base.module, module) == {}


def test_values_can_be_stored_or_computed_again():
    def program(x):
        s = np.sqrt(x)
        return s[1:] + s[:-1]

    traced = tracejit.jit(program).trace(X)
    counts = {}
    for variant in variants(traced.options):
        if variant.name in ("recomputed", "stored"):
            module = Lowered(traced.module, variant.options(traced.options)).module
            counts[variant.name] = len(calls_of(module))
            np.testing.assert_allclose(tracejit.build(module)(abs(X)), program(abs(X)))
    assert counts == {"recomputed": 1, "stored": 2}


def test_shares_run_every_turn_once():
    module = lowered(rows, X, B).module
    (call,) = calls_of(module)
    for count in (1, 2, 3, 7):
        kernel = in_shares(call.kernel, count)
        (loop,) = [
            s for s in statements(kernel.body) if isinstance(s, For) and s.mark == "parallel"
        ]
        assert loop.stop.value <= count
        found = tracejit.build(Module(kernel))(X, B)
        np.testing.assert_allclose(found, rows(X, B))


def a_winner(monkeypatch, name: str = "one_thread"):
    """Let this variant win, whatever the clock says."""
    original = tuning.variants
    monkeypatch.setattr(tuning, "variants", lambda o: [v for v in original(o) if v.name == name])
    monkeypatch.setattr(tuning, "WORTH", 1e9)
    monkeypatch.setattr(tuning._Search, "gain", lambda *_: 1.5)


def test_the_winner_takes_over_and_is_told(monkeypatch):
    a_winner(monkeypatch)
    f = tracejit.jit(rows, tune=True)
    first = f(X, B)
    (entry,) = f._compiler._entries.values()
    (call,) = calls_of(entry.compiled.module)
    assert call.kernel.name.endswith("_one_thread")
    np.testing.assert_array_equal(f(X, B), first)
    assert f.cache_info()[:2] == (1, 1)
    assert "_one_thread(" in str(f.lower(X, B))
    text = str(f.explain(X, B))
    assert "tuned: " in text and "1.50 times as fast as the model made it" in text


def test_another_process_takes_what_was_remembered(monkeypatch, tmp_path):
    a_winner(monkeypatch)
    tracejit.jit(rows, tune=True)(X, B)
    files = sorted(tmp_path.glob("tuned-*.json"))
    assert len(files) == 2
    tuning.forget()
    monkeypatch.setattr(tuning, "_Search", None)  # nothing is measured again
    f = tracejit.jit(rows, tune="background")
    f(X, B)
    (entry,) = f._compiler._entries.values()
    assert calls_of(entry.compiled.module)[0].kernel.name.endswith("_one_thread")
    assert not entry.compiled.lowered.is_open
    for path in files:
        path.write_bytes(b"spoiled")
    tuning.forget()
    assert lowered(rows, X, B, tune=True).is_open


def test_where_nothing_is_faster_that_is_remembered(monkeypatch, tmp_path):
    monkeypatch.setattr(tuning, "WORTH", 0.0)
    f = tracejit.jit(rows, tune=True)
    np.testing.assert_allclose(f(X, B), rows(X, B))
    assert set(tuning._known.values()) == {Choice("", 1.0)}
    again = lowered(rows, X, B, tune=True)
    assert not again.is_open and not again.notes
    assert show(again.module) == show(lowered(rows, X, B).module)


def test_what_gives_other_results_never_wins(monkeypatch):
    first = next(tuning.variants(lowered(rows, X, B).options))
    a_winner(monkeypatch)
    wrong = first._replace(
        loops=lambda kernel: calls_of(lowered(lambda x, b: rows(x, b) + 1, X, B).module)[0].kernel
    )
    monkeypatch.setattr(tuning, "variants", lambda _: [wrong])
    f = tracejit.jit(rows, tune=True)
    for _ in range(2):
        np.testing.assert_allclose(f(X, B), rows(X, B))
    assert set(tuning._known.values()) == {Choice("", 1.0)}


def test_strict_tries_only_what_gives_the_same_bits(monkeypatch):
    tried = []
    original = tuning._kernels
    monkeypatch.setattr(tuning, "_kernels", lambda *a: (tried.append(a[1]), original(*a))[1])
    f = tracejit.jit(layer, tune=True, numerics="strict")
    assert tried == [] and f(X, B) is not None
    assert tried and all(variant.is_exact for variant in tried)


def test_arguments_that_are_written_are_copies(monkeypatch):
    a_winner(monkeypatch)

    def step(x):
        x += 1
        x *= 2

    mine = np.zeros((300, 300))
    f = tracejit.jit(step, tune=True)
    f(mine)
    np.testing.assert_array_equal(mine, 2.0)
    f(mine)
    np.testing.assert_array_equal(mine, 6.0)


def test_copies_lie_as_the_originals_do():
    memory = np.arange(4096.0)
    for array in (memory[3:1000], memory[8:9], memory[:0], memory[:64].reshape(8, 8).T):
        traced = tracejit.jit(lambda x: x + 1).trace(array)
        (copied,) = tuning._copies(traced.program, [array])
        np.testing.assert_array_equal(copied, array)
        assert copied.strides == array.strides and not np.shares_memory(copied, array)
        if array.flags.c_contiguous and array.size:
            assert (copied.ctypes.data - array.ctypes.data) % 4096 == 0


def test_programs_that_call_python_are_left_alone():
    calls = []

    @tracejit.host
    def seen(x):
        calls.append(1)
        return x

    f = tracejit.jit(lambda x: seen(x) + 1, tune=True)
    f(X)
    assert len(calls) == 1 and not tuning._jobs


def test_the_background_serves_all_threads(monkeypatch):
    a_winner(monkeypatch)
    f = tracejit.jit(rows, tune="background")
    wanted, failures = rows(X, B), []

    def call():
        until = time.monotonic() + 1.0
        while time.monotonic() < until:
            if not np.allclose(f(X, B), wanted):
                failures.append(1)

    workers = [threading.Thread(target=call) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    tuning.wait()
    (entry,) = f._compiler._entries.values()
    assert not failures and calls_of(entry.compiled.module)[0].kernel.name.endswith("_one_thread")


def test_a_function_that_is_gone_is_not_tuned(monkeypatch):
    monkeypatch.setattr(tuning, "_work", lambda: None)
    f = tracejit.jit(rows, tune="background")
    f(X, B)
    (job,) = tuning._jobs
    assert job.is_wanted()
    f.cache_clear()
    del f
    assert not job.is_wanted()
    tuning._jobs.clear()


def test_the_interpreter_ends_while_a_program_is_tuned(tmp_path):
    code = (
        "import numpy as np, tracejit\n"
        "f = tracejit.jit(lambda x: np.tanh(x @ x) + 1, tune=30.0)\n"
        "x = np.ones((400, 400)); f(x); print('called')"
    )
    started = time.monotonic()
    run = run_python(code, TRACEJIT_CACHE=str(tmp_path))
    assert run.stdout.split() == ["called"] and not run.stderr and run.returncode == 0
    assert time.monotonic() - started < 20


@pytest.mark.parametrize("tune", ["sometimes", -1])
def test_other_values_are_refused(tune):
    with pytest.raises(ValueError, match="tune must be"):
        tracejit.jit(rows, tune=tune)
