"""Writes through arrays of indices: NumPy's values, order and errors, and nothing written after one."""

from __future__ import annotations

import numpy as np
import pytest
from combinations import pairs as all_pairs
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from in_place import check, outcome, quietly  # noqa: F401

from tracejit import jit
from tracejit.errors import IRError
from tracejit.ir.tensor import Call, For, Store, statements
from tracejit.ir.text import parse, show
from tracejit.ir.verify import Stage, verify
from tracejit.ir.verify_kernel import verify_kernel

A = np.arange(10.0)
M = np.arange(30.0).reshape(5, 6)
INDEX = np.array([3, 0, -1, 3, 3])


def assigned(a, i, v):
    a[i] = v


def augmented(a, i, v):
    a[i] += v
    return a.sum()


def returned(a, i, v):
    a[i] = v
    return a


def beside(m, i, v):
    m[1:, i] = v


def pairs(m, i, j):
    m[i, j] += 2
    m[j, i] = m[i, j]


def one_element(a, k):
    a[k] = 3
    a[k - 1] = a[k] * 2
    return a[k - 1]


def rows(m, k):
    m[k] = m[0]
    m[k, 1] = 9
    m[:, k] *= 2


def read_between(a, i, v):
    a[i] = v
    t = a * 2
    a[i[::-1]] = t[:5]
    return t


def by_its_own_elements(a, i, v):
    a[a[:3].astype(int)] = a[5]
    a[i] = a[i][::-1]


def into_new_memory(i, v):
    out = np.zeros(6)
    out[i] = 1
    np.add.at(out, i, v)
    return out


def itself(i):
    i[i] = i


def through_a_view(m, i, v):
    t = m.T[1:]
    t[i, ::-1] = v
    m.reshape(-1)[i] = 100


def known(a, v):
    a[[1, 1, -2]] = v[:3]
    a[np.array([True, False] * 5)] = v
    return a


def with_a_known_mask(m, i, v):
    m[np.array([True, False, True, False, True]), 1:4] = v[:3]
    m[np.array([True, True, False, False, False]), i[:2]] = v[:2]


PROGRAMS = [
    (assigned, A, INDEX, 7), (assigned, A, INDEX, A[:5]), (assigned, A, INDEX, A[:4]),
    (assigned, A, INDEX.reshape(5, 1), A[:3]), (assigned, A, np.zeros(0, int), 1.0),
    (assigned, A[:0], INDEX, 1.0), (assigned, A[:0], INDEX[:0], 1.0), (assigned, A[::2], INDEX, 5),
    (assigned, A[::-1], INDEX, 5), (assigned, A[:1], INDEX * 0, A[:5]), (assigned, A, INDEX > 0, 1),
    (assigned, A, INDEX * 1.0, 1), (assigned, M, INDEX, A[:6]), (assigned, M.T, INDEX, A[:5]),
    (assigned, A.astype(np.int8), INDEX, A[:5]), (assigned, A + 1j, INDEX, A[:5] * 1j),
    (assigned, A > 4, INDEX, A[:5]), (assigned, A, INDEX.astype(np.uint8) % 10, 2),
    (assigned, A.astype(np.float16), INDEX, A[:5]), (returned, A, INDEX, A[:5]),
    (augmented, A, INDEX, 1), (augmented, A, INDEX, A[:5]), (augmented, M, INDEX, A[:6]),
    (beside, M, INDEX, A[:5]), (beside, M, INDEX, 1), (beside, M, INDEX.reshape(5, 1), 1),
    (pairs, M, INDEX, INDEX - 1), (pairs, M, INDEX, np.int64(-2)), (one_element, A, np.int64(4)),
    (one_element, A, np.int64(-10)), (rows, M, np.int64(-2)), (rows, M, np.array(1)),
    (read_between, A, INDEX, A[:5]), (by_its_own_elements, A, INDEX, 0), (into_new_memory, INDEX, 2.5),
    (into_new_memory, INDEX, A[:5]), (itself, INDEX % 5), (through_a_view, M, INDEX, 3.0),
    (through_a_view, M.copy().T, INDEX, 3.0), (known, A, A[:5]), (with_a_known_mask, M, INDEX, A[:5]),
]  # fmt: skip


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda p: p[0].__name__)
def test_programs(program):
    check(*program)


