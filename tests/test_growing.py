"""Lists that grow and shrink as traced values decide: stacks, queues, heaps, items by chance."""

import heapq
from collections import deque

import numpy as np
import pytest

import tracejit
from tracejit import TracejitError


def chance(x):
    out = []
    for i in range(len(x)):
        if x[i] > 0:
            out.append(x[i] * 2)
    return np.array(out), len(out)


def primes(n):
    found = []
    k = 2
    while len(found) < n[0]:
        is_prime = True
        for p in found:
            if p * p > k:
                break
            if k % p == 0:
                is_prime = False
                break
        if is_prime:
            found.append(k)
        k += 1
    return np.array(found)


def flood(g):
    seen = np.zeros(g.shape, np.bool_)
    stack = [(0, 0)]
    count = 0
    while stack:
        i, j = stack.pop()
        if i < 0 or j < 0 or i >= g.shape[0] or j >= g.shape[1] or seen[i, j] or g[i, j] == 1:
            continue
        seen[i, j] = True
        count += 1
        stack.append((i + 1, j))
        stack.append((i - 1, j))
        stack.append((i, j + 1))
        stack.append((i, j - 1))
    return count, seen


def bfs(indptr, indices, n):
    dist = np.full(n, -1)
    dist[0] = 0
    queue = deque([0])
    while queue:
        u = queue.popleft()
        for e in range(indptr[u], indptr[u + 1]):
            v = indices[e]
            if dist[v] < 0:
                dist[v] = dist[u] + 1
                queue.append(v)
    return dist


def dijkstra(indptr, indices, w):
    n = len(indptr) - 1
    dist = np.full(n, np.inf)
    dist[0] = 0.0
    heap = [(0.0, 0)]
    while heap:
        d, u = heapq.heappop(heap)
        if d > dist[u]:
            continue
        for e in range(indptr[u], indptr[u + 1]):
            v = indices[e]
            nd = d + w[e]
            if nd < dist[v]:
                dist[v] = nd
                heapq.heappush(heap, (nd, v))
    return dist


def quick(x):
    stack = [(0, len(x) - 1)]
    while stack:
        lo, hi = stack.pop()
        if lo >= hi:
            continue
        p, i = x[hi], lo
        for j in range(lo, hi):
            if x[j] < p:
                x[i], x[j] = x[j], x[i]
                i += 1
        x[i], x[hi] = x[hi], x[i]
        stack.append((lo, i - 1))
        stack.append((i + 1, hi))
    return x


def brackets(s):
    stack = []
    for c in s:
        if c == 1 or c == 3:
            stack.append(c)
        elif not stack or stack.pop() != c - 1:
            return False
    return len(stack) == 0


def turn(a, b, c):
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])


def hull(p):
    h = []
    for i in range(len(p)):
        while len(h) >= 2 and turn(p[h[-2]], p[h[-1]], p[i]) <= 0:
            h.pop()
        h.append(i)
    return np.array(h)


def found_pairs(x):
    pairs = []
    total = 0.0
    for i in range(len(x)):
        for j in range(i):
            if x[i] < x[j]:
                pairs.append((i, x[j]))
    for i, value in pairs:
        total += i * value
    return np.array([pair[1] for pair in pairs if pair[0] >= 0]), total, len(pairs)


def last_ones(x):
    recent = [0.0, 0.0]
    for i in range(len(x)):
        if x[i] > 0:
            recent.append(x[i])
            recent[-2] += 1
            if len(recent) > 5:
                recent.pop(0)
    return np.array(recent), recent[0], recent[-1], max(recent), 0.0 in recent


def by_helpers(x):
    def push(items, value):
        items.append(value)

    odd, even = [], []
    for i in range(len(x)):
        if x[i] > 0:
            push(odd, i)
        else:
            push(even, i)
    return np.array(odd), np.array(even)


