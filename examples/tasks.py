"""What the main job runs: each program with its data, how close it must come to NumPy, and its picture."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from . import grids, learning, load, photo, physics, pictures, series


@dataclass(frozen=True)
class Task:
    """One program on its data.

    `function` is plain NumPy and is what gets compiled. `run`, when there is one, is a driver in plain Python that
    is called with the function, compiled or not, and then the arguments. Results agree when no element is further
    from NumPy's than `tolerance`, as a share of the largest, but for a share `flips` of the elements: an integer or
    a rounded colour may fall on the other side of a boundary. `draw` turns the results into a picture's file.
    """

    name: str
    function: Callable
    arguments: tuple
    tolerance: float
    draw: Callable[..., None]
    flips: float = 0.0
    run: Callable | None = None

    def apply(self, function: Callable) -> Any:
        return self.run(function, *self.arguments) if self.run else function(*self.arguments)


ONE_LEVEL = 1.5 / 255  # a rounded colour may be one off, not two


def all_tasks() -> list[Task]:
    """Every task, with its data loaded; single precision is compared to 1e-5 (more where steps add up), double to 1e-9."""
    picture, grey = load.photograph(), load.grey_photograph()
    years, values = load.carbon_dioxide()
    frequencies = np.linspace(0.1, 5, 1000)
    pixels = picture.reshape(-1, 3).astype(np.float32) / 255
    start = pixels[:: len(pixels) // 12][:12]
    spot, volatility = np.linspace(60, 140, 800), np.linspace(0.05, 0.6, 800)
    real, imaginary = np.meshgrid(np.linspace(-2.1, 0.7, 900), np.linspace(-1.2, 1.2, 772))
    image, shades = pictures.image, pictures.shades
    lines = functools.partial(pictures.lines, years)
    return [
        Task("tone mapping", photo.tone_map, (picture,), ONE_LEVEL, image),
        Task("unsharp mask", photo.unsharp_mask, (picture,), ONE_LEVEL, image),
        Task("Sobel edges", photo.sobel, (grey,), 1e-5, pictures.directions, flips=1e-4),
        Task("image statistics", photo.statistics, (grey,), 1e-5, pictures.histogram),
        Task("Perona-Malik diffusion", physics.diffuse, (grey,), 1e-5, shades),
        Task(
            "wave equation, 200 steps", physics.wave_step, (grey,), 1e-4, shades, run=physics.ripple
        ),
        Task("seasonal decomposition", series.decompose, (values,), 1e-9, lines),
        Task(
            "periodogram",
            series.periodogram,
            (years, values, frequencies),
            1e-9,
            functools.partial(pictures.spectrum, frequencies),
        ),
        Task("rolling statistics", series.rolling, (values,), 1e-9, lines),
        Task(
            "palette by k-means",
            learning.palette,
            (pixels, start),
            1e-3,  # six rounds in single precision: NumPy's own distance from double is 2e-4
            functools.partial(pictures.posterised, picture.shape),
            flips=1e-3,
        ),
        Task("Black-Scholes grid", grids.black_scholes, (spot, volatility), 1e-9, pictures.surface),
        Task("Mandelbrot set", grids.mandelbrot, (real, imaginary), 0.0, shades, flips=1e-4),
    ]
