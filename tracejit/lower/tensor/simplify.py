"""Simplify index expressions by what is known of the ranges of loop indices.

Comparisons whose answer is known are constants, clamps that never act are gone, quotients and
remainders within one period are sums, and checked indices that are inside, or count from the end, are unchecked.
"""

from __future__ import annotations

from collections.abc import Iterable

from ...ir import expressions, tensor
from ...ir.affine import linear
from ...ir.tensor import (
    Accumulate,
    Apply,
    Assign,
    Break,
    Expression,
    For,
    If,
    Index,
    Let,
    Literal,
    Load,
    Statement,
    Store,
    Table,
    map_bodies,
    parts,
)
from ...ir.term import postorder
from ...ir.types import bool_, i64

COMPARISONS = ("less", "less_equal", "greater", "greater_equal")
CHOICES = (*COMPARISONS, "minimum", "maximum")
DIVISIONS = ("floor_divide", "remainder")

# The first and the last value of an index: numbers, or sums of sizes; of a size, its least and None.
Bound = int | Expression | None
Ranges = dict[Index, tuple[Bound, Bound]]


def simplify_statement(statement: Statement, ranges: Ranges) -> Statement:
    """The statement itself with simple expressions; not what is inside it."""
    return Simplifier(ranges).statement(statement)


def simplify_body(body: Iterable[Statement], ranges: Ranges) -> tuple[Statement, ...]:
    """The statements and all inside them, where indices of loops between known numbers are in these ranges."""
    return Simplifier(ranges).body(body)


