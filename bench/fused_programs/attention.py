"""Attention in the forms that models have it."""

import numpy as np

from .losses import softmax
from .record import FusedProgram, square


def heads(draw, n, count=4, depth=64):
    return [draw.normal(count, n // (4 * count * depth), depth) for _ in range(3)]


def causal(q, k, v):
    n = q.shape[-2]
    scores = q @ k.swapaxes(-1, -2) * np.float32(q.shape[-1] ** -0.5)
    return softmax(np.where(np.tril(np.ones((n, n), bool)), scores, -np.inf)) @ v


def sliding(q, k, v):
    i = np.arange(q.shape[-2])
    apart = i[:, None] - i
    scores = q @ k.swapaxes(-1, -2) * np.float32(0.125)
    return softmax(np.where((apart >= 0) & (apart < 64), scores, -np.inf)) @ v


def alibi(q, k, v, slopes):
    i = np.arange(q.shape[-2])
    scores = q @ k.swapaxes(-1, -2) * np.float32(0.125)
    scores = scores - slopes[:, None, None] * np.abs(i[:, None] - i).astype(np.float32)
    return softmax(scores) @ v


def rotate(x, cos, sin):
    half = x.shape[-1] // 2
    return x * cos + np.concatenate([-x[..., half:], x[..., :half]], axis=-1) * sin


def rotary(q, k, v, cos, sin):
    q, k = rotate(q, cos, sin), rotate(k, cos, sin)
    return softmax(q @ k.swapaxes(-1, -2) * np.float32(0.125)) @ v


def grouped_query(q, k, v):
    n, d = q.shape[-2:]
    q = q.reshape(k.shape[0], -1, n, d)
    scores = q @ k[:, None].swapaxes(-1, -2) * np.float32(0.125)
    return (softmax(scores) @ v[:, None]).reshape(-1, n, d)


def cross(q, k, v, present):
    scores = q @ k.swapaxes(-1, -2) * np.float32(0.125)
    return softmax(np.where(present, scores, np.float32(-1e9))) @ v


def with_dropout(q, k, v, kept):
    weights = softmax(q @ k.swapaxes(-1, -2) * np.float32(0.125))
    return (weights * kept / np.float32(0.9)) @ v


def linear(q, k, v):
    q, k = np.maximum(q, 0) + 1e-3, np.maximum(k, 0) + 1e-3
    return (q @ (k.swapaxes(-1, -2) @ v)) / (q @ k.sum(axis=-2)[..., None])


def scores_alone(q, k):
    return softmax(q @ k.swapaxes(-1, -2) * np.float32(0.125))


def geglu(x, w, v):
    a, b = x @ w, x @ v
    return a * 0.5 * (1 + np.tanh(0.79788456 * (a + 0.044715 * a**3))) * b


def one_query(q, k, v):
    return softmax((k @ q[:, :, None])[..., 0] * np.float32(0.125))[:, None, :] @ v


def masks(draw, n):
    q, k, v = heads(draw, n)
    return q, k, v, draw.flags(q.shape[0], 1, q.shape[1])


def dropped(draw, n):
    q, k, v = heads(draw, n)
    return q, k, v, draw.flags(q.shape[0], q.shape[1], q.shape[1])


def turned(draw, n):
    q, k, v = heads(draw, n)
    angles = np.arange(q.shape[1])[:, None] * 0.01 ** (np.arange(32) / 32)
    angles = np.concatenate([angles, angles], axis=1).astype("f4")
    return q, k, v, np.cos(angles), np.sin(angles)


def grouped(draw, n):
    q, _, _ = heads(draw, n, 8)
    return q, draw.normal(2, q.shape[1], 64), draw.normal(2, q.shape[1], 64)


def three_factors(draw, n):
    side = square(n // 4)
    return draw.normal(side, side), draw.normal(side, 2 * side), draw.normal(side, 2 * side)


def one_row(draw, n):
    _, k, v = heads(draw, n, 4)
    return draw.normal(4, 64), k, v


ROTATED = "both halves of a row turn into one another before the product"
PROGRAMS = [
    FusedProgram("causal attention", causal, heads, tolerance=1e-4),
    FusedProgram("attention in a window", sliding, heads, tolerance=1e-4),
    FusedProgram(
        "attention, ALiBi",
        alibi,
        lambda draw, n: (*heads(draw, n), draw.uniform(4)),
        tolerance=1e-4,
    ),
    FusedProgram("attention, rotary", rotary, turned, 1, ROTATED, 1e-4),
    FusedProgram("attention, grouped queries", grouped_query, grouped, tolerance=1e-4),
    FusedProgram("cross attention", cross, masks, tolerance=1e-4),
    FusedProgram("attention with dropout", with_dropout, dropped, tolerance=1e-4),
    FusedProgram("linear attention", linear, heads, 5, "three products and a sum", 1e-4),
    FusedProgram(
        "weights of attention", scores_alone, lambda draw, n: heads(draw, n)[:2], 2, "", 1e-4
    ),
    FusedProgram("gated linear unit", geglu, three_factors, 2, "two products", 1e-4),
    FusedProgram("attention of one query", one_query, one_row, 3, "two products", 1e-4),
]
