"""Lookups in small tables agree with NumPy's searches."""

import numpy as np
import pytest
from numpy_calls import check, sample

import tracejit

LOOKUPS = [
    lambda x, t: np.searchsorted(t, x),
    lambda x, t: np.searchsorted(t, x, side="right"),
    lambda x, t: np.searchsorted(t, x[0, 0]),
    lambda x, t: np.searchsorted(t, 2.0, side="right"),
    lambda x, t: t.searchsorted(x),
    lambda x, t: np.searchsorted(t, x, side="middle"),
    lambda x, t: np.searchsorted(t[:0], x),
    lambda x, t: np.digitize(x, t),
    lambda x, t: np.digitize(x, t, right=True),
    lambda x, t: np.digitize(x, t[::-1]),
    lambda x, t: np.digitize(x, [-1, 0, 2]),
    lambda x, t: np.digitize(x, [2, 0, -1], right=True),
    lambda x, t: np.digitize(x, [0, 2, 1]),
    lambda x, t: np.digitize(x[0, 0], [0, 1, 2]),
    lambda x, t: np.isin(x, t),
    lambda x, t: np.isin(x, [0, 1.5], invert=True),
    lambda x, t: np.isin(x[0, 0], t),
    lambda x, t: np.isin(x, []),
]


@pytest.mark.parametrize("function", LOOKUPS)
@pytest.mark.parametrize("dtype", ["float64", "float32", "int32", "uint8"])
def test_lookups(function, dtype):
    x = sample((3, 4), dtype)
    check(function, x, np.unique(sample((6,), dtype, seed=3)))


@pytest.mark.parametrize("right", [False, True])
def test_bins_of_data_rise_or_fall_as_numpy_sees_it(right):
    x = np.array([0.5, 3.0, -7.0, np.nan, 2.0])
    jitted = tracejit.jit(lambda x, bins: np.digitize(x, bins, right))
    for bins in (
        [0.0, 1.0, 2.0, np.nan],
        [2.0, 1.0, 1.0, 0.0],
        [1.0, 1.0, 1.0, 1.0],
        [0.0, 2.0, 1.0, 3.0],
        [3.0, 1.0, 2.0, 0.0],
    ):
        table = np.array(bins)
        try:
            wanted = np.digitize(x, table, right)
        except ValueError as error:
            with pytest.raises(ValueError, match=str(error)):
                jitted(x, table)
            continue
        np.testing.assert_array_equal(jitted(x, table), wanted)
        known = tracejit.jit(lambda x, bins=bins: np.digitize(x, bins, right))
        np.testing.assert_array_equal(known(x), wanted)


def test_positions_in_shapes_are_of_integers():
    for function in (
        lambda x: np.ravel_multi_index((x, x), (6, 7)),
        lambda x: np.unravel_index(x, (6, 7)),
    ):
        with pytest.raises(TypeError, match="only int indices permitted"):
            tracejit.jit(function)(np.ones(3))


def test_lookups_of_nan():
    x = np.array([[np.nan, 1.0, np.inf, -np.inf]])
    for table in ([0.0, 1.0, np.nan], [0.0, 1.0, np.inf], [np.nan, np.nan]):
        for side in ("left", "right"):
            check(lambda x, t, side=side: np.searchsorted(t, x, side), x, np.array(table))
        check(lambda x, t: np.isin(x, t), x, np.array(table))


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("dtype", ["float32", "int16", "uint64"])
def test_searches_in_tables_of_any_size(side, dtype):
    rng = np.random.default_rng(0)
    search = tracejit.jit(lambda t, x: np.searchsorted(t, x, side))
    x = rng.integers(0, 99, (3, 50)).astype(dtype)
    sizes = [1, 2, 3, 4, 5, 7, 8, 9, 1023, 1024, 1025, 5000]
    for n in [*sizes, *range(20, 40)]:  # after a while, one program for all of them
        table = np.sort(rng.integers(0, 99, n)).astype(dtype)
        np.testing.assert_array_equal(search(table, x), np.searchsorted(table, x, side))
    assert search.cache_info().misses <= len(sizes) + 4