class Simplifier:
    """Rewrites expressions by what is known of the ranges of indices and sizes."""

    def __init__(self, ranges: Ranges):
        self.ranges = ranges
        self.memo: dict[Expression, Expression] = {}

    def __call__(self, root: Expression) -> Expression:
        memo = self.memo
        for e in postorder((root,), lambda e: () if e in memo else parts(e)):
            if e not in memo:
                memo[e] = self.rewrite(e)
        return memo[root]

    def statement(self, statement: Statement) -> Statement:
        """The statement itself with simple expressions."""
        match statement:
            case For(_, start, stop):
                return statement.replace(start=self(start), stop=self(stop))
            case If(condition) | Break(condition):
                return statement.replace(condition=self(condition))
            case Let(_, value) | Assign(_, value):
                return statement.replace(value=self(value))
            case Accumulate(target, _, value):
                return statement.replace(target=self(target), value=self(value))
            case Store(buffer, indices, value):
                return Store(buffer, tuple([self(i) for i in indices]), self(value))
        return statement

    def body(self, body: Iterable[Statement]) -> tuple[Statement, ...]:
        """The statements and all inside them."""
        return tuple([map_bodies(s, self.inside(s).body) for s in map(self.statement, body)])

    def inside(self, statement: Statement) -> Simplifier:
        """What is known inside of a statement. Loops in line are left to who writes these out."""
        match statement:
            case For(index, Literal(start), Literal(stop), mark=mark) if mark != "unroll":
                return Simplifier({**self.ranges, index: (start, stop - 1)})
        return self

    def rewrite(self, e: Expression) -> Expression:
        match e:
            case Index() if e in self.ranges and self.ranges[e][0] == self.ranges[e][1]:
                only = self.ranges[e][0]
                return expressions.integer(only) if isinstance(only, int) else only
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
        if e.op in CHOICES and all(o.dtype is i64 for o in operands):
            low, high = self.bounds(expressions.subtract(*operands))
            if e.op in COMPARISONS:
                answer = _decide(e.op, low, high)
                if answer is not None:
                    return Literal(answer, bool_)
            elif low is not None and low >= 0:
                return operands[0 if e.op == "maximum" else 1]
            elif high is not None and high <= 0:
                return operands[1 if e.op == "maximum" else 0]
        if e.op in DIVISIONS and e.dtype is i64 and isinstance(operands[1], Literal):
            divided = self.divide(e.op, operands[0], operands[1].value)
            if divided is not None:
                return divided
        if e.op == "checked_index" and isinstance(operands[1], Literal):
            place = self.wrapped(operands[0], operands[1].value)
            if place is not None:
                return place
        if operands == e.operands:
            return e
        return expressions.rebuild_apply(e, operands)

    def wrapped(self, index: Expression, n: int) -> Expression | None:
        """An index of `n` elements, from wherever it counts, where it is known to be one."""
        low, high = self.bounds(index)
        if low is None or high is None or low < -n or high >= n:
            return None
        atoms, constant = linear(index)
        index, from_end = _sum(atoms, constant), _sum(atoms, constant + n)
        if low < 0 <= high:
            return expressions.select(
                expressions.compare("less", index, tensor.ZERO), from_end, index
            )
        return index if low >= 0 else from_end

    def divide(self, op: str, a: Expression, n: int) -> Expression | None:
        """`(q * n + rest) // n` and `% n`, where all of `rest` is known to lie in one period."""
        atoms, constant = linear(a)
        if n < 1 or not all(isinstance(term, Index) for term in a.free):
            return None
        whole = {atom: c // n for atom, c in atoms.items() if c % n == 0}
        rest = {atom: c for atom, c in atoms.items() if c % n}
        quotient, left = divmod(constant, n)
        low, high = self.bounds(_sum(rest, left))
        periods = range(low // n, high // n + 1) if None not in (low, high) else range(0)
        if not 1 <= len(periods) <= 2:
            if not whole and not quotient:
                return None
            inner = Apply(op, (_sum(rest, left), expressions.integer(n)), i64)
            return inner if op == "remainder" else expressions.add(_sum(whole, quotient), inner)
        if op == "remainder":
            values = [_sum(rest, left - period * n) for period in periods]
        else:
            values = [_sum(whole, quotient + period) for period in periods]
        if len(values) == 1:
            return values[0]
        # Which of two periods it is takes less time to see than to divide.
        bound = expressions.integer(periods[1] * n)
        return expressions.select(expressions.compare("less", _sum(rest, left), bound), *values)

    def bounds(self, e: Expression) -> tuple[int | None, int | None]:
        """The least and greatest value of a sum of indices; None where it is not known."""
        atoms, constant = linear(e)
        high = self.least({atom: -scale for atom, scale in atoms.items()}, -constant)
        return self.least(atoms, constant), None if high is None else -high

    def least(self, atoms: dict[Expression, int], constant: int) -> int | None:
        """The least value of a sum, if that is a number.

        Indices that end at a sum of sizes are replaced by that first, so that sizes may cancel.
        """
        ends = {atom: self.end_of(atom, scale) for atom, scale in atoms.items()}
        while any(isinstance(end, Expression) for end in ends.values()):
            total: Expression = expressions.integer(constant)
            for atom, end in ends.items():
                at = end if isinstance(end, Expression) else atom
                factor = expressions.integer(atoms[atom])
                total = expressions.add(total, expressions.multiply(at, factor))
            atoms, constant = linear(total)
            ends = {atom: self.end_of(atom, scale) for atom, scale in atoms.items()}
        for atom, end in ends.items():
            if end is None:
                return None
            constant += atoms[atom] * end
        return constant

    def end_of(self, atom: Expression, scale: int) -> Bound:
        """The value of an atom at which a multiple of it is least."""
        match atom:
            case Apply("remainder", (_, Literal(n)), _) if n > 0:
                return 0 if scale > 0 else n - 1
        return self.ranges.get(atom, (None, None))[0 if scale > 0 else 1]


def _sum(atoms: dict[Expression, int], constant: int) -> Expression:
    total: Expression = tensor.ZERO
    for atom, scale in atoms.items():
        total = expressions.add(total, expressions.multiply(atom, expressions.integer(scale)))
    return expressions.add(total, expressions.integer(constant))


def _decide(op: str, low: int | None, high: int | None) -> bool | None:
    """The answer of `difference op 0`, when all differences from low to high agree."""
    is_below, is_above = high is not None and high < 0, low is not None and low > 0
    not_above, not_below = high is not None and high <= 0, low is not None and low >= 0
    sure = {
        "less": (is_below, not_below),
        "less_equal": (not_above, is_above),
        "greater": (is_above, not_above),
        "greater_equal": (not_below, is_below),
    }
    yes, no = sure[op]
    return True if yes else False if no else None


def _logical(e: Apply, operands: tuple[Expression, ...]) -> Expression:
    absorbing = e.op == "logical_or"
    for one, other in (operands, operands[::-1]):
        if isinstance(one, Literal):
            return one if bool(one.value) == absorbing else other
    return e if operands == e.operands else Apply(e.op, operands, e.dtype)
