"""Programs of constants: known indices that are out of bounds where nothing may ever read, and long loops."""

from __future__ import annotations

from contextlib import suppress

import numpy as np
import pytest
import textbook_loops

import tracejit
from tracejit.testing import assert_no_copy


def last_or(x, k):
    if k > 2:
        return x[len(x)]
    return x[0]


def in_a_loop(x):
    total, place = 0.0, len(x)
    for k in range(len(x)):
        if x[k] > 5:
            total += x[place]
        total += x[k]
    return total


def written(x):
    for k in range(len(x)):
        if x[k] > 5:
            x[len(x)] = 1.0
            x[-len(x) - 1] = 2.0
    return x


def test_an_arm_that_does_not_run():
    x = np.arange(5.0)
    assert tracejit.jit(last_or)(x, np.int64(1)) == 0
    assert tracejit.jit(in_a_loop)(x) == x.sum()
    np.testing.assert_array_equal(tracejit.jit(written)(x.copy()), x)


@pytest.mark.parametrize("function", [in_a_loop, written])
def test_an_arm_that_runs(function):
    with pytest.raises(IndexError, match="index -?[567] is out of bounds for axis 0 with size 5"):
        tracejit.jit(function)(np.arange(5.0) + 4)
    with pytest.raises(IndexError, match="index 5 is out of bounds for axis 0 with size 5"):
        tracejit.jit(last_or)(np.arange(5.0), np.int64(3))


def test_where_it_is_certain():
    with pytest.raises(IndexError, match="index 5 is out of bounds for axis 0 with size 5"):
        tracejit.jit(lambda x: x[5] + 1)(np.arange(5.0))


def test_what_is_caught():
    def first_or_zero(x, k):
        found = 0.0
        if k > 2:
            try:
                found = x[7]
            except IndexError:
                found = -1.0
        return found

    for k in (1, 3):
        args = np.arange(5.0), np.int64(k)
        assert tracejit.jit(first_or_zero)(*args) == first_or_zero(*args)


@pytest.mark.parametrize("n", [150, 1000])
def test_loops_over_constants_are_rolled(n):
    """The widths of runs are constants; the program is one loop over them all the same."""
    x = np.random.default_rng(0).integers(0, 1000, n)
    module = tracejit.jit(textbook_loops.merge_sort).lower(x).module
    assert len(tracejit.show(module)) < 20_000
    np.testing.assert_array_equal(tracejit.jit(textbook_loops.merge_sort)(x), np.sort(x))


def test_a_search_through_constants_is_rolled():
    assert tracejit.jit(textbook_loops.count_queens)(7) == 40
    assert len(tracejit.show(tracejit.jit(textbook_loops.count_queens).lower(7).module)) < 5000


def sieve(n):
    prime = np.ones(n + 1, np.bool_)
    prime[:2] = False
    k = 2
    while k * k <= n:
        if prime[k]:
            for j in range(k * k, n + 1, k):
                prime[j] = False
        k += 1
    count = 0
    for k in range(n + 1):
        if prime[k]:
            count += 1
    return count


def test_what_python_could_run_is_rolled_where_it_is_long():
    """Nothing in it depends on an argument; a thousand parts of the program would be too many."""
    assert tracejit.jit(sieve)(3000) == sieve(3000)
    assert len(tracejit.show(tracejit.jit(sieve).lower(3000).module)) < 10_000


@pytest.mark.parametrize("counts", [True, False])
def test_a_size_that_comes_out_of_a_loop_over_another_one(counts):
    """The first is known to the trace, which computes the second for these arguments."""

    def function(a, b, k):
        n = k[0] + 1
        c = b[n:] * 2
        for i in range(5):
            c = c + a[i]
        return np.zeros(int(c[0]) % 7), c if counts else b

    jitted = tracejit.jit(function)
    for first in (0, 2):
        a, k = np.arange(5.0), np.arange(first, 5)
        for found, wanted in zip(jitted(a, a + 1, k), function(a, a + 1, k)):
            np.testing.assert_array_equal(found, wanted)


def fetched(x, places):
    """What is there, or -1 for all from the first place on that is not."""
    found = np.full(len(places), -1.0)
    try:
        for k in range(len(places)):
            found[k] = x[places[k]]
    except IndexError:
        return found * 2
    return found


