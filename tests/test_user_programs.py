"""Small NumPy programs as people write them, decorated and otherwise unchanged, against NumPy."""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tracejit

PROGRAMS: list[tuple[Callable[..., Any], tuple]] = []
RNG = np.random.default_rng(7)


def program(*args: Any) -> Callable:
    """Enter the decorated function, to be called with these arguments."""

    def enter(function: Callable[..., Any]) -> Callable[..., Any]:
        PROGRAMS.append((function, args))
        return function

    return enter


def numbers(*shape: int) -> np.ndarray:
    return RNG.normal(size=shape)


def positive(*shape: int) -> np.ndarray:
    return RNG.uniform(0.1, 2.0, size=shape)


def same(found: Any, wanted: Any) -> None:
    """The same structure, types and dtypes, and numbers that agree to rounding."""
    assert type(found) is type(wanted)
    if isinstance(wanted, dict):
        assert list(found) == list(wanted)
        found, wanted = list(found.values()), list(wanted.values())
    if isinstance(wanted, list | tuple):
        assert len(found) == len(wanted)
        for one, other in zip(found, wanted):
            same(one, other)
        return
    if isinstance(wanted, np.ndarray | np.generic):
        assert found.dtype == wanted.dtype and found.shape == wanted.shape
        tolerance = 1e-4 if wanted.dtype.itemsize == 4 and wanted.dtype.kind == "f" else 1e-10
        np.testing.assert_allclose(found, wanted, rtol=tolerance, atol=tolerance)
        return
    assert found == pytest.approx(wanted)


# Statistics


@program(numbers(40, 5))
def standardize(table):
    return (table - table.mean(axis=0)) / table.std(axis=0, ddof=1)


@program(numbers(30, 4))
def covariance(table):
    centered = table - table.mean(axis=0, keepdims=True)
    return centered.T @ centered / (len(table) - 1)


@program(numbers(50), numbers(50))
def correlation(x, y):
    x, y = x - x.mean(), y - y.mean()
    return (x * y).sum() / np.sqrt((x**2).sum() * (y**2).sum())


@program(numbers(60), positive(60))
def weighted_moments(x, w):
    mean = np.average(x, weights=w)
    variance = np.average((x - mean) ** 2, weights=w)
    skew = np.average((x - mean) ** 3, weights=w) / variance**1.5
    return {"mean": mean, "variance": variance, "skew": skew}


@program(numbers(20), np.linspace(-3, 3, 31), 0.4)
def kernel_density(samples, grid, width):
    z = (grid[:, None] - samples[None, :]) / width
    return np.exp(-0.5 * z**2).sum(axis=1) / (len(samples) * width * np.sqrt(2 * np.pi))


@program(RNG.multinomial(1, [0.1] * 10, size=(25, 12)).astype(float), numbers(10))
def bootstrap_means(picks, sample):
    means = (picks @ sample).mean(axis=1)
    return means, means.mean(), means.std(), means.min(), means.max()


@program(np.arange(12.0), 3 * np.arange(12.0) + numbers(12))
def straight_line(x, y):
    n = x.size
    slope = (n * (x * y).sum() - x.sum() * y.sum()) / (n * (x * x).sum() - x.sum() ** 2)
    intercept = y.mean() - slope * x.mean()
    residual = y - (slope * x + intercept)
    return slope, intercept, 1 - (residual**2).sum() / ((y - y.mean()) ** 2).sum()


@program(RNG.integers(0, 5, 40), RNG.integers(0, 5, 40))
def confusion(truth, guess):
    classes = np.arange(5)
    return ((truth[:, None] == classes).T.astype(int)) @ (guess[:, None] == classes).astype(int)


# Images


@program(positive(12, 14))
def sobel(image):
    padded = np.pad(image, 1, mode="edge")
    horizontal = padded[:-2] + 2 * padded[1:-1] + padded[2:]
    vertical = padded[:, :-2] + 2 * padded[:, 1:-1] + padded[:, 2:]
    return np.hypot(horizontal[:, 2:] - horizontal[:, :-2], vertical[2:] - vertical[:-2])


@program(RNG.integers(0, 256, (9, 11, 3)).astype(np.uint8))
def grayscale(image):
    weights = np.array([0.299, 0.587, 0.114])
    return np.clip(np.round(image @ weights), 0, 255).astype(np.uint8)


@program(positive(13, 9), 2.2)
def tone(image, gamma):
    low, high = image.min(), image.max()
    return np.where(image > low, ((image - low) / (high - low)) ** (1 / gamma), 0.0)


