"""tracejit: a tracing array compiler for the NumPy code you already have.

>>> import numpy as np, tracejit
>>> @tracejit.jit
... def f(x, y):
...     return np.exp(-x * x) + y.sum(axis=0)
"""

from .config import config
from .errors import (
    CompileError,
    IRError,
    ShapeError,
    TraceError,
    TracejitError,
    UnsupportedError,
)
from .ir.graph import Module
from .ir.reference import reference
from .ir.text import parse, show
from .jit import Jitted, jit
from .runtime.threads import get_num_threads, set_num_threads, threads
from .stages import build

__all__ = [
    "CompileError",
    "IRError",
    "Jitted",
    "Module",
    "ShapeError",
    "TraceError",
    "TracejitError",
    "UnsupportedError",
    "build",
    "config",
    "get_num_threads",
    "jit",
    "parse",
    "reference",
    "set_num_threads",
    "show",
    "threads",
]

__version__ = "0.1.0"
