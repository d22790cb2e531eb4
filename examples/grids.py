"""Formulas on grids: option prices and a fractal."""

import numpy as np


def normal_cdf(x):
    """The normal distribution; Abramowitz and Stegun 26.2.17, absolute error below 7.5e-8."""
    t = 1 / (1 + 0.2316419 * np.abs(x))
    series = 1.781477937 + t * (-1.821255978 + t * 1.330274429)
    series = t * (0.319381530 + t * (-0.356563782 + t * series))
    tail = np.exp(-0.5 * x**2) / np.sqrt(2 * np.pi) * series
    return np.where(x >= 0, 1 - tail, tail)


def black_scholes(spot, volatility, strike=100.0, rate=0.03, years=1.0):
    """Price, delta and vega of a European call for every pair of spot price and volatility."""
    s, v = spot[:, np.newaxis], volatility[np.newaxis, :]
    d1 = (np.log(s / strike) + (rate + 0.5 * v**2) * years) / (v * np.sqrt(years))
    d2 = d1 - v * np.sqrt(years)
    price = s * normal_cdf(d1) - strike * np.exp(-rate * years) * normal_cdf(d2)
    density = np.exp(-0.5 * d1**2) / np.sqrt(2 * np.pi)
    return price, normal_cdf(d1), s * density * np.sqrt(years)


def mandelbrot(real, imaginary):
    """How many of 40 steps of z -> z² + c each point of a grid stays within radius 2."""
    x, y = np.zeros_like(real), np.zeros_like(imaginary)
    steps = np.zeros(real.shape, np.int32)
    for _ in range(40):
        inside = x * x + y * y <= 4
        following = x * x - y * y + real
        # A point that has left stays where it is: nothing overflows.
        y = np.where(inside, 2 * x * y + imaginary, y)
        x = np.where(inside, following, x)
        steps = steps + inside
    return steps
