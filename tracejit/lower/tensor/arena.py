"""Places of buffers in the workspace.

Buffers of the entry share one arena; a buffer's place is free again after the last call that
touches it. A kernel's own local buffers follow those of its callers, and since calls come one after
the other, all kernels that one calls use the same stretch; a buffer allocated inside a parallel loop
has a slot for each thread, or is on the thread's stack when it is small.
"""

from __future__ import annotations

from math import prod
from typing import Any, NamedTuple

from ...errors import IRError
from ...ir.dims import Dim, bind, highest
from ...ir.graph import Kernel
from ...ir.sections import sections_of
from ...ir.tensor import (
    ZERO,
    Allocate,
    Apply,
    Buffer,
    Call,
    For,
    Literal,
    bodies_of,
    is_shared,
    statements,
)
from ...ir.term import postorder
from .cost import trips
from .kept import KEPT

ALIGNMENT = 64
# The workspace begins with a word that kernels set when something failed.
STATUS_BYTES = 64
STACK_LIMIT = 32 * 1024


class Layout(NamedTuple):
    """Places in the workspace: `(offset, None)`, or `(offset, step)` for one per thread.

    `workspace_bytes` is 0 when nothing has a place.
    """

    places: dict[tuple[Kernel, Buffer], Any]
    workspace_bytes: Any

    def offset_of(self, kernel: Kernel, buffer: Buffer) -> Any:
        """None: on the stack."""
        return self.places[kernel, buffer]


class Memory(NamedTuple):
    """What a call of a program needs, in bytes; formulas in the sizes of arguments where these are unknown.

    Blocks of the pool that it is taken from are up to an eighth larger.

    arguments   the arrays it is given, as far as they are contiguous
    results     the arrays it makes and returns
    workspace   what it uses besides, until it returns; 0 when registers and stacks hold all of it
    formula     of a program for arguments of many sizes: the same as formulas
    """

    arguments: int | Dim
    results: int | Dim
    workspace: int | Dim
    formula: Memory | None = None

    def at(self, sizes: dict[str, int]) -> Memory:
        """The numbers for sizes of these names."""
        return Memory(*[bind(bytes, sizes) for bytes in self[:3]], self)

    @property
    def peak(self) -> int | Dim:
        """The most that a call adds to the memory in use."""
        return self.results + self.workspace


def memory(entry: Kernel, threads: int = 0) -> Memory:
    """The memory of a scheduled program on so many threads, known before it runs."""
    inputs = sum([_size(buffer) for buffer in entry.inputs])
    return Memory(inputs, sum(map(_size, entry.fresh)), layout(entry, threads).workspace_bytes)


def _size(buffer: Buffer) -> int | Dim:
    return prod(buffer.type.shape) * buffer.type.dtype.itemsize


def layout(entry: Kernel, threads: int = 0) -> Layout:
    """Give every local buffer of the entry and of the kernels it calls a place.

    What is in parallel loops has one for each of the `threads`; 0: for each iteration.
    """
    places: dict[tuple[Kernel, Buffer], Any] = {}
    starts: dict[Kernel, Any] = {entry: STATUS_BYTES}
    most: Any = STATUS_BYTES
    beside = {kernel for caller in entry.callees for kernel in _side_by_side(caller)}
    for kernel in reversed(postorder((entry,), lambda kernel: kernel.callees)):
        start = starts[kernel]
        if kernel in beside:  # by several threads at a time, each on a stack of its own
            _place_locals(kernel, kernel.body, start, 1, threads, places)
            continue
        end = _placed(kernel, start, threads, places)
        if isinstance(end, int) and isinstance(most, int):
            most = max(most, end)
        elif end != start:
            # Unknown sizes cannot be compared: each such kernel has a stretch of its own.
            most = end = _placed(kernel, most, threads, places)
        for callee in kernel.callees:
            before = starts.setdefault(callee, end)
            is_known = isinstance(before, int) and isinstance(end, int)
            starts[callee] = max(before, end) if is_known else most
    return Layout(places, 0 if most == STATUS_BYTES else most)


def _side_by_side(kernel: Kernel) -> set[Kernel]:
    """The kernels that sections of this one call."""
    loops = [s for s in kernel.body if isinstance(s, For) and sections_of(s)]
    return {s.kernel for loop in loops for s in statements(loop.body) if isinstance(s, Call)}


def _bytes(buffer: Buffer) -> Any:
    """The most bytes a buffer may need, as an extent in sizes of arguments."""
    most = [highest(extent) for extent in buffer.type.shape]
    if None in most:
        raise IRError(f"there is no bound for the memory of {buffer}")
    size = prod(most) * buffer.type.dtype.itemsize
    return (size + (ALIGNMENT - 1)) // ALIGNMENT * ALIGNMENT


def _placed(kernel: Kernel, start: Any, threads: int, places: dict) -> Any:
    """Place the local buffers of a kernel from `start` on; returns the end."""
    if all(isinstance(statement, Allocate | Call) for statement in kernel.body):
        return _first_fit(kernel, start, places)
    return _place_locals(kernel, kernel.body, start, 0, threads, places)


def _first_fit(kernel: Kernel, start: Any, places: dict) -> Any:
    """Each buffer goes to the lowest place that is free from its first to its last use."""
    last: dict[Buffer, int] = {}
    for position, statement in enumerate(kernel.body):
        if isinstance(statement, Call):
            for buffer in statement.buffers:
                last[buffer] = position
    live: list[tuple[Any, Any, int]] = []
    end = start
    for position, statement in enumerate(kernel.body):
        if not isinstance(statement, Allocate) or statement.buffer.space == KEPT:
            continue
        size = _bytes(statement.buffer)
        if not isinstance(size, int) or not isinstance(end, int):
            places[kernel, statement.buffer] = (end, None)
            end = end + size
            continue
        live = sorted(block for block in live if block[2] > position)
        offset = start
        for begin, stop, _ in live:
            if offset + size <= begin:
                break
            offset = max(offset, stop)
        places[kernel, statement.buffer] = (offset, None)
        live.append((offset, offset + size, last.get(statement.buffer, position)))
        end = max(end, offset + size)
    return end


def _place_locals(kernel, body, offset: Any, slots: int | None, threads: int, places: dict) -> Any:
    """Place the local buffers below `body` from `offset` on; returns the end.

    `slots` is for how many threads there must be room in a parallel loop, 0 outside of one.
    """
    for statement in body:
        inside = slots
        if is_shared(statement) and slots == 0:
            inside = slots_of(statement, threads)
        for inner in bodies_of(statement):
            offset = _place_locals(kernel, inner, offset, inside, threads, places)
        if isinstance(statement, Allocate) and statement.buffer.space == "local":
            size = _bytes(statement.buffer)
            if slots == 0:
                # Where a loop was split, the same buffer may be inside a parallel one as well.
                places.setdefault((kernel, statement.buffer), (offset, None))
                offset = offset + size
            elif isinstance(size, int) and size <= STACK_LIMIT:
                places[kernel, statement.buffer] = None
            elif slots is None:
                raise IRError(f"{statement.buffer} in a parallel loop of unknown extent")
            else:
                places[kernel, statement.buffer] = (offset, size)
                offset = offset + size * slots
    return offset


def slots_of(loop: For, threads: int) -> int | None:
    """How many threads may be in a parallel loop at a time, where there is an upper bound."""
    count = trips(loop)
    if count is None and loop.start is ZERO:
        match loop.stop:
            case Apply("minimum", (_, Literal(bound)), _):
                count = bound
    if not threads or count is None:
        return threads or count
    return min(threads, max(count, 1))
