"""Whole programs over arrays: distances both ways, clustering, gravity, regression, images."""

from collections.abc import Iterator

import numpy as np

from ..harness import Case
from ..program import Program
from .arrays import Settings, array_cases

prange = range
FEATURES = 32
CLUSTERS = 16


def distances(x, y):
    difference = x[:, None, :] - y[None, :, :]
    return np.sqrt(np.sum(difference * difference, axis=2))


def distances_loop(x, y):
    out = np.empty((x.shape[0], y.shape[0]), x.dtype)
    for i in prange(x.shape[0]):
        for j in range(y.shape[0]):
            total = x[i, 0] * 0.0
            for k in range(x.shape[1]):
                difference = x[i, k] - y[j, k]
                total += difference * difference
            out[i, j] = np.sqrt(total)
    return out


def distances_by_product(x, y):
    squares = np.sum(x * x, axis=1)[:, None] + np.sum(y * y, axis=1)
    return np.sqrt(np.maximum(squares - 2.0 * (x @ y.T), x[0, 0] * 0.0))


def distances_by_product_loop(x, y):
    out = np.dot(x, y.T)
    squares = np.empty(y.shape[0], y.dtype)
    for j in range(y.shape[0]):
        squares[j] = np.dot(y[j], y[j])
    for i in prange(x.shape[0]):
        square = np.dot(x[i], x[i])
        for j in range(y.shape[0]):
            out[i, j] = np.sqrt(max(square + squares[j] - 2.0 * out[i, j], 0.0))
    return out


def gaussian_kernel(x, y):
    squares = np.sum(x * x, axis=1)[:, None] + np.sum(y * y, axis=1)
    return np.exp(-0.05 * (squares - 2.0 * (x @ y.T)))


def gaussian_kernel_loop(x, y):
    out = np.dot(x, y.T)
    squares = np.empty(y.shape[0], y.dtype)
    for j in range(y.shape[0]):
        squares[j] = np.dot(y[j], y[j])
    for i in prange(x.shape[0]):
        square = np.dot(x[i], x[i])
        for j in range(y.shape[0]):
            out[i, j] = np.exp(-0.05 * (square + squares[j] - 2.0 * out[i, j]))
    return out


def k_means_step(points, centres):
    """Lloyd's step: every point to its nearest centre, every centre to the mean of its points."""
    difference = points[:, None, :] - centres[None, :, :]
    nearest = np.argmin(np.sum(difference * difference, axis=2), axis=1)
    members = (nearest[:, None] == np.arange(centres.shape[0])).astype(points.dtype)
    return (members.T @ points) / (np.sum(members, axis=0)[:, None] + 1e-6)


def k_means_step_loop(points, centres):
    nearest = np.empty(points.shape[0], np.int64)
    for i in prange(points.shape[0]):
        best, place = np.inf, 0
        for j in range(centres.shape[0]):
            total = points[i, 0] * 0.0
            for k in range(points.shape[1]):
                difference = points[i, k] - centres[j, k]
                total += difference * difference
            if total < best:
                best, place = total, j
        nearest[i] = place
    sums = np.zeros_like(centres)
    counts = np.zeros(centres.shape[0], centres.dtype)
    for i in range(points.shape[0]):
        counts[nearest[i]] += 1.0
        for k in range(points.shape[1]):
            sums[nearest[i], k] += points[i, k]
    for j in range(centres.shape[0]):
        for k in range(points.shape[1]):
            sums[j, k] /= counts[j] + 1e-6
    return sums


def gravity(positions, masses):
    """Accelerations of bodies that attract each other, softened."""
    difference = positions[None, :, :] - positions[:, None, :]
    squares = np.sum(difference * difference, axis=2) + 0.01
    weights = masses / (squares * np.sqrt(squares))
    return np.sum(weights[:, :, None] * difference, axis=1)


