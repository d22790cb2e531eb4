"""`numerics`: roundings and orders that a contract allows, special values as ever, visible in the text."""

from __future__ import annotations

import itertools
import pickle
from fractions import Fraction
from typing import NamedTuple

import numpy as np
import pytest
from golden import expect
from hypothesis import given
from hypothesis import strategies as st
from programs import examples
from samples import assert_same_bits, specials

import tracejit
from tracejit.config import Config, config
from tracejit.ir.fused import fused_multiply_add
from tracejit.ir.types import f32, f64
from tracejit.ir.verify import Stage
from tracejit.lower.graph.rounding import contract
from tracejit.lower.tensor.relax import relax

RNG = np.random.default_rng(5)
FLOATS = [f32, f64]
SQUARE, ROW = np.ones((3, 5)), np.ones((3, 1))


def fast(function, **options):
    return tracejit.jit(function, numerics="fast", **options)


def kernel_text(function, *arguments, numerics="fast"):
    """What the kernels do, without their heads and loops."""
    module = tracejit.jit(function, numerics=numerics).lower(*arguments).stages[Stage.LOOPS]
    shown = [tracejit.show(k) for k in module.functions if k is not module.entry]
    lines = [line.strip() for text in shown for line in text.splitlines()]
    return "\n".join(l for l in lines if l and not l.startswith(("@", "def ", "for ")))


# What becomes what.


def test_products_and_sums_become_one_operation():
    x = np.ones(7)
    expect(
        kernel_text(lambda a, b, c: (a * b + c, a - b * c, c * a - b, b * b - 0.5), x, x, x),
        """
        out0[i0] = fma(a0[i0], a1[i0], a2[i0])
        out0[i0] = fma(-a1[i0], a2[i0], a0[i0])
        out0[i0] = fma(a0[i0], a1[i0], -a2[i0])
        out0[i0] = fma(a0[i0], a0[i0], -0.5)
        """,
    )


def test_a_product_that_is_read_twice_is_rounded():
    x = np.ones(7)
    for function in (lambda a, b: a * b - a * b, lambda a, b: (a * b + 1, np.sqrt(a * b))):
        assert "fma" not in kernel_text(function, x, x)


def test_division_by_what_a_loop_leaves_alone():
    expect(
        kernel_text(lambda x, s: x / s, SQUARE, ROW),
        """
        out0[i0, i1] = a0[i0, i1] * (1.0 / a1[i0])
        """,
    )
    expect(
        kernel_text(lambda x, t: x / t + 1 / x, SQUARE, 2.5),
        """
        out0[i0] = fma(a0[i0], 1.0 / a1[()], 1.0 / a0[i0])
        """,
    )
    expect(
        kernel_text(lambda x: x / 3 - x / 1e-310, SQUARE),
        """
        out0[i0] = fma(a0[i0], 0.3333333333333333, -(a0[i0] / 1e-310))
        """,
    )
    expect(
        kernel_text(lambda x, y: x / y + x / y[0], SQUARE, SQUARE),
        """
        out0[i0, i1] = a0[i0, i1] / a1[i0, i1] + a0[i0, i1] / a1[0, i1]
        """,
    )


@pytest.mark.parametrize("numerics", ["default", "fast"])
def test_small_powers(numerics):
    expect(
        kernel_text(lambda x: (x**3.0, x**4.0, x**5.0, x**6.0), SQUARE, numerics=numerics),
        """
        out0[i0] = square(a0[i0]) * a0[i0]
        v0 = square(square(a0[i0]))
        out1[i0] = v0
        out2[i0] = v0 * a0[i0]
        out0[i0] = power(a0[i0], 6.0)
        """,
    )


