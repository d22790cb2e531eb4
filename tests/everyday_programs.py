"""Programs as NumPy's users write them: statistics, finance, images, signals, learning, geometry, genes.

Each has a maker of arguments, given about how many elements and the dtype of floats; a vector where it
has none.
"""

from __future__ import annotations

import numpy as np


def zscore_rows(x):
    return (x - x.mean(axis=1, keepdims=True)) / x.std(axis=1, ddof=1, keepdims=True)


def winsorize(x):
    lo, hi = np.percentile(x, [5, 95])
    return np.clip(x, lo, hi)


def trimmed_mean(x):
    k = x.size // 10
    s = np.sort(x.ravel())
    return s[k:-k].mean()


def mad(x):
    m = np.median(x)
    return 1.4826 * np.median(np.abs(x - m))


def skew_kurt(x):
    d = x - x.mean()
    m2 = (d**2).mean()
    return (d**3).mean() / m2**1.5, (d**4).mean() / m2**2 - 3


def ecdf(x):
    s = np.sort(x.ravel())
    return s, np.arange(1, s.size + 1) / s.size


def spearman(x, y):
    rx = np.argsort(np.argsort(x))
    ry = np.argsort(np.argsort(y))
    return np.corrcoef(rx, ry)[0, 1]


def bootstrap_mean(x, idx):
    return np.sort(x[idx].mean(axis=1))[[2, -3]]


def ewma(x):
    out = np.empty_like(x)
    out[0] = x[0]
    for i in range(1, x.shape[0]):
        out[i] = 0.1 * x[i] + 0.9 * out[i - 1]
    return out


def max_drawdown(p):
    peak = np.maximum.accumulate(p)
    return ((peak - p) / peak).max()


def sharpe(r):
    return np.sqrt(252) * r.mean() / r.std()


def rsi(p):
    d = np.diff(p)
    up = np.where(d > 0, d, 0)
    dn = np.where(d < 0, -d, 0)
    k = np.ones(14) / 14
    a = np.convolve(up, k, "valid")
    b = np.convolve(dn, k, "valid")
    return 100 - 100 / (1 + a / (b + 1e-12))


def bollinger(p):
    w = np.lib.stride_tricks.sliding_window_view(p, 20)
    m = w.mean(-1)
    s = w.std(-1)
    return m - 2 * s, m, m + 2 * s


def var_es(r):
    q = np.quantile(r, 0.05)
    return q, r[r <= q].mean()


def portfolio(r, w):
    c = np.cov(r, rowvar=False)
    return w @ r.mean(0), np.sqrt(w @ c @ w)


def sobel(im):
    gx = (
        im[:-2, 2:] + 2 * im[1:-1, 2:] + im[2:, 2:] - im[:-2, :-2] - 2 * im[1:-1, :-2] - im[2:, :-2]
    )
    gy = (
        im[2:, :-2] + 2 * im[2:, 1:-1] + im[2:, 2:] - im[:-2, :-2] - 2 * im[:-2, 1:-1] - im[:-2, 2:]
    )
    return np.hypot(gx, gy)


def median_filter(im):
    w = np.lib.stride_tricks.sliding_window_view(np.pad(im, 1, mode="edge"), (3, 3))
    return np.median(w, axis=(-2, -1))


