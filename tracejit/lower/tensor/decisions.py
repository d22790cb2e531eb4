"""Where numbers decide: what a rounding error there does to the results has no bound.

That is so in loops that end by what was computed, and in branches that are chosen by it; and, within
an expression, below comparisons, roundings to integers, and functions that end at some number.
"""

from __future__ import annotations

from collections.abc import Iterable

from ...ir.graph import Function, Kernel, Node, callees, operands_of, parameter_op
from ...ir.op import CONTROL
from ...ir.tensor import (
    Apply,
    Expression,
    expressions_of,
    parts,
    statements,
)
from ...ir.term import postorder, terms_in

# Functions that jump at some number, or give nan beyond it.
_EDGES = frozenset(
    """floor ceil rint trunc sign copysign fmod remainder floor_divide sqrt log log2 log10 log1p
    arcsin arccos arccosh arctanh power""".split()
)


def below_edges(roots: Iterable[Expression]) -> set[Expression]:
    """The parts of these expressions whose last bits may decide about the whole."""
    decide = [
        operand
        for e in postorder(roots, parts)
        if isinstance(e, Apply) and (e.op in _EDGES or e.dtype.kind not in "fc")
        for operand in e.operands
    ]
    return set(postorder(decide, parts)) if decide else set()


def decided_bodies(entry: Function) -> set[Function]:
    """The bodies of control flow in which numbers decide, and those of all loops around them: in an
    iteration to come they meet what the others compute. An `if` may have become a comparison."""
    decided: set[Function] = set()
    for node in entry.nodes:
        if node.op.kind == CONTROL:
            inside = postorder(_called(node), callees)
            if _node_decides(node) or any(map(_decides, inside)):
                decided.update(f for f in inside if isinstance(f, Function))
    return decided


def _called(node: Node) -> list[Function | Kernel]:
    terms = [term for _, value in node.attributes for term in terms_in(value)]
    return [term for term in terms if isinstance(term, Function | Kernel)]


def _decides(body: Function | Kernel) -> bool:
    if isinstance(body, Function):
        return any(map(_node_decides, body.nodes))
    roots = [e for s in statements(body.body) for e in expressions_of(s)]
    compared = [e for e in postorder(roots, parts) if e.dtype.kind == "b" and parts(e)]
    return any(operand.dtype.is_float for e in compared for operand in parts(e))


def _node_decides(node: Node) -> bool:
    match node.op.name:
        case "while_loop":
            return True
        case "for_loop":
            return node.attrs.get("breaks", False)
        case "branch":
            return any(n.op is parameter_op for n in postorder(node.operands[:1], operands_of))
    return False
