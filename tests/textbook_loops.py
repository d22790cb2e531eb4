"""More algorithms as textbooks write them: linear algebra by elements, numbers, strings of bits, graphs,
geometry, signals, games and finance."""

import math

import numpy as np
from textbook_programs import program

RNG = np.random.default_rng(7)
A1, B1 = RNG.normal(size=(2, 14))
SQUARE = RNG.normal(size=(6, 6)) + 4 * np.eye(6)
SPD = (lambda m: m @ m.T + 6 * np.eye(6))(RNG.normal(size=(6, 6)))
TALL = RNG.normal(size=(9, 4))
INTS = RNG.integers(0, 50, size=16)
WORDS = RNG.integers(0, 2**32, size=9, dtype=np.uint32)
BYTES = RNG.integers(0, 256, size=40, dtype=np.uint8)
POINTS = RNG.normal(size=(12, 2))
GRAPH = np.where(RNG.random((8, 8)) < 0.35, RNG.integers(1, 9, (8, 8)), 0)
GRID = (RNG.random((7, 9)) < 0.3).astype(int)
IMAGE = RNG.random((8, 10))
PRICES = 100 * np.exp(np.cumsum(RNG.normal(size=30) * 0.02))


# Linear algebra by elements.


@program((SPD,))
def ldlt(a):
    n = a.shape[0]
    l, d = np.eye(n), np.zeros(n)
    for j in range(n):
        d[j] = a[j, j]
        for k in range(j):
            d[j] -= l[j, k] ** 2 * d[k]
        for i in range(j + 1, n):
            s = a[i, j]
            for k in range(j):
                s -= l[i, k] * l[j, k] * d[k]
            l[i, j] = s / d[j]
    return l, d


@program((TALL,), (SQUARE,))
def householder(a):
    r = a.copy()
    m, n = r.shape
    q = np.eye(m)
    for k in range(min(m - 1, n)):
        x = r[k:, k]
        alpha = -np.sign(x[0]) * np.sqrt(np.sum(x * x)) if x[0] != 0 else -np.linalg.norm(x)
        v = x.copy()
        v[0] -= alpha
        beta = v @ v
        if beta == 0:
            continue
        r[k:] -= 2 / beta * np.outer(v, v @ r[k:])
        q[:, k:] -= 2 / beta * np.outer(q[:, k:] @ v, v)
    return q, r


@program((TALL,))
def givens(a):
    r = a.copy()
    m, n = r.shape
    for j in range(n):
        for i in range(m - 1, j, -1):
            p, q = r[i - 1, j], r[i, j]
            if q != 0:
                h = math.hypot(p, q)
                c, s = p / h, q / h
                for k in range(n):
                    t = c * r[i - 1, k] + s * r[i, k]
                    r[i, k] = -s * r[i - 1, k] + c * r[i, k]
                    r[i - 1, k] = t
    return r


@program((SQUARE, RNG.normal(size=(6, 3))))
def forward_many(l, b):
    x = np.empty_like(b)
    for i in range(l.shape[0]):
        x[i] = (b[i] - l[i, :i] @ x[:i]) / l[i, i]
    return x


@program((SQUARE,))
def gauss_jordan(a):
    n = a.shape[0]
    work = np.hstack((a, np.eye(n)))
    for k in range(n):
        p = k + np.argmax(np.abs(work[k:, k]))
        work[[k, p]] = work[[p, k]]
        work[k] /= work[k, k]
        for i in range(n):
            if i != k:
                work[i] -= work[i, k] * work[k]
    return work[:, n:]


@program((SQUARE,))
def determinant(a):
    a = a.copy()
    n, sign, product = len(a), 1.0, 1.0
    for k in range(n):
        best = k
        for i in range(k + 1, n):
            if abs(a[i, k]) > abs(a[best, k]):
                best = i
        if a[best, k] == 0:
            return 0.0
        if best != k:
            for j in range(n):
                a[k, j], a[best, j] = a[best, j], a[k, j]
            sign = -sign
        product *= a[k, k]
        for i in range(k + 1, n):
            factor = a[i, k] / a[k, k]
            for j in range(k, n):
                a[i, j] -= factor * a[k, j]
    return sign * product


@program((SPD,))
def lanczos(a):
    n = len(a)
    alpha, beta = np.zeros(n), np.zeros(n)
    q, before, b = np.ones(n) / np.sqrt(n), np.zeros(n), 0.0
    for j in range(n - 1):
        w = a @ q - b * before
        alpha[j] = w @ q
        w -= alpha[j] * q
        b = np.sqrt(w @ w)
        beta[j] = b
        if b < 1e-9:
            break
        before, q = q, w / b
    return alpha, beta


