"""Whole functions: arguments, results, what they capture, and the Python around the arrays."""

from __future__ import annotations

import copy
import functools
import gc
import logging
import math
import threading
import warnings
import weakref
from collections import deque, namedtuple
from dataclasses import dataclass

import numpy as np
import pytest
from traced import assert_same, check, outcome, replay, run, sample

import tracejit
from tracejit.errors import TraceError, TracejitError, UnsupportedError
from tracejit.ir.dims import symbol
from tracejit.ir.graph import Module
from tracejit.ir.reference import reference
from tracejit.ir.types import array_type, f32, f64, i64
from tracejit.trace.array import Array
from tracejit.trace.context import current_trace
from tracejit.trace.program import ArgumentOutput, ObjectOutput, Static, Traced
from tracejit.trace.tracing import abstract, trace

# Arguments and results

Point = namedtuple("Point", "x y")


@dataclass
class Params:
    w: np.ndarray
    rate: float = 0.5
    name: str = "p"


def test_trees_of_arguments_and_results():
    def function(point, params, table, *rest, flag=True, **options):
        scaled = params.w * params.rate
        total = scaled + table["a"][0] + point.x + rest[0]
        return {"total": total, "same": table, "params": Params(scaled, 2.0), "point": point}

    w = sample("f4", (3,))
    args = (Point(w, 1), Params(w), {"a": [w, None], 3: "s"}, w)
    result = run(function, *args, flag=False, extra=w)
    expected = function(*args, flag=False, extra=w)
    assert list(result) == list(expected)
    np.testing.assert_array_equal(result["total"], expected["total"])
    assert result["same"]["a"][0] is w and result["same"][3] == "s"
    assert type(result["params"]) is Params and result["params"].w.dtype == np.float32
    assert type(result["point"]) is Point and result["point"].x is w


def test_parameters_have_the_users_names():
    program = trace(
        lambda x, params, *rest, k: x,
        (1.0, {"w": np.ones(2), "b": (1.0, 2.0)}, np.ones(1)),
        {"k": 1.0},
    )
    names = [node.attrs["name"] for node in program.function.parameters]
    assert names == ["x", "params_w", "params_b_0", "params_b_1", "rest_0", "k"]


def test_how_leaves_are_taken():
    assert abstract(np.ones((2, 3), "f4")) == Traced(array_type((2, 3), f32))
    assert abstract(np.float32(1)).is_scalar
    assert abstract(1.5).weak is float and abstract(1j).weak is complex
    assert abstract(3, symbolic=True) == Traced(array_type((), i64), True, int)
    for value in (3, True, None, "s", np.sum, (1, 2)):
        assert isinstance(abstract(value), Static)
    assert abstract(np.ones(3, ">f8")).type == array_type((3,), f64)
    for bad in (np.array(["a"]), np.array([object()]), np.array(["2020-01-01"], "M8[D]")):
        with pytest.raises(UnsupportedError, match="hint"):
            abstract(bad)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        matrix = np.matrix([1.0])
    for bad in (np.ma.ones(3), matrix):
        with pytest.raises(UnsupportedError, match="np.asarray"):
            abstract(bad)


def test_arguments_that_are_refused():
    for bad in ({1, 2}, deque([1]), bytearray(b"x")):
        with pytest.raises(UnsupportedError, match=r"(?s)test_tracing.*hint"):
            trace(lambda x: x, (bad,), {})


def test_objects_that_refer_to_each_other_stay_whole():
    first, second = Model(np.arange(3.0)), Model(2.0)
    first.other, second.other = second, first
    logger = logging.getLogger("tracejit.test")

    def function(model, logger, x):
        logger.debug("traced")
        return model.hidden(x) * model.other.w

    check(function, first, logger, np.ones(3))
    program = trace(function, (first, logger, np.ones(3)), {})
    assert program.captures == (first.w,) and program.is_current()
    second.w = 3.0
    assert not program.is_current()


