"""The lines of a padded picture that a chunk of a product reads, in memory of its thread.

Windows on neighbouring lines overlap, so lines near the border of a chunk are padded for both of its
neighbours; that is little work, and it saves a pass over the whole picture.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import prod

from ....ir import expressions
from ....ir.affine import linear
from ....ir.expressions import integer, replace_expressions
from ....ir.tensor import Allocate, Buffer, Expression, Index, Load, parts
from ....ir.term import postorder
from ....ir.types import array_type
from ...elements import Position
from .machine import Machine
from .padded import Body, Padded, Part, known_size, written
from .problem import Problem

MOST_REPEATED = 2.0  # lines that are copied, for each there is


def lines_for(
    problem: Problem,
    label: str,
    first: Expression,
    most: int,
    fixed: str,
    machine: Machine,
) -> tuple[Problem, Body]:
    """The problem with its padded factor in memory of its own, for `most` indices of `label` from `first`
    on, each of the labels `fixed` being at its index; and what writes that memory.

    The problem as it is, and nothing to do, where the factor is not padded, or its lines do not fit.
    """
    padded = next(iter(problem.padded), None)
    places = padded and places_in(problem, padded)
    if not places:
        return problem, ()
    part = [_stretch(problem, i, label, first, most, fixed) for i in places]
    if None in part:
        return problem, ()
    sizes = [stretch.extent for stretch in part]
    copied = -(-problem.extents[label] // most) * prod(sizes)
    shape = padded.node.type.shape
    apart = known_size(n for n, size in zip(shape, sizes) if size == 1)
    if copied * apart > MOST_REPEATED * known_size(shape):
        return problem, ()
    if prod(sizes) * padded.node.type.dtype.itemsize > machine.near_bytes:
        return problem, ()
    lines = Buffer("lines", array_type(sizes, padded.node.type.dtype), "local")

    def moved(at: Position) -> Load:
        return Load(lines, tuple([expressions.subtract(i, s.start) for i, s in zip(at, part)]))

    body = (Allocate(lines), *written(padded, lines, part, machine.lanes(problem)))
    return reading(problem, padded, moved), body


def places_in(problem: Problem, padded: Padded) -> Position | None:
    """Where in what is padded the factor that reads it is, each label being at the Index of its name."""
    for factor in (problem.left, problem.right):
        if isinstance(factor.plain, Load) and factor.plain.buffer is padded.buffer:
            return factor.plain.indices
    return None


def reading(problem: Problem, padded: Padded, element: Callable[[Position], Expression]) -> Problem:
    """The problem with another way to read what is padded."""

    def changed(value: Expression) -> Expression:
        loads = [e for e in postorder((value,), parts) if isinstance(e, Load)]
        new = {e: element(e.indices) for e in loads if e.buffer is padded.buffer}
        return replace_expressions((value,), new)[value]

    left, right = problem.left.changed(changed), problem.right.changed(changed)
    return replace(problem, left=left, right=right)


def _stretch(
    problem: Problem, place: Expression, label: str, first: Expression, most: int, fixed: str
) -> Part | None:
    """What of an axis is read; None where it is not between ends that are known."""
    atoms, constant = linear(place)
    start, extent = integer(constant), 1
    for atom, scale in atoms.items():
        name = atom.name if isinstance(atom, Index) else ""
        if name not in problem.extents or scale < 0:
            return None
        if name in fixed:
            start = expressions.add(
                start, expressions.multiply(problem.index(name), integer(scale))
            )
        elif name == label:
            start = expressions.add(start, expressions.multiply(first, integer(scale)))
            extent += scale * (most - 1)
        elif isinstance(problem.extents[name], int):
            extent += scale * (problem.extents[name] - 1)
        else:
            return None
    return Part(start, extent)


def inner_ranges(problem: Problem, padded: Padded) -> dict[str, tuple[int, int]] | None:
    """For each label of the result that moves towards a border: from where to where no border is read.

    None where the factor is not read at windows that move with one label along each axis.
    """
    found: dict[str, tuple[int, int]] = {}
    for axis, place in enumerate(places_in(problem, padded) or ()):
        first, behind = padded.inside(axis)
        if (first, behind) == (0, padded.node.type.shape[axis]):
            continue
        atoms, low = linear(place)
        high, moving = low, []
        for atom, scale in atoms.items():
            name = atom.name if isinstance(atom, Index) else ""
            if name in problem.result or name not in problem.extents:
                moving.append((name, scale))
                continue
            ends = 0, scale * (problem.extents[name] - 1)
            low, high = low + min(ends), high + max(ends)
        (label, scale), *more = moving or [("", 0)]
        if more or scale <= 0 or label not in problem.extents:
            return None
        start, stop = found.get(label, (0, problem.extents[label]))
        start = min(max(start, -((low - first) // scale)), stop)
        found[label] = start, max(min(stop, (behind - 1 - high) // scale + 1), start)
    return found
