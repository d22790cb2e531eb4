"""Dtypes, layouts and array types, with NumPy's own rules for promotion."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from ..errors import NotNumbers, UnsupportedError
from .dims import Dim, Extent, plain
from .term import Term


class DType(Term):
    """An element type, named as in the text: `bool`, `i32`, `u8`, `f64`, `c128`, ..."""

    __slots__ = ("name", "numpy", "itemsize", "kind")
    name: str

    def check(self) -> None:
        if self.name not in NUMPY_NAMES and self.name != BRAIN:
            raise UnsupportedError(f"there is no dtype {self.name!r}")
        put = object.__setattr__
        put(self, "numpy", np.dtype(NUMPY_NAMES.get(self.name, BRAIN_NAME)))
        put(self, "itemsize", self.numpy.itemsize)
        put(self, "kind", self.numpy.kind)

    @property
    def is_float(self) -> bool:
        return self.kind == "f"

    @property
    def is_stored_only(self) -> bool:
        """Whether numbers are moved and converted, and no op computes with them: NumPy itself does not know
        them. A trace computes in float32 and rounds after each operation."""
        return self.kind == "V"

    @property
    def is_complex(self) -> bool:
        return self.kind == "c"

    @property
    def is_integer(self) -> bool:
        """Signed or unsigned; `bool` is not one."""
        return self.kind in "iu"

    @property
    def is_signed(self) -> bool:
        return self.kind == "i"

    @property
    def real(self) -> DType:
        """The dtype of the real part."""
        return {"c64": f32, "c128": f64}.get(self.name, self)

    def __getitem__(self, shape: Any) -> ArrayType:
        """`f64[3, 4]`, as the text writes it."""
        return ArrayType(shape if isinstance(shape, tuple) else (shape,), self, None)

    def __call__(self, value: Any, imaginary: float | None = None) -> Any:
        """`f32(x)` or `c64(real, imaginary)` in executed text: a NumPy value of this dtype."""
        array = np.asarray(value if imaginary is None else complex(value, imaginary))
        if array.dtype.kind == "c" and self.kind in "iuf":
            array = array.real
        with np.errstate(all="ignore"):
            return array.astype(self.numpy)[()]

    def __repr__(self) -> str:
        return self.name


# The upper half of a float32. To NumPy it is known where a package has defined it (ml_dtypes), by name.
BRAIN, BRAIN_NAME = "bf16", "bfloat16"
NUMPY_NAMES = {
    "bool": "bool",
    **{f"i{bits}": f"int{bits}" for bits in (8, 16, 32, 64)},
    **{f"u{bits}": f"uint{bits}" for bits in (8, 16, 32, 64)},
    **{f"f{bits}": f"float{bits}" for bits in (16, 32, 64)},
    **{f"c{bits}": f"complex{bits}" for bits in (64, 128)},
}
DTYPES = {name: DType(name) for name in NUMPY_NAMES}
bool_ = DTYPES["bool"]
i8, i16, i32, i64 = (DTYPES[f"i{bits}"] for bits in (8, 16, 32, 64))
u8, u16, u32, u64 = (DTYPES[f"u{bits}"] for bits in (8, 16, 32, 64))
f16, f32, f64 = (DTYPES[f"f{bits}"] for bits in (16, 32, 64))
c64, c128 = DTYPES["c64"], DTYPES["c128"]
_FROM_NUMPY = {dtype.numpy: dtype for dtype in DTYPES.values()}


def dtype_named(name: str) -> DType | None:
    """The DType that texts call so, if there is one."""
    if name != BRAIN:
        return DTYPES.get(name)
    try:
        return DType(BRAIN)
    except TypeError:  # nobody has defined it
        return None


def to_dtype(dtype: Any) -> DType:
    """The DType of anything `np.dtype` accepts, in native byte order.

    Raises NotNumbers for dtypes without a machine representation here (object, str, datetime).
    """
    found = _FROM_NUMPY.get(dtype) if isinstance(dtype, np.dtype) else None
    if found is None:
        numpy_dtype = np.dtype(dtype).newbyteorder("=")
        if numpy_dtype.name == BRAIN_NAME:
            return DType(BRAIN)
        found = _FROM_NUMPY.get(numpy_dtype)
        if found is None:  # long and long long are distinct dtypes of equal size
            name = f"{numpy_dtype.kind}{numpy_dtype.itemsize}"
            matches = [d for d in DTYPES.values() if f"{d.kind}{d.itemsize}" == name]
            if not matches or numpy_dtype.kind not in "biufc":
                raise NotNumbers(
                    f"arrays of dtype {np.dtype(dtype)} cannot be compiled",
                    hint=f"convert to one of {', '.join(NUMPY_NAMES.values())}",
                )
            found = matches[0]
    return found


class Layout(Term):
    """Where elements lie: one stride per axis, counted in elements; may be zero or negative."""

    __slots__ = ("strides",)
    strides: tuple[int, ...]

    def __repr__(self) -> str:
        return f"strides({', '.join(map(str, self.strides))})"


class ArrayType(Term):
    """`f64[3, n]`: shape and dtype of a value; a layout of None means row-major and contiguous."""

    __slots__ = ("shape", "dtype", "layout")
    shape: tuple[int | Dim, ...]
    dtype: DType
    layout: Layout | None

    def __new__(cls, shape: tuple, dtype: DType, layout: Layout | None) -> ArrayType:
        for extent in shape:
            if type(extent) is Extent:
                return super().__new__(cls, tuple([plain(n) for n in shape]), dtype, layout)
        return super().__new__(cls, shape, dtype, layout)

    def check(self) -> None:
        for extent in self.shape:
            if type(extent) is not int and not isinstance(extent, Dim):
                raise TypeError(f"an extent is an int or a Dim, not {extent!r}")

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int | Dim:
        return prod(self.shape)

    @property
    def strides(self) -> tuple[int | Dim, ...]:
        """Element strides, whatever the layout."""
        if self.layout is not None:
            return self.layout.strides
        return row_major(self.shape)

    def __repr__(self) -> str:
        shape = ", ".join(map(str, self.shape)) or "()"
        text = f"{self.dtype}[{shape}]"
        return text if self.layout is None else f"{text} @ {self.layout}"

    def __matmul__(self, layout: Layout) -> ArrayType:
        return ArrayType(self.shape, self.dtype, layout)


class TupleType(Term):
    """The type of a call with several results."""

    __slots__ = ("items",)
    items: tuple[ArrayType, ...]

    def __repr__(self) -> str:
        return f"({', '.join(map(str, self.items))})"


def row_major(shape: tuple[int | Dim, ...]) -> tuple[int | Dim, ...]:
    """Strides in elements of a C-contiguous array."""
    strides: list[int | Dim] = []
    step: int | Dim = 1
    for extent in reversed(shape):
        strides.append(step)
        step = step * extent
    return tuple(reversed(strides))


def array_type(shape: tuple[int | Dim, ...], dtype: DType) -> ArrayType:
    """The type of a contiguous array; `f64[()]` is spelled `array_type((), f64)` in code."""
    return ArrayType(tuple(shape), dtype, None)


def contiguous(type: ArrayType) -> ArrayType:
    """The row-major type, as results are, also where one is a parameter that is not."""
    return array_type(type.shape, type.dtype)
