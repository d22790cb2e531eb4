"""The Functions that regions of a trace become."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ...errors import TraceError
from ...ir.graph import Function, Node, parameter, substitute
from ...ir.op import CREATION, MOVEMENT, OPS
from ...ir.term import postorder
from ...ir.types import array_type
from ..context import Trace
from ..extents import scoped
from ..regions import Region, encloses


def _is_constant(node: Node, known: dict[Node, bool]) -> bool:
    """Whether a node is computed of nothing, so that a body may as well make it itself."""
    for found in postorder((node,), lambda n: () if n in known else n.operands):
        if found not in known:
            is_made = found.op.kind in (CREATION, MOVEMENT)
            known[found] = is_made and all(known[operand] for operand in found.operands)
    return known[node]


def escaped(node: Node) -> TraceError:
    """The error for a value of a body that is used outside of it."""
    return TraceError(
        f"a value of type {node.type} that belongs to one iteration of a loop is used outside of it",
        hint="keep it in a variable or an array, not in an object that the loop does not see",
    )


class Bodies:
    """The Functions that regions become: all take the same operands, `carried` ones first."""

    def __init__(self, trace: Trace, carried: Sequence[Node] = ()):
        self.trace, self.carried = trace, tuple(carried)
        self.read: dict[Node, Node] = {}
        self._groups: list[tuple[str, tuple[Node, ...]]] = []

    def add(self, name: str, region: Region, results: Iterable[Node]) -> None:
        """A body with these results, which `region` has computed."""
        results = scoped(tuple(results), region.own_bindings)
        homes, known = self.trace.homes, {}
        own = set(self.carried)

        def is_outside(node: Node) -> bool:
            if node.op is OPS["parameter"]:
                home = homes.get(node)
                if node not in own and home is not None and not encloses(home, region):
                    raise escaped(node)
                return node not in own
            if encloses(homes.get(node), region):
                return not _is_constant(node, known)
            # An op with several results is no operand itself.
            return node.op is OPS["item"] and is_outside(node.operands[0])

        for node in postorder(results, lambda n: () if is_outside(n) else n.operands):
            if is_outside(node) and node not in self.read:
                hint = node.attrs["name"] if node.op is OPS["parameter"] else "value"
                type = node.type
                self.read[node] = parameter(
                    self.trace.unique_name(hint), array_type(type.shape, type.dtype)
                )
        self._groups.append((name, results))

    @property
    def operands(self) -> tuple[Node, ...]:
        """What is to be given for the parameters that follow the carried ones."""
        return tuple(self.read)

    def functions(self) -> list[Function]:
        parameters = (*self.carried, *self.read.values())
        return [
            Function(self.trace.unique_name(name), parameters, substitute(results, self.read))
            for name, results in self._groups
        ]
