"""Fourier transforms side by side, one in each lane: what NumPy does one after the other.

All that a step of a transform does is the same for every transform, so the elements of a block of them lie
side by side, and each step is one for all lanes. The steps are Stockham's, which leave the results
in their order without moving them: with `n = s * r * m`, a step of radix r makes of `s` transforms
of every (r * m)th element `s * r` of every m-th,

    y[q + s * (r * p + k)] = exp(-2 pi i p k / (r * m)) * sum_j exp(-2 pi i j k / r) x[q + s * (p + m * j)]

for q below s, p below m and k below r. The transform of r points is written out.

A block's transforms lie beside each other (in columns) or after each other (in rows): those are exchanged for
columns in memory that is near, on the way in and out. A transform of many points is one of columns, then one of
rows of the results times `exp(-2 pi i j k / n)`, whose results lie in columns: Bailey, FFTs in
external or hierarchical memory (1990). Rounded otherwise than NumPy's: not for `numerics="strict"`.
"""

from __future__ import annotations

from functools import cache, partial
from math import cos, pi, prod, sin
from textwrap import indent
from typing import Any

import numpy as np

from ..op import OPAQUE, Loops, Op, define
from ..parse import parse
from ..tensor import Buffer, Kernel, Statement
from ..types import ArrayType, DType, array_type, c64, c128, to_dtype
from .written import fitted, interpreted

__all__ = ["fourier"]

# The bytes of a block's real parts: a vector of the widest machines.
VECTOR_BYTES = 64
# So many steps of a point, or fewer, are for one thread.
FEW = 1 << 15
# The most vectors of a block that is read or written in no columns, in one of both, in both; and its bytes.
MOST_VECTORS, BLOCK_BYTES = (1, 2, 4), 1 << 18
# So many outer transforms are shared among threads; of fewer their blocks are.
MANY = 8
# So many elements are transformed step by step where NumPy runs a program.
MOST_STEPS = 1 << 12

Pair = tuple[str, str]

_TEXT = """
@kernel
def transforms({parameters}, *, out: {type}):
    for o in {outside}(0, outer):
        for block in {inside}(0, {blocks}):
            first: index = {first}
{memory}
{steps}
"""
_STEP = """
for p in range(0, {m}):
    for q in range(0, {s}):
        for v in range(0, {vectors}):
            for l in vector(0, {lanes}, {lanes}):
{body}
"""
# Rows are exchanged for columns in squares, whose lanes change places in registers.
_ROWS_IN = """
for it in range(0, {squares}):
    for lt in range(0, {across}):
        for l in vector(0, {side}, {side}):
            for i in unroll(0, {side}):
                rows[it * {side} + i, lt * {side} + l] = x[o, first + (lt * {side} + l), it * {side} + i]
"""
_REST_IN = """
for i in range({squares} * {side}, {n}):
    for l in vector(0, {lanes}, {lanes}):
        rows[i, l] = x[o, first + l, i]
"""
_ROWS_OUT = """
for it in range(0, {squares}):
    for lt in range(0, {across}):
        for i in vector(0, {side}, {side}):
            for l in unroll(0, {side}):
                out[o, first + (lt * {side} + l), it * {side} + i] = columns[it * {side} + i, lt * {side} + l]
"""
_REST_OUT = """
for i in range({squares} * {side}, {n}):
    for l in vector(0, {lanes}, {lanes}):
        out[o, first + l, i] = columns[i, l]
"""


