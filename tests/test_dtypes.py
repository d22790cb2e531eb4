"""dtype by dtype: compiled functions give NumPy's dtypes and values, special ones included."""

from __future__ import annotations

import itertools
import operator
import warnings

import numpy as np
import pytest
from samples import (
    COMPLEX_INEXACT,
    EITHER_ZERO,
    ELEMENTARY,
    EXHAUSTIVE,
    compare,
    fits,
    ordinary,
    specials,
)

from tracejit import jit
from tracejit.ir.op import OPS
from tracejit.ir.types import DTYPES, to_dtype

NAMES = [str(dtype.numpy) for dtype in DTYPES.values()]
UFUNCS = [
    ufunc
    for ufunc in dict.fromkeys(getattr(np, op.name, None) for op in OPS.values())
    if isinstance(ufunc, np.ufunc)
]
UFUNCS += [np.divmod, np.frexp, np.modf]
UNARY = [ufunc for ufunc in UFUNCS if ufunc.nin == 1]
BINARY = [ufunc for ufunc in UFUNCS if ufunc.nin == 2]
OPERATORS = [
    operator.add, operator.sub, operator.mul, operator.truediv, operator.floordiv, operator.mod,
    operator.pow, operator.and_, operator.or_, operator.xor, operator.lshift, operator.rshift,
    operator.lt, operator.le, operator.gt, operator.ge, operator.eq, operator.ne, divmod,
]  # fmt: skip


@pytest.fixture(autouse=True)
def quietly():
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        yield


def accepted(calls, *arguments):
    """The calls that NumPy takes these arguments in."""
    found = []
    for call in calls:
        try:
            call(*arguments)
        except (TypeError, ValueError, OverflowError, ZeroDivisionError):
            continue
        found.append(call)
    return found


def flattened(results):
    for result in results:
        yield from result if isinstance(result, tuple) else (result,)


def check_calls(calls, *arguments):
    """All calls in one compiled function; each result as NumPy has it."""

    def program(*values):
        return tuple([call(*values) for call in calls])

    wanted = program(*arguments)
    actual = jit(program)(*arguments)
    for call, got, want in zip(calls, actual, wanted):
        name = getattr(call, "__name__", str(call))
        for one, other in zip(flattened([got]), flattened([want])):
            context = f"{name}({', '.join(map(describe, arguments))})"
            assert isinstance(one, np.generic) == isinstance(other, np.generic), context
            exact = wider(call, arguments) if other.dtype.kind == "c" else None
            compare(one, other, allowed(name, other), context, exact, name in EITHER_ZERO)


def wider(ufunc, arguments):
    """What a ufunc gives for complex arrays with more digits: NumPy's own may lose some."""
    wide = {"complex64": np.complex128, "complex128": np.clongdouble}
    if isinstance(ufunc, np.ufunc) and all(str(getattr(x, "dtype", "")) in wide for x in arguments):
        return ufunc(*[x.astype(wide[str(x.dtype)]) for x in arguments])
    return None


def describe(value):
    return f"{value.dtype}{list(value.shape)}" if isinstance(value, np.ndarray) else repr(value)


def allowed(name, result):
    """ULP between two right answers."""
    if result.dtype.kind == "c":
        # Errors grow with the exponent, of which the largest here is 300.
        return 2000 if name in ("power", "pow", "float_power") else 16
    inexact = name in ELEMENTARY | {"pow"} or result.dtype.kind == "f" and name in COMPLEX_INEXACT
    return 4 if inexact and result.dtype.kind == "f" else 0


def moderate(dtype, count=5):
    """A few numbers of a dtype that are neither special nor large."""
    dtype = np.dtype(dtype)
    numbers = np.array([2, 1, 3, 0, 5, 4, 7][:count])
    return numbers.astype(dtype)