def written_where_there_is(x, k, others):
    x += 1
    try:
        x[k] = 9.0
        x[1] = others[k]
    except (IndexError, ValueError) as error:
        x[0] = len(str(error))
    return x.sum()


def suppressed(x, k):
    y = x * 2
    with suppress(IndexError):
        y[k] = 5.0
    return y


def helped(x, k):
    def element(k):
        return x[k] * 2

    try:
        return element(k)
    except LookupError:
        return -1.0


def powers(n, k):
    try:
        return n**k
    except ValueError:
        return n * 0


def at_last(x, k):
    try:
        y = x[k]
    except IndexError:
        y = -1.0
    finally:
        x[0] = 4.0
    return y


def there(x, k):
    try:
        x[k]
    except IndexError:
        return False
    return True


def caught_inside(x, k):
    total = 0.0
    for i in range(len(x)):
        try:
            if i == k:
                raise ValueError("k")
            total += x[i]
        except ValueError as error:
            total -= len(str(error))
        else:
            x[i] = 0
    return total


X, PLACES = np.arange(5.0), np.array([1, 4, 5, 0])


@pytest.mark.parametrize(
    "function, good, bad",
    [
        (fetched, (X, PLACES[:2]), (X, PLACES)),
        (written_where_there_is, (X, np.int64(1), X[:3]), (X, np.int64(4), X[:3])),
        (written_where_there_is, (X, np.int64(1), X[:3]), (X, np.int64(5), X[:3])),
        (suppressed, (X, np.int64(2)), (X, np.int64(7))),
        (helped, (X, np.int64(2)), (X, np.int64(-7))),
        (powers, (PLACES, np.array([1, 2, 3, 4])), (PLACES, np.array([1, -2, 3, 4]))),
        (there, (X, np.int64(2)), (X, np.int64(7))),
        (at_last, (X, np.int64(2)), (X, np.int64(7))),
        (caught_inside, (X, np.int64(7)), (X, np.int64(2))),
    ],
)
def test_what_a_handler_is_for(function, good, bad):
    """A `try` may handle what compiled code raises; the arguments are what they were before."""
    jitted = tracejit.jit(function)
    for args in (good, bad, bad, good):
        ours, theirs = ([a.copy() for a in args] for _ in range(2))
        np.testing.assert_array_equal(jitted(*ours), function(*theirs))
        for one, other in zip(ours, theirs):
            np.testing.assert_array_equal(one, other)
    assert jitted.cache_info().misses <= 2


def test_a_place_that_is_looked_up():
    """Of a short array that a loop writes, at a known place of a constant array."""

    def function(x):
        total = 0.5
        for _ in range(2):
            z = x[[0, 1]]
            total = total + z[0]
            x[5] = x[0]
            x += 1
        return total, x

    with tracejit.config.use(unroll=0):
        total, x = tracejit.jit(function)(np.arange(6.0))
    wanted, theirs = function(np.arange(6.0))
    assert total == wanted
    np.testing.assert_array_equal(x, theirs)


def test_what_no_handler_is_for():
    def optional(x, k):
        try:
            import math
        except ImportError:
            return x[0]
        return x[k] * math.pi

    jitted = tracejit.jit(optional)
    jitted(X, np.int64(1))
    assert not tracejit.jit(optional).trace(X, np.int64(1)).program.needs_recovery
    with pytest.raises(IndexError):
        jitted(X, np.int64(5))


def short_and_beyond(u, v, steps):
    for _ in range(steps):
        u[1:-1] = v[2:]
        v[-1] = v[2]
    return u


def test_what_is_kept_in_registers_is_there():
    """An array of few elements, one of which is known not to be."""
    args = np.arange(2.0), np.arange(2.0)
    with pytest.raises(IndexError, match="index 2 is out of bounds for axis 0 with size 2"):
        tracejit.jit(short_and_beyond)(*args, 8)
    np.testing.assert_array_equal(tracejit.jit(short_and_beyond)(*args, 0), [0, 1])


def read_in_vain(x, k):
    x[k]
    return x * 2


def its_shape(x, k):
    return np.zeros(x[k].shape) + x[0]


def written_in_vain(x, k):
    buffer = np.zeros(4)
    buffer[k] = x[0]
    return x * 2


def in_loops(x, k):
    n = 0
    for i in range(6):
        a, _ = x[i % 5], x[k]
        if a > 3:
            x[k - 1]
        n += 1
    return n


