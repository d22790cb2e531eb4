"""Regions: stretches of a trace that become Functions of their own, the bodies of control flow.

The graph is pure and interned, so a region is no list of nodes: it is what its results need, down to
nodes that were there before. `Trace.home` tells in which region a node was made; where that encloses
the region, the node is computed before, and is an operand. What is made again in a region that is
open while the first one is closed belongs to the new one: no branch computes what another needs.
"""

from __future__ import annotations

from typing import Any

from ..ir.graph import Node


class Region:
    """A body in the making. `start`: arrays that were born later are its own.

    `written` has the storages that were written in it, with their values before; `owner` is what
    closes it, if code may leave it open; `is_dead`: what would follow is never reached. `bindings`:
    the unknowns that are numbers computed here, after the `known` ones from around.
    """

    __slots__ = (
        "bindings", "into", "is_dead", "is_open", "known", "owner", "parent", "start", "written",
    )  # fmt: skip

    def __init__(self, parent: Region | None, start: int, owner: Any = None):
        self.parent, self.start, self.owner = parent, start, owner
        self.written: dict[Any, Node] = {}
        self.is_open, self.is_dead = True, False
        self.into: Region | None = None
        self.bindings: list[Any] = [] if parent is None else [*parent.bindings]
        self.known = len(self.bindings)

    @property
    def own_bindings(self) -> list[Any]:
        return self.bindings[self.known :]

    def dissolve(self) -> None:
        """Let what was done here be part of the region around."""
        assert self.parent is not None
        for storage, before in self.written.items():
            self.parent.written.setdefault(storage, before)
        self.parent.bindings += self.own_bindings
        self.into, self.is_open = self.parent, False

    def settled(self) -> Region:
        """The region that this one has become part of, if it was dissolved."""
        region = self
        while region.into is not None:
            region = region.into
        return region

    def is_within(self, other: Region) -> bool:
        """Whether `other` encloses this one, or is it."""
        region: Region | None = self
        while region is not None and region is not other:
            region = region.parent
        return region is not None


def encloses(home: Region | None, region: Region) -> bool:
    """Whether what was made in `home` is there before `region` begins."""
    home = None if home is None else home.settled()
    return home is not None and home is not region and region.is_within(home)
