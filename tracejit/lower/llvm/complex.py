"""Complex arithmetic as pairs of real values, with NumPy's algorithms.

Multiplication is the textbook formula, division Smith's (CACM 5(8), 1962), order lexicographic.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from ...errors import UnsupportedError
from ...ir.types import DType, f32, f64
from . import complex_math
from .builder import Builder, Value
from .casts import cast
from .math import MATH
from .math.arithmetic import Number
from .scalars import apply_real

Pair = tuple[Value, Value]
Parts = tuple[Value, ...]


def apply_complex(
    b: Builder, op: str, dtypes: list[DType], result: DType, values: list[Parts]
) -> Parts:
    """`op` on operands some of which are complex, or with a complex result."""
    if op == "where":
        (condition,), x, y = values
        return tuple([b.select(condition, p, q) for p, q in zip(x, y)])
    if op == "complex":
        return (values[0][0], values[1][0])
    rule = _RULES.get(op)
    if rule is None:
        raise UnsupportedError(f"{op} of complex numbers is not compiled yet")
    return rule(b, *values)


def cast_complex(b: Builder, parts: Parts, source: DType, target: DType) -> Parts:
    """Between complex dtypes, from real ones (imaginary part zero) and to them (real part kept)."""
    if not source.is_complex:
        real = cast(b, parts[0], source, target.real)
        return real, b.like(0.0, real)
    if target.kind == "b":
        return (_truth(b, parts),)
    converted = tuple([cast(b, part, source.real, target.real) for part in parts])
    return converted if target.is_complex else (cast(b, parts[0], source.real, target),)


def _add(b: Builder, x: Pair, y: Pair) -> Pair:
    return b.binary("fadd", x[0], y[0]), b.binary("fadd", x[1], y[1])


def _subtract(b: Builder, x: Pair, y: Pair) -> Pair:
    return b.binary("fsub", x[0], y[0]), b.binary("fsub", x[1], y[1])


def _multiply(b: Builder, x: Pair, y: Pair) -> Pair:
    (a, c), (d, e) = x, y
    real = b.binary("fsub", b.binary("fmul", a, d), b.binary("fmul", c, e))
    imag = b.binary("fadd", b.binary("fmul", a, e), b.binary("fmul", c, d))
    return real, imag


def _divide(b: Builder, x: Pair, y: Pair) -> Pair:
    """Smith's algorithm, both branches selected into one: scale by the larger part of `y`."""
    (a, c), (d, e) = x, y
    first = b.compare("oge", b.intrinsic("fabs", d), b.intrinsic("fabs", e))
    large, small = b.select(first, d, e), b.select(first, e, d)
    ratio = b.binary("fdiv", small, large)
    scale = b.binary(
        "fdiv", b.like(1.0, ratio), b.binary("fadd", large, b.binary("fmul", small, ratio))
    )
    near, far = b.select(first, a, c), b.select(first, c, a)
    real = b.binary("fmul", b.binary("fadd", near, b.binary("fmul", far, ratio)), scale)
    plus = b.binary("fsub", c, b.binary("fmul", a, ratio))
    minus = b.binary("fsub", b.binary("fmul", c, ratio), a)
    imag = b.binary("fmul", b.select(first, plus, minus), scale)
    zeros = [b.compare("oeq", part, b.like(0.0, part)) for part in y]
    both_zero, by_zero = b.binary("and", *zeros), b.like(0.0, large)
    return (
        b.select(both_zero, b.binary("fdiv", a, by_zero), real),
        b.select(both_zero, b.binary("fdiv", c, by_zero), imag),
    )


def _negative(b: Builder, x: Pair) -> Pair:
    return b.unary("fneg", x[0]), b.unary("fneg", x[1])


def _absolute(b: Builder, x: Pair) -> Parts:
    return (MATH["hypot"](b, *x),)


def _truth(b: Builder, x: Parts) -> Value:
    return b.binary("or", *[b.compare("une", part, b.like(0.0, part)) for part in x])


def _logical(opcode: str) -> Callable[..., Parts]:
    return lambda b, x, y: (b.binary(opcode, _truth(b, x), _truth(b, y)),)


def _logical_not(b: Builder, x: Pair) -> Parts:
    truth = _truth(b, x)
    return (b.binary("xor", truth, b.like(True, truth)),)


def _equal(b: Builder, x: Pair, y: Pair) -> Parts:
    return (b.binary("and", b.compare("oeq", x[0], y[0]), b.compare("oeq", x[1], y[1])),)


def _not_equal(b: Builder, x: Pair, y: Pair) -> Parts:
    return (b.binary("or", b.compare("une", x[0], y[0]), b.compare("une", x[1], y[1])),)


