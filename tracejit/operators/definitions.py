"""`op`: say how something is computed, and call it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..trace.context import current_trace
from .foreign_arrays import Argument
from .layouts import Layouts
from .makers import make, name_of, to_options
from .operator import Operator
from .products import Product, is_product


def op(
    definition: Any = None,
    *,
    name: str = "",
    type: Any = None,
    element: int | None = None,
    python: bool = False,
    symbol: str = "",
    arguments: Sequence[Argument] | None = None,
    thread_safe: bool = False,
    layouts: Layouts | None = None,
    reference: Callable[..., Any] | None = None,
    samples: Callable[..., Any] | None = None,
) -> Any:
    """An operator: a function of arrays that is one node of its own name in jitted programs.

    Outside of these it is computed by its definition, with NumPy. A definition is

    a function              over NumPy's, traced where it is called; what it computes fuses
    a function, `element`   of so many indices, then operands, which are called with indices: what
                            the element there is. `element` is the number of the result's axes
    text with `@kernel`     a loop nest, as `tracejit.show` writes them
    a C function            of ctypes or cffi, `(path, symbol)` of a shared library, a SciPy
                            LowLevelCallable, a Numba cfunc or njit function. One of numbers is
                            applied to all elements; a list of such has one for each dtype
    LLVM IR                 as text or bitcode, inlined where it is arithmetic; `symbol` is the
                            function meant, where there are several
    a function, `python`    called through Python, with real arrays

    Floats and arrays are operands. What keyword-only parameters are given, and ints, bools,
    strings and None, is known while tracing, and part of the program.

    name         what programs call it; where that is taken, `name_2`, `name_3`, ...
    type         of the results where it cannot be found, and checked where it can: a signature such
                 as "f64, f64 -> f64", "(n,k),(k,m)->(n,m)", "f32(n) -> f32(n-1)", or a function
                 that is called with the operands' types and gives a type, `(shape, dtype)`, or a
                 list of these
    arguments    what a C function of arrays takes: numbers of operands and results, names of extents
    thread_safe  several threads may call the C function at once; else loops that call it stay on one
    layouts      for each operand and result None, or in which order of memory the definition wants
                 it, such as "n m -> m/8 n m%8" for blocks of eight columns; `type` is then that of
                 what the definition sees
    reference    what it is outside of programs, and what they are compared with, instead of the
                 definition
    samples      `samples(dtype)` gives pairs of operand types and attributes, for the law tests

    `op(np.dot)`, and the other functions that multiply matrices, give an operator whose products can
    be computed "generated" or by a "library".

    >>> @tracejit.op
    ... def gelu(x):
    ...     return 0.5 * x * (1 + np.tanh(0.7978845608 * (x + 0.044715 * x**3)))
    """
    given = {
        "type": type, "element": element, "python": python, "symbol": symbol,
        "arguments": arguments, "thread_safe": thread_safe,
        "layouts": layouts,
    }  # fmt: skip
    if definition is None:
        others = {"name": name, "reference": reference, "samples": samples}
        return lambda found: op(found, **given, **others)
    trace = current_trace()
    if trace is not None:
        definition = trace.unhook(definition)
    if is_product(definition):
        return Product(definition)
    name = name or name_of(definition, symbol)
    options = to_options(**given)
    rule = options.type if layouts is None else None
    return Operator(name, make(name, definition, options), rule, reference, samples)
