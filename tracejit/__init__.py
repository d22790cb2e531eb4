"""tracejit: a tracing array compiler for the NumPy code you already have.

>>> import numpy as np, tracejit
>>> @tracejit.jit
... def f(x, y):
...     return np.exp(-x * x) + y.sum(axis=0)
"""

from typing import Any

from .config import config
from .deferred import module as _module
from .errors import (
    CompileError,
    IRError,
    ShapeError,
    TraceError,
    TracejitError,
    UnsupportedError,
)
from .jit import Jitted, jit

# Names whose modules are imported when they are first asked for.
_DEFERRED = {
    "Module": "tracejit.ir.graph",
    "Schedule": "tracejit.lower.schedule.schedule",
    "Stage": "tracejit.ir.verify",
    "cond": "tracejit.control",
    "constant": "tracejit.trace.constants",
    "fori_loop": "tracejit.control",
    "scan": "tracejit.control",
    "switch": "tracejit.control",
    "while_loop": "tracejit.control",
    "build": "tracejit.stages",
    "diff": "tracejit.ir.text",
    "erf": "tracejit.special",
    "erfc": "tracejit.special",
    "get_num_threads": "tracejit.runtime.threads",
    "host": "tracejit.registered",
    "op": "tracejit.operators",
    "parse": "tracejit.ir.text",
    "pipeline": "tracejit.lower.pipeline",
    "plain_loops": "tracejit.lower.tensor.loops",
    "reference": "tracejit.ir.reference",
    "set_num_threads": "tracejit.runtime.threads",
    "show": "tracejit.ir.text",
    "threads": "tracejit.runtime.threads",
    "wait": "tracejit.runtime.tiers",
}
# Modules, imported when they are first asked for.
_MODULES = ("nn", "numpy", "rewrite")

__all__ = [
    "CompileError",
    "IRError",
    "Jitted",
    "ShapeError",
    "TraceError",
    "TracejitError",
    "UnsupportedError",
    "config",
    "jit",
    *_MODULES,
    *_DEFERRED,
]

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return _module(f"tracejit.{name}")
    if name not in _DEFERRED:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if _DEFERRED[name].startswith("tracejit.ir."):
        _module("tracejit.ir.ops")  # the vocabulary that programs are written in
    return getattr(_module(_DEFERRED[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
