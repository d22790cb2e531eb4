"""Reading by arrays of indices agrees with NumPy: values, shapes, kinds of scalar, errors and texts."""

from __future__ import annotations

import re
import sys
import threading

import hypothesis.extra.numpy as numpy_st
import hypothesis.strategies as st
import numpy as np
import pytest
from combinations import each
from hypothesis import given, settings
from traced import check as check_traced

import tracejit
from tracejit.errors import UnsupportedError
from tracejit.ir.verify import Stage, unproved
from tracejit.lower.pipeline import Options, run
from tracejit.testing.layouts import byte_swapped, fortran, misaligned, reversed_, strided, window

INTEGERS = ["i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8"]
LAYOUTS = [np.copy, fortran, strided, reversed_, byte_swapped, misaligned, window]


def outcome(function, *args):
    try:
        return function(*args)
    except Exception as error:
        return error


def assert_same(actual, wanted):
    """Equal values of the same class, or errors of one class with one text."""
    if isinstance(wanted, Exception):
        assert isinstance(actual, type(wanted)), f"{actual!r} instead of {wanted!r}"
        assert str(actual).splitlines()[0].strip() == str(wanted).strip()
        return
    if isinstance(actual, Exception):
        raise actual
    assert type(actual) is type(wanted), f"{type(actual)} instead of {type(wanted)}"
    if wanted is None:
        return
    if isinstance(wanted, tuple | list):
        for a, b in zip(actual, wanted, strict=True):
            assert_same(a, b)
        return
    assert (actual.dtype, actual.shape) == (wanted.dtype, wanted.shape)
    np.testing.assert_array_equal(actual, wanted)


def check(function, *args):
    """The compiled function does what NumPy does, twice: after an error, too."""
    jitted = tracejit.jit(function)
    wanted = outcome(function, *args)
    for _ in range(2):
        assert_same(outcome(jitted, *args), wanted)
    return jitted


def numbers(shape, dtype="f8"):
    return (np.arange(np.prod(shape, dtype=int)) * 7 % 101).reshape(shape).astype(dtype)


@st.composite
def indices_for(draw, shape, limit=0):
    """An index of any kind for an array of `shape`; positions up to `limit` beyond the ends."""
    items, axis = [], 0
    common = draw(numpy_st.array_shapes(min_dims=0, max_dims=2, min_side=0, max_side=3))
    while axis < len(shape):
        n = shape[axis]
        kind = draw(st.sampled_from(["int", "slice", "array", "array", "none", "mask", "end"]))
        if kind == "end":
            break
        if kind == "none":
            items.append(None)
        elif kind == "slice" or n == 0:
            items.append(draw(st.slices(n)))
            axis += 1
        elif kind == "int":
            items.append(draw(st.integers(-n - limit, n - 1 + limit)))
            axis += 1
        elif kind == "mask":
            count = draw(st.integers(0, min(2, len(shape) - axis)))
            own = shape[axis : axis + count]
            items.append(draw(numpy_st.arrays(bool, own)))
            axis += count
        else:
            items.append(draw(arrays_of_positions(n, common, limit)))
            axis += 1
    if draw(st.booleans()):
        items.insert(draw(st.integers(0, len(items))), Ellipsis)
    return tuple(items)


@st.composite
def arrays_of_positions(draw, n, common, limit):
    drop = draw(st.integers(0, len(common)))
    own = tuple(draw(st.sampled_from([extent, 1])) for extent in common[drop:])
    dtype = np.dtype(draw(st.sampled_from(INTEGERS)))
    low = -n - limit if dtype.kind == "i" else 0
    found = draw(numpy_st.arrays(np.int64, own, elements=st.integers(low, n - 1 + limit)))
    return found.astype(dtype) if draw(st.booleans()) else found.tolist()