def hist_equalize(im):
    h = np.bincount(im.ravel(), minlength=256)
    c = h.cumsum()
    lut = ((c - c[0]) * 255 // (c[-1] - c[0])).astype(np.uint8)
    return lut[im]


def otsu(im):
    h = np.bincount(im.ravel(), minlength=256).astype(float)
    p = h / h.sum()
    w = np.cumsum(p)
    m = np.cumsum(p * np.arange(256))
    b = (m[-1] * w - m) ** 2 / (w * (1 - w) + 1e-12)
    return np.argmax(b)


def dilate(b):
    p = np.pad(b, 1)
    return p[:-2, 1:-1] | p[2:, 1:-1] | p[1:-1, :-2] | p[1:-1, 2:] | b


def bilinear(im, y, x):
    y0 = np.floor(y).astype(int)
    x0 = np.floor(x).astype(int)
    y0 = np.clip(y0, 0, im.shape[0] - 2)
    x0 = np.clip(x0, 0, im.shape[1] - 2)
    fy = y - y0
    fx = x - x0
    return (
        im[y0, x0] * (1 - fy) * (1 - fx)
        + im[y0, x0 + 1] * (1 - fy) * fx
        + im[y0 + 1, x0] * fy * (1 - fx)
        + im[y0 + 1, x0 + 1] * fy * fx
    )


def gamma_lut(im):
    t = (255 * (np.arange(256) / 255) ** 0.45).astype(np.uint8)
    return t[im]


def integral_box(im):
    s = np.zeros((im.shape[0] + 1, im.shape[1] + 1))
    s[1:, 1:] = im.cumsum(0).cumsum(1)
    k = 5
    return (s[k:, k:] - s[:-k, k:] - s[k:, :-k] + s[:-k, :-k]) / k**2


def rgb2hsv_v(rgb):
    mx = rgb.max(-1)
    mn = rgb.min(-1)
    d = mx - mn
    s = np.where(mx > 0, d / np.where(mx > 0, mx, 1), 0)
    return np.stack([s, mx], -1)


def downsample(im):
    h, w = im.shape
    return im[: h // 2 * 2, : w // 2 * 2].reshape(h // 2, 2, w // 2, 2).mean(axis=(1, 3))


def autocorr(x):
    n = x.size
    f = np.fft.rfft(x - x.mean(), 2 * n)
    a = np.fft.irfft(f * np.conj(f))[:n]
    return a / a[0]


def spectrogram(x):
    w = np.lib.stride_tricks.sliding_window_view(x, 256)[::128] * np.hanning(256)
    return np.log10(np.abs(np.fft.rfft(w, axis=-1)) ** 2 + 1e-10)


def zero_crossings(x):
    return np.count_nonzero(np.diff(np.signbit(x)))


def moving_average(x):
    c = np.cumsum(np.insert(x, 0, 0.0))
    return (c[16:] - c[:-16]) / 16


def find_peaks(x):
    return np.flatnonzero((x[1:-1] > x[:-2]) & (x[1:-1] > x[2:])) + 1


def detrend(x):
    t = np.arange(x.size, dtype=float)
    A = np.vstack([t, np.ones_like(t)]).T
    c = np.linalg.solve(A.T @ A, A.T @ x)
    return x - A @ c


def goertzel(x):
    k = 2 * np.cos(2 * np.pi * 0.07)
    a = b = 0.0
    for v in x:
        a, b = v + k * a - b, a
    return a * a + b * b - k * a * b


def rms_db(x):
    return 20 * np.log10(np.sqrt(np.mean(x**2)))


def kmeans_step(x, c):
    d = ((x[:, None, :] - c[None]) ** 2).sum(-1)
    l = d.argmin(1)
    return np.array([x[l == k].mean(0) for k in range(c.shape[0])]), l


def knn(x, q):
    d = ((q[:, None] - x[None]) ** 2).sum(-1)
    i = np.argpartition(d, 5, axis=1)[:, :5]
    return np.sort(np.take_along_axis(d, i, 1), 1)


def pca(x):
    c = x - x.mean(0)
    w, v = np.linalg.eigh(c.T @ c / (len(x) - 1))
    o = np.argsort(w)[::-1]
    return w[o], np.abs(c @ v[:, o[:2]])


def whiten(x):
    u, s, vt = np.linalg.svd(x - x.mean(0), full_matrices=False)
    return s, np.abs(vt)


def logistic_step(x, y, w):
    p = 1 / (1 + np.exp(-(x @ w)))
    return w - 0.1 * x.T @ (p - y) / len(y)


def softmax_xent(z, y):
    z = z - z.max(1, keepdims=True)
    lp = z - np.log(np.exp(z).sum(1, keepdims=True))
    return -lp[np.arange(len(y)), y].mean()


def one_hot(y):
    o = np.zeros((y.size, 10))
    o[np.arange(y.size), y] = 1
    return o


def confusion(a, b):
    m = np.zeros((10, 10), int)
    np.add.at(m, (a, b), 1)
    return m


def auc(s, y):
    o = np.argsort(-s, kind="stable")
    y = y[o]
    tp = np.cumsum(y)
    fp = np.cumsum(1 - y)
    return np.trapezoid(tp / tp[-1], fp / fp[-1])


def life(g):
    n = sum(
        np.roll(np.roll(g, i, 0), j, 1) for i in (-1, 0, 1) for j in (-1, 0, 1) if (i, j) != (0, 0)
    )
    return ((n == 3) | (g & (n == 2))).astype(g.dtype)


def ray_spheres(d, c, r):
    b = d @ c.T
    disc = b * b - (c * c).sum(1) + r * r
    t = np.where(disc > 0, b - np.sqrt(np.maximum(disc, 0)), np.inf)
    return t.min(1), t.argmin(1)


def raymarch(d):
    t = np.zeros(d.shape[0])
    for _ in range(20):
        p = d * t[:, None]
        p[:, 2] -= 3
        t += np.sqrt((p**2).sum(1)) - 1
        t = np.minimum(t, 10)
    return t


def haversine(a, b):
    p, q = np.radians(a), np.radians(b)
    d = q - p
    h = np.sin(d[:, 0] / 2) ** 2 + np.cos(p[:, 0]) * np.cos(q[:, 0]) * np.sin(d[:, 1] / 2) ** 2
    return 12742 * np.arcsin(np.sqrt(h))


def polygon_area(p):
    x, y = p.T
    return 0.5 * abs(np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1)))


