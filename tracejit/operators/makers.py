"""What a definition is, by what kind of thing it is: the way to compute an operator that it says."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from .elements import ElementFunction
from .foreign_arrays import Argument, ForeignArrays
from .foreign_scalars import ForeignScalars, Loop
from .host import HostCall
from .implementation import Implementation
from .kernels import KernelText
from .layouts import LaidOut, Layouts
from .signature import Signature
from .symbols import Symbol, is_numba_function, symbol_of
from .traced import TracedFunction


class Options(NamedTuple):
    """What is said about a definition; `op` says what each option means."""

    type: Callable[..., Any] | Signature | None = None
    element: int | None = None
    python: bool = False
    symbol: str = ""
    arguments: Sequence[Argument] | None = None
    thread_safe: bool = False
    layouts: Layouts | None = None


def to_options(type: Any, **others: Any) -> Options:
    """Options, with a signature where the type is text."""
    return Options(Signature(type) if isinstance(type, str) else type, **others)


def make(name: str, definition: Any, options: Options) -> Implementation:
    """The implementation that a definition says. Raises TypeError for what is none."""
    if options.layouts is not None:
        inner = make(name, definition, options._replace(layouts=None))
        return LaidOut(name, inner, options.layouts)
    if options.python:
        return HostCall(name, _callable(name, definition), options.type)
    if options.element is not None:
        return ElementFunction(name, _callable(name, definition), options.element, options.type)
    if _is_kernel(definition):
        return KernelText(name, definition)
    if is_numba_function(definition):
        return ForeignScalars.by_numba(name, definition)
    listed = definition if isinstance(definition, list) else [definition]
    symbols = [found for one in listed if (found := symbol_of(one, options.symbol)) is not None]
    if len(symbols) == len(listed) and symbols:
        return _foreign(name, symbols, options)
    return TracedFunction(name, _callable(name, definition))


def name_of(definition: Any, symbol: str = "") -> str:
    """What an operator is called that is given no name."""
    first = definition[0] if isinstance(definition, list) and definition else definition
    if _is_kernel(first):
        defined = re.findall(r"^def (\w+)\(", first, re.MULTILINE)
        return defined[-1] if defined else "op"
    own = getattr(first, "__name__", None)
    if own is None and not callable(first):
        found = symbol_of(first, symbol)
        own = found.name if found is not None else None
    return own or "op"


def _is_kernel(definition: Any) -> bool:
    return isinstance(definition, str) and "@kernel" in definition


def _foreign(name: str, symbols: list[Symbol], options: Options) -> Implementation:
    signature = options.type if isinstance(options.type, Signature) else None
    if signature is None or not signature.has_axes:
        return ForeignScalars(
            name, [Loop(name, s, signature, options.thread_safe) for s in symbols]
        )
    if len(symbols) > 1:
        raise TypeError(f"op {name}: a function of arrays is one function")
    (symbol,) = symbols
    return ForeignArrays(name, symbol, signature, options.arguments, options.thread_safe)


def _callable(name: str, definition: Any) -> Callable[..., Any]:
    if not callable(definition):
        raise TypeError(
            f"op {name}: {definition!r:.60} is no definition: give a function, a C function, LLVM IR "
            "or the text of a kernel"
        )
    return definition
