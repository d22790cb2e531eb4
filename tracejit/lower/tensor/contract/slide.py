"""Windows that slide over a factor: what neighbouring results share is in a register while it is multiplied.

A result has, of the factor, the elements at `step * place + dilation * tap` along an axis, so that an element
is for several results, each with a weight of its own. Element by element, all of these take it at once:
it is loaded once, and of the results only those are in registers that its neighbours are for as well.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import gcd
from typing import NamedTuple

from ....ir import expressions, tensor
from ....ir.affine import linear
from ....ir.expressions import integer
from ....ir.tensor import Accumulate, Buffer, Expression, For, Index, Load
from .problem import Body, Operand, Problem


class Stretch(NamedTuple):
    """Neighbours along a label that are computed together: `first + place`, where `place` is below `count`."""

    label: str
    place: Index
    first: Expression
    count: int


class Slide(NamedTuple):
    """How windows move along a label of the result: over which factor, and the label of places in them."""

    is_left: bool
    tap: str
    step: int
    dilation: int


def slides_of(problem: Problem) -> dict[str, Slide]:
    """The labels along which windows overlap, as far as elements are at a sum of two indices."""
    found = {}
    for label in problem.result:
        owners = [f for f in (problem.left, problem.right) if label in f.labels]
        if len(owners) == 1 and isinstance(owners[0].plain, Load):
            slide = _slide(problem, owners[0], owners[0].plain, label)
            if slide is not None:
                found[label] = slide
    return found


def _slide(problem: Problem, factor: Operand, plain: Load, label: str) -> Slide | None:
    axes = [linear(place)[0] for place in plain.indices]
    own = [atoms for atoms in axes if Index(label) in atoms]
    if len(own) != 1 or len(own[0]) != 2:
        return None
    step = own[0].pop(Index(label))
    ((atom, dilation),) = own[0].items()
    tap = atom.name if isinstance(atom, Index) else ""
    if tap not in problem.extents or tap in problem.result or min(step, dilation) < 1:
        return None
    if any(atom in atoms for atoms in axes if atoms is not own[0]):
        return None
    unit = gcd(step, dilation)
    step, dilation = step // unit, dilation // unit
    return Slide(factor is problem.left, tap, step, dilation) if 1 in (step, dilation) else None


def add_products(
    problem: Problem,
    sums: Buffer,
    tile: tuple[Stretch, ...],
    places: dict[str, Expression],
    sliding: list[tuple[Stretch, Slide]],
) -> Body:
    """Add the products of a tile to its sums; where it is `sliding`, the first outermost, element by element."""

    moving = [stretch for stretch, _ in sliding]

    def products(rest: list, at: dict, factors: tuple[dict, dict]) -> Body:
        if not rest:
            left, right = problem.left.at(factors[0]), problem.right.at(factors[1])
            total = Load(sums, tuple([at[stretch.label] for stretch in tile]))
            body: Body = (Accumulate(total, problem.combine, problem.product(left, right)),)
            return unrolled([stretch for stretch in tile if stretch not in moving], body)
        (stretch, slide), *inner = rest
        found: Body = ()
        for one in _elements(problem, stretch, slide):
            here = {**at, stretch.label: one.place}
            own = {stretch.label: one.base, slide.tap: one.offset}
            other = {slide.tap: one.tap}
            changes = (own, other) if slide.is_left else (other, own)
            both = tuple([{**a, **b} for a, b in zip(factors, changes)])
            body = products(inner, here, both)
            if isinstance(one.index, Index):
                first, stop = integer(one.first), integer(one.last + 1)
                body = (For(one.index, first, stop, body, "unroll", 1),)
            found += body
        return found

    return products(sliding, {s.label: s.place for s in tile}, (places, places))


def unrolled(stretches: Iterable[Stretch], body: Body) -> Body:
    """`body` for all of these neighbours, in line."""
    for stretch in reversed([*stretches]):
        body = (For(stretch.place, tensor.ZERO, integer(stretch.count), body, "unroll", 1),)
    return body


class _Element(NamedTuple):
    """An element, at `base` and `offset` of a window, and for which of the results it is: those at `place`, each
    with the weight at `tap`, while `index` goes from the `first` to the `last`; if these are one, it is that."""

    base: Expression
    offset: Expression
    index: Expression
    first: int
    last: int
    place: Expression
    tap: Expression


def _elements(problem: Problem, stretch: Stretch, slide: Slide) -> Iterable[_Element]:
    """All elements that the windows of a stretch have, in order."""
    taps, count, (_, tap, step, dilation) = problem.extents[slide.tap], stretch.count, slide
    by_tap = step == 1  # else each tap is that of one place
    for number in range(step * (count - 1) + dilation * (taps - 1) + 1):
        index, stride = (problem.index(tap), dilation) if by_tap else (stretch.place, step)
        last, most = (taps - 1, count - 1) if by_tap else (count - 1, taps - 1)
        first, last = max(0, -(-(number - most) // stride)), min(last, number // stride)
        if first > last:
            continue
        if first == last:
            index = integer(first)
        other = expressions.subtract(integer(number), expressions.multiply(index, integer(stride)))
        if by_tap:
            base = expressions.add(stretch.first, integer(number))
            yield _Element(base, tensor.ZERO, index, first, last, other, index)
        else:
            yield _Element(stretch.first, integer(number), index, first, last, index, other)
