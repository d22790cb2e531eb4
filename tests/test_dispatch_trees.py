"""Native dispatch: Python scalars and nested containers as results; closures, lists, instances."""

from __future__ import annotations

import ctypes
import gc
import sys
from collections import namedtuple
from types import CellType

import numpy as np
import pytest
from dispatch_programs import F8, Jitted, X, plan_of, read, write

from tracejit.runtime import fallback, layout
from tracejit.runtime.signature import (
    ArgumentOutput,
    ArrayLeaf,
    ArrayOutput,
    DictTree,
    ListTree,
    ObjectOutput,
    ObjectTree,
    PythonScalarOutput,
    ScalarLeaf,
    Signature,
    TupleTree,
)

pytestmark = pytest.mark.skipif(not layout.NATIVE, reason="no native dispatch here")

VECTOR = ArrayLeaf(F8, (8,))
Pair = namedtuple("Pair", "first second")


class Thing:
    def __init__(self, **attributes):
        vars(self).update(attributes)


class Slotted:
    __slots__ = ("a",)


def jitted(signature, plan):
    function = Jitted()
    assert function.publish(signature, plan) is not None
    return function


SCALARS = [
    (float, ctypes.c_double, [-0.0]),
    (float, ctypes.c_double, [float("inf")]),
    (int, ctypes.c_int64, [-(1 << 63)]),
    (int, ctypes.c_int64, [5]),
    (complex, ctypes.c_double, [1.5, -0.0]),
    (bool, ctypes.c_int8, [1]),
    (bool, ctypes.c_int8, [0]),
]


@pytest.mark.parametrize(("kind", "ctype", "values"), SCALARS)
def test_python_scalars(kind, ctype, values):
    plan = plan_of(lambda p: write(p[0], ctype, *values), 3, [PythonScalarOutput(kind)])
    expected = kind(*values)
    for found in (jitted(Signature(), plan)(), fallback.run(plan, (), ())):
        assert type(found) is kind and repr(found) == repr(expected)


def make(pointers):
    write(pointers[1], ctypes.c_double, *[2.0] * 8)
    write(pointers[2], ctypes.c_double, 0.5)


OUTPUTS = [
    ArrayOutput(F8, (8,)),
    PythonScalarOutput(float),
    ArgumentOutput(0),
    ObjectOutput("text"),
]
TREES = {
    "one": (TupleTree((1,)), (0.5,)),
    "empty": (TupleTree(()), ()),
    "list": (ListTree((3, 1, 3)), ["text", 0.5, "text"]),
    "empty containers": (ListTree((DictTree((), ()), ListTree(()), TupleTree(()))), [{}, [], ()]),
    "dict": (DictTree(("b", 2, (1,)), (1, 3, 1)), {"b": 0.5, 2: "text", (1,): 0.5}),
    "named": (TupleTree((1, TupleTree((3, 3), Pair)), Pair), Pair(0.5, Pair("text", "text"))),
    "deep": (
        TupleTree((1, ListTree((TupleTree((3, DictTree(("k",), (TupleTree((1, 3)),)))), 1)), 3)),
        (0.5, [("text", {"k": (0.5, "text")}), 0.5], "text"),
    ),
}


@pytest.mark.parametrize("name", TREES)
def test_result_trees(name):
    tree, expected = TREES[name]
    plan = plan_of(make, 5, OUTPUTS, tree)
    function = jitted(Signature((VECTOR,)), plan)
    for found in (function(X), fallback.run(plan, (VECTOR,), (X,))):
        assert found == expected and type(found) is type(expected)
        assert repr(found) == repr(expected)
    assert not function.missed


def test_arrays_in_trees_and_reference_counts():
    tree = TupleTree((0, DictTree(("a", "b"), (2, ListTree((0, 0))))))
    function = jitted(Signature((VECTOR,)), plan_of(make, 5, OUTPUTS, tree))
    array, rest = function(X)
    assert array.tolist() == [2.0] * 8 and rest["a"] is X
    assert rest["b"][0] is rest["b"][1] is array
    assert gc.is_tracked(rest["b"])
    assert sys.getrefcount(array) == 4  # array, twice in the list, the argument of getrefcount
    del array, rest
    gc.collect()
    before = sys.getrefcount(X), sys.getrefcount(F8)
    for _ in range(1000):
        function(X)
    assert (sys.getrefcount(X), sys.getrefcount(F8)) == before