@program((SPD, np.ones(6)))
def steepest(a, b):
    x = np.zeros_like(b)
    count = 0
    while True:
        r = b - a @ x
        if np.linalg.norm(r) < 1e-10 or count >= 500:
            break
        x = x + (r @ r) / (r @ a @ r) * r
        count += 1
    return x, count


@program((SPD, np.ones(6), 1.2, 60))
def relaxation(a, b, omega, sweeps):
    x = np.zeros(len(b))
    for _ in range(sweeps):
        for i in range(len(b)):
            s = 0.0
            for j in range(len(b)):
                if j != i:
                    s += a[i, j] * x[j]
            x[i] += omega * ((b[i] - s) / a[i, i] - x[i])
    return x


@program((SPD,))
def hessenberg(a):
    a = a.copy()
    n = a.shape[0]
    for k in range(n - 2):
        for i in range(k + 2, n):
            if a[i, k] != 0.0:
                m = a[i, k] / a[k + 1, k]
                a[i, :] -= m * a[k + 1, :]
                a[:, k + 1] += m * a[:, i]
    return a


@program((RNG.normal(size=(4, 3)), RNG.normal(size=(2, 5))))
def kronecker(a, b):
    n, m = a.shape
    p, q = b.shape
    out = np.zeros((n * p, m * q))
    for i in range(n):
        for j in range(m):
            for k in range(p):
                for l in range(q):
                    out[i * p + k, j * q + l] = a[i, j] * b[k, l]
    return out


@program((SQUARE, 5))
def leverrier(a, terms):
    n = len(a)
    m, c = np.eye(n), np.ones(n + 1)
    for k in range(1, n + 1):
        m = a @ m
        c[k] = -np.trace(m) / k
        m = m + c[k] * np.eye(n)
    return c[:terms]


@program((SQUARE,))
def exponential(a):
    result = term = np.eye(len(a))
    k = 1
    while np.abs(term).max() > 1e-12:
        term = term @ a / k
        result = result + term
        k += 1
    return result


# Numbers and bits.


@program((INTS,), (np.arange(1, 20),))
def totients(x):
    out = np.zeros_like(x)
    for i in range(x.size):
        n, count = x[i], x[i]
        p = 2
        while p * p <= n:
            if n % p == 0:
                while n % p == 0:
                    n //= p
                count -= count // p
            p += 1
        if n > 1:
            count -= count // n
        out[i] = count
    return out


@program((np.int64(240), np.int64(46)), (np.int64(17), np.int64(3120)))
def extended_gcd(a, b):
    x, y, u, v = 0, 1, 1, 0
    while a != 0:
        q, r = b // a, b % a
        m, n = x - u * q, y - v * q
        b, a, x, y, u, v = a, r, u, v, m, n
    return b, x, y


@program((np.int64(7), np.int64(560), np.int64(561)), (np.int64(3), np.int64(0), np.int64(5)))
def power_mod(base, exponent, modulus):
    result = np.int64(1)
    base %= modulus
    while exponent > 0:
        if exponent & 1:
            result = result * base % modulus
        exponent >>= 1
        base = base * base % modulus
    return result


@program((WORDS,))
def popcount(x):
    out = np.zeros(x.size, np.int64)
    for i in range(x.size):
        v, n = x[i], 0
        while v:
            v &= v - np.uint32(1)
            n += 1
        out[i] = n
    return out


@program((WORDS,))
def reverse_bits(x):
    out = np.zeros_like(x)
    for i in range(x.size):
        v, r = x[i], np.uint32(0)
        for _ in range(32):
            r = (r << np.uint32(1)) | (v & np.uint32(1))
            v >>= np.uint32(1)
        out[i] = r
    return out


@program((np.uint32(2463534242), 50))
def xorshift(state, n):
    out = np.empty(n, np.uint32)
    for i in range(n):
        state ^= state << np.uint32(13)
        state ^= state >> np.uint32(17)
        state ^= state << np.uint32(5)
        out[i] = state
    return out


@program((BYTES,))
def fnv(data):
    h = np.uint64(14695981039346656037)
    for byte in data:
        h ^= np.uint64(byte)
        h *= np.uint64(1099511628211)
    return h


@program((BYTES,))
def adler(data):
    a, b = 1, 0
    for byte in data:
        a = (a + int(byte)) % 65521
        b = (b + a) % 65521
    return (b << 16) | a


@program((BYTES,))
def fletcher(data):
    a = b = np.uint16(0)
    for byte in data:
        a = np.uint16((a + byte) % 255)
        b = np.uint16((b + a) % 255)
    return (b << np.uint16(8)) | a


