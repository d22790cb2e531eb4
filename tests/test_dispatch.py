"""Native dispatch: what matches and what does not, results, references, and lives of entries."""

from __future__ import annotations

import collections
import copy
import ctypes
import functools
import gc
import math
import operator
import os
import pickle
import subprocess
import sys
import threading
import types
import weakref

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracejit.config import config
from tracejit.runtime import engine, fallback, layout, native_code
from tracejit.runtime.dispatch import Executable, JitBase
from tracejit.runtime.signature import (
    ArgumentOutput,
    ArrayLeaf,
    ArrayOutput,
    DictTree,
    ListTree,
    ObjectOutput,
    Plan,
    ScalarLeaf,
    ScalarOutput,
    Signature,
    StaticLeaf,
    TupleTree,
)

pytestmark = pytest.mark.skipif(not layout.NATIVE, reason="no native dispatch here")

F8 = np.dtype("f8")
VECTOR = ArrayLeaf(F8, (8,))
NAN = float("nan")


class Jitted(JitBase):
    """As the real one: a Python subclass whose ``__call__`` is the slow path."""

    def __init__(self):
        self.missed = []

    def __call__(self, *arguments, **keywords):
        self.missed.append((arguments, keywords))
        return "slow"

    def __get__(self, instance, owner=None):
        return self if instance is None else types.MethodType(self, instance)


class Program:
    """An executable entry point in Python: ``function(pointers)`` sees the argument vector."""

    def __init__(self, function, pointers):
        def entry(vector):
            status = function(list((ctypes.c_void_p * pointers).from_address(vector)))
            return status or 0

        self._entry = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_void_p)(entry)
        self.address = ctypes.cast(self._entry, ctypes.c_void_p).value


def plan_of(function, pointers, outputs, result="single", **options):
    program = Program(function, pointers)
    return Plan(program.address, tuple(outputs), result, keep=program, **options)


def read(pointer, ctype, count=1):
    values = list((ctype * count).from_address(pointer))
    return values if count > 1 else values[0]


def write(pointer, ctype, *values):
    (ctype * len(values)).from_address(pointer)[:] = values


ADD = """
define i64 @add(ptr %arguments) {{
{loads}
  %place = getelementptr i8, ptr %arguments, i64 {end}
  %out = load ptr, ptr %place
  store <8 x double> %sum{count}, ptr %out, align 8
  ret i64 0
}}
"""


@functools.cache
def sum_library(count):
    """``out = 1 + a + b + ...`` over `count` vectors of eight doubles."""
    lines = ["  %sum0 = fadd <8 x double> zeroinitializer, splat (double 1.0)"]
    for i in range(count):
        lines.append(f"  %at{i} = getelementptr i8, ptr %arguments, i64 {8 * i}")
        lines.append(f"  %array{i} = load ptr, ptr %at{i}")
        lines.append(f"  %value{i} = load <8 x double>, ptr %array{i}, align 8")
        lines.append(f"  %sum{i + 1} = fadd <8 x double> %sum{i}, %value{i}")
    text = ADD.format(loads="\n".join(lines), end=8 * count, count=count)
    return engine.load(engine.compile_ir(text), ["add"])


def sum_plan(count, **options):
    library = sum_library(count)
    return Plan(library.address("add"), (ArrayOutput(F8, (8,)),), keep=library, **options)


def constant_plan(value):
    """No memory is touched: the result says which entry ran."""
    return plan_of(lambda pointers: 0, 0, [ObjectOutput(value)])


def jitted(signature, plan):
    function = Jitted()
    assert function.publish(signature, plan) is not None
    return function


def matches(signature, *arguments, **keywords):
    return jitted(signature, constant_plan("fast"))(*arguments, **keywords) == "fast"


# ---- arrays --------------------------------------------------------------------------------------


def test_a_call_that_fits_runs_natively():
    function = Jitted()
    handle = function.publish(Signature((VECTOR,)), sum_plan(1))
    x = np.arange(8.0)
    for _ in range(3):
        result = function(x)
        assert type(result) is np.ndarray and result.dtype is F8 and result.flags.owndata
        np.testing.assert_array_equal(result, x + 1)
    assert function.missed == [] and function.hits(handle) == 3


class Subclass(np.ndarray):
    pass


def misaligned(values):
    raw = np.zeros(values.nbytes + 1, np.uint8)[1:].view(values.dtype)
    raw[:] = values
    return raw


REFUSED = {
    "dtype": np.zeros(8, np.float32),
    "same itemsize": np.zeros(8, np.int64),
    "shape": np.zeros(9),
    "rank": np.zeros((8, 1)),
    "rank 0": np.zeros(()),
    "subclass": np.zeros(8).view(Subclass),
    "byte order": np.zeros(8, ">f8"),
    "alignment": misaligned(np.zeros(8)),
    "strides": np.zeros(16)[::2],
    "reversed": np.zeros(8)[::-1],
    "matrix": np.zeros((2, 4)),
    "datetime": np.zeros(8, "M8[s]"),
    "structured": np.zeros(8, [("a", "f8")]),
    "object": np.zeros(8, object),
    "list": [0.0] * 8,
    "none": None,
    "float": 1.0,
    "float64": np.float64(1),
}


@pytest.mark.parametrize("name", REFUSED)
def test_other_arguments_go_to_python(name):
    function = jitted(Signature((VECTOR,)), sum_plan(1))
    value = REFUSED[name]
    before = sys.getrefcount(value)
    assert function(value) == "slow"
    ((arguments, keywords),) = function.missed
    assert arguments[0] is value and keywords == {}
    function.missed.clear()
    del arguments
    assert value is None or sys.getrefcount(value) == before


def test_the_number_of_arguments_counts():
    function = jitted(Signature((VECTOR, VECTOR)), sum_plan(2))
    x = np.zeros(8)
    assert function() == function(x) == function(x, x, x) == function(x, x, k=x) == "slow"
    assert function(x, x)[0] == 1


def test_equal_dtypes_that_are_other_objects_match():
    function = jitted(Signature((VECTOR,)), sum_plan(1))
    x = pickle.loads(pickle.dumps(np.arange(8.0)))
    assert x.dtype is not F8
    np.testing.assert_array_equal(function(x), x + 1)
    x = np.zeros(8, np.dtype("f8", metadata={"a": 1}))
    np.testing.assert_array_equal(function(x), x + 1)
    for code, wanted in ["lq", "ql", "LQ"]:
        assert matches(Signature((ArrayLeaf(np.dtype(wanted), (2,)),)), np.zeros(2, code))
    assert not matches(Signature((ArrayLeaf(np.dtype("q"), (2,)),)), np.zeros(2, "Q"))
    assert not matches(Signature((ArrayLeaf(np.dtype("?"), (2,)),)), np.zeros(2, "b"))


def test_writeable():
    frozen = np.zeros(8)
    frozen.flags.writeable = False
    assert matches(Signature((VECTOR,)), frozen)
    assert not matches(Signature((ArrayLeaf(F8, (8,), None, True),)), frozen)
    assert matches(Signature((ArrayLeaf(F8, (8,), None, True),)), np.zeros(8))


