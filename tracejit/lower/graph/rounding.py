"""`a * b + c` is rounded once: `numerics="default"`.

A sum with a product that nothing else reads becomes `fma(a, b, c)`, and that is all: `c` is not a product
itself, and differences are left alone, so that what cancels exactly in NumPy still does. To subtract a constant is to
add another, so polynomials have one rounding a step. This is decided for a value, before it is decided where it is computed:
it may be computed in several places, and must be the same number in all of them.

Nothing on which a choice depends is changed either: operands of comparisons, of roundings to integers, of functions
that end at some number, of orders (a sort), and what these are made of; nor what loops compute that end by
it, or choose by it: there the last bit may decide about all others.
"""

from __future__ import annotations

from collections import Counter

from ...ir import op as kinds
from ...ir import ops
from ...ir.graph import (
    Function,
    Kernel,
    Module,
    Node,
    callees,
    map_functions,
    operands_of,
    parameter_op,
    programs_of,
)
from ...ir.tensor import expressions_of, parts, statements
from ...ir.term import from_same_place, postorder, terms_in
from ...ir.types import f32, f64

# Functions that jump at some number, or give nan beyond it.
_EDGES = frozenset(
    """floor ceil rint trunc sign copysign fmod remainder floor_divide sqrt log log2 log10 log1p
    arcsin arccos arccosh arctanh power""".split()
)


def contract(module: Module) -> Module:
    """The same module, whose values are rounded once where one product is added to something else.

    Functions that are kernels already say themselves how they round.
    """
    if isinstance(module.entry, Kernel):
        return module
    open_programs = programs_of(module) - _decided_bodies(module)
    return map_functions(module, _contracted, open_programs.__contains__)


def _contracted(function: Function) -> Function:
    chosen = {node for node in function.nodes if _adds_product(node)}
    if chosen:
        chosen -= _deciding(function)
    if not chosen:
        return function
    uses = Counter([*function.results, *[o for n in function.nodes for o in n.operands]])
    new: dict[Node, Node] = {}
    for node in function.nodes:
        operands = tuple([new[operand] for operand in node.operands])
        made = node if operands == node.operands else Node(node.op, operands, node.attributes)
        if node in chosen:
            made = _rounded_once(node, made, uses)
        new[node] = from_same_place(made, node)
    return function.replace(results=tuple([new[result] for result in function.results]))


def _adds_product(node: Node) -> bool:
    """Whether it is a sum with one product, where to subtract a constant is to add one."""
    if node.op not in (ops.add, ops.subtract) or node.type.dtype not in (f32, f64):
        return False
    if node.op is ops.subtract and not any(map(_constant, node.operands)):
        return False
    return _is_product(node.operands[0]) != _is_product(node.operands[1])


def _is_product(node: Node) -> bool:
    """Whether it is one but for its sign and for where it stands."""
    while node.op.kind == kinds.MOVEMENT and len(node.operands) == 1 or node.op is ops.negative:
        node = node.operands[0]
    return bool(_factors(node))


def _factors(node: Node) -> tuple[Node, ...]:
    if node.op is ops.square:
        return (*node.operands, *node.operands)
    return node.operands if node.op is ops.multiply else ()


def _rounded_once(old: Node, new: Node, uses: Counter) -> Node:
    """A sum with a product that is read here alone as one operation."""
    for position, before in enumerate(old.operands):
        factors = _factors(new.operands[position])
        if not factors or uses[before] > 1:
            continue
        (x, y), rest = factors, new.operands[1 - position]
        if new.op is ops.subtract:
            x, rest = (x, _negative(rest)) if position == 0 else (_negative(x), rest)
        return ops.fma(x, y, rest)
    return new


def _negative(node: Node) -> Node:
    if node.op is ops.negative:
        return node.operands[0]
    constant = _constant(node)
    if constant is None:
        return ops.negative(node)
    opposite = ops.constant(value=-constant.attrs["value"], dtype=node.type.dtype)
    return opposite if constant is node else ops.broadcast(opposite, **node.attrs)


def _constant(node: Node) -> Node | None:
    """The constant that a node is everywhere; None if it is none."""
    source = node.operands[0] if node.op is ops.broadcast else node
    return source if source.op is ops.constant else None


def _deciding(function: Function) -> set[Node]:
    """The values whose last bits may decide about others."""
    decide: list[Node] = []
    for node in function.nodes:
        floats = [o for o in node.operands if getattr(o.type, "dtype", f32).kind in "fc"]
        if node.op.kind == kinds.ELEMENTWISE:
            is_edge = node.op.name in _EDGES or node.type.dtype.kind not in "fc"
        else:
            is_edge = node.op.kind == kinds.OPAQUE or _chooses(node)
        if is_edge:
            decide += floats
    return set(postorder(decide, lambda n: () if _adds_up(n) else n.operands))


def _adds_up(node: Node) -> bool:
    """Whether its order, and so its errors, are its own."""
    return node.op.kind in (kinds.CONTRACTION, kinds.SCAN) or node.op.name in ("sum", "prod")


def _decided_bodies(module: Module) -> set[Function]:
    """The bodies of control flow in which numbers decide, and those of all loops around them: in an
    iteration to come they meet what the others compute. An `if` may have become a comparison."""
    decided: set[Function] = set()
    for program in programs_of(module):
        for node in program.nodes:
            if node.op.kind == kinds.CONTROL and (called := _called(node)):
                inside = list(postorder(called, callees))
                if _chooses(node) or any(map(_decides, inside)):
                    decided.update(f for f in inside if isinstance(f, Function))
    return decided


def _called(node: Node) -> list[Function | Kernel]:
    terms = [term for _, value in node.attributes for term in terms_in(value)]
    return [term for term in terms if isinstance(term, Function | Kernel)]


def _decides(body: Function | Kernel) -> bool:
    if isinstance(body, Function):
        return any(_chooses(node) or _compares(node) for node in body.nodes)
    roots = [e for s in statements(body.body) for e in expressions_of(s)]
    compared = [e for e in postorder(roots, parts) if e.dtype.kind == "b" and parts(e)]
    return any(operand.dtype.is_float for e in compared for operand in parts(e))


def _compares(node: Node) -> bool:
    is_bool = node.op.kind == kinds.ELEMENTWISE and node.type.dtype.kind == "b"
    return is_bool and any(operand.type.dtype.is_float for operand in node.operands)


def _chooses(node: Node) -> bool:
    """Whether what it runs, or how often, is up to the numbers."""
    match node.op.name:
        case "while_loop":
            return True
        case "for_loop":
            return node.attrs.get("breaks", False)
        case "branch":
            return any(n.op is parameter_op for n in postorder(node.operands[:1], operands_of))
    return False