@pytest.mark.parametrize(
    "function", [assigned, augmented, returned, beside, read_between, into_new_memory]
)
def test_nothing_is_written_where_an_index_is_refused(function):
    args = (M, A[:5]) if function is beside else (A, A[:5])
    if function is into_new_memory:
        args = args[1:]
    for bad in (12, -12):
        index = INDEX.copy()
        index[3] = bad
        check(function, *args[:-1], index, args[-1])


def after_a_write(a, b, i):
    b[:] = 1
    a[i] = 2


def before_a_write(a, b, i):
    a[i] = 2
    b[:] = 1


def read_before_a_write(a, b, i):
    t = a[i]
    b[:] = 1
    a[:5] = t


def twice(a, b, i):
    a[i % 3] = 2
    a[i] = 3


def read_after(a, b, i):
    a[:] = 5
    return a[i]


@pytest.mark.parametrize("function", [before_a_write, read_before_a_write, twice, read_after])
def test_what_is_written_before_an_error_stays_and_nothing_comes_after(function):
    check(function, A, A * 2, INDEX)
    check(function, A, A * 2, INDEX * 7)


def test_an_error_may_come_before_writes_that_do_not_matter_to_it():
    a, b = A.copy(), A.copy()
    with pytest.raises(IndexError, match="index 21 is out of bounds for axis 0 with size 10"):
        jit(after_a_write)(a, b, INDEX * 7)
    np.testing.assert_array_equal(a, A)


UFUNCS = [
    np.add, np.subtract, np.multiply, np.maximum, np.minimum, np.divide, np.fmax, np.bitwise_or,
    np.logical_and, np.power, np.equal,
]  # fmt: skip


@pytest.mark.parametrize(
    "ufunc, dtype, kind",
    all_pairs(UFUNCS, ["f8", "f4", "i4", "u1", "c8", "?"], ["number", "own dtype", "floats"]),
)
def test_ufunc_at(ufunc, dtype, kind):
    def function(a, i, v):
        ufunc.at(a, i, v)

    a = (np.arange(10) % 4 + 1).astype(dtype)
    own = (np.arange(5) % 3 + 1).astype(dtype)
    value = {"number": 2, "own dtype": own, "floats": np.arange(5.0) % 3}[kind]
    ours, numpys = a.copy(), a.copy()
    wanted = outcome(function, (numpys, INDEX, value))
    actual = outcome(jit(function), (ours, INDEX, value))
    if isinstance(wanted, Exception):
        assert isinstance(actual, Exception)
    elif not isinstance(actual, NotImplementedError):
        assert actual is None
        np.testing.assert_array_equal(ours, numpys)


def test_ufunc_at_slices_masks_and_axes():
    check(lambda a: np.add.at(a, slice(1, 4), 2), A)
    check(lambda a: np.add.at(a, a > 4, 2), A)
    check(lambda m, i: np.add.at(m, (slice(None), i), 1), M, INDEX)
    check(lambda m, i: np.multiply.at(m, (i, i - 1), 3), M, INDEX)
    check(lambda m, i, v: np.add.at(m, i, v), M, INDEX, A[:6])
    check(lambda m, i, v: np.add.at(m, i, v), M, INDEX * 3, A[:6])


def test_put_place_and_along_axis():
    order = np.argsort(-M, 1)
    check(lambda a, i: np.put(a, i, [1, 2.0]), A, INDEX)
    check(lambda m, i: m.put(i, [1, 2.0]), M, INDEX * 7)
    check(lambda m, i: np.put(m, i, 5), M.copy().T, INDEX)
    check(lambda m, i: np.put(m, i, 5, mode="wrap"), M, INDEX * 70)
    check(lambda m, i: np.put(m, i, [5, 6], mode="clip"), M, INDEX * 70)
    check(lambda a, i: np.put(a, i, 1), A, INDEX * 1.5)
    check(lambda m, i: np.put_along_axis(m, i, -1, 1), M, order[:, :1])
    check(lambda m, i, v: np.put_along_axis(m, i, v, 0), M, INDEX[None, :1].repeat(6, 1) % 5, M[:1])
    check(lambda m, i: np.put_along_axis(m, i, 3, None), M, INDEX)
    check(lambda m, i: np.put_along_axis(m, i, 3, 1), M, order + 3)
    check(lambda a, m: np.place(a, m, [1.0, 2, 3]), A, A % 3 > 0)
    check(lambda a, m: np.place(a, m, [1.0, 2, 3]), M, M < 0)
    check(lambda a, m: np.place(a, m, [1.0]), M, M > 4)


