"""Jitted functions as people use functions: never stale, never shared, wherever they are called."""

from __future__ import annotations

import abc
import collections
import contextlib
import copy
import dataclasses
import enum
import functools
import gc
import inspect
import multiprocessing
import operator
import os
import pickle
import subprocess
import sys
import tempfile
import textwrap
import threading
import types
import typing
import warnings
import weakref
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

import tracejit
from tracejit import jit

X = np.arange(5.0)


def same(found, wanted):
    """Equal, and of the same type and dtype; containers item by item."""
    assert type(found) is type(wanted), (type(found), type(wanted))
    if isinstance(wanted, dict):
        assert list(found) == list(wanted)
        for key in wanted:
            same(found[key], wanted[key])
    elif isinstance(wanted, list | tuple):
        assert len(found) == len(wanted)
        for one, other in zip(found, wanted):
            same(one, other)
    elif isinstance(wanted, np.ndarray | np.generic):
        assert found.dtype == wanted.dtype
        np.testing.assert_array_equal(found, wanted)
    else:
        assert found == wanted


def follows(function, *changes):
    """The jitted function gives what the function gives, also after each change of what it reads."""
    jitted = jit(function)
    for change in (lambda: None, *changes):
        change()
        for _ in range(2):
            same(jitted(X), function(X))


def setter(container, key, value):
    return lambda: operator.setitem(container, key, value)


def attribute(thing, name, value):
    return lambda: setattr(thing, name, value)


# What a function reads: never stale


def test_closures():
    w = np.ones(5)

    def function(x):
        return x + w

    jitted = jit(function)
    readonly = np.arange(5.0)
    readonly.flags.writeable = False
    swapped, odd = np.arange(5, dtype=">f8"), np.frombuffer(b"x" + X.tobytes(), "f8", offset=1)
    for value in (
        w, np.full(5, 9.0), np.full(1, 3.0), 4.0, 5, np.float32(6), [1.0, 2.0, 3.0, 4.0, 5.0], True,
        readonly, swapped, np.arange(10.0)[::-2], np.broadcast_to(3.0, 5), odd, w, 1j,
    ):  # fmt: skip
        w = value
        same(jitted(X), function(X))
        if isinstance(w, list) or (isinstance(w, np.ndarray) and w.flags.writeable):
            w[0] = 17.0
            same(jitted(X), function(X))


SCALE, WEIGHTS, OPTIONS = 2.0, np.ones(5), {"w": np.ones(5), "n": [1.0, 2.0]}


def test_globals():
    def function(x):
        return x * WEIGHTS + SCALE + OPTIONS["w"] * OPTIONS["n"][0]

    names = globals()
    follows(
        function,
        setter(WEIGHTS, 2, 7.0),
        setter(names, "WEIGHTS", np.zeros(5)),
        setter(names, "SCALE", 5.0),
        setter(names, "SCALE", np.arange(5)),
        setter(OPTIONS, "w", X * 3),
        lambda: operator.setitem(OPTIONS["w"], 0, 33.0),
        lambda: operator.setitem(OPTIONS["n"], 0, 6.0),
        setter(names, "OPTIONS", {"w": 1.0, "n": (3.0,)}),
    )


def test_keys_that_come_and_go():
    table = {"w": X}
    follows(
        lambda x: x + table["b"] if "b" in table else x + table["w"],
        setter(table, "b", 5.0),
        lambda: table.pop("b"),
        setter(table, "w", 1.0),
    )
    numbers = {"a": 2.0}
    follows(lambda x: x * sum(numbers.values()) + len(numbers), setter(numbers, "b", 3.0))


@pytest.mark.parametrize(
    "make",
    [
        lambda: collections.OrderedDict(a=X),
        lambda: collections.defaultdict(float, a=X),
        lambda: type("Mine", (dict,), {})(a=X),
    ],
)
def test_other_dicts(make):
    table = make()
    follows(lambda x: x + table["a"] * len(table), setter(table, "a", X * 3), setter(table, "b", 2))


