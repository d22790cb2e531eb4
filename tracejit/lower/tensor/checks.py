"""Drop the checks of indices that can never fail: bytes into a table of 256, positions counted up.

Also `may_refuse`: whether checks that may fail are left.
"""

from __future__ import annotations

from ...ir import ops, tensor
from ...ir.bounds import Bounds
from ...ir.graph import Module, map_kernels
from ...ir.tensor import (
    Apply,
    Expression,
    For,
    Kernel,
    Literal,
    Statement,
    expressions_of,
    parts,
    statements,
)
from ...ir.term import postorder
from .substitute import substitute

CHECKS = ("checked_index", "checked_choice")
SOME = tuple([op.name for op in ops.some.values()])


def drop_checks(module: Module) -> Module:
    """Replace every check of what is proved to be inside by the index itself."""
    return map_kernels(module, _change)


def may_refuse(kernel: Kernel) -> bool:
    """Whether running the kernel may end in the report that there is no result."""
    roots = [e for statement in statements(kernel.body) for e in expressions_of(statement)]
    refused = any(map(_is_refusing, postorder(roots, parts)))
    return refused or any(may_refuse(callee) for callee in kernel.callees)


def _is_refusing(e: Expression) -> bool:
    match e:
        case Apply("power", (_, exponent), dtype):
            return dtype.is_signed and not isinstance(exponent, Literal)
        case Apply(op):
            return op in CHECKS or op in SOME
    return False


def _change(kernel: Kernel) -> Kernel:
    own = list(statements(kernel.body))
    if any(isinstance(s, For) and s.mark != "serial" for s in own):
        return kernel  # scheduled already, by its own lowering
    roots = [e for statement in own for e in expressions_of(statement)]
    if not any(isinstance(e, Apply) and e.op in CHECKS for e in postorder(roots, parts)):
        return kernel
    return kernel.replace(body=_changed(kernel.body, ()))


def _changed(body: tuple[Statement, ...], loops: tuple[For, ...]) -> tuple[Statement, ...]:
    new: list[Statement] = []
    bounds = Bounds(loops)
    for statement in body:
        if isinstance(statement, For):
            statement = statement.replace(body=_changed(statement.body, (*loops, statement)))
        elif needless := _needless(statement, bounds):
            (statement,) = substitute((statement,), needless)
        new.append(statement)
    return tuple(new)


def _needless(statement: Statement, bounds: Bounds) -> dict[Expression, Expression]:
    """The checks in a statement that never fail, each with its index."""
    found: dict[Expression, Expression] = {}
    for e in postorder(expressions_of(statement), parts):
        match e:
            case Apply(op, (index, extent, *_)) if op in CHECKS:
                room = tensor.subtract(tensor.subtract(extent, tensor.ONE), index)
                if bounds.is_nonnegative(index) and bounds.is_nonnegative(room):
                    found[e] = tensor.replace_expressions((index,), found)[index]
    return found
