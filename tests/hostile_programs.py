"""Programs that ask much of capture: jumps, exchanges, objects, ints of all sizes."""

import numpy as np
from capture_idioms import B, M, N, X, Y
from textbook_programs import program

F = (X.copy(),), (X.astype("f4"),), (np.array([1.5]),)


@program((X,), (np.array([]),))
def early_ret_none(x):
    if len(x) == 0:
        return None
    for v in x:
        if v > 2:
            return v
    return None


@program(*F[:2])
def ret_tuple_or(x):
    for i, v in enumerate(x):
        if v > 2:
            return i, v
    return -1, 0.0


@program(*F)
def flag_search(x):
    found = False
    i = 0
    while not found and i < len(x):
        if x[i] > 2:
            found = True
        else:
            i += 1
    return i if found else -1


@program(*F)
def two_loops_break(x):
    n = 0
    for a in x:
        for b in x:
            if a + b > 4:
                break
            n += 1
        else:
            continue
        break
    return n


@program((X, 3), (X, 0))
def while_else_nested(x, k):
    i = 0
    while i < len(x):
        j = 0
        while j < k:
            if x[i] * j > 1:
                break
            j += 1
        else:
            i += 1
            continue
        break
    return i, j if len(x) else 0


@program(*F[:2])
def running_two(x):
    a = b = -np.inf
    for v in x:
        if v > a:
            a, b = v, a
        elif v > b:
            b = v
    return a, b


@program((N,), (N.astype("i4"),), (N.astype("u1"),))
def ints(n):
    s = 0
    p = 1
    q = n[0]
    for v in n:
        s += v
        p = p * v % 7
        q = q ^ v
        if v & 1:
            s -= 1
        s //= 2 if v > 3 else 1
    return s, p, q


@program((N,), (N.astype("u1"),))
def bitcount(n):
    c = 0
    for v in n:
        while v:
            c += v & 1
            v >>= 1
    return c


@program((np.array([1, 2, 2, 3, 5, 8]), np.array([2, 3, 4, 8, 9])))
def intersect(a, b):
    i = j = k = 0
    out = np.zeros(min(len(a), len(b)), a.dtype)
    while i < len(a) and j < len(b):
        if a[i] == b[j]:
            out[k] = a[i]
            i += 1
            j += 1
            k += 1
        elif a[i] < b[j]:
            i += 1
        else:
            j += 1
    return out[:k]


@program((M.copy(),), (M.astype("f4"),))
def transpose_swap(m):
    m = m[:5]
    n = len(m)
    for i in range(n):
        for j in range(i):
            m[i, j], m[j, i] = m[j, i], m[i, j]
    return m


@program((M.copy(),))
def row_swap_views(m):
    for i in range(len(m) - 1):
        if m[i, 0] < m[i + 1, 0]:
            t = m[i].copy()
            m[i] = m[i + 1]
            m[i + 1] = t
    return m


@program((M.copy(),))
def view_state(m):
    v = m[0]
    for i in range(6):
        v = m[i]
        v[0] = v.sum()
        if v[0] > 5:
            v[1:] = 0
    return v


@program((X,))
def alias_in_loop(x):
    y = x
    for i in range(5):
        y = y + 1
        x[i] = y[i]
    return x, y


@program((X,))
def alias_while(x):
    y = x
    while y[0] < 5:
        y = y * 1.5 + 0.1
        x[0] = y[1]
    return x, y


@program((X, Y))
def swap_three(a, b):
    c = a + b
    n = 0
    while np.abs(a).sum() > 1 and n < 20:
        a, b, c = b, c, a
        a *= 0.7
        n += 1
    return a, b, c, n


@program((X, Y))
def swap_list(a, b):
    bufs = [a.copy(), b.copy()]
    for t in range(7):
        bufs[1][1:-1] = bufs[0][:-2] + bufs[0][2:]
        bufs = bufs[::-1]
    return bufs[0]


@program((X, Y))
def swap_list_while(a, b):
    bufs = [a.copy(), b.copy()]
    t = 0
    while t < 50:
        bufs[1][1:-1] = 0.5 * (bufs[0][:-2] + bufs[0][2:])
        d = abs(bufs[0] - bufs[1]).max()
        bufs[0], bufs[1] = bufs[1], bufs[0]
        t += 1
        if d < 1e-2:
            break
    return bufs[0], t


