"""power: exp(y log x), the logarithm carried to enough digits beyond the format."""

from __future__ import annotations

from tracejit.lower.llvm.math import coefficients, table_values
from tracejit.lower.llvm.math.arithmetic import (
    INF,
    NAN,
    Number,
    fma,
    horner_in_two,
    intrinsic,
    is_nan,
    scale_by_exponent,
    select,
    where_any,
)
from tracejit.lower.llvm.math.exponential import (
    NORMAL_LIMIT,
    OVERFLOW,
    reduce_by_octaves,
    scale_far,
)
from tracejit.lower.llvm.math.logarithm import exceptional, subnormal_bits
from tracejit.lower.llvm.math.tables import lookup


def wide_log(x: Number, bits: Number) -> tuple[Number, Number]:
    """log(x) as an unevaluated sum, about 2**-34 (float) or 2**-62 (double) relative.

    x = 2**k m and log(x) = k log(2) - log(c) + log(1 + r) with c ~ 1 / m from a table, so short
    that r = c m - 1 is exact, as is k log(2) - log(c) to as many digits as the first parts have.
    """
    kind = x.kind
    start, shift = table_values.LOG_INDEX[kind]
    from_start = bits - start
    index, k = from_start >> shift, from_start >> x.format.digits
    inverse, lead, lead_rest = (lookup(index, column, kind) for column in table_values.LOG[kind])
    m, k_number = x.from_bits(bits - (k << x.format.digits)), x.converted(k)
    r = fma(m, inverse, -1.0)
    octave, octave_rest = table_values.LOG_TWO[kind]
    base = fma(k_number, octave, lead)
    high = base + r
    rest = fma(k_number, octave_rest, lead_rest) + ((base - high) + r)
    tail = horner_in_two(r, coefficients.POWER_LOG[kind])
    half = r * -0.5
    higher = fma(r, half, high)
    rest = rest + fma(r, half, high - higher)
    return higher, fma(r * r * r, tail, rest)


def power(x: Number, y: Number) -> Number:
    kind = x.kind
    special = exceptional(x)
    bits = where_any(special, x.bits, lambda: subnormal_bits(abs(x)))
    log, log_rest = wide_log(x, bits)
    e = lead = y * log
    e_rest = fma(y, log_rest, fma(y, log, -lead))
    if kind == "double":
        # In float the rest is at most 0.02, and the polynomial reaches that far.
        e = lead + e_rest
        e_rest = (lead - e) + e_rest
    _, f, octaves = reduce_by_octaves(e, e_rest)
    p = fma(fma(horner_in_two(f, coefficients.EXP[kind]), f, 1.0), f, 1.0)

    def rare() -> Number:
        far = abs(lead) > 1.5 * OVERFLOW[kind]
        extreme = select(lead > 0.0, INF, x.constant(0.0))
        result = select(far, extreme, scale_far(p, octaves))
        return exceptional_power(x, y, result)

    mask = special | abs(e).not_below(NORMAL_LIMIT[kind])
    return where_any(mask, scale_by_exponent(p, octaves), rare)


def exceptional_power(x: Number, y: Number, result: Number) -> Number:
    """C99's rules for zero, negative, infinite and NaN operands; `result` is abs(x)**y."""
    base, magnitude = abs(x), abs(y)
    shrinks = (y < 0.0) ^ (base < 1.0)
    extreme = (magnitude == INF) | (base == 0.0) | (base == INF)
    result = select(extreme, select(shrinks, 0.0, x.constant(INF)), result)
    integral = intrinsic("trunc", y) == y
    half = y * 0.5
    odd = integral & (intrinsic("trunc", half) != half)
    negative = x.bits < 0
    result = select(negative & odd, -result, result)
    result = select((x < 0.0) & ~integral & (base != INF), NAN, result)
    result = select(is_nan(x) | is_nan(y), NAN, result)
    one = (y == 0.0) | (x == 1.0) | ((x == -1.0) & (magnitude == INF))
    return select(one, 1.0, result)
