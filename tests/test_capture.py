"""Python's loops and branches over traced values: captured, they mean what Python means."""

import copy
import re
import sys

import numpy as np
import pytest
from capture_programs import PROGRAMS, X, Y
from traced import run

import tracejit
from tracejit import TracejitError
from tracejit.config import config

IDS = [f"{k}-{program[0].__name__}" for k, program in enumerate(PROGRAMS)]
# Loops of any length are rolled; short ones are unrolled; all are.
UNROLL = [0, 4, 1 << 20]


def alike(actual, wanted):
    """Equal in structure, and in values but for how sums are rounded."""
    if isinstance(wanted, tuple | list):
        assert len(actual) == len(wanted)
        for one, other in zip(actual, wanted):
            alike(one, other)
        return
    if isinstance(wanted, np.ndarray):
        assert (actual.shape, actual.dtype) == (wanted.shape, wanted.dtype)
    if isinstance(wanted, str) or wanted is None:
        assert actual == wanted
        return
    assert np.asarray(actual).dtype == np.asarray(wanted).dtype
    np.testing.assert_allclose(actual, wanted, rtol=1e-12)


@pytest.mark.parametrize("unroll", UNROLL)
@pytest.mark.parametrize("program", PROGRAMS, ids=IDS)
def test_programs(program, unroll):
    function, *args = program
    ours, numpys = copy.deepcopy(args), copy.deepcopy(args)
    wanted = function(*numpys)
    with config.use(unroll=unroll):
        actual = run(function, *ours)
    alike(actual, wanted)
    alike(ours, numpys)


def halved(n, m):
    if n % 2 == 0:
        return n // 2
    return 3 * n + 1


def divided(n, m):
    if m != 0:
        return n // m
    return n


@pytest.mark.parametrize("function, branches", [(halved, False), (divided, True)])
def test_only_what_may_not_be_computed_is_branched_around(function, branches):
    text = tracejit.show(tracejit.jit(function).trace(np.int64(3), np.int64(0)).module)
    assert ("branch(" in text) == branches


# Exceptions


def test_exceptions_are_the_programs_own():
    def checked(x):
        if x[0] < 0:
            raise ValueError(f"negative: {len(x)}")
        x[1] = 7
        assert x[2] < 9, "high"
        return x * 2

    compiled = tracejit.jit(checked)
    for first, third in [(1.0, 1.0), (-1.0, 1.0), (1.0, 99.0), (2.0, 2.0)]:
        ours, numpys = np.array([first, 0.0, third]), np.array([first, 0.0, third])
        try:
            wanted = checked(numpys)
        except (ValueError, AssertionError) as error:
            with pytest.raises(type(error), match=re.escape(str(error))):
                compiled(ours)
        else:
            np.testing.assert_array_equal(compiled(ours), wanted)
        np.testing.assert_array_equal(ours, numpys)


# What stays Python's


def test_plain_python_is_not_touched():
    order = []

    def told(value):
        order.append(value)
        return value

    class Odd:
        def __bool__(self):
            order.append("bool")
            return False

    def plain(x):
        a = told(0) or told(3) and told(4)
        b = Odd() and told(5)
        c = told(1) < told(2) < told(0) < told(9)
        out = []
        for k in iter([3, 1, 2]):
            if k == 1:
                continue
            out.append(k)
        else:
            out.append("end")
        it = iter(range(9))
        for k in it:
            if next(it) > 4:
                break
        while out:
            if out.pop() == 3:
                break
        else:
            out = None
        match k:
            case 6:
                d = "six"
            case _:
                d = "other"
        if (n := len(out)) == 0:
            del a
        return x * n, type(b).__name__, c, k, d, "a" in locals()

    wanted = plain(X)
    told_by_python, order[:] = list(order), []
    actual = run(plain, X)
    assert order == told_by_python
    alike(actual, wanted)