@pytest.mark.parametrize("kind", [list, collections.deque, type("Mine", (list,), {})])
def test_sequences(kind):
    items = kind([X, 2.0])
    follows(
        lambda x: x + items[0] + len(items),
        setter(items, 0, X * 3),
        setter(items, 0, [1.0] * 5),
        lambda: items.append(3),
    )


def test_sets_and_namespaces():
    members = {2.0}
    follows(lambda x: x * max(members), lambda: members.add(3.0), lambda: members.discard(3.0))
    space = types.SimpleNamespace(w=X, k=2.0)
    follows(lambda x: x * space.w + space.k, attribute(space, "k", 3.0), attribute(space, "w", -X))


def test_defaults():
    bias = np.ones(5)

    def function(x, b=bias, *, c=2.0, n=3):
        return (x + b) * c + n

    follows(function, setter(bias, slice(None), 3.0))
    jitted = jit(function)
    for args, kwargs in [((X,), {"n": 4}), ((), {"x": X, "b": X}), ((X, 1.0), {"c": 1})]:
        same(jitted(*args, **kwargs), function(*args, **kwargs))


def _helper(x):
    return x + 1


def test_functions():
    names = globals()
    original = _helper
    follows(lambda x: _helper(x) * 2, setter(names, "_helper", lambda x: x + 5))
    names["_helper"] = original

    def scaled(x):
        return x * scaled.factor

    scaled.factor = 2.0
    follows(scaled, attribute(scaled, "factor", 3.0), attribute(scaled, "factor", np.ones(5)))
    partial = functools.partial(np.multiply, np.ones(5))
    follows(partial, setter(partial.args[0], 1, 8.0))


def test_objects():
    class Thing:
        bias = 1.0

        def __init__(self):
            self.w = 2.0

    thing, inner = Thing(), Thing()
    follows(
        lambda x: x * thing.w + thing.bias + hasattr(thing, "extra"),
        attribute(thing, "bias", 3.0),
        lambda: delattr(thing, "bias"),
        attribute(Thing, "bias", np.ones(5)),
        lambda: operator.setitem(Thing.bias, 0, 9.0),
        attribute(thing, "extra", 0),
    )
    thing.inner, inner.table = inner, {"k": [np.ones(5)]}
    follows(
        lambda x: x + thing.inner.table["k"][0],
        lambda: operator.setitem(inner.table["k"], 0, X),
        lambda: operator.setitem(inner.table["k"][0], 0, 100.0),
        attribute(inner, "table", {"k": [5.0]}),
        attribute(thing, "inner", types.SimpleNamespace(table={"k": (6.0,)})),
    )
    X[0] = 0.0


def test_objects_that_cannot_be_copied():
    class Special:
        def __new__(cls, w):
            made = object.__new__(cls)
            made.w = w
            return made

    class Dynamic:
        def __init__(self, w):
            self.w = w

        def __getattr__(self, name):
            if name == "extra":
                return 3.0
            raise AttributeError(name)

    for made in (Special(2.0), Dynamic(2.0)):
        follows(lambda x, made=made: x * made.w, attribute(made, "w", 5.0), attribute(made, "w", X))
        jitted = jit(lambda held, x: x * held.w)
        for value in (2.0, 3.0, X):
            made.w = value
            same(jitted(made, X), X * value)


def test_classes():
    class Base(abc.ABC):
        k = 2.0

        @abc.abstractmethod
        def inner(self, x): ...

        def __call__(self, x):
            return self.inner(x) * self.k

    class First(Base):
        def inner(self, x):
            return x + 1

    class Second(First):
        k = 5.0

        def inner(self, x):
            return super().inner(x) * 2

    follows(
        Second(),
        attribute(Second, "k", 6.0),
        lambda: delattr(Second, "k"),
        attribute(Base, "k", 3.0),
        attribute(First, "inner", lambda self, x: x - 1),
    )

    class Table:
        w = np.ones(5)
        n = 2

    follows(
        lambda x: x * Table.w + Table.n,
        attribute(Table, "n", 5),
        attribute(Table, "w", X * 2),
        lambda: operator.setitem(Table.w, 0, 9.0),
    )


# Methods


