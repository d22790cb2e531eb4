"""A NumPy program whose kernels are counted: how many there should be, and what it is run on."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass(frozen=True)
class FusedProgram:
    """`function` is the text that NumPy's users write. `inputs(draw, n)` makes its arguments of about `n` elements.

    It becomes at most `kernels` kernels. Where these are more than one, or move more than the arguments and the results,
    `because` says what keeps them apart. `tolerance` is how far results may be from NumPy's, relative to the largest;
    JAX runs it too where it `is_pure`: it writes to no array. It `has_specials` where what becomes of nan and of infinities is
    told by arithmetic, not by a transform.
    """

    name: str
    function: Callable[..., Any]
    inputs: Callable[["Draw", int], tuple]
    kernels: int = 1
    because: str = ""
    tolerance: float = 2e-5
    is_pure: bool = True
    has_specials: bool = True

    def arguments(self, n: int) -> tuple:
        return self.inputs(Draw(), n)


@dataclass
class Draw:
    """Random arguments, the same in every run."""

    generator: np.random.Generator = field(default_factory=lambda: np.random.default_rng(7))

    def normal(self, *shape: int, dtype: str = "f4") -> np.ndarray:
        return self.generator.standard_normal(shape, "f8").astype(dtype)

    def uniform(self, *shape: int, low: float = 0.0, dtype: str = "f4") -> np.ndarray:
        return self.generator.uniform(low, 1.0, shape).astype(dtype)

    def integers(self, high: int, *shape: int) -> np.ndarray:
        return self.generator.integers(0, high, shape)

    def flags(self, *shape: int, part: float = 0.9) -> np.ndarray:
        return self.generator.random(shape) < part


def square(n: int, multiple: int = 8) -> int:
    """The side of a square of about `n` elements."""
    return max(int(n**0.5) // multiple, 1) * multiple
