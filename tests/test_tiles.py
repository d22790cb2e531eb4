"""Transposed arrays are read square by square; what is left of rows and columns, element by element."""

import numpy as np
import pytest

import tracejit
from tracejit.ir.tensor import For, statements

PROGRAMS = {
    "transpose": lambda x, y: x.T.reshape(-1),
    "sum": lambda x, y: x + y.T,
    "flipped": lambda x, y: x[::-1].T.reshape(-1),
    "beside": lambda x, y: (x.T + 1)[:, ::-1] + y * 2,
    "joined": lambda x, y: np.concatenate([x.T, y]) * 2,
    "itself": lambda x, y: x[: min(x.shape), : min(x.shape)] + x[: min(x.shape), : min(x.shape)].T,
}


@pytest.mark.parametrize("dtype", ["float32", "float64", "uint32", "int16"])
@pytest.mark.parametrize("shape", [(16, 16), (100, 33), (64, 320), (513, 70), (5, 700)])
@pytest.mark.parametrize("name", PROGRAMS)
def test_transposed(name, shape, dtype):
    generator = np.random.default_rng(0)
    x = generator.integers(0, 100, shape).astype(dtype)
    y = generator.integers(0, 100, shape[::-1]).astype(dtype)

    compiled, expected = tracejit.jit(PROGRAMS[name]), PROGRAMS[name](x, y)
    for _ in range(2):
        actual = compiled(x, y)
        assert actual.dtype == expected.dtype
        np.testing.assert_array_equal(actual, expected)
        tracejit.wait()


@pytest.mark.parametrize("axes", [(0, 2, 1), (1, 0, 2), (2, 0, 1), (2, 1, 0), (1, 2, 0)])
def test_axes(axes):
    x = np.arange(20 * 40 * 70, dtype=np.float32).reshape(20, 40, 70)
    expected = np.transpose(x, axes).reshape(-1)
    np.testing.assert_array_equal(
        tracejit.jit(lambda x: x.transpose(axes).reshape(-1))(x), expected
    )


def test_what_would_be_read_far_apart_is_tiled():
    x = np.zeros((1000, 2000), np.float32)
    module = tracejit.jit(PROGRAMS["transpose"]).trace(x, x.T).lower().module
    marks = [s.mark for k in module.functions for s in statements(k.body) if isinstance(s, For)]
    assert {"parallel", "vector", "unroll"} <= set(marks)
    np.testing.assert_array_equal(tracejit.reference(module, x, x.T), x.T.reshape(-1))