@program(positive(12, 8))
def halve(image):
    rows, columns = image.shape
    return image.reshape(rows // 2, 2, columns // 2, 2).mean(axis=(1, 3))


@program(positive(10, 10))
def box_blur(image):
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(image, 1, mode="reflect"), (3, 3))
    return windows.mean(axis=(-2, -1))


@program(RNG.integers(0, 2, (16, 16)))
def life(cells):
    around = sum(
        np.roll(cells, (i, j), axis=(0, 1)) for i in (-1, 0, 1) for j in (-1, 0, 1) if i or j
    )
    return ((around == 3) | ((cells == 1) & (around == 2))).astype(cells.dtype)


@program(RNG.integers(0, 256, (6, 7, 3)).astype(np.uint8), (1.0, 0.5, 0.25))
def tint(image, color):
    scaled = image.astype(np.float32) / 255 * np.array(color, dtype=np.float32)
    return (scaled * 255).astype(np.uint8)[:, ::-1]


# Finance


@program(100 * np.exp(np.cumsum(0.01 * numbers(60))))
def returns(prices):
    growth = np.diff(np.log(prices))
    value = np.cumprod(1 + growth)
    return growth.mean() * 252, growth.std(ddof=1) * np.sqrt(252), value[-1] - 1


@program(positive(20) * 100, 100.0, 0.05, 0.2, np.linspace(0.1, 2, 20))
def black_scholes(spot, strike, rate, sigma, years):
    d1 = (np.log(spot / strike) + (rate + sigma**2 / 2) * years) / (sigma * np.sqrt(years))
    d2 = d1 - sigma * np.sqrt(years)

    def phi(x):
        return 0.5 * (1 + np.tanh(0.7978845608028654 * (x + 0.044715 * x**3)))

    return spot * phi(d1) - strike * np.exp(-rate * years) * phi(d2)


@program(numbers(30), 5)
def moving_average(x, width):
    total = np.cumsum(np.concatenate([[0.0], x]))
    return (total[width:] - total[:-width]) / width


@program(np.array([-1000.0, 300, 400, 500, 200]), 0.07)
def present_value(flows, rate):
    return (flows / (1 + rate) ** np.arange(len(flows))).sum()


@program(positive(4), numbers(4, 4))
def portfolio_risk(weights, factors):
    weights = weights / weights.sum()
    covariance = factors @ factors.T
    marginal = covariance @ weights
    total = np.sqrt(weights @ marginal)
    return total, weights * marginal / total


# Physics


@program(numbers(9, 3), numbers(9, 3), positive(9), 0.01)
def gravity_step(position, velocity, mass, dt):
    difference = position[None, :, :] - position[:, None, :]
    distance = np.sqrt((difference**2).sum(axis=-1) + 1e-2)
    force = (mass[None, :, None] * difference / distance[..., None] ** 3).sum(axis=1)
    velocity = velocity + force * dt
    return position + velocity * dt, velocity


@program(numbers(8, 3), positive(8))
def potential_energy(position, mass):
    difference = position[:, None] - position[None]
    distance = np.sqrt(np.einsum("ijk,ijk->ij", difference, difference))
    pairs = np.triu(np.ones((8, 8), dtype=bool), 1)
    return -(np.outer(mass, mass) / np.where(pairs, distance, 1.0)).sum(where=pairs)


@program(positive(12, 12), 0.1)
def heat(u, alpha):
    for _ in range(5):
        inner = u[:-2, 1:-1] + u[2:, 1:-1] + u[1:-1, :-2] + u[1:-1, 2:] - 4 * u[1:-1, 1:-1]
        u = u + alpha * np.pad(inner, 1)
    return u


@program(np.linspace(0, 1, 33), 0.0, 1.5)
def simpson(x, a, b):
    y = np.exp(-(((b - a) * x + a) ** 2))
    return (b - a) / 96 * (y[0] + 4 * y[1::2].sum() + 2 * y[2:-1:2].sum() + y[-1])


@program(np.array([1.0, 0.0]), 0.05, 12)
def runge_kutta(state, dt, steps):
    def slope(s):
        return np.stack([s[1], -s[0]])

    for _ in range(steps):
        k1 = slope(state)
        k2 = slope(state + dt / 2 * k1)
        k3 = slope(state + dt / 2 * k2)
        k4 = slope(state + dt * k3)
        state = state + dt / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
    return state