def test_bound_methods_partials_and_callable_objects():
    model = Model(np.arange(3.0))
    check(model.hidden, np.ones(3))
    check(model, np.ones(3))
    check(functools.partial(Model.hidden, model), np.ones(3))
    check(np.sin, np.ones(3))
    check(lambda module, x: module.sin(x) + module.zeros(3), np, np.ones(3))
    program = trace(model.hidden, (np.ones(3),), {})
    assert program.captures[0] is model.w


def test_arguments_and_objects_are_returned_as_themselves():
    constant = np.arange(3.0)
    program = trace(lambda x, s: (x, s, constant, None, 3, np.sin), (np.ones(2), "s"), {})
    assert program.outputs[0] == ArgumentOutput(0)
    values = [output.value for output in program.outputs[1:]]
    assert values[0] == "s" and values[1] is constant and values[2:] == [None, 3, np.sin]
    assert all(isinstance(output, ObjectOutput) for output in program.outputs[1:])
    assert not program.function.results


def test_arrays_are_returned_once_for_each_object():
    def function(x):
        y = x * 2
        return y, x * 2, y, x.sum(), x.sum(), x.copy(), x[:]

    program = trace(function, (np.ones(3),), {})
    *computed, view = program.outputs
    assert [output.index for output in computed] == [0, 1, 0, 2, 2, 3]
    assert view.base == ArgumentOutput(0)


def test_changed_containers_are_refused():
    def replace(params):
        params["w"] = params["w"] + 1
        return params["w"]

    with pytest.raises(UnsupportedError, match="params_w"):
        run(replace, {"w": np.ones(2)})
    params = {"w": np.ones(2)}
    with pytest.raises(UnsupportedError):
        run(lambda p: p.update(v=1), params)
    assert list(params) == ["w"]
    for made in ({1, 2}, deque([1]), np.array(["a"])):
        with pytest.raises(UnsupportedError, match=r"(?s)returned.*hint"):
            run(lambda x, made=made: copy.copy(made), sample("f8"))
    with pytest.raises(TraceError, match="generator"):
        run(lambda x: (row for row in x), sample("f8"))


def test_symbolic_ints_and_extents():
    n = symbol("n")
    how = (Traced(array_type((n, 3), f64)), Traced(array_type((), i64), True, int))

    def function(x, k):
        assert x.shape == (n, 3)
        half = k // 2
        last, rest = x[-1].copy(), x[: x.shape[0] - 1].copy()
        return x[1:, ::-1] * half + x.shape[0], last, rest, half, k / 2, x.shape

    program = trace(function, (np.ones((5, 3)), 7), {}, how)
    result = reference(Module(program.function), np.ones((5, 3)), np.int64(7))
    np.testing.assert_array_equal(result[0], np.full((4, 3), 8.0))
    assert result[2].shape == (4, 3)
    assert result[5] == 5 and program.outputs[6].value == 3
    assert [output.weak for output in program.outputs[:6]] == [None, None, None, int, float, int]
    for concrete in (
        lambda x, k: range(k),
        lambda x, k: x[:k],
        lambda x, k: x[:2] + x[:, :1],
        lambda x, k: x[8],
    ):
        with pytest.raises(TracejitError):
            trace(concrete, (np.ones((5, 3)), 7), {}, how)


# The user's functions and names

TABLE = np.arange(3.0)
SCALE = 2.0
COUNT = 0


def scaled(x):
    return np.zeros(3) + x * SCALE


def factorial_power(x, n):
    return x if n == 0 else factorial_power(x * 2, n - 1)


def logged(function):
    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        return function(*args, **kwargs) + np.ones(3)

    return wrapper


@logged
def decorated(x, bias=TABLE):
    return x + bias


