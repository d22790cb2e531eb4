"""Split loops where conditions on their index change, and drop the conditions.

Padding, concatenation and rolling put `where(i < 3, ...)` and clamped indices into loop bodies. Cut
at the right places, each piece knows the answers: its conditions are constants, its clamps
identities, its loads contiguous again. That holds for unknown sizes, too: a loop up to `n + 1` is cut
at 1 and at `n`, where it is sure that these come in this order. When the pieces together would be much more code than the
loop, only the `PIECES` longest are made; what lies between keeps its conditions.

Windows that move over a border (`i + j - 1 < 0`, `j` being the place in one) cut the loop over `i` where all
of a window is on one side; what is left of the conditions cuts the loop over the window, in the first
and the last iterations alone.

Indices that wrap around do the same: of `x[i - 1]` and `x[(i + 1) % n]` only the first and the last iteration
do, and what lies between reads neighbours.

Reshaping and repeating put quotients and remainders there: a loop over `i` with `i // 4` and
`i % 4` in it becomes two loops, over periods and inside them.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from itertools import pairwise

from ...ir import expressions, tensor
from ...ir.affine import linear
from ...ir.dims import symbols_of
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
from ...ir.term import Term, postorder
from ...ir.types import i64
from .checks import OF_INDICES
from .simplify import (
    CHOICES,
    COMPARISONS,
    DIVISIONS,
    Bound,
    Ranges,
    Simplifier,
    simplify_statement,
)
from .substitute import substitute

PIECES, MOST_PIECES = 5, 64
# How often a remainder may begin anew in a loop that is cut where it does.
TURNS = 2
# What a size is taken to be where only one of several choices can be made.
TYPICAL = 1 << 20
# How many values an index of a window may have.
LONGEST_WINDOW = 32
# How much more code than the loop had its pieces may be, and what a piece may have in any case.
GROWTH, SMALL = 2, 12


def split_domains(module: Module) -> Module:
    """Split and simplify the loops of every Kernel."""
    return map_kernels(module, _change)


def _change(kernel: Kernel) -> Kernel:
    if is_scheduled(kernel.body) and not has_control(kernel.body):
        return kernel  # by its own lowering
    if not _has_choice(_all_expressions(kernel.body)):
        return kernel
    extents = [n for buffer in kernel.parameters for n in buffer.type.shape]
    sizes = [symbol for n in extents for symbol in symbols_of(n) if not symbol.depth]
    ranges: Ranges = {Index(size.name): (size.least, None) for size in sizes}
    return kernel.replace(body=_simplify_body(kernel.body, ranges))


def _has_choice(expressions: Iterable[Expression]) -> bool:
    return any(
        isinstance(e, Apply)
        and e.op in (*CHOICES, *DIVISIONS, *OF_INDICES)
        and e.operands[-1].dtype is i64
        for e in postorder(expressions, parts)
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
        match statement:
            case Let(Index() as size, Apply("maximum", (_, Literal(least)))):
                ranges = {**ranges, size: (least, None)}
        new += (
            _split(statement, ranges)
            if isinstance(statement, For)
            else [_inside(statement, ranges)]
        )
    return tuple(new)


def _inside(statement: Statement, ranges: Ranges) -> Statement:
    return map_bodies(statement, lambda body: _simplify_body(body, ranges))


def _split(loop: For, ranges: Ranges) -> list[Statement]:
    if not (_is_of_sizes(loop.start, ranges) and _is_of_sizes(loop.stop, ranges)):
        return [_inside(loop, ranges)]
    if loop.mark != "serial" or has_control(loop.body):
        return [_inside(loop, {**ranges, loop.index: _between(loop.start, loop.stop)})]
    period = _period(loop)
    if period is not None:
        return _split(_nested(loop, period), ranges)
    cuts = _in_order(_cuts(loop, ranges), loop, ranges)
    if PIECES <= len(cuts) < MOST_PIECES:
        pieces = _pieces(loop, cuts, ranges)
        if _size(pieces) <= GROWTH * _size((loop,)) + SMALL * len(cuts):
            return pieces
    return _pieces(loop, _chosen(cuts, loop), ranges)


def _is_of_sizes(e: Expression, ranges: Ranges) -> bool:
    """Whether an expression is a number, or a sum of sizes."""
    return all(ranges.get(atom, (0, 0))[1] is None for atom in linear(e)[0])


def _between(start: Expression, stop: Expression) -> tuple[Bound, Bound]:
    """The first and the last value of an index."""
    first, last = _normal(start), _normal(expressions.subtract(stop, tensor.ONE))
    return tuple([e.value if isinstance(e, Literal) else e for e in (first, last)])


def _normal(e: Expression) -> Expression:
    """The same sum, always written in the same way."""
    atoms, constant = linear(e)
    total: Expression = tensor.ZERO
    for atom in sorted(atoms, key=str):
        total = expressions.add(total, expressions.multiply(atom, integer(atoms[atom])))
    return expressions.add(total, integer(constant))


def _length(start: Expression, stop: Expression) -> int | None:
    """How many numbers there are from one to the other, if that does not depend on sizes."""
    atoms, constant = linear(expressions.subtract(stop, start))
    return None if atoms else constant


def _pieces(loop: For, cuts: list[Expression], ranges: Ranges) -> list[Statement]:
    pieces: list[Statement] = []
    for low, high in pairwise((loop.start, *cuts, loop.stop)):
        length = _length(low, high)
        if length is not None and length <= 0:
            continue
        inside = {**ranges, loop.index: _between(low, high)}
        # What this piece knows is used up before the loops within are cut, each piece of which sees all that is left.
        body = _simplified(loop.body, inside) if cuts and _has_loops(loop.body) else loop.body
        body = _simplify_body(body, inside)
        if cuts and length == 1 and not any(isinstance(s, Let | Allocate) for s in body):
            pieces += substitute(body, {loop.index: low})  # also in loops that never run
        else:
            pieces.append(loop.replace(start=low, stop=high, body=body))
    return pieces or [loop]


def _has_loops(body: tuple[Statement, ...]) -> bool:
    return any([isinstance(statement, For) for statement in body])


def _simplified(body: tuple[Statement, ...], ranges: Ranges) -> tuple[Statement, ...]:
    """The statements, and all inside them, with simple expressions."""
    if is_scheduled(body) and not has_control(body):
        return body
    new = [simplify_statement(statement, ranges) for statement in body]
    return tuple([map_bodies(s, lambda inner: _simplified(inner, ranges)) for s in new])


def _size(body: Iterable[Statement]) -> int:
    """How many distinct expressions there are to compute."""
    return len(list(postorder(list(_all_expressions(body)), parts)))


def _period(loop: For) -> Expression | None:
    """The longest period of quotients and remainders of the index that divides its range."""
    if loop.start is not tensor.ZERO:
        return None
    found: Expression | None = None
    for root in _all_expressions(loop.body):
        if loop.index not in root.free:
            continue
        for e in postorder((root,), parts):
            match e:
                case Apply(op, (a, period), dtype) if op in DIVISIONS and dtype is i64:
                    atoms, constant = linear(a)
                    is_plain = atoms == {loop.index: 1} and _times(period, integer(constant))
                    times = _times(period, loop.stop) if is_plain else None
                    if times in (None, tensor.ZERO, tensor.ONE) or _typical(period) < 2:
                        continue
                    if found is None or _typical(found) < _typical(period):
                        found = period
    return found


def _times(period: Expression, count: Expression) -> Expression | None:
    """How many periods make up a number, each of them a sum of sizes; None where that is not certain."""
    (own, least), (atoms, constant) = linear(period), linear(count)
    if not own:  # a number
        numbers = (*atoms.values(), constant)
        if least < 1 or any(n % least for n in numbers):
            return None
        total: Expression = integer(constant // least)
        for atom, scale in atoms.items():
            total = expressions.add(total, expressions.multiply(atom, integer(scale // least)))
        return total
    if not atoms and not constant:
        return tensor.ZERO
    atom, scale = next(iter(own.items()))
    times = atoms.get(atom, 0) // scale
    is_whole = {a: times * c for a, c in own.items()} == atoms and times * least == constant
    return integer(times) if is_whole else None


def _nested(loop: For, period: Expression) -> For:
    """The loop as one over periods and one inside a period."""
    name = period.value if isinstance(period, Literal) else "period"
    outer = Index(f"{loop.index.name}_by_{name}")
    inside = Index(f"{loop.index.name}_in_{name}")
    place = expressions.add(expressions.multiply(outer, period), inside)
    known: dict[Term, Expression] = {
        Apply("floor_divide", (loop.index, period), i64): outer,
        Apply("remainder", (loop.index, period), i64): inside,
    }
    body = substitute(substitute(loop.body, known), {loop.index: place})
    inner = For(inside, tensor.ZERO, period, body, "serial", 1)
    return For(outer, tensor.ZERO, _times(period, loop.stop), (inner,), "serial", 1)


def _cuts(loop: For, ranges: Ranges) -> set[Expression]:
    """Where a comparison or a clamp that depends on this index, and on sizes, changes its answer."""
    cuts: set[Expression] = set()
    clamps: list[tuple[Expression, Expression]] = []
    known = _short_ranges(loop, ranges)
    for root in _all_expressions(loop.body):
        if loop.index not in root.free:
            continue
        for e in postorder((root,), parts):
            if isinstance(loop.start, Literal) and isinstance(loop.stop, Literal):
                turns = _turns(e, loop.index, loop.start.value, loop.stop.value)
                cuts |= {integer(turn) for turn in turns}
            if not isinstance(e, Apply) or e.op not in CHOICES or len(e.operands) != 2:
                continue
            if e.operands[0].dtype is not i64 or loop.index not in e.free:
                continue
            atoms, constant = linear(expressions.subtract(*e.operands))
            scale, op = atoms.pop(loop.index, 0), e.op
            if not scale:
                continue
            if scale < 0:
                scale, constant, op = -scale, -constant, _MIRRORED.get(op, op)
                atoms = {atom: -c for atom, c in atoms.items()}
            within = {atom: atoms.pop(atom) for atom in tuple(atoms) if atom in known}
            if atoms and scale != 1:
                continue
            if not all(ranges.get(atom, (0, 0))[1] is None for atom in atoms):
                continue
            rest = [expressions.multiply(atom, integer(-c)) for atom, c in atoms.items()]
            # Windows are cut where all of one is on the same side.
            for end in {constant + _extreme(within, known, pick) for pick in (min, max)}:
                # The first index at which scale * i + end is no longer negative, or positive.
                ends = -(end // scale), -end // scale + 1
                zero, above = [
                    _normal(functools.reduce(expressions.add, rest, integer(k))) for k in ends
                ]
                if op in ("less", "greater_equal"):
                    cuts.add(zero)
                elif op in COMPARISONS:
                    cuts.add(above)
                else:
                    clamps.append((zero, above))
    # Where both sides are equal a clamp may go either way: with a cut that is there already.
    edges = {_normal(loop.start), _normal(loop.stop), *cuts}
    cuts.update(zero for zero, above in clamps if not edges & {zero, above})
    return cuts


def _short_ranges(loop: For, ranges: Ranges) -> dict[Expression, tuple[int, int]]:
    """The other indices of a few values: of windows inside the loop, of pieces of loops around it."""
    found = dict(ranges)
    for statement in statements(loop.body):
        if isinstance(statement, For) and _length(statement.start, statement.stop):
            found[statement.index] = _between(statement.start, statement.stop)
    return {
        index: (low, high)
        for index, (low, high) in found.items()
        if isinstance(low, int) and isinstance(high, int) and high - low < LONGEST_WINDOW
    }


def _extreme(
    atoms: dict[Expression, int], known: dict[Expression, tuple[int, int]], pick: Callable
) -> int:
    """The least (`min`) or the greatest value of a sum of such indices."""
    return sum(pick(scale * bound for bound in known[atom]) for atom, scale in atoms.items())


def _in_order(cuts: set[Expression], loop: For, ranges: Ranges) -> list[Expression]:
    """The cuts inside a loop from the first to the last, but those of which that depends on sizes."""
    simplifier = Simplifier(ranges)
    first, last = _normal(loop.start), _normal(loop.stop)
    kept = [first]
    for cut in sorted(cuts - {first, last}, key=_typical):
        after, _ = simplifier.bounds(expressions.subtract(cut, kept[-1]))
        before, _ = simplifier.bounds(expressions.subtract(last, cut))
        if after is not None and before is not None and after >= 0 and before >= 0:
            kept.append(cut)
    return kept[1:]


def _typical(e: Expression) -> int:
    """The value of a sum of sizes where all of them are large."""
    atoms, constant = linear(e)
    return sum(scale * TYPICAL for scale in atoms.values()) + constant


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


def _chosen(cuts: list[Expression], loop: For) -> list[Expression]:
    """All cuts when they are few, and otherwise those around the longest pieces."""
    if len(cuts) < PIECES:
        return cuts
    gaps = list(pairwise([loop.start, *cuts, loop.stop]))
    gaps.sort(key=lambda gap: _typical(gap[0]) - _typical(gap[1]))
    kept = {edge for gap in gaps[: PIECES // 2] for edge in gap}
    return [cut for cut in cuts if cut in kept]
