"""Soft k-means: the palette of a photograph."""

import numpy as np


def squared_distances(points, centres):
    lengths = np.sum(points**2, axis=1)[:, np.newaxis] + np.sum(centres**2, axis=1)
    return lengths - 2 * (points @ centres.T)


def palette(points, centres):
    """Six rounds of soft k-means, then the nearest centre of every point; MacKay 2003, chapter 20."""
    for _ in range(6):
        score = -200 * squared_distances(points, centres)
        weight = np.exp(score - np.max(score, axis=1, keepdims=True))
        weight = weight / np.sum(weight, axis=1, keepdims=True)
        centres = (weight.T @ points) / (np.sum(weight, axis=0)[:, np.newaxis] + 1e-6)
    return centres, np.argmin(squared_distances(points, centres), axis=1)
