"""Every elementary function alone, in the L2 cache; times are per element."""

from collections.abc import Iterator

import numpy as np

from ..harness import Case
from ..peers import SPECIAL
from ..program import Program
from .arrays import LEVELS, Settings, array_cases

try:
    from scipy import special
except ImportError:
    special = None

# Where the arguments lie, and how numexpr writes the function.
ONE_ARGUMENT = {
    "exp": ((-5, 5), "exp(x)"),
    "exp2": ((-5, 5), ""),
    "expm1": ((-5, 5), "expm1(x)"),
    "log": ((0.01, 20), "log(x)"),
    "log2": ((0.01, 20), ""),
    "log10": ((0.01, 20), "log10(x)"),
    "log1p": ((0.01, 20), "log1p(x)"),
    "sin": ((-5, 5), "sin(x)"),
    "cos": ((-5, 5), "cos(x)"),
    "tan": ((-5, 5), "tan(x)"),
    "sinh": ((-5, 5), "sinh(x)"),
    "cosh": ((-5, 5), "cosh(x)"),
    "tanh": ((-5, 5), "tanh(x)"),
    "arcsin": ((-1, 1), "arcsin(x)"),
    "arccos": ((-1, 1), "arccos(x)"),
    "arctan": ((-5, 5), "arctan(x)"),
    "arcsinh": ((-5, 5), "arcsinh(x)"),
    "arccosh": ((1, 20), "arccosh(x)"),
    "arctanh": ((-1, 1), "arctanh(x)"),
    "sqrt": ((0.01, 20), "sqrt(x)"),
    "cbrt": ((-5, 5), ""),
    "erf": ((-5, 5), ""),
    "erfc": ((-5, 5), ""),
    "sinc": ((-5, 5), ""),
}
TWO_ARGUMENTS = {
    "arctan2": ((-5, 5), "arctan2(x, y)"),
    "power": ((0.01, 20), "x**y"),
    "hypot": ((-5, 5), ""),
    "nextafter": ((-5, 5), ""),
    "copysign": ((-5, 5), ""),
    "heaviside": ((-5, 5), ""),
    "maximum": ((-5, 5), ""),
    "minimum": ((-5, 5), ""),
    "fmax": ((-5, 5), ""),
    "fmin": ((-5, 5), ""),
    "fmod": ((-5, 5), "fmod(x, y)"),
    "remainder": ((-5, 5), ""),
    "floor_divide": ((-5, 5), ""),
    "logaddexp": ((-5, 5), ""),
    "logaddexp2": ((-5, 5), ""),
}


def program(name: str, parameters: tuple[str, ...], domain: tuple, numexpr: str) -> Program:
    """`name` of NumPy or, if it is special, of SciPy, the second argument in -8 to 8."""
    listed = ", ".join(parameters)
    namespace = {"np": np, **{each: getattr(special, each, None) for each in SPECIAL}}
    callee = name if name in SPECIAL else f"np.{name}"
    exec(f"def call({listed}):\n    return {callee}({listed})", namespace)  # noqa: S102  our text

    def inputs(elements: int, dtype: np.dtype, generator: np.random.Generator) -> tuple:
        ranges = (domain, (-8, 8))[: len(parameters)]
        return tuple(generator.uniform(*ends, elements).astype(dtype) for ends in ranges)

    return Program(name, namespace["call"], inputs, numexpr=numexpr)


def programs() -> list[Program]:
    """Those of SciPy only where it is installed: there is nothing else to compare with."""
    made = [program(name, ("x",), *row) for name, row in ONE_ARGUMENT.items()]
    made += [program(name, ("x", "y"), *row) for name, row in TWO_ARGUMENTS.items()]
    return [each for each in made if special or each.name not in SPECIAL]


def cases(settings: Settings) -> Iterator[Case]:
    """Each function at one size in both dtypes, its times divided by the number of elements."""
    levels = {"L2": LEVELS["L2"]}
    for case in array_cases("math", programs(), settings, levels):
        elements = levels["L2"] // np.dtype(case.dtype).itemsize
        for variant in case.variants:
            variant.calls = elements
        case.size, case.bytes = "L2, per element", case.bytes // elements
        yield case