@program(-2 + 0.3 * np.arange(8)[:, None] + 1j * np.linspace(-1, 1, 7))
def mandelbrot(c):
    z, count = np.zeros_like(c), np.zeros(c.shape, dtype=int)
    for _ in range(12):
        alive = np.abs(z) <= 2
        z = np.where(alive, z * z + c, z)
        count = count + alive
    return count


@program(np.linspace(0, 10, 25), [0.5, 1.5], (1.0, 2.0))
def waves(t, amplitudes, frequencies):
    signal = sum(a * np.sin(2 * np.pi * f * t) for a, f in zip(amplitudes, frequencies))
    return signal, np.abs(signal).max(), np.sqrt(np.mean(signal**2))


# Inference


def softmax(x, axis=-1):
    e = np.exp(x - x.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


LAYERS = [
    (numbers(8, 16), numbers(16)),
    (numbers(16, 16), numbers(16)),
    (numbers(16, 3), numbers(3)),
]


@program(numbers(5, 8), LAYERS)
def perceptron(x, layers):
    for w, b in layers[:-1]:
        x = np.maximum(x @ w + b, 0)
    w, b = layers[-1]
    return softmax(x @ w + b)


@program(numbers(2, 6, 8), numbers(8, 8), numbers(8, 8), numbers(8, 8))
def attention(x, wq, wk, wv):
    heads = 2

    def split(y):
        return y.reshape(*y.shape[:2], heads, -1).transpose(0, 2, 1, 3)

    q, k, v = split(x @ wq), split(x @ wk), split(x @ wv)
    scores = q @ k.swapaxes(-1, -2) / np.sqrt(q.shape[-1])
    scores = np.where(np.tri(x.shape[1], dtype=bool), scores, -np.inf)
    return (softmax(scores) @ v).transpose(0, 2, 1, 3).reshape(x.shape)


@program(numbers(4, 10).astype("f4"), numbers(10).astype("f4"), numbers(10).astype("f4"))
def layer_norm(x, gain, bias):
    mean, variance = x.mean(-1, keepdims=True), x.var(-1, keepdims=True)
    return gain * (x - mean) / np.sqrt(variance + np.float32(1e-5)) + bias


@program(numbers(3, 9, 9), numbers(4, 3, 3, 3))
def convolution(image, kernels):
    windows = np.lib.stride_tricks.sliding_window_view(image, (3, 3), axis=(1, 2))
    return np.maximum(np.einsum("chwij,kcij->khw", windows, kernels), 0)


@program(numbers(6, 4), np.array([0, 3, 1, 1, 2, 0]))
def cross_entropy(logits, labels):
    shifted = logits - logits.max(axis=1, keepdims=True)
    log_probabilities = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    chosen = labels[:, None] == np.arange(logits.shape[1])
    return -(log_probabilities * chosen).sum() / len(labels)


@program(numbers(20, 3), (RNG.uniform(size=20) > 0.5).astype(float), np.zeros(3), 0.1)
def logistic_regression(x, y, w, rate):
    for _ in range(8):
        p = 1 / (1 + np.exp(-x @ w))
        w = w - rate * x.T @ (p - y) / len(y)
    return w


@program(
    numbers(7), {"wi": numbers(12, 7), "wh": numbers(12, 3), "b": numbers(12)}, (numbers(3),) * 2
)
def lstm_cell(x, params, state):
    h, c = state
    gates = np.split(params["wi"] @ x + params["wh"] @ h + params["b"], 4)
    i, f, o = (1 / (1 + np.exp(-g)) for g in (gates[0], gates[1], gates[3]))
    c = f * c + i * np.tanh(gates[2])
    return o * np.tanh(c), c


# Signals


@program(numbers(40), np.hanning(7))
def smooth(x, window):
    return np.convolve(x, window / window.sum(), mode="same")


@program(numbers(32))
def spectrum(x):
    n = len(x)
    angles = -2j * np.pi * np.outer(np.arange(n), np.arange(n)) / n
    return np.abs(np.exp(angles) @ x) ** 2 / n


@program(numbers(25))
def zero_crossings(x):
    signs = np.sign(x)
    return np.count_nonzero(signs[1:] != signs[:-1]), (x[1:] * x[:-1] < 0).sum()


@program(numbers(30), 4)
def autocorrelation(x, lags):
    x = x - x.mean()
    return np.array([(x[k:] * x[: len(x) - k]).sum() for k in range(lags)]) / (x @ x)


# Geometry


@program(numbers(10, 2), 0.3)
def rotate(points, angle):
    c, s = np.cos(angle), np.sin(angle)
    center = points.mean(axis=0)
    return (points - center) @ np.array([[c, -s], [s, c]]).T + center


@program(np.array([[0.0, 0], [4, 0], [4, 3], [2, 5], [0, 3]]))
def polygon(points):
    following = np.roll(points, -1, axis=0)
    area = 0.5 * np.abs((points[:, 0] * following[:, 1] - following[:, 0] * points[:, 1]).sum())
    return area, np.linalg.norm(following - points, axis=1).sum()


@program(np.radians(numbers(6) * 40), np.radians(numbers(6) * 90))
def haversine(latitude, longitude):
    dlat = latitude[:, None] - latitude
    dlon = longitude[:, None] - longitude
    a = np.sin(dlat / 2) ** 2 + np.cos(latitude)[:, None] * np.cos(latitude) * np.sin(dlon / 2) ** 2
    return 2 * 6371 * np.arcsin(np.sqrt(a))


@program(numbers(5, 3, 3))
def normals(triangles):
    a, b, c = triangles[:, 0], triangles[:, 1], triangles[:, 2]
    n = np.cross(b - a, c - a)
    return n / np.linalg.norm(n, axis=-1, keepdims=True)


@program(numbers(12, 3), numbers(5, 3))
def nearest(points, queries):
    squares = (queries**2).sum(1)[:, None] + (points**2).sum(1) - 2 * queries @ points.T
    return squares.argmin(axis=1), np.sqrt(np.maximum(squares.min(axis=1), 0))


@program(numbers(15, 2), numbers(3, 2))
def k_means_step(points, centers):
    distance = ((points[:, None] - centers) ** 2).sum(-1)
    member = (distance.argmin(1)[:, None] == np.arange(len(centers))).astype(float)
    return member.T @ points / np.maximum(member.sum(0)[:, None], 1)


# Linear algebra


@program(numbers(12, 5), numbers(5))
def power_iteration(table, v):
    matrix = table.T @ table
    for _ in range(6):
        v = matrix @ v
        v = v / np.linalg.norm(v)
    return v @ matrix @ v, table @ v


Belief = namedtuple("Belief", "mean covariance")


@program(Belief(numbers(2), np.eye(2)), numbers(1), np.array([[1.0, 0.1], [0.0, 1.0]]))
def kalman_step(belief, measurement, transition):
    observe = np.array([[1.0, 0.0]])
    mean = transition @ belief.mean
    covariance = transition @ belief.covariance @ transition.T + 0.01 * np.eye(2)
    innovation = measurement - observe @ mean
    uncertainty = observe @ covariance @ observe.T + 0.1
    gain = covariance @ observe.T / uncertainty
    return Belief(mean + gain @ innovation, (np.eye(2) - gain @ observe) @ covariance)


@program(numbers(4, 3), numbers(3, 5), numbers(5, 4))
def einsum_chain(a, b, c):
    chain = np.einsum("ij,jk,kl->il", a, b, c)
    return chain, np.einsum("ii", chain), np.einsum("ij,ij->j", chain, chain)


@program(np.eye(4) + 0.1 * numbers(4, 4), numbers(4))
def jacobi(matrix, right):
    diagonal = np.diag(matrix)
    rest = matrix - np.diag(diagonal)
    x = np.zeros_like(right)
    for _ in range(10):
        x = (right - rest @ x) / diagonal
    return x, np.abs(matrix @ x - right).max() < 1


@program(numbers(4, 4), 6)
def matrix_exponential(matrix, terms):
    total = term = np.eye(len(matrix))
    for k in range(1, terms):
        term = term @ matrix / k
        total = total + term
    return total, np.trace(total)


@program(np.linspace(-1, 1, 9), [1.0, -2.0, 0.5, 3.0])
def horner(x, coefficients):
    value = np.zeros_like(x)
    for coefficient in coefficients:
        value = value * x + coefficient
    return value, np.polyval(coefficients, x)


@pytest.mark.parametrize("function, args", PROGRAMS, ids=[f.__name__ for f, _ in PROGRAMS])
def test_program(function, args):
    jitted = tracejit.jit(function)
    wanted = function(*args)
    same(jitted(*args), wanted)
    same(jitted(*args), wanted)
    assert jitted.cache_info()[:2] == (1, 1)


@pytest.mark.parametrize("function, args", PROGRAMS, ids=[f.__name__ for f, _ in PROGRAMS])
def test_program_step_by_step(function, args):
    lowered = tracejit.jit(function).trace(*args).lower()
    text = tracejit.show(lowered.module)
    assert tracejit.parse(text) is lowered.module
