"""Operators that say what an element is, or how it is looped: traced element functions, kernels as text."""

from __future__ import annotations

import numpy as np
import pytest
import test_laws
from hypothesis import given, settings
from hypothesis import strategies as st
from operator_programs import check, kernels_of

import tracejit
from tracejit.errors import IRError, ShapeError, TraceError, UnsupportedError
from tracejit.ir.op import OPS
from tracejit.ir.tensor import For, statements
from tracejit.lower import pipeline
from tracejit.lower.pipeline import Options

X = np.linspace(-3, 3, 37)
IMAGE = np.random.default_rng(4).normal(size=(12, 17))

ROW_SUMS = """
@kernel
def row_sums(x: f64[n, m], *, sums: f64[n], most: f64[n]):
    for i in range(0, n):
        s: f64 = 0.0
        t: f64 = -inf
        for j in range(0, m):
            s += x[i, j]
            t = accumulate(maximum, t, x[i, j])
        sums[i] = s
        most[i] = t
"""


def numpy_blur(x):
    return (x[:-2, 1:-1] + x[2:, 1:-1] + x[1:-1, :-2] + x[1:-1, 2:]) * 0.25


@pytest.fixture(scope="module")
def blur():
    @tracejit.op(element=2, type="(n,m) -> (n-2,m-2)", name="my_blur_stencil")
    def blur(i, j, x):
        return (x(i, j + 1) + x(i + 2, j + 1) + x(i + 1, j) + x(i + 1, j + 2)) * 0.25

    return blur


def test_an_element_function_fuses_with_what_follows(blur):
    np.testing.assert_allclose(blur(IMAGE), numpy_blur(IMAGE))
    lowered = check(lambda x: np.sqrt(np.abs(blur(x) * 2)) + 1, IMAGE)
    assert kernels_of(lowered) == 1 and "blur_stencil(x)" in str(
        lowered.stages[next(iter(lowered.stages))]
    )
    check(lambda x: blur(np.sin(x)).sum(axis=0), IMAGE)
    check(lambda x: blur(blur(x)).T, IMAGE)
    check(lambda x: blur(x[::-1, ::2]), IMAGE)


def test_a_pointwise_element_function_is_made_of_ops():
    @tracejit.op(element=1, name="my_mixed")
    def mixed(i, x, y, s, *, power=2):
        return np.where(x(i) > 0, x(i) ** power * s, np.exp(y(i)))

    lowered = check(lambda x: mixed(x, x + 1, 2.5) + mixed(x, x, 1.0, power=3), X)
    assert kernels_of(lowered) == 1 and "mixed_kernel" not in str(lowered.stages)


def test_indices_are_numbers_too():
    @tracejit.op(element=2, type=lambda x: (x.shape * 2, x.dtype), name="my_toeplitz")
    def toeplitz(i, j, x):
        return np.where(i >= j, x(abs(i - j)), x(abs(i - j)) * 0.5) + i

    check(lambda x: toeplitz(x), X[:9])


def test_indices_that_data_says_are_checked():
    @tracejit.op(element=1, type="(n),(m)->(m)", name="my_pick")
    def pick(k, x, at):
        return x(at(k)) * 2

    check(lambda x, at: pick(np.cos(x), at), X, np.array([3, 0, -1, 36]))
    for call in (pick, tracejit.jit(lambda x, at: pick(x, at))):
        with pytest.raises(IndexError, match="index 37 is out of bounds for axis 0 with size 37"):
            call(X, np.array([0, 37]))


def test_clamped_and_wrapped_indices_are_proved():
    @tracejit.op(element=1, name="my_laplace")
    def laplace(i, x):
        n = x.shape[0]
        return x(np.maximum(i - 1, 0)) - 2 * x(i) + x(np.minimum(i + 1, n - 1))

    @tracejit.op(element=1, name="my_wrapped")
    def wrapped(i, x):
        return x((i + 3) % x.shape[0])

    padded = np.pad(X, 1, mode="edge")
    np.testing.assert_allclose(laplace(X), padded[:-2] - 2 * X + padded[2:], atol=1e-15)
    check(lambda x: laplace(x) + wrapped(x), X)
    np.testing.assert_array_equal(wrapped(X), np.roll(X, -3))


