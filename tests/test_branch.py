"""Selections that decide what is read next become branches; the values stay."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

import tracejit
from tracejit.ir.tensor import Assign, For, If, statements


def from_both_ends(h):
    left, right, most, other, water = 0, len(h) - 1, 0, 0, 0
    while left < right:
        if h[left] < h[right]:
            most = max(most, h[left])
            water += most - h[left]
            left += 1
        else:
            other = max(other, h[right])
            water += other - h[right]
            right -= 1
    return water


def by_halves(x, key):
    low, high = 0, len(x) - 1
    while low <= high:
        middle = (low + high) // 2
        if x[middle] < key:
            low = middle + 1
        else:
            high = middle - 1
    return low


def choices_in_loops(function, *args):
    module = tracejit.jit(function).lower(*args).module
    loops = [
        s
        for k in module.functions
        for s in statements(k.body)
        if isinstance(s, For) and s.mark == "ordered"
    ]
    choices = [s for loop in loops for s in statements(loop.body) if isinstance(s, If)]
    return sum(isinstance(s, Assign) for choice in choices for s in choice.then[:1])


def test_many_values_by_what_is_read():
    assert choices_in_loops(from_both_ends, np.arange(9)) == 1


def test_two_values_stay_selections():
    assert choices_in_loops(by_halves, np.arange(9), np.int64(4)) == 0


def test_by_no_memory_stay_selections():
    def count(n):
        a, b, c = 1, 0, 0
        for k in range(n):
            if a % 3 == 1:
                a, b, c = a + 5, b + 1, c + k
            else:
                a, c = a + 1, c - k
        return a, b, c

    assert choices_in_loops(count, np.int64(50)) == 0
    assert tracejit.jit(count)(np.int64(50)) == count(50)


@given(st.lists(st.integers(0, 9), min_size=1, max_size=30))
def test_from_both_ends(heights):
    h = np.array(heights)
    assert tracejit.jit(from_both_ends)(h) == from_both_ends(h)


def test_what_fails_is_asked_for_in_both_cases():
    """np.where reads both; an index out of bounds is an error even where the other is taken."""

    def walk(x, table):
        place = steps = total = best = 0
        while steps < 20:
            goes_up = x[place] > 0
            total = np.where(goes_up, total + table[total % 3], total - table[steps])
            best = np.where(goes_up, steps, best)
            place = np.where(goes_up, (place + 1) % 5, (place + 2) % 5)
            steps += 1
        return total, best, place

    x = np.array([1, 0, 1, 1, 0])
    got, wanted = tracejit.jit(walk)(x, np.arange(20)), walk(x, np.arange(20))
    assert [int(v) for v in got] == [int(v) for v in wanted]
    for function in (walk, tracejit.jit(walk)):
        try:
            function(x, np.arange(10))
        except IndexError:
            continue
        raise AssertionError("an index out of bounds was not noticed")


def nearest_open(distance, done):
    """Dijkstra's search for the next node: the best so far, and where it is."""
    found, best = -1, np.inf
    for k in range(len(distance)):
        if not done[k] and distance[k] < best:
            best = distance[k]
            found = k
    return found, best


def nearest_named(distance, done, names):
    """The same with what is looked up by the place, which is no reduction."""
    found, best, name = -1, np.inf, 0
    for k in range(len(distance)):
        if not done[k] and distance[k] < best:
            best = distance[k]
            found = k
            name = names[k] + found
    return found, best, name


def test_the_best_so_far_is_guessed_to_stay():
    args = np.arange(40.0)[::-1].copy(), np.arange(40) % 3 == 0, np.arange(40) * 7
    ir = tracejit.jit(nearest_named).lower(*args).compile().llvm_ir
    assert ir.count("!prof") == 1
    assert tracejit.jit(nearest_named)(*args) == nearest_named(*args)


@given(st.lists(st.tuples(st.floats(allow_nan=True), st.booleans()), max_size=20))
def test_the_best_so_far(pairs):
    args = np.array([p[0] for p in pairs]), np.array([p[1] for p in pairs], bool)
    assert tracejit.jit(nearest_open)(*args) == nearest_open(*args)
