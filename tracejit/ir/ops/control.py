"""Ops of control flow: loops, branches, and scopes of extents that only data tells.

What such an op runs is a Function among its attributes, its *body*, given the operands: those that
are *carried* from one iteration to the next come first, with what is only read after them. The index
of a loop, and the extents of a scope, are unknowns with bounds (dims.py); a body mentions them
wherever an extent may stand, and `extent(value=i)` is the number itself.

What the interpreter does for them is in reference.py, as they run other Functions.
"""

from __future__ import annotations

from typing import Any

from ...errors import IRError
from ..dims import Dim, Symbol
from ..graph import Function
from ..op import CONTROL, Op, define
from ..types import ArrayType, TupleType, array_type, bool_, i64

__all__ = ["branch", "for_loop", "scope", "while_loop"]

_SCALAR, _CONDITION = array_type((), i64), array_type((), bool_)


def unknown_of(index: Any) -> Symbol:
    """The unknown that a loop's index or a scope's extent is."""
    match index:
        case Dim(((1, (Symbol() as unknown,)),)) if unknown.depth:
            return unknown
    raise TypeError(f"{index!r} is not one unknown with bounds of its own")


def _check_operands(role: str, function: Function, operands: tuple[ArrayType, ...]) -> None:
    wanted = [(p.type.shape, p.type.dtype) for p in function.parameters]
    if [(t.shape, t.dtype) for t in operands] != wanted:
        listed = ", ".join([str(p.type) for p in function.parameters])
        raise TypeError(f"the {role} {function.name} takes ({listed})")


def _check_results(role: str, function: Function, wanted: tuple[ArrayType, ...]) -> None:
    if [(t.shape, t.dtype) for t in function.types] != [(t.shape, t.dtype) for t in wanted]:
        listed, given = ", ".join(map(str, wanted)), ", ".join(map(str, function.types))
        raise TypeError(f"the {role} {function.name} gives ({given}), and should give ({listed})")


def _results(types: tuple[ArrayType, ...]) -> ArrayType | TupleType:
    if not types:
        raise TypeError("control flow without results does nothing")
    types = tuple([array_type(t.shape, t.dtype) for t in types])
    return types[0] if len(types) == 1 else TupleType(types)


def _for_type(
    *types: ArrayType,
    index: Dim,
    start: int | Dim,
    stop: int | Dim,
    body: Function,
    carried: int,
    breaks: bool = False,
) -> ArrayType | TupleType:
    unknown_of(index)
    if not all(isinstance(bound, int | Dim) for bound in (start, stop)):
        raise TypeError(f"a loop from {start!r} to {stop!r}")
    _check_operands("body", body, types)
    _check_results("body", body, (*types[:carried], *[_CONDITION] * breaks))
    return _results(types[:carried])


def _while_type(
    *types: ArrayType, condition: Function, body: Function, carried: int
) -> ArrayType | TupleType:
    _check_operands("condition", condition, types)
    _check_operands("body", body, types)
    _check_results("condition", condition, (_CONDITION,))
    _check_results("body", body, types[:carried])
    return _results(types[:carried])


def _branch_type(
    choice: ArrayType, *types: ArrayType, branches: tuple[Function, ...], usual: bool = False
) -> ArrayType | TupleType:
    if choice is not _SCALAR:
        raise TypeError(f"a branch is chosen by an {_SCALAR}, not by {choice}")
    for function in branches:
        _check_operands("branch", function, types)
        _check_results("branch", function, branches[0].types)
    return _results(branches[0].types)


def _scope_type(
    *types: ArrayType, extents: tuple[Dim, ...], body: Function, once: bool = False
) -> ArrayType | TupleType:
    for extent in extents:
        unknown_of(extent)
    if types[: len(extents)] != (_SCALAR,) * len(extents):
        raise TypeError(f"extents are given by operands of type {_SCALAR}")
    _check_operands("body", body, types[len(extents) :])
    return _results(body.types)


def _no_reference(*_: Any, **__: Any) -> Any:
    raise IRError("control flow is run by the interpreter of the caller")


# `body(*carried, *read) -> carried` for each index in `range(start, stop)`. With `breaks`, a body has
# a last result, a bool: whether the loop ends with this iteration.
for_loop = define(Op("for_loop", CONTROL, _for_type, _no_reference))

# `body(*carried, *read) -> carried` while `condition(*carried, *read)` holds.
while_loop = define(Op("while_loop", CONTROL, _while_type, _no_reference))

# `branches[choice](*operands)`; a choice that is too small or too large is the first or the last.
# Where the first is `usual`, the others are seldom chosen.
branch = define(Op("branch", CONTROL, _branch_type, _no_reference))

# `body(*operands)`, in which the unknowns `extents` are what the first operands say. What is done `once`
# may be done before any call: its operands are constants.
scope = define(Op("scope", CONTROL, _scope_type, _no_reference))
