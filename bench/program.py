"""A piece of work written once in NumPy, with what each peer needs to run its best form of it."""

import functools
import types
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

TOLERANCE = {"float32": 2e-5, "float64": 1e-12}


@dataclass(frozen=True)
class Program:
    """`function` is the plain NumPy program; peers run its source with `np` bound to their own module.

    `inputs(elements, dtype, generator)` makes the arguments for arrays of about `elements` elements.
    `loop` is the explicit loop that Numba compiles (its `prange` is bound to Numba's); without one, an
    elementwise loop is made around `function`. What it `sweeps` must be read whole before the first result is
    known, and then again; if it `picks`, it reads its first argument at the places that the others list. `numexpr` is the expression for numexpr, over the parameters' names.
    """

    name: str
    function: Callable[..., Any]
    inputs: Callable[[int, np.dtype, np.random.Generator], tuple]
    loop: Callable[..., Any] | None = None
    numexpr: str = ""
    outputs: int = 1
    sweeps: bool = False
    picks: bool = False


def rebind(function: Callable, **names: Any) -> Callable:
    """The same code with some of its global names bound to other things: `np` to `jax.numpy`, say."""
    # The copy of the code matters to torch.compile, which keeps what it compiled on the code object.
    return types.FunctionType(
        function.__code__.replace(),
        {**function.__globals__, **names},
        function.__name__,
        function.__defaults__,
        function.__closure__,
    )


def with_constants(function: Callable, dtype: np.dtype) -> Callable:
    """The same code with its float constants of type `dtype`, as a Numba user writes it to stay in float32."""
    convert = np.dtype(dtype).type
    constants = tuple(
        convert(value) if isinstance(value, float) else value
        for value in function.__code__.co_consts
    )
    return types.FunctionType(
        function.__code__.replace(co_consts=constants), function.__globals__, function.__name__
    )


@functools.cache
def elementwise_loop(arguments: tuple[bool, ...], outputs: int) -> Callable:
    """A loop that applies `body` to every element; `arguments` tells which parameters are arrays."""
    names = [f"a{index}" for index in range(len(arguments))]
    first = names[arguments.index(True)]
    elements = ", ".join(f"{n}[i]" if is_array else n for n, is_array in zip(names, arguments))
    results = [f"r{index}" for index in range(outputs)]
    lines = [f"def loop({', '.join(names)}):"]
    lines += [f"    {result} = np.empty_like({first})" for result in results]
    lines += [f"    for i in prange({first}.size):"]
    lines += [f"        {', '.join(f'{result}[i]' for result in results)} = body({elements})"]
    lines += [f"    return {', '.join(results)}"]
    namespace: dict[str, Any] = {"np": np}
    exec("\n".join(lines), namespace)  # noqa: S102  our own text
    return namespace["loop"]
