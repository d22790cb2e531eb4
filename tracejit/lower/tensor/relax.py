"""Round less often than NumPy, wherever it pays: `numerics="fast"`.

Sums and differences with a product that nothing else reads become one operation. `x / s` becomes `x * (1 / s)` where `s` is a
constant or stays the same in the innermost loop while `x` changes, so that a loop has one division
and not one for each element. `x ** 3` and `x ** 4` become products. Numbers of
bfloat16 are rounded where they are stored, and not between operations. An extreme, and what is compared for equality, stay as
they are: a row is searched for its extreme by computing it again, in another Kernel perhaps.

No rule supposes that numbers are finite, or that zeros have no sign; integers, comparisons, float16
and complex numbers, whose products are sums themselves, stay as they are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable

import numpy as np

from ...ir.graph import Function, Kernel, Module, Node, call, item, map_kernels
from ...ir.places import changed_in
from ...ir.tensor import (
    Accumulate,
    Apply,
    Buffer,
    Expression,
    For,
    If,
    Literal,
    Load,
    Statement,
    Store,
    expressions_of,
    map_bodies,
    parts,
    statements,
)
from ...ir.term import Term, postorder, remembered
from ...ir.types import f32, f64
from .cost import trips
from .substitute import with_expressions


def relax(module: Module) -> Module:
    """The same module with fewer roundings and divisions in its Kernels: `fast`."""
    stored = _looked_for(module)

    def change(kernel: Kernel) -> Kernel:
        return kernel.replace(body=_body(kernel.body, None, stored.get(kernel, frozenset())))

    return map_kernels(module, change)


def _looked_for(module: Module) -> dict[Kernel, set[Buffer]]:
    """By Kernel the results that another one looks for among numbers that it computes anew."""
    found: dict[Kernel, set[Buffer]] = {}
    for function in module.functions:
        for node in function.nodes if isinstance(function, Function) else ():
            callee = node.attrs.get("callee") if node.op is call else None
            if not isinstance(callee, Kernel):
                continue
            compared = _compared(callee)
            for operand, buffer in zip(node.operands, callee.inputs):
                if buffer in compared and (made := _made(operand)) is not None:
                    found.setdefault(made[0], set()).add(made[1])
    return found


def _made(value: Node) -> tuple[Kernel, Buffer] | None:
    """The Kernel that makes a value of a graph, and which of its results it is."""
    k, source = (value.attrs["index"], value.operands[0]) if value.op is item else (0, value)
    maker = source.attrs.get("callee") if source.op is call else None
    return (maker, maker.outputs[k]) if isinstance(maker, Kernel) else None


@remembered
def _compared(kernel: Kernel) -> frozenset[Buffer]:
    """The inputs that are compared with what is computed here, and not read."""
    body = [*statements(kernel.body)]
    roots = [e for s in body for e in expressions_of(s)]
    settled = _settled(roots, body)
    if not any(
        isinstance(e, Apply) and e.op in _ROUNDED and e.dtype in (f32, f64) for e in settled
    ):
        return frozenset()
    return frozenset([e.buffer for e in settled if isinstance(e, Load)])


# What may be rounded less often.
_ROUNDED = ("add", "subtract", "divide")

Roots = dict[Expression, Expression]


def _relaxed(
    roots: list[Expression], settled: Collection[Expression], changing: frozenset[Term]
) -> Roots:
    whole = _rewritten(roots, settled, lambda old, new: _unrounded(new))
    given = [whole[root] for root in roots]
    divided = _rewritten(given, settled, lambda old, new: _divided(new, changing))
    wanted = [divided[e] for e in given]
    uses = _uses(wanted)
    fused = _rewritten(wanted, settled, lambda old, new: _fused(old, new, uses, changing))
    return {root: fused[divided[whole[root]]] for root in roots}


def _unrounded(e: Apply) -> Expression:
    """What was rounded to a dtype that nothing is computed in, between two operations."""
    match e:
        case Apply("cast", (Apply("cast", (value,), short),), wide) if short.is_stored_only:
            return value if value.dtype is wide else e
    return e


def _settled(
    roots: Iterable[Expression], body: Iterable[Statement], stored: Collection[Buffer] = ()
) -> set[Expression]:
    """What is looked for again: an extreme, what is compared for equality, and what is `stored` to be. It
    must be the same number wherever it is computed."""
    body = [*body]
    wanted = [s.value for s in body if isinstance(s, Store) and s.buffer in stored]
    wanted += [
        s.value for s in body if isinstance(s, Accumulate) and s.op in ("minimum", "maximum")
    ]
    for e in postorder(roots, parts):
        if isinstance(e, Apply) and e.op in ("equal", "not_equal"):
            wanted += e.operands
    return set(postorder(wanted, _operands)) if wanted else set()


def _uses(roots: list[Expression]) -> Counter:
    return Counter([*roots, *[o for e in postorder(roots, _operands) for o in _operands(e)]])


def _body(
    body: tuple[Statement, ...], loop: For | None, stored: Collection[Buffer]
) -> tuple[Statement, ...]:
    """The statements inside `loop`, or outside of all loops."""
    changing = _changed_by(loop) if loop is not None else frozenset()
    # Choices are part of the body around them: they run as often as it does, or less.
    flat = list(_outside_of_loops(body))
    roots = [e for s in flat if not isinstance(s, For) for e in expressions_of(s)]
    changed = _relaxed(roots, _settled(roots, flat, stored), changing)
    new = {root: changed[root] for root in roots if changed.get(root, root) is not root}
    return _replaced(body, new, stored)


def _outside_of_loops(body: Iterable[Statement]) -> Iterable[Statement]:
    for statement in body:
        yield statement
        if isinstance(statement, If):
            yield from _outside_of_loops((*statement.then, *statement.orelse))


def _replaced(
    body: tuple[Statement, ...], new: Roots, stored: Collection[Buffer]
) -> tuple[Statement, ...]:
    result: list[Statement] = []
    for statement in body:
        if isinstance(statement, For):
            result.append(statement.replace(body=_body(statement.body, statement, stored)))
        else:
            statement = with_expressions(statement, new) if new else statement
            result.append(map_bodies(statement, lambda inner: _replaced(inner, new, stored)))
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
    roots: Iterable[Expression],
    settled: Collection[Expression],
    rule: Callable[[Apply, Apply], Expression],
) -> dict[Expression, Expression]:
    """Each root and what it is made of, changed by `rule(before, with new operands)`, but for the `settled`."""
    new: dict[Expression, Expression] = {}
    for e in postorder(roots, lambda e: () if e in new else _operands(e)):
        new[e] = e
        if isinstance(e, Apply):
            operands = tuple([new[o] for o in e.operands])
            rebuilt = e if operands == e.operands else Apply(e.op, operands, e.dtype)
            is_open = e.dtype in (f32, f64) and e not in settled
            new[e] = rule(e, rebuilt) if is_open else rebuilt
    return new


def _divided(e: Apply, changing: frozenset[Term]) -> Expression:
    """A quotient as a product."""
    match e:
        case Apply("divide", (x, s), dtype):
            inverse = _reciprocal(x, s, changing)
            return e if inverse is None else Apply("multiply", (x, inverse), dtype)
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

    A product that a loop leaves alone is computed before it; fusing would save nothing, unless the
    sum is computed there as well.
    """
    if new.op not in ("add", "subtract"):
        return new
    for position, before in enumerate(old.operands):
        factors = _factors(new.operands[position])
        is_early = not before.free & changing and old.free & changing
        if not factors or uses[before] > 1 or is_early:
            continue
        (x, y), rest = factors, new.operands[1 - position]
        if new.op == "subtract":
            x, rest = (x, _negative(rest)) if position == 0 else (_negative(x), rest)
        return Apply("fma", (x, y, rest), new.dtype)
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