@program((BYTES,))
def crc_ccitt(data):
    crc = np.uint16(0xFFFF)
    for byte in data:
        crc ^= np.uint16(byte) << np.uint16(8)
        for _ in range(8):
            if crc & np.uint16(0x8000):
                crc = (crc << np.uint16(1)) ^ np.uint16(0x1021)
            else:
                crc <<= np.uint16(1)
    return crc


@program((WORDS,))
def gray_decode(x):
    out = x.copy()
    for i in range(out.size):
        shift = np.uint32(1)
        while shift < 32:
            out[i] ^= out[i] >> shift
            shift <<= np.uint32(1)
    return out


@program((np.uint16(0xACE1), 60))
def feedback_register(start, n):
    state, bits = start, np.zeros(n, np.uint16)
    for i in range(n):
        low = state & np.uint16(1)
        bits[i] = low
        state >>= np.uint16(1)
        if low:
            state ^= np.uint16(0xB400)
    return bits, state


@program((INTS,))
def sqrt_ints(x):
    out = np.empty_like(x)
    for i, n in enumerate(x):
        low, high = 0, n + 1
        while high - low > 1:
            middle = (low + high) // 2
            if middle * middle <= n:
                low = middle
            else:
                high = middle
        out[i] = low
    return out


@program((12,))
def pascal(n):
    c = np.zeros((n, n), np.int64)
    for i in range(n):
        c[i, 0] = 1
        for j in range(1, i + 1):
            c[i, j] = c[i - 1, j - 1] + c[i - 1, j]
    return c


@program((30,))
def partitions(n):
    p = np.zeros(n + 1, dtype=np.int64)
    p[0] = 1
    for k in range(1, n + 1):
        for m in range(k, n + 1):
            p[m] += p[m - k]
    return p


@program((10,))
def catalan(n):
    c = np.zeros(n + 1, dtype=np.int64)
    c[0] = 1
    for i in range(1, n + 1):
        for j in range(i):
            c[i] += c[j] * c[i - 1 - j]
    return c


@program((np.array([1, 2, 5, 10, 20]), 37))
def coin_change(coins, amount):
    best = np.full(amount + 1, amount + 1)
    best[0] = 0
    for total in range(1, amount + 1):
        for coin in coins:
            if coin <= total and best[total - coin] + 1 < best[total]:
                best[total] = best[total - coin] + 1
    return best


@program((np.int64(27), 1000))
def collatz_peak(n, limit):
    peak = n
    for steps in range(limit):
        if n == 1:
            return steps, peak
        n = n // 2 if n % 2 == 0 else 3 * n + 1
        peak = max(peak, n)
    return -1, peak


@program((np.int64(1000),))
def digits_sum(n):
    total, reverse = 0, 0
    while n:
        d = n % 10
        total += d
        reverse = reverse * 10 + d
        n //= 10
    return total, reverse


# Sequences.


@program((INTS,), (A1,))
def selection_sort(x):
    x = x.copy()
    for i in range(len(x) - 1):
        k = i
        for j in range(i + 1, len(x)):
            if x[j] < x[k]:
                k = j
        x[i], x[k] = x[k], x[i]
    return x


@program((INTS,), (A1,))
def shell_sort(x):
    x = x.copy()
    gap = len(x) // 2
    while gap > 0:
        for i in range(gap, len(x)):
            value, j = x[i], i
            while j >= gap and x[j - gap] > value:
                x[j] = x[j - gap]
                j -= gap
            x[j] = value
        gap //= 2
    return x


@program((INTS,))
def radix_sort(x):
    x = x.copy()
    for shift in range(0, 6, 2):
        counts = np.zeros(5, np.int64)
        for v in x:
            counts[((v >> shift) & 3) + 1] += 1
        for d in range(4):
            counts[d + 1] += counts[d]
        out = np.empty_like(x)
        for v in x:
            d = (v >> shift) & 3
            out[counts[d]] = v
            counts[d] += 1
        x = out
    return x


@program((INTS,), (A1,))
def merge_sort(x):
    a, b = x.copy(), np.empty_like(x)
    width = 1
    while width < a.size:
        for left in range(0, a.size, 2 * width):
            middle, right = min(left + width, a.size), min(left + 2 * width, a.size)
            i, j = left, middle
            for k in range(left, right):
                if i < middle and (j >= right or a[i] <= a[j]):
                    b[k] = a[i]
                    i += 1
                else:
                    b[k] = a[j]
                    j += 1
        a, b = b, a
        width *= 2
    return a


