"""Programs that ask much of capture: comprehensions, patterns, paths that meet, and textbooks again."""

import numpy as np
from capture_idioms import M, N, X, Y
from textbook_programs import program

RNG = np.random.default_rng(9)
F = (X.copy(),), (X.astype("f4"),)


@program(*F)
def while_swap_ret_mid(x):
    u = x
    v = np.zeros_like(x)
    for k in range(30):
        pass
    n = 0
    while True:
        v[1:-1] = 0.5 * (u[2:] + u[:-2])
        v[0] = u[0]
        v[-1] = u[-1]
        if np.abs(u - v).max() < 0.05:
            return v, n
        u, v = v, u
        n += 1
        if n > 40:
            return u, -n


@program(*F)
def while_swap_then_write(x):
    a = x.copy()
    b = x * 0
    while a.sum() < 50:
        b[:] = a * 1.5 + 1
        a, b = b, a
    c = a.copy()
    c[0] = 7
    return c, b.sum()


@program((X, Y))
def for_swap_break(a, b):
    for i in range(40):
        b[1:] = a[:-1] * 0.5
        a, b = b, a
        if abs(a).max() < 0.1:
            break
    return a, b, i


@program((X, Y))
def for_swap_continue(a, b):
    s = 0.0
    for i in range(11):
        if a[i % 8] < 0:
            continue
        a, b = b, a
        s += a[0]
    return s


@program(*F)
def inner_while_swap(x):
    t = 0.0
    for k in range(5):
        u = x.copy()
        v = x * 0
        while u[0] < 5 + k:
            v[:] = u + 1
            u, v = v, u
        t += u.sum()
    return t


@program(*F)
def fib_gen(x):
    def g(n):
        a = 0.0
        for i in range(n):
            a = a * 0.5 + x[i]
            yield a

    return sum(g(5)), max(g(8)), [v for v in g(3)]


@program(*F)
def any_break_effect(x):
    calls = np.zeros(1)

    def pred(v):
        calls[0] += 1
        return v > 2

    r = any(pred(v) for v in x)
    q = all(pred(v) or v < 2 for v in x)
    return r, q, calls


@program(*F)
def lazy_scope(x):
    k = 3.0
    g = [sum(v * k for v in x if v > i) for i in range(3)]
    k = 4.0
    return g, sum(v * k for v in x)


@program(*F, (-np.abs(X),))
def min_empty(x):
    return min(v for v in x if v > 0)


@program((N,))
def in_range(n):
    return (
        [v in range(2, 6) for v in n],
        [v in {1, 5} for v in n],
        [v not in (3,) for v in n],
        [v in range(1, 9, 3) for v in n],
    )


@program(*F)
def comp_after(x):
    pos = [v for v in x if v > 0]
    neg = np.array([v for v in x if v <= 0])
    s = 0.0
    for v in pos:
        s += v
    return s, len(pos), neg, len(neg), np.mean(pos), np.sort(pos), sum(pos), max(pos)


@program(*F)
def comp_maybe_empty(x):
    pos = [v * 2 for v in x if v > 0]
    if len(pos) == 0:
        return -1.0
    return sum(pos) / len(pos)


@program(*F)
def comp_tuple_cond(x):
    return [i for i in range(5) if i % 2 == 0], [(i, v) for i, v in enumerate(x) if i < 3]


@program((M,))
def comp_rows(m):
    big = [r for r in m if r.sum() > 5]
    return np.array(big), len(big)


@program((np.int64(7), 2.5))
def match_guard(n, x):
    match n:
        case 1 | 2:
            r = x
        case k if k > 5:
            r = x * k
        case 3 if x > 1:
            r = x + 100
        case _:
            r = -x
    return r


@program((X, "a"), (X, "b"), (X, None))
def match_static(x, mode):
    match mode:
        case "a":
            return x + 1
        case None:
            return x
        case str():
            return x * 2


@program(*F)
def match_loop(x):
    state = 0
    n = 0
    for v in x:
        match state:
            case 0:
                if v > 1:
                    state = 1
            case 1:
                n += 1
                if v < 0:
                    state = 2
                else:
                    continue
            case _:
                break
        n += 10
    return state, n


@program(*F)
def nested_try(x):
    n = np.zeros(4, int)
    for i in range(6):
        try:
            try:
                if x[i] < -1:
                    continue
                n[0] += 1
            finally:
                n[1] += 1
                if x[i] > 2:
                    break
        finally:
            n[2] += 1
    else:
        n[3] = 1
    return n


@program(*F)
def finally_value(x):
    def f(v):
        try:
            if v > 1:
                return v * 2
            v = v + 1
        finally:
            v = v * 10
        return v

    return [f(v) for v in x]


@program((X, np.array([0, 3, 5])), (X, np.array([0, 3, 9])))
def raise_index_order(x, n):
    s = 0.0
    for k in n:
        if k > 7:
            raise KeyError("bad")
        s += x[k]
    return s


@program((np.int64(0),), (np.int64(12),))
def zero_guard(n):
    if n == 0:
        raise ZeroDivisionError("n")
    return 100 // n


@program((X,), (np.full(8, np.nan),))
def nan_guard(x):
    if np.isnan(x).any():
        raise ValueError("nan in input")
    x -= x.mean()
    if x.std() == 0:
        return x
    x /= x.std()
    return x


@program((np.array([1, 1, 1]), 2), (np.array([1, 2]), 9))
def subset_sum(a, t):
    dp = np.zeros(t + 1, bool)
    dp[0] = True
    for v in a:
        for s in range(t, v - 1, -1):
            if dp[s - v]:
                dp[s] = True
    return dp[t]


