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
    map_bodies,
    statements,
)


def free_loops(module: Module) -> Module:
    """Mark the ordered loops `serial` that need no order, in every Kernel."""
    return map_kernels(module, _change)


def _change(kernel: Kernel) -> Kernel:
    if not has_control(kernel.body):
        return kernel
    return kernel.replace(body=_body(kernel.body))


def _body(body: tuple[Statement, ...]) -> tuple[Statement, ...]:
    new: list[Statement] = []
    for statement in body:
        statement = map_bodies(statement, _body)
        if isinstance(statement, For) and statement.mark == "ordered":
            if is_independent(statement):
                statement = statement.replace(mark="serial")
        new.append(statement)
    return tuple(new)


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
