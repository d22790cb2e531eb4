"""One LLVM function under construction: scopes, where each value is computed, and its reuse.

A scope is the body of an open loop (or of an inlined iteration), or one arm of a branch. Every
index, variable and buffer has the level of the scope in which it last changes; an expression's level
is the highest among the things it depends on, and it is computed once, in the scope of that level.
Common subexpressions and loop invariants need no pass of their own. The index of an unrolled loop is
a constant: what depends on it is known by its value, and shared by all copies of the body.

What may fail, such as a read that was not proved to stay inside its buffer, stays in the innermost
arm, as it may be that arm's condition that makes it right. Everything else leaves an arm only with
a loop: it is computed before the loop that it does not depend on, whether the arm is taken or not.

A value is a tuple of parts: one `Value`, or two for complex numbers.
"""

from __future__ import annotations

from contextlib import contextmanager

from ...ir import tensor
from ...ir.foreign import SCALARS
from ...ir.ops.checks import CHECKS
from ...ir.tensor import Apply, Buffer, Expression, Index, Literal, Load, Table, Variable, parts
from ...ir.term import postorder
from ...ir.types import DType
from ..tensor.checks import is_refusing
from .builder import Builder, Region, Value
from .casts import KINDS, cast, in_memory
from .checks import apply_check
from .complex import apply_complex, cast_complex
from .foreign import call_scalar
from .scalars import apply_real, compare_signed_with_unsigned

Parts = tuple[Value, ...]


# Kinds of scopes: the body of a loop, an iteration in line, an arm of a choice, and what runs only
# if a loop is not empty.
LOOP, INLINE, BRANCH, GUARD = "loop", "inline", "branch", "guard"


class Scope:
    """What is known inside one loop body or arm."""

    __slots__ = ("region", "memo", "dependents", "kind")

    def __init__(self, region: Region, kind: str = LOOP):
        self.region = region
        self.memo: dict[object, Parts] = {}
        self.dependents: dict[object, list[object]] = {}
        self.kind = kind


class Lanes:
    """The vector loop being emitted: its index, lane count, first index and mask.

    `base` is `origin` plus a multiple of the lane count; `end` is where the loop stops, when that
    is known. Of lanes under a mask the first that are `used` count, where it is known how many; else 0.
    """

    __slots__ = ("base", "count", "end", "index", "mask", "origin", "used")

    def __init__(
        self,
        index: Index | None,
        count: int,
        base: Value | None,
        mask: Value | None,
        origin: Expression = tensor.ZERO,
        end: int | None = None,
        used: int = 0,
    ):
        self.index, self.count, self.base, self.mask = index, count, base, mask
        self.origin, self.end, self.used = origin, end, used


def _may_fail(e: Expression) -> bool:
    match e:
        case Load(buffer, indices):
            pairs = zip(indices, buffer.type.shape)
            return not all(_is_inside(index, extent) for index, extent in pairs)
        case Table(data, index):
            return not _is_inside(index, len(data))
    return is_refusing(e)


