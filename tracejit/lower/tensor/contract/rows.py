"""A factor that is copied as a whole, each row in the order of the depth, before it is multiplied."""

from __future__ import annotations

from math import prod

from ....ir import tensor
from ....ir.expressions import integer
from ....ir.tensor import Allocate, Buffer, For, Load, Store
from ....ir.types import array_type
from .padded import FEWEST_SHARED
from .problem import Body, Operand, Problem

IN_LINE = 32  # elements of a row that are copied without counting


class Rows(Operand):
    """The copy of a factor, whose labels are in this order of memory."""

    def __init__(self, source: Operand, labels: str, extents: dict):
        shape = [extents[label] for label in labels]
        self.source = source
        self.memory = Buffer("rows", array_type(shape, source.wide), "local")
        super().__init__(labels, lambda index: Load(self.memory, index), source.wide)

    def copied(self, problem: Problem) -> Body:
        """Write it, the first label that has several indices by threads."""
        places = problem.others("".join(problem.extents))
        value = self.source.at({label: places[label] for label in self.source.labels})
        body: Body = (Store(self.memory, tuple([places[x] for x in self.labels]), value),)
        is_large, steps = prod(self.memory.type.shape) >= FEWEST_SHARED, 1
        for number, label in reversed(list(enumerate(self.labels))):
            steps *= problem.extents[label]
            mark = "unroll" if steps <= IN_LINE else "serial"
            mark = "parallel" if is_large and number == 0 else mark
            stop = integer(problem.extents[label])
            body = (For(problem.index(label), tensor.ZERO, stop, body, mark, 1),)
        return (Allocate(self.memory), *body)