def test_strides():
    signature = Signature((ArrayLeaf(F8, (3, 2), (8, 24)),))
    assert matches(signature, np.zeros((2, 3)).T)
    assert not matches(signature, np.zeros((3, 2)))
    assert matches(Signature((ArrayLeaf(F8, (4,), (-8,)),)), np.zeros(4)[::-1])
    assert not matches(Signature((ArrayLeaf(F8, (4,), (-8,)),)), np.zeros(8)[::-2])
    assert matches(Signature((ArrayLeaf(F8, (4,), (0,)),)), np.broadcast_to(1.0, 4))
    # What is contiguous is NumPy's to say: strides of extents 1 and 0 do not matter.
    assert matches(Signature((ArrayLeaf(F8, (1, 4)),)), np.zeros((2, 4))[:1])
    assert matches(Signature((ArrayLeaf(F8, (0, 4)),)), np.zeros((2, 4))[:0])


@pytest.mark.parametrize("shape", [(), (0,), (1,), (2, 3, 4), (1,) * 32])
def test_ranks(shape):
    x = np.full(shape, 2.0)

    def program(pointers):
        assert pointers[0] == x.ctypes.data
        if x.size:
            write(pointers[1], ctypes.c_double, *range(x.size))

    plan = plan_of(program, 2, [ArrayOutput(F8, shape)])
    result = jitted(Signature((ArrayLeaf(F8, shape),)), plan)(x)
    assert type(result) is np.ndarray and result.shape == shape
    np.testing.assert_array_equal(result.ravel(), np.arange(x.size))


@pytest.mark.parametrize("code", "?bBhHiIlLqQefdgFDG")
def test_every_dtype(code):
    dtype = np.dtype(code)
    x = np.array([0, 1, 3], dtype)

    def program(pointers):
        ctypes.memmove(pointers[1], pointers[0], x.nbytes)
        ctypes.memmove(pointers[2], pointers[0] + dtype.itemsize, dtype.itemsize)

    outputs = [ArrayOutput(dtype, (3,)), ScalarOutput(dtype)]
    array, scalar = jitted(
        Signature((ArrayLeaf(dtype, (3,)),)), plan_of(program, 3, outputs, "tuple")
    )(x)
    assert array.dtype == dtype and type(scalar) is dtype.type and scalar == 1
    np.testing.assert_array_equal(array, x)


@pytest.mark.parametrize("code", ["O", "U3", "S3", "M8[s]", "m8[s]", "V4", ">f8", ">i4"])
def test_other_dtypes_are_left_to_python(code):
    leaf = ArrayLeaf(np.dtype(code), (3,))
    assert Jitted().publish(Signature((leaf,)), constant_plan(1)) is None
    plan = plan_of(lambda pointers: 0, 1, [ArrayOutput(np.dtype(code), (3,))])
    assert Jitted().publish(Signature(()), plan) is None


# ---- symbols -------------------------------------------------------------------------------------


def test_symbols_bind_and_must_agree():
    signature = Signature((ArrayLeaf(F8, (-1, 3)), ArrayLeaf(F8, (-2, -1))))
    seen = []

    def program(pointers):
        seen.append(read(pointers[-1], ctypes.c_int64, 2))

    outputs = [ArrayOutput(F8, (-2, 4)), ScalarOutput(F8), ArrayOutput(F8, (-1,))]
    function = jitted(signature, plan_of(program, 2 + 3 + 2, outputs, "tuple"))
    for m, n in [(5, 7), (0, 1), (1, 0), (7, 5)]:
        a, _, b = function(np.zeros((m, 3)), np.zeros((n, m)))
        assert a.shape == (n, 4) and b.shape == (m,) and seen.pop() == [m, n]
    assert function(np.zeros((5, 3)), np.zeros((7, 6))) == "slow"
    assert function(np.zeros((5, 4)), np.zeros((7, 5))) == "slow"
    assert function(np.zeros((5, 3)), np.zeros((7, 5, 1))) == "slow"


def test_symbols_are_free_again_in_the_next_entry():
    function = Jitted()
    function.publish(Signature((ArrayLeaf(F8, (-1, 2)),)), constant_plan("second"))
    function.publish(Signature((ArrayLeaf(F8, (-1, -1)),)), constant_plan("square"))
    assert function(np.zeros((5, 2))) == "second" and function(np.zeros((5, 5))) == "square"
    assert function(np.zeros((5, 3))) == "slow"


def shapes_function(function, symbols, extents):
    def shapes(symbols_at, extents_at):
        values, workspace = function(*(read(symbols_at + 8 * i, ctypes.c_int64) for i in symbols))
        write(extents_at, ctypes.c_int64, *values)
        return workspace

    made = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_void_p, ctypes.c_void_p)(shapes)
    return made, ctypes.cast(made, ctypes.c_void_p).value


def test_computed_shapes_and_workspace():
    keep, shapes = shapes_function(lambda n: ([n + 1, 2 * n], 100 * n), range(1), 2)

    def program(pointers):
        n = read(pointers[-1], ctypes.c_int64)
        assert (pointers[-2] or 0) % 64 == 0 and bool(pointers[-2]) == (n > 0)
        if n:
            ctypes.memset(pointers[-2], 7, 100 * n)

    outputs = [ArrayOutput(F8, (0,)), ArrayOutput(F8, (0,))]
    plan = plan_of(program, 5, outputs, "tuple", shapes=shapes)
    function = jitted(Signature((ArrayLeaf(F8, (-1,)),)), plan)
    for n in (3, 0, 5000):
        a, b = function(np.zeros(n))
        assert a.shape == (n + 1,) and b.shape == (2 * n,)
    del keep


def test_impossible_shapes_raise():
    signature = Signature((ArrayLeaf(F8, (-1,)),))
    keep, shapes = shapes_function(lambda n: ([-n], 0), range(1), 1)
    plan = plan_of(lambda pointers: 0, 4, [ArrayOutput(F8, (0,))], shapes=shapes)
    with pytest.raises(ValueError, match="negative dimensions"):
        jitted(signature, plan)(np.zeros(3))
    with pytest.raises(ValueError, match="too big|maximum supported"):
        jitted(signature, plan_of(lambda p: 0, 4, [ArrayOutput(F8, (1 << 62, -1))]))(np.zeros(3))
    with pytest.raises(MemoryError):
        jitted(signature, plan_of(lambda p: 0, 4, [ArrayOutput(F8, (1 << 55, -1))]))(np.zeros(3))
    with pytest.raises(MemoryError):
        jitted(signature, plan_of(lambda p: 0, 4, [ArrayOutput(F8, (1 << 57,))]))(np.zeros(3))
    with pytest.raises(MemoryError):
        plan = plan_of(lambda p: 0, 4, [ArrayOutput(F8, (3,))], workspace_bytes=1 << 60)
        jitted(signature, plan)(np.zeros(3))
    with pytest.raises(ValueError, match="no argument binds"):
        Jitted().publish(signature, plan_of(lambda p: 0, 4, [ArrayOutput(F8, (-2,))]))
    del keep


