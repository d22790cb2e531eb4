"""Matrices that are not large: many at a time (ir/ops/stacks.py), or with rows in lanes (ir/ops/elimination.py).

Each function takes and gives arrays of double precision, with any axes before those of matrices.
"""

from __future__ import annotations

from math import prod

import numpy as np

from ...ir import ops
from ..array import Array, wrap
from ..broadcasting import broadcast_shapes
from ..context import current_trace
from ..value import node_of
from .building import broadcast, permuted, reshaped, taken

# The longest side of matrices for which this is faster than one after the other.
LONGEST = {
    "det": 40, "slogdet": 40, "solve": 48, "cholesky": 32, "qr_r": 32, "qr_q": 32, "inv": 20, "svdvals": 16,
    "eigvalsh": 16,
}  # fmt: skip
# So many matrices at least, by their longest side: in a block's other lanes is nothing of use.
LEAST = {8: 3, 16: 6, 64: 12}
# The longest side of matrices that are computed here one after the other, in lanes along their rows: of
# longer ones LAPACK's blocks stay nearer.
LONGEST_ALONE = {"det": 192, "slogdet": 192, "solve": 192, "inv": 128}


def is_for_lanes(name: str, a: Array) -> bool:
    """Whether matrices are computed here, many at a time or one by one."""
    trace, n = current_trace(), a.shape[-1]
    if is_stack(name, a):
        return True
    if trace is None or trace.is_strict or a.dtype != np.float64 or type(n) is not int:
        return False
    return 0 < n <= LONGEST_ALONE.get(name, 0) and 0 not in a.shape


def is_stack(name: str, a: Array) -> bool:
    """Whether matrices are computed many at a time: real ones, and not to the last bit as LAPACK does."""
    trace = current_trace()
    side, count = a.shape[-2:], prod(a.node.type.shape[:-2])
    if trace is None or trace.is_strict or a.dtype != np.float64 or a.ndim < 3:
        return False
    if any(type(extent) is not int or extent == 0 for extent in side):
        return False
    longest = max(side)
    if longest > LONGEST[name] or (name == "svdvals" and min(side) == 1):
        return False
    least = next(least for most, least in LEAST.items() if longest <= most)
    return type(count) is not int or count >= least


def computed(name: str, *operands: Array) -> Array:
    """What the algorithm of this name gives; of operands with axes of their own before those of
    matrices."""
    outer = broadcast_shapes(*[x.shape[:-2] for x in operands])
    fitted = [broadcast(x, (*outer, *x.shape[-2:])) for x in operands]
    count = prod(fitted[0].node.type.shape[:-2])
    stacks = [reshaped(x, (count, *x.shape[-2:])) for x in fitted]
    table = ops.STACKS if is_stack(name, fitted[0]) else ops.ELIMINATIONS
    found = wrap(table[name](*[node_of(x) for x in stacks]))
    return reshaped(found, (*outer, *found.shape[1:]))


def proper(x: Array) -> Array:
    """The same, if there is a result at all."""
    return wrap(ops.proper_result(node_of(x)))


def transposed(a: Array) -> Array:
    """The last two axes exchanged."""
    return permuted(a, (*range(a.ndim - 2), a.ndim - 1, a.ndim - 2))


def solve(a: Array, b: Array) -> Array:
    """Solutions; `b` has columns."""
    return proper(computed("solve", a, b))


def inv(a: Array) -> Array:
    """Inverses."""
    return proper(computed("inv", a))


def det(a: Array) -> Array:
    """Determinants."""
    return computed("det", a)


def slogdet(a: Array) -> tuple[Array, Array]:
    """The signs of determinants, and the logarithms of their moduli."""
    both = computed("slogdet", a)
    sign, logarithm = [taken(both, both.ndim - 1, k) for k in range(2)]
    return sign, logarithm


def cholesky(a: Array, upper: bool) -> Array:
    """The lower or upper factors, of that half of the matrices."""
    if upper:
        return transposed(cholesky(transposed(a), False))
    return proper(computed("cholesky", a))


def qr(a: Array) -> tuple[Array, Array]:
    """The orthogonal factors, as far as columns of `a` need them, and the triangular ones."""
    return computed("qr_q", a), computed("qr_r", a)


def singular_values(a: Array) -> Array:
    """Singular values, the largest first."""
    m, n = a.shape[-2:]
    return proper(computed("svdvals", a if m >= n else transposed(a)))


def eigenvalues(a: Array, upper: bool) -> Array:
    """Eigenvalues of symmetric matrices, of which one half is read, the least first."""
    return proper(computed("eigvalsh", transposed(a) if upper else a))