def test_methods_see_their_objects():
    class Model:
        def __init__(self, w):
            self.w, self.k = w, 2

        @jit
        def step(self, x):
            return x * self.w + self.k

    model = Model(np.ones(5))
    for change in (
        lambda: None,
        attribute(model, "w", np.full(5, 3.0)),
        lambda: operator.setitem(model.w, 1, 4.0),
        attribute(model, "k", 7),
        attribute(model, "k", 8),
        attribute(model, "w", np.float32(2)),
        attribute(model, "w", 5),
    ):
        change()
        same(model.step(X), X * model.w + model.k)
        same(Model.step(model, X), X * model.w + model.k)
    same(Model(5.0).step(X), X * 5 + 2)


def test_methods_of_other_kinds_of_classes():
    class Slots:
        __slots__ = ("a", "b")

        def __init__(self, a, b):
            self.a, self.b = a, b

        @property
        def product(self):
            return self.a * self.b

        @jit
        def scaled(self, x):
            return self.product * x

    @dataclasses.dataclass(slots=True)
    class Data:
        a: np.ndarray
        b: float = 2.0

        @jit
        def scaled(self, x):
            return self.a * self.b * x

    class Named(typing.NamedTuple):
        a: np.ndarray
        b: float

        @jit
        def scaled(self, x):
            return self.a * self.b * x

    for held in (Slots(X, 2.0), Data(X)):
        for name, value in (("b", 3.0), ("a", X + 1), ("b", 4)):
            same(held.scaled(X), held.a * held.b * X)
            setattr(held, name, value)
            same(held.scaled(X), held.a * held.b * X)
        follows(lambda x, held=held: x * held.a + held.b, attribute(held, "b", 7.0))
    same(Named(X, 2.0).scaled(X), X * 2.0 * X)


def test_static_methods_class_methods_and_properties():
    class Kinds:
        scale = 2.0

        def __init__(self):
            self.v = X

        @staticmethod
        @jit
        def static(x):
            return x + 1

        @classmethod
        @jit
        def of_class(cls, x):
            return x * cls.scale

        @property
        @jit
        def double(self):
            return self.v * 2

        @functools.cached_property
        def made(self):
            return jit(lambda x: x + self.v)

    kinds = Kinds()
    same(Kinds.static(X), X + 1)
    same(kinds.static(X), X + 1)
    same(Kinds.of_class(X), X * 2)
    Kinds.scale = 5.0
    same(kinds.of_class(X), X * 5)
    same(kinds.double, X * 2)
    same(kinds.made(X), X + X)


# What can be jitted


def test_every_kind_of_callable():
    class Callable:
        n = 3

        def __call__(self, x):
            return x * self.n

        def method(self, x):
            return x + self.n

    thing = Callable()
    for function in (
        lambda x: x + 1,
        functools.partial(np.add, 1.0),
        functools.partial(lambda a, b, c: a * b + c, 2.0, c=3.0),
        thing, thing.method, thing.__call__, np.square, np.sum, operator.neg, abs, sum, max,
        jit(lambda x: x * 2),
    ):  # fmt: skip
        same(jit(function)(X), function(X))
    thing.n = 4
    same(jit(thing)(X), X * 4)


def test_decorators_above_and_below():
    def doubled(function):
        @functools.wraps(function)
        def wrapper(*args, **kwargs):
            return function(*args, **kwargs) * 2

        return wrapper

    @doubled
    @jit
    def outside(x):
        return x + 1

    @jit
    @doubled
    def inside(x):
        return x + 1

    for function in (outside, inside):
        same(function(X), (X + 1) * 2)
        same(function(x=X), (X + 1) * 2)
        assert function.__name__ in ("outside", "inside")

    @functools.lru_cache
    def table(n):
        return np.arange(n) * 2.0

    same(jit(lambda x: x + table(5))(X), X + table(5))
    assert type(table(5)) is np.ndarray
    same(jit(functools.lru_cache(lambda n: np.arange(n) * 2.0))(5), table(5))


