"""Elementwise programs and single functions, at sizes that live in the L2 cache, the L3 cache and memory."""

from collections.abc import Callable, Iterator

import numpy as np

from ..harness import Case
from ..program import Program
from .arrays import Settings, array_cases

try:
    from scipy.special import erf
except ImportError:
    erf = None


def triad(a, x, y):
    return a * x + y


def trigonometry(x, y):
    return np.sin(x) ** 2.0 + np.cos(x) ** 2.0 * np.exp(-y)


def black_scholes(spot, strike, years, rate, volatility):
    """European call and put; Hull, Options, Futures and Other Derivatives, chapter 15."""
    root = volatility * np.sqrt(years)
    d1 = (np.log(spot / strike) + (rate + 0.5 * volatility * volatility) * years) / root
    d2 = d1 - root
    cdf1 = 0.5 + 0.5 * erf(d1 * 0.7071067811865476)
    cdf2 = 0.5 + 0.5 * erf(d2 * 0.7071067811865476)
    present = strike * np.exp(-rate * years)
    call = spot * cdf1 - present * cdf2
    return call, call - spot + present


def horner(x):
    """A polynomial of degree 10 by Horner's scheme."""
    y = x * 0.1 + 0.2
    y = y * x - 0.3
    y = y * x + 0.4
    y = y * x - 0.5
    y = y * x + 0.6
    y = y * x - 0.7
    y = y * x + 0.8
    y = y * x - 0.9
    y = y * x + 1.0
    return y * x - 1.1


def log(x):
    return np.log(x)


def exp(x):
    return np.exp(x)


def tanh(x):
    return np.tanh(x)


def power(x, y):
    return np.power(x, y)


def _uniform(low: float, high: float, count: int = 1) -> Callable[..., tuple]:
    def inputs(elements: int, dtype: np.dtype, generator: np.random.Generator) -> tuple:
        return tuple(generator.uniform(low, high, elements).astype(dtype) for _ in range(count))

    return inputs


def _triad_inputs(elements: int, dtype: np.dtype, generator: np.random.Generator) -> tuple:
    return (dtype.type(1.5), *_uniform(-1.0, 1.0, 2)(elements, dtype, generator))


def _option_inputs(elements: int, dtype: np.dtype, generator: np.random.Generator) -> tuple:
    columns = ((80.0, 120.0), (80.0, 120.0), (0.25, 2.0))
    drawn = (generator.uniform(low, high, elements).astype(dtype) for low, high in columns)
    return (*drawn, dtype.type(0.03), dtype.type(0.25))


EVERY_PROGRAM = (
    Program("a*x + y", triad, _triad_inputs, numexpr="a*x + y"),
    Program(
        "sin(x)² + cos(x)²·exp(-y)",
        trigonometry,
        _uniform(-3.0, 3.0, 2),
        numexpr="sin(x)**2 + cos(x)**2*exp(-y)",
    ),
    Program("Black-Scholes", black_scholes, _option_inputs, outputs=2),
    Program(
        "Horner, degree 10",
        horner,
        _uniform(-1.0, 1.0),
        numexpr="((((((((((0.1*x+0.2)*x-0.3)*x+0.4)*x-0.5)*x+0.6)*x-0.7)*x+0.8)*x-0.9)*x+1.0)*x-1.1)",
    ),
    Program("log(x)", log, _uniform(0.01, 100.0), numexpr="log(x)"),
    Program("exp(x)", exp, _uniform(-10.0, 10.0), numexpr="exp(x)"),
    Program("tanh(x)", tanh, _uniform(-4.0, 4.0), numexpr="tanh(x)"),
    Program("power(x, y)", power, _uniform(0.1, 4.0, 2), numexpr="x**y"),
)


# Without SciPy there is no erf for NumPy, and nothing to compare with.
PROGRAMS = [program for program in EVERY_PROGRAM if erf or program.function is not black_scholes]


def cases(settings: Settings) -> Iterator[Case]:
    """Every elementwise program at every size and dtype."""
    return array_cases("elementwise", PROGRAMS, settings)
