"""Programs with loops and branches over traced values, by what they are about."""

import numpy as np

X = np.array([0.3, -1.2, 2.5, 0.7, -0.4, 1.1, 0.9, -2.2])
Y = np.array([1.5, 0.2, -0.5, 2.0, 0.1, -1.0, 0.4, 0.8])
M = np.arange(30.0).reshape(6, 5) / 7
N = np.array([3, 1, 4, 1, 5, 2, 6, 5])


# Branches


def both_arms(x):
    if x[0] > 0:
        y = x + 1
    else:
        y = x - 1
    return y


def chain(x, y):
    if x[0] > 1:
        z = x.sum()
    elif x[0] > y[0]:
        z = y.sum()
    elif x[1] > 0:
        z = x[1] * 2
    else:
        z = y[2] - 1
    return z


def in_place(x):
    if x[1] < 0:
        x[1] = 100.0
        x[2:4] *= 2
    else:
        x[0] = 5


def through_views(x):
    part = x[2:]
    if x[0] < 1:
        part[1:] += 10
    else:
        part[:] = 0
    return part.sum()


def nested(x):
    r = 0.0
    if x[0] > 0:
        if x[1] > 0:
            r = x[2]
        else:
            r = x[3] * 2
            if x[4] > 0:
                r += 1
    return r


def temporaries_differ(x):
    if x[0] > 0:
        t = 1
        y = x * t
    else:
        t = "text"
        y = -x
    return y


def same_static(x):
    name = "a"
    if x[0] > 0:
        name = "a"
        x = x + 1
    return x, name


def types_join(x):
    n = 1
    if x[0] > 0:
        n = 2.5
    return n * 2


def early(x):
    if x[0] > 100:
        return x * 0
    if x[1] > 100:
        return x * 2
    return x + 1


def early_nested(x):
    if x[0] > 0:
        if x[1] > 0:
            return x.sum()
        y = x * 3
    else:
        y = x * 2
    if y[0] > 1:
        return y.max()
    return y.min()


def both_return(x):
    if x[0] > 0:
        return x + 1
    else:
        return x - 1


def conditional_expression(x, y):
    return (x + 1 if x[0] > 0 else x - 1) + (1 if y[0] > 2 else 2)


def logic(x, y):
    a = x[0] > 0 and y[0] > 0
    b = x[1] > 0 or y[1] > 0
    c = not x[2] > 0
    return a, b, c, (x[0] > 0 and x[1]), (x[0] and 3.0), (x[1] or y[1])


def guarded_index(x, n):
    k = n[0]
    if k < 2 and x[k] > 0:
        return 1
    if 0 <= k < 8 and x[k] > 0:
        return 2
    return 3


def chain_of_comparisons(x):
    return 1 if -1 < x[0] < x[2] < 3 else 0


def containers(x):
    d = {"a": 1.0, "b": x}
    l = [x[0], 2]
    if x[0] > 0:
        d["a"] = x[1]
        l[1] = 7
    else:
        d["b"] = x * 2
    return d["a"], d["b"], l[0], l[1]


def trees(x):
    p = (x[0], [x[1], x])
    if x[2] > 0:
        p = (x[3], [1.0, x * 2])
    return p


class Point:
    def __init__(self, x, y):
        self.x, self.y = x, y

    def move(self, d):
        if d > 0:
            self.x = self.x + d
        else:
            self.y = self.y - d
        return self


def objects(x):
    p = Point(x[0], 1.0)
    p.move(x[1]).move(x[2])
    for k in range(6):
        p.move(x[k])
    return p.x, p.y


def helper(v, w):
    if v > w:
        return v - w
    return w


def calls(x, y):
    return helper(x[0], y[0]) + helper(x[1], y[1]) * helper(x[2], 1)


def closures(x):
    total = 0.0

    def add(v):
        nonlocal total
        if v > 0:
            total += v
        return total

    for k in range(7):
        add(x[k])
    return total


def write_in_callee(x):
    def put(a, v):
        if v > 0:
            a[0] = v
        else:
            a[1] = v

    put(x[2:], x[0])
    put(x[4:], x[1])


