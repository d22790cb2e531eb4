"""Fit the polynomials of tracejit/lower/llvm/math and write its coefficients.py.

Usage: python tools/fit_math.py [name ...]    (all when no name is given; others are kept)

Each fit is weighted so that its error is relative to the *result* of the function that uses it,
found by the Remez exchange on a grid dense near the ends, in 80 digits. The leading term of a
function is never fitted but added by the code, so that rounding the coefficients to the format
costs a small fraction of an ULP; of a few orders of rounding them the best is taken.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import mpmath
from mpmath import mpf

mpmath.mp.dps = 80
TARGET = Path(__file__).parent.parent / "tracejit/lower/llvm/math/coefficients.py"
HEADER = '''"""Minimax polynomials, lowest power first, by format: written by tools/fit_math.py."""

'''


class Fit(NamedTuple):
    """`function(x) ~ sum(c[i] * x**i)` for low <= x <= high, `terms` coefficients by format."""

    meaning: str
    function: Callable
    weight: Callable
    low: object
    high: object
    terms: dict[str, int]


def minimax(values, weights, points, terms: int) -> list:
    """The coefficients whose largest weighted error over `points` is least (Remez exchange)."""
    last, count = len(points) - 1, terms + 1
    chosen = [round(last * i / terms) for i in range(count)]
    best, best_error = None, mpmath.inf
    for _ in range(30):
        matrix, right = mpmath.matrix(count, count), mpmath.matrix(count, 1)
        for row, at in enumerate(chosen):
            for power in range(terms):
                matrix[row, power] = points[at] ** power
            matrix[row, terms] = (-1) ** row / weights[at]
            right[row] = values[at]
        solution = mpmath.lu_solve(matrix, right)
        coefficients = [solution[i] for i in range(terms)]
        errors = residual(values, weights, points, coefficients)
        error = max(abs(e) for e in errors)
        if error < best_error:
            best, best_error = coefficients, error
        extrema = alternation(errors)
        while len(extrema) > count:
            extrema.pop(0 if abs(errors[extrema[0]]) < abs(errors[extrema[-1]]) else -1)
        if len(extrema) < count or extrema == chosen:
            break
        chosen = extrema
    return best


def residual(values, weights, points, coefficients) -> list:
    return [
        w * (mpmath.polyval(coefficients[::-1], x) - v)
        for v, w, x in zip(values, weights, points, strict=True)
    ]


def alternation(errors) -> list[int]:
    """Where each run of errors of one sign is largest."""
    extrema: list[int] = []
    for at, error in enumerate(errors):
        if extrema and (errors[extrema[-1]] > 0) == (error > 0):
            if abs(error) > abs(errors[extrema[-1]]):
                extrema[-1] = at
        else:
            extrema.append(at)
    return extrema


def rounded(number, kind: str):
    """`number` to the nearest value of the format."""
    if kind == "double":
        return mpf(float(number))
    _, exponent = mpmath.frexp(number)
    unit = mpmath.ldexp(mpf(1), int(exponent) - 24)
    return mpmath.nint(number / unit) * unit


def fit(task: Fit, kind: str) -> tuple[list[float], float]:
    """Rounded coefficients and log2 of the largest weighted error."""
    terms = task.terms[kind]
    low, high = (mpf(end[kind] if isinstance(end, dict) else end) for end in task[3:5])
    size = 20 * terms
    points = [
        (low + high) / 2 - (high - low) / 2 * mpmath.cos(mpmath.pi * i / size)
        for i in range(size + 1)
    ]
    points = [x for x in points if abs(x) > mpf("1e-9")]
    values = [task.function(x) for x in points]
    weights = [abs(task.weight(x)) for x in points]
    best, best_error = [], mpmath.inf
    for fixed in range(min(4, terms)):
        done = round_leading_first(values, weights, points, terms, fixed, kind)
        error = max(abs(e) for e in residual(values, weights, points, done))
        if error < best_error:
            best, best_error = done, error
    return [float(c) for c in best], float(mpmath.log(best_error, 2))


def round_leading_first(values, weights, points, terms: int, fixed: int, kind: str) -> list:
    """Round `fixed` leading coefficients, each before the rest is fitted again; then all others."""
    done: list = []
    while True:
        # What is left is x**k times a polynomial: fit that polynomial.
        found = minimax(
            [
                (v - mpmath.polyval(done[::-1] or [0], x)) / x ** len(done)
                for v, x in zip(values, points, strict=True)
            ],
            [w * abs(x) ** len(done) for w, x in zip(weights, points, strict=True)],
            points,
            terms - len(done),
        )
        if len(done) == fixed:
            return done + [rounded(c, kind) for c in found]
        done.append(rounded(found[0], kind))


LN2 = mpmath.log(2)
HALF_OCTAVE = LN2 / 2 * mpf("1.002")
ROOT = mpmath.sqrt(2)
LOG_LOW, LOG_HIGH = 1 / ROOT - 1, ROOT - 1
LOG_SQUARE = ((ROOT - 1) / (ROOT + 1)) ** 2 * mpf("1.001")
TINY = mpf(10) ** -25


def of_square(function):
    """`function(sqrt(z))`, kept off zero where the series would divide by it."""
    return lambda z: function(mpmath.sqrt(z))


def scaled_erfc(a):
    return (a + 2) * mpmath.exp(a * a) * mpmath.erfc(a)


FITS: dict[str, Fit] = {}


def define(name, meaning, function, weight, low, high, **terms) -> None:
    FITS[name] = Fit(meaning, function, weight, low, high, terms)


define(
    "EXP",
    "(exp(f) - 1 - f) / f**2, f = x - n log 2",
    lambda f: (mpmath.expm1(f) - f) / f**2,
    lambda f: f**2 / mpmath.exp(f),
    {"float": -HALF_OCTAVE * mpf("1.06"), "double": -HALF_OCTAVE},
    {"float": HALF_OCTAVE * mpf("1.06"), "double": HALF_OCTAVE},
    float=5,
    double=10,
)
define(
    "EXPM1",
    "the same, relative to exp(f) - 1",
    lambda f: (mpmath.expm1(f) - f) / f**2,
    lambda f: f**2 / mpmath.expm1(f),
    -HALF_OCTAVE,
    HALF_OCTAVE,
    float=5,
    double=11,
)
define(
    "EXP2",
    "(2**f - 1) / f",
    lambda f: mpmath.expm1(f * LN2) / f,
    lambda f: f / mpf(2) ** f,
    mpf("-.5005"),
    mpf(".5005"),
    float=6,
    double=11,
)
define(
    "LOG",
    "(log(1 + f) - f + f**2/2) / f**3, sqrt(1/2) <= 1 + f < sqrt(2)",
    lambda f: (mpmath.log1p(f) - f + f**2 / 2) / f**3,
    lambda f: f**3 / mpmath.log1p(f),
    LOG_LOW,
    LOG_HIGH,
    float=8,
)
define(
    "LOG2",
    "log2(1 + f) / f - 1",
    lambda f: mpmath.log1p(f) / LN2 / f - 1,
    lambda f: f / mpmath.log1p(f),
    LOG_LOW,
    LOG_HIGH,
    float=10,
)
define(
    "LOG10",
    "log10(1 + f) / f - 1/2",
    lambda f: mpmath.log1p(f) / mpmath.log(10) / f - mpf(1) / 2,
    lambda f: f / mpmath.log1p(f),
    LOG_LOW,
    LOG_HIGH,
    float=9,
)
define(
    "ATANH",
    "(2 atanh(s) / s - 2) / s**2 in s**2, s = f / (2 + f)",
    of_square(lambda s: (2 * mpmath.atanh(s) / s - 2) / s**2),
    lambda z: z / 2,
    TINY,
    LOG_SQUARE,
    double=7,
)
define(
    "ATANH_WIDE",
    "(atanh(s) / s - 1) / s**2 in s**2, |s| <= 0.335",
    of_square(lambda s: (mpmath.atanh(s) / s - 1) / s**2),
    of_square(lambda s: s**3 / mpmath.atanh(s)),
    TINY,
    mpf("0.335") ** 2,
    float=4,
    double=10,
)
define(
    "SINH",
    "(sinh(f) / f - 1) / f**2 in f**2",
    of_square(lambda f: (mpmath.sinh(f) / f - 1) / f**2),
    of_square(lambda f: f**3 / mpmath.sinh(f)),
    TINY,
    HALF_OCTAVE**2,
    float=2,
    double=5,
)
define(
    "COSH",
    "(cosh(f) - 1) / f**2 in f**2",
    of_square(lambda f: (mpmath.cosh(f) - 1) / f**2),
    of_square(lambda f: f**2 / mpmath.cosh(f)),
    TINY,
    HALF_OCTAVE**2,
    float=3,
    double=5,
)
define(
    "ASIN",
    "(asin(x) / x - 1) / x**2 in x**2, |x| <= 1/2",
    of_square(lambda x: (mpmath.asin(x) / x - 1) / x**2),
    of_square(lambda x: x**3 / mpmath.asin(x)),
    TINY,
    mpf("0.2501"),
    float=5,
    double=12,
)
define(
    "ATAN",
    "(atan(t) / t - 1) / t**2 in t**2, |t| <= 1",
    of_square(lambda t: (mpmath.atan(t) / t - 1) / t**2),
    of_square(lambda t: t**3 / mpmath.atan(t)),
    TINY,
    1,
    float=9,
    double=20,
)
define(
    "ATAN_NARROW",
    "the same for |t| <= tan(pi/8)",
    of_square(lambda t: (mpmath.atan(t) / t - 1) / t**2),
    of_square(lambda t: t**3 / mpmath.atan(t)),
    TINY,
    mpf("0.1717"),
    float=5,
    double=11,
)
define(
    "POWER_LOG",
    "(log(1 + r) - r + r**2/2) / r**3, r as in table_values.LOG",
    lambda r: (mpmath.log1p(r) - r + r**2 / 2) / r**3,
    lambda r: r**3 / mpmath.log1p(r),
    {"float": mpf("-0.0255"), "double": mpf("-0.0496")},
    {"float": mpf("0.0255"), "double": mpf("0.0496")},
    float=4,
    double=10,
)
define(
    "SIN",
    "(sin(r) / r - 1) / r**2 in r**2, |r| <= pi/2",
    of_square(lambda r: (mpmath.sin(r) / r - 1) / r**2),
    of_square(lambda r: r**3 / mpmath.sin(r)),
    TINY,
    (mpmath.pi / 2 * mpf("1.002")) ** 2,
    float=4,
    double=9,
)
define(
    "TAN",
    "(tan(r) / r - 1) / r**2 in r**2, |r| <= pi/4",
    of_square(lambda r: (mpmath.tan(r) / r - 1) / r**2),
    of_square(lambda r: r**3 / mpmath.tan(r)),
    TINY,
    (mpmath.pi / 4 * mpf("1.002")) ** 2,
    float=6,
    double=14,
)
define(
    "COTH",
    "(g coth(g) - 1) / g**2 in g**2, |g| <= 0.61",
    of_square(lambda g: (g * mpmath.coth(g) - 1) / g**2),
    of_square(lambda g: g * mpmath.tanh(g)),
    TINY,
    mpf("0.61") ** 2,
    float=4,
    double=8,
)
define(
    "ERF",
    "erf(x) / x - 1 in x**2, |x| <= 0.92",
    of_square(lambda x: mpmath.erf(x) / x - 1),
    of_square(lambda x: x / mpmath.erf(x)),
    TINY,
    1,
    float=7,
    double=12,
)
define(
    "ERF_TAIL",
    "-log2(erfc(2 + u)), 1 <= 2 + u",
    lambda u: -mpmath.log(mpmath.erfc(2 + u)) / LN2,
    lambda u: mpmath.erfc(2 + u) / mpmath.erf(2 + u) * LN2,
    -1,
    {"float": 2, "double": mpf("3.95")},
    float=8,
    double=19,
)
define(
    "ERFC",
    "(a + 2) exp(a**2) erfc(a) - 1 in t = (a - 2) / (a + 2)",
    lambda t: scaled_erfc(2 * (1 + t) / (1 - t)) - 1,
    lambda t: 1 / scaled_erfc(2 * (1 + t) / (1 - t)),
    mpf("-1.22") / mpf("2.78"),
    {"float": mpf("0.7"), "double": mpf("0.867")},
    float=10,
    double=22,
)
define(
    "SINC",
    "(sin(pi r) / (pi r) - 1) / r**2 in r**2, |r| <= 1/2",
    of_square(lambda r: (mpmath.sinc(mpmath.pi * r) - 1) / r**2),
    of_square(lambda r: r**2 / mpmath.sinc(mpmath.pi * r)),
    TINY,
    mpf("0.2501"),
    float=5,
    double=8,
)

# Constants as unevaluated sums: each part is the rest rounded to the format.
EXPANSIONS = {
    "LN2": (LN2, 2),
    "HALF_LN2": (LN2 / 2, 2),
    "LOG10_TWO": (mpmath.log10(2), 2),
    "LOG2_E": (1 / LN2, 2),
    "LOG10_E": (1 / mpmath.log(10), 2),
}


# The same, rounded down: no part is negative, so that -0.0 - 0 * part keeps its sign.
POSITIVE_EXPANSIONS = {
    "PI": (mpmath.pi, 3),
    "HALF_PI": (mpmath.pi / 2, 3),
}


def truncated(number, kind: str):
    part = rounded(number, kind)
    unit = mpmath.ldexp(mpf(1), int(mpmath.frexp(number)[1]) - (24 if kind == "float" else 53))
    return part if part <= number else part - unit


def expansion(number, parts: int, kind: str, to_format: Callable) -> list[float]:
    result = []
    for _ in range(parts):
        part = to_format(number, kind)
        number -= part
        result.append(float(part))
    return result


def load_table() -> dict[str, dict[str, tuple[float, ...]]]:
    if not TARGET.exists():
        return {}
    spec = importlib.util.spec_from_file_location("coefficients", TARGET)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return {name: table for name, table in vars(module).items() if name in FITS}


@mpmath.workdps(400)
def table_of_bits(number, count: int) -> str:
    """floor(number() * 2**count) in lines of hexadecimal digits."""
    digits = f"{int(mpmath.floor(mpmath.ldexp(number(), count))):x}"
    return "\n".join(f'    "{digits[i : i + 80]}"' for i in range(0, len(digits), 80))


def write_table(table) -> None:
    lines = [HEADER.rstrip("\n")]
    for name, task in FITS.items():
        if name not in table:
            continue
        lines.append(f"\n# {task.meaning}\n{name} = {{")
        for kind, coefficients in table[name].items():
            lines.append(f'    "{kind}": (')
            lines += [f"        {c!r}," for c in coefficients]
            lines.append("    ),")
        lines.append("}")
    bits = table_of_bits(lambda: 2 / mpmath.pi, 1216)
    lines.append(f"\n# floor(2/pi * 2**1216)\nTWO_OVER_PI = int(\n{bits},\n    16,\n)")
    for constants, to_format in ((EXPANSIONS, rounded), (POSITIVE_EXPANSIONS, truncated)):
        for name, (number, parts) in constants.items():
            lines.append(f"\n{name} = {{")
            for kind in ("float", "double"):
                values = tuple(expansion(number, parts, kind, to_format))
                lines.append(f'    "{kind}": {values!r},')
            lines.append("}")
    TARGET.write_text("\n".join(lines) + "\n")


def main(names: list[str]) -> None:
    table = load_table()
    for name in names or FITS:
        table[name] = {}
        for kind in FITS[name].terms:
            coefficients, error = fit(FITS[name], kind)
            table[name][kind] = tuple(coefficients)
            print(
                f"{name:12} {kind:7} {len(coefficients):3} terms   error 2**{error:.1f}", flush=True
            )
    write_table(table)


if __name__ == "__main__":
    main(sys.argv[1:])
