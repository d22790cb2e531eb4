"""Contractions as loops: the schedule that fits the shapes, strides and dtype, in the tensor IR."""

from __future__ import annotations

from ....ir import tensor
from ....ir.graph import Function, Kernel, Node
from ....ir.tensor import Accumulate, Buffer, For, Index, Let, Store, Variable
from .machine import Machine
from .matrix import multiply_matrices
from .problem import Body, Problem, is_static, read_problem


def lower_contraction(function: Function, node: Node, vector_bytes: int = 64) -> Kernel:
    """The Kernel of a Function whose one contraction is `node`.

    Operands may be computed from the parameters, and the result from the contraction, element by
    element. `vector_bytes` is the width of the registers to use.
    """
    inputs = {p: Buffer(p.attrs["name"], p.type, "argument") for p in function.parameters}
    out = Buffer("out0", function.results[0].type, "argument")
    problem = read_problem(function, node, inputs, out)
    body = schedule(problem, Machine(vector_bytes))
    return Kernel(function.name, (*inputs.values(), out), 1, body)


def schedule(problem: Problem, machine: Machine) -> Body:
    if not is_static(problem) or not problem.depth.labels:
        return plain(problem)
    return multiply_matrices(problem, machine)


def plain(problem: Problem) -> Body:
    """One loop per label, unmarked: later passes choose lanes and threads."""
    total = Variable("total", problem.wide)
    row, column, depth = [_only(g.labels) for g in (problem.rows, problem.columns, problem.depth)]
    left, right = [
        problem.factor(operand, row, column, depth) for operand in (problem.left, problem.right)
    ]
    product = Accumulate(total, problem.combine, problem.product(left, right))
    body = (
        Let(total, problem.zero()),
        *problem.loops(problem.sums + problem.depth.labels, (product,)),
    )
    body += (problem.store(row, column, total),)
    return problem.loops(problem.result, body)


def _only(labels: str) -> Index | None:
    return Index(labels) if labels else None
