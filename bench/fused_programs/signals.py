"""Signals, sequences, gathered and scattered values, and graphs."""

import numpy as np

from .record import FusedProgram


def spectra(x, window):
    frames = np.lib.stride_tricks.sliding_window_view(x, 256)[::128] * window
    return np.abs(np.fft.rfft(frames, axis=1)) ** 2


def log_energy(x, window):
    frames = np.lib.stride_tricks.sliding_window_view(x, 256)[::128] * window
    return 10 * np.log10((frames * frames).sum(axis=1) + 1e-10)


def fir(x, taps):
    n = x.shape[1] - len(taps) + 1
    return sum(taps[k] * x[:, k : k + n] for k in range(16))


def filter_bank(power, bank):
    return np.log(np.maximum(power @ bank, 1e-10))


def analytic_envelope(real, imaginary):
    a = np.sqrt(real * real + imaginary * imaginary)
    return a / a.max(axis=1, keepdims=True)


def zero_crossings(x):
    return (x[:, 1:] * x[:, :-1] < 0).mean(axis=1)


def resampled(x, positions):
    left = np.floor(positions).astype(np.int64)
    part = positions - left
    return x[left] * (1 - part) + x[left + 1] * part


def embedding(tokens, table, places):
    h = table[tokens] + places
    mean = h.mean(axis=-1, keepdims=True)
    return (h - mean) / np.sqrt(((h - mean) ** 2).mean(axis=-1, keepdims=True) + 1e-5)


def bag_of_words(tokens, table):
    return table[tokens].mean(axis=1)


def page_rank(rank, sources, targets, degrees):
    given = (rank / degrees)[sources]
    return 0.15 / len(rank) + 0.85 * np.bincount(targets, weights=given, minlength=len(rank))


def propagated(labels, sources, targets, degrees):
    new = np.zeros_like(labels)
    np.add.at(new, targets, labels[sources])
    new /= degrees[:, None]
    return new / new.sum(axis=1, keepdims=True)


def edge_lengths(points, sources, targets):
    d = points[sources] - points[targets]
    return np.sqrt((d * d).sum(axis=1))


def angles(a, b):
    return np.arccos(np.clip((a * b).sum(axis=1), -1, 1)).max()


def pairwise_cosine(a):
    unit = a / np.sqrt((a * a).sum(axis=1, keepdims=True))
    return unit @ unit.T


def nearest(x, centres):
    d = (x * x).sum(axis=1)[:, None] - 2 * x @ centres.T + (centres * centres).sum(axis=1)
    return d.argmin(axis=1)


def one_hot(labels):
    return (labels[:, None] == np.arange(64)).astype(np.float32)


def goertzel(x):
    t = np.arange(x.shape[1])
    angle = 2 * np.pi * 0.05 * t
    return (x * np.cos(angle)).sum(axis=1) ** 2 + (x * np.sin(angle)).sum(axis=1) ** 2


def signal(draw, n):
    return draw.normal(n, dtype="f8"), np.hanning(256)


def channels(draw, n):
    return draw.normal(n // 4096, 4096), draw.normal(16)


def graph(draw, n):
    nodes, edges = n // 16, n
    return draw.integers(nodes, edges), draw.integers(nodes, edges), nodes


def ranked(draw, n):
    sources, targets, nodes = graph(draw, n)
    return (
        draw.uniform(nodes, dtype="f8"),
        sources,
        targets,
        1 + np.bincount(sources, minlength=nodes),
    )


def labelled(draw, n):
    sources, targets, nodes = graph(draw, n // 8)
    degrees = 1.0 + np.bincount(targets, minlength=nodes)
    return draw.uniform(nodes, 8, dtype="f8") + 0.1, sources, targets, degrees


def mesh(draw, n):
    sources, targets, nodes = graph(draw, n // 2)
    return draw.normal(nodes, 3, dtype="f8"), sources, targets


def tokens(draw, n):
    return draw.integers(1000, n // 128), draw.normal(1000, 128), draw.normal(n // 128, 128)


def bags(draw, n):
    return draw.integers(1000, n // 1024, 16), draw.normal(1000, 64)


def stretched(draw, n):
    return draw.normal(n + 2, dtype="f8"), draw.uniform(n, dtype="f8") * n


def vectors(draw, n):
    a, b = draw.normal(n // 8, 8), draw.normal(n // 8, 8)
    return a / np.sqrt((a * a).sum(1, keepdims=True)), b / np.sqrt((b * b).sum(1, keepdims=True))


PRODUCT = "a product"
PROGRAMS = [
    FusedProgram("windowed spectra", spectra, signal, 3, "a transform", 1e-9, has_specials=False),
    FusedProgram("log energy of frames", log_energy, signal, tolerance=1e-9),
    FusedProgram("FIR filter", fir, channels),
    FusedProgram(
        "filter bank",
        filter_bank,
        lambda d, n: (d.uniform(n // 256, 256), d.uniform(256, 40)),
        1,
        PRODUCT,
    ),
    FusedProgram(
        "envelope",
        analytic_envelope,
        lambda d, n: (d.normal(n // 512, 512), d.normal(n // 512, 512)),
    ),
    FusedProgram("zero crossings", zero_crossings, lambda d, n: (d.normal(n // 512, 512),)),
    FusedProgram("resampled", resampled, stretched, tolerance=1e-9),
    FusedProgram("embedding and norm", embedding, tokens),
    FusedProgram("bag of words", bag_of_words, bags),
    FusedProgram(
        "PageRank step", page_rank, ranked, 4, "all is added up before it is scaled", 1e-9
    ),
    FusedProgram("label propagation", propagated, labelled, 3, "a scatter", 1e-9, is_pure=False),
    FusedProgram("lengths of edges", edge_lengths, mesh, tolerance=1e-9),
    FusedProgram("largest angle", angles, vectors, tolerance=1e-3),
    FusedProgram(
        "cosine similarities", pairwise_cosine, lambda d, n: (d.normal(n // 1024, 256),), 2, PRODUCT
    ),
    FusedProgram(
        "nearest centre",
        nearest,
        lambda d, n: (d.normal(n // 32, 32), d.normal(64, 32)),
        5,
        PRODUCT,
        0,
    ),
    FusedProgram("one-hot", one_hot, lambda d, n: (d.integers(64, n // 64),), tolerance=0),
    FusedProgram(
        "Goertzel",
        goertzel,
        lambda d, n: (d.normal(n // 512, 512, dtype="f8"),),
        kernels=2,
        tolerance=1e-8,
    ),
]