def test_jitted_functions_call_each_other():
    @jit
    def inner(x):
        return x * 2

    @jit
    def outer(x):
        return inner(x) + inner(x + 1)

    @jit
    def factorial(x, n):
        return x if n <= 1 else factorial(x, n - 1) * n

    same(outer(X), X * 2 + (X + 1) * 2)
    same(factorial(X, 5), X * 120.0)
    assert inner.cache_info().misses == 0
    same(inner(X), X * 2)


def test_python_inside():
    @contextlib.contextmanager
    def factor():
        yield 2.0

    def function(x):
        def parts():
            for k in range(3):
                yield x * k

        with factor() as f, np.errstate(all="ignore"):
            total = sum(parts()) * f
        try:
            x.nosuch  # noqa: B018
        except AttributeError:
            total = total + 1
        rows = {str(k): row for k, row in enumerate(x)}
        return total, rows, [*map(np.negative, x)], max(x[0], x[1]), [i for i in x if i is not None]

    same(jit(function)(X), function(X))


# Arguments and results

Point = collections.namedtuple("Point", "x y")


class Mode(enum.Enum):
    PLUS = 1.5
    MINUS = 2.5


@dataclasses.dataclass(frozen=True)
class Config:
    w: np.ndarray
    mode: Mode = Mode.PLUS
    nested: Config | None = None


def test_trees():
    def function(point, config, table, *rest, key=None, **more):
        w = config.w * (2 if config.mode is Mode.PLUS else 3)
        inner = config.nested.w if config.nested else w
        return (
            Point(point.x + w, point.y),
            Config(inner * 2, config.mode),
            {"sum": table["z"][0] + sum(rest), "key": key, **more},
            [1, None, "s", (point.x, w)],
        )

    jitted = jit(function)
    for mode in Mode:
        for nested in (None, Config(X)):
            args = (Point(X, 1), Config(X, mode, nested), {"z": (X, 2)}, X, 2.0)
            found, wanted = [f(*args, key=np.float32(3), q=X) for f in (jitted, function)]
            same((found[0], *found[2:]), (wanted[0], *wanted[2:]))
            assert type(found[1]) is Config and found[1].mode is mode
            same(found[1].w, wanted[1].w)


@pytest.mark.parametrize(
    "function, args",
    [
        (lambda: None, ()),
        (lambda: "text", ()),
        (lambda: {"a": {"b": [], "c": ()}}, ()),
        (lambda *args, **kwargs: (args, kwargs), ()),
        (lambda x: (1, 2), (X,)),
        (lambda x: x.shape, (X,)),
        (lambda x: len(x), (X,)),
        (lambda x: x.dtype, (X,)),
        (lambda x: (), (X,)),
        (lambda: np.arange(3) + 1, ()),
        (lambda n: (n * 2, n - 1), (3,)),
        (lambda x, s: x[s], (X, slice(1, 3))),
        (lambda x, s: x[s], (X, (slice(None, None, 2),))),
        (lambda x, mode: x * mode.value, (X, Mode.MINUS)),
        (lambda x, f: f(x), (X, np.negative)),
        (lambda x, t: x.astype(t), (X, np.float32)),
        (lambda x, t: x.astype(t), (X, "i4")),
    ],
)
def test_odd_arguments_and_results(function, args):
    jitted = jit(function)
    for _ in range(2):
        same(jitted(*args), function(*args))


def test_dicts_keep_their_order():
    jitted = jit(lambda table: {key: value * 2 for key, value in table.items()})
    one, other = {"b": X, "a": X + 1}, {"a": X, "b": X + 1}
    for table in (one, other, one, {1: X}, {True: X}, {1.0: X}, {2: X, 1.5: X}, {1.5: X, 2: X}):
        for _ in range(2):
            result = jitted(table)
            same(result, {key: value * 2 for key, value in table.items()})
            assert [type(key) for key in result] == [type(key) for key in table]


def test_scalars_keep_their_types():
    def function(a):
        return a * 2 + 1

    jitted = jit(function)
    for value in (
        1, True, 2.5, 1j, np.int8(3), np.float32(2), np.bool_(True), 2**40, -5, np.uint64(7), -0.0,
        np.float16(1), np.complex64(1j), 0, 10**9, 3, 4, 5,
    ):  # fmt: skip
        for _ in range(2):
            same(jitted(value), function(value))