@program((INTS,))
def dutch_flag(x):
    x = x % 3
    low, middle, high = 0, 0, len(x) - 1
    while middle <= high:
        if x[middle] == 0:
            x[low], x[middle] = x[middle], x[low]
            low += 1
            middle += 1
        elif x[middle] == 1:
            middle += 1
        else:
            x[middle], x[high] = x[high], x[middle]
            high -= 1
    return x


@program((INTS, 5), (INTS, 0))
def quick_select(x, k):
    x = x.copy()
    left, right = 0, len(x) - 1
    while left < right:
        pivot, store = x[right], left
        for i in range(left, right):
            if x[i] < pivot:
                x[i], x[store] = x[store], x[i]
                store += 1
        x[store], x[right] = x[right], x[store]
        if store == k:
            break
        if store < k:
            left = store + 1
        else:
            right = store - 1
    return x[k]


@program((np.array([3, 3, 4, 2, 3, 3, 3]),), (INTS,))
def majority(x):
    candidate, count = x[0], 0
    for v in x:
        if count == 0:
            candidate = v
        count += 1 if v == candidate else -1
    return candidate, np.sum(x == candidate) * 2 > len(x)


@program((A1, 3), (A1, 14))
def best_window(x, k):
    total = x[:k].sum()
    best, place = total, 0
    for i in range(k, len(x)):
        total += x[i] - x[i - k]
        if total > best:
            best, place = total, i - k + 1
    return best, place


@program((INTS,))
def rain_water(h):
    left, right, lmax, rmax, water = 0, len(h) - 1, 0, 0, 0
    while left < right:
        if h[left] < h[right]:
            lmax = max(lmax, h[left])
            water += lmax - h[left]
            left += 1
        else:
            rmax = max(rmax, h[right])
            water += rmax - h[right]
            right -= 1
    return water


@program((INTS,))
def next_greater(x):
    out, stack, top = np.full(len(x), -1), np.zeros(len(x), np.int64), 0
    for i in range(len(x)):
        while top > 0 and x[stack[top - 1]] < x[i]:
            top -= 1
            out[stack[top]] = x[i]
        stack[top] = i
        top += 1
    return out


@program((BYTES % 3, np.array([1, 2, 1])), (BYTES % 2, np.array([1, 0, 1, 1])))
def pattern_search(text, pattern):
    m = len(pattern)
    failure = np.zeros(m, np.int64)
    k = 0
    for i in range(1, m):
        while k > 0 and pattern[i] != pattern[k]:
            k = failure[k - 1]
        if pattern[i] == pattern[k]:
            k += 1
        failure[i] = k
    found, k = np.zeros(len(text), bool), 0
    for i in range(len(text)):
        while k > 0 and text[i] != pattern[k]:
            k = failure[k - 1]
        if text[i] == pattern[k]:
            k += 1
        if k == m:
            found[i - m + 1] = True
            k = failure[k - 1]
    return found


@program((BYTES % 4, BYTES[::-1] % 4))
def longest_common(a, b):
    table = np.zeros((len(a) + 1, len(b) + 1), np.int64)
    for i in range(len(a)):
        for j in range(len(b)):
            if a[i] == b[j]:
                table[i + 1, j + 1] = table[i, j] + 1
            else:
                table[i + 1, j + 1] = max(table[i, j + 1], table[i + 1, j])
    return table[-1, -1]


@program((A1, B1))
def time_warping(a, b):
    cost = np.full((len(a) + 1, len(b) + 1), np.inf)
    cost[0, 0] = 0.0
    for i in range(1, len(a) + 1):
        for j in range(1, len(b) + 1):
            d = abs(a[i - 1] - b[j - 1])
            cost[i, j] = d + min(cost[i - 1, j], cost[i, j - 1], cost[i - 1, j - 1])
    return cost[-1, -1]


@program((BYTES % 3,))
def palindromes(s):
    n = len(s)
    inside = np.zeros((n, n), bool)
    best, start = 1, 0
    for i in range(n - 1, -1, -1):
        for j in range(i, n):
            inside[i, j] = s[i] == s[j] and (j - i < 2 or inside[i + 1, j - 1])
            if inside[i, j] and j - i + 1 > best:
                best, start = j - i + 1, i
    return best, start


@program((BYTES % 5,))
def move_to_front(data):
    order, out = np.arange(5), np.zeros(len(data), np.int64)
    for i, symbol in enumerate(data):
        place = 0
        while order[place] != symbol:
            place += 1
        out[i] = place
        for j in range(place, 0, -1):
            order[j] = order[j - 1]
        order[0] = symbol
    return out


