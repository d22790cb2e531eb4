"""A loop of one iteration is what is inside it."""

from __future__ import annotations

from ...ir.graph import Module, map_kernels
from ...ir.tensor import (
    Allocate,
    Break,
    For,
    Index,
    Kernel,
    Let,
    Statement,
    has_control,
    is_scheduled,
    map_bodies,
)
from .cost import trips
from .substitute import substitute


def unwrap_loops(module: Module) -> Module:
    """Put what is in loops of one iteration in their place, in Kernels of control flow."""
    return map_kernels(module, _change)


def _change(kernel: Kernel) -> Kernel:
    return kernel.replace(body=_body(kernel.body)) if has_control(kernel.body) else kernel


def _body(body: tuple[Statement, ...]) -> tuple[Statement, ...]:
    new: list[Statement] = []
    for statement in body:
        statement = map_bodies(statement, _body)
        if isinstance(statement, For) and _is_wrapping(statement):
            inside = [s for s in statement.body if not isinstance(s, Break)]
            new += substitute(inside, {statement.index: statement.start})
        else:
            new.append(statement)
    return tuple(new)


def _is_wrapping(loop: For) -> bool:
    """Whether a loop runs once, and nothing would change without it: no name inside would reach
    further, and what stands for its index stays as it is."""
    declares = any(isinstance(statement, Let | Allocate) for statement in loop.body)
    is_fixed = all(isinstance(term, Index) for term in loop.start.free)
    return not is_scheduled((loop,)) and trips(loop) == 1 and is_fixed and not declares
