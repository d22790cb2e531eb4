"""Loops, branches and scopes of extents as ops: their types, their text, what the interpreter does."""

import numpy as np
import pytest

from tracejit import parse, reference, show
from tracejit.errors import IRError
from tracejit.ir.dims import highest, is_never_negative, lowest, symbol
from tracejit.ir.verify import Stage, verify

LOOP = """
i = bounded(1, 9)


def body(x: f64[10], s: f64[()]):
    t0 = slice(x, start=(0,), step=(1,), stop=(i,))
    t1 = sum(t0, axes=(0,))
    t2 = broadcast(t1, axes=(), shape=(1,))
    t3 = update(x, t2, start=(i,), step=(1,), stop=(i + 1,))
    t4 = extent(value=i)
    t5 = cast(t4, dtype=f64)
    t6 = add(s, t5)
    return t3, t6


def main(x: f64[10], s: f64[()]):
    t0, t1 = for_loop(x, s, body=body, carried=2, index=i, start=1, stop=10)
    return t0, t1
"""

WHILE = """
def condition(k: i64[()], limit: i64[()]):
    t0 = less(k, limit)
    return t0


def body(k: i64[()], limit: i64[()]):
    t0 = add(k, k)
    return t0


def main(k: i64[()], limit: i64[()]):
    t0 = while_loop(k, limit, body=body, carried=1, condition=condition)
    return t0
"""

BRANCH = """
def first(x: f64[3]):
    t0 = negative(x)
    return t0


def second(x: f64[3]):
    return x


def main(choice: i64[()], x: f64[3]):
    t0 = branch(choice, x, branches=(first, second))
    return t0
"""

SCOPE = """
low = bounded(0, 8)
count = bounded(0, 8 - low)


def body(x: f64[8]):
    t0 = slice(x, start=(low,), step=(1,), stop=(count + low,))
    t1 = sum(t0, axes=(0,))
    return t1


def main(a: i64[()], b: i64[()], x: f64[8]):
    t0 = scope(a, b, x, body=body, extents=(low, count))
    return t0
"""

BREAK = """
i = bounded(0, 9)


def body(s: i64[()], limit: i64[()]):
    t0 = extent(value=i)
    t1 = add(s, t0)
    t2 = greater(t1, limit)
    return t1, t2


def main(s: i64[()], limit: i64[()]):
    t0 = for_loop(s, limit, body=body, breaks=True, carried=1, index=i, start=0, stop=10)
    return t0
"""

CASES = {
    "loop": (LOOP, [np.arange(10.0), 1.0], None),
    "while": (WHILE, [np.int64(3), np.int64(20)], [24]),
    "first": (BRANCH, [np.int64(-4), np.arange(3.0)], [[0, -1, -2]]),
    "second": (BRANCH, [np.int64(1), np.arange(3.0)], [[0, 1, 2]]),
    "scope": (SCOPE, [np.int64(2), np.int64(3), np.arange(8.0)], [9.0]),
    "empty scope": (SCOPE, [np.int64(8), np.int64(0), np.arange(8.0)], [0.0]),
    "break": (BREAK, [np.int64(0), np.int64(7)], [10]),
    "no break": (BREAK, [np.int64(0), np.int64(700)], [45]),
}


@pytest.mark.parametrize("name", CASES)
def test_control_flow_is_text_and_runs(name):
    text, arguments, expected = CASES[name]
    module = verify(parse(text), Stage.TRACED)
    assert parse(show(module)) is module
    results = reference(module, *arguments)
    results = results if isinstance(results, tuple) else (results,)
    if name == "loop":  # each element becomes the sum of those before it
        x = np.arange(10.0)
        for k in range(1, 10):
            x[k] = x[:k].sum()
        expected = [x, 46.0]
    for result, value in zip(results, expected, strict=True):
        np.testing.assert_array_equal(result, value)


@pytest.mark.parametrize(
    "change",
    [
        ("carried=2", "carried=1"),
        ("index=i", "index=j"),
        ("def body(x: f64[10], s: f64[()])", "def body(x: f64[9], s: f64[()])"),
        ("return t3, t6", "return t3, t4"),
    ],
)
def test_ill_formed_loops_are_refused(change):
    with pytest.raises(IRError):
        verify(parse(LOOP.replace(*change)), Stage.TRACED)


def test_bounds_of_unknowns_follow_from_one_another():
    n = symbol("n")
    i = symbol("i", 0, n - 1)
    j = symbol("j", i + 1, n - 1)
    assert lowest(n - 1 - i) == 0 and lowest(j) == 1 and lowest(j - i) == 1
    assert highest(3 * j + 2) is 3 * n - 1
    assert is_never_negative(n * i) and not is_never_negative(n - 2 * i)
    assert lowest(i - j) is None or lowest(i - j) < 0
    assert highest(n - i) is n and highest(symbol("k", 0)) is None
    assert j > i and n > j and n >= i + 1
