"""Histograms of points: `histogramdd`, `histogram2d`, by the bins of each coordinate."""

from __future__ import annotations

import builtins
from math import prod
from typing import Any

import numpy as np

from ..application import apply
from ..array import Array
from ..host import no_rule
from ..registry import implements
from . import reductions
from .arguments import static_int
from .building import as_array, choose, converted, in_common_dtype, reshaped, taken
from .calculus import diff
from .tables import bin_of, counted, edges_of


@implements(np.histogramdd)
def histogramdd(sample, bins=10, range=None, density=None, weights=None):
    """`np.histogramdd`; the points are rows of an array, or there is a sequence of coordinates."""
    if isinstance(sample, list | tuple):
        columns = [as_array(x) for x in sample]
    else:
        points = as_array(sample)
        if points.ndim != 2:
            raise no_rule("np.histogramdd of such an array")
        columns = [taken(points, 1, k) for k in _indices(points.shape[1])]
    return _joint(columns, bins, range, density, weights)


@implements(np.histogram2d)
def histogram2d(x, y, bins=10, range=None, density=None, weights=None):
    """`np.histogram2d`."""
    columns = [as_array(x), as_array(y)]
    if len(x) != len(y):
        raise ValueError("x and y must have the same length.")
    try:
        count = len(bins)
    except TypeError:
        count = 1
    if count not in (1, 2):
        bins = [bins, bins]
    counts, edges = _joint(columns, bins, range, density, weights)
    return counts, edges[0], edges[1]


def _indices(extent: Any) -> Any:
    return builtins.range(static_int(extent, "a number of coordinates").__index__())


def _joint(columns: list[Array], bins: Any, ranges: Any, density: Any, weights: Any) -> tuple:
    """How many points each bin has, or what they weigh together, and the edges."""
    is_plain = all(x.ndim == 1 and x.dtype.kind in "fiu" for x in columns)
    if not is_plain or any(x.shape != columns[0].shape for x in columns):
        raise no_rule("np.histogramdd of such coordinates")
    columns, count = list(in_common_dtype(*columns)), len(columns)
    try:
        listed = list(bins) if len(bins) == count else None
    except TypeError:
        listed = [bins] * count
    if listed is None:
        raise ValueError("The dimension of bins must be equal to the dimension of the sample x.")
    if ranges is not None and len(ranges) != count:
        raise ValueError("range argument must have one entry per dimension")
    ranges = [None] * count if ranges is None else ranges
    edges = [edges_of(x, own, r) for x, own, r in zip(columns, listed, ranges)]
    sizes = [static_int(e.shape[0], "a number of bins").__index__() - 1 for e in edges]
    total = prod(sizes)
    place: Any = 0
    is_outside: Any = False
    for x, own, n in zip(columns, edges, sizes):
        found = bin_of(x, own, n)
        place = place * n + found
        is_outside = apply(np.logical_or, is_outside, apply(np.equal, found, n))
    if weights is not None:
        weights = converted(as_array(weights), np.float64)
    counts = counted(columns[0], choose(is_outside, total, place), total, weights)
    counts = converted(reshaped(counts, tuple(sizes)), np.float64)
    if density:
        whole = reductions.sum(counts)
        for axis, own in enumerate(edges):
            shape = tuple([-1 if k == axis else 1 for k, _ in enumerate(edges)])
            counts = counts / diff(own).reshape(shape)
        counts = counts / whole
    return counts, edges
