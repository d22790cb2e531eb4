"""Where a vector loop should begin, so that its vectors fill the cache lines of what it writes in place.

New arrays begin at a cache line. The caller's begin where NumPy put them, most often 16 bytes into
one, so that every vector that is read and written back there would touch two lines.
"""

from __future__ import annotations

from ...ir import expressions, tensor
from ...ir.affine import coefficient
from ...ir.tensor import UPDATED, Buffer, Call, Expression, Extern, For, Store, statements
from .overlap import is_long

CACHE_LINE = 64
# Vectors below which a loop is over before it pays.
LEAST_VECTORS = 64


def aligning_store(loop: For) -> tuple[Buffer, Expression, int] | None:
    """The updated buffer that a loop writes element after element: it, the distance of the first
    element written from its beginning, and the elements in a cache line; None where there is none."""
    if is_long(loop) or any(isinstance(s, Call | Extern | For) for s in statements(loop.body)):
        return None
    stores = [s for s in statements(loop.body) if isinstance(s, Store) and _fills_lines(s, loop)]
    if not stores:
        return None
    store, *_ = stores
    first: Expression = tensor.ZERO
    for index, stride in zip(store.indices, store.buffer.type.strides):
        own = expressions.replace_expressions((index,), {loop.index: loop.start})[index]
        first = expressions.add(first, expressions.multiply(own, expressions.extent(stride)))
    return store.buffer, first, CACHE_LINE // store.buffer.type.dtype.itemsize


def _fills_lines(store: Store, loop: For) -> bool:
    """Whether the vectors of a loop that a store writes in place are whole cache lines, or halves."""
    type = store.buffer.type
    if store.buffer.space != UPDATED or type.layout is not None or not store.indices:
        return False
    each, (*outer, last) = CACHE_LINE // type.dtype.itemsize, store.indices
    is_whole = each % loop.lanes == 0 or loop.lanes % each == 0
    moves = coefficient(last, loop.index) == 1
    return is_whole and moves and not any(loop.index in index.free for index in outer)