class _Lines:
    """Assignments of real numbers, each to a name of its own."""

    def __init__(self, dtype: DType):
        self.dtype, self.lines = dtype.real.name, []

    def let(self, text: str) -> str:
        name = f"t{len(self.lines)}"
        self.lines.append(f"{name}: {self.dtype} = {text}")
        return name

    def number(self, value: float) -> str:
        return f"{self.dtype}({value!r})"

    def add(self, x: Pair, y: Pair) -> Pair:
        return self.let(f"{x[0]} + {y[0]}"), self.let(f"{x[1]} + {y[1]}")

    def subtract(self, x: Pair, y: Pair) -> Pair:
        return self.let(f"{x[0]} - {y[0]}"), self.let(f"{x[1]} - {y[1]}")

    def multiply(self, x: Pair, y: Pair) -> Pair:
        """Of texts that stand for numbers."""
        (a, b), (c, d) = x, y
        real = self.let(f"fma(-{b}, {d}, {a} * {c})")
        return real, self.let(f"fma({b}, {c}, {a} * {d})")

    def scaled(self, x: Pair, factor: float) -> Pair:
        return tuple([self.let(f"{part} * {self.number(factor)}") for part in x])

    def turned(self, x: Pair, k: int, n: int) -> Pair:
        """Times `exp(-2 pi i k / n)`."""
        (a, b), half = x, 0.5**0.5
        match 8 * k / n:
            case 0:
                return x
            case 1:
                return self.scaled((self.let(f"{a} + {b}"), self.let(f"{b} - {a}")), half)
            case 2:
                return b, self.let(f"-{a}")
            case 3:
                return self.scaled((self.let(f"{b} - {a}"), self.let(f"-{a} - {b}")), half)
        angle = -2 * pi * k / n
        return self.multiply(x, (self.number(cos(angle)), self.number(sin(angle))))

    def transformed(self, x: list[Pair]) -> list[Pair]:
        """The transform of a few points: of the even and of the odd ones, or as sums of cosines and sines."""
        n = len(x)
        if n == 1:
            return x
        if n % 2:
            return self._of_odd(x)
        even, odd = self.transformed(x[::2]), self.transformed(x[1::2])
        odd = [self.turned(value, k, n) for k, value in enumerate(odd)]
        sums = [self.add(a, b) for a, b in zip(even, odd)]
        return sums + [self.subtract(a, b) for a, b in zip(even, odd)]

    def _of_odd(self, x: list[Pair]) -> list[Pair]:
        n, half = len(x), len(x) // 2
        sums = [self.add(x[j], x[n - j]) for j in range(1, half + 1)]
        apart = [self.subtract(x[j], x[n - j]) for j in range(1, half + 1)]
        total = x[0]
        for term in sums:
            total = self.add(total, term)
        found = [total] * n
        for k in range(1, half + 1):
            (a, b), (c, d) = x[0], ("", "")
            for j in range(1, half + 1):
                angle = 2 * pi * (j * k % n) / n
                even, odd = self.number(cos(angle)), self.number(sin(angle))
                a, b = [self.let(f"fma({s}, {even}, {t})") for s, t in zip(sums[j - 1], (a, b))]
                u, v = apart[j - 1]
                c = self.let(f"fma({v}, {odd}, {c})" if c else f"{v} * {odd}")
                d = self.let(f"fma({u}, {odd}, {d})" if d else f"{u} * {odd}")
            found[k] = self.let(f"{a} + {c}"), self.let(f"{b} - {d}")
            found[n - k] = self.let(f"{a} - {c}"), self.let(f"{b} + {d}")
        return found