def test_bincount():
    small = np.array([3, 0, 7, 3], np.uint8)
    weights = np.array([1.5, 2, 3, -1])
    for options in ({"minlength": 256}, {"minlength": 300}, {}):
        check(lambda x, options=options: np.bincount(x, **options), small)
        check(lambda x, w, options=options: np.bincount(x, w, **options), small, weights)
        check(lambda x, options=options: np.bincount(x, **options), small.astype(np.int64))
        check(lambda w, options=options: np.bincount([3, 0, 7, 3], w, **options), weights)
        check(lambda x, w, options=options: np.bincount(x, w[:3], **options), small, weights)
    check(lambda x: np.bincount(x > 3, minlength=256), small)
    check(lambda x: np.bincount(x), -small.astype(np.int64))
    check(lambda x: np.bincount(x[None], minlength=256), small)
    assert "scatter" in str(jit(lambda x: np.bincount(x, minlength=256)).lower(small))


extents = st.integers(0, 5)
dtypes = st.sampled_from(["f8", "f4", "i8", "i2", "c16"])


@settings(max_examples=50, deadline=None)
@given(st.data(), st.lists(extents, min_size=1, max_size=3), dtypes, dtypes)
def test_any_target_index_and_value(data, shape, dtype, other):
    """Shapes with 0 and 1, repeated and negative and refused indices, strides, casts."""
    shape = tuple(shape)
    target = (np.arange(np.prod(shape, dtype=int)) % 11).reshape(shape).astype(dtype)
    layout = data.draw(st.sampled_from(["plain", "reversed", "transposed", "stepped"]))
    if layout == "reversed":
        target = target[::-1]
    elif layout == "transposed":
        target = target.T
    elif layout == "stepped":
        target = np.repeat(target, 2, 0)[::2]
    items, own = [], data.draw(st.lists(st.integers(0, 3), max_size=2))
    advanced = data.draw(st.integers(0, target.ndim - 1))
    for axis, extent in enumerate(target.shape):
        if axis == advanced or data.draw(st.integers(0, 2)) == 0:
            high = data.draw(st.sampled_from([extent, extent, extent + 1]))
            numbers = st.integers(-extent, max(high - 1, -extent))
            count = int(np.prod(own, dtype=int))
            drawn = data.draw(st.lists(numbers, min_size=count, max_size=count))
            items.append(np.array(drawn, dtype=np.int64).reshape(own))
        else:
            step = data.draw(st.sampled_from([1, 2, -1]))
            items.append(slice(None, None, step))
    arrays = [item for item in items if isinstance(item, np.ndarray)]
    places = iter(range(len(arrays)))
    pattern = [next(places) if isinstance(item, np.ndarray) else item for item in items]
    kind = data.draw(st.sampled_from(["set", "add", "at"]))
    try:
        part = target[tuple(items)].shape
    except IndexError:
        part = ()
        assume(target.size)  # limit: where there is nothing to write to, nothing is checked
    if kind != "set" and not np.can_cast(np.result_type(dtype, other), dtype, "same_kind"):
        other = dtype
    cut = data.draw(st.integers(0, len(part)))
    value = (np.arange(np.prod(part[cut:], dtype=int)) % 5 - 1).reshape(part[cut:]).astype(other)

    def function(a, value, *arrays):
        index = tuple(arrays[p] if isinstance(p, int) else p for p in pattern)
        if kind == "set":
            a[index] = value
        elif kind == "add":
            a[index] += value
        else:
            np.add.at(a, index, value)
        return a * 2

    check(function, target, value, *arrays, calls=1)


@settings(max_examples=8, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 9), st.integers(0, 12)), min_size=4, max_size=6))
def test_sizes_that_keep_changing(sizes):
    compiled = jit(augmented)
    for extent, count in sizes:
        index = np.arange(count) * 7 % (2 * extent) - extent
        check(augmented, np.arange(extent + 0.0), index, 1.5, compiled=compiled)
        check(augmented, np.arange(extent + 0.0), index + 1, 1.5, compiled=compiled)


