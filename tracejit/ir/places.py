"""Where iterations of a loop store: in places of their own, or wherever data says.

Of elements that go to one place the last stays, so stores at places that data chooses keep their
order, and iterations that read what others store there as well. Lanes of a vector are stored in
order, so a vector loop will do; threads will not.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import inf

from . import expressions, tensor
from .affine import linear
from .bounds import UNBOUNDED, Bounds
from .dims import Dim, is_never_negative, symbol
from .tensor import (
    Accumulate,
    Allocate,
    Apply,
    Assign,
    Buffer,
    Call,
    Expression,
    Extern,
    For,
    Index,
    Kernel,
    Let,
    Literal,
    Load,
    Nest,
    Statement,
    Store,
    Variable,
    bodies_of,
    expressions_of,
    loads_of,
    statements,
)
from .term import Term, remembered


def is_chosen_by_data(indices: Iterable[Expression]) -> bool:
    """Whether a place depends on what was read or computed, not on loops alone."""
    return any(isinstance(term, Buffer | Variable) for index in indices for term in index.free)


def are_apart(loop: For, indices: Sequence[Expression]) -> bool:
    """Whether iterations of `loop` certainly use different places."""
    return never_meet(loop, indices, indices)


def never_meet(loop: For, one: Sequence[Expression], two: Sequence[Expression]) -> bool:
    """Whether two iterations of `loop` certainly use different places: one of them `one`, another
    `two`. Of some index they use different stretches, `scale * i + rest` with a rest below scale."""
    return any(_never_equal_in(loop, a, b) for a, b in zip(one, two))


@remembered
def _never_equal_in(loop: For, a: Expression, b: Expression) -> bool:
    """Whether an index that is `a` in an iteration of `loop` is never what `b` is in another one."""
    own, inside = _indices_in(loop)
    known = any(_are_stretches(loop, index, a, b, inside) for index in own)
    return known or _stay_in_stretches(loop, a, b, inside)


@remembered
def _indices_in(loop: For) -> tuple[list[Index], dict[Index, For | None]]:
    """The indices whose stretches iterations of `loop` have for themselves; and all that are bound inside,
    with their loops."""
    own: list[Index] = [loop.index]
    inside: dict[Index, For | None] = {}
    for statement in statements(loop.body):
        match statement:
            case For(index):
                inside[index] = statement
                if _is_tile(loop, statement):
                    own.append(index)
            case Let(Index() as index):
                inside[index] = None
    return own, inside


def are_always_apart(
    around: Iterable[Statement], one: Sequence[Expression], two: Sequence[Expression]
) -> bool:
    """Whether two places are certainly different, in whatever iterations of the loops among these
    statements; what is around them is the same for both."""
    inside: dict[Term, For | None] = {}
    if any([index.free for index in (*one, *two)]):
        for statement in around:
            if isinstance(statement, Nest):
                inside.update(_bound_inside(statement))
            if isinstance(statement, For):
                inside[statement.index] = statement
            elif isinstance(statement, Let) and isinstance(statement.variable, Index):
                inside[statement.variable] = None
    return any(_never_equal(a, b, inside) for a, b in zip(one, two))


@remembered
def _bound_inside(nest: Nest) -> dict[Index, For | None]:
    """The indices that are bound in the bodies of a statement, with their loops."""
    found: dict[Index, For | None] = {}
    for body in bodies_of(nest):
        for statement in statements(body):
            match statement:
                case For(index):
                    found[index] = statement
                case Let(Index() as index):
                    found[index] = None
    return found


def _never_equal(a: Expression, b: Expression, inside: dict[Term, For | None]) -> bool:
    (atoms_a, constant_a), (atoms_b, constant_b) = linear(a), linear(b)
    low = high = float(constant_a - constant_b)
    for atom in {**atoms_a, **atoms_b}:
        ends = atoms_a.get(atom, 0), -atoms_b.get(atom, 0)
        match inside.get(atom):
            case For(_, start, stop):
                first = start.value if isinstance(start, Literal) else -inf
                last = stop.value - 1 if isinstance(stop, Literal) else inf
                reached = [(factor * first, factor * last) for factor in ends if factor]
                low += sum(map(min, reached))
                high += sum(map(max, reached))
            case _:
                is_same = sum(ends) == 0 and all(isinstance(t, Index) for t in atom.free)
                if not is_same or not atom.free.isdisjoint(inside):
                    return False
    return low > 0 or high < 0


def _are_stretches(
    loop: For, own: Index, a: Expression, b: Expression, inside: dict[Index, For | None]
) -> bool:
    (atoms_a, constant_a), (atoms_b, constant_b) = linear(a), linear(b)
    scale = atoms_a.pop(own, 0)
    if scale == 0 or atoms_b.pop(own, 0) != scale:
        return False
    low = high = constant_a - constant_b
    for atom in {**atoms_a, **atoms_b}:
        ends = atoms_a.get(atom, 0), -atoms_b.get(atom, 0)
        if atom not in inside:
            is_same = ends[0] + ends[1] == 0 and all(isinstance(t, Index) for t in atom.free)
            if not is_same or not atom.free.isdisjoint((loop.index, *inside)):
                return False
            continue
        match inside[atom]:
            case For(_, Literal(first), Literal(stop)):
                reached = [(factor * first, factor * (stop - 1)) for factor in ends]
                low += sum(map(min, reached))
                high += sum(map(max, reached))
            case _:
                return False
    return max(abs(low), abs(high)) < abs(scale)


def _stay_in_stretches(
    loop: For, a: Expression, b: Expression, inside: dict[Index, For | None]
) -> bool:
    """The same where ranges inside are not numbers, as those of chunks, of which the last is shorter."""
    atoms, first = linear(a)
    scale = atoms.get(loop.index, 0)
    for atom, factor in atoms.items():
        within = inside.get(atom) if isinstance(atom, Index) else None
        if within is not None:
            before, offset = linear(within.start)
            scale += factor * before.get(loop.index, 0)
            first += factor * offset
    if scale <= 0:
        return False
    loops = (loop, *[found for found in inside.values() if found is not None])
    known = Bounds(loops)
    ends = {t for found in loops for t in (*found.start.free, *found.stop.free)}
    others = {*a.free, *b.free, *ends} - {found.index for found in loops}
    known.intervals |= dict.fromkeys(others, UNBOUNDED)  # indices of loops around this one, maybe
    begins = expressions.add(
        expressions.multiply(loop.index, expressions.integer(scale)), expressions.integer(first)
    )
    last = expressions.integer(scale - 1)
    for place in {a, b}:
        rest = expressions.subtract(place, begins)
        if not known.is_nonnegative(rest):
            return False
        if not known.is_nonnegative(expressions.subtract(last, rest)):
            return False
    return True


def _is_tile(loop: For, inner: For) -> bool:
    """Whether `inner` begins, in each iteration of `loop`, where it stopped before, or later."""
    if loop.index not in inner.start.free:
        return False
    names: dict[Expression, Dim] = {}
    following = {loop.index: expressions.add(loop.index, tensor.ONE)}
    later = expressions.replace_expressions((inner.start,), following)[inner.start]
    if not changed_in(loop.body).isdisjoint(inner.start.free | inner.stop.free):
        return False
    begins, begins_later = _polynomial(inner.start, names), _polynomial(later, names)
    stops = inner.stop.operands if _is_minimum(inner.stop) else (inner.stop,)
    return is_never_negative(begins_later - begins) and any(
        is_never_negative(begins_later - _polynomial(stop, names)) for stop in stops
    )


def changed_in(body: Iterable[Statement]) -> set[Term]:
    """What may stand for something else after these statements, or is declared in them."""
    changed: set[Term] = set()
    for statement in statements(body):
        match statement:
            case For(term) | Let(term) | Assign(term) | Store(term) | Allocate(term):
                changed.add(term)
            case Accumulate(target):
                changed.update(target.free)
            case Call(_, buffers):
                changed.update(buffers)
            case Extern():
                changed.update(address.buffer for address in statement.addresses)
    return changed


def _is_minimum(e: Expression) -> bool:
    return isinstance(e, Apply) and e.op == "minimum"


def _polynomial(e: Expression, names: dict[Expression, Dim]) -> int | Dim:
    """An index expression multiplied out; what is no sum or product is an unknown of its own."""
    match e:
        case Literal(value):
            return value
        case Apply("add" | "subtract" | "multiply" as op, (a, b)):
            x, y = _polynomial(a, names), _polynomial(b, names)
            return x + y if op == "add" else x - y if op == "subtract" else x * y
    return names.setdefault(e, symbol(f"u{len(names)}", 0))


def keeps_order(loop: For, store: Store) -> bool:
    """Whether the lanes of a vector loop store as its iterations would, one after the other."""
    is_read = any(load.buffer is store.buffer for load in loads_of(loop.body))
    return store in loop.body and not is_read


def stores_alone(kernel: Kernel) -> bool:
    """Whether a Kernel does nothing but store the elements of its one result."""
    if kernel.results != 1 or kernel.updated:
        return False
    (out,) = kernel.fresh
    for statement in statements(kernel.body):
        match statement:
            case Accumulate(Load(buffer)) if buffer is out:
                return False
            case Call() | Extern():
                return False
        if any(out in e.free for e in expressions_of(statement)):
            return False
    return True
