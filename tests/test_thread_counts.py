"""Programs are compiled for as many threads as there are, and again for another number where that matters."""

import threading

import numpy as np
import pytest
from children import run_python

import tracejit
from tracejit.config import config
from tracejit.entry import MOST_CODES
from tracejit.ir.tensor import is_shared, statements
from tracejit.lower import machine
from tracejit.runtime.threads import get_num_threads

X = np.random.default_rng(0).standard_normal(1 << 19)


def code_of(function):
    """What serves the only signature now."""
    (entry,) = function._compiler._entries.values()
    return entry.compiled


def shares(compiled) -> bool:
    return any(is_shared(s) for k in compiled.module.functions for s in statements(k.body))


def wave(x):
    return np.sin(x) + x


def test_one_thread_has_no_parallel_loops():
    function = tracejit.jit(wave)
    with tracejit.threads(2):
        several = function(X)
        assert shares(code_of(function))
    with tracejit.threads(1):
        one = function(X)
        assert not shares(code_of(function))
    np.testing.assert_array_equal(one, several)
    assert function.cache_info().misses == 1, "it was traced once"


def test_code_for_a_number_is_kept():
    function = tracejit.jit(wave)
    seen = []
    for count in (2, 1, 2, 1, 2):
        with tracejit.threads(count):
            for layout in (X, X[::2].copy().repeat(2), X[::-1]):  # native, native, by Python
                function(layout)
        (entry, *_) = function._compiler._entries.values()
        seen.append(dict(entry._codes))
    for codes in seen[2:]:
        assert codes == seen[1]
    assert [*seen[1]] == [2, 1]


def test_native_code_chooses_by_the_number():
    function = tracejit.jit(wave)
    for count in (2, 1):
        with tracejit.threads(count):
            function(X)
    (entry,) = function._compiler._entries.values()
    assert entry.python_hits == 2
    for count in (1, 2, 2, 1):
        with tracejit.threads(count):
            function(X)
    assert entry.python_hits == 2
    assert [handle.get("hits") for handle in entry._handles.values()] == [2, 2]
    assert function.cache_info().hits == 5


def test_small_programs_are_compiled_once():
    function = tracejit.jit(wave)
    for count in (2, 1, 3):
        with tracejit.threads(count):
            function(X[:100])
    (entry,) = function._compiler._entries.values()
    assert len(entry._codes) == 1 and entry.python_hits == 1


def test_a_limit_of_a_function_is_no_reason_to_compile_again():
    function = tracejit.jit(wave, threads=1)
    for count in (2, 1, 3):
        with tracejit.threads(count):
            function(X)
    assert not shares(code_of(function))
    (entry,) = function._compiler._entries.values()
    assert len(entry._codes) == 1


def test_few_numbers_are_kept():
    function = tracejit.jit(wave)
    for count in range(2, 12):
        with tracejit.threads(count):
            np.testing.assert_array_equal(function(X), function(X))
    (entry,) = function._compiler._entries.values()
    assert [*entry._codes] == [*entry._handles] == [*range(12 - MOST_CODES, 12)]
    function.cache_clear()
    assert function(X).shape == X.shape


def test_the_variable_counts_like_the_function():
    function, before = tracejit.jit(wave), get_num_threads()
    with config.use(threads=1):
        assert get_num_threads() == 1
        function(X)
        assert not shares(code_of(function))
        with tracejit.threads(2):
            function(X)
            assert shares(code_of(function))
    assert get_num_threads() == before


@pytest.mark.parametrize("reproducible", [False, True])
def test_same_bits(reproducible):
    function = tracejit.jit(lambda x: (np.cumsum(x), x.sum(), x @ x), reproducible=reproducible)
    found = []
    for count in (2, 1, 4):
        with tracejit.threads(count):
            found.append(function(X))
    for results in found[1:]:
        for one, other in zip(found[0], results):
            assert one.tobytes() == other.tobytes()


def test_written_arguments_and_sizes():
    """By a program for all sizes, too, which is found in another way."""

    def add(x, y):
        x += np.sin(y)
        return x.sum()

    function = tracejit.jit(add)
    for size in (1 << 18, (1 << 18) + 1, (1 << 18) + 2, (1 << 18) + 3, (1 << 18) + 4):
        for count in (1, 2):
            mine, theirs, y = X[:size].copy(), X[:size].copy(), X[-size:]
            with tracejit.threads(count):
                np.testing.assert_allclose(function(mine, y), add(theirs, y), rtol=1e-9)
            np.testing.assert_allclose(mine, theirs)


def test_the_number_changes_while_python_threads_call():
    function, wrong, stop = tracejit.jit(wave), [], threading.Event()
    wanted = wave(X)

    def call():
        while not stop.is_set():
            if not np.allclose(function(X), wanted):
                wrong.append(1)

    workers = [threading.Thread(target=call) for _ in range(3)]
    for worker in workers:
        worker.start()
    for count in (1, 2, 3) * 20:
        with tracejit.threads(count):
            function(X)
    stop.set()
    for worker in workers:
        worker.join()
    assert not wrong


def parallel_turns(function, *arguments) -> list[int]:
    found = tracejit.jit(function, threads=2).lower(*arguments).module.functions
    loops = [s for k in found for s in statements(k.body) if is_shared(s)]
    return [loop.stop.value for loop in loops]


@pytest.mark.parametrize(
    "shape", [(3, 5, 20_000), (2, 2, 3, 30_000), (2, 300_000), (1, 6, 7, 8, 999)]
)
def test_loops_of_few_turns_are_one_with_those_inside(shape):
    """Of arrays that do not lie end to end, whose axes have loops of their own."""
    x = np.random.default_rng(1).standard_normal((*shape[:-1], 2 * shape[-1]))[..., ::2]
    with tracejit.threads(2):
        (turns,) = parallel_turns(lambda x: np.exp(x), x)
        assert turns >= 4
        np.testing.assert_allclose(tracejit.jit(lambda x: np.exp(x))(x), np.exp(x))


def test_squares_of_a_transpose_are_shared():
    x = np.random.default_rng(2).standard_normal((362, 362)).astype("f4")
    with tracejit.threads(2):
        assert parallel_turns(lambda x: x.T + x, x)[0] >= 4
        np.testing.assert_array_equal(tracejit.jit(lambda x: x.T + x)(x), x.T + x)


def test_no_parallel_loop_is_in_lanes(monkeypatch):
    """Where loops of few turns have lanes between them, however little work is shared."""
    monkeypatch.setattr(machine, "WORTHWHILE", 1e-3)
    x = np.arange(6.0).reshape(3, 2, 1, 1)
    swapped = tracejit.jit(lambda x: np.swapaxes(x, 0, -1).copy(), threads=2)
    with tracejit.threads(2):
        np.testing.assert_array_equal(swapped(x), np.swapaxes(x, 0, -1))


def test_one_thread_by_the_environment():
    code = (
        "import numpy as np, tracejit\n"
        "x = np.ones(1 << 20)\n"
        "lowered = tracejit.jit(lambda x: np.sin(x).sum() + np.cumsum(x)[-1]).lower(x)\n"
        "print(tracejit.get_num_threads(), 'parallel' in str(lowered))"
    )
    assert run_python(code, TRACEJIT_THREADS="1").stdout.split() == ["1", "False"]
    assert run_python(code, TRACEJIT_THREADS="2").stdout.split() == ["2", "True"]