SORTERS = [
    lambda t, x, order: np.searchsorted(t, x, sorter=order),
    lambda t, x, order: t.searchsorted(x, "right", order),
    lambda t, x, order: np.searchsorted(t, x, sorter=order[:2]),
    lambda t, x, order: np.searchsorted(t, x, sorter=order * 1.0),
    lambda t, x, order: np.searchsorted(t, x, sorter=order[None]),
]


@pytest.mark.parametrize("function", SORTERS)
def test_tables_that_another_array_sorts(function):
    table = np.random.default_rng(0).permutation(40) * 0.5
    check(function, table, np.linspace(-3, 30, 25), np.argsort(table))


@pytest.mark.parametrize("falling", [False, True])
@pytest.mark.parametrize("right", [False, True])
def test_many_bins(falling, right):
    bins = np.linspace(-3, 3, 3000)[:: -1 if falling else 1].copy()
    check(lambda x, b: np.digitize(x, b, right), np.random.default_rng(0).normal(size=99), bins)


INDICES = [
    lambda x: np.unravel_index(np.argmax(x), x.shape),
    lambda x: np.unravel_index(np.argmax(x, axis=1), (3, 4)),
    lambda x: np.unravel_index(np.argmax(x), x.shape, order="F"),
    lambda x: np.unravel_index(x, x.shape),
    lambda x: np.ravel_multi_index(np.unravel_index(np.argmin(x), x.shape), x.shape),
    lambda x: np.ravel_multi_index((x.astype(int), x.astype(int)), (9, 7), mode="wrap"),
    lambda x: np.ravel_multi_index((x.astype(int), x.astype(int)), (2, 3), mode=("clip", "wrap")),
    lambda x: np.ravel_multi_index((abs(x.astype(int)), [1, 0, 2, 0]), (5, 3), order="F"),
]


@pytest.mark.parametrize("function", INDICES)
def test_indices(function):
    check(function, sample((3, 4)))


HISTOGRAMS = [
    lambda x: np.histogram(x),
    lambda x: np.histogram(x, bins=3),
    lambda x: np.histogram(x, bins=5, range=(-2, 2)),
    lambda x: np.histogram(x, bins=5, range=(1, 1)),
    lambda x: np.histogram(x, bins=5, range=(2, 1)),
    lambda x: np.histogram(x, bins=[-2, 0, 1, 4]),
    lambda x: np.histogram(x, bins=[-2, 1, 0, 4]),
    lambda x: np.histogram(x, bins=0),
    lambda x: np.histogram(x, bins=200),
    lambda x: np.histogram(x, bins=2000, range=(-1, 2)),
    lambda x: np.histogram(x, 199, density=True),
    lambda x: np.histogram(x, 170, weights=np.ones(x.shape, int)),
    lambda x: np.histogram(x, 170, weights=x * 2, range=(0, 3)),
    lambda x: np.histogram(x[:0], bins=180),
    lambda x: np.histogram(x, bins=np.arange(-90, 90)),
    lambda x: np.histogram(x, 4, density=True),
    lambda x: np.histogram(x, 4, weights=x * 2),
    lambda x: np.histogram(x, 4, weights=np.ones(x.shape, int), range=(0, 3)),
    lambda x: np.histogram(x[:1, :1]),
    lambda x: np.histogram(x[:0], range=None),
]


@pytest.mark.parametrize("function", HISTOGRAMS)
@pytest.mark.parametrize("dtype", ["float64", "float32", "int32"])
def test_histograms(function, dtype):
    check(function, sample((5, 8), dtype))
    if dtype != "int32":
        noise = np.random.default_rng(5).standard_normal((5, 8)).astype(dtype)
        check(function, noise)


