"""Traced operators, ufuncs and indexing agree with NumPy: values, dtypes, types, errors."""

from __future__ import annotations

import math
import operator
import pickle
import threading
from collections import deque

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as numpy_st
from traced import assert_same, check, outcome, replay, run, sample

from tracejit.errors import ShapeError, TraceError, UnsupportedError
from tracejit.ir.term import location_of
from tracejit.trace.tracing import trace

DTYPES = ["bool", "i1", "u1", "i4", "u4", "i8", "u8", "f2", "f4", "f8", "c8", "c16"]


# A scalar of each sort that an array can meet.
SCALARS = [True, 3, -2, 300, 2**40, 2**70, 1.5, 2j, np.float32(1.5), np.int8(3), np.uint64(7)]
BINARY = [
    operator.add,
    operator.sub,
    operator.mul,
    operator.truediv,
    operator.floordiv,
    operator.mod,
    operator.pow,
    divmod,
    operator.and_,
    operator.lshift,
    operator.lt,
    operator.eq,
]


@pytest.mark.parametrize("op", BINARY, ids=lambda op: op.__name__)
@pytest.mark.parametrize("left", DTYPES)
def test_operators_of_two_arrays(op, left):
    for right in DTYPES:
        check(op, sample(left), sample(right, (3,)))


@pytest.mark.parametrize("op", BINARY, ids=lambda op: op.__name__)
@pytest.mark.parametrize("dtype", DTYPES)
def test_operators_with_scalars(op, dtype):
    for value in SCALARS:
        for array in (sample(dtype), np.asarray(sample(dtype, ()))):
            check(lambda x: op(x, value), array)
            check(lambda x: op(value, x), array)


@pytest.mark.parametrize("op", BINARY, ids=lambda op: op.__name__)
def test_operators_of_traced_scalars(op):
    scalars = [2.5, 1.5 + 1j, np.float32(1.5), np.int16(3), np.complex64(2), sample("f4")]
    for left in scalars:
        for right in [*scalars, True, 3]:
            check(op, left, right)
            check(op, right, left)


@pytest.mark.parametrize("op", [operator.neg, operator.pos, abs, operator.invert])
@pytest.mark.parametrize("dtype", DTYPES)
def test_unary_operators(op, dtype):
    for shape in ((2, 3), (), (0,)):
        check(op, np.asarray(sample(dtype, shape)))
        check(op, sample(dtype, ()))
    check(op, 1.5)
    check(op, -2j)


UFUNCS = sorted(
    {
        value
        for value in vars(np).values()
        if isinstance(value, np.ufunc) and value.signature is None and value is not np.isnat
    },
    key=lambda ufunc: ufunc.__name__,
)


@pytest.mark.parametrize("ufunc", UFUNCS, ids=lambda ufunc: ufunc.__name__)
def test_every_ufunc_has_the_shape_and_dtype_of_numpy(ufunc):
    for dtype in DTYPES:
        args = [sample(dtype), sample(dtype, (3,))][: ufunc.nin]
        expected = outcome(ufunc, *args)
        if not isinstance(expected, Exception):
            described = expected if isinstance(expected, tuple) else (expected,)
            if any(item.dtype.kind not in "biufc" for item in described):
                continue
        actual = outcome(run, ufunc, *args)
        if isinstance(expected, Exception):
            assert isinstance(actual, TypeError), (dtype, expected, actual)
        else:
            assert_same(actual, expected)


def test_ufunc_options():
    x = sample("f4")
    check(lambda x: np.add(x, x, dtype="f8"), x)
    check(lambda x: np.add(x, x, signature="dd->d"), x)
    check(lambda x: np.multiply(x, 2, dtype=np.complex64, casting="safe"), x)
    check(lambda x: np.add(x, 1.5, dtype="i4"), x)
    check(lambda x: np.subtract.outer(x, x), x)
    check(lambda x: np.add.reduce(x), x)
    check(lambda x: np.add.accumulate(x), x)
    check(lambda x: np.maximum.reduce(x, axis=1), x)
    for call in (
        lambda x: np.add(x, x, where=x > 1),
        lambda x: x.resize(3),
    ):
        with pytest.raises(UnsupportedError, match="test_array.py"):
            run(call, x)


INDICES = [
    0,
    -1,
    np.int8(1),
    slice(None),
    slice(1, None),
    slice(None, None, -1),
    slice(-1, 0, -2),
    slice(10, 2),
    slice(-100, 100, 3),
    None,
    ...,
    (),
    (0, 1),
    (0, ...),
    (..., 0),
    (0, 1, ...),
    (None, 0, None, slice(1, 2)),
    (slice(None), 1, None),
    2,
    -3,
    (0, 3),
    (0, 0, 0),
    (..., ...),
    1.0,
    "a",
    slice(None, None, 0),
    slice(1.0),
]


@pytest.mark.parametrize("index", INDICES, ids=repr)
def test_basic_indexing(index):
    check(lambda x: x[index], sample("f8"))
    check(lambda x: x[index], np.asarray(sample("f4", ())))
    check(lambda x: x[index], sample("f4", ()))
    check(lambda x: x[index], sample("i4", (0, 5)))
    expected = outcome(lambda: sample("f8")[index])
    if isinstance(expected, Exception):
        assert str(outcome(run, lambda x: x[index], sample("f8"))) == str(expected)


