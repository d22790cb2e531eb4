"""What a mask selects, where only data can tell how many elements that is."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from in_place import check as check_exactly
from in_place import quietly, same  # noqa: F401

from tracejit import host, jit
from tracejit.config import config
from tracejit.errors import UnsupportedError

check = partial(check_exactly, calls=1, nearly=True)


def sample(shape, dtype="f8", seed=0):
    values = np.random.default_rng(seed).integers(-9, 10, shape)
    if np.dtype(dtype).kind == "c":
        values = values + 1j * np.roll(values, 1)
    result = (values / 4 if np.dtype(dtype).kind in "fc" else abs(values)).astype(dtype)
    return result


X, Y = sample(50), sample(50, seed=1)
X_NAN = np.where(X == X[3], np.nan, X)
VECTORS = [X, X[:0], X[:1], np.full(7, -3.0), np.full(7, 3.0), X_NAN, np.full(4, np.nan)]

REDUCTIONS = [
    lambda x: x[x > 0].sum(),
    lambda x: x[x > 0].mean(),
    lambda x: np.mean(x[x > 0]),
    lambda x: (x[x > 0].std(), x[x > 0].var(ddof=1)),
    lambda x: x[x > 0].prod(),
    lambda x: x[x > 0].min(),
    lambda x: x[x > 0].max(),
    lambda x: np.amax(x[x > 0], initial=1),
    lambda x: x[x > 0].argmax(),
    lambda x: np.argmin(x[x > 0]),
    lambda x: x[~(x > 0)].argmax(),
    lambda x: np.argmax(x[x != 1]),
    lambda x: np.ptp(x[x > 0]),
    lambda x: ((x[x > 0] > 1).any(), (x[x > 0] > 1).all()),
    lambda x: x[x > 0].size,
    lambda x: len(x[x > 0]),
    lambda x: x[x > 0].shape[0],
    lambda x: np.size(x[x > 0]),
    lambda x: x[x > 0].sum() / x[x > 0].size,
    lambda x: np.count_nonzero(x[x > 0] > 1) * 1,
    lambda x: np.dot(x[x > 0], x[x > 0]),
    lambda x: x[x > 0] @ (x[x > 0] * 2),
    lambda x: np.average(x[x > 0]),
    lambda x: (np.nansum(x[x != 1]), np.nanmean(x[x != 1]), np.nanstd(x[x != 1])),
    lambda x: (np.nanprod(x[x != 1]), np.nanvar(x[x != 1], ddof=1)),
    lambda x: (x[x != 1].mean(), x[x != 1].sum()),
    lambda x: np.add.reduce(x[x > 0]),
    lambda x: x[x > 0].sum(where=x[x > 0] > 1),
    lambda x: x[x > 0].sum(initial=3, keepdims=True),
    lambda x: x[x > 0].sum(axis=0, dtype=np.float32),
    lambda x: x[x > 0].max(keepdims=True),
    lambda x: x[x > 0].sum(axis=1),
    lambda x: np.flatnonzero(x > 0).sum(),
    lambda x: np.nonzero(x > 0)[0].max(),
    lambda x: np.where(x > 0)[0].min(),
    lambda x: (np.argwhere(x > 0) * 2).sum(axis=0),
    lambda x: np.extract(x > 0, x).sum(),
    lambda x: np.compress(x > 0, x * 2).sum(),
    lambda x: x.compress(x[:1] > 0).sum() if x.size else x.sum(),
]


@pytest.mark.parametrize("number", range(len(REDUCTIONS)))
@pytest.mark.parametrize("x", VECTORS, ids=range(len(VECTORS)))
def test_reductions(number, x):
    check(REDUCTIONS[number], x)


def test_nan_extrema():
    for x in VECTORS[:5]:
        check(lambda x: np.nanmax(x[x != 1], initial=-99.0) if 0 else x[x != 1].sum(), x)
    check(lambda x: (np.nanmax(x[x != 1]), np.nanmin(x[x != 1])), X_NAN)
    check(lambda x: np.nanmax(x[x != 1]), np.full(4, np.nan))


@pytest.mark.parametrize(
    "dtype", ["?", "i1", "u1", "i4", "u8", "i8", "f2", "f4", "f8", "c8", "c16"]
)
def test_dtypes(dtype):
    x, m = sample(40, dtype), sample(40) > 0

    def reduced(x, m):
        return x[m].sum(), x[m].mean(), x[m].prod(), x[m].any(), x[m].max(), x[m].min(), x[m].var()

    def combined(x, m):
        y = x[m] + x[m] * 2
        return y.sum(), x[m].astype(np.float32).sum(), np.where(x[m] == 1, 2, x[m]).sum()

    check(reduced, x, m)
    check(combined, x, m)
    check(lambda x, m: x.__setitem__(m, x[m] + 1), x, m)
    check(lambda x, m: x.__setitem__(m, x[m] * 1.5), x, m)


def scaled(a):
    a[a > 0] *= 2


def shifted(a, b):
    a[a > b] -= b[a > b]


def function_of_selected(a, b):
    m = a > 0
    a[m] = np.sqrt(a[m]) + b[m] * 2
    a[~m] = -1


def narrowed(a):
    y = a[a > 0]
    y[y > 1] = 0
    y += 1
    z = y[y > 1]
    return y.sum(), z.sum(), len(z), a.sum()


def by_positions(a):
    where = np.where(a > 0)
    a[where] += 10
    flat = np.flatnonzero(a > 11)
    a[flat] = a[flat] / 2
    return a[where].sum()


def table(a):
    squares = np.arange(8) ** 2
    number = np.abs(a).astype(np.int64)
    return squares[number[number < 8]].sum()


def outliers(a):
    center, spread = a.mean(), a.std()
    kept = a[np.abs(a - center) < spread]
    return kept.mean(), kept.std(), kept.size


def in_place_forms(a):
    y = a[a > 0]
    np.multiply(y, 2, out=y)
    y **= 2
    y[:] = y[:] + 1
    y[...] -= 0.5
    y.fill(3) if False else None
    np.add(y, 1, out=y, where=y > 2)
    return y.sum()


def copies(a):
    y = a[a > 0]
    z, w = y.copy(), y
    a[:] = 5
    y += 1
    return y.sum(), z.sum(), w.sum(), isinstance(y, np.ndarray), y.ndim, str(y.dtype)


def swapped(a, b):
    m = a > b
    a[m], b[m] = b[m], a[m]


def interpolated(a):
    bad = a < 0
    a[bad] = np.interp(a[bad], [-3.0, 0.0], [0.0, 1.0])
    return np.clip(a[~bad], 0, 1).sum()


PROGRAMS = [
    scaled, shifted, function_of_selected, narrowed, by_positions, table, outliers, in_place_forms,
    copies, swapped, interpolated,
    lambda a: a.__setitem__(a > 0, 300),
    lambda a: a.__setitem__(a > 0, a.mean()),
    lambda a: a.__setitem__(a > 0, a[a > 0].mean()),
    lambda a: a.__setitem__(a > 0, a[a > 0][::1] if False else a[a > 0].ravel()),
    lambda a: a.__setitem__(np.isnan(a), 0),
    lambda a: (a[1:].__setitem__(a[1:] > 0, a[1:][a[1:] > 0] * 3)),
    lambda a: a[::-1].__setitem__(a > 0, 7),
    lambda a, b: (a.sum() * b[a > 0] + np.float32(2)).sum(),
    lambda a, b: (2 / b[a > 0]).sum() if True else a,
    lambda a, b: ((a[a > 0] < b[a > 0]) & (b[a > 0] > 0)).sum(),
    lambda a, b: np.where(a[a > 0] < b[a > 0], a[a > 0], 1.5).sum(),
    lambda a, b: np.select([a[a > 0] > 1, b[a > 0] > 1], [b[a > 0], 2.0], -1.0).sum(),
    lambda a, b: (abs(-b[a > 0]).sum(), (~(b[a > 0] > 1)).sum(), (b[a > 0] ** 2).sum()),
    lambda a, b: np.hypot(a[a > 0], b[a > 0]).max(),
    lambda a, b: (np.zeros_like(a[a > 0]) + 2).sum(),
    lambda a, b: np.divmod(b[a > 0], 3)[1].sum(),
    lambda a: a[a > 0].foo,
    lambda a: a[(a > 0)[:-1]],
    lambda a: a[(a > 0)[None]],
]  # fmt: skip


@pytest.mark.parametrize("function", PROGRAMS, ids=lambda f: f.__name__)
def test_programs(function):
    count = function.__code__.co_argcount
    check(function, *[X, Y][:count])
    check(function, *[-abs(X), Y][:count])


def test_weighted_average():
    check(lambda a, b: np.average(a[a > 0], weights=b[a > 0]), X, Y)
    check(lambda a, b: np.average(a[a[:, 0] > 0], 0, b[a[:, 0] > 0]), *[sample((6, 5))] * 2)


def test_powers_of_what_is_not_selected():
    def powers(x, k):
        return (x[k >= 0] ** k[k >= 0]).sum()

    check(powers, np.array([2, 3, 4]), np.array([2, -1, 0]))


MATRICES = [
    lambda a: a[a[:, 0] > 0].sum(axis=0),
    lambda a: a[a[:, 0] > 0].mean(axis=1).max(),
    lambda a: a[a[:, 0] > 0].mean(axis=(0, 1)),
    lambda a: a[a[:, 0] > 0].sum(axis=0, keepdims=True),
    lambda a: a[a[:, 0] > 0].max(axis=0),
    lambda a: a[a[:, 0] > 9].mean(axis=0),
    lambda a: a[a[:, 0] > 9].max(axis=0),
    lambda a: a[a[:, 0] > 0, 1:3].sum(),
    lambda a: a[a[:, 0] > 0, 1].sum(),
    lambda a: a[a[:, 0] > 0][:, 1].sum(),
    lambda a: a[a[:, 0] > 0, ...].sum(),
    lambda a: a[..., a > 0].sum(),
    lambda a: (a[a[:, 0] > 0] - a.mean(axis=0)).sum(axis=0),
    lambda a: (a[a[:, 0] > 0] - a.mean(axis=0, keepdims=True)).sum(axis=0),
    lambda a: a[a > 0].sum(),
    lambda a: (a[a > 0].argmax(), a[a > 1].size),
    lambda a: (a[a[:, 0] > 0] @ np.arange(5.0)).sum(),
    lambda a: a[a[:, 0] > 0].size,
    lambda a: a[a[:, 0] > 0].shape[0] * a[a[:, 0] > 0].shape[1],
    lambda a: a.__setitem__(a[:, 0] > 0, a.mean(axis=0)),
    lambda a: a.__setitem__((a[:, 0] > 0, 2), 9),
    lambda a: a.__setitem__((a[:, 0] > 0, slice(1, 3)), a[a[:, 0] > 0, 1:3] * 2),
    lambda a: a.__setitem__(a > 0, a[a > 0] * 2),
    lambda a: a.__setitem__(np.nonzero(a > 0), a[np.nonzero(a > 0)] * 2),
    lambda a: a.T.__setitem__(a.T > 0, 1),
    lambda a: (np.nonzero(a > 0)[1].sum(), np.argwhere(a > 0).sum(axis=0)),
    lambda a: a[a[:, 0] > 0][a[a[:, 0] > 0][:, 1] > 0].sum(axis=0),
    lambda a: a[a[0] > 0],
]


@pytest.mark.parametrize("number", range(len(MATRICES)))
def test_matrices(number):
    check(MATRICES[number], sample((6, 5)))


def test_cubes():
    a = sample((3, 4, 5))
    check(lambda a: a[a[..., 0] > 0].sum(axis=0), a)
    check(lambda a: a[a[..., 0] > 0].max(axis=1).min(), a)
    check(lambda a: a.__setitem__(a[..., 0] > 0, a[a[..., 0] > 0] - 1), a)


def test_unknown_sizes():
    def function(x, y):
        m = x > y
        x[m] *= 2
        return x[m].sum(), x[~m].mean(), y[m].size, np.flatnonzero(m).sum()

    compiled = jit(function)
    for n in (3, 5, 9, 17, 1000, 1, 0):
        x, y = sample(n), sample(n, seed=1)
        ours = x.copy()
        same(compiled(ours, y), function(x, y))
        same(ours, x)


@pytest.mark.parametrize(
    "function",
    [
        lambda a, b: list(a[a > 0]),
        lambda a, b: a[a > 0].tolist(),
        lambda a, b: a[b > 0, a > 0],
        lambda a, b: np.where(a[a > 0] > 1)[0].sum(),
        lambda a, b: np.add(a, b, out=a[a > 0]),
        lambda a, b: 1 if a[a > 0] else 2,
        lambda a, b: np.interp(b, a[a > 0], a[a > 0]),
    ],
)
def test_what_would_have_to_be_gathered_is_refused(function):
    with pytest.raises((UnsupportedError, TypeError)) as caught:
        jit(function, fallback="error")(X, Y)
    if isinstance(caught.value, UnsupportedError):
        assert "test_masked.py" in str(caught.value)


PACKED = [
    lambda x: np.cumsum(x[x > 0]) + np.sort(x[x > 0]),
    lambda x: x[x > 0][::-1].reshape(-1, 1) * [1, 2],
    lambda x: (x[x > 0][-1], np.flatnonzero(x > 0)[0]),
    lambda x: np.concatenate([[0], np.flatnonzero(x[1:] != x[:-1]) + 1, [x.size]]),
    lambda x: np.diff(x[x > 0]),
    lambda x: x[x > 0][:-1] + x[np.flatnonzero(x > 0)[1:]],
    lambda x: np.repeat(x[x > 0], 2),
    lambda x: x[x > 0] @ x[x > 0][::-1],
    lambda x: np.outer(x[x > 0], x).sum(axis=0),
]


@pytest.mark.parametrize("function", PACKED)
def test_one_program_packs_whatever_is_selected(function):
    jitted = jit(function, fallback="error")
    generator = np.random.default_rng(7)
    for part in (0.5, 0.9, 0.2, 0.97):
        x = np.where(generator.random(40) < part, 1.0, -1.0) * generator.normal(size=40) ** 2
        x[7] = 3.0
        expected, found = function(x), jitted(x)
        for want, have in zip(*[v if type(v) is tuple else (v,) for v in (expected, found)]):
            assert np.shape(have) == np.shape(want) and have.dtype == want.dtype
            np.testing.assert_allclose(have, want, rtol=1e-12)
    assert jitted.cache_info().misses == 1


def test_selections_of_unequal_counts_do_not_combine():
    with pytest.raises(ValueError, match="could not be broadcast"):
        jit(lambda x: x[x > 0] + x)(np.array([1.0, 2.0, -1.0]))
    jitted = jit(lambda x: x[x > 0] + x[x < 0])
    with pytest.raises(ValueError, match="could not be broadcast"):
        jitted(np.array([1.0, 2.0, 3.0, -1.0, -2.0]))
    assert jitted(np.array([1.0, 2.0, 3.0, 4.0, -2.0])).tolist() == [-1, 0, 1, 2]


GATHERED = [
    lambda a, b: a[a > 0],
    lambda a, b: (a[a > 0], b[a > 0] * 2),
    lambda a, b: a[a > 0][2:] + 1,
    lambda a, b: a[a > 0] + a[a > 0][::-1],
    lambda a, b: np.sort(a[a > 0]),
    lambda a, b: np.median(a[a > 0]) + np.percentile(a[a > 0], 30),
    lambda a, b: np.concatenate([a[a > 0], b]),
    lambda a, b: a[a > 0].cumsum(),
    lambda a, b: a[a > 0].reshape(-1, 1),
    lambda a, b: (a[a > 0][3], np.flatnonzero(a > 0)[0]),
    lambda a, b: np.outer(a[a > 0], b),
    lambda a, b: np.nonzero(a > 0),
    lambda a, b: np.argwhere(a > 0),
    lambda a, b: np.where(a[a > 0] > 1)[0].sum(),
    lambda a, b: a.reshape(5, 10)[:, a[:10] > 0].sum(axis=1),
    lambda a, b: np.unique(a[a > 0]),
    lambda a, b: a[a > 0] + b[:1],
    lambda a, b: sum(a[a > 0]) if True else a,
]


@pytest.mark.parametrize("function", GATHERED)
def test_what_is_gathered(function):
    check(function, X, Y)


RETURNED = [
    lambda x: x[x > 0],
    lambda x: (x[x > 0] * 2, x[x > 9], x[x > -99]),
    lambda x: np.nonzero(x > 0),
    lambda x: np.where(x > 0)[0],
    lambda x: np.flatnonzero(x),
    lambda x: np.argwhere(x > 0),
    lambda x: np.extract(x > 0, x) + 1,
    lambda x: x.compress(x > 0),
    lambda x: [x[x > 0], len(x[x > 0]), x],
    lambda x: {"a": x[x > 0], "b": x.reshape(4, 5)[x[:4] > 0]},
    lambda x: np.nonzero(x.reshape(4, 5) > 0),
    lambda x: np.argwhere(x.reshape(4, 5) > 0),
    lambda x: (x[x > 0].astype(np.float32), x[x > 0] > 1, x[x > 0] * 1j),
]


@pytest.mark.parametrize("number", range(len(RETURNED)))
def test_what_is_returned_is_not_compiled_for_every_count(number):
    function = RETURNED[number]
    compiled = jit(function, fallback="error")
    for seed in range(4):
        x = sample(20, seed=seed) - (5 if seed == 2 else 0)
        results, wanted = compiled(x), function(x)
        if isinstance(wanted, dict):
            results, wanted = list(results.values()), list(wanted.values())
        same(results, wanted)
    assert compiled.cache_info().misses == 1
    with config.use(reference=True):
        results = jit(function, fallback="error")(x)
        same(list(results.values()) if isinstance(results, dict) else results, wanted)


@pytest.mark.parametrize("dtype", ["?", "i1", "u1", "i4", "u8", "f2", "f4", "c8", "c16"])
def test_returned_dtypes_and_memory(dtype):
    x, m = sample((40, 3), dtype), sample(40) > 0
    check(lambda x, m: (x[m], x[~m, 1], x[x == 1]), x, m)
    check(lambda x, m: (x[m], x[m] + x[m]), x[:0], m[:0])
    (result,) = jit(lambda x, m: (x[m],))(x, m)
    assert result.flags.owndata and result.flags.writeable and result.base is None


def test_returned_of_unknown_sizes():
    compiled = jit(lambda x: (x[x > 0], np.flatnonzero(x > 1)), fallback="error")
    for n in (3, 5, 9, 17, 1000, 1, 0, 40_000):
        x = sample(n)
        same(compiled(x), (x[x > 0], np.flatnonzero(x > 1)))
    assert compiled.cache_info().misses <= 6


def test_selections_that_are_returned_twice_are_one():
    def function(x):
        y = x[x > 0]
        return y, y

    one, other = jit(function)(X)
    assert one is other


def test_counts_that_change():
    compiled = jit(lambda x: (x[x > 0] * 2, np.sort(x[x > 1])))
    for seed in range(4):
        x = sample(20, seed=seed)
        same(compiled(x), (x[x > 0] * 2, np.sort(x[x > 1])))


def _places(x):
    i = np.flatnonzero(x > 0)
    i.flat[::2] = 1
    return i, x[i]


def _both(x):
    v = x[x > 0]
    u = v[::-1]
    u += 1
    v *= 2
    u[:1] -= 3
    return v, u, v.sum(), u.sum()


def _rows(x):
    v = x.reshape(-1, 5)
    v = v[v[:, 0] > 0]
    u = v[::-1, 1:]
    u += 1
    v[:, 1] = 9
    return v, u


def _parts(x):
    v = (x + 1j)[x > 0]
    v.real[::2] = 7
    v.imag[1:] = 3
    return v, v.sum()


def _sorted(x):
    v = x[x > 0]
    v.sort()
    x[x > 0] = v
    v[:1] = 7
    return v.sum()


def _looped(x):
    v = x[x > 0]
    u = v.reshape(-1)
    for i in range(7):
        u += i
        v *= 0.5
    return v, u


def _functions(x):
    v = x[x > 0]
    np.putmask(v, v > 1, 9)
    np.copyto(v[1:], 3)
    v.flat = [1, 2]
    return v


@pytest.mark.parametrize(
    "function",
    [_places, _both, _rows, _parts, _sorted, _looped, _functions],
    ids=lambda f: f.__name__,
)
def test_what_was_gathered_is_one_memory_with_the_selection(function):
    compiled = jit(function)
    for x in (X, -abs(X) - 1, abs(X) + 1, X[:0], X):
        given = x.copy(), x.copy()
        same(compiled(given[0]), function(given[1]))
        same(*given)


@pytest.mark.parametrize(
    "function",
    [
        lambda x: np.block([[np.flatnonzero(x > 0)] * 2] * 2).sum(),
        lambda x: np.concatenate([x[x > 0][::-1], x]) * 2,
        lambda x: (x[x > 0][::-1] * 0).sum() + x,
        lambda x: (x.reshape(-1, 5)[x[:10] > 0][::-1, 1:] + 1).sum(),
        lambda x: x[:0][np.flatnonzero(x > 99) + 1],
        lambda x: np.searchsorted(np.sort(x[x > 0]), x),
        lambda x: np.searchsorted(np.sort(x[x > 0]), x, side="right"),
    ],
)
def test_nothing_was_selected_at_first(function):
    compiled = jit(function)
    for x in (-abs(X), X, -abs(X)):
        same(compiled(x), function(x))


def test_what_python_gives_for_other_counts():
    double = host(lambda v: v * 2)

    def function(x):
        v = x[x > 0]
        first = x[: (x > 1).sum()]
        w = v + np.partition(v, 0)[:1]
        v[:] = double(v)
        return v, w + double(v), first + double(first)

    compiled = jit(function)
    for seed in range(4):
        x = sample(20, seed=seed)
        same(compiled(x), function(x))


def test_a_view_that_python_gives_is_not_written():
    def function(x):
        v = x[x > 0]
        u = np.squeeze(v)
        u += 1
        return v, u

    try:
        found = jit(function)(X)
    except UnsupportedError as error:
        assert "share memory is not told" in str(error)
    else:
        same(found, function(X))


FILTERS = [
    lambda x, y, t: x > t, lambda x, y, t: (x > t) & (y < t), lambda x, y, t: ~(y == t),
    lambda x, y, t: np.isnan(x), lambda x, y, t: x != x, lambda x, y, t: x == x,
]  # fmt: skip
STEPS = [
    lambda s, o, t: s + o, lambda s, o, t: s * t, lambda s, o, t: np.maximum(s, o),
    lambda s, o, t: np.where(s > t, s, o), lambda s, o, t: -s, lambda s, o, t: abs(s) + 1,
    lambda s, o, t: s.clip(-1, t), lambda s, o, t: s.astype(np.float32) + o,
    lambda s, o, t: s[s > t] if False else s.copy(), lambda s, o, t: s.round(1),
]  # fmt: skip
ENDS = [
    lambda s, x, m: s.sum(), lambda s, x, m: s.mean(), lambda s, x, m: s.max(),
    lambda s, x, m: s.std(), lambda s, x, m: s.size, lambda s, x, m: s.argmin(),
    lambda s, x, m: x.__setitem__(m, s), lambda s, x, m: x[m].__iadd__(s).sum(),
    lambda s, x, m: s[s > 1].sum(), lambda s, x, m: (s > 0).all(),
]  # fmt: skip


@settings(max_examples=120, deadline=None)
@given(
    st.integers(0, 30),
    st.integers(0, len(FILTERS) - 1),
    st.lists(st.integers(0, len(STEPS) - 1), max_size=4),
    st.integers(0, len(ENDS) - 1),
    st.sampled_from([-9, 0, 1, 9]),
    st.booleans(),
)
def test_chains(n, filter, steps, end, t, with_nan):
    def function(x, y):
        m = FILTERS[filter](x, y, t)
        s, o = x[m], y[m]
        for step in steps:
            s = STEPS[step](s, o, t)
        return ENDS[end](s, x, m)

    x, y = sample(n), sample(n, seed=1)
    if with_nan and n:
        x[::3] = np.nan
    check(function, x, y)


SCALARS = [
    lambda x: x[x > 0].mean(),
    lambda x: x[x > 5],
    lambda x: x[None, True],
    lambda x: x[()],
]


@pytest.mark.parametrize("number", range(len(SCALARS)))
@pytest.mark.parametrize("value", [np.float64(3.0), np.array(3.0)], ids=["scalar", "0-d"])
def test_masks_without_axes(number, value):
    found, wanted = jit(SCALARS[number])(value), SCALARS[number](value)
    assert type(found) is type(wanted)
    np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("numerics", ["strict", "default"])
def test_what_rows_come_to_is_stored_and_packed(numerics):
    def packed(x):
        best, total = np.argmax(x, axis=1), x.sum(axis=1)
        return best, best[best <= 1], total, total[total > 10], best.sum(keepdims=True)

    jitted = jit(packed, numerics=numerics)
    for shape in ((5, 4), (40, 30), (1, 3)):
        x = np.arange(float(np.prod(shape))).reshape(shape) % 7
        for found, wanted in zip(jitted(x), packed(x)):
            np.testing.assert_array_equal(found, wanted)


def of_last_axes(x, m):
    x[:, m] = -1
    x[..., m[0]] = 2.5
    x[..., m] = x.dtype.type(7)
    x[:, :, m[1]] = x[0, 0, 0]
    x[1:][:, ~m] = 0
    return x


@pytest.mark.parametrize("dtype", ["f4", "i8", "c16"])
def test_masks_of_last_axes_take_numbers(dtype):
    x, m = sample((3, 4, 5), dtype), sample((4, 5)) > 0
    check(of_last_axes, x, m)
    f = jit(of_last_axes, fallback="error")
    assert [k.name for k in f.lower(x, m).module.functions].count("_operator_setitem") == 0


@pytest.mark.parametrize("index", [np.s_[:, :3], np.s_[:, :, :3], np.s_[..., :, :, :, :]])
def test_masks_of_last_axes_that_do_not_fit(index):
    def function(x, m):
        x[..., m[index[1:]]] = 1

    x, m = sample((3, 4, 5)), sample((4, 5)) > 0
    for f in (function, jit(function)):
        with pytest.raises(IndexError):
            f(x.copy(), m)


# Values one after the other for what a mask selects.


def write_listed(x, m, values):
    x[m] = values
    return x


def move(x, m, other):
    x[m] = x[other]


@pytest.mark.parametrize("shape", [(9,), (1000,), (4, 5), (3, 2, 7)])
@pytest.mark.parametrize("dtypes", [("f8", "f8"), ("i4", "f8"), ("f4", "i8"), ("u1", "?")])
def test_values_for_a_mask(shape, dtypes):
    x, m = sample(shape).astype(dtypes[0]), sample(shape) > 0.1
    f = jit(write_listed, fallback="error")
    for count in (m.sum(), m.sum() + 1, m.sum() - 1, 1):
        values = np.arange(count).astype(dtypes[1])
        wanted, found = x.copy(), x.copy()
        if count in (m.sum(), 1):
            same(f(found, m, values), write_listed(wanted, m, values))
        else:
            with pytest.raises(ValueError, match="cannot assign") as ours:
                f(found, m, values)
            with pytest.raises(ValueError, match="cannot assign") as theirs:
                write_listed(wanted, m, values)
            assert str(ours.value) == str(theirs.value)
        same(found, wanted)


def test_values_that_another_mask_selects():
    x, m = sample((100,)), sample((100,)) > 0
    f = jit(move, fallback="error")
    for other in (m[::-1].copy(), np.roll(m, 7), m):
        wanted, found = x.copy(), x.copy()
        f(found, m, other)
        move(wanted, m, other)
        same(found, wanted)
    with pytest.raises(ValueError, match="cannot assign"):
        f(x, m, m & (x > np.median(x[m])))
