"""NumPy's namespace, which is that of the Python array API standard: under `jit` its functions trace.

Elsewhere it is NumPy. A traced array gives it as `x.__array_namespace__()`.
"""

from typing import Any

import numpy as _numpy

from .trace.context import current_trace as _current_trace


def __getattr__(name: str) -> Any:
    value = getattr(_numpy, name)
    trace = _current_trace()
    return value if trace is None else trace.hook(value)


def __dir__() -> list[str]:
    return dir(_numpy)
