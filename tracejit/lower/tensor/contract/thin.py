"""Products with little to share: lanes along the results' last label, and a few results of another one.

Of depthwise convolutions, and of many small products side by side, each result has a factor of its
own, so there is no tile of rows and columns. Yet neighbours along a label that one factor lacks use
the same elements of it, and those along which windows slide also share what they overlap. A few of
them at a time are kept in registers; a short depth is in line, so that every element is loaded once.
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
from ....ir.tensor import Accumulate, Allocate, Buffer, Expression, For, Index, Load, Store
from ....ir.types import array_type
from .chunks import WORTHWHILE, chunk_range, chunks_of, even, parallel
from .lines import inner_ranges, lines_for, reading
from .machine import Machine, seconds
from .problem import Body, Problem
from .tile import power_of_two

ROW, TOP, LINE, TOP_LINE = map(Index, ("row", "top", "line", "top_line"))
MOST_ROWS = 6  # results along one label
MOST_LINES, MOST_TILE = (
    2,
    8,
)  # along another one as well, and of both: more find no room in registers
ASKED = 4.0  # steps for a result, on average, that ask where the border is: it is copied rather
IN_LINE = 32  # steps of the depth
LONGEST = 128  # depth: beyond it, walking along the lanes' label matters more


def shared_label(problem: Problem) -> str:
    """The label along which neighbours are computed together; "" where the problem is another kind."""
    labels = [label for label in problem.result if label not in problem.single]
    if not all(isinstance(extent, int) and extent for extent in problem.extents.values()):
        return ""
    if len(labels) < 2 or min(problem.rows.extent, problem.columns.extent) > 1:
        return ""
    if not 1 < problem.depth.extent * problem.repeats <= LONGEST:
        return ""
    last, factors = labels[-1], (problem.left, problem.right)
    strides = dict(zip(problem.result, problem.out.type.strides))
    if strides[last] != 1 or not all(
        f.is_memory and f.strides.get(last, 0) in (0, 1) for f in factors
    ):
        return ""
    for label in reversed(labels[:-1]):
        if sum(label in factor.labels for factor in factors) == 1:
            return label
    return ""


class Stretch(NamedTuple):
    """Neighbours along a label that are computed together: `first + place`, where `place` is below `count`."""

    label: str
    place: Index
    first: Expression
    count: int


def thin_product(problem: Problem, machine: Machine, shared: str) -> Body:
    """All results, `shared` a few indices at a time; later passes choose threads."""
    *around, last = [x for x in problem.result if x not in problem.single and x != shared]
    padded = next(iter(problem.padded), None)
    inside = {} if padded is None else inner_ranges(problem, padded)
    if inside is None or last in inside:
        return _by_chunks(problem, machine, shared, around, last)
    free = prod((stop - start) / problem.extents[x] for x, (start, stop) in inside.items())
    asked = (1.0 - free) * problem.depth.extent * problem.repeats
    if padded is None or asked > ASKED:
        inner = outer = problem
        inside = {}
    else:
        inner, outer = (reading(problem, padded, e) for e in (padded.inner, padded.element))
    lines = _lines(problem, around)

    def nest(labels: list[str], tile: tuple[Stretch, ...]) -> Body:
        """What is inside along all labels before these."""
        if not labels:
            start, stop = inside.get(shared, (0, problem.extents[shared]))
            return (
                *_rows(outer, machine, shared, last, 0, start, tile),
                *_rows(inner, machine, shared, last, start, stop, tile),
                *_rows(outer, machine, shared, last, stop, None, tile),
            )
        label, *more = labels
        start, stop = inside.get(label, (0, problem.extents[label]))
        border = outer.loops("".join(more), _rows(outer, machine, shared, last))
        ends = ((0, start), (stop, problem.extents[label]))
        apart = tuple([_loop(problem, label, *end, border) for end in ends if end[0] < end[1]])
        if label != lines:
            return (_loop(problem, label, start, stop, nest(more, tile)), *apart)
        body = lambda first, count: nest(more, (Stretch(label, LINE, first, count), *tile))
        return _by_few(start, stop, MOST_LINES, TOP_LINE, body) + apart

    return nest(around, ())


def _lines(problem: Problem, around: list[str]) -> str:
    """Another label along which windows slide, so that neighbours overlap; "" where there is none."""
    for label in reversed(around):
        owners = [f for f in (problem.left, problem.right) if label in f.labels]
        if len(owners) == 1 and any(
            owners[0].strides[label] == owners[0].strides.get(x)
            for x in owners[0].labels
            if x not in problem.result
        ):
            return label
    return ""


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


def _by_chunks(
    problem: Problem, machine: Machine, shared: str, around: list[str], last: str
) -> Body:
    """All results; what is padded along the lanes is copied by those who take a few of a label's indices."""
    total = seconds(problem)
    label = max(around, key=lambda x: problem.extents[x], default="")
    if problem.padded and label and total >= WORTHWHILE:
        count, others = problem.extents[label], "".join([x for x in around if x != label])
        chunks = even(chunks_of(count, total / count), machine.cores, count)
        first, end = chunk_range(count, chunks)
        own, lines = lines_for(problem, label, first, -(-count // chunks), others, machine)
        if lines:
            one = (
                For(
                    problem.index(label), first, end, _rows(own, machine, shared, last), "serial", 1
                ),
            )
            return parallel(chunks, problem.loops(others, (*lines, *one)))
    return problem.loops("".join(around), _rows(problem, machine, shared, last))


def _rows(
    problem: Problem,
    machine: Machine,
    shared: str,
    last: str,
    start: int = 0,
    stop: int | None = None,
    tile: tuple[Stretch, ...] = (),
) -> Body:
    """Results for the indices of `shared` from `start` on, a few at a time, with those of the `tile`."""
    stop = problem.extents[shared] if stop is None else stop
    lanes = min(machine.lanes(problem), power_of_two(problem.extents[last]))
    most = max(1, MOST_TILE // prod(stretch.count for stretch in tile)) if tile else MOST_ROWS

    def few(first: Expression, count: int) -> Body:
        body = _results(problem, (*tile, Stretch(shared, ROW, first, count)))
        along = integer(problem.extents[last])
        return (For(problem.index(last), tensor.ZERO, along, body, "vector", lanes),)

    return _by_few(start, stop, most, TOP, few)


def _results(problem: Problem, tile: tuple[Stretch, ...]) -> Body:
    """Results of one vector, in registers."""
    shape = tuple([stretch.count for stretch in tile])
    sums = Buffer("sums", array_type(shape, problem.wide), "register")
    contracted = [x for x in problem.extents if x not in problem.result and x not in problem.single]
    places = problem.others("".join(problem.extents))
    places |= {label: problem.index(label) for label in contracted}
    places |= {s.label: expressions.add(s.first, s.place) for s in tile}
    at = tuple([stretch.place for stretch in tile])
    total = Load(sums, at)

    def each(*body: tensor.Statement) -> Body:
        for stretch in reversed(tile):
            body = (For(stretch.place, tensor.ZERO, integer(stretch.count), body, "unroll", 1),)
        return body

    product = problem.product(problem.left.at(places), problem.right.at(places))
    body = each(Accumulate(total, problem.combine, product))
    steps = 1
    for label in reversed(contracted):
        stop = integer(problem.extents[label])
        steps *= stop.value
        mark = "unroll" if steps <= IN_LINE else "serial"
        body = (For(problem.index(label), tensor.ZERO, stop, body, mark, 1),)
    position = tuple([places[label] for label in problem.result])
    return (
        Allocate(sums),
        *each(Store(sums, at, problem.zero())),
        *body,
        *each(*problem.finished(position, total)),
    )