def collatz(n):
    path = [n[0]]
    while path[-1] != 1:
        k = path[-1]
        path.append(k // 2 if k % 2 == 0 else 3 * k + 1)
    return np.array(path), len(path)


def smallest(x):
    heap = []
    for i in range(len(x)):
        heapq.heappush(heap, x[i])
        if len(heap) > 4:
            heapq.heappop(heap)
    out = np.zeros(4)
    for i in range(4):
        out[i] = heapq.heappop(heap)
    return out


def graph(n, rng):
    degrees = rng.integers(1, 5, n)
    starts = np.concatenate([[0], np.cumsum(degrees)])
    return starts, rng.integers(0, n, starts[-1])


RNG = np.random.default_rng(0)
STARTS, ENDS = graph(60, RNG)
POINTS = RNG.random((40, 2))
POINTS = POINTS[np.lexsort(POINTS.T[::-1])]
X = RNG.standard_normal(30)
PROGRAMS = [
    (chance, X),
    (primes, np.array([30])),
    (flood, RNG.random((9, 9)) < 0.3),
    (bfs, STARTS, ENDS, 60),
    (dijkstra, STARTS, ENDS, RNG.random(len(ENDS))),
    (quick, X.copy()),
    (brackets, np.array([1, 3, 4, 2, 1, 2])),
    (brackets, np.array([1, 3, 2])),
    (brackets, np.array([2, 3])),
    (hull, POINTS),
    (found_pairs, X),
    (last_ones, X),
    (by_helpers, X),
    (collatz, np.array([27])),
    (smallest, X),
]


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program[0].__name__)
def test_lists_that_traced_values_change(program):
    function, *arguments = program
    wanted = function(*[np.copy(a) if isinstance(a, np.ndarray) else a for a in arguments])
    found = tracejit.jit(function)(*arguments)
    np.testing.assert_equal(found, wanted)


def test_more_items_than_there_is_room_for():
    jitted = tracejit.jit(collect := by_halves)
    for count in (10, 3000, 10, 40_000, 40_000):
        x = np.random.default_rng(count).standard_normal(count)
        np.testing.assert_array_equal(jitted(x), collect(x))


def by_halves(x):
    kept = []
    for i in range(len(x)):
        if x[i] > -0.5:
            kept.append(x[i] * 0.5)
    return np.array(kept)


def test_errors_are_pythons():
    @tracejit.jit
    def program(x):
        stack = [1.0]
        for i in range(len(x)):
            if x[i] > 0:
                stack.append(x[i])
            else:
                stack.pop()
        return stack[2]

    assert program(np.array([1.0, 2.0, 3.0, -1.0])) == 2
    with pytest.raises(IndexError, match="pop from empty list"):
        program(-np.ones(4))
    with pytest.raises(IndexError, match="list index out of range"):
        program(np.array([1.0, -1.0, 1.0, -1.0]))


def walked(x):
    found = [0.5]
    for value in found:
        if value < x[0]:
            found.append(value + 1)
    return np.array(found)


def sorted_by_a_key(x):
    found = []
    for i in range(len(x)):
        if x[i] > 0:
            found.append(x[i])
    found.sort(key=lambda value: -value)
    return np.array(found)


@pytest.mark.parametrize(
    ("program", "shape", "message"),
    [
        (walked, 30, "gets other items|append"),
        (sorted_by_a_key, 30, r"sort\(\) by a key"),
    ],
)
def test_what_is_refused(program, shape, message):
    with pytest.raises(TracejitError, match=message):
        tracejit.jit(program).trace(np.ones(shape))


def test_handlers_do_not_see_that_tracing_begins_again():
    def program(x):
        found = []
        try:
            for i in range(len(x)):
                if x[i] > 0:
                    found.append(x[i])
        except BaseException:
            return -1
        return len(found)

    x = np.array([1.0, -1.0, 2.0])
    assert tracejit.jit(program)(x) == program(x) == 2


def kalman(z):
    f, h = np.eye(4) + 0.1 * np.eye(4, k=2), np.eye(2, 4)
    x, p = np.zeros(4), np.eye(4)
    out = []
    for k in range(len(z)):
        x, p = f @ x, f @ p @ f.T + 0.01 * np.eye(4)
        gain = p @ h.T @ np.linalg.inv(h @ p @ h.T + 0.1 * np.eye(2))
        x, p = x + gain @ (z[k] - h @ x), p - gain @ h @ p
        out.append(x)
    return np.array(out), out[-1], len(out)