SHAPES = numpy_st.array_shapes(min_dims=1, max_dims=4, min_side=0, max_side=4)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_any_index_known_while_tracing(data):
    shape = data.draw(SHAPES)
    index = data.draw(indices_for(shape, limit=data.draw(st.sampled_from([0, 0, 0, 1]))))
    check_traced(lambda x: x[index], numbers(shape))


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_any_index_that_is_an_argument(data):
    shape = data.draw(SHAPES)
    index = data.draw(indices_for(shape, limit=data.draw(st.sampled_from([0, 0, 1]))))
    arrays = [item for item in index if isinstance(item, np.ndarray) and item.dtype != bool]

    def read(x, *given):
        rest = iter(given)
        items = [next(rest) if isinstance(i, np.ndarray) and i.dtype != bool else i for i in index]
        return x[tuple(items)] * 2

    wanted = outcome(read, numbers(shape), *arrays)
    actual = outcome(tracejit.jit(read), numbers(shape), *arrays)
    several = isinstance(wanted, IndexError) and isinstance(actual, IndexError)
    # Of several positions that are outside, any may be named.
    if not several:
        assert_same(actual, wanted)


POSITIONS = np.array([[2, 0, -1], [1, 1, -3]])
# Of a 3 by 4 by 5 array `x`, positions `i` and an offset `k`.
READS = [
    lambda x, i, k: x[i],
    lambda x, i, k: x[:, i],
    lambda x, i, k: x[..., i],
    lambda x, i, k: x[i, i],
    lambda x, i, k: x[i, :, i],
    lambda x, i, k: x[None, i, None, i[0]],
    lambda x, i, k: x[::-1, 1:, i][..., ::2, :],
    lambda x, i, k: x[i, k, k],
    lambda x, i, k: x[k],
    lambda x, i, k: x[k, k, k],
    lambda x, i, k: x[k, ..., k],
    lambda x, i, k: x[k, None, [0, 2]],
    lambda x, i, k: x[k, k, k] + x[i, 0, k],
    lambda x, i, k: (x * 2)[i + 1] + x[i + 1],
    lambda x, i, k: x[i].sum(axis=-1) + x[i].max(),
    lambda x, i, k: x[i] @ x[0].T,
    lambda x, i, k: x.sum(axis=0)[i % 4, i % 5],
    lambda x, i, k: x[np.arange(3), i[0]] - x[np.arange(3)[:, None], i[0]],
    lambda x, i, k: x[np.ix_([0, 2], [True, False, True, True], [4])],
    lambda x, i, k: x[np.ix_(i[0], [True, False, True, True], [k])],
    lambda x, i, k: x[np.ix_(i, [0])],
    lambda x, i, k: x[np.arange(60).reshape(3, 4, 5) % 7 == 0],
    lambda x, i, k: x[x.shape[0] - 1 - i],
    lambda x, i, k: x[i.astype("u1") % 2, 1],
    lambda x, i, k: x[[]],
    lambda x, i, k: x[i[:0]],
    lambda x, i, k: x[:0][i[:0]],
    lambda x, i, k: x[i][:, :, k, i] + x[i][:, i % 3, k][..., i],
    lambda x, i, k: x[k][i][i % 2, i] * x[k][k],
    lambda x, i, k: x[True],
    lambda x, i, k: x[False, 1],
    lambda x, i, k: x[[[0, 1]], [[2], [3]]],
    lambda x, i, k: x[[k, 0]],
    lambda x, i, k: np.take(x, i),
    lambda x, i, k: np.take(x, i, axis=1),
    lambda x, i, k: x.take(k, axis=-1),
    lambda x, i, k: x.take(k),
    lambda x, i, k: np.take(x, i * 9, mode="wrap") + np.take(x, i * 99, mode="clip"),
    lambda x, i, k: np.take(x, i * 9, axis=2, mode="wrap"),
    lambda x, i, k: np.take(x, i + 0.5),
    lambda x, i, k: np.take(x[:0], i, axis=0),
    lambda x, i, k: np.take_along_axis(x[:, :, 0], i, None),
    lambda x, i, k: np.take_along_axis(x[:2, :, 0], i, 1),
    lambda x, i, k: np.take_along_axis(x[:, :3, 0], i, 0),
    lambda x, i, k: np.take_along_axis(x, i[:, :1, None], 1),
    lambda x, i, k: np.take_along_axis(x[:2], i[:, :1, None], axis=-1),
    lambda x, i, k: np.take_along_axis(x[:2, 0], i * 1.0, 1),
    lambda x, i, k: np.take_along_axis(x, i, 1),
    lambda x, i, k: np.choose(i % 3, [x[:2, :3, 0], 1, i]),
    lambda x, i, k: np.choose(i % 3, x[:, 0, :3]),
    lambda x, i, k: np.choose(i + 9, [x[0, 0, 0], 2.5], mode="wrap"),
    lambda x, i, k: np.choose(i, [x[:2, :3, 0], 1], mode="clip"),
    lambda x, i, k: np.choose(i % 2 * 7 + 13, [x[0, 0, j % 5] + j for j in range(21)]),
    lambda x, i, k: np.choose(i, [x[:2, :3, 0], 1]),
    lambda x, i, k: np.choose(i % 3, [x[:2, :3, 0]]),
    lambda x, i, k: np.choose(k % 2, [1, 2.5]),
    lambda x, i, k: np.choose(i * 1.0, [1, 2.5]),
    lambda x, i, k: np.compress([False, True, True], x, axis=0),
    lambda x, i, k: x.compress([0, 1, 1, 0]),
    lambda x, i, k: np.compress([0, 0, 0, 1], x, axis=0),
    lambda x, i, k: np.compress([[0, 1]], x),
    lambda x, i, k: np.extract(np.arange(60).reshape(3, 4, 5) % 7 == 0, x),
]