# ---- scalars -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value", [2.5, -0.0, math.inf, 1 - 2j, 7, -(1 << 63), (1 << 63) - 1, 0, True, False]
)
def test_python_scalars(value):
    ctype = {float: ctypes.c_double, complex: ctypes.c_double, int: ctypes.c_int64}
    ctype = ctype.get(type(value), ctypes.c_int8)
    seen = []

    def program(pointers):
        seen.append(read(pointers[0], ctype, 2 if type(value) is complex else 1))

    plan = plan_of(program, 1, [ObjectOutput("fast")])
    function = jitted(Signature((ScalarLeaf(type(value)),)), plan)
    assert function(value) == "fast"
    got = complex(*seen[0]) if type(value) is complex else seen[0]
    assert got == value and math.copysign(1, got.real) == math.copysign(1, value.real)
    others = {2.5: 7, 7: True, True: 1, 1 - 2j: 1.0}
    assert function(others.get(value, None)) == "slow"
    assert function(np.float64(1)) == function(np.bool_(1)) == "slow"


def text(value):
    """The same text in another object."""
    return value[:1] + value[1:]


class MyInt(int):
    pass


def test_ints_that_do_not_fit():
    function = jitted(Signature((ScalarLeaf(int),)), constant_plan("fast"))
    assert function(1 << 63) == function(-(1 << 63) - 1) == function(10**100) == "slow"
    assert function(MyInt(3)) == "slow" and function(3) == "fast"


@pytest.mark.parametrize("code", "?bBhHiIlLqQefdgFDG")
def test_numpy_scalars(code):
    kind = np.dtype(code).type
    value = kind(3)
    seen = []
    plan = plan_of(
        lambda p: seen.append(ctypes.string_at(p[0], value.nbytes)), 1, [ObjectOutput(1)]
    )
    function = jitted(Signature((ScalarLeaf(kind),)), plan)
    assert function(value) == 1 and np.frombuffer(seen[0], kind)[0] == value
    assert function(3) == function(3.0) == function(np.array(value)) == "slow"


@pytest.mark.parametrize("kind", [str, np.datetime64, np.str_, object, type(None), MyInt])
def test_other_scalars_are_left_to_python(kind):
    assert Jitted().publish(Signature((ScalarLeaf(kind),)), constant_plan(1)) is None


# ---- static leaves -------------------------------------------------------------------------------


class Grumpy:
    def __eq__(self, other):
        raise RuntimeError("do not compare me")

    __hash__ = None


def nan(payload):
    return np.array([0x7FF8000000000000 + payload]).view(np.float64)[0].item()


class Color:
    RED = object()


STATIC = [
    (1, [1, 1 + 0 * 10**30], [True, 1.0, 2, np.int64(1), "1", MyInt(1)]),
    (10**30, [10**30, int("1" + "0" * 30)], [10**30 + 1, 1e30]),
    (True, [True], [1, False, np.True_, 1.0]),
    (0.0, [0.0, float("0")], [-0.0, 0, False, np.float64(0), 5e-324]),
    (-0.0, [-0.0], [0.0]),
    (nan(0), [nan(0), float("nan")], [nan(1), 0.0, None]),
    (1j, [1j, complex(0.0, 1)], [complex(-0.0, 1), -1j, 1]),
    ("axis", ["axis", text("axis")], ["axes", b"axis", None]),
    (b"a", [b"a"], [b"b", "a", bytearray(b"a")]),
    (None, [None], [0, False, ...]),
    ((0, 1.0), [(0, 1.0)], [(0, 1), (False, 1.0), (0, -1.0), (0,), (0, 1.0, 2), [0, 1.0]]),
    ([0, (None, {"a": 0.0})], [[0, (None, {"a": 0.0})]], [[0, (None, {"a": -0.0})], [0], [0, 1]]),
    ((), [()], [(0,), [], None]),
    (F8, [F8, np.dtype("f8")], [np.dtype("f4"), "f8", float]),
    (np.float64, [np.float64], [np.float32, float]),
    (math.sin, [math.sin], [math.cos, None]),
    (slice(0, 3), [slice(0, 3)], [slice(0, 4), slice(0, 3, 1)]),
    (Color.RED, [Color.RED], [object(), None]),
    (np.float64(0.0), [], [0.0, np.float64(0.0), np.float64(-0.0)]),
    (frozenset({1}), [], [frozenset({True}), {1}]),
    (Grumpy, [Grumpy], [Grumpy()]),
]


@pytest.mark.parametrize(
    "value,same,other", STATIC, ids=[str(value)[:20] for value, _, _ in STATIC]
)
def test_static_leaves(value, same, other):
    function = jitted(Signature((StaticLeaf(value), VECTOR)), sum_plan(1))
    x = np.arange(8.0)
    for argument in [value, *same]:
        np.testing.assert_array_equal(function(argument, x), x + 1)
    for argument in other:
        assert function(argument, x) == "slow", argument


def test_a_comparison_that_raises_is_a_miss():
    value = Grumpy()
    function = jitted(Signature((StaticLeaf(value),)), constant_plan("fast"))
    assert function(value) == "fast" and function(Grumpy()) == "slow"


# ---- containers ----------------------------------------------------------------------------------

Pair = collections.namedtuple("Pair", "a b")
X, Y, Z = np.arange(8.0), np.arange(8.0) * 2, np.arange(8.0) * 3


def test_nested_containers():
    tree = TupleTree(
        (
            VECTOR,
            ListTree((DictTree(("weight", "b"), (VECTOR, ScalarLeaf(int))), StaticLeaf("relu"))),
            DictTree((), ()),
            TupleTree(()),
            ListTree((VECTOR,)),
        )
    )

    def program(pointers):
        assert pointers[0] == X.ctypes.data and pointers[1] == Y.ctypes.data
        assert read(pointers[2], ctypes.c_int64) == 7 and pointers[3] == Z.ctypes.data

    function = jitted(Signature((tree,)), plan_of(program, 4, [ObjectOutput("fast")]))
    good = (X, [{"weight": Y, "b": 7}, "relu"], {}, (), [Z])
    assert function(good) == "fast"
    assert function((X, [{"b": 7, "weight": Y}, "relu"], {}, (), [Z])) == "fast"
    assert function((X, [{"b": 7, text("weight"): Y}, "relu"], {}, (), [Z])) == "fast"
    for bad in [
        (X, [{"weight": Y, "b": 7.0}, "relu"], {}, (), [Z]),
        (X, [{"weight": Y, "b": 7}, "tanh"], {}, (), [Z]),
        (X, [{"weight": Y, "b": 7, "c": 1}, "relu"], {}, (), [Z]),
        (X, [{"weight": Y, "c": 7}, "relu"], {}, (), [Z]),
        (X, [{"weight": Y}, "relu"], {}, (), [Z]),
        (X, ({"weight": Y, "b": 7}, "relu"), {}, (), [Z]),
        (X, [{"weight": Y, "b": 7}, "relu"], {}, (), (Z,)),
        (X, [{"weight": Y, "b": 7}, "relu"], {}, (), [Z, Z]),
        (X, [{"weight": Y, "b": 7}, "relu"], {}, (), []),
        (X, [{"weight": Y, "b": 7}, "relu"], {"a": 1}, (), [Z]),
        [X, [{"weight": Y, "b": 7}, "relu"], {}, (), [Z]],
        (X, [collections.OrderedDict(w=Y, b=7), "relu"], {}, (), [Z]),
    ]:
        assert function(bad) == "slow"
    assert not matches(Signature((TupleTree((VECTOR, VECTOR)),)), Pair(X, Y))


