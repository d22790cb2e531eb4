"""Steps over the bits of a number that add up without carry are looked up in a table.

    for k in range(8):                                            c = c >> 8 ^ T[c & 255]
        c = c >> 1 ^ where(c & 1 != 0, POLYNOMIAL, 0)     ->

Shifts, masks, exclusive or, and choices by one bit are linear maps of the bits (over the field of two
elements), and so is one after the other, however many steps: the result is the exclusive or of what each
bit alone becomes. Most bits are merely moved. What the others become is written down for all values
of eight of them: checksums, scramblers and registers with feedback, written bit by bit, take one step
for all of these.
"""

from __future__ import annotations

from functools import reduce
from operator import or_, xor
from typing import NamedTuple

from ...ir.expressions import cast
from ...ir.graph import Module, map_kernels
from ...ir.tensor import (
    Apply,
    Assign,
    Expression,
    For,
    Let,
    Literal,
    Statement,
    Table,
    Variable,
    expressions_of,
    has_control,
    map_bodies,
    parts,
)
from ...ir.term import postorder
from ...ir.types import DType, i64
from .cost import trips

# Bits that go into one table, how many tables a map may have, the fewest operations that they are
# worth, and the most steps that are followed.
WINDOW, MOST_TABLES, FEWEST_OPERATIONS, MOST_STEPS = 8, 2, 16, 64


def tabulate_bits(module: Module) -> Module:
    """Replace such loops in the ordered loops of every Kernel."""
    return map_kernels(
        module, lambda k: k.replace(body=_body(k.body)) if has_control(k.body) else k
    )


class Linear(NamedTuple):
    """A number whose bits are sums, modulo two, of bits of another one: what each of those alone
    contributes, and what there is without any."""

    columns: tuple[int, ...]
    constant: int

    @property
    def support(self) -> int:
        """The bits that may be set."""
        return reduce(or_, self.columns, self.constant)

    def __xor__(self, other: Linear) -> Linear:
        return Linear(tuple(map(xor, self.columns, other.columns)), self.constant ^ other.constant)

    def bitwise(self, change) -> Linear:
        """The same after moving or dropping bits."""
        return Linear(tuple(map(change, self.columns)), change(self.constant))

    def after(self, first: Linear) -> Linear:
        """This map of what `first` gives."""
        columns = [_sum(self.columns, bits) for bits in first.columns]
        return Linear(tuple(columns), _sum(self.columns, first.constant) ^ self.constant)


def _sum(columns: tuple[int, ...], bits: int) -> int:
    return reduce(xor, [c for k, c in enumerate(columns) if bits >> k & 1], 0)


def _body(body: tuple[Statement, ...]) -> tuple[Statement, ...]:
    new: list[Statement] = []
    for statement in body:
        if isinstance(statement, For) and statement.mark == "vector":
            new.append(statement)  # lanes look up one by one
            continue
        new.append(_tabulated(statement) or map_bodies(statement, _body))
    return tuple(new)


def _tabulated(loop: Statement) -> Statement | None:
    """What a loop makes of the bits of the one variable that it changes; None if it is not linear."""
    if not isinstance(loop, For) or not all(isinstance(s, Let | Assign) for s in loop.body):
        return None
    steps = trips(loop)
    own = {s.variable for s in loop.body if isinstance(s, Let)}
    changed = {s.variable for s in loop.body if isinstance(s, Assign)} - own
    operations = len([e for e in _terms(loop) if isinstance(e, Apply)])
    if not steps or steps > MOST_STEPS or steps * operations < FEWEST_OPERATIONS:
        return None
    if len(changed) != 1 or not (variable := changed.pop()).dtype.is_integer:
        return None
    step = _step(loop.body, variable)
    if step is None:
        return None
    whole = step
    for _ in range(steps - 1):
        whole = step.after(whole)
    value = _looked_up(whole, variable)
    return Assign(variable, value) if value is not None else None


def _terms(loop: For) -> list[Expression]:
    return postorder([e for s in loop.body for e in expressions_of(s)], parts)


def _step(body: tuple[Statement, ...], variable: Variable) -> Linear | None:
    """What the statements make of a variable, which is all that they may read."""
    width = _width(variable.dtype)
    known: dict[Expression, Linear] = {variable: Linear(tuple([1 << k for k in range(width)]), 0)}
    for statement in body:
        value = _map_of(statement.value, known, width)
        if value is None:
            return None
        known[statement.variable] = value
    return known[variable]


def _map_of(root: Expression, known: dict[Expression, Linear], width: int) -> Linear | None:
    found = dict(known)
    for e in postorder((root,), lambda e: () if e in known else parts(e)):
        if e not in found:
            value = _linear(e, found, width)
            if value is None:
                return None
            found[e] = value
    return found[root]


def _width(dtype: DType) -> int:
    return 1 if dtype.kind == "b" else 8 * dtype.itemsize


def _linear(e: Expression, found: dict[Expression, Linear], width: int) -> Linear | None:
    """An expression as a linear map, of operands that are; None where it is none."""
    if not (e.dtype.is_integer or e.dtype.kind == "b"):
        return None
    bits = (1 << _width(e.dtype)) - 1
    if isinstance(e, Literal):
        return Linear((0,) * width, int(e.value) & bits)
    if not isinstance(e, Apply):
        return None
    operands = [found[operand] for operand in e.operands]
    if e.op == "where":
        condition, then, orelse = operands
        unlike = then ^ orelse
        if any(unlike.columns):
            return None
        return orelse ^ condition.bitwise(lambda bit: bit * unlike.constant)
    if e.op == "cast":
        return _converted(operands[0], e.operands[0].dtype, bits)
    if e.op in _UNARY:
        return _UNARY[e.op](operands[0], bits)
    if e.op in _BINARY:
        fixed = [k for k, operand in enumerate(operands) if not any(operand.columns)]
        return _BINARY[e.op](*operands, fixed, bits, e.operands[0].dtype)
    return None


