"""Products with little to share: lanes along the results' last label, and a few results of another one.

Of depthwise convolutions, and of many small products side by side, each result has a factor of its
own, so there is no tile of rows and columns. Yet neighbours along a label that one factor lacks use
the same elements of it, and those along which windows slide also share what they overlap. A few of
them at a time are kept in registers; a short depth is in line, so that every element is loaded once.
Where one factor is padded, only results near the border ask for each element whether it is inside.
"""

from __future__ import annotations

from ....ir import expressions, tensor
from ....ir.expressions import integer
from ....ir.tensor import Accumulate, Allocate, Buffer, Expression, For, Index, Load, Store
from ....ir.types import array_type
from .chunks import WORTHWHILE, chunk_range, chunks_of, even, parallel
from .lines import inner_ranges, lines_for, reading
from .machine import Machine, seconds
from .problem import Body, Problem
from .tile import power_of_two

ROW, TOP = Index("row"), Index("top")
MOST_ROWS = 6
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


def thin_product(problem: Problem, machine: Machine, shared: str) -> Body:
    """All results, `shared` a few indices at a time; later passes choose threads."""
    *around, last = [x for x in problem.result if x not in problem.single and x != shared]
    padded = next(iter(problem.padded), None)
    inside = None if padded is None else inner_ranges(problem, padded)
    if inside is None or last in inside:
        return _by_chunks(problem, machine, shared, around, last)
    inner = reading(problem, padded, padded.inner)
    outer = reading(problem, padded, padded.element)

    def nest(labels: list[str]) -> Body:
        """What is inside along all labels before these."""
        if labels:
            label, *more = labels
            start, stop = inside.get(label, (0, problem.extents[label]))
            border = outer.loops("".join(more), _rows(outer, machine, shared, last))
            make = lambda first, end, body: (
                For(problem.index(label), integer(first), integer(end), body, "serial", 1),
            )
            ends = ((0, start), (stop, problem.extents[label]))
            found = make(start, stop, nest(more))
            return found + tuple([s for end in ends if end[0] < end[1] for s in make(*end, border)])
        start, stop = inside.get(shared, (0, problem.extents[shared]))
        return (
            *_rows(outer, machine, shared, last, 0, start),
            *_rows(inner, machine, shared, last, start, stop),
            *_rows(outer, machine, shared, last, stop),
        )

    return nest(around)


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
) -> Body:
    """Results for the indices of `shared` from `start` on, a few at a time."""
    count = (problem.extents[shared] if stop is None else stop) - start
    if count <= 0:
        return ()
    tall = min(range(1, min(MOST_ROWS, count) + 1), key=lambda r: (-(-count // r), count % r > 0))
    full, rest = divmod(count, tall)
    lanes = min(machine.lanes(problem), power_of_two(problem.extents[last]))

    def rows(top: Expression, height: int) -> Body:
        stop = integer(problem.extents[last])
        body = _results(problem, shared, top, height)
        return (For(problem.index(last), tensor.ZERO, stop, body, "vector", lanes),)

    body: Body = ()
    if full:
        top = expressions.add(expressions.multiply(TOP, integer(tall)), integer(start))
        body += (For(TOP, tensor.ZERO, integer(full), rows(top, tall), "serial", 1),)
    if rest:
        body += rows(integer(start + full * tall), rest)
    return body


def _results(problem: Problem, shared: str, top: Expression, height: int) -> Body:
    """Results of one vector, in registers."""
    sums = Buffer("sums", array_type((height,), problem.wide), "register")
    contracted = [x for x in problem.extents if x not in problem.result and x not in problem.single]
    places = problem.others("".join(problem.extents))
    places |= {label: problem.index(label) for label in contracted}
    places[shared] = expressions.add(top, ROW)
    total = Load(sums, (ROW,))

    def each(*body: tensor.Statement) -> Body:
        return (For(ROW, tensor.ZERO, integer(height), body, "unroll", 1),)

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
        *each(Store(sums, (ROW,), problem.zero())),
        *body,
        *each(*problem.finished(position, total)),
    )
