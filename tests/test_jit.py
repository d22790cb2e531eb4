"""`jit` itself: being a function, its cache, its threads, its calls by the million, and Ctrl-C."""

from __future__ import annotations

import copy
import gc
import inspect
import os
import pickle
import resource
import sys
import threading
import weakref
from collections import namedtuple
from dataclasses import dataclass

import numpy as np
import pytest
from children import run_python

import tracejit
from tracejit import jit

Pair = namedtuple("Pair", "a b")


@dataclass
class Point:
    x: np.ndarray
    y: np.ndarray


@jit
def shifted(x, by=1.0, *, scale=2.0):
    """x, scaled and shifted."""
    return x * scale + by


class Layer:
    def __init__(self, weight):
        self.weight = weight

    @jit
    def apply(self, x):
        return x * self.weight

    @staticmethod
    @jit
    def double(x):
        return x * 2

    @classmethod
    @jit
    def named(cls, x):
        return x + len(cls.__name__)


X = np.arange(8.0)


def is_native(function, *args, **kwargs):
    """Whether a call is served without Python: after the first one, that is."""
    function(*args, **kwargs)
    compiler = function._compiler
    before = sum(entry.python_hits for entry in compiler._entries.values())
    function(*args, **kwargs)
    return sum(entry.python_hits for entry in compiler._entries.values()) == before


# Being a function.


def test_it_looks_like_the_function():
    assert shifted.__name__ == "shifted" and shifted.__doc__ == "x, scaled and shifted."
    assert shifted.__module__ == __name__ and shifted.__wrapped__(1.0) == 3.0
    assert str(inspect.signature(shifted)) == "(x, by=1.0, *, scale=2.0)"
    assert callable(shifted) and "shifted" in repr(shifted)
    np.testing.assert_array_equal(shifted(X, scale=3.0), X * 3 + 1)
    np.testing.assert_array_equal(shifted(by=0.5, x=X), X * 2 + 0.5)


def test_calls_that_python_refuses_are_refused():
    for call in (lambda: shifted(), lambda: shifted(X, 1.0, 2.0), lambda: shifted(X, other=1)):
        with pytest.raises(TypeError):
            call()
    np.testing.assert_array_equal(shifted(X), X * 2 + 1)


def test_copies_and_pickles():
    assert copy.copy(shifted) is shifted and copy.deepcopy([shifted])[0] is shifted
    assert pickle.loads(pickle.dumps(shifted)) is shifted
    other = pickle.loads(pickle.dumps(jit(np.hypot, threads=1)))
    np.testing.assert_array_equal(other(X, X), np.hypot(X, X))
    with pytest.raises((pickle.PicklingError, AttributeError)):
        pickle.dumps(jit(lambda x: x))


def test_it_goes_when_nobody_holds_it():
    def function(x):
        return x + 1

    compiled = jit(function)
    compiled(X)
    references = weakref.ref(compiled), weakref.ref(function)
    del compiled, function
    gc.collect()
    assert [reference() for reference in references] == [None, None]


def test_methods():
    layer = Layer(np.full(8, 3.0))
    np.testing.assert_array_equal(layer.apply(X), X * 3)
    np.testing.assert_array_equal(Layer.apply(layer, X), X * 3)
    layer.weight = np.full(8, 4.0)
    np.testing.assert_array_equal(layer.apply(X), X * 4)
    assert Layer.apply.cache_info().misses == 1 and is_native(Layer.apply, layer, X)
    layer.weight = 5
    np.testing.assert_array_equal(layer.apply(X), X * 5)
    np.testing.assert_array_equal(layer.double(X), X * 2)
    np.testing.assert_array_equal(Layer.named(X), X + 5)
    assert layer.apply.__self__ is layer


def test_options_are_checked():
    with pytest.raises(TypeError, match="function"):
        jit(3)
    with pytest.raises(ValueError, match="cache_size"):
        jit(len, cache_size=0)
    with pytest.raises(ValueError, match="no argument 'k'"):
        jit(lambda x: x, static_argnames="k")
    with pytest.raises(ValueError, match="number 2"):
        jit(lambda x: x, static_argnums=2)
    assert jit(static_argnames="n")(lambda x, n: x * n)(X, n=2)[3] == 6


# What native code serves, and what it gives back.

OUTER = [2.0, 3.0]


def closing(weight):
    return jit(lambda x: x * weight)


RESULTS = {
    "array": lambda x, s: x + s,
    "float": lambda x, s: s * 2,
    "bool": lambda x, s: s > 2,
    "complex": lambda x, s: s * 1j,
    "scalar": lambda x, s: x.sum(),
    "argument": lambda x, s: (x, s),
    "tuple": lambda x, s: (x + 1, s + 1),
    "twice": lambda x, s: [x + 1] * 2,
    "list": lambda x, s: [x + 1, s, None],
    "dict": lambda x, s: {"a": x + 1, 2: s, "c": {}},
    "nested": lambda x, s: ((), [(x + 1,), {"k": (s, [x - 1])}], "text"),
    "namedtuple": lambda x, s: Pair(x + 1, Pair(s, [x])),
    "dataclass": lambda x, s: Point(x + 1, x - 1),
}


