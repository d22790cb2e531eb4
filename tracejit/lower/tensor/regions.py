"""Parts of values: what statements read of a buffer in each strip, and nests for a part of their result."""

from __future__ import annotations

from ...ir import expressions, tensor
from ...ir.affine import linear
from ...ir.bounds import Bounds
from ...ir.expressions import integer
from ...ir.graph import Kernel
from ...ir.tensor import (
    Address,
    Apply,
    Buffer,
    Call,
    Expression,
    Extern,
    For,
    Index,
    Literal,
    Load,
    Statement,
    Store,
    bodies_of,
    expressions_of,
    parts,
    statements,
)
from ...ir.term import Term, postorder
from ...ir.types import array_type
from .rename import Renaming
from .substitute import substitute as exchange
from .window import STRIP, Side, Strips, Window, is_strip

Body = tuple[Statement, ...]


def region(body: Body, buffer: Buffer, strips: Strips) -> Window | None:
    """The part of a buffer that statements read in each of the strips."""
    found: list[Side] | None = None
    for load, loops in _loads(body, buffer, ()):
        sides = [_side(index, Bounds(loops), strips) for index in load.indices]
        if None in sides:
            return None
        joined = sides if found is None else [a.join(b) for a, b in zip(found, sides)]
        if None in joined:
            return None
        found = joined
    return None if found is None else tuple(found)


def _loads(body: Body, buffer: Buffer, loops: tuple[For, ...]) -> list[tuple[Load, tuple]]:
    found: list[tuple[Load, tuple]] = []
    for statement in body:
        roots = list(expressions_of(statement))
        for e in postorder(roots, parts):
            if isinstance(e, Load) and e.buffer is buffer:
                found.append((e, loops))
        if isinstance(statement, Call | Extern) and any(
            isinstance(a, Address) and a.buffer is buffer
            for a in getattr(statement, "arguments", ())
        ):
            return []
        inside = (*loops, statement) if isinstance(statement, For) else loops
        for inner in bodies_of(statement):
            found += _loads(inner, buffer, inside)
    return found


def _side(index: Expression, known: Bounds, strips: Strips) -> Side | None:
    """Where an index is, over all iterations of the loops in a strip."""
    scale, low, high = 0, 0, 0
    atoms, constant = linear(index)
    moving = index.free & strips.keys()
    if len(moving) > 1:
        return None
    strip = next(iter(moving), STRIP)
    for atom, factor in atoms.items():
        if atom is strip:
            scale += factor
            continue
        if strip in atom.free:
            side = _clamped(atom, known, strips)
            if side is None:
                return None
            scale += factor * side.scale
            ends = side.low, side.low + side.extent - 1
        else:
            ends = known.interval(atom)
        if not all(type(end) is int for end in ends):
            return None
        low += min(factor * end for end in ends)
        high += max(factor * end for end in ends)
    return Side(scale, constant + low, high - low + 1, 0, strip)


def _clamped(e: Expression, known: Bounds, strips: Strips) -> Side | None:
    """Where the smaller or larger of an index and a number is, or an index that data tell."""
    match e:
        case Apply("checked_index", (index, Literal(extent), _)):
            side = _side(index, known, strips)
            if side is not None:
                starts = [side.scale * strip + side.low for strip in strips[side.strip]]
                if 0 <= min(starts) and max(starts) + side.extent <= extent:
                    return side
            return Side(0, 0, extent)
        case Apply("remainder", (_, Literal(extent))) if extent > 0:
            return Side(0, 0, extent)
        case Apply("minimum" | "maximum" as op, (Literal(limit), index) | (index, Literal(limit))):
            side = _side(index, known, strips)
            if side is None:
                return None
            low, high = side.low, side.low + side.extent - 1
            reached = [limit - side.scale * strip for strip in strips[side.strip]]
            low, high = (
                (min(low, *reached), high) if op == "minimum" else (low, max(high, *reached))
            )
            return Side(side.scale, low, high - low + 1, 0, side.strip)
    return None


def cut_nest(kernel: Kernel, window: Window) -> Kernel | None:
    """A nest of loops over its one result, for a part of that: stored from the beginning on.

    A loop that does not store it may add up along an axis, for all that is there, with the same index.
    """
    (out,) = kernel.fresh
    small = out.replace(type=array_type([side.extent for side in window], out.type.dtype))
    stores = [s for s in statements(kernel.body) if isinstance(s, Store) and s.buffer is out]
    if len(stores) != 1:
        return None
    axes = dict(zip(stores[0].indices, window))
    if not all(isinstance(index, Index) for index in axes) or len(axes) < len(window):
        return None

    def visit(body: Body) -> Body:
        found: list[Statement] = []
        for statement in body:
            if (
                isinstance(statement, For)
                and statement.index in axes
                and stores[0] in [*statements((statement,))]
            ):
                side = axes[statement.index]
                if side.extent == 1:
                    found += exchange(visit(statement.body), {statement.index: side.start})
                    continue
                here = {statement.index: expressions.add(statement.index, side.start)}
                inner = exchange(visit(statement.body), here)
                stop = integer(side.extent)
                statement = For(statement.index, tensor.ZERO, stop, inner, statement.mark, 1)
            else:
                statement = tensor.map_bodies(statement, visit)
            found.append(statement)
        return tuple(found)

    offsets = {out: tuple([expressions.multiply(side.start, integer(-1)) for side in window])}
    body = Moving({out: small}, offsets).body(visit(kernel.body))
    parameters = (*kernel.inputs, small)
    return kernel.replace(parameters=parameters, body=body)


class Moving(Renaming):
    """Statements on other buffers, some of which begin elsewhere."""

    def __init__(self, names: dict[Term, Term], offsets: dict[Buffer, tuple[Expression, ...]]):
        super().__init__(names)
        self.offsets = offsets

    def place(self, buffer: Buffer, indices: tuple[Expression, ...]) -> tuple[Expression, ...]:
        if buffer in self.offsets:
            return tuple([_moved(i, by) for i, by in zip(indices, self.offsets[buffer])])
        return super().place(buffer, indices)


def _moved(index: Expression, by: Expression) -> Expression:
    """The sum of two, where what is taken away again is gone."""
    total = expressions.add(index, by)
    atoms, constant = linear(total)
    if not any(map(is_strip, total.free)) or any(map(is_strip, atoms)):
        return total
    found: Expression = tensor.ZERO
    for atom, scale in atoms.items():
        found = expressions.add(found, expressions.multiply(atom, integer(scale)))
    return expressions.add(found, integer(constant))