def test_containers_inside_containers_keep_their_own_items():
    vectors = [np.full(8, float(i)) for i in range(10)]
    tree = ListTree(
        (
            DictTree(("a", "b"), (ListTree((VECTOR, VECTOR)), VECTOR)),
            VECTOR,
            TupleTree((ListTree((VECTOR,)), DictTree(("c",), (ListTree((VECTOR,)),)))),
        )
    )
    seen = []
    plan = plan_of(lambda pointers: seen.extend(pointers[:6]), 6, [ObjectOutput("fast")])
    function = jitted(Signature((tree,)), plan)
    a = vectors
    before = [sys.getrefcount(v) for v in vectors]
    argument = [{"a": [a[0], a[1]], "b": a[2]}, a[3], ([a[4]], {"c": [a[5]]})]
    assert function(argument) == "fast"
    assert seen == [v.ctypes.data for v in vectors[:6]]
    assert function([{"a": [a[0], a[1]], "b": a[2]}, a[3], ([a[4]], {"c": [1]})]) == "slow"
    function.missed.clear()
    del argument
    assert [sys.getrefcount(v) for v in vectors] == before


def test_dict_keys_that_are_not_strings():
    signature = Signature((DictTree((0, ("a", 1)), (VECTOR, VECTOR)),))
    key = ("a", 1)
    function = Jitted()
    function.publish(Signature((DictTree((0, key), (VECTOR, VECTOR)),)), constant_plan("fast"))
    assert function({0: X, key: Y}) == "fast"
    assert function({key: Y, 0: X}) == "slow"  # limit: other orders are for strings only
    assert function({False: X, key: Y}) == "slow"
    assert not matches(signature, {0: X, 1: Y})


def test_bad_trees():
    with pytest.raises(ValueError, match="keys"):
        Jitted().publish(Signature((DictTree(("a", "a"), (VECTOR, VECTOR)),)), constant_plan(1))
    with pytest.raises(ValueError, match="keys"):
        Jitted().publish(Signature((DictTree(("a",), (VECTOR, VECTOR)),)), constant_plan(1))
    with pytest.raises(ValueError, match="strides"):
        Jitted().publish(Signature((ArrayLeaf(F8, (3,), (8, 8)),)), constant_plan(1))
    with pytest.raises(ValueError, match="result"):
        Jitted().publish(Signature(()), Plan(1, (ObjectOutput(1),), "list"))
    with pytest.raises(ValueError, match="single"):
        Jitted().publish(Signature(()), Plan(1, (), "single"))
    with pytest.raises(ValueError, match="leaves"):
        Jitted().publish(Signature(()), Plan(1, (ArgumentOutput(0),)))


def test_a_very_large_container():
    count = 3000  # a frame beyond what fits on the C stack
    arrays = [np.full(8, float(i)) for i in range(count)]
    seen = []
    plan = plan_of(lambda pointers: seen.extend(pointers), count, [ArgumentOutput(count - 1)])
    function = jitted(Signature((ListTree((VECTOR,) * count),)), plan)
    assert function(arrays) is arrays[-1]
    assert seen == [array.ctypes.data for array in arrays]
    assert function([*arrays[:-1], 1]) == "slow"
    function.missed.clear()
    assert all(sys.getrefcount(array) == 3 for array in arrays)


class Mutating:
    """Its comparison empties the containers that are being matched."""

    def __init__(self, containers=()):
        self.containers = containers

    def __eq__(self, other):
        for container in (*self.containers, *other.containers):
            container.clear()
        gc.collect()
        return True

    __hash__ = None


def test_python_code_that_runs_during_the_match_cannot_pull_arguments_away():
    tree = (
        ListTree((VECTOR, DictTree(("a",), (VECTOR,)), StaticLeaf(Mutating()), VECTOR)),
        DictTree(("b", "c"), (VECTOR, StaticLeaf(Mutating()))),
    )
    plan = plan_of(
        lambda pointers: write(
            pointers[4], ctypes.c_double, *(read(p, ctypes.c_double) for p in pointers[:4])
        ),
        5,
        [ArrayOutput(F8, (4,))],
    )
    function = jitted(Signature(tree), plan)
    for _ in range(20):
        inner = {"a": np.full(8, 2.0)}
        items = [np.full(8, 1.0), inner, None, np.full(8, 3.0)]
        last = {"b": np.full(8, 4.0), "c": None}
        items[2] = Mutating((items, inner))
        last["c"] = Mutating((last,))
        result = function(items, last)
        assert items == [] and last == {} and result.tolist() == [1.0, 2.0, 3.0, 4.0]


# ---- keywords ------------------------------------------------------------------------------------


def test_keywords():
    signature = Signature((VECTOR,), (("scale", VECTOR), ("mode", StaticLeaf("fast"))))
    function = jitted(signature, sum_plan(2))
    expected = X + Y + 1
    np.testing.assert_array_equal(function(X, scale=Y, mode="fast"), expected)
    np.testing.assert_array_equal(function(X, mode="fast", scale=Y), expected)
    assert function(X, Y, mode="fast") == function(X, scale=Y) == "slow"
    assert function(X, scale=Y, mode="slow") == function(X, scale=Y, kind="fast") == "slow"
    assert function(X, scale=Y, mode="fast", more=1) == "slow"
    assert function(x=X, scale=Y, mode="fast") == "slow"
    np.testing.assert_array_equal(function(X, mode="fast", scale=Y), expected)
    assert function.missed[-1] == ((), {"x": X, "scale": Y, "mode": "fast"})


def test_keyword_names_that_are_other_objects():
    function = jitted(Signature((), (("scale", VECTOR), ("shift", VECTOR))), sum_plan(2))
    for names in [("scale", "shift"), ("shift", "scale")]:
        result = function(**{text(name): X for name in names})
        np.testing.assert_array_equal(result, X + X + 1)
    assert function(**{text("scale"): X, text("shaft"): X}) == "slow"


