"""Reads the data that ships in `examples/data`."""

import functools
import pathlib

import numpy as np
from PIL import Image

DATA = pathlib.Path(__file__).parent / "data"


@functools.cache
def photograph() -> np.ndarray:
    """The astronaut, uint8[512, 512, 3]."""
    with Image.open(DATA / "astronaut.jpg") as image:
        return np.array(image)


@functools.cache
def grey_photograph() -> np.ndarray:
    """The astronaut's luminance from 0 to 1, float32[512, 512]."""
    weights = np.array([0.299, 0.587, 0.114], np.float32)
    return (photograph() / np.float32(255)) @ weights


@functools.cache
def carbon_dioxide() -> tuple[np.ndarray, np.ndarray]:
    """Years as decimal fractions and CO2 in parts per million, 52 to the year; gaps are interpolated."""
    table = np.genfromtxt(DATA / "co2.csv", delimiter=",", skip_header=1)
    values = table[:, 1]
    # A week is not a 52nd of a year: on a grid of weeks the seasons would drift by a day and a quarter a year.
    weekly = 1958 + 87 / 365.25 + np.arange(len(values)) * 7 / 365.25  # the first is 29 March 1958
    known = np.isfinite(values)
    years = np.arange(weekly[0], weekly[-1], 1 / 52)
    return years, np.interp(years, weekly[known], values[known])