def in_polygon(q, p):
    x, y = q.T
    inside = np.zeros(len(q), bool)
    j = len(p) - 1
    for i in range(len(p)):
        c = ((p[i, 1] > y) != (p[j, 1] > y)) & (
            x < (p[j, 0] - p[i, 0]) * (y - p[i, 1]) / (p[j, 1] - p[i, 1]) + p[i, 0]
        )
        inside ^= c
        j = i
    return inside


def rotate(q, v):
    w = q[:, :1]
    u = q[:, 1:]
    t = 2 * np.cross(u, v)
    return v + w * t + np.cross(u, t)


def kabsch(a, b):
    a = a - a.mean(0)
    b = b - b.mean(0)
    u, s, vt = np.linalg.svd(a.T @ b)
    d = np.sign(np.linalg.det(u @ vt))
    return s.sum() - (1 - d) * s[-1]


def triangle_normals(v, f):
    t = v[f]
    n = np.cross(t[:, 1] - t[:, 0], t[:, 2] - t[:, 0])
    return n / np.linalg.norm(n, axis=1, keepdims=True)


def gc_content(s):
    return ((s == ord("G")) | (s == ord("C"))).mean()


def kmer_counts(s):
    k = s[:-3] * 64 + s[1:-2] * 16 + s[2:-1] * 4 + s[3:]
    return np.bincount(k, minlength=256)


def hamming(a):
    return (a[:, None, :] != a[None, :, :]).sum(-1)


def needleman(a, b):
    n, m = len(a), len(b)
    s = np.zeros((n + 1, m + 1))
    s[:, 0] = -np.arange(n + 1)
    s[0] = -np.arange(m + 1)
    for i in range(1, n + 1):
        for j in range(1, m + 1):
            s[i, j] = max(
                s[i - 1, j - 1] + (1 if a[i - 1] == b[j - 1] else -1),
                s[i - 1, j] - 1,
                s[i, j - 1] - 1,
            )
    return s[n, m]


def tfidf(c):
    tf = c / c.sum(1, keepdims=True)
    idf = np.log(c.shape[0] / (1 + (c > 0).sum(0)))
    return tf * idf


def pagerank(a):
    p = a / np.maximum(a.sum(0), 1e-12)
    r = np.full(a.shape[0], 1 / a.shape[0])
    for _ in range(20):
        r = 0.15 / a.shape[0] + 0.85 * p @ r
    return r


def floyd(d):
    d = d.copy()
    for k in range(d.shape[0]):
        d = np.minimum(d, d[:, k, None] + d[None, k, :])
    return d


def top_k_rows(x):
    i = np.argsort(x, axis=1)[:, ::-1][:, :3]
    return np.take_along_axis(x, i, 1), i


def group_means(k, x):
    n = np.bincount(k, minlength=10)
    return np.bincount(k, weights=x, minlength=10) / np.maximum(n, 1)


def run_lengths(x):
    c = np.flatnonzero(np.diff(x)) + 1
    return np.diff(np.concatenate(([0], c, [x.size])))


def unique_counts(x):
    v, c = np.unique(x, return_counts=True)
    return v[c.argmax()], c.max()


def digitize_mean(x):
    b = np.linspace(-3, 3, 13)
    i = np.digitize(x, b)
    return np.array([x[i == k].sum() for k in range(14)])


def interp_resample(x):
    t = np.linspace(0, x.size - 1, x.size * 2)
    return np.interp(t, np.arange(x.size), x)


