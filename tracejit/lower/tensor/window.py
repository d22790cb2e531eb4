"""A part of an array that moves with the strips of loops: what a strip computes, or reads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from ...ir import expressions, tensor
from ...ir.expressions import integer
from ...ir.tensor import Expression, Index

STRIP = Index("group_strip")
# Of loops around these, along other axes.
OUTER_STRIPS = tuple([Index(f"group_strip{k}") for k in range(8)])
# Of the loop over blocks of what is contracted, in a strip.
BLOCK = Index("group_block")
# The numbers of the first and the last strip, of each loop over strips.
Strips = Mapping[Index, tuple[int, int]]


def is_strip(term: object) -> bool:
    return term is STRIP or term is BLOCK or term in OUTER_STRIPS


class Side(NamedTuple):
    """A stretch of an axis, for each strip: from `scale * strip + low` on, `extent` long.

    With a `limit`, the length of the axis, stretches that would leave it are moved inside. `strip` is
    the index of the loop over strips that it moves with.
    """

    scale: int
    low: int
    extent: int
    limit: int = 0
    strip: Index = STRIP

    @property
    def start(self) -> Expression:
        start = expressions.add(
            expressions.multiply(self.strip, integer(self.scale)), integer(self.low)
        )
        if self.limit:
            start = expressions.maximum(start, tensor.ZERO)
            start = expressions.minimum(start, integer(self.limit - self.extent))
        return start

    def inside(self, length: int, strips: Strips) -> Side:
        """The same on an axis of this length.

        What is read is always inside; only what is known of it may reach out.
        """
        begins = [self.scale * strip + self.low for strip in strips.get(self.strip, (0, 0))]
        if min(begins) >= 0 and max(begins) + self.extent <= length:
            return self._replace(limit=0)
        return self._replace(extent=min(self.extent, length), limit=length)

    def join(self, other: Side) -> Side | None:
        """The stretch that has both; None where they move apart."""
        if self.scale != other.scale or self.scale and self.strip is not other.strip:
            return None
        low = min(self.low, other.low)
        extent = max(self.low + self.extent, other.low + other.extent) - low
        return Side(self.scale, low, extent, 0, self.strip)


Window = tuple[Side, ...]
