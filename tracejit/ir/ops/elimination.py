"""Gauss's elimination of one matrix at a time, in lanes along its rows: few matrices, of a middle size.

Each step subtracts multiples of the pivot's row from the rows below it, whole vectors at a time from the one
on that holds the pivot's column: what they leave to the left of the diagonal is not read again. The next column's
greatest element is looked for on the way. As stable as LAPACK, but rounded otherwise: not for
`numerics="strict"`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from math import log
from textwrap import indent
from typing import NamedTuple

from ..parse import parse
from ..tensor import Buffer, For, Kernel, Statement
from ..types import ArrayType, array_type, f64
from .written import fitted, matrix_op

__all__ = ["ELIMINATIONS"]

# A vector of the widest machines.
LANES = 8
# So many multiply-adds, or fewer, are for one thread.
FEW = 1 << 16

_TEXT = """
@kernel
def eliminated({parameters}, *, out: f64[{shape}]):
    for c in parallel(0, count):
        w: f64[{n}, {width}] = local()
        for i in range(0, {n}):
            for b in range(0, {vectors}):
                for l in vector(0, {lanes}, {lanes}):
                    w[i, b * {lanes} + l] = 0.0
            for j in vector(0, {n}, {lanes}):
                w[i, j] = x[c, i, j]
{right}
{steps}
{result}
"""

_ELIMINATE = """
product: f64 = 1.0
power: i32 = i32(0)
at: i64 = 0
most: f64 = -1.0
for i in range(0, {n}):
    first: f64 = absolute(w[i, 0])
    at = where(first > most, i, at)
    most = maximum(first, most)