@pytest.mark.parametrize("left", NAMES)
def test_promotion_of_arrays(left):
    first = NAMES.index(left)
    # Each two dtypes in one order or the other.
    for right in NAMES if EXHAUSTIVE else [*NAMES, *NAMES][first : first + len(NAMES) // 2 + 1]:
        x, y = moderate(left), moderate(right)[::-1].copy()
        check_calls(accepted(BINARY, x, y), x, y)


@pytest.mark.parametrize("dtype", NAMES)
@pytest.mark.parametrize("number", [True, 3, -2, 2.5, 1 + 2j, 300], ids=repr)
def test_promotion_of_python_numbers(dtype, number):
    x = moderate(dtype)
    for calls in (
        [lambda x, f=f: f(x, number) for f in OPERATORS],
        [lambda x, f=f: f(number, x) for f in OPERATORS],
    ):
        for call, f in zip(calls, OPERATORS):
            call.__name__ = f.__name__
        check_calls(accepted(calls, x), x)


@pytest.mark.parametrize("dtype", NAMES)
def test_promotion_of_numpy_scalars(dtype):
    x = moderate(dtype, 3)
    others = ("bool", "int8", "uint64", "float16", "float32", "complex64")
    for other in others if EXHAUSTIVE else others[NAMES.index(dtype) % 2 :: 2]:
        y = np.dtype(other).type(1)
        check_calls(accepted(OPERATORS, x, y), x, y)
        check_calls(accepted(OPERATORS, y, x), y, x)
        check_calls(accepted(OPERATORS, x[0], y), x[0], y)


@pytest.mark.parametrize("dtype", NAMES)
def test_unary_ufuncs(dtype):
    x = specials(to_dtype(dtype))
    check_calls(accepted(UNARY, x), x)
    check_calls(accepted(UNARY, x[1:2].reshape(())), x[1:2].reshape(()))
    check_calls(accepted(UNARY, x[:0]), x[:0])


@pytest.mark.parametrize("source", NAMES)
def test_casts(source):
    rng = np.random.default_rng(1)
    values = np.concatenate([specials(to_dtype(source)), ordinary(to_dtype(source), 60, rng)])
    for target in NAMES:
        x = values
        if values.dtype.kind in "fc" and to_dtype(target).is_integer:
            x = values[fits(values.real, to_dtype(target))]
        check_calls([lambda x, target=target: x.astype(target)], x)


@pytest.mark.parametrize("dtype", [name for name in NAMES if "int" in name])
def test_integers_wrap(dtype):
    limits = np.iinfo(dtype)
    edge = [limits.min, limits.max, limits.min + 1, limits.max - 1, 0, 1, 2, limits.max // 2]
    pairs = np.array(list(itertools.product(edge, edge)), dtype)
    x, y = pairs[:, 0].copy(), pairs[:, 1].copy()
    wrapping = [np.add, np.subtract, np.multiply, np.floor_divide, np.remainder, np.fmod, np.divmod]
    wrapping += [np.left_shift, np.right_shift, np.gcd, np.lcm, np.divide]
    check_calls(wrapping, x, y)
    check_calls([np.negative, np.absolute, np.square, np.sign, np.invert], x)
    check_calls([np.power], x, np.arange(len(x)).astype(dtype) % 70)
    check_calls([np.sum, np.prod, np.cumsum, np.cumprod, np.max, np.min], x)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_division_and_power_of_special_numbers(dtype):
    every = specials(to_dtype(dtype))
    pairs = np.array(list(itertools.product(every, every)))
    x, y = pairs[:, 0].copy(), pairs[:, 1].copy()
    exact = [np.divide, np.floor_divide, np.remainder, np.fmod, np.divmod, np.copysign]
    exact += [np.nextafter, np.heaviside, np.logical_xor, np.less, np.maximum, np.fmin]
    check_calls(exact, x, y)
    check_calls([np.power, np.hypot, np.arctan2, np.logaddexp], x, y)


@pytest.mark.parametrize("exponent", [2, 1, 0, -1, 0.5, -0.5, 3, -2, 2.0, 1 / 3], ids=repr)
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "complex128", "int32", "bool"])
def test_powers_of_python_numbers(dtype, exponent):
    x = moderate(dtype) if "complex" in dtype else specials(to_dtype(dtype))

    def pow(x):  # its name says how exact it must be
        return x**exponent

    check_calls(accepted([pow], x), x)


@pytest.mark.parametrize("dtype", NAMES)
def test_a_python_int_that_changes(dtype):
    """It becomes an input of the program; every call gives what NumPy gives, errors included."""
    x = moderate(dtype)
    for function in (
        lambda x, n: x + n,
        lambda x, n: x**n,
        lambda x, n: (x < n, n - x, x * (n * n)),
    ):
        compiled = jit(function)
        for n in (1, 2, 3, 0, -1, 5, 100, 300, -2):
            try:
                wanted = function(x, n)
            except (ValueError, OverflowError) as error:
                with pytest.raises(type(error)):
                    compiled(x, n)
                continue
            except TypeError:
                break
            pairs = zip(flattened([compiled(x, n)]), flattened([wanted]), strict=True)
            for one, other in pairs:
                compare(one, other, allowed("pow", other), f"{dtype} with {n}")


@pytest.mark.parametrize("size", [1, 3, 8, 100, 200_000])
def test_negative_powers_of_integers_raise(size):
    """Also from inside vector and parallel loops; the function stays usable."""
    power = jit(lambda x, n: x**n)
    x, n = np.arange(size) % 7, np.arange(size) % 5
    np.testing.assert_array_equal(power(x, n), x**n)
    bad = n.copy()
    bad[size // 2] = -1
    with pytest.raises(ValueError, match="negative integer powers"):
        power(x, bad)
    np.testing.assert_array_equal(power(x, n), x**n)
