"""What Python has for going through things and for jumping, with traced values in it."""

import numpy as np
from textbook_programs import program

X = np.array([0.3, -1.2, 2.5, 0.7, -0.4, 1.1, 0.9, -2.2])


Y = np.array([1.5, 0.2, -0.5, 2.0, 0.1, -1.0, 0.4, 0.8])


M = np.arange(30.0).reshape(6, 5) / 7


N = np.array([3, 1, 4, 1, 5, 2, 6, 5])


E = np.array([])


B = (X,), (X.astype("f4"),)


@program(*B, (E,))
def any_gen(x):
    return any(v > 2 for v in x)


@program(*B, (E,))
def all_gen(x):
    return all(v < 3 for v in x)


@program(*B)
def all_list(x):
    return all([v < 3 for v in x])


@program(*B)
def any_array(x):
    return any(x > 1)


@program(*B, (E,))
def sum_gen(x):
    return sum(v * v for v in x)


@program(*B, (N,))
def sum_arr(x):
    return sum(x)


@program(*B, (N,))
def sum_list(x):
    return sum([v for v in x], 1.5)


@program(*B, (N,))
def min_max(x):
    return min(x), max(x), min(v * 2 for v in x), max(x, key=abs)


@program(*B, (N,))
def min_max_big(x):
    b = 0
    for i in range(len(x)):
        b = max(b, x[i], min(x[i], 2))
    return b


@program(*B, (N,))
def sorted_(x):
    return sorted(x)


@program(*B, (N,))
def sorted_rev(x):
    return sorted(x, reverse=True), sorted([v * 2 for v in x])


@program((np.tile(X, 200),))
def any_big(x):
    return any(v > 2.4 for v in x), sum(x), max(x), min(x)


@program(*B)
def sum_cond_gen(x):
    return sum(v for v in x if v > 0)


@program(*B)
def count_if(x):
    return sum(1 for v in x if v > 0)


@program(*B)
def list_cond(x):
    return np.array([v for v in x if v > 0]).sum()


@program(*B)
def list_cond_ret(x):
    return np.array([v * 2 for v in x if v > 0])


@program(*B)
def len_cond(x):
    return len([v for v in x if v > 0])


@program(*B)
def cond_sum_list(x):
    return sum([v * 2 for v in x if v > 0])


def pairs(x):
    for i in range(len(x)):
        for j in range(i + 1, len(x)):
            yield i, j


@program(*B, (np.arange(40.0),))
def generator(x):
    s = 0.0
    for i, j in pairs(x):
        s += x[i] * x[j]
    return s


def chunks(x):
    a = 0
    while a < len(x):
        yield x[a : a + 3]
        a += 3


@program(*B)
def generator2(x):
    s = 0.0
    for c in chunks(x):
        s += c.sum() * c[0]
    return s


@program(*B)
def contains(x):
    if 0.7 in x:
        return x[0]
    return x[1]


@program(*B)
def contains2(x):
    return (2.5 in x), (9 in x), (x[1] in x), (x[0] not in x)


@program((N,))
def contains_loop(x):
    c = 0
    for i in range(10):
        if i in x:
            c += 1
    return c


@program((N,))
def contains_tuple(x):
    c = 0
    for i in range(len(x)):
        if x[i] in (1, 5):
            c += 1
    return c


@program(*B)
def swap_while(x):
    u = x.copy()
    v = np.zeros_like(x)
    while abs(u).max() > 0.1:
        v[:] = u * 0.5
        u, v = v, u
    return u


@program(*B)
def swap_while2(x):
    u = x.copy()
    v = np.zeros_like(x)
    n = 0
    while n < 100:
        v[1:-1] = 0.5 * (u[:-2] + u[2:])
        u, v = v, u
        n += 1
        if abs(u - v).max() < 0.05:
            break
    return u, n


@program(*B)
def zero_d(x):
    r = np.array(1.0)
    while r < 50:
        r = r * 2 + x[0]
    return r


@program(*B)
def zero_d2(x):
    r = np.zeros(())
    s = x.sum()
    while s < 100:
        r = r + 1
        s = s + abs(s) + 1
    return r


@program(*B)
def induct(x):
    k = 0
    s = 0.0
    for i in range(len(x)):
        s += x[:k].sum()
        k += 1
    return s


@program(*B)
def induct2(x):
    k = 0
    out = np.zeros(len(x) * 2)
    for v in x:
        out[k : k + 2] = v
        k += 2
    return out


@program(*B)
def induct_while(x):
    k = 0
    s = 0.0
    n = len(x)
    while k < n:
        s += x[k : k + 2].sum() * x[:k].sum()
        k += 2
    return s


@program(*B)
def induct_zeros(x):
    k = 1
    s = 0.0
    for i in range(len(x)):
        z = np.zeros(k)
        z[:] = x[i]
        s += z.sum()
        k += 1
    return s


