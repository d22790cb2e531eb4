"""Groups that do not need each other but read the same large value, in the same loops, become one.

`x.min(), x.max()`, or the sine and the cosine of one array, then pass over it once. So do differences
along two axes, which have one of their operands in common.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import prod
from typing import Protocol

from ...ir.graph import Node
from ..elements import Position
from .groups import Group

# Elements that are worth reading once for two groups, and nodes that these may have together.
FAR, MOST_NODES = 1 << 15, 48
# Arrays that one kernel writes at a time: where they begin alike in their pages, the nearest cache has place
# for so few of their lines.
MOST_WRITTEN = 8


class Fuser(Protocol):
    """What makes groups: it knows whether two may be one, and makes them one."""

    groups: dict[int, Group]
    group_of: Mapping[Node, Group]
    users: Mapping[Node, set[Node | None]]
    can_merge: Callable
    merge: Callable


def put_side_by_side(fuser: Fuser) -> None:
    """Merge the groups of which each pair shares a read, first come first served."""
    readers: dict[tuple[Node, Position], list[Group]] = {}
    for group in fuser.groups.values():
        if group.opaque or group.product is not None or not _is_far(group.shape):
            continue
        for source, at, _ in group.reads:
            if _is_far(source.type.shape) and fuser.group_of.get(source) is not group:
                readers.setdefault((source, at), []).append(group)
    for (source, _), groups in readers.items():
        first = None
        for group in groups:
            if group is first or fuser.groups.get(group.number) is not group:
                continue  # it is part of another one by now
            if first is not None and _fit(fuser, first, group, source):
                fuser.merge(first, group)
            else:
                first = group


def _is_far(shape: tuple) -> bool:
    """Whether a value of this shape is more than the nearest caches hold."""
    return all(type(n) is int for n in shape) and prod(shape) >= FAR


def _fit(fuser: Fuser, group: Group, other: Group, shared: Node) -> bool:
    """Whether both groups fit one nest of loops, and lanes of what they share."""
    nodes = [*group.nodes, *other.nodes]
    return (
        group.axes == other.axes
        and not group.depends & other.bit
        and not other.depends & group.bit
        and len(nodes) <= MOST_NODES
        and sum(len(_written(fuser, each)) for each in (group, other)) <= MOST_WRITTEN
        and all(node.type.dtype.itemsize <= shared.type.dtype.itemsize for node in nodes)
        and fuser.can_merge(group, other, [], False)
    )


def _written(fuser: Fuser, group: Group) -> list[Node]:
    """The elements of a group that others read: whole arrays, not sums of their rows."""
    own = {*group.nodes}
    return [n for n in group.nodes if n not in group.rows and not own >= fuser.users.get(n, set())]
