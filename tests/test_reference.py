"""The reference interpreter gives NumPy's values, dtypes and shapes, at both levels."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from tracejit.errors import IRError, ShapeError
from tracejit.ir import ops
from tracejit.ir.dims import symbol
from tracejit.ir.graph import Function, Module, parameter
from tracejit.ir.op import CONTROL, OPS, Op
from tracejit.ir.reference import reference, solve_dims
from tracejit.ir.text import parse
from tracejit.ir.types import DTYPES, array_type, f64

n, m = symbol("n"), symbol("m")


@pytest.fixture(autouse=True)
def no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def run(text, *arrays):
    return reference(parse(text), *arrays)


def same(actual, expected):
    assert type(actual) is np.ndarray
    assert (actual.dtype, actual.shape) == (expected.dtype, expected.shape)
    np.testing.assert_array_equal(actual, expected)


def test_results_are_arrays_of_the_exact_type():
    x = parameter("x", array_type((), DTYPES["f32"]))
    same(
        reference(Module(Function("f", (x,), (ops.sin(x),))), np.float32(0.5)),
        np.sin(np.float32(0.5))[...],
    )
    one, two = run("def f(x: i8[2]):\n    t0 = add(x, x)\n    return t0, x", np.int8([100, 1]))
    same(one, np.int8([-56, 2]))
    same(two, np.int8([100, 1]))
    assert run("def f():\n    return ()") == ()


def test_errors_are_silent_and_special_values_right():
    x = np.array([0.0, -0.0, np.inf, np.nan])
    same(run("def f(x: f64[4]):\n    t0 = divide(x, x)\n    return t0", x), np.full(4, np.nan))


def test_symbolic_extents():
    text = """
def f(x: f64[n, 2*m + 1]):
    t0 = iota(extent=n*m, dtype=i64)
    t1 = reshape(t0, shape=(m, n))
    t2 = cast(t1, dtype=f64)
    return t2
"""
    same(run(text, np.zeros((3, 9))), np.arange(12.0).reshape(4, 3))
    with pytest.raises(ShapeError, match="no whole number m"):
        run(text, np.zeros((3, 8)))
    with pytest.raises(ShapeError, match="argument 1"):
        run("def f(x: f64[n], y: f64[n]):\n    return x", np.zeros(3), np.zeros(4))
    with pytest.raises(ShapeError, match="int64"):
        run("def f(x: f64[n]):\n    return x", np.zeros(3, np.int64))
    with pytest.raises(ShapeError, match="takes 1"):
        run("def f(x: f64[n]):\n    return x")


def test_solving_for_extents():
    assert solve_dims([(n, n * m), (3,)], [(4, 20), (3,)]) == {"n": 4, "m": 5}
    assert solve_dims([(n * n,), ((m + 1) // 2,)], [(9,), (3,)]) == {}
    assert solve_dims([(m * n + 1,), (n,)], [(9,), (4,)]) == {"n": 4, "m": 2}


def test_kernel_with_loops_and_symbols():
    text = """
@kernel
def k(x: f32[n, m], *, out: f32[n], total: f64[()]):
    t: f64[m + 1] = local()
    all_: f64 = 0.0
    for i in parallel(0, n):
        s: f64 = -inf
        for j in vector(0, m, 4):
            t[j + 1] = f64(x[i, j])
            s = accumulate(maximum, s, t[j + 1])
        all_ += s
        out[i] = f32(s) * f32(0.1)
    total[()] = all_

def main(x: f32[n, m]):
    t0, t1 = call(x, callee=k)
    t2 = negative(t1)
    return t0, t2
"""
    x = np.float32([[1, 5, 2], [3, 0, 4]])
    first, second = run(text, x)
    same(first, np.float32([5, 4]) * np.float32(0.1))
    same(second, np.float64(-9)[...])


def test_scalars_are_numpys():
    """Division by zero, wrapping and casts of nan must not meet Python's own arithmetic."""
    text = """
@kernel
def k(x: f64[4], *, a: i64[4], b: i8[4], c: f64[4], d: bool[4], e: u8[4], z: c64[4]):
    for i in range(0, 4):
        a[i] = 7 // i + 7 % i
        b[i] = i8(100) + i8(i) * i8(27)
        c[i] = 1.0 / f64(i) + 0.0 / 0.0 * nan
        d[i] = ~(x[i] < 0.0) & (i == i)
        e[i] = u8(x[i]) + u8((250, 251, 252, 253))[i]
        z[i] = c64(x[i]) * c64(0.0, -1.0)
"""
    x = np.array([1.5, -0.0, np.nan, np.inf])
    a, b, c, d, e, z = run(text, x)
    index = np.arange(4)
    with np.errstate(all="ignore"):
        same(a, 7 // index + 7 % index)
        same(b, np.int8(100) + index.astype(np.int8) * np.int8(27))
        same(c, np.full(4, np.nan))
        same(d, np.array([True, True, True, True]))
        same(e, x.astype(np.uint8) + np.uint8([250, 251, 252, 253]))
        same(z, x.astype(np.complex64) * np.complex64(complex(0.0, -1.0)))


def test_kernels_call_kernels():
    text = """
@kernel
def inner(x: i64[3], *, sum_: i64[3]):
    for i in range(0, 3):
        sum_[i] = x[i] * 2

@kernel
def outer(x: i64[3], *, out: i64[3]):
    t: i64[3] = local()
    inner(x, sum_=t)
    inner(t, sum_=out)
"""
    same(run(text, np.arange(3)), np.arange(3) * 4)


def test_unwritten_memory_is_conspicuous():
    text = "@kernel\ndef k(*, a: f64[2], b: i8[1], c: bool[1]):\n    a[0] = 1.0"
    a, b, c = run(text)
    assert a[0] == 1.0 and np.isnan(a[1]) and b == 85 and c


def test_a_reference_that_breaks_its_type_rule_is_reported():
    wrong = Op("wrong", CONTROL, lambda x: x, lambda x: x.astype(np.float32))
    OPS["wrong"] = wrong
    try:
        x = parameter("x", f64[2])
        with pytest.raises(IRError, match="float32"):
            reference(Module(Function("f", (x,), (wrong(x),))), np.zeros(2))
    finally:
        del OPS["wrong"]


@pytest.mark.parametrize("dtype", list(DTYPES.values()), ids=str)
def test_every_dtype_goes_through(dtype):
    text = f"""
@kernel
def k(x: {dtype}[3, 0], y: {dtype}[2], *, out: {dtype}[2]):
    t: {dtype}[2] = register()
    for i in unroll(0, 2):
        t[i] = y[i]
        s: {dtype} = {dtype}(1)
        out[i] = where(True, t[i], s)
"""
    y = np.array([0, 1]).astype(dtype.numpy)
    same(run(text, np.zeros((3, 0), dtype.numpy), y), y)


def test_inputs_are_left_alone():
    x = np.arange(3.0)
    x.flags.writeable = False
    f = parse("def f(x: f64[3]):\n    t0 = transpose(x, axes=(0,))\n    return t0")
    same(reference(f, x), x)