def poly_fit(x):
    t = np.linspace(-1, 1, x.size)
    return np.polyval(np.polyfit(t, x, 3), t)


def cubic_hermite(p, t):
    i = np.minimum(t.astype(int), len(p) - 2)
    f = t - i
    m = np.gradient(p)
    a = p[i]
    b = p[i + 1]
    ma = m[i]
    mb = m[i + 1]
    return (
        (2 * f**3 - 3 * f**2 + 1) * a
        + (f**3 - 2 * f**2 + f) * ma
        + (-2 * f**3 + 3 * f**2) * b
        + (f**3 - f**2) * mb
    )


def black76(f, k, s):
    return (np.log(f / k) + 0.5 * s * s) / s


def lttb_bins(x):
    n = x.size // 50
    b = x[: n * 50].reshape(50, n)
    return np.take_along_axis(b, np.abs(b - b.mean(1, keepdims=True)).argmax(1)[:, None], 1)[:, 0]


def mandel(c):
    z = np.zeros_like(c)
    n = np.zeros(c.shape, int)
    for _ in range(30):
        m = np.abs(z) <= 2
        z[m] = z[m] ** 2 + c[m]
        n[m] += 1
    return n


def leapfrog(x, v):
    for _ in range(10):
        r = x[:, None] - x[None]
        d = (r**2).sum(-1) + 0.01
        v = v - 0.001 * (r / d[..., None] ** 1.5).sum(1)
        x = x + 0.001 * v
    return x


def nms(b, s):
    o = np.argsort(-s)
    keep = np.ones(len(s), bool)
    ar = (b[:, 2] - b[:, 0]) * (b[:, 3] - b[:, 1])
    for i in range(len(o)):
        if keep[o[i]]:
            xx = np.minimum(b[o[i], 2], b[o[i + 1 :], 2]) - np.maximum(b[o[i], 0], b[o[i + 1 :], 0])
            yy = np.minimum(b[o[i], 3], b[o[i + 1 :], 3]) - np.maximum(b[o[i], 1], b[o[i + 1 :], 1])
            inter = np.maximum(xx, 0) * np.maximum(yy, 0)
            keep[o[i + 1 :]] &= inter / (ar[o[i]] + ar[o[i + 1 :]] - inter) < 0.5
    return keep


rng = np.random.default_rng(0)


def vector(n, dt):
    return rng.normal(size=n).astype(dt)


def prices(n, dt):
    return (100 * np.exp(np.cumsum(rng.normal(size=n) * 0.01))).astype(dt)


def matrix(n, dt):
    s = int(n**0.5)
    return rng.normal(size=(s, s)).astype(dt)


def picture(n, dt):
    s = int(n**0.5)
    return rng.integers(0, 256, (s, s)).astype(np.uint8)