def test_an_index_that_may_leave_is_refused_with_its_line():
    @tracejit.op(element=1, name="my_difference")
    def difference(i, x):
        return x(i) - x(i - 1)

    message = r"index i0 \+ -1 may leave axis 0 of f64\[37\](?s:.*)x\(i\) - x\(i - 1\)(?s:.*)clamp"
    for call in (difference, tracejit.jit(lambda x: difference(x))):
        with pytest.raises(UnsupportedError, match=message):
            call(X)


def test_wrong_element_functions():
    total = tracejit.op(
        lambda i, x: x(i).sum() + np.dot(X[:3], X[:3]), element=1, name="my_dot_product_of_rows"
    )
    with pytest.raises(UnsupportedError, match="reads operands alone|is not done for one element"):
        total(X)
    with pytest.raises(ShapeError, match="x has 1 axes, and is called with 2 indices"):
        tracejit.op(lambda i, x: x(i, i), element=1, name="my_two")(X)
    with pytest.raises(TraceError, match="is no index"):
        tracejit.op(lambda i, x: x(i * 0.5), element=1, name="my_halves")(X)
    with pytest.raises(ShapeError, match="has 1 indices, and its result is"):
        tracejit.op(lambda i, x: x(i, i), element=1, name="my_rank")(IMAGE)
    with pytest.raises(TypeError, match="takes 2 indices, then operands"):
        tracejit.op(lambda i: i, element=2)


def test_sizes_that_change(blur):
    compiled = tracejit.jit(lambda x: blur(x) + 1)
    for n in range(5, 25):
        x = np.random.default_rng(n).normal(size=(n, 2 * n))
        np.testing.assert_allclose(compiled(x), numpy_blur(x) + 1)
    assert compiled.cache_info().misses < 10


# Kernels.


def test_a_kernel_as_text():
    row_sums = tracejit.op(ROW_SUMS, name="my_row_sums")

    def program(x):
        sums, most = row_sums(np.exp(x))
        return sums + most, most * 2

    check(program, IMAGE)
    for one, own in zip(row_sums(IMAGE), (IMAGE.sum(axis=1), IMAGE.max(axis=1))):
        np.testing.assert_allclose(one, own)
    check(lambda x: row_sums(x.T), IMAGE)
    check(lambda x: row_sums(x), IMAGE.astype(np.float32), rtol=1e-6)


def test_a_kernel_that_says_its_element_fuses():
    scaled = tracejit.op(
        "@kernel\ndef scaled(x: f64[n, m], w: f64[m], *, out: f64[n, m]):\n"
        "    for i in range(0, n):\n        for j in range(0, m):\n"
        "            out[i, j] = x[i, j] * w[m - 1 - j] + f64(i)\n",
        name="my_scaled_kernel",
    )
    lowered = check(lambda x, w: scaled(np.sin(x), w) * 2 + 1, IMAGE, X[:17].copy())
    assert kernels_of(lowered) == 1
    square = tracejit.op(
        "@kernel\ndef f(x: f64[n], *, out: f64[n]):\n    for i in range(0, n):\n        out[i] = x[i] * x[i]\n",
        name="my_square_kernel",
    )
    lowered = check(lambda x: square(x + 1) - 1, X)
    assert kernels_of(lowered) == 1 and "square_kernel" not in str(
        lowered.stages[list(lowered.stages)[1]]
    )


def test_kernels_are_vectorised_and_threaded():
    row_sums = tracejit.op(ROW_SUMS, name="my_row_sums_threads")
    module = tracejit.jit(lambda x: row_sums(x)).trace(np.ones((4000, 300))).module
    stages = pipeline.run(module, Options(32, 4))
    marks = {
        s.mark
        for kernel in stages[list(stages)[-1]].functions
        for s in statements(kernel.body)
        if isinstance(s, For)
    }
    assert {"vector", "parallel"} <= marks


