"""Operands that are computed where products pack them."""

from __future__ import annotations

import numpy as np
import pytest

import tracejit
from tracejit.ir.verify import Stage, verify

RNG = np.random.default_rng(0)


def scaled(x, w):
    return (x * 0.5) @ w


def dequantised(x, w, scale):
    return x @ (w.astype(x.dtype) * scale)


def dequantised_transposed(x, w, scale):
    return x @ (w.astype(x.dtype) * scale[:, None]).T


def normalised(x, mean, scale, w):
    return np.maximum(((x - mean[:, None]) * scale[:, None]) @ w, 0)


def dropped(x, mask, w):
    return np.where(mask, x, 0) @ w + 1


def both(x, w):
    return (x + 1) @ (w * 2)


def shifted(x, w):
    return np.concatenate([x[1:] - x[:-1], x[:1]]) @ w


def from_bits(x, w):
    """Weights of 16 bits, bfloat16: the upper half of a float32."""
    return x @ (w.astype(np.uint32) << 16).view(np.float32).astype(x.dtype)


def from_bits_transposed(x, w):
    return x @ (w.astype(np.uint32) << 16).view(np.float32).astype(x.dtype).T


def from_halves(x, w):
    return x @ w.astype(x.dtype)


def upper_halves(*shape):
    return (RNG.standard_normal(shape).astype("float32").view("uint32") >> 16).astype("uint16")


def numbers(dtype, *shapes):
    return [RNG.standard_normal(shape).astype(dtype) for shape in shapes]


def whole(*shape):
    return RNG.integers(-127, 128, shape).astype("int8")


def cases(dtype):
    x, w, mean, scale = numbers(dtype, (100, 90), (90, 80), 100, 100)
    v, few, batch, weights = numbers(dtype, 90, (5, 90), (3, 70, 40), (3, 40, 66))
    some = RNG.standard_normal((32, 90)).astype(dtype)
    halves = RNG.standard_normal((90, 80)).astype("float16")
    mask = RNG.random((100, 90)) > 0.3
    return [
        (scaled, (x, w), 1),
        (dequantised, (x, whole(90, 80), scale[:80]), 1),
        (dequantised, (v, whole(90, 80), scale[:80]), 1),
        (dequantised, (few, whole(90, 80), scale[:80]), 1),
        (dequantised_transposed, (x, whole(80, 90), scale[:80]), 1),
        (dequantised_transposed, (v, whole(80, 90), scale[:80]), 1),
        (dequantised_transposed, (few, whole(80, 90), scale[:80]), 1),
        (normalised, (x, mean, scale, w), 1),
        (dropped, (x, mask, w), 1),
        (both, (x, w), 1),
        (both, (batch, weights), 2),
        (shifted, (x, w), 2),
        (scaled, (x[:, ::2], w[::2].T.copy().T), 1),
        (dequantised, (some, whole(90, 80), scale[:80]), 1),
        (from_bits, (x, upper_halves(90, 80)), 1),
        (from_bits, (some, upper_halves(90, 80)), 1),
        (from_bits, (v, upper_halves(90, 80)), 1),
        (from_bits_transposed, (x, upper_halves(80, 90)), 1),
        (from_bits_transposed, (some, upper_halves(80, 90)), 1),
        (from_bits_transposed, (few, upper_halves(80, 90)), 1),
        (from_halves, (x, halves), 1),
        (from_halves, (some, halves), 1),
        (scaled, (few, w), 2),  # it is little beside what else would have to be packed
    ]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("position", range(len(cases("float64"))))
def test_computed_where_it_is_packed(position, dtype):
    function, arrays, count = cases(dtype)[position]
    lowered = tracejit.jit(function).lower(*arrays)
    for stage, module in lowered.stages.items():
        verify(module, stage)
    fused = lowered.stages[Stage.FUSED]
    assert len(fused.functions) - 1 <= count, tracejit.show(fused)
    wanted = function(*[a.astype("float64") if a.dtype.kind == "f" else a for a in arrays])
    near = 1e-5 if dtype == "float32" else 1e-12
    for options in ({}, {"threads": 1}, {"numerics": "strict"}):
        got = tracejit.jit(function, **options)(*arrays)
        np.testing.assert_allclose(got, wanted, rtol=near, atol=near * abs(wanted).max())


def test_what_is_used_twice_or_dear_is_stored():
    x, w = numbers("float64", (100, 90), (90, 80))

    def twice(x, w):
        y = x * 2
        return y @ w, y + 1

    def dear(x, w):
        return np.tanh(np.exp(x)) @ w

    def same(x, w):
        y = x - 1
        return y @ y.T

    for function in (twice, dear, same):
        fused = tracejit.jit(function).lower(x, w).stages[Stage.FUSED]
        assert len(fused.functions) - 1 >= 2, tracejit.show(fused)
        got, wanted = tracejit.jit(function)(x, w), function(x, w)
        pairs = zip(got, wanted) if isinstance(wanted, tuple) else [(got, wanted)]
        for one, other in pairs:
            np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-10)


def test_square_operands_keep_their_order():
    """What follows a product may not be taken for what it is computed from."""

    def program(x, w):
        y = np.cumsum(x, 0) * 2
        z = (y + x) @ w
        return z + y, np.exp(y)

    x, w = numbers("float64", (96, 96), (96, 96))
    for got, wanted in zip(tracejit.jit(program)(x * 0.01, w), program(x * 0.01, w)):
        np.testing.assert_allclose(got, wanted, rtol=1e-10)
