"""`print` in traced code: the program prints when it runs, what it then has, as often as Python would.

Text is made of values while the program runs, so that of `print(f"loss {loss:.3f}")` the form and
the values are handed on, each for itself. Other text, of which more may be asked than to be
printed, is NumPy's affair.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ...errors import NotNumbers
from ...ir.dims import Dim
from ..context import current_trace, failure
from ..host import Callee, call_through_python, no_result
from ..registry import creates
from ..tree import flatten
from ..value import Value

_PRINTABLE = (type(None), str, bytes, bool, int, float, complex, np.generic, type, np.dtype)


class Text(NamedTuple):
    """Text that is to be printed: `form % operands`, or `form.format(*operands, **named)`."""

    is_percent: bool
    form: str
    operands: Any
    named: dict[str, Any]

    def made(self) -> str:
        if self.is_percent:
            return self.form % self.operands
        return self.form.format(*self.operands, **self.named)


def text(
    function: Callable[..., Any], is_percent: bool, form: str, operands: Any, named: dict[str, Any]
) -> Any:
    """Text that `function` is called with: of traced values, only for `print`."""
    found = Text(is_percent, form, operands, named)
    is_traced = any(isinstance(leaf, Value | Dim) for leaf in flatten((operands, named))[0])
    is_printed = getattr(function, "__wrapped__", None) is print and current_trace() is not None
    return found if is_traced and is_printed else found.made()


@creates(print)
def printed(*values: Any, **options: Any) -> None:
    """`print`, by the program; with fallback="error" it is done while tracing."""
    trace = current_trace()
    assert trace is not None
    leaves = [trace.unhook(leaf) for leaf in flatten((values, options))[0]]
    is_traced = any(isinstance(leaf, Value | Dim) for leaf in leaves)
    if not is_traced and not trace.calls_python:
        print(*values, **options)
        return
    if not all(isinstance(leaf, (*_PRINTABLE, Value, Dim)) for leaf in leaves):
        raise failure(
            NotNumbers, "what is printed is neither array nor number nor text", "return it"
        )
    call_through_python(_PRINT, values, options)


def _print(*values: Any, **options: Any) -> None:
    print(*[v.made() if isinstance(v, Text) else v for v in values], **options)


_PRINT = Callee("print", lambda objects: _print, has_effects=True, trial=no_result)
