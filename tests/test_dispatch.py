"""Native dispatch: which calls fit a signature, and what the program then receives."""

from __future__ import annotations

import collections
import ctypes
import gc
import math
import pickle
import sys

import numpy as np
import pytest
from dispatch_programs import (
    F8,
    VECTOR,
    Jitted,
    X,
    Y,
    Z,
    constant_plan,
    jitted,
    matches,
    misaligned,
    plan_of,
    read,
    shapes_function,
    sum_plan,
    text,
    write,
)

from tracejit.runtime import layout
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


def test_symbols_bind_and_must_agree():
    leaves = ArrayLeaf(F8, (-1, 3), least=8), ArrayLeaf(F8, (-2, -1), least=8)
    signature = Signature(leaves)
    seen = []

    def program(pointers):
        seen.append(read(pointers[-1], ctypes.c_int64, 2))

    outputs = [ArrayOutput(F8, (-2, 4)), ScalarOutput(F8), ArrayOutput(F8, (-1,))]
    function = jitted(signature, plan_of(program, 2 + 3 + 2, outputs, "tuple"))
    for m, n in [(15, 17), (8, 9), (17, 15)]:
        a, _, b = function(np.zeros((m, 3)), np.zeros((n, m)))
        assert a.shape == (n, 4) and b.shape == (m,) and seen.pop() == [m, n]
    assert function(np.zeros((15, 3)), np.zeros((17, 16))) == "slow"
    assert function(np.zeros((15, 4)), np.zeros((17, 15))) == "slow"
    assert function(np.zeros((15, 3)), np.zeros((17, 15, 1))) == "slow"
    for m, n in [(0, 9), (1, 9), (7, 9), (9, 7)]:  # too small for a symbol
        assert function(np.zeros((m, 3)), np.zeros((n, m))) == "slow"


def test_symbols_are_free_again_in_the_next_entry():
    function = Jitted()
    function.publish(Signature((ArrayLeaf(F8, (-1, 2)),)), constant_plan("second"))
    function.publish(Signature((ArrayLeaf(F8, (-1, -1)),)), constant_plan("square"))
    assert function(np.zeros((15, 2))) == "second" and function(np.zeros((15, 15))) == "square"
    assert function(np.zeros((15, 3))) == "slow"


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
    for n in (13, 8, 5000):
        a, b = function(np.zeros(n))
        assert a.shape == (n + 1,) and b.shape == (2 * n,)
    del keep


def test_impossible_shapes_raise():
    signature = Signature((ArrayLeaf(F8, (-1,)),))
    keep, shapes = shapes_function(lambda n: ([-n], 0), range(1), 1)
    plan = plan_of(lambda pointers: 0, 4, [ArrayOutput(F8, (0,))], shapes=shapes)
    with pytest.raises(ValueError, match="negative dimensions"):
        jitted(signature, plan)(np.zeros(13))
    with pytest.raises(ValueError, match="too big|maximum supported"):
        jitted(signature, plan_of(lambda p: 0, 4, [ArrayOutput(F8, (1 << 62, -1))]))(np.zeros(13))
    with pytest.raises(MemoryError):
        jitted(signature, plan_of(lambda p: 0, 4, [ArrayOutput(F8, (1 << 55, -1))]))(np.zeros(13))
    with pytest.raises(MemoryError):
        jitted(signature, plan_of(lambda p: 0, 4, [ArrayOutput(F8, (1 << 57,))]))(np.zeros(13))
    with pytest.raises(MemoryError):
        plan = plan_of(lambda p: 0, 4, [ArrayOutput(F8, (3,))], workspace_bytes=1 << 60)
        jitted(signature, plan)(np.zeros(13))
    with pytest.raises(ValueError, match="no argument binds"):
        Jitted().publish(signature, plan_of(lambda p: 0, 4, [ArrayOutput(F8, (-2,))]))
    del keep


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


Pair = collections.namedtuple("Pair", "a b")


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
    assert function((X, [{"b": 7, "weight": Y}, "relu"], {}, (), [Z])) == "slow"
    assert function((X, [{text("weight"): Y, "b": 7}, "relu"], {}, (), [Z])) == "fast"
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
    assert function({key: Y, 0: X}) == "slow"
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
