"""The record of carbon dioxide at Mauna Loa: trend, season, spectrum and rolling statistics."""

import numpy as np


def decompose(values):
    """Classical decomposition: a year's moving average, the mean of each week of the year, and the rest."""
    total = np.cumsum(np.concatenate([np.zeros(1), values]))
    trend = (total[52:] - total[:-52]) / 52
    detrended = values[26 : 26 + trend.size] - trend
    whole = trend.size // 52 * 52
    season = np.mean(detrended[:whole].reshape(-1, 52), axis=0)
    season = season - np.mean(season)
    rest = detrended[:whole].reshape(-1, 52) - season
    return trend, season, rest.ravel()


def periodogram(years, values, frequencies):
    """Power at each frequency (cycles a year) of the series without its quadratic trend."""
    t = 2 * (years - years[0]) / (years[-1] - years[0]) - 1
    # The first three Legendre polynomials, orthogonal on an even grid but for its finite spacing.
    basis = np.stack([np.ones_like(t), t, (3 * t**2 - 1) / 2])
    amounts = (basis @ values) / np.sum(basis**2, axis=1)
    rest = values - amounts @ basis
    window = np.cos(0.5 * np.pi * t) ** 2
    phase = 2 * np.pi * frequencies[:, np.newaxis] * years
    tapered = rest * window
    real = np.sum(tapered * np.cos(phase), axis=1)
    imaginary = np.sum(tapered * np.sin(phase), axis=1)
    return (real**2 + imaginary**2) / np.sum(window) ** 2


def rolling(values):
    """Mean, spread, least and greatest of every thirteen weeks (a quarter of a year)."""
    windows = np.stack([values[lag : values.size - 12 + lag] for lag in range(13)])
    return (
        np.mean(windows, axis=0),
        np.std(windows, axis=0, ddof=1),
        np.min(windows, axis=0),
        np.max(windows, axis=0),
    )
