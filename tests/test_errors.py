"""Every mistake has an error that names the user's line and a remedy, and spoils nothing.

Each refusal is looked at in the same way: its class, its place, its hint, that it is quick, that no
array changed, and that the function works afterwards.
"""

from __future__ import annotations

import gc
import linecache
import math
import pickle
import subprocess
import sys
import textwrap
import warnings
from collections import deque

import numpy as np
import pytest

import tracejit
from tracejit.errors import ShapeError, TraceError, TracejitError, UnsupportedError
from tracejit.trace.context import current_trace

TABLE = np.zeros(6)


def refused(function, *args, kind, **kwargs):
    """The error a call ends in; checked for what all errors have in common."""
    jitted = function if hasattr(function, "cache_info") else tracejit.jit(function)
    before = [array.copy() for array in (*args, TABLE) if type(array) is np.ndarray]
    with pytest.raises(kind) as info:
        jitted(*args, **kwargs)
    error = info.value
    after = [array for array in (*args, TABLE) if type(array) is np.ndarray]
    for old, new in zip(before, after):
        assert old.tobytes() == new.tobytes()
    assert current_trace() is None
    if isinstance(error, TracejitError):
        message = str(error)
        assert "\n  at test_errors.py:" in message, message
        assert "\n  hint: " in message, message
        assert error.hint and error.location
        assert pickle.loads(pickle.dumps(error)).args == error.args
    return error


def texts(table):
    return [text.strip() for text in table.replace("\n", "|").split("|") if text.strip()]


def expression(text):
    """A function of `x` and `v`; its errors name a line of this file."""
    filename = f"{__file__}/{text}"
    source = f"lambda x, v: {text}\n"
    linecache.cache[filename] = (len(source), None, [source], filename)
    return eval(compile(source, __file__, "eval"), {"np": np, "math": math, "TABLE": TABLE})


X, V = np.arange(6.0).reshape(2, 3), np.array([1, 0, 2])

# Arguments


@pytest.mark.parametrize(
    "argument",
    [
        np.array([object()]),
        np.array(["a"]),
        np.array([b"a"]),
        np.array(["2020-01-01"], "M8[D]"),
        np.array([1], "m8[s]"),
        np.zeros(2, [("a", "f8")]),
        np.zeros(2, "V3"),
        np.zeros(2, np.longdouble),
        np.longdouble(2),
        np.ma.ones(3),
        {1, 2},
        bytearray(b"x"),
        np.void(b"xx"),
        np.timedelta64(1),
    ],
    ids=lambda value: f"{type(value).__name__}-{getattr(value, 'dtype', '')}",
)
def test_arguments_that_cannot_be_compiled(argument):
    jitted = tracejit.jit(lambda a: a, fallback="error")
    refused(jitted, argument, kind=TracejitError)
    refused(jitted, [1.0, {"a": argument}], kind=TracejitError)
    assert jitted(3.0) == 3.0
    jitted = tracejit.jit(lambda a: a)
    assert jitted(argument) is argument is jitted(argument) and jitted(3.0) == 3.0


def test_matrices_are_refused():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        matrix = np.matrix([[1.0, 2.0]])
    jitted = tracejit.jit(lambda a: a @ a.T, fallback="error")
    error = refused(jitted, matrix, kind=UnsupportedError)
    assert "np.asarray" in str(error)
    assert type(tracejit.jit(lambda a: a @ a.T)(matrix)) is np.matrix


# A number is needed while tracing

CONCRETE = """
x if x.sum() > 0 else -x | [1 for _ in range(v[0])] | int(x[0, 0]) | float(x[0, 0]) | complex(x[0, 0])
bool(x[0, 0]) | not x[0, 0] | x[0, 0] or 3 | 0 < x[0, 0] < 1 | {x[0, 0]} | [1, 2, 3][v[0]]
f"{x[0, 0]:.3f}" | "%f" % x[0, 0] | "{:d}".format(v[0]) | {x[0, 0]: 1} | hash(x[0, 0])
x.reshape(v[0], 2)
x.sum(axis=v[0]) | x[: v[0] : v[0]] | x.__array__()
math.perm(v[0], 2) | math.dist(v, v)
np.testing.assert_allclose(x, x)
"""