@pytest.mark.parametrize("number", range(len(READS)))
def test_reads(number):
    check(READS[number], numbers((3, 4, 5)), POSITIONS, np.int64(2))


@pytest.mark.parametrize(
    "dtype, integer",
    [
        *each(["bool", "i1", "u4", "f2", "f4", "c8", "c16"], INTEGERS),
        *each(["f4", "c16", "i1"], INTEGERS),
    ],
)
def test_any_dtype(dtype, integer):
    index = np.abs(POSITIONS) if integer[0] == "u" else POSITIONS
    index = np.tile(index, (1, 30)).astype(integer)
    check(lambda x, i: (x[i], x[..., i], x[1, i]), numbers((4, 6), dtype), index)


@pytest.mark.parametrize("arranged", LAYOUTS)
def test_any_layout(arranged):
    x, index = arranged(numbers((6, 4))), arranged(np.tile(POSITIONS, (2, 15)))
    index.flags.writeable = x.flags.writeable = False
    function = tracejit.jit(lambda x, i: (x[i], x[:, i], np.take_along_axis(x[:4], i % 4, 1)))
    wanted = [y.astype("f8") for y in function.__wrapped__(x, index)]  # never of swapped bytes
    assert_same(list(function(x, index)), wanted)


@pytest.mark.parametrize("bad", [3, 1000, -4, np.iinfo("i8").max, np.iinfo("i8").min])
@pytest.mark.parametrize("place", [0, 7, 16, 40, 69])
def test_a_position_outside_is_named(bad, place):
    index = np.tile([0, 2, -3, 1], 18)[:70]
    index[place] = bad
    check(lambda x, i: x[i], numbers((3,)), index)
    check(lambda x, i: x[:, i] + 1, numbers((2, 3)), index)
    check(lambda x, i: np.take(x, i, axis=1), numbers((2, 3)), index)
    check(lambda x, i: np.take_along_axis(x, i[None], 1), numbers((1, 3)), index)


REPEATED = [
    lambda x, i: np.ones(3)[i] * 2,
    lambda x, i: np.take(np.zeros(3, np.float16), i),
    lambda x, i: np.full((3, 2), 1 + 2j)[i],
    lambda x, i: np.broadcast_to(x.sum(), (2, 3))[:, i],
    lambda x, i: np.broadcast_to(x[:, None], (2, 3))[:, i],
    lambda x, i: np.zeros((3, 3), bool)[i, i].any(),
    lambda x, i: np.broadcast_to(x, (3, 2))[i].sum(axis=0),
    lambda x, i: np.take_along_axis(np.ones((1, 3), "i1"), i[None], 1),
]


