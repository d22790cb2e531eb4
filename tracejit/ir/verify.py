"""Is this Module legal at this stage? If not, the first thing wrong with it, by name.

What is checked at every stage: parameters are distinct and declared, calls fit, kernels are well
scoped and write their outputs, no access is certainly out of bounds, loops marked `vector` or
`parallel` carry nothing from one iteration to the next. Types are not: a Node has that of its op's
rule since it was made. What differs from stage to stage is the table `STAGES`.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum, auto
from typing import NamedTuple, NoReturn

from ..errors import IRError
from . import op as kinds
from .graph import Function, Module, Node, programs_of
from .op import OPS
from .show import line_of
from .syntax import symbol_names
from .tensor import Call, For, Index, Kernel, Let, Statement, bodies_of
from .term import location_of, terms_in
from .types import ArrayType
from .verify_kernel import unproved, verify_kernel

__all__ = ["STAGES", "Stage", "unproved", "verify"]


class Stage(Enum):
    """How far a Module has been lowered."""

    TRACED = auto()
    FUSED = auto()
    LOOPS = auto()
    SCHEDULED = auto()


ALL_KINDS = frozenset(
    {
        kinds.ELEMENTWISE,
        kinds.MOVEMENT,
        kinds.CREATION,
        kinds.REDUCTION,
        kinds.SCAN,
        kinds.CONTRACTION,
        kinds.UPDATE,
        kinds.CONTROL,
        kinds.OPAQUE,
    }
)


class Allowed(NamedTuple):
    """The kinds of ops in programs, which are the entry and the bodies of control flow, and in the
    graph Functions that these call. No kinds: there may be no such Function."""

    programs: frozenset[str]
    callees: frozenset[str]


# fmt: off
STAGES = {
    Stage.TRACED:    Allowed(ALL_KINDS, ALL_KINDS),
    Stage.FUSED:     Allowed(
        ALL_KINDS - {kinds.ELEMENTWISE, kinds.REDUCTION, kinds.UPDATE}, ALL_KINDS
    ),
    Stage.LOOPS:     Allowed(frozenset({kinds.CONTROL, kinds.OPAQUE, kinds.MOVEMENT}), frozenset()),
    Stage.SCHEDULED: Allowed(frozenset({kinds.CONTROL, kinds.OPAQUE}), frozenset()),
}
# fmt: on


def verify(module: Module, stage: Stage) -> Module:
    """Return `module` if it is legal at `stage`; raise IRError naming what is wrong, and where."""
    allowed, programs = STAGES[stage], programs_of(module)
    known = _known_extents(module)
    for function in module.functions:
        if isinstance(function, Kernel):
            verify_kernel(function, known[function])
        else:
            is_program = function in programs
            kinds_here = allowed.programs if is_program else allowed.callees
            _verify_function(function, kinds_here, stage, known[function])
    return module


def _known_extents(module: Module) -> dict[Function | Kernel, set[str]]:
    """By function the extents it may use: those that the entry knows, and what its callers bind."""
    entry = module.entry
    own = symbol_names(tuple([p.type for p in entry.parameters]))
    known = {f: set(own) for f in module.functions}
    for function in reversed(module.functions):
        if isinstance(function, Kernel):
            for callee, names in _around_calls(function.body):
                known[callee] |= known[function] | names
            continue
        for node in function.nodes if function.callees else ():
            attached = [t for _, value in node.attributes for t in terms_in(value)]
            for callee in [t for t in attached if isinstance(t, (Function, Kernel))]:
                known[callee] |= known[function] | _bound_by(node)
    return known


def _bound_by(node: Node) -> set[str]:
    """The extents that a node gives its callees: the index of a loop, the sizes of what it is given."""
    return symbol_names((node.attrs.get("index"), node.attrs.get("extents")))


def _around_calls(
    body: Iterable[Statement], names: frozenset[str] = frozenset()
) -> list[tuple[Function | Kernel, frozenset[str]]]:
    """What is called, and the indices bound there: by loops around, and by what comes before."""
    found = []
    for statement in body:
        if isinstance(statement, Let) and isinstance(statement.variable, Index):
            names |= {statement.variable.name}
        if isinstance(statement, Call):
            found.append((statement.kernel, names))
        inside = names | {statement.index.name} if isinstance(statement, For) else names
        for inner in bodies_of(statement):
            found += _around_calls(inner, inside)
    return found


def _verify_function(
    function: Function, allowed: frozenset[str], stage: Stage, known: set[str]
) -> None:
    if not allowed:
        _fail(function, None, f"there are no called graph Functions at the stage {stage.name}")
    parameters = set(function.parameters)
    names = [p.attrs.get("name") for p in function.parameters if p.op.name == "parameter"]
    if len(names) < len(function.parameters):
        _fail(function, None, "a parameter is no `parameter` node")
    if len(set(names)) < len(names):
        _fail(function, None, f"two parameters have one name: {', '.join(names)}")
    known = known | symbol_names(tuple(p.type for p in function.parameters))
    for node in function.nodes:
        if OPS.get(node.op.name) is not node.op:
            _fail(function, node, "the op is not in the vocabulary")
        if node.op.name == "parameter" and node not in parameters:
            _fail(function, node, f"the parameter {node.attrs['name']!r} is not declared")
        if node.op.kind not in allowed:
            _fail(function, node, f"{node.op.kind} ops may not be here at the stage {stage.name}")
        named = symbol_names(node.attributes) if node.attributes else None
        if named and (unknown := named - known - _bound_by(node)):
            _fail(function, node, f"the extents {sorted(unknown)} are unknown here")
    for result in function.results:
        if not isinstance(result.type, ArrayType):
            _fail(function, result, f"a result is an array, not {result.type}")
    updated = [(p.type.shape, p.type.dtype) for p in function.updated]
    finals = [(result.type.shape, result.type.dtype) for result in function.results]
    if finals[: len(updated)] != updated:
        _fail(function, None, "its first results are not of the types of its updated parameters")


def _fail(function: Function, node: Node | None, problem: str) -> NoReturn:
    shown = ""
    if node is not None:
        operands = ", ".join(str(operand.type) for operand in node.operands)
        shown = f" {node.op.name}({operands}):"
    location = None if node is None else location_of(node)
    line = "" if node is None else line_of(function, node)
    where = ", ".join(place for place in (line, location) if place)
    raise IRError(f"function {function.name}:{shown} {problem}", where or None)
