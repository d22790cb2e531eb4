"""Lists that are written at traced places, returned, or asked by their methods; and what goes through items."""

import bisect
import math
from collections import deque

import numpy as np
import pytest

import tracejit

rng = np.random.default_rng(11)


def counted(x):
    counts = [0] * 10
    for v in x:
        counts[v] += 1
    return counts


def counted_from_the_end(x):
    counts = [0] * 10
    for v in x:
        counts[-1 - v] += 2
    return counts[3], counts[-1], max(counts), counts.count(0)


def transitions(x):
    table = [[0] * 10 for _ in range(10)]
    row = table[4]
    for a, b in zip(x[:-1], x[1:]):
        table[a][b] += 1
    row[4] -= 1
    return table


def common_subsequence(x):
    y = x[::2]
    best = [[0] * (len(y) + 1) for _ in range(len(x) + 1)]
    for i in range(1, len(x) + 1):
        for j in range(1, len(y) + 1):
            if x[i - 1] == y[j - 1]:
                best[i][j] = best[i - 1][j - 1] + 1
            else:
                best[i][j] = max(best[i - 1][j], best[i][j - 1])
    return best[len(x)][len(y)]


def distance_in_two_rows(x):
    y = x[1::2]
    before, now = list(range(len(y) + 1)), [0] * (len(y) + 1)
    for i in range(1, len(x) + 1):
        now[0] = i
        for j in range(1, len(y) + 1):
            now[j] = min(before[j] + 1, now[j - 1] + 1, before[j - 1] + (x[i - 1] != y[j - 1]))
        before, now = now, before
    return before[len(y)]


def exchanged(x):
    order = list(range(len(x)))
    for i in range(len(x) - 1, 0, -1):
        j = x[i] % (i + 1)
        order[i], order[j] = order[j], order[i]
    return order, order[2:5], order[0]


def of_floats(x):
    found = [0.0] * 4
    for v in x:
        if v > 3:
            found[v % 4] += v / 2
        else:
            found[v % 4] = 1.5
    return np.array(found), sum(found)


def rows_of_another_kind(x):
    table = [[0] * 4 for _ in range(3)]
    for v in x:
        table[v % 3][v % 4] += v / 2
    return np.array(table)


def longer_after_that(x):
    counts = [0] * 10
    for v in x:
        counts[v] += 1
    counts.append(7)
    return len(counts), counts[-1]


def one_row_three_times(x):
    table = [[0] * 10] * 3
    for v in x:
        table[v % 3][v] += 1
    return table[0][1], table[1]


def outside(x):
    counts = [0] * 5
    for v in x:
        counts[v + 3] += 1
    return counts


def large(x):
    return [v for v in x if v > 4]


def two_lists(x):
    low, high = [], []
    for v in x:
        if v > 5:
            high.append(v)
        else:
            low.append(int(v))
    return low, {"high": high, "pairs": [(a, b) for a, b in zip(x, x[1:])]}


def factors(x):
    n, found, divisor = int(x[0]) * 36 + 35, [], 2
    while divisor * divisor <= n:
        while n % divisor == 0:
            found.append(divisor)
            n //= divisor
        divisor += 1
    if n > 1:
        found.append(n)
    return found


def pairs_sorted(x):
    pairs = []
    for i, v in enumerate(x):
        if v > 2:
            pairs.append((int(v), i))
    pairs.sort()
    last = pairs[-1]
    pairs.sort(reverse=True)
    return pairs, last


def inserted(x):
    items = []
    for v in x:
        if v % 3 == 0:
            items.insert(0, v)
        elif v % 3 == 1:
            items.insert(-1, v)
        else:
            items.insert(len(items) + 5, v)
    found = []
    for v in x:
        found.insert(v, int(v))
    return items, found


def inserted_in_order(x):
    items = []
    for v in x:
        bisect.insort(items, v)
    return items, bisect.bisect_left(items, 4), bisect.bisect(items, 4)


def removed(x):
    items = [int(v) for v in x]
    order = []
    while items:
        least = min(items)
        items.remove(least)
        order.append(least)
        if items:
            order.append(items.pop(least % len(items)))
    return order


