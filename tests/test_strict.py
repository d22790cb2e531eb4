"""`numerics="strict"`: sums and products in NumPy's order, to the last bit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from programs import examples

import tracejit
from tracejit.config import config
from tracejit.ir import numpy_code
from tracejit.ir.iteration import dense_strides, iteration_order, sweep_of
from tracejit.lower import machine
from tracejit.lower.tensor import parallelize

EXTENTS = st.sampled_from([1, 2, 3, 7, 8, 9, 40, 130, 300])


def strict(function):
    return tracejit.jit(function, numerics="strict")


def numbers(shape, dtype, seed=0):
    rng = np.random.default_rng(seed)
    values = rng.normal(size=shape) * 3
    return (values + 1j * rng.normal(size=shape) if np.dtype(dtype).kind == "c" else values).astype(
        dtype
    )


def same(function, *arrays):
    with np.errstate(all="ignore"):
        wanted, found = function(*arrays), strict(function)(*arrays)
    assert found.dtype == wanted.dtype and found.shape == wanted.shape
    np.testing.assert_array_equal(found, wanted)
    np.testing.assert_array_equal(np.signbit(found.real), np.signbit(wanted.real))


@st.composite
def arrays(draw, most=40_000):
    """Arrays of any layout: whole, parts, reversed, and turned."""
    shape = draw(st.lists(EXTENTS, min_size=1, max_size=3).filter(lambda s: np.prod(s) <= most))
    steps = draw(st.lists(st.sampled_from([1, 1, 2, -1]), min_size=3, max_size=3))
    dtype = draw(st.sampled_from(["f2", "f4", "f8", "c8", "c16"]))
    whole = numbers([2 * n for n in shape] if draw(st.booleans()) else shape, dtype)
    parts = [
        slice(0, s * n, s) if s > 0 and s * n <= m else slice(n - 1, None, -1)
        for s, n, m in zip(steps, shape, whole.shape)
    ]
    return np.transpose(whole[tuple(parts)], draw(st.permutations(range(len(shape)))))


def axes_of(draw, x):
    chosen = draw(st.sets(st.integers(0, x.ndim - 1), min_size=1))
    return draw(st.sampled_from([None, tuple(sorted(chosen))]))


FUNCTIONS = {
    "sum": lambda x, axes: x.sum(axis=axes),
    "kept": lambda x, axes: np.sum(x - 1, axis=axes, keepdims=True),
    "mean": lambda x, axes: x.mean(axis=axes),
    "var": lambda x, axes: np.var(x, axis=axes),
    "std": lambda x, axes: x.std(axis=axes, ddof=1),
    "twice": lambda x, axes: (x + x.sum(axis=axes, keepdims=True)).sum(axis=-1),
    "sums of sums": lambda x, axes: (x.sum(axis=axes) * 2).sum(),
    "turned": lambda x, axes: (x.T + 1).sum(axis=0),
    "part": lambda x, axes: x[..., 1:].sum(axis=axes),
    "flat": lambda x, axes: x.reshape(-1).sum(),
    "spread": lambda x, axes: np.broadcast_to(x, (2, *x.shape)).sum(axis=0),
    "nan": lambda x, axes: np.nansum(np.where(np.abs(x) > 4, np.nan, x), axis=axes),
}


@pytest.mark.parametrize("name", FUNCTIONS)
@examples(25)
@given(data=st.data())
def test_sums(name, data):
    x = data.draw(arrays())
    axes = axes_of(data.draw, x)
    same(lambda x: FUNCTIONS[name](x, axes), x)


@examples(25)
@given(data=st.data())
def test_products_and_running_sums(data):
    x = data.draw(arrays())
    x = x if x.dtype.kind == "f" else x.real  # NumPy rounds complex products as its vectors allow
    axes = axes_of(data.draw, x)
    same(lambda x: x.prod(axis=axes), x)
    same(lambda x: np.cumsum(x, axis=-1), x)
    same(lambda x: np.cumprod(x, axis=0), x)


@pytest.mark.parametrize("dtype", ["f2", "f4", "i4", "?"])
@pytest.mark.parametrize("shape", [(20_000,), (3, 9000), (30, 40, 50)])
def test_what_is_cast_masked_or_begun(dtype, shape):
    x, mask = numbers(shape, dtype), numbers(shape, "f8", 1) > -0.5
    for axis in (None, 0, -1):
        same(lambda x: x.sum(axis, dtype="f8"), x)
        same(lambda x: x.mean(axis=axis), x)
        same(lambda x: np.var(x, axis=axis), x)
        if x.dtype.kind == "f":
            same(lambda x, m: np.sum(x, axis=axis, where=m, initial=1.5), x, mask)
            same(lambda x, m: np.mean(x, axis=axis, where=m), x, mask)
            same(lambda x: np.add.reduce(x, axis=axis, initial=2), x)


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", "c16"])
def test_zeros_and_empty_arrays(dtype):
    zero = -np.zeros((3, 20), dtype)
    for x in (zero, zero[:1], zero[:, :1], zero[:0], zero[:, :0], zero[0]):
        for axis in (None, 0, -1):
            same(lambda x: x.sum(axis=axis), x)
            same(lambda x: x.prod(axis=axis), x)


def test_special_values_stay():
    x = np.array([1.0, np.inf, 2.0, -np.inf, np.nan] * 60)
    same(lambda x: np.stack([x.sum(), x[:2].sum(), x[:4].sum(), x[3:5].prod()]), x)


def test_sizes_that_change():
    function = strict(lambda x: (x * x).sum(axis=1) + x.T.sum(axis=0) + x.sum(axis=0).sum())
    for n in (3, 140, 141, 530, 1000):
        x = numbers((n, n + 17), "f4")
        for given_x in (x, np.asfortranarray(x)):
            wanted = (
                (given_x * given_x).sum(axis=1) + given_x.T.sum(axis=0) + given_x.sum(axis=0).sum()
            )
            np.testing.assert_array_equal(function(given_x), wanted)


def test_in_loops_and_branches():
    def program(x, n):
        total = np.zeros(x.shape[1], x.dtype)
        for k in range(n):
            total += (x * (k + 1)).sum(axis=0) / x.sum()
            if total[0] > 1e3:
                total -= x.mean(axis=0)
        return total

    x = numbers((300, 7), "f4") + 1
    np.testing.assert_array_equal(strict(program)(x, 9), program(x, 9))


def test_in_threads(monkeypatch):
    monkeypatch.setattr(machine, "WORTHWHILE", 0.0)
    monkeypatch.setattr(parallelize, "CHUNK", 1e-9)
    for shape in [(3000,), (40, 300), (6, 20, 30)]:
        x = numbers(shape, "f4")
        for axis in (None, 0, -1, tuple(range(0, len(shape), 2))):
            same(lambda x: (x * x).sum(axis=axis), x)


def test_where_numpys_loops_are_not_found(monkeypatch):
    monkeypatch.setattr(numpy_code, "IS_FOUND", [])
    x = numbers((30, 500), "f4")
    for function in (lambda x: x.sum(axis=1), lambda x: x.T.sum(axis=0), lambda x: x[:, 1:].sum()):
        assert "numpy.add.reduce" in str(strict(function).lower(x).module)
        same(function, x)


def test_other_contracts_add_up_in_their_own_order():
    x = numbers(5000, "f4")
    for numerics in ("default", "fast"):
        assert "add_in_order" not in str(tracejit.jit(np.sum, numerics=numerics).lower(x).module)
    with config.use(numerics="strict"):
        assert "add_in_order" in str(tracejit.jit(np.sum).lower(x).module)


def test_build_keeps_the_order():
    x = numbers((40, 300), "f4")
    module = tracejit.jit(lambda x: (x + 1).sum(axis=1)).trace(x).module
    np.testing.assert_array_equal(tracejit.build(module, numerics="strict")(x), (x + 1).sum(axis=1))


# How NumPy goes over arrays.


@examples(60)
@given(data=st.data())
def test_results_lie_in_memory_as_numpys(data):
    x = data.draw(arrays(2000))
    y = np.ascontiguousarray(x) if data.draw(st.booleans()) else x
    operands = [[step // a.itemsize for step in a.strides] for a in (x, y)]
    found = dense_strides(x.shape, iteration_order(x.shape, operands))
    wanted = [step // x.itemsize for step in (x + y).strides]
    assert [s for s, n in zip(found, x.shape) if n > 1] == [
        s for s, n in zip(wanted, x.shape) if n > 1
    ]


def test_how_a_reduction_sweeps():
    rows = sweep_of((4, 5, 6), (30, 6, 1), (1, 2))
    assert (rows.order, rows.extents, rows.reduced) == ((0, 1, 2), (4, 30), (False, True))
    assert rows.is_one_row
    columns = sweep_of((4, 5, 6), (1, 4, 20), (0, 2))  # of a Fortran array
    assert (columns.order, columns.extents) == ((2, 1, 0), (6, 5, 4))
    assert columns.reduced == (True, False, True)
    part = sweep_of((4, 5), (6, 1), (0, 1))  # of rows of six
    assert not part.is_one_row


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x.copy(order="F").sum(axis=2),
        lambda x: (x.T.copy() * 2).sum(axis=0),
        lambda x: np.average(np.asfortranarray(x), axis=2),
        lambda x: np.ascontiguousarray(x.T).mean(axis=0),
        lambda x: np.array(x.T, order="C").var(axis=0),
        lambda x: np.concatenate([x.T, x.T]).sum(axis=0),
        lambda x: np.stack([x.T, x.T]).sum(axis=1),
        lambda x: np.roll(x.T, 1, 0).sum(axis=0),
        lambda x: np.cumsum(x.T, axis=0).sum(axis=0),
        lambda x: np.sort(x.T, axis=0).sum(axis=0),
        lambda x: np.pad(x.T, 1).sum(axis=0),
        lambda x: x[x[:, 0, 0] > 0].sum(axis=1) + x.sum(),
    ],
)
def test_arrays_that_lie_as_numpy_has_them(function):
    x = numbers((5, 7, 9), "f8")
    for given in (x, np.asfortranarray(x), x[::-1, :, ::2], np.moveaxis(x, 0, 1)):
        same(function, given)
