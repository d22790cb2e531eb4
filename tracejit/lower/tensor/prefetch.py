"""Rows of a large array are asked for while the row before is computed with.

Where each row is swept several times (its maximum, then the exponentials of differences from that),
only the first sweep waits for memory, and memory has nothing to do during the others:

    for i:                                      for i:
        for j: top = max(top, x[i, j])              for j: top = max(top, x[i, j])
        for j: ... exp(x[i, j] - top)      ->       for j: prefetch x[i + 1, j]; ... exp(x[i, j] - top)

Of several later sweeps the last one asks: it divides and stores, and has the time. The processor's
own prefetching follows a row, but does not know which comes next while another array is written.
"""

from __future__ import annotations

from ...ir import expressions, tensor
from ...ir.expressions import replace_expressions
from ...ir.graph import Module, map_kernels
from ...ir.tensor import (
    Address,
    Buffer,
    Extern,
    For,
    Kernel,
    Let,
    Load,
    Statement,
    loads_of,
    map_bodies,
    statements,
)
from .cost import stride, trips

# A shorter row is there soon enough, a longer one gone again before it is used.
LEAST_ROW, MOST_ROW = 4 << 10, 64 << 10


def prefetch_rows(module: Module, large: int = 0) -> Module:
    """Add prefetches of inputs of `large` bytes and more; 0: of none.

    Rows of smaller ones come soon enough from a core's own cache.
    """
    if not large:
        return module

    def change(kernel: Kernel) -> Kernel:
        inputs = {b for b in kernel.inputs if isinstance(b.type.size, int)}
        inputs = {b for b in inputs if b.type.size * b.type.dtype.itemsize >= large}
        return kernel.replace(body=_body(kernel.body, inputs)) if inputs else kernel

    return map_kernels(module, change)


def _body(body: tuple[Statement, ...], inputs: set[Buffer]) -> tuple[Statement, ...]:
    def change(statement: Statement) -> Statement:
        if isinstance(statement, For):
            return _loop(statement, inputs)
        return map_bodies(statement, lambda inner: _body(inner, inputs))

    return tuple([change(statement) for statement in body])


def _loop(loop: For, inputs: set[Buffer]) -> For:
    if loop.mark not in ("serial", "ordered", "parallel"):
        return loop
    sweeps = [s for s in loop.body if isinstance(s, For) and s.mark == "vector"]
    if loop.mark == "parallel" or len(sweeps) < 2:
        return loop.replace(body=_body(loop.body, inputs))
    first, *others = sweeps
    for load in loads_of(first.body):
        if load.buffer not in inputs or not _is_row(load, loop, first):
            continue
        again = [s for s in others if s.start is first.start and s.stop is first.stop]
        again = [s for s in again if any(l.buffer is load.buffer for l in loads_of(s.body))]
        if again:
            # limit: of several arrays that are swept again only the first is asked for.
            sweep = again[-1]
            ahead = _ahead(loop, load, first, sweep)
            changed = sweep.replace(body=(ahead, *sweep.body))
            return loop.replace(body=tuple([changed if s is sweep else s for s in loop.body]))
    return loop


def _is_row(load: Load, loop: For, sweep: For) -> bool:
    """Whether `sweep` reads a stretch of memory, another one in each iteration of `loop`."""
    type = load.buffer.type
    size = (trips(sweep) or 0) * type.dtype.itemsize
    inside = {s.index for s in statements(sweep.body) if isinstance(s, For)}
    inside |= {s.variable for s in statements(sweep.body) if isinstance(s, Let)}
    return (
        not any(index.free & inside for index in load.indices)
        and LEAST_ROW <= size <= MOST_ROW
        and stride(type, load.indices, sweep.index) == 1
        and bool(stride(type, load.indices, loop.index))
    )


def _ahead(loop: For, load: Load, first: For, sweep: For) -> Extern:
    """The prefetch, in `sweep`, of what `first` will read in the next iteration of `loop`."""
    last = expressions.subtract(loop.stop, tensor.ONE)
    following = expressions.minimum(expressions.add(loop.index, tensor.ONE), last)
    new = replace_expressions(load.indices, {first.index: sweep.index, loop.index: following})
    return Extern("prefetch", (Address(load.buffer, tuple([new[i] for i in load.indices])),))