@pytest.mark.parametrize("function", REPEATED)
def test_a_position_along_what_repeats(function):
    """What is read does not depend on it; whether it is one does."""
    for index in ([0, 2, -3], [0, 3, -3], [-4]):
        check(function, numbers((2,)), np.array(index))


def test_repeats_in_a_loop():
    def summed(i):
        ones, total = np.ones(3), 0.0
        for k in range(len(i)):
            total += ones[i[k]]
        return total

    check(summed, np.arange(30) % 3)
    check(summed, np.arange(30) % 4)


def test_scalars_outside_are_named():
    for function in (lambda x, k: x[k], lambda x, k: x[0, k], lambda x, k: x[..., k]):
        for k in (np.int64(5), np.int8(-6), np.array(77)):
            check(function, numbers((5, 5)), k)
    check(lambda x, i: x[:0][i], numbers((3,)), np.array([4, 5]))
    check(lambda x, i: x[:, :0][:, i], numbers((3, 2)), np.array([0, 5]))


@pytest.mark.skipif(sys.version_info < (3, 11), reason="exceptions take notes since 3.11")
def test_the_users_line_is_noted():
    @tracejit.jit
    def function(x, i, j, k):
        first = x[..., i]
        second = np.take(x, j, axis=0)
        return first, second**k, np.choose(i, [x[0, 0], 1])

    @tracejit.jit
    def alike(x, i, j):
        first = x[i]
        return first, x[j]

    x, good = np.ones((3, 4), int), np.array([0, 1])
    cases = [
        ((good + 3, good, 1), IndexError, "first = x[..., i]"),
        ((good, good - 4, 1), IndexError, "second = np.take(x, j, axis=0)"),
        ((good, good, -1), ValueError, "return first, second**k, np.choose(i, [x[0, 0], 1])"),
        ((good + 1, good, 1), ValueError, "return first, second**k, np.choose(i, [x[0, 0], 1])"),
    ]
    for arguments, kind, line in cases:
        with pytest.raises(kind) as caught:
            function(x, *arguments[:2], np.int64(arguments[2]))
        (note,) = caught.value.__notes__
        assert re.fullmatch(r"  at test_indexing.py:\d+  " + re.escape(line), note)
    with pytest.raises(IndexError) as caught:  # it may be either of two lines
        alike(x, good, good + 2)
    assert not hasattr(caught.value, "__notes__")


def write_sum(x, z, i):
    x[:] = z[i].sum()


def write_read(x, z, i):
    x += z[i]


def write_part(x, z, i):
    x[1:] += z[i[1:]]


def write_shifted(x, z, i):
    x[1:] = x[:-1][i[1:] - 1]


def write_later(x, z, i):
    y = z[i]
    x[0] = 1
    return y


def write_power(x, z, i):
    x **= i.astype(float)
    x[...] = (i ** (5 - i)).astype(float)


@pytest.mark.parametrize(
    "function", [write_sum, write_read, write_part, write_shifted, write_later, write_power]
)
def test_an_error_comes_before_what_is_written(function):
    jitted, z = tracejit.jit(function), numbers((6,))
    for index in (np.arange(4), np.array([0, 1, 9, 2])):
        ours, numpys = np.arange(4.0), np.arange(4.0)
        wanted = outcome(function, numpys, z, index)
        assert_same(outcome(jitted, ours, z, index), wanted)
        if isinstance(wanted, Exception):
            numpys = np.arange(4.0)  # ours is all or nothing
        np.testing.assert_array_equal(ours, numpys)


def test_writes_beside_reads_copy_no_array():
    def function(x, i):
        x[3] = 1.0
        first = x[i]
        x[5:9] = first[:4]

    text = str(tracejit.jit(function).trace(numbers((1000,)), np.arange(8)).lower())
    assert "f64[1000] = local()" not in text and "def copy" not in text, text


