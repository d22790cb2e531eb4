"""Losses, and what is computed of distributions."""

import numpy as np

from .record import FusedProgram


def logits_and_labels(draw, n):
    return draw.normal(n // 256, 256), draw.integers(256, n // 256)


def two_rows(draw, n):
    return draw.normal(n // 256, 256), draw.normal(n // 256, 256)


def pair(draw, n):
    return draw.normal(n), draw.normal(n)


def targets(draw, n):
    return draw.normal(n), draw.flags(n, part=0.3)


def log_softmax(x):
    top = x.max(axis=-1, keepdims=True)
    return x - top - np.log(np.exp(x - top).sum(axis=-1, keepdims=True))


def softmax(x, axis=-1):
    e = np.exp(x - x.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


def cross_entropy(logits, labels):
    logp = log_softmax(logits)
    return -logp[np.arange(len(labels)), labels].mean()


def cross_entropy_take(logits, labels):
    logp = log_softmax(logits)
    return -np.take_along_axis(logp, labels[:, None], axis=1).mean()


def smoothed_cross_entropy(logits, labels):
    logp = log_softmax(logits)
    chosen = logp[np.arange(len(labels)), labels]
    return -(0.9 * chosen + 0.1 * logp.mean(axis=-1)).mean()


def cross_entropy_gradient(logits, labels):
    p = softmax(logits)
    hot = labels[:, None] == np.arange(logits.shape[1])
    return (p - hot) / np.float32(len(labels))


def focal(x, y):
    p = 1 / (1 + np.exp(-x))
    pt = np.where(y, p, 1 - p)
    return -(
        np.where(y, np.float32(0.25), np.float32(0.75)) * (1 - pt) ** 2 * np.log(pt + 1e-7)
    ).mean()


def hinge(scores, labels):
    correct = scores[np.arange(len(labels)), labels][:, None]
    margins = np.maximum(0, scores - correct + 1)
    return (margins.sum(axis=1) - 1).mean()


def kullback_leibler(x, y):
    p, logq = softmax(x), log_softmax(y)
    return (p * (np.log(p + 1e-9) - logq)).sum(axis=-1).mean()


def jensen_shannon(x, y):
    p, q = softmax(x), softmax(y)
    m = (p + q) / 2
    return ((p * np.log(p / m) + q * np.log(q / m)).sum(axis=-1) / 2).mean()


def huber(x, y):
    d = np.abs(x - y)
    return np.where(d < 1, 0.5 * d * d, d - 0.5).mean()


def logistic_loss(x, y):
    return (np.maximum(x, 0) - x * y + np.log1p(np.exp(-np.abs(x)))).mean()


def cosine_loss(x, y):
    dot = (x * y).sum(axis=1)
    return (1 - dot / np.sqrt((x * x).sum(axis=1) * (y * y).sum(axis=1))).mean()


def triplet(a, p, n):
    near, far = ((a - p) ** 2).sum(axis=1), ((a - n) ** 2).sum(axis=1)
    return np.maximum(near - far + 0.5, 0).mean()


def dice(x, y):
    p = 1 / (1 + np.exp(-x))
    return 1 - 2 * (p * y).sum() / (p.sum() + y.sum() + 1e-6)


def entropy(x):
    p = softmax(x)
    return -(p * np.log(p)).sum(axis=-1)


def perplexity(logits, labels):
    return np.exp(cross_entropy(logits, labels))


def argmax_rows(x):
    return softmax(x).argmax(axis=-1)


def argmax_columns(x):
    return softmax(x, 0).argmax(axis=0)


def accuracy(logits, labels):
    return (logits.argmax(axis=1) == labels).mean()


def softmax_columns(x):
    return softmax(x, 0)


def softmax_middle(x):
    return softmax(x, 1)


def logsumexp(x):
    top = x.max(axis=1)
    return top + np.log(np.exp(x - top[:, None]).sum(axis=1))


def evidence(x, y):
    return logsumexp(x) - logsumexp(y)


def sample_gumbel(x, u):
    return (x - np.log(-np.log(u))).argmax(axis=1)


APART = "sums of columns end before the next kernel begins"
PROGRAMS = [
    FusedProgram("cross entropy, gather", cross_entropy, logits_and_labels, kernels=2),
    FusedProgram(
        "cross entropy, take_along_axis", cross_entropy_take, logits_and_labels, kernels=2
    ),
    FusedProgram(
        "cross entropy, smoothed labels", smoothed_cross_entropy, logits_and_labels, kernels=2
    ),
    FusedProgram("gradient of cross entropy", cross_entropy_gradient, logits_and_labels),
    FusedProgram("focal loss", focal, targets),
    FusedProgram("hinge loss", hinge, logits_and_labels, kernels=2),
    FusedProgram("Kullback-Leibler", kullback_leibler, two_rows, kernels=2),
    FusedProgram("Jensen-Shannon", jensen_shannon, two_rows, kernels=2),
    FusedProgram("Huber", huber, pair),
    FusedProgram("logistic loss", logistic_loss, lambda draw, n: (draw.normal(n), draw.uniform(n))),
    FusedProgram("cosine loss", cosine_loss, two_rows, kernels=2),
    FusedProgram(
        "triplet loss",
        triplet,
        lambda draw, n: [draw.normal(n // 256, 256) for _ in range(3)],
        kernels=2,
    ),
    FusedProgram("dice loss", dice, targets),
    FusedProgram("entropy of rows", entropy, lambda draw, n: (draw.normal(n // 256, 256),)),
    FusedProgram("perplexity", perplexity, logits_and_labels, kernels=2),
    FusedProgram("argmax of softmax", argmax_rows, lambda draw, n: (draw.normal(n // 256, 256),)),
    FusedProgram(
        "argmax of softmax, axis 0",
        argmax_columns,
        lambda draw, n: (draw.normal(n // 256, 256),),
        kernels=3,
    ),
    FusedProgram("accuracy", accuracy, logits_and_labels, kernels=2),
    FusedProgram(
        "softmax, axis 0", softmax_columns, lambda draw, n: (draw.normal(n // 256, 256),), kernels=2
    ),
    FusedProgram(
        "softmax, middle axis",
        softmax_middle,
        lambda draw, n: (draw.normal(n // 4096, 64, 64),),
        kernels=2,
    ),
    FusedProgram("difference of logsumexp", evidence, two_rows),
    FusedProgram(
        "Gumbel sampling",
        sample_gumbel,
        lambda draw, n: (draw.normal(n // 256, 256), draw.uniform(n // 256, 256, low=0.01)),
    ),
]
