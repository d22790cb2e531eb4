"""Transposed reads: cut into strips where lines would be lost, and right at every size and step."""

from __future__ import annotations

import numpy as np
import pytest
from combinations import pairs
from golden import expect

import tracejit
from tracejit.ir.tensor import For, statements

RNG = np.random.default_rng(3)


def kernel_of(function, *args):
    module = tracejit.jit(function, threads=1).lower(*args).module
    (kernel,) = [k for k in module.functions if k is not module.entry]
    return kernel


def marks(kernel) -> list[tuple[str, str]]:
    return [(s.index.name, s.mark) for s in statements(kernel.body) if isinstance(s, For)]


def test_golden():
    x = np.zeros((600, 600), np.int16)  # of larger elements squares are exchanged (tiles.py)
    kernel = kernel_of(lambda x: x.T + 1, x)
    expect(
        "\n".join(f"{name} {mark}" for name, mark in marks(kernel)),
        """
        i1_strip serial
        i0 serial
        i1 vector
        i0 vector
        i1 serial
        """,
    )


@pytest.mark.parametrize("shape", [(40, 50), (600, 4), (4, 600)])
def test_what_stays_near_is_not_cut(shape):
    kernel = kernel_of(lambda x: x.T + 1, np.zeros(shape))
    assert not any("strip" in name for name, _ in marks(kernel))


@pytest.mark.parametrize(
    "shape, dtype, function",
    pairs(
        [(511, 513), (513, 512), (700, 1030), (1030, 9)],
        ["f4", "f8", "i1", "?", "c16"],
        [lambda x, y: x.T.copy(), lambda x, y: x.T + y],
    ),
)
def test_transposes(shape, dtype, function):
    x = (RNG.random(shape) * 4).astype(dtype)
    y = (RNG.random(shape[::-1]) * 4).astype(dtype)
    np.testing.assert_array_equal(tracejit.jit(function)(x, y), function(x, y))


@pytest.mark.parametrize("axes", [(0, 2, 1), (1, 0, 2), (2, 1, 0), (2, 0, 1), (1, 2, 0)])
@pytest.mark.parametrize("shape", [(3, 600, 530), (600, 3, 530), (530, 600, 3)])
def test_three_axes(axes, shape):
    x = RNG.random(shape)
    moved = tracejit.jit(lambda x: np.pad(x.transpose(axes), 1))(x)
    np.testing.assert_array_equal(moved, np.pad(x.transpose(axes), 1))


@pytest.mark.parametrize(
    "step, size, dtype",
    pairs(
        [-4, -3, -2, 2, 3, 4, 5, 17],
        [1, 7, 8, 31, 32, 33, 64, 257],
        ["f4", "f8", "i2", "u1", "c8", "f2"],
    ),
)
def test_elements_apart(step, size, dtype):
    """Whole memory is used: a read past the last element would leave the array."""
    x = (np.arange((size - 1) * abs(step) + 1) % 251).astype(dtype)
    result = tracejit.jit(lambda x: x[::step] + x.dtype.type(1))(x)
    np.testing.assert_array_equal(result, x[::step] + x.dtype.type(1))
    assert result.size == size


@pytest.mark.parametrize("width", [2, 3, 4, 5])
def test_columns_are_woven(width):
    columns = [RNG.random(300) for _ in range(width)]
    woven = tracejit.jit(lambda *c: np.stack(c, axis=-1))(*columns)
    np.testing.assert_array_equal(woven, np.stack(columns, axis=-1))
    apart = tracejit.jit(lambda x: [x[:, k] * 2 for k in range(width)])(woven)
    np.testing.assert_array_equal(np.array(apart), woven.T * 2)
