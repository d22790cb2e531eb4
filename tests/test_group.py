"""Groups of users: one kernel of several contractions, and of a Kernel, with what follows it."""

from __future__ import annotations

import numpy as np
import pytest
from golden import expect

import tracejit
from tracejit.errors import IRError
from tracejit.ir.graph import Function, Module, call
from tracejit.ir.tensor import Kernel, statements
from tracejit.ir.verify import Stage, verify
from tracejit.rewrite import grouping, ops, wild

RNG = np.random.default_rng(0)
x, y, w, v = wild("x"), wild("y"), wild("w"), wild("v")
PIPELINE = tracejit.pipeline()


def convolve(image, weights):
    windows = np.lib.stride_tricks.sliding_window_view(image, (3, 3), axis=(1, 2))
    return np.einsum("ihwab,oiab->ohw", windows, weights)


def convolution(image, weights):
    return ops.contract(ops.windows(ops.windows(image)), weights)


TWO_CONVOLUTIONS = grouping(convolution(convolution(x, w), v), "two_convolutions")
TWO_PRODUCTS = grouping(ops.contract(ops.maximum(ops.contract(x, w), y), v), "two_products")


def grouped(function, *passes, **options):
    return tracejit.jit(function, passes=PIPELINE.insert_after("fold", *passes), **options)


def kernels(lowered):
    return [f for f in lowered.module.functions if isinstance(f, Kernel)][:-1]


def agrees(function, *arrays, passes, count=1, rtol=1e-11, threads=(0, 1)):
    """The function with these passes: the right numbers, at every stage, in so many kernels."""
    lowered = grouped(function, *passes, threads=threads[0]).lower(*arrays)
    wanted = function(*arrays)
    for stage, module in lowered.stages.items():
        verify(module, stage)
        assert tracejit.parse(tracejit.show(module)) is module
    np.testing.assert_allclose(lowered.compile()(*arrays), wanted, rtol=rtol)
    for others in threads[1:]:
        got = grouped(function, *passes, threads=others)(*arrays)
        np.testing.assert_allclose(got, wanted, rtol=rtol)
    small = [a for a in arrays if np.size(a) <= 800]
    if len(small) == len(arrays):
        got = tracejit.reference(lowered.stages[Stage.LOOPS], *arrays)
        np.testing.assert_allclose(got, wanted, rtol=rtol)
    assert len(kernels(lowered)) == count, str(lowered)
    return lowered


def network(image, first, second, bias):
    return np.maximum(convolve(convolve(image, first), second) + bias[:, None, None], 0) * 2


@pytest.mark.parametrize("shape", [(3, 20, 17), (2, 13, 9), (4, 70, 70)])
def test_two_convolutions_and_what_follows_in_one_kernel(shape):
    image, first = RNG.random(shape), RNG.random((4, shape[0], 3, 3)) - 0.5
    second, bias = RNG.random((5, 4, 3, 3)) - 0.5, RNG.random(5)
    lowered = agrees(network, image, first, second, bias, passes=[TWO_CONVOLUTIONS], rtol=1e-9)
    # What is between is kept for a strip of lines, never as a whole.
    (kernel,) = kernels(lowered)
    local = [s.buffer for s in statements(kernel.body) if type(s).__name__ == "Allocate"]
    near = [b for b in local if b.name.startswith("near")]
    assert near and all(b.type.shape[1] < shape[1] - 2 for b in near)


