"""sin, cos and tan of angles too large to subtract multiples of pi from: Payne and Hanek's method.

Of x * 2/pi only the last two whole bits and the fraction matter. With x = mantissa * 2**e, the bits
of 2/pi worth 4 or more after scaling by 2**e are left out, the next 192 multiplied by the mantissa,
and what falls off at either end does not count: the two top bits are the quadrant, the others the
fraction to 137 bits, 75 of which remain at the double nearest to a multiple of pi/2. It runs out of
line, one lane after another, in code that all programs share.
"""

from __future__ import annotations

from tracejit.lower.llvm.builder import Module
from tracejit.lower.llvm.math.arithmetic import Number
from tracejit.lower.llvm.math.coefficients import TWO_OVER_PI
from tracejit.lower.llvm.math.library import each_lane, loop_text

# TWO_OVER_PI is floor(2/pi * 2**1216); zeros follow, because 32 bytes are read at a time.
TABLE_BYTES = 176

REDUCE = """\
define internal {{ double, double, i64 }} @large.reduce(double %x) nounwind noinline {{
  %bits = bitcast double %x to i64
  %digits = and i64 %bits, 4503599627370495
  %mantissa = or i64 %digits, 4503599627370496
  %shifted = lshr i64 %bits, 52
  %biased = and i64 %shifted, 2047
  ; 1026 - e, where e = biased - 1075: the first bit of the table that counts
  %distance = sub i64 2101, %biased
  %start = lshr i64 %distance, 3
  %at = getelementptr i8, ptr @large.table, i64 %start
  %window = load i256, ptr %at, align 1
  %within = and i64 %distance, 7
  %by = zext i64 %within to i256
  %aligned = lshr i256 %window, %by
  %factor = trunc i256 %aligned to i192
  %wide = zext i64 %mantissa to i192
  %product = mul i192 %factor, %wide
  ; to the nearest quadrant: the fraction becomes signed
  %rounded = add i192 %product, 784637716923335095479473677900958302012794430558004314112
  %high = lshr i192 %rounded, 190
  %quadrant = trunc i192 %high to i64
  %fraction = shl i192 %product, 2
  %minus = icmp slt i192 %fraction, 0
  %size = call i192 @llvm.abs.i192(i192 %fraction, i1 false)
  %zeros = call i192 @llvm.ctlz.i192(i192 %size, i1 false)
  %full = shl i192 %size, %zeros
  %top = lshr i192 %full, 128
  %top128 = trunc i192 %top to i128
  ; times pi/2 * 2**63
  %angle = mul i128 %top128, 14488038916154245685
  %angle_high = lshr i128 %angle, 64
  %angle64 = trunc i128 %angle_high to i64
  %number = uitofp i64 %angle64 to double
  %zeros64 = trunc i192 %zeros to i64
  %exponent = sub i64 960, %zeros64
  %scale_bits = shl i64 %exponent, 52
  %scale = bitcast i64 %scale_bits to double
  %positive = fmul double %number, %scale
  %negative = fneg double %positive
  %r = select i1 %minus, double %negative, double %positive
  ; what the conversion rounded off
  %whole = fptoui double %number to i64
  %rest64 = sub i64 %angle64, %whole
  %rest_number = sitofp i64 %rest64 to double
  %rest_scaled = fmul double %rest_number, %scale
  %rest_negative = fneg double %rest_scaled
  %rest = select i1 %minus, double %rest_negative, double %rest_scaled
  %first = insertvalue {{ double, double, i64 }} poison, double %r, 0
  %second = insertvalue {{ double, double, i64 }} %first, double %rest, 1
  %all = insertvalue {{ double, double, i64 }} %second, i64 %quadrant, 2
  ret {{ double, double, i64 }} %all
}}"""

