"""Division by a constant, rounded as a division rounds, in two operations.

Let 1 / c be h + l but for a small error, h its leading digits rounded toward zero and l the next ones. Then
`fma(x, h, x * l)` rounds x / c once, but for an error of about 2^-p of the last place. It rounds to the same
number as x / c unless the quotient lies that near to the midpoint of two numbers, which of p digits
only very few x do: x 2^s - c m = j for an odd m and a small odd j, one x for each j. These are tried, and
where one of them fails, an l that is a last place away serves most often (Brisebarre, Muller and
Raina, "Accelerating correctly rounded floating-point division when the divisor is known in advance",
2004). l has the sign of h, so zeros keep their sign and infinities stay. Where x * l is below the normal
numbers it has too few digits; there, in lanes that are rare, one divides.
"""

from __future__ import annotations

from functools import cache
from math import copysign, frexp, isfinite, ldexp

from tracejit.lower.llvm.math.arithmetic import FORMATS, Number, fma, where_any

# How far from the next digits of 1 / c, in their last place, `l` is looked for.
STEPS = (0, 1, -1, 2)


def divide_by(x: Number, divisor: float) -> Number | None:
    """x / divisor, bit for bit; None where two operations may not give it."""
    parts = inverse(divisor, x.kind)
    if parts is None:
        return None
    high, low, least = parts
    common = fma(x, high, x * low)
    # Twice the bits are without the sign; less one, those of zero are the largest of all.
    is_small = ~((x.bits << 1) - 1).not_below(x.constant(least).bits << 1)
    return where_any(is_small, common, lambda: x / divisor)


@cache
def inverse(divisor: float, kind: str) -> tuple[float, float, float] | None:
    """(h, l, the least |x| for which they serve), if there are such."""
    numbers = FORMATS[kind]
    digits = numbers.digits + 1
    fraction, exponent = frexp(abs(divisor))
    # Powers of two are multiplied by; far from the ends of the range nothing here is out of it.
    if not isfinite(divisor) or fraction in (0.0, 0.5) or abs(exponent) > numbers.bias - 3 * digits:
        return None
    parts = _parts(int(ldexp(fraction, digits)), digits)
    if parts is None:
        return None
    shift = digits - exponent - _scale(digits)
    high, low = [ldexp(copysign(part, divisor), shift) for part in parts]
    return high, low, 2 * numbers.smallest_normal / abs(low)


def _scale(digits: int) -> int:
    """Of how many binary places a reciprocal is taken to be a whole number."""
    return 4 * digits + 8


def _parts(divisor: int, digits: int) -> tuple[int, int] | None:
    """The two parts of 2^scale / divisor that divide by it all numbers of so many digits."""
    high = _cut(2 ** _scale(digits) // divisor, digits)
    rest = (2 ** _scale(digits) - high * divisor) // divisor
    low, place = _cut(rest, digits), 2 ** (rest.bit_length() - digits)
    tried = [low + step * place for step in STEPS]
    return next(((high, low) for low in tried if _divides(high, low, divisor, digits)), None)


def _divides(high: int, low: int, divisor: int, digits: int) -> bool:
    """Whether the numbers whose quotients are nearest to a midpoint are divided as all others are."""
    scale = _scale(digits)
    # The error before the last rounding, of 2^digits / divisor at the most, times the divisor.
    error = abs((high + low) * divisor - 2**scale) << digits
    error += divisor << ((low << digits).bit_length() - digits - 1)
    twos = (divisor & -divisor).bit_length() - 1
    odd, all_, half = divisor >> twos, 2**digits, 2 ** (digits - 1)
    for places, first, end in ((digits, divisor, all_), (digits + 1, half, divisor)):
        inverse_of_places = pow(2 ** (places - twos), -1, odd)
        nearest = ((error << places >> scale) + 1) >> twos
        for j in [j for size in range(1, nearest + 1, 2) for j in (size, -size)]:
            least = first + (j * inverse_of_places - first) % odd
            for x in range(least, end, odd):
                quotient = _nearest(x * high + _nearest(x * low, digits), digits)
                # No quotient is a midpoint: what is cut off is as good as one digit more.
                if quotient != _nearest((x << scale) // divisor | 1, digits):
                    return False
    return True


def _cut(number: int, digits: int) -> int:
    """Its leading digits."""
    places = number.bit_length() - digits
    return number >> places << places


def _nearest(number: int, digits: int) -> int:
    """It rounded to so many digits, to even in the middle."""
    places = number.bit_length() - digits
    if places <= 0:
        return number
    whole, rest, middle = number >> places, number & (2**places - 1), 2 ** (places - 1)
    up = rest > middle or rest == middle and whole & 1
    return (whole + up) << places