def test_complex_numbers():
    def function(a):
        return a * 2, a.real, a.imag, abs(a), a.conjugate(), a**2, -a

    jitted = jit(function)
    for value in (3 - 4j, np.complex128(3 - 4j), 2.5, 2.5):
        same(jitted(value), function(value))


def test_ints_that_keep_changing():
    def function(x, n):
        return x * n + n

    jitted = jit(function)
    for n in (*range(20), 2**31, 2**40, -(2**62), 2**63 - 1):
        same(jitted(X, n), function(X, n))
    assert jitted.cache_info().misses < 6
    small = np.arange(5, dtype=np.int8)
    adder = jit(operator.add)
    for n in (1, 2, 3, 4, 100, 127):
        same(adder(small, n), small + n)
    for n in (128, -129, 300):
        with pytest.raises(OverflowError):
            adder(small, n)


def test_static_arguments():
    stack = jit(lambda x, n: np.stack([x] * n), static_argnums=1)
    for n in (2, 3):
        same(stack(X, n), np.stack([X] * n))
        same(stack(X, n=n), np.stack([X] * n))
    chosen = jit(lambda x, *rest: x * rest[0] if rest[1] > 1 else x, static_argnums=(1, 2))
    same(chosen(X, 2.0, 3.0), X * 2)
    same(chosen(X, 2.0, 0.5), X)
    named = jit(lambda x, **how: x if how["p"] > 2 else -x, static_argnames="p")
    same(named(X, p=3.0), X)
    same(named(X, p=1.0), -X)
    last = jit(lambda x, axis: x.sum(axis), static_argnums=-1)
    for axis in (0, 1, (0, 1), None):
        same(last(np.ones((2, 3)), axis), np.ones((2, 3)).sum(axis))

    class Model:
        @functools.partial(jit, static_argnames="n")
        def step(self, x, n):
            return x * 2 if n > 1.5 else x

    same(Model().step(X, 2.0), X * 2)
    same(Model().step(X, n=1.0), X)


def _layouts():
    base = np.arange(24.0).reshape(4, 6)
    readonly = base.copy()
    readonly.flags.writeable = False
    memory = np.memmap(tempfile.TemporaryFile(), dtype="f8", mode="w+", shape=(4, 6))
    memory[:] = base
    structured = np.zeros((4, 6), [("a", "i4"), ("b", "f8")])
    structured["b"] = base
    return {
        "C": base,
        "Fortran": np.asfortranarray(base),
        "strided": base[::2, ::3],
        "negative": base[::-1, ::-1],
        "broadcast": np.broadcast_to(np.arange(6.0), (4, 6)),
        "swapped": base.astype(">f8"),
        "misaligned": np.frombuffer(b"x" + base.tobytes(), "f8", offset=1).reshape(4, 6),
        "readonly": readonly,
        "memmap": memory,
        "subclass": base.view(type("Mine", (np.ndarray,), {})),
        "empty": base[:0],
        "column": base[:, 2:3],
        "field": structured["b"],
        "overlapping": np.lib.stride_tricks.as_strided(base, (3, 4), (8, 8)),
    }


@pytest.mark.parametrize("name", _layouts())
def test_layouts(name):
    def function(a):
        return a * 2 + 1, a.sum(axis=0), a.T * 1, a[::-1] + 0, a @ a.T

    array, jitted = _layouts()[name], jit(function)
    for _ in range(3):
        results = jitted(array)
        same(results, function(np.asarray(array, dtype="f8")))
        for result in results:
            assert result.flags.writeable and result.flags.owndata
            assert not np.shares_memory(result, array)


def test_arguments_that_overlap():
    base = np.arange(100.0)
    for function in (lambda a, b: (a + b, a * b), lambda a, b: (a[::-1] - b, np.cumsum(a) + b)):
        same(jit(function)(base[:50], base[10:60]), function(base[:50], base[10:60]))
        same(jit(function)(base[:50], base[:50]), function(base[:50], base[:50]))
    square = np.arange(16.0).reshape(4, 4)
    same(jit(operator.matmul)(square, square.T), square @ square.T)


