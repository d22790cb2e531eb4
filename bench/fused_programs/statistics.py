"""Statistics of columns and of rows."""

import numpy as np

from .record import FusedProgram


def table(draw, n):
    return (draw.normal(n // 64, 64, dtype="f8"),)


def zscore(x):
    return (x - x.mean(axis=0)) / x.std(axis=0)


def zscore_rows(x):
    return (x - x.mean(axis=1, keepdims=True)) / x.std(axis=1, ddof=1, keepdims=True)


def moments(x):
    d = x - x.mean()
    m2 = (d**2).mean()
    return (d**3).mean() / m2**1.5, (d**4).mean() / m2**2 - 3


def weighted_moments(x, w):
    total = w.sum()
    mean = (w * x).sum() / total
    variance = (w * (x - mean) ** 2).sum() / total
    return mean, variance, (w * (x - mean) ** 3).sum() / total / variance**1.5


def correlation(x):
    return np.corrcoef(x, rowvar=False)


def covariance(x):
    return np.cov(x, rowvar=False)


def pearson(x, y):
    dx, dy = x - x.mean(), y - y.mean()
    return (dx * dy).sum() / np.sqrt((dx * dx).sum() * (dy * dy).sum())


def histogram_of_radii(x, y):
    r = np.sqrt(x * x + y * y)
    return np.bincount(np.minimum((r * 16).astype(np.int64), 63), minlength=64)


def histogram_of_logs(x):
    return np.histogram(np.log1p(np.abs(x)), bins=32, range=(0.0, 4.0))[0]


def quantile_normal(x):
    order = np.argsort(x, axis=0)
    ranks = np.argsort(order, axis=0)
    mean = np.sort(x, axis=0).mean(axis=1)
    return mean[ranks]


def min_max(x):
    low, high = x.min(axis=0), x.max(axis=0)
    return (x - low) / (high - low)


def winsorised(x):
    mean, deviation = x.mean(axis=0), x.std(axis=0)
    return np.clip(x, mean - 2 * deviation, mean + 2 * deviation).mean(axis=0)


def regression(x, y):
    dx, dy = x - x.mean(), y - y.mean()
    slope = (dx * dy).sum() / (dx * dx).sum()
    intercept = y.mean() - slope * x.mean()
    rest = y - slope * x - intercept
    return slope, intercept, 1 - (rest * rest).sum() / (dy * dy).sum()


def group_means(x, groups):
    total = np.bincount(groups, weights=x, minlength=50)
    return total / np.bincount(groups, minlength=50)


def nan_means(x):
    good = ~np.isnan(x)
    return np.where(good, x, 0.0).sum(axis=0) / good.sum(axis=0)


def mahalanobis(x, inverse):
    d = x - x.mean(axis=0)
    return np.sqrt(((d @ inverse) * d).sum(axis=1))


def holes(draw, n):
    (x,) = table(draw, n)
    x[::7, ::5] = np.nan
    return (x,)


def pair(draw, n):
    return draw.normal(n, dtype="f8"), draw.uniform(n, dtype="f8")


def of_groups(draw, n):
    return draw.normal(n, dtype="f8"), draw.integers(50, n)


def metric(draw, n):
    (x,) = table(draw, n)
    return x, np.eye(64) + 0.01


MEAN = "the mean of all is known before the next sweep"
PROGRAMS = [
    FusedProgram("z-scores of columns", zscore, table, tolerance=1e-10),
    FusedProgram("z-scores of rows", zscore_rows, table, tolerance=1e-10),
    FusedProgram("skewness and kurtosis", moments, lambda d, n: (d.normal(n),), 1, MEAN, 1e-4),
    FusedProgram("weighted moments", weighted_moments, pair, 1, MEAN, 1e-10),
    FusedProgram("corrcoef", correlation, table, 5, "a product", 1e-10),
    FusedProgram("cov", covariance, table, 3, "a product", 1e-10),
    FusedProgram("Pearson", pearson, pair, 1, MEAN, 1e-10),
    FusedProgram("histogram of radii", histogram_of_radii, pair, kernels=4, tolerance=0),
    FusedProgram("histogram of logarithms", histogram_of_logs, lambda d, n: (d.normal(n),), 3),
    FusedProgram("quantile normalisation", quantile_normal, table, 12, "sorts", 1e-10),
    FusedProgram("min-max scaling", min_max, table, tolerance=1e-10),
    FusedProgram("winsorised means", winsorised, table, 2, MEAN, 1e-10),
    FusedProgram("linear regression", regression, pair, 1, MEAN, 1e-8),
    FusedProgram("means of groups", group_means, of_groups, 4, tolerance=1e-10),
    FusedProgram("means without nan", nan_means, holes, tolerance=1e-10),
    FusedProgram("Mahalanobis distances", mahalanobis, metric, 3, MEAN, 1e-10),
]
