"""Writes mean what they mean in NumPy: to arguments, through views, to new arrays, in any order."""

from __future__ import annotations

import numpy as np
import pytest
from combinations import each
from hypothesis import given, settings
from hypothesis import strategies as st
from in_place import check, quietly, same  # noqa: F401

from tracejit import jit
from tracejit.config import config
from tracejit.errors import UnsupportedError
from tracejit.ir.graph import Module
from tracejit.ir.tensor import Call
from tracejit.ir.verify import Stage

TABLE = np.arange(6.0)


X = np.arange(1.0, 21.0)
M = np.arange(30.0).reshape(5, 6)


def swap(a, b):
    a[:], b[:] = b.copy(), a.copy()


def swap_parts(a, b):
    a[1:-1], b[1:-1] = b[1:-1].copy(), a[1:-1].copy()


def copied_first(a):
    b = a.copy()
    b[0] = 100
    a[3] = b[0]
    return b


def views_of_views(a):
    v = a[1:]
    w = v.reshape(1, -1).T
    w[0] = 77
    return v[0], w


def built_by_columns(a):
    out = np.empty((5, 3))
    out[:, 0] = a[:5]
    out[:, 1] = a[5:10]
    out[:, 2] = out[:, 0] * out[:, 1]
    return out


def recurrence(a):
    for i in range(1, 10):
        a[i] = a[i - 1] * 2 + a[i]


def normalised(a):
    a -= a.mean()
    a /= a.std()
    return a


def scalars_are_values(a):
    x = a[2]
    a[2] = 5
    return x, a[2]


def read_between(a):
    a[0] = 1
    t = a[5]
    a[5] = t + a[0]
    s = a.sum()
    a[:] = 0
    return s, t


def old_values_are_kept(a):
    doubled = a * 2
    part = a[3:9] + 0
    a[:] = -1
    return doubled, part, doubled[1:] + a[1:]


def two_results_of_one_memory(a):
    b = a * 2
    return b, b[::2], b


def parts(a):
    z = a + 1j * a
    z.real = 3
    z.imag[2] = 7
    return z


def shaped_in_place(a):
    v = a[:]
    v.shape = (4, 5)
    v[1, 2] = 9
    return v


def stencil(a, b):
    for _ in range(3):
        b[1:-1] = (a[:-2] + a[1:-1] + a[2:]) / 3
        a[1:-1] = (b[:-2] + b[1:-1] + b[2:]) / 3


def masks(a, b):
    a[a > 5] = 0
    b[(b > 3) & (a == 0)] = -1
    return a


def ping_pong(a, b):
    for _ in range(4):
        b[1:] = a[:-1] + 1
        a, b = b, a
    return a


def writes_to_a_global(a):
    TABLE[1:3] = a[:2]
    return TABLE * 2


def nested(a):
    @jit
    def inner(x):
        x[0] += 1
        return x[1:]

    inner(a)[0] = 50
    return a.sum()


