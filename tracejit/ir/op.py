"""The Op record: everything the system knows about one operation, in one place.

Ops are an open vocabulary, so they are data: a new op is one `define(...)`, and the type checker,
the reference interpreter, the constant folder, the fuser, the lowering and the law tests know it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ..errors import IRError

ELEMENTWISE, MOVEMENT, CREATION, REDUCTION = "elementwise", "movement", "creation", "reduction"
SCAN, CONTRACTION, UPDATE = "scan", "contraction", "update"
CONTROL, OPAQUE = "control", "opaque"


class Element(NamedTuple):
    """Lowering by element: `rule(index, *operands, type, **attrs)` gives the value at `index`.

    `index` is a tuple of scalar expressions, one per axis of the result; an operand is called with
    an index of its own and carries `.type`. Fusing such ops is function composition.
    """

    rule: Callable[..., Any]


class Fold(NamedTuple):
    """Lowering of a reduction: combine elements with the scalar op `combine`, in any order.

    `accumulate(dtype)` is the dtype of the accumulator.
    """

    combine: str
    accumulate: Callable[[Any], Any] = lambda dtype: dtype


class Loops(NamedTuple):
    """Lowering by its own loop nest: `rule(*operands, result, **attrs)`, of buffers, gives the statements."""

    rule: Callable[..., Any]


class Extern(NamedTuple):
    """Lowering to calls of foreign functions, in destination-passing style.

    `rule(*operands, *results, **attrs)`, of buffers, gives the statements. Such an op may have
    several results, its type then is a tuple of theirs; it stands alone in its Function.
    """

    rule: Callable[..., Any]


class Place(NamedTuple):
    """Lowering of an update: its value's element at an index goes to a place in the old value.

    `rule(index, old, value, *others, **attrs)` gives the position; the operands are as for an
    `Element`. `element(old, value, **attrs)` is what is stored there, of the elements that were
    there and of the value.
    """

    rule: Callable[..., Any]
    element: Callable[..., Any] = lambda old, value, **attrs: value


class Composite(NamedTuple):
    """Lowering to other ops: `rule(*operands, **attrs)`, of nodes, gives the nodes of the results.

    This is done before fusing, so that what such an op is made of fuses like any other nodes.
    """

    rule: Callable[..., Any]


class Preferred(NamedTuple):
    """An order of memory, as of `relayout`, that an op would like an operand to have, and the seconds that
    each use saves then."""

    operand: int
    layout: str
    seconds: float


@dataclass(frozen=True, eq=False)
class Op:
    """One operation. Called with nodes it builds a node, with patterns a pattern.

    Fields: `type_rule(*types, **attrs)` gives the result's type and defines the attributes;
    `reference(*arrays, **attrs)` computes it with NumPy; `lowering` is an `Element`, `Fold`,
    `Loops`, `Extern`, `Place` or `Composite`; `cost` is the price of one element in multiply-adds, for deciding what to recompute;
    `samples(dtype)` gives `(types, attrs)` pairs the law tests instantiate; kinds whose attributes
    are known (elementwise, reductions, scans) need none; `prefers(node, machine)` gives the layouts
    (`Preferred`) that operands should have; of contractions it is the schedule that says so.
    """

    name: str
    kind: str
    type_rule: Callable[..., Any]
    reference: Callable[..., Any]
    lowering: Element | Fold | Loops | Extern | Place | Composite | None = None
    cost: float = 1.0
    commutative: bool = False
    samples: Callable[[], Any] | None = field(default=None, repr=False)
    prefers: Callable[[Any, Any], Any] | None = field(default=None, repr=False)

    def __call__(self, *operands: Any, **attrs: Any) -> Any:
        for given in (*operands, *attrs.values()):
            build = getattr(type(given), "apply", None)
            if build is not None:
                return build(self, operands, attrs)
        return _default_apply[0](self, operands, attrs)

    def __repr__(self) -> str:
        return self.name


OPS: dict[str, Op] = {}
# How an op without operands, or with nodes only, is applied; set by ir.graph, which is above.
_default_apply: list[Callable[..., Any]] = []


def define(op: Op) -> Op:
    """Enter `op` into the vocabulary."""
    if op.name in OPS:
        raise IRError(f"op {op.name!r} is already defined")
    OPS[op.name] = op
    return op
