"""Loops cut where conditions change and nested where quotients appear: the text, and the values."""

from __future__ import annotations

import textwrap

import numpy as np
import pytest
from golden import expect
from hypothesis import given
from hypothesis import strategies as st

import tracejit
from tracejit import nn
from tracejit.ir.dims import symbol
from tracejit.ir.graph import Kernel, Module
from tracejit.ir.tensor import Apply, For, Load, expressions_of, parts, statements
from tracejit.ir.term import postorder
from tracejit.ir.types import array_type, f64, i64
from tracejit.ir.verify import Stage
from tracejit.lower import pipeline
from tracejit.trace.program import Traced
from tracejit.trace.tracing import trace

RNG = np.random.default_rng(5)


def kernel_of(function, *args):
    module = tracejit.jit(function, threads=1).lower(*args).module
    (kernel,) = [k for k in module.functions if k is not module.entry]
    return kernel


def body_of(function, *args) -> str:
    return textwrap.dedent(tracejit.show(kernel_of(function, *args)).split("\n", 2)[2])


def choices(kernel) -> int:
    """Conditions, clamps and divisions of indices that are left in what loops do."""
    done = [s for s in statements(kernel.body) if not isinstance(s, For)]
    roots = [e for s in done for e in expressions_of(s)]
    names = {"where", "minimum", "maximum", "less", "floor_divide", "remainder"}
    return sum(
        isinstance(e, Apply) and e.op in names and (e.op == "where" or e.operands[0].dtype is i64)
        for e in postorder(roots, parts)
    )


def test_concatenate():
    x, y = np.zeros(100), np.zeros(1)
    expect(
        body_of(lambda x, y: np.concatenate([x, y, x]), x, y),
        """
        for i0 in vector(0, 100, 16):
            out0[i0] = a0[i0]
        out0[100] = a1[0]
        for i0 in vector(101, 201, 16):
            out0[i0] = a0[i0 + -101]
        """,
    )


def test_tile_and_repeat_are_nests():
    expect(
        body_of(lambda x: np.tile(x, 3), np.zeros(100)),
        """
        for i0_by_100 in range(0, 3):
            for i0_in_100 in vector(0, 100, 16):
                out0[i0_by_100 * 100 + i0_in_100] = a0[i0_in_100]
        """,
    )
    assert choices(kernel_of(lambda x: np.repeat(x, 3, axis=1), np.zeros((20, 30)))) == 0


@pytest.mark.parametrize("function", [lambda x: np.tile(x, 3), lambda x: np.repeat(x, 3)])
def test_tile_and_repeat_of_unknown_sizes_are_nests(function):
    own = Traced(array_type((symbol("n"),), f64))
    traced = trace(function, (np.zeros(5),), {}, how=[own])
    stages = pipeline.run(Module(traced.function), pipeline.Options(32))
    (kernel,) = [
        k for k in stages[Stage.SCHEDULED].functions if isinstance(k, Kernel) and not k.callees
    ]
    assert choices(kernel) == 0


def test_ravel_of_a_transpose():
    assert choices(kernel_of(lambda x: x.T.ravel() + 1, np.zeros((20, 30)))) == 0
    three = kernel_of(lambda x: x.transpose(2, 0, 1).ravel() + 1, np.zeros((20, 30, 40)))
    assert choices(three) == 0


def test_a_sum_over_a_stack_reads_each_part_once():
    def rolling(v):
        return np.stack([v[k : v.size - 12 + k] for k in range(13)]).mean(axis=0)

    kernel = kernel_of(rolling, np.zeros(1000))
    roots = [e for s in statements(kernel.body) for e in expressions_of(s)]
    assert sum(isinstance(e, Load) for e in postorder(roots, parts)) == 13
    assert choices(kernel) == 0


def test_many_pieces_of_a_long_body_are_not_made():
    """Twenty places where a condition changes, in a body that each piece would repeat."""

    def long(x):
        parts = np.concatenate([x[k : k + 20] for k in range(20)])
        for _ in range(30):
            parts = np.sin(parts) + x
        return parts

    x = np.linspace(0, 1, 400)
    kernel = kernel_of(long, x)
    roots = [e for s in statements(kernel.body) for e in expressions_of(s)]
    assert sum(isinstance(e, Apply) and e.op == "sin" for e in postorder(roots, parts)) <= 30 * 5
    np.testing.assert_allclose(tracejit.jit(long)(x), long(x), rtol=1e-12)


extents = st.integers(1, 7)


@given(st.tuples(extents, extents, extents), st.permutations(range(3)), st.integers(1, 4))
def test_reshapes(shape, order, times):
    x = np.arange(np.prod(shape), dtype=np.int32).reshape(shape)
    last = shape[order[2]]

    def moved(x):
        y = np.tile(x.transpose(order).ravel(), times).reshape(-1, last)
        return np.repeat(y, times, axis=0) + np.repeat(y, times, axis=0)[::-1], np.repeat(y, times)

    for got, wanted in zip(tracejit.jit(moved)(x), moved(x)):
        np.testing.assert_array_equal(got, wanted)


@given(st.lists(st.integers(0, 4), min_size=1, max_size=12), st.integers(-9, 9), st.integers(0, 1))
def test_joined(sizes, shift, axis):
    arrays = [RNG.random((3, n) if axis else (n, 3)) for n in sizes]

    def joined(*arrays):
        whole = np.concatenate(arrays, axis=axis)
        return np.roll(whole, shift, axis=axis), np.pad(whole, 2), whole.sum(axis=axis)

    for got, wanted in zip(tracejit.jit(joined)(*arrays), joined(*arrays)):
        np.testing.assert_allclose(got, wanted, rtol=1e-13)


