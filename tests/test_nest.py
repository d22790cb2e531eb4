"""Choices that follow from choices are made inside of these; the values stay."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tracejit
from tracejit.ir import ops  # noqa: F401  (the vocabulary that the texts use)
from tracejit.ir.reference import reference
from tracejit.ir.tensor import Assign, If, statements
from tracejit.ir.text import parse
from tracejit.ir.verify import Stage, verify
from tracejit.lower.tensor.nest import nest_choices


def coins(values, amount):
    best = np.full(amount + 1, amount + 1)
    best[0] = 0
    for total in range(1, amount + 1):
        for value in values:
            if value <= total and best[total - value] + 1 < best[total]:
                best[total] = best[total - value] + 1
    return best


def either(x, n):
    found = np.zeros(n, np.int64)
    for k in range(len(x)):
        if x[k] < 0 or found[x[k]] == 0:
            found[abs(x[k])] += k
    return found


def guarded(x, n):
    count, last = np.zeros(n, np.int64), -1
    for k in range(len(x)):
        seen = False
        if x[k] >= 0:
            count[x[k]] += 1
            seen = count[x[k]] > 2
        if not seen:
            count[0] += k
            last = k
        elif last > 0:
            count[1] -= last
    return count, last


def nested(module):
    """How many choices are the last of an arm that computes their condition."""
    arms = [
        arm
        for kernel in module.functions
        for s in statements(kernel.body)
        if isinstance(s, If)
        for arm in (s.then, s.orelse)
    ]
    ends = [arm[-2:] for arm in arms if len(arm) > 1]
    return sum(isinstance(a, Assign) and isinstance(b, If) for a, b in ends)


def test_parts_of_a_condition():
    module = tracejit.jit(coins).lower(np.array([1, 2, 5]), 40).module
    assert nested(module) > 0


def test_without_the_pass():
    passes = tracejit.pipeline().drop("nest_choices")
    function = tracejit.jit(coins, passes=passes)
    values = np.array([2, 5, 7])
    assert nested(function.lower(values, 40).module) == 0
    np.testing.assert_array_equal(function(values, 40), coins(values, 40))


@given(st.lists(st.integers(1, 9), min_size=1, max_size=5), st.integers(1, 30))
def test_coins(values, amount):
    values = np.array(values)
    np.testing.assert_array_equal(tracejit.jit(coins)(values, 30), coins(values, 30))


@pytest.mark.parametrize("function", (either, guarded))
@pytest.mark.parametrize("seed", range(4))
def test_flags(function, seed):
    x = np.random.default_rng(seed).integers(-4, 5, 40)
    for got, want in zip(tracejit.jit(function)(x, 5), function(x, 5)):
        np.testing.assert_array_equal(got, want)


def test_what_is_refused_still_is():
    with pytest.raises(IndexError):
        tracejit.jit(either)(np.array([1, 7]), 5)


TEXT = """
@kernel
def k(x: i64[9], n: i64[()], *, out0: i64[9]):
    for i in ordered(0, 9):
        flag: bool = False
        if x[i] < 0:
            flag = False
        else:
            {name}: index = minimum(n[()], x[i])
            out0[i] = {name}
            flag = x[i] < 5
        if flag:
            m: index = minimum(n[()], 7)
            out0[i] = m + x[i]
"""


@pytest.mark.parametrize("name, count", (("other", 1), ("m", 0)))
def test_a_name_is_bound_once(name, count):
    """As two arms may bind one name, of which one would be inside of the other."""
    module = verify(parse(TEXT.format(name=name)), Stage.TRACED)
    changed = verify(nest_choices(module), Stage.TRACED)
    assert nested(changed) == count
    x = np.arange(-3, 6)
    np.testing.assert_array_equal(
        reference(changed, x, np.int64(4)), reference(module, x, np.int64(4))
    )