def test_keywords_without_positional_arguments():
    seen = []
    names = [f"k{i}" for i in range(20)]
    plan = plan_of(lambda p: seen.append(list(p)), 20, [ObjectOutput("fast")])
    function = jitted(Signature((), tuple((name, VECTOR) for name in names)), plan)
    arrays = {name: np.full(8, 1.0) for name in names}
    wanted = [arrays[name].ctypes.data for name in names]
    assert function(**arrays) == "fast" and seen.pop() == wanted
    assert function(**dict(reversed(arrays.items()))) == "fast" and seen.pop() == wanted
    with pytest.raises(ValueError, match="twice"):
        Jitted().publish(Signature((), (("a", VECTOR), ("a", VECTOR))), constant_plan(1))


# ---- guards --------------------------------------------------------------------------------------


def test_guards():
    constant, names = [1.0], {}
    names["c"] = constant
    names["f"] = math.sin
    guards = ((names, "c", constant), (names, "f", math.sin))
    function = jitted(Signature((VECTOR,), (), guards), sum_plan(1))
    assert isinstance(function(X), np.ndarray)
    names["c"] = [1.0]
    assert function(X) == "slow"
    names["c"] = constant
    assert isinstance(function(X), np.ndarray)
    del names["f"]
    assert function(X) == "slow"
    names["f"] = math.sin
    assert isinstance(function(X), np.ndarray)

    class Dict(dict):
        pass

    guards = ((Dict(a=1), "a", 1),)
    assert Jitted().publish(Signature((), (), guards), constant_plan(1)) is None


# ---- results -------------------------------------------------------------------------------------


def test_argument_and_object_outputs():
    marker = object()
    tree = (DictTree(("a",), (VECTOR,)), StaticLeaf("mode"), ScalarLeaf(float))
    outputs = [ArgumentOutput(0), ArgumentOutput(1), ArgumentOutput(2), ObjectOutput(marker)]
    outputs += [ScalarOutput(np.dtype("?")), ArgumentOutput(0)]

    def program(pointers):
        write(pointers[2], ctypes.c_int8, 1)

    function = jitted(Signature(tree), plan_of(program, 3, outputs, "tuple"))
    value, mode = 2.5, text("mode")
    before = [sys.getrefcount(thing) for thing in (X, value, mode, marker)]
    result = function({"a": X}, mode, value)
    assert result[0] is result[5] is X and result[1] is mode and result[2] is value
    assert result[3] is marker and result[4] is np.True_
    del result
    assert [sys.getrefcount(thing) for thing in (X, value, mode, marker)] == before


def test_result_forms():
    values = [ObjectOutput(1), ObjectOutput(2)]
    assert jitted(Signature(), plan_of(lambda p: 0, 0, [], "tuple"))() == ()
    assert jitted(Signature(), plan_of(lambda p: 0, 0, values, "tuple"))() == (1, 2)
    assert jitted(Signature(), plan_of(lambda p: 0, 0, values[:1], "tuple"))() == (1,)
    as_dict = plan_of(lambda p: 0, 0, values, lambda leaves: dict(zip("ab", leaves, strict=True)))
    assert jitted(Signature(), as_dict)() == {"a": 1, "b": 2}
    fail = plan_of(lambda p: 0, 0, values, operator.itemgetter(5))
    with pytest.raises(IndexError):
        jitted(Signature(), fail)()


def test_errors_drop_the_outputs():
    class Trouble(Exception):
        pass

    def on_error(status):
        raise Trouble(status)

    outputs = [ArrayOutput(F8, (8,)), ScalarOutput(F8), ArrayOutput(F8, (1 << 20,))]
    plan = plan_of(lambda p: -3, 1, outputs, "tuple", on_error=on_error, workspace_bytes=1000)
    function = jitted(Signature((VECTOR,)), plan)
    before = sys.getrefcount(F8), sys.getrefcount(X)
    for _ in range(100):
        with pytest.raises(Trouble) as caught:
            function(X)
        assert caught.value.args == (-3,)
    del caught
    assert (sys.getrefcount(F8), sys.getrefcount(X)) == before
    quiet = plan_of(lambda p: 5, 1, outputs, "tuple", on_error=lambda status: None)
    with pytest.raises(RuntimeError, match="error callback"):
        jitted(Signature((VECTOR,)), quiet)(X)
    with pytest.raises(RuntimeError, match="status 5"):
        jitted(Signature((VECTOR,)), plan_of(lambda p: 5, 1, outputs, "tuple"))(X)


@pytest.mark.parametrize("size", [8, 1 << 17])
def test_outputs_are_ordinary_arrays(size):
    plan = plan_of(
        lambda p: write(p[0], ctypes.c_double, *range(size)), 1, [ArrayOutput(F8, (size,))]
    )
    result = jitted(Signature(), plan)()
    assert result.flags.owndata and result.flags.c_contiguous and result.flags.writeable
    assert result.flags.aligned and result.base is None and result[-1] == size - 1
    result.resize(size + 1, refcheck=False)
    assert result[-1] == 0 and result[-2] == size - 1
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(result)), result)


# ---- references and memory -----------------------------------------------------------------------


def resident_bytes():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="needs /proc")
def test_a_hundred_thousand_calls_leak_nothing():
    tree = (VECTOR, ListTree((VECTOR, ScalarLeaf(int))), StaticLeaf("a"))
    plan = plan_of(
        lambda p: None, 3, [ScalarOutput(F8), ObjectOutput(None), ArgumentOutput(1)], list
    )
    library = sum_library(1)
    function = jitted(Signature(tree), plan)
    arrays = jitted(Signature((VECTOR,), (("k", StaticLeaf(None)),)), sum_plan(1))
    failing = jitted(Signature(), plan_of(lambda p: 1, 0, [], "tuple"))
    things = [X, Y, F8, None, plan, library, np.float64, 10**20]

    def calls(count):
        for _ in range(count):
            function(X, [Y, 5], "a")
            function(X, [Y, 10**20], "a")
            arrays(X, k=None)
            arrays(k=None)
            try:
                failing()
            except RuntimeError:
                pass
        function.missed.clear()
        arrays.missed.clear()

    calls(1000)
    gc.collect()
    references, memory = [sys.getrefcount(thing) for thing in things], resident_bytes()
    calls(20_000)
    gc.collect()
    after = [sys.getrefcount(thing) for thing in things]
    assert all(abs(a - b) < 100 for a, b in zip(after, references, strict=True))
    assert resident_bytes() - memory < 4 << 20


def test_a_callable_dies_with_all_it_kept():
    class Kept:
        pass

    kept = Kept()
    watch = weakref.ref(kept)
    plan = Plan(sum_library(1).address("add"), (ArrayOutput(F8, (8,)),), keep=kept)
    function = jitted(Signature((VECTOR, StaticLeaf(kept))), plan)
    handle = function.publish(Signature((VECTOR,)), plan)
    function(X)
    del kept, plan, handle
    assert watch() is not None
    del function
    gc.collect()
    assert watch() is None


def test_a_cycle_through_the_plan_is_collected():
    function = Jitted()
    function.publish(Signature(), plan_of(lambda p: 0, 0, [ObjectOutput(function)]))
    assert function() is function
    watch = weakref.ref(function)
    del function
    gc.collect()
    assert watch() is None


# ---- many signatures -----------------------------------------------------------------------------