def _ordered(strict: str, last: str) -> Callable[..., Parts]:
    """By the real parts, then by the imaginary ones; a NaN anywhere compares false."""

    def rule(b: Builder, x: Pair, y: Pair) -> Parts:
        above = b.compare(strict, x[0], y[0])
        for part in (x[1], y[1]):
            above = b.binary("and", above, b.compare("ord", part, part))
        tie = b.binary("and", b.compare("oeq", x[0], y[0]), b.compare(last, x[1], y[1]))
        return (b.binary("or", above, tie),)

    return rule


def _nan(b: Builder, x: Pair) -> Value:
    return b.compare("uno", x[0], x[1])


def _extreme(strict: str, last: str) -> Callable[..., Parts]:
    """The first operand if it is a NaN or wins; a NaN in the second wins otherwise."""
    ordered = _ordered(strict, last)

    def rule(b: Builder, x: Pair, y: Pair) -> Parts:
        (first,) = ordered(b, x, y)
        first = b.binary("or", first, _nan(b, x))
        return tuple([b.select(first, p, q) for p, q in zip(x, y)])

    return rule


def _real_test(name: str, join: str) -> Callable[..., Parts]:
    def rule(b: Builder, x: Pair) -> Parts:
        dtype = _FLOAT_DTYPES[x[0].kind]
        tests = [apply_real(b, name, dtype, (part,)) for part in x]
        return (b.binary(join, *tests),)

    return rule


def _extreme_number(predicate: str, last: str) -> Callable[..., Parts]:
    """The winner, the first if equal; a NaN only where both are."""
    ordered = _ordered(predicate, last)

    def rule(b: Builder, x: Pair, y: Pair) -> Parts:
        (first,) = ordered(b, x, y)
        first = b.binary("or", first, _nan(b, y))
        return tuple([b.select(first, p, q) for p, q in zip(x, y)])

    return rule


def _on_pairs(function: Callable[..., complex_math.Complex]) -> Callable[..., Parts]:
    """A formula on pairs of Numbers as a function of a Builder and pairs of Values."""

    def write(b: Builder, *operands: Pair) -> Parts:
        numbers = [(Number(b, real), Number(b, imag)) for real, imag in operands]
        return tuple([part.value for part in function(*numbers)])

    return write


def _power(b: Builder, x: Pair, y: Pair) -> Parts:
    """An error in w log z grows with its size, so two floats are raised as doubles."""
    if x[0].kind == "double":
        return _on_pairs(complex_math.power)(b, x, y)
    wide = [tuple([b.cast("fpext", part, "double") for part in parts]) for parts in (x, y)]
    return tuple([b.cast("fptrunc", part, "float") for part in _power(b, *wide)])


_FLOAT_DTYPES = {"float": f32, "double": f64}

# fmt: off
_RULES: dict[str, Callable[..., Parts]] = {
    "add":           _add,
    "subtract":      _subtract,
    "multiply":      _multiply,
    "divide":        _divide,
    "negative":      _negative,
    "positive":      lambda b, x: x,
    "conjugate":     lambda b, x: (x[0], b.unary("fneg", x[1])),
    "square":        lambda b, x: _multiply(b, x, x),
    "absolute":      _absolute,
    "real":          lambda b, x: (x[0],),
    "imag":          lambda b, x: (x[1],),
    "equal":         _equal,
    "not_equal":     _not_equal,
    "less":          _ordered("olt", "olt"),
    "less_equal":    _ordered("olt", "ole"),
    "greater":       _ordered("ogt", "ogt"),
    "greater_equal": _ordered("ogt", "oge"),
    "maximum":       _extreme("ogt", "oge"),
    "minimum":       _extreme("olt", "ole"),
    "logical_and":   _logical("and"),
    "logical_or":    _logical("or"),
    "logical_xor":   _logical("xor"),
    "logical_not":   _logical_not,
    "isnan":         _real_test("isnan", "or"),
    "isinf":         _real_test("isinf", "or"),
    "isfinite":      _real_test("isfinite", "and"),
    "rint":          lambda b, x: (b.intrinsic("roundeven", x[0]), b.intrinsic("roundeven", x[1])),
    "fmax":          _extreme_number("ogt", "oge"),
    "fmin":          _extreme_number("olt", "ole"),
    "log2":          _on_pairs(complex_math.log_by(math.log2(math.e))),
    "log10":         _on_pairs(complex_math.log_by(math.log10(math.e))),
    "power":         _power,
    "float_power":   _power,
    **{function.__name__: _on_pairs(function) for function in complex_math.FUNCTIONS},
}
# fmt: on
