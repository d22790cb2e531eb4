"""Partial differential equations that start from a photograph."""

import numpy as np


def diffuse(image):
    """Ten steps of edge-preserving diffusion; Perona and Malik, PAMI 1990."""
    for _ in range(10):
        p = np.pad(image, 1, mode="edge")
        north, south = p[:-2, 1:-1] - image, p[2:, 1:-1] - image
        west, east = p[1:-1, :-2] - image, p[1:-1, 2:] - image
        flow = sum(d * np.exp(-((d / 0.08) ** 2)) for d in (north, south, west, east))
        image = image + 0.2 * flow
    return image


def wave_step(now, before):
    """One step of the wave equation with fixed edges and a little friction; returns the new two states."""
    inner = now[1:-1, 1:-1]
    neighbours = now[:-2, 1:-1] + now[2:, 1:-1] + now[1:-1, :-2] + now[1:-1, 2:]
    following = 1.996 * inner - 0.996 * before[1:-1, 1:-1] + 0.2 * (neighbours - 4 * inner)
    return np.pad(following, 1), now


def ripple(step, image, steps=200):
    """The photograph, released from rest, after `steps` steps; `step` is `wave_step` or its compiled form."""
    now = before = image
    for _ in range(steps):
        now, before = step(now, before)
    return now
