"""Which values are stored, and which are computed again by whoever reads them out of place.

A value read at its own index joins its reader's loop. Read at other indices (shifted, transposed,
broadcast) it is computed again at every one of them, unless it is stored. The price of computing
it again is that of its whole expression at the distinct positions it reads, down to what is stored:
a chain of stencils, each cheap by itself, grows with the power of its length, so some of the links
must be stored. Storing costs a pass over memory, which is dearer the further away memory is.

Movement is never worth storing for its own sake, but a nest of concatenations or paddings reads each
operand at several indices, and so what is innermost at a number that is a power of the depth.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import cache
from math import prod

from ...ir.expressions import integer, replace_expressions
from ...ir.graph import Node
from ...ir.op import CONTROL, ELEMENTWISE, MOVEMENT, UPDATE
from ...ir.ops import compress, concatenate
from ...ir.tensor import Apply, Expression, Index, Literal, parts
from ...ir.term import postorder
from ...ir.types import DType, bool_, f64
from ..elements import Composer, Position, axis_indices, domain_of
from ..machine import Machine
from .weigh import UNKNOWN_EXTENT, Choice, arithmetic, size_of, storing

Reads = list[tuple[Node, Position]]
Span = tuple[int, int]

CLAMPS = ("minimum", "maximum")
# Nodes of an expression beyond which compiling it costs more than it could save.
EXPRESSION_LIMIT = 512
# Values read out of place that are computed from one another before one is stored: each is an index deeper.
CHAIN_LIMIT = 32
# A nest of movement that is evaluated this often, and each node in it so many times, is cut.
NEST_LIMIT, NEST_REPEATS = 128, 4


class _TooLarge(Exception):
    pass


def reach(
    node: Node, index: Position, is_read: Callable[[Node], bool], visit: Callable | None = None
) -> Reads:
    """The nodes for which `is_read` that the value of `node` at `index` reads, and where.

    An update is asked for what it needs to exchange the element at `index` of its value, what packs elements
    for what it needs to see whether the one at `index` is selected, and to store it.

    `visit` sees each of the other nodes once for each index it is evaluated at.
    """
    reads: dict[tuple[Node, Position], None] = {}

    def stored(n: Node, at: Position) -> Expression | None:
        if n is node or not is_read(n):
            if visit is not None:
                visit(n)
            return None
        reads[n, at] = None
        return _placeholder(getattr(n.type, "dtype", f64))

    composer = Composer(stored)
    if node.op.kind == UPDATE:
        composer.value(node.operands[1], index)
        composer.place(node, index)
    elif node.op is compress:
        for operand in node.operands:
            composer.value(operand, index)
    else:
        composer.value(node, index)
    return list(reads)


def choose_stored(
    order: Iterable[Node],
    reads_of: Callable[[Node], Reads],
    is_read: Callable[[Node], bool],
    fixed: Callable[[Node], bool],
    machine: Machine,
    choices: list[Choice],
) -> set[Node]:
    """The elementwise nodes of `order` that must not be computed again.

    `order` are the nodes that could be stored, operands first; `reads_of` says which of these each
    reads, and `is_read` whether a node is one that is read; those for which `fixed` holds are stored whatever it costs. What is chosen is added to `choices`.
    """
    order = list(order)
    evaluations = _count_evaluations(order, reads_of, is_read, fixed)
    chosen: set[Node] = set()
    chains: dict[Node, int] = {}

    def is_stored(node: Node) -> bool:
        return node in chosen or fixed(node)

    for node in order:
        if node.op.kind != ELEMENTWISE or node not in evaluations or is_stored(node):
            continue
        inside = [chains.get(source, 0) for source, _ in reads_of(node) if source not in chosen]
        chains[node] = 1 + max(inside, default=0)
        if chains[node] > CHAIN_LIMIT:
            chosen.add(node)
            continue
        size, times = size_of(node.type.shape), evaluations[node]
        if times <= size:
            continue
        price = _price(node, is_stored, machine)
        if price is None:
            chosen.add(node)
            continue
        again = (times - size) * price
        both = ("computed again at each place", again), ("stored", storing(node, machine))
        is_less = again <= both[1][1]
        if not is_less:
            chosen.add(node)
        (what, cycles), (other, others) = both if is_less else both[::-1]
        choices.append(Choice(node, what, cycles, other, others))
    return chosen


def cut_nests(order: Iterable[Node], is_read: Callable[[Node], bool]) -> set[Node]:
    """Movement nodes to store, because whoever reads them evaluates what they read too often.

    `order` has operands first; `is_read` says what is in memory anyway.
    """
    evaluations: dict[Node, int] = {}
    cut: set[Node] = set()
    for node in order:
        if node.op.kind != MOVEMENT or is_read(node):
            continue
        times = 1 + sum([evaluations.get(operand, 1) for operand in node.operands])
        evaluations[node] = times
        if times > NEST_LIMIT:
            nest = postorder((node,), lambda n: n.operands if n in evaluations else ())
            if times > NEST_REPEATS * len(nest):
                cut.add(node)
                del evaluations[node]
    return cut


def _count_evaluations(
    order: list[Node],
    reads_of: Callable[[Node], Reads],
    is_read: Callable[[Node], bool],
    fixed: Callable[[Node], bool],
) -> dict[Node, float]:
    """How often nodes that are read out of place would be evaluated, if each reader did it anew."""
    places: dict[Node, set[tuple[Node | None, tuple, Position]]] = {}
    # The nests of loops in which a value is computed, if it is not stored; None: one for all others.
    nests: dict[Node, set[Node | None]] = {}
    for reader in reversed(order):
        if reader.op.kind == CONTROL:
            continue
        own = {None} if fixed(reader) else nests.get(reader, {None})
        for nest, shape, reads in _loops_of(reader, reads_of, is_read):
            inside = own if nest is None else {nest}
            for source, at in reads:
                nests.setdefault(source, set()).update(inside)
                places.setdefault(source, set()).update([(n, shape, at) for n in inside])
    counts: dict[Node, float] = {}
    for source, found in places.items():
        own_index = axis_indices(source.type.ndim)
        if any((shape, at) != (source.type.shape, own_index) for _, shape, at in found) or any(
            nest is not None for nest, _, _ in found
        ):
            times = {}
            for nest, shape, at in found:
                where, count = evaluations(shape, at)
                times[nest, where] = count
            counts[source] = sum(times.values())
    return counts


def _loops_of(
    reader: Node, reads_of: Callable[[Node], Reads], is_read: Callable[[Node], bool]
) -> Iterator[tuple[Node | None, tuple, Reads]]:
    """The shapes of a reader's loops, and what it reads in each, with the nest that these are.

    What joins arrays has a nest of loops for each of them: but for arrays along a last axis of extent 1, whose
    elements lie side by side, and are made by one.
    """
    if reader.op is not concatenate:
        yield None, domain_of(reader), reads_of(reader)
        return
    pending = [(operand, reader) for operand in reader.operands]
    while pending:
        part, whole = pending.pop()
        own, shape = axis_indices(part.type.ndim), part.type.shape
        is_side_by_side = whole.attrs["axis"] == len(shape) - 1 and shape[-1] == 1
        nest = None if is_side_by_side else part
        if is_read(part):
            yield nest, shape, [(part, own)]
        elif part.op is concatenate:
            pending += [(operand, part) for operand in part.operands]
        else:
            yield nest, shape, reach(part, own, is_read)


def evaluations(shape: tuple, at: Position) -> tuple[tuple, int]:
    """How often a reader with loops over `shape` needs a value at `at`; and at which places, for readers that
    come to the same ones.

    A clamped index belongs to a part of the loops (of a concatenation, within a padding): outside
    of that part nothing is read, once the loops are cut there. A part of extent 1 has no loop of its own: what
    the parts of a stack have in common is computed once for all of them.
    """
    indices = axis_indices(len(shape))
    extents = {i: n if type(n) is int else UNKNOWN_EXTENT for i, n in zip(indices, shape)}
    before = frozenset().union(*[e.free for e in at])
    spans: dict[Expression, Span | None] = {}
    for e in postorder(at, parts):
        spans[e] = _span(e, spans, extents)
    clamps = [e for e in spans if isinstance(e, Apply) and e.op in CLAMPS]
    known = [*clamps, *[e for e in spans if isinstance(e, Index)]]
    fixed = {e: integer(s[0]) for e in known if (s := spans[e]) and s[0] == s[1]}
    moved = replace_expressions(at, fixed)
    at = tuple([moved[e] for e in at])
    free = frozenset().union(*[e.free for e in at])
    loops = tuple([(i, n) for i, n in extents.items() if i in free or i not in before and n != 1])
    named = dict(zip([i for i, _ in loops], indices))
    every = prod([n for _, n in loops])
    if clamps and all(i in before for i, n in extents.items() if n != 1):
        found = [spans.get(e) for e in at if not isinstance(e, Literal)]
        if None not in found:
            every = min(every, prod([high - low + 1 for low, high in found]))
    at = tuple([replace_expressions((e,), named)[e] for e in at])
    return (tuple([n for _, n in loops]), at), every


def _span(e: Expression, spans: dict, extents: dict) -> Span | None:
    """The least and the largest value of an index; None where nothing is known."""
    match e:
        case Literal(value):
            return value, value
        case Index() if e in extents:
            return 0, extents[e] - 1
        case Apply(op, (a, b)):
            (a, b) = spans[a], spans[b]
            if a is None or b is None:
                return None
            match op:
                case "add":
                    return a[0] + b[0], a[1] + b[1]
                case "subtract":
                    return a[0] - b[1], a[1] - b[0]
                case "minimum":
                    return min(a[0], b[0]), min(a[1], b[1])
                case "maximum":
                    return max(a[0], b[0]), max(a[1], b[1])
    return None


def _price(node: Node, is_stored: Callable[[Node], bool], machine: Machine) -> float | None:
    """Cycles of one element of `node` computed from what is stored; None when it is too large."""
    cycles, count = 0.0, 0

    def visit(n: Node) -> None:
        nonlocal cycles, count
        count += 1
        cycles += arithmetic(n, machine)
        if count > EXPRESSION_LIMIT:
            raise _TooLarge

    try:
        reach(node, axis_indices(node.type.ndim), is_stored, visit)
    except _TooLarge:
        return None
    return cycles


@cache
def _placeholder(dtype: DType) -> Literal:
    """Stands for a stored value while only the indices matter."""
    return Literal(False if dtype is bool_ else 0, dtype)
