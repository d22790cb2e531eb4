"""The same bits from call to call and whatever the number of threads: chunks depend on sizes alone."""

from __future__ import annotations

import numpy as np
import pytest

import tracejit

PROGRAMS = [
    lambda x: x.sum(),
    lambda x: x.mean(axis=0),
    lambda x: x.std(axis=1),
    lambda x: x.ravel() @ x.ravel(),
    lambda x: x @ x[0],
    lambda x: x.T[:40] @ x,
    lambda x: (np.exp(x) / np.exp(x).sum(axis=1, keepdims=True)).sum(axis=0),
]


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("shape", [(700, 900), (40, 20000), (20000, 50)])
@pytest.mark.parametrize("number", range(len(PROGRAMS)))
def test_threads_do_not_change_results(number, shape, dtype):
    x = np.random.default_rng(0).standard_normal(shape).astype(dtype)
    function = tracejit.jit(PROGRAMS[number])
    results = []
    for count in (1, 2, 3):
        with tracejit.threads(count):
            results += [np.asarray(function(x)) for _ in range(2)]
    for result in results[1:]:
        np.testing.assert_array_equal(result, results[0])
