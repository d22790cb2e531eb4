"""Set apart what depends on constants alone: it is computed once, not at every call.

A value is stored where what follows depends on other things as well, unless it takes much more memory than
the constants it is made of: then it stays with who reads it, and what it is made of is looked at.
Views of stored values stay views.
"""

from __future__ import annotations

from ...ir import ops
from ...ir.graph import Function, Kernel, Module, Node, is_constant, item, parameter, substitute
from ...ir.op import CONTRACTION, CREATION, ELEMENTWISE, MOVEMENT, REDUCTION, SCAN
from .updates import may_refuse

_PURE = (ELEMENTWISE, REDUCTION, CONTRACTION, SCAN, MOVEMENT, CREATION)
_VIEWS = (ops.transpose, ops.broadcast, ops.slice_, ops.reshape)
# A value may be so many times as large as the constants it is made of, or have so many bytes.
GROWTH, SMALL = 2, 1 << 16


def set_constants_apart(module: Module) -> Module:
    """The same module, in whose entry one `scope` is done once, if it has constants."""
    entry = module.entry
    if isinstance(entry, Kernel) or not any(map(is_constant, entry.parameters)):
        return module
    kept = _Constants(entry).kept()
    return Module(_apart(entry, kept)) if kept else module


def made_of_constants(function: Function) -> dict[Node, int]:
    """The nodes that are the same in all calls, each with the bytes of the constants it is made of."""
    found: dict[Node, int] = {}
    for node in function.nodes:
        if node.op.name == "parameter":
            if is_constant(node):
                found[node] = _bytes(node)
        elif node.op.kind in _PURE and not may_refuse(node):
            parts = [found.get(operand) for operand in node.operands]
            if None not in parts and _bytes(node):
                found[node] = sum(parts)
    return found


class _Constants:
    """Which nodes depend on constants alone, and which of them are worth storing."""

    def __init__(self, function: Function):
        self.function = function
        self.made_of = made_of_constants(function)

    def kept(self) -> list[Node]:
        """The values to store, in order."""
        found: dict[Node, None] = {}
        read = [
            n for node in self.function.nodes if node not in self.made_of for n in node.operands
        ]
        for operand in dict.fromkeys([*read, *self.function.results]):
            self.store(operand, found)
        return [node for node in self.function.nodes if node in found]

    def store(self, node: Node, found: dict[Node, None]) -> None:
        """Note what is to be stored of a value and what it is made of."""
        if not self.made_of.get(node) or node.op.name == "parameter":
            return
        is_view = node.op in _VIEWS or node.op is ops.relayout and "inverse" in node.attrs
        if is_view or not is_worth_keeping(node, self.made_of):
            for operand in node.operands:
                self.store(operand, found)
        else:
            found[node] = None


def is_worth_keeping(node: Node, made_of: dict[Node, int]) -> bool:
    """Whether a value is the same in all calls, and not much larger than what it is made of."""
    constants = made_of.get(node, 0)
    return constants > 0 and _bytes(node) <= max(SMALL, GROWTH * constants)


def _bytes(node: Node) -> int:
    """The size of a value; 0 where it is not known, or nothing."""
    size = getattr(node.type, "size", 0)
    return size * node.type.dtype.itemsize if isinstance(size, int) else 0


def _apart(entry: Function, kept: list[Node]) -> Function:
    used = [p for p in entry.parameters if is_constant(p)]
    inside = {p: parameter(p.attrs["name"], p.type) for p in used}
    body = Function("constants", tuple(inside.values()), substitute(tuple(kept), inside))
    scope = ops.scope(*used, extents=(), body=body, once=True)
    stored = [item(scope, index=k) for k in range(len(kept))] if len(kept) > 1 else [scope]
    return entry.replace(results=substitute(entry.results, dict(zip(kept, stored))))
