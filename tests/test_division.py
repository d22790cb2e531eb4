"""Integers divided by numbers known while compiling: NumPy's quotients and remainders at every edge."""

from __future__ import annotations

import numpy as np
import pytest

import tracejit


@pytest.mark.parametrize("dtype", ["int8", "int16", "int32", "int64", "uint8", "uint32", "uint64"])
@pytest.mark.parametrize("divisor", [1, 2, 3, 7, 64, 100, 127])
def test_by_a_constant(dtype, divisor):
    limits = np.iinfo(dtype)
    numbers = [0, 1, 2, 63, 64, 99, 100, limits.max, limits.max - 1, limits.min, limits.min + 1]
    numbers += [-1, -2, -63, -64, -65, -100] if limits.min < 0 else []
    quotient, remainder = tracejit.jit(lambda x: x // divisor), tracejit.jit(lambda x: x % divisor)
    for values in (np.array(numbers, dtype), *np.array(numbers, dtype)):
        for jitted, wanted in ((quotient, values // divisor), (remainder, values % divisor)):
            got = jitted(values)
            assert np.asarray(got).dtype == wanted.dtype
            np.testing.assert_array_equal(got, wanted)


def test_common_divisors():
    """In lanes and one by one, of numbers near and far from each other, the least and zero."""

    def program(x, y):
        total = 0
        for a, b in zip(x, y):
            total = total * 3 % 1009 + int(np.gcd(a, b)) % 1000
        return np.gcd(x, y), np.lcm(x, y), total

    for dtype in (np.int64, np.uint8, np.int32):
        limits = np.iinfo(dtype)
        special = np.array([0, 1, 6, 96, limits.min, limits.max, limits.max // 3], dtype)
        x, y = [a.ravel() for a in np.meshgrid(special, special)]
        for got, wanted in zip(tracejit.jit(program)(x, y), program(x, y)):
            np.testing.assert_array_equal(got, wanted)