shapes = numpy_st.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_any_basic_index(data):
    shape = data.draw(shapes)
    index = data.draw(numpy_st.basic_indices(shape, allow_newaxis=True))
    check(lambda x: x[index], np.asarray(sample("i4", shape)))


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_any_operands(data):
    scalars = st.sampled_from([True, 2, -3, 1.5, 2j, np.float32(2.5), np.uint8(7)])
    both = data.draw(numpy_st.mutually_broadcastable_shapes(num_shapes=2, max_dims=3, min_side=0))
    left, right = (
        np.asarray(sample(data.draw(st.sampled_from(DTYPES)), shape)) for shape in both.input_shapes
    )
    op = data.draw(st.sampled_from(BINARY))
    operands = [left, data.draw(st.one_of(st.just(right), scalars))]
    check(op, *data.draw(st.permutations(operands)))


def test_containers_of_python():
    x = sample("f8")
    check(lambda x: (len(x), tuple(row for row in x)), x)
    check(lambda x: sum(x[0]), x)
    for bad in (len, iter):
        check(bad, np.array(1.0))
        check(bad, np.float64(1.0))


def test_attributes():
    x = sample("c8", (2, 3, 4))
    check(lambda x: (x.shape, x.ndim, x.size, x.itemsize, x.nbytes), x)
    check(lambda x: (x.T, x.mT, x.real, x.imag), x)
    check(lambda x: (x.real, x.imag), sample("i4"))
    check(lambda x: (x.real, x.imag), 1.5)
    check(lambda x: (x.real, x.imag), 1.5 + 2j)
    assert run(lambda x: x.dtype, x) == np.dtype("c8")
    with pytest.raises(AttributeError, match="no attribute 'sahpe'"):
        run(lambda x: x.sahpe, x)
    with pytest.raises(UnsupportedError, match="base"):
        run(lambda x: x.base, x)
    with pytest.raises(UnsupportedError, match="setflags"):
        run(lambda x: x.setflags(write=False), x)


def test_a_traced_value_is_what_numpy_has_for_isinstance():
    assert run(lambda x: isinstance(x, np.ndarray), sample("f8"))
    assert run(lambda x: isinstance(x, np.ndarray), np.array(1.0))
    assert not run(lambda x: isinstance(x, np.ndarray), np.float64(1.0))
    assert run(
        lambda x: isinstance(x[0, 0], np.float64) and isinstance(x[0, 0], float), sample("f8")
    )
    assert run(lambda x: isinstance(x, float), 1.5)
    assert run(lambda x: isinstance(x > 1, bool), 1.5)


def test_python_floats_stay_weak_through_arithmetic():
    check(lambda x, dt: x + dt * 0.5 / 3, sample("f4"), 0.1)
    check(lambda x, dt: x + np.sqrt(dt), sample("f4"), 0.1)
    check(lambda dt: (dt * 2, dt > 1, dt // 1, 2**dt, -dt, divmod(dt, 2)), 0.1)
    check(lambda x: x.item() * np.float32(2), np.array([[1.5]], "f4"))


# What cannot be known while tracing

NEEDS_VALUE = [
    lambda x: operator.truth(x[0, 0] > 1),
    lambda x: slice(x[0, 0]).indices(3),
    lambda x: hash(x[0, 0]),
    lambda x: math.gamma(x[0, 0]),
    lambda x: max(x[0], x[1]),
    lambda x: pickle.dumps(x),
    lambda x: [1, "2", 3][x[0, 0].astype(int)],
]


@pytest.mark.parametrize("function", NEEDS_VALUE)
def test_a_value_that_is_not_known_is_a_trace_error_with_a_remedy(function):
    with pytest.raises(TraceError, match=r"(?s)test_array.py:\d+.*hint: "):
        run(function, sample("f8"))


def test_values_that_depend_on_no_argument_are_known():
    offsets = np.array([1, 0])

    def function(x):
        first = np.array([2, 1])
        return x[:, first[1]], x[:, : offsets[0]], [k for k in range(int(first[0]))]

    program = trace(function, (sample("f8"),), {})
    assert_same(replay(program, (sample("f8"),), {})[0], sample("f8")[:, 1])
    assert [array is offsets for array, _ in program.contents] == [True]


def test_scalars_are_never_written():
    def increase(x):
        x += 1
        return x

    check(increase, 1.5)
    check(increase, np.float32(1.5))
    check(lambda x: increase(x[0, 0]), sample("f8"))


def test_a_value_outside_its_trace_is_refused():
    kept = deque()
    run(lambda x: kept.append(x), sample("f8"))
    with pytest.raises(TraceError, match="traced"):
        kept[0] + 1
    with pytest.raises(TraceError, match="outside the trace"):
        run(lambda x: x + kept[0], sample("f8"))
    failed = []

    def elsewhere(x):
        thread = threading.Thread(target=lambda: failed.append(outcome(lambda: x + 1)))
        thread.start()
        thread.join()
        return x

    run(elsewhere, sample("f8"))
    assert isinstance(failed[0], TraceError)


def test_shape_errors_speak_numpys_words():
    with pytest.raises(ShapeError) as caught:
        run(lambda x, y: x + y, np.ones((3, 4)), np.ones((4, 5)))
    message = str(caught.value)
    assert "add(f64[3, 4], f64[4, 5])" in message
    assert "operands could not be broadcast together with shapes (3,4) (4,5)" in message
    assert "test_array.py" in message and "hint" in message
    assert isinstance(caught.value, ValueError)


def test_functions_without_a_rule():
    with pytest.raises(UnsupportedError, match=r"(?s)unique_values has no rule.*test_array.*hint"):
        trace(lambda x: np.unique_values(x), (sample("f8"),), {}, calls_python=False)


def test_the_users_own_errors_pass_through():
    def function(x):
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        run(function, sample("f8"))


def test_nodes_know_the_users_line():
    program = trace(lambda x: np.sin(x) + 0.123456, (sample("f8"),), {})
    assert "test_array.py:" in location_of(program.function.results[0])