def test_results_share_nothing():
    def function(a):
        return (
            a + 0, a.copy(), a.flatten(), a.T * 1, a.astype(a.dtype), +a, np.zeros(3), np.arange(3),
            np.array([1.0, 2.0]), np.stack([a, a]),
        )  # fmt: skip

    jitted, a = jit(function), np.arange(6.0).reshape(2, 3)
    wanted = function(a)
    first, second = jitted(a), jitted(a)
    results = [*first, *second]
    for k, result in enumerate(results):
        assert not np.shares_memory(result, a)
        assert not any(np.shares_memory(result, other) for other in results[k + 1 :])
        result[...] = 99
    same(a, np.arange(6.0).reshape(2, 3))
    for found, value in zip(jitted(a), wanted):
        same(found, np.array(value))
    lists = jit(lambda x: {"l": [1, 2]})
    lists(a)["l"].append(3)
    assert lists(a) == {"l": [1, 2]}


@pytest.mark.parametrize("size, count", [(10, 1000), (1000, 1000), (200_000, 40)])
def test_results_stay_what_they_were(size, count):
    jitted, a = jit(lambda a, s: a * s + 1), np.arange(float(size))
    kept = []
    for k in range(count):
        kept.append(jitted(a, float(k)))
        if k % 3 == 0:
            kept[-1][0] = -k
    for k, result in enumerate(kept):
        wanted = a * k + 1
        wanted[0] = -k if k % 3 == 0 else 1
        assert (result == wanted).all()
    views = [result[1:] for result in kept]
    del kept, result
    gc.collect()
    for _ in range(50):
        jitted(a, 2.0)
    assert all(view[0] == k + 1 for k, view in enumerate(views))


def test_results_outlive_the_function():
    def made():
        return jit(lambda a: a + 1)(np.ones(300_000))

    result = made()
    gc.collect()
    assert result.sum() == 600_000


# Sizes


def test_many_axes():
    a = np.ones((1,) * 62 + (2, 3))

    def function(a):
        return a * 2 + 1, a.sum(-1), a.T * 1, a[..., ::-1] + a, a.reshape(-1), a.max()

    same(jit(function)(a), function(a))
    with pytest.raises(ValueError):
        jit(lambda a: a[None])(a)


@pytest.mark.parametrize("shape", [(0,), (0, 3), (3, 0), (2, 0, 4)])
def test_nothing(shape):
    def function(a):
        return a + 1, a.sum(), a.sum(0), np.concatenate([a, a]), a.reshape(0), a.cumsum(), a.T * 2

    same(jit(function)(np.ones(shape)), function(np.ones(shape)))


def test_deep_graphs():
    def function(x):
        for k in range(5000):
            x = x + 1 if k % 2 else x * 0.5
        return x

    same(jit(function)(X), function(X))


def test_wide_graphs():
    def function(x):
        return [x + k for k in range(1000)]

    same(jit(function)(X), function(X))


def test_many_arguments():
    values = [X + k for k in range(200)]
    for function, args, kwargs in (
        (lambda *a: sum(a), values, {}),
        (lambda **k: sum(k.values()), [], {f"k{i}": v for i, v in enumerate(values)}),
        (lambda a: sum(a), [values], {}),
    ):
        jitted = jit(function)
        for _ in range(2):
            same(jitted(*args, **kwargs), function(*args, **kwargs))


def test_large_arrays():
    a = np.ones(100_000_000, "i1")
    result = jit(lambda a: a + np.int8(1))(a)
    assert result[0] == result[-1] == 2 and jit(lambda a: a.sum())(a) == 100_000_000
    huge = np.broadcast_to(np.int8(1), (3_000_000_000,))
    assert jit(lambda a: a.sum())(huge) == 3_000_000_000