@program(*B)
def while_true(x):
    i = 0
    while True:
        if x[i] > 2:
            break
        i += 1
    return i


@program(*B)
def while_true2(x):
    a, b = 0.0, 4.0
    while True:
        m = (a + b) / 2
        if m * m > 2 + x[0]:
            b = m
        else:
            a = m
        if b - a < 1e-9:
            return m


@program(*B)
def nested_fn(x):
    s = 0.0
    for i in range(len(x)):

        def g(v):
            return v * x[i] if v > 0 else -v

        s += g(x[i]) + (lambda q: q + i)(x[i])
    return s


@program(*B)
def tryfin(x):
    s = 0.0
    n = 0
    for v in x:
        try:
            if v < 0:
                continue
            s += v
        finally:
            n += 1
    return s, n


@program(*B)
def with_(x):
    s = 0.0
    for v in x:
        with np.errstate(all="ignore"):
            if v < -1:
                break
            s += np.sqrt(v)
    return s


@program(*B)
def nonlocal_(x):
    t = 0.0

    def add(v):
        nonlocal t
        if v > 0:
            t += v

    for v in x:
        add(v)
    return t


@program(*B)
def walrus(x):
    s = 0.0
    i = 0
    while (v := x[i]) < 2:
        s += v
        i += 1
    return s, v


@program(*B)
def walrus_if(x):
    s = 0.0
    for i in range(len(x)):
        if (d := x[i] * 2) > 1:
            s += d
    return s


@program((M,))
def star(m):
    s = 0.0
    for r in m:
        a, *rest = r
        s += a * rest[0] + rest[-1]
    return s


@program((M,))
def star2(m):
    s = 0.0
    for a, b, *c in m:
        s += a * b + sum(c)
    return s


class Box:
    pass


@program(*B)
def attr(x):
    b = Box()
    b.v = 0
    b.w = np.zeros(3)
    for v in x:
        b.v += v
        b.w[0] += 1
        b.w += v
    return b.v, b.w


@program(*B)
def dicte(x):
    d = {"a": 0, "n": 0}
    for v in x:
        if v > 0:
            d["a"] += v
        d["n"] += 1
    return d


@program(*B)
def liste(x):
    l = [0, 0.0]
    for v in x:
        l[0] += 1
        l[1] -= v
    return l


@program(*B)
def dict_items(x):
    d = {"a": x, "b": x * 2}
    s = 0.0
    for k, v in d.items():
        for i in range(len(v)):
            if v[i] > 0:
                s += v[i] * len(k)
    return s


@program(*B, (np.arange(50.0),))
def append(x):
    out = []
    for v in x:
        out.append(v * 2)
    return np.array(out)


@program(*B, (np.arange(50.0),))
def append2(x):
    out = [x[0]]
    for i in range(1, len(x)):
        out.append(out[-1] * 0.5 + x[i])
    return np.array(out)


def fac(n):
    return 1 if n < 2 else n * fac(n - 1)


@program((6,))
def recursion(n):
    return fac(n)