def _is_inside(index: Expression, extent: object) -> bool:
    known = isinstance(index, Literal) and isinstance(extent, int)
    return known and 0 <= index.value < extent


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
        self.arms: list[int] = []  # the depths of the scopes that are arms of branches
        self.level: dict[object, int] = {}
        self.values: dict[object, Parts] = {}
        self.constants: dict[Index, int] = {}
        self.unrolled: dict[Index, tuple[int, int]] = {}  # the ranges of the constants
        self.fixed: dict[Index, object] = {}  # the constants, and vector indices in one place
        self.pointers: dict[Buffer, Value] = {}
        self.registers: dict[tuple, Parts] = {}
        self.flat_indices: dict[tuple, Expression] = {}
        self.linear_forms: dict[Expression, tuple[dict[Expression, int], int]] = {}
        self.lanes: Lanes | None = None
        self.failing: dict[Expression, bool] = {}  # as may_fail found
        self.streamed: frozenset[Buffer] = frozenset()
        self.has_streamed = False

    # Scopes.

    @property
    def depth(self) -> int:
        return len(self.scopes) - 1

    @property
    def innermost_loop(self) -> int:
        """The depth of the scope that is the body of the innermost loop."""
        depth = len(self.scopes) - 1
        while self.scopes[depth].kind != LOOP:
            depth -= 1
        return depth

    def move(self, region: Region, depth: int | None = None) -> None:
        """Continue scope `depth` (the innermost) in `region`, and with it the scopes it is inlined in."""
        depth = self.depth if depth is None else depth
        self.scopes[depth].region = region
        while self.scopes[depth].kind == INLINE:
            depth -= 1
            self.scopes[depth].region = region
        self.b.region = self.scopes[-1].region

    @contextmanager
    def inlined(self):
        """A scope without a loop of its own: one iteration, in line."""
        self.scopes.append(Scope(self.scopes[-1].region, INLINE))
        yield self.depth
        region = self.scopes.pop().region
        self.move(region)

    @contextmanager
    def scope(self, region: Region, kind: str):
        """A scope that begins in `region`; the builder stays where it ends."""
        self.scopes.append(Scope(region, kind))
        if kind in (BRANCH, GUARD):
            self.arms.append(self.depth)
        self.here()
        yield
        self.here()
        if kind in (BRANCH, GUARD):
            self.arms.pop()
        self.scopes.pop()

    def at(self, level: int) -> None:
        self.b.region = self.scopes[level].region

    def here(self) -> None:
        self.b.region = self.scopes[-1].region

    def level_of(self, expression: Expression) -> int:
        level = self.level
        return max([level.get(t, 0) for t in expression.free if t not in self.fixed], default=0)

    def place_of(self, expression: Expression) -> int:
        """The depth of the scope to compute an expression in."""
        level = place = self.level_of(expression)
        if not self.arms or self.arms[-1] <= level:
            return level
        for depth in range(level + 1, len(self.scopes)):
            kind = self.scopes[depth].kind
            if kind == LOOP:
                break
            if kind == BRANCH:
                place = depth
        return max(place, self.arms[-1]) if self.may_fail(expression) else place

    def may_fail(self, root: Expression) -> bool:
        """Whether an expression may be computed only where the program says so."""
        memo = self.failing
        for e in postorder((root,), lambda e: () if e in memo else parts(e)):
            if e not in memo:
                memo[e] = _may_fail(e) or any([memo[part] for part in parts(e)])
        return memo[root]

    def holder(self, level: int, key: object) -> int | None:
        """The depth of the scope that knows what has been computed, of those it may have been in."""
        if key in self.scopes[level].memo:
            return level
        for depth in self.arms:
            if depth > level and key in self.scopes[depth].memo:
                return depth
        return None

    def key_of(self, expression: Expression) -> object:
        """What `expression` is known by: itself, and where the indices in it are that are fixed."""
        if self.fixed and not expression.free.isdisjoint(self.fixed):
            # Loops over the same indices may be in another order elsewhere.
            known = [(i, self.fixed[i]) for i in expression.free if i in self.fixed]
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
            if expression is not root and self.known(expression) is not None:
                stack.pop()
                continue
            missing = [p for p in self.needs(expression) if self.known(p) is None]
            if missing:
                stack.extend(missing)
                continue
            level = self.place_of(expression)
            self.at(level)
            key, found = self.key_of(expression), self.compute(expression)
            self.remember(key, level, expression.free, found)
            stack.pop()
        self.b.region = region
        return found

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
        key = self.key_of(expression)
        depth = self.holder(self.level_of(expression), key)
        return None if depth is None else self.scopes[depth].memo[key]

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
                    turns = self.turns_of(expression.buffer, expression.indices)
                    if turns is not None:
                        return tuple(turns.atoms)
                    listing = self.listing_of(expression.buffer, expression.indices)
                    return (offset,) if listing is None else self.needs_of(listing)
                # Of the vector's index only the first lane's is needed.
                lane = self.lanes.index if self.lanes else None
                return tuple([atom for atom in atoms if atom is not lane])
        return ()

    def literal(self, number: object, dtype: DType) -> Parts:
        kind = kind_of(dtype)
        if dtype.is_complex:
            number = complex(number)
            return (self.b.const(number.real, kind), self.b.const(number.imag, kind))
        return (self.b.const(in_memory(number, dtype), kind),)

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
        if op == "guarded":
            return values[1]
        function = SCALARS.get(op)
        if function is not None:
            mask = self.lanes.mask if self.lanes is not None else None
            return (call_scalar(self.b, op, function, [v for (v,) in values], mask),)
        if any(dtype.is_complex for dtype in dtypes) or result.is_complex:
            return apply_complex(self.b, op, dtypes, result, values)
        if len(dtypes) == 2 and {dtypes[0].kind, dtypes[1].kind} == {"i", "u"}:
            (x,), (y,) = values
            return (compare_signed_with_unsigned(self.b, op, tuple(dtypes), x, y),)
        if op in CHECKS:
            return (apply_check(self.b, op, tuple([v for (v,) in values])),)
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
        level, own = self.level_of(expression), self.key_of(expression)
        if isinstance(expression, Apply | Load | Table):
            level = self.holder(level, own) or level
        key = ("splat", own, lanes)
        found = self.scopes[level].memo.get(key)
        if found is None:
            region = self.b.region
            self.at(level)
            found = tuple([self.b.splat(part, lanes) for part in parts])
            self.b.region = region
            self.remember(key, level, expression.free, found)
        return found
