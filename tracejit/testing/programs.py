"""Whole NumPy programs drawn at random, as Python text; their ufuncs are those of the op records.

All arithmetic is on small whole numbers, so that it is exact in any order and fused or not; the
results of elementary functions are rounded before they are used again. So programs are compared bit
for bit, signs of zeros aside. A program is evaluated by NumPy while it is drawn, which is how its
strategy knows shapes, dtypes and sizes.
"""

from __future__ import annotations

import linecache
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from ..ir import ops as _vocabulary  # noqa: F401 - fills OPS
from ..ir.op import ELEMENTWISE, OPS
from .layouts import LAYOUTS
from .strategies import hypothesis

EXTENTS = [0, 1, 2, 3, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 64, 100]
DTYPES = ["bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"]
DTYPES += ["float16", "float32", "float64", "complex64", "complex128"]
# Loops of NumPy that are rounded once, or not at all; others may differ by some ULP.
ELEMENTARY = {
    "power", "float_power", "cbrt", "exp", "exp2", "expm1", "log", "log2", "log10", "log1p",
    "logaddexp", "logaddexp2", "sin", "cos", "tan", "arcsin", "arccos", "arctan", "arctan2",
    "hypot", "sinh", "cosh", "tanh", "arcsinh", "arccosh", "arctanh", "erf", "erfc",
    "deg2rad", "rad2deg", "degrees", "radians",
}  # fmt: skip
# Results depend on the sign of a zero, or are not exact, or have a rule for integers of their own.
LEFT_OUT = {
    "divide", "reciprocal", "copysign", "signbit", "nextafter", "spacing", "arctan2", "power",
    "float_power", "ldexp", "sqrt", "hypot", "logaddexp", "logaddexp2", "floor_divide", "remainder",
    "fmod", "heaviside", "lcm",
}  # fmt: skip
INTEGER_ONLY = {"floor_divide", "remainder", "fmod", "lcm"}


def _ufuncs(nin: int) -> list[str]:
    found = []
    for op in OPS.values():
        ufunc = getattr(np, op.name, None)
        if op.kind == ELEMENTWISE and isinstance(ufunc, np.ufunc) and ufunc.nin == nin:
            found.append(op.name)
    return found


UNARY = [name for name in _ufuncs(1) if name not in LEFT_OUT]
BINARY = [name for name in _ufuncs(2) if name not in LEFT_OUT or name in INTEGER_ONLY]


@dataclass
class Program:
    """A function as text, and arguments for it."""

    text: str
    arguments: list[Any]
    layouts: list[str]

    @property
    def function(self) -> Callable[..., tuple]:
        """The function; its lines can be found again, as those of a file's functions can."""
        name = f"<program {abs(hash(self.text))}>"
        linecache.cache[name] = (len(self.text), None, self.text.splitlines(True), name)
        scope: dict[str, Any] = {"np": np}
        exec(compile(self.text, name, "exec"), scope)
        return scope["f"]

    def __repr__(self) -> str:
        given = ", ".join(
            f"{a.dtype}{list(a.shape)} {layout}" for a, layout in zip(self.arguments, self.layouts)
        )
        return f"{self.text}\n# with {given}"