def test_many_signatures_each_find_their_entry():
    function = Jitted()
    handles = {}
    for n in range(200):
        leaf = ArrayLeaf(F8, (n, n % 7))
        handles[n] = function.publish(Signature((leaf, StaticLeaf(n % 3))), constant_plan(n))
    for _ in range(3):
        for n in range(200):
            assert function(np.zeros((n, n % 7)), n % 3) == n
    for n in range(0, 200, 2):
        function.retire(handles[n])
    for n in range(200):
        assert function(np.zeros((n, n % 7)), n % 3) == (n if n % 2 else "slow")
    assert function.hits(handles[1]) == 4


def test_signatures_that_look_alike():
    """Same hash of shapes, told apart by strides, by bits, by deep leaves, by guards."""
    function = Jitted()
    signatures = {
        "c": Signature((ArrayLeaf(F8, (3, 3)), StaticLeaf(1.0))),
        "f": Signature((ArrayLeaf(F8, (3, 3), (8, 24)), StaticLeaf(1.0))),
        "zero": Signature((ArrayLeaf(F8, (3, 3)), StaticLeaf(0.0))),
        "minus": Signature((ArrayLeaf(F8, (3, 3)), StaticLeaf(-0.0))),
        "list": Signature((ListTree((ListTree((StaticLeaf(1.0),)),)), StaticLeaf(1.0))),
        "other": Signature((ListTree((ListTree((StaticLeaf(2.0),)),)), StaticLeaf(1.0))),
        "int": Signature((ScalarLeaf(int), StaticLeaf(3))),
        "four": Signature((ScalarLeaf(int), StaticLeaf(4))),
    }
    for name, signature in signatures.items():
        function.publish(signature, constant_plan(name))
    x = np.zeros((3, 3))
    calls = {
        "c": (x, 1.0),
        "f": (x.T, 1.0),
        "zero": (x, 0.0),
        "minus": (x, -0.0),
        "list": ([[1.0]], 1.0),
        "other": ([[2.0]], 1.0),
        "int": (9, 3),
        "four": (7, 4),
    }
    for _ in range(3):
        for name, arguments in calls.items():
            assert function(*arguments) == name
    loop = []
    loop.append(loop)
    assert function(loop, 1.0) == function([], 1.0) == function({}, ()) == "slow"


LEAVES = st.sampled_from(
    [
        (ArrayLeaf(F8, (2,)), lambda: np.zeros(2)),
        (ArrayLeaf(np.dtype("f4"), (-1,)), lambda: np.zeros(5, np.float32)),
        (ArrayLeaf(F8, (3,), (-8,)), lambda: np.zeros(3)[::-1]),
        (ArrayLeaf(np.dtype("i4"), ()), lambda: np.array(1, np.int32)),
        (ScalarLeaf(float), lambda: 1.5),
        (ScalarLeaf(int), lambda: 12345),
        (ScalarLeaf(bool), lambda: True),
        (ScalarLeaf(np.int8), lambda: np.int8(3)),
        (StaticLeaf(7), lambda: 7),
        (StaticLeaf("name"), lambda: "name"),
        (StaticLeaf(None), lambda: None),
        (StaticLeaf(0.5), lambda: float("0.5")),
    ]
)


def _containers(children):
    several = st.lists(children, max_size=3)
    return st.one_of(
        several.map(
            lambda items: (
                TupleTree(tuple(tree for tree, _ in items)),
                lambda: tuple(make() for _, make in items),
            )
        ),
        several.map(
            lambda items: (
                ListTree(tuple(tree for tree, _ in items)),
                lambda: [make() for _, make in items],
            )
        ),
        several.map(
            lambda items: (
                DictTree(tuple("abc"[: len(items)]), tuple(tree for tree, _ in items)),
                lambda: dict(zip("abc", (make() for _, make in items), strict=False)),
            )
        ),
    )


TREES = st.recursive(LEAVES, _containers, max_leaves=8)


def outline(value):
    """What a call looks like to the signatures above: equal outlines, equal signatures."""
    if isinstance(value, np.ndarray):
        shape = "any" if value.shape == (5,) else value.shape
        return "array", value.dtype.str, shape, value.strides
    if isinstance(value, (tuple, list)):
        return type(value), tuple(map(outline, value))
    if isinstance(value, dict):
        return dict, tuple((key, outline(item)) for key, item in value.items())
    return type(value), value if type(value) in (str, type(None)) or value == 7 else None


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(TREES, max_size=3), min_size=1, max_size=6), st.data())
def test_random_signatures(calls, data):
    function, expected = Jitted(), {}
    for number, call in enumerate(calls):
        split = data.draw(st.integers(0, len(call)))
        trees = [tree for tree, _ in call]
        keywords = tuple(zip("xyz", trees[split:], strict=False))
        signature = Signature(tuple(trees[:split]), keywords)
        leaves = len(signature.leaves())
        outputs = [ObjectOutput(number), *map(ArgumentOutput, range(leaves))]
        function.publish(signature, plan_of(lambda p: 0, 0, outputs, "tuple"))
        arguments = [make() for _, make in call]
        expected[split, outline(tuple(arguments))] = number
    for call in calls:
        for split in range(len(call) + 1):
            arguments = [make() for _, make in call]
            counted = [a for a in arguments if isinstance(a, (np.ndarray, list, dict))]
            before = [sys.getrefcount(argument) for argument in counted]
            keywords = dict(zip("xyz", arguments[split:], strict=False))
            result = function(*arguments[:split], **keywords)
            number = expected.get((split, outline(tuple(arguments))), "slow")
            assert result == "slow" if number == "slow" else result[0] == number
            function.missed.clear()
            del result, keywords
            assert [sys.getrefcount(argument) for argument in counted] == before


# ---- retiring ------------------------------------------------------------------------------------


def test_retire():
    function = Jitted()
    first = function.publish(Signature((VECTOR,)), constant_plan("first"))
    second = function.publish(Signature((VECTOR,)), constant_plan("second"))
    assert function(X) == "second"
    function.retire(second)
    assert function(X) == "first"
    function.retire(second)
    function.retire(None)
    function.retire(first)
    assert function(X) == "slow" and function.hits(first) == 1
    function.publish(Signature((VECTOR,)), constant_plan("third"))
    assert function(X) == "third"


def test_an_entry_retired_while_it_runs_finishes():
    function, handles = Jitted(), []
    kept = collections.Counter()  # anything that takes weak references
    watch = weakref.ref(kept)

    def program(pointers):
        function.retire(handles.pop())
        function.publish(Signature((VECTOR,)), constant_plan("new"))
        gc.collect()
        assert function(X) == "new" and watch() is not None
        write(pointers[1], ctypes.c_double, *range(8))

    entry = Program(program, 2)
    plan = Plan(entry.address, (ArrayOutput(F8, (8,)),), keep=(entry, kept))
    handles.append(function.publish(Signature((VECTOR,)), plan))
    del plan, kept, entry
    np.testing.assert_array_equal(function(X), np.arange(8.0))
    del program
    function.publish(Signature(), constant_plan(1))
    gc.collect()
    assert watch() is None