# {name} of abs(x), from the sine and cosine (or tangent) of what is left.
PREPARE = """\
define double @large.{name}(double %signed) nounwind noinline {{
  %x = call double @llvm.fabs.f64(double %signed)
  %all = call {{ double, double, i64 }} @large.reduce(double %x)
  %r = extractvalue {{ double, double, i64 }} %all, 0
  %rest = extractvalue {{ double, double, i64 }} %all, 1
  %quadrant = extractvalue {{ double, double, i64 }} %all, 2
  %odd_bit = and i64 %quadrant, 1
  %odd = icmp ne i64 %odd_bit, 0
"""
FINISH = """\
  %endless = fcmp oeq double %x, 0x7FF0000000000000
  %result = select i1 %endless, double 0x7FF8000000000000, double %value
  ret double %result
}}"""
# The sine turns negative in the quadrants 2 and 3 (and for negative x), the cosine in 1 and 2.
SIN_COS = """\
  %sine = call double @sin(double %r)
  %cosine = call double @cos(double %r)
  %size = select i1 %odd, double {odd}, double {even}
  %turned = add i64 %quadrant, {turn}
  %half = lshr i64 %turned, 1
  %sign = shl i64 %half, 63
  %bits = bitcast double %size to i64
  %flipped = xor i64 %bits, %sign
"""
SIN_END = """\
  %outer = bitcast double %signed to i64
  %outer_sign = and i64 %outer, -9223372036854775808
  %final = xor i64 %flipped, %outer_sign
  %value = bitcast i64 %final to double
"""
COS_END = """\
  %value = bitcast i64 %flipped to double
"""
TAN = """\
  %main = call double @tan(double %r)
  %slope = call double @llvm.fma.f64(double %main, double %main, double 1.0)
  %low = fmul double %rest, %slope
  %tangent = fadd double %main, %low
  ; -1 / (main + low), once improved
  %near = fdiv double -1.0, %main
  %missing = call double @llvm.fma.f64(double %near, double %main, double 1.0)
  %missing_all = call double @llvm.fma.f64(double %near, double %low, double %missing)
  %inverse = call double @llvm.fma.f64(double %near, double %missing_all, double %near)
  %size = select i1 %odd, double %inverse, double %tangent
  %opposite = fneg double %size
  %below = fcmp olt double %signed, 0.0
  %value = select i1 %below, double %opposite, double %size
"""
BODIES = {
    "sin": SIN_COS.format(odd="%cosine", even="%sine", turn=0) + SIN_END,
    "cos": SIN_COS.format(odd="%sine", even="%cosine", turn=1) + COS_END,
    "tan": TAN,
}
NARROW = """\
define float @large.{name}f(float %x) nounwind noinline {{
  %wide = fpext float %x to double
  %result = call double @large.{name}(double %wide)
  %narrow = fptrunc double %result to float
  ret float %narrow
}}"""


def large_angle(name: str, x: Number) -> Number:
    """sin, cos or tan of every lane; lanes below 1 are not accurate."""
    return each_lane(f"large.{name}", x, shared=True)


EXPORTS = tuple(
    [
        f"{prefix}large.{name}{end}"
        for name in BODIES
        for end in ("", "f")
        for prefix in ("", "each.")
    ]
)


def shared_text() -> str:
    """The LLVM IR of all these functions: compiled once, whatever needs them."""
    table = TWO_OVER_PI.to_bytes(TABLE_BYTES, "little")
    escaped = "".join(f"\\{byte:02X}" for byte in table)
    module = Module()
    for symbol in ("sin", "cos", "tan"):
        module.declare("double", symbol, ["double"])
    module.declare("double", "llvm.fabs.f64", ["double"])
    module.declare("double", "llvm.fma.f64", ["double"] * 3)
    for symbol in ("llvm.abs.i192", "llvm.ctlz.i192"):
        module.declare("i192", symbol, ["i192", "i1"])
    module.definitions += [
        f'@large.table = internal constant [{TABLE_BYTES} x i8] c"{escaped}"',
        REDUCE.format(),
    ]
    for name, body in BODIES.items():
        module.definitions += [
            PREPARE.format(name=name) + body + FINISH.format(),
            NARROW.format(name=name),
            "define " + loop_text(f"large.{name}", "double", 1),
            "define " + loop_text(f"large.{name}f", "float", 1),
        ]
    return module.text()