def snapshots(u):
    frames = []
    for k in range(95):
        u[1:-1] += 0.1 * (u[2:] - 2 * u[1:-1] + u[:-2])
        if k % 10 == 0:
            frames.append(u.copy())
    return np.stack(frames), len(frames)


def rows_by_chance(x):
    found = []
    for i in range(len(x)):
        if x[i, 0] > 0:
            found.append(x[i])
    return np.array(found)


def rows_and_times(x):
    out = []
    for i in range(len(x)):
        out.append((0.5 * i, x[i] * 2))
    total, when = np.zeros(x.shape[1]), 0.0
    for t, row in out:
        total = total + row * t
        when += t
    return total, when, out[3][1], out[-1][0]


def in_nested_loops(x):
    out = []
    for i in range(len(x)):
        for j in range(20):
            out.append(x[i] * j)
    return np.array(out)


def lists_of_each(x):
    total = np.zeros((25, 2))
    for i in range(len(x)):
        out = []
        for j in range(25):
            out.append(x[i] - j)
        total = total + np.array(out)
    return total


def from_the_last(x):
    out = [x[0]]
    for i in range(40):
        out.append(out[-1] * 0.9 + x[i % 7])
    return np.stack(out), np.array(out[-1])


def twice(x):
    def gather(n):
        out = []
        for i in range(n):
            out.append(x[i] + i)
        return np.array(out)

    return gather(8), gather(25), gather(12)


def two_loops(x):
    out = []
    for i in range(10):
        out.append(x[i])
    first = np.array(out)
    for i in range(20):
        out.append(x[i] * 2)
    return first, np.array(out)


def until_break(x):
    out = []
    for i in range(len(x)):
        out.append(x[i])
        if x[i, 1] > 1.5:
            break
    return np.array(out)


def pushed_and_popped(x):
    out = []
    for i in range(20):
        out.append(x[i])
        out.append(x[i] * 2)
        out.pop()
    return np.array(out)


def leaves_early(x):
    out = []
    if x[0, 0] > 0:
        for i in range(25):
            out.append(x[i])
        return np.zeros(2) + len(out)
    for i in range(10):
        out.append(x[i] + 1)
    return np.array(out).sum(axis=0)


def as_made_of_them(x):
    out = []
    for i in range(len(x)):
        out.append(x[i] * 2)
    a = np.asarray(out)
    a[0] = 77.0
    return a, out[0]


def written_later(x):
    out, u = [], np.zeros(2)
    for i in range(len(x)):
        u += x[i]
        out.append(u)
    return np.array(out)


def written_in_the_next_iteration(x):
    out, u = [], x[0] * 1
    for i in range(len(x)):
        u += x[i]
        v = u * 2
        out.append(v)
        u = v
    return np.array(out)


def written_through_the_list(x):
    out = []
    for i in range(len(x)):
        out.append(x[i] * 2)
    last = out[-1]
    last += 1
    return np.array(out)


def returned_arrays(x):
    out = []
    for i in range(len(x)):
        out.append(x[i] * 2)
    return out


def of_two_shapes(x):
    out = []
    for i in range(8):
        out.append(x[i] if i % 2 else x[i, :1])
    return out[0], out[1], len(out)


def inserted_arrays(x):
    out = []
    for i in range(8):
        out.append(x[i] * 2)
    out.insert(0, x[1])
    return np.array(out)


def summed_rows(x):
    out = []
    for i in range(8):
        out.append(x[i] * 2)
    return sum(out), np.concatenate(out), np.vstack(out), np.mean(out, axis=0)


ROWS = RNG.standard_normal((30, 2))
OF_ARRAYS = [
    kalman, rows_by_chance, rows_and_times, in_nested_loops, lists_of_each, from_the_last, twice,
    two_loops, until_break, pushed_and_popped, leaves_early, as_made_of_them, written_later,
    written_in_the_next_iteration, written_through_the_list, returned_arrays, of_two_shapes,
    inserted_arrays, summed_rows,
]  # fmt: skip


