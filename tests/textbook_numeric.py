"""Numerical algorithms as textbooks write them, and such that draw random numbers."""

import math

import numpy as np
from textbook_programs import program

RNG = np.random.default_rng(0)
A1 = RNG.normal(size=9)
A1f = A1.astype("f4")
I1 = RNG.integers(0, 20, size=12)
E = np.array([])
O1 = np.array([2.5])
V = (A1.copy(),), (A1f.copy(),), (I1.copy(),), (E,), (O1,)
T0 = np.array([[1.0, 1, 1, 0, 40], [2, 1, 0, 1, 60], [-3, -2, 0, 0, 0]])
SPD = (lambda m: m @ m.T + 6 * np.eye(6))(RNG.normal(size=(6, 6)))
TT = np.linspace(0, 2, 20)
YY = 2 * np.exp(-1.3 * TT)
TR = RNG.dirichlet(np.ones(3), size=3)
EM = RNG.dirichlet(np.ones(4), size=3)
PI = np.ones(3) / 3
OB = RNG.integers(0, 4, size=10)
PT = np.concatenate([RNG.normal(size=(10, 2)), RNG.normal(size=(10, 2)) + 5])
G = (RNG.random((8, 8)) < 0.4).astype(int)
L = (RNG.random((6, 6)) < 0.4).astype(float)


@program((T0,), (T0.astype("f4"),))
def simplex(T):
    m = T.shape[0] - 1
    for it in range(100):
        col = np.argmin(T[-1, :-1])
        if T[-1, col] >= -1e-9:
            break
        best = np.inf
        row = -1
        for i in range(m):
            if T[i, col] > 1e-9:
                r = T[i, -1] / T[i, col]
                if r < best:
                    best = r
                    row = i
        if row < 0:
            raise ValueError("unbounded")
        T[row] /= T[row, col]
        for i in range(m + 1):
            if i != row:
                T[i] -= T[i, col] * T[row]
    return T[-1, -1]


