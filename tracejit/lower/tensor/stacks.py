"""Calls of NumPy's loops on stacks, as calls on parts of them by several threads.

Those that use the BLAS are left whole: OpenBLAS takes a global lock in every routine, and two
threads that solved 3 x 3 systems took 1.4 times as long as one. Sums of rows are as well.
"""

from __future__ import annotations

from ...ir import expressions, tensor
from ...ir.foreign import foreign
from ...ir.tensor import Address, Expression, Extern, For, Index, Literal, Statement
from .cost import seconds

WORTHWHILE = 30e-6
CHUNK = 15e-6
MOST_CHUNKS = 32


def split_stack(call: Extern, name: str) -> Statement:
    """A parallel loop of calls, its index named `name`; the call itself where that is better."""
    known = foreign(call.symbol)
    loop = None if known is None else known.loop
    if loop is None or loop.is_on_matrices or loop.is_fold:
        return call
    count, *extents = call.arguments[loop.ufunc.nargs :][: 1 + len(loop.names)]
    numbers = [n.value if isinstance(n, Literal) else None for n in (count, *extents)]
    if None in numbers[1:]:
        return call
    each = seconds(loop.cycles(*[None] * loop.ufunc.nargs, 1, *numbers[1:]))
    if numbers[0] is not None and numbers[0] * each < WORTHWHILE:
        return call
    least = expressions.integer(max(1, int(CHUNK / each)))
    size = expressions.maximum(least, _ceiling(count, expressions.integer(MOST_CHUNKS)))
    chunk = Index(name)
    first = expressions.multiply(chunk, size)
    rest = expressions.minimum(size, expressions.subtract(count, first))
    arguments = (
        *[_moved(a, core, first) for a, core in zip(call.arguments, loop.cores)],
        rest,
        *call.arguments[loop.ufunc.nargs + 1 :],
    )
    part = Extern(call.symbol, arguments)
    return For(chunk, tensor.ZERO, _ceiling(count, size), (part,), "parallel", 1)


def _ceiling(count: Expression, size: Expression) -> Expression:
    rounded = expressions.subtract(expressions.add(count, size), tensor.ONE)
    return expressions.floor_divide(rounded, size)


def _moved(address: Address, core: tuple[str, ...], first: Expression) -> Address:
    """The address of the item `first` of the stack, whose axes come before the core's."""
    shape = address.buffer.type.shape
    indices = list(address.indices)
    axis = len(shape) - len(core) - 1
    while axis >= 0 and indices[axis] is tensor.ZERO:
        is_outermost = axis == 0 or indices[axis - 1] is not tensor.ZERO
        extent = expressions.extent(shape[axis])
        indices[axis] = first if is_outermost else expressions.remainder(first, extent)
        first = expressions.floor_divide(first, extent)
        axis -= 1
    return Address(address.buffer, tuple(indices))