@pytest.mark.parametrize(
    "text, problem",
    [
        ("x: f64[n], *, out: f64[n]):\n    for i in range(0, n):\n        out[i] = x[i + 1]\n", "leaves an axis of extent 37"),
        ("x: f64[n], *, out: f64[n]):\n    for i in range(0, 3):\n        out[i] = y[i]\n", "line 5: not a buffer: y"),
        ("x: f64[n], *, out: f64[n]):\n    for i in range(0, n):\n        x[i] = 1.0\n", "x: f64\\[n\\] is an input"),
        ("x: f64[n], *, out: f64[n]):\n    for i in range(0, n):\n        out[i] = 1\n", "i64 where f64"),
        ("x: f64[n], *, out: f64[n]):\n    pass\n", "never written"),
    ],
)  # fmt: skip
def test_wrong_kernels(text, problem):
    with pytest.raises(IRError, match=problem):
        tracejit.op("\n@kernel\ndef f(" + text, name="my_wrong_kernel")(X)


def test_operands_that_do_not_fit_a_kernel():
    row_sums = tracejit.op(ROW_SUMS, name="my_row_sums_fit")
    with pytest.raises(ShapeError, match="does not fit the operands"):
        row_sums(X)
    with pytest.raises(TypeError, match=r"takes f64\[n, m\], not c128"):
        row_sums(IMAGE.astype(complex))
    with pytest.raises(TypeError, match="one @kernel"):
        tracejit.op("def f(x: f64[n]):\n    return x\n#@kernel\n", name="my_graph_text")
    with pytest.raises(TypeError, match="does not change its operands"):
        tracejit.op(
            "@kernel\ndef f(x: updated(f64[n])):\n    for i in range(0, n):\n        x[i] = 0.0\n"
        )


def test_names_of_a_kernel_may_be_those_of_the_program():
    """An extent of the program that is called as a loop index of the kernel."""
    row_sums = tracejit.op(ROW_SUMS.replace("range(0, n)", "range(0, n)"), name="my_row_sums_names")
    compiled = tracejit.jit(lambda j, i: row_sums(j)[0] + row_sums(i)[1])
    for n in range(3, 20):
        x = np.random.default_rng(n).normal(size=(n, n + 1))
        np.testing.assert_allclose(compiled(x, x * 2), x.sum(axis=1) + (x * 2).max(axis=1))


def test_the_laws_hold_for_their_records(blur):
    from tracejit.ir.types import array_type

    def samples(dtype):
        return [
            ([array_type(shape, dtype)], {}) for shape in ((5, 6), (3, 3), (8, 4)) if dtype.is_float
        ]

    least = tracejit.op(
        lambda i, j, x: np.minimum(x(i, j), x(i + 1, j)),
        element=2,
        type="(n,m)->(n-1,m)",
        name="my_least",
        samples=samples,
    )
    with np.errstate(all="ignore"):
        test_laws.test_type_rule_is_numpys(OPS[least.name])
        test_laws.test_every_stage_reads_back_and_means_the_same(OPS[least.name])
        test_laws.test_native_code_is_numpy(OPS[least.name])


@settings(deadline=None, max_examples=20)
@given(
    st.lists(st.integers(-2, 2), min_size=1, max_size=4),
    st.integers(1, 40),
    st.sampled_from(["clamp", "wrap"]),
)
def test_stencils_of_any_offsets(offsets, n, how):
    def stencil(i, x):
        m, total = x.shape[0], 0.0
        for offset in offsets:
            at = np.clip(i + offset, 0, m - 1) if how == "clamp" else (i + offset) % m
            total = total + x(at)
        return total

    operator = tracejit.op(stencil, element=1, name="my_stencil")
    x = np.random.default_rng(n).normal(size=n)
    places = [np.arange(n) + offset for offset in offsets]
    wanted = sum(x[np.clip(p, 0, n - 1) if how == "clamp" else p % n] for p in places)
    np.testing.assert_allclose(operator(x), wanted, atol=1e-12)
    np.testing.assert_allclose(tracejit.jit(lambda x: operator(x) * 2)(x), wanted * 2, atol=1e-12)
