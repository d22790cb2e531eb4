"""Matrix products by the BLAS that NumPy was linked with.

What fits is a product of two matrices in memory, neither computed on the way in, each contiguous
along one axis; batches are a loop of calls. A result that is computed from the product is finished
in place. limit: the library uses threads of its own, whatever `threads` says.
"""

from __future__ import annotations

from typing import NamedTuple

from ....ir import expressions, tensor
from ....ir.expressions import integer
from ....ir.foreign import PLAIN, ROW_MAJOR, TRANSPOSED
from ....ir.tensor import Address, Allocate, Buffer, Expression, Extern, Literal, Load, Store
from ....ir.types import DType, array_type, i32
from .problem import Body, Group, Operand, Problem

GEMM = {"f32": "cblas_sgemm", "f64": "cblas_dgemm", "c64": "cblas_cgemm", "c128": "cblas_zgemm"}


class Library(NamedTuple):
    """The BLAS to call wherever it fits: the dtype of its integers."""

    integer: DType


class Factor(NamedTuple):
    """A matrix as the library is told of it: how it lies, and how far its lines are apart."""

    form: int
    step: Expression


def multiply_by_library(problem: Problem, library: Library) -> Body | None:
    """The calls, or None where the problem does not fit."""
    symbol = GEMM.get(problem.wide.name)
    if symbol is None or not problem.in_place or problem.sums or not _are_matrices(problem):
        return None
    left = _factor(problem.left, problem.rows, problem.depth)
    right = _factor(problem.right, problem.depth, problem.columns)
    out = dict(zip(problem.result, problem.out.type.strides))
    if left is None or right is None or out[problem.columns.labels[-1]] != 1:
        return None
    if library.integer is i32 and not _is_small(problem):
        return None
    result = Factor(PLAIN, expressions.extent(out[problem.rows.labels[-1]]))
    start: Body = ()
    scales: list = [Literal(1.0, problem.wide), Literal(0.0, problem.wide)]
    if problem.wide.is_complex:
        memory = Buffer("scales", array_type((2,), problem.wide), "local")
        start = (Allocate(memory),)
        for place, value in enumerate((1 + 0j, 0j)):
            start += (Store(memory, (integer(place),), Literal(value, problem.wide)),)
            scales[place] = Address(memory, (integer(place),))
    extents = [g.extent for g in (problem.rows, problem.columns, problem.depth)]
    zero = (tensor.ZERO,) * 3
    call = Extern(
        symbol,
        (
            *[Literal(flag, i32) for flag in (ROW_MAJOR, left.form, right.form)],
            *[_number(expressions.extent(extent), library) for extent in extents],
            scales[0],
            _address(problem.factor(problem.left, zero[0], None, zero[2])),
            _number(left.step, library),
            _address(problem.factor(problem.right, None, zero[1], zero[2])),
            _number(right.step, library),
            scales[1],
            Address(problem.out, problem.position(zero[0], zero[1])),
            _number(result.step, library),
        ),
    )
    return start + problem.loops(problem.outer, (call,)) + _finish(problem)


def _are_matrices(problem: Problem) -> bool:
    """Whether both factors are read from memory as they are, and no extent is 0 or missing."""
    factors = (problem.left, problem.right)
    groups = (problem.rows, problem.columns, problem.depth)
    return (
        all(f.is_memory and f.dtype is problem.wide for f in factors)
        and all(group.labels for group in groups)
        and 0 not in problem.extents.values()
    )


def _factor(operand: Operand, rows: Group, columns: Group) -> Factor | None:
    """A matrix with these axes, unless neither is contiguous or lines overlap or run backwards."""
    for form, slow, fast in ((PLAIN, rows, columns), (TRANSPOSED, columns, rows)):
        across, along = (operand.distances[group.labels[-1]] for group in (slow, fast))
        if along == 1 and across is not None and _is_at_least(across, fast.extent):
            return Factor(form, expressions.extent(across))
    return None


def _is_at_least(step: object, extent: object) -> bool:
    """Whether lines of the extent, a step apart, certainly do not overlap."""
    if step == extent:
        return True
    return isinstance(step, int) and isinstance(extent, int) and step >= extent


def _is_small(problem: Problem) -> bool:
    """Whether the numbers fit 32 bits; unknown ones are taken to, as an array may have 2**31 items."""
    return all(n < 1 << 31 for n in problem.extents.values() if isinstance(n, int))


def _number(value: Expression, library: Library) -> Expression:
    if isinstance(value, Literal):
        return Literal(value.value, library.integer)
    return expressions.cast(value, library.integer)


def _address(element: Expression) -> Address:
    assert isinstance(element, Load)
    return Address(element.buffer, element.indices)


def _finish(problem: Problem) -> Body:
    """What is computed from the product, in place; later passes choose lanes and threads."""
    if problem.is_bare:
        return ()
    position = tuple([problem.index(label) for label in problem.result])
    return problem.loops(problem.result, problem.refined(position))
