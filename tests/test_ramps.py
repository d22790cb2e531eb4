"""Arrays that grow or shrink in a loop: one loop over one piece of memory, with NumPy's values."""

import numpy as np
import pytest

import tracejit


def american_put(price, strike, up, discount, steps):
    down, chance = 1 / up, 0.5
    value = np.maximum(strike - price * up ** (steps - 2 * np.arange(steps + 1)), 0)
    for i in range(steps - 1, -1, -1):
        stock = price * up ** (i - 2 * np.arange(i + 1.0))
        held = discount * (chance * value[: i + 1] + (1 - chance) * value[1 : i + 2])
        value = np.maximum(held, strike - stock * down * up)
    return value[0]


def european_put(price, strike, up, discount, steps):
    value = np.maximum(strike - price * up ** (steps - 2 * np.arange(steps + 1.0)), 0)
    for _ in range(steps):
        value = discount * 0.5 * (value[:-1] + value[1:])
    return value


def divided_differences(x, y):
    """Newton's coefficients; the extents are found by running the first iteration ahead."""
    column, out = y.copy(), np.zeros(len(x))
    out[0] = column[0]
    for k in range(1, len(x)):
        column = (column[1:] - column[:-1]) / (x[k:] - x[:-k])
        out[k] = column[0]
    return out


def neville(x, y, t):
    p, n = y.copy(), len(x)
    for k in range(1, n):
        p = ((t - x[k:]) * p[:-1] + (x[:-k] - t) * p[1:]) / (x[:-k] - x[k:])
    return p[0]


def appended(x):
    out = x[:1]
    for i in range(1, len(x)):
        out = np.append(out, out[-1] * 0.5 + x[i])
    return out


def polynomial(roots):
    c = np.ones(1)
    for root in roots:
        c = np.concatenate((c, [0.0])) - root * np.concatenate(([0.0], c))
    return c


def averaged(x):
    for _ in range(6):
        x = 0.5 * (x[:, :-1] + x[:, 1:])
    return x


def romberg(t):
    for k in range(1, 9):
        t = (4.0**k * t[1:] - t[:-1]) / (4.0**k - 1)
    return t[0]


def whole_numbers_first(x):
    v = np.arange(12)
    for i in range(10):
        v = v[1:] * x[i]
    return v


R = np.random.default_rng(0)
CASES = {
    american_put: (100.0, 105.0, 1.01, 0.99, 30),
    european_put: (100.0, 105.0, 1.01, 0.99, 30),
    divided_differences: (np.sort(R.random(12)), R.random(12)),
    neville: (np.arange(9.0), R.random(9), 2.3),
    appended: (R.random(30),),
    polynomial: (R.random(10),),
    averaged: (R.random((5, 30)),),
    romberg: (R.random(9),),
    whole_numbers_first: (R.random(12),),
}


@pytest.mark.parametrize("function", CASES, ids=lambda f: f.__name__)
def test_one_loop_with_numpys_values(function):
    arguments = CASES[function]
    compiled, expected = tracejit.jit(function), function(*arguments)
    assert str(compiled.trace(*arguments)).count("for_loop(") == 1
    for _ in range(2):
        found = compiled(*arguments)
        assert np.shape(found) == np.shape(expected)
        assert np.asarray(found).dtype == np.asarray(expected).dtype
        np.testing.assert_allclose(found, expected, rtol=1e-11)


def test_any_number_of_steps():
    compiled = tracejit.jit(european_put)
    for steps in (0, 1, 2, 5, 6, 40, 400):
        arguments = (100.0, 105.0, 1.01, 0.99, steps)
        np.testing.assert_allclose(compiled(*arguments), european_put(*arguments), rtol=1e-11)


def test_what_is_not_by_the_same_is_run_as_it_is():
    def halved(x):
        for _ in range(5):
            x = x[::2] + x[1::2]
        return x

    x = R.random(64)
    np.testing.assert_allclose(tracejit.jit(halved)(x), halved(x), rtol=1e-13)


def test_down_to_nothing_and_beyond():
    def shortened(x, count):
        for _ in range(count):
            x = x[1:] * 2.0
        return x

    x = R.random(9)
    compiled = tracejit.jit(shortened)
    for count in (8, 9, 12):
        np.testing.assert_array_equal(compiled(x, count), shortened(x, count))