@pytest.mark.parametrize("text", texts(CONCRETE))
def test_a_value_is_needed(text):
    jitted = tracejit.jit(expression(text), fallback="error")
    error = refused(jitted, X, V, kind=TraceError)
    assert isinstance(error, TypeError)


def test_static_arguments_are_the_remedy():
    def choose(x, flag):
        return [-x, x[:1]][int(flag > 1.5)]

    error = refused(choose, X, 2.0, kind=TraceError)
    assert "static_argnames" in error.hint
    jitted = tracejit.jit(choose, static_argnames="flag")
    np.testing.assert_array_equal(jitted(X, 2.0), X[:1])
    np.testing.assert_array_equal(jitted(X, 1.0), -X)


# What has no rule

NO_RULE = """
np.frompyfunc(abs, 1, 1)(x) | x.astype(object) | x.astype(str) | x.astype("M8[s]")
np.full(3, x[0, 0], dtype=object) | np.asarray(x, dtype="U3") | np.array(["a", x[0, 0]]) | x + [1, "a"]
x + object() | x == None | x.flags | x.data | x.base | x.ctypes | x.setflags(write=False)
np.add(x, 1, where=x > 0) | np.shares_memory(x, x) | x.setflags(write=0)
"""  # noqa: E711
# What is called through Python where that is allowed.
UNKNOWN = """
np.array2string(x) | np.array_repr(x) | np.save("never", x)
np.logaddexp.reduceat(x, [0]) | np.random.dirichlet(v) | np.random.default_rng(0).normal() + x
np.vectorize(math.sin)(x) | x.tobytes() | np.fromiter(x, float) if 0 else x.byteswap()
"""


@pytest.mark.parametrize("text", texts(NO_RULE))
def test_there_is_no_rule(text):
    jitted = tracejit.jit(expression(text), fallback="error")
    error = refused(jitted, X, V, kind=UnsupportedError)
    assert isinstance(error, NotImplementedError)


@pytest.mark.parametrize("text", texts(UNKNOWN))
def test_nothing_may_be_called_through_python(text):
    error = refused(tracejit.jit(expression(text), fallback="error"), X, V, kind=UnsupportedError)
    assert "no rule" in str(error) or "how many elements" in str(error)


# What NumPy refuses too, with its own exceptions

LIKE_NUMPY = """
x + np.ones((4, 5)) | x @ x | np.dot(x, x) | np.concatenate([x, np.ones(4)]) | x.reshape(4, 4)
np.stack([x, x[0]]) | x[5] | x[0, 0, 0] | x["a"] | np.einsum("ij,jk", x, x) | np.broadcast_to(x, (3, 3))
np.transpose(x, (0, 0)) | x.sum(axis=3) | np.squeeze(x, 0) | np.split(x, 5) | x.nosuch | np.nosuch
-(x > 0) | (x > 0) - (x > 0) | ~x | x << 1 | np.bitwise_and(x, x) | np.gcd(x, x) | np.add(x) | np.sin()
np.sum(x, axes=1) | np.sum(x, axis="a") | len(x[0, 0]) | iter(x[0, 0]) | x() | x[0, 0][0] | x + "a"
x.sum(1, 2, 3, 4, 5, 6, 7) | 1 / 0 + x | [][0] + x | np.ones(-1) + x | np.mean(x[0, 0], axis=0)
x.astype("nonsense") | np.arange(0, 1, 0) + x | x.item() | np.swapaxes(x, 0, 2) | x[..., ...]
"""


@pytest.mark.parametrize(
    "text", [t.strip() for t in LIKE_NUMPY.replace("\n", "|").split("|") if t.strip()]
)
def test_the_error_is_numpys(text):
    function = expression(text)
    with pytest.raises(Exception) as info:
        function(X, V)
    wanted = next(
        cls
        for cls in type(info.value).__mro__
        if cls.__module__ == "builtins"  # NumPy's own subclasses may become ours
    )
    with pytest.raises(wanted):
        tracejit.jit(function)(X, V)
    assert current_trace() is None


