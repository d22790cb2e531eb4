"""A mean and the squares of deviations from it, of rows.

One that is longer than caches are large is swept in blocks:

    for i: a += x[i]                     for blocks of the row: t = sum of x in the block; m = t / size
    for i: b += (x[i] - a / n)²     ->                          q = sum of (x - m)²; keep t and q
                                         a = sum of all t;  b = sum of all q + size (m - a / n)²

Each block is swept twice in the nearest cache, and read from afar once. What blocks add to the squares by
having other means is added at the end (Chan, Golub and LeVeque, "Algorithms for computing the sample variance: analysis and
recommendations", 1983): no difference of large squares is taken. Shorter ones are swept once, with deviations
from what the first few elements are near (moments.py); in arrays that lie in memory, for which the first sweep
waits anyway, twice: the second one asks for the next row meanwhile (prefetch.py).
"""

from __future__ import annotations

import math
from functools import partial
from itertools import pairwise

from ...ir.expressions import add, integer, multiply, replace_expressions
from ...ir.graph import Module, map_kernels
from ...ir.tensor import (
    ZERO,
    Accumulate,
    Allocate,
    Apply,
    Assign,
    Buffer,
    Expression,
    For,
    Index,
    Let,
    Literal,
    Load,
    Statement,
    Store,
    Variable,
    loads_of,
    map_bodies,
)
from ...ir.types import array_type
from ..machine import USUAL, Machine
from . import moments
from .cost import stride, trips
from .moments import Moments, moments_of

# The part of a core's own cache beyond which a row is not there any more when it is read again.
PART_OF_CACHE = 4
# Of a block, so that it is in the nearest cache.
BLOCK_BYTES = 16 << 10
# The first few elements, and the bytes of a row beside which these are little.
FIRST, LEAST_BYTES = 4, 1 << 10


def join_moments(module: Module, machine: Machine = USUAL) -> Module:
    """Join the two sweeps over long rows in every Kernel."""
    return map_kernels(module, lambda k: k.replace(body=_body(k.body, "", machine)))


def _body(body: tuple[Statement, ...], prefix: str, machine: Machine) -> tuple[Statement, ...]:
    """Names of what a sweep is given start with `prefix` and the place it has in its body."""
    lets = {s.variable: s.value for s in body if isinstance(s, Let)}
    after = dict(pairwise([s for s in body if isinstance(s, For)]))
    new: list[Statement] = []
    done: set[Statement] = set()
    for place, statement in enumerate(body):
        if statement in done:
            continue
        second, number = after.get(statement), f"{prefix}{place}"
        found = moments_of(statement, second, lets) if second is not None else None
        size = _row_bytes(statement) if found is not None and second.mark == "serial" else 0
        if size > machine.l2_bytes // PART_OF_CACHE:
            new += _in_blocks(found, statement, number)
            done |= {second, Let(found.squares, lets[found.squares])}
        elif size >= LEAST_BYTES and _largest(statement) <= machine.far_bytes:
            new += _in_one_sweep(found, statement, lets, number)
            done |= {second, Let(found.squares, lets[found.squares])}
        else:
            new.append(map_bodies(statement, partial(_body, prefix=f"{number}_", machine=machine)))
    return tuple(new)


def _row_bytes(sweep: For) -> int:
    """How much a sweep reads as it lies; 0 where it does not read so."""
    loads = [load for load in loads_of(sweep.body) if sweep.index in load.free]
    steps = [stride(load.buffer.type, load.indices, sweep.index) for load in loads]
    is_plain = sweep.mark == "serial" and sweep.start is ZERO and all(step == 1 for step in steps)
    return trips(sweep) * max([load.dtype.itemsize for load in loads], default=0) * is_plain


def _largest(sweep: For) -> float:
    """The bytes of the largest array that a sweep reads."""
    types = [load.buffer.type for load in loads_of(sweep.body)]
    known = [t.size * t.dtype.itemsize for t in types if isinstance(t.size, int)]
    return max(known) if len(known) == len(types) else math.inf


def _in_one_sweep(
    found: Moments, sweep: For, lets: dict[Variable, Expression], number: str
) -> list[Statement]:
    """The sums of elements, of what they are more than the center, and of the squares of that."""
    center = Variable(f"{found.total.name}_center{number}", found.value.dtype)
    kept = [v for v in found.sums if v is not found.total]
    return [
        Let(center, moments.center_of(sweep, found, FIRST)),
        *[Let(v, lets[found.total]) for v in kept],
        sweep.replace(body=moments.from_center(found, center)),
        Assign(found.squares, moments.squares_from_mean(trips(sweep), *found.sums)),
    ]


def _in_blocks(found: Moments, sweep: For, number: str) -> list[Statement]:
    """The sums of blocks, then those of all blocks and of what is left."""
    dtype, rows = found.value.dtype, trips(sweep)
    length = BLOCK_BYTES // dtype.itemsize
    count, block = rows // length, Index(f"b{number}_{sweep.index.name}")
    total, squares, mean, apart = [
        Variable(f"{found.total.name}_{word}", dtype)
        for word in ("block", "squares", "mean", "apart")
    ]
    kept = [
        Buffer(f"{v.name}_blocks{number}", array_type((count,), dtype), "local")
        for v in (found.total, found.squares)
    ]
    totals, rests = [Load(buffer, (block,)) for buffer in kept]
    inside = sweep.replace(stop=integer(length))
    here = {sweep.index: add(multiply(block, integer(length)), sweep.index)}
    value = replace_expressions((found.value,), here)[found.value]
    of_block = (
        *_summed(total, inside, value),
        *_summed(squares, inside, _square(_minus(value, _part(total, length)))),
        *[Store(b, (block,), v) for b, v in zip(kept, (total, squares))],
    )
    rest = sweep.replace(start=integer(count * length))

    def left(value: Expression, target: Variable) -> list[Statement]:
        """What is left of the row added, too."""
        return [rest.replace(body=(Accumulate(target, "add", value),))] if rows % length else []

    def blocks(*body: Statement) -> For:
        return For(block, ZERO, integer(count), body, "serial", 1)

    distance = Let(apart, _minus(_part(totals, length), mean))
    between = Apply("multiply", (_square(apart), Literal(float(length), dtype)), dtype)
    return [
        *[Allocate(buffer) for buffer in kept],
        blocks(*of_block),
        blocks(Accumulate(found.total, "add", totals)),
        *left(found.value, found.total),
        Let(mean, _part(found.total, rows)),
        Let(found.squares, Literal(0.0, dtype)),
        blocks(
            Accumulate(found.squares, "add", rests),
            distance,
            Accumulate(found.squares, "add", between),
        ),
        *left(_square(_minus(found.value, mean)), found.squares),
    ]


def _summed(target: Variable, sweep: For, value: Expression) -> tuple[Statement, ...]:
    nothing = Let(target, Literal(0.0, target.dtype))
    return nothing, sweep.replace(body=(Accumulate(target, "add", value),))


def _part(total: Expression, count: int) -> Expression:
    return Apply("multiply", (total, Literal(1 / count, total.dtype)), total.dtype)


def _minus(a: Expression, b: Expression) -> Expression:
    return Apply("subtract", (a, b), a.dtype)


def _square(a: Expression) -> Expression:
    return Apply("multiply", (a, a), a.dtype)