@pytest.mark.parametrize("program", OF_ARRAYS, ids=lambda program: program.__name__)
@pytest.mark.parametrize("sign", [1, -1])
def test_lists_of_arrays(program, sign):
    wanted = program(sign * ROWS)
    given = sign * ROWS
    found = tracejit.jit(program)(given)
    np.testing.assert_array_equal(given, sign * ROWS)
    for one, other in zip(found, wanted, strict=True):
        assert np.shape(one) == np.shape(other)
        np.testing.assert_allclose(one, other, rtol=1e-12)


def test_snapshots():
    u = RNG.standard_normal(30)
    (wanted, count), (found, n) = snapshots(u.copy()), tracejit.jit(snapshots)(u.copy())
    assert n == count
    np.testing.assert_allclose(found, wanted, rtol=1e-12)


@pytest.mark.parametrize(
    "program", [kalman, rows_and_times, in_nested_loops, from_the_last, two_loops, twice]
)
def test_loops_that_append_arrays_are_rolled(program):
    """The program does not have each iteration for itself, and needs no look at the room."""
    text = str(tracejit.jit(program).trace(np.ones((200, 2))).module)
    assert text.count("\n") < 400


def test_an_array_of_no_arrays():
    jitted = tracejit.jit(rows_by_chance)
    for sign in (1, -1, 1):
        x = sign * np.ones((20, 2))
        np.testing.assert_array_equal(jitted(x), wanted := rows_by_chance(x))
        assert jitted(x).shape == wanted.shape


def test_more_arrays_than_there_is_room_for():
    jitted = tracejit.jit(rows_by_chance)
    x = RNG.standard_normal((5000, 3))
    for _ in range(3):
        np.testing.assert_array_equal(jitted(x), rows_by_chance(x))


def test_programs_that_would_be_too_large():
    def program(x):
        out = {}
        for k in range(3000):
            x = np.sin(x) * 0.5 + np.cos(x) * k - np.exp(-x * x) + x / (k + 1.0)
            out[f"{k}"] = x
        return out["2999"]

    with pytest.raises(TracejitError, match="operations after"):
        tracejit.jit(program).trace(np.ones(3))


def rising(points):
    """A stack of points, of which each has a larger first coordinate than those before it."""
    out = []
    for q in points:
        while out and q[0] < out[-1][0]:
            out.pop()
        out.append(q)
    return out


def large(x):
    out = []
    for k in range(len(x)):
        if x[k] > 0.3:
            out.append(k)
    return out


def written(x):
    found, out = large(x[:, 0]), np.zeros(len(x))
    out[found] = 1.0
    out[found[:2]] += 2.0
    return out


def twice(x):
    found = large(x[:, 0])
    found = found + found
    found += found[:3]
    return np.array(found)


PARTS = {
    "all but the last": lambda p: np.array(rising(p)[:-1]),
    "all but the first": lambda p: np.array(rising(p)[1:]),
    "backwards": lambda p: np.array(rising(p)[::-1]),
    "from and to the end": lambda p: np.array(rising(p)[-3:-1]),
    "beyond the ends": lambda p: np.array(rising(p)[-300:300]),
    "backwards from a place": lambda p: np.array(([0] + large(p[:, 0]))[-1:1:-1]),
    "two lists": lambda p: np.array(rising(p)[:-1] + rising(p[::-1])[:-1]),
    "with plain lists": lambda p: np.array([0, 7] + large(p[:, 0])[2:] + [5]),
    "added to itself": twice,
    "sum of some": lambda p: sum(large(p[:, 0])[1:3]),
    "an index": lambda p: p[large(p[:, 0])],
    "an index of several": lambda p: p[large(p[:, 0]), 0],
    "a part as an index": lambda p: p[large(p[:, 0])[1:]],
    "an index that is written through": written,
}


@pytest.mark.parametrize("name", PARTS)
def test_parts_of_lists_are_lists(name):
    function = PARTS[name]
    compiled = tracejit.jit(function)
    for seed in range(4):
        points = np.random.default_rng(seed).random((20, 2))
        wanted = function(points)
        actual = compiled(points)
        np.testing.assert_array_equal(actual, wanted)
        assert np.asarray(actual).dtype == np.asarray(wanted).dtype
    compiled.trace(points)  # it is no function that NumPy runs
