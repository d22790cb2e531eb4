"""Algorithms as textbooks and their readers write them, each with arguments to run it with."""

import numpy as np

PROGRAMS = []


def program(*arguments):
    """Enter a function, with the arguments of each of several calls."""

    def enter(function):
        PROGRAMS.append((function, arguments))
        return function

    return enter


RNG = np.random.default_rng(0)
A1 = RNG.normal(size=9)
A1f = A1.astype("f4")
I1 = RNG.integers(0, 20, size=12)
E = np.array([])
O1 = np.array([2.5])
V = (A1.copy(),), (A1f.copy(),), (I1.copy(),), (E,), (O1,)
EDG = np.array([[0, 1], [2, 3], [1, 2], [5, 6], [7, 8], [8, 5]])
PTR = np.array([0, 2, 4, 6, 7, 8, 8])
IDX = np.array([1, 2, 0, 3, 0, 4, 1, 2])
W = RNG.uniform(0, 10, size=(7, 7))
PT = np.concatenate([RNG.normal(size=(10, 2)), RNG.normal(size=(10, 2)) + 5])
D = np.array([30, 35, 15, 5, 10, 20, 25])
L = (RNG.random((6, 6)) < 0.4).astype(float)


@program(*V)
def insertion_sort(a):
    for i in range(1, len(a)):
        v = a[i]
        j = i - 1
        while j >= 0 and a[j] > v:
            a[j + 1] = a[j]
            j -= 1
        a[j + 1] = v
    return a


@program(*V)
def bubble(a):
    n = len(a)
    swapped = True
    while swapped:
        swapped = False
        for i in range(n - 1):
            if a[i] > a[i + 1]:
                a[i], a[i + 1] = a[i + 1], a[i]
                swapped = True
        n -= 1
    return a


@program(*V)
def quicksort_iter(a):
    n = len(a)
    if n == 0:
        return a
    stack = np.zeros(2 * n + 2, dtype=np.int64)
    top = 0
    stack[0] = 0
    stack[1] = n - 1
    top = 2
    while top > 0:
        top -= 2
        lo = stack[top]
        hi = stack[top + 1]
        if lo >= hi:
            continue
        pivot = a[hi]
        i = lo - 1
        for j in range(lo, hi):
            if a[j] <= pivot:
                i += 1
                a[i], a[j] = a[j], a[i]
        a[i + 1], a[hi] = a[hi], a[i + 1]
        q = i + 1
        stack[top] = lo
        stack[top + 1] = q - 1
        top += 2
        stack[top] = q + 1
        stack[top + 1] = hi
        top += 2
    return a