def test_shapes_are_named():
    error = refused(lambda x: x + np.ones((4, 5)), X, kind=ShapeError)
    assert "(2,3) (4,5)" in str(error).replace(", ", ",") and isinstance(error, ValueError)


# Writing


def _reshape_in_place(x):
    x.shape = (2, 3)
    return x


WRITES = [
    _reshape_in_place,
    lambda x: x.resize(3),
    lambda x: np.negative.at(x, 0),
    lambda x: np.random.default_rng(0).permuted(x, out=x),
]  # fmt: skip


@pytest.mark.parametrize("function", WRITES, ids=lambda f: f.__name__)
def test_writes_that_are_refused(function):
    jitted = tracejit.jit(function, fallback="error")
    refused(jitted, np.arange(6.0), kind=UnsupportedError)


# Values that leave their trace


class Holder:
    pass


HELD, LIST, HOLDER = {}, [], Holder()


def _to_dict(x):
    HELD["x"] = x
    return x


def _to_list(x):
    LIST.append(x * 2)
    return x


def _to_attribute(x):
    HOLDER.x = x + 1
    return x


def _to_itself(x):
    _to_itself.kept = x
    return x


def _to_global(x):
    global LEAKED
    LEAKED = x
    return x


def _to_default(x, kept={}):  # noqa: B006
    kept["x"] = x
    return x


@pytest.mark.parametrize(
    "function",
    [_to_dict, _to_list, _to_attribute, _to_itself, _to_global, _to_default],
    ids=lambda f: f.__name__,
)
def test_leaks_are_refused(function):
    refused(function, X, kind=TraceError)
    assert not HELD and not LIST and not vars(HOLDER) and "LEAKED" not in globals()
    assert not _to_default.__defaults__[0] and not hasattr(_to_itself, "kept")


def _leak():
    """A traced value that got out, by the one way that is not looked at."""

    kept = deque()

    def function(x):
        kept.append(x)
        return x

    tracejit.jit(function)(X)
    return kept.pop()


@pytest.mark.parametrize(
    "use",
    [
        lambda leaked: leaked + 1,
        lambda leaked: np.sin(leaked),
        lambda leaked: leaked.sum(),
        lambda leaked: leaked[0],
        lambda leaked: float(leaked[0, 0]),
        lambda leaked: bool(leaked),
        lambda leaked: np.asarray(leaked),
        lambda leaked: list(leaked),
        lambda leaked: leaked == 1,
        lambda leaked: np.concatenate([leaked, leaked]),
        lambda leaked: pickle.dumps(leaked),
        lambda leaked: tracejit.jit(lambda y: y + leaked)(X),
        lambda leaked: tracejit.jit(lambda y: y)(leaked),
    ],
)
def test_a_leaked_value_is_refused(use):
    with pytest.raises(TraceError, match=r"(?s)test_errors.py:.*hint"):
        use(_leak())


def test_what_runs_later_is_refused():
    async def coroutine(x):
        return x

    def generator(x):
        yield x

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # nobody awaits it
        for function in (coroutine, generator):
            refused(function, X, kind=TraceError)
        gc.collect()


def test_a_leaked_value_can_be_looked_at():
    leaked = _leak()
    assert repr(leaked) == "Array(f64[2, 3])" and leaked.shape == (2, 3)


# Options


def test_options_that_make_no_sense():
    for options, kind in [
        ({"static_argnums": 5}, ValueError),
        ({"static_argnums": -3}, ValueError),
        ({"static_argnums": "a"}, TypeError),
        ({"static_argnums": 1.5}, TypeError),
        ({"static_argnames": "nosuch"}, ValueError),
        ({"static_argnames": 3}, ValueError),
        ({"threads": -1}, ValueError),
        ({"cache_size": 0}, ValueError),
        ({"nosuch": 1}, TypeError),
    ]:
        with pytest.raises(kind):
            tracejit.jit(lambda x, n: x, **options)
    for thing in (3, "text", X):
        with pytest.raises(TypeError, match="jit takes a function"):
            tracejit.jit(thing)