def test_many_signatures():
    jitted = jit(lambda a: a + 1, cache_size=8)
    shapes = [(n % 7, n % 11, n % 13)[: n % 4] for n in range(60)]
    for shape in shapes:
        same(jitted(np.ones(shape)), np.ones(shape) + 1)
    assert jitted.cache_info().currsize <= 8
    named = jit(lambda a, k: a + len(k), cache_size=4)
    for n in range(30):
        same(named(X, "k" * n), X + n)
    assert named.cache_info().currsize <= 4


# Floating point states


def test_numpys_error_states_do_not_matter():
    def function(a):
        return 1 / a + np.log(a), np.exp(a * 1e9), np.zeros(3) / np.zeros(3) + a, a.astype("i1")

    a = np.array([0.0, -1.0, 2.0])
    with np.errstate(all="ignore"):
        wanted = function(a)
    with np.errstate(all="raise"), warnings.catch_warnings():
        warnings.simplefilter("error")
        jitted = jit(function)
        for _ in range(2):
            same(jitted(a), wanted)
    before = np.seterr(all="raise")
    try:
        same(jit(function)(a), wanted)
    finally:
        np.seterr(**before)


# Any values

NUMBERS = st.floats(-1e6, 1e6, width=32)


def _normalized(a, b):
    centered = a - b
    scale = np.maximum(np.abs(centered).max(initial=0.0), 1.0)
    return np.where(centered > 0, centered, 0.25 * centered) / scale, (a >= b).sum(axis=-1)


@settings(max_examples=60, deadline=None)
@given(
    st.data(),
    st.sampled_from(["f4", "f8", "i4", "u1", "?"]),
    arrays.mutually_broadcastable_shapes(
        num_shapes=2, min_dims=1, max_dims=3, max_side=4, min_side=0
    ),
)
def test_any_values(data, dtype, shapes):
    elements = NUMBERS if dtype.startswith("f") else None
    a = data.draw(arrays.arrays(dtype, shapes.input_shapes[0], elements=elements))
    b = data.draw(arrays.arrays("f8", shapes.input_shapes[1], elements=NUMBERS))
    same(NORMALIZED(a, b), _normalized(a, b))


NORMALIZED = jit(_normalized)


# Being an object


def test_a_jitted_function_is_a_python_object():
    @jit
    def function(x: np.ndarray, n: int = 2) -> np.ndarray:
        """What it does."""
        return x * n

    assert function.__name__ == "function" and function.__doc__ == "What it does."
    assert inspect.signature(function) == inspect.signature(function.__wrapped__)
    assert inspect.unwrap(function) is function.__wrapped__ and inspect.getsource(function)
    assert function.__module__ == __name__ and "n" in function.__annotations__
    function.custom = 3
    assert function.custom == 3 and {function: 1}[function] == 1
    assert copy.copy(function) is function and copy.deepcopy([function])[0] is function
    same(function(X), X * 2)
    function.cache_clear()
    assert function.cache_info()[:2] == (0, 0) and function.cache_info().currsize == 0
    same(function(X), X * 2)
    alive = weakref.ref(function)
    del function
    gc.collect()
    assert alive() is None


# Threads and processes


@jit
def times(x, n=2):
    return x * n


class Model:
    def __init__(self):
        self.w = np.ones(5)

    @jit
    def step(self, x):
        return x + self.w


def test_results_that_no_memory_can_hold():
    """The error is NumPy's, which names the shape and the dtype."""
    x = np.broadcast_to(np.float64(1), (2**57,))
    function = jit(lambda x: np.exp(x) - x)
    for _ in range(3):
        with pytest.raises(MemoryError, match=r"shape \(144115188075855872,\) and .* float64"):
            function(x)
    same(function(x[:4]), np.exp(x[:4]) - x[:4])


def test_one_function_in_many_threads():
    def function(a, b):
        return (a * 2 + b).sum() + a.size

    jitted = jit(function)

    def work(seed):
        rng = np.random.default_rng(seed)
        for _ in range(15):
            dtype = rng.choice(["f8", "f4", "i4", "i8", "D"])
            a, b = np.ones(rng.integers(0, 12, 2), dtype), rng.choice([1, 2, 3]).astype(dtype)
            same(jitted(a, b), function(a, b))

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(work, range(6)))
        list(pool.map(lambda k: same(times(X + k), (X + k) * 2), range(50)))