class _Plan:
    """The text of one kernel: what is read and written at a point of a step, and the steps."""

    def __init__(self, x: ArrayType, turns: int, attrs: dict[str, Any]):
        self.source, self.target = attrs["source"], attrs["target"]
        self.radices, self.scale = attrs["radices"], attrs["scale"]
        self.swaps, self.turns = attrs["inverse"], turns
        self.n = prod(self.radices)
        self.dtype = _complex(x.dtype)
        self.is_real = not x.dtype.is_complex
        self.gives_real = attrs["is_real"]
        self.inner = _inner(x, self.source)
        most = VECTOR_BYTES // self.dtype.real.itemsize
        self.lanes = min(most, 1 << self.inner.bit_length() - 1)
        self.vectors = self._vectors()
        self.width = self.lanes * self.vectors
        self.lane = f"(v * {self.lanes} + l)"

    def _vectors(self) -> int:
        """How many vectors of transforms a block has.

        Columns of a power of two's length lie in few sets of the caches, where what was fetched with an
        element is driven out before the block comes to it that needs it.
        """
        most = MOST_VECTORS[(self.source, self.target).count("columns")]
        each = self.n * self.lanes * self.dtype.itemsize
        most = min(most, self.inner // self.lanes, BLOCK_BYTES // each)
        return 1 << max(most.bit_length() - 1, 0)

    def read(self, step: int, i: str) -> Pair:
        """The parts of point `i` before a step."""
        lane = self.lane
        if step:
            return tuple([f"{'ab'[step % 2]}[{part}, {i}, {lane}]" for part in (0, 1)])
        if self.source == "rows":
            pair = [f"rows[2 * ({i}) + {part}, {lane}]" for part in (0, 1)]
            whole = f"rows[{i}, {lane}]"
        else:
            pair = [f"x[o, {i}, 2 * (first + {lane}) + {part}]" for part in (0, 1)]
            whole = f"x[o, {i}, first + {lane}]"
        found = pair if self.is_real else [f"real({whole})", f"imag({whole})"]
        return tuple(found[::-1] if self.swaps else found)

    def write(self, step: int, i: str, value: Pair) -> list[str]:
        """Lines that store point `i` after a step."""
        lane = self.lane
        if step < len(self.radices) - 1:
            name = "ab"[(step + 1) % 2]
            return [f"{name}[{part}, {i}, {lane}] = {value[part]}" for part in (0, 1)]
        real, imag = value[::-1] if self.swaps else value
        if self.gives_real:
            parts = enumerate((real, imag))
            return [f"columns[2 * ({i}) + {part}, {lane}] = {own}" for part, own in parts]
        place = f"columns[{i}, {lane}]" if self.target == "rows" else f"out[o, {i}, first + {lane}]"
        return [f"{place} = complex({real}, {imag})"]

    def step(self, number: int) -> str:
        r = self.radices[number]
        s = prod(self.radices[:number])
        m, is_last = self.n // (s * r), number == len(self.radices) - 1
        lines = _Lines(self.dtype)
        points = [self.read(number, f"q + {s} * (p + {m} * {j})") for j in range(r)]
        points = [tuple([lines.let(part) for part in pair]) for pair in points]
        if is_last and self.scale != 1.0:
            points = [lines.scaled(pair, self.scale) for pair in points]
        values, stores = lines.transformed(points), []
        for k, value in enumerate(values):
            if k and m > 1:
                root = [lines.let(f"roots[{part}, {s} * p * {k}]") for part in (0, 1)]
                value = lines.multiply(value, tuple(root))
            if is_last and self.turns:
                for name, position in (("near", "q"), ("far", str(k))):
                    turn = [
                        lines.let(f"{name}[{part}, {position}, first + {self.lane}]")
                        for part in (0, 1)
                    ]
                    value = lines.multiply(value, tuple(turn))
            stores += self.write(number, f"q + {s} * ({r} * p + {k})", value)
        body = indent("\n".join(lines.lines + stores), " " * 16)
        return _STEP.format(m=m, s=s, vectors=self.vectors, lanes=self.lanes, body=body)

    def beside(self, name: str, is_real: bool) -> str:
        """The line that declares memory of a block's columns."""
        dtype = self.dtype.real if is_real else self.dtype
        return f"{name}: {dtype.name}[{self.n * (1 + is_real)}, {self.width}] = local()"

    def exchanged(self, squares: str, rest: str, is_real: bool) -> str:
        """Loops between rows and columns."""
        dtype = self.dtype.real if is_real else self.dtype
        n, side = self.n * (1 + is_real), min(VECTOR_BYTES // dtype.itemsize, self.lanes)
        text = (squares if n >= side else "") + (rest if n % side else "")
        across = self.width // side
        return text.format(n=n, squares=n // side, across=across, side=side, lanes=self.width)

    def kernel(self, types: list[str], result: str, marks: tuple[str, str]) -> Kernel:
        real, n, width = self.dtype.real.name, self.n, self.width
        steps = [self.step(number) for number in range(len(self.radices))]
        memory = [f"{name}: {real}[2, {n}, {width}] = local()" for name in "ba"[: len(steps) - 1]]
        if self.source == "rows":
            memory.append(self.beside("rows", self.is_real))
            steps.insert(0, self.exchanged(_ROWS_IN, _REST_IN, self.is_real))
        if self.target == "rows":
            memory.append(self.beside("columns", self.gives_real))
            steps.append(self.exchanged(_ROWS_OUT, _REST_OUT, self.gives_real))
        # The last block is moved back, so that it ends with the last transform.
        first = f"block * {width}"
        if self.inner % width:
            first = f"minimum({first}, {self.inner} - {width})"
        text = _TEXT.format(
            parameters=", ".join(f"{name}: {type}" for name, type in zip(_NAMES, types)),
            type=result,
            outside=marks[0],
            inside=marks[1],
            blocks=-(-self.inner // width),
            first=first,
            memory=indent("\n".join(memory), " " * 12),
            steps=indent("".join(steps), " " * 12),
        )
        kernel = parse(text).entry
        assert isinstance(kernel, Kernel)
        return kernel


_NAMES = ("x", "roots", "near", "far")


def _complex(dtype: DType) -> DType:
    return {"f32": c64, "c64": c64, "f64": c128, "c128": c128}[dtype.name]


def _inner(x: ArrayType, source: str) -> int:
    """How many transforms there are of each outer one."""
    if source == "rows":
        return x.shape[1]
    return x.shape[2] if x.dtype.is_complex else x.shape[2] // 2


@cache
def _kernel(x: ArrayType, turns: int, attributes: tuple, marks: tuple[str, str]) -> Kernel:
    """The kernel for operands of these types, whose outermost extent is called `outer`."""
    attrs = dict(attributes)
    plan = _Plan(x, turns, attrs)
    real, n, inner = plan.dtype.real.name, plan.n, plan.inner
    shape = ", ".join(map(str, x.shape[1:]))
    types = [f"{x.dtype.name}[outer, {shape}]", f"{real}[2, {n}]"]
    if turns:
        types += [f"{real}[2, {rows}, {inner}]" for rows in _turn_rows(attrs["radices"])]
    result = _result_type(x, attrs)
    return plan.kernel(
        types, f"{result.dtype.name}[outer, {result.shape[1]}, {result.shape[2]}]", marks
    )


def _turn_rows(radices: tuple[int, ...]) -> tuple[int, int]:
    """Of the tables of factors of results: the number `q + s * k` has one in each, for q and for k."""
    return prod(radices[:-1]), radices[-1]


def _result_type(x: ArrayType, attrs: dict[str, Any]) -> ArrayType:
    dtype, n, inner = _complex(x.dtype), prod(attrs["radices"]), _inner(x, attrs["source"])
    if attrs["is_real"]:
        return array_type((x.shape[0], inner, 2 * n), dtype.real)
    core = (inner, n) if attrs["target"] == "rows" else (n, inner)
    return array_type((x.shape[0], *core), dtype)


def _type(x: ArrayType, roots: ArrayType, *turns: ArrayType, **attrs: Any) -> ArrayType:
    radices, source = attrs["radices"], attrs["source"]
    n = prod(radices)
    if x.ndim != 3 or x.dtype.name not in ("f32", "f64", "c64", "c128"):
        raise ValueError(f"{x} is no stack of matrices of numbers to transform")
    inner = _inner(x, source)
    points = x.shape[2 if source == "rows" else 1]
    if source == "rows" and not x.dtype.is_complex:
        points = points // 2 if type(points) is int and points % 2 == 0 else None
    if points != n or type(inner) is not int or inner < 1 or x.shape[0] == 0:
        raise ValueError(f"{x} has no {source} of {n} points")
    if attrs["is_real"] and attrs["target"] != "rows":
        raise ValueError("real results are rows")
    real = _complex(x.dtype).real
    shapes = [(2, n), *[(2, rows, inner) for rows in _turn_rows(radices)][: len(turns)]]
    if len(turns) not in (0, 2) or any(
        own.shape != shape or own.dtype is not real for own, shape in zip((roots, *turns), shapes)
    ):
        raise ValueError(f"roots of the wrong types for {n} points: {roots}, {turns}")
    return _result_type(x, attrs)


def _type_rule(
    x: ArrayType,
    roots: ArrayType,
    *turns: ArrayType,
    radices: tuple[int, ...],
    source: str,
    target: str,
    is_real: bool,
    inverse: bool,
    scale: float,
) -> ArrayType:
    return _type(x, roots, *turns, radices=radices, source=source, target=target, is_real=is_real)


def _statements(*buffers: Buffer, **attrs: Any) -> tuple[Statement, ...]:
    x = buffers[0].type
    plain = array_type((1, *x.shape[1:]), x.dtype)
    kernel = _kernel(plain, len(buffers) - 3, tuple(sorted(attrs.items())), _marks(x, attrs))
    return fitted(kernel, buffers, "outer")


def _marks(x: ArrayType, attrs: dict[str, Any]) -> tuple[str, str]:
    """How the loops over outer transforms and over blocks run."""
    outer = x.shape[0]
    if type(outer) is int and 2 * x.size * len(attrs["radices"]) <= FEW:
        return "range", "range"
    return ("range", "parallel") if type(outer) is int and outer < MANY else ("parallel", "range")


def _reference(*arrays: Any, **attrs: Any) -> Any:
    """The same steps, one by one, of few points; of many NumPy's transform, rounded otherwise."""
    types = [array_type(np.shape(array), to_dtype(np.asarray(array).dtype)) for array in arrays]
    result = _type_rule(*types, **attrs)
    if types[0].size > MOST_STEPS:
        return _by_numpy(*arrays, result=result, **attrs)
    return interpreted(
        "fourier", partial(_type_rule, **attrs), partial(_statements, **attrs), *arrays
    )


def _by_numpy(x: Any, roots: Any, *turns: Any, result: ArrayType, **attrs: Any) -> Any:
    x = x if np.iscomplexobj(x) else x[..., 0::2] + 1j * x[..., 1::2]
    x = x.swapaxes(1, 2) if attrs["source"] == "rows" else x
    found = np.fft.ifft(x, axis=1, norm="forward") if attrs["inverse"] else np.fft.fft(x, axis=1)
    if turns:
        near, far = [part[0] + 1j * part[1] for part in turns]
        factors = (far[:, None] * near).reshape(found.shape[1:])
        found *= factors.conj() if attrs["inverse"] else factors
    found = found.swapaxes(1, 2) if attrs["target"] == "rows" else found
    found = np.ascontiguousarray(found * attrs["scale"]).astype(_complex(result.dtype).numpy)
    return found.view(result.dtype.numpy) if attrs["is_real"] else found


def _samples(dtype: DType) -> list:
    if dtype.name not in ("f32", "f64", "c64", "c128"):
        return []
    real, found = _complex(dtype).real, []
    for radices, source, target, inverse in (
        ((4, 2), "columns", "columns", False),
        ((3,), "columns", "rows", True),
        ((2, 5), "rows", "columns", False),
        ((2, 3, 2), "rows", "rows", True),
    ):
        n, inner = prod(radices), 5
        width = 1 if dtype.is_complex else 2
        shape = (inner, width * n) if source == "rows" else (n, width * inner)
        tables = [(2, n), *[(2, rows, inner) for rows in _turn_rows(radices)]]
        types = [array_type((2, *shape), dtype), *[array_type(own, real) for own in tables]]
        attrs = {
            "radices": radices, "source": source, "target": target, "inverse": inverse,
            "is_real": target == "rows" and inverse, "scale": 0.5 if inverse else 1.0,
        }  # fmt: skip
        found += [(types, attrs), (types[:2], attrs)]
    return found


# Of `x`, whose axes are the outer ones, points and transforms beside each other in `columns` of `source`, or
# transforms and their points in `rows`; real numbers among them are complex ones' parts in turn along the
# last axis. So is the `result`, of real numbers if `is_real`. `roots` are the cosines and sines of
# `-2 pi k / n`, n being the product of `radices`; further tables hold the factors of results.
fourier = define(
    Op(
        "fourier",
        OPAQUE,
        _type_rule,
        _reference,
        Loops(_statements),
        cost=100.0,
        samples=_samples,
    )
)
