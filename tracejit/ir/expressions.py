"""Building expressions of the tensor IR: literals fold, neutral elements vanish, constants come last."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any

from .dims import Dim, Quotient, Symbol
from .tensor import ZERO, Apply, Expression, Index, Literal, Load, Table, parts
from .term import Term, postorder
from .types import DType, bool_, i64

# Where a loop stops that a Break ends.
ENDLESS = Literal((1 << 63) - 1, i64)


@lru_cache(maxsize=4096)
def integer(value: int) -> Literal:
    return Literal(int(value), i64)


def add(a: Expression, b: Expression) -> Expression:
    if isinstance(a, Literal):
        a, b = b, a
    if isinstance(b, Literal):
        if b.value == 0:
            return a
        if isinstance(a, Literal):
            return integer(a.value + b.value)
        match a:
            case Apply("add", (x, Literal(c)), _):
                return add(x, integer(c + b.value))
    return Apply("add", (a, b), i64)


def multiply(a: Expression, b: Expression) -> Expression:
    if isinstance(a, Literal):
        a, b = b, a
    if isinstance(b, Literal):
        if b.value == 0:
            return ZERO
        if b.value == 1:
            return a
        if isinstance(a, Literal):
            return integer(a.value * b.value)
        match a:
            case Apply("multiply", (x, Literal(c)), _):
                return multiply(x, integer(c * b.value))
            case Apply("add", (x, Literal(c)), _):
                return add(multiply(x, b), integer(c * b.value))
    return Apply("multiply", (a, b), i64)


def seldom(condition: Expression) -> Expression:
    """The condition, marked as one that seldom holds: what it chooses is repaired, refused or settled."""
    return Apply("seldom", (condition,), bool_)


def guarded(guard: Expression, value: Expression) -> Expression:
    """The value, where another expression is computed as well, for the checks in it."""
    return Apply("guarded", (guard, value), value.dtype)


def is_seldom(condition: Expression) -> bool:
    return isinstance(condition, Apply) and condition.op == "seldom"


def subtract(a: Expression, b: Expression) -> Expression:
    return add(a, multiply(b, integer(-1)))


def floor_divide(a: Expression, b: Expression) -> Expression:
    match a, b:
        case _, Literal(1):
            return a
        case Literal(x), Literal(y) if y:
            return integer(x // y)
        case Apply("multiply", (x, Literal(c)), _), Literal(d) if d and c % d == 0:
            return multiply(x, integer(c // d))
        case Apply("add", (Apply("multiply", (x, Literal(c)), _), y), _), Literal(d) if (
            d and c % d == 0
        ):
            return add(multiply(x, integer(c // d)), floor_divide(y, b))
    return Apply("floor_divide", (a, b), i64)


def remainder(a: Expression, b: Expression) -> Expression:
    match a, b:
        case _, Literal(1):
            return ZERO
        case Literal(x), Literal(y) if y:
            return integer(x % y)
        case Apply("multiply", (_, Literal(c)), _), Literal(d) if d and c % d == 0:
            return ZERO
        case Apply("add", (Apply("multiply", (_, Literal(c)), _), y), _), Literal(d) if (
            d and c % d == 0
        ):
            return remainder(y, b)
    return Apply("remainder", (a, b), i64)


def minimum(a: Expression, b: Expression) -> Expression:
    if isinstance(a, Literal) and isinstance(b, Literal):
        return integer(min(a.value, b.value))
    return a if a is b else Apply("minimum", (a, b), i64)


def maximum(a: Expression, b: Expression) -> Expression:
    if isinstance(a, Literal) and isinstance(b, Literal):
        return integer(max(a.value, b.value))
    return a if a is b else Apply("maximum", (a, b), i64)


def compare(op: str, a: Expression, b: Expression) -> Expression:
    return Apply(op, (a, b), bool_)


def select(condition: Expression, a: Expression, b: Expression) -> Expression:
    return a if a is b else Apply("where", (condition, a, b), a.dtype)


def cast(a: Expression, dtype: DType) -> Expression:
    return a if a.dtype is dtype else Apply("cast", (a,), dtype)


def extent(value: int | Dim) -> Expression:
    """An extent as an expression; unknowns become Indexes of their names."""
    if isinstance(value, int):
        return integer(value)

    def atom(term: Term) -> Expression:
        if isinstance(term, Symbol):
            return Index(term.name)
        assert isinstance(term, Quotient)
        return floor_divide(extent(term.numerator), extent(term.denominator))

    total: Expression = ZERO
    for coefficient, atoms in value.terms:
        product: Expression = integer(coefficient)
        for term in atoms:
            product = multiply(product, atom(term))
        total = add(total, product)
    return total


def with_parts(e: Expression, new: dict[Term, Any]) -> Expression:
    """`e` made of what its parts have become; index arithmetic is folded anew."""
    if isinstance(e, Apply):
        operands = tuple([new[operand] for operand in e.operands])
        return e if operands == e.operands else rebuild_apply(e, operands)
    if isinstance(e, Load):
        return Load(e.buffer, tuple([new[index] for index in e.indices]))
    return Table(e.data, new[e.index], e.dtype) if isinstance(e, Table) else e


def replace_expressions(
    roots: Iterable[Expression], replacement: dict[Term, Expression]
) -> dict[Expression, Expression]:
    """Exchange Indexes, Variables or Loads inside expressions; index arithmetic is folded anew."""
    new: dict[Term, Any] = dict(replacement)
    for root in postorder(roots, lambda e: () if e in new else parts(e)):
        if root in new:
            continue
        new[root] = with_parts(root, new)
    return new


_FOLDING: dict[str, Callable[[Expression, Expression], Expression]] = {
    "add": add,
    "multiply": multiply,
    "floor_divide": floor_divide,
    "remainder": remainder,
    "minimum": minimum,
    "maximum": maximum,
}


def _is_index(expression: Expression) -> bool:
    """Made of Indexes and small literals only, so that it cannot overflow; data wraps and may not fold."""
    if isinstance(expression, Literal):
        return expression.dtype is i64 and abs(expression.value) < 1 << 31
    return expression.dtype is i64 and all(isinstance(term, Index) for term in expression.free)


def rebuild_apply(old: Apply, operands: tuple[Expression, ...]) -> Expression:
    """The same operation on other operands, folded when it is index arithmetic."""
    if old.op in _FOLDING and all(_is_index(operand) for operand in operands):
        return _FOLDING[old.op](*operands)
    return Apply(old.op, operands, old.dtype)


def identity(op: str, dtype: DType) -> Any:
    """The neutral element of an associative `op`, a Python scalar.

    For `maximum` and `minimum` of floats it is an infinity, for integers the other end of the range.
    """
    match op:
        case "add" | "logical_or" | "bitwise_or" | "bitwise_xor" | "logical_xor":
            return {"b": False, "f": 0.0, "c": 0j}.get(dtype.kind, 0)
        case "multiply" | "logical_and":
            return {"b": True, "f": 1.0, "c": 1 + 0j}.get(dtype.kind, 1)
        case "maximum" | "minimum":
            return _extreme(dtype, op == "maximum")
        case "fmax" | "fmin":
            return float("nan") if dtype.is_float else _extreme(dtype, op == "fmax")
        case "logaddexp" | "logaddexp2":
            return float("-inf")
        case "bitwise_and":
            return True if dtype.kind == "b" else -1 if dtype.is_signed else _extreme(dtype, False)
    raise ValueError(f"{op} has no neutral element")


def _extreme(dtype: DType, lowest: bool) -> Any:
    infinity = float("-inf" if lowest else "inf")
    if dtype.kind == "b":
        return not lowest
    if dtype.is_complex:
        return complex(infinity, infinity)
    if dtype.is_float:
        return infinity
    bits = 8 * dtype.itemsize
    low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if dtype.is_signed else (0, (1 << bits) - 1)
    return low if lowest else high