class Model:
    def __init__(self, w):
        self.w, self.depth = w, 2

    def __call__(self, x):
        return self.hidden(x) + np.ones(3)

    def hidden(self, x):
        out = np.zeros(3)
        for _ in range(self.depth):
            out = out + x * self.w
        return out


def test_created_arrays_are_traced():
    def function(x):
        import numpy
        from numpy import full

        made = [
            np.zeros(3),
            np.ones_like(x),
            numpy.arange(3),
            full(3, x[0]),
            np.array([x[0], 1, 2]),
        ]
        types.update(map(type, made))
        return tuple(made)

    types = set()
    run(function, TABLE)
    assert types == {Array}
    check(function, TABLE)


def test_helpers_closures_generators_classes_and_recursion():
    offset = np.ones(3)

    def function(x):
        class Local:
            factor = SCALE

            def apply(self, y):
                return y * self.factor + np.ones(3)

        def doubled(y):
            return y * 2 + offset

        parts = [doubled(scaled(x)), factorial_power(x, 3), decorated(x), Local().apply(x)]
        parts += [f(x) for f in (lambda y: y + np.zeros(3), functools.partial(np.add, TABLE))]
        return sum(part[0] for part in parts), parts[1], parts[3], parts[4]

    check(function, np.arange(3.0) + 5)


def test_captured_arrays_are_inputs_bound_by_identity():
    offset = np.ones(3)

    def function(x, bias=TABLE):
        return x + TABLE * 2 + offset + bias

    program = trace(function, (np.zeros(3),), {})
    assert [array is wanted for array, wanted in zip(program.captures, (TABLE, offset))] == [
        True
    ] * 2
    assert len(program.captures) == 2
    offset[:] = 5
    assert_same(replay(program, (np.zeros(3),), {}), function(np.zeros(3)))


@pytest.mark.parametrize(
    "make",
    [
        lambda: np.arange(12.0)[::-2],
        lambda: np.arange(12.0).reshape(3, 4).T,
        lambda: np.arange(6, dtype=">f8"),
        lambda: np.ndarray((3,), "f8", bytes(25), offset=1).copy() + np.nan,
        lambda: np.frombuffer(b"x" + np.arange(3.0).tobytes(), "f8", offset=1),
        lambda: np.broadcast_to(np.float32(3), (2, 2)),
        lambda: np.zeros((0, 3)).T,
    ],
)
def test_captured_arrays_of_any_layout(make):
    table = make()
    program = trace(lambda x: table + x, (1.0,), {})
    (bound,) = program.captures
    type = program.function.parameters[1].type
    assert bound.flags.aligned and bound.dtype.isnative
    assert bound.size == 0 or bound.strides == tuple(s * bound.itemsize for s in type.strides)
    assert (bound is table) == (table.dtype.isnative and table.flags.aligned)
    assert_same(replay(program, (1.0,), {}), table + 1.0)
    assert program.is_current()
    if bound is not table and table.flags.writeable:
        table[0] = 17
        assert not program.is_current()


def test_what_was_read_is_guarded():
    level = 3.0

    def function(x):
        return scaled(x) + level + TABLE

    program = trace(function, (np.zeros(3),), {})
    read = {name: value for namespace, name, value in program.guards if namespace is globals()}
    assert read["SCALE"] is SCALE and read["TABLE"] is TABLE and read["scaled"] is scaled
    assert any(value == 3.0 for _, value in program.cells)
    assert program.is_current() and program.is_guarded_natively
    level = 4.0
    assert not program.is_current()
    program = trace(scaled, (np.zeros(3),), {})
    assert program.is_current() and program.is_guarded_natively
    sizes = [1, 2]
    program = trace(lambda x: x * sizes[0], (np.zeros(3),), {})
    assert program.is_current() and program.is_guarded_natively
    sizes[1] = 3
    assert not program.is_current()