@pytest.mark.parametrize("exponent", [3, 4, 5])
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_small_powers_round_at_each_product(exponent, dtype):
    tiny, huge = np.finfo(dtype).tiny, np.finfo(dtype).max
    x = np.random.default_rng(0).normal(size=50_000).astype(dtype)
    x = np.concatenate([x, x * 1e-2, x * 1e5, np.arange(-30, 30).astype(dtype)])
    edges = [0.0, -0.0, np.inf, -np.inf, np.nan, tiny, -tiny, huge, -huge, tiny / 4]
    roots = [huge ** (1 / exponent) * f for f in (0.999, 1.001, -0.999, -1.001)]
    compiled = tracejit.jit(lambda x: x**exponent)
    exact = x.astype(np.longdouble) ** exponent
    error = np.abs(compiled(x) - exact) / np.spacing(np.abs(exact).astype(dtype))
    assert error.max() <= exponent - 1
    with np.errstate(all="ignore"):
        x = np.array([*edges, *roots], dtype)
        wanted = x**exponent
        np.testing.assert_allclose(compiled(x), wanted, rtol=4 * np.finfo(dtype).eps)
        np.testing.assert_array_equal(np.signbit(compiled(x)), np.signbit(wanted))


def test_strict_rounds_as_numpy_does():
    for function in (lambda x, s: x * x + s, lambda x, s: x / s, lambda x, s: x**3.0 / 3):
        plain, relaxed = [
            kernel_text(function, SQUARE, ROW, numerics=n) for n in ("strict", "fast")
        ]
        assert plain != relaxed and "fma" not in plain and "square" not in plain


def test_by_default_sums_with_one_product_become_one_operation():
    x = np.ones(7)
    expect(
        kernel_text(
            lambda a, b, c: (a * b + c, c + b * b, a + b * c * 0.5, a * c - 0.5, 1 - c * c),
            x,
            x,
            x,
            numerics="default",
        ),
        """
        out0[i0] = fma(a0[i0], a1[i0], a2[i0])
        out0[i0] = fma(a0[i0], a0[i0], a1[i0])
        out0[i0] = fma(a0[i0] * a1[i0], 0.5, a2[i0])
        out0[i0] = fma(a0[i0], a1[i0], -0.5)
        out0[i0] = fma(-a0[i0], a0[i0], 1.0)
        """,
    )


def test_what_a_short_loop_leaves_alone_is_fused_with_its_product_there():
    def step(s, dt):
        a = s + dt * np.array([s[1], -s[0], s[2] - s[1]])
        return np.array([a[0] * a[1], a[2], a[1]])

    program = tracejit.jit(step).lower(np.ones(3), np.float64(0.5))
    assert "+ dt" not in str(program) and "+ a1[()] *" not in str(program)
    assert str(program).count("fma(") >= 3


def test_by_default_what_may_cancel_exactly_is_left_alone():
    functions = [
        lambda a, b: (a * b - a, a - a * b),
        lambda a, b: (a * a + b * b, a * a - b * b, -(a * a) + b * b, a * b + -(a * a)),
        lambda a, b: (a / ROW, a**7.0, a / 3),
    ]
    for function in functions:
        texts = [kernel_text(function, SQUARE, SQUARE, numerics=n) for n in ("strict", "default")]
        assert texts[0] == texts[1]


def test_by_default_nothing_changes_below_what_decides():
    functions = [
        lambda a, b: np.where(a * b + 1 > 0, a, b),
        lambda a, b: np.sqrt(a * b + 1) + np.floor(a + a * b),
        lambda a, b: (a * b + 1).astype(int),
        lambda a, b: np.isnan(a * b + 1) | np.signbit(a * b + 2),
        lambda a, b: a[(b[0] * b[1] + 1).astype(int) % 3],
    ]
    for function in functions:
        texts = [kernel_text(function, SQUARE, SQUARE, numerics=n) for n in ("strict", "default")]
        assert texts[0] == texts[1]
    assert "fma" in kernel_text(lambda a, b: np.exp(a * b + 1), SQUARE, SQUARE, numerics="default")


def halved(x, n):
    """A loop in which a number decides how often another runs."""
    for _ in range(n):
        x = x * 3.0 + 0.1
        while x > 1.0:
            x = x * 0.25 + 0.1
    return x


def chosen(x, n):
    total = 0.0
    for _ in range(n):
        x = x * 0.7 + 0.2
        if x < 0.6:
            total = total * 0.5 + x
    return total


