"""Points that a program computes lie coordinate by coordinate, where that is less work."""

from __future__ import annotations

import numpy as np
import pytest

import tracejit

RNG = np.random.default_rng(0)
OFF = tracejit.pipeline().drop("lay_out_points")


def lorenz(s):
    for _ in range(20):
        x, y, z = s[:, 0], s[:, 1], s[:, 2]
        s = s + 0.01 * np.stack([10 * (y - x), x * (28 - z) - y, x * y - 8 / 3 * z], axis=1)
    return s


def unit(s):
    for _ in range(20):
        s = s / np.sqrt((s * s).sum(axis=1, keepdims=True)) + 0.1
    return s


def orbit(p, v, sun):
    for _ in range(20):
        r = p - sun
        v = v - 0.01 * r / ((r * r).sum(axis=1, keepdims=True) + 0.1) ** 1.5
        p = p + 0.01 * v
    return p, v, np.sqrt((v * v).sum(axis=1))


def largest(s):
    for _ in range(20):
        s = s * 0.9 + s.max(axis=1)[:, None] * 0.1 - s.min(axis=1, keepdims=True)
    return s.argmax(axis=1), s


def mixed(s, w):
    for _ in range(20):
        s = np.tanh(s) / (1 + np.abs(s).sum(axis=1)[:, None])
        s = s @ w + s[:, ::-1]
    return s


def rolled(s, n):
    for i in range(n):
        s = s / np.sqrt((s * s).sum(axis=1, keepdims=True)) + i
    return s


def several(s, t, n):
    total = np.zeros(len(s), s.dtype)
    for _ in range(n):
        s, t = t * 0.5 / (1 + (s * s).sum(axis=1))[:, None], np.cos(s) * 0.5 - t
        total = total + s[:, 0] * t[:, 1]
    return s, t, total


POINTS = RNG.uniform(-1, 1, (100, 3))
PROGRAMS = {
    lorenz: (POINTS,),
    unit: (POINTS,),
    orbit: (POINTS, POINTS[::-1].copy(), POINTS[7] + 2),
    largest: (POINTS,),
    mixed: (POINTS, RNG.uniform(-1, 1, (3, 3))),
    rolled: (POINTS, 100),
    several: (POINTS, POINTS[::-1].copy(), 100),
}


def turned(function, arguments) -> bool:
    """Whether the pass changes the program."""
    lowered = tracejit.jit(function).lower(*arguments)
    without = tracejit.jit(function, passes=OFF).lower(*arguments)
    stage = tracejit.Stage.FUSED
    return lowered.stages[stage] is not without.stages[stage]


def cast(arguments, dtype):
    return [a.astype(dtype) if isinstance(a, np.ndarray) else a for a in arguments]


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("function", PROGRAMS, ids=lambda f: f.__name__)
def test_results_are_the_same(function, dtype):
    arguments = cast(PROGRAMS[function], dtype)
    found, expected = tracejit.jit(function)(*arguments), function(*arguments)
    tolerance = 2e-4 if dtype == "f4" else 1e-10
    if not isinstance(found, tuple):
        found, expected = (found,), (expected,)
    for one, other in zip(found, expected):
        assert one.dtype == other.dtype
        np.testing.assert_allclose(one, other, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("function", [unit, orbit, rolled, several], ids=lambda f: f.__name__)
def test_what_crosses_the_short_axis_again_and_again_is_turned(function):
    arguments = PROGRAMS[function]
    assert turned(function, arguments)
    text = str(tracejit.jit(function).lower(*arguments).stages[tracejit.Stage.FUSED])
    assert "f64[3, 100]" in text


def test_coordinates_taken_out_count_where_many_fit_into_a_vector():
    assert turned(lorenz, cast([POINTS], "f4"))
    assert not turned(lorenz, [POINTS])


def once(s):
    return s / np.sqrt((s * s).sum(axis=1, keepdims=True))


def plain(s):
    for _ in range(20):
        s = s * 0.5 + 1
    return s


def picked(s, index):
    for _ in range(20):
        s = s[index] * 0.5 + 1
    return s


@pytest.mark.parametrize(
    ("function", "arguments"),
    [(once, (POINTS,)), (plain, (POINTS,)), (picked, (POINTS, np.arange(100)[::-1].copy()))],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_what_does_not_pay_stays(function, arguments):
    assert not turned(function, arguments)
    np.testing.assert_allclose(tracejit.jit(function)(*arguments), function(*arguments))


@pytest.mark.parametrize("shape", [(63, 3), (100, 9), (100, 1)])
def test_few_points_and_long_axes_stay(shape):
    s = RNG.uniform(0.1, 1, shape)
    assert not turned(unit, (s,))
    np.testing.assert_allclose(tracejit.jit(unit)(s), unit(s), rtol=1e-10)


def test_strict_programs_have_numpys_bits():
    f = tracejit.jit(unit, numerics="strict")
    np.testing.assert_array_equal(f(POINTS), unit(POINTS))


def test_points_of_the_callers_are_updated_in_place():
    def step(s, v):
        for _ in range(10):
            r = np.sqrt((s * s).sum(axis=1, keepdims=True))
            v -= s / r
            s += 0.1 * v

    s, v = POINTS.copy(), POINTS[::-1].copy()
    expected = s.copy(), v.copy()
    step(*expected)
    tracejit.jit(step)(s, v)
    np.testing.assert_allclose(s, expected[0], rtol=1e-10)
    np.testing.assert_allclose(v, expected[1], rtol=1e-10)


def test_checking_every_pass():
    f = tracejit.jit(orbit, check=True)
    found = f(*PROGRAMS[orbit])
    for one, other in zip(found, orbit(*PROGRAMS[orbit])):
        np.testing.assert_allclose(one, other, rtol=1e-10)
