"""Loops that store where data says take several iterations a step.

Such a loop cannot run in lanes, and each iteration is a few instructions: counting would be most of
the work, and of what comes next in memory nothing would be known to come together.

    for i in range(n):                    for k in range(n // 4):
        a[j[i]] += x[i]        ->             for u in unroll(4):
                                                  a[j[4 * k + u]] += x[4 * k + u]
                                          for i in range(4 * (n // 4), n):
                                              a[j[i]] += x[i]
"""

from __future__ import annotations

from collections.abc import Iterable

from ...ir import expressions, tensor
from ...ir.graph import Module, map_kernels
from ...ir.places import is_chosen_by_data
from ...ir.tensor import (
    Accumulate,
    Assign,
    For,
    Index,
    Kernel,
    Let,
    Statement,
    Store,
    expressions_of,
    has_control,
    parts,
)
from ...ir.term import postorder
from .cost import trip_count, trips
from .substitute import substitute
from .walk import exchange_outer_loops

_PLAIN = (Let, Assign, Store, Accumulate)
REPEATS = 4
# The most terms of the expressions of a body, and the least iterations that are worth it.
MOST_TERMS, LEAST_TRIPS = 40, 16


def repeat_bodies(module: Module) -> Module:
    """Write the bodies of such loops out several times, in kernels without control flow."""
    return map_kernels(module, _change)


def _change(kernel: Kernel) -> Kernel:
    if has_control(kernel.body):
        return kernel
    return kernel.replace(body=exchange_outer_loops(kernel.body, _exchanged))


def _exchanged(loop: For) -> Iterable[Statement] | None:
    return _repeated(loop) if _is_to_repeat(loop) else None


def _is_to_repeat(loop: For) -> bool:
    if loop.mark != "serial" or not all(isinstance(s, _PLAIN) for s in loop.body):
        return False
    count = trips(loop)
    if count is not None and count < LEAST_TRIPS:
        return False
    if not any(isinstance(s, Store) and is_chosen_by_data(s.indices) for s in loop.body):
        return False
    roots = [e for statement in loop.body for e in expressions_of(statement)]
    return len(postorder(roots, parts)) <= MOST_TERMS


def _repeated(loop: For) -> list[Statement]:
    many = expressions.integer(REPEATS)
    steps = expressions.floor_divide(trip_count(loop), many)
    step, turn = Index(f"{loop.index.name}_step"), Index(f"{loop.index.name}_turn")
    place = expressions.add(expressions.multiply(step, many), turn)
    body = substitute(loop.body, {loop.index: expressions.add(place, loop.start)})
    turns = For(turn, tensor.ZERO, many, body, "unroll", 1)
    rest = loop.replace(start=expressions.add(loop.start, expressions.multiply(steps, many)))
    whole = For(step, tensor.ZERO, steps, (turns,), "serial", 1)
    return [whole] if trips(rest) == 0 else [whole, rest]
