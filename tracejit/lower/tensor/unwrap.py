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
)
from .cost import trips
from .substitute import substitute
from .walk import exchange_inner_loops


def unwrap_loops(module: Module) -> Module:
    """Put what is in loops of one iteration in their place, in Kernels of control flow."""
    return map_kernels(module, _change)


def _change(kernel: Kernel) -> Kernel:
    if not has_control(kernel.body):
        return kernel
    return kernel.replace(body=exchange_inner_loops(kernel.body, _unwrapped))


def _unwrapped(loop: For) -> tuple[Statement, ...] | None:
    if not _is_wrapping(loop):
        return None
    inside = [s for s in loop.body if not isinstance(s, Break)]
    return substitute(inside, {loop.index: loop.start})


def _is_wrapping(loop: For) -> bool:
    """Whether a loop runs once, and nothing would change without it: no name inside would reach
    further, and what stands for its index stays as it is."""
    declares = any(isinstance(statement, Let | Allocate) for statement in loop.body)
    is_fixed = all(isinstance(term, Index) for term in loop.start.free)
    return not is_scheduled((loop,)) and trips(loop) == 1 and is_fixed and not declares
