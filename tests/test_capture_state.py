"""What branches and loops may change beside names: attributes of objects of all kinds, views of arrays."""

import argparse
import collections
import contextlib
import dataclasses
import io
import types

import numpy as np
import pytest

import tracejit


class Slotted:
    __slots__ = ("x",)


class Elusive:
    def __getattr__(self, name):
        raise AttributeError(name)


exec("class Unregistered: pass", {"__name__": "a module that nobody knows"}, UNREGISTERED := {})


@pytest.mark.parametrize(
    "kind",
    [
        Slotted,
        Elusive,
        UNREGISTERED["Unregistered"],
        types.SimpleNamespace,
        argparse.Namespace,
        dataclasses.make_dataclass("Data", [("x", float, 0.0)], slots=True),
        dataclasses.make_dataclass("Plain", [("x", float, 0.0)]),
    ],
)
def test_attributes_of_all_kinds_of_objects_are_state(kind):
    def program(x):
        o = kind()
        o.x = 1.0
        if x[0] > 0:
            o.x = 5.0
        first = o.x
        for i in range(7):
            if x[i % 3] > 1:
                o.x += x[i % 3]
        return first, o.x

    for x in (np.array([-1.0, 2, 3]), np.array([2.0, 0, 3])):
        assert tracejit.jit(program)(x) == program(x)


def test_containers_of_the_library_are_state():
    def program(x):
        words, items = collections.UserDict(k=1.0), collections.UserList([1.0, 2.0])
        if x > 0:
            words["k"] = 5.0
            items[1] = 7.0
        return words["k"], items[1]

    for x in (-1.0, 1.0):
        assert tracejit.jit(program)(x) == program(x)


def test_what_the_else_of_a_loop_reads_is_live():
    def program(a, g):
        n = 0
        for v in a:
            n = v % 3
        else:
            g[n] = 1.0
        n = 5
        return g, n

    a, g = np.arange(8), np.zeros(3)
    wanted = program(a, g.copy())[0]
    np.testing.assert_array_equal(tracejit.jit(program)(a, g.copy())[0], wanted)


def test_what_is_returned_is_written_on_the_way_out():
    def program(g, w):
        try:
            if w != 1:
                return w, g
        finally:
            g[0] = 5
        return w * 0, g

    for w in (1.0, 2.0):
        g = np.arange(3.0)
        wanted = program(g.copy(), w)
        found = tracejit.jit(program)(g, w)
        assert found[0] == wanted[0] and found[1] is g
        np.testing.assert_array_equal(g, wanted[1])


def row(g, k):
    row = g[k[0]]
    row[1:] = 7
    return g, row


def part(g, k):
    part = g[k[0], 1:]
    part += 7
    g[k[0]] = 1
    return part * 2


def column(g, k):
    column = g[:, k[0]]
    column *= 2
    return g


def chained(g, k):
    g[k[0]][k[1]] += 7
    g[k[1]][1:][0] = 9
    g[-k[0] - 1][0] = g[k[0]][2]
    return g


def by_functions(g, k):
    def fill(values):
        values[:] = 3

    fill(g[k[0]])
    g[k[1]].fill(3)
    g[k[1]].sort()
    np.add(g[k[0]], 1, out=g[k[0]])
    return g


def followed(g, k):
    row = g[k[0]]
    g[k[0], 0] = 99
    return row


def in_a_loop(g, k):
    for i in range(2 * len(k)):
        row = g[k[i % len(k)]]
        row[1:] += row[:-1]
        row[0] = i
    return g


def by_chance(g, k):
    row = g[k[1]]
    for i in range(9):
        if g[k[0], 0] < 5 * i:
            row[i % 4] += i
            g[k[1], 1] -= 1
    return g, row


def of_a_slice(g, k):
    row = g[k[0] : k[0] + 2][0]
    row *= 2
    row = g[k[0]]
    row += 1
    g[k[0]] += row
    return g


@pytest.mark.parametrize(
    "program",
    [row, part, column, chained, by_functions, followed, in_a_loop, by_chance, of_a_slice],
)
def test_rows_at_indices_that_are_computed_are_views(program):
    g, k = np.arange(16.0).reshape(4, 4)[:, ::-1].copy(), np.array([1, 2, 0])
    ours = g.copy()
    wanted, found = program(g, k), tracejit.jit(program)(ours, k)
    np.testing.assert_equal(found, wanted)
    np.testing.assert_array_equal(ours, g)