def assert_equal(found, expected):
    assert type(found) is type(expected)
    if isinstance(expected, np.ndarray):
        assert found.dtype == expected.dtype
        np.testing.assert_array_equal(found, expected)
    elif isinstance(expected, dict):
        assert list(found) == list(expected)
        for key in expected:
            assert_equal(found[key], expected[key])
    elif isinstance(expected, tuple | list):
        assert len(found) == len(expected)
        for a, b in zip(found, expected, strict=True):
            assert_equal(a, b)
    elif isinstance(expected, Point):
        assert_equal(vars(found), vars(expected))
    else:
        assert found == expected


@pytest.mark.parametrize("name", RESULTS)
def test_results(name):
    function = jit(RESULTS[name])
    expected = RESULTS[name](X, 2.5)
    for _ in range(3):
        assert_equal(function(X, 2.5), expected)
    assert is_native(function, X, 2.5)
    assert_equal(function(X[::-1].copy()[::-1], 2.5), expected)


def test_a_number_that_is_counted():
    function = jit(lambda n: n * 3 + 1)
    for n in range(-3, 40):
        assert_equal(function(n), n * 3 + 1)
    assert function.cache_info().misses < 5


ARGUMENTS = {
    "tuple": (lambda t: t[0] * t[1][0], ((X, (X + 1,)),)),
    "list": (lambda t: t[0] * t[1], ([X, 2.0],)),
    "dict": (lambda d: d["a"] * d["b"], ({"a": X, "b": X},)),
    "namedtuple": (lambda p: p.a * p.b, (Pair(X, 3.0),)),
    "dataclass": (lambda p: p.x * p.y, (Point(X, X),)),
    "object": (lambda o: o.weight * 2, (Layer(X),)),
    "ten": (lambda *all: sum(all), (X,) * 10),
}


@pytest.mark.parametrize("name", ARGUMENTS)
def test_arguments(name):
    plain, arguments = ARGUMENTS[name]
    function = jit(plain)
    for _ in range(3):
        assert_equal(function(*arguments), plain(*arguments))
    assert is_native(function, *arguments)


def test_another_class_or_another_attribute_is_another_signature():
    class Heavy(Layer):
        @property
        def factor(self):
            return 10.0

    function = jit(lambda o: o.weight * getattr(o, "factor", 1.0))
    layer, heavy, extra = Layer(X), Heavy(X), Layer(X)
    extra.factor = 3.0
    for _ in range(2):
        np.testing.assert_array_equal(function(layer), X)
        np.testing.assert_array_equal(function(heavy), X * 10)
        np.testing.assert_array_equal(function(extra), X * 3)
    assert function.cache_info().misses == 3


def test_closures_lists_and_globals_are_watched():
    factor = 2.0

    @jit
    def inner(x):
        return x * factor * OUTER[0]

    assert is_native(inner, X)
    np.testing.assert_array_equal(inner(X), X * 4)
    factor = 5.0
    np.testing.assert_array_equal(inner(X), X * 10)
    assert is_native(inner, X)
    OUTER[0] = 1.0
    np.testing.assert_array_equal(inner(X), X * 5)
    OUTER[0] = 2.0
    np.testing.assert_array_equal(inner(X), X * 10)
    assert is_native(closing(np.ones(8)), X)


# The cache.


def test_cache_info_counts():
    function = jit(lambda x, flag: x + flag, cache_size=5)
    assert function.cache_info() == (0, 0, 5, 0)
    for repeat in range(3):
        for flag in (True, False):
            function(X, flag)
        assert function.cache_info() == (2 * repeat, 2, 5, 2)
    function(X[::-1].astype(">f8"), True)
    assert sum(function.cache_info()[:2]) == 7
    function.cache_clear()
    assert function.cache_info() == (0, 0, 5, 0)
    np.testing.assert_array_equal(function(X, True), X + 1)
    assert function.cache_info() == (0, 1, 5, 1)


def test_the_least_recently_used_signature_goes():
    function = jit(lambda x, mode: x if mode == "a" else x + len(mode), cache_size=3)
    for mode in ("a", "bb", "ccc"):
        function(X, mode)
    function(X, "a")
    function(X, "dddd")
    info = function.cache_info()
    assert info.misses == 4 and info.currsize == 3
    function(X, "a")
    function(X, "ccc")
    assert function.cache_info().misses == 4
    np.testing.assert_array_equal(function(X, "bb"), X + 2)
    assert function.cache_info().misses == 5


def test_many_signatures_come_and_go():
    function = jit(lambda x, name: x + len(name), cache_size=2)
    for name in ["a" * n for n in (1, 2, 3, 4, 1, 2)]:
        np.testing.assert_array_equal(function(X, name), X + len(name))
    assert function.cache_info().currsize == 2 and len(function._table._entries) == 2


# Threads.