def counted(x, k):
    bad = 0
    for i in range(int(k), int(k) + 6):
        try:
            x[i]
        except IndexError:
            bad += 1
    return bad


def is_definite(x, k):
    try:
        np.linalg.cholesky(np.diag(x - x[k]))
    except np.linalg.LinAlgError:
        return False
    return True


def inverted_in_vain(x, k):
    np.linalg.inv(np.diag(x - k))
    return x


def row_of_a_row(x, k):
    table = np.zeros((3, 3))
    table[k][0] = x[1]
    return table


@pytest.mark.parametrize(
    "function",
    [
        read_in_vain, its_shape, written_in_vain, in_loops, counted, is_definite, inverted_in_vain,
        row_of_a_row,
    ],
)  # fmt: skip
def test_what_nobody_asks_for_may_fail(function):
    """A program has what its results need, and the errors of what they do not."""
    jitted = tracejit.jit(function)
    for k in (0, 2, 4, -6, 9):
        found, wanted = outcome(jitted, X + 1, np.int64(k)), outcome(function, X + 1, np.int64(k))
        assert type(found) is type(wanted)
        np.testing.assert_equal(str(found), str(wanted))


def summed(a, n):
    total = 0.0
    for k in range(n):
        try:
            total += a / (k - 3)
        except ZeroDivisionError as error:
            total += len(str(error))
    return total


@pytest.mark.parametrize(
    "function",
    [
        lambda a, b: a / b,
        lambda a, b: (a // b, a % b),
        lambda a, b: divmod(a, b),
        lambda a, b: a / b if b else 0.0,
        summed,
    ],
)
@pytest.mark.parametrize("of", [float, int])
def test_division_by_zero_of_numbers_of_python(function, of):
    jitted = tracejit.jit(function)
    for a, b in ((7, 2), (7, 0), (-7, 5), (9, 0)):
        args = (of(a), b if function is summed else of(b))
        assert str(outcome(jitted, *args)) == str(outcome(function, *args))


def test_a_division_is_checked_before_anything_is_written():
    def scaled(x, a, b):
        x += a / b * x

    for b in (2.0, 0.0):
        found, wanted = X.copy(), X.copy()
        assert str(outcome(tracejit.jit(scaled), found, 3.0, b)) == str(
            outcome(scaled, wanted, 3.0, b)
        )
        np.testing.assert_array_equal(found, wanted)
    assert_no_copy(scaled, (X.copy(), 3.0, 2.0))


@pytest.mark.parametrize(
    "write",
    [
        lambda x, y: x.__setitem__(1, int(y[0])),
        lambda x, y: x.__setitem__(slice(2), int(y[0])),
        lambda x, y: x.__setitem__(x > 1, int(y[0])),
        lambda x, y: x.fill(int(y[0])),
    ],
)
def test_an_int_that_an_element_does_not_hold(write):
    jitted = tracejit.jit(write)
    for first in (7, -5, 300):
        ours, theirs, y = np.arange(3, dtype="u1"), np.arange(3, dtype="u1"), np.array([first])
        assert str(outcome(jitted, ours, y)) == str(outcome(write, theirs, y))
        np.testing.assert_array_equal(ours, theirs)


EMPTY = np.zeros((0, 3))


@pytest.mark.parametrize(
    "function",
    [
        lambda x, k: x[:, k],
        lambda x, k: x[:, k[0]],
        lambda x, k: x[k[:0]],
        lambda x, k: np.take(x, k, axis=1),
        lambda x, k: x.__setitem__((slice(None), k), 1.0),
        lambda x, k: x[:, 1].__setitem__(k, 1.0),
    ],
)
def test_positions_beside_nothing(function):
    jitted = tracejit.jit(function)
    for x, k in ((EMPTY, 2), (EMPTY, 7), (EMPTY.T, 1)):
        found, wanted = (outcome(f, x.copy(), np.array([k])) for f in (jitted, function))
        np.testing.assert_equal(str(found), str(wanted))


@pytest.mark.parametrize("function", [read_in_vain, its_shape, written_in_vain])
def test_of_many_positions_in_vain(function):
    jitted = tracejit.jit(function)
    for k in ([0, 3, 1], [0, 3, 9]):
        found, wanted = outcome(jitted, X, np.array(k)), outcome(function, X, np.array(k))
        np.testing.assert_equal(str(found), str(wanted))


def outcome(function, *args):
    try:
        return function(*args)
    except Exception as error:
        return error
