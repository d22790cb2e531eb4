"""Universal functions that are given lists of traced arrays."""

import numpy as np
import pytest

import tracejit

PAIR = (np.array([1.0, -2.0, 3.0]), np.array([0.5, 1.5, 9.0]))


def flooded(free):
    """Numbers for the connected parts of a grid, by the largest number nearby."""
    labels = np.where(free, np.arange(1, free.size + 1).reshape(free.shape), 0)
    while True:
        p = np.pad(labels, 1)
        parts = [p[1:-1, 1:-1], p[:-2, 1:-1], p[2:, 1:-1], p[1:-1, :-2], p[1:-1, 2:]]
        new = np.maximum.reduce(parts) * free
        if np.array_equal(new, labels):
            return labels, len(np.unique(labels)) - 1
        labels = new


def combined(x, y, op=np.add):
    kind = "sum" if op is np.add else "other"
    sign = {np.add: 1.0, np.subtract: -1.0}[op]
    return op.reduce([x, y]) * (sign if kind == "sum" and np.add is op else 100.0)


PROGRAMS = {
    "call": lambda x, y: np.sin([x, y]),
    "call with a number": lambda x, y: np.maximum([x, y], 0.5),
    "call of nested lists": lambda x, y: np.add([[x], [y]], x),
    "reduce": lambda x, y: np.maximum.reduce([x, y]),
    "reduce a tuple": lambda x, y: np.add.reduce((x, y, x)),
    "reduce with options": lambda x, y: np.maximum.reduce(
        [x, y], axis=1, keepdims=True, initial=3.0
    ),
    "reduce masks": lambda x, y: np.logical_or.reduce([x > 0, y > 1]),
    "accumulate": lambda x, y: np.add.accumulate([x, y]),
    "reduceat": lambda x, y: np.add.reduceat([x, y], [0, 1], axis=1),
    "outer": lambda x, y: np.multiply.outer([x, y], x),
    "equal to itself": combined,
    "an attribute": lambda x, y: np.add.reduce([x, y]) * np.add.nin,
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_lists_of_arrays_are_arrays(name):
    wanted = PROGRAMS[name](*PAIR)
    actual = tracejit.jit(PROGRAMS[name], fallback="error")(*PAIR)
    assert actual.dtype == wanted.dtype
    np.testing.assert_allclose(actual, wanted, rtol=1e-15)


def test_what_was_drawn_before_is_drawn_once():
    def noisy(rng, x):
        return np.add.reduce([x, rng.normal(size=x.shape)])

    ours, numpys = np.random.default_rng(3), np.random.default_rng(3)
    compiled = tracejit.jit(noisy)
    for _ in range(3):
        np.testing.assert_array_equal(compiled(ours, PAIR[0]), noisy(numpys, PAIR[0]))


def test_a_loop_of_them():
    free = np.random.default_rng(0).random((30, 30)) < 0.55
    labels, count = tracejit.jit(flooded, fallback="error")(free)
    wanted, expected = flooded(free)
    np.testing.assert_array_equal(labels, wanted)
    assert count == expected
