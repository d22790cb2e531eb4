"""The place of the least element of a short row is found in the sweep that finds the least.

NumPy's argmin is two sweeps: what is the least, and where is it first (or the first nan). Over short rows
of many, with lanes along the rows, one sweep keeps both, and what was computed for it is not stored:

    for j: row[j] = v; least = minimum(least, v)          for j: better = v < least or is first nan
    for j: at = minimum(at, j if row[j] == least)    ->          at = j if better; least = v if better
"""

from __future__ import annotations

import itertools
from typing import NamedTuple

from ...ir import expressions, tensor
from ...ir.expressions import replace_expressions
from ...ir.graph import Module, map_kernels
from ...ir.tensor import (
    Accumulate,
    Apply,
    Assign,
    Expression,
    For,
    Kernel,
    Let,
    Load,
    Statement,
    Store,
    Variable,
    map_bodies,
)
from ...ir.types import bool_
from .cost import trips
from .merge import without_unread

# Longer rows keep the lanes busy by themselves; there must be so many rows at least.
# Lanes along rows read elements apart, which is dear for many that are small.
LONGEST_ROW, LEAST_ROWS, LEAST_BYTES = 32, 16, 4
_BETTER = {"minimum": "less", "maximum": "greater"}


def track_extrema(module: Module) -> Module:
    """Join the two sweeps wherever rows are short, in every Kernel."""
    return map_kernels(module, _change)


def _change(kernel: Kernel) -> Kernel:
    body = _body(kernel.body)
    return kernel if body == kernel.body else without_unread(kernel.replace(body=body))


def _body(body: tuple[Statement, ...]) -> tuple[Statement, ...]:
    return tuple([map_bodies(_joined(statement), _body) for statement in body])


class _Sweeps(NamedTuple):
    """Two loops over a row, by their place in the body around them: the first accumulates `value` to
    `extreme`, by `op`; the second finds its place, `at`."""

    first: int
    second: int
    best: Accumulate
    at: Variable


def _joined(rows: Statement) -> Statement:
    """A loop over rows, each of which is swept once."""
    if not isinstance(rows, For) or rows.mark != "serial":
        return rows
    count = trips(rows)
    if count is not None and count < LEAST_ROWS:
        return rows
    while (found := _sweeps(rows.body)) is not None:
        rows = rows.replace(body=_once(rows.body, found))
    return rows


def _sweeps(body: tuple[Statement, ...]) -> _Sweeps | None:
    loops = [k for k, s in enumerate(body) if isinstance(s, For)]
    for first, second in itertools.pairwise(loops):
        sweep, search = body[first], body[second]
        if not (_is_short(sweep) and _is_short(search) and trips(sweep) == trips(search)):
            continue
        for best in sweep.body:
            if isinstance(best, Accumulate) and seeks(search, best, sweep):
                return _Sweeps(first, second, best, search.body[0].target)
    return None


def _is_short(loop: For) -> bool:
    length = trips(loop) if loop.mark == "serial" else None  # not in lanes already
    is_flat = all(isinstance(s, Accumulate | Store) for s in loop.body)
    return is_flat and loop.start is tensor.ZERO and length is not None and length <= LONGEST_ROW


def seeks(search: For, best: Accumulate, sweep: For) -> bool:
    """Whether one loop finds the first place of what the other accumulates, or of a nan."""
    extreme, number = best.target, best.value.dtype
    if best.op not in _BETTER or not isinstance(extreme, Variable):
        return False
    if number.kind not in "iuf" or number.itemsize < LEAST_BYTES or len(search.body) != 1:
        return False
    (found,) = search.body
    if not isinstance(found, Accumulate) or found.op != "minimum":
        return False
    here, nowhere = search.index, search.stop
    seen = [replace_expressions((best.value,), {sweep.index: here})[best.value]]
    rows = [s for s in sweep.body if isinstance(s, Store) and s.value is best.value]
    seen += [Load(s.buffer, (here,)) for s in rows if s.indices == (sweep.index,)]
    for value in seen:
        is_best = expressions.compare("equal", value, extreme)
        if number.kind == "f":
            is_best = Apply("bitwise_or", (is_best, _isnan(value)), bool_)
        if found.value is expressions.select(is_best, here, nowhere):
            return True
    return False


def _once(body: tuple[Statement, ...], found: _Sweeps) -> tuple[Statement, ...]:
    """The body with the place kept in the first sweep, and without the second."""
    sweep, extreme, value = body[found.first], found.best.target, found.best.value
    better = expressions.compare(_BETTER[found.best.op], value, extreme)
    if value.dtype.kind == "f":
        is_number = expressions.compare("equal", extreme, extreme)
        is_first_nan = Apply("bitwise_and", (_isnan(value), is_number), bool_)
        better = Apply("bitwise_or", (better, is_first_nan), bool_)
    new: list[Statement] = []
    for statement in sweep.body:
        if statement is found.best:
            new.append(Assign(found.at, expressions.select(better, sweep.index, found.at)))
            statement = Assign(extreme, expressions.select(better, value, extreme))
        new.append(statement)
    declared = [s for s in body if isinstance(s, Let) and s.variable is found.at]
    start = Let(found.at, expressions.integer(0))
    rest = [s for k, s in enumerate(body) if k != found.second and s not in declared]
    place = rest.index(sweep)
    return (*rest[:place], start, sweep.replace(body=tuple(new)), *rest[place + 1 :])


def _isnan(value: Expression) -> Expression:
    return Apply("isnan", (value,), bool_)
