"""Contractions as loops: the schedule that fits the shapes, strides and dtype, in the tensor IR."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod

from ....errors import UnsupportedError
from ....ir.graph import Function, Kernel, Node
from ....ir.tensor import Accumulate, Buffer, Let, Variable
from ....ir.term import location_of
from ....ir.types import array_type
from ...machine import WIDE
from ...machine import Machine as Parameters
from ..window import Side
from .library import Library, multiply_by_library
from .machine import Machine
from .padded import with_padding
from .pairs import paired
from .problem import Body, Problem, read_problem
from .products import multiply_columns, multiply_matrices
from .thin import shared_label, thin_product
from .unfold import multiply_unfolded, unfold
from .unknown import UnknownProduct
from .vectors import few_columns, inner_products, is_inner, is_row_sum, row_sum

# Fewer products than this are not worth the tiles of a schedule.
FEWEST_PRODUCTS = 64


def lower_contraction(
    function: Function,
    node: Node,
    machine: Parameters | None = WIDE,
    library: Library | None = None,
    blas: Callable[[], Library | None] = lambda: None,
    window: Sequence[Side] | None = None,
    along: Side | None = None,
) -> Kernel:
    """The Kernel of a Function whose one contraction is `node`.

    Operands may be computed from the parameters, and the results from the contraction, element by
    element. `machine` is that for which loops are scheduled; None: they are plain. With a
    `library` the product is left to it where that is possible; what the node says counts for more
    (`by`), and where that is the library, of those there are it is `blas()`. Raises UnsupportedError
    where that cannot be. With a `window` it is the Kernel of this part of the one result, stored from
    its beginning on; of what is contracted it takes the part `along` alone.
    """
    inputs = {p: Buffer(p.attrs["name"], p.type, "argument") for p in function.parameters}
    outs = tuple([Buffer(f"out{k}", r.type, "argument") for k, r in enumerate(function.results)])
    if window is not None:
        shape = [side.extent for side in window]
        outs = (outs[0].replace(type=array_type(shape, outs[0].type.dtype)),)
    problem = read_problem(function, node, inputs, outs, window, along)
    by = node.attrs.get("by", "")
    library = blas() if by == "library" else None if by == "generated" else library
    body = None if library is None or window else multiply_by_library(problem, library)
    if body is None and by == "library":
        raise _no_library(node, library)
    if body is None:
        body = schedule(problem, Machine(*machine)) if machine else plain(problem)
    if problem.padded:
        body = with_padding(problem.padded, body, Machine(*(machine or WIDE)).lanes(problem))
    return Kernel(function.name, (*inputs.values(), *outs), len(outs), body)


def _no_library(node: Node, library: Library | None) -> UnsupportedError:
    why = "NumPy has no BLAS here"
    if library is not None:
        why = "it multiplies matrices of floats that lie in memory, contiguous along an axis"
    types = ", ".join([str(operand.type) for operand in node.operands])
    return UnsupportedError(
        f"contract({types}, spec={node.attrs['spec']!r}) cannot be left to a library: {why}",
        location_of(node),
        'leave out .by("library"), or store what is multiplied in an array of its own',
    )


def schedule(problem: Problem, machine: Machine) -> Body:
    """The loops of a problem, of the kind that suits it."""
    shared = shared_label(problem, machine)
    if shared:
        return thin_product(problem, machine, shared)
    unfolded = unfold(problem)
    if is_plain(unfolded or problem):
        return plain(problem)
    if not unknown_labels(problem) <= set(problem.outer):
        return UnknownProduct(unfolded or problem, machine, unfolded is not None).body()
    short = None if unfolded else paired(problem, machine)
    if short is not None:
        return multiply_matrices(short, machine)
    if is_inner(problem, machine):
        return problem.loops(problem.outer, inner_products(problem, machine))
    # A single column has no label, and its rows are taken for columns.
    for few in (problem, problem.swapped())[: 1 + (problem.rows.extent == 1)]:
        copy = few_columns(few, machine)
        if copy is not None:
            return multiply_columns(few, machine, copy)
    if is_row_sum(problem, machine):
        return row_sum(problem, machine)
    if unfolded is not None:
        return multiply_unfolded(unfolded, machine)
    return multiply_matrices(problem, machine)


def is_plain(problem: Problem) -> bool:
    """Whether there is nothing to gain from tiles: no sums, no data, odd results."""
    extents = problem.extents.values()
    if not problem.depth.labels or 0 in extents:
        return True
    if not unknown_labels(problem) and prod(extents) <= FEWEST_PRODUCTS:
        return True
    if not unknown_labels(problem) <= set(problem.outer):
        if not isinstance(problem.repeats, int):
            return True
        return not problem.rows.labels or not across_lanes(problem)
    if problem.rows.extent * problem.columns.extent == 1:
        return problem.repeats > 1 or problem.depth.extent < 16
    return not across_lanes(problem)


def unknown_labels(problem: Problem) -> set[str]:
    return {label for label, extent in problem.extents.items() if not isinstance(extent, int)}


def across_lanes(problem: Problem) -> bool:
    """Whether lanes along the columns are neighbours in the result.

    Batches innermost are not tiled: they vectorise by themselves.
    """
    across = dict(zip(problem.result, problem.out.type.strides))
    return bool(problem.columns.labels) and across[problem.columns.labels[-1]] == 1


def plain(problem: Problem) -> Body:
    """One loop per label, unmarked: later passes choose lanes and threads."""
    total = Variable("total", problem.wide)
    places = {label: problem.index(label) for label in problem.extents}
    left, right = problem.left.at(places), problem.right.at(places)
    contracted = "".join(label for label in problem.extents if label not in problem.result)
    step = Accumulate(total, problem.combine, problem.product(left, right))
    position = tuple([problem.index(label) for label in problem.result])
    body: Body = (
        Let(total, problem.zero()),
        *problem.loops(contracted, (step,)),
        *problem.finished(position, total),
    )
    return problem.loops(problem.result, body)