# Loops


def total(x):
    s = 0
    for i in range(len(x)):
        s += x[i]
    return s


def steps(x):
    s = 0.0
    for i in range(7, -1, -2):
        s = s * 2 + x[i]
    for i in range(1, 8, 3):
        s = s * 2 + x[i]
    return s, i


def nest(m):
    s = 0.0
    for i in range(m.shape[0]):
        for j in range(m.shape[1]):
            if j > i:
                s += m[i, j]
            else:
                s -= m[i, j] * i
    return s


def triangle(m):
    s = 0.0
    for i in range(6):
        for j in range(i):
            if j < 5:
                s += m[i, j]
    return s


def over_rows(m):
    s = np.zeros(5)
    for row in m:
        s += row * row[0]
    return s


def over_elements(x):
    s = 0.0
    for v in x:
        s = s * 0.5 + v
    return s


def write_rows(m):
    for i in range(1, 6):
        m[i] += m[i - 1] * 0.5
    return m.sum()


def recurrence(x):
    for i in range(1, 8):
        x[i] = x[i - 1] * 0.5 + x[i]


def enumerated(x, y):
    s = 0.0
    for i, (a, b) in enumerate(zip(x, y)):
        s += i * a * b
    for i, a in enumerate(x, 2):
        s += i * a
    return s


def backwards(x):
    s = 0.0
    for v in reversed(x):
        s = s * 0.5 + v
    for i in reversed(range(8)):
        s = s * 0.5 + x[i]
    return s


def positions(m):
    s = 0.0
    for i, j in np.ndindex(6, 5):
        s = s * 0.9 + m[i, j]
    for (i, j), v in np.ndenumerate(m):
        s = s * 0.9 + v * i - j
    return s


def breaks(x):
    n = 0
    for i in range(8):
        if x[i] > 2:
            break
        n += 1
    return n, i


def breaks_deep(x, y):
    s = 0.0
    for i in range(8):
        if x[i] > 0:
            if y[i] > 1.9:
                s += 100
                break
            s += x[i]
        s += y[i]
    return s


def never_breaks(x):
    n = 0
    for i in range(8):
        n += 1
        if x[i] > 200:
            break
    else:
        n += 100
    return n


def loop_else(x):
    for i in range(8):
        if x[i] > 2:
            r = 1
            break
    else:
        r = 2
    return r


def continues(x):
    s = 0.0
    for i in range(8):
        if x[i] < 0:
            continue
        s += x[i]
        if s > 3:
            continue
        s *= 1.5
    return s


def both_jumps(x):
    s = 0.0
    for i in range(8):
        if x[i] < 0:
            continue
        elif x[i] > 2:
            break
        s += x[i]
    return s


def returns_inside(x):
    for i in range(8):
        if x[i] > 2:
            return x[i] * 10
    return -1.0


def returns_array_inside(x):
    for i in range(8):
        if x[i] > 2:
            return x * i
    return x


def returns_deep(m):
    for i in range(6):
        for j in range(5):
            if m[i, j] > 2:
                return i * 10 + j
    return -1


def breaks_outer(m):
    n = 0
    for i in range(6):
        for j in range(5):
            if m[i, j] > 3:
                break
            n += 1
        if n > 20:
            break
    return n


def always_breaks(x):
    for i in range(8):
        x[0] += i
        break
    return i


def while_loop(x):
    n = 0
    while x.sum() > 0.1:
        x *= 0.5
        n += 1
    return n


def while_break(x):
    n, s = 0, 0.0
    while True:
        s += x[0]
        n += 1
        if s > 5:
            break
    return n, s


def while_flag(x):
    going, n = True, 0
    while going:
        n += 1
        going = x[0] * n < 3
    return n


def while_else(x):
    n = 0
    while x[0] * n < 3:
        n += 1
        if n > 4:
            break
    else:
        n += 1000
    return n


def while_continue(x):
    n, s = 0, 0.0
    while n * x[0] < 4:
        n += 1
        if n % 2 == 0:
            continue
        s += n
    return s


