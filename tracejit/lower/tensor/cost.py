"""What a piece of loop code costs, in cycles of one core: crude, and the same for every decision.

Arithmetic costs what the op's record says; a contiguous vector access about a cycle, a gather
about a cycle per lane. Only work that varies with the innermost loop counts, because the emitter
hoists the rest.
"""

from __future__ import annotations

from collections.abc import Iterable

from ...ir.affine import coefficient, linear
from ...ir.expressions import integer, is_seldom, maximum
from ...ir.expressions import subtract as minus
from ...ir.foreign import POLL, SCALARS, foreign
from ...ir.op import OPS
from ...ir.tensor import (
    ZERO,
    Accumulate,
    Apply,
    Assign,
    Break,
    Call,
    Expression,
    Extern,
    For,
    If,
    Index,
    Kernel,
    Let,
    Literal,
    Load,
    Statement,
    Store,
    Table,
    Variable,
    bodies_of,
    has_control,
    parts,
    statements,
)
from ...ir.term import remembered
from ...ir.types import ArrayType

UNKNOWN_TRIPS = 512
# How often a loop runs that a Break ends, if it could run more often; in lanes, until all are done.
BROKEN_TRIPS = 32
SLOWEST_LANE = 2
# How many of the times that a choice is made what is seldom is chosen.
SELDOM = 1 / 256
# Each halving of a vector when its lanes are combined.
JOIN_CYCLES = 3.0
# Neighbours so far apart share no page, and most often too few places in the cache.
PAGE_BYTES = 4096
CYCLES_PER_SECOND = 3.5e9
# Steps up to which neighbouring vectors are loaded and shuffled (llvm/strided.py).
CLOSE = 4
# What loops call that is no work.
NOTHING = ("prefetch", POLL)


def trips(loop: For) -> int | None:
    """How often the body runs, when that is a constant."""
    return _trips_between(loop.start, loop.stop)


def _trips_between(start: Expression, stop: Expression) -> int | None:
    if isinstance(start, Literal) and isinstance(stop, Literal):
        return max(stop.value - start.value, 0)
    atoms, constant = linear(minus(stop, start))
    return None if atoms else max(constant, 0)


def trip_count(loop: For) -> Expression:
    """How often the body runs. A range may stop before it starts, as the last blocks of a chunk do, and is empty then:
    what divides the difference itself begins before the loop does."""
    known = trips(loop)
    return integer(known) if known is not None else maximum(minus(loop.stop, loop.start), ZERO)


def expected_trips(loop: For) -> int:
    """What is reckoned with; of a loop cut in chunks the length of a whole one."""
    starts, stops = _operands("maximum", loop.start), _operands("minimum", loop.stop)
    counts = [_trips_between(a, b) for a in starts for b in stops]
    count = min([count for count in counts if count is not None], default=UNKNOWN_TRIPS)
    return min(count, BROKEN_TRIPS) if is_broken(loop) else count


def _operands(op: str, bound: Expression) -> list[Expression]:
    """What a bound is the least, or greatest, of; it may itself be one of several."""
    if isinstance(bound, Apply) and bound.op == op:
        return [found for operand in bound.operands for found in _operands(op, operand)]
    return [bound]


def is_broken(loop: For) -> bool:
    """Whether a Break may end the loop."""
    return bool(loop.body) and isinstance(loop.body[-1], Break)


def expressions(statement: Statement) -> list[Expression]:
    match statement:
        case Let(_, value) | Assign(_, value) | Accumulate(_, _, value):
            return [value]
        case If(value) | Break(value):
            return [value]
        case Store(buffer, indices, value):
            return [value, Load(buffer, indices)]
    return []