def test_counts_of_data_outgrow_the_program():
    jitted = tracejit.jit(lambda x, w: (np.bincount(x), np.bincount(x, w, 5)))
    generator = np.random.default_rng(3)
    for most in (3, 10, 7, 11, 300, 5, 0):
        x = generator.integers(0, most + 1, 100)
        x[17] = most
        w = generator.normal(size=100)
        for _ in range(2):
            counts, sums = jitted(x, w)
            np.testing.assert_array_equal(counts, np.bincount(x))
            assert counts.dtype == np.int64 and sums.dtype == np.float64
            np.testing.assert_allclose(sums, np.bincount(x, w, 5), rtol=1e-12, atol=1e-14)
    # The program is made anew where a number is beyond the room that it has, which doubles.
    assert jitted.cache_info().misses <= 4


def test_counts_of_data_and_writes():
    def function(x, out):
        out += 1
        counts = np.bincount(x)
        out[: counts.size] += counts
        return out.sum()

    jitted = tracejit.jit(function)
    for most in (3, 20, 4, 33):
        x, ours, theirs = np.array([0, 1, most]), np.zeros(40, int), np.zeros(40, int)
        assert jitted(x, ours) == function(x, theirs)
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("dtype", ["i1", "i2", "i4", "u1", "u2", "u4", "i8"])
def test_counts_of_data_of_dtypes(dtype):
    x = np.array([3, 1, 1, 0, 5], dtype)
    jitted = tracejit.jit(lambda x: np.bincount(x, minlength=2) * 2)
    np.testing.assert_array_equal(jitted(x), np.bincount(x, minlength=2) * 2)
    np.testing.assert_array_equal(jitted(x[::2]), np.bincount(x[::2], minlength=2) * 2)


def test_counts_of_data_that_numpy_refuses():
    jitted = tracejit.jit(lambda x: np.bincount(x))
    assert jitted(np.array([1, 2])).tolist() == [0, 1, 1]
    with pytest.raises(ValueError, match="negative"):
        jitted(np.array([1, -2]))
    with pytest.raises(TypeError):
        jitted(np.array([1.0, 2.0]))
    assert jitted(np.zeros(0, int)).tolist() == []


def test_positions_outside_of_a_shape_are_refused():
    unravel = tracejit.jit(lambda i: np.unravel_index(i, (3, 4)))
    ravel = tracejit.jit(lambda i, j: np.ravel_multi_index((i, j), (3, 4)))
    inside = np.array([0, 11])
    for found, wanted in zip(unravel(inside), np.unravel_index(inside, (3, 4))):
        np.testing.assert_array_equal(found, wanted)
    assert unravel(np.int64(7)) == (1, 3)
    assert ravel(np.array([2]), np.array([3])) == [11]
    for outside in (-1, 12):
        with pytest.raises(ValueError, match="invalid entry"):
            unravel(np.array([0, outside]))
    for i, j in ((3, 0), (-1, 0), (0, 4)):
        with pytest.raises(ValueError, match="invalid entry"):
            ravel(np.array([i]), np.array([j]))


Y, Z = np.random.default_rng(3).normal(size=(2, 300))
HISTOGRAMS = [
    lambda x, y: np.histogram2d(x, y),
    lambda x, y: np.histogram2d(x, y, bins=5, weights=abs(x)),
    lambda x, y: np.histogram2d(x, y, bins=[4, 6], range=[[-1, 1], [-2, 2]]),
    lambda x, y: np.histogram2d(x, y, bins=np.linspace(-2, 2, 7)),
    lambda x, y: np.histogram2d(x, y, bins=[np.linspace(-1, 1, 4), 5], density=True),
    lambda x, y: np.histogram2d((x * 4).astype(int), y.astype("f4")),
    lambda x, y: np.histogram2d(x * 0 + 1, y),
    lambda x, y: np.histogram2d(x[:0], y[:0]),
    lambda x, y: np.histogramdd(np.stack([x, y, x * y], 1), bins=4),
    lambda x, y: np.histogramdd((x, y), bins=(3, 4)),
    lambda x, y: np.histogram2d(np.where(x > 1, np.nan, x), y, range=[[-1, 1], [-1, 1]]),
    lambda x, y: np.histogram2d(np.where(x > 1, np.nan, x), y),
    lambda x, y: np.histogram(x / (x > 9)),
    lambda x, y: np.histogram2d(x, y[:4]),
    lambda x, y: np.histogram2d(x, y, bins=(3, 4, 5)),
    lambda x, y: np.nanargmax(np.where(x > 1, np.nan, x)),
    lambda x, y: np.nanargmin(np.stack([x, np.where(y < 0, np.nan, y)]), axis=1),
    lambda x, y: np.nanargmax(np.stack([x, x * np.nan]), axis=0, keepdims=True),
    lambda x, y: np.nanargmax(np.stack([x, x * np.nan]), axis=1),
    lambda x, y: np.nanargmin(x * np.nan),
]