def test_assignments_to_globals_and_closures_reach_them():
    calls = 0

    def function(x):
        nonlocal calls
        global COUNT
        COUNT, calls = COUNT + 1, calls + 1
        return x

    before = COUNT
    run(function, np.zeros(3))
    assert (before + 1, 1) == (COUNT, calls)

    def leak(x):
        global COUNT
        COUNT = x * 2
        return x

    with pytest.raises(TraceError, match="COUNT"):
        run(leak, np.zeros(3))
    assert before + 1 == COUNT


def test_methods_and_objects():
    model = Model(np.arange(3.0))
    check(Model.__call__, model, np.ones(3))
    check(lambda x: model(x), np.ones(3))
    check(lambda x: Model(x * 2)(x), np.ones(3))

    class Counter:
        def __init__(self):
            self.total = np.zeros(3)

        def step(self, x):
            self.total = self.total + x

    with pytest.raises(UnsupportedError, match="self_total"):
        run(Counter.step, Counter(), np.ones(3))


def test_global_containers_and_objects_are_inputs_too():
    params = {"w": np.ones(3), "layers": [np.zeros(3), 2.0]}
    model = Model(np.ones(3))

    def function(x):
        assert isinstance(model, Model)
        assert isinstance(model.w, Array) and isinstance(params["w"], Array)
        return params["w"] * x + params["layers"][0] * params["layers"][1] + model.hidden(x)

    program = trace(function, (np.ones(3),), {})
    wanted = [params["w"], params["layers"][0], model.w]
    assert {id(array) for array in program.captures} == {id(array) for array in wanted}
    guards = {(id(namespace), key): value for namespace, key, value in program.guards}
    assert guards[id(params), "w"] is params["w"]
    assert guards[id(vars(model)), "depth"] == 2
    assert program.snapshots == ((params["layers"], params["layers"]),)
    assert [items is not kept for kept, items in program.snapshots] == [True]


def test_changes_of_outside_containers_reach_them():
    calls, seen, state = [], {}, Model(1.0)

    def function(x):
        calls.append(x.shape)
        seen["last"] = calls[-1]
        state.depth += 1
        function.runs += 1
        return x

    function.runs = 0
    run(function, np.zeros(3))
    assert function.runs == 1
    assert (calls, seen, state.depth) == ([(3,)], {"last": (3,)}, 3)

    def leak(x):
        seen["last"] = x
        return x

    with pytest.raises(TraceError, match="last"):
        run(leak, np.zeros(3))
    assert seen == {"last": (3,)}


def test_results_are_of_the_users_classes():
    def function(model, x):
        return Model(x), model, type(model)(2.0), Model, scaled

    model = Model(np.ones(2))
    made, given, plain, cls, helper = run(function, model, np.zeros(3))
    assert [type(item) for item in (made, given, plain)] == [Model] * 3
    assert given.w is model.w and cls is Model and helper is scaled


def test_static_functions_as_arguments_are_hooked():
    def apply(function, x):
        return function(x)

    def function(x):
        return np.asarray(x) + np.array([x[0], 1.0, 2.0])

    check(apply, function, np.ones(3))


def test_dynamic_lookups_find_their_names():
    check(lambda x: eval("x + SCALE + np.ones(3)", {"np": np, "SCALE": SCALE, "x": x}), np.zeros(3))
    check(lambda x: x * eval("SCALE"), np.zeros(3))
    check(lambda x: x * globals()["SCALE"], np.zeros(3))


def test_functions_of_pythons_math():
    def function(x, y):
        numbers = [math.sqrt(x), math.exp(x), math.log(x, 10), math.hypot(x, y), math.atan2(y, x)]
        numbers += [math.floor(x), math.ceil(-x), math.pow(x, 2), math.erf(x), math.log2(y)]
        numbers += [math.isnan(x), math.pi * x, math.sqrt(2), math.gcd(4, 6), math.fabs(-x)]
        return tuple(numbers)

    check(function, 1.7, 2.5)
    check(function, np.float32(1.75), np.float64(2.5))
    check(lambda x: math.sin(x[0]) * x, np.ones(3, "f4"))
    check(math.sin, 0.5)
    with pytest.raises(TypeError, match="0-dimensional"):
        run(lambda x: math.sin(x), np.ones(3))


