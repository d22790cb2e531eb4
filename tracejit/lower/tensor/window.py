"""A part of an array that moves with the strips of a loop: what a strip computes, or reads."""

from __future__ import annotations

from typing import NamedTuple

from ...ir import tensor
from ...ir.tensor import Expression, Index, integer

STRIP = Index("group_strip")


class Side(NamedTuple):
    """A stretch of an axis, for each strip: from `scale * strip + low` on, `extent` long.

    With a `limit`, the length of the axis, stretches that would leave it are moved inside.
    """

    scale: int
    low: int
    extent: int
    limit: int = 0

    @property
    def start(self) -> Expression:
        start = tensor.add(tensor.multiply(STRIP, integer(self.scale)), integer(self.low))
        if self.limit:
            start = tensor.maximum(start, tensor.ZERO)
            start = tensor.minimum(start, integer(self.limit - self.extent))
        return start

    def inside(self, length: int, first: int, last: int) -> Side:
        """The same on an axis of this length, from the `first` strip to the `last`.

        What is read is always inside; only what is known of it may reach out.
        """
        begins = self.scale * first + self.low, self.scale * last + self.low
        if min(begins) >= 0 and max(begins) + self.extent <= length:
            return self._replace(limit=0)
        return self._replace(extent=min(self.extent, length), limit=length)

    def join(self, other: Side) -> Side | None:
        """The stretch that has both; None where they move apart."""
        if self.scale != other.scale:
            return None
        low = min(self.low, other.low)
        return Side(self.scale, low, max(self.low + self.extent, other.low + other.extent) - low)


Window = tuple[Side, ...]
