"""Stacks of small matrices: one algorithm for many at a time, a matrix in each lane.

LAPACK takes one matrix after the other, and for few elements a call takes longer than what it does.
Here the matrices of a block lie with their elements side by side, so that every step is one for all
of them. The algorithms are as stable as LAPACK's, but rounded otherwise: not for `numerics="strict"`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from math import log
from textwrap import indent
from typing import NamedTuple

from ..parse import parse
from ..tensor import Buffer, Kernel, Statement
from ..types import ArrayType, array_type, f64
from .written import fitted, matrix_op

__all__ = ["STACKS"]

# Matrices of a block: two vectors of the widest machines, whose steps wait side by side.
LANES = 16
# What rotations find in the last sweep may be as large as this, and is no more afterwards than its
# square; where more is left, there is no result.
NEAR = 1e-10
# So many matrices, or fewer, are for one thread.
FEW = 2 * LANES

_TEXT = """
@kernel
def stack({parameters}, *, out: f64[count, {shape}]):
    for c in {mark}(0, (count + {lanes} - 1) // {lanes}):
        w: f64[{m}, {width}, {lanes}] = local()
        for b in range(0, {lanes}):
            for i in range(0, {m}):
                for j in range(0, {n}):
                    w[i, j, b] = x[minimum(c * {lanes} + b, count - 1), {source}]
{steps}
        for b in range(0, minimum({lanes}, count - c * {lanes})):
{result}
"""

# Householder's reflections, each scaled by the greatest element, which leave the first element of a
# column on the other side of 0: LAPACK's signs. Below the diagonal are the reflections' vectors.
_REFLECT = """
leads: f64[{n}, {lanes}] = local()
taus: f64[{n}, {lanes}] = local()
for k in range(0, {turns}):
    for l in vector(0, {lanes}, {lanes}):
        most: f64 = absolute(w[k, k, l])
        for i in range(k + 1, {m}):
            most = maximum(most, absolute(w[i, k, l]))
        scale: f64 = where(most == 0.0, 1.0, 1.0 / most)
        first: f64 = w[k, k, l] * scale
        rest: f64 = 0.0
        for i in range(k + 1, {m}):
            w[i, k, l] = w[i, k, l] * scale
            rest = fma(w[i, k, l], w[i, k, l], rest)
        is_done: bool = (rest == 0.0) & (first == first)
        norm: f64 = sqrt(first * first + rest)
        lead: f64 = where(is_done, 0.0, first + copysign(norm, first))
        tau: f64 = where(is_done, 0.0, 1.0 / (norm * (norm + absolute(first))))
        leads[k, l] = lead
        taus[k, l] = tau
        w[k, k, l] = where(is_done, w[k, k, l], -copysign(norm, first) / scale)
        for j in range(k + 1, {n}):
            dot: f64 = lead * w[k, j, l]
            for i in range(k + 1, {m}):
                dot = fma(w[i, k, l], w[i, j, l], dot)
            dot = dot * tau
            w[k, j, l] = fma(-dot, lead, w[k, j, l])
            for i in range(k + 1, {m}):
                w[i, j, l] = fma(-dot, w[i, k, l], w[i, j, l])
"""
_UPPER = """
for i in range(0, {p}):
    for j in range(0, {n}):
        out[c * {lanes} + b, i, j] = where(j >= i, w[i, j, b], 0.0)
"""

# The reflections, the last one first, of the first columns of the identity.
_REFLECTED = """
u: f64[{m}, {p}, {lanes}] = local()
for i in range(0, {m}):
    for j in range(0, {p}):
        for l in vector(0, {lanes}, {lanes}):
            u[i, j, l] = where(i == j, 1.0, 0.0)
for e in range(1, {turns} + 1):
    for l in vector(0, {lanes}, {lanes}):
        for j in range({turns} - e, {p}):
            dot: f64 = leads[{turns} - e, l] * u[{turns} - e, j, l]
            for i in range({turns} - e + 1, {m}):
                dot = fma(w[i, {turns} - e, l], u[i, j, l], dot)
            dot = dot * taus[{turns} - e, l]
            u[{turns} - e, j, l] = fma(-dot, leads[{turns} - e, l], u[{turns} - e, j, l])
            for i in range({turns} - e + 1, {m}):
                u[i, j, l] = fma(-dot, w[i, {turns} - e, l], u[i, j, l])
"""
_ORTHOGONAL = """
for i in range(0, {m}):
    for j in range(0, {p}):
        out[c * {lanes} + b, i, j] = u[i, j, b]
"""

# Gauss's elimination, with the greatest element of a column as pivot, of `width` columns.
_ELIMINATE = """
product: f64[{lanes}] = local()
power: i32[{lanes}] = local()
for l in vector(0, {lanes}, {lanes}):
    product[l] = 1.0
    power[l] = i32(0)
for k in range(0, {n}):
    for l in vector(0, {lanes}, {lanes}):
        most: f64 = absolute(w[k, k, l])
        at: i64 = k
        for i in range(k + 1, {n}):
            at = where(absolute(w[i, k, l]) > most, i, at)
            most = maximum(most, absolute(w[i, k, l]))
        for j in range(k, {width}):
            upper: f64 = w[at, j, l]
            w[at, j, l] = w[k, j, l]
            w[k, j, l] = upper
        pivot: f64 = w[k, k, l]
        product[l] = product[l] * frexp_mantissa(where(at == k, pivot, -pivot))
        power[l] = power[l] + frexp_exponent(pivot)
        divisor: f64 = where(pivot == 0.0, {singular}, pivot)
        w[k, k, l] = divisor
        for i in range(k + 1, {n}):
            factor: f64 = w[i, k, l] / divisor
            for j in range(k + 1, {width}):
                w[i, j, l] = fma(-factor, w[k, j, l], w[i, j, l])
"""
_DETERMINANT = """
out[c * {lanes} + b] = ldexp(product[b], power[b])
"""

# Of the determinant, the sign and the logarithm of the modulus.
_LOGARITHM = """
values: f64[2, {lanes}] = local()
for l in vector(0, {lanes}, {lanes}):
    size: f64 = absolute(product[l])
    values[0, l] = where(size == 0.0, 0.0, copysign(1.0, product[l]))
    values[1, l] = fma(f64(power[l]), {log2}, log(size))
"""
_BOTH = """
for i in range(0, 2):
    out[c * {lanes} + b, i] = values[i, b]
"""

# What is on the right, divided by the upper triangle that elimination has left.
_SUBSTITUTE = """
for e in range(1, {n} + 1):
    for l in vector(0, {lanes}, {lanes}):
        for j in range({n}, {width}):
            value: f64 = w[{n} - e, j, l]
            for i in range({n} - e + 1, {n}):
                value = fma(-w[{n} - e, i, l], w[i, j, l], value)
            w[{n} - e, j, l] = value / w[{n} - e, {n} - e, l]
"""
_IDENTITY = """
for i in range(0, {n}):
    for j in range({n}, {width}):
        for l in vector(0, {lanes}, {lanes}):
            w[i, j, l] = where(i + {n} == j, 1.0, 0.0)
"""
_RIGHT = """
for b in range(0, {lanes}):
    for i in range(0, {n}):
        for j in range({n}, {width}):
            w[i, j, b] = y[minimum(c * {lanes} + b, count - 1), i, j - {n}]
"""
_BESIDE = """
for i in range(0, {n}):
    for j in range({n}, {width}):
        out[c * {lanes} + b, i, j - {n}] = w[i, j, b]
"""

# Cholesky's factor, of the lower triangle; nan where there is none.
_FACTOR = """
for j in range(0, {n}):
    for l in vector(0, {lanes}, {lanes}):
        square: f64 = w[j, j, l]
        for k in range(0, j):
            square = fma(-w[j, k, l], w[j, k, l], square)
        root: f64 = where(square > 0.0, sqrt(square), nan)
        w[j, j, l] = root
        for i in range(j + 1, {n}):
            value: f64 = w[i, j, l]
            for k in range(0, j):
                value = fma(-w[i, k, l], w[j, k, l], value)
            w[i, j, l] = value / root
"""
_LOWER = """
for i in range(0, {n}):
    for j in range(0, {n}):
        out[c * {lanes} + b, i, j] = where(j <= i, w[i, j, b], 0.0)
"""

# Jacobi's rotations: each makes an element beside the diagonal, and that across it, zero.
_DIAGONALISE = """
size: f64[{lanes}] = local()
left: f64[{lanes}] = local()
for l in vector(0, {lanes}, {lanes}):
    most: f64 = 0.0
    for i in range(0, {n}):
        for j in range(0, {n}):
            most = maximum(most, absolute(w[i, j, l]))
    size[l] = most
for s in range(0, {sweeps}):
    for l in vector(0, {lanes}, {lanes}):
        left[l] = 0.0
    for p in range(0, {n} - 1):
        for q in range(p + 1, {n}):
            for l in vector(0, {lanes}, {lanes}):
                both: f64 = w[p, q, l]
                left[l] = maximum(left[l], absolute(both))
                ratio: f64 = (w[q, q, l] - w[p, p, l]) / (both + both)
                tangent: f64 = copysign(1.0, ratio) / (absolute(ratio) + sqrt(ratio * ratio + 1.0))
                turn: f64 = where(both == 0.0, 0.0, tangent)
                cosine: f64 = 1.0 / sqrt(turn * turn + 1.0)
                sine: f64 = turn * cosine
                one: f64 = w[p, p, l] - turn * both
                other: f64 = w[q, q, l] + turn * both
                for r in range(0, {n}):
                    a: f64 = w[r, p, l]
                    b: f64 = w[r, q, l]
                    e: f64 = fma(-sine, b, cosine * a)
                    d: f64 = fma(cosine, b, sine * a)
                    w[r, p, l] = e
                    w[p, r, l] = e
                    w[r, q, l] = d
                    w[q, r, l] = d
                w[p, p, l] = one
                w[q, q, l] = other
                w[p, q, l] = 0.0
                w[q, p, l] = 0.0
values: f64[{n}, {lanes}] = local()
for i in range(0, {n}):
    for l in vector(0, {lanes}, {lanes}):
        values[i, l] = where((left[l] <= {near} * size[l]) & (size[l] < inf), w[i, i, l], nan)
"""
# The same of columns: each makes two of them orthogonal, until all are as long as singular values.
# The longer one comes first, without which those that should vanish take long to do so.
_ORTHOGONALISE = """
scales: f64[{lanes}] = local()
left: f64[{lanes}] = local()
for l in vector(0, {lanes}, {lanes}):
    most: f64 = 0.0
    for i in range(0, {m}):
        for j in range(0, {n}):
            most = maximum(most, absolute(w[i, j, l]))
    scales[l] = where(most == 0.0, 1.0, most)
    for i in range(0, {m}):
        for j in range(0, {n}):
            w[i, j, l] = w[i, j, l] / scales[l]
for s in range(0, {sweeps}):
    for l in vector(0, {lanes}, {lanes}):
        left[l] = 0.0
    for p in range(0, {n} - 1):
        for q in range(p + 1, {n}):
            for l in vector(0, {lanes}, {lanes}):
                one: f64 = 0.0
                other: f64 = 0.0
                both: f64 = 0.0
                for i in range(0, {m}):
                    one = fma(w[i, p, l], w[i, p, l], one)
                    other = fma(w[i, q, l], w[i, q, l], other)
                    both = fma(w[i, p, l], w[i, q, l], both)
                is_near: bool = absolute(both) <= {near} * maximum(one, other)
                left[l] = where(is_near, left[l], 1.0)
                ratio: f64 = (other - one) / (both + both)
                tangent: f64 = copysign(1.0, ratio) / (absolute(ratio) + sqrt(ratio * ratio + 1.0))
                turn: f64 = where(both == 0.0, 0.0, tangent)
                cosine: f64 = 1.0 / sqrt(turn * turn + 1.0)
                sine: f64 = turn * cosine
                for i in range(0, {m}):
                    a: f64 = w[i, p, l]
                    b: f64 = w[i, q, l]
                    e: f64 = fma(-sine, b, cosine * a)
                    d: f64 = fma(cosine, b, sine * a)
                    w[i, p, l] = where(other > one, d, e)
                    w[i, q, l] = where(other > one, e, d)
values: f64[{n}, {lanes}] = local()
for j in range(0, {n}):
    for l in vector(0, {lanes}, {lanes}):
        square: f64 = 0.0
        for i in range(0, {m}):
            square = fma(w[i, j, l], w[i, j, l], square)
        values[j, l] = where(left[l] == 0.0, sqrt(square) * scales[l], nan)
"""
_ARRANGE = """
for i in range(1, {n}):
    for j in range(0, {n} - i):
        for l in vector(0, {lanes}, {lanes}):
            low: f64 = minimum(values[j, l], values[j + 1, l])
            high: f64 = maximum(values[j, l], values[j + 1, l])
            values[j, l] = {first}
            values[j + 1, l] = {second}
"""
_VALUES = """
for i in range(0, {n}):
    out[c * {lanes} + b, i] = values[i, b]
"""


class Algorithm(NamedTuple):
    """What is done to a block, and how its results are written; the result's shape, beside the
    stack's, and how many columns matrices have for it, by the extents `m`, `n` and `r`.

    `source` is what is read as an element.
    """

    steps: tuple[str, ...]
    result: str
    shape: Callable[[int, int, int], tuple[int, ...]]
    width: Callable[[int, int], int] = lambda n, r: n
    source: str = "i, j"
    first: str = "low"
    singular: str = "1.0"
    operands: int = 1


_LOWER_HALF = "maximum(i, j), minimum(i, j)"
_ALGORITHMS = {
    "qr_r": Algorithm((_REFLECT,), _UPPER, lambda m, n, r: (min(m, n), n)),
    "qr_q": Algorithm(
        (_REFLECT, _REFLECTED),
        _ORTHOGONAL,
        lambda m, n, r: (m, min(m, n)),
    ),
    "det": Algorithm((_ELIMINATE,), _DETERMINANT, lambda m, n, r: ()),
    "slogdet": Algorithm((_ELIMINATE, _LOGARITHM), _BOTH, lambda m, n, r: (2,)),
    "inv": Algorithm(
        (_IDENTITY, _ELIMINATE, _SUBSTITUTE),
        _BESIDE,
        lambda m, n, r: (n, n),
        width=lambda n, r: 2 * n,
        singular="nan",
    ),
    "solve": Algorithm(
        (_RIGHT, _ELIMINATE, _SUBSTITUTE),
        _BESIDE,
        lambda m, n, r: (n, r),
        width=lambda n, r: n + r,
        singular="nan",
        operands=2,
    ),
    "cholesky": Algorithm((_FACTOR,), _LOWER, lambda m, n, r: (n, n)),
    "eigvalsh": Algorithm(
        (_DIAGONALISE, _ARRANGE),
        _VALUES,
        lambda m, n, r: (n,),
        source=_LOWER_HALF,
    ),
    "svdvals": Algorithm(
        (_ORTHOGONALISE, _ARRANGE),
        _VALUES,
        lambda m, n, r: (n,),
        first="high",
    ),
}


def _sweeps(n: int) -> int:
    """So many times all pairs are rotated: what is left is below rounding, as each time squares it."""
    return 5 + max(n - 1, 1).bit_length()


@cache
def _kernel(name: str, m: int, n: int, r: int, is_long: bool) -> Kernel:
    """The algorithm for matrices of these extents, of a stack whose extent is called `count`."""
    algorithm = _ALGORITHMS[name]
    shape, p = algorithm.shape(m, n, r), min(m, n)
    parameters = [f"x: f64[count, {m}, {n}]", f"y: f64[count, {n}, {r}]"][: algorithm.operands]
    order = ("low", "high") if algorithm.first == "low" else ("high", "low")
    names = {
        "m": m, "n": n, "p": p, "turns": min(m - 1, n), "lanes": LANES, "sweeps": _sweeps(n),
        "near": NEAR, "log2": log(2.0),
        "width": algorithm.width(n, r), "source": algorithm.source, "singular": algorithm.singular,
        "mark": "parallel" if is_long else "range", "parameters": ", ".join(parameters),
        "shape": ", ".join(map(str, shape)), "first": order[0], "second": order[1],
    }  # fmt: skip
    steps = "".join(algorithm.steps).format(**names)
    result = algorithm.result.format(**names)
    text = _TEXT.replace("count, {shape}", "count, {shape}" if shape else "count")
    text = text.format(**names, steps=indent(steps, " " * 8), result=indent(result, " " * 12))
    kernel = parse(text).entry
    assert isinstance(kernel, Kernel)
    return kernel


def _statements(name: str, *buffers: Buffer) -> tuple[Statement, ...]:
    count, m, n = buffers[0].type.shape
    r = buffers[1].type.shape[-1] if _ALGORITHMS[name].operands == 2 else 0
    kernel = _kernel(name, m, n, r, type(count) is not int or count > FEW)
    return fitted(kernel, buffers, "count")


def _type(name: str, x: ArrayType, *others: ArrayType) -> ArrayType:
    if any(type.ndim != 3 or type.dtype is not f64 for type in (x, *others)):
        raise ValueError(f"{x} is no stack of matrices of dtype f64")
    count, m, n = x.shape
    if not all(type(extent) is int and extent > 0 for extent in (m, n)) or count == 0:
        raise ValueError(f"{x} is to be of matrices whose extents are known")
    if any(other.shape[:2] != (count, n) for other in others):
        raise ValueError(f"{x} and {others[0]} do not fit together")
    r = others[0].shape[2] if others else 0
    return array_type((count, *_ALGORITHMS[name].shape(m, n, r)), f64)


def _samples(name: str) -> list:
    algorithm = _ALGORITHMS[name]
    shapes = [(5, 3, 3), (40, 4, 4)]
    if name.startswith("qr") or name == "svdvals":
        shapes += [(17, 4, 2)]
    others = [[array_type((k, n, 2), f64)] * (algorithm.operands - 1) for k, _, n in shapes]
    return [([array_type(s, f64), *other], {}) for s, other in zip(shapes, others)]


# By what NumPy calls them: the operand is a stack of matrices, along one axis. Where there is no
# result, it is nan.
STACKS = {
    name: matrix_op(
        f"stack_{name}", partial(_type, name), partial(_statements, name), partial(_samples, name)
    )
    for name in _ALGORITHMS
}
