"""Products with little to share: lanes along the results' last label, and a few results of another one.

Of depthwise convolutions, and of many small products side by side, each result has a factor of its
own, so there is no tile of rows and columns. Yet neighbours along a label that one factor lacks use
the same elements of it, and those along which windows slide also share what they overlap (slide.py). A
few of them at a time are kept in registers; a short depth is in line, so that every element is loaded once.
Lanes may read every other element, or every third or fourth: these are shuffled out of whole vectors.
Where windows slide along two labels, these are a few neighbours along each: lines of a picture that lie
far apart then come from the next cache once for two lines of results, not for each of them.
Where one factor is padded, only results near the border ask for each element whether it is inside. Of small
pictures and large windows much is near the border: they are copied with it.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import NamedTuple

from ....ir import expressions, tensor
from ....ir.expressions import integer
from ....ir.tensor import Allocate, Buffer, Expression, For, Index, Load, Store
from ....ir.types import array_type
from ..cost import CLOSE
from ..simplify import simplify_body
from .chunks import CHUNK, WORTHWHILE, chunk_range, chunks_of, even, parallel
from .lines import inner_ranges, lines_for, reading
from .machine import Machine, seconds
from .problem import Body, Group, Problem
from .slide import Slide, Stretch, add_products, slides_of, unrolled
from .tile import power_of_two

ROW, TOP, LINE, TOP_LINE = map(Index, ("row", "top", "line", "top_line"))
MOST_ROWS = 6  # results along one label, of elements that they do not share
MOST_LINES = 2  # along another one as well
MOST_TILE = 8  # of both where the picture itself is read: lines far apart come from the next cache
MOST_IN_LINE = 320  # multiply-adds of a tile that are written out
ASKED = 2.0  # steps for a result, on average, that ask where the border is: it is copied rather
MOST_VECTORS = 4  # of lanes, for which a picture is copied at a time
IN_LINE = 32  # steps of the depth
LONGEST = 128  # depth: beyond it, walking along the lanes' label matters more


def lane_labels(problem: Problem, machine: Machine) -> str:
    """The last label of the result, and that of the groups where there are few results in each: lanes
    are along both then, and some of them read the same element of the left factor."""
    *_, groups, last = [" ", *[label for label in problem.result if label not in problem.single]]
    left, right, lanes = problem.left, problem.right, machine.lanes(problem)
    if problem.parts > 1 or groups not in problem.outer or problem.columns.labels != last:
        return last
    count, each = problem.extents[groups], problem.extents[last]
    if not isinstance(count, int):
        return last
    across = dict(zip(problem.result, problem.out.type.strides))
    if each & (each - 1) or 2 * each > lanes or count * each % lanes:
        return last
    both = all(
        steps.get(groups) == each and steps.get(last) == 1 for steps in (right.strides, across)
    )
    near = left.strides.get(groups, 0)
    is_near = near is not None and 0 < near * (lanes // each - 1) < lanes
    return groups + last if both and is_near else last


def shared_label(problem: Problem, machine: Machine) -> str:
    """The label along which neighbours are computed together; "" where the problem is another kind."""
    labels = [label for label in problem.result if label not in problem.single]
    unknown = [x for x, extent in problem.extents.items() if not isinstance(extent, int)]
    if 0 in problem.extents.values() or not {*unknown} <= {*problem.outer}:
        return ""
    if len(labels) < 2 or labels[-1] in unknown:
        return ""
    along = lane_labels(problem, machine)
    if len(along) == 1 and min(problem.rows.extent, problem.columns.extent) > 1:
        return ""
    if not 1 < problem.depth.extent * problem.repeats <= LONGEST:
        return ""
    last, factors = labels[-1], (problem.left, problem.right)
    strides = dict(zip(problem.result, problem.out.type.strides))
    if strides[last] != 1 or not all(
        f.is_memory and f.strides.get(last, 0) in range(CLOSE + 1) for f in factors
    ):
        return ""
    for label in reversed(labels[: -len(along)]):
        if sum(label in factor.labels for factor in factors) == 1 and label not in unknown:
            return label
    return ""


class Labels(NamedTuple):
    """Of the result: `shared` is walked a few indices at a time, and so are `lines`, if not "", which are
    one of those `around`; along the `last`, one or two, there are lanes. Windows move along those of `slides`."""

    shared: str
    lines: str
    around: tuple[str, ...]
    last: str
    slides: dict[str, Slide]


class Lanes(NamedTuple):
    """The labels that lanes run along as if they were one, from where to where."""

    labels: str
    first: Expression
    end: Expression

    def index(self, problem: Problem) -> Index:
        return problem.index(self.labels[-1])

    def places(self, problem: Problem) -> dict[str, Expression]:
        """Where each label is at the one index."""
        extents = tuple([problem.extents[label] for label in self.labels])
        return Group(self.labels, extents).places(self.index(problem))


def _extent(problem: Problem, labels: str) -> int:
    return prod(problem.extents[label] for label in labels)


def _all(problem: Problem, labels: str) -> Lanes:
    return Lanes(labels, tensor.ZERO, integer(_extent(problem, labels)))


def thin_product(problem: Problem, machine: Machine, shared: str) -> Body:
    """All results, `shared` a few indices at a time; later passes choose threads."""
    last = lane_labels(problem, machine)
    apart = last + shared + problem.single
    around = [x for x in problem.result if x not in apart]
    padded, slides = next(iter(problem.padded), None), slides_of(problem)
    inside = {} if padded is None else inner_ranges(problem, padded)
    if inside is None or {*last} & {*inside}:
        return _by_chunks(problem, machine, Labels(shared, "", tuple(around), last, slides))
    known = [label for label in around if isinstance(problem.extents[label], int)]
    lines = next((label for label in reversed(known) if label in slides), "")
    labels = Labels(shared, lines, tuple(around), last, slides)
    whole = _all(problem, last)
    free = prod((stop - start) / problem.extents[x] for x, (start, stop) in inside.items())
    asked = (1.0 - free) * problem.depth.extent * problem.repeats
    if padded is None:
        return _nest(problem, problem, {}, machine, labels, whole)
    if asked > ASKED:
        still = [label for label in around if label not in inside]
        return _by_vectors(problem, machine, labels, "".join(still))
    inner, outer = (reading(problem, padded, e) for e in (padded.inner, padded.element))
    # Of what is read near the border most is known to be inside, or not, where loops are so short.
    return simplify_body(_nest(inner, outer, inside, machine, labels, whole), {})


def _nest(
    inner: Problem,
    outer: Problem,
    inside: dict[str, tuple[int, int]],
    machine: Machine,
    labels: Labels,
    lanes: Lanes,
    most: int = MOST_TILE,
) -> Body:
    """Results of these lanes, at `most` so many at a time; what is not `inside` reads as `outer` does."""
    shared = labels.shared

    def nest(around: tuple[str, ...], tile: tuple[Stretch, ...], problem: Problem) -> Body:
        """What is inside along all labels before these, or not, as `problem` reads."""
        if not around:
            start, stop = inside.get(shared, (0, problem.extents[shared]))
            return (
                *_rows(outer, machine, labels, lanes, 0, start, tile, most),
                *_rows(problem, machine, labels, lanes, start, stop, tile, most),
                *_rows(outer, machine, labels, lanes, stop, None, tile, most),
            )
        label, *more = around
        if label not in inside and label != labels.lines:
            return problem.loops(label, nest(more, tile, problem))
        start, stop = inside.get(label, (0, problem.extents[label]))
        ends = [(0, start), (stop, problem.extents[label])]
        border: Body = ()
        for end in [end for end in ends if end[0] < end[1]]:
            border += (_loop(problem, label, *end, nest(more, (), outer)),)
        if label != labels.lines:
            return (_loop(problem, label, start, stop, nest(more, tile, problem)), *border)
        body = lambda first, count: nest(more, (Stretch(label, LINE, first, count), *tile), problem)
        return _by_few(start, stop, MOST_LINES, TOP_LINE, body) + border

    return nest(labels.around, (), inner)


def _by_vectors(problem: Problem, machine: Machine, labels: Labels, still: str) -> Body:
    """All results, a few vectors of lanes after the other: what these read is copied with its border.

    So little of a picture stays in the nearest cache while windows slide over it. Along the labels
    `still` nothing slides: there, one picture follows another.
    """
    last, extent = labels.last, _extent(problem, labels.last)
    each = extent // problem.extents[last[0]]  # results of a group, if there are groups
    most = max(MOST_TILE, _most_sums(problem, machine))
    moving = labels._replace(around=tuple([x for x in labels.around if x not in still]))
    for vectors in range(MOST_VECTORS, 0, -1):
        width = vectors * machine.lanes(problem)
        chunks, rest = divmod(extent, width)
        if rest:
            continue
        first, end = chunk_range(extent, chunks)
        group = expressions.floor_divide(first, integer(each))
        own, copied = lines_for(problem, last[0], group, width // each, still, machine)
        if copied:
            few = _nest(own, own, {}, machine, moving, Lanes(last, first, end), most)
            mark = "parallel" if seconds(problem) >= WORTHWHILE else "serial"
            body = problem.loops(still, (*copied, *few))
            return (For(CHUNK, tensor.ZERO, integer(chunks), body, mark, 1),)
    return _nest(problem, problem, {}, machine, labels, _all(problem, last))


def _loop(problem: Problem, label: str, start: int, stop: int, body: Body) -> For:
    return For(problem.index(label), integer(start), integer(stop), body, "serial", 1)


def _by_few(
    start: int, stop: int, most: int, top: Index, body: Callable[[Expression, int], Body]
) -> Body:
    """`body(first, count)` for all indices from `start` to `stop`, at most so many at a time."""
    count = stop - start
    if count <= 0:
        return ()
    tall = min(range(1, min(most, count) + 1), key=lambda r: (-(-count // r), count % r > 0))
    full, rest = divmod(count, tall)
    first = expressions.add(expressions.multiply(top, integer(tall)), integer(start))
    found: Body = (For(top, tensor.ZERO, integer(full), body(first, tall), "serial", 1),)
    return found + body(integer(start + full * tall), rest) if rest else found


def _by_chunks(problem: Problem, machine: Machine, labels: Labels) -> Body:
    """All results; what is padded along the lanes is copied by those who take a few of a label's indices."""
    total, around, last = seconds(problem), labels.around, labels.last
    known = [label for label in around if isinstance(problem.extents[label], int)]
    label = max(known, key=lambda x: problem.extents[x], default="")
    if problem.padded and label and total >= WORTHWHILE:
        count, others = problem.extents[label], "".join([x for x in around if x != label])
        chunks = even(chunks_of(count, total / count), machine.cores, count)
        first, end = chunk_range(count, chunks)
        own, lines = lines_for(problem, label, first, -(-count // chunks), others, machine)
        if lines:
            rows = _rows(own, machine, labels, _all(own, last))
            one = (For(problem.index(label), first, end, rows, "serial", 1),)
            return parallel(chunks, problem.loops(others, (*lines, *one)))
    return problem.loops("".join(around), _rows(problem, machine, labels, _all(problem, last)))


def _rows(
    problem: Problem,
    machine: Machine,
    labels: Labels,
    along: Lanes,
    start: int = 0,
    stop: int | None = None,
    tile: tuple[Stretch, ...] = (),
    most_tile: int = MOST_TILE,
) -> Body:
    """Results for the indices of `shared` from `start` on, a few at a time, with those of the `tile`."""
    shared = labels.shared
    stop = problem.extents[shared] if stop is None else stop
    lanes = min(machine.lanes(problem), power_of_two(_extent(problem, along.labels)))
    most = MOST_ROWS
    if tile:
        most = most_tile // MOST_LINES  # also of what is left of the lines, as others are
    elif shared in labels.slides and not labels.lines:  # else it is a border
        most = max(most, _most_sums(problem, machine))

    def few(first: Expression, count: int) -> Body:
        stretches = (*tile, Stretch(shared, ROW, first, count))
        body = _results(problem, stretches, labels.slides, along.places(problem))
        return (For(along.index(problem), along.first, along.end, body, "vector", lanes),)

    return _by_few(start, stop, most, TOP, few)


def _most_sums(problem: Problem, machine: Machine) -> int:
    """Results for which there are registers, beside what they are computed from."""
    return machine.registers // problem.parts * 7 // 16


def _results(
    problem: Problem,
    tile: tuple[Stretch, ...],
    slides: dict[str, Slide],
    lanes: dict[str, Expression],
) -> Body:
    """Results of one vector, in registers."""
    shape = tuple([stretch.count for stretch in tile])
    sums = Buffer("sums", array_type(shape, problem.wide), "register")
    contracted = [x for x in problem.extents if x not in problem.result and x not in problem.single]
    places = problem.others("".join(problem.extents)) | lanes
    places |= {label: problem.index(label) for label in contracted}
    places |= {s.label: expressions.add(s.first, s.place) for s in tile}
    sliding, size = [], prod(shape)
    for stretch in reversed(tile):
        slide = slides.get(stretch.label)
        if slide is not None and size * problem.extents[slide.tap] <= MOST_IN_LINE:
            sliding.append((stretch, slide))
            size *= problem.extents[slide.tap]
    body = add_products(problem, sums, tile, places, sliding)
    taps = [slide.tap for _, slide in sliding]
    steps = prod(problem.extents[tap] for tap in taps)
    for label in [x for x in reversed(contracted) if x not in taps]:
        stop = integer(problem.extents[label])
        steps *= stop.value
        mark = "unroll" if steps <= IN_LINE else "serial"
        body = (For(problem.index(label), tensor.ZERO, stop, body, mark, 1),)
    position = tuple([places[label] for label in problem.result])
    total = Load(sums, tuple([stretch.place for stretch in tile]))
    return (
        Allocate(sums),
        *unrolled(tile, (Store(sums, total.indices, problem.zero()),)),
        *body,
        *unrolled(tile, problem.finished(position, total)),
    )