def _converted(x: Linear, dtype: DType, bits: int) -> Linear:
    top = 1 << _width(dtype) - 1
    return x.bitwise(lambda c: (c - 2 * (c & top) if dtype.is_signed else c) & bits)


def _is_bit(x: Linear) -> bool:
    """Whether no more than one bit may be set: there sums have no carry."""
    return x.support.bit_count() <= 1


def _or(x: Linear, y: Linear, fixed: list[int], bits: int, dtype: DType) -> Linear | None:
    return x ^ y if not x.support & y.support else None


def _and(x: Linear, y: Linear, fixed: list[int], bits: int, dtype: DType) -> Linear | None:
    if not fixed:
        return None
    of, mask = (y, x) if fixed[0] == 0 else (x, y)
    return of.bitwise(lambda c: c & mask.constant)


def _shifted(x: Linear, y: Linear, fixed: list[int], bits: int, dtype: DType, left: bool):
    count = y.constant
    if 1 not in fixed or count >= _width(dtype):
        return None
    if left:
        return x.bitwise(lambda c: c << count & bits)
    return _converted(x, dtype, -1).bitwise(lambda c: c >> count & bits)


def _product(x: Linear, y: Linear, fixed: list[int], bits: int, dtype: DType) -> Linear | None:
    if not fixed:
        return None
    of, factor = (y, x) if fixed[0] == 0 else (x, y)
    return of.bitwise(lambda c: c * factor.constant & bits) if _is_bit(of) else None


def _compared(x: Linear, y: Linear, fixed: list[int], bits: int, dtype: DType, equal: bool):
    """Whether a number of which one bit may be set is 0, or that bit."""
    if 1 not in fixed or not _is_bit(x) or y.constant & ~x.support:
        return None
    differs = (x ^ y).bitwise(bool).bitwise(int)
    return differs ^ Linear((0,) * len(x.columns), int(equal))


_UNARY = {
    "invert": lambda x, bits: x ^ Linear((0,) * len(x.columns), bits),
    "logical_not": lambda x, bits: x ^ Linear((0,) * len(x.columns), 1) if bits == 1 else None,
    "negative": lambda x, bits: x.bitwise(lambda c: -c & bits) if _is_bit(x) else None,
}
_BINARY = {
    "bitwise_xor": lambda x, y, *_: x ^ y,
    "bitwise_or": _or,
    "bitwise_and": _and,
    "left_shift": lambda *given: _shifted(*given, left=True),
    "right_shift": lambda *given: _shifted(*given, left=False),
    "multiply": _product,
    "equal": lambda *given: _compared(*given, equal=True),
    "not_equal": lambda *given: _compared(*given, equal=False),
}


def _looked_up(map: Linear, x: Variable) -> Expression | None:
    """A linear map of a variable: most bits moved, the rest by tables; None if that takes too many."""
    dtype, width = x.dtype, len(map.columns)
    moves = {s: _moved(map, s, dtype) for s in range(1 - width, width)}
    distance = max(moves, key=lambda s: (len(moves[s]), -abs(s)))
    rest = [k for k, c in enumerate(map.columns) if c and k not in moves[distance]]
    windows: list[int] = []
    for bit in rest:
        if not windows or bit >= windows[-1] + WINDOW:
            windows.append(bit)
    if len(windows) > MOST_TABLES:
        return None
    total: Expression | None = None
    if moves[distance]:
        kept = sum(1 << k for k in moves[distance])
        lost = [k for k in range(width) if k not in moves[distance]]
        # A shift drops some bits by itself.
        if any(_move(1 << k, distance, dtype) for k in lost):
            x_kept: Expression = Apply("bitwise_and", (x, _literal(kept, dtype)), dtype)
        else:
            x_kept = x
        total = _shift(x_kept, distance)
    for number, first in enumerate(windows):
        count = min(WINDOW, width - first)
        own = tuple(
            [c if first + k in rest else 0 for k, c in enumerate(map.columns[first:][:count])]
        )
        start = map.constant if number == 0 else 0
        data = [_literal(_sum(own, bits) ^ start, dtype).value for bits in range(1 << count)]
        place = Apply("bitwise_and", (_shift(x, -first), _literal((1 << count) - 1, dtype)), dtype)
        found = Table(tuple(data), cast(place, i64), dtype)
        total = found if total is None else Apply("bitwise_xor", (total, found), dtype)
    if not windows and (map.constant or total is None):
        constant = _literal(map.constant, dtype)
        total = constant if total is None else Apply("bitwise_xor", (total, constant), dtype)
    return total


def _moved(map: Linear, distance: int, dtype: DType) -> set[int]:
    """The bits that a shift by so much to the left brings where the map does."""
    return {k for k, c in enumerate(map.columns) if c and c == _move(1 << k, distance, dtype)}


def _move(bits: int, distance: int, dtype: DType) -> int:
    width = _width(dtype)
    if distance >= 0:
        return bits << distance & (1 << width) - 1
    sign = bits >> width - 1 & 1 if dtype.is_signed else 0
    return (bits - (sign << width)) >> -distance & (1 << width) - 1


def _shift(x: Expression, distance: int) -> Expression:
    if distance == 0:
        return x
    op = "left_shift" if distance > 0 else "right_shift"
    return Apply(op, (x, Literal(abs(distance), x.dtype)), x.dtype)


def _literal(bits: int, dtype: DType) -> Literal:
    top = 1 << _width(dtype) - 1
    return Literal(bits - 2 * (bits & top) if dtype.is_signed else bits, dtype)
