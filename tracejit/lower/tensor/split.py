"""Split loops where conditions on their index change, and drop the conditions.

Padding, concatenation and rolling put `where(i < 3, ...)` and clamped indices into loop bodies. Cut
at the right places, each piece knows the answers: its conditions are constants, its clamps
identities, its loads contiguous again. At most `PIECES` pieces are made of a loop, the longest
ones; what lies between keeps its conditions.
"""

from __future__ import annotations

from collections.abc import Iterable

from ...ir import tensor
from ...ir.affine import linear
from ...ir.graph import Module, map_kernels
from ...ir.tensor import (
    Accumulate,
    Apply,
    Assign,
    Expression,
    For,
    Index,
    Kernel,
    Let,
    Literal,
    Load,
    Statement,
    Store,
    Table,
    integer,
    parts,
    statements,
)
from ...ir.term import postorder
from ...ir.types import bool_, i64

PIECES = 5

Ranges = dict[Index, tuple[int, int]]


def split_domains(module: Module) -> Module:
    """Split and simplify the loops of every Kernel."""
    return map_kernels(module, _change)


def _change(kernel: Kernel) -> Kernel:
    if any(isinstance(s, For) and s.mark != "serial" for s in statements(kernel.body)):
        return kernel  # scheduled already, by its own lowering
    if not any(_has_choice(e) for e in _all_expressions(kernel.body)):
        return kernel
    return kernel.replace(body=_simplify_body(kernel.body, {}))


def _has_choice(expression: Expression) -> bool:
    return any(
        isinstance(e, Apply) and e.op in _CHOICES and e.operands[-1].dtype is i64
        for e in postorder((expression,), parts)
    )


_COMPARISONS = ("less", "less_equal", "greater", "greater_equal")
_CHOICES = (*_COMPARISONS, "minimum", "maximum")


def _expressions(statement: Statement) -> tuple[Expression, ...]:
    match statement:
        case For(_, start, stop, _, _, _):
            return (start, stop)
        case Let(_, value) | Assign(_, value) | Accumulate(_, _, value):
            return (value,)
        case Store(_, indices, value):
            return (*indices, value)
    return ()


def _all_expressions(body: Iterable[Statement]) -> Iterable[Expression]:
    for statement in body:
        yield from _expressions(statement)
        if isinstance(statement, For):
            yield from _all_expressions(statement.body)


def _simplify_body(body: tuple[Statement, ...], ranges: Ranges) -> tuple[Statement, ...]:
    new: list[Statement] = []
    for statement in body:
        if isinstance(statement, For):
            new += _split(statement, ranges)
        else:
            new.append(_simplify_statement(statement, _Simplifier(ranges)))
    return tuple(new)


def _split(loop: For, ranges: Ranges) -> list[Statement]:
    known = isinstance(loop.start, Literal) and isinstance(loop.stop, Literal)
    if not known or loop.mark != "serial":
        return [loop.replace(body=_simplify_body(loop.body, ranges))]
    start, stop = loop.start.value, loop.stop.value
    cuts = _chosen(sorted(_cuts(loop, start, stop)), start, stop)
    pieces: list[Statement] = []
    for low, high in zip((start, *cuts), (*cuts, stop)):
        if low < high:
            body = _simplify_body(loop.body, {**ranges, loop.index: (low, high - 1)})
            pieces.append(loop.replace(start=integer(low), stop=integer(high), body=body))
    return pieces or [loop]