def gravity_loop(positions, masses):
    out = np.empty_like(positions)
    for i in prange(positions.shape[0]):
        zero = positions[i, 0] * 0.0
        ax, ay, az = zero, zero, zero
        for j in range(positions.shape[0]):
            dx = positions[j, 0] - positions[i, 0]
            dy = positions[j, 1] - positions[i, 1]
            dz = positions[j, 2] - positions[i, 2]
            square = dx * dx + dy * dy + dz * dz + 0.01
            weight = masses[j] / (square * np.sqrt(square))
            ax += weight * dx
            ay += weight * dy
            az += weight * dz
        out[i, 0], out[i, 1], out[i, 2] = ax, ay, az
    return out


def regression_step(x, labels, weights):
    """A step of gradient descent on the logistic loss."""
    chance = 1.0 / (1.0 + np.exp(-(x @ weights)))
    return weights - 0.1 * ((chance - labels) @ x) / x.shape[0]


def regression_step_loop(x, labels, weights):
    error = np.dot(x, weights)
    for i in prange(error.size):
        error[i] = 1.0 / (1.0 + np.exp(-error[i])) - labels[i]
    slope = np.dot(error, x)
    for j in range(slope.size):
        slope[j] = weights[j] - 0.1 * slope[j] / x.shape[0]
    return slope


def standardise(x):
    centred = x - np.mean(x, axis=0)
    return centred / np.sqrt(np.mean(centred * centred, axis=0) + 1e-6)


def standardise_loop(x):
    rows, columns = x.shape
    out = np.empty_like(x)
    means, scales = np.zeros(columns, x.dtype), np.zeros(columns, x.dtype)
    for i in range(rows):
        for j in range(columns):
            means[j] += x[i, j]
    for j in range(columns):
        means[j] /= rows
    for i in range(rows):
        for j in range(columns):
            centred = x[i, j] - means[j]
            scales[j] += centred * centred
    for j in range(columns):
        scales[j] = 1.0 / np.sqrt(scales[j] / rows + 1e-6)
    for i in prange(rows):
        for j in range(columns):
            out[i, j] = (x[i, j] - means[j]) * scales[j]
    return out


def edges(image):
    """The strength of edges by Sobel's operator."""
    top, middle, bottom = image[:-2], image[1:-1], image[2:]
    across = (top[:, 2:] - top[:, :-2]) + 2.0 * (middle[:, 2:] - middle[:, :-2])
    across = across + (bottom[:, 2:] - bottom[:, :-2])
    down = (bottom[:, :-2] - top[:, :-2]) + 2.0 * (bottom[:, 1:-1] - top[:, 1:-1])
    down = down + (bottom[:, 2:] - top[:, 2:])
    return np.sqrt(across * across + down * down)


def edges_loop(image):
    rows, columns = image.shape[0] - 2, image.shape[1] - 2
    out = np.empty((rows, columns), image.dtype)
    for i in prange(rows):
        for j in range(columns):
            across = (image[i, j + 2] - image[i, j]) + 2.0 * (image[i + 1, j + 2] - image[i + 1, j])
            across = across + (image[i + 2, j + 2] - image[i + 2, j])
            down = (image[i + 2, j] - image[i, j]) + 2.0 * (image[i + 2, j + 1] - image[i, j + 1])
            down = down + (image[i + 2, j + 2] - image[i, j + 2])
            out[i, j] = np.sqrt(across * across + down * down)
    return out


def blur_twice(image):
    """A binomial blur down and across, and again."""
    for _ in range(2):
        image = 0.25 * image[:-2] + 0.5 * image[1:-1] + 0.25 * image[2:]
        image = 0.25 * image[:, :-2] + 0.5 * image[:, 1:-1] + 0.25 * image[:, 2:]
    return image


def blur_twice_loop(image):
    for _ in range(2):
        rows, columns = image.shape[0] - 2, image.shape[1] - 2
        down = np.empty((rows, columns + 2), image.dtype)
        for i in prange(rows):
            for j in range(columns + 2):
                down[i, j] = 0.25 * image[i, j] + 0.5 * image[i + 1, j] + 0.25 * image[i + 2, j]
        image = np.empty((rows, columns), down.dtype)
        for i in prange(rows):
            for j in range(columns):
                image[i, j] = 0.25 * down[i, j] + 0.5 * down[i, j + 1] + 0.25 * down[i, j + 2]
    return image


