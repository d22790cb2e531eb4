"""Elementwise ops: one per NumPy ufunc, of the same name, plus casts, selection and complex parts.

Operands have equal shapes, and the dtypes of the very loop NumPy would run: the tracer broadcasts
and casts first, so no rule here ever promotes.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from math import erf as _erf
from math import erfc as _erfc
from typing import Any

import numpy as np

from .. import expressions, tensor
from ..fused import fused_multiply_add
from ..op import ELEMENTWISE, Element, Op, define
from ..types import DTYPES, ArrayType, DType, array_type, bool_, c64, c128, f32, f64, i32, to_dtype


def _same_shape(types: tuple[ArrayType, ...]) -> tuple:
    shape = types[0].shape
    for type in types:
        if type.shape != shape:
            raise ValueError(f"operand shapes differ: {shape} and {type.shape}")
    return shape


@lru_cache(maxsize=None)
def loop_dtype(ufunc: np.ufunc, dtypes: tuple[DType, ...]) -> DType:
    """The result dtype of the loop NumPy runs for exactly these operand dtypes."""
    given = tuple(dtype.numpy for dtype in dtypes)
    resolved = ufunc.resolve_dtypes((*given, *[None] * ufunc.nout))
    if resolved[: len(given)] != given:
        raise TypeError(f"{ufunc.__name__} has no loop for {dtypes}; cast the operands first")
    return to_dtype(resolved[len(given)])


def elementwise(
    name: str,
    reference: Callable[..., Any],
    cost: float = 1.0,
    *,
    result: Callable[..., DType] | None = None,
    commutative: bool = False,
) -> Op:
    """Define an op that maps scalars to a scalar; `result(*dtypes)` when no ufunc loop says it."""
    if result is None:

        def result(*dtypes: DType) -> DType:
            return loop_dtype(reference, dtypes)

    @lru_cache(maxsize=256)  # graphs are rebuilt often, of few types
    def type_rule(*types: ArrayType) -> ArrayType:
        return array_type(_same_shape(types), result(*[type.dtype for type in types]))

    def rule(index: tuple, *operands: Any, type: ArrayType) -> tensor.Expression:
        return tensor.Apply(name, tuple([operand(index) for operand in operands]), type.dtype)

    return define(Op(name, ELEMENTWISE, type_rule, reference, Element(rule), cost, commutative))


def ufunc(reference: np.ufunc, cost: float = 1.0) -> Op:
    """The op of a NumPy ufunc with one result."""
    commutative = reference in _COMMUTATIVE
    return elementwise(reference.__name__, reference, cost, commutative=commutative)


_COMMUTATIVE = {
    np.add, np.multiply, np.equal, np.not_equal, np.logical_and, np.logical_or, np.logical_xor,
    np.bitwise_and, np.bitwise_or, np.bitwise_xor, np.gcd, np.lcm, np.logaddexp, np.logaddexp2,
    np.hypot,
}  # fmt: skip

# fmt: off
add           = ufunc(np.add)
subtract      = ufunc(np.subtract)
multiply      = ufunc(np.multiply)
divide        = ufunc(np.divide, 4)
floor_divide  = ufunc(np.floor_divide, 6)
remainder     = ufunc(np.remainder, 8)
fmod          = ufunc(np.fmod, 8)
power         = ufunc(np.power, 25)
float_power   = ufunc(np.float_power, 25)
negative      = ufunc(np.negative)
positive      = ufunc(np.positive)
absolute      = ufunc(np.absolute)
fabs          = ufunc(np.fabs)
sign          = ufunc(np.sign)
reciprocal    = ufunc(np.reciprocal, 4)
square        = ufunc(np.square)
sqrt          = ufunc(np.sqrt, 5)
cbrt          = ufunc(np.cbrt, 15)
rint          = ufunc(np.rint)
floor         = ufunc(np.floor)
ceil          = ufunc(np.ceil)
trunc         = ufunc(np.trunc)
conjugate     = ufunc(np.conjugate)
maximum       = ufunc(np.maximum)
minimum       = ufunc(np.minimum)
fmax          = ufunc(np.fmax)
fmin          = ufunc(np.fmin)
copysign      = ufunc(np.copysign)
nextafter     = ufunc(np.nextafter, 4)
spacing       = ufunc(np.spacing, 4)
heaviside     = ufunc(np.heaviside)
ldexp         = ufunc(np.ldexp, 3)
exp           = ufunc(np.exp, 12)
exp2          = ufunc(np.exp2, 12)
expm1         = ufunc(np.expm1, 15)
log           = ufunc(np.log, 15)
log2          = ufunc(np.log2, 15)
log10         = ufunc(np.log10, 15)
log1p         = ufunc(np.log1p, 18)
logaddexp     = ufunc(np.logaddexp, 30)
logaddexp2    = ufunc(np.logaddexp2, 30)
sin           = ufunc(np.sin, 18)
cos           = ufunc(np.cos, 18)
tan           = ufunc(np.tan, 22)
arcsin        = ufunc(np.arcsin, 18)
arccos        = ufunc(np.arccos, 18)
arctan        = ufunc(np.arctan, 18)
arctan2       = ufunc(np.arctan2, 24)
hypot         = ufunc(np.hypot, 10)
sinh          = ufunc(np.sinh, 18)
cosh          = ufunc(np.cosh, 18)
tanh          = ufunc(np.tanh, 18)
arcsinh       = ufunc(np.arcsinh, 24)
arccosh       = ufunc(np.arccosh, 24)
arctanh       = ufunc(np.arctanh, 24)
deg2rad       = ufunc(np.deg2rad)
rad2deg       = ufunc(np.rad2deg)
degrees       = ufunc(np.degrees)
radians       = ufunc(np.radians)
equal         = ufunc(np.equal)
not_equal     = ufunc(np.not_equal)
less          = ufunc(np.less)
less_equal    = ufunc(np.less_equal)
greater       = ufunc(np.greater)
greater_equal = ufunc(np.greater_equal)
logical_and   = ufunc(np.logical_and)
logical_or    = ufunc(np.logical_or)
logical_xor   = ufunc(np.logical_xor)
logical_not   = ufunc(np.logical_not)
isnan         = ufunc(np.isnan)
isinf         = ufunc(np.isinf)
isfinite      = ufunc(np.isfinite)
signbit       = ufunc(np.signbit)
bitwise_and   = ufunc(np.bitwise_and)
bitwise_or    = ufunc(np.bitwise_or)
bitwise_xor   = ufunc(np.bitwise_xor)
invert        = ufunc(np.invert)
left_shift    = ufunc(np.left_shift)
right_shift   = ufunc(np.right_shift)
bitwise_count = ufunc(np.bitwise_count, 2)
gcd           = ufunc(np.gcd, 60)
lcm           = ufunc(np.lcm, 70)
# fmt: on


def _float_result(name: str) -> Callable[[DType], DType]:
    def result(x: DType) -> DType:
        if not x.is_float:
            raise TypeError(f"{name} has no loop for {x}; cast the operand first")
        return x

    return result


def _scalar_reference(function: Callable[[float], float]) -> Callable[[Any], Any]:
    wrapped = np.vectorize(function, otypes=[np.float64])

    def reference(x: Any) -> Any:
        return wrapped(np.asarray(x, np.float64)).astype(np.asarray(x).dtype)[()]

    return reference


def _frexp_exponent_dtype(x: DType) -> DType:
    return _float_result("frexp")(x) and i32


def _where_dtype(condition: DType, x: DType, y: DType) -> DType:
    if condition is not bool_ or x is not y:
        raise TypeError("where takes a bool and two operands of one dtype")
    return x


def _complex_dtype(real: DType, imag: DType) -> DType:
    if real is not imag or real not in (f32, f64):
        raise TypeError("complex takes two f32 or two f64")
    return c64 if real is f32 else c128


def _complex_reference(real: Any, imag: Any) -> Any:
    real, imag = np.asarray(real), np.asarray(imag)
    out = np.empty(real.shape, np.complex64 if real.dtype == np.float32 else np.complex128)
    out.real, out.imag = real, imag
    return out[()]


def _fma_dtype(a: DType, b: DType, c: DType) -> DType:
    if not (a is b is c) or a not in (f32, f64):
        raise TypeError("fma takes three f32 or three f64")
    return a


def _truth_dtype(x: DType) -> DType:
    if x is not bool_:
        raise TypeError(f"only what is true or false is seldom true, not {x}")
    return x


def _guarded_dtype(guard: DType, x: DType) -> DType:
    return x


def _pairs_dtype(a: DType, b: DType) -> DType:
    if not (a is b is i32):
        raise TypeError("short numbers are multiplied several at a time in two i32")
    return i32


def _multiply_pairs(a: Any, b: Any) -> Any:
    """The sum of the products of the low and of the high halves, which are numbers of 16 bits."""
    products = []
    for shift in (16, 0):
        low, high = (np.int64(np.left_shift(x, shift, dtype=np.int32) >> 16) for x in (a, b))
        products.append(low * high)
    return np.asarray(sum(products)).astype(np.int32)[()]


def _multiply_quads(a: Any, b: Any) -> Any:
    """The sum of the products of each byte of `a`, which has no sign, and that of `b`, which has one."""
    both = np.broadcast_arrays(np.asarray(a, np.int32), np.asarray(b, np.int32))
    a, b = (np.ascontiguousarray(x[..., None]) for x in both)
    unsigned, signed = a.view(np.uint8), b.view(np.int8)
    return (unsigned.astype(np.int32) * signed).sum(-1, dtype=np.int32)[()]


def _bits_as(kind: str) -> dict[str, Any]:
    """The same bits as another kind of number; from and to floats and signed ints by unsigned ones."""

    def result(x: DType) -> DType:
        if x.kind not in ("u" if kind != "u" else "if") or (kind, x.itemsize) == ("f", 1):
            raise TypeError(f"the bits of {x} are not taken as {kind}")
        return DTYPES[f"{kind}{8 * x.itemsize}"]

    def reference(x: Any) -> Any:
        x = np.asarray(x)
        return x.view(f"{kind}{x.itemsize}")[()]

    return {"reference": reference, "cost": 0.5, "result": result}


# fmt: off
multiply_pairs    = elementwise("multiply_pairs", _multiply_pairs, 2, result=_pairs_dtype, commutative=True)
multiply_quads    = elementwise("multiply_quads", _multiply_quads, 2, result=_pairs_dtype)
fma               = elementwise("fma", fused_multiply_add, result=_fma_dtype)
erf               = elementwise("erf", _scalar_reference(_erf), 32, result=_float_result("erf"))
erfc              = elementwise("erfc", _scalar_reference(_erfc), 25, result=_float_result("erfc"))
frexp_mantissa    = elementwise("frexp_mantissa", lambda x: np.frexp(x)[0], 3, result=_float_result("frexp"))
frexp_exponent    = elementwise("frexp_exponent", lambda x: np.frexp(x)[1], 3, result=_frexp_exponent_dtype)
modf_fraction     = elementwise("modf_fraction", lambda x: np.modf(x)[0], 2, result=_float_result("modf"))
modf_integer      = elementwise("modf_integer", lambda x: np.modf(x)[1], 2, result=_float_result("modf"))
real              = elementwise("real", lambda x: np.real(x), result=lambda x: x.real)
imag              = elementwise("imag", lambda x: np.imag(x), result=lambda x: x.real)
where             = elementwise("where", lambda c, x, y: np.where(c, x, y)[()], result=_where_dtype)
# The truth itself, which is seldom true: where it chooses, the arm for that is off the way, and weighs little.
seldom            = elementwise("seldom", lambda x: np.array(x)[()], 0, result=_truth_dtype)
# The second operand; the first is computed for the sake of the checks in it.
guarded           = elementwise("guarded", lambda guard, x: np.array(x)[()], 0, result=_guarded_dtype)
complex           = elementwise("complex", _complex_reference, result=_complex_dtype)
bits              = elementwise("bits", **_bits_as("u"))
signed_of_bits    = elementwise("signed_of_bits", **_bits_as("i"))
float_of_bits     = elementwise("float_of_bits", **_bits_as("f"))
# fmt: on


def _cast_type(x: ArrayType, *, dtype: DType) -> ArrayType:
    return array_type(x.shape, dtype)


def _cast_reference(x: Any, *, dtype: DType) -> Any:
    with np.errstate(all="ignore"):
        x = np.asarray(x)
        if x.dtype.kind == "c" and dtype.kind != "c" and dtype.kind != "b":
            x = x.real
        return x.astype(dtype.numpy)[()]


def _cast_element(index: tuple, x: Any, *, type: ArrayType, dtype: DType) -> tensor.Expression:
    return expressions.cast(x(index), dtype)


cast = define(Op("cast", ELEMENTWISE, _cast_type, _cast_reference, Element(_cast_element)))
