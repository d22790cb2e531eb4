"""Arrays that grow or shrink by the same extent in every iteration of a loop.

    v = values                                    room = values
    for i in range(n):                    ->      for i: v = room[: m - i]
        v = p * v[:-1] + q * v[1:]                       room[: m - i - 1] = p * v[:-1] + q * v[1:]
                                                  v = room[: m - n]

So a binomial tree, whose levels lose a node each, is a loop over one piece of memory, which has room for the
longest.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from ...ir import ops
from ...ir.dims import Dim, bind, symbol_names
from ...ir.graph import Node
from ...ir.types import ArrayType, DType
from ..array import Array
from ..promotion import constant, result_dtype
from .joins import Kind


class Trips(NamedTuple):
    """How often a loop runs: `done` of `count` iterations are over when one begins; `index` is `start` in the
    first. `earlier` has the shapes of arrays, by name, before an iteration that was run ahead of these."""

    index: Dim
    start: int
    count: int
    earlier: Mapping[str, tuple]

    @property
    def done(self) -> Any:
        return self.index - self.start


class Ramp(NamedTuple):
    """The kind of an array whose extent along `axis` is `first` before the loop, and `step` more after each
    iteration; `room` is the kind of what holds all of them."""

    room: Kind
    axis: int
    first: int
    step: int
    trips: Trips

    @property
    def type(self) -> ArrayType:
        return self.room.type

    @property
    def dtype(self) -> DType:
        return self.room.dtype

    def node(self, value: Any) -> Node:
        """An array of before the loop, with room for what it becomes."""
        node = Kind(self._shape(self.first), self.dtype, False).node(value)
        more = [n - m for n, m in zip(self.room.shape, node.type.shape)]
        if not any(more):
            return node
        nothing = constant(0, self.dtype)
        return ops.pad(node, nothing, low=(0,) * len(more), high=tuple(more))

    def wrap(self, node: Node) -> Array:
        """The array in an iteration, of which `node` has the room."""
        return self._part(node, self.first + self.step * self.trips.done)

    def after(self, node: Node) -> Array:
        """The array after the loop."""
        return self._part(node, self.first + self.step * self.trips.count)

    def held(self, room: Node, value: Node) -> Node:
        """The room with an iteration's result in it."""
        shape = value.type.shape
        whole = {"start": (0,) * len(shape), "stop": shape, "step": (1,) * len(shape)}
        return ops.update(room, value, **whole)

    def fits(self, kind: Kind) -> bool:
        """Whether what an iteration leaves is as long as it should be."""
        extent = self.first + self.step * (self.trips.done + 1)
        return kind.shape == self._shape(extent) and self._dtype(kind) is self.dtype

    def _dtype(self, kind: Kind) -> DType:
        return result_dtype(self.dtype.numpy, kind.dtype.numpy)

    def _shape(self, extent: Any) -> tuple:
        return (*self.room.shape[: self.axis], extent, *self.room.shape[self.axis + 1 :])

    def _part(self, node: Node, extent: Any) -> Array:
        shape = self._shape(extent)
        none = (0,) * len(shape)
        return Array(ops.slice_(node, start=none, stop=shape, step=(1,) * len(shape)))


def ramp(name: Any, before: Kind, after: Kind, trips: Trips | None) -> Ramp | None:
    """How the array `name` changes, one of whose extents is another after the first iteration; None where it is
    not by the same in each, as far as can be told. The next pass will see whether it is so."""
    if (
        trips is None
        or before.is_scalar
        or after.is_scalar
        or len(before.shape) != len(after.shape)
    ):
        return None
    differing = [k for k, (a, b) in enumerate(zip(before.shape, after.shape)) if a != b]
    if len(differing) != 1 or type(before.shape[differing[0]]) is not int:
        return None
    (axis,) = differing
    first, then = before.shape[axis], _at(after.shape[axis], trips)
    if then is None:
        shape = trips.earlier.get(name, ())
        if len(shape) != len(before.shape) or type(shape[axis]) is not int:
            return None
        then = 2 * first - shape[axis]
    step = then - first
    last = first + step * trips.count
    if last < 0 or step == 0:
        return None
    room = (*before.shape[:axis], max(first, last), *before.shape[axis + 1 :])
    dtype = result_dtype(before.dtype.numpy, after.dtype.numpy)
    return Ramp(Kind(room, dtype, False), axis, first, step, trips)


def _at(extent: Any, trips: Trips) -> int | None:
    """An extent in the first iteration, if that depends on nothing else."""
    if type(extent) is int:
        return extent
    own = symbol_names(trips.index)
    if not isinstance(extent, Dim) or {*symbol_names(extent)} != {*own}:
        return None
    return bind(extent, dict.fromkeys(own, trips.start))
