"""Draws the results: images with Pillow, charts with matplotlib."""

import pathlib

import numpy as np
from matplotlib.figure import Figure
from PIL import Image


def image(path: pathlib.Path, pixels: np.ndarray) -> None:
    """An RGB image, uint8[rows, columns, 3]."""
    Image.fromarray(pixels).save(path)


def shades(path: pathlib.Path, values: np.ndarray) -> None:
    """Any matrix in grey, stretched from black to white."""
    low, high = float(np.min(values)), float(np.max(values))
    scaled = (values - low) / ((high - low) or 1.0)
    Image.fromarray((scaled * 255).astype(np.uint8)).save(path)


def directions(path: pathlib.Path, strength: np.ndarray, angle: np.ndarray) -> None:
    """Edges: the hue is their direction, the brightness their strength."""
    hue = ((angle / (2 * np.pi) + 0.5) * 255).astype(np.uint8)
    bright = (np.sqrt(strength) * 255).astype(np.uint8)
    planes = np.stack([hue, np.full_like(hue, 200), bright], axis=-1)
    Image.fromarray(planes, mode="HSV").convert("RGB").save(path)


def posterised(shape: tuple, path: pathlib.Path, centres: np.ndarray, labels: np.ndarray) -> None:
    """Every pixel in the colour of its centre."""
    image(path, (np.clip(centres, 0, 1)[labels] * 255).astype(np.uint8).reshape(shape))


def histogram(path: pathlib.Path, moments: np.ndarray, counts: np.ndarray) -> None:
    """The histogram, with the moments in its title."""
    figure = Figure(figsize=(7, 3.5), layout="constrained")
    axes = figure.add_subplot()
    axes.bar(range(len(counts)), counts, width=0.9)
    mean, spread, skewness, _, _, entropy = moments
    axes.set_title(
        f"mean {mean:.3f}, spread {spread:.3f}, skewness {skewness:.2f}, entropy {entropy:.2f} bits"
    )
    axes.set_xlabel("grey level")
    figure.savefig(path, dpi=110)


def lines(years: np.ndarray, path: pathlib.Path, *values: np.ndarray) -> None:
    """One panel for each series; those as long as the record, or nearly, are drawn over the years."""
    figure = Figure(figsize=(7, 1.6 * len(values)), layout="constrained")
    for axes, series in zip(figure.subplots(len(values), 1, squeeze=False).flat, values):
        if len(series) > len(years) // 2:
            start = (len(years) - len(series)) // 2
            axes.plot(years[start : start + len(series)], series, linewidth=0.8)
        else:
            axes.plot(series)
    figure.savefig(path, dpi=110)


def spectrum(frequencies: np.ndarray, path: pathlib.Path, power: np.ndarray) -> None:
    """Power over frequency, on a logarithmic scale."""
    figure = Figure(figsize=(7, 3.5), layout="constrained")
    axes = figure.add_subplot()
    axes.semilogy(frequencies, power, linewidth=0.9)
    axes.set_xlabel("cycles a year")
    figure.savefig(path, dpi=110)


def surface(path: pathlib.Path, *values: np.ndarray) -> None:
    """Matrices side by side, as coloured maps."""
    figure = Figure(figsize=(3.4 * len(values), 3), layout="constrained")
    for axes, matrix in zip(figure.subplots(1, len(values), squeeze=False).flat, values):
        figure.colorbar(axes.imshow(matrix, origin="lower", cmap="viridis"))
        axes.set_axis_off()
    figure.savefig(path, dpi=110)
