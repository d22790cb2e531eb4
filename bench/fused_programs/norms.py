"""Normalisations, forward and backward."""

import numpy as np

from .record import FusedProgram


def rows(draw, n):
    return draw.normal(n // 512, 512), draw.normal(512), draw.normal(512)


def channels_first(draw, n):
    return draw.normal(n // 32768, 32, 32, 32), draw.normal(32), draw.normal(32)


def rms_norm(x, gain):
    return x / np.sqrt((x * x).mean(axis=-1, keepdims=True) + 1e-6) * gain


def add_and_norm(x, residual, gain, bias):
    h = x + residual
    mean = h.mean(axis=-1, keepdims=True)
    variance = ((h - mean) ** 2).mean(axis=-1, keepdims=True)
    return h, (h - mean) / np.sqrt(variance + 1e-5) * gain + bias


def layer_norm_gradient(x, gain, grad):
    mean, deviation = x.mean(axis=-1, keepdims=True), x.std(axis=-1, keepdims=True) + 1e-5
    hat = (x - mean) / deviation
    scaled = grad * gain
    first = scaled.mean(axis=-1, keepdims=True)
    second = (scaled * hat).mean(axis=-1, keepdims=True)
    return (scaled - first - hat * second) / deviation, (grad * hat).sum(axis=0), grad.sum(axis=0)


def group_norm(x, gain, bias):
    n, c, h, w = x.shape
    g = x.reshape(n, 8, c // 8, h, w)
    mean, variance = g.mean(axis=(2, 3, 4), keepdims=True), g.var(axis=(2, 3, 4), keepdims=True)
    g = (g - mean) / np.sqrt(variance + 1e-5)
    return g.reshape(n, c, h, w) * gain[:, None, None] + bias[:, None, None]


def instance_norm(x, gain, bias):
    mean, variance = x.mean(axis=(2, 3), keepdims=True), x.var(axis=(2, 3), keepdims=True)
    return (x - mean) / np.sqrt(variance + 1e-5) * gain[:, None, None] + bias[:, None, None]


def batch_norm(x, gain, bias, running_mean, running_variance):
    mean, variance = x.mean(axis=0), x.var(axis=0)
    y = (x - mean) / np.sqrt(variance + 1e-5) * gain + bias
    return y, 0.9 * running_mean + 0.1 * mean, 0.9 * running_variance + 0.1 * variance


def batch_norm_channels_last(x, gain, bias):
    mean, variance = x.mean(axis=(0, 1, 2)), x.var(axis=(0, 1, 2))
    return (x - mean) / np.sqrt(variance + 1e-5) * gain + bias


def batch_norm_gradient(x, gain, grad):
    mean, deviation = x.mean(axis=0), np.sqrt(x.var(axis=0) + 1e-5)
    hat = (x - mean) / deviation
    dgain, dbias = (grad * hat).sum(axis=0), grad.sum(axis=0)
    n = x.shape[0]
    return gain / deviation * (grad - dbias / n - hat * dgain / n), dgain, dbias


def weight_norm(v, g):
    return v * (g / np.sqrt((v * v).sum(axis=1)))[:, None]


def local_response(x):
    squares = np.pad(x * x, ((0, 0), (2, 2)))
    n = x.shape[1]
    total = sum(squares[:, k : k + n] for k in range(5))
    return x / (1 + 1e-4 * total) ** 0.75


def gated_norm(x, gate, gain):
    h = x * (gate / (1 + np.exp(-gate)))
    return h / np.sqrt((h * h).mean(axis=-1, keepdims=True) + 1e-6) * gain


TWICE = "all rows are summed before the first is written"
PROGRAMS = [
    FusedProgram("RMSNorm", rms_norm, lambda draw, n: rows(draw, n)[:2]),
    FusedProgram(
        "residual and layer norm",
        add_and_norm,
        lambda draw, n: (draw.normal(n // 512, 512), *rows(draw, n)),
    ),
    FusedProgram(
        "gradient of layer norm",
        layer_norm_gradient,
        lambda draw, n: (*rows(draw, n)[:2], draw.normal(n // 512, 512)),
        3,
        "along rows, and along columns",
        2e-4,
    ),
    FusedProgram("group norm", group_norm, channels_first, kernels=2, tolerance=1e-4),
    FusedProgram("instance norm", instance_norm, channels_first, tolerance=1e-4),
    FusedProgram(
        "batch norm, training",
        batch_norm,
        lambda draw, n: (*rows(draw, n), draw.normal(512), draw.uniform(512)),
        3,
        TWICE,
        1e-4,
    ),
    FusedProgram(
        "batch norm, channels last",
        batch_norm_channels_last,
        lambda draw, n: (draw.normal(n // 16384, 16, 16, 64), draw.normal(64), draw.normal(64)),
        1,
        TWICE,
        1e-4,
    ),
    FusedProgram(
        "gradient of batch norm",
        batch_norm_gradient,
        lambda draw, n: (*rows(draw, n)[:2], draw.normal(n // 512, 512)),
        2,
        TWICE,
        2e-4,
    ),
    FusedProgram(
        "weight norm",
        weight_norm,
        lambda draw, n: (draw.normal(n // 512, 512), draw.normal(n // 512)),
    ),
    FusedProgram(
        "local response norm",
        local_response,
        lambda draw, n: (draw.normal(n // 256, 256),),
        kernels=2,
    ),
    FusedProgram(
        "gated RMSNorm",
        gated_norm,
        lambda draw, n: (draw.normal(n // 512, 512), *rows(draw, n)[:2]),
    ),
]