@program((INTS,))
def delta_zigzag(x):
    out, before = np.zeros(len(x), np.int64), 0
    for i in range(len(x)):
        d = x[i] - before
        out[i] = (d << 1) ^ (d >> 63)
        before = x[i]
    return out


# Graphs and grids.


@program((GRAPH,))
def bellman_ford(w):
    n = len(w)
    dist = np.full(n, np.inf)
    dist[0] = 0
    for _ in range(n - 1):
        changed = False
        for u in range(n):
            for v in range(n):
                if w[u, v] and dist[u] + w[u, v] < dist[v]:
                    dist[v] = dist[u] + w[u, v]
                    changed = True
        if not changed:
            break
    return dist


@program((GRAPH + GRAPH.T,))
def prim(w):
    n = len(w)
    key, inside, parent = np.full(n, np.inf), np.zeros(n, bool), np.full(n, -1)
    key[0] = 0
    for _ in range(n):
        u, least = -1, np.inf
        for v in range(n):
            if not inside[v] and key[v] < least:
                u, least = v, key[v]
        if u < 0:
            break
        inside[u] = True
        for v in range(n):
            if w[u, v] and not inside[v] and w[u, v] < key[v]:
                key[v], parent[v] = w[u, v], u
    return parent, key


@program((GRAPH,))
def topological(w):
    w = np.triu(w, 1)
    n = len(w)
    degree = (w > 0).sum(axis=0)
    queue, head, tail = np.zeros(n, np.int64), 0, 0
    for v in range(n):
        if degree[v] == 0:
            queue[tail] = v
            tail += 1
    while head < tail:
        u = queue[head]
        head += 1
        for v in range(n):
            if w[u, v]:
                degree[v] -= 1
                if degree[v] == 0:
                    queue[tail] = v
                    tail += 1
    return queue, tail


@program((GRAPH,))
def closure(w):
    reach = w > 0
    n = len(reach)
    for k in range(n):
        for i in range(n):
            if reach[i, k]:
                for j in range(n):
                    reach[i, j] |= reach[k, j]
    return reach


@program((GRAPH,))
def depth_first(w):
    n = len(w)
    order, seen = np.full(n, -1), np.zeros(n, bool)
    stack, top, count = np.zeros(n * n + 1, np.int64), 1, 0
    while top:
        top -= 1
        u = stack[top]
        if seen[u]:
            continue
        seen[u] = True
        order[u] = count
        count += 1
        for v in range(n - 1, -1, -1):
            if w[u, v] and not seen[v]:
                stack[top] = v
                top += 1
    return order


@program((GRID,))
def label_regions(grid):
    n, m = grid.shape
    label, count = np.zeros((n, m), np.int64), 0
    stack = np.zeros((n * m * 4 + 1, 2), np.int64)
    for i in range(n):
        for j in range(m):
            if grid[i, j] and not label[i, j]:
                count += 1
                stack[0] = i, j
                top = 1
                while top > 0:
                    top -= 1
                    a, b = stack[top]
                    if 0 <= a < n and 0 <= b < m and grid[a, b] and not label[a, b]:
                        label[a, b] = count
                        for da, db in ((1, 0), (-1, 0), (0, 1), (0, -1)):
                            stack[top] = a + da, b + db
                            top += 1
    return label, count


@program((GRID, 4))
def life_torus(grid, steps):
    n, m = grid.shape
    for _ in range(steps):
        new = np.zeros_like(grid)
        for i in range(n):
            for j in range(m):
                total = 0
                for di in (-1, 0, 1):
                    for dj in (-1, 0, 1):
                        if di or dj:
                            total += grid[(i + di) % n, (j + dj) % m]
                new[i, j] = total == 3 or (total == 2 and grid[i, j])
        grid = new
    return grid


@program((GRID,))
def distance_transform(grid):
    n, m = grid.shape
    d = np.where(grid > 0, 0, n + m)
    for i in range(n):
        for j in range(m):
            if i > 0:
                d[i, j] = min(d[i, j], d[i - 1, j] + 1)
            if j > 0:
                d[i, j] = min(d[i, j], d[i, j - 1] + 1)
    for i in range(n - 1, -1, -1):
        for j in range(m - 1, -1, -1):
            if i < n - 1:
                d[i, j] = min(d[i, j], d[i + 1, j] + 1)
            if j < m - 1:
                d[i, j] = min(d[i, j], d[i, j + 1] + 1)
    return d