def test_a_key_that_cannot_be_hashed_any_more():
    class Key:
        fails = False

        def __hash__(self):
            if self.fails:
                raise ZeroDivisionError
            return 1

    key = Key()
    tree = ListTree((3, DictTree(("a", key), (0, 1))))
    function = jitted(Signature((VECTOR,)), plan_of(make, 5, OUTPUTS, tree))
    assert function(X)[1][key] == 0.5
    Key.fails = True
    for _ in range(100):
        with pytest.raises(ZeroDivisionError):
            function(X)


def test_outputs_out_of_range_are_refused():
    with pytest.raises(ValueError, match="output 4"):
        Jitted().publish(Signature((VECTOR,)), plan_of(make, 5, OUTPUTS, TupleTree((4,))))
    instance = ObjectTree(Thing, ("a",), (0,))
    assert Jitted().publish(Signature((VECTOR,)), plan_of(make, 5, OUTPUTS, instance)) is None


def number_plan():
    def program(pointers):
        write(pointers[1], ctypes.c_double, read(pointers[0], ctypes.c_double) * 2)

    return plan_of(program, 4, [PythonScalarOutput(float)])


def test_instances():
    tree = ObjectTree(Thing, ("a", "b"), (ScalarLeaf(float), DictTree((), ())))
    function = jitted(Signature((tree,)), number_plan())
    assert function(Thing(a=1.5, b={})) == 3.0 and function(Thing(a=2.5, b={})) == 5.0
    changing = Thing(a=1.0, b={})
    for value in (2.0, 3.0):
        changing.a = value
        assert function(changing) == 2 * value
    others = [
        Thing(a=1.5),
        Thing(a=1.5, b={}, c=1),
        Thing(a=1, b={}),
        Thing(a=1.5, c={}),
        Thing(b={}, a=1.5),  # the order of attributes shows in results
        type("Other", (Thing,), {})(a=1.5, b={}),
        {"a": 1.5, "b": {}},
    ]
    for other in others:
        assert function(other) == "slow"
    before = sys.getrefcount(changing.__dict__)
    for _ in range(1000):
        function(changing)
    after = sys.getrefcount(changing.__dict__)
    assert after == before


def test_instances_without_a_dict():
    function = jitted(
        Signature((ObjectTree(Slotted, (), ()),)), plan_of(lambda p: 0, 2, [], "tuple")
    )
    assert function(Slotted()) == "slow" and function(Slotted()) == "slow"


def test_namedtuples_are_their_own_types():
    leaf = ScalarLeaf(float)
    function = jitted(Signature((TupleTree((leaf,), tuple),)), number_plan())
    single = namedtuple("Single", "a")
    assert function((1.5,)) == 3.0 and function(single(1.5)) == "slow"
    function = jitted(Signature((TupleTree((leaf,), single),)), number_plan())
    assert function((1.5,)) == "slow" and function(single(1.5)) == 3.0
    assert function(namedtuple("Single", "a")(1.5)) == "slow"


def test_cells_and_lists_are_watched():
    value, kept = object(), [1.0, object()]
    cell = CellType(value)
    signature = Signature((ScalarLeaf(float),), cells=((cell, value),), lists=((kept, [*kept]),))
    function = jitted(signature, number_plan())
    assert function(1.5) == 3.0
    cell.cell_contents = object()
    assert function(1.5) == "slow"
    del cell.cell_contents
    assert function(1.5) == "slow"
    cell.cell_contents = value
    for change in (lambda: kept.append(1), lambda: kept.pop(0), kept.clear, kept.reverse):
        before = [*kept]
        change()
        assert function(1.5) == "slow"
        kept[:] = before
        assert function(1.5) == 3.0


def test_arrays_of_other_extents_and_the_least_symbol():
    function = jitted(
        Signature((ArrayLeaf(F8, (-1,), least=3),)), plan_of(lambda p: 0, 3, [], "tuple")
    )
    assert function(np.zeros(3)) == () and function(np.zeros(2)) == "slow"