def test_a_row_that_outlives_its_loop_is_not_written():
    @tracejit.jit
    def program(g, k):
        for i in range(len(k)):
            row = g[k[i]]
        row[0] = 1.0
        return g

    with pytest.raises(tracejit.TracejitError, match="may be the memory of another one"):
        program(np.zeros((9, 3)), np.arange(8))


def test_arrays_that_a_loop_exchanges_by_chance_are_not_written():
    @tracejit.jit
    def program(a, b, x):
        for i in range(9):
            if x[i] > 0:
                a, b = b, a
        b[0] = 1.0
        return a, b

    with pytest.raises(tracejit.TracejitError, match="may be the memory of another one"):
        program(np.zeros(5), np.ones(5), np.ones(9))


def test_what_a_loop_that_does_not_run_leaves_is_what_there_was():
    def program(x, k):
        t, u, v = 1, 0.5, 3
        for i in range(1, k[0], 2):
            t = x[i] * 2
            u = i
            v = i
        w = 7
        while k[1] > 0 and u < 3:
            w = u * 0.5
            u = u + 1
        return t, u, v, w

    x = np.arange(9.0)
    for k in (np.array([1, 0]), np.array([5, 0]), np.array([0, 1]), np.array([6, 2])):
        assert tracejit.jit(program)(x, k) == program(x, k)


def test_what_a_loop_may_have_bound_anew_is_not_written():
    @tracejit.jit
    def program(a, b, k):
        while k > 0:
            a = b + 1
            k = k - 1
        a[0] = 7
        return a

    with pytest.raises(tracejit.TracejitError, match="may be the memory of another one"):
        program(np.zeros(3), np.ones(3), np.int64(0))


def one_array_in_both(a, x):
    c = a + 1 if x > 0 else a * 2
    d = c
    if x > 1:
        c = a + 2
        d = c
    else:
        c = a * 3
        d = c
    c[0] = 50
    return c, d


def one_array_in_one(a, x):
    if x > 0:
        c = a + 1
        d = c
    else:
        c = a * 2
        d = a * 3
    c[0] = 50
    return c, d


def a_view_in_one(a, x):
    if x > 0:
        c = a + 1
        d = c[1:]
    else:
        c = a * 2
        d = a[1:] * 3
    d[0] = 50
    return c, d


def by_chance_in_one(a, x):
    if x > 0:
        c = a + 1
        d = c if a[0] > 0 else a + 7
    else:
        c = a * 2
        d = a * 3
    c[0] = 50
    return c, d


def exchanged_in_a_choice_of_a_choice(a, x):
    b = a * 2
    c = a
    if x > 3:
        b = a + 1
        a, b = b, a
    elif x > 0:
        a, b = b, a
    a[0] = 50
    return a, b, c


@pytest.mark.parametrize(
    ("function", "is_known"),
    [
        (one_array_in_both, True),
        (one_array_in_one, False),
        (a_view_in_one, False),
        (by_chance_in_one, False),
        (exchanged_in_a_choice_of_a_choice, False),
    ],
)
def test_memory_that_arrays_share_in_an_arm(function, is_known):
    """What is one array on either path is one; what may be one is not written."""
    for x in (-1.0, 2.0, 4.0):
        ours, numpys = np.arange(1, 6.0), np.arange(1, 6.0)
        if is_known:
            for found, wanted in zip(tracejit.jit(function)(ours, x), function(numpys, x)):
                np.testing.assert_array_equal(found, wanted)
        else:
            with pytest.raises(
                tracejit.errors.UnsupportedError, match="may be the memory of another one"
            ):
                tracejit.jit(function)(ours, x)


def one_array_in_a_loop(a):
    c = d = a
    for i in range(6):
        c = a * d[i % 5]
        d = c
        c[0] = i
    c[1] = 50
    return c, d


def the_last_one(a):
    c = a + 1
    for i in range(6):
        c = a * c[i % 5]
        d = c
    d[1] = 50
    return c, d


def the_one_before(a):
    c, d = a + 1, a + 2
    for i in range(6):
        d = c
        c = a * d[i % 5]
        c[0] = i
    return c, d