@program((IMAGE,))
def seam(image):
    n, m = image.shape
    cost, back = image.copy(), np.zeros((n, m), np.int64)
    for i in range(1, n):
        for j in range(m):
            low, high = max(j - 1, 0), min(j + 2, m)
            k = low + np.argmin(cost[i - 1, low:high])
            back[i, j] = k
            cost[i, j] += cost[i - 1, k]
    path = np.zeros(n, np.int64)
    path[-1] = np.argmin(cost[-1])
    for i in range(n - 1, 0, -1):
        path[i - 1] = back[i, path[i]]
    return path


@program((IMAGE,))
def median_filter(image):
    out = image.copy()
    for i in range(1, image.shape[0] - 1):
        for j in range(1, image.shape[1] - 1):
            out[i, j] = np.median(image[i - 1 : i + 2, j - 1 : j + 2])
    return out


@program((IMAGE,))
def dither(image):
    work = image.copy()
    n, m = work.shape
    for i in range(n):
        for j in range(m):
            old = work[i, j]
            new = 1.0 if old > 0.5 else 0.0
            work[i, j] = new
            error = old - new
            if j + 1 < m:
                work[i, j + 1] += error * 7 / 16
            if i + 1 < n:
                if j > 0:
                    work[i + 1, j - 1] += error * 3 / 16
                work[i + 1, j] += error * 5 / 16
                if j + 1 < m:
                    work[i + 1, j + 1] += error / 16
    return work


@program((IMAGE,))
def integral_image(image):
    n, m = image.shape
    total = np.zeros((n + 1, m + 1))
    for i in range(n):
        row = 0.0
        for j in range(m):
            row += image[i, j]
            total[i + 1, j + 1] = total[i, j + 1] + row
    return total


@program((np.array([7, 3, 0, 2, 5, 1, 6, 4]),), (np.arange(8),))
def queens(columns):
    conflicts = 0
    for i in range(len(columns)):
        for j in range(i + 1, len(columns)):
            if columns[i] == columns[j] or abs(columns[i] - columns[j]) == j - i:
                conflicts += 1
    return conflicts


@program((6,))
def count_queens(n):
    place = np.full(n, -1)
    row = count = 0
    while row >= 0:
        place[row] += 1
        while place[row] < n:
            fits = True
            for k in range(row):
                if place[k] == place[row] or abs(place[k] - place[row]) == row - k:
                    fits = False
                    break
            if fits:
                break
            place[row] += 1
        if place[row] == n:
            place[row] = -1
            row -= 1
        elif row == n - 1:
            count += 1
        else:
            row += 1
    return count


# Geometry.


@program((POINTS,))
def polygon_area(p):
    area = 0.0
    for i in range(len(p)):
        x1, y1 = p[i]
        x2, y2 = p[(i + 1) % len(p)]
        area += x1 * y2 - x2 * y1
    return abs(area) / 2


@program((POINTS, np.array([0.1, 0.2])), (POINTS, np.array([9.0, 9.0])))
def inside_polygon(p, q):
    inside, j = False, len(p) - 1
    for i in range(len(p)):
        if (p[i, 1] > q[1]) != (p[j, 1] > q[1]):
            x = (p[j, 0] - p[i, 0]) * (q[1] - p[i, 1]) / (p[j, 1] - p[i, 1]) + p[i, 0]
            if q[0] < x:
                inside = not inside
        j = i
    return inside


@program((POINTS,))
def closest_pair(p):
    best, pair = np.inf, (0, 0)
    for i in range(len(p)):
        for j in range(i):
            d = np.hypot(*(p[i] - p[j]))
            if d < best:
                best, pair = d, (i, j)
    return best, pair


@program((POINTS, 4))
def farthest_points(p, k):
    chosen, d = np.zeros(k, np.int64), np.full(len(p), np.inf)
    for i in range(1, k):
        d = np.minimum(d, ((p - p[chosen[i - 1]]) ** 2).sum(axis=1))
        chosen[i] = np.argmax(d)
    return chosen


@program((np.array([[0.0, 0], [1, 2], [3, 3], [4, 0]]), 9))
def bezier(control, n):
    out = np.empty((n, 2))
    for k in range(n):
        t, work = k / (n - 1), control.copy()
        for level in range(len(control) - 1, 0, -1):
            for i in range(level):
                work[i] = (1 - t) * work[i] + t * work[i + 1]
        out[k] = work[0]
    return out


@program((3, 4, 10, 9))
def bresenham(x0, y0, x1, y1):
    grid = np.zeros((12, 12), np.int64)
    dx, dy = abs(x1 - x0), -abs(y1 - y0)
    sx, sy = (1 if x0 < x1 else -1), (1 if y0 < y1 else -1)
    error = dx + dy
    while True:
        grid[x0, y0] = 1
        if x0 == x1 and y0 == y1:
            break
        twice = 2 * error
        if twice >= dy:
            error += dy
            x0 += sx
        if twice <= dx:
            error += dx
            y0 += sy
    return grid