@pytest.mark.parametrize("mode", ["edge", "reflect", "wrap", "symmetric", "constant"])
@pytest.mark.parametrize("shape", [(1,), (7,), (5, 9), (2, 3, 4)])
def test_padded_stencils(mode, shape):
    if mode == "reflect" and 1 in shape:
        shape = (2,)
    x = RNG.random(shape)

    def stencil(x):
        p = np.pad(x, 1, mode=mode)
        inner = tuple([slice(1, -1)] * x.ndim)
        return p[inner] - p[(slice(0, -2), *inner[1:])] + p[(*inner[:-1], slice(2, None))]

    np.testing.assert_allclose(tracejit.jit(stencil)(x), stencil(x), rtol=1e-14, atol=1e-15)


def ring(u):
    n, out = len(u), np.empty_like(u)
    for i in range(n):
        out[i] = u[i - 1] + u[(i + 1) % n]
    return out


def test_neighbours_on_a_ring():
    """Only the ends wrap around."""
    expect(
        body_of(ring, np.zeros(100)),
        """
        for i in range(0, 1):
            t0_value: f64 = u_2[99]
            state[0] = t0_value + u_2[1]
        for i in vector(1, 99, 16):
            t0_value: f64 = u_2[i + -1]
            state[i] = t0_value + u_2[i + 1]
        for i in range(99, 100):
            t0_value: f64 = u_2[98]
            state[99] = t0_value + u_2[0]
        """,
    )


@pytest.mark.parametrize("n", [1, 2, 3, 7, 64])
@pytest.mark.parametrize(
    "place",
    [
        lambda i, n: i - n,
        lambda i, n: -i - 1,
        lambda i, n: 2 * i - n if 2 * i < 2 * n else 0,
        lambda i, n: (3 - i) % n,
        lambda i, n: (i + n - 1) % n,
        lambda i, n: (2 * i + 1) % n,
        lambda i, n: (i - 5) % n,
        lambda i, n: (n // 2 - i) // n,
    ],
)
def test_indices_that_wrap_around(place, n):
    """In loops that may be cut, and in one whose iterations are in order."""

    def copied(u):
        out = np.zeros_like(u)
        for i in range(n):
            out[i] = u[place(i, n)]
        return out

    def carried(u):
        last = u[0]
        for i in range(n):
            last = 0.5 * last + u[place(i, n)]
            u[i] = last * u[i - 1]
        return u

    u = RNG.normal(size=n)
    for function in (copied, carried):
        np.testing.assert_array_equal(
            tracejit.jit(function, numerics="strict")(u.copy()), function(u.copy())
        )


def test_an_index_beyond_the_ends_is_an_error():
    def beyond(u):
        out = np.zeros_like(u)
        for i in range(10):
            out[i] = u[i - 7]
        return out

    np.testing.assert_array_equal(tracejit.jit(beyond)(np.arange(10.0)), beyond(np.arange(10.0)))
    for size in (6, 2):
        with pytest.raises(IndexError):
            tracejit.jit(beyond)(np.arange(float(size)))


def test_pieces_of_one_iteration_around_loops_that_never_run():
    def function(x):
        return (np.concatenate([x[2:], x[1:2], x[:1]]) * 2)[:, None] + np.zeros((3, 0))

    assert tracejit.jit(function)(np.arange(3.0)).shape == (3, 0)


def test_addresses_of_foreign_functions_are_split_with_their_loop():
    def moved(p, n):
        for _ in range(n):
            apart = p[:, None] - p[None]
            p = p + (apart * apart).sum(-1).sum(1)[:, None] * 0.01
        return p

    for count in (2, 3, 16):
        p = np.random.default_rng(0).random((count, 2))
        np.testing.assert_array_equal(tracejit.jit(moved, numerics="strict")(p, 7), moved(p, 7))


@pytest.mark.parametrize("last", [False, True], ids=["channels_first", "channels_last"])
def test_windows_that_touch_a_border_are_apart(last):
    shape = (1, 20, 24, 16) if last else (1, 16, 20, 24)
    how = {"stride": 2, "padding": 1, "data_format": nn.FORMATS[last]}
    x = RNG.standard_normal(shape).astype("f4")
    kernel = kernel_of(lambda x: nn.max_pool(x, 3, **how), x)
    assert choices(kernel) == 0
    np.testing.assert_array_equal(
        tracejit.jit(lambda x: nn.max_pool(x, 3, **how))(x), nn.max_pool(x, 3, **how)
    )


@given(st.data())
def test_reductions_over_windows_of_what_is_padded(data):
    mode = data.draw(st.sampled_from(["constant", "edge", "reflect", "wrap"]))
    window = [data.draw(st.integers(1, 4)) for _ in range(2)]
    low = [data.draw(st.integers(0, 3)) for _ in range(4)]
    step = [data.draw(st.integers(1, 3)) for _ in range(2)]
    dilation = data.draw(st.integers(1, 2))
    shape = [data.draw(st.integers(4, 9)) for _ in range(2)]

    def pooled(x):
        around = np.pad(x, ((low[0], low[1]), (low[2], low[3])), mode)
        wide = [min((n - 1) * dilation + 1, m) for n, m in zip(window, around.shape)]
        windows = np.lib.stride_tricks.sliding_window_view(around, wide)
        return windows[:: step[0], :: step[1], ::dilation, ::dilation].max((2, 3))

    x = RNG.standard_normal(shape)
    np.testing.assert_array_equal(tracejit.jit(pooled)(x), pooled(x))
