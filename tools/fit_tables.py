"""Compute the tables of tracejit/lower/llvm/math and write its table_values.py.

Usage: python tools/fit_tables.py

A table is looked up with some bits of a number, so it is written in the order of those bits.
"""

from __future__ import annotations

import textwrap
from pathlib import Path

import mpmath
from fit_math import minimax, residual, rounded
from mpmath import mpf

TARGET = Path(__file__).parent.parent / "tracejit/lower/llvm/math/table_values.py"
HEADER = '"""Tables by format, in the order of their index bits: written by tools/fit_tables.py."""'
DIGITS = {"float": 23, "double": 52}

# tanh in float: u = SCALE abs(x) + OFFSET has four pieces in each of the octaves from 1/2 to 8.
TANH_SCALE, TANH_OFFSET, TANH_PIECES, TANH_TERMS = mpf("0.8"), mpf("0.5"), 16, 6


def tanh_pieces() -> list[tuple[float, ...]]:
    """Columns of centers c and of coefficients of tanh(c + t) in t."""
    rows = []
    for piece in range(TANH_PIECES):
        ends = [(octave_start(piece + k, 4) / 2 - TANH_OFFSET) / TANH_SCALE for k in (0, 1)]
        rows.append(tanh_piece(*(mpf(end) for end in ends)))
    # Of the bits of u above the pieces' width the last four are 8 at u = 1/2.
    rows = rows[8:] + rows[:8]
    return [tuple(float(row[k]) for row in rows) for k in range(TANH_TERMS + 1)]


def octave_start(step: int, steps: int):
    """The number `step` steps above 1, `steps` to the octave, equal within each."""
    return mpf(2) ** (step // steps) * (1 + mpf(step % steps) / steps)


def tanh_piece(low, high) -> list:
    if low == 0:
        known, center = [mpf(0), mpf(1)], mpf(0)
    else:
        center = nearly_exact(mpmath.tanh, low, high)
        known = [rounded(mpmath.tanh(center), "float")]
    degree, size = len(known), 40 * TANH_TERMS
    middle, radius = (low + high) / 2 - center, (high - low) / 2 * mpf("1.00001")
    steps = [middle - radius * mpmath.cos(mpmath.pi * i / size) for i in range(size + 1)]
    steps = [t for t in steps if abs(t) > mpf("1e-5") and center + t > 0]
    values = [(mpmath.tanh(center + t) - mpmath.polyval(known[::-1], t)) / t**degree for t in steps]
    weights = [abs(t) ** degree / mpmath.tanh(center + t) for t in steps]
    found = minimax(values, weights, steps, TANH_TERMS - degree)
    error = max(abs(e) for e in residual(values, weights, steps, found))
    print(
        f"tanh {float(low):6.3f} to {float(high):6.3f}   error 2**{float(mpmath.log(error, 2)):.1f}"
    )
    return [center, *known, *(rounded(c, "float") for c in found)]


def nearly_exact(function, low, high):
    """A float near the middle where the function is all but a float."""
    middle, best = rounded((low + high) / 2, "float"), None
    for step in range(-200, 201):
        x = rounded(middle + (high - low) * step / 4000, "float")
        error = abs(rounded(function(x), "float") / function(x) - 1)
        if best is None or error < best[0]:
            best = error, x
    return best[1]


# The logarithm in power: log(x) = k log(2) - log(c) + log(1 + r), r = c m - 1 exactly. The first
# mantissa's distance below 1 in pieces (of the octave below), the pieces of an octave, the digits
# of c at least, and the digits after the point of what joins multiples of log(2) unrounded.
LOG_TABLE = {"float": (18, 32, 6, 16), "double": (8, 16, 5, 42)}


def log_start(kind: str) -> int:
    """The bits of the first mantissa: 1 lies in the middle of a piece."""
    below, pieces, _, _ = LOG_TABLE[kind]
    bias = 127 if kind == "float" else 1023
    step = (1 << DIGITS[kind]) // pieces
    return (bias << DIGITS[kind]) - below * step - 2 * step // 3


def log_pieces(kind: str) -> list[tuple[float, ...]]:
    """Columns of c and of the parts of -log(c)."""
    below, pieces, digits, exact = LOG_TABLE[kind]
    rows, widest = [], mpf(0)
    for piece in range(pieces):
        at = [mpf(piece - below + k) / pieces - mpf(2) / (3 * pieces) for k in (0, 1)]
        low, high = (1 + p if p >= 0 else (2 + p) / 2 for p in at)
        inverse = short_inverse(low, high, digits)
        widest = max(widest, abs(low * inverse - 1), abs(high * inverse - 1))
        logarithm = -mpmath.log(inverse)
        lead = mpmath.nint(mpmath.ldexp(logarithm, exact)) / mpf(2) ** exact
        rows.append((inverse, lead, rounded(logarithm - lead, kind) if lead else mpf(0)))
    print(f"log {kind:7} {pieces} pieces   abs(r) <= {float(widest):.5f}")
    return [tuple(float(row[k]) for row in rows) for k in range(3)]


def short_inverse(low, high, digits: int):
    """About 1 / m for m from low to high, with so few digits that r is exact.

    With `digits` after the point (one less above 1) that is where abs(r) < 2**(1 - digits). What
    counts is r**3, whose rounding error is the first not to be carried, against the logarithm.
    """
    if low < 1 < high:
        return mpf(1)
    middle, best = 2 / (low + high), None
    for places in range(digits, digits + 4):
        unit = mpf(2) ** -(places if middle < 1 else places - 1)
        for step in range(-1, 3):
            c = (mpmath.floor(middle / unit) + step) * unit
            widest = max(abs(low * c - 1), abs(high * c - 1))
            error = max(abs(m * c - 1) ** 3 / abs(mpmath.log(m)) for m in (low, high))
            if widest < mpf(2) ** (1 - places) and (best is None or error < best[0]):
                best = error, c
    return best[1]


def column_text(column: tuple[float, ...]) -> str:
    numbers = textwrap.fill(", ".join(map(repr, column)), 84).replace("\n", "\n" + " " * 12)
    return f"        (\n            {numbers},\n        ),"


def main() -> None:
    lines = [
        HEADER,
        "\n# fmt: off",
        "\n# Centers, and coefficients of powers of the distance to them",
    ]
    lines += ["TANH = {", '    "float": (', *map(column_text, tanh_pieces()), "    ),", "}"]
    lines += [f'TANH_INDEX = {{"float": ({float(TANH_SCALE)!r}, {float(TANH_OFFSET)!r}, 21)}}']
    lines += ["\n# c and the two parts of -log(c)", "LOG = {"]
    for kind in LOG_TABLE:
        lines += [f'    "{kind}": (', *map(column_text, log_pieces(kind)), "    ),"]
    lines += ["}", "# The bits of the least mantissa, and the shift that leaves the index"]
    shifts = {kind: DIGITS[kind] + 1 - row[1].bit_length() for kind, row in LOG_TABLE.items()}
    lines += ["LOG_INDEX = {"]
    lines += [f'    "{k}": (0x{log_start(k):X}, {shift}),' for k, shift in shifts.items()]
    lines += ["}", "# log(2): few enough digits for exact multiples, and the rest", "LOG_TWO = {"]
    for kind, (*_, exact) in LOG_TABLE.items():
        lead = mpmath.nint(mpmath.ldexp(mpmath.log(2), exact)) / mpf(2) ** exact
        rest = rounded(mpmath.log(2) - lead, kind)
        lines.append(f'    "{kind}": ({float(lead)!r}, {float(rest)!r}),')
    lines += ["}"]
    TARGET.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
