"""Split loops where conditions on their index change, and drop the conditions.

Padding, concatenation and rolling put `where(i < 3, ...)` and clamped indices into loop bodies. Cut
at the right places, each piece knows the answers: its conditions are constants, its clamps
identities, its loads contiguous again. When the pieces together would be much more code than the
loop, only the `PIECES` longest are made; what lies between keeps its conditions.

Indices that wrap around do the same: of `x[i - 1]` and `x[(i + 1) % n]` only the first and the last iteration
do, and what lies between reads neighbours.

Reshaping and repeating put quotients and remainders there: a loop over `i` with `i // 4` and
`i % 4` in it becomes two loops, over periods and inside them.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

from ...ir import expressions, tensor
from ...ir.affine import linear
from ...ir.expressions import integer
from ...ir.graph import Module, map_kernels
from ...ir.tensor import (
    Allocate,
    Apply,
    Expression,
    For,
    Index,
    Kernel,
    Let,
    Literal,
    Statement,
    expressions_of,
    has_control,
    is_scheduled,
    map_bodies,
    parts,
    statements,
)
from ...ir.term import postorder
from ...ir.types import i64
from .checks import OF_INDICES
from .simplify import CHOICES, COMPARISONS, DIVISIONS, Ranges, simplify_statement
from .substitute import substitute

PIECES, MOST_PIECES = 5, 64
# How often a remainder may begin anew in a loop that is cut where it does.
TURNS = 2
# How much more code than the loop had its pieces may be, and what a piece may have in any case.
GROWTH, SMALL = 2, 12


def split_domains(module: Module) -> Module:
    """Split and simplify the loops of every Kernel."""
    return map_kernels(module, _change)


def _change(kernel: Kernel) -> Kernel:
    if is_scheduled(kernel.body) and not has_control(kernel.body):
        return kernel  # by its own lowering
    if not any(_has_choice(e) for e in _all_expressions(kernel.body)):
        return kernel
    return kernel.replace(body=_simplify_body(kernel.body, {}))


def _has_choice(expression: Expression) -> bool:
    return any(
        isinstance(e, Apply)
        and e.op in (*CHOICES, *DIVISIONS, *OF_INDICES)
        and e.operands[-1].dtype is i64
        for e in postorder((expression,), parts)
    )


def _all_expressions(body: Iterable[Statement]) -> Iterable[Expression]:
    return [e for statement in statements(body) for e in expressions_of(statement)]


def _simplify_body(body: tuple[Statement, ...], ranges: Ranges) -> tuple[Statement, ...]:
    new: list[Statement] = []
    for statement in body:
        if is_scheduled((statement,)) and not has_control((statement,)):
            new.append(statement)
            continue
        statement = simplify_statement(statement, ranges)
        new += (
            _split(statement, ranges)
            if isinstance(statement, For)
            else [_inside(statement, ranges)]
        )
    return tuple(new)


def _inside(statement: Statement, ranges: Ranges) -> Statement:
    return map_bodies(statement, lambda body: _simplify_body(body, ranges))


def _split(loop: For, ranges: Ranges) -> list[Statement]:
    known = isinstance(loop.start, Literal) and isinstance(loop.stop, Literal)
    if not known:
        return [_inside(loop, ranges)]
    if loop.mark != "serial" or has_control(loop.body):
        return [_inside(loop, {**ranges, loop.index: (loop.start.value, loop.stop.value - 1)})]
    period = _period(loop)
    if period is not None:
        return _split(_nested(loop, period), ranges)
    start, stop = loop.start.value, loop.stop.value
    cuts = sorted(_cuts(loop, start, stop))
    if PIECES <= len(cuts) < MOST_PIECES:
        pieces = _pieces(loop, cuts, ranges)
        if _size(pieces) <= GROWTH * _size((loop,)) + SMALL * len(cuts):
            return pieces
    return _pieces(loop, _chosen(cuts, start, stop), ranges)


def _pieces(loop: For, cuts: list[int], ranges: Ranges) -> list[Statement]:
    start, stop = loop.start.value, loop.stop.value
    pieces: list[Statement] = []
    for low, high in zip((start, *cuts), (*cuts, stop)):
        if low >= high:
            continue
        body = _simplify_body(loop.body, {**ranges, loop.index: (low, high - 1)})
        if cuts and high - low == 1 and not any(isinstance(s, Let | Allocate) for s in body):
            pieces += substitute(body, {loop.index: integer(low)})  # also in loops that never run
        else:
            pieces.append(loop.replace(start=integer(low), stop=integer(high), body=body))
    return pieces or [loop]


def _size(body: Iterable[Statement]) -> int:
    """How many distinct expressions there are to compute."""
    return len(list(postorder(list(_all_expressions(body)), parts)))


def _period(loop: For) -> int | None:
    """The longest period of quotients and remainders of the index that divides its range."""
    count, found = loop.stop.value, 1
    if loop.start.value != 0:
        return None
    for root in _all_expressions(loop.body):
        if loop.index not in root.free:
            continue
        for e in postorder((root,), parts):
            match e:
                case Apply(op, (a, Literal(n)), dtype) if op in DIVISIONS and dtype is i64:
                    atoms, constant = linear(a)
                    fits = found < n < count and count % n == 0 and constant % n == 0
                    if fits and atoms == {loop.index: 1}:
                        found = n
    return found if found > 1 else None


def _nested(loop: For, period: int) -> For:
    """The loop as one over periods and one inside a period."""
    outer = Index(f"{loop.index.name}_{period}")
    inside = Index(f"{loop.index.name}_in_{period}")
    place = expressions.add(expressions.multiply(outer, integer(period)), inside)
    body = substitute(loop.body, {loop.index: place})
    inner = For(inside, tensor.ZERO, integer(period), body, "serial", 1)
    return For(outer, tensor.ZERO, integer(loop.stop.value // period), (inner,), "serial", 1)


def _cuts(loop: For, start: int, stop: int) -> set[int]:
    """Where a comparison or a clamp that depends on this index alone changes its answer."""
    cuts: set[int] = set()
    clamps: list[tuple[int, int]] = []
    for root in _all_expressions(loop.body):
        if loop.index not in root.free:
            continue
        for e in postorder((root,), parts):
            cuts |= _turns(e, loop.index, start, stop)
            if not isinstance(e, Apply) or e.op not in CHOICES or len(e.operands) != 2:
                continue
            if e.operands[0].dtype is not i64 or loop.index not in e.free:
                continue
            atoms, constant = linear(expressions.subtract(*e.operands))
            if list(atoms) != [loop.index]:
                continue
            scale, op = atoms[loop.index], e.op
            if scale < 0:
                scale, constant, op = -scale, -constant, _MIRRORED.get(op, op)
            # The first index at which scale * i + constant is no longer negative, or positive.
            zero, above = -(constant // scale), -constant // scale + 1
            if op in ("less", "greater_equal"):
                cuts.add(zero)
            elif op in COMPARISONS:
                cuts.add(above)
            else:
                clamps.append((zero, above))
    # Where both sides are equal a clamp may go either way: with a cut that is there already.
    edges = {start, stop, *cuts}
    cuts.update(zero for zero, above in clamps if not edges & {zero, above})
    return {cut for cut in cuts if start < cut < stop}


def _turns(e: Expression, index: Index, start: int, stop: int) -> set[int]:
    """Where an index begins to count from the other end, and a quotient or a remainder anew."""
    match e:
        case Apply("checked_index", (a, Literal()), _) | Apply(
            "checked_index", (a, Literal(), _), _
        ):
            multiples, unit = range(1), 1
        case Apply("remainder" | "floor_divide", (a, Literal(unit)), _) if unit > 0:
            multiples = None
        case _:
            return set()
    atoms, constant = linear(a)
    if a.dtype is not i64 or list(atoms) != [index]:
        return set()
    scale = atoms[index]
    ends = sorted((scale * start + constant, scale * (stop - 1) + constant))
    if multiples is None:
        multiples = range(ends[0] // unit + 1, ends[1] // unit + 1)
    if len(multiples) > TURNS:
        return set()
    # The first index at which the sum is no longer below the multiple, or is below it.
    below = [multiple * unit - constant for multiple in multiples]
    cuts = {-(-n // scale) if scale > 0 else n // scale + 1 for n in below}
    return {cut for cut in cuts if start < cut < stop}


_MIRRORED = {
    "less": "greater",
    "greater": "less",
    "less_equal": "greater_equal",
    "greater_equal": "less_equal",
}


def _chosen(cuts: list[int], start: int, stop: int) -> list[int]:
    """All cuts when they are few, and otherwise those around the longest pieces."""
    if len(cuts) < PIECES:
        return cuts
    edges = [start, *cuts, stop]
    gaps = sorted(pairwise(edges), key=lambda gap: gap[0] - gap[1])
    kept = {edge for gap in gaps[: PIECES // 2] for edge in gap}
    return sorted(kept - {start, stop})
