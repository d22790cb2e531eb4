"""Native dispatch: many signatures, retiring, threads, callables as objects, the process."""

from __future__ import annotations

import collections
import copy
import ctypes
import functools
import gc
import operator
import os
import sys
import threading
import weakref

import numpy as np
import pytest
from children import run_python
from dispatch_programs import (
    F8,
    VECTOR,
    Jitted,
    Program,
    X,
    constant_plan,
    jitted,
    plan_of,
    sum_plan,
    write,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from tracejit.config import config
from tracejit.runtime import disk, engine, layout
from tracejit.runtime.dispatch import JitBase
from tracejit.runtime.signature import (
    ArgumentOutput,
    ArrayLeaf,
    ArrayOutput,
    DictTree,
    ListTree,
    ObjectOutput,
    Plan,
    ScalarLeaf,
    Signature,
    StaticLeaf,
    TupleTree,
)

pytestmark = pytest.mark.skipif(not layout.NATIVE, reason="no native dispatch here")


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
    plan = Plan(entry.cell, (ArrayOutput(F8, (8,)),), keep=(entry, kept))
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


class Acting:
    """Its comparison runs an action and then says what it was told to say."""

    def __init__(self, action=None, answer=True):
        self.action, self.answer = action, answer

    def __eq__(self, other):
        if self.action:
            self.action()
        return other.answer

    __hash__ = None


def test_a_larger_entry_published_and_learned_while_a_call_matches():
    """The frame of the call is not large enough for it: it has to go on without that entry."""
    function = Jitted()

    def pair(static, *items):
        return Signature((StaticLeaf(static), ListTree((ScalarLeaf(float), *items))))

    many = [0.0] * 3000
    function.publish(pair(Acting(answer=False), ListTree((ScalarLeaf(float),))), constant_plan(0))
    function.publish(pair(Acting(answer=False), StaticLeaf(1)), constant_plan(1))
    function.publish(pair(Acting(answer=False), StaticLeaf(2)), constant_plan(2))
    function.publish(pair(Acting(), StaticLeaf(3)), constant_plan(3))

    def act():
        large = ListTree((ScalarLeaf(float),) * 3000)
        function.publish(pair(Acting(), large), constant_plan("large"))
        function.publish(pair(Acting(), StaticLeaf(4)), constant_plan(4))
        # Both are learned: the cache's second guess for calls like these is now the large one.
        assert function(Acting(), [1.0, many]) == "large"
        assert function(Acting(), [1.0, 4]) == 4

    assert function(Acting(), [1.0, 3]) == 3
    actions = [act]
    first = Acting(lambda: actions.pop()() if actions else None)
    assert function(first, [1.0, many]) in ("large", "slow") and actions == []
    assert function(Acting(), [1.0, many]) == "large"


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
    plan = Plan(library.cell("wait"), (ObjectOutput("done"),), release_gil=True, keep=library)
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


def output_of(code, **environment):
    done = run_python(code, **environment)
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
    return Plan(library.cell("fill"), (ArrayOutput(np.dtype("f8"), (n,)),), keep=library)
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
    assert output_of(code).split() == ["False"]


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
    assert output_of(code).split() == ["2.0"]


def test_daemon_threads_inside_a_program_do_not_disturb_the_exit():
    code = """
import threading, time
from tracejit.runtime import engine
from tracejit.runtime.dispatch import JitBase
from tracejit.runtime.signature import *
class Jitted(JitBase): pass
text = '''declare i32 @usleep(i32)
define i64 @sleep(ptr %a) {
  %done = call i32 @usleep(i32 5000)
  ret i64 0
}'''
library = engine.load(engine.compile_ir(text), ["sleep"])
plan = Plan(library.cell("sleep"), (ObjectOutput(1),), release_gil=True, keep=library)
function = Jitted()
function.publish(Signature(), plan)
started = threading.Barrier(3)
def work():
    started.wait()
    while True:
        function()
for _ in range(2):
    threading.Thread(target=work, daemon=True).start()
started.wait()
time.sleep(0.01)
print("bye")
"""
    assert output_of(code).split() == ["bye"]


def test_the_code_is_cached_on_disk(tmp_path):
    code = SETUP + "print(function()[0], function(1)[0])"
    directory = tmp_path / "cache"
    for _ in range(2):
        assert output_of(code, TRACEJIT_CACHE=str(directory)).split() == ["2.0", "2.0"]
    files = sorted(directory.glob("*.o"))
    assert sorted({file.name.split("-")[0] for file in files}) == ["buffers", "dispatch"]
    for damage in [b"", b"nonsense" * 100, files[0].read_bytes()[:-1]]:
        for file in files:
            file.write_bytes(damage)
        assert output_of(code, TRACEJIT_CACHE=str(directory)).split() == ["2.0", "2.0"]
        assert all(file.stat().st_size > 1000 for file in files)
    assert len(list(directory.iterdir())) == len(files)


def test_without_a_cache(tmp_path):
    code = SETUP + "print(function()[0])"
    environment = {"TRACEJIT_CACHE": "off", "XDG_CACHE_HOME": str(tmp_path)}
    assert output_of(code, **environment).split() == ["2.0"]
    assert list(tmp_path.iterdir()) == []
    blocked = tmp_path / "file"
    blocked.write_text("not a directory")
    assert output_of(code, TRACEJIT_CACHE=str(blocked)).split() == ["2.0"]


def test_cache_directory(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with config.use(cache=""):
        assert disk.cache_directory() == tmp_path / "tracejit"
    with config.use(cache="off"):
        assert disk.cache_directory() is None


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
