"""An order of nodes in which what reads a value comes before the update that exchanges it.

An update is done in place where nobody needs the old value afterwards. The tracer knows such an
order, as NumPy ran in it; a graph does not, so it is found again: operands come first always,
readers of a value before its update wherever operands allow.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from heapq import heappop, heappush

from ...ir.graph import Node


def readers_first(
    nodes: Sequence[Node], overwrites: Mapping[Node, Iterable[Node]], readers: Mapping
) -> list[Node]:
    """`nodes` reordered, by default as they come (operands first).

    `overwrites` says which values a node exchanges; `readers`, who else reads a value.
    """
    rank = {node: position for position, node in enumerate(nodes)}
    waits = {n: len({o for o in n.operands if o in rank}) for n in nodes}
    users: dict[Node, list[Node]] = {}
    for node in nodes:
        for operand in dict.fromkeys(node.operands):
            users.setdefault(operand, []).append(node)
    below = Dependents(nodes, overwrites)
    wishes: dict[Node, int] = {}
    wished_by: dict[Node, list[Node]] = {}
    for update, values in overwrites.items():
        found = {r for v in values for r in readers.get(v, ()) if r in rank}
        found = {r for r in found if r is not update and not below.depends(r, update)}
        wishes[update] = len(found)
        for reader in found:
            wished_by.setdefault(reader, []).append(update)
    ready: list[int] = []
    put_off: list[int] = []
    order: list[Node] = []
    for node in nodes:
        if not waits[node]:
            heappush(put_off if wishes.get(node) else ready, rank[node])
    while ready or put_off:
        node = nodes[heappop(ready or put_off)]
        if waits[node] < 0:  # done already, when its wishes came true
            continue
        waits[node] = -1
        order.append(node)
        for update in wished_by.get(node, ()):
            wishes[update] -= 1
            if not wishes[update] and not waits[update]:
                heappush(ready, rank[update])
        for user in users.get(node, ()):
            waits[user] -= 1
            if not waits[user]:
                heappush(put_off if wishes.get(user) else ready, rank[user])
    return order


class Dependents:
    """Which nodes depend on which of `roots`; `nodes` come operands first.

    What a node depends on are the bits of an int, so that the time is that of the nodes alone.
    """

    def __init__(self, nodes: Iterable[Node], roots: Iterable[Node]):
        self._bits = {root: 1 << number for number, root in enumerate(roots)}
        self._above: dict[Node, int] = {}
        for node in nodes:
            above = self._bits.get(node, 0)
            for operand in node.operands:
                above |= self._above.get(operand, 0)
            if above:
                self._above[node] = above

    def depends(self, node: Node, root: Node) -> bool:
        """Whether a node is computed from one of the roots, and is another one."""
        return node is not root and bool(self._above.get(node, 0) & self._bits[root])


def readers_of(
    value: Node, users: Mapping[Node, Sequence[Node]], is_inline: Callable[[Node], bool]
) -> tuple[set[Node], set[Node]]:
    """Who reads `value`: the nodes that do when they are computed, and the inline ones between."""
    readers: set[Node] = set()
    between: set[Node] = set()
    pending = [value]
    while pending:
        for user in users.get(pending.pop(), ()):
            if not is_inline(user):
                readers.add(user)
            elif user not in between:
                between.add(user)
                pending.append(user)
    return readers, between