def while_return(x):
    v = x[0]
    while v < 100:
        v = v * 2
        if v > 7:
            return v, 1
    return v, 2


def while_index(x):
    i = 0
    while i < 8 and x[i] < 2:
        i += 1
    return i


def while_plain(x):
    n = 100
    while n > 7:
        n //= 2
    return x[n]


def collatz(n):
    m, count = n[0], 0
    while m != 1:
        if m % 2 == 0:
            m = m // 2
        else:
            m = 3 * m + 1
        count += 1
    return count


def newton(x):
    r, e = 1.0, 1.0
    while e > 1e-9:
        new = 0.5 * (r + x[2] / r)
        e = abs(new - r)
        r = new
    return r


def traced_bounds(x, n):
    s = 0.0
    for k in range(n[0]):
        s += x[k]
    for k in range(n[1], n[2]):
        s += x[k] * 2
    for k in range(n[4], n[1]):
        s += 1000
    return s


def sparse(x, n):
    ptr, s = np.array([0, 2, 2, 5, 8]), np.zeros(4)
    for i in range(4):
        for k in range(ptr[i], ptr[i + 1]):
            s[i] += x[k] * n[k]
    return s


def carried_arrays(x):
    a, b = x, x * 2
    for _ in range(7):
        a, b = a + b * 0.1, b - a * 0.1
    return a, b


def carried_trees(x):
    state = {"p": x, "v": (x * 0, 1.0)}
    for _ in range(7):
        v, c = state["v"]
        v = v - state["p"] * 0.1
        state = {"p": state["p"] + v, "v": (v, c * 0.9)}
    return state["p"], state["v"]


def carried_slots(x):
    d, l = {"s": 0.0}, [x, 1]
    for k in range(7):
        d["s"] += x[k]
        l[1] = l[1] + 1
    return d["s"], l[1]


def first_none(x):
    best = None
    for k in range(8):
        if best is None or x[k] > best:
            best = x[k]
    return best


def scalar_to_array(m):
    acc = 0
    for k in range(6):
        acc = acc + m[k]
    return acc


def swapped(x, y):
    for _ in range(9):
        y[1:-1] = 0.5 * (x[:-2] + x[2:])
        x, y = y, x
    return x


def rotated(x, y):
    z = x + y
    for k in range(8):
        x[k] = y[0] + 1
        x, y, z = y, z, x
    return z


def aliased(x):
    p = x
    for _ in range(6):
        p[0] += 1
        p = p + 0
    return p


def last_values(x):
    for i in range(8):
        t = x[i] * 2
        u = x * i
    return i, t, u


def appended(x):
    out = []
    for i in range(6):
        out.append(x[i] * 2)
    return out[0] + out[5], len(out)


def list_index(x):
    w = [1, 2, 3, 4, 5, 6]
    s = 0.0
    for i in range(6):
        for j in range(8):
            s += w[i] * x[j]
    return s


def names(x):
    d = {f"k{i}": x[i] for i in range(6)}
    s = 0.0
    for i in range(6):
        s += d[f"k{i}"]
    return s


def shapes(x):
    s = 0.0
    for n in range(1, 6):
        s += np.ones(n).sum() * x[n]
    return s


def growing(x):
    y = x
    for _ in range(3):
        y = np.concatenate([y, x])
    return y


def plain_numbers(x):
    n = 0
    for i in range(10):
        n += i
    names = [i * i for i in range(5)]
    return x[n - 40], names[3]


def ping(x, k):
    if k == 0:
        return x
    return ping(x * 2 if x[0] > 0 else x + 1, k - 1)


def recursion(x):
    return ping(x, 4)


def in_with(x):
    with np.errstate(all="ignore"):
        for i in range(8):
            if x[i] > 1:
                x[i] = np.sqrt(x[i] - 1)
    return x


def in_try(x):
    s = 0.0
    try:
        for i in range(8):
            if x[i] > 1:
                s += x[i]
    finally:
        s += 1
    return s


def masks(x):
    for k in range(6):
        x[x > 0.5] *= 0.9
    return x


