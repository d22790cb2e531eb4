"""Orders of rows by words that hold keys and positions: NumPy's, with equal elements and without."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from combinations import pairs

from tracejit import build, jit, reference
from tracejit.ir import ops
from tracejit.ir.graph import Function, Module, parameter
from tracejit.ir.ops.packed_orders import NEAR
from tracejit.ir.types import array_type, i64, u64
from tracejit.trace.numpy import packed_orders

N = 1500
DTYPES = ["f4", "f8", "i4", "i8", "u4", "u8"]
RNG = np.random.default_rng(3)
NORMAL = RNG.standard_normal(N)
KINDS = {
    "normal": NORMAL * 1e6,
    "narrow": 1 + 1e-13 * np.abs(NORMAL),
    "two scales": np.where(RNG.random(N) < 0.5, 1 + NORMAL * 1e-15, NORMAL * 1e30),
    "few": np.round(NORMAL),
    "one": np.full(N, 3.0),
    "sorted": np.sort(NORMAL),
    "large": NORMAL * 1e15,
}


@cache
def order(kind, axis=-1):
    return jit(lambda x: np.argsort(x, kind=kind, axis=axis))


def orders(x, **options):
    return order(**options)(x), np.argsort(x, **options)


@pytest.mark.parametrize("sort", ["quicksort", "stable"])
@pytest.mark.parametrize(
    ("dtype", "kind"),
    [*[("f8", kind) for kind in KINDS], *[(d, k) for d in DTYPES for k in ("few", "large")]],
)
def test_orders_are_numpys(dtype, kind, sort):
    with np.errstate(all="ignore"):
        x = KINDS[kind].astype(dtype)
    found, expected = orders(x, kind=sort)
    assert found.dtype == expected.dtype and np.array_equal(found, expected)


@pytest.mark.parametrize("sort", ["quicksort", "stable"])
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_nan_is_last_and_zeros_are_equal(dtype, sort):
    x = NORMAL.astype(dtype)
    x[[5, 700, 9]] = [np.nan, -np.nan, np.inf]
    x[[11, 12, 13, 14]] = [0.0, -0.0, 0.0, -0.0]
    x[20] = -np.inf
    assert np.array_equal(*orders(x, kind=sort))


def test_extremes_of_integers():
    for dtype in ("i8", "u8", "i4", "u4"):
        x = RNG.integers(0, 1 << 20, N).astype(dtype) * 3
        x[[4, 9]] = np.iinfo(dtype).min, np.iinfo(dtype).max
        assert np.array_equal(*orders(x, kind="stable")), dtype


def test_rows_along_any_axis():
    x = np.stack([KINDS["normal"], KINDS["two scales"], KINDS["few"]])
    for sort in ("quicksort", "stable"):
        assert np.array_equal(*orders(x, axis=1, kind=sort))
        assert np.array_equal(*orders(np.ascontiguousarray(x.T), axis=0, kind=sort))
        assert np.array_equal(*orders(x[:2].reshape(2, 3, N // 3)[:, ::-1], kind=sort, axis=2))


def test_what_is_gathered_by_it():
    x = np.stack([NORMAL, np.arange(N) * 1.0], axis=1)
    assert np.array_equal(jit(lambda x: x[np.argsort(x[:, 0])])(x), x[np.argsort(x[:, 0])])
    assert np.array_equal(*[f(NORMAL) for f in (jit(np.unique), np.unique)])


def test_that_words_are_sorted():
    text = str(jit(lambda x: np.argsort(x)).trace(NORMAL).module)
    assert "settle_order" in text and "order_by_numpy" in text
    assert "settle_order" not in str(
        jit(np.argsort).trace(NORMAL[: packed_orders.LEAST - 1]).module
    )
    assert "branch" not in str(jit(lambda x: np.argsort(x, kind="stable")).trace(NORMAL).module)


def words_of(tops, positions, bits):
    return (np.asarray(tops, np.uint64) << np.uint64(bits)) | np.asarray(positions, np.uint64)


@cache
def program(op, shapes, bits):
    types = [array_type(shape, dtype) for shape, dtype in zip(shapes, (u64, i64, i64))]
    inputs = tuple([parameter(f"x{k}", type) for k, type in enumerate(types)])
    module = Module(Function("f", inputs, (op(*inputs, bits=bits),)))
    return module, build(module)


def both(op, *arrays, bits):
    """What native code gives, and what NumPy does."""
    module, compiled = program(op, tuple([a.shape for a in arrays]), bits)
    return compiled(*arrays), reference(module, *arrays)


@pytest.mark.parametrize("length", [1, 2, 63, 64, 65, 130, 300])
def test_runs_are_settled_wherever_they_are(length):
    rng = np.random.default_rng(length)
    n = 400
    for first in (0, 1, 62, 63, 64, n - length):
        tops = np.arange(n)
        tops[first : first + length] = tops[min(first, n - 1)]
        positions = rng.permutation(n)
        keys = np.zeros(n, np.int64)
        keys[positions] = np.arange(n) // 3
        keys[positions[first : first + length]] = rng.integers(
            0, 5, len(positions[first : first + length])
        )
        words = words_of(tops, positions, 9)
        for dropped in (0, 3):
            native, expected = both(
                ops.settle_order, words, keys, np.int64(dropped) * np.ones((), np.int64), bits=9
            )
            assert np.array_equal(native, expected)
        native, expected = both(ops.ties_in_order, words, keys, np.ones((), np.int64), bits=9)
        assert native == expected
        run = keys[positions[first : first + length]]
        assert (native > 0) == (np.unique(run).size < run.size or run.size > NEAR)


@pytest.mark.parametrize(
    "step, dtype, how", pairs([1, 2, -1, -3], ["f8", "i8", "f4"], ["stable", None, "columns"])
)
def test_keys_apart_in_memory(step, dtype, how):
    """Keys of a wide range lack bits; NumPy's function, which settles them, wants them side by side."""
    rng = np.random.default_rng(0)
    x = np.round(rng.standard_normal(2100) * 8).astype(dtype)
    x[::50] *= 1 << 20
    x = x[::step][:700]
    if how != "columns":
        np.testing.assert_array_equal(*orders(x, kind=how))
    else:
        columns = np.ascontiguousarray(x).reshape(1, 700).repeat(3, 0).T
        np.testing.assert_array_equal(*orders(columns, axis=0, kind="stable"))
