"""Transposed arrays are read square by square; what is left of rows and columns, element by element."""

import numpy as np
import pytest
from combinations import pairs

import tracejit
from tracejit.ir.tensor import Allocate, For, statements
from tracejit.ir.verify import Stage
from tracejit.lower import pipeline
from tracejit.lower.pipeline import Options

PROGRAMS = {
    "transpose": lambda x, y: x.T.reshape(-1),
    "sum": lambda x, y: x + y.T,
    "flipped": lambda x, y: x[::-1].T.reshape(-1),
    "beside": lambda x, y: (x.T + 1)[:, ::-1] + y * 2,
    "joined": lambda x, y: np.concatenate([x.T, y]) * 2,
    "itself": lambda x, y: x[: min(x.shape), : min(x.shape)] + x[: min(x.shape), : min(x.shape)].T,
}


@pytest.mark.parametrize(
    "name, shape, dtype",
    pairs(
        PROGRAMS,
        [(16, 16), (100, 33), (64, 320), (513, 70), (5, 700)],
        ["float32", "float64", "uint32", "int16"],
    ),
)
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
    x = np.random.default_rng(0).random((300, 700), np.float32)
    module = tracejit.jit(PROGRAMS["transpose"]).trace(x, x.T).lower().module
    marks = [s.mark for k in module.functions for s in statements(k.body) if isinstance(s, For)]
    assert {"parallel", "vector", "unroll"} <= set(marks)
    np.testing.assert_array_equal(tracejit.reference(module, x, x.T), x.T.reshape(-1))


@pytest.mark.parametrize(
    "name, shape, dtype",
    pairs(
        PROGRAMS,
        [(1024, 1024), (1024, 512), (300, 2048), (2048, 173), (64, 4096)],
        ["float32", "float64", "int32"],
    ),
)
def test_rows_that_are_whole_pages_apart(name, shape, dtype):
    """Blocks are copied; what is left of the last ones is less than a square, a block, or both."""
    generator = np.random.default_rng(0)
    x = generator.integers(0, 100, shape).astype(dtype)
    y = generator.integers(0, 100, shape[::-1]).astype(dtype)
    with tracejit.threads(2):
        np.testing.assert_array_equal(tracejit.jit(PROGRAMS[name])(x, y), PROGRAMS[name](x, y))


@pytest.mark.parametrize(
    ("columns", "options", "expected"),
    [
        (1024, {}, True),
        (1088, {}, False),  # rows lie in sets of their own
        (1024, {"stream_bytes": 1 << 20}, False),  # half lines would go to memory
        (1024, {"vector_bytes": 16}, False),
    ],
)
def test_blocks_are_copied_where_rows_crowd_a_set(columns, options, expected):
    x = np.zeros((1040, columns), np.float32)
    module = tracejit.jit(PROGRAMS["transpose"]).trace(x, x.T).module
    chosen = Options(64, 0)._replace(**options)
    scheduled = pipeline.run(module, chosen)[Stage.SCHEDULED]
    buffers = [
        s.buffer for k in scheduled.functions for s in statements(k.body) if isinstance(s, Allocate)
    ]
    assert bool(buffers) is expected


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("shape", [(8, 8), (16, 16), (17, 16), (33, 24)])
def test_squares_that_an_outer_loop_repeats(shape, dtype):
    x = np.asfortranarray(np.arange(np.prod(shape)).reshape(shape).astype(dtype))
    for function in (
        lambda x: np.tile(x + 1, 2),
        lambda x: np.tile(x == 3, (2, 1)),
        lambda x: np.broadcast_to(x + 1, (3, *x.shape)) + 0,
    ):
        np.testing.assert_array_equal(tracejit.jit(function)(x), function(x))
