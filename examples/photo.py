"""A darkroom: tone mapping, sharpening, edges and statistics of a photograph."""

import numpy as np


def tone_map(photo):
    """Photographic tone reproduction; Reinhard et al., SIGGRAPH 2002, equation 4."""
    light = (photo.astype(np.float32) / 255) ** 2.2
    luminance = light @ np.array([0.2126, 0.7152, 0.0722], np.float32)
    average = np.exp(np.mean(np.log(luminance + 1e-3)))
    scaled = 0.36 / average * luminance
    white = np.max(scaled)
    mapped = scaled * (1 + scaled / white**2) / (1 + scaled)
    colour = light * (mapped / (luminance + 1e-3))[:, :, np.newaxis]
    return (np.clip(colour, 0, 1) ** (1 / 2.2) * 255 + 0.5).astype(np.uint8)


def blur(image):
    """A 5 x 5 binomial filter, one axis after the other."""
    rows, columns = image.shape[:2]
    p = np.pad(image, ((2, 2), (0, 0), (0, 0)), mode="edge")
    p = (p[:rows] + 4 * p[1 : rows + 1] + 6 * p[2 : rows + 2] + 4 * p[3 : rows + 3] + p[4:]) / 16
    p = np.pad(p, ((0, 0), (2, 2), (0, 0)), mode="edge")
    left = p[:, :columns] + 4 * p[:, 1 : columns + 1]
    right = 4 * p[:, 3 : columns + 3] + p[:, 4:]
    return (left + 6 * p[:, 2 : columns + 2] + right) / 16


def unsharp_mask(photo):
    """Adds back what a blur takes away, where it is more than noise."""
    image = photo.astype(np.float32)
    detail = image - blur(image)
    strong = np.where(np.abs(detail) > 2, detail, 0)
    return np.clip(image + 1.5 * strong, 0, 255).astype(np.uint8)


def sobel(grey):
    """Edge strength and direction."""
    p = np.pad(grey, 1, mode="reflect")
    across = p[:-2, 2:] + 2 * p[1:-1, 2:] + p[2:, 2:] - p[:-2, :-2] - 2 * p[1:-1, :-2] - p[2:, :-2]
    down = p[2:, :-2] + 2 * p[2:, 1:-1] + p[2:, 2:] - p[:-2, :-2] - 2 * p[:-2, 1:-1] - p[:-2, 2:]
    strength = np.hypot(across, down)
    return strength / np.max(strength), np.arctan2(down, across)


def statistics(grey):
    """Moments, and the entropy of a histogram of 32 levels."""
    mean, spread = np.mean(grey), np.std(grey)
    skewness = np.mean(((grey - mean) / spread) ** 3)
    levels = np.minimum((grey * 32).astype(np.int32), 31)
    counts = np.sum(levels.reshape(-1, 1) == np.arange(32), axis=0)
    share = counts / grey.size
    entropy = -np.sum(np.where(share > 0, share * np.log2(np.maximum(share, 1e-12)), 0))
    return np.array([mean, spread, skewness, np.min(grey), np.max(grey), entropy]), counts
