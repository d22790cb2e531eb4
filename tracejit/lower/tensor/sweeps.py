"""Time steps as sweeps over rows, and how far each must stay behind the one before.

    for t: for x: v[x] = f(u[x - 1], u[x], u[x + 1])      two sweeps: the second one may begin when
           for x: u[x] = f(v[x - 1], v[x], v[x + 1])      the first is a row ahead

A *row* is what one index of the first axis names, of all arrays that the steps change. Sweeps that touch
rows at a distance of d, where one of them writes, keep d rows between them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from ...ir.affine import linear
from ...ir.dims import highest
from ...ir.expressions import replace_expressions
from ...ir.tensor import (
    Accumulate,
    Allocate,
    Assign,
    Break,
    Buffer,
    Call,
    Expression,
    Extern,
    For,
    Let,
    Literal,
    Load,
    Statement,
    Store,
    expressions_of,
    loads_of,
    parts,
    statements,
)
from ...ir.term import Term, postorder
from ...ir.types import array_type
from .checks import is_refusing
from .cost import trips
from .in_place import with_buffer
from .substitute import substitute
from .vectorize import independent


class Sweep(NamedTuple):
    """A statement that goes over the rows from `first` to before `stop`.

    Of a loop the row is its index plus `base`; what is no loop over rows, `base` None, is all for the
    row `first`. At `read` and `written` offsets from its row it touches the arrays that change.
    """

    statement: Statement
    base: int | None
    first: int
    stop: int
    read: frozenset[tuple[Buffer, int]]
    written: frozenset[tuple[Buffer, int]]


class Steps(NamedTuple):
    """A time step: its sweeps, the k-th `lags[k]` rows behind the first one, and the same of the next
    step `stride` rows behind. `named` is computed for each step, `memory` holds what sweeps hand on."""

    sweeps: tuple[Sweep, ...]
    lags: tuple[int, ...]
    stride: int
    named: tuple[Let, ...]
    memory: tuple[Allocate, ...]

    @property
    def changed(self) -> set[Buffer]:
        return {buffer for sweep in self.sweeps for buffer, _ in sweep.written}


def steps_of(time: For) -> Steps | None:
    """The steps of a loop over time; None if they are not sweeps over rows."""
    inside = _sized(time.body)
    if inside is None:
        return None
    changed = {s.buffer for s in statements(inside) if isinstance(s, Store)}
    body = _flat(inside)
    memory = tuple([s for s in body if isinstance(s, Allocate)])
    found = _swept(body, changed)
    if found is None:
        return None
    sweeps, named = found
    lags: list[int] = []
    for number, sweep in enumerate(sweeps):
        before = zip(sweeps[:number], lags)
        lags.append(max([lag + d for other, lag in before for d in _gaps(other, sweep)], default=0))
    pairs = list(zip(sweeps, lags))
    stride = max([a + d - b for one, a in pairs for two, b in pairs for d in _gaps(one, two)] + [0])
    return Steps(tuple(sweeps), tuple(lags), stride, tuple(named), memory)


def _sized(body: tuple[Statement, ...]) -> tuple[Statement, ...] | None:
    """The statements with memory that is as large as the largest step needs; None if that is not known."""
    for statement in body:
        if isinstance(statement, Allocate):
            type = statement.buffer.type
            shape = tuple([highest(extent) for extent in type.shape])
            if not all(isinstance(extent, int) for extent in shape):
                return None
            if shape != type.shape:
                whole = Buffer(
                    statement.buffer.name, array_type(shape, type.dtype), statement.buffer.space
                )
                body = with_buffer(body, statement.buffer, whole)
    return body


def _swept(body: list[Statement], changed: set[Buffer]) -> tuple[list[Sweep], list[Let]] | None:
    """The sweeps of a step, and what is computed besides from what does not change."""
    assigned = {s.variable for s in body if isinstance(s, Assign)}
    if not assigned <= {s.variable for s in body if isinstance(s, Let)}:
        return None  # a step hands it to the next one
    sweeps: list[Sweep] = []
    named: list[Let] = []
    values: dict[Term, Expression] = {}  # of variables, in terms of what is in memory now
    lost: set[Term] = set()  # what was in memory before
    for statement in body:
        match statement:
            case Allocate():
                continue
            case Let(variable, value) | Assign(variable, value):
                if not lost.isdisjoint(value.free):
                    return None
                values[variable] = replace_expressions((value,), values)[value]
                lost.discard(variable)
                if variable not in assigned and changed.isdisjoint(values[variable].free):
                    named.append(Let(variable, values.pop(variable)))
                continue
            case For():
                if trips(statement) == 0:
                    continue
            case Store():
                (statement,) = substitute((statement,), values)
            case _:
                return None
        sweep = _sweep(statement, changed)
        read = {t for s in statements((statement,)) for e in expressions_of(s) for t in e.free}
        if sweep is None or not read.isdisjoint({*values, *lost, *assigned}):
            return None
        sweeps.append(sweep)
        for variable, value in [*values.items()]:
            if _writes_over(sweep, value):
                del values[variable]
                lost.add(variable)
    return (sweeps, named) if sweeps else None


def _writes_over(sweep: Sweep, value: Expression) -> bool:
    """Whether a sweep writes, or may write, to a row that the value is computed from."""
    for load in [term for term in postorder([value], parts) if isinstance(term, Load)]:
        atoms, row = linear(load.indices[0]) if load.indices else ({}, 0)
        for buffer, offset in sweep.written:
            is_apart = not atoms and not sweep.first <= row - offset < sweep.stop
            if buffer is load.buffer and not is_apart:
                return True
    return False


def _flat(body: Iterable[Statement]) -> list[Statement]:
    """The statements with those of loops of one iteration in their place."""
    new: list[Statement] = []
    for statement in body:
        if isinstance(statement, For) and statement.mark == "ordered" and trips(statement) == 1:
            new += _flat(substitute(statement.body, {statement.index: statement.start}))
        else:
            new.append(statement)
    return new


def _sweep(statement: For | Store, changed: set[Buffer]) -> Sweep | None:
    own = {s.variable for s in statements((statement,)) if isinstance(s, Let)}
    own |= {s.buffer for s in statements((statement,)) if isinstance(s, Allocate)}
    for inner in statements((statement,)):
        match inner:
            case Call() | Extern():
                return None
            case Assign(target) | Accumulate(Load(target)) | Accumulate(target):
                if target not in own:
                    return None
    terms = postorder([e for s in statements((statement,)) for e in expressions_of(s)], parts)
    if any(map(is_refusing, terms)) or any(b.type.ndim == 0 for b in changed):
        return None
    stores = [s for s in statements((statement,)) if isinstance(s, Store) and s.buffer not in own]
    reads = [(e.buffer, e.indices[0]) for e in loads_of((statement,)) if e.buffer in changed - own]
    writes = [(s.buffer, s.indices[0]) for s in stores]
    if not writes:
        return None
    return _over_rows(statement, reads, writes) or _of_one_row(statement, reads, writes)


Places = list[tuple[Buffer, Expression]]


def _over_rows(loop: Statement, reads: Places, writes: Places) -> Sweep | None:
    """A loop each iteration of which is for a row of its own."""
    if not isinstance(loop, For) or loop.mark not in ("serial", "vector"):
        return None
    if not isinstance(loop.start, Literal) or not isinstance(loop.stop, Literal):
        return None
    if isinstance(loop.body[-1], Break) or not independent(loop, threads=True):
        return None
    offsets = [_offset(place, loop.index) for _, place in (*writes, *reads)]
    if None in offsets:
        return None
    kept = [_offset(place, loop.index) for b, place in writes if b.space != "local"]
    # Of what is handed on within a step, rows are those that it is computed from.
    others = [_offset(place, loop.index) for _, place in reads] or offsets
    base = min(kept) if kept else (min(others) + max(others)) // 2
    found = [
        frozenset([(b, _offset(place, loop.index) - base) for b, place in places])
        for places in (reads, writes)
    ]
    return Sweep(loop, base, loop.start.value + base, loop.stop.value + base, *found)


def _offset(place: Expression, index: Term) -> int | None:
    atoms, constant = linear(place)
    return constant if atoms == {index: 1} else None


def _of_one_row(statement: Statement, reads: Places, writes: Places) -> Sweep | None:
    """What touches only rows that are known, as borders are set."""
    rows = [linear(place) for _, place in (*writes, *reads)]
    if any(atoms for atoms, _ in rows):
        return None
    row = rows[0][1]
    found = [
        frozenset([(b, linear(place)[1] - row) for b, place in places])
        for places in (reads, writes)
    ]
    return Sweep(statement, None, row, row + 1, *found)


def _gaps(one: Sweep, two: Sweep) -> list[int]:
    """How far apart two sweeps touch the same rows, where one of them writes."""
    touched = [(one.written, two.written | two.read), (one.read, two.written)]
    gaps = [
        (a - b)
        for first, second in touched
        for buffer, a in first
        for other, b in second
        if buffer is other
    ]
    # Only as far as rows of both go.
    nearest, farthest = two.first - one.stop + 1, two.stop - one.first - 1
    return [abs(gap) for gap in gaps if nearest <= gap <= farthest]
