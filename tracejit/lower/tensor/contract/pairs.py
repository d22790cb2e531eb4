"""Products of short whole numbers, two steps of the depth at a time.

Two numbers of 16 bits lie in one of 32, and processors multiply such pairs and add the two products in
one instruction, as fast as they multiply one number of 32 bits by another. Both factors are packed in
pairs; the rest of the schedule is that of a product of half the depth.
"""

from __future__ import annotations

from dataclasses import replace

from ....ir import expressions, tensor
from ....ir.tensor import Apply, Expression, Literal
from ....ir.types import i8, i16, i32, u8
from .machine import Machine
from .problem import Group, Operand, Problem

SHORT = (i8, u8, i16)  # each of them a number of 16 bits with a sign
FEWEST = 16  # rows, columns and steps that make up for the packing


def paired(problem: Problem, machine: Machine) -> Problem | None:
    """The same product in half as many steps, where its factors are read from short numbers."""
    factors, groups = (problem.left, problem.right), (problem.rows, problem.columns, problem.depth)
    if problem.wide is not i32 or machine.vector_bytes < 32 or problem.is_part or problem.sums:
        return None
    if not all(factor.is_memory and factor.dtype in SHORT for factor in factors):
        return None
    if not all(label in problem.right.labels for label in problem.outer):
        return None  # rows in loops of their own read the left factor where it is
    if not all(isinstance(group.extent, int) and group.extent >= FEWEST for group in groups):
        return None
    *outer, last = problem.depth.extents
    label, half = problem.depth.labels[-1], (last + 1) // 2
    return replace(
        problem,
        left=Pairs(problem.left, label, last),
        right=Pairs(problem.right, label, last),
        extents={**problem.extents, label: half},
        depth=Group(problem.depth.labels, (*outer, half)),
        times="multiply_pairs",
    )


class Pairs(Operand):
    """A factor of which two elements, neighbours along a label, are one number of 32 bits."""

    def __init__(self, single: Operand, label: str, count: int):
        self.single, self.label, self.count = single, label, count
        self.labels, self.wide, self.dtype = single.labels, i32, i32
        self.itemsize, self.is_memory = i32.itemsize, False
        self.strides, self.distances = single.strides, single.distances

    def at(self, places: dict[str, Expression]) -> Expression:
        first = expressions.multiply(places[self.label], expressions.integer(2))
        second = expressions.add(first, tensor.ONE)
        low = self.single.at({**places, self.label: first})
        if self.count % 2:
            last = expressions.integer(self.count - 1)
            high = self.single.at({**places, self.label: expressions.minimum(second, last)})
            is_inside = expressions.compare("less_equal", second, last)
            high = expressions.select(is_inside, high, Literal(0, i32))
        else:
            high = self.single.at({**places, self.label: second})
        low = Apply("bitwise_and", (low, Literal(0xFFFF, i32)), i32)
        high = Apply("left_shift", (high, Literal(16, i32)), i32)
        return Apply("bitwise_or", (low, high), i32)