@program((X,))
def parity_buffers(x):
    buf = np.zeros((2, len(x)))
    buf[0] = x
    for t in range(9):
        buf[(t + 1) % 2, 1:-1] = 0.5 * (buf[t % 2, :-2] + buf[t % 2, 2:])
    return buf[9 % 2]


class Solver:
    def __init__(self, x):
        self.x = x.copy()
        self.n = 0
        self.hist = []

    def step(self):
        self.x = self.x * 0.5
        self.n += 1
        return np.abs(self.x).max()

    def run(self, tol):
        while self.step() > tol:
            pass
        return self.x, self.n


@program((X, 1e-2), (X, 10.0))
def solver(x, tol):
    return Solver(x).run(tol)


class Sol2:
    def __init__(self, x):
        self.u = x.copy()
        self.v = np.zeros_like(x)

    def sweep(self):
        self.v[1:-1] = 0.5 * (self.u[:-2] + self.u[2:])
        d = np.abs(self.u - self.v).max()
        self.u, self.v = self.v, self.u
        return d


@program((X,))
def solver_swap(x):
    s = Sol2(x)
    k = 0
    while s.sweep() > 1e-3:
        k += 1
        if k > 200:
            break
    return s.u, k


@program((X,))
def sweep_test(x):
    def relax(u):
        u[1:-1] = 0.5 * (u[:-2] + u[2:])
        return abs(u[1] - u[0])

    n = 0
    while relax(x) > 0.5 and n < 30:
        n += 1
    return x, n


@program((X,))
def walrus_loop(x):
    it = 0
    while (e := np.abs(x).max()) > 1e-2:
        x = x * 0.5
        it += 1
        if it > 100:
            break
    return x, e, it


@program((X,))
def with_user_cm(x):
    class C:
        def __init__(s):
            s.n = 0

        def __enter__(s):
            s.n += 1
            return s

        def __exit__(s, *a):
            s.n += 10

    c = C()
    t = 0.0
    for v in x:
        with c:
            if v < 0:
                continue
            t += v
            if t > 3:
                break
    return c.n, t


@program((X,))
def fin_return(x):
    log = np.zeros(3)

    def f():
        for v in x:
            try:
                if v > 2:
                    return v
                if v < -2:
                    break
            finally:
                log[0] += 1
        return -1.0

    r = f()
    return r, log


@program((X,))
def try_else(x):
    n = m = 0
    for v in x:
        try:
            if v < 0:
                continue
        except ValueError:
            n += 100
        else:
            n += 1
        finally:
            m += 1
    return n, m


G = 3.0


@program((X,))
def glob(x):
    s = 0.0
    for v in x:
        if v > 0:
            s += G * v
    return s


@program((X,))
def lam_closure(x):
    fs = [lambda v, k=k: v * k for k in range(3)]
    s = 0.0
    for v in x:
        for f in fs:
            s += f(v)
    return s


@program((X,))
def dict_dispatch(x):
    ops = {"a": np.sin, "b": np.cos}
    s = 0.0
    for k, f in ops.items():
        for v in x:
            s += f(v) if v > 0 else len(k)
    return s


@program((X, 5), (X, np.int64(5)))
def power_loop(x, n):
    r = np.ones_like(x)
    while n > 0:
        if n % 2:
            r = r * x
        x = x * x
        n //= 2
    return r


@program((X,))
def dtype_drift(x):
    s = 0
    t = 1
    u = np.float32(0)
    w = True
    for v in x:
        s += 1
        t *= v
        u += np.float32(v)
        w = w and v < 3
    return s, t, u, w


@program((X.astype("f4"),))
def drift_f32(x):
    s = 0.0
    m = 0
    lo = 1e9
    for v in x:
        s += v * 2.0
        m = max(m, v)
        lo = min(lo, v)
    return s, m, lo


@program((np.array([1 + 2j, 0.5 - 1j, -2j]),))
def cplx(z):
    s = 0
    m = 0.0
    for v in z:
        if abs(v) > 1:
            s += v
        else:
            s -= v.conjugate()
        m = max(m, abs(v.imag))
    return s, m


@program((np.array([0.1, 0.5, 0.9]), np.array([0.2, 0.3, 0.5])))
def cumulative_pick(u, w):
    out = np.zeros(len(u), int)
    for k in range(len(u)):
        c = 0.0
        for i in range(len(w)):
            c += w[i]
            if u[k] < c:
                out[k] = i
                break
    return out