@program((0.3, -0.2, 40))
def julia_escape(x, y, limit):
    z, c = complex(x, y), -0.8 + 0.156j
    for n in range(limit):
        if abs(z) > 2:
            return n
        z = z * z + c
    return limit


@program((A1, B1, np.linspace(-2, 2, 9)))
def lagrange(x, y, at):
    out = np.zeros(len(at))
    for k in range(len(at)):
        for i in range(5):
            term = y[i]
            for j in range(5):
                if i != j:
                    term *= (at[k] - x[j]) / (x[i] - x[j])
            out[k] += term
    return out


@program((np.linspace(0, 3, 8), np.sin(np.linspace(0, 3, 8))))
def spline(x, y):
    n = len(x)
    h, alpha = np.diff(x), np.zeros(n)
    for i in range(1, n - 1):
        alpha[i] = 3 / h[i] * (y[i + 1] - y[i]) - 3 / h[i - 1] * (y[i] - y[i - 1])
    l, mu, z, c = np.ones(n), np.zeros(n), np.zeros(n), np.zeros(n)
    for i in range(1, n - 1):
        l[i] = 2 * (x[i + 1] - x[i - 1]) - h[i - 1] * mu[i - 1]
        mu[i] = h[i] / l[i]
        z[i] = (alpha[i] - h[i - 1] * z[i - 1]) / l[i]
    for j in range(n - 2, -1, -1):
        c[j] = z[j] - mu[j] * c[j + 1]
    return c


# Analysis, signals, finance.


@program((0.0, 1.0, 1e-10), (0.0, 3.0, 1e-6))
def romberg(a, b, tolerance):
    table = np.zeros((12, 12))
    h = b - a
    table[0, 0] = h / 2 * (np.exp(-a * a) + np.exp(-b * b))
    for i in range(1, 12):
        h /= 2
        total = 0.0
        for k in range(1, 2**i, 2):
            total += np.exp(-((a + k * h) ** 2))
        table[i, 0] = table[i - 1, 0] / 2 + h * total
        for j in range(1, i + 1):
            table[i, j] = table[i, j - 1] + (table[i, j - 1] - table[i - 1, j - 1]) / (4**j - 1)
        if abs(table[i, i] - table[i - 1, i - 1]) < tolerance:
            return table[i, i], i
    return table[-1, -1], 11


@program((0.5, 30), (0.9, 12))
def secant(x, limit):
    f = lambda t: t**3 - t - 1
    before = x + 1.0
    for k in range(limit):
        slope = (f(x) - f(before)) / (x - before)
        before, x = x, x - f(x) / slope
        if abs(x - before) < 1e-12:
            break
    return x, k


@program((2.0,), (10.0,))
def agm(x):
    a, g = 1.0, x
    while abs(a - g) > 1e-14 * a:
        a, g = (a + g) / 2, math.sqrt(a * g)
    return a


@program((np.array([1.0, -6, 11, -6]),))
def durand_kerner(c):
    n = len(c) - 1
    roots = (0.4 + 0.9j) ** np.arange(n)
    for _ in range(80):
        for i in range(n):
            p = 0j
            for a in c:
                p = p * roots[i] + a
            q = 1 + 0j
            for j in range(n):
                if j != i:
                    q *= roots[i] - roots[j]
            roots[i] -= p / q
    return roots


@program((A1, 3))
def haar(x, levels):
    x = x[:8].copy()
    n = 8
    for _ in range(levels):
        half = n // 2
        low, high = np.empty(half), np.empty(half)
        for i in range(half):
            low[i] = (x[2 * i] + x[2 * i + 1]) / np.sqrt(2)
            high[i] = (x[2 * i] - x[2 * i + 1]) / np.sqrt(2)
        x[:half], x[half:n] = low, high
        n = half
    return x


@program((A1, 2.0))
def goertzel(x, frequency):
    w = 2 * np.cos(2 * np.pi * frequency / len(x))
    s1 = s2 = 0.0
    for v in x:
        s1, s2 = v + w * s1 - s2, s1
    return s1 * s1 + s2 * s2 - w * s1 * s2