class Retiring:
    def __init__(self, action=None):
        self.action = action

    def __eq__(self, other):
        (self.action or other.action)()
        return True

    __hash__ = None


def test_an_entry_retired_while_it_matches():
    function, handles = Jitted(), {}

    def retire_all():
        for handle in handles.values():
            function.retire(handle)
        handles.clear()
        gc.collect()

    for i in range(6):
        signature = Signature((StaticLeaf(Retiring()), StaticLeaf(str(i))))
        handles[i] = function.publish(signature, constant_plan(i))
    gc.collect()
    assert function(Retiring(retire_all), "2") in (2, "slow")
    assert function(Retiring(retire_all), "2") == "slow"


def test_threads_call_while_others_publish_and_retire():
    function = Jitted()
    arrays = [np.arange(8.0) + i for i in range(4)]
    stop, errors = threading.Event(), []

    def call(x):
        while not stop.is_set():
            result = function(x)
            if not isinstance(result, str) and result[0] != x[0] + 1:
                errors.append(result)
            function.missed.clear()

    threads = [threading.Thread(target=call, args=(x,)) for x in arrays]
    for thread in threads:
        thread.start()
    for i in range(300):
        handle = function.publish(Signature((VECTOR,)), sum_plan(1, release_gil=i % 2 == 0))
        function.publish(Signature((ArrayLeaf(F8, (8, i)),)), constant_plan(i))
        function.retire(handle)
    stop.set()
    for thread in threads:
        thread.join()
    assert errors == []


WAIT = """
define i64 @wait(ptr %arguments) {
start:
  %flag = load ptr, ptr %arguments
  store atomic i64 1, ptr %flag seq_cst, align 8
  br label %look
look:
  %turn = phi i64 [0, %start], [%turn.next, %again]
  %value = load atomic i64, ptr %flag seq_cst, align 8
  %set = icmp eq i64 %value, 2
  br i1 %set, label %done, label %again
again:
  %turn.next = add i64 %turn, 1
  %ignored = call i32 @sched_yield()
  %long = icmp eq i64 %turn.next, 10000000
  br i1 %long, label %failed, label %look
done:
  ret i64 0
failed:
  ret i64 1
}
declare i32 @sched_yield()
"""


def test_the_gil_is_released():
    """The program waits for what another Python thread has to do."""
    library = engine.load(engine.compile_ir(WAIT), ["wait"])
    plan = Plan(library.address("wait"), (ObjectOutput("done"),), release_gil=True, keep=library)
    function = jitted(Signature((ListTree((ArrayLeaf(np.dtype("i8"), (1,)),)),)), plan)
    flag = np.zeros(1, np.int64)
    items = [flag]
    results = []
    thread = threading.Thread(target=lambda: results.append(function(items)))
    thread.start()
    while flag[0] != 1:
        pass
    items.clear()  # the call holds the array by itself
    flag[0] = 2
    thread.join()
    assert results == ["done"]


# ---- the object ----------------------------------------------------------------------------------


def test_instances_are_python_objects():
    function = jitted(Signature((VECTOR,)), sum_plan(1))
    function.note = "hello"
    assert vars(function)["note"] == "hello" and weakref.ref(function)() is function
    assert callable(function) and isinstance(function, JitBase)
    functools.update_wrapper(function, lambda x: x)
    assert isinstance(function(X), np.ndarray) and function.__wrapped__(3) == 3
    with pytest.raises(TypeError):
        copy.copy(function)  # without a __reduce__ of the subclass


def test_before_anything_is_published():
    assert Jitted()(1, k=2) == "slow"
    with pytest.raises(NotImplementedError):
        JitBase()()


def test_methods():
    class Model:
        @staticmethod
        def plain(x):
            return x

    function = Jitted()
    model = Model()
    Model.method = function
    handle = function.publish(Signature((StaticLeaf(model), VECTOR)), sum_plan(1))
    np.testing.assert_array_equal(model.method(X), X + 1)
    assert Model.method is function and Model().method(X) == "slow" and function.hits(handle) == 1


def test_every_way_of_calling():
    function = jitted(Signature((VECTOR,)), sum_plan(1))
    x = np.arange(8.0)
    ways = [
        lambda: function(x),
        lambda: function(*(x,)),
        lambda: next(iter(map(function, [x]))),
        lambda: functools.partial(function, x)(),
        lambda: function.__call__(x),
        lambda: type(function).__call__(function, x),
        lambda: functools.reduce(lambda a, b: function(a), [x, None]),
        lambda: max([x], key=lambda v: function(v)[0]),
        lambda: operator.call(function, x) if hasattr(operator, "call") else function(x),
    ]
    results = [way() for way in ways]
    assert [type(result) for result in results].count(np.ndarray) >= 6
    many = tuple(range(5000))
    assert function(*many) == "slow" and function.missed[-1] == (many, {})
    named = {f"k{i}": i for i in many}
    assert function(*many, **named) == "slow" and function.missed[-1] == (many, named)


def test_exceptions_of_the_slow_path():
    class Failing(JitBase):
        def __call__(self, *arguments, **keywords):
            raise KeyError(arguments)

    function = Failing()
    function.publish(Signature((VECTOR,)), sum_plan(1))
    for arguments in [(1,), (X, 2), ()]:
        with pytest.raises(KeyError) as caught:
            function(*arguments)
        assert len(caught.value.args[0]) == len(arguments)


def test_recursion():
    class Recursive(JitBase):
        def __call__(self, n):
            return 0 if n == 0 else 1 + self(n - 1)

    function = Recursive()
    function.publish(Signature((VECTOR,)), sum_plan(1))
    assert function(20) == 20
    with pytest.raises(RecursionError):
        function(10**6)


def test_a_slow_path_that_is_not_a_python_function():
    class Method:
        def __call__(self, *arguments, **keywords):
            return arguments, keywords

    class Odd(JitBase):
        __call__ = Method()

    function = Odd()
    function.publish(Signature((VECTOR,)), sum_plan(1))
    assert isinstance(function(X), np.ndarray)
    assert function(1, 2, k=3)[0][-2:] == (1, 2) and function(1, k=3)[1] == {"k": 3}


def test_subclasses_of_subclasses():
    class Louder(Jitted):
        def __call__(self, *arguments, **keywords):
            return super().__call__(*arguments, **keywords) + "!"

    class Quiet(Jitted):
        pass

    for cls, word in [(Louder, "slow!"), (Quiet, "slow")]:
        function = cls()
        assert function(1) == word
        function.publish(Signature((VECTOR,)), sum_plan(1))
        assert function(1) == word and isinstance(function(X), np.ndarray)


# ---- executables and the fallback ----------------------------------------------------------------


