"""Proofs about index expressions: is this never negative, given the loops around it?

The expression is written as a sum of atoms and made smaller until nothing but extents is left:
a loop index becomes the end of its range that makes the sum smaller, innermost loop first, so that
tiles (`j` in `range(16 * i, 16 * i + 16)`) stay exact; `minimum`, `maximum` and `where` split into
cases; quotients, remainders and checked indices have their usual bounds. Arithmetic on data may wrap
around, so an interval that its dtype does not hold is no interval. A failed proof proves nothing.

Conditions around a statement are facts: with `i > 0` known, `i - 1` is at least 0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from . import expressions, tensor
from .affine import linear
from .dims import Dim, Symbol, is_never_negative, symbol, symbols_of
from .tensor import (
    Allocate,
    Apply,
    Expression,
    For,
    Index,
    Kernel,
    Literal,
    Load,
    Table,
    Variable,
    parts,
    statements,
)
from .term import postorder

# Both bounds inclusive; None is unbounded.
Interval = tuple[Any, Any]
UNBOUNDED: Interval = (None, None)
SPLITS = 6


class Bounds:
    """What is known about expressions inside a nest of loops, outermost first.

    `named` are the Indexes that are Let there, `facts` expressions that are at least 0, and
    `unknowns` the Indexes that extents of buffers mention, with their bounds.
    """

    def __init__(
        self,
        loops: Sequence[For],
        named: Mapping[Index, Expression] | None = None,
        facts: Sequence[Expression] = (),
        unknowns: Mapping[Index, Dim] | None = None,
    ):
        self.unknowns, self.named, self.facts = unknowns or {}, named or {}, facts
        self.loops = {loop.index: loop for loop in loops}
        self.intervals: dict[Expression, Interval] = {}

    def inside(self, loop: For) -> Bounds:
        """What is known in the body of a loop."""
        loops = (*self.loops.values(), loop)
        return Bounds(loops, self.named, self.facts, self.unknowns)

    def where(self, condition: Expression, holds: bool) -> Bounds:
        """What is known where a condition holds, or does not."""
        facts = (*self.facts, *facts_of(condition, holds))
        return Bounds(tuple(self.loops.values()), self.named, facts, self.unknowns)

    def naming(self, index: Index, value: Expression) -> Bounds:
        """What is known after an Index was Let."""
        named = {**self.named, index: value}
        return Bounds(tuple(self.loops.values()), named, self.facts, self.unknowns)

    def is_below(self, index: Expression, extent: int | Dim) -> bool:
        """Whether 0 <= index < extent is certain."""
        low, high = self.interval(index)
        last, (atoms, constant) = extent - 1, linear(index)
        above = low is not None and is_never_negative(low)
        if not above and not self._follows(atoms, constant):
            return False
        if high is not None and is_never_negative(last - high):
            return True
        return self._follows({atom: -c for atom, c in atoms.items()}, last - constant)

    def is_nonnegative(self, expression: Expression) -> bool:
        """Whether `expression` is at least 0 in every iteration."""
        return self._follows(*linear(expression))

    def _follows(self, atoms: dict[Expression, int], constant: int | Dim) -> bool:
        """Whether the sum is at least 0, by the loops alone or by one of the facts as well."""
        if self._is_nonnegative(atoms, constant):
            return True
        for fact in self.facts:
            known, offset = linear(fact)
            rest = {a: atoms.get(a, 0) - known.get(a, 0) for a in (*atoms, *known)}
            rest = {atom: scale for atom, scale in rest.items() if scale}
            if self._is_nonnegative(rest, constant - offset):
                return True
        whole = _without_quotient(atoms, constant)
        return whole is not None and self._follows(*whole)

    def _is_nonnegative(
        self, atoms: dict[Expression, int], constant: int | Dim, splits: int = SPLITS
    ) -> bool:
        choice = next((atom for atom in atoms if _cases(atom)), None)
        if choice is not None and splits > 0:
            cases = [(e, _replaced(atoms, constant, choice, e)) for e in _cases(choice)]
            proofs = (
                self._is_exact(case) and self._is_nonnegative(*sums, splits - 1)
                for case, sums in cases
            )
            # The smaller of two is at most either, so to bound it from above one of them will do.
            shrinks = "minimum" if atoms[choice] < 0 else "maximum"
            return any(proofs) if choice.op == shrinks else all(proofs)
        for atom in atoms:
            value = self.named.get(atom)
            if value is not None and _are_indices(value) and self._is_exact(value):
                sums = _replaced(atoms, constant, atom, value)
                return self._is_nonnegative(*sums, splits) or self._is_least(atoms, constant)
        less = self._without_quotient_of_index(atoms, constant)
        if less is not None and self._is_nonnegative(*less, splits):
            return True
        for index in reversed(self.loops):
            if (scale := atoms.get(index)) is not None and self._is_exact_range(index):
                loop = self.loops[index]
                if scale > 0:
                    return self._is_nonnegative(
                        *_replaced(atoms, constant, index, loop.start), splits
                    )
                # The last iteration is one before the stop.
                return self._is_nonnegative(
                    *_replaced(atoms, constant - scale, index, loop.stop), splits
                )
        if self._is_least(atoms, constant):
            return True
        less = _without_multiple(atoms, constant)
        return less is not None and self._is_nonnegative(*less, splits)

    def _without_quotient_of_index(
        self, atoms: dict[Expression, int], constant: int | Dim
    ) -> tuple[dict[Expression, int], int | Dim] | None:
        """A sum that is at most the given one, with the end of a range in place of an index that is divided,
        where that is a multiple and a number: `i // n` of an `i` below `n * k` is at most `k - 1`."""
        for atom, scale in atoms.items():
            match atom:
                case Apply("floor_divide", (Index() as index, Literal(n))) if (
                    n > 0 and index in self.loops and self._is_exact_range(index)
                ):
                    loop = self.loops[index]
                    parts, end = linear(loop.start if scale > 0 else loop.stop)
                    end = end if scale > 0 else end - 1
                    if all(c % n == 0 for c in parts.values()):
                        quotient = expressions.integer(end // n)
                        for part, c in parts.items():
                            multiple = expressions.multiply(part, expressions.integer(c // n))
                            quotient = expressions.add(quotient, multiple)
                        return _replaced(atoms, constant, atom, quotient)
        return None

    def _is_least(self, atoms: dict[Expression, int], constant: int | Dim) -> bool:
        """Whether a sum is at least 0 whatever its atoms are, each between its own bounds."""
        atoms, least = _without_steps(atoms, constant)
        for atom, scale in atoms.items():
            low, high = self.interval(atom)
            bound = low if scale > 0 else high
            if bound is None:
                return False
            least = least + bound * scale
        return is_never_negative(least)

    def _is_exact(self, e: Expression) -> bool:
        """Whether the number the sum `e` stands for is what comes out, as nothing wraps around."""
        match e:
            case Apply("add" | "subtract" | "multiply" | "negative"):
                return all(isinstance(t, Index) for t in e.free) or None not in self.interval(e)
        return True

    def _is_exact_range(self, index: Index) -> bool:
        """Whether the ends of a loop stand for its index; what data says may have changed since."""
        loop = self.loops[index]
        free = loop.start.free | loop.stop.free
        return index not in self.unknowns and all(isinstance(term, Index) for term in free)

    def interval(self, e: Expression) -> Interval:
        """Bounds by interval arithmetic over numbers and extents."""
        if e in self.intervals:
            return self.intervals[e]
        for part in postorder((e,), lambda part: () if part in self.intervals else parts(part)):
            if part not in self.intervals:
                self.intervals[part] = self._interval(part)
        return self.intervals[e]

    def _interval(self, e: Expression) -> Interval:
        match e:
            case Literal(value) if type(value) is int:
                return value, value
            case Index() if e in self.unknowns:
                return self.unknowns[e], self.unknowns[e]
            case Index() if e in self.named:
                return self.interval(self.named[e])
            case Index(name):
                loop = self.loops.get(e)
                if loop is None:
                    return _any_number(name), _any_number(name)
                low, high = self.interval(loop.start)[0], self.interval(loop.stop)[1]
                return low, None if high is None else high - 1
            case Apply("add", (a, b)):
                return _held(e, _add(self.interval(a), self.interval(b)))
            case Apply("subtract", (a, b)):
                return _held(e, _add(self.interval(a), _multiply(self.interval(b), (-1, -1))))
            case Apply("multiply", (a, b)):
                return _held(e, _multiply(self.interval(a), self.interval(b)))
            case Apply("floor_divide", (a, b)):
                return _floor_divide(self.interval(a), self.interval(b))
            case Apply("remainder", (a, b)):
                return _remainder(self.interval(a), self.interval(b))
            case Apply("bitwise_and", (a, b)) if e.dtype.is_integer:
                return _held(e, _masked(self.interval(a), self.interval(b)))
            case Apply("minimum" | "maximum" as op, (a, b)):
                return _pick(op, self.interval(a), self.interval(b))
            case Apply("where", (_, a, b)):
                low, high = self.interval(a), self.interval(b)
                return _pick("minimum", low, high)[0], _pick("maximum", low, high)[1]
            case Apply("checked_index" | "checked_choice", (_, n, *_)):
                last = self.interval(n)[1]
                return 0, None if last is None else last - 1
            case Apply("cast", (a,), dtype) if dtype is tensor.i64 and a.dtype.kind in "iub":
                return _held(e, self.interval(a))
            case Table(data, _, dtype) if dtype.kind in "iub" and data:
                return int(min(data)), int(max(data))
            case Load() | Variable() | Apply():
                return _dtype_interval(e)
        return UNBOUNDED


def _any_number(name: str) -> Dim:
    """An index of which nobody has said what it is: of a loop around the kernel, or an extent there."""
    return symbol(name, -(1 << 62))


def unknowns_of(kernel: Kernel) -> dict[Index, Dim]:
    """The Indexes that stand for unknowns in the types of buffers, with the bounds that they have."""
    allocated = [s.buffer for s in statements(kernel.body) if isinstance(s, Allocate)]
    extents = [n for buffer in (*kernel.parameters, *allocated) for n in buffer.type.shape]
    found: dict[Index, Dim] = {}
    for unknown in {s: None for extent in extents for s in symbols_of(extent)}:
        found[Index(unknown.name)] = _as_dim(unknown)
    return found


def _as_dim(unknown: Symbol) -> Dim:
    return symbol(unknown.name, unknown.least, unknown.most)


def facts_of(condition: Expression, holds: bool) -> list[Expression]:
    """What is at least 0 where the condition holds, or does not: of what stays as it is only."""
    match condition:
        case Apply("logical_not" | "invert", (inner,)):
            return facts_of(inner, not holds)
        case Apply("seldom", (inner,)):
            return facts_of(inner, holds)
        case Apply("logical_and" | "bitwise_and" | "logical_or" | "bitwise_or" as op, sides):
            both = op.endswith("and") == holds and condition.dtype.kind == "b"
            return [fact for side in sides for fact in facts_of(side, holds)] if both else []
        case Apply(op, (a, b)) if op in _DIFFERENCES and _are_indices(a, b):
            return [_difference(a, b, how) for how in _DIFFERENCES[op][not holds]]
    return []


# By comparison: what is at least 0 where it holds, and where it does not, of `a - b`.
_DIFFERENCES: dict[str, tuple[tuple[tuple[int, int], ...], tuple[tuple[int, int], ...]]] = {
    "less": (((-1, -1),), ((1, 0),)),
    "less_equal": (((-1, 0),), ((1, -1),)),
    "greater": (((1, -1),), ((-1, 0),)),
    "greater_equal": (((1, 0),), ((-1, -1),)),
    "equal": (((1, 0), (-1, 0)), ()),
    "not_equal": ((), ((1, 0), (-1, 0))),
}


def _difference(a: Expression, b: Expression, how: tuple[int, int]) -> Expression:
    scale, offset = how
    difference = expressions.subtract(a, b) if scale > 0 else expressions.subtract(b, a)
    return expressions.add(difference, expressions.integer(offset))


def _are_indices(*operands: Expression) -> bool:
    return all(
        e.dtype is tensor.i64 and all(isinstance(term, Index) for term in e.free) for e in operands
    )


def _cases(atom: Expression) -> tuple[Expression, ...]:
    match atom:
        case Apply("minimum" | "maximum", operands, _):
            return operands
        case Apply("where", (_, a, b), _):
            return (a, b)
    return ()


def _replaced(
    atoms: dict[Expression, int], constant: int | Dim, old: Expression, new: Expression
) -> tuple[dict[Expression, int], int | Dim]:
    """The sum with one atom exchanged for an expression."""
    scale = atoms[old]
    more, extra = linear(new)
    total = {atom: c for atom, c in atoms.items() if atom is not old}
    for atom, c in more.items():
        total[atom] = total.get(atom, 0) + c * scale
    return {atom: c for atom, c in total.items() if c}, constant + extra * scale


def _without_quotient(
    atoms: dict[Expression, int], constant: int | Dim
) -> tuple[dict[Expression, int], int | Dim] | None:
    """A sum of indices that is at least 0 exactly where the given one is, with a quotient less.

    `r - x // n >= 0` says the same as `n * r + n - 1 - x >= 0`, and `r + x // n >= 0` as `n * r + x >= 0`.
    """
    for atom, scale in atoms.items():
        match atom:
            case Apply("floor_divide", (x, Literal(n))) if n > 0 and abs(scale) == 1:
                if not _are_indices(*atoms):
                    return None
                scaled = {a: c if a is atom else c * n for a, c in atoms.items()}
                slack = n - 1 if scale < 0 else 0
                return _replaced(scaled, constant * n + slack, atom, x)
    return None


def _without_multiple(
    atoms: dict[Expression, int], constant: int | Dim
) -> tuple[dict[Expression, int], int | Dim] | None:
    """A sum of indices that is at most the given one, with a quotient less: `n * (x // n)` is at most `x`."""
    for atom, scale in atoms.items():
        match atom:
            case Apply("floor_divide", (x, Literal(n))) if n > 0 and scale < 0 and scale % n == 0:
                if _are_indices(x):
                    return _replaced({**atoms, atom: scale // n}, constant, atom, x)
    return None


def _without_steps(
    atoms: dict[Expression, int], constant: int | Dim
) -> tuple[dict[Expression, int], int | Dim]:
    """A sum that is at most the given one, without differences of quotients a known step apart.

    `x // n - y // n` is at least `(x - y) // n`: so the parts of something are as long as they are.
    """
    total = dict(atoms)
    quotients = [a for a in atoms if isinstance(a, Apply) and a.op == "floor_divide"]
    for a in quotients:
        for b in quotients:
            match total.get(a, 0), a, b:
                case scale, Apply(_, (x, Literal(n))), Apply(_, (y, Literal(m))) if n == m > 0:
                    rest, step = linear(expressions.subtract(x, y))
                    if scale > 0 and total.get(b, 0) == -scale and not rest:
                        constant = constant + scale * (step // n)
                        del total[a], total[b]
    return total, constant


def _held(e: Expression, bounds: Interval) -> Interval:
    """`bounds`, where the dtype of `e` holds them; extents are never that large."""
    if all(isinstance(term, Index) for term in e.free):
        return bounds
    if not e.dtype.is_integer:
        return _dtype_interval(e)
    limits = np.iinfo(e.dtype.numpy)
    low, high = bounds
    if (
        None in bounds
        or type(low) is int
        and low < limits.min
        or type(high) is int
        and high > limits.max
    ):
        return _dtype_interval(e)
    return bounds


def _dtype_interval(e: Expression) -> Interval:
    if e.dtype.kind == "b":
        return 0, 1
    if e.dtype.is_integer and e.dtype.itemsize < 8:
        limits = np.iinfo(e.dtype.numpy)
        return int(limits.min), int(limits.max)
    return (0, None) if e.dtype.kind == "u" else UNBOUNDED


def _add(a: Interval, b: Interval) -> Interval:
    low = None if a[0] is None or b[0] is None else a[0] + b[0]
    high = None if a[1] is None or b[1] is None else a[1] + b[1]
    return low, high


def _multiply(a: Interval, b: Interval) -> Interval:
    if b == (-1, -1):
        return tuple([None if bound is None else -bound for bound in reversed(a)])  # type: ignore
    if all(type(bound) is int for bound in (*a, *b)):
        corners = [x * y for x in a for y in b]
        return min(corners), max(corners)
    if any(low is None or not is_never_negative(low) for low, _ in (a, b)):
        return UNBOUNDED
    high = None if a[1] is None or b[1] is None else a[1] * b[1]
    return a[0] * b[0], high


def _floor_divide(a: Interval, b: Interval) -> Interval:
    divisor = b[0]
    if divisor != b[1] or divisor is None or not is_never_negative(divisor - 1):
        return UNBOUNDED
    return tuple([None if bound is None else bound // divisor for bound in a])  # type: ignore


def _remainder(a: Interval, b: Interval) -> Interval:
    low, high = b
    if low is None or not is_never_negative(low - 1):
        return UNBOUNDED
    if None not in a and is_never_negative(a[0]) and is_never_negative(low - 1 - a[1]):
        return a
    return 0, None if high is None else high - 1


def _masked(a: Interval, b: Interval) -> Interval:
    """Bits that two numbers have in common: not more than either that is not negative."""
    positive = [
        bounds for bounds in (a, b) if bounds[0] is not None and is_never_negative(bounds[0])
    ]
    if not positive:
        return UNBOUNDED
    high = positive[0][1]
    for _, other in positive[1:]:
        high = _extreme("minimum", high, other, True)
    return 0, high


def _pick(op: str, a: Interval, b: Interval) -> Interval:
    """The interval of the smaller or larger of two; what cannot be compared is bounded by either."""
    return _extreme(op, a[0], b[0], op == "maximum"), _extreme(op, a[1], b[1], op == "minimum")


def _extreme(op: str, a: Any, b: Any, either: bool) -> Any:
    if a is None or b is None:
        return (a if b is None else b) if either else None
    if is_never_negative(b - a):
        return a if op == "minimum" else b
    if is_never_negative(a - b):
        return b if op == "minimum" else a
    return a if either else None
