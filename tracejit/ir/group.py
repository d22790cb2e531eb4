"""Groups of one's own: nodes that match a pattern become a Function, or a call of a given Kernel.

A group is a Function like any other, called where its last node was. Passes that come later treat it
as one value: the built-in fuser computes what follows it, element by element, where its elements are
stored. Without a Kernel of its own a group is lowered as one (lower/tensor/composite.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from ..errors import IRError
from .graph import Function, Kernel, Module, Node, call, map_programs, parameter, substitute
from .op import CREATION, MOVEMENT
from .pattern import TRAIL, Pattern
from .term import from_same_place, locate, location_of
from .types import array_type

# Movement that costs more than this is not done again inside a group.
DEAR_MOVEMENT = 8.0
MakeKernel = Callable[[Function], Kernel]


def grouping(
    pattern: Pattern,
    name: str,
    kernel: MakeKernel | Kernel | None = None,
    when: Callable[[Function], bool] | None = None,
) -> Callable[[Module], Module]:
    """A pass that makes each match of `pattern` in a program a group called `name`.

    The group's parameters are what the matched nodes read, in the order of the pattern; views of
    arrays and constants are taken into it. A match is left alone whose inner values are used outside,
    or whose Function fails `when`. `kernel` computes the group: a Kernel, or a function from the
    group's Function to one, with the same parameters in the same order, and a new array as its
    result; None: the group is lowered by itself, as one kernel.

    The pass is called `group_` and the name in pipelines.
    """
    if pattern.op is None:
        raise ValueError(f"the pattern of a group begins with an op; {pattern!r} has none")

    def one(function: Function) -> Function:
        new = _grouped(function, pattern, name, kernel, when)
        return substituted(function, new) if new else function

    def substituted(function: Function, new: dict[Node, Node]) -> Function:
        return function.replace(results=substitute(function.results, new))

    def group(module: Module) -> Module:
        return map_programs(module, lambda f: one(f) if isinstance(f, Function) else f)

    group.__name__ = f"group_{name}"
    return group


def _grouped(
    function: Function, pattern: Pattern, name: str, kernel: Any, when: Any
) -> dict[Node, Node]:
    """The calls that take the place of matched nodes: matches that end latest first, none in two."""
    users: dict[Node, list[Node | None]] = {}
    for node in function.nodes:
        for operand in node.operands:
            users.setdefault(operand, []).append(node)
    for result in function.results:
        users.setdefault(result, []).append(None)
    taken: set[Node] = set()
    new: dict[Node, Node] = {}
    for root in reversed(function.nodes):
        for bound in pattern.matches(root, {TRAIL: ()}):
            inside = {value for part, value in bound[TRAIL] if part.op is not None}
            if any(p.uses is not None and len(users[v]) != p.uses for p, v in bound[TRAIL]):
                continue
            if inside & taken or not _is_closed(root, inside, users):
                continue
            made = group_call(root, inside, name, kernel, when)
            if made is not None:
                new[root] = made
                taken |= inside
                break
    # A group that reads another one reads its call.
    for root in reversed(new):
        (new[root],) = substitute((new[root],), {r: c for r, c in new.items() if r is not root})
    return new


def _is_closed(root: Node, inside: set[Node], users: dict[Node, list[Node | None]]) -> bool:
    """Whether what is computed on the way is used in the group alone."""
    inner = inside - {root}
    return all(user in inside for node in inner for user in users[node])


def group_call(
    root: Node, inside: set[Node], name: str, kernel: Any = None, when: Any = None
) -> Node | None:
    """The call of a group of the nodes `inside`, of which `root` is the result; None where `when` fails."""
    inputs = _inputs(root, inside)
    formals = {
        node: parameter(f"a{k}", node.type if node.op.name == "parameter" else _plain(node))
        for k, node in enumerate(inputs)
    }
    (result,) = substitute((root,), formals)
    function = Function(name, tuple(formals.values()), (result,))
    if when is not None and not when(function):
        return None
    callee = kernel if isinstance(kernel, Kernel) or kernel is None else kernel(function)
    if callee is not None:
        _check_kernel(function, callee)
    made = call(*inputs, callee=callee or function)
    if (place := location_of(root)) is not None:
        locate(made, place)
    return made


def with_calls(function: Function, made: dict[Node, Node]) -> Function:
    """The function with calls in the place of the nodes that they were made of."""
    new: dict[Node, Node] = {}
    for node in function.nodes:
        own = made.get(node, node)
        operands = tuple([new.get(operand, operand) for operand in own.operands])
        same = operands == own.operands
        new[node] = own if same else from_same_place(Node(own.op, operands, own.attributes), own)
    return function.replace(results=tuple([new[result] for result in function.results]))


def _plain(node: Node) -> Any:
    return array_type(node.type.shape, node.type.dtype)


def _inputs(root: Node, inside: set[Node]) -> list[Node]:
    """What the group reads, in the order of the operands; views and constants are its own.

    What lies in memory in another shape is read in that: it is the caller's, where it costs nothing.
    """
    found: dict[Node, None] = {}
    stack, seen = [root], set()
    while stack:
        node = stack.pop()
        if node in seen:
            continue
        seen.add(node)
        if node in inside or _is_view(node):
            stack.extend(reversed(node.operands))
        else:
            found[node] = None
    return list(found)


def _is_view(node: Node) -> bool:
    if node.op.kind not in (MOVEMENT, CREATION) or node.op.cost >= DEAR_MOVEMENT:
        return False
    if node.op.name != "reshape":
        return True
    (source,) = node.operands
    return source.op.kind in (MOVEMENT, CREATION) or source.type.layout is not None


def _check_kernel(function: Function, kernel: Kernel) -> None:
    def types(terms: Iterable[Any]) -> list[tuple]:
        return [(t.type.shape, t.type.dtype) for t in terms]

    given = f"the kernel {kernel.name} for the group {function.name}"
    if types(kernel.inputs) != types(function.parameters):
        wanted = ", ".join(str(p.type) for p in function.parameters)
        raise IRError(f"{given} takes {kernel!r}, not ({wanted})")
    if types(kernel.fresh) != types(function.results) or kernel.updated:
        raise IRError(f"{given} has other results than {function.results[0].type}")