PROGRAMS = [
    swap, swap_parts, copied_first, views_of_views, built_by_columns, recurrence, normalised,
    scalars_are_values, read_between, old_values_are_kept, two_results_of_one_memory, parts,
    shaped_in_place, stencil, ping_pong, writes_to_a_global, nested, masks,
    lambda a: a.__setitem__(slice(1, None), a[:-1]),
    lambda a: a.__setitem__(slice(None, None, -1), a),
    lambda a: a.__setitem__(slice(None), a[::-1]),
    lambda a, b: a.__setitem__(slice(None), b[::-1] * 2),
    lambda a: a.__iadd__(1),
    lambda a: a[1:].__iadd__(a[:-1]),
    lambda a: a.fill(3),
    lambda a: a.sort(),
    lambda a: (a[::-1].sort(), a[2:9].partition(3)),
    lambda a: np.add(a, 1, out=a),
    lambda a: np.add(a, 1, a),
    lambda a: np.add(a, 1, out=a, where=a > 4),
    lambda a: np.divmod(a, 3, out=(np.empty(20), np.empty(20))),
    lambda a: np.multiply(a[2:], 2, out=a[:-2]),
    lambda a: np.cumsum(a, out=a),
    lambda a: a.clip(2, 5, out=a),
    lambda a: np.cumsum(a > 2, out=np.zeros(20, bool)),
    lambda a: np.sum(a > 2, axis=0, out=np.zeros((), "i1")),
    lambda a: (a > 2).prod(out=np.ones((), "f4")),
    lambda a: np.sum(a.reshape(4, 5), axis=0, out=a[:5]),
    lambda a: np.copyto(a, 4),
    lambda a: np.copyto(a, np.arange(20), where=a > 7),
    lambda a: np.putmask(a, a > 3, [1, 2, 3]),
    lambda a: np.place(a, a > 3, 1),
    lambda a, b: a.__setitem__(slice(None), np.where(b > a, b, a)),
    lambda a: (np.asarray(a), np.ascontiguousarray(a), a.astype(float, copy=False))[1].fill(2),
    lambda a: np.array(a).fill(2),
    lambda a: np.ravel(a).__setitem__(0, 9),
    lambda a: a.flatten().__setitem__(0, 9),
    lambda a: np.broadcast_to(a, (2, 20)).__setitem__(0, 1),
    lambda a: a.astype(int).__iadd__(1.5),
    lambda a: a.astype(int).__iadd__(True),
    lambda a: a.__setitem__(slice(2, 5), np.ones(7)),
    lambda a: a.__setitem__(0, 1j),
    lambda a: a.__setitem__(25, 1),
    lambda a: a.__iadd__(np.ones((3, 20))),
    lambda a: np.split(a, 4)[1].fill(0),
    lambda a: a[:0].fill(1),
    lambda a: a.astype("u1").__setitem__(0, 300),
    lambda a: a.astype("f4").__iadd__(np.float64(1)),
    lambda a: a.__ipow__(2),
    lambda a: a.__itruediv__(a[3]),
]  # fmt: skip


@pytest.mark.parametrize("function", PROGRAMS, ids=lambda f: f.__name__)
def test_programs(function):
    count = function.__code__.co_argcount
    TABLE[:] = np.arange(6.0)
    check(function, *[X * (k + 1) for k in range(count)])


MATRICES = [
    lambda a: np.fill_diagonal(a, 7),
    lambda a: np.fill_diagonal(a, [1, 2]),
    lambda a: a.T.__setitem__(0, 1),
    lambda a: a[1:-1, ::2].__iadd__(a[:-2, 1::2]),
    lambda a: a.reshape(-1)[3:9].fill(0),
    lambda a: a.T.reshape(-1)[3:9].fill(0),
    lambda a: a.T.ravel().fill(0),
    lambda a: a[:, 0].__setitem__(slice(None), a.sum(axis=1)),
    lambda a: a.__isub__(a.mean(axis=0)),
    lambda a: a.__setitem__((slice(1, 3), slice(None)), a.sum(axis=0)),
    lambda a: a.__setitem__(1, a[3]),
    lambda a: a.__setitem__((Ellipsis, 1), a[..., 2]),
    lambda a: a.__setitem__((None, 2), 3.0),
    lambda a: np.moveaxis(a, 0, 1)[2].fill(1),
    lambda a: a[::-1, ::-1][0].fill(1),
    lambda a: a[a.sum(axis=1) > 60].sum() if False else a.__setitem__(a.sum(axis=1) > 60, 0),
    lambda a: np.matmul(a, a.T, out=np.empty((5, 5))),
    lambda a: a.swapaxes(0, 1)[1:3].T.__imul__(2),
    lambda a: np.squeeze(a[:, :1]).fill(4),
    lambda a: np.expand_dims(a, 0)[0, 1].fill(4),
    lambda a: np.flip(a)[0].fill(4),
    lambda a: np.rot90(a)[0].fill(4),
    lambda a: np.atleast_3d(a)[0].fill(4),
]


@pytest.mark.parametrize(
    "function, dtype", [*each(MATRICES, ["f8", "i4", "c16"]), *each(MATRICES, ["?", "f4"])]
)
def test_matrices(function, dtype):
    check(function, M.astype(dtype))


@pytest.mark.parametrize(
    "made",
    [
        lambda x: x.T.copy().T, lambda x: np.repeat(x, 2, axis=1)[:, ::2], lambda x: x[::-1, ::-1],
        lambda x: x.astype(x.dtype.newbyteorder()), lambda x: np.frombuffer(
            bytearray(b"0" + x.tobytes()), x.dtype, offset=1
        ).reshape(x.shape), lambda x: x[:0], lambda x: x[:1],
    ],
)  # fmt: skip
def test_arguments_of_any_layout_are_written(made):
    def function(a):
        a[:, 1:] += a[:, :-1]
        a *= 2
        return a.sum()

    for x in (M, M.astype("f4")):
        ours, numpys = made(x.copy()), made(x.copy())
        compiled = jit(function)
        for _ in range(3):
            assert compiled(ours) == pytest.approx(function(numpys), rel=1e-5)
            np.testing.assert_allclose(ours, numpys, rtol=1e-5)


