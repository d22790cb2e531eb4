"""Short loops of little work, whose iterations come one after the other, are written out.

Eight steps over the bits of a byte take as long to count as to do. Where an index may be refused, the
loop stays: it says that nothing may come after.
"""

from __future__ import annotations

from ...ir.graph import Module, map_kernels
from ...ir.tensor import (
    Accumulate,
    Assign,
    For,
    Kernel,
    Let,
    Literal,
    Statement,
    Store,
    expressions_of,
    has_control,
    parts,
)
from ...ir.term import postorder
from .checks import is_refusing
from .cost import trips
from .walk import exchange_inner_loops

# The most iterations, and the most terms of expressions in them all.
MOST_TRIPS, MOST_TERMS = 8, 128


def unroll_short_loops(module: Module) -> Module:
    """Mark the innermost short loops of kernels with ordered ones."""
    return map_kernels(module, _change)


def _change(kernel: Kernel) -> Kernel:
    if not has_control(kernel.body):
        return kernel
    return kernel.replace(body=exchange_inner_loops(kernel.body, _unrolled))


def _unrolled(loop: For) -> tuple[Statement, ...] | None:
    is_chosen = loop.mark == "ordered" and _is_short(loop)
    return (loop.replace(mark="unroll"),) if is_chosen else None


def _is_short(loop: For) -> bool:
    count = trips(loop)
    if count is None or count > MOST_TRIPS or not isinstance(loop.start, Literal):
        return False
    if not all(isinstance(s, Let | Assign | Accumulate | Store) for s in loop.body):
        return False
    roots = [e for statement in loop.body for e in expressions_of(statement)]
    terms = postorder(roots, parts)
    return count * len(terms) <= MOST_TERMS and not any(map(is_refusing, terms))
