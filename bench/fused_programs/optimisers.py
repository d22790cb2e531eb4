"""Steps of optimisers over lists of arrays."""

import numpy as np

from .record import FusedProgram, square


def lists(count):
    def inputs(draw, n):
        side = square(n // 4)
        shapes = ((side, side), (side,), (side, 2 * side), (2 * side,))
        arrays = [[draw.normal(*shape) for shape in shapes] for _ in range(count)]
        return tuple(arrays)

    return inputs


def positive_lists(draw, n):
    weights, slopes, first, second = lists(4)(draw, n)
    return weights, slopes, first, [s * s for s in second], 3.0


def sgd(weights, slopes, speeds):
    new = [0.9 * v + g for v, g in zip(speeds, slopes)]
    return [w - 0.01 * v for w, v in zip(weights, new)], new


def adam(weights, slopes, first, second, t):
    first = [0.9 * m + 0.1 * g for m, g in zip(first, slopes)]
    second = [0.999 * v + 0.001 * g * g for v, g in zip(second, slopes)]
    a, b = 1 - 0.9**t, 1 - 0.999**t
    new = [w - 1e-3 * (m / a) / (np.sqrt(v / b) + 1e-8) for w, m, v in zip(weights, first, second)]
    return new, first, second


def lamb(weights, slopes, first, second, t):
    new, ms, vs = [], [], []
    for w, g, m, v in zip(weights, slopes, first, second):
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
        step = m / (1 - 0.9**t) / (np.sqrt(v / (1 - 0.999**t)) + 1e-6) + 0.01 * w
        trust = np.sqrt((w * w).sum()) / (np.sqrt((step * step).sum()) + 1e-9)
        new.append(w - 1e-3 * trust * step)
        ms.append(m)
        vs.append(v)
    return new, ms, vs


def clipped(weights, slopes):
    norm = np.sqrt(sum((g * g).sum() for g in slopes))
    scale = np.minimum(1.0, 1.0 / (norm + 1e-6)).astype(np.float32)
    return [w - 0.1 * scale * g for w, g in zip(weights, slopes)]


def adafactor(w, g, rows, columns):
    squares = g * g + 1e-30
    rows = 0.9 * rows + 0.1 * squares.mean(axis=1)
    columns = 0.9 * columns + 0.1 * squares.mean(axis=0)
    step = g / np.sqrt(rows[:, None] * columns / rows.mean())
    return w - 0.01 * step, rows, columns


def rmsprop_in_place(weights, slopes, squares):
    for w, g, s in zip(weights, slopes, squares):
        s *= 0.99
        s += 0.01 * g * g
        w -= 0.001 * g / (np.sqrt(s) + 1e-8)


def factored(draw, n):
    side = square(n)
    return draw.normal(side, side), draw.normal(side, side), draw.uniform(side), draw.uniform(side)


def squares(draw, n):
    weights, slopes, second = lists(3)(draw, n)
    return weights, slopes, [s * s for s in second]


EACH = "one for each shape; the small ones side by side"
PROGRAMS = [
    FusedProgram("SGD with momentum", sgd, lists(3), 4, EACH),
    FusedProgram("Adam", adam, positive_lists, 4, EACH),
    FusedProgram("LAMB", lamb, positive_lists, 4, "both norms are known before a step is taken"),
    FusedProgram(
        "SGD, clipped by norm", clipped, lists(2), 7, "the norm of all is known before a step"
    ),
    FusedProgram("Adafactor", adafactor, factored, 5, "along rows, along columns, and the step"),
    FusedProgram("RMSprop in place", rmsprop_in_place, squares, 4, EACH, is_pure=False),
]