def test_arguments_that_are_the_same_array_or_overlap():
    def function(a, b):
        a[1:] += b[:-1]
        b[0] = a[1] * 2
        return a + b

    compiled = jit(function)
    for k in range(2):
        for pair in (
            lambda x: (x[:8], x[8:]), lambda x: (x, x), lambda x: (x[:-1], x[1:]),
            lambda x: (x[1:], x[:-1]), lambda x: (x[::-1], x), lambda x: (x[::2], x[1::2]),
        ):  # fmt: skip
            ours, numpys = np.arange(16.0) + k, np.arange(16.0) + k
            same(compiled(*pair(ours)), function(*pair(numpys)))
            same(ours, numpys)


def test_read_only_arguments():
    def function(a, write):
        if write:
            a[0] = 1
        return a * 2

    frozen = np.arange(3.0)
    frozen.flags.writeable = False
    compiled = jit(function)
    same(compiled(frozen, False), frozen * 2)
    for array in (np.arange(3.0), frozen, np.arange(3.0), frozen):
        if array is frozen:
            with pytest.raises(ValueError, match="assignment destination is read-only"):
                compiled(array, True)
        else:
            same(compiled(array, True), array * 2)
    assert frozen[0] == 0


def kernels(function, *args):
    return [s for s in jit(function).lower(*args).module.entry.body if isinstance(s, Call)]


def test_a_write_copies_nothing_but_what_it_writes():
    """However large the array: no whole copy, no whole temporary."""

    def first(a):
        a[0] = 1
        a[1:3] += 2
        return a[5]

    def late(a):
        t = a[1:-1] * 2
        a[0] = t[3]
        return t

    def fresh(a):
        out = a * 2
        out[0] = 5
        return out

    big = np.zeros(1 << 20)
    for function in (first, late, fresh):
        lowered = jit(function).lower(big)
        text = str(lowered)
        assert "copy" not in text and "local()" not in text, text
    assert len(kernels(lambda a: a.__iadd__(1), big)) == 1
    in_place = jit(lambda a, b: a.__iadd__(b)).lower(big, big)
    assert in_place.stages[Stage.SCHEDULED].entry.updated


def test_stages_of_a_program_that_writes():
    def function(a, b):
        a[2:5] = b[:3] * 2
        return a.sum()

    a, b = np.arange(6.0), np.ones(6)
    compiled = jit(function).lower(a, b).compile()
    wanted = a.copy()
    total = function(wanted, b)
    assert compiled(a, b) == total
    same(a, wanted)
    with config.use(reference=True):
        a = np.arange(6.0)
        assert jit(function)(a, b) == total
        same(a, wanted)


# Programs: any sequence of reads, writes and views of several arrays.

VIEWS = [
    lambda v: v[1:], lambda v: v[::2], lambda v: v[::-1], lambda v: v.T, lambda v: v[..., :3],
    lambda v: v.reshape(-1), lambda v: v[None], lambda v: v[0] if v.ndim > 1 else v[:1],
    lambda v: np.flip(v), lambda v: v.copy(), lambda v: v + 0, lambda v: np.squeeze(v),
    lambda v: v.reshape(2, -1) if v.size % 2 == 0 and v.size else v,
]  # fmt: skip
WRITES = [
    lambda v, w, k: v.__setitem__(Ellipsis, k),
    lambda v, w, k: v.__iadd__(k),
    lambda v, w, k: v.__setitem__(slice(0, 1), k),
    lambda v, w, k: v.__setitem__(Ellipsis, w) if w.shape == v.shape else None,
    lambda v, w, k: v.__imul__(w) if w.shape == v.shape else None,
    lambda v, w, k: v[1:].__isub__(v[:-1]),
    lambda v, w, k: v.__setitem__(v > k, k),
    lambda v, w, k: np.add(v, v[::-1], out=v),
    lambda v, w, k: v.__isub__(w.sum()),
]  # fmt: skip