def the_best_one(a):
    best, y = a + 0, a * 2
    for i in range(5):
        y[i] += 5
        y = y + 1
        if y[i] > 9:
            best = y
    return best, y


def the_best_one_of_before(a):
    best, y = a + 0, a.copy()
    for i in range(5):
        y[i] += 5
        if y[i] == 8:
            best = y
    return best, y


@pytest.mark.parametrize(
    ("function", "is_known"),
    [
        (one_array_in_a_loop, True),
        (the_last_one, True),
        (the_one_before, True),
        (the_best_one, False),
        (the_best_one_of_before, False),
    ],
)
def test_memory_that_arrays_share_in_a_loop(function, is_known):
    a = np.arange(1, 6.0)
    with tracejit.config.use(unroll=0):
        if is_known:
            for found, wanted in zip(tracejit.jit(function)(a), function(a)):
                np.testing.assert_array_equal(found, wanted)
        else:
            with pytest.raises(tracejit.errors.UnsupportedError, match="may be the memory of"):
                tracejit.jit(function)(a)


def test_results_that_are_written_before_they_are_returned():
    def written_in_the_end(b, x):
        try:
            for i in range(6):
                if b[i % 5] > x:
                    return b
        finally:
            b[0] += 1
        return b

    def written_after(b, x):
        try:
            for i in range(6):
                if b[i % 5] > x:
                    return b
        finally:
            x = x + 1
        b[0] += x
        return b

    with pytest.raises(tracejit.errors.UnsupportedError, match="may be the memory of"):
        tracejit.jit(written_in_the_end)(np.arange(5.0), 2.0)
    for x in (2.0, 20.0):
        ours, numpys = np.arange(5.0), np.arange(5.0)
        found, wanted = tracejit.jit(written_after)(ours, x), written_after(numpys, x)
        np.testing.assert_array_equal(found, wanted)
        np.testing.assert_array_equal(ours, numpys)


def test_an_array_that_a_loop_goes_through_is_written_until_its_name_is_another_ones():
    def function(x):
        b = x + 1
        for value in b:
            b[1:] = value  # in the first iteration, to what the loop goes through
            b = b + 1
        return b

    x = np.arange(6.0)[::-1].copy()
    np.testing.assert_array_equal(tracejit.jit(function)(x), function(x))


def test_what_a_body_sets_stays_when_the_test_that_acts_fails():
    def drawn(g, x):
        t, c = -1.0, 0
        while c < 12 and g.random() < 0.7:
            c += 1
            t = x[c]
        return t, c

    def named(g, x):
        t, c = -1.0, 0
        while (c := c + 1) < g.integers(1, 9):
            t = x[c]
            if x[c] > 5:
                break
        return t, c

    def within(g, x):
        t = -1.0
        for _ in range(5):
            while g.random() < 0.6:
                t = g.normal()
        return t

    x = np.arange(20.0)
    for function in (drawn, named, within):
        jitted = tracejit.jit(function)
        for seed in range(8):
            ours, numpys = np.random.default_rng(seed), np.random.default_rng(seed)
            assert jitted(ours, x) == function(numpys, x)
            assert ours.bit_generator.state == numpys.bit_generator.state


def test_a_with_handles_what_the_program_raises_and_nothing_of_tracing_it():
    def handled(x):
        n = 0
        with contextlib.suppress(ValueError):
            n = 1
            x.reshape(len(x) + 1)
            n = 2
        return n

    def unsettled(x):
        with contextlib.suppress(Exception):
            while x.sum() < 100:
                x = np.append(x, x)
        return x

    def cleaned(x, log):
        with contextlib.closing(io.StringIO()) as stream, np.errstate(all="ignore"):
            x = x / 0
            log.append(stream.closed)
        return x, stream.closed

    x = np.arange(1.0, 5.0)
    assert tracejit.jit(handled)(x) == handled(x) == 1
    with pytest.raises(tracejit.TraceError, match="cannot be compiled"):
        tracejit.jit(unsettled, fallback="error")(x)
    found, is_closed = tracejit.jit(lambda x: cleaned(x, []))(x)
    np.testing.assert_array_equal(found, [np.inf] * 4)
    assert is_closed
