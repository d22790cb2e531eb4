"""List comprehensions that are too long to be followed item by item are loops."""

import numpy as np
import pytest

import tracejit

X = np.random.default_rng(0).random((60, 7))


def centered(x):
    rows = [row - row.mean() for row in x]
    return sum(row @ row for row in rows), np.concatenate(rows), np.vstack(rows).T


def drawn(x, seed):
    rng = np.random.default_rng(seed)
    return np.array([rng.choice(x[:, 0], len(x)).mean() for _ in range(50)])


def used_as_numbers(x):
    sizes = [k % 3 + 1 for k in range(60)]
    return np.concatenate([x[k, : sizes[k]] for k in range(60)])


def appended(x):
    rows = [row * 2 for row in x]
    rows.append(x[0])
    return np.array(rows)


def written(x):
    rows = [row + 1.0 for row in x]
    rows[3][2] = 7.0
    return np.array(rows), rows[3]


def unpacked(x):
    first, *rest = [np.sqrt((row * row).sum()) for row in x]
    return first, rest[-1]


PROGRAMS = {
    "numbers": lambda x: np.array([np.sqrt((row * row).sum()) for row in x]),
    "slices": lambda x: np.array([x[k : k + 5].mean() for k in range(len(x) - 5)]),
    "rows": lambda x: np.stack([row / row.sum() for row in x]),
    "tuples": lambda x: np.array([(row.mean(), row.std()) for row in x]),
    "pairs": lambda x: np.array([[x[i] @ x[j] for j in range(len(x))] for i in range(len(x))]),
    "sum": lambda x: sum([row.max() * row.min() for row in x]),
    "largest": lambda x: max([(row * row).sum() for row in x]),
    "filters": lambda x: np.array([np.convolve(row, [1, 2, 1], "same") for row in x]),
    "a list": lambda x: [(row * row).sum() for row in x],
    "zip": lambda x: np.array([a @ b for a, b in zip(x[:-1], x[1:])]),
    "enumerate": lambda x: np.array([k * row.sum() + row.min() for k, row in enumerate(x)]),
    "of another": lambda x: np.array([y * 2 + y * y for y in [row.sum() for row in x]]),
    "several readers": centered,
    "sizes": used_as_numbers,
    "appended": appended,
    "written": written,
    "unpacked": unpacked,
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_long_comprehensions(name):
    wanted = PROGRAMS[name](X.copy())
    actual = tracejit.jit(PROGRAMS[name])(X.copy())
    assert type(actual) is type(wanted)
    pairs = zip(actual, wanted) if isinstance(wanted, tuple | list) else [(actual, wanted)]
    for one, other in pairs:
        assert type(one) is type(other)
        np.testing.assert_allclose(one, other, rtol=1e-12)


def test_numbers_are_drawn_as_numpy_draws_them():
    np.testing.assert_allclose(tracejit.jit(drawn)(X, 4), drawn(X, 4), rtol=1e-12)


@pytest.mark.parametrize("name", ["numbers", "slices", "rows", "tuples", "filters"])
def test_they_are_as_long_for_any_number_of_items(name):
    lengths = [
        len(tracejit.show(tracejit.jit(PROGRAMS[name]).trace(x).module).splitlines())
        for x in (np.tile(X, (2, 1)), np.tile(X, (3, 1)))
    ]
    assert lengths[0] == lengths[1]


@pytest.mark.parametrize("index", [0, -1])
def test_pythons_numbers_stay_pythons(index):
    """Chosen by traced values, they do not make float32 a float64."""

    def scaled(x):
        chosen = [k for k in range(len(x)) if x[k] > 0]
        return x * chosen[index], x * sum(chosen), x * max(chosen)

    x = np.arange(10, dtype=np.float32) - 4
    for one, other in zip(tracejit.jit(scaled)(x), scaled(x)):
        assert one.dtype == other.dtype == np.float32
        np.testing.assert_array_equal(one, other)


def test_lists_that_data_decides_are_not_compared():
    def compared(x):
        return [k for k in range(5) if x[k] > 0] == [1, 2]

    x = np.array([-1.0, 1.0, 1.0, -1.0, -1.0])
    try:
        assert tracejit.jit(compared)(x) is True
    except tracejit.UnsupportedError:
        pass


def test_nothing_to_choose_from():
    def chosen(x):
        return [k for k in range(len(x)) if x[k].sum() > 0], len([row for row in x if row[0] > 0])

    assert tracejit.jit(chosen)(np.zeros((0, 3))) == chosen(np.zeros((0, 3))) == ([], 0)


def appended(x):
    found = [v for v in x if v > 0]
    found.append(1.0)
    return found, len(found)


def added(x):
    found, others = [v for v in x if v > 0], [v for v in x if v < -1]
    return found + others, [2.0] + others


def steps(x):
    places = [k for k, v in enumerate(x) if v > 0]
    return [b - a for a, b in zip(places, places[1:])]


def in_order(x):
    found = [v for v in x if v > 0]
    return sorted(found)[::-1], sorted((v * v for v in x if v < 0), reverse=True)


@pytest.mark.parametrize("function", [appended, added, steps, in_order])
def test_what_else_is_asked_of_lists_by_a_condition(function):
    x = np.random.default_rng(1).normal(size=12)
    jitted = tracejit.jit(function)
    for args in (x, -x, np.abs(x)):
        assert jitted(args) == function(args)
