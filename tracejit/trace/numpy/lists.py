"""Calls such as `np.max([x, y])`: no protocol looks for traced values inside a list, so hooks do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..registry import CREATIONS, FUNCTIONS
from ..unruled import apply_function
from .arguments import is_traced


def _chooser(function: Any) -> Callable[..., Any]:
    """NumPy's own function, unless there is a traced value among the arguments or inside one."""

    def call(*args: Any, **kwargs: Any) -> Any:
        traced = is_traced(args) or is_traced(tuple(kwargs.values()))
        return apply_function(function, args, kwargs) if traced else function(*args, **kwargs)

    return call


def hook_functions() -> None:
    """Let every function of the tables see traced values in lists; ufuncs stay the objects they are."""
    for function in FUNCTIONS:
        if not isinstance(function, np.ufunc):
            CREATIONS.setdefault(function, _chooser(function))
