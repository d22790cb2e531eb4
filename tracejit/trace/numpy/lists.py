"""Lists: `np.max([x, y])`, where no protocol looks for traced values, so hooks do; and `x.tolist()`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..registry import CREATIONS, FUNCTIONS, implements
from ..unread import may_fail, note
from ..unruled import apply_function, method_without_rule
from ..value import Value, known_value, node_of
from .arguments import is_traced


@implements(method="tolist")
def tolist(a):
    """`x.tolist()`: plain numbers where they are known while tracing, which may then be sizes."""
    known = known_value(node_of(a))
    return method_without_rule("tolist")(a) if known is None else np.asarray(known).tolist()


def _chooser(function: Any) -> Callable[..., Any]:
    """NumPy's own function, unless there is a traced value among the arguments or inside one."""

    def call(*args: Any, **kwargs: Any) -> Any:
        args = tuple([a.for_numpy() if hasattr(type(a), "for_numpy") else a for a in args])
        traced = is_traced(args) or is_traced(tuple(kwargs.values()))
        if not traced:
            return function(*args, **kwargs)
        result = apply_function(function, args, kwargs)
        first = result[0] if isinstance(result, tuple) and result else result
        if may_fail(function) and isinstance(first, Value):
            note(first.owner, node_of(first))
        return result

    return call


def hook_functions() -> None:
    """Let every function of the tables see traced values in lists; ufuncs stay the objects they are."""
    for function in FUNCTIONS:
        if not isinstance(function, np.ufunc):
            CREATIONS.setdefault(function, _chooser(function))