def sequence(program):
    """A function of two arrays that does these things, one after the other."""

    def function(a, b):
        held, read = [a, b], []
        for kind, *numbers in program:
            if kind == "view":
                held.append(VIEWS[numbers[1]](held[numbers[0] % len(held)]))
            elif kind == "write":
                one, other = (held[n % len(held)] for n in numbers[:2])
                WRITES[numbers[2]](one, other, numbers[3])
            else:
                x = held[numbers[0] % len(held)]
                read += [x * 2, x.sum()]
        return tuple(read), held[-1]

    return function


steps = st.one_of(
    st.tuples(st.just("view"), st.integers(0, 9), st.integers(0, len(VIEWS) - 1)),
    st.tuples(
        st.just("write"), st.integers(0, 9), st.integers(0, 9), st.integers(0, len(WRITES) - 1),
        st.integers(-2, 2),
    ),
    st.tuples(st.just("read"), st.integers(0, 9)),
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(st.lists(steps, min_size=1, max_size=12), st.sampled_from(["f8", "i8", "f4"]))
def test_any_sequence_of_reads_writes_and_views(program, dtype):
    a, b = (np.arange(24).reshape(4, 6) % 7).astype(dtype), np.arange(5).astype(dtype)
    check(sequence(program), a, b)


FOUND = [
    [("view", 4, 8), ("write", 8, 8, 8, 2), ("write", 2, 2, 1, 2)],
    [("view", 4, 0), ("write", 8, 3, 1, -2), ("view", 6, 5), ("view", 7, 11), ("read", 7)],
    [("view", 3, 0), ("read", 4), ("write", 8, 6, 6, 2), ("write", 8, 8, 5, -2)],
    [("view", 0, 0), ("view", 0, 6), ("view", 3, 0)],
]


@pytest.mark.parametrize("program", FOUND, ids=range(len(FOUND)))
def test_sequences_that_were_wrong_once(program):
    check(sequence(program), np.arange(24.0).reshape(4, 6) % 7, np.arange(5.0))


def test_updates_are_programs_like_others():
    """The traced Module of a program that writes, on its own: text, reference, every stage."""

    def function(a, b):
        a[1:-1] = b[2:] + a[:-2]
        b[::2] *= 3
        return a[0] + b[1]

    traced = jit(function).trace(np.arange(6.0), np.ones(6))
    assert isinstance(traced.module, Module)
    assert "updated(f64[6])" in str(traced)


def test_new_arrays_are_put_together_in_one_pass():
    """Filled piece by piece, with a border, or whole: one kernel, which writes each element once."""

    def columns(a):
        out = np.empty((a.size, 3))
        out[:, 0] = a
        out[:, 1] = a * 2
        out[:, 2] = out[:, 0] + out[:, 1]
        return out

    def border(a):
        out = np.zeros((7, 5))
        out[1:-1, 1:-1] = a[:15].reshape(5, 3)
        return out

    def ends(a):
        out = np.zeros_like(a)
        out[1:-1] = a[2:] - a[:-2]
        out[0] = a[0]
        out[-1] = 5
        return out

    for function in (columns, border, ends, lambda a: np.full_like(a, 2).__iadd__(a)):
        check(function, X)
        assert len(kernels(function, X)) == 1


def test_what_is_written_in_many_pieces_is_written_in_place():
    def function(a):
        out = np.zeros(40)
        for k in range(20):
            out[2 * k : 2 * k + 2] = a[k] * k
        return out

    check(function, X)


@pytest.mark.parametrize("index", range(7))
def test_memory_order(index):
    """Whether a reshape is a view depends on the order of the elements."""

    def function(a):
        made = [
            np.zeros((3, 4), order="F"), np.zeros((3, 4), order="F").T, np.asfortranarray(a),
            a.copy(order="F").T, np.copy(a.T).T, np.zeros_like(a.T).T, a.T.astype("f4").T,
        ][index]  # fmt: skip
        flat = made.reshape(-1)
        flat[:5] = 7
        made[0] = 3
        return made, flat

    check(function, M)


def test_orders_that_are_not_known_are_refused_when_it_matters():
    def function(a, write):
        y = a.T + 1
        z = y.reshape(-1)
        if write:
            z[0] = 5
        return y, z

    check(lambda a: function(a, False), M)
    with pytest.raises(NotImplementedError, match=r"(?s)order.*test_writes.py.*copy"):
        jit(lambda a: function(a, True))(M)


def test_lines_are_known_beside_writes():
    def function(a):
        b = np.partition(a, 3)  # this line
        a[0] = 1
        return b

    with open(__file__) as source:
        line = next(k for k, text in enumerate(source, 1) if text.rstrip().endswith("# this line"))
    assert f"test_writes.py:{line}" in jit(function).explain(X)


@pytest.mark.parametrize("dtype", ["f8", "f4", "i2", "u1", "c16", "?"])
def test_large_arrays_that_begin_anywhere(dtype):
    """Loops in place begin where cache lines do; sizes known and unknown, one thread and several."""

    def add(a, b):
        a += b
        a[3:-2] += b[5:]

    function = (lambda a, b: a.__ior__(b)) if dtype == "?" else add
    compiled = jit(function)
    for size in (700, 4097, 100_003, 200_001, 300_000):
        for offset in (0, 1, 2, 5):
            memory = (np.arange(2 * size + 16) % 5).astype(dtype)
            a, b = memory[offset : offset + size], memory[size + offset + 3 : 2 * size + offset + 3]
            wanted, before = a.copy(), memory.copy()
            function(wanted, b.copy())
            compiled(a, b)
            same(a, wanted)
            memory[offset : offset + size] = before[offset : offset + size]
            same(memory, before)


def test_arguments_that_are_arrays_from_outside():
    """A global that is written may come as an argument, too; or an argument be part of a global."""
    held = np.arange(8.0)

    def writes_outside(a):
        held[1:] += a[:-1]
        return held.sum() + a[0]

    def writes_argument(a):
        a[1:] += held[:-1]
        return held.sum() + a[0]

    for function in (writes_outside, writes_argument):
        compiled = jit(function)
        for other in (np.ones(8), held, np.ones(8), held[::-1], held, np.ones(8)):
            before = held.copy()
            given = (
                before[::-1] if other.base is held else before if other is held else other.copy()
            )
            actual = compiled(other)
            after, changed = held.copy(), np.array(other)
            held[:] = before
            if other.base is not held and other is not held:
                other[:] = given
            assert function(other) == actual
            same(held, after)
            same(np.array(other), changed)
    same_twice = held[2:5]
    with pytest.raises(NotImplementedError, match="shares memory"):
        jit(lambda a: (held.__setitem__(0, 1), a + same_twice[0], held[:3] + same_twice))(
            np.ones(3)
        )


def test_diagonals_and_rearrangements_are_views():
    a = np.arange(12.0).reshape(3, 4)

    def diagonal(x):
        d, e = x.diagonal(), x.T.diagonal(1)
        x += 1
        return d, e, d * 2, np.diag(x, -1), np.trace(x[1:, 1:])

    def by_einsum(x):
        d, t = np.einsum("ii->i", x), np.einsum("ij->ji", x)
        t[0] = 5
        return d, t

    def to_diagonal(x):
        x.diagonal()[...] = 1

    check(diagonal, a)
    check(diagonal, np.asfortranarray(a))
    check(by_einsum, np.arange(9.0).reshape(3, 3))
    check(to_diagonal, a)
    assert np.shares_memory(a, jit(np.diagonal)(a))


@pytest.mark.parametrize("make", [lambda x: x[1:, 1:].diagonal()])
def test_views_that_would_be_copies_are_refused_when_it_matters(make):
    def written(x):
        y = make(x)
        x[...] = 0
        return y

    with pytest.raises(UnsupportedError, match="share memory is not told"):
        jit(written)(np.arange(9.0).reshape(3, 3))
    check(lambda x: make(x) * 2, np.arange(9.0).reshape(3, 3))


@pytest.mark.parametrize("order", ["C", "F"])
def test_ravel_is_a_view_only_of_what_lies_side_by_side(order):
    def function(x):
        y = x.ravel(order)
        y[0] = 50
        return y, x.view()[0]

    whole = np.arange(24.0).reshape(4, 6)
    for x in (whole, whole.T, whole[::2], whole[:, ::2], whole[0], whole[0, ::2], whole[:1, :3]):
        mine = np.lib.stride_tricks.as_strided(x, x.shape, x.strides)
        check(function, mine)
        found, numpys = mine.copy("K"), mine.copy("K")
        assert np.shares_memory(jit(function)(found)[0], found) == np.shares_memory(
            function(numpys)[0], numpys
        )
        check(lambda x: x[0, 0].view() if x.ndim > 1 else x[0].view(), mine)