def test_calls_while_another_thread_traces():
    inside, resume = threading.Event(), threading.Event()

    @jit
    def slow(x):
        inside.set()
        assert resume.wait(20)
        return x + 1

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(slow, X)
        assert inside.wait(20)
        same(times(X.astype("f4")), X.astype("f4") * 2)
        same(jit(lambda x: x - 1)(X), X - 1)
        second = pool.submit(slow, X)
        resume.set()
        same(first.result(20), X + 1)
        same(second.result(20), X + 1)


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_processes(method):
    same(times(X), X * 2)
    context = multiprocessing.get_context(method)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # about forking with threads
        with context.Pool(2) as pool:
            same(pool.map(times, [X, X + 1])[1], (X + 1) * 2)
            same(pool.map(Model().step, [X])[0], X + 1)
    assert pickle.loads(pickle.dumps(times)) is times


def run(script, *arguments):
    command = [sys.executable, "-c", textwrap.dedent(script), *arguments]
    options = {"capture_output": True, "text": True, "timeout": 60, "env": os.environ}
    return subprocess.run(command, check=False, **options)


@pytest.mark.parametrize(
    "body",
    [
        "f = tracejit.jit(lambda x: np.sin(x) * i + x.sum()); f(np.ones(i + 1))",
        "g(np.ones((300, 300)))",
    ],
    ids=["compiling", "running"],
)
def test_exit_while_threads_are_busy(body):
    script = f"""
    import threading, time
    import numpy as np, tracejit
    g = tracejit.jit(lambda x: np.tanh(x @ x.T))
    def work():
        for i in range(100000):
            {body}
    for _ in range(3):
        threading.Thread(target=work, daemon=True).start()
    time.sleep(0.8)
    print("end")
    """
    done = run(script)
    assert (done.returncode, done.stdout) == (0, "end\n"), done.stderr


def test_calls_while_the_interpreter_exits():
    script = """
    import atexit
    import numpy as np, tracejit
    f = tracejit.jit(lambda x: x + 1)
    f(np.ones(3))
    class Late:
        def __del__(self):
            print(f(np.ones(3)))
    late = Late()
    atexit.register(lambda: print(f(np.ones(1))))
    """
    done = run(script)
    assert done.returncode == 0 and done.stdout == "[2.]\n[2. 2. 2.]\n", done.stderr


def test_interrupts():
    script = """
    import _thread, threading
    import numpy as np, tracejit
    f = tracejit.jit(lambda x: np.sin(x).sum())
    def slow(x):
        for i in range(100000):
            x = x + np.sin(x) * i
        return x
    a = np.ones(1000000)
    for call in (lambda: [f(a) for _ in range(100000)], lambda: tracejit.jit(slow)(a)):
        threading.Timer(0.6, _thread.interrupt_main).start()
        try:
            call()
        except KeyboardInterrupt:
            print("interrupted", f(a) > 0)
    """
    done = run(script)
    assert done.returncode == 0 and done.stdout == "interrupted True\n" * 2, done.stderr


def test_libraries_are_unloaded_once():
    """Also when a library and LLVM's own handle on it end in one garbage cycle, in any thread."""

    def work(seed):
        for k in range(15):
            jitted = jit(lambda x, k=k: np.sin(x) * (seed + k))
            jitted.cycle = jitted
            same(jitted(np.zeros(k + 1)), np.zeros(k + 1) * (seed + k))
            del jitted
            if k % 5 == 0:
                gc.collect()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))


def test_programs_can_be_read_in_many_threads():
    lowered = jit(lambda x: np.tanh(x @ x.T).sum(0) + np.roll(x, 1).sum()).lower(np.ones((3, 4)))
    text = tracejit.show(lowered.module)
    wanted = tracejit.reference(lowered.module, np.ones((3, 4)))

    def work(_):
        for _ in range(10):
            assert tracejit.parse(text) is lowered.module
            same(tracejit.reference(lowered.module, np.ones((3, 4))), wanted)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