def test_many_elements_in_order():
    rng = np.random.default_rng(0)
    index = rng.integers(-500, 500, 100_003)
    v = rng.standard_normal(100_003)
    check(lambda a, i, v: a.__setitem__(i, np.exp(v)), np.zeros(500), index, v * 0)
    check(assigned, np.zeros(500), index, v)
    # Threads have tables of their own, so sums are in another order.
    check(lambda a, i, v: np.add.at(a, i, v), np.zeros(500), index, v, nearly=True)
    check(lambda a, i, v: np.add.at(a, i, v), np.zeros(99_000), index, v)
    check(assigned, np.zeros((500, 70)), index[:2000], v[:70] * np.ones((2000, 1)))
    check(beside, np.zeros((70, 500)), index[:2000], v[:2000])


def kernels(lowered):
    return [s.kernel for s in lowered.module.entry.body if isinstance(s, Call)]


def test_no_copies_and_checks_first():
    big, index = np.zeros(1 << 20), np.zeros(1000, int)
    lowered = jit(assigned).lower(big, index, 2.0)
    assert [k.name for k in kernels(lowered)] == ["fused_scatter_checks", "fused_scatter"]
    assert "copy" not in str(lowered) and "local()" not in str(lowered)
    lowered = jit(assigned).lower(big, index.astype(np.uint16), 2.0)
    assert [k.name for k in kernels(lowered)] == [
        "fused_scatter"
    ]  # that nothing is refused is proved
    module = jit(augmented).lower(big, index, 2.0).stages[Stage.SCHEDULED]
    assert parse(show(module)) is module


def test_stores_where_data_says_are_not_for_threads():
    big, index = np.zeros(1 << 20), np.zeros(1 << 20, int)

    def loops(function, *args):
        found = [k for k in kernels(jit(function).lower(*args)) if not k.name.endswith("_checks")]
        return found[-1], [s for s in statements(found[-1].body) if isinstance(s, For)]

    for function in (assigned, lambda a, i, v: np.add.at(a, i, v)):
        kernel, found = loops(function, big, index, np.ones(1 << 20))
        assert all(loop.mark != "parallel" for loop in found)
        (loop,) = [loop for loop in found if any(isinstance(s, Store) for s in loop.body)]
        wrong = kernel.replace(body=(loop.replace(mark="parallel", lanes=1),))
        with pytest.raises(IRError, match="data says where"):
            verify_kernel(wrong)
    kernel, found = loops(
        lambda m, i, v: np.add.at(m, i, v), np.zeros((9, 512)), index[:99], big[:512]
    )
    assert any(loop.mark == "vector" for loop in found)
    verify(jit(assigned).lower(big, index, 2.0).module, Stage.SCHEDULED)


def test_numbers_that_are_combined_have_dtypes_of_their_own():
    bytes_, singles = np.array([5, 5], "u1"), np.array([1, 1], "f4")

    def function(x, y, z, w):
        np.add.at(x, [0, 0], -1)
        np.maximum.at(y, [0], -1)
        np.add.at(z, [0], 300)
        np.multiply.at(w, [0, 0], 0.1)

    check(function, bytes_, bytes_.copy(), bytes_.copy(), singles)
    check(lambda x, k: np.multiply.at(x, [0, 0], k), singles, 0.1)


def test_place_without_values():
    def placed(x, mask):
        y = x.copy()
        np.place(y, mask, np.empty(0))
        return y

    x = np.arange(6.0).reshape(2, 3)
    assert (jit(placed)(x, x > 9) == x).all()
    with pytest.raises(ValueError, match="^Cannot insert from an empty array!"):
        jit(placed)(x, x > 3)
    assert (jit(placed)(x, x > 9) == x).all()


@pytest.mark.parametrize("size", [99_997, 100_003, 100_000])
def test_a_place_in_each_row_by_threads(size):
    """Chunks of which the last is shorter, and bodies that are repeated in them."""

    def one_hot(labels):
        found = np.zeros((labels.size, 10))
        found[np.arange(labels.size), labels] = 1
        return found

    labels = np.random.default_rng(0).integers(0, 10, size)
    np.testing.assert_array_equal(jit(one_hot)(labels), one_hot(labels))
