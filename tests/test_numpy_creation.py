"""Arrays made inside a traced function are NumPy's."""

import numpy as np
import pytest
from numpy_calls import check, sample

from tracejit.errors import UnsupportedError
from tracejit.trace.tracing import trace

MADE = [
    lambda: np.zeros(3),
    lambda: np.zeros((2, 3), "int8"),
    lambda: np.zeros(shape=[2, 0], dtype=bool, order="F"),
    lambda: np.zeros(()),
    lambda: np.zeros(-1),
    lambda: np.zeros((2.5,)),
    lambda: np.empty((2, 3)).shape,
    lambda: np.empty(3, np.float32).dtype == np.float32,
    lambda: np.ones((2, 1), complex),
    lambda: np.full(3, 7),
    lambda: np.full((2, 2), 1.5, "float32"),
    lambda: np.full((2, 3), [1, 2, 3]),
    lambda: np.full((2, 3), [1, 2]),
    lambda: np.arange(5),
    lambda: np.arange(2, 9, 3),
    lambda: np.arange(9, 2, -3),
    lambda: np.arange(5.0),
    lambda: np.arange(0, 1, 0.1),
    lambda: np.arange(0.3, 2, 0.3, dtype="float32"),
    lambda: np.arange(0, 5, 0.7, dtype="float16"),
    lambda: np.arange(3, 0),
    lambda: np.arange(0, 5, 0),
    lambda: np.arange(2, dtype=bool),
    lambda: np.arange(5, dtype="uint8"),
    lambda: np.arange(1, 4, dtype=complex),
    lambda: np.arange(np.float32(1), np.float32(3)),
    lambda: np.arange(stop=5, step=2) if False else np.arange(0, stop=5, step=2),
    lambda: np.arange(250, 260, dtype="int16"),
    lambda: np.linspace(0, 1),
    lambda: np.linspace(0, 1, 7, endpoint=False),
    lambda: np.linspace(1, 10, 5, dtype=int),
    lambda: np.linspace(0, 1, 5, retstep=True),
    lambda: np.linspace(0, 1, 1, retstep=True),
    lambda: np.linspace(0, 1, 0),
    lambda: np.linspace(0, 1, -1),
    lambda: np.linspace(3, 3, 4),
    lambda: np.linspace([0, 1], [1, 3], 4),
    lambda: np.linspace([0, 1], [1, 3], 4, axis=1),
    lambda: np.linspace(0, 1j, 3),
    lambda: np.linspace(np.float32(0), np.float32(1), 5),
    lambda: np.logspace(0, 2, 5),
    lambda: np.logspace(0, 2, 5, base=2.0, dtype="float32"),
    lambda: np.geomspace(1, 1000, 4),
    lambda: np.geomspace(-1, -1000, 4),
    lambda: np.geomspace(1, 256, 9, dtype=int),
    lambda: np.geomspace(0, 256, 9),
    lambda: np.eye(3),
    lambda: np.eye(3, 4, 1, dtype="int8"),
    lambda: np.eye(3, k=-1),
    lambda: np.eye(0),
    lambda: np.identity(3),
    lambda: np.tri(3),
    lambda: np.tri(3, 4, -1, dtype=int),
    lambda: np.indices((2, 3)),
    lambda: np.indices((2, 3), dtype="float32"),
    lambda: np.indices((2, 3), sparse=True),
    lambda: np.fromfunction(lambda i, j: i + 10 * j, (2, 3)),
    lambda: np.array([1, 2, 3]),
    lambda: np.array([[1, 2.5], [3, 4]]),
    lambda: np.array([1, 2], dtype="float32"),
    lambda: np.array(5),
    lambda: np.array([]),
    lambda: np.array([1, 2], ndmin=3),
    lambda: np.array([[1, 2], [3]]),
    lambda: np.array([True, False]),
    lambda: np.array(range(4)),
    lambda: np.asarray([1.0, 2.0]),
    lambda: np.asanyarray((1, 2)),
    lambda: np.ascontiguousarray(3.0),
    lambda: np.asfortranarray([[1, 2]]),
    lambda: np.copy([1, 2]),
    lambda: np.hanning(5),
    lambda: np.zeros(3) + np.ones(3),
    lambda: np.mgrid[0:3, 0:4],
    lambda: np.mgrid[0:3],
    lambda: np.mgrid[-1:1:5j, 0:2:0.5],
    lambda: np.mgrid[-1:1:5j],
    lambda: np.mgrid[0:3, 0:1:1j],
    lambda: np.ogrid[0:3, 1:4],
    lambda: np.ogrid[-1:1:5j, 0:2],
    lambda: np.ogrid[:4],
    lambda: np.r_[1, 2, 3],
    lambda: np.r_[0:3, 7, 0:1:3j],
    lambda: np.c_[[1, 2], [3, 4]],
    lambda: np.c_[0:3, 3:6],
    lambda: np.triu(np.ones((3, 3))),
    lambda: np.meshgrid([1, 2], [3.5, 4.5, 5.5]),
    lambda: np.tril_indices(3),
    lambda: np.float32(0.5) * np.ones(3, "float32"),
    lambda: len(np.zeros((4, 2))),
    lambda: [k for k in range(np.zeros((4, 2)).shape[0])],
]


