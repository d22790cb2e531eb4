"""Irregular functions of arrays whose sizes keep changing: one program for all, without Python, equal to NumPy."""

import numpy as np
import pytest

import tracejit
from tracejit import sizes
from tracejit.ir.dims import bind, highest, lowest, symbol

RNG = np.random.default_rng(0)
SIZES = (300, 410, 530, 670, 8, 9, 17, 64, 65, 128, 1000, 4097)


def numbers(n):
    return RNG.standard_normal(n)


def whole(n):
    return RNG.integers(0, 50, n)


# What it computes, and its arguments of a size.
PROGRAMS = {
    "searchsorted": (lambda t, x: np.searchsorted(np.sort(t), x), numbers, numbers),
    "searchsorted right": (lambda t, x: np.searchsorted(np.sort(t), x, "right"), whole, whole),
    "searchsorted of a selection": (lambda t, x: np.searchsorted(np.sort(t[t > 0]), x), numbers, numbers),
    "digitize": (lambda x, t: np.digitize(x, np.sort(t)), numbers, numbers),
    "bincount": (lambda x: np.bincount(x), whole),
    "bincount with weights": (lambda x, w: np.bincount(x, w), whole, numbers),
    "bincount of many": (lambda x: np.bincount(x, minlength=64), whole),
    "group means": (lambda x, w: np.bincount(x, w) / np.bincount(x).clip(1), whole, numbers),
    "unique": (lambda x: np.unique(x), whole),
    "unique with all": (lambda x: np.unique(x, True, True, True), whole),
    "unique of floats": (lambda x: np.unique(np.round(x, 1), return_counts=True), numbers),
    "isin": (lambda x, y: np.isin(x, y[::7]), whole, whole),
    "isin of floats": (lambda x, y: np.isin(np.round(x, 1), np.round(y, 1)), numbers, numbers),
    "intersect1d": (lambda x, y: np.intersect1d(x, y[::5]), whole, whole),
    "setdiff1d": (lambda x, y: np.setdiff1d(x, y[::5]), whole, whole),
    "setxor1d": (lambda x, y: np.setxor1d(x[::3], y[::5]), whole, whole),
    "union1d": (lambda x, y: np.union1d(x, y + 20), whole, whole),
    "repeat": (lambda x, n: np.repeat(x, n % 4), numbers, whole),
    "repeat rows": (lambda x, n: np.repeat(np.stack([x, -x], 1), n % 3, axis=0), numbers, whole),
    "bincount of as many": (lambda x, y: np.bincount(np.argsort(np.argsort(x)) + y % 2), numbers, whole),
    "median": (lambda x: np.median(x), numbers),
    "median of ints": (lambda x: np.median(x), whole),
    "percentile": (lambda x: np.percentile(x, 90), numbers),
    "percentile of float32": (lambda x: np.percentile(x.astype("f4"), 30.5) + np.float32(1), numbers),
    "quantiles": (lambda x: np.quantile(np.where(x < -2, np.nan, x), [0, 0.25, 0.5, 1.0]), numbers),
    "quantiles of rows": (lambda x: np.quantile(np.stack([x, -x]), [0.1, 0.9], axis=1, keepdims=True), numbers),
    "spectrum": (lambda x: np.abs(np.fft.rfft(x)), numbers),
    "halves": (lambda x: (x[x.size // 2], x[len(x) // 2 :], x[: -len(x) // 4], np.sort(x)[(len(x) - 1) // 2]), numbers),
    "partition": (lambda x: (np.sort(np.partition(x, -5)[-5:]), np.sort(np.partition(x, x.size // 2))), numbers),
    "argpartition": (lambda x: np.sort(x[np.argpartition(x, 6)[:6]]), numbers),
    "quantiles by other methods": (
        lambda x: [np.quantile(x, [0, 0.3, 1.0], method=m) for m in ("hazen", "midpoint", "nearest", "inverted_cdf")],
        numbers,
    ),
    "many quantiles": (lambda x: np.quantile(np.where(x < -3, np.nan, x), np.linspace(0, 1, 9)), numbers),
    "without nan": (lambda x: (np.nanmedian(np.where(x > 1, np.nan, x)), np.nanquantile(np.where(x > 0, np.nan, x), [0.2, 0.9])), numbers),
    "selections side by side": (lambda x: np.concatenate([x[x > 0], x[x < -1]]), numbers),
    "sorted selection": (lambda x: np.sort(x[x > 0]), numbers),
    "nonzero of rows": (lambda x: np.nonzero(x[:8].reshape(2, 4) > 0), numbers),
}  # fmt: skip


def is_alike(got, wanted):
    if isinstance(wanted, tuple | list):
        return len(got) == len(wanted) and all(map(is_alike, got, wanted))
    alike = got.dtype == wanted.dtype and got.shape == wanted.shape
    tolerance = 1e-6 if wanted.dtype == np.float32 else 1e-12
    return alike and np.allclose(got, wanted, rtol=tolerance, atol=tolerance, equal_nan=True)


@pytest.mark.parametrize("name", PROGRAMS)
def test_one_program_for_all_sizes(name, monkeypatch):
    monkeypatch.setattr(sizes, "CONCRETE_SHAPES", 1)
    function, *makers = PROGRAMS[name]
    f = tracejit.jit(function)
    for n in SIZES:
        arguments = [make(n) for make in makers]
        assert is_alike(f(*arguments), function(*arguments)), n
    compiles = f.cache_info().misses
    for n in (555, 666, 777):
        f(*[make(n) for make in makers])
    assert f.cache_info().misses == compiles
    assert not tracejit_calls(f)


def tracejit_calls(f):
    """The Python functions that the programs for all sizes call."""
    entries = [entry for found in f._compiler._sizes._entries.values() for entry in found]
    assert entries
    return [node for entry in entries for node in entry.program.host_calls]


def test_parts_of_selections():
    """How many elements are told by data, and a third of these."""

    def function(x):
        found = np.nonzero(x > 0)[0]
        return np.isin(found, found[::3]), np.searchsorted(np.sort(x), found)

    f = tracejit.jit(function)
    for n in (7, 20, 41, 300, 67, 9, 64):
        x = numbers(n)
        assert is_alike(f(x), function(x))


def test_bounds_of_quotients():
    """Extents with quotients of what data tells lie between the bounds they are known to have."""
    n = symbol("n")
    selected = symbol("selected", 0, n)
    for a, b, c, d in RNG.integers(-3, 6, (500, 4)).tolist():
        extent = (selected * a + n * d + b) // (abs(b) + 1) * c + (n * 2) // 3
        low, high = lowest(extent), highest(extent)
        for size in (8, 9, 20):
            for count in (0, 1, size // 2, size):
                value = bind(extent, {"n": size, "selected": count})
                assert low is None or low <= value
                assert high is None or value <= bind(high, {"n": size})
    for a, b, c in RNG.integers(-4, 5, (300, 3)).tolist():
        extent = (n * a + b) // (abs(c) + 2) * c - n // 2 * b + n * a + c
        low = lowest(extent)
        assert low is None or all(low <= bind(extent, {"n": size}) for size in (8, 9, 11, 30, 31))
    assert [lowest(n - 1 - n // 2), lowest(n - 2 * (n // 2)), lowest(n // 2 - n // 4)] == [3, 0, 2]
    third = (selected + 2) // 3
    assert (lowest(third), highest(third)) == (0, (n + 2) // 3)
