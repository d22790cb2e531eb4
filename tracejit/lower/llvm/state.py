"""Mutable state in registers: variables, and elements of register buffers, both called targets."""

from __future__ import annotations

from collections.abc import Sequence

from ...ir import tensor
from ...ir.tensor import (
    Accumulate,
    Assign,
    Buffer,
    Call,
    Extern,
    Load,
    Statement,
    Store,
    Variable,
    statements,
)
from ...ir.types import DType
from .access import Access
from .builder import Builder
from .frame import Parts
from .integers import add_quads

# In which nan is kept, by a question to the first of two.
EXTREMES = ("maximum", "minimum")


class State(Access):
    """Reads and changes targets; each is the SSA value it has at this point."""

    def __init__(self, builder: Builder):
        super().__init__(builder)
        self.joined_later: set[object] = set()

    def get(self, target: object) -> Parts:
        return self.values[target] if isinstance(target, Variable) else self.registers[target]

    def put(self, target: object, parts: Parts) -> None:
        if isinstance(target, Variable):
            self.values[target] = parts
            self.invalidate(target)
        else:
            self.registers[target] = parts
            self.invalidate(target[0])

    def set(self, target: Variable | Load, parts: Parts) -> None:
        self.put(target if isinstance(target, Variable) else self.register_key(target), parts)

    def per_lane(self, parts: Parts) -> Parts:
        """State declared inside a vector loop has a value for each lane."""
        self.here()
        count = self.lanes.count if self.lanes else 1
        return tuple([self.b.splat(part, count) for part in parts])

    def assign(self, variable: Variable, parts: Parts) -> None:
        inside = self.lanes and self.level[variable] >= self.level[self.lanes.index]
        self.set(variable, self.per_lane(parts) if inside else parts)

    def accumulate(self, target: Variable | Load, op: str, value: tensor.Expression) -> None:
        key = target if isinstance(target, Variable) else self.register_key(target)
        dtype = target.dtype
        factors = value.operands if _is_product(value, op) else None
        if factors:
            a, b = [self.emit(factor) for factor in factors]
            count = self.get(key)[0].lanes
            a, b = [
                self.widen(f, v, count) if v[0].lanes != count else v
                for f, v in zip(factors, (a, b))
            ]
            self.here()
            if value.op == "multiply_quads":
                new = (add_quads(self.b, *a, *b, *self.get(key)),)
            else:
                new = self.multiply_add(a, b, self.get(key))
        else:
            parts = self.emit(value)
            self.here()
            both = (self.get(key), parts)
            if op in EXTREMES and dtype.is_float:
                # The value does not wait for what came before; the variable does.
                both = both[::-1]
            new = self.joined(op, dtype, *both)
        if self.lanes is not None and self.lanes.mask is not None and self.is_observed(target, key):
            old = self.get(key)
            if old[0].lanes > 1:
                new = tuple([self.b.select(self.lanes.mask, n, o) for n, o in zip(new, old)])
        self.put(key, new)

    def multiply_add(self, a: Parts, b: Parts, c: Parts) -> Parts:
        """`a * b + c` by fused operations, four of them for complex numbers."""
        fma = self.b.fma
        if len(c) == 1:
            return (fma(a[0], b[0], c[0]),)
        real = fma(self.b.unary("fneg", a[1]), b[1], fma(a[0], b[0], c[0]))
        return (real, fma(a[1], b[0], fma(a[0], b[1], c[1])))

    def is_observed(self, target: Variable | Load, key: object) -> bool:
        """Whether lanes that are masked off would be seen: joined later, or elements that exist."""
        if key in self.joined_later:
            return True
        if isinstance(target, Variable):
            return False
        extents = zip(target.indices, target.buffer.type.shape)
        return (self.lanes.index, self.lanes.end) not in extents

    def joined(self, op: str, dtype, a: Parts, b: Parts) -> Parts:
        lanes = max(a[0].lanes, b[0].lanes)
        values = [tuple([self.b.splat(v, lanes) for v in parts]) for parts in (a, b)]
        return self.combine(op, [dtype, dtype], dtype, values)

    def changed_in(self, body: Sequence[Statement]) -> tuple[list, dict, set]:
        """Targets alive now that `body` changes, the op that accumulates each, and buffers written."""
        targets: dict[object, None] = {}
        ops: dict[object, str] = {}
        written: set[Buffer] = set()
        registers: set[Buffer] = set()
        register_ops: dict[Buffer, str] = {}
        for statement in statements(body):
            match statement:
                case Assign(variable, _) if variable in self.values:
                    targets[variable] = None
                case Accumulate(Variable() as variable, op, _) if variable in self.values:
                    targets[variable] = None
                    ops[variable] = op
                case Accumulate(Load(buffer, _), op, _):
                    registers.add(buffer)
                    register_ops[buffer] = op
                case Store(buffer, _, _):
                    (registers if buffer.space == "register" else written).add(buffer)
                case Call(_, buffers):
                    written.update(buffers)
                case Extern():
                    written.update(address.buffer for address in statement.addresses)
        for key in self.registers:
            if key[0] in registers:
                targets[key] = None
                if key[0] in register_ops and "lanes" not in key:
                    ops[key] = register_ops[key[0]]
        return list(targets), ops, written


def dtype_of(target: object) -> DType:
    return target.dtype if isinstance(target, Variable) else target[0].type.dtype


def _is_product(value: tensor.Expression, op: str) -> bool:
    """Whether a value is multiplied and added in one instruction."""
    if op != "add" or not isinstance(value, tensor.Apply):
        return False
    is_float = value.op == "multiply" and value.dtype.real.name in ("f32", "f64")
    return is_float or value.op == "multiply_quads"