ERRORS = [
    lambda x, i: x[i * 1.0],
    lambda x, i: x[[0.5]],
    lambda x, i: x[1.5],
    lambda x, i: x[x[0, 0, 0]],
    lambda x, i: x[np.array(1.0)],
    lambda x, i: x["a"],
    lambda x, i: x[i, i, i, i],
    lambda x, i: x[i, i[0, :2]],
    lambda x, i: x[[True, False]],
    lambda x, i: x[:, np.ones((4, 4), bool)],
    lambda x, i: x[np.ones((3, 4, 5, 1), bool)],
    lambda x, i: x[[3]],
    lambda x, i: x[i, [0, 1, -5]],
    lambda x, i: x[..., i, ...],
    lambda x, i: x[i, 4],
]


@pytest.mark.parametrize("number", range(len(ERRORS)))
def test_errors_while_tracing(number):
    check(ERRORS[number], numbers((3, 4, 5)), POSITIONS)


def test_masks_that_depend_on_arguments_are_refused():
    with pytest.raises(UnsupportedError, match=r"(?s)bool\[4\] selects.*test_indexing.*np.where"):
        tracejit.jit(lambda x: list(x[x > 1]), fallback="error")(numbers((4,)))
    with pytest.raises(UnsupportedError, match=r"mixed with other indices"):
        tracejit.jit(lambda x: x[None][:, x > 1], fallback="error")(numbers((4,)))


OUTSIDE = np.array([4, 0, -2])


def test_arrays_from_outside_are_read_at_each_call():
    function = tracejit.jit(lambda x: x[OUTSIDE])
    x = numbers((6,))
    try:
        assert_same(function(x), x[[4, 0, -2]])
        OUTSIDE[1] = 3
        assert_same(function(x), x[[4, 3, -2]])
        OUTSIDE[1] = 6
        with pytest.raises(IndexError, match="index 6 is out of bounds for axis 0 with size 6"):
            function(x)
    finally:
        OUTSIDE[1] = 0


def test_results_are_copies():
    x = numbers((3, 4))
    result = tracejit.jit(lambda x, i: x[i])(x, np.array([0, 1, 2]))
    result[...] = -1
    assert (x >= 0).all()

    def function(x, i):
        copies = [x[i], x[True], x[[1, 0]], x[np.array(1)], x[i, 1:], np.take(x, [0, 1], 0)]
        x[...] = -1.0
        for copy in copies:
            copy[...] = copy + 0.5
        return x, *copies

    wanted = function(x.copy(), np.array([0, 2]))
    assert_same(tracejit.jit(function)(x.copy(), np.array([0, 2])), wanted)


def test_unknown_sizes():
    function = tracejit.jit(lambda x, i: (x[i], np.take(x, i + 1, mode="clip")))
    for n in range(20, 60, 3):
        x, index = numbers((n,)), np.arange(-n, n, 2)
        assert_same(function(x, index), (x[index], np.take(x, index + 1, mode="clip")))
    assert function.cache_info().misses < 8
    index[5] = n
    for _ in range(3):
        with pytest.raises(
            IndexError, match=f"^index {n} is out of bounds for axis 0 with size {n}"
        ):
            function(x, index)
    index[5] = 0
    assert_same(function(x, index)[0], x[index])


def test_counters_become_unknown():
    function = tracejit.jit(lambda x, k: x[k] + x[-k])
    x = numbers((40,))
    for k in range(30):
        assert function(x, k) == x[k] + x[-k]
    with pytest.raises(IndexError, match="index 40 is out of bounds"):
        function(x, 40)


def test_every_read_is_proved_to_be_inside():
    x, index, table = numbers((5, 6)), np.zeros((70,), int), np.zeros((7, 9), np.uint8)

    def function(x, i, t):
        clipped = np.take(x, i, axis=1, mode="clip")
        return x[i], x[:, i, None] * 2, x[i, i], clipped, x.ravel()[t % 30], x[np.arange(5), i[:5]]

    stages = run(tracejit.jit(function).trace(x, index, table).module, Options())
    for module in stages.values():
        for kernel in module.functions:
            if hasattr(kernel, "body"):
                assert unproved(kernel) == []


