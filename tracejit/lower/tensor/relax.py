"""Round less often where `fastmath` allows it: fused multiply-adds, reciprocals, small powers.

`a * b + c` becomes `fma(a, b, c)` where nothing else reads the product. `x / s` becomes
`x * (1 / s)` where `s` is a constant or stays the same in the innermost loop while `x` changes, so
that a loop has one division and not one for each element. `x ** 3` and `x ** 4` become products.

No rule supposes that numbers are finite, or that zeros have no sign; integers, comparisons, float16
and complex numbers, whose products are sums themselves, stay as they are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable

import numpy as np

from ...ir.graph import Module, map_kernels
from ...ir.places import changed_in
from ...ir.syntax import FUSED_MULTIPLY_ADD
from ...ir.tensor import (
    Apply,
    Expression,
    For,
    If,
    Literal,
    Statement,
    expressions_of,
    map_bodies,
)
from ...ir.term import Term, postorder
from ...ir.types import f32, f64
from .cost import trips
from .substitute import with_expressions


def relax(module: Module) -> Module:
    """The same module with fewer roundings and divisions in its Kernels."""
    return map_kernels(module, lambda kernel: kernel.replace(body=_body(kernel.body, None)))


def _body(body: tuple[Statement, ...], loop: For | None) -> tuple[Statement, ...]:
    """The statements inside `loop`, or outside of all loops."""
    changing = _changed_by(loop) if loop is not None else frozenset()
    # Choices are part of the body around them: they run as often as it does, or less.
    flat = list(_outside_of_loops(body))
    roots = [e for s in flat if not isinstance(s, For) for e in expressions_of(s)]
    divided = _rewritten(roots, lambda old, new: _divided(new, changing))
    wanted = [divided[root] for root in roots]
    uses = Counter([*wanted, *[o for e in postorder(wanted, _operands) for o in _operands(e)]])
    fused = _rewritten(wanted, lambda old, new: _fused(old, new, uses, changing))
    new = {root: fused[divided[root]] for root in roots if fused[divided[root]] is not root}
    return _replaced(body, new)


def _outside_of_loops(body: Iterable[Statement]) -> Iterable[Statement]:
    for statement in body:
        yield statement
        if isinstance(statement, If):
            yield from _outside_of_loops((*statement.then, *statement.orelse))


def _replaced(
    body: tuple[Statement, ...], new: dict[Expression, Expression]
) -> tuple[Statement, ...]:
    result: list[Statement] = []
    for statement in body:
        if isinstance(statement, For):
            result.append(statement.replace(body=_body(statement.body, statement)))
        else:
            statement = with_expressions(statement, new)
            result.append(map_bodies(statement, lambda inner: _replaced(inner, new)))
    return tuple(result)


def _changed_by(loop: For) -> frozenset[Term]:
    """The Indexes, Variables and Buffers that differ between iterations; none if there is one."""
    if trips(loop) == 1:
        return frozenset()
    return frozenset(changed_in((loop,)))


def _operands(e: Expression) -> tuple[Expression, ...]:
    """What is rewritten: where a Load reads must not depend on a rounding."""
    return e.operands if isinstance(e, Apply) else ()


def _rewritten(
    roots: Iterable[Expression], rule: Callable[[Apply, Apply], Expression]
) -> dict[Expression, Expression]:
    """Each root and what it is made of, changed by `rule(before, with new operands)`."""
    new: dict[Expression, Expression] = {}
    for e in postorder(roots, lambda e: () if e in new else _operands(e)):
        new[e] = e
        if isinstance(e, Apply):
            rebuilt = Apply(e.op, tuple([new[o] for o in e.operands]), e.dtype)
            new[e] = rule(e, rebuilt) if e.dtype in (f32, f64) else rebuilt
    return new


def _divided(e: Apply, changing: frozenset[Term]) -> Expression:
    """A quotient or a small power as a product."""
    match e:
        case Apply("divide", (x, s), dtype):
            inverse = _reciprocal(x, s, changing)
            return e if inverse is None else Apply("multiply", (x, inverse), dtype)
        case Apply("power", (x, Literal(3)), dtype):
            return Apply("multiply", (Apply("square", (x,), dtype), x), dtype)
        case Apply("power", (x, Literal(4)), dtype):
            return Apply("square", (Apply("square", (x,), dtype),), dtype)
    return e


def _reciprocal(x: Expression, s: Expression, changing: frozenset[Term]) -> Expression | None:
    """`1 / s` for dividing `x`: a constant with all its digits, or one division for a loop."""
    if isinstance(s, Literal):
        with np.errstate(all="ignore"):
            value = s.dtype(1.0) / s.dtype(s.value)
        is_normal = np.isfinite(value) and abs(value) >= np.finfo(value.dtype).tiny
        return Literal(float(value), s.dtype) if is_normal else None
    if s.free & changing or not x.free & changing:
        return None
    return Apply("divide", (Literal(1.0, s.dtype), s), s.dtype)


def _fused(old: Apply, new: Apply, uses: Counter, changing: frozenset[Term]) -> Expression:
    """A sum with a product that is read here alone as one operation.

    A product that a loop leaves alone is computed before it; fusing would save nothing.
    """
    if new.op not in ("add", "subtract"):
        return new
    for position, before in enumerate(old.operands):
        factors = _factors(new.operands[position])
        if not factors or uses[before] > 1 or changing and not before.free & changing:
            continue
        (x, y), rest = factors, new.operands[1 - position]
        if new.op == "subtract":
            x, rest = (x, _negative(rest)) if position == 0 else (_negative(x), rest)
        return Apply(FUSED_MULTIPLY_ADD, (x, y, rest), new.dtype)
    return new


def _factors(e: Expression) -> tuple[Expression, ...]:
    match e:
        case Apply("multiply", factors):
            return factors
        case Apply("square", (x,)):
            return (x, x)
    return ()


def _negative(e: Expression) -> Expression:
    match e:
        case Literal(value, dtype):
            return Literal(-value, dtype)
        case Apply("negative", (x,)):
            return x
    return Apply("negative", (e,), e.dtype)