@program(*V)
def hoare(a):
    if len(a) < 2:
        return 0
    pivot = a[len(a) // 2]
    i = -1
    j = len(a)
    while True:
        i += 1
        while a[i] < pivot:
            i += 1
        j -= 1
        while a[j] > pivot:
            j -= 1
        if i >= j:
            return j
        a[i], a[j] = a[j], a[i]


def sift(a, root, end):
    while True:
        child = 2 * root + 1
        if child >= end:
            break
        if child + 1 < end and a[child] < a[child + 1]:
            child += 1
        if a[root] < a[child]:
            a[root], a[child] = a[child], a[root]
            root = child
        else:
            break


@program(*V)
def heapsort(a):
    n = len(a)
    for s in range(n // 2 - 1, -1, -1):
        sift(a, s, n)
    for e in range(n - 1, 0, -1):
        a[0], a[e] = a[e], a[0]
        sift(a, 0, e)
    return a


def find(parent, i):
    while parent[i] != i:
        parent[i] = parent[parent[i]]
        i = parent[i]
    return i


@program((10, EDG), (10, EDG[:0]))
def union_find(n, edges):
    parent = np.arange(n)
    rank = np.zeros(n, dtype=int)
    comps = n
    for a, b in edges:
        ra = find(parent, a)
        rb = find(parent, b)
        if ra == rb:
            continue
        if rank[ra] < rank[rb]:
            ra, rb = rb, ra
        parent[rb] = ra
        if rank[ra] == rank[rb]:
            rank[ra] += 1
        comps -= 1
    return parent, comps


@program((PTR, IDX, 0), (PTR, IDX, np.int64(4)), (PTR.astype("i4"), IDX.astype("i4"), np.int32(5)))
def bfs(ptr, idx, src):
    n = len(ptr) - 1
    dist = np.full(n, -1)
    queue = np.empty(n, dtype=np.int64)
    head = 0
    tail = 1
    queue[0] = src
    dist[src] = 0
    while head < tail:
        u = queue[head]
        head += 1
        for k in range(ptr[u], ptr[u + 1]):
            v = idx[k]
            if dist[v] < 0:
                dist[v] = dist[u] + 1
                queue[tail] = v
                tail += 1
    return dist


@program((W, 0), (W.astype("f4"), 3))
def dijkstra(w, s):
    n = len(w)
    dist = np.full(n, np.inf)
    done = np.zeros(n, bool)
    dist[s] = 0
    prev = -np.ones(n, int)
    for _ in range(n):
        u = -1
        best = np.inf
        for v in range(n):
            if not done[v] and dist[v] < best:
                best = dist[v]
                u = v
        if u == -1:
            break
        done[u] = True
        for v in range(n):
            alt = dist[u] + w[u, v]
            if alt < dist[v]:
                dist[v] = alt
                prev[v] = u
    return dist, prev


@program((W, 0))
def dijkstra_np(w, s):
    n = len(w)
    dist = np.full(n, np.inf)
    dist[s] = 0
    todo = np.ones(n, bool)
    while todo.any():
        u = np.argmin(np.where(todo, dist, np.inf))
        if dist[u] == np.inf:
            break
        todo[u] = False
        dist = np.minimum(dist, dist[u] + w[u])
    return dist


@program((D,), (D[:2],), (D.astype("i4"),))
def matrix_chain(d):
    n = len(d) - 1
    m = np.zeros((n, n), dtype=np.int64)
    s = np.zeros((n, n), dtype=np.int64)
    for L in range(2, n + 1):
        for i in range(n - L + 1):
            j = i + L - 1
            m[i, j] = np.iinfo(np.int64).max
            for k in range(i, j):
                q = m[i, k] + m[k + 1, j] + d[i] * d[k + 1] * d[j + 1]
                if q < m[i, j]:
                    m[i, j] = q
                    s[i, j] = k
    return m[0, n - 1], s


@program(
    (np.array([1, 3, 4, 5]), np.array([1, 4, 5, 7]), 7),
    (np.array([2]), np.array([3.0]), 1),
    (np.array([], int), np.array([]), 4),
)
def knapsack(w, v, C):
    K = np.zeros((len(w) + 1, C + 1))
    for i in range(1, len(w) + 1):
        for c in range(C + 1):
            if w[i - 1] <= c:
                K[i, c] = max(K[i - 1, c], K[i - 1, c - w[i - 1]] + v[i - 1])
            else:
                K[i, c] = K[i - 1, c]
    return K[-1, -1]


@program((PT,), (PT[:3],))
def hull(P):
    n = len(P)
    idx = np.argsort(P[:, 0])
    P = P[idx]
    H = np.zeros((2 * n, 2))
    k = 0
    for i in range(n):
        while (
            k >= 2
            and (H[k - 1, 0] - H[k - 2, 0]) * (P[i, 1] - H[k - 2, 1])
            - (H[k - 1, 1] - H[k - 2, 1]) * (P[i, 0] - H[k - 2, 0])
            <= 0
        ):
            k -= 1
        H[k] = P[i]
        k += 1
    t = k + 1
    for i in range(n - 2, -1, -1):
        while (
            k >= t
            and (H[k - 1, 0] - H[k - 2, 0]) * (P[i, 1] - H[k - 2, 1])
            - (H[k - 1, 1] - H[k - 2, 1]) * (P[i, 0] - H[k - 2, 0])
            <= 0
        ):
            k -= 1
        H[k] = P[i]
        k += 1
    return H[: k - 1]


@program(
    (np.array([0, 0, 1, 0, 1, 1, 0, 1]), 110),
    (np.array([0, 1, 0, 1], dtype="u1"), 30),
    (np.array([True, False, True]), 90),
)
def rule(cells, number):
    n = len(cells)
    hist = np.zeros((6, n), dtype=int)
    for t in range(6):
        hist[t] = cells
        new = cells.copy()
        for i in range(n):
            k = 4 * int(cells[i - 1]) + 2 * int(cells[i]) + int(cells[(i + 1) % n])
            new[i] = (number >> k) & 1
        cells = new
    return hist


@program(
    (np.array([1, 1, 2, 2, 2, 3, 1]),),
    (np.array([5]),),
    (np.array([1.5, 1.5, 2]),),
    (np.array([], int),),
)
def rle(x):
    n = len(x)
    if n == 0:
        return x, np.zeros(0, int)
    vals = np.empty_like(x)
    cnt = np.zeros(n, int)
    k = 0
    vals[0] = x[0]
    cnt[0] = 1
    for i in range(1, n):
        if x[i] == vals[k]:
            cnt[k] += 1
        else:
            k += 1
            vals[k] = x[i]
            cnt[k] = 1
    return vals[: k + 1], cnt[: k + 1]


@program((30,), (2,), (1,), (0,))
def sieve(n):
    s = np.ones(n + 1, bool)
    s[:2] = False
    for i in range(2, int(n**0.5) + 1):
        if s[i]:
            s[i * i :: i] = False
    return np.nonzero(s)[0]


@program((np.int64(30),), (np.int64(97),), (12,))
def is_prime(n):
    if n < 2:
        return False
    i = 2
    while i * i <= n:
        if n % i == 0:
            return False
        i += 1
    return True


@program((np.array([1, 3, 5, 7, 9, 11]), 7), (np.array([1.0, 2.0]), 3.0), (np.array([]), 1.0))
def binsearch(a, t):
    lo = 0
    hi = len(a) - 1
    while lo <= hi:
        mid = (lo + hi) // 2
        if a[mid] == t:
            return mid
        elif a[mid] < t:
            lo = mid + 1
        else:
            hi = mid - 1
    return -1


@program((np.array([3, -2, 5, -1, 2.0, -8, 4]),), (np.array([-3, -2]),), (np.array([1], "i4"),))
def kadane(a):
    best = cur = a[0]
    s = e = t = 0
    for i in range(1, len(a)):
        if cur < 0:
            cur = a[i]
            t = i
        else:
            cur += a[i]
        if cur > best:
            best = cur
            s = t
            e = i
    return best, s, e


@program((np.array([10, 9, 2, 5, 3, 7, 101, 18]),), (np.array([1.0]),), (np.array([]),))
def lis(a):
    n = len(a)
    d = np.ones(n, int)
    for i in range(n):
        for j in range(i):
            if a[j] < a[i] and d[j] + 1 > d[i]:
                d[i] = d[j] + 1
    return max(d) if n else 0


@program((np.array([4, 1, 3, 2]),), (np.array([1, 2, 3]),))
def permutation_next(a):
    n = len(a)
    i = n - 2
    while i >= 0 and a[i] >= a[i + 1]:
        i -= 1
    if i < 0:
        a[:] = a[::-1]
        return False
    j = n - 1
    while a[j] <= a[i]:
        j -= 1
    a[i], a[j] = a[j], a[i]
    a[i + 1 :] = a[i + 1 :][::-1]
    return True


@program((np.array([2, 1, 5, 6, 2, 3]),), (np.array([1.0]),))
def histogram_area(h):
    stack = []
    best = 0
    n = len(h)
    i = 0
    st = np.zeros(n + 1, int)
    top = 0
    while i <= n:
        cur = h[i] if i < n else 0
        while top > 0 and h[st[top - 1]] >= cur:
            top -= 1
            height = h[st[top]]
            width = i if top == 0 else i - st[top - 1] - 1
            best = max(best, height * width)
        st[top] = i
        top += 1
        i += 1
    return best


@program(
    (b"hello world",),
)
def crc(data):
    c = 0xFFFFFFFF
    for b in data:
        c ^= b
        for _ in range(8):
            c = (c >> 1) ^ 0xEDB88320 if c & 1 else c >> 1
    return c ^ 0xFFFFFFFF


@program((np.frombuffer(b"hello world", dtype="u1"),))
def crc2(data):
    c = np.uint32(0xFFFFFFFF)
    for b in data:
        c = c ^ b
        for _ in range(8):
            c = (
                (c >> np.uint32(1)) ^ np.uint32(0xEDB88320)
                if c & np.uint32(1)
                else c >> np.uint32(1)
            )
    return c ^ np.uint32(0xFFFFFFFF)


@program((np.array([3, 6, 9]),), (np.array([0, 4]),))
def gcd_arr(a):
    g = a[0]
    for v in a[1:]:
        while v:
            g, v = v, g % v
    return g


@program((np.array([[5, 3, 0], [1, 9, 2], [4, 0, 7]]),), (np.array([[5.5]]),))
def min_path(g):
    n, m = g.shape
    d = np.zeros_like(g)
    for i in range(n):
        for j in range(m):
            if i == 0 and j == 0:
                d[i, j] = g[i, j]
            elif i == 0:
                d[i, j] = d[i, j - 1] + g[i, j]
            elif j == 0:
                d[i, j] = d[i - 1, j] + g[i, j]
            else:
                d[i, j] = min(d[i - 1, j], d[i, j - 1]) + g[i, j]
    i, j = n - 1, m - 1
    path = []
    cnt = 1
    while i > 0 or j > 0:
        if i == 0:
            j -= 1
        elif j == 0:
            i -= 1
        elif d[i - 1, j] < d[i, j - 1]:
            i -= 1
        else:
            j -= 1
        cnt += 1
    return d[-1, -1], cnt


@program((np.array([[0, 1, 0, 0], [0, 1, 0, 1], [0, 0, 0, 1], [1, 1, 0, 0]]),))
def flood(g):
    n, m = g.shape
    seen = np.zeros((n, m), bool)
    st = np.zeros((n * m * 4, 2), int)
    top = 1
    c = 0
    while top > 0:
        top -= 1
        i, j = st[top]
        if i < 0 or j < 0 or i >= n or j >= m:
            continue
        if seen[i, j] or g[i, j] == 1:
            continue
        seen[i, j] = True
        c += 1
        for di, dj in ((1, 0), (-1, 0), (0, 1), (0, -1)):
            st[top] = (i + di, j + dj)
            top += 1
    return seen, c


@program(
    (3, 0, 2, 1),
)
def hanoi(n, a, b, c):
    moves = np.zeros(10, int)
    k = 0

    def go(n, a, b, c):
        nonlocal k
        if n == 0:
            return
        go(n - 1, a, c, b)
        moves[k] = 10 * a + c
        k += 1
        go(n - 1, b, a, c)

    go(n, a, b, c)
    return moves, k