def _cuts(loop: For, start: int, stop: int) -> set[int]:
    """Where a comparison or a clamp that depends on this index alone changes its answer."""
    cuts: set[int] = set()
    clamps: list[tuple[int, int]] = []
    for root in _all_expressions(loop.body):
        if loop.index not in root.free:
            continue
        for e in postorder((root,), parts):
            if not isinstance(e, Apply) or e.op not in _CHOICES or len(e.operands) != 2:
                continue
            if e.operands[0].dtype is not i64 or loop.index not in e.free:
                continue
            atoms, constant = linear(tensor.subtract(*e.operands))
            if list(atoms) != [loop.index]:
                continue
            scale, op = atoms[loop.index], e.op
            if scale < 0:
                scale, constant, op = -scale, -constant, _MIRRORED.get(op, op)
            # The first index at which scale * i + constant is no longer negative, or positive.
            zero, above = -(constant // scale), -constant // scale + 1
            if op in ("less", "greater_equal"):
                cuts.add(zero)
            elif op in _COMPARISONS:
                cuts.add(above)
            else:
                clamps.append((zero, above))
    # Where both sides are equal a clamp may go either way: with a cut that is there already.
    cuts.update(zero for zero, above in clamps if not cuts & {zero, above})
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
    gaps = sorted(zip(edges, edges[1:]), key=lambda gap: gap[0] - gap[1])
    kept = {edge for gap in gaps[: PIECES // 2] for edge in gap}
    return sorted(kept - {start, stop})


def _simplify_statement(statement: Statement, simplify: _Simplifier) -> Statement:
    match statement:
        case Let(_, value) | Assign(_, value):
            return statement.replace(value=simplify(value))
        case Accumulate(_, _, value):
            return statement.replace(value=simplify(value))
        case Store(buffer, indices, value):
            return Store(buffer, tuple([simplify(i) for i in indices]), simplify(value))
    return statement


class _Simplifier:
    """Rewrites expressions by what is known of the ranges of indices (both ends inclusive)."""

    def __init__(self, ranges: Ranges):
        self.ranges = ranges
        self.memo: dict[Expression, Expression] = {}

    def __call__(self, root: Expression) -> Expression:
        memo = self.memo
        for e in postorder((root,), lambda e: () if e in memo else parts(e)):
            if e not in memo:
                memo[e] = self.rewrite(e)
        return memo[root]

    def rewrite(self, e: Expression) -> Expression:
        match e:
            case Load(buffer, indices):
                return Load(buffer, tuple([self.memo[i] for i in indices]))
            case Table(data, index, dtype):
                return Table(data, self.memo[index], dtype)
            case Apply(_, operands, _):
                return self.apply(e, tuple([self.memo[o] for o in operands]))
        return e

    def apply(self, e: Apply, operands: tuple[Expression, ...]) -> Expression:
        if e.op == "where" and isinstance(operands[0], Literal):
            return operands[1] if operands[0].value else operands[2]
        if e.op in ("logical_and", "logical_or") and operands[0].dtype is bool_:
            return _logical(e, operands)
        if e.op in _CHOICES and all(o.dtype is i64 for o in operands):
            low, high = self.bounds(tensor.subtract(*operands))
            if e.op in _COMPARISONS:
                answer = _decide(e.op, low, high)
                if answer is not None:
                    return Literal(answer, bool_)
            elif low is not None and low >= 0:
                return operands[0 if e.op == "maximum" else 1]
            elif high is not None and high <= 0:
                return operands[1 if e.op == "maximum" else 0]
        if operands == e.operands:
            return e
        return tensor.rebuild_apply(e, operands)

    def bounds(self, e: Expression) -> tuple[int | None, int | None]:
        """The least and greatest value of a sum of indices; None where it is not known."""
        atoms, constant = linear(e)
        low: int | None = constant
        high: int | None = constant
        for atom, scale in atoms.items():
            if atom not in self.ranges:
                return None, None
            ends = [scale * end for end in self.ranges[atom]]
            low, high = low + min(ends), high + max(ends)
        return low, high


def _decide(op: str, low: int | None, high: int | None) -> bool | None:
    """The answer of `difference op 0`, when all differences from low to high agree."""
    if low is None or high is None:
        return None
    sure = {
        "less": (high < 0, low >= 0),
        "less_equal": (high <= 0, low > 0),
        "greater": (low > 0, high <= 0),
        "greater_equal": (low >= 0, high < 0),
    }
    yes, no = sure[op]
    return True if yes else False if no else None


def _logical(e: Apply, operands: tuple[Expression, ...]) -> Expression:
    absorbing = e.op == "logical_or"
    for one, other in (operands, operands[::-1]):
        if isinstance(one, Literal):
            return one if bool(one.value) == absorbing else other
    return e if operands == e.operands else Apply(e.op, operands, e.dtype)