def points(n, dt, d=8):
    return rng.normal(size=(max(n // d, 4), d)).astype(dt)


def boxes(n, dt):
    m = max(int(n**0.5), 4)
    a = rng.uniform(0, 10, (m, 2))
    return np.concatenate([a, a + rng.uniform(0.5, 3, (m, 2))], 1).astype(dt)


ARGUMENTS = {
    "zscore_rows": lambda n, t: (matrix(n, t),),
    "spearman": lambda n, t: (vector(n, t), vector(n, t)),
    "bootstrap_mean": lambda n, t: (vector(n // 20, t), rng.integers(0, n // 20, (40, n // 20))),
    "ewma": lambda n, t: (vector(n, t),),
    "max_drawdown": lambda n, t: (prices(n, t),),
    "rsi": lambda n, t: (prices(n, t),),
    "bollinger": lambda n, t: (prices(n, t),),
    "portfolio": lambda n, t: (points(n, t), np.ones(8, t) / 8),
    "sobel": lambda n, t: (matrix(n, t),),
    "median_filter": lambda n, t: (matrix(n, t),),
    "hist_equalize": lambda n, t: (picture(n, t),),
    "otsu": lambda n, t: (picture(n, t),),
    "dilate": lambda n, t: (matrix(n, t) > 1,),
    "bilinear": lambda n, t: (
        matrix(n, t),
        rng.uniform(0, n**0.5 - 1.01, n).astype(t),
        rng.uniform(0, n**0.5 - 1.01, n).astype(t),
    ),
    "gamma_lut": lambda n, t: (picture(n, t),),
    "integral_box": lambda n, t: (matrix(n, t),),
    "rgb2hsv_v": lambda n, t: (np.abs(points(n, t, 3)),),
    "downsample": lambda n, t: (
        matrix(n // 4 * 4, t)[: int(n**0.5) // 2 * 2, : int(n**0.5) // 2 * 2],
    ),
    "kmeans_step": lambda n, t: (points(n, t), rng.normal(size=(6, 8)).astype(t)),
    "knn": lambda n, t: (points(n, t)[:2000], points(n, t)[:40]),
    "pca": lambda n, t: (points(n, t),),
    "whiten": lambda n, t: (points(n, t),),
    "logistic_step": lambda n, t: (
        points(n, t),
        (vector(max(n // 8, 4), t) > 0).astype(t),
        np.zeros(8, t),
    ),
    "softmax_xent": lambda n, t: (points(n, t, 10), rng.integers(0, 10, max(n // 10, 4))),
    "one_hot": lambda n, t: (rng.integers(0, 10, n // 10 + 1),),
    "confusion": lambda n, t: (rng.integers(0, 10, n), rng.integers(0, 10, n)),
    "auc": lambda n, t: (vector(n, t), (vector(n, t) > 0).astype(t)),
    "life": lambda n, t: ((matrix(n, t) > 0).astype(np.uint8),),
    "ray_spheres": lambda n, t: (
        points(n, t, 3),
        rng.normal(size=(10, 3)).astype(t),
        np.ones(10, t),
    ),
    "raymarch": lambda n, t: (
        (lambda d: (d / np.linalg.norm(d, axis=1, keepdims=True)).astype(t))(points(n, t, 3)),
    ),
    "haversine": lambda n, t: (points(n, t, 2), points(n, t, 2)),
    "polygon_area": lambda n, t: (points(n, t, 2),),
    "in_polygon": lambda n, t: (points(n, t, 2), rng.normal(size=(12, 2)).astype(t)),
    "rotate": lambda n, t: (points(n, t, 4), points(n, t, 4)[:, :3]),
    "kabsch": lambda n, t: (points(n, t, 3), points(n, t, 3)),
    "triangle_normals": lambda n, t: (
        points(n, t, 3),
        rng.integers(0, max(n // 3, 4), (n // 6 + 1, 3)),
    ),
    "gc_content": lambda n, t: (rng.choice(np.frombuffer(b"ACGT", np.uint8), n),),
    "kmer_counts": lambda n, t: (rng.integers(0, 4, n),),
    "hamming": lambda n, t: (rng.integers(0, 4, (60, n // 60 + 2)).astype(np.uint8),),
    "needleman": lambda n, t: (
        rng.integers(0, 4, min(int(n**0.5), 120)),
        rng.integers(0, 4, min(int(n**0.5), 100)),
    ),
    "tfidf": lambda n, t: (
        rng.integers(0, 5, (n // 100 + 2, 100)).astype(t) + (np.arange(100) == 0).astype(t),
    ),
    "pagerank": lambda n, t: ((matrix(n, t) > 1).astype(t),),
    "floyd": lambda n, t: (np.abs(matrix(min(n, 6000), t)),),
    "top_k_rows": lambda n, t: (matrix(n, t),),
    "group_means": lambda n, t: (rng.integers(0, 10, n), vector(n, t)),
    "run_lengths": lambda n, t: (rng.integers(0, 2, n),),
    "unique_counts": lambda n, t: (rng.integers(0, 50, n),),
    "cubic_hermite": lambda n, t: (vector(n, t), rng.uniform(0, n - 1.01, n).astype(t)),
    "black76": lambda n, t: (np.exp(vector(n, t)), np.exp(vector(n, t)), np.exp(vector(n, t))),
    "mandel": lambda n, t: (
        (vector(n, t) + 1j * vector(n, t)).astype("c8" if t == "f4" else "c16"),
    ),
    "leapfrog": lambda n, t: (points(min(n, 600), t, 3), points(min(n, 600), t, 3)),
    "nms": lambda n, t: (boxes(n, t), rng.normal(size=max(int(n**0.5), 4)).astype(t)),
}
MAKERS = ("vector", "prices", "matrix", "picture", "points", "boxes")
PROGRAMS = {
    name: value
    for name, value in list(globals().items())
    if callable(value)
    and name.islower()
    and getattr(value, "__module__", "") == __name__
    and name not in MAKERS
}