for k in range(0, {n}):
    for b in range(k // {lanes}, {vectors}):
        for l in vector(0, {lanes}, {lanes}):
            upper: f64 = w[at, b * {lanes} + l]
            w[at, b * {lanes} + l] = w[k, b * {lanes} + l]
            w[k, b * {lanes} + l] = upper
    pivot: f64 = w[k, k]
    product = product * frexp_mantissa(where(at == k, pivot, -pivot))
    power = power + frexp_exponent(pivot)
    divisor: f64 = where(pivot == 0.0, {singular}, pivot)
    w[k, k] = divisor
    at = k + 1
    most = -1.0
    for i in range(k + 1, {n}):
        factor: f64 = w[i, k] / divisor
        for b in range(k // {lanes}, {vectors}):
            for l in vector(0, {lanes}, {lanes}):
                w[i, b * {lanes} + l] = fma(-factor, w[k, b * {lanes} + l], w[i, b * {lanes} + l])
        next: f64 = absolute(w[i, k + 1])
        at = where(next > most, i, at)
        most = maximum(next, most)
"""
_DETERMINANT = """
out[c] = ldexp(product, power)
"""
# The sign and the logarithm of the modulus.
_LOGARITHM = """
size: f64 = absolute(product)
out[c, 0] = where(size == 0.0, 0.0, where(product < 0.0, -1.0, 1.0))
out[c, 1] = fma(f64(power), {log2}, log(size))
"""
# What is on the right, divided by the upper triangle that elimination has left.
_SUBSTITUTE = """
for e in range(1, {n} + 1):
    for b in range({begin} // {lanes}, {vectors}):
        for l in vector(0, {lanes}, {lanes}):
            w[{n} - e, b * {lanes} + l] = w[{n} - e, b * {lanes} + l] / w[{n} - e, {n} - e]
    for i in range(0, {n} - e):
        above: f64 = w[i, {n} - e]
        for b in range({begin} // {lanes}, {vectors}):
            for l in vector(0, {lanes}, {lanes}):
                w[i, b * {lanes} + l] = fma(-above, w[{n} - e, b * {lanes} + l], w[i, b * {lanes} + l])
"""
_IDENTITY = """
for i in range(0, {n}):
    w[i, {begin} + i] = 1.0
"""
_RIGHT = """
for i in range(0, {n}):
    for j in vector(0, {r}, {lanes}):
        w[i, {begin} + j] = y[c, i, j]
"""
_BESIDE = """
for i in range(0, {n}):
    for j in vector(0, {r}, {lanes}):
        out[c, i, j] = w[i, {begin} + j]
"""


class _Algorithm(NamedTuple):
    """What stands to the right of the matrix, what is done, and how the result is written; its shape beside the
    stack's, by the extents `n` and `r`. What is divided by where a pivot is zero."""

    right: str
    steps: tuple[str, ...]
    result: str
    shape: Callable[[int, int], tuple[int, ...]]
    singular: str = "1.0"
    operands: int = 1


_ALGORITHMS = {
    "det": _Algorithm("", (_ELIMINATE,), _DETERMINANT, lambda n, r: ()),
    "slogdet": _Algorithm("", (_ELIMINATE,), _LOGARITHM, lambda n, r: (2,)),
    "inv": _Algorithm(
        _IDENTITY, (_ELIMINATE, _SUBSTITUTE), _BESIDE, lambda n, r: (n, n), singular="nan"
    ),
    "solve": _Algorithm(
        _RIGHT,
        (_ELIMINATE, _SUBSTITUTE),
        _BESIDE,
        lambda n, r: (n, r),
        singular="nan",
        operands=2,
    ),
}


def _columns(name: str, x: ArrayType, *others: ArrayType) -> int:
    """How many columns stand to the right of the matrix."""
    if others:
        return others[0].shape[2]
    return x.shape[1] if name == "inv" else 0


def _vectors(extent: int) -> int:
    return -(-extent // LANES)


@cache
def _kernel(name: str, n: int, r: int) -> Kernel:
    """The algorithm for matrices of these extents, of a stack whose extent is called `count`."""
    algorithm = _ALGORITHMS[name]
    vectors = _vectors(n) + _vectors(r)
    names = {
        "n": n, "r": r, "begin": LANES * _vectors(n), "lanes": LANES, "vectors": vectors,
        "width": LANES * vectors, "singular": algorithm.singular, "log2": log(2.0),
        "shape": ", ".join(map(str, ("count", *algorithm.shape(n, r)))),
        "parameters": ", ".join(
            [f"x: f64[count, {n}, {n}]", f"y: f64[count, {n}, {r}]"][: algorithm.operands]
        ),
    }  # fmt: skip
    parts = {
        "right": algorithm.right,
        "steps": "".join(algorithm.steps),
        "result": algorithm.result,
    }
    texts = {part: indent(text.format(**names), " " * 8) for part, text in parts.items()}
    kernel = parse(_TEXT.format(**names, **texts)).entry
    assert isinstance(kernel, Kernel)
    return kernel


def _statements(name: str, *buffers: Buffer) -> tuple[Statement, ...]:
    types = [buffer.type for buffer in buffers[:-1]]
    (count, n, _), r = types[0].shape, _columns(name, *types)
    kernel = _kernel(name, n, r)
    (loop,) = fitted(kernel, buffers, "count")
    assert isinstance(loop, For)
    is_short = type(count) is int and count * n * n * (n + 3 * r) <= 3 * FEW
    return (loop.replace(mark="serial") if is_short else loop,)


def _type(name: str, x: ArrayType, *others: ArrayType) -> ArrayType:
    if any(type.ndim != 3 or type.dtype is not f64 for type in (x, *others)):
        raise ValueError(f"{x} is no stack of matrices of dtype f64")
    count, n, columns = x.shape
    if type(n) is not int or n < 1 or n != columns or count == 0:
        raise ValueError(f"{x} is to be of square matrices whose extents are known")
    if any(other.shape[:2] != (count, n) or type(other.shape[2]) is not int for other in others):
        raise ValueError(f"{x} and {others[0]} do not fit together")
    return array_type((count, *_ALGORITHMS[name].shape(n, _columns(name, x, *others))), f64)


def _samples(name: str) -> list:
    shapes = [(1, 5, 5), (2, 9, 9)]
    others = [[array_type((k, n, 3), f64)] * (name == "solve") for k, n, _ in shapes]
    return [([array_type(s, f64), *other], {}) for s, other in zip(shapes, others)]


# By what NumPy calls them: the operand is a stack of matrices, along one axis. Where there is no
# result, it is nan.
ELIMINATIONS = {
    name: matrix_op(
        f"eliminated_{name}",
        partial(_type, name),
        partial(_statements, name),
        partial(_samples, name),
    )
    for name in _ALGORITHMS
}
