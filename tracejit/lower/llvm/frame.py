"""One LLVM function under construction: scopes, where each value is computed, and its reuse.

A scope is the body of an open loop (or of an inlined iteration). Every index, variable and buffer
has the level of the scope in which it last changes; an expression's level is the highest among
the things it depends on, and it is computed once, in the scope of that level. Common
subexpressions and loop invariants need no pass of their own. The index of an unrolled loop is a
constant: what depends on it is known by its value, and shared by all copies of the body.

A value is a tuple of parts: one `Value`, or two for complex numbers.
"""

from __future__ import annotations

from contextlib import contextmanager

from ...ir import tensor
from ...ir.tensor import Apply, Buffer, Expression, Index, Literal, Load, Table, Variable
from ...ir.types import DType
from .builder import Builder, Region, Value
from .casts import KINDS, cast
from .complex import apply_complex, cast_complex
from .scalars import apply_real, compare_signed_with_unsigned

Parts = tuple[Value, ...]


class Scope:
    """What is known inside one loop body."""

    __slots__ = ("region", "memo", "dependents", "inline")

    def __init__(self, region: Region, inline: bool = False):
        self.region = region
        self.memo: dict[object, Parts] = {}
        self.dependents: dict[object, list[object]] = {}
        self.inline = inline


class Lanes:
    """The vector loop being emitted: its index, lane count, first index and mask.

    `base` is `origin` plus a multiple of the lane count; `end` is where the loop stops, when that
    is known.
    """

    __slots__ = ("base", "count", "end", "index", "mask", "origin")

    def __init__(
        self,
        index: Index | None,
        count: int,
        base: Value | None,
        mask: Value | None,
        origin: Expression = tensor.ZERO,
        end: int | None = None,
    ):
        self.index, self.count, self.base, self.mask = index, count, base, mask
        self.origin, self.end = origin, end


def kind_of(dtype: DType) -> str:
    """The LLVM kind of a real dtype, or of the parts of a complex one, in registers."""
    return KINDS[dtype.real.name]


def memory_kind(dtype: DType) -> str:
    return "i8" if dtype.kind == "b" else kind_of(dtype)


