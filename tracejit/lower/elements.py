"""What a node reads, as expressions: element rules composed through whatever is not stored.

`Composer.value(node, index)` is the scalar at `index` of a node as an expression over loads of the
nodes that are in memory. Fusion is this composition; the passes differ only in what they keep.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from ..ir.graph import Node
from ..ir.op import REDUCTION, UPDATE, Element
from ..ir.tensor import Expression, Index
from ..ir.types import ArrayType

Position = tuple[Expression, ...]


class Operand:
    """An operand seen by an element rule: its type, and its value at an index."""

    __slots__ = ("type", "_at")

    def __init__(self, type: ArrayType, at: Callable[[Position], Expression]):
        self.type, self._at = type, at

    def __call__(self, index: Position) -> Expression:
        return self._at(index)


class Composer:
    """Composes element rules; `stored(node, index)` says what is read rather than computed."""

    def __init__(self, stored: Callable[[Node, Position], Expression | None]):
        self.stored = stored
        self.memo: dict[tuple[Node, Position], Expression] = {}

    def value(self, node: Node, index: Position) -> Expression:
        found = self.memo.get((node, index))
        if found is not None:
            return found
        # Chains of elementwise ops share one index and may be thousands deep: evaluate them
        # bottom-up, so that only changes of index recurse.
        stack = [node]
        while stack:
            top = stack[-1]
            if (top, index) in self.memo:
                stack.pop()
                continue
            expression = self.stored(top, index)
            if expression is None:
                if top.op.kind == "elementwise":
                    missing = [o for o in top.operands if (o, index) not in self.memo]
                    if missing:
                        stack.extend(missing)
                        continue
                expression = self.apply(top, index)
            self.memo[top, index] = expression
            stack.pop()
        return self.memo[node, index]

    def apply(self, node: Node, index: Position) -> Expression:
        lowering = node.op.lowering
        if not isinstance(lowering, Element):
            raise TypeError(f"{node} is read before it is stored")
        return lowering.rule(index, *self.operands(node), type=node.type, **node.attrs)

    def place(self, update: Node, index: Position) -> Position:
        """Where in the old value an update's element at `index` of its value goes."""
        return update.op.lowering.rule(index, *self.operands(update), **update.attrs)

    def operands(self, node: Node) -> list[Operand]:
        return [
            Operand(operand.type, lambda at, operand=operand: self.value(operand, at))
            for operand in node.operands
        ]


def domain_of(node: Node) -> tuple:
    """The shape that the loops computing `node` run over: not always that of the result."""
    if node.op.kind == REDUCTION:
        return node.operands[0].type.shape
    return node.operands[1].type.shape if node.op.kind == UPDATE else node.type.shape


@cache
def axis_indices(ndim: int) -> tuple[Index, ...]:
    """The canonical loop indices of a domain, outermost first."""
    return tuple([Index(f"i{axis}") for axis in range(ndim)])