def test_before_and_after():
    image, weights = RNG.random((2, 12, 12)), RNG.random((2, 2, 3, 3))
    f = tracejit.jit(network)
    traced = f.trace(image, weights, weights, RNG.random(2)).module
    expect(
        tracejit.show(traced),
        """
        def network(image: f64[2, 12, 12], first: f64[2, 2, 3, 3], second: f64[2, 2, 3, 3], bias: f64[2]):
            t0 = windows(image, axis=1, width=3)
            t1 = windows(t0, axis=2, width=3)
            t2 = contract(t1, first, spec='abcde,fade->fbc')
            t3 = windows(t2, axis=1, width=3)
            t4 = windows(t3, axis=2, width=3)
            t5 = contract(t4, second, spec='abcde,fade->fbc')
            t6 = broadcast(bias, axes=(0,), shape=(2, 8, 8))
            t7 = add(t5, t6)
            t8 = constant(dtype=f64, value=0.0)
            t9 = broadcast(t8, axes=(), shape=(2, 8, 8))
            t10 = maximum(t7, t9)
            t11 = constant(dtype=f64, value=2.0)
            t12 = broadcast(t11, axes=(), shape=(2, 8, 8))
            t13 = multiply(t10, t12)
            return t13
        """,
    )
    expect(
        tracejit.show(TWO_CONVOLUTIONS(traced)),
        """
        def two_convolutions(a0: f64[2, 12, 12], a1: f64[2, 2, 3, 3], a2: f64[2, 2, 3, 3]):
            t0 = windows(a0, axis=1, width=3)
            t1 = windows(t0, axis=2, width=3)
            t2 = contract(t1, a1, spec='abcde,fade->fbc')
            t3 = windows(t2, axis=1, width=3)
            t4 = windows(t3, axis=2, width=3)
            t5 = contract(t4, a2, spec='abcde,fade->fbc')
            return t5


        def network(image: f64[2, 12, 12], first: f64[2, 2, 3, 3], second: f64[2, 2, 3, 3], bias: f64[2]):
            t0 = call(image, first, second, callee=two_convolutions)
            t1 = broadcast(bias, axes=(0,), shape=(2, 8, 8))
            t2 = add(t0, t1)
            t3 = constant(dtype=f64, value=0.0)
            t4 = broadcast(t3, axes=(), shape=(2, 8, 8))
            t5 = maximum(t2, t4)
            t6 = constant(dtype=f64, value=2.0)
            t7 = broadcast(t6, axes=(), shape=(2, 8, 8))
            t8 = multiply(t5, t7)
            return t8
        """,
    )
    lowered = f.lower(
        image,
        weights,
        weights,
        RNG.random(2),
        passes=PIPELINE.insert_after("fold", TWO_CONVOLUTIONS),
    )
    expect(
        tracejit.show(lowered.stages[Stage.FUSED]),
        """
        def two_convolutions(a0: f64[2, 12, 12], a1: f64[2, 2, 3, 3], a2: f64[2, 2, 3, 3]):
            t0 = windows(a0, axis=1, width=3)
            t1 = windows(t0, axis=2, width=3)
            t2 = contract(t1, a1, spec='abcde,fade->fbc')
            t3 = windows(t2, axis=1, width=3)
            t4 = windows(t3, axis=2, width=3)
            t5 = contract(t4, a2, spec='abcde,fade->fbc')
            return t5


        def fused_multiply(a0: f64[2, 12, 12], a1: f64[2, 2, 3, 3], a2: f64[2, 2, 3, 3], a3: f64[2]):
            t0 = call(a0, a1, a2, callee=two_convolutions)
            t1 = broadcast(a3, axes=(0,), shape=(2, 8, 8))
            t2 = add(t0, t1)
            t3 = constant(dtype=f64, value=0.0)
            t4 = broadcast(t3, axes=(), shape=(2, 8, 8))
            t5 = maximum(t2, t4)
            t6 = constant(dtype=f64, value=2.0)
            t7 = broadcast(t6, axes=(), shape=(2, 8, 8))
            t8 = multiply(t5, t7)
            return t8


        def network(image: f64[2, 12, 12], first: f64[2, 2, 3, 3], second: f64[2, 2, 3, 3], bias: f64[2]):
            t0 = call(image, first, second, bias, callee=fused_multiply)
            return t0
        """,
    )


def test_what_comes_before_is_in_the_kernel_as_well():
    image, weights = RNG.random((2, 30, 20)), RNG.random((2, 2, 3, 3)) - 0.5
    arrays = image, weights, weights, RNG.random(2)

    def before(image, first, second, bias):
        return network(np.sqrt(image) + 1.0, first, second, bias)

    lowered = agrees(before, *arrays, passes=[TWO_CONVOLUTIONS], rtol=1e-9)
    assert "near_1" in str(lowered)  # a strip of roots, and one of the first convolution

    def alone(image, first, second):
        return convolve(convolve(np.sqrt(image), first), second)

    agrees(alone, *arrays[:3], passes=[TWO_CONVOLUTIONS], rtol=1e-9)

    def shared(image, first, second, bias):
        root = np.sqrt(image)
        return network(root, first, second, bias).sum() + root

    agrees(shared, *arrays, passes=[TWO_CONVOLUTIONS], count=4, rtol=1e-9)