def cross_entropy(logits, targets):
    """The mean of -log softmax(logits) at the targets, which are given as weights."""
    top = np.max(logits, axis=1, keepdims=True)
    logs = logits - top - np.log(np.sum(np.exp(logits - top), axis=1, keepdims=True))
    return -np.sum(logs * targets) / logits.shape[0]


def cross_entropy_loop(logits, targets):
    total = logits[0, 0] * 0.0
    for i in prange(logits.shape[0]):
        top = logits[i, 0]
        for j in range(1, logits.shape[1]):
            top = max(top, logits[i, j])
        total_of_row = logits[i, 0] * 0.0
        for j in range(logits.shape[1]):
            total_of_row += np.exp(logits[i, j] - top)
        shift = top + np.log(total_of_row)
        row = logits[i, 0] * 0.0
        for j in range(logits.shape[1]):
            row += (logits[i, j] - shift) * targets[i, j]
        total += row
    return -total / logits.shape[0]


def _normal(generator, dtype, *shape):
    return generator.normal(size=shape).astype(dtype)


def _few_coordinates(elements: int, dtype: np.dtype, generator: np.random.Generator) -> tuple:
    side = int(elements**0.5)
    return _normal(generator, dtype, side, 3), _normal(generator, dtype, side, 3)


def _many_coordinates(elements: int, dtype: np.dtype, generator: np.random.Generator) -> tuple:
    side = int(elements**0.5)
    return _normal(generator, dtype, side, FEATURES), _normal(generator, dtype, side, FEATURES)


def _clusters(elements: int, dtype: np.dtype, generator: np.random.Generator) -> tuple:
    points = _normal(generator, dtype, elements // 8, 8)
    return points, points[:CLUSTERS].copy()


def _bodies(elements: int, dtype: np.dtype, generator: np.random.Generator) -> tuple:
    count = int(elements**0.5)
    return _normal(generator, dtype, count, 3), generator.uniform(1.0, 2.0, count).astype(dtype)


def _labelled(elements: int, dtype: np.dtype, generator: np.random.Generator) -> tuple:
    x = _normal(generator, dtype, elements // FEATURES, FEATURES)
    labels = generator.integers(0, 2, x.shape[0]).astype(dtype)
    return x, labels, _normal(generator, dtype, FEATURES)


def _table(elements: int, dtype: np.dtype, generator: np.random.Generator) -> tuple:
    return (_normal(generator, dtype, elements // FEATURES, FEATURES),)


def _image(elements: int, dtype: np.dtype, generator: np.random.Generator) -> tuple:
    side = int(elements**0.5)
    return (generator.uniform(size=(side, side)).astype(dtype),)


def _scores(elements: int, dtype: np.dtype, generator: np.random.Generator) -> tuple:
    logits = _normal(generator, dtype, elements // 512, 512)
    targets = generator.dirichlet(np.ones(512), logits.shape[0]).astype(dtype)
    return logits, targets


PROGRAMS = (
    Program("distances by broadcasting", distances, _few_coordinates, distances_loop),
    Program(
        "distances by a product", distances_by_product, _many_coordinates, distances_by_product_loop
    ),
    Program("Gaussian kernel matrix", gaussian_kernel, _many_coordinates, gaussian_kernel_loop),
    Program("k-means step", k_means_step, _clusters, k_means_step_loop),
    Program("gravity of all pairs", gravity, _bodies, gravity_loop),
    Program("logistic regression step", regression_step, _labelled, regression_step_loop),
    Program("standardise columns", standardise, _table, standardise_loop),
    Program("Sobel edges", edges, _image, edges_loop),
    Program("blur twice", blur_twice, _image, blur_twice_loop),
    Program("cross entropy of rows", cross_entropy, _scores, cross_entropy_loop),
)


def cases(settings: Settings) -> Iterator[Case]:
    """Every program at every size and dtype."""
    return array_cases("programs", PROGRAMS, settings)