@program((M,))
def saddle(m):
    for i in range(m.shape[0]):
        j = np.argmin(m[i])
        if m[i, j] == m[:, j].max():
            return i, j
    return None


@program((X,))
def any_all_mix(x):
    return all(v > -3 for v in x) and not any(v > 5 for v in x)


@program((M,))
def nested_comp(m):
    return (
        sum(m[i, j] for i in range(len(m)) for j in range(i) if j < 5 and m[i, j] > 1),
        max(max(r) for r in m),
        [sum(r) for r in m],
    )


@program((M,))
def comp_dict(m):
    d = {i: m[i].sum() for i in range(3)}
    return d, {k: v for k, v in d.items()}


@program((X,))
def argmax_key(x):
    return (
        max(range(len(x)), key=lambda i: x[i]),
        min(range(len(x)), key=lambda i: abs(x[i])),
        sorted(range(len(x)), key=lambda i: x[i]),
    )


@program((X, Y))
def zip_loops(x, y):
    s = 0.0
    for i, (a, b) in enumerate(zip(x, y)):
        if a > b:
            s += i
        elif a in (0.3, b):
            s -= 1
    for a, b in zip(x[1:], x):
        s += a * b
    for a in reversed(x):
        s = s * 0.5 + a
    return s


@program((np.array([3, 1, 2]), X))
def range_traced(n, x):
    s = 0.0
    for k in n:
        for i in range(k, 0, -1):
            s += x[i]
        for i in range(0, len(x), k):
            s -= x[i]
    return s


@program((X,))
def mask_idx(x):
    out = np.zeros(3)
    for t in range(3):
        idx = np.flatnonzero(x > t - 1)
        for i in idx:
            out[t] += x[i]
        if idx.size:
            out[t] /= idx.size
    return out


@program((X,))
def argwhere_loop(x):
    s = 0
    for i in np.where(x > 0)[0]:
        s += i
    for (i,) in np.argwhere(x < 0):
        s -= i
    return s


@program((np.array([5, 1, 4]),))
def index_from_sorted(n):
    o = np.argsort(n)
    inv = np.empty_like(o)
    for i, k in enumerate(o):
        inv[k] = i
    return inv


@program((M,))
def break_outer_flag(m):
    done = False
    for i in range(len(m)):
        for j in range(m.shape[1]):
            if m[i, j] > 2:
                done = True
                break
        if done:
            break
    return i, j


@program((X,), (-X,))
def assert_in_loop(x):
    s = 0.0
    for v in x:
        assert v < 2.4, "big"
        s += v
    return s


@program((np.int64(10),), (np.int64(-3),))
def guard_then_while(n):
    if n < 1:
        raise ValueError("n must be positive")
    c = 0
    while n != 1:
        n = n // 2 if n % 2 == 0 else 3 * n + 1
        c += 1
    return c


@program((np.float64(2.0),), (np.float64(-1.0),), (3.0,))
def sqrt_newton(a):
    if a < 0:
        raise ValueError("negative")
    x = a
    for _ in range(100):
        y = 0.5 * (x + a / x)
        if abs(y - x) < 1e-12:
            return y
        x = y
    else:
        raise RuntimeError


@program((X, 2), (X, 50))
def bad_index(x, k):
    s = 0.0
    for i in range(k):
        if x[i] > -5:
            s += x[i]
    return s


@program((X, np.int64(20)), (X, np.int64(-20)), (X, np.int64(3)))
def bad_index2(x, k):
    if k < 0:
        k = -k
    return x[k]


@program(
    (X,),
)
def del_names(x):
    s = 0.0
    for v in x:
        t = v * 2
        if t > 1:
            s += t
        del t
    return s


@program((X,))
def global_rng_free(x):
    it = iter(x)
    a = next(it)
    b = next(it)
    return a + b + sum(it)


@program((X,))
def unpack_star(x):
    a, *b = x
    c, d, *_ = b
    *e, f = x
    return a * c + d * f + sum(e)


@program((M,))
def hist2d(m):
    h = np.zeros((3, 3), int)
    for r in m:
        for v in r[:2]:
            i = min(int(v), 2)
            j = int(r[2]) % 3
            h[i, j] += 1
    return h