def asked(x):
    items = []
    for v in x:
        if v % 2 == 0:
            items.append(v)
    items.reverse()
    return items.index(items[len(items) // 2]), items.count(4), items


def missing(x):
    items = []
    for v in x:
        if v % 2 == 0:
            items.append(v)
    return items.index(1001)


def increasing(x):
    tails = []
    for v in x:
        place = bisect.bisect_left(tails, v)
        if place == len(tails):
            tails.append(v)
        else:
            tails[place] = v
    return len(tails)


def in_halves(x):
    ordered, total = np.sort(x), 0
    for v in x:
        total += bisect.bisect_left(ordered, v) - 2 * bisect.bisect(ordered, v, 3)
        total += bisect.bisect([2, 5, 7], v)
    return total


def filtered(x):
    total, last = 0, -1
    for v in filter(lambda v: v > 3, x):
        if total > 60:
            break
        total += v
        last = v
    return total, last, sum(map(lambda v: v * v, filter(None, x))), list(filter(lambda v: v < 2, x))


def mapped(x):
    total = 0
    for v in map(lambda a, b: a * b, x, x[::-1]):
        total = total * 2 % 1009 + v
    return total


def whole_numbers(x):
    found = np.zeros(6, np.int64)
    for v in x:
        v = int(v)
        found[0] += math.gcd(v, 12)
        found[1] += math.lcm(v, 4)
        found[2] += math.isqrt(v * v + v)
        found[3] += math.comb(12, v)
        found[4] += pow(v + 3, v, 101)
        found[5] += math.factorial(v)
    return found


def inverses(x):
    return sum(pow(int(v) % 6 + 1, -1, 7) for v in x)


def chosen_list(x):
    low, high = [], []
    for v in x:
        (low if v < 5 else high).append(v)
    return len(low), len(high)


def chosen_and_written(x):
    a, b = [1.0, 2.0], [3.0, 4.0]
    c = a if x[0] > 4 else b
    c[0] = 9.0
    return a[0], b[0], c[0]


def pairs(x):
    n = len(x)
    close = [(i, j) for i in range(n) for j in range(i + 1, n) if abs(x[i] - x[j]) < 2]
    products = [a * b for a in x if a > 6 for b in x[:4]]
    even = [(i, x[j]) for i in range(4) for j in range(4) if (i + j) % 2 == 0]
    return close, products, even, len([1 for a in x for b in x if a > b])


def first(x):
    place = next((i for i, v in enumerate(x) if v > 6), -1)
    total = 0
    for least in x:
        total += next((int(v) for v in x if v > least), 100)
    return place, total, next(v for v in x if v >= 0)


def first_of_none(x):
    return next(v for v in x if v > 1000)


def last_few(x):
    kept, found = deque(maxlen=4), np.zeros(len(x))
    for i, v in enumerate(x):
        kept.append(v)
        found[i] = sum(kept) / len(kept)
    return found


def factorial(n):
    return 1 if n < 2 else n * factorial(n - 1)


def recursive(x):
    return factorial(x[0])


PROGRAMS = [
    counted, counted_from_the_end, transitions, common_subsequence, distance_in_two_rows, exchanged, of_floats, rows_of_another_kind,
    longer_after_that, large, two_lists, factors, pairs_sorted, inserted, inserted_in_order, removed, asked,
    increasing, in_halves, filtered, mapped, whole_numbers, inverses, chosen_list, chosen_and_written, outside, missing,
    pairs, first, first_of_none, recursive, last_few,
]  # fmt: skip


def typed(value):
    """A result with the types of all that is in it."""
    if isinstance(value, dict):
        return {key: typed(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return type(value), [typed(inner) for inner in value]
    return type(value), np.asarray(value).tolist()


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("size", [30, 7])
def test_as_python(program, size):
    x = rng.integers(0, 10, size)
    jitted = tracejit.jit(program)
    for given in (x, x[::-1].copy(), np.sort(x)):
        try:
            expected = program(given)
        except (IndexError, ValueError, StopIteration) as error:
            with pytest.raises(type(error)):
                jitted(given)
            continue
        for _ in range(2):
            assert typed(jitted(given)) == typed(expected)


@pytest.mark.parametrize("program", [counted, transitions, common_subsequence, in_halves, mapped])
def test_nothing_is_left_to_numpy(program):
    x = rng.integers(0, 10, 20)
    tracejit.jit(program, fallback="error")(x)


def test_shared_rows_are_no_table():
    with pytest.raises(tracejit.TraceError):
        tracejit.jit(one_row_three_times)(rng.integers(0, 10, 20))