def stopped(x, n):
    for _ in range(n):
        x = x * 1.1 + 0.2
        if x > 10.0:
            break
    return x


def stepped(x, n):
    for _ in range(n):
        x = x * 0.7 + 0.2
    return x


@pytest.mark.parametrize("function", [halved, chosen, stopped], ids=lambda f: f.__name__)
def test_by_default_loops_in_which_numbers_decide_are_exact(function):
    compiled = tracejit.jit(function)
    assert "fma" not in str(compiled.lower(0.3, 100).stages[Stage.LOOPS])
    assert "fma" not in str(tracejit.parse(str(compiled.lower(0.3, 100).module)))
    for x in RNG.random(20):
        assert compiled(float(x), 100) == function(float(x), 100)


def test_by_default_other_loops_round_less_often():
    compiled = tracejit.jit(stepped)
    assert "fma" in str(compiled.lower(0.3, 100).module)
    np.testing.assert_allclose(compiled(0.3, 100), stepped(0.3, 100), rtol=1e-15)


def test_by_default_a_lowered_program_keeps_its_roundings():
    module = tracejit.jit(stepped, numerics="strict").lower(0.3, 100).module
    assert contract(module) is module
    assert tracejit.build(module)(0.3) == stepped(0.3, 100)


@pytest.mark.parametrize("dtype", ["int64", "uint8", "float16", "complex128", "bool"])
def test_other_dtypes_stay_as_they_are(dtype):
    x, s = SQUARE.astype(dtype), ROW.astype(dtype)
    for function in (lambda x, s: x * x + s, lambda x, s: s // (x + 1) if dtype == "int64" else s):
        assert kernel_text(function, x, s) == kernel_text(function, x, s, numerics="strict")


def test_where_a_load_reads_does_not_depend_on_a_rounding():
    module = tracejit.parse(
        """
@kernel
def gathered(x: f64[8], y: f64[8], *, out: f64[8]):
    for i in range(0, 8):
        out[i] = x[minimum(maximum(i64(y[i] * y[i] + 0.5), 0), 7)] * y[i] + 1.0
"""
    )
    expect(
        tracejit.show(relax(module)),
        """
        @kernel
        def gathered(x: f64[8], y: f64[8], *, out: f64[8]):
            for i in range(0, 8):
                out[i] = fma(x[minimum(maximum(i64(y[i] * y[i] + 0.5), 0), 7)], y[i], 1.0)
        """,
    )


# Values.


class Bounded(NamedTuple):
    """Exact values beside a bound of the error that stepwise rounding may have made of them.

    Every operation rounds once, a quotient twice and a fourth power three times. `unit` is the
    largest relative error of one rounding.
    """

    exact: np.ndarray
    error: np.ndarray
    unit: float

    def rounded(self, exact, inherited, times=1):
        error = inherited + times * self.unit * (np.abs(exact) + inherited) * 1.001
        return Bounded(exact, error, self.unit)

    def __add__(self, other):
        return self.rounded(self.exact + other.exact, self.error + other.error)

    def __sub__(self, other):
        return self.rounded(self.exact - other.exact, self.error + other.error)

    def __mul__(self, other):
        spread = np.abs(self.exact) * other.error + np.abs(other.exact) * self.error
        return self.rounded(self.exact * other.exact, spread + self.error * other.error)

    def __truediv__(self, other):
        quotient = self.exact / other.exact
        spread = self.error + np.abs(quotient) * other.error
        return self.rounded(quotient, spread / (np.abs(other.exact) - other.error), times=2)

    def __pow__(self, exponent):
        squared = self * self
        return squared * self if exponent == 3 else squared * squared


DIVISORS = ["s", "t", "c", "1.7", "3.0"]


@st.composite
def expressions(draw, depth=5):
    """An expression in arrays `x`, `y`, a column `s`, a row `c` and a scalar `t`, as text."""
    if depth == 0 or draw(st.integers(0, 5)) == 0:
        return draw(st.sampled_from(["x", "y", "s", "c", "t", "0.3", "1.25", "x", "y"]))
    one = draw(expressions(depth - 1))
    form = draw(st.sampled_from(["sum", "sum", "product", "product", "quotient", "power"]))
    if form == "quotient":
        return f"({one} / {draw(st.sampled_from(DIVISORS))})"
    if form == "power":
        return f"(({one}) ** {draw(st.sampled_from(['3.0', '4.0']))})"
    operator = draw(st.sampled_from("+-")) if form == "sum" else "*"
    return f"({one} {operator} {draw(expressions(depth - 1))})"


def evaluate(text, values):
    """The text with its constants taken from `values` too."""
    numbers = {f"k{n}": number for n, number in enumerate(["0.3", "1.25", "1.7"])}
    for name, number in numbers.items():
        text = text.replace(number, name)
    return eval(text.replace("/ 3.0", "/ three"), dict(values))


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
@pytest.mark.parametrize("numerics", ["default", "fast"])
@examples(30)
@given(text=expressions())
def test_the_error_is_that_of_one_rounding_an_operation(numerics, dtype, text):
    numpy, wide = dtype.numpy.type, np.longdouble
    shapes = {"x": (6, 37), "y": (6, 37), "s": (6, 1), "c": (1, 37), "t": ()}
    drawn = {
        name: np.asarray(RNG.uniform(0.4, 1.6, shape), numpy)[()] for name, shape in shapes.items()
    }
    constants = {"k0": 0.3, "k1": 1.25, "k2": 1.7, "three": 3.0}
    unit = float(np.finfo(numpy).eps) / 2
    bounded = {
        name: Bounded(np.asarray(numpy(v), wide), np.zeros((), wide), unit)
        for name, v in (drawn | constants).items()
    }
    names = ", ".join(drawn)
    scope: dict = {}
    exec(f"def f({names}):\n    return {text} + 0 * x", scope)
    function = tracejit.jit(scope["f"], numerics=numerics)
    lowered = function.lower(*drawn.values()).module
    result = function(*drawn.values())
    wanted = evaluate(text, bounded)
    assert result.dtype == numpy
    assert np.all(np.abs(result - wanted.exact) <= wanted.error), text
    again = tracejit.reference(lowered, *[np.asarray(v) for v in drawn.values()])
    assert np.all(np.abs(again - wanted.exact) <= wanted.error), text
    assert tracejit.parse(tracejit.show(lowered)) is lowered


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
def test_special_values_of_products_and_sums(dtype):
    """As exact arithmetic rounded once says, in native code and in the reference."""
    chosen = specials(dtype)
    a, b, c = [np.array(column) for column in zip(*itertools.product(chosen, repeat=3))]

    def function(a, b, c):
        return a * b + c, a - b * c

    compiled = fast(function)
    with np.errstate(all="ignore"):
        wanted = tracejit.reference(compiled.lower(a, b, c).module, a, b, c)
        plain = function(a, b, c)
    for result, once, twice, x, y in zip(compiled(a, b, c), wanted, plain, (a, b), (b, c)):
        assert_same_bits(result, once)
        # Where the product is not out of range, nan, inf and signs are NumPy's.
        with np.errstate(all="ignore"):
            normal = np.isfinite(x * y) & (np.abs(x * y) > np.finfo(dtype.numpy).tiny)
        kept = normal & (twice != 0) | np.isinf(x) | np.isinf(y) | (x == 0) | (y == 0)
        assert_same_kind(result[kept], twice[kept])


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
def test_special_values_of_quotients(dtype):
    """Wherever the reciprocal of the divisor is zero, infinite by its meaning, or a normal number."""
    tiny = float(np.finfo(dtype.numpy).tiny)
    x = np.array([0.0, -0.0, 1.0, -1.0, 3.5, np.inf, -np.inf, np.nan], dtype.numpy)
    for s in (0.0, -0.0, np.inf, -np.inf, np.nan, 3.0, tiny, -tiny, -1e30):
        column = np.full((8, 1), s, dtype.numpy)
        for function in (lambda x, s: x / s[0, 0], lambda x, s: x / s, lambda x, _: x / s):
            with np.errstate(all="ignore"):
                wanted = function(x, column)
            assert_alike(fast(function)(x, column), wanted, dtype)


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
def test_special_values_of_powers(dtype):
    x = specials(dtype)
    for function in (lambda x: x**3.0, lambda x: x**4.0):
        with np.errstate(all="ignore"):
            wanted = function(x)
        assert_alike(fast(function)(x), wanted, dtype)


def assert_alike(result, wanted, dtype):
    """nan, inf, zeros and signs are the same, and the digits but for the last few."""
    info = np.finfo(dtype.numpy)
    np.testing.assert_allclose(result, wanted, rtol=4 * info.eps, atol=info.smallest_subnormal)
    assert_same_kind(result, wanted)


def assert_same_kind(result, wanted):
    """nan, inf and signs are the same."""
    for is_kind in (np.isnan, np.isinf, lambda x: np.isnan(x) | np.signbit(x)):
        np.testing.assert_array_equal(is_kind(result), is_kind(wanted))


def test_comparisons_keep_their_meaning():
    x = np.array([np.nan, np.inf, -0.0, 0.0, 1.0])

    def function(x, t):
        return x == x, np.isnan(x * 2 + t), np.signbit(x), (x - x) == 0, np.isinf(x / t)

    with np.errstate(all="ignore"):
        expected = function(x, 0.5)
    for result, wanted in zip(fast(function)(x, 0.5), expected):
        np.testing.assert_array_equal(result, wanted)


def test_by_default_expressions_that_cancel_exactly_cancel():
    x, y = RNG.random((2, 40, 9))
    functions = [
        lambda x, y: x * x - y * y,
        lambda x, y: x * y - y * x,
        lambda x, y: np.mean(x * y, axis=1) - np.mean(y * x, axis=1),
        lambda x, y: x[0] * y[0] + x[0] * -y[0],
    ]
    for function in functions:
        assert not np.any(tracejit.jit(function)(x, x if function is functions[0] else y))


# How it is asked for.


THIRD = np.full(5, 1 / 3)


def rounds_less(function, x=THIRD):
    """Whether `x * x - fl(x * x)` shows the rounding error of the product."""
    return bool(np.any(function(x, x * x)))


def residual(x, p):
    return x * x - p


def test_options_do_not_share_code():
    plain, relaxed = tracejit.jit(residual), tracejit.jit(residual, numerics="fast")
    for _ in range(2):
        assert not rounds_less(plain) and rounds_less(relaxed)
    assert rounds_less(relaxed.lower(THIRD, THIRD).compile())
    assert not rounds_less(plain.lower(THIRD, THIRD).compile())


def test_the_outermost_function_decides():
    plain, relaxed = tracejit.jit(residual), tracejit.jit(residual, numerics="fast")
    assert not rounds_less(tracejit.jit(lambda x, p: relaxed(x, p)))
    assert rounds_less(tracejit.jit(lambda x, p: plain(x, p), numerics="fast"))


def test_the_variable_is_the_default_of_functions_made_under_it():
    before = tracejit.jit(residual)
    with config.use(numerics="fast"):
        inside, refused = tracejit.jit(residual), tracejit.jit(residual, numerics="strict")
        assert rounds_less(inside) and not rounds_less(refused) and not rounds_less(before)
    assert rounds_less(inside) and not rounds_less(tracejit.jit(residual))


def test_it_survives_pickling_and_decorating_with_options():
    decorated = tracejit.jit(numerics="fast")(residual)
    assert rounds_less(decorated) and rounds_less(pickle.loads(pickle.dumps(decorated)))


def test_what_it_may_be():
    with pytest.raises(ValueError, match="'strict', 'default' or 'fast', not 'precise'"):
        tracejit.jit(residual, numerics="precise")
    with pytest.raises(ValueError, match="TRACEJIT_NUMERICS='quick' is not understood"):
        Config({"TRACEJIT_NUMERICS": "quick"})
    assert Config({"TRACEJIT_NUMERICS": "strict"}).numerics == "strict"


def test_build_takes_it():
    module = tracejit.jit(residual).trace(THIRD, THIRD).module
    assert rounds_less(tracejit.build(module, numerics="fast"))
    assert not rounds_less(tracejit.build(module))


def test_sizes_that_change():
    relaxed = fast(lambda x, s: (x * x + s) / s[:, :1])
    for n in (3, 4, 5, 6, 9):
        x, s = RNG.random((n, n + 40)), RNG.random((n, n + 40)) + 1
        np.testing.assert_allclose(relaxed(x, s), (x * x + s) / s[:, :1], rtol=1e-15)


# One value is one number, wherever it is computed.

SEARCHES = [
    lambda x, y, z: np.argmin(x * y + z, axis=1),
    lambda x, y, z: np.argmax(x * y + z, axis=1)[:, None] == np.arange(x.shape[1]),
    lambda x, y, z: np.count_nonzero(x * y + z == np.max(x * y + z, axis=1, keepdims=True), axis=1),
    lambda x, y, z: np.argmax(x * y - z, axis=0),
    lambda x, y, z: np.argmin(x / z[:, :1] + y, axis=1),
    lambda x, y, z: np.argmin(x**3.0 / 3 - y, axis=1),
    lambda x, y, z: np.argmax((x * y + z) ** 2 + x),
]


@pytest.mark.parametrize("numerics", ["default", "fast"])
@pytest.mark.parametrize("width", [2, 9, 40, 300])
@pytest.mark.parametrize("number", range(len(SEARCHES)))
def test_an_extreme_is_found_where_it_is(number, width, numerics):
    function = SEARCHES[number]
    x, y, z = RNG.uniform(0.5, 2.0, (3, 200, width))
    found = tracejit.jit(function, numerics=numerics)(x, y, z)
    np.testing.assert_array_equal(found, function(x, y, z))


def test_an_extreme_is_found_by_another_kernel():
    """The first distance is stored by one, the least searched by another that computes it anew."""

    def means(points):
        centres = points[:3].copy()
        for _ in range(10):
            nearest = ((points[:, None] - centres) ** 2).sum(-1).argmin(1)
            centres = np.array(
                [
                    points[nearest == j].mean(0) if (nearest == j).any() else centres[j]
                    for j in range(3)
                ]
            )
        return centres, nearest

    points = np.random.default_rng(3).random((20, 2))
    found, wanted = tracejit.jit(means, numerics="fast")(points), means(points)
    np.testing.assert_array_equal(found[1], wanted[1])
    np.testing.assert_allclose(found[0], wanted[0])


@pytest.mark.parametrize("shape", [(400, 7), (20, 3000), (5, 70000)])
def test_by_default_nothing_is_beyond_the_extreme(shape):
    def below(x, y, z):
        value = x * y + z
        top = np.max(value, axis=1, keepdims=True)
        return np.sqrt(top - value), np.max(value) - value[::-1]

    found = tracejit.jit(below)(*RNG.normal(size=(3, *shape)))
    assert all(np.all(each >= 0) for each in found)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_reference_rounds_once(dtype):
    rng = np.random.default_rng(3)
    sizes = np.concatenate([np.zeros(3), 2.0 ** rng.integers(-30, 30, 300), [1e-30, 1e30, 1e-44]])
    a, b, c = [(rng.choice(sizes, 3000) * rng.uniform(-2, 2, 3000)).astype(dtype) for _ in "abc"]
    with np.errstate(over="ignore"):
        c[::3] = -(a * b)[::3]  # what is left is the error of the product
    found = fused_multiply_add(a, b, c)
    is_finite = np.isfinite(found) & np.isfinite(c)
    assert np.count_nonzero(is_finite) > 2900
    for number, x, y, z in zip(*[each[is_finite] for each in (found, a, b, c)]):
        exact = Fraction(float(x)) * Fraction(float(y)) + Fraction(float(z))
        near = [np.nextafter(number, dtype(end)) for end in (-np.inf, np.inf)]
        error = abs(Fraction(float(number)) - exact)
        assert all(error <= abs(Fraction(float(n)) - exact) for n in near if np.isfinite(n))