@pytest.mark.parametrize("function", MADE)
def test_made(function):
    check(function)


FROM_TRACED = [
    lambda x: np.array([x[0], x[1] * 2, 1.0]),
    lambda x: np.array([x, x]),
    lambda x: np.array([[x[0], 0], [1, x[1]]], dtype="float32"),
    lambda x: np.asarray(x),
    lambda x: np.asarray(x, dtype="float32"),
    lambda x: np.array(x, ndmin=2),
    lambda x: np.array(x[0]),
    lambda x: np.full((2, 4), x),
    lambda x: np.full(3, x[0], dtype="int8"),
    lambda x: np.full_like(x, x[0]),
    lambda x: np.ones_like(x) * x,
    lambda x: np.empty_like(x).shape,
    lambda x: np.zeros(x.shape, x.dtype),
    lambda x: np.zeros_like([x[0], x[1]]),
    lambda x: np.linspace(x[0], x[1], 5),
    lambda x: np.linspace(x[0], x[1], 5, endpoint=False, dtype="float32"),
    lambda x: np.linspace(x, x + 1, 3, axis=-1),
    lambda x: np.linspace(x[0], 9, 4, retstep=True),
    lambda x: np.logspace(x[0], x[1], 3),
    lambda x: np.logspace(0, 1, 3, base=x + 5),
    lambda x: np.geomspace(x[0] ** 2 + 1, 99.0, 5),
    lambda x: np.geomspace(x * x + 1, 100 * x * x + 5, 4, endpoint=False, axis=1),
    lambda x: np.arange(x.shape[0]) * x,
    lambda x: np.arange(len(x), dtype="float32"),
    lambda x: np.meshgrid(x, x[:2]),
    lambda x: np.meshgrid(x, x[:2], 1.0, indexing="ij"),
    lambda x: np.meshgrid(x, x[:2], sparse=True),
    lambda x: np.meshgrid(x, indexing="up"),
    lambda x: np.r_[x, 0, x[1:3]],
    lambda x: np.r_[x[None], x[None]],
    lambda x: np.c_[x, x * 2],
    lambda x: np.c_[x, np.ones((4, 2))],
    lambda x: np.c_[x[None], 1, 2.5],
    lambda x: np.c_[x, x[:2]],
    lambda x: np.vander(x),
    lambda x: np.vander(x, 3, increasing=True),
    lambda x: np.vander(x, 0),
    lambda x: np.vander(x[:, None]),
    lambda x: np.max([x[0], x[1]]),
    lambda x: np.sum((x, x), axis=0),
    lambda x: np.where([True, False, True, True], x, 0),
    lambda x: np.dot([1, 2, 3, 4], x),
    lambda x: np.ascontiguousarray(x[0]),
]


@pytest.mark.parametrize("function", FROM_TRACED)
def test_from_traced(function):
    check(function, sample((4,)))
    check(function, sample((4,), "int16"))


def test_text_is_left_alone():
    check(lambda x: x + len(np.array(["a", "b"])), sample((3,)))


@pytest.mark.parametrize(
    "function",
    [
        lambda x: np.add(x, 1, where=x > 0),
        lambda x: np.ravel(np.ones((2, 2)) * x[0], order="A"),
        lambda x: np.pad(x, 1, mode="median"),
        lambda x: np.partition(x, x.astype(int)),
        lambda x: np.r_["r", x],
        lambda x: np.matmul(x, x, axes=[(0,), (0,), ()]),
    ],
)
def test_refusals_say_what_to_do(function):
    with pytest.raises(UnsupportedError) as caught:
        trace(function, (sample((3,)),), {}, calls_python=False)
    assert caught.value.hint
    assert "test_numpy_creation.py" in caught.value.location
