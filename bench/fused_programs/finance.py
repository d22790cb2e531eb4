"""Prices and risks."""

import numpy as np

from .record import FusedProgram


def monte_carlo(z):
    paths = 100 * np.exp(np.cumsum(0.0001 + 0.01 * z, axis=1))
    return np.maximum(paths[:, -1] - 100, 0).mean(), np.maximum(paths.mean(axis=1) - 100, 0).mean()


def barrier(z):
    paths = 100 * np.exp(np.cumsum(0.01 * z, axis=1))
    alive = paths.max(axis=1) < 120
    return np.where(alive, np.maximum(paths[:, -1] - 100, 0), 0).mean()


def binomial_tree(s, k):
    steps, u, p = 64, 1.01, 0.5
    j = np.arange(steps + 1)
    value = np.maximum(s[:, None] * u ** (2 * j - steps) - k[:, None], 0)
    for _ in range(steps):
        value = 0.999 * (p * value[:, 1:] + (1 - p) * value[:, :-1])
    return value[:, 0]


def heston(s, v, z1, z2):
    for k in range(z1.shape[0]):
        root = np.sqrt(np.maximum(v, 0) * 0.01)
        s = s * np.exp(-0.5 * np.maximum(v, 0) * 0.01 + root * z1[k])
        v = v + 2 * (0.04 - v) * 0.01 + 0.3 * root * (-0.7 * z1[k] + 0.714 * z2[k])
    return np.maximum(s - 100, 0).mean()


def garch(r):
    variance = np.empty_like(r)
    variance[0] = 1e-2
    for t in range(1, len(r)):
        variance[t] = 1e-4 + 0.1 * r[t - 1] ** 2 + 0.85 * variance[t - 1]
    return 0.5 * (np.log(variance) + r * r / variance).sum(axis=0)


def ewma(x):
    out = np.empty_like(x)
    out[0] = x[0]
    for t in range(1, len(x)):
        out[t] = 0.06 * x[t] + 0.94 * out[t - 1]
    return out


def drawdown(prices):
    top = np.maximum.accumulate(prices, axis=0)
    return ((top - prices) / top).max(axis=0)


def sharpe(prices):
    r = prices[1:] / prices[:-1] - 1
    return r.mean(axis=0) / r.std(axis=0) * np.sqrt(252)


def bollinger(prices):
    total = np.cumsum(prices, axis=0)
    squares = np.cumsum(prices * prices, axis=0)
    mean = (total[20:] - total[:-20]) / 20
    deviation = np.sqrt(np.maximum((squares[20:] - squares[:-20]) / 20 - mean * mean, 0))
    return mean - 2 * deviation, mean + 2 * deviation


def value_at_risk(w, r):
    return np.sort(r @ w)[len(r) // 20]


def forward_rates(zero):
    t = np.arange(1, zero.shape[1] + 1)
    discount = np.exp(-zero * t)
    return discount[:, :-1] / discount[:, 1:] - 1


def markets(draw, n):
    return (np.exp(0.01 * np.cumsum(draw.normal(n // 64, 64, dtype="f8"), axis=0)) * 100,)


def returns(draw, n):
    return (0.1 * draw.normal(n // 64, 64, dtype="f8"),)


def paths(draw, n):
    return (draw.normal(n // 256, 256, dtype="f8"),)


def options(draw, n):
    return 100 * draw.uniform(n // 64, low=0.5, dtype="f8"), 100 * draw.uniform(
        n // 64, low=0.5, dtype="f8"
    )


def volatile(draw, n):
    count = n // 64
    return (
        np.full(count, 100.0),
        np.full(count, 0.04),
        *[draw.normal(32, count, dtype="f8") for _ in "ab"],
    )


def portfolio(draw, n):
    return draw.uniform(64, dtype="f8"), *returns(draw, n)


def curves(draw, n):
    return (0.05 * draw.uniform(n // 32, 32, dtype="f8"),)


TIGHT = 1e-9
PROGRAMS = [
    FusedProgram("Monte Carlo, Asian option", monte_carlo, paths, 5, "a running sum", TIGHT),
    FusedProgram("Monte Carlo, barrier", barrier, paths, 4, "a running sum", TIGHT),
    FusedProgram("binomial tree", binomial_tree, options, 4, tolerance=TIGHT),
    FusedProgram("Heston", heston, volatile, kernels=4, tolerance=TIGHT),
    FusedProgram("GARCH likelihood", garch, returns, 3, "a recurrence", TIGHT, is_pure=False),
    FusedProgram("exponential averages", ewma, returns, kernels=2, tolerance=TIGHT, is_pure=False),
    FusedProgram("largest drawdown", drawdown, markets, 2, "a running maximum", TIGHT),
    FusedProgram("Sharpe ratios", sharpe, markets, tolerance=1e-8),
    FusedProgram("Bollinger bands", bollinger, markets, 4, "running sums", 1e-6),
    FusedProgram("value at risk", value_at_risk, portfolio, 3, "a sort", TIGHT),
    FusedProgram("forward rates", forward_rates, curves, kernels=3, tolerance=TIGHT),
]
