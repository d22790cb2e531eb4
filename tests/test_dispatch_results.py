"""Native dispatch: results, errors, references; executables and their Python fallback."""

from __future__ import annotations

import ctypes
import gc
import operator
import os
import pickle
import sys
import weakref

import numpy as np
import pytest
from dispatch_programs import (
    F8,
    VECTOR,
    Jitted,
    X,
    Y,
    constant_plan,
    jitted,
    misaligned,
    plan_of,
    read,
    shapes_function,
    sum_library,
    sum_plan,
    text,
    write,
)

from tracejit.runtime import fallback, layout
from tracejit.runtime.dispatch import Executable
from tracejit.runtime.signature import (
    ArgumentOutput,
    ArrayLeaf,
    ArrayOutput,
    CountOutput,
    DictTree,
    ListTree,
    ObjectOutput,
    Plan,
    ScalarLeaf,
    ScalarOutput,
    Signature,
    StaticLeaf,
)

pytestmark = pytest.mark.skipif(not layout.NATIVE, reason="no native dispatch here")


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


def rows_plan(shape, count):
    """A plan for an array that counts up, and how many of its rows are returned."""
    size = np.prod(shape).item()

    def program(pointers):
        write(pointers[0], ctypes.c_double, *range(size))
        write(pointers[1], ctypes.c_int64, count)

    return plan_of(program, 2, [ArrayOutput(F8, shape, count=1), CountOutput()], 0)


@pytest.mark.parametrize("shape", [(9,), (9, 4), (9, 1), (9, 0), (5000,), (1000, 8)])
def test_first_rows(shape):
    for count in (0, 1, 2, shape[0] // 2, shape[0] // 2 + 1, shape[0] - 1, shape[0]):
        plan = rows_plan(shape, count)
        expected = np.arange(np.prod(shape), dtype=F8).reshape(shape)[:count].copy()
        for result in (jitted(Signature(), plan)(), fallback.run(plan, (), ())):
            np.testing.assert_array_equal(result, expected)
            for about in ("shape", "strides"):
                assert getattr(result, about) == getattr(expected, about)
            assert [result.flags[k] for k in "CFOWA"] == [expected.flags[k] for k in "CFOWA"]


def test_counts_are_no_results():
    plan = rows_plan((9, 4), 7)
    for form in ("tuple", lambda values: values):
        rows, count = jitted(Signature(), plan._replace(result=form))()
        assert rows.shape == (7, 4) and count is None


def test_first_rows_are_memory_of_their_own():
    function = jitted(Signature(), rows_plan((5000,), 4000))
    results = [function() for _ in range(3)]
    results[0].resize(9000)
    results[1].resize(10)
    assert results[0][4000:].sum() == 0
    np.testing.assert_array_equal(results[1], np.arange(10.0))
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(results[2])), np.arange(4000.0))


def test_rows_that_no_output_counts():
    for outputs in (
        [ArrayOutput(F8, (3,), count=1)],
        [ArrayOutput(F8, (), count=1), CountOutput()],
    ):
        with pytest.raises(ValueError, match="counts"):
            Jitted().publish(Signature(), plan_of(lambda p: 0, 2, outputs, 0))


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

    def on_error(status, report):
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
    quiet = plan_of(lambda p: 5, 1, outputs, "tuple", on_error=lambda status, report: None)
    assert jitted(Signature((VECTOR,)), quiet)(X) == jitted(Signature((VECTOR,)), quiet)("other")
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
    plan = Plan(sum_library(1).cell("add"), (ArrayOutput(F8, (8,)),), keep=kept)
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
        plan = plan_of(lambda p: 2, 0, [], "tuple", on_error=lambda status, report: 1 / 0)
        Executable(plan, [])()
    del keep
