"""A part of an array that moves with the strips of a loop: what a strip computes, or reads."""

from __future__ import annotations

from typing import NamedTuple

from ...ir import tensor
from ...ir.tensor import Expression, Index, integer

STRIP = Index("group_strip")


class Side(NamedTuple):
    """A stretch of an axis, for each strip: from `scale * strip + low` on, `extent` long."""

    scale: int
    low: int
    extent: int

    @property
    def start(self) -> Expression:
        return tensor.add(tensor.multiply(STRIP, integer(self.scale)), integer(self.low))

    def join(self, other: Side) -> Side | None:
        """The stretch that has both; None where they move apart."""
        if self.scale != other.scale:
            return None
        low = min(self.low, other.low)
        return Side(self.scale, low, max(self.low + self.extent, other.low + other.extent) - low)


Window = tuple[Side, ...]