@program((np.array([2, 7, 11, 15]), 9), (np.array([3, 3]), 7))
def two_sum(a, t):
    i, j = 0, len(a) - 1
    while i < j:
        s = a[i] + a[j]
        if s == t:
            return i, j
        if s < t:
            i += 1
        else:
            j -= 1
    return -1, -1


@program((np.array([[1, 2], [3, 4]]), 5), (np.eye(3, dtype=int), np.int64(0)))
def matpow(m, n):
    r = np.eye(len(m), dtype=m.dtype)
    while n:
        if n & 1:
            r = r @ m
        m = m @ m
        n >>= 1
    return r


@program((np.array([3, 1, 2, 2, 0]),))
def inversions(a):
    a = a.copy()
    n = len(a)
    tmp = np.empty_like(a)
    c = 0
    w = 1
    while w < n:
        for lo in range(0, n, 2 * w):
            mid = min(lo + w, n)
            hi = min(lo + 2 * w, n)
            i = lo
            j = mid
            for k in range(lo, hi):
                if i < mid and (j >= hi or a[i] <= a[j]):
                    tmp[k] = a[i]
                    i += 1
                else:
                    tmp[k] = a[j]
                    c += mid - i
                    j += 1
        a, tmp = tmp, a
        w *= 2
    return a, c


@program(
    (RNG.random((4, 4)),),
)
def floyd_np(d):
    n = len(d)
    for k in range(n):
        d = np.minimum(d, d[:, k : k + 1] + d[k : k + 1, :])
    return d


@program((RNG.random(6), RNG.random(6), RNG.random(6), RNG.random(6)))
def thomas(a, b, c, d):
    n = len(d)
    b = b + 3
    cp = np.empty(n)
    dp = np.empty(n)
    cp[0] = c[0] / b[0]
    dp[0] = d[0] / b[0]
    for i in range(1, n):
        m = b[i] - a[i] * cp[i - 1]
        cp[i] = c[i] / m
        dp[i] = (d[i] - a[i] * dp[i - 1]) / m
    for i in range(n - 2, -1, -1):
        dp[i] -= cp[i] * dp[i + 1]
    return dp


@program((RNG.normal(size=40),))
def peaks(x):
    out = np.zeros(len(x), int)
    k = 0
    i = 1
    while i < len(x) - 1:
        if x[i - 1] < x[i]:
            j = i + 1
            while j < len(x) - 1 and x[j] == x[i]:
                j += 1
            if x[j] < x[i]:
                out[k] = (i + j - 1) // 2
                k += 1
                i = j
        i += 1
    return out[:k]


@program((np.array([1.0, 2, 0, 0, 3]),))
def segments(x):
    start = -1
    starts = np.zeros(len(x), int)
    ends = np.zeros(len(x), int)
    k = 0
    for i, v in enumerate(x):
        if v > 0 and start < 0:
            start = i
        elif v <= 0 and start >= 0:
            starts[k] = start
            ends[k] = i
            k += 1
            start = -1
    if start >= 0:
        starts[k] = start
        ends[k] = len(x)
        k += 1
    return [starts[:k], ends[:k]]


@program((np.array([0.0, 1, 0]), np.array([1.0, 0, 0]), 50, np.random.default_rng(5)))
def ising(a, b, n, rng):
    s = np.ones((4, 4), int)
    E = 0
    for t in range(n):
        i = rng.integers(4)
        j = rng.integers(4)
        nb = s[(i + 1) % 4, j] + s[i - 1, j] + s[i, (j + 1) % 4] + s[i, j - 1]
        dE = 2 * s[i, j] * nb
        if dE <= 0 or rng.random() < np.exp(-dE / 2.0):
            s[i, j] *= -1
            E += dE
    return s, E


@program((np.random.default_rng(5), 30))
def reservoir(rng, n):
    r = np.arange(5)
    for i in range(5, n):
        j = rng.integers(0, i + 1)
        if j < 5:
            r[j] = i
    return r


@program((np.random.default_rng(5),))
def choice_loop(rng):
    w = np.array([0.2, 0.5, 0.3])
    c = np.zeros(3, int)
    for _ in range(40):
        c[rng.choice(3, p=w)] += 1
    return c


@program((X,), (X[:1],))
def newton_interp(x):
    n = len(x)
    c = x**2
    for j in range(1, n):
        for i in range(n - 1, j - 1, -1):
            c[i] = (c[i] - c[i - 1]) / (x[i] - x[i - j])
    r = c[-1]
    for k in range(n - 2, -1, -1):
        r = r * (0.1 - x[k]) + c[k]
    return r


@program(
    (np.array([1, 0, 2]),),
)
def digits(a):
    v = 0
    for d in a:
        v = v * 10 + d
    out = np.zeros(5, int)
    k = 0
    while v > 0:
        v, r = divmod(v, 10)
        out[k] = r
        k += 1
    return out[:k][::-1]


@program((X.astype("f2"),), (X.astype("c8"),))
def odd_dtypes(x):
    s = x[0]
    for v in x[1:]:
        if abs(v) > 1:
            s = s + v
        else:
            s = s * v
    return s


@program((np.array([True, False, True, True]),))
def bools(b):
    run = 0
    best = 0
    for v in b:
        run = run + 1 if v else 0
        best = max(best, run)
    x = False
    for v in b:
        x ^= v
    return best, x, sum(b), any(b), all(b)


@program((np.array([5, 3, 8], "i4"),), (np.array([5, 3, 8], "u2"),))
def small_ints(a):
    m = a[0]
    k = 0
    t = 0
    for i, v in enumerate(a):
        if v > m:
            m = v
            k = i
        t += int(v) * 1000000
        a[i] = v + 1
    return m, k, t, a.sum()