def test_names_without_a_value_are_unbound():
    def unbound(x):
        for _ in range(0):
            y = x
        return y

    with pytest.raises(UnboundLocalError):
        run(unbound, X)


def test_the_frame_and_the_lines_are_the_users():
    def looked(x):
        seen = ()
        if len(x):
            for _ in range(2):
                code, line = sys._getframe().f_code, sys._getframe().f_lineno
                seen = (*seen, code.co_filename, code.co_name, line)
        return seen

    assert run(looked, X) == looked(X)

    def fails(x):
        for _ in range(2):
            if len(x):
                return x[99]

    with pytest.raises(IndexError) as caught:
        run(fails, X)
    lines = [entry.lineno + 1 for entry in caught.traceback if entry.name == "fails"]
    assert lines == [fails.__code__.co_firstlineno + 3]


# What is refused, and how


def branches_unlike(x):
    if x[0] > 0:
        y = x
    else:
        y = None
    return y


def lists_grow(x):
    found = []
    if x[0] > 0:
        found.append("positive")
    return len(found)


def memory_in_doubt(x, y):
    z = x if x[0] > 0 else y
    z[0] = 1.0
    return x


def while_changes_shape(x):
    while x.sum() < 100:
        x = np.concatenate([x, x + 1])
    return x


@tracejit.host
def told(x):
    return float(x[0])


def effects(x):
    if x[0] > 0:
        return told(x)
    return 0.0


def too_long(x):
    table = dict(enumerate(range(30)))
    s = 0.0
    for i in range(30):
        s += table[i] * x[i % 8]
    return s


def factorial(n):
    return 1 if n < 2 else n * factorial(n - 1)


REFUSED = [
    (branches_unlike, (X,), "the variable y is f64.8. on one path and None on the other"),
    (lists_grow, (X,), "a list gets other items"),
    (memory_in_doubt, (X, Y), "may be the memory of another"),
    (while_changes_shape, (X,), "this loop cannot be compiled: x changes from"),
    (effects, (X,), "may have effects"),
    (factorial, (np.int64(5),), "factorial calls itself"),
]


@pytest.mark.parametrize("function, args, message", REFUSED)
def test_what_cannot_be_captured_says_so(function, args, message):
    with pytest.raises(TracejitError, match=message):
        run(function, *copy.deepcopy(args))


def test_without_source_it_is_said():
    space = {}
    exec("def hidden(x):\n    return x if x[0] > 0 else -x", space)
    with pytest.raises(TracejitError, match="the source of the function is not to be had"):
        run(space["hidden"], X)


def test_long_loops_that_need_numbers_are_refused():
    with config.use(unroll_limit=20), pytest.raises(TracejitError, match="runs 30 times"):
        run(too_long, X)
    alike(run(too_long, X), too_long(X))


def test_lines_are_those_of_decorated_functions():
    def kept(function):
        return function

    @kept
    @kept
    def wanted(x):
        while x[0] > 0:
            x = x[1:]
        return x

    with pytest.raises(TracejitError, match=r"test_capture.py:\d+  while x\[0\] > 0:"):
        run(wanted, X)


def test_an_axis_of_one_element_is_not_stretched_to_what_only_data_tells():
    def assigned(a, x, n):
        a[: n[0]] = x[: n[1]]
        return a

    function = tracejit.jit(assigned)
    np.testing.assert_array_equal(function(X.copy(), Y, np.array([1, 1])), [Y[0], *X[1:]])
    with pytest.raises(NotImplementedError, match="have one element would be stretched to 3"):
        function(X.copy(), Y, np.array([3, 1]))
    with pytest.raises(ValueError, match=r"input array from shape \(2,\) into shape \(3,\)"):
        function(X.copy(), Y, np.array([3, 2]))


