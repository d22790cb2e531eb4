"""Drop the checks of indices that can never fail: bytes into a table of 256, positions counted up."""

from __future__ import annotations

from ...ir import tensor
from ...ir.bounds import Bounds
from ...ir.graph import Module, map_kernels
from ...ir.tensor import Apply, Expression, For, Kernel, Statement, expressions_of, parts
from ...ir.term import postorder
from .substitute import substitute


def drop_checks(module: Module) -> Module:
    """Replace every check of what is proved to be inside by the index itself."""
    return map_kernels(module, _change)


def _change(kernel: Kernel) -> Kernel:
    body = _changed(kernel.body, ())
    return kernel if body == kernel.body else kernel.replace(body=body)


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
            case Apply("checked_index" | "checked_choice", (index, extent, *_)):
                room = tensor.subtract(tensor.subtract(extent, tensor.ONE), index)
                if bounds.is_nonnegative(index) and bounds.is_nonnegative(room):
                    found[e] = tensor.replace_expressions((index,), found)[index]
    return found