@program((RNG.normal(size=16) + 0j,), (RNG.normal(size=8).astype("c8"),), (np.ones(1, complex),))
def fft2(a):
    n = len(a)
    j = 0
    for i in range(1, n):
        bit = n >> 1
        while j & bit:
            j ^= bit
            bit >>= 1
        j ^= bit
        if i < j:
            a[i], a[j] = a[j], a[i]
    length = 2
    while length <= n:
        w = np.exp(-2j * np.pi / length)
        for i in range(0, n, length):
            t = 1.0 + 0j
            for k in range(length // 2):
                u = a[i + k]
                v = a[i + k + length // 2] * t
                a[i + k] = u + v
                a[i + k + length // 2] = u - v
                t *= w
        length *= 2
    return a


@program((SPD, np.arange(6.0)), (SPD.astype("f4"), np.arange(6.0, dtype="f4")))
def cg(A, b, tol=1e-6):
    x = np.zeros_like(b)
    r = b - A @ x
    q = r.copy()
    rs = r @ r
    k = 0
    while np.sqrt(rs) > tol:
        Aq = A @ q
        al = rs / (q @ Aq)
        x += al * q
        r -= al * Aq
        new = r @ r
        q = r + (new / rs) * q
        rs = new
        k += 1
        if k >= 50:
            break
    return x


@program(
    (0.0, 4.0, 2.0),
    (np.float64(0), np.float64(4), np.float64(3)),
    (np.float32(0), np.float32(4), np.float32(3)),
)
def bisect(a, b, c):
    f = lambda t: t * t - c
    fa = f(a)
    for _ in range(60):
        m = 0.5 * (a + b)
        fm = f(m)
        if fm == 0 or (b - a) / 2 < 1e-6:
            return m
        if fa * fm < 0:
            b = m
        else:
            a = m
            fa = fm
    raise RuntimeError("no convergence")


@program((TT, YY, np.array([1.0, 1.0])))
def levmar(t, y, p0):
    p = p0.copy()
    lam = 1e-2
    r = y - p[0] * np.exp(-p[1] * t)
    cost = r @ r
    for it in range(50):
        J = np.stack([np.exp(-p[1] * t), -p[0] * t * np.exp(-p[1] * t)], axis=1)
        H = J.T @ J
        g = J.T @ r
        step = np.linalg.solve(H + lam * np.diag(np.diag(H)), g)
        q = p + step
        rn = y - q[0] * np.exp(-q[1] * t)
        cn = rn @ rn
        if cn < cost:
            if abs(cost - cn) < 1e-14:
                p = q
                break
            p = q
            r = rn
            cost = cn
            lam *= 0.3
        else:
            lam *= 5
    return p


@program(
    (OB, PI, TR, EM),
    (OB[:1], PI, TR, EM),
    (OB.astype("u1"), PI.astype("f4"), TR.astype("f4"), EM.astype("f4")),
)
def viterbi(obs, pi, A, B):
    T = len(obs)
    S = len(pi)
    V = np.zeros((T, S))
    bp = np.zeros((T, S), int)
    V[0] = np.log(pi) + np.log(B[:, obs[0]])
    for t in range(1, T):
        for s in range(S):
            sc = V[t - 1] + np.log(A[:, s])
            bp[t, s] = np.argmax(sc)
            V[t, s] = sc[bp[t, s]] + np.log(B[s, obs[t]])
    path = np.zeros(T, int)
    path[-1] = np.argmax(V[-1])
    for t in range(T - 2, -1, -1):
        path[t] = bp[t + 1, path[t + 1]]
    return path, V[-1].max()


@program((OB, PI, TR, EM), (OB[:1], PI, TR, EM))
def hmm_forward(obs, pi, A, B):
    al = pi * B[:, obs[0]]
    ll = 0.0
    c = al.sum()
    al = al / c
    ll += np.log(c)
    for o in obs[1:]:
        al = (al @ A) * B[:, o]
        c = al.sum()
        al /= c
        ll += np.log(c)
    return al, ll


@program((PT, 3), (PT.astype("f4"), 2))
def kmeans(X, k):
    c = X[:k].copy()
    while True:
        d = ((X[:, None] - c[None]) ** 2).sum(-1)
        lab = d.argmin(1)
        new = c.copy()
        for j in range(k):
            m = lab == j
            if m.any():
                new[j] = X[m].mean(0)
        if np.allclose(new, c):
            break
        c = new
    return c, lab


@program((PT, 3))
def kmeans2(X, k):
    centers = X[:k].copy()
    labels = np.zeros(len(X), dtype=int)
    changed = True
    it = 0
    while changed and it < 100:
        changed = False
        for i in range(len(X)):
            best = 0
            bd = np.inf
            for j in range(k):
                d = np.sum((X[i] - centers[j]) ** 2)
                if d < bd:
                    bd = d
                    best = j
            if labels[i] != best:
                labels[i] = best
                changed = True
        for j in range(k):
            if np.sum(labels == j) > 0:
                centers[j] = np.mean(X[labels == j], axis=0)
        it += 1
    return centers, labels, it


@program((G,), (G.astype("u1"),), (G.astype(bool),))
def life(g):
    gens = 0
    prev = np.zeros_like(g)
    while not np.array_equal(g, prev) and gens < 40:
        prev = g
        n = sum(
            np.roll(np.roll(g, i, 0), j, 1)
            for i in (-1, 0, 1)
            for j in (-1, 0, 1)
            if (i, j) != (0, 0)
        )
        g = ((n == 3) | ((g == 1) & (n == 2))).astype(g.dtype)
        gens += 1
    return g, gens


@program(
    (10, np.random.default_rng(3)),
)
def walk(n, rng):
    pos = np.zeros(n + 1)
    for i in range(n):
        pos[i + 1] = pos[i] + (1 if rng.random() < 0.5 else -1)
    return pos


@program(
    (20,),
)
def lcg_walk(n):
    s = 12345
    x = 0
    for i in range(n):
        s = (1103515245 * s + 12345) % (2**31)
        if s >> 16 & 1:
            x += 1
        else:
            x -= 1
    return x, s


@program((L,), (L.astype("f4"),))
def pagerank(A, d=0.85, eps=1e-10):
    n = A.shape[0]
    out = A.sum(1)
    r = np.full(n, 1 / n)
    while True:
        new = np.full(n, (1 - d) / n)
        for i in range(n):
            if out[i] == 0:
                new += d * r[i] / n
            else:
                new += d * r[i] * A[i] / out[i]
        if np.abs(new - r).sum() < eps:
            return new
        r = new


@program((L,))
def pagerank2(A, d=0.85, eps=1e-10):
    n = A.shape[0]
    r = np.ones(n) / n
    last = np.ones(n) * 100
    it = 0
    M = A / np.maximum(A.sum(0), 1)
    while np.linalg.norm(r - last) > eps:
        last = r
        r = d * (M @ r) + (1 - d) / n
        it += 1
    return r, it


@program((RNG.normal(size=(6, 4)),), (RNG.normal(size=(6, 4)).astype("f4"),), (np.zeros((3, 2)),))
def gram_schmidt(A):
    m, n = A.shape
    Q = np.zeros((m, n))
    R = np.zeros((n, n))
    for j in range(n):
        v = A[:, j].copy()
        for i in range(j):
            R[i, j] = Q[:, i] @ A[:, j]
            v -= R[i, j] * Q[:, i]
        R[j, j] = np.linalg.norm(v)
        if R[j, j] > 1e-12:
            Q[:, j] = v / R[j, j]
    return Q, R


@program((SPD,), (SPD.astype("f4"),))
def power_iter(A):
    v = np.ones(len(A))
    lam = 0
    k = 0
    while k < 1000:
        w = A @ v
        new = np.linalg.norm(w)
        v = w / new
        k += 1
        if abs(new - lam) < 1e-9:
            break
        lam = new
    return lam, v


@program((np.arange(1, 6.0), np.ones(4) * 0.5))
def tridiag_qr(d, e):
    d = d.copy()
    e = np.append(e, 0.0)
    n = len(d)
    for l in range(n):
        it = 0
        while True:
            m = l
            while m < n - 1:
                dd = abs(d[m]) + abs(d[m + 1])
                if abs(e[m]) <= 1e-14 * dd:
                    break
                m += 1
            if m == l:
                break
            it += 1
            if it > 50:
                raise RuntimeError("too many iterations")
            g = (d[l + 1] - d[l]) / (2 * e[l])
            r = math.hypot(g, 1.0)
            g = d[m] - d[l] + e[l] / (g + (r if g >= 0 else -r))
            s = c = 1.0
            q = 0.0
            i = m - 1
            while i >= l:
                f = s * e[i]
                b = c * e[i]
                r = math.hypot(f, g)
                e[i + 1] = r
                if r == 0.0:
                    d[i + 1] -= q
                    e[m] = 0.0
                    break
                s = f / r
                c = g / r
                g = d[i + 1] - q
                r = (d[i] - g) * s + 2 * c * b
                q = s * r
                d[i + 1] = g + q
                g = c * r - b
                i -= 1
            else:
                d[l] -= q
                e[l] = g
                e[m] = 0.0
    return np.sort(d)


@program((200, 0.5, np.random.default_rng(1)))
def metropolis(n, step, rng):
    x = 0.0
    out = np.empty(n)
    acc = 0
    for i in range(n):
        y = x + rng.normal() * step
        if np.log(rng.random()) < 0.5 * (x * x - y * y):
            x = y
            acc += 1
        out[i] = x
    return out, acc


@program((RNG.normal(size=50), RNG.random(50), 0.5))
def metropolis2(prop, u, step):
    x = 0.0
    acc = 0
    s = 0.0
    for z, v in zip(prop, u):
        y = x + step * z
        if v < np.exp(-0.5 * (y * y - x * x)):
            x = y
            acc += 1
        s += x
    return s, acc


@program((RNG.random(20) * 8, 8), (RNG.random(20).astype("f4") * 8, 8), (E, 4))
def cic(x, n):
    rho = np.zeros(n)
    for q in x:
        i = int(q)
        f = q - i
        rho[i % n] += 1 - f
        rho[(i + 1) % n] += f
    return rho


@program(
    (np.array([0.0, 1, 2, 4]), np.array([1.0, 3, 2, 0]), RNG.random(7) * 5 - 0.5),
)
def interp_search(xs, ys, q):
    out = np.empty_like(q)
    for k, v in enumerate(q):
        lo, hi = 0, len(xs) - 1
        if v <= xs[0]:
            out[k] = ys[0]
            continue
        if v >= xs[-1]:
            out[k] = ys[-1]
            continue
        while hi - lo > 1:
            mid = (lo + hi) // 2
            if xs[mid] > v:
                hi = mid
            else:
                lo = mid
        t = (v - xs[lo]) / (xs[hi] - xs[lo])
        out[k] = ys[lo] * (1 - t) + ys[hi] * t
    return out


@program((RNG.random((5, 5)),), (RNG.random((5, 5)).astype("f4"),))
def lu_pivot(A):
    n = len(A)
    piv = np.arange(n)
    for k in range(n):
        q = k + np.argmax(np.abs(A[k:, k]))
        if A[q, k] == 0:
            raise np.linalg.LinAlgError("singular")
        if q != k:
            A[[k, q]] = A[[q, k]]
            piv[[k, q]] = piv[[q, k]]
        A[k + 1 :, k] /= A[k, k]
        A[k + 1 :, k + 1 :] -= np.outer(A[k + 1 :, k], A[k, k + 1 :])
    return A, piv


@program((SPD,), (SPD.astype("f4"),))
def jacobi_eig(A):
    A = A.copy()
    n = len(A)
    for sweep in range(20):
        off = np.sum(A**2) - np.sum(np.diag(A) ** 2)
        if off < 1e-12:
            break
        for a in range(n - 1):
            for b in range(a + 1, n):
                if abs(A[a, b]) < 1e-15:
                    continue
                th = (A[b, b] - A[a, a]) / (2 * A[a, b])
                t = np.sign(th) / (abs(th) + np.sqrt(th * th + 1)) if th != 0 else 1.0
                c = 1 / np.sqrt(t * t + 1)
                s = t * c
                ra = A[a].copy()
                rb = A[b].copy()
                A[a] = c * ra - s * rb
                A[b] = s * ra + c * rb
                ca = A[:, a].copy()
                cb = A[:, b].copy()
                A[:, a] = c * ca - s * cb
                A[:, b] = s * ca + c * cb
    return np.sort(np.diag(A))


@program((np.ones((6, 6)), 1e-3), (np.arange(36.0).reshape(6, 6).astype("f4"), 1e-2))
def jacobi_conv(u, tol):
    new = u.copy()
    it = 0
    while it < 200:
        new[1:-1, 1:-1] = 0.25 * (u[:-2, 1:-1] + u[2:, 1:-1] + u[1:-1, :-2] + u[1:-1, 2:])
        diff = np.abs(new - u).max()
        u, new = new, u
        it += 1
        if diff < tol:
            break
    return u, it


@program(
    (np.array([0.0, 0, 1, 1]),),
)
def rk45(y0):
    t = 0.0
    h = 0.1
    y = y0.copy()
    n = 0
    f = lambda t, y: np.array([y[2], y[3], -y[0], -y[1]])
    while t < 1.0:
        h = min(h, 1.0 - t)
        k1 = f(t, y)
        k2 = f(t + h / 2, y + h / 2 * k1)
        k3 = f(t + h, y - h * k1 + 2 * h * k2)
        e = np.abs(h / 6 * (k1 - 2 * k2 + k3)).max()
        if e < 1e-4:
            t += h
            y = y + h / 6 * (k1 + 4 * k2 + k3)
            n += 1
        h = h * min(2.0, max(0.3, 0.9 * (1e-4 / max(e, 1e-16)) ** (1 / 3)))
    return y, n


@program((A1, 3), (A1f, 4), (I1, 2))
def moving_max(x, k):
    return np.array([max(x[i : i + k]) for i in range(len(x) - k + 1)])


@program((A1,), (A1f,))
def online_var(x):
    mean = 0.0
    m2 = 0.0
    n = 0
    for v in x:
        n += 1
        d = v - mean
        mean += d / n
        m2 += d * (v - mean)
    return mean, m2 / (n - 1) if n > 1 else 0.0


@program((A1,), (A1f,))
def simulated(x):
    T = 1.0
    cur = x.copy()
    e = (cur**2).sum()
    seed = 1
    while T > 0.01:
        for i in range(len(x)):
            seed = (seed * 16807) % 2147483647
            c = cur.copy()
            c[i] += seed / 2147483647 - 0.5
            en = (c**2).sum()
            if en < e or np.exp((e - en) / T) > 0.5:
                cur = c
                e = en
        T *= 0.5
    return cur, e


@program((A1,), (A1f,))
def golden(x):
    gr = (math.sqrt(5) - 1) / 2
    a, b = x.min(), x.max()
    f = lambda t: np.sum((x - t) ** 2)
    c = b - gr * (b - a)
    d = a + gr * (b - a)
    n = 0
    while abs(b - a) > 1e-3:
        if f(c) < f(d):
            b = d
        else:
            a = c
        c = b - gr * (b - a)
        d = a + gr * (b - a)
        n += 1
        assert n < 100
    return (a + b) / 2


@program((50, np.random.default_rng(3)))
def cond_draw(n, rng):
    s = 0.0
    for i in range(n):
        if rng.random() < 0.3:
            s += rng.normal()
        else:
            s -= rng.integers(3)
    return s


@program((np.random.default_rng(3),))
def while_draw(rng):
    n = 0
    while rng.random() < 0.9:
        n += 1
    return n


@program((np.random.default_rng(3), 20))
def two(rng, n):
    a = rng.normal(size=n)
    for i in range(n):
        a[i] += rng.random()
    r2 = np.random.default_rng(5)
    for i in range(n):
        a[i] *= r2.random()
    rng.shuffle(a)
    return a + rng.random(n)


@program((np.random.default_rng(3), 20))
def shuffle_loop(rng, n):
    a = np.arange(n)
    for i in range(n):
        rng.shuffle(a)
    return a


@program((np.random.default_rng(3), 30))
def fisher(rng, n):
    a = np.arange(n)
    for i in range(n - 1, 0, -1):
        j = rng.integers(i + 1)
        a[i], a[j] = a[j], a[i]
    return a


@program((np.random.default_rng(3), 0.5), (np.random.default_rng(3), -1.0))
def raise_draw(rng, p):
    x = rng.random()
    if p < 0:
        raise ValueError("neg")
    for i in range(20):
        x += rng.random()
    return x


@program((np.random.RandomState(3), 12))
def legacy(rng, n):
    s = 0.0
    for i in range(n):
        s += rng.rand() * rng.randn()
        if s > 1:
            s = rng.uniform(-1, 1)
    return s


@program((np.random.default_rng(3), 30))
def rejection(rng, n):
    out = np.empty(n)
    k = 0
    while k < n:
        x = rng.random()
        y = rng.random()
        if y < x * x:
            out[k] = x
            k += 1
    return out
