"""Imports put off until something is compiled, so that `import tracejit` costs next to nothing.

The tracer, the passes and the emitter are most of the package; a program that decorates functions
should not wait for them before it needs them. Together with LLVM's own lazy import
(runtime/engine.py) this is the only place that imports inside a function.
"""

from __future__ import annotations

import importlib
from typing import Any

from . import collector


def module(name: str) -> Any:
    """The module of this name, imported now if it was not yet."""
    with collector.paused():
        return importlib.import_module(name)
