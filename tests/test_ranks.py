"""Medians, quantiles and partitions: what is read off the elements of rows by their rank."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from combinations import each, pairs
from test_linalg import agree, calls_of_python

from tracejit import jit, sizes
from tracejit.ir.ops.ranks import SHORT

SIZES = [5, 6, SHORT - 1, 2000, 40001]
DTYPES = ["f4", "f8", "f2", "i4", "i8", "u1"]
KINDS = ["normal", "with NaN", "in order", "few values", "misleading"]


@pytest.fixture(autouse=True)
def quietly():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def row(n, dtype, kind):
    rng = np.random.default_rng(n)
    x = (rng.normal(size=n) * 50).astype(dtype)
    match kind:
        case "with NaN" if x.dtype.kind == "f":
            x[rng.integers(0, n, max(1, n // 100))] = np.nan
        case "in order":
            x.sort()
        case "few values":
            x = (x % 3).astype(dtype)
        case "misleading" if n > SHORT:  # what a sample shows is nowhere else
            x[:] = 7
            x[n // 2 :: 2] = rng.integers(0, 100, x[n // 2 :: 2].size).astype(dtype)
    return x


ELEMENTS = [
    lambda x: np.median(x),
    lambda x: np.quantile(x, [0.25, 0.5, 0.75]),
    lambda x: np.percentile(x, 99),
    lambda x: np.nanmedian(x),
    lambda x: np.nanpercentile(x, [10, 90.0]),
    lambda x: np.nanquantile(x, 0.3),
]


@pytest.mark.parametrize("number, dtype, n", pairs(range(len(ELEMENTS)), DTYPES, SIZES))
def test_elements(number, dtype, n):
    """To the last bit where the order of sums is NumPy's."""
    function = ELEMENTS[number]
    compiled = jit(function, numerics="strict")
    for kind in KINDS:
        x = row(n, dtype, kind)
        agree(compiled(x), function(x))
    if not (number == 2 and dtype == "f2"):  # its dtype depends on whether there is a NaN
        assert not calls_of_python(compiled, row(60, dtype, "normal"))


@pytest.mark.parametrize("function, dtype", each(ELEMENTS, DTYPES[1:] + DTYPES[:1]))
def test_elements_of_unknown_sizes(function, dtype, monkeypatch):
    monkeypatch.setattr(sizes, "CONCRETE_SHAPES", 1)
    compiled = jit(function, numerics="strict")
    for n in SIZES[1:]:
        for kind in KINDS:
            x = row(n, dtype, kind)
            agree(compiled(x), function(x))


@pytest.mark.parametrize("dtype, where, n", pairs(DTYPES, [0.3, 0.0, 0.999, -0.4], SIZES))
def test_partitions(dtype, where, n):
    rank = int(where * n)
    part = jit(lambda x: np.partition(x, rank))
    order = jit(lambda x: np.argpartition(x, rank))
    for kind in KINDS:
        x = row(n, dtype, kind)
        found, places = part(x), order(x)
        assert (found.dtype, places.dtype) == (x.dtype, np.dtype(np.intp))
        np.testing.assert_array_equal(np.sort(places), np.arange(n))
        for parted in (found, x[places]):
            is_partition(parted, x, [rank])
    assert not calls_of_python(part, x) + calls_of_python(order, x)


def is_partition(parted, x, ranks):
    in_order = np.sort(x)
    np.testing.assert_array_equal(np.sort(parted), in_order)
    for rank in ranks:
        np.testing.assert_array_equal(parted[rank], in_order[rank])
        rank %= x.size
        # NaN is the greatest of all.
        before, after = np.sort(parted[:rank]), np.sort(parted[rank:])
        np.testing.assert_array_equal(np.concatenate([before, after]), in_order)


def test_of_several_ranks_and_in_place():
    def program(x):
        x[::-1].partition((3, -2, x.size // 2))
        return x

    for n in (9, 3000):
        x = row(n, "f8", "normal")
        is_partition(jit(program)(x.copy())[::-1], x, (3, -2, n // 2))


def test_rows_of_any_layout():
    x = np.random.default_rng(0).normal(size=(40, 3000))
    for function in (
        lambda x: np.median(x, axis=1),
        lambda x: np.median(x, axis=0),
        lambda x: np.quantile(x, [0.1, 0.9], axis=1),
        lambda x: np.nanquantile(x, [0.1, 0.9], axis=1, keepdims=True),
        lambda x: np.nanmedian(x, axis=(0, 1)),
    ):
        for view in (x, np.asfortranarray(x), x[:, ::-1], x[::2, ::2]):
            agree(jit(function, numerics="strict")(view), function(view))
    for view in (x, np.asfortranarray(x), x[:, ::-1], x[::2, ::2]):
        agree(jit(lambda x: np.partition(x, 100, axis=1)[:, 100])(view), np.sort(view)[:, 100])
        agree(jit(lambda x: np.argpartition(x, 5, axis=0)[5])(view), np.argsort(view, axis=0)[5])


@pytest.mark.parametrize(
    "function",
    [
        lambda x: np.partition(x, 12),
        lambda x: np.argpartition(x, (1, -13)),
        lambda x: np.partition(x, 0.5),
        lambda x: np.partition(x, 1, kind="nonsense"),
        lambda x: np.partition(x, 1, axis=2),
        lambda x: np.nanquantile(x, 1.5),
        lambda x: np.nanpercentile(x, -1),
    ],
)
def test_what_numpy_refuses(function):
    x = row(12, "f8", "normal")
    with pytest.raises(Exception) as wanted:  # noqa: B017, PT011 - whatever NumPy raises
        function(x)
    with pytest.raises(type(wanted.value)) as found:
        jit(function)(x)
    assert str(found.value) == str(wanted.value)


def test_strict_partitions_are_numpys_own():
    """What is left in no order is added up in another, and so to another last bit."""
    x = row(3000, "f8", "normal")
    compiled = jit(lambda x: np.partition(x, -100)[-100:].sum(), numerics="strict")
    agree(compiled(x), np.partition(x, -100)[-100:].sum())
    assert calls_of_python(compiled, x)