class Frame:
    """Emits expressions into one function."""

    def __init__(self, builder: Builder):
        self.b = builder
        self.scopes = [Scope(builder.region)]
        self.level: dict[object, int] = {}
        self.values: dict[object, Parts] = {}
        self.constants: dict[Index, int] = {}
        self.fixed: dict[Index, object] = {}  # the constants, and vector indices in one place
        self.pointers: dict[Buffer, Value] = {}
        self.registers: dict[tuple, Parts] = {}
        self.flat_indices: dict[tuple, Expression] = {}
        self.linear_forms: dict[Expression, tuple[dict[Expression, int], int]] = {}
        self.lanes: Lanes | None = None
        self.streamed: frozenset[Buffer] = frozenset()
        self.has_streamed = False

    # Scopes.

    @property
    def depth(self) -> int:
        return len(self.scopes) - 1

    @property
    def innermost_loop(self) -> int:
        """The depth of the scope that is a loop of its own, not inlined."""
        depth = len(self.scopes) - 1
        while self.scopes[depth].inline:
            depth -= 1
        return depth

    def move(self, region: Region, depth: int | None = None) -> None:
        """Continue scope `depth` (the innermost) in `region`, and with it the scopes it is inlined in."""
        depth = self.depth if depth is None else depth
        self.scopes[depth].region = region
        while self.scopes[depth].inline:
            depth -= 1
            self.scopes[depth].region = region
        self.b.region = self.scopes[-1].region

    @contextmanager
    def inlined(self):
        """A scope without a loop of its own: one iteration, in line."""
        self.scopes.append(Scope(self.scopes[-1].region, inline=True))
        yield self.depth
        region = self.scopes.pop().region
        self.move(region)

    def at(self, level: int) -> None:
        self.b.region = self.scopes[level].region

    def here(self) -> None:
        self.b.region = self.scopes[-1].region

    def level_of(self, expression: Expression) -> int:
        level = self.level
        return max([level.get(t, 0) for t in expression.free if t not in self.fixed], default=0)

    def key_of(self, expression: Expression) -> object:
        """What `expression` is known by: itself, and where the indices in it are that are fixed."""
        if self.fixed and not expression.free.isdisjoint(self.fixed):
            known = [v for i, v in self.fixed.items() if i in expression.free]
            return (expression, *known)
        return expression

    def invalidate(self, term: object) -> None:
        """Forget what was computed from `term`, which has changed."""
        for scope in self.scopes:
            for key in scope.dependents.pop(term, ()):
                scope.memo.pop(key, None)

    def remember(self, key: object, level: int, free: frozenset, parts: Parts) -> Parts:
        scope = self.scopes[level]
        scope.memo[key] = parts
        for term in free:
            if isinstance(term, Variable | Buffer):
                scope.dependents.setdefault(term, []).append(key)
        return parts

    # Expressions.

    def emit(self, root: Expression) -> Parts:
        """The value of `root`, computed where it belongs; iterative, for deep expressions."""
        found = self.known(root)
        if found is not None:
            return found
        region = self.b.region
        stack = [root]
        while stack:
            expression = stack[-1]
            if self.known(expression) is not None:
                stack.pop()
                continue
            missing = [p for p in self.needs(expression) if self.known(p) is None]
            if missing:
                stack.extend(missing)
                continue
            level = self.level_of(expression)
            self.at(level)
            key, parts = self.key_of(expression), self.compute(expression)
            self.remember(key, level, expression.free, parts)
        self.b.region = region
        return self.known(root)

    def one(self, expression: Expression) -> Value:
        """The value of a real expression."""
        (value,) = self.emit(expression)
        return value

    def known(self, expression: Expression) -> Parts | None:
        match expression:
            case Apply():  # most of them
                pass
            case Literal(number, dtype):
                return self.literal(number, dtype)
            case Index():
                return self.index_value(expression)
            case Variable():
                return self.values[expression]
            case Load(buffer, _) if buffer.space == "register":
                return self.registers[self.register_key(expression)]
        return self.scopes[self.level_of(expression)].memo.get(self.key_of(expression))

    def needs(self, expression: Expression) -> tuple[Expression, ...]:
        """The expressions to compute before this one."""
        match expression:
            case Apply():
                return expression.operands
            case Table(_, index, _):
                return (index,)
            case Load():
                offset, atoms, _ = self.address_of(expression.buffer, expression.indices)
                if offset is not None:
                    return (offset,)
                # Of the vector's index only the first lane's is needed.
                lane = self.lanes.index if self.lanes else None
                return tuple([atom for atom in atoms if atom is not lane])
        return ()

    def literal(self, number: object, dtype: DType) -> Parts:
        kind = kind_of(dtype)
        if dtype.is_complex:
            number = complex(number)
            return (self.b.const(number.real, kind), self.b.const(number.imag, kind))
        return (self.b.const(number, kind),)

    def index_value(self, index: Index) -> Parts:
        lanes = self.lanes
        if lanes is None or lanes.index is not index:
            return self.values[index]
        level, key = self.level_of(index), ("lanes", self.key_of(index))
        found = self.scopes[level].memo.get(key)
        if found is None:
            region = self.b.region
            self.at(level)
            steps = self.b.vector(range(lanes.count), "i64")
            base = self.b.splat(lanes.base, lanes.count)
            found = (self.b.binary("add", base, steps) if lanes.count > 1 else lanes.base,)
            self.scopes[level].memo[key] = found
            self.b.region = region
        return found

    def compute(self, expression: Expression) -> Parts:
        match expression:
            case Apply(op, operands, dtype):
                return self.apply(op, dtype, operands)
            case Load(buffer, indices):
                return self.load(buffer, indices)
            case Table(data, index, dtype):
                return self.look_up(data, index, dtype)
        raise TypeError(f"{expression!r} is not an expression")

    def apply(self, op: str, dtype: DType, operands: tuple[Expression, ...]) -> Parts:
        if op == "cast":
            (operand,) = operands
            return self.convert(self.emit(operand), operand.dtype, dtype)
        values = self.aligned(operands)
        return self.combine(op, [o.dtype for o in operands], dtype, values)

    def combine(self, op: str, dtypes: list[DType], result: DType, values: list[Parts]) -> Parts:
        """`op` on values already computed."""
        if any(dtype.is_complex for dtype in dtypes) or result.is_complex:
            return apply_complex(self.b, op, dtypes, result, values)
        if len(dtypes) == 2 and {dtypes[0].kind, dtypes[1].kind} == {"i", "u"}:
            (x,), (y,) = values
            return (compare_signed_with_unsigned(self.b, op, tuple(dtypes), x, y),)
        # A selection is of the dtype it selects, not of its condition.
        dtype = dtypes[-1] if op == "where" else dtypes[0]
        return (apply_real(self.b, op, dtype, tuple([v for (v,) in values])),)

    def convert(self, parts: Parts, source: DType, target: DType) -> Parts:
        if source.is_complex or target.is_complex:
            return cast_complex(self.b, parts, source, target)
        return (cast(self.b, parts[0], source, target),)

    def aligned(self, operands: tuple[Expression, ...]) -> list[Parts]:
        """The operands' values with equal lanes; scalars are splat where they are computed."""
        values = [self.emit(operand) for operand in operands]
        lanes = max([parts[0].lanes for parts in values])
        if lanes == 1:
            return values
        return [
            parts if parts[0].lanes == lanes else self.widen(operand, parts, lanes)
            for operand, parts in zip(operands, values)
        ]

    def widen(self, expression: Expression, parts: Parts, lanes: int) -> Parts:
        if isinstance(expression, Literal):
            return tuple([self.b.splat(part, lanes) for part in parts])
        level = self.level_of(expression)
        key = ("splat", self.key_of(expression), lanes)
        found = self.scopes[level].memo.get(key)
        if found is None:
            region = self.b.region
            self.at(level)
            found = tuple([self.b.splat(part, lanes) for part in parts])
            self.b.region = region
            self.remember(key, level, expression.free, found)
        return found