@program((X,))
def str_keys(x):
    d = dict(pos=0, neg=0.0)
    for v in x:
        d["pos" if True else "neg"] += 1
    for v in x:
        if v > 0:
            d["pos"] += 1
        else:
            d["neg"] += v
    return d


# Sizes and dtypes that values decide


@program((np.float64(2.0),), (np.float32(0.3),))
def scalar_view(x):
    return x.view(np.int64 if x.dtype == np.float64 else np.int32)


@program((X.astype("f4"),))
def fast_inv_sqrt(x):
    x = np.abs(x)
    i = x.view(np.int32)
    i = 0x5F3759DF - (i >> 1)
    y = i.astype(np.int32).view(np.float32)
    return y * (1.5 - 0.5 * x * y * y)


@program((np.int64(3),), (np.int64(5),))
def zeros_n(n):
    a = np.zeros(n)
    a[:] = 2
    a[0] = 1
    return a


@program(
    (N,),
)
def zeros_max(n):
    c = np.zeros(n.max() + 1, int)
    for v in n:
        c[v] += 1
    return c


@program(
    (N,),
)
def counting_sort(n):
    k = n.max() + 1
    c = np.zeros(k, int)
    for v in n:
        c[v] += 1
    out = np.empty_like(n)
    t = 0
    for v in range(k):
        for _ in range(c[v]):
            out[t] = v
            t += 1
    return out


@program((1.0, 0.25), (2.0, 0.5))
def euler(T, dt):
    t = np.arange(0, T, dt)
    y = np.empty(len(t))
    y[0] = 1
    for i in range(1, len(t)):
        y[i] = y[i - 1] * (1 - dt)
    return t, y


@program((1.0, 0.25), (2.0, 0.5))
def euler2(T, dt):
    n = int(T / dt)
    y = np.empty(n + 1)
    y[0] = 1
    for i in range(n):
        y[i + 1] = y[i] * (1 - dt)
    return y


@program((0.0, 1.0, 5), (0.0, 2.0, np.int64(5)))
def lins(a, b, n):
    return np.linspace(a, b, n)


@program((X,))
def resized(x):
    y = x.copy()
    y.resize(3)
    y[0] = 1
    z = np.zeros(2)
    z.resize((2, 3))
    z[1] = 4
    return y, z


@program((N.astype("i4"),), (N.astype("u1"),), (N.astype("u8"),))
def plus_index(n):
    out = np.zeros_like(n)
    for i in range(len(n)):
        out[i] = n[i] + i
    return out


@program((N.astype("u1"), 100), (N.astype("u1"), 300), (N.astype("i2"), 300))
def plus_count(n, k):
    c = 0
    s = n[0]
    for i in range(k):
        if i % 2 == 0 or i > 5:
            c += 1
        s = n[i % 8] + c
    return s


@program((N.astype("u1"), np.int64(3)))
def minus(n, k):
    k = int(k)
    return n + k, n * k, np.minimum(n, k)


@program((N.astype("u1"), np.int64(-3)))
def minus2(n, k):
    return n + int(k)


@program((N.astype("u1"),))
def cmp_(n):
    c = 0
    for i in range(400):
        if n[3] < i:
            c += 1
    return c


@program((N,))
def match_(n):
    s = 0
    for v in n:
        match v:
            case 1:
                s += 10
            case 2 | 3:
                s += 20
            case k if k > 4:
                s += k
            case _:
                s -= 1
    return s


@program((np.int64(3),), (np.int64(1),), (np.int64(9),))
def match2(n):
    match n:
        case 1:
            return n * 2
        case 3:
            return n + 100
        case _:
            return n - 1


@program((X,), (X[::2].copy(),))
def view_dt(x):
    return x.view(np.int64)


@program((X.astype("f4"),))
def view_dt2(x):
    return x.view(np.uint32) & 0xFF


@program((N,))
def view_dt3(x):
    return x.view(np.uint8).sum()


@program((X,), (X.astype("f8"),))
def view_cplx(x):
    return x.view(complex) * 2


@program(*B)
def resize(x):
    y = x.copy()
    y.resize(12, refcheck=False)
    return y


@program((2.5,), (np.float64(4),), (np.float32(3.2),))
def arange_float(t):
    return np.arange(t).sum()


@program((2.5,), (np.float64(4),))
def arange_float2(t):
    return np.arange(0, t, 0.5)