def test_max_and_min_of_numbers():
    check(lambda x, y: (max(x, y), min(x, y, 0.5), max([y, x]), max(2, 3), min("b", "a")), 1.5, 2.5)
    check(lambda x: (max(x), min(*x), max([1, 2], key=lambda n: -n)), np.array([2.0, 3.0, 1.0]))


def test_other_threads_see_plain_numpy():
    seen = []

    def function(x):
        thread = threading.Thread(target=lambda: seen.append(type(np.zeros(3))))
        thread.start()
        thread.join()
        return x

    run(function, np.zeros(3))
    assert seen == [np.ndarray]
    assert type(np.zeros(3)) is np.ndarray


def test_modules_of_the_users(tmp_path, monkeypatch):
    (tmp_path / "users_module.py").write_text(
        "import numpy as np\nRATE = 2.0\nTABLE = np.arange(3.0)\n"
        "def shifted(x):\n    return np.asarray(x) * RATE + np.zeros(3) + TABLE\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    import users_module

    def function(x):
        import users_module as again
        from users_module import shifted

        return users_module.shifted(x) + again.TABLE * users_module.RATE, shifted(x)

    check(function, np.ones(3))
    program = trace(function, (np.ones(3),), {})
    assert len(program.captures) == 1 and program.captures[0] is users_module.TABLE
    assert program.is_current()
    users_module.RATE = 3.0
    assert not program.is_current()


def test_random_numbers_are_refused_where_python_may_not_be_called():
    generator = np.random.default_rng(0)
    rand = np.random.rand
    for function in (
        lambda x: x + np.random.rand(3),
        lambda x: x + rand(3),
        lambda x: x + generator.normal(size=3),
        lambda x: x + np.random.default_rng(1).normal(size=3),
    ):
        with pytest.raises(UnsupportedError, match="numpy.random"):
            trace(function, (np.zeros(3),), {}, calls_python=False)


def test_tracebacks_show_the_users_lines():
    def function(x):
        return x + undefined_name  # noqa: F821

    with pytest.raises(NameError, match="undefined_name") as caught:
        run(function, np.zeros(3))
    assert caught.traceback[-1].path.name == "test_tracing.py"


def test_copies_are_the_same_value():
    check(lambda x: copy.copy(x) + copy.deepcopy(x), np.ones(3))


def test_jitted_functions_become_part_of_the_trace():
    inner = tracejit.jit(lambda x: x * TABLE + np.zeros(3))

    class Holder:
        apply = tracejit.jit(lambda self, x: x * self.factor)

        def __init__(self):
            self.factor = 2.0

    holder = Holder()
    program = trace(lambda x: inner(x) + holder.apply(x), (np.ones(3),), {})
    assert program.captures[0] is TABLE
    assert_same(replay(program, (np.ones(3),), {}), TABLE + 2.0)


@dataclass
class Vector:
    """A user's number type that wraps arrays."""

    x: np.ndarray
    y: np.ndarray

    def __add__(self, other):
        return Vector(self.x + other.x, self.y + other.y)

    def __rmul__(self, factor):
        return Vector(factor * self.x, factor * self.y)

    @property
    def norm(self):
        return np.hypot(self.x, self.y)

    @classmethod
    def unit(cls, like):
        return cls(np.ones_like(like), np.zeros_like(like))

    @staticmethod
    def scaled(vector, factor=2.0):
        return factor * vector


def test_ordinary_python_around_arrays():
    def vectors(x):
        total = x[0] * Vector.unit(x) + Vector.scaled(Vector(x, x))
        assert isinstance(total, Vector) and total == total
        return total.norm, total.x, np.float32(2) * total

    result, expected = run(vectors, np.ones(3)), vectors(np.ones(3))
    assert_same(result[:2], expected[:2])
    assert type(result[2]) is Vector
    assert_same(result[2].y, expected[2].y)

    for other in (Vector(1, 2), None, {}):
        with pytest.raises(UnsupportedError, match=r"(?s)objects.*test_tracing.*hint"):
            run(lambda x, other=other: x == other, np.ones(3))
    check(lambda x: x + "a", np.ones(3))
    check(lambda x: x[0] == None, np.ones(3))  # noqa: E711

    def statements(x, *rest, power=2):
        first, *others = x
        with np.errstate(all="ignore"):
            terms = {k: row**power for k, row in enumerate(others)}
        try:
            [][0]
        except IndexError:
            terms[len(terms)] = functools.reduce(np.add, rest, first)
        if (count := len(terms)) > 1 and x.ndim == 2 and x.dtype == np.float64:
            terms = {str(k): v for k, v in sorted(terms.items(), reverse=True)}
        match x.shape:
            case (rows, columns):
                scale = rows / columns
        shown = f"{x.dtype} {x.shape!s:>4} {count}"
        pairs = [a * b for a, b in zip(x, x[::-1])]
        return tuple(terms.values()), sum(pairs) * scale, len(shown) > 0, x.T[0][..., None]

    x = np.arange(6.0).reshape(3, 2)
    check(statements, x, np.float32(2), 1.5)


def test_threads_trace_at_the_same_time():
    def function(x):
        for _ in range(30):
            x = x * np.ones(3) + scaled(x)
        return x

    programs = []
    zeros = (np.zeros(3),)
    work = [
        threading.Thread(target=lambda: programs.append(outcome(trace, function, zeros, {})))
        for _ in range(4)
    ]
    for thread in work:
        thread.start()
    for thread in work:
        thread.join()
    assert len(programs) == 4
    for program in programs:
        assert_same(replay(program, zeros, {}), function(*zeros))


def test_functions_made_while_tracing_keep_their_variables():
    def function(x):
        count = 0

        @tracejit.jit
        def inner(y):
            nonlocal count
            count += 1
            return y * x

        return inner(x) + inner(x), count

    assert_same(run(function, np.ones(3)), (np.full(3, 2.0), 2))


def test_a_trace_is_freed():
    class Local(Model):
        pass

    model = Local(np.ones(3))
    traces = []

    def function(x):
        traces.append(weakref.ref(current_trace()))
        return model(x) + Local(x)(x)

    program = trace(function, (np.ones(3),), {})
    gc.collect()
    assert traces[0]() is None and program.is_current() is False  # the list has grown


def test_types_of_traced_values():
    """`type` gives what NumPy has there, which is what `np.float64` is in traced code."""

    class Pair:
        def __init__(self, value):
            self.value = value

        def twice(self):
            return type(self)(self.value * 2)

    def seen(x, y):
        kinds = [type(x), type(x[0]), type(x.sum() > 0), type(x[x > 0]), type(float(x[0])), type(y)]
        names = [kind.__name__ for kind in kinds]
        alike = [
            type(x) is np.ndarray, type(x[0]) is np.float64, type(x[0]) == np.float64, type(y) is float,
            type(x[0]) is float, issubclass(type(x[0]), np.floating), type(Pair(x)) is Pair,
            type(x[0]) in (np.float32, np.float64),
        ]  # fmt: skip
        total = 0.0
        for k in range(x.shape[0]):
            total = total + (type(x[k])(3) if type(x[k]) is np.float64 else 100)
        return names, alike, total, Pair(x).twice().value

    x = np.linspace(0.0, 1.0, 5)
    wanted, got = seen(x, 2.0), tracejit.jit(seen)(x, 2.0)
    assert got[:3] == wanted[:3]
    np.testing.assert_array_equal(got[3], wanted[3])