def test_first_calls_from_many_threads_compile_once():
    function = jit(lambda x, y: np.exp(x) - y)
    start, errors = threading.Barrier(6), []

    def work(number):
        start.wait()
        for n in (5, 6, 7):
            x = np.full(n, 1.0 + number)
            if not np.allclose(function(x, x), np.exp(x) - x):
                errors.append(number)

    workers = [threading.Thread(target=work, args=(k,)) for k in range(6)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not errors and function.cache_info()[:2] == (15, 3)


def test_calls_while_signatures_go():
    function = jit(lambda x, name: x + len(name), cache_size=2)
    stop, errors = threading.Event(), []

    def work(names):
        while not stop.is_set():
            for name in names:
                if not np.array_equal(function(X, name), X + len(name)):
                    errors.append(name)

    workers = [threading.Thread(target=work, args=(names,)) for names in (("a", "bb"), ("a",))]
    for worker in workers:
        worker.start()
    for name in ("ccc", "dddd", "eeeee", "ccc"):
        function(X, name)
    function.cache_clear()
    stop.set()
    for worker in workers:
        worker.join()
    assert not errors


# A hundred thousand calls.


def count_of(thing):
    return sys.getrefcount(thing)


LOOPS = {
    "array": (lambda x: x + 1, (np.ones(64),)),
    "large": (lambda x: x + 1, (np.ones(20_000),)),
    "scalars": (lambda a, b: (a * b, a > b, a * 1j), (2.5, 3.5)),
    "int": (lambda n, x: (n * 2, x.sum()), (np.int64(3), X)),
    "tree": (lambda t: {"a": [t[0] + 1, t[1]["k"]], "b": Pair(t[0], 2.0)}, ((X, {"k": X}),)),
    "object": (lambda o: o.weight * 2, (Layer(X),)),
    "finish": (lambda x: Point(x + 1, x * 2), (X,)),
    "strange": (lambda x: (x, x + 1), (np.arange(16.0)[::2].astype(">f8"),)),
}


@pytest.mark.parametrize("name", LOOPS)
def test_nothing_leaks(name):
    plain, arguments = LOOPS[name]
    function = jit(plain)
    calls = 20_000 if name in ("large", "finish", "strange") else 100_000
    watched = [*arguments, X, float, int, np.ndarray, tuple, None]
    for _ in range(1000):
        function(*arguments)
    gc.collect()
    counts, memory = [*map(count_of, watched)], resident_kilobytes()
    for _ in range(calls):
        function(*arguments)
    gc.collect()
    grown = resident_kilobytes() - memory
    for thing, before in zip(watched, counts, strict=True):
        if before < 1 << 30:  # from Python 3.12 on some objects are not counted
            assert abs(count_of(thing) - before) < 1000, type(thing)
    assert grown < 4096


def resident_kilobytes():
    try:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * resource.getpagesize() // 1024
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def test_errors_leak_nothing():
    @jit
    def function(x, y):
        return x + y

    def fail():
        with pytest.raises(ValueError):
            function(np.ones(3), np.ones(4))

    for _ in range(3):
        fail()
    gc.collect()
    before = len(gc.get_objects())
    for _ in range(20):
        fail()
    gc.collect()
    assert len(gc.get_objects()) - before < 200
    np.testing.assert_array_equal(function(X, X), 2 * X)
    assert function.cache_info().currsize == 1


# Ctrl-C.

INTERRUPTED = """
import os, signal, threading, time
import numpy as np, tracejit

@tracejit.jit
def long(x):
    for _ in range(200):
        x = np.sin(x) + 1.5
    return x

x = np.ones(300_000)
{before}
threading.Timer({delay}, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
try:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        {work}
    print("lost")
except KeyboardInterrupt:
    print("interrupted")
expected = x[:3]
for _ in range(200):
    expected = np.sin(expected) + 1.5
print(np.allclose(long(x)[:3], expected))
"""


@pytest.mark.skipif(os.name != "posix", reason="needs signals")
@pytest.mark.parametrize(
    ("before", "delay", "work"),
    [
        ("long(x)", 0.1, "long(x)"),
        ("", 0.02, "long.cache_clear(); long(x[:9])"),
    ],
    ids=["running", "compiling"],
)
def test_an_interrupt_is_neither_lost_nor_harmful(before, delay, work):
    code = INTERRUPTED.format(before=before, delay=delay, work=work)
    done = run_python(code)
    assert done.stdout.split() == ["interrupted", "True"], done.stderr


def test_import_is_light():
    code = (
        "import sys, numpy, tracejit\n"
        "@tracejit.jit\ndef f(x): return x + 1\n"
        "print([m for m in sys.modules if 'llvmlite' in m or m.startswith('tracejit.')])"
    )
    done = run_python(code)
    assert done.returncode == 0, done.stderr
    assert "llvmlite" not in done.stdout
    assert not any(f"tracejit.{part}" in done.stdout for part in ("trace'", "lower", "compiler"))


def test_the_package():
    assert set(dir(tracejit)) >= {"jit", "show", "parse", "build", "reference", "threads"}
    with pytest.raises(AttributeError):
        tracejit.nothing  # noqa: B018