@pytest.mark.parametrize("function", HISTOGRAMS)
@pytest.mark.filterwarnings("ignore")
def test_histograms_of_points_and_what_has_no_range(function):
    jitted = tracejit.jit(function, fallback="error")
    with np.errstate(all="ignore"):
        for _ in range(2):
            try:
                wanted = function(Y, Z)
            except ValueError as error:
                with pytest.raises(ValueError) as info:
                    jitted(Y, Z)
                assert str(info.value) == str(error)
                continue
            for a, b in zip(np.atleast_1d(*flat(wanted)), np.atleast_1d(*flat(jitted(Y, Z)))):
                np.testing.assert_allclose(b, a, 1e-12, strict=True)


def flat(result):
    """The arrays of a result: two at least, so that NumPy gives a sequence of them."""
    parts = result if isinstance(result, tuple) else (result,)
    return [0, *[x for part in parts for x in (part if isinstance(part, list) else [part])]]


def test_bits():
    bits = np.random.default_rng(0).random((5, 19)) > 0.5
    octets = np.packbits(bits)[:12].reshape(3, 4)
    for order in ("big", "little"):
        for axis in (None, 0, -1):
            check(lambda b, a=axis, o=order: np.packbits(b, a, o), bits, exact=True)
            check(
                lambda b, a=axis, o=order: np.packbits(b * 3, axis=a, bitorder=o), bits, exact=True
            )
            for count in (None, 5, 40, -3, 0, -99):
                check(
                    lambda u, a=axis, o=order, c=count: np.unpackbits(u, a, c, o),
                    octets,
                    exact=True,
                )
    for function in (
        lambda b: np.packbits(b[:0], axis=1),
        lambda b: np.packbits(b * 1.0),
        lambda b: np.unpackbits(b),
        lambda b: np.packbits(b, bitorder="none"),
    ):
        check(function, bits, exact=True)


@pytest.mark.parametrize("bins", [1, 5, 200])
def test_ranges_that_have_no_room_for_bins_are_numpys_to_refuse(bins):
    f = tracejit.jit(lambda x: np.histogram(x, bins))
    for values in ([1.0, 1.0 + 2e-16], [0.0, 5e-324], [1e308, -1e308], [1e300, 1e300], [1.0, 2.0]):
        x = np.array(values)
        with np.errstate(all="ignore"):
            try:
                wanted = np.histogram(x, bins)
            except (ValueError, IndexError) as error:
                with pytest.raises(type(error)):
                    f(x)
            else:
                for have, want in zip(f(x), wanted):
                    np.testing.assert_array_equal(have, want)


def test_edges_that_fall_are_numpys_to_refuse():
    f = tracejit.jit(lambda x, edges: np.histogram(x, edges)[0])
    x = np.array([0.5, 1.5, 1.0])
    for edges in ([0.0, 1.0, 2.0], [0.0, 1.0, 1.0, 2.0], [0.0, np.nan, 2.0]):
        np.testing.assert_array_equal(f(x, np.array(edges)), np.histogram(x, edges)[0])
    with pytest.raises(ValueError, match="monotonically"):
        f(x, np.array([0.0, 2.0, 1.0]))
