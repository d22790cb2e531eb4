"""Filters of images."""

import numpy as np

from .record import FusedProgram, square


def image(draw, n):
    side = square(n)
    return (draw.uniform(side, side),)


def sobel(x):
    gx = x[:-2, 2:] + 2 * x[1:-1, 2:] + x[2:, 2:] - x[:-2, :-2] - 2 * x[1:-1, :-2] - x[2:, :-2]
    gy = x[2:, :-2] + 2 * x[2:, 1:-1] + x[2:, 2:] - x[:-2, :-2] - 2 * x[:-2, 1:-1] - x[:-2, 2:]
    return np.sqrt(gx * gx + gy * gy)


def box(x):
    rows = x[:-2] + x[1:-1] + x[2:]
    return (rows[:, :-2] + rows[:, 1:-1] + rows[:, 2:]) / 9


def harris(x):
    gx, gy = x[1:-1, 2:] - x[1:-1, :-2], x[2:, 1:-1] - x[:-2, 1:-1]
    a, b, c = box(gx * gx), box(gy * gy), box(gx * gy)
    return a * b - c * c - 0.05 * (a + b) ** 2


def smoothed(x):
    rows = x[:-4] + 4 * x[1:-3] + 6 * x[2:-2] + 4 * x[3:-1] + x[4:]
    y = rows[:, :-4] + 4 * rows[:, 1:-3] + 6 * rows[:, 2:-2] + 4 * rows[:, 3:-1] + rows[:, 4:]
    return y / 256


def unsharp(x):
    return np.clip(x[2:-2, 2:-2] + 0.7 * (x[2:-2, 2:-2] - smoothed(x)), 0, 1)


def pyramid(x):
    first = smoothed(np.pad(x, 2, mode="edge"))[::2, ::2]
    second = smoothed(np.pad(first, 2, mode="edge"))[::2, ::2]
    return first, second, smoothed(np.pad(second, 2, mode="edge"))[::2, ::2]


def bilateral(x):
    p = np.pad(x, 2, mode="edge")
    n, m = x.shape
    total, weights = np.zeros_like(x), np.zeros_like(x)
    for i in range(5):
        for j in range(5):
            near = p[i : i + n, j : j + m]
            w = np.exp(-((near - x) ** 2) * 50 - ((i - 2) ** 2 + (j - 2) ** 2) / np.float32(8))
            total, weights = total + w * near, weights + w
    return total / weights


def erode(x):
    y = np.minimum(np.minimum(x[:-2], x[1:-1]), x[2:])
    return np.minimum(np.minimum(y[:, :-2], y[:, 1:-1]), y[:, 2:])


def dilate(x):
    y = np.maximum(np.maximum(x[:-2], x[1:-1]), x[2:])
    return np.maximum(np.maximum(y[:, :-2], y[:, 1:-1]), y[:, 2:])


def opening(x):
    return dilate(erode(x))


def gradient(x):
    return dilate(x) - erode(x)


def equalised(x):
    levels = (x * 255).astype(np.int64)
    counts = np.bincount(levels.ravel(), minlength=256)
    table = np.cumsum(counts) / np.float64(x.size)
    return table[levels].astype(np.float32)


def colours(x):
    r, g, b = x[..., 0], x[..., 1], x[..., 2]
    y = 0.299 * r + 0.587 * g + 0.114 * b
    return np.stack([y, 0.564 * (b - y), 0.713 * (r - y)], axis=-1)


def structure(x, y):
    mx, my = box(x), box(y)
    sx, sy, sxy = box(x * x) - mx * mx, box(y * y) - my * my, box(x * y) - mx * my
    return (
        (2 * mx * my + 1e-4) * (2 * sxy + 9e-4) / ((mx**2 + my**2 + 1e-4) * (sx + sy + 9e-4))
    ).mean()


def total_variation(x):
    return np.sqrt((x[1:, :-1] - x[:-1, :-1]) ** 2 + (x[:-1, 1:] - x[:-1, :-1]) ** 2).sum()


def downsampled(x):
    n, m = x.shape
    return x.reshape(n // 2, 2, m // 2, 2).mean(axis=(1, 3))


def local_threshold(x):
    mean = smoothed(np.pad(x, 2, mode="reflect"))
    return x > mean - 0.02


PROGRAMS = [
    FusedProgram("Sobel", sobel, image),
    FusedProgram("Harris corners", harris, image, kernels=5, tolerance=1e-3),
    FusedProgram("unsharp mask", unsharp, image, kernels=2),
    FusedProgram("Gaussian pyramid", pyramid, image, 8, "a level is read by the next"),
    FusedProgram("bilateral filter", bilateral, image, kernels=6),
    FusedProgram("morphological opening", opening, image, kernels=4),
    FusedProgram("morphological gradient", gradient, image, kernels=2),
    FusedProgram(
        "equalised histogram", equalised, image, 4, "all are counted before the first is mapped"
    ),
    FusedProgram(
        "RGB to YCbCr", colours, lambda d, n: (d.uniform(square(n // 4), square(n // 4), 3),)
    ),
    FusedProgram(
        "structural similarity",
        structure,
        lambda d, n: image(d, n) + image(d, n),
        kernels=3,
        tolerance=1e-3,
    ),
    FusedProgram("total variation", total_variation, image, tolerance=1e-4),
    FusedProgram("mean of blocks", downsampled, image),
    FusedProgram("local threshold", local_threshold, image, kernels=2, tolerance=0),
]
