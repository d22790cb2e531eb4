"""One program serves every size: functions traced with symbolic extents, run at several."""

import numpy as np
import pytest
from numpy_calls import compare, flat, outputs_of, sample

from tracejit.ir.dims import symbol
from tracejit.ir.types import array_type, to_dtype
from tracejit.trace.program import Traced
from tracejit.trace.tracing import trace

FUNCTIONS = [
    lambda x: np.sum(x, axis=0),
    lambda x: np.mean(x),
    lambda x: x.mean(axis=0),
    lambda x: np.var(x, axis=0, ddof=1),
    lambda x: np.std(x),
    lambda x: np.max(x, axis=0, keepdims=True),
    lambda x: np.argmax(x),
    lambda x: np.argmin(x, axis=0),
    lambda x: np.argmax(x, axis=1),
    lambda x: np.average(x, axis=0),
    lambda x: np.cumsum(x, axis=0),
    lambda x: x.reshape(-1),
    lambda x: x.reshape(3, -1),
    lambda x: x.reshape(x.shape[0], 3, 1),
    lambda x: np.ravel(x),
    lambda x: x.T,
    lambda x: np.squeeze(x[None]),
    lambda x: np.broadcast_to(x[:1], x.shape),
    lambda x: np.flip(x),
    lambda x: np.roll(x, 1, axis=0),
    lambda x: np.roll(x, -1, axis=0),
    lambda x: np.concatenate([x, x[:1]]),
    lambda x: np.stack([x, x], axis=1),
    lambda x: np.vstack([x, np.zeros((2, 3))]),
    lambda x: np.tile(x, (2, 1)),
    lambda x: np.repeat(x, 2, axis=0),
    lambda x: np.repeat(x, 3),
    lambda x: np.pad(x, 1),
    lambda x: np.pad(x, ((1, 0), (0, 0)), mode="edge"),
    lambda x: np.zeros(x.shape[0]),
    lambda x: np.full(x.shape, 2.0),
    lambda x: np.ones_like(x),
    lambda x: np.arange(x.shape[0]),
    lambda x: np.array(x.shape),
    lambda x: np.array([x.shape[0], 2.5]),
    lambda x: np.arange(1, x.shape[0] + 1) * 0.5,
    lambda x: np.eye(x.shape[0]),
    lambda x: x @ x.T,
    lambda x: x.T @ x,
    lambda x: np.einsum("ij,kj->ik", x, x),
    lambda x: np.tensordot(x, x, axes=([0], [0])),
    lambda x: np.outer(x[:, 0], x[:, 1]),
    lambda x: np.linalg.norm(x, axis=1),
    lambda x: np.tril(x @ x.T),
    lambda x: np.diff(x, axis=0),
    lambda x: np.gradient(x, axis=0),
    lambda x: np.trapezoid(x, axis=0),
    lambda x: np.convolve(x[:, 0], [1.0, 2.0, 3.0]),
    lambda x: np.where(x > 0, x, 0),
    lambda x: np.clip(x, -1, 1),
    lambda x: np.meshgrid(x[:, 0], x[0]),
    lambda x: np.cov(x, rowvar=False),
    lambda x: np.median(x),
    lambda x: np.median(np.where(x > 1, np.nan, x), axis=0, keepdims=True),
    lambda x: np.median((x * 10).astype(int), axis=0),
    lambda x: np.tile(x[:, 0], 3),
    lambda x: np.tile(x, (2, 2)),
    lambda x: np.repeat(x, 3, axis=0) + np.repeat(x, 3).reshape(-1, 3),
    lambda x: np.tile(np.concatenate([x[:, 0], x[:, 1] * 2]), 2),
]


@pytest.mark.parametrize("function", FUNCTIONS)
def test_symbolic(function):
    type = array_type((symbol("n"), 3), to_dtype("float64"))
    program = trace(function, (sample((4, 3)),), {}, how=[Traced(type)])
    for n in (2, 5, 6):
        x = sample((n, 3), seed=n)
        with np.errstate(all="ignore"):
            results, wanted = outputs_of(program, [x]), list(flat(function(x)))
        for result, want in zip(results, wanted, strict=True):
            compare(result, want)


@pytest.mark.parametrize("function", [np.argmax, np.argmin])
@pytest.mark.parametrize("dtype", ["float64", "float32", "int32"])
def test_places_in_rows_of_unknown_length(function, dtype):
    program = trace(
        function, (np.zeros(4),), {}, how=[Traced(array_type((symbol("n"),), to_dtype(dtype)))]
    )
    rng = np.random.default_rng(8)
    for n in (2, 255, 256, 512, 513, 1025, 20_000):
        for place in (0, n // 2, n - 1):
            x = rng.integers(-50, 50, n).astype(dtype)
            x[place] = 60 if function is np.argmax else -60
            (found,) = outputs_of(program, [x])
            assert found == function(x) == place
            if x.dtype.kind == "f":
                x[[place, n - 1]] = np.nan
                assert outputs_of(program, [x])[0] == function(x)