def test_convolutions_of_one_channel():
    """The axis of the channels has no distance in memory: it merges with no other one."""
    image, weights = RNG.random((1, 24, 24)), RNG.random((1, 1, 3, 3))
    arrays = image, weights, weights, RNG.random(1)
    np.testing.assert_allclose(tracejit.jit(network)(*arrays), network(*arrays))


def perceptron(a, first, second, bias):
    return np.tanh(np.maximum(a @ first, 0) @ second + bias)


@pytest.mark.parametrize("rows", [8, 37, 300])
def test_two_products_with_something_between(rows):
    arrays = (
        RNG.random((rows, 20)) - 0.5,
        RNG.random((20, 33)) - 0.5,
        RNG.random((33, 9)),
        RNG.random(9),
    )
    agrees(perceptron, *arrays, passes=[TWO_PRODUCTS], rtol=1e-9)


def test_attention_is_one_kernel():
    scores = ops.contract(x, y)
    shifted = ops.subtract(scores, ops.broadcast(ops.max(scores)))
    exponentials = ops.exp(shifted)
    total = ops.broadcast(ops.sum(exponentials))
    attention = grouping(ops.contract(ops.divide(exponentials, total), v), "attention")

    def program(q, k, values):
        s = q @ k.T
        e = np.exp(s - s.max(axis=1, keepdims=True))
        return np.maximum(e / e.sum(axis=1, keepdims=True) @ values, 0.5)

    arrays = RNG.random((40, 16)), RNG.random((50, 16)), RNG.random((50, 12))
    f = grouped(program, attention)
    assert "attention" in str(f.lower(*arrays).stages[Stage.FUSED])
    agrees(program, *arrays, passes=[attention])


def test_groups_that_cannot_be_cut_are_one_kernel_all_the_same():
    """A line at the end that reads all lines before: nothing is saved by strips."""
    group = grouping(ops.contract(x, ops.contract(y, w)), "chain")
    arrays = RNG.random((30, 20)), RNG.random((20, 10)), RNG.random((10, 30))
    agrees(lambda a, b, c: np.exp(a @ (b @ c)), *arrays, passes=[group])
    sums = grouping(ops.contract(x, ops.cumsum(y)), "scan")
    arrays = RNG.random((30, 20)), RNG.random((20, 10))
    agrees(lambda a, b: np.exp(a @ np.cumsum(b, axis=0)), *arrays, passes=[sums])


def test_what_is_read_elsewhere_is_not_in_a_group():
    def program(a, first, second):
        h = np.maximum(a @ first, 0.0)
        return h @ second + h.sum()

    arrays = RNG.random((8, 20)), RNG.random((20, 7)), RNG.random((7, 9))
    traced = tracejit.jit(program).trace(*arrays).module
    assert TWO_PRODUCTS(traced) is traced
    agrees(program, *arrays, passes=[TWO_PRODUCTS], count=3)
    few = grouping(ops.contract(ops.maximum(ops.contract(x, w), y), v), "few",
                   when=lambda f: f.parameters[0].type.shape[0] < 5)  # fmt: skip
    traced = tracejit.jit(perceptron).trace(*arrays, RNG.random(9)).module
    assert few(traced) is traced
    with pytest.raises(ValueError, match="begins with an op"):
        grouping(x, "all")


def test_groups_one_after_the_other():
    pair = grouping(ops.add(ops.exp(x), ops.sin(y)), "pair")
    program = lambda a, b: np.exp(np.exp(a) + np.sin(b)) + np.sin(a)
    a, b = RNG.random((2, 50))
    traced = tracejit.jit(program).trace(a, b).module
    made = pair(traced)
    calls = [n for n in made.entry.nodes if n.op is call]
    assert len(calls) == 2 and calls[0] in calls[1].operands
    np.testing.assert_allclose(tracejit.reference(made, a, b), program(a, b))
    # The second one writes to the memory of the first one's result.
    agrees(program, a, b, passes=[pair], count=2)