def integers(n):
    s = 0
    for i in range(8):
        s = (s * 31 + n[i]) % 1000
    return s


def bits(n):
    crc = 0
    for i in range(8):
        crc ^= n[i]
        for _ in range(8):
            if crc & 1:
                crc = (crc >> 1) ^ 0xA001
            else:
                crc >>= 1
    return crc


def edit_distance(n):
    a, b = n, n[::-1]
    d = np.zeros((9, 9), dtype=np.int64)
    for i in range(9):
        d[i, 0] = i
        d[0, i] = i
    for i in range(1, 9):
        for j in range(1, 9):
            cost = 0 if a[i - 1] == b[j - 1] else 1
            d[i, j] = min(d[i - 1, j] + 1, d[i, j - 1] + 1, d[i - 1, j - 1] + cost)
    return d[8, 8]


def rows_exchanged(a):
    previous = np.arange(9.0)
    current = np.zeros_like(previous)
    for i in range(8):
        current[0] = a[i]
        for j in range(8):
            current[j + 1] = previous[j + 1] + a[i]
        previous, current = current, previous
    return previous


def swapped_names(x, y):
    k = 0.0
    for _ in range(1, 5):
        k = x[0] * 0.5
        x, y = y, x
    return k, x


def refuses(x):
    if x[0] < -9:
        raise ValueError("low")
    assert x[1] < 9, "high"
    for i in range(8):
        if x[i] > 9:
            raise KeyError(i)
        x[i] += 1
    return x.sum()


def numbers(x):
    s = 0
    for i in range(8):
        s += int(x[i]) + float(i) + bool(x[i] > 0) + round(x[i]) + max(i, 3) + min(x[i], 0.5)
    return s, bool(x[0] > 1)


def iterators(x):
    values, s = iter([1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]), 0.0
    for i in range(6):
        s += next(values) * x[i]
    return s, next(values)


PROGRAMS = [
    (both_arms, X), (chain, X, Y), (in_place, X), (through_views, X), (nested, X),
    (temporaries_differ, X), (same_static, X), (early, X), (early, -X * 200),
    (early_nested, X), (early_nested, -X), (both_return, X), (conditional_expression, X, Y),
    (logic, X, Y), (logic, Y, X), (guarded_index, X, N), (guarded_index, X, N - 3),
    (guarded_index, X, N + 30), (chain_of_comparisons, X), (containers, X), (containers, -X),
    (trees, X), (trees, -X), (objects, X), (calls, X, Y), (closures, X), (write_in_callee, X),
    (total, X), (total, N), (steps, X), (nest, M), (triangle, M), (over_rows, M),
    (over_elements, X), (write_rows, M), (recurrence, X), (enumerated, X, Y), (backwards, X),
    (positions, M), (breaks, X), (breaks_deep, X, Y), (never_breaks, X), (loop_else, X),
    (loop_else, -X), (continues, X), (both_jumps, X), (returns_inside, X), (returns_inside, X / 9),
    (returns_array_inside, X), (returns_array_inside, X / 9), (returns_deep, M),
    (returns_deep, M - 9), (breaks_outer, M), (always_breaks, X), (while_loop, X + 2),
    (while_loop, -X), (while_break, X), (while_flag, X), (while_else, X), (while_else, X + 5),
    (while_continue, X), (while_return, X), (while_return, X + 99), (while_index, X),
    (while_index, X / 9), (while_plain, X), (collatz, N), (newton, X), (traced_bounds, X, N),
    (sparse, X, N), (carried_arrays, X), (carried_trees, X), (carried_slots, X), (first_none, X),
    (scalar_to_array, M), (swapped, X, Y), (rotated, X, Y), (aliased, X), (last_values, X),
    (appended, X), (list_index, X), (names, X), (shapes, X), (growing, X), (plain_numbers, X),
    (recursion, X), (recursion, -X), (in_with, X), (in_try, X), (masks, X), (integers, N),
    (swapped_names, X, Y), (refuses, X), (numbers, X), (iterators, X), (bits, N), (edit_distance, N), (rows_exchanged, X),
]  # fmt: skip