def test_an_item_of_a_list_at_a_traced_index_cannot_be_written():
    def program(x, y, k):
        rows = [x, y]
        row = rows[k]
        row[0] = 5.0
        return row

    with pytest.raises(tracejit.TracejitError, match="may be the memory of another one"):
        tracejit.jit(program)(np.ones(3), np.zeros(3), np.int64(1))

    def other(x, y, k):
        row = [x, y][k]
        x[0] = 5.0
        return row

    with pytest.raises(tracejit.TracejitError, match="may be the memory of another one"):
        tracejit.jit(other)(np.ones(3), np.zeros(3), np.int64(1))


def _key(x):
    return {float(x[0]): 1}


def _catches_all(x):
    try:
        _key(x)
    except Exception:
        return x * 0
    return x * 2


def _catches_its_builtin(x):
    try:
        names = f"{x[0]:.3f}"
    except TypeError:
        return x * 0
    return x * len(names)


def _catches_without_a_name(x):
    try:
        return x.flags
    except:  # noqa: E722
        return x * 0


def _catches_in_a_loop(x):
    for _ in range(2):
        try:
            x = x + object()
        except (ValueError, NotImplementedError) as error:
            x = x * len(error.args)
    return x


@pytest.mark.parametrize(
    "function",
    [_catches_all, _catches_its_builtin, _catches_without_a_name, _catches_in_a_loop],
    ids=lambda f: f.__name__,
)
def test_handlers_do_not_see_what_only_tracing_raises(function):
    with pytest.raises((tracejit.TraceError, tracejit.UnsupportedError)):
        tracejit.jit(function, fallback="error")(np.arange(4.0))


def test_handlers_see_what_numpy_raises():
    def function(x, y):
        try:
            return x + y
        except ValueError:
            pass
        try:
            return x[7]
        except:  # noqa: E722
            return x * 2

    x, y = np.arange(4.0), np.arange(3.0)
    np.testing.assert_array_equal(tracejit.jit(function)(x, y), x * 2)


def test_a_table_of_constants_in_a_loop():
    """What is read at an index of a loop is no constant, though the table is."""

    def horner(x):
        total, table = np.zeros_like(x), np.array([0.5, 1.5, 2.0, 3.0, 7.0, 1.0])
        for i in range(6):
            total = total * x + table[i]
        return total

    def sums(x):
        total, table = 0.0, np.array([0.5, 1.5, 2.0, 3.0, 7.0, 1.0]) * 2
        for i in range(6):
            total = total + table[i : i + 1].sum() * x[i]
        return total

    for function in (horner, sums):
        np.testing.assert_allclose(tracejit.jit(function)(X), function(X), rtol=1e-13)


WEIGHTS = np.random.default_rng(0).random((8, 8))


def test_what_a_loop_alone_reads_of_a_module_is_there_before_it():
    def mixed(x, n):
        for i in range(n):
            x = np.tanh(WEIGHTS @ x) + WEIGHTS[i % 8]
        return x

    def halved(x, n):
        while x[0] > 0.01 and n > 0:
            x, n = x * 0.5 + WEIGHTS[0] * 1e-3, n - 1
        return x

    for n in (3, 20):
        for function in (mixed, halved):
            np.testing.assert_allclose(run(function, X[:8], n), function(X[:8], n), rtol=1e-12)


def test_what_fails_on_a_path_that_is_not_taken():
    def popped(x):
        items = []
        for value in x:
            if value > 0:
                items.append(value)
            else:
                items.pop()
        return len(items)

    def first(x):
        items = []
        return x[0] if x[0] > 0 else items[0]

    def found(x):
        known = {"a": 1.0}
        if x[0] > 0:
            return x * known["a"]
        return x * known["b"]

    for function, error in ((popped, IndexError), (first, IndexError), (found, KeyError)):
        compiled = tracejit.jit(function)
        for _ in range(2):
            x = np.array([1.0, -1.0, 2.0, 3.0])
            alike(compiled(x), function(x))
            with pytest.raises(error):
                compiled(-x)
