"""Sums of products over named axes: what `einsum`, `dot`, `matmul` and kin all come down to.

Factors are nodes with one label per axis. Two factors meet in one `contract` node, or in a
multiplication when no label is summed, which fuses with what stands around it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import combinations
from math import prod
from string import ascii_letters
from typing import Any, NamedTuple

import numpy as np

from ...errors import UnsupportedError
from ...ir import ops
from ...ir.dims import Dim, plain
from ...ir.refusal import PRODUCT
from ..application import apply
from ..array import Array, wrap
from ..broadcasting import is_one, is_told_by_data, narrowed
from ..context import failure
from ..extents import agreed
from ..promotion import cast, computed
from ..value import node_of
from .building import permuted, reduced, reshaped, spread
from .diagonals import diagonal_of

Labels = tuple[Any, ...]
# How large a symbolic extent is taken to be when paths are compared.
_TYPICAL_EXTENT = 256


class Factor(NamedTuple):
    """An array whose axes carry labels."""

    value: Array
    labels: Labels


def agreeing(x: Array, first: int, y: Array, second: int) -> tuple[Array, Array]:
    """Both, where the program is to find that an axis of one has the extent of one of the other."""
    pair = plain(x.shape[first]), plain(y.shape[second])
    if pair[0] == pair[1] or not any(map(is_told_by_data, pair)):
        return x, y
    extent = agreed(pair, PRODUCT)
    return _cut(x, first, extent), _cut(y, second, extent)


def _cut(x: Array, axis: int, extent: Any) -> Array:
    node = node_of(x)
    shape = list(node.type.shape)
    shape[axis] = extent
    return wrap(narrowed(node, tuple(shape)))


def contraction(factors: Sequence[Factor], result: Labels) -> Array:
    """The sum over all labels not in `result` of the product of `factors`, in their one dtype.

    Equal labels have equal extents, or an extent of 1, which stretches. More than two factors are
    multiplied pair by pair, the pair whose product shrinks the most first (the greedy path of
    opt_einsum).
    """
    stored = node_of(factors[0].value).type.dtype
    factors = [Factor(wrap(computed(node_of(value))), labels) for value, labels in factors]
    extents = _extents(factors)
    pending = [_without_repeats(factor) for factor in factors]
    pending = [_without_ones(factor, extents) for factor in pending]
    while True:
        uses = Counter(label for factor in pending for label in factor.labels)
        pending = [_summed_alone(factor, uses, result) for factor in pending]
        if len(pending) == 1:
            break
        left, right = _best_pair(pending, result, extents)
        rest = [factor for k, factor in enumerate(pending) if k not in (left, right)]
        wanted = {*result, *(label for factor in rest for label in factor.labels)}
        pending = [*rest, _product(pending[left], pending[right], wanted, result)]
    return wrap(cast(node_of(_arranged(pending[0], result, extents)), stored))


def _extents(factors: Sequence[Factor]) -> dict[Any, int | Dim]:
    extents: dict[Any, int | Dim] = {}
    for value, labels in factors:
        for label, extent in zip(labels, value.shape):
            if is_one(extents.setdefault(label, extent)):
                extents[label] = extent
    return extents


def _without_repeats(factor: Factor) -> Factor:
    """Take the diagonal of axes with the same label."""
    value, labels = factor
    while len(set(labels)) < len(labels):
        label = next(label for label, times in Counter(labels).items() if times > 1)
        first = labels.index(label)
        second = labels.index(label, first + 1)
        extents = (value.shape[first], value.shape[second])
        if extents[0] != extents[1]:  # the extent of 1 stretches along the other
            narrow = first if is_one(extents[0]) else second
            value = reshaped(value, value.shape[:narrow] + value.shape[narrow + 1 :])
            labels = labels[:narrow] + labels[narrow + 1 :]
            continue
        value = diagonal_of(value, first, second)
        labels = (*[item for k, item in enumerate(labels) if k not in (first, second)], label)
    return Factor(value, labels)


def _without_ones(factor: Factor, extents: dict) -> Factor:
    """Drop axes of extent 1: they stretch along whatever the others have there."""
    value, labels = factor
    kept = [k for k, extent in enumerate(value.shape) if not is_one(extent)]
    if len(kept) == len(labels):
        return factor
    shape = tuple(value.shape[k] for k in kept)
    return Factor(reshaped(value, shape), tuple(labels[k] for k in kept))


def _summed_alone(factor: Factor, uses: Counter, result: Labels) -> Factor:
    """Sum over labels that no other factor and no result has."""
    value, labels = factor
    alone = tuple(k for k, label in enumerate(labels) if uses[label] == 1 and label not in result)
    if not alone:
        return factor
    op = ops.any_ if value.dtype == bool else ops.sum_
    kept = tuple(label for k, label in enumerate(labels) if k not in alone)
    return Factor(reduced(op, value, alone), kept)


def _best_pair(factors: list[Factor], result: Labels, extents: dict) -> tuple[int, int]:
    if len(factors) == 2:
        return 0, 1

    def size(labels: Any) -> int:
        known = (extents[label] for label in labels)
        return prod(n if type(n) is int else _TYPICAL_EXTENT for n in known)

    def price(pair: tuple[int, int]) -> tuple[int, int]:
        left, right = (set(factors[k].labels) for k in pair)
        others = set(result).union(*[f.labels for k, f in enumerate(factors) if k not in pair])
        outcome = (left | right) & others
        return size(outcome) - size(left) - size(right), size(left | right)

    return min(combinations(range(len(factors)), 2), key=price)


def _product(left: Factor, right: Factor, wanted: set, result: Labels) -> Factor:
    """Two factors as one, summed over the labels both have and nobody wants."""
    both = [label for label in left.labels if label in right.labels]
    order = {label: k for k, label in enumerate(result)}
    present = dict.fromkeys((*left.labels, *right.labels))
    kept = tuple(label for label in present if label in wanted)
    if set(kept) <= set(order):
        kept = tuple(sorted(kept, key=order.__getitem__))
    if all(label in wanted for label in both):
        shape_of = dict(zip(left.labels, left.value.shape))
        shape_of.update(zip(right.labels, right.value.shape))
        shape = tuple(shape_of[label] for label in kept)
        sides = [_placed(factor, kept, shape) for factor in (left, right)]
        return Factor(apply(np.multiply, *sides), kept)
    if len(present) > len(ascii_letters):
        raise failure(UnsupportedError, f"a product with {len(present)} distinct axes")
    letters = dict(zip(present, ascii_letters))
    parts = ["".join(letters[label] for label in f) for f in (left.labels, right.labels, kept)]
    spec = f"{parts[0]},{parts[1]}->{parts[2]}"
    return Factor(wrap(ops.contract(node_of(left.value), node_of(right.value), spec=spec)), kept)


def _placed(factor: Factor, labels: Labels, shape: tuple) -> Array:
    """The factor's axes in the order of `labels`, repeated along those it has not."""
    order = sorted(range(len(factor.labels)), key=lambda k: labels.index(factor.labels[k]))
    value = permuted(factor.value, tuple(order))
    return spread(value, shape, tuple(labels.index(factor.labels[k]) for k in order))


def _arranged(factor: Factor, result: Labels, extents: dict) -> Array:
    """Axes in the order of `result`; those dropped for their extent of 1 come back."""
    shape = tuple(extents[label] for label in result)
    if factor.labels == result:
        return wrap(node_of(factor.value))
    return _placed(factor, result, shape)
