"""Rows that are multiplied with the same values run several at a time, so that these are read once.

    for a: s = 0                              for a in fours: s0 = s1 = s2 = s3 = 0
           for b: s += x[a, b] * y[b]    ->       for b: v = y[b]; s0 += x[a, b] * v; s1 += ...
           z[a] = s                               z[a], z[a + 1], ... = s0, s1, ...

A processor reads two vectors in a cycle and multiplies two, and each product by itself needs two
reads. Sums side by side also hide how long an addition takes: fewer lanes do for each of them, which
leaves less over at the ends of short rows.
"""

from __future__ import annotations

from ...ir import expressions, tensor
from ...ir.expressions import integer
from ...ir.graph import Module, map_kernels
from ...ir.places import changed_in
from ...ir.tensor import (
    Accumulate,
    For,
    Index,
    Kernel,
    Let,
    Load,
    Statement,
    Store,
    expressions_of,
    has_control,
    loads_of,
    parts,
    statements,
)
from ...ir.term import postorder
from .checks import is_refusing
from .cost import trip_count, trips
from .rename import FreshNames, Renaming
from .substitute import substitute
from .vectorize import independent
from .walk import exchange_outer_loops

# Rows side by side, the sums that registers hold in them, and the terms in the expressions of a row.
ROWS, MOST_SUMS, MOST_TERMS = 4, 8, 48


def jam_rows(module: Module, vector_bytes: int = 32) -> Module:
    """Write out several rows of such loops together, in kernels with control flow."""
    return map_kernels(
        module, lambda k: _Jammer(k, vector_bytes).run() if has_control(k.body) else k
    )


class _Jammer:
    def __init__(self, kernel: Kernel, vector_bytes: int):
        self.kernel, self.names, self.vector_bytes = kernel, FreshNames(kernel), vector_bytes

    def run(self) -> Kernel:
        return self.kernel.replace(body=exchange_outer_loops(self.kernel.body, self.jammed))

    def jammed(self, loop: For) -> list[Statement] | None:
        """Blocks of rows, and then the rows that are left."""
        if not _is_shared(loop):
            return None
        block = Index(self.names.pick(f"{loop.index.name}_block"))
        blocks = expressions.floor_divide(trip_count(loop), integer(ROWS))
        first = expressions.add(loop.start, expressions.multiply(block, integer(ROWS)))
        place = next(k for k, s in enumerate(loop.body) if isinstance(s, For))
        along = loop.body[place]
        before: list[Statement] = []
        inside: list[Statement] = []
        after: list[Statement] = []
        for number in range(ROWS):
            new = substitute(loop.body, {loop.index: expressions.add(first, integer(number))})
            names = self.names.of_body(loop.body)
            names[along.index] = along.index
            new = Renaming(names).body(new)
            before += new[:place]
            inside += new[place].body
            after += new[place + 1 :]
        lanes = along.lanes
        while lanes * len(inside) > MOST_SUMS * self.least_lanes(along):
            lanes //= 2
        whole = (*before, along.replace(body=tuple(inside), lanes=lanes), *after)
        rest = expressions.add(loop.start, expressions.multiply(blocks, integer(ROWS)))
        few = expressions.minimum(expressions.add(rest, integer(ROWS - 1)), loop.stop)
        return [
            For(block, tensor.ZERO, blocks, whole, "serial", 1),
            loop.replace(start=rest, stop=few),
        ]

    def least_lanes(self, along: For) -> int:
        """The lanes of one vector."""
        sizes = [s.value.dtype.real.itemsize for s in along.body if isinstance(s, Accumulate)]
        return max(self.vector_bytes // max(sizes), 1)


def _is_shared(loop: For) -> bool:
    """Whether rows add up products in lanes, and some of what they read is the same for all."""
    inner = [s for s in loop.body if isinstance(s, For)]
    if loop.mark != "serial" or len(inner) != 1 or inner[0].mark != "vector":
        return False
    count = trips(loop)
    if count is not None and count < ROWS:
        return False
    (along,) = inner
    if not all(isinstance(s, Accumulate) for s in along.body) or len(along.body) > 2:
        return False
    plain = [s for s in loop.body if s is not along]
    if not all(isinstance(s, Let | Store) for s in plain) or not independent(loop):
        return False
    if not (along.start.free | along.stop.free).isdisjoint(changed_in((loop,))):
        return False
    own = {s.variable for s in plain if isinstance(s, Let)}
    if not all(isinstance(s, Accumulate) and s.target in own for s in along.body):
        return False
    terms = postorder([e for s in statements((loop,)) for e in expressions_of(s)], parts)
    if len(terms) > MOST_TERMS or any(map(is_refusing, terms)):
        return False
    varying = changed_in((loop,)) - {along.index}
    return any(
        along.index in load.free and varying.isdisjoint(load.free)
        for load in loads_of((along,))
        if isinstance(load, Load)
    )