def test_reads_of_unknown_extents_are_proved_to_be_inside():
    module = tracejit.parse("""
def f(x: f64[n, m], i: i64[k], t: f64[n]):
    t0 = gather(x, i, axes=(0,))
    t1 = gather(x, i, axes=(1,))
    t2 = search_any(t, t, side='left')
    t3 = gather(t, t2, axes=(0,))
    return t0, t1, t3
""")
    kernels = run(module, Options())[Stage.LOOPS].functions[:-1]
    assert kernels
    for kernel in kernels:
        assert unproved(kernel) == []


def test_checks_that_cannot_fail_are_gone():
    def text(function, *args):
        return str(tracejit.jit(function).trace(*args).lower())

    x, index = numbers((256,)), np.zeros((40,), int)
    assert "checked_index" in text(lambda x, i: x[i], x, index)
    assert "checked_index" not in text(lambda x, i: x[i], x, index.astype(np.uint8))
    assert "checked_index" not in text(lambda x, i: x[i % 256], x, index)
    assert "checked_index" not in text(lambda x, i: np.take(x, i, mode="clip"), x, index)
    assert "checked_index" not in text(lambda x: x[np.arange(256) // 2], x)
    assert "checked_index" not in text(lambda x: x[[3, -1, 8]], x)
    # What wraps around may be negative.
    product = lambda x, i: x[np.minimum(i.astype(int) * (1 << 40) - 1, 255)]  # noqa: E731
    assert "checked_index" in text(product, x, index.astype(np.uint32))
    clipped = lambda x, i: x[np.minimum(i.astype(int), 255)]  # noqa: E731
    assert "checked_index" in text(clipped, x, index.astype(np.uint64))
    assert "checked_index" not in text(clipped, x, index.astype(np.uint32))


def test_many_threads_and_errors_between():
    function = tracejit.jit(lambda x, i: (x[i] * 2).sum())
    x, index = numbers((1 << 17,)), np.arange(1 << 17)
    bad = index.copy()
    bad[-5:] = 1 << 20
    failures = []

    def work(number):
        for turn in range(40):
            try:
                if (turn + number) % 3:
                    assert function(x, index) == (x * 2).sum()
                else:
                    with pytest.raises(IndexError, match="index 1048576 is out of bounds"):
                        function(x, bad)
            except BaseException as error:
                failures.append(error)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures, failures[0]


def test_positions_modulo_an_extent_of_nothing():
    check(lambda x, i: x[(i + 1) % x.shape[0]], np.zeros((0, 3)), np.zeros(0, int))


def _neighbours(x, i):
    out = np.zeros(len(x))
    for k in range(len(x)):
        part = x[k : k + 3]
        out[k] = part[0] + part[len(part) - 1]
    return out


def _after_the_end(x, i):
    total = 0.0
    for k in range(len(x)):
        total += x[k + i : k + i + 2][1]
    return total


@pytest.mark.parametrize(
    "function",
    [
        lambda x, i: x[i : i + 2][1],
        lambda x, i: x[i : i + 2][-2],
        lambda x, i: (x[i:][3], x[:i][2]),
        lambda x, i: x[i : i + 3][[0, 2]],
        lambda x, i: x.reshape(2, -1)[:, i : i + 2][1, 1],
        lambda x, i: x[i : i + 9].reshape(3, 3),
        lambda x, i: np.subtract(*x[i : i + 2]),
        _neighbours,
        _after_the_end,
    ],
)
def test_positions_in_windows_whose_length_data_tells(function):
    """A window ends where the array does, so that it may be shorter than its bounds say."""
    x = np.arange(12.0)
    compiled = tracejit.jit(function)
    for i in map(np.int64, (0, 3, 9, 10, 11, 12, 40, -2)):
        try:
            wanted = function(x, i)
        except (IndexError, ValueError, TypeError) as error:
            with pytest.raises(type(error)) as caught:
                compiled(x, i)
            if isinstance(error, IndexError):
                assert str(caught.value) == str(error)
        else:
            np.testing.assert_array_equal(compiled(x, i), wanted)