OWN = """
@kernel
def smooth(a: f64[64], *, out: f64[64]):
    for i in range(0, 64):
        out[i] = a[i] * 2.0
    for i in range(1, 63):
        out[i] = a[i - 1] + a[i + 1]
"""


def test_a_kernel_of_ones_own_stores_what_follows():
    own = tracejit.parse(OWN).entry
    doubled = grouping(ops.multiply(x, 2.0), "smooth", kernel=own)
    program = lambda a, b: np.exp(a * 2.0) + b
    a, b = RNG.random((2, 64))
    f = grouped(program, doubled)
    lowered = f.lower(a, b)
    assert len(kernels(lowered)) == 1
    smooth = tracejit.reference(Module(own), a)
    np.testing.assert_allclose(f(a, b), np.exp(smooth) + b)
    expect(
        tracejit.show(kernels(lowered)[0]),
        """
        @kernel
        def fused_add(a0: f64[64], a1: f64[64], *, out0: f64[64]):
            for i_1 in vector(0, 64, 16):
                element: f64 = a0[i_1] * 2.0
                out0[i_1] = exp(element) + a1[i_1]
            for i_1 in vector(1, 63, 8):
                element_1: f64 = a0[i_1 - 1] + a0[i_1 + 1]
                out0[i_1] = exp(element_1) + a1[i_1]
        """,
    )


def test_a_kernel_that_reads_what_it_stores():
    text = OWN.replace("a[i - 1] + a[i + 1]", "out[i] * 0.5 + a[i + 1]")
    own = tracejit.parse(text).entry
    made = []

    def kernel(function):
        made.append(function)
        return own

    doubled = grouping(ops.multiply(x, 2.0), "smooth", kernel=kernel)
    a, b = RNG.random((2, 64))
    f = grouped(lambda a, b: np.exp(a * 2.0) + b, doubled)
    assert len(kernels(f.lower(a, b))) == 2
    np.testing.assert_allclose(f(a, b), np.exp(tracejit.reference(Module(own), a)) + b)
    assert isinstance(made[0], Function) and made[0].name == "smooth"


def test_a_kernel_must_fit_its_group():
    own = tracejit.parse(OWN).entry
    doubled = grouping(ops.multiply(x, 2.0), "smooth", kernel=own)
    with pytest.raises(IRError, match=r"takes <Kernel smooth.*>, not \(f64\[32\]\)"):
        grouped(lambda a: a * 2.0, doubled)(RNG.random(32))


def test_groups_pass_the_check():
    image, weights = RNG.random((2, 12, 12)), RNG.random((2, 2, 3, 3))
    f = grouped(network, TWO_CONVOLUTIONS, check=True)
    np.testing.assert_allclose(f(image, weights, weights, RNG.random(2)).shape, (2, 8, 8))


@pytest.mark.parametrize(
    "shape, threads", [((3, 40, 30), 2), ((2, 17, 23), 1), ((2, 64, 9), 1), ((3, 9, 40), 2)]
)
def test_convolutions_with_padding_are_cut_as_well(shape, threads):
    """Strips at the border read less than others; what is between is moved inside there."""

    def padded(image, first, second, bias):
        around = ((0, 0), (1, 1), (1, 1))
        inner = convolve(np.pad(image, around), first)
        return np.maximum(convolve(np.pad(inner, around), second) + bias[:, None, None], 0)

    def padded_convolution(image, weights):
        return convolution(ops.pad(image, wild("zero")), weights)

    both = grouping(padded_convolution(padded_convolution(x, w), v), "padded_convolutions")
    arrays = RNG.random(shape), RNG.random((4, shape[0], 3, 3)) - 0.5
    arrays += RNG.random((5, 4, 3, 3)) - 0.5, RNG.random(5)
    lowered = agrees(padded, *arrays, passes=[both], rtol=1e-9, threads=[threads])
    assert "group_strip" in str(lowered)
