"""In which order NumPy goes over the elements of arrays, and how results lie in memory (`order="K"`).

NumPy's iterator (numpy/_core/src/multiarray/nditer_constr.c) sorts axes by how far apart their elements
are, with the nearest innermost, and takes axes as one where memory allows it. Reductions add up
along the innermost axis piece by piece and keep all others apart, so rounding depends on this order.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from .dims import Dim, is_never_negative
from .types import row_major

Strides = Sequence[int | Dim]


def iteration_order(shape: Sequence[Any], operands: Sequence[Strides]) -> tuple[int, ...]:
    """The axes, outermost first.

    An insertion sort of the row-major order: two axes change places when an operand that runs along
    both has them the other way round; where operands disagree, the row-major order stays.
    """
    order = list(reversed(range(len(shape))))  # innermost first
    for place in range(1, len(order)):
        axis, target = order[place], place
        for before in reversed(range(place)):
            found = [_is_further(shape, s, order[before], axis) for s in operands]
            decided = [is_further for is_further in found if is_further is not None]
            if not decided:
                continue
            if not all(decided):
                break
            target = before
        order.insert(target, order.pop(place))
    return tuple(reversed(order))


def _is_further(shape: Sequence[Any], strides: Strides, one: int, other: int) -> bool | None:
    """Whether elements along axis `one` are further apart than along `other`; None without both."""
    near, far = [0 if shape[axis] == 1 else strides[axis] for axis in (other, one)]
    if near == 0 or far == 0:
        return None
    return not _is_at_most(_size(far), _size(near))


def _size(stride: int | Dim) -> int | Dim:
    return abs(stride) if isinstance(stride, int) else stride


def _is_at_most(a: int | Dim, b: int | Dim) -> bool:
    """Where it is not known, it is supposed to be so: arrays are mostly row-major."""
    return a <= b if isinstance(a, int) and isinstance(b, int) else not is_never_negative(a - b - 1)


def dense_strides(shape: Sequence[Any], order: Sequence[int]) -> tuple[int | Dim, ...]:
    """The strides of a new array whose memory has the axes in this order, outermost first."""
    strides: list[int | Dim] = [0] * len(order)
    step: int | Dim = 1
    for axis in reversed(order):
        strides[axis] = step
        step = step * shape[axis]
    return tuple(strides)


def reshaped_strides(old: tuple, strides: tuple, new: tuple) -> tuple | None:
    """The strides of a reshape without a copy, where there is one."""
    if strides == row_major(old):
        return row_major(new)
    if any(isinstance(n, Dim) for n in (*old, *new, *strides)):
        kept = kept_axes(old, new)
        if kept is None:
            return None
        places = {k: axis for axis, k in enumerate(kept) if k is not None}
        return tuple([strides[places[k]] if k in places else 1 for k in range(len(new))])
    if 0 in old:
        return row_major(new)
    # Runs of old axes, outermost first, and of new ones that hold as many elements; an axis is left
    # alone or split, several are joined where each steps over the next one.
    axes = [(n, step) for n, step in zip(old, strides) if n != 1]
    found: list[int] = []
    for run in _runs([n for n, _ in axes], new):
        joined, axes = axes[: run.old], axes[run.old :]
        if any(step != n * inner for (_, step), (n, inner) in pairwise(joined)):
            return None
        step = joined[-1][1] if joined else 1
        own: list[int] = []
        for extent in reversed(run.new):
            own.append(step)
            step *= extent
        found += reversed(own)
    return tuple(found)


class _Run(NamedTuple):
    """So many old axes, and the extents of the new ones, that hold as many elements."""

    old: int
    new: tuple[int, ...]


def _runs(old: Sequence[int], new: Sequence[int]) -> Iterator[_Run]:
    """The shortest runs that a reshape makes of each other; new axes of one element are runs of none."""
    position = 0
    pending = list(new)
    while pending:
        extents = [pending.pop(0)]
        if extents == [1]:
            yield _Run(0, (1,))
            continue
        count, taken = extents[0], 1
        size = old[position]
        while size != count:
            if count < size:
                extents.append(pending.pop(0))
                count *= extents[-1]
            else:
                size *= old[position + taken]
                taken += 1
        yield _Run(taken, tuple(extents))
        position += taken


def kept_axes(old: tuple, new: tuple) -> list[int | None] | None:
    """For each old axis the new one it becomes, None for unit axes; None when it is no such reshape."""
    wide = [axis for axis, extent in enumerate(new) if extent != 1]
    if [n for n in old if n != 1] != [new[axis] for axis in wide]:
        return None
    rest = iter(wide)
    return [None if extent == 1 else next(rest) for extent in old]


class Sweep(NamedTuple):
    """How a reduction goes over its operand: `order` of the axes, outermost first, and the extents of
    runs of axes among these that are `reduced` and kept by turns. With `is_one_row` the innermost
    run is one for NumPy as well; otherwise its order depends on how the iterator is buffered."""

    order: tuple[int, ...]
    extents: tuple[Any, ...]
    reduced: tuple[bool, ...]
    is_one_row: bool


def sweep_of(shape: Sequence[Any], strides: Strides, axes: Sequence[int]) -> Sweep:
    """How NumPy reduces `axes` of an array of this shape and these strides."""
    order = iteration_order(shape, (strides,))
    extents: list[Any] = []  # innermost first, as are the others
    reduced: list[bool] = []
    is_one_row, nearest = True, None
    for axis in reversed(order):
        if shape[axis] == 1:
            continue
        if reduced and reduced[-1] == (axis in axes):
            if len(reduced) == 1 and reduced[0]:
                is_one_row &= nearest * extents[0] == strides[axis]
            extents[-1] = extents[-1] * shape[axis]
        else:
            nearest = strides[axis]
            extents.append(shape[axis])
            reduced.append(axis in axes)
    return Sweep(order, tuple(reversed(extents)), tuple(reversed(reduced)), is_one_row)
