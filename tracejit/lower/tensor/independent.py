"""Find ordered loops whose iterations do not depend on each other, and let other passes have them.

A Python loop over the pixels of an image is written in order, but means no order: every iteration
writes elements of its own, reads none that another one writes, and carries nothing to the next but
what is accumulated. Such a loop becomes `serial`: it may run by threads, and in lanes.
"""

from __future__ import annotations

from ...ir.graph import Module, map_kernels
from ...ir.places import never_meet
from ...ir.tensor import (
    Accumulate,
    Allocate,
    Assign,
    Break,
    Buffer,
    Call,
    Expression,
    Extern,
    For,
    Kernel,
    Let,
    Load,
    Statement,
    Store,
    Variable,
    expressions_of,
    has_control,
    loads_of,
    statements,
)
from .walk import exchange_inner_loops


def free_loops(module: Module) -> Module:
    """Mark the ordered loops `serial` that need no order, in every Kernel."""
    return map_kernels(module, _change)


def _change(kernel: Kernel) -> Kernel:
    if not has_control(kernel.body):
        return kernel
    return kernel.replace(body=exchange_inner_loops(kernel.body, _freed))


def _freed(loop: For) -> tuple[Statement, ...] | None:
    is_free = loop.mark == "ordered" and is_independent(loop)
    return (loop.replace(mark="serial"),) if is_free else None


def is_independent(loop: For) -> bool:
    """Whether no iteration writes what another one writes or reads."""
    if loop.body and isinstance(loop.body[-1], Break):
        return False
    own = {s.variable for s in statements(loop.body) if isinstance(s, Let)}
    own |= {s.buffer for s in statements(loop.body) if isinstance(s, Allocate)}
    ops: dict[Variable, str] = {}
    stores: list[tuple[Buffer, tuple[Expression, ...]]] = []
    for statement in statements(loop.body):
        match statement:
            case Call():
                return False
            case Extern(symbol) if symbol != "prefetch":
                return False
            case Assign(target) if target not in own:
                return False
            case Accumulate(Variable() as target, op) if target not in own:
                if ops.setdefault(target, op) != op:
                    return False
                if any(target in e.free for s in statements(loop.body) for e in expressions_of(s)):
                    return False
            case Accumulate(Load(buffer)) if buffer not in own:
                return False
            case Store(buffer, indices) if buffer not in own:
                stores.append((buffer, indices))
    accesses = dict.fromkeys(
        [*stores, *[(load.buffer, load.indices) for load in loads_of(loop.body)]]
    )
    return all(
        never_meet(loop, place, other)
        for buffer, place in dict.fromkeys(stores)
        for used, other in accesses
        if used is buffer
    )
