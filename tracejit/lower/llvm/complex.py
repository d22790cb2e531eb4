"""Complex arithmetic as pairs of real values, with NumPy's algorithms.

Multiplication is the textbook formula, division Smith's (CACM 5(8), 1962), order lexicographic.
"""

from __future__ import annotations

from collections.abc import Callable

from ...errors import UnsupportedError
from ...ir.types import DType, f32, f64
from .builder import Builder, Value
from .math import MATH
from .scalars import apply_real, cast

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
    both_zero = b.compare("oeq", b.intrinsic("fabs", large), b.like(0.0, large))
    by_zero = b.intrinsic("fabs", large)
    return (
        b.select(both_zero, b.binary("fdiv", a, by_zero), real),
        b.select(both_zero, b.binary("fdiv", c, by_zero), imag),
    )


def _reciprocal(b: Builder, x: Pair) -> Pair:
    return _divide(b, (b.like(1.0, x[0]), b.like(0.0, x[0])), x)


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


def _sign(b: Builder, x: Pair) -> Pair:
    """x / |x|, and 0 for 0."""
    (size,) = _absolute(b, x)
    zero = b.compare("oeq", size, b.like(0.0, size))
    divisor = b.select(zero, b.like(1.0, size), size)
    return tuple([b.select(zero, b.like(0.0, part), b.binary("fdiv", part, divisor)) for part in x])


def _polar(b: Builder, size: Value, angle: Value) -> Pair:
    cosine, sine = MATH["cos"](b, angle), MATH["sin"](b, angle)
    flat = b.compare("oeq", angle, b.like(0.0, angle))
    imag = b.select(flat, angle, b.binary("fmul", size, sine))
    return b.binary("fmul", size, cosine), imag


def _exp(b: Builder, x: Pair) -> Pair:
    return _polar(b, MATH["exp"](b, x[0]), x[1])


def _log(b: Builder, x: Pair) -> Pair:
    return MATH["log"](b, MATH["hypot"](b, *x)), MATH["arctan2"](b, x[1], x[0])


def _sqrt(b: Builder, x: Pair) -> Pair:
    """Principal root: half-angle formulas on the larger part, so that nothing cancels."""
    size = MATH["hypot"](b, *x)
    half = b.like(0.5, size)
    grown = b.binary("fadd", size, b.intrinsic("fabs", x[0]))
    large = b.intrinsic("sqrt", b.binary("fmul", grown, half))
    zero = b.compare("oeq", large, b.like(0.0, large))
    divisor = b.select(zero, b.like(1.0, large), b.binary("fadd", large, large))
    small = b.binary("fdiv", b.intrinsic("fabs", x[1]), divisor)
    right = b.compare("oge", x[0], b.like(0.0, size))
    real = b.select(right, large, small)
    imag = b.intrinsic("copysign", b.select(right, small, large), x[1])
    return real, imag


def _trigonometric(name: str) -> Callable[..., Pair]:
    """sin(a + ib) = sin a cosh b + i cos a sinh b, cos(a + ib) = cos a cosh b - i sin a sinh b."""

    def rule(b: Builder, x: Pair) -> Pair:
        sine, cosine = MATH["sin"](b, x[0]), MATH["cos"](b, x[0])
        high, low = MATH["cosh"](b, x[1]), MATH["sinh"](b, x[1])
        if name == "sin":
            return b.binary("fmul", sine, high), b.binary("fmul", cosine, low)
        return b.binary("fmul", cosine, high), b.unary("fneg", b.binary("fmul", sine, low))

    return rule


def _hyperbolic(name: str) -> Callable[..., Pair]:
    """sinh(a + ib) = sinh a cos b + i cosh a sin b, cosh(a + ib) = cosh a cos b + i sinh a sin b."""

    def rule(b: Builder, x: Pair) -> Pair:
        sine, cosine = MATH["sin"](b, x[1]), MATH["cos"](b, x[1])
        high, low = MATH["cosh"](b, x[0]), MATH["sinh"](b, x[0])
        first, second = (low, high) if name == "sinh" else (high, low)
        return b.binary("fmul", first, cosine), b.binary("fmul", second, sine)

    return rule


def _quotient(name: str) -> Callable[..., Pair]:
    top, bottom = {"tan": ("sin", "cos"), "tanh": ("sinh", "cosh")}[name]
    return lambda b, x: _divide(b, _RULES[top](b, x), _RULES[bottom](b, x))


def _scaled_log(base: float) -> Callable[..., Pair]:
    def rule(b: Builder, x: Pair) -> Pair:
        return tuple([b.binary("fmul", part, b.like(base, part)) for part in _log(b, x)])

    return rule


def _power(b: Builder, x: Pair, y: Pair) -> Pair:
    """exp(y log x); 0**0 is 1 and 0 to a positive power 0."""
    found = _exp(b, _multiply(b, y, _log(b, x)))
    base_zero, exponent_zero = _logical_not(b, x)[0], _logical_not(b, y)[0]
    zero, one = b.like(0.0, x[0]), b.like(1.0, x[0])
    found = tuple([b.select(base_zero, zero, part) for part in found])
    return b.select(exponent_zero, one, found[0]), b.select(exponent_zero, zero, found[1])


_FLOAT_DTYPES = {"float": f32, "double": f64}

# fmt: off
_RULES: dict[str, Callable[..., Parts]] = {
    "add":           _add,
    "subtract":      _subtract,
    "multiply":      _multiply,
    "divide":        _divide,
    "reciprocal":    _reciprocal,
    "negative":      _negative,
    "positive":      lambda b, x: x,
    "conjugate":     lambda b, x: (x[0], b.unary("fneg", x[1])),
    "square":        lambda b, x: _multiply(b, x, x),
    "absolute":      _absolute,
    "sign":          _sign,
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
    "exp":           _exp,
    "log":           _log,
    "log2":          _scaled_log(1.4426950408889634),
    "log10":         _scaled_log(0.4342944819032518),
    "sqrt":          _sqrt,
    "sin":           _trigonometric("sin"),
    "cos":           _trigonometric("cos"),
    "sinh":          _hyperbolic("sinh"),
    "cosh":          _hyperbolic("cosh"),
    "power":         _power,
}
_RULES["tan"] = _quotient("tan")
_RULES["tanh"] = _quotient("tanh")
# fmt: on