def power(x, n):
    if n == 0:
        return 1.0
    if n % 2:
        return x * power(x, n - 1)
    y = power(x, n // 2)
    return y * y


@program(*[(X, k) for k in (0, 5, 13)])
def recpow(x, n):
    return power(x, n)


@program(
    (X, Y, 3, 3),
    (X, Y, np.int64(3), np.int64(3)),
    (X, Y, np.int64(3), np.int64(4)),
)
def prefix(a, x, k, q):
    a[:k] = x[:q]
    return a


@program(
    (X, Y, np.array([1, 4, 2, 5])),
    (X, Y, np.array([1, 4, 2, 4])),
    (X, Y, np.array([0, 0, 2, 2])),
    (X, Y, np.array([2, 2, 2, 4])),
)
def windows(a, x, b):
    lo, hi, p, q = b
    a[lo:hi] += x[p:q]
    return a


@program((X, Y, np.array([1, 4, 2, 5])), (X, Y, np.array([1, 4, 2, 4])))
def windows_expr(a, x, b):
    lo, hi, p, q = b
    return (a[lo:hi] * x[p:q]).sum()


@program(*B)
def resize2(x):
    return np.resize(x, (3, 5))


@program((X, N))
def nonzero_loop(x, n):
    s = 0.0
    for i in range(4):
        (idx,) = np.nonzero(x > i - 2)
        s += x[idx].sum() + idx.size
    return s


@program((X,))
def mask_loop(x):
    s = 0.0
    for i in range(5):
        m = x > i * 0.3
        s += x[m].sum()
        x[m] *= 0.5
    return s


@program((X,))
def mask_loop2(x):
    n = 0
    while (x > 0.1).any():
        m = x > 0.1
        x[m] -= x[m].mean() * 0.5 + 0.05
        n += 1
    return n


@program((X,), (-X,))
def raise_write(x):
    x[0] += 1
    if x[2] < 0:
        raise ValueError("neg")
    x[1] = x[0] * 2
    return x.sum()


@program((X,), (-X,))
def raise_loop(x):
    s = 0.0
    for i in range(len(x)):
        if x[i] > 2.4:
            raise ValueError(f"at {i}")
        x[i] = 0
        s += x[i]
    return s


@program((X,), (-X,))
def assert_(x):
    assert x[2] > 0, "must"
    y = np.sin(x) + 1
    assert y[0] > -5
    return np.sqrt(y) * 2


# Extents that only data tells, which must be equal


@program(
    (X, Y, np.array([1, 4, 2, 5])),
    (X, Y, np.array([1, 4, 2, 4])),
    (X, Y, np.array([0, 0, 2, 2])),
    (X, Y, np.array([1, 4, 2, 3])),
)
def dot(a, x, b):
    lo, hi, p, q = b
    return a[lo:hi] @ x[p:q], np.dot(a[lo:hi], x[p:q])


@program(
    (X, Y, np.array([1, 4, 2, 5])), (X, Y, np.array([1, 4, 2, 4])), (X, Y, np.array([0, 0, 2, 2]))
)
def many(a, x, b):
    lo, hi, p, q = b
    u = a[lo:hi]
    v = x[p:q]
    w = u * v + v - u * 2
    w += u
    u[:] = w * v
    v *= u
    return w.sum()


@program(
    (np.arange(30.0).reshape(6, 5), Y, np.array([1, 4, 2, 5])),
    (np.arange(30.0).reshape(6, 5), Y, np.array([1, 4, 2, 4])),
)
def two_d(m, x, b):
    lo, hi, p, q = b
    m[lo:hi] += x[p:q][:, None]
    m[0, :][lo:hi] = x[p:q]
    return (m[lo:hi, lo:hi] * x[p:q]).sum()


@program((X, Y, np.array([3])), (X, Y, np.array([8])))
def static_vs(a, x, b):
    return (a[: b[0]] * x).sum()


@program((X, np.array([2, 3, 3])), (X, np.array([2, 3, 4])))
def loop_windows(x, b):
    s = 0.0
    out = np.zeros_like(x)
    for i in range(4):
        lo = b[0]
        n = b[1]
        m = b[2]
        out[i : i + n] += x[lo : lo + m]
    return out


@program(
    (X, np.arange(8)),
)
def gather_write(x, i):
    k = i[3]
    x[i[:k]] = x[:k] * 2
    return x


@program((X, np.array([3, 2])), (X, np.array([2, 2])))
def where_(x, b):
    return np.where(x[: b[0]] > 0, x[: b[1]], 0.0).sum()


@program((X, Y, np.array([3, 3])), (X, Y, np.array([3, 2])))
def maxi(a, x, b):
    return np.maximum(a[: b[0]], x[: b[1]]).sum(), np.add(a[: b[0]], x[: b[1]], out=a[: b[0]]).sum()


@program((X, np.array([3, 4])), (X, np.array([0, 0])))
def mask_lens(x, b):
    m = x > 0
    y = x[m]
    return (y * y).sum(), (y * x[m]).sum()


@program((X,), (-X,))
def mask_two(x):
    y = x[x > 0]
    z = x[x < 0]
    return (y * z[: len(y)]).sum() if len(y) <= len(z) else (z * y[: len(z)]).sum()


@program((X, np.array([4])), (X, np.array([1])))
def merge(x, b):
    k = b[0]
    L = x[:k].copy()
    R = x[k:].copy()
    i = j = 0
    out = np.empty_like(x)
    for t in range(len(x)):
        if i < len(L) and (j >= len(R) or L[i] <= R[j]):
            out[t] = L[i]
            i += 1
        else:
            out[t] = R[j]
            j += 1
    return out


@program((X, np.array([2, 0, 1, 2])), (X, np.array([1, -1, 2, 0])))
def listed_numbers(x, k):
    weights = [0.5, 2.0, -1.0]
    total = 0.0
    for i in range(len(k)):
        total += weights[k[i]] * x[i]
    return total, weights[k[0]]


@program((np.int64(1), X), (np.int64(-3), X))
def listed_arrays(k, x):
    rows = [x, x[::-1].copy(), x * 2]
    return rows[k] + 1, (1, 2, 3)[k] * 2


@program((X, 6))
def listed_by_count(x, n):
    c = (1.0, 0.5, 0.25, 0.125, 0.0625, 0.03125)
    total = 0.0
    for i in range(n):
        total = total * x[0] + c[i]
    return total


@program((np.int64(1), X), (np.int64(7), X))
def listed_beyond(k, x):
    return [x, x + 1][k]