def subexpressions(roots: Iterable[Expression]) -> list[Expression]:
    """Each distinct subexpression once; of the index of a Load only what is computed from data."""
    seen: dict[Expression, None] = {}
    pending = list(roots)
    while pending:
        top = pending.pop()
        if top in seen:
            continue
        seen[top] = None
        if type(top) is Load:
            pending += [i for i in top.indices if not all([type(t) is Index for t in i.free])]
        else:
            pending += parts(top)
    return list(seen)


def access_cost(load: Load, index: Index | None, lanes: int, vector_bytes: int) -> float:
    size = load.buffer.type.dtype.itemsize
    if index is None or index not in load.free:
        return 1.0
    step = stride(load.buffer.type, load.indices, index)
    if step == 0:
        return 1.0
    if step == 1:
        return max(1.0, lanes * size / vector_bytes)
    if step == -1:
        return 2.0 * max(1.0, lanes * size / vector_bytes)
    if lanes > 1 and step is not None and 2 <= step <= CLOSE:  # as many vectors, shuffled
        return min(1.5 * step * max(1.0, lanes * size / vector_bytes), 1.5 * lanes)
    return 1.5 * lanes


def _scatter_cost(store: Store, index: Index, lanes: int) -> float:
    """What storing lanes one by one costs beyond loading them so: fewer leave a core at a time, and
    where data says they take several steps each."""
    apart = stride(store.buffer.type, store.indices, index)
    if apart is None:
        return 4.0 * lanes
    if apart in (0, 1, -1):
        return 0.0
    size = store.buffer.type.dtype.itemsize
    return (0.5 if abs(apart) * size < PAGE_BYTES else 3.0) * lanes


def _vector_overhead(loop: For, lanes: int, count: int) -> float:
    """Entering the loop, a partial vector at its end, and joining the lanes of what it accumulates.

    What is one whole vector, as in the tiles of a product, is no loop.
    """
    joins = sum(isinstance(s, Accumulate) and loop.index not in s.target.free for s in loop.body)
    ends = 0.0 if trips(loop) == lanes else 8.0 if count % lanes else 4.0
    return ends + joins * JOIN_CYCLES * (lanes.bit_length() - 1)


def _hoisted_cost(loop: For, index: Index | None, lanes: int, vector_bytes: int) -> float:
    """What is computed of accumulated values before the loop begins, and stays the same in it."""
    values = [e for s in loop.body if not isinstance(s, For) for e in expressions(s)]
    values = [value for value in values if _has_variable(value)]
    total = 0.0
    for part in subexpressions(values):
        if isinstance(part, Apply) and loop.index not in part.free and _has_variable(part):
            record = OPS.get(part.op)
            vectors = max(1.0, lanes * part.dtype.itemsize / vector_bytes) if index else 1.0
            total += 0.5 * (record.cost if record else 1.0) * vectors
    return total


def _has_variable(expression: Expression) -> bool:
    return any(isinstance(term, Variable) for term in expression.free)


def stride(type: ArrayType, indices: tuple[Expression, ...], index: Index) -> int | None:
    """Elements between neighbours along `index`; None when that varies or is symbolic."""
    total = 0
    for position, step in zip(indices, type.strides):
        factor = coefficient(position, index)
        if factor is None:
            return None
        if factor and not isinstance(step, int):
            return None
        total += factor * step if factor else 0
    return total


