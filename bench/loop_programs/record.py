"""A program of loops and branches as plain NumPy text, with the forms that experts write for the peers."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class LoopProgram:
    """`function` is the text anyone would write; only `@jit` is added to it.

    `inputs(size, generator)` makes the arguments, at `size` for the benchmark and at `small` for tests; a Python
    int among them is a constant. `numba` is the loop an expert compiles with Numba (its `prange` is bound to
    Numba's), or None where that is `function` as it stands. `jax` is the expert's program for JAX, with `jax`,
    `jnp` and `lax` bound to JAX's, to which all integers are static. Results agree to `tolerance`, relative to
    the largest value; where that is 0 they are the same bits. The first argument is read, and one as large written, in
    `passes`.
    """

    name: str
    function: Callable[..., Any]
    inputs: Callable[[int, np.random.Generator], tuple]
    size: int
    small: int
    jax: Callable[..., Any]
    numba: Callable[..., Any] | None = None
    tolerance: float = 0.0
    passes: int = 0

    def arguments(self, size: int) -> tuple:
        return self.inputs(size, np.random.default_rng(1))
