"""Choose which loop of each nest runs in vector lanes, and how many.

A loop qualifies when its iterations are independent up to Accumulate. Along every path from the
root of a nest to its leaves one loop is chosen, by the cost model: usually the one whose steps are
contiguous in memory, also when it is not the innermost (a sum over axis 0 runs lanes along axis 1
and the reduction inside). Lanes may be wider than the machine's vectors: that is unrolling. Loops
with branches or a `while` inside run under masks (masks.py).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from ...ir.bounds import Bounds, unknowns_of
from ...ir.expressions import integer
from ...ir.foreign import foreign, needs_one_thread
from ...ir.graph import Module, map_kernels
from ...ir.numpy_sorts import SORTINGS
from ...ir.op import OPS
from ...ir.packing import packing_of, packs
from ...ir.places import (
    are_always_apart,
    are_apart,
    changed_in,
    is_chosen_by_data,
    keeps_order,
    never_meet,
)
from ...ir.running import running_of
from ...ir.tensor import (
    ZERO,
    Accumulate,
    Allocate,
    Apply,
    Assign,
    Buffer,
    Expression,
    Extern,
    For,
    Index,
    Kernel,
    Let,
    Literal,
    Load,
    Statement,
    Store,
    expressions_of,
    has_control,
    is_scheduled,
    loads_of,
    map_bodies,
    parts,
    statements,
)
from ...ir.term import postorder
from .cost import body_cost, expressions, stride, subexpressions, trips
from .masks import in_lanes
from .rename import FreshNames

# Bodies up to this many cycles are unrolled; longer ones keep the core busy by themselves.
CHEAP = 5.5
# Vectors in a step then. Of sums several go side by side, as each addition waits for the one before.
# Down columns a step is a run of every row it meets, and memory is slow to follow short runs.
ELEMENTS, SUMS, COLUMNS = 2, 4, 16
# How often a loop runs whose end was read or computed, as the rows of sparse matrices are.
NAMED_TRIPS = 12
# Bytes that are not in the nearest cache; what an op costs of which nothing is known.
LARGE, DEAR = 64 << 10, 100.0
# Where so many reads wait for one another, as in a search, so many vectors wait side by side.
LONG, SEARCHES = 4, 4


def vectorize(module: Module, vector_bytes: int = 32, reorders: bool = True) -> Module:
    """Mark loops `vector` in every Kernel.

    `reorders`: running sums of floats, which NumPy adds up one by one, may be in another order.
    """
    return map_kernels(module, lambda kernel: _vectorize_kernel(kernel, vector_bytes, reorders))


def _vectorize_kernel(kernel: Kernel, vector_bytes: int, reorders: bool) -> Kernel:
    if is_scheduled(kernel.body) and not has_control(kernel.body):
        return kernel  # by its own lowering
    return kernel.replace(body=_Chooser(kernel, vector_bytes, reorders).run())


class _Chooser:
    """One kernel, and which of its loops run in lanes."""

    def __init__(self, kernel: Kernel, vector_bytes: int, reorders: bool):
        self.kernel, self.vector_bytes, self.reorders = kernel, vector_bytes, reorders
        self.names: FreshNames | None = None

    def run(self) -> tuple[Statement, ...]:
        bounds = Bounds((), unknowns=unknowns_of(self.kernel))
        return self.body(self.kernel.body, bounds)

    def body(self, body: tuple[Statement, ...], bounds: Bounds) -> tuple[Statement, ...]:
        new: list[Statement] = []
        for statement in body:
            if isinstance(statement, Let) and isinstance(statement.variable, Index):
                bounds = bounds.naming(statement.variable, statement.value)
            new.append(self.chosen(statement, bounds))
        return tuple(new)

    def chosen(self, statement: Statement, bounds: Bounds) -> Statement:
        """The statement with its best loops marked."""
        is_chosen = isinstance(statement, For) and statement.mark == "vector"
        if is_chosen or is_scheduled((statement,)) and not has_control((statement,)):
            return statement
        inside = bounds.inside(statement) if isinstance(statement, For) else bounds
        deeper = map_bodies(statement, lambda body: self.body(body, inside))
        if not isinstance(statement, For) or statement.mark == "ordered":
            return deeper
        if lanes := _packing_lanes(statement, self.vector_bytes):
            return statement.replace(mark="vector", lanes=lanes)
        if lanes := _running_lanes(statement, self.vector_bytes, self.reorders):
            return statement.replace(mark="vector", lanes=lanes)
        here = self.in_lanes(statement, inside)
        if here is None or self.cost(here, bounds) >= self.cost(deeper, bounds):
            return deeper
        return here

    def in_lanes(self, loop: For, bounds: Bounds) -> For | None:
        """The loop in lanes; None if it cannot run so."""
        if not has_control(loop.body):
            lanes = lane_count(loop, self.vector_bytes) if _fits_lanes(loop) else 1
            return loop.replace(mark="vector", lanes=lanes) if lanes > 1 else None
        if is_scheduled(loop.body) or not independent(loop) or _divides(loop.body):
            return None
        self.names = self.names or FreshNames(self.kernel)
        return in_lanes(loop, bounds, self.names, self.vector_bytes)

    def cost(self, loop: For, bounds: Bounds) -> float:
        if not bounds.named.keys().isdisjoint(loop.start.free | loop.stop.free):
            loop = loop.replace(start=ZERO, stop=integer(NAMED_TRIPS))
        return body_cost((loop,), frozenset(), None, 1, self.vector_bytes)


def _divides(body: Iterable[Statement]) -> bool:
    """Whether integers are divided by others than constants: lanes do so one by one, and all of them
    where one has to."""
    roots = [e for s in statements(body) for e in expressions_of(s)]
    return any(
        isinstance(e, Apply)
        and e.op in ("floor_divide", "remainder")
        and e.dtype.is_integer
        and not isinstance(e.operands[1], Literal)
        for e in postorder(roots, parts)
    )


def _packing_lanes(loop: For, vector_bytes: int) -> int:
    """Lanes for a loop that packs elements, where the machine has an instruction for that; or 0."""
    packing = packing_of(loop) if loop.mark == "serial" else None
    if packing is None:
        return 0
    dtypes = [part.store.buffer.type.dtype for part in packing.packings if part.store]
    is_fit = all(packs(dtype, vector_bytes) for dtype in dtypes)
    is_fit = is_fit and independent(loop.replace(body=(*packing.lets, *packing.others)))
    lanes = vector_bytes // max([dtype.itemsize for dtype in dtypes])
    count = trips(loop)
    return lanes if is_fit and (count is None or count >= lanes) else 0


def _running_lanes(loop: For, vector_bytes: int, reorders: bool) -> int:
    """Lanes for a loop along memory that stores running totals, where their order is free; or 0."""
    running = running_of(loop) if loop.mark == "serial" else None
    if running is None:
        return 0
    dtype, store = running.total.dtype, running.store
    is_free = dtype.is_integer or reorders and dtype.name in ("f32", "f64")
    along = stride(store.buffer.type, store.indices, loop.index) == 1
    lanes, count = vector_bytes // dtype.itemsize, trips(loop)
    return lanes if is_free and along and (count is None or count >= lanes) else 0


def _fits_lanes(loop: For) -> bool:
    """Whether iterations are independent, and loops inside run equally often in all of them."""
    inner = [s for s in statements(loop.body) if isinstance(s, For)]
    varying = changed_in((loop,)) - {s.index for s in inner}
    alike = all(varying.isdisjoint(s.start.free | s.stop.free) for s in inner)
    return alike and independent(loop)


def independent(loop: For, threads: bool = False) -> bool:
    """Whether iterations touch each other only through Accumulate.

    `threads`: iterations come in any order, and memory allocated inside is each one's own.
    """
    if threads and needs_one_thread((loop,)):
        return False
    own = {s.buffer for s in statements(loop.body) if isinstance(s, Allocate)} if threads else ()
    inside = {s.variable for s in statements(loop.body) if isinstance(s, Let)}
    named = {index for index in inside if isinstance(index, Index)}
    if named and not threads:
        return False  # limit: lanes read at names of their own one by one, which costs do not know
    stored = set()
    for statement in statements(loop.body):
        if isinstance(statement, Extern) and not (threads and _is_apart(loop, statement, own)):
            return False
        if isinstance(statement, Assign) and statement.variable not in inside:
            return False
        if isinstance(statement, Store) and statement.buffer not in own:
            free = Load(statement.buffer, statement.indices).free
            by_data = is_chosen_by_data(statement.indices) or not named.isdisjoint(free)
            if loop.index not in free:
                return False
            if by_data and not are_apart(loop, statement.indices):
                if threads or not keeps_order(loop, statement):
                    return False
            stored.add((statement.buffer, statement.indices))
    return all(
        load.indices == indices
        or never_meet(loop, indices, load.indices)
        or are_always_apart((loop,), indices, load.indices)
        for load in loads_of(loop.body)
        for buffer, indices in stored
        if load.buffer is buffer
    )


def _is_apart(loop: For, call: Extern, own: Collection[Buffer]) -> bool:
    """Whether each iteration works on other memory, and the function bears several threads."""
    known = foreign(call.symbol)
    if call.symbol not in SORTINGS and not (known is not None and known.is_thread_safe):
        return False
    written = {a.buffer for k, a in enumerate(call.arguments) if known and k in known.written}
    return all(
        address.buffer in own
        or loop.index in Load(address.buffer, address.indices).free
        or address.buffer not in written
        for address in call.addresses
    )


def lane_count(loop: For, vector_bytes: int) -> int:
    """Lanes for `loop`: one machine vector of the widest dtype, several when the body is cheap."""
    count = trips(loop)
    if count is not None and count <= 1 or _brings_together(loop):
        return 1
    widest, accumulates, touched, is_spread = 1, False, False, False
    values: list[Expression] = []
    for statement in statements(loop.body):
        if isinstance(statement, For):
            continue
        accumulates = accumulates or isinstance(statement, Accumulate)
        values += expressions(statement)
    for part in subexpressions(values):
        if isinstance(part, Load) and loop.index in part.free:
            touched = True
            widest = max(widest, _register_size(part.dtype))
            if stride(part.buffer.type, part.indices, loop.index) not in (0, 1):
                accumulates, is_spread = False, True
        elif loop.index in part.free:
            widest = max(widest, _register_size(part.dtype))
    if not touched and not values:
        return 1
    lanes = max(1, vector_bytes // widest)
    inner = frozenset((loop.index,))
    price = body_cost(_leaves(loop), inner, None, 1, vector_bytes)
    # Elements of a window that are not side by side come out of several vectors as it is.
    if price <= CHEAP and not (is_spread and any(isinstance(s, For) for s in loop.body)):
        lanes *= _vectors(loop, lanes, count) if accumulates else ELEMENTS
    elif not accumulates and _reads_in_a_row(values) >= LONG:
        lanes *= SEARCHES
    if count is not None:
        while lanes // 2 >= count:
            lanes //= 2
    return lanes


def _brings_together(loop: For) -> bool:
    """Whether it does little more than to read several elements of what is not in the nearest cache, at positions
    that lie in memory.

    To insert one in a vector takes as long as to compute with it, and without that more reads are under way.
    """
    if not all(isinstance(s, Store) for s in loop.body):
        return False
    terms = postorder([s.value for s in loop.body], _operands)
    terms = [e for e in terms if loop.index in e.free]
    reads = [e for e in terms if isinstance(e, Load) and is_chosen_by_data(e.indices)]
    sizes = [e.buffer.type.size for e in reads]
    if any(not isinstance(n, int) or n * e.dtype.itemsize < LARGE for n, e in zip(sizes, reads)):
        return False
    prices = [OPS[e.op].cost if e.op in OPS else DEAR for e in terms if isinstance(e, Apply)]
    return len(reads) > 1 and sum(prices) <= len(reads)


def _operands(e: Expression) -> tuple[Expression, ...]:
    """What is computed with, but not where it is read."""
    return () if isinstance(e, Load) else parts(e)


def _reads_in_a_row(values: list[Expression]) -> int:
    """How many elements are read one after the other, each at a place that the one before tells."""
    depth: dict[Expression, int] = {}
    for e in postorder(values, parts):
        depth[e] = max([depth[part] for part in parts(e)], default=0) + isinstance(e, Load)
    return max(depth.values(), default=0)


def _vectors(loop: For, lanes: int, count: int | None) -> int:
    """How many vectors of sums: of columns as many as registers hold and the loop fills."""
    sweeps = [s for s in loop.body if isinstance(s, For)]
    if not sweeps or count is None:
        return SUMS
    sums = max([sum(isinstance(s, Accumulate) for s in sweep.body) for sweep in sweeps])
    vectors = COLUMNS
    while vectors > SUMS and (vectors * sums > COLUMNS or vectors * lanes > count):
        vectors //= 2
    return vectors


def _leaves(loop: For) -> list[Statement]:
    return [s for s in statements(loop.body) if not isinstance(s, For)]


def _register_size(dtype) -> int:
    """Bytes a lane takes in a register; f16 is computed as f32, complex numbers in two parts."""
    if dtype.kind == "b":
        return 1
    return 4 if dtype.name == "f16" else dtype.real.itemsize