@program((A1, 3))
def levinson(r, order):
    a, e = np.zeros(order + 1), r[0]
    a[0] = 1.0
    for i in range(1, order + 1):
        k = r[i]
        for j in range(1, i):
            k += a[j] * r[i - j]
        k = -k / e
        new = a.copy()
        for j in range(1, i):
            new[j] = a[j] + k * a[i - j]
        new[i] = k
        a = new
        e *= 1 - k * k
    return a, e


@program((A1, B1, 0.05))
def lms_filter(x, d, mu):
    w, y = np.zeros(4), np.zeros(len(x))
    for n in range(4, len(x)):
        window = x[n - 4 : n][::-1]
        y[n] = w @ window
        w += mu * (d[n] - y[n]) * window
    return y, w


@program((PRICES, 3, 8))
def crossover(prices, fast, slow):
    cash, shares = 1000.0, 0.0
    for t in range(slow, len(prices)):
        quick, long = prices[t - fast : t].mean(), prices[t - slow : t].mean()
        if quick > long and shares == 0:
            shares, cash = cash / prices[t], 0.0
        elif quick < long and shares > 0:
            cash, shares = shares * prices[t], 0.0
    return cash + shares * prices[-1]


@program((PRICES,))
def drawdown(prices):
    peak, worst, start, where = prices[0], 0.0, 0, (0, 0)
    for t, price in enumerate(prices):
        if price > peak:
            peak, start = price, t
        fall = 1 - price / peak
        if fall > worst:
            worst, where = fall, (start, t)
    return worst, where


@program((100.0, 95.0, 0.05, 0.2, 30))
def binomial_option(s, k, r, sigma, n):
    dt = 1.0 / n
    u = np.exp(sigma * np.sqrt(dt))
    p = (np.exp(r * dt) - 1 / u) / (u - 1 / u)
    value = np.maximum(k - s * u ** np.arange(-n, n + 1, 2.0), 0)
    for step in range(n - 1, -1, -1):
        for i in range(step + 1):
            hold = np.exp(-r * dt) * (p * value[i + 1] + (1 - p) * value[i])
            value[i] = max(hold, k - s * u ** (2.0 * i - step))
    return value[0]


@program((np.array([-100.0, 30, 40, 50, 20]),))
def internal_rate(flows):
    low, high = -0.9, 1.0
    while high - low > 1e-10:
        rate = (low + high) / 2
        value = 0.0
        for t in range(len(flows)):
            value += flows[t] / (1 + rate) ** t
        if value > 0:
            low = rate
        else:
            high = rate
    return low


@program((np.array([0.99, 0.01, 0.0]), 0.3, 0.1, 50))
def epidemic(state, beta, gamma, days):
    out = np.empty((days, 3))
    s, i, r = state
    for day in range(days):
        infected, recovered = beta * s * i, gamma * i
        s, i, r = s - infected, i + infected - recovered, r + recovered
        out[day] = s, i, r
    return out


@program((RNG.normal(size=(5, 3)), RNG.normal(size=(5, 3)), 6))
def three_bodies(x, v, steps):
    x, v = x.copy(), v.copy()
    n = len(x)
    for _ in range(steps):
        a = np.zeros_like(x)
        for i in range(n):
            for j in range(i + 1, n):
                d = x[j] - x[i]
                r = np.sqrt(d @ d + 0.01)
                f = d / r**3 - 0.1 * d / r**7
                a[i] += f
                a[j] -= f
        v += 0.01 * a
        x += 0.01 * v
    return x, v


@program((RNG.random(12) < 0.5, 30, 8))
def automaton(cells, rule, steps):
    n = len(cells)
    for _ in range(steps):
        new = np.empty_like(cells)
        for i in range(n):
            code = 4 * int(cells[i - 1]) + 2 * int(cells[i]) + int(cells[(i + 1) % n])
            new[i] = (rule >> code) & 1 == 1
        cells = new
    return cells


@program((INTS % 7 + 1, 9, 4))
def round_robin(work, slice_, cores):
    remaining = work.copy()
    time, done = 0, np.zeros(len(work), np.int64)
    while remaining.sum() > 0:
        for i in range(len(remaining)):
            if remaining[i] > 0:
                used = min(remaining[i], slice_ % cores + 1)
                remaining[i] -= used
                time += used
                if remaining[i] == 0:
                    done[i] = time
    return done


@program((RNG.normal(size=70),))
def shrinking(x):
    total = 0.0
    while len(x) > 1:
        total += x[0] * x[-1]
        x = x[1:] + 0.5 * x[:-1]
        x = x / np.abs(x).max()
    return total


@program((np.arange(60.0),))
def halves(x):
    n, k = len(x), 0
    out = np.zeros(n)
    while k < n - 1:
        out[k] = x[k:].sum()
        k += 1
    return out, k
