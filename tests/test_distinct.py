"""Distinct elements of long vectors: by hashing where they are few, by sorting where they are not."""

from __future__ import annotations

import numpy as np
import pytest

from tracejit import build, jit
from tracejit.ir import ops
from tracejit.ir.graph import Function, Module, item, parameter
from tracejit.ir.ops.distinct import MOST, PART
from tracejit.ir.types import array_type, f64
from tracejit.trace.numpy.sets import LONG
from tracejit.trace.numpy.sorting import LONG_ROW

RNG = np.random.default_rng(7)
ALL = {"return_index": True, "return_inverse": True, "return_counts": True}
# More than fit one part of a vector, and one that is not whole.
N = 3 * PART + 17


def check(jitted, function, x):
    for found, wanted in zip(jitted(x), function(x), strict=True):
        assert found.dtype == wanted.dtype
        np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("dtype", ["i8", "f8", "f4", "u4", "i2"])
def test_few_and_many_are_found_by_one_program(dtype):
    def everything(x):
        return *np.unique(x, **ALL), np.unique(x)

    jitted = jit(everything, fallback="error")
    for most in (1, 40, MOST, MOST + 1, 30000):
        x = RNG.integers(0, most, LONG + 5).astype(dtype)
        x[:2] = most - 1, 0
        if dtype[0] == "f":
            x[::7], x[3::50] = -0.0, np.nan
        check(jitted, everything, x)
    assert jitted.cache_info().misses == 1


def test_parts_for_threads():
    def counted(x):
        return np.unique(x, return_counts=True)

    jitted = jit(counted)
    ramp = np.arange(N) * MOST // N  # each part has some of its own
    for x in (
        ramp,
        np.minimum(np.arange(N), MOST),
        np.minimum(np.arange(N)[::-1], MOST + 1),
        ramp % 2,
    ):
        check(jitted, counted, x.astype("f8"))
    assert jitted.cache_info().misses == 1


def test_what_is_nan_stays_apart_where_it_is_to():
    x = np.where(RNG.random(LONG) < 0.5, np.nan, 1.0)
    wanted = np.unique(x, equal_nan=False)
    np.testing.assert_array_equal(jit(lambda x: np.unique(x, equal_nan=False))(x), wanted)


def test_places_of_elements():
    x, values = [parameter(name, array_type((n,), f64)) for name, n in (("x", N), ("values", MOST))]
    found = ops.distinct(x)
    few = build(Module(Function("few", (x,), (item(found, index=0), item(found, index=1)))))
    place = build(Module(Function("place", (x, values), (ops.place_of_distinct(x, values),))))
    for count in (1, 3, MOST):
        # Powers of two, and multiples: keys of which many bits are zero.
        elements = 2.0 ** np.arange(count) if count <= 3 else np.arange(count) * 4096.0
        data = RNG.choice(elements, N)
        known, number = few(data)
        assert number == np.unique(data).size
        np.testing.assert_array_equal(known[place(data, known)], data)


def test_results_go_on():
    def program(x):
        values, counts = np.unique(x, return_counts=True)
        return np.array([(values * counts).sum(), counts.max()]), values[values > 3]

    x = RNG.integers(0, 9, LONG)
    check(jit(program), program, x)


KEYS = [("f8", "i8"), ("i1", "f2", "f4"), ("c16", "i4")]


@pytest.mark.parametrize("dtypes", KEYS, ids="-".join)
def test_orders_by_several_keys(dtypes):
    keys = [RNG.integers(0, 5, (2, LONG_ROW)).astype(dtype) for dtype in dtypes]
    for key in keys:
        if key.dtype.kind == "f":
            key[:, ::11], key[:, 1::13] = np.nan, -0.0

    def program(*keys):
        return np.lexsort(keys), np.lexsort([key[0] for key in keys])

    for found, wanted in zip(jit(program)(*keys), program(*keys), strict=True):
        np.testing.assert_array_equal(found, wanted)