def test_executable():
    leaves = [ArrayLeaf(F8, (-1,)), StaticLeaf("ignored"), ScalarLeaf(int), ScalarLeaf(bool)]

    def program(pointers):
        n, number = read(pointers[-1], ctypes.c_int64), read(pointers[1], ctypes.c_int64)
        assert read(pointers[2], ctypes.c_int8) == 1 and pointers[5] % 64 == 0
        ctypes.memset(pointers[5], 1, 100)
        write(pointers[3], ctypes.c_double, *[float(number)] * n)
        write(pointers[4], ctypes.c_double, 0.5)

    outputs = [ArrayOutput(F8, (-1,)), ScalarOutput(F8), ArgumentOutput(1), ObjectOutput(None)]
    plan = plan_of(program, 7, outputs, "tuple", workspace_bytes=100)
    executable = Executable(plan, leaves)
    marker = object()
    arguments = (np.zeros(5), marker, 3, True)
    native = executable(*arguments)
    python = fallback.run(plan, leaves, arguments)
    for a, b, c, d in (native, python):
        assert a.tolist() == [3.0] * 5 and type(b) is np.float64 and b == 0.5
        assert c is marker and d is None
    assert weakref.ref(executable)() is executable


def test_executable_says_what_is_wrong():
    executable = Executable(sum_plan(2), [VECTOR, ArrayLeaf(F8, (8,), None, True)])
    frozen = np.zeros(8)
    frozen.flags.writeable = False
    for arguments, words in [
        ((X,), "2 leaf values"),
        ((X, 1), "leaf 1 is not a numpy.ndarray"),
        ((X.astype("f4"), X), "leaf 0 is of dtype"),
        ((X, np.zeros((8, 1))), "dimensions"),
        ((misaligned(X), X), "misaligned"),
        ((X, frozen), "read-only"),
        ((X[::-1], X), "not contiguous"),
        ((X[:3], X), "of shape"),
    ]:
        with pytest.raises(TypeError, match=words):
            executable(*arguments)
    with pytest.raises(TypeError, match="strides"):
        Executable(constant_plan(1), [ArrayLeaf(F8, (8,), (-8,))])(X)
    with pytest.raises(TypeError, match="leaf 0 is not of type float"):
        Executable(constant_plan(1), [ScalarLeaf(float)])(1)
    with pytest.raises(OverflowError):
        Executable(constant_plan(1), [ScalarLeaf(int)])(1 << 64)
    with pytest.raises(TypeError):
        executable(X, X, k=1)


@pytest.mark.parametrize("release_gil", [False, True])
def test_fallback(monkeypatch, release_gil):
    monkeypatch.setattr(layout, "NATIVE", False)
    function = Jitted()
    assert function.publish(Signature((VECTOR,)), sum_plan(1)) is None
    assert function(X) == "slow" and function.hits(None) == 0
    function.retire(None)
    np.testing.assert_array_equal(
        Executable(sum_plan(2, release_gil=release_gil), [VECTOR, VECTOR])(X, Y), X + Y + 1
    )
    keep, shapes = shapes_function(lambda n: ([n, 2], 64), range(1), 1)
    plan = plan_of(lambda p: 0, 4, [ArrayOutput(F8, (0, 0))], list, shapes=shapes)
    (result,) = Executable(plan, [ArrayLeaf(F8, (-1,))])(np.zeros(7))
    assert result.shape == (7, 2)
    with pytest.raises(RuntimeError, match="status 2"):
        Executable(plan_of(lambda p: 2, 0, [], "tuple"), [])()
    with pytest.raises(ZeroDivisionError):
        plan = plan_of(lambda p: 2, 0, [], "tuple", on_error=lambda status: 1 / 0)
        Executable(plan, [])()
    del keep


# ---- the process ---------------------------------------------------------------------------------


def run_python(code, **environment):
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


SETUP = """
import sys, numpy as np
from tracejit.runtime import engine
from tracejit.runtime.dispatch import JitBase
from tracejit.runtime.signature import *
class Jitted(JitBase):
    def __call__(self, *arguments):
        return "slow"
text = '''define i64 @fill(ptr %a) {
  %out = load ptr, ptr %a
  store double 2.0, ptr %out
  ret i64 0
}'''
library = engine.load(engine.compile_ir(text), ["fill"])
def plan(n):
    return Plan(library.address("fill"), (ArrayOutput(np.dtype("f8"), (n,)),), keep=library)
function = Jitted()
function.publish(Signature(), plan(1 << 20))
function.publish(Signature((StaticLeaf(1),)), plan(8))
"""


def test_importing_and_calling_python_does_not_load_llvm():
    code = """
import sys
from tracejit.runtime.dispatch import JitBase
class Jitted(JitBase):
    def __call__(self, x): return x
assert Jitted()(3) == 3
print("llvmlite" in sys.modules)
"""
    assert run_python(code).split() == ["False"]


def test_results_and_callables_outlive_the_interpreter():
    code = (
        SETUP
        + """
import atexit, builtins
builtins.kept = [function(), function(1), function]
class Late:
    def __init__(self, function): self.function = function
    def __del__(self): self.function(); self.function(1)
builtins.late = Late(function)
cycle = [function()]; cycle.append(cycle)
atexit.register(lambda: print(function()[0]))
"""
    )
    assert run_python(code).split() == ["2.0"]


def test_the_code_is_cached_on_disk(tmp_path):
    code = SETUP + "print(function()[0], function(1)[0])"
    directory = tmp_path / "cache"
    for _ in range(2):
        assert run_python(code, TRACEJIT_CACHE=str(directory)).split() == ["2.0", "2.0"]
    files = sorted(directory.glob("*.o"))
    assert sorted({file.name.split("-")[0] for file in files}) == ["buffers", "dispatch"]
    for damage in [b"", b"nonsense" * 100, files[0].read_bytes()[:-1]]:
        for file in files:
            file.write_bytes(damage)
        assert run_python(code, TRACEJIT_CACHE=str(directory)).split() == ["2.0", "2.0"]
        assert all(file.stat().st_size > 1000 for file in files)
    assert len(list(directory.iterdir())) == len(files)


def test_without_a_cache(tmp_path):
    code = SETUP + "print(function()[0])"
    environment = {"TRACEJIT_CACHE": "off", "XDG_CACHE_HOME": str(tmp_path)}
    assert run_python(code, **environment).split() == ["2.0"]
    assert list(tmp_path.iterdir()) == []
    blocked = tmp_path / "file"
    blocked.write_text("not a directory")
    assert run_python(code, TRACEJIT_CACHE=str(blocked)).split() == ["2.0"]


def test_cache_directory(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with config.use(cache=""):
        assert native_code.cache_directory() == tmp_path / "tracejit"
    with config.use(cache="off"):
        assert native_code.cache_directory() is None


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_calls_after_fork():
    function = jitted(Signature((VECTOR,)), sum_plan(1))
    function(X)
    child = os.fork()
    if child == 0:
        good = isinstance(function(X), np.ndarray)
        function.publish(Signature((StaticLeaf(1),)), constant_plan("new"))
        os._exit(0 if good and function(1) == "new" else 1)
    assert os.waitpid(child, 0)[1] == 0