class _Writer:
    """Draws lines of a program, evaluating each."""

    def __init__(self, draw: Callable, limit: int):
        self.draw, self.limit, self.st = draw, limit, hypothesis()
        self.values: dict[str, Any] = {}
        self.lines: list[str] = []
        self.inexact: set[str] = set()

    def pick(self, choices: Any) -> Any:
        return self.draw(self.st.sampled_from(list(choices)))

    def flag(self) -> bool:
        return self.draw(self.st.booleans())

    def shape(self, most: int = 4) -> tuple[int, ...]:
        extents: list[int] = []
        for _ in range(self.draw(self.st.integers(0, most))):
            extent = self.pick(EXTENTS)
            if prod(extents) * extent <= self.limit:
                extents.append(extent)
        return tuple(extents)

    def argument(self, name: str) -> tuple[Any, str]:
        dtype = np.dtype(self.pick(DTYPES))
        shape = self.shape()
        if self.values and self.flag():
            shape = self.related(np.shape(self.pick(self.values.values())))
        array = np.array(small_numbers(shape, dtype, self.draw(self.st.integers(0, 2**16))))
        layout = self.pick(LAYOUTS)
        self.values[name] = array
        return LAYOUTS[layout](array), layout

    def related(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """A shape that broadcasts with `shape`."""
        cut = shape[self.draw(self.st.integers(0, len(shape))) :]
        return tuple([1 if self.draw(self.st.integers(0, 3)) == 0 else n for n in cut])

    def write(self, expression: str, inexact: bool = False) -> str | None:
        """A new line, unless NumPy refuses it; then None."""
        try:
            with warnings.catch_warnings(), np.errstate(all="ignore"):
                warnings.simplefilter("ignore")
                value = eval(expression, {"np": np, **self.values})
        except (TypeError, ValueError, OverflowError, IndexError):
            return None
        if np.size(value) > self.limit or value.dtype.char not in "?bhilqBHILQefdFD":
            return None
        name = f"v{len(self.lines)}"
        self.lines.append(f"    {name} = {expression}")
        self.values[name] = value
        if inexact:
            self.inexact.add(name)
        return name

    def usable(self) -> list[str]:
        return [name for name in self.values if name not in self.inexact]

    def tamed(self, name: str, most: int = 1000) -> str:
        """The value or, where it has grown, its remainder."""
        value = np.asarray(self.values[name])
        if value.dtype.kind not in "fc":
            return name
        with np.errstate(all="ignore"):
            finite = np.abs(value[np.isfinite(value)])
        if not finite.size or finite.max() <= most:
            return name
        if value.dtype.kind == "c":
            return (
                self.write(f"np.where(np.abs({name}) < {most}, {name}, {value.dtype.name!r} == 0)")
                or name
            )
        return self.write(f"np.remainder({name}, 5)") or name

    # Lines. Each returns the name of a new value, or None.

    def unary(self) -> str | None:
        name, source = self.pick(UNARY), self.pick(self.usable())
        if name not in ELEMENTARY:
            return self.write(f"np.{name}({source})")
        if self.values[source].dtype.kind == "c":
            return None
        found = self.write(f"np.{name}({source})", inexact=True)
        if found is None or self.values[found].dtype == np.float16:
            return None
        return self.write(f"np.rint(np.where(np.abs({found}) < 50, {found}, 2) * 3 + 0.3)")

    def binary(self) -> str | None:
        name, left = self.pick(BINARY), self.tamed(self.pick(self.usable()), 1 << 10)
        right = self.partner(left)
        kinds = [
            np.asarray(self.values[v]).dtype.kind if v in self.values else "i"
            for v in (left, right)
        ]
        if name in ELEMENTARY or name in INTEGER_ONLY and not set(kinds) <= set("iub"):
            return None
        if self.flag():
            left, right = right, left
        if left not in self.values and right not in self.values:
            return None
        return self.write(f"np.{name}({left}, {right})")

    def partner(self, name: str) -> str:
        """A value that broadcasts with this one, or a number."""
        shape, fitting = np.shape(self.values[name]), []
        for other in self.usable():
            try:
                np.broadcast_shapes(shape, np.shape(self.values[other]))
            except ValueError:
                continue
            fitting.append(other)
        number = self.pick(["2", "3", "1.0", "-1", "True", "np.int8(2)", "np.float32(2)"])
        return self.tamed(self.pick(fitting), 1 << 10) if fitting and self.flag() else number

    def choice(self) -> str | None:
        condition, x = self.pick(self.usable()), self.pick(self.usable())
        return self.write(f"np.where({condition} > 0, {x}, {self.partner(x)})")

    def cast(self) -> str | None:
        source, dtype = self.pick(self.usable()), self.pick(DTYPES)
        value = np.asarray(self.values[source])
        if value.dtype.kind in "fc":
            if value.dtype.kind == "c" and dtype[0] != "c":
                source = f"np.real({source})"
            if dtype[0] in "iu":
                return self.write(
                    f"np.where(np.abs({source}) < 100, np.abs({source}), 1).astype('{dtype}')"
                )
        return self.write(
            f"np.astype({source}, '{dtype}')" if value.ndim == 0 else f"{source}.astype('{dtype}')"
        )

    def index(self) -> str | None:
        source = self.pick(self.usable())
        parts = []
        for extent in np.shape(self.values[source]):
            kind = self.draw(self.st.integers(0, 4))
            if kind == 0 and extent:
                parts.append(str(self.draw(self.st.integers(-extent, extent - 1))))
            elif kind == 1:
                parts.append("None, :")
            elif kind == 2:
                parts.append(
                    self.pick(["::-1", "::2", "::-2", "1:", ":-1", "1:-1", "2:1", "-3:", "5::3"])
                )
            else:
                parts.append(":")
        return self.write(f"{source}[{', '.join(parts)}]") if parts else None

    def gather(self) -> str | None:
        source, index = self.pick(self.usable()), self.pick(self.usable())
        shape, positions = np.shape(self.values[source]), np.asarray(self.values[index])
        if positions.dtype.kind not in "iu":
            return self.write(f"np.searchsorted(np.arange({self.pick([1, 4, 9])}) - 2.0, {index})")
        if not shape:
            return None
        axis = self.pick(range(len(shape)))
        if positions.size * np.size(self.values[source]) > self.limit * max(shape[axis], 1):
            return None  # too large, also to be tried
        inside = f"{index} % {shape[axis]} - {self.pick([0, 1])}"
        kind = self.draw(self.st.integers(0, 3))
        if kind == 0:
            # NumPy wraps by subtracting the extent again and again, for ever where indices are large.
            is_near = not positions.size or np.abs(positions.astype(float)).max() < 1000
            mode = self.pick(["wrap", "clip"]) if is_near else "clip"
            return self.write(f"np.take({source}, {index}, {axis}, mode='{mode}')")
        if kind == 1 and positions.shape == shape:
            return self.write(f"np.take_along_axis({source}, {inside}, {axis})")
        if kind == 2 and len(shape) > 1:
            other = f"{self.pick(self.usable())} % {shape[axis - 1]}"
            parts = [":"] * len(shape)
            parts[axis], parts[axis - 1] = inside, other
            return self.write(f"{source}[{', '.join(parts)}]")
        return self.write(f"{source}[{':, ' * axis}{inside}]")

    def movement(self) -> str | None:
        source = self.pick(self.usable())
        value = np.asarray(self.values[source])
        axes = list(range(value.ndim))
        kind = self.draw(self.st.integers(0, 6))
        if kind == 0 or value.ndim == 0:
            return self.write(
                f"np.broadcast_to({source}, {(self.pick([1, 2, 3, 8]), *value.shape)})"
            )
        if kind == 1:
            return self.write(f"np.transpose({source}, {self.draw(self.st.permutations(axes))})")
        if kind == 2:
            return self.write(f"np.reshape({source}, {self.other_shape(value.size)})")
        if kind == 3:
            return self.write(f"np.flip({source}, {self.pick(axes)})")
        if kind == 4:
            widths = [(self.pick([0, 1, 2, 9]), self.pick([0, 1, 3])) for _ in axes]
            return self.write(f"np.pad({source}, {widths}, constant_values={self.pick([0, 1])})")
        if kind == 5:
            return self.write(f"np.roll({source}, {self.pick([1, -1, 3])}, {self.pick(axes)})")
        return self.write(f"np.ravel({source})")

    def other_shape(self, size: int) -> tuple[int, ...]:
        if size == 0:
            return self.pick([(0,), (0, 3), (2, 0)])
        shape, rest = [], size
        for _ in range(self.draw(self.st.integers(0, 3))):
            factor = self.pick([n for n in range(1, min(rest, 64) + 1) if rest % n == 0])
            shape.append(factor)
            rest //= factor
        return (*shape, rest) if self.flag() else (rest, *shape)

    def joining(self) -> str | None:
        first = self.pick(self.usable())
        shape = np.shape(self.values[first])
        alike = [v for v in self.usable() if np.shape(self.values[v]) == shape]
        parts = [first, *[self.pick(alike) for _ in range(self.draw(self.st.integers(0, 2)))]]
        if shape and self.flag():
            axis = self.pick(range(len(shape)))
            parts[0] += "[" + ":, " * axis + "1:]"
            return self.write(f"np.concatenate([{', '.join(parts)}], {axis})")
        return self.write(f"np.stack([{', '.join(parts)}], {self.pick(range(len(shape) + 1))})")

    def reduction(self) -> str | None:
        name = self.pick(
            ["sum", "prod", "max", "min", "all", "any", "argmax", "argmin", "count_nonzero"]
        )
        source = self.pick(self.usable())
        if name in ("sum", "prod"):
            source = self.fewer(source, name)
        value = np.asarray(self.values[source])
        if name in ("max", "min") and value.dtype.kind == "c":
            return None
        ndim = value.ndim
        axes = [axis for axis in range(ndim) if self.flag()]
        if name.startswith("arg"):
            axis: Any = self.pick([None, *range(ndim)])
        else:
            axis = self.pick([None, tuple(axes), -1 if ndim else None])
        keep = (
            "" if name.startswith("arg") or name == "count_nonzero" else f", keepdims={self.flag()}"
        )
        return self.write(f"np.{name}({source}, axis={axis}{keep})")

    def fewer(self, source: str, name: str) -> str:
        """Floats so small that any sum or product of them is exact."""
        value = np.asarray(self.values[source])
        if value.dtype.kind == "f" and name == "prod":
            return (
                self.write(f"np.where(np.abs({source}) == 2, {source}, np.sign({source}))")
                or source
            )
        if value.dtype.kind == "c":
            return (
                self.write(f"np.where(np.abs({source}) < 3, {source}, 1)")
                if name == "sum"
                else source
            )
        return self.tamed(source, 4)

    def scan(self) -> str | None:
        name, source = self.pick(["cumsum", "cumprod"]), self.pick(self.usable())
        source = self.fewer(source, name[3:])
        value = np.asarray(self.values[source])
        if value.dtype.kind == "c":
            return None
        return self.write(f"np.{name}({source}, {self.pick([None, *range(value.ndim)])})")

    def contraction(self) -> str | None:
        left, right = (self.tamed(self.pick(self.usable()), 4) for _ in range(2))
        a, b = (np.asarray(self.values[v]) for v in (left, right))
        if (
            any(x.dtype.kind == "f" and not np.isfinite(x).all() for x in (a, b))
            or "c" in a.dtype.kind + b.dtype.kind
        ):
            return None
        if a.ndim and b.ndim and a.shape[-1] == b.shape[0] and self.flag():
            return self.write(f"np.dot({left}, {right})")
        if a.ndim == 2 and b.ndim == 2 and self.flag():
            return self.write(f"np.matmul({left}, np.transpose({right}))")
        if a.ndim == 2:
            return self.write(f"np.matmul({left}, np.transpose({left}))")
        return self.write(f"np.inner({left}, {left})") if a.ndim == 1 else None


def small_numbers(shape: tuple[int, ...], dtype: np.dtype, seed: int) -> np.ndarray:
    """Whole numbers; some of the floats are infinite or NaN, in some arrays."""
    rng = np.random.default_rng(seed)
    if dtype.kind == "b":
        return rng.integers(0, 2, shape).astype(bool)
    if dtype.kind == "c":
        return (rng.integers(-3, 4, shape) + 1j * rng.integers(-3, 4, shape)).astype(dtype)
    numbers = rng.integers(-5, 6, shape)
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        wide = rng.integers(limits.min, limits.max, shape, dtype, endpoint=True)
        return np.asarray(np.where(rng.integers(0, 5, shape) == 0, wide, numbers.astype(dtype)))
    floats = np.asarray(numbers, dtype)
    if seed % 4 == 0 and floats.size:
        odd = rng.choice([np.inf, -np.inf, np.nan, -0.0], shape)
        floats = np.asarray(np.where(rng.integers(0, 9, shape) == 0, odd, floats), dtype)
    return floats


def programs(lines: int = 12, limit: int = 4096) -> Any:
    """A strategy of Programs: one to three arguments, up to so many drawn lines, one to three
    results, of which none has more than `limit` elements."""
    return hypothesis().composite(_program)(lines, limit)


def _program(draw: Callable, lines: int, limit: int) -> Program:
    st = hypothesis()
    writer = _Writer(draw, limit)
    count = draw(st.integers(1, 3))
    given = [writer.argument(f"x{k}") for k in range(count)]
    steps = [
        *[writer.unary, writer.binary] * 3, writer.binary, writer.choice, writer.cast, writer.index,
        writer.movement, writer.movement, writer.joining, writer.reduction, writer.reduction,
        writer.scan, writer.contraction, writer.gather, writer.gather,
    ]  # fmt: skip
    for _ in range(draw(st.integers(lines // 3, lines))):
        writer.pick(steps)()
    computed = [name for name in writer.values if name.startswith("v")]
    chosen = [computed[-1]] if computed else ["x0"]
    chosen += [writer.pick(writer.values) for _ in range(draw(st.integers(0, 2)))]
    header = f"def f({', '.join(f'x{k}' for k in range(count))}):"
    text = "\n".join([header, *writer.lines, f"    return {', '.join(chosen)},"]) + "\n"
    arguments, layouts = [list(part) for part in zip(*given)]
    return Program(text, arguments, layouts)