def test_static_arguments_must_be_hashable():
    jitted = tracejit.jit(lambda x, n: x, static_argnums=1)
    for value in (np.arange(3), {1, 2}, [np.ones(2)], bytearray(b"x")):
        refused(jitted, X, value, kind=TraceError)
    for value in ([1, 2], {"a": 1}, 2.5, slice(1, 2), "s", None, (1, (2,))):
        assert jitted(X, value) is X


def test_wrong_calls_are_type_errors():
    jitted = tracejit.jit(lambda x, n=1, *, k=2: x * n * k)
    for args, kwargs in [((), {}), ((X, 1, 2), {}), ((X,), {"z": 1}), ((X,), {"x": X})]:
        with pytest.raises(TypeError):
            jitted(*args, **kwargs)
    np.testing.assert_array_equal(jitted(X), X * 2)


# Afterwards


def test_the_function_works_afterwards():
    @tracejit.jit
    def function(x, case):
        if case == "attribute":
            return x.nosuch
        if case == "index":
            return "abcdef"[x.argmax()]
        if case == "own":
            raise KeyError("mine")
        if case == "interrupt":
            raise KeyboardInterrupt
        if case == "forever":
            return function(x, case)
        return x + 1

    kinds = {
        "attribute": AttributeError,
        "index": TraceError,
        "own": KeyError,
        "interrupt": KeyboardInterrupt,
        "forever": RecursionError,
    }
    for case, kind in list(kinds.items()) * 2:
        with pytest.raises(kind) as info:
            function(X, case)
        assert current_trace() is None
        np.testing.assert_array_equal(function(X, "fine"), X + 1)
        if case == "own":
            assert info.value.args == ("mine",)
            assert any(entry.name == "function" for entry in info.traceback)
    assert function.cache_info().currsize == 1


def test_errors_outside_of_files():
    script = """
    import numpy as np, tracejit
    f = tracejit.jit(lambda x: x.flags, fallback="error")
    h = tracejit.jit(lambda x: x, fallback="error")
    exec("g = tracejit.jit(lambda x: x if x.sum() else -x)")
    for function, argument in ((f, np.ones(3)), (g, np.ones(3)), (h, np.array(["a"]))):
        try:
            function(argument)
        except tracejit.errors.TracejitError as error:
            print(error)
    """
    run = [sys.executable, "-i", "-q"]
    text = textwrap.dedent(script).replace("\n    for", "\nfor") + "\n"
    done = subprocess.run(run, input=text, capture_output=True, text=True, timeout=60, check=True)
    places = [line.split()[1] for line in done.stdout.splitlines() if line.startswith("  at ")]
    # "<stdin>-2:1" since Python 3.13
    assert places[0].startswith("<stdin>") and places[1] == "<string>:1", done.stderr
    assert places[2].startswith("<stdin>") and done.stdout.count("  hint: ") == 3


def raises_late(x, limit):
    x[1] += 3
    if limit is None:
        raise KeyError("no limit")
    if x[1] > limit:
        raise KeyError(float(x[1]))
    return x.sum()


def raises_after_a_list(x, limit):
    for value in (1, 2, limit):
        x[0] += value
    return x


@pytest.mark.parametrize(
    ("function", "limit", "kind"),
    [
        (raises_late, None, KeyError),
        (raises_late, 1.0, KeyError),
        (raises_after_a_list, "a", TypeError),
    ],
)
def test_what_was_written_before_an_error_is_seen(function, limit, kind):
    """Whether tracing comes to the error already, or the program does."""
    jitted = tracejit.jit(function)
    ours, numpys = np.zeros(3), np.zeros(3)
    for _ in range(2):
        with pytest.raises(kind) as wanted:
            function(numpys, limit)
        with pytest.raises(kind) as found:
            jitted(ours, limit)
        assert str(found.value) == str(wanted.value) and found.value.__context__ is None
        np.testing.assert_array_equal(ours, numpys)
    assert ours.any()


def test_what_had_effects_before_an_error_is_not_done_again():
    calls = []

    @tracejit.host
    def note(x):
        calls.append(float(x))
        return x

    @tracejit.jit
    def function(x):
        x[1] = note(x[0]) + 1
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        function(np.ones(3))
    assert calls == [1.0]