def body_cost(
    body: Iterable[Statement],
    inner: frozenset,
    index: Index | None,
    lanes: int,
    vector_bytes: int,
) -> float:
    """Cycles of one pass through `body`; `inner` are the indices that change in it."""
    total = 0.0
    values: list[Expression] = []
    for statement in body:
        match statement:
            case For():
                total += _loop_cost(statement, index, lanes, vector_bytes)
            case If(condition, then, orelse):
                values.append(condition)
                arms = [
                    body_cost(inside, inner, index, lanes, vector_bytes)
                    for inside in (then, orelse)
                ]
                total += 1.0 + cost_of_choice(condition, *arms)
            case Call():
                total += 1000.0
            case Extern(symbol, arguments):
                numbers = [a.value if isinstance(a, Literal) else None for a in arguments]
                known = foreign(symbol)
                total += known.cycles(*numbers) if known is not None else 0.0
            case _:
                values += expressions(statement)
                total += 0.5
                if isinstance(statement, Store) and index is not None:
                    total += _scatter_cost(statement, index, lanes)
    for part in subexpressions(values):
        if inner and not (part.free & inner) and not isinstance(part, Load):
            continue
        match part:
            case Load() if part.buffer.space != "register":
                total += access_cost(part, index, lanes, vector_bytes)
            case Apply(op, _, dtype):
                record = OPS.get(op)
                vectors = max(1.0, lanes * dtype.itemsize / vector_bytes) if index else 1.0
                vectors = float(lanes) if op in SCALARS else vectors  # each lane is a call
                price = record.cost if record else 1.0
                # Scalar code pays full latency for elementary functions, and cannot share it.
                total += 0.5 * price * vectors
            case Table():
                total += 1.5 * lanes
    return total


# Passes ask for the same loops again and again.
@remembered
def _loop_cost(loop: For, index: Index | None, lanes: int, vector_bytes: int) -> float:
    """Cycles of a whole loop, in a body of lanes along `index`."""
    wide, own, count, total = index, lanes, expected_trips(loop), 0.0
    if loop.mark == "vector" or loop.index is index:
        wide = loop.index
        own = loop.lanes if loop.mark == "vector" else lanes
        total += _vector_overhead(loop, own, count)
        count = -(-count // own)
    if own > 1 and is_broken(loop):
        count *= SLOWEST_LANE
    each = body_cost(loop.body, frozenset((loop.index,)), wide, own, vector_bytes)
    return total + count * (each + 0.5) + _hoisted_cost(loop, index, lanes, vector_bytes)


def cost_of_choice(condition: Expression, then: float, orelse: float) -> float:
    """What a choice takes on average; nobody knows how often, where nothing says so, and the dearer arm counts."""
    if is_seldom(condition):
        return SELDOM * then + (1 - SELDOM) * orelse
    return max(then, orelse)


def seconds(cycles: float) -> float:
    return cycles / CYCLES_PER_SECOND


def nanoseconds_of_iteration(loop: For, vector_bytes: int) -> int:
    """What an iteration takes on one core, about; 0 where nobody knows before it runs."""
    cycles = _known_cycles(loop.body, loop.index, vector_bytes)
    return 0 if cycles is None else 1 + int(1e9 * seconds(cycles))


def _known_cycles(body: tuple[Statement, ...], index: Index, vector_bytes: int) -> float | None:
    total = body_cost(body, frozenset((index,)), None, 1, vector_bytes)
    for statement in statements(body):
        match statement:
            case For() if _is_unknown(statement):
                return None
            case Extern(symbol) if symbol not in NOTHING:
                return None
            case Call(kernel):
                inside = _known_cycles(kernel.body, index, vector_bytes)
                if inside is None:
                    return None
                total += inside
    return total


def calls_in(body: Iterable[Statement], times: int = 1) -> list[tuple[Kernel, int]]:
    """The kernels that statements call, and how often."""
    found = []
    for statement in body:
        if isinstance(statement, Call):
            found.append((statement.kernel, times))
        more = times * expected_trips(statement) if isinstance(statement, For) else times
        for inner in bodies_of(statement):
            found += calls_in(inner, more)
    return found


def may_run_on(body: Iterable[Statement]) -> bool:
    """Whether the order or the number of iterations depends on data, so that no model tells their time."""
    return has_control(body) and any(_is_unknown(s) for s in statements(body) if isinstance(s, For))


def _is_unknown(loop: For) -> bool:
    """Whether how often it runs depends on more than the sizes of known arrays."""
    return is_broken(loop) or expected_trips(loop) == UNKNOWN_TRIPS and trips(loop) is None
