"""The user's line: the innermost Python frame that is neither ours nor NumPy's."""

from __future__ import annotations

import linecache
import sys
from os.path import basename, dirname, sep
from types import FrameType

import numpy

_OURS = tuple(dirname(file) + sep for file in (dirname(__file__), numpy.__file__))
_is_internal: dict[str, bool] = {}


def user_frame() -> FrameType | None:
    """The frame of the user's code that is being traced; None when there is none."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        name = frame.f_code.co_filename
        internal = _is_internal.get(name)
        if internal is None:
            internal = _is_internal[name] = name.startswith((*_OURS, "<__array_function__"))
        if not internal:
            return frame
        frame = frame.f_back
    return None


def user_line() -> str | None:
    """`path/to/model.py:41`."""
    frame = user_frame()
    return None if frame is None else f"{frame.f_code.co_filename}:{frame.f_lineno}"


def with_source(line: str | None) -> str | None:
    """`model.py:41  h = x + bias`, for a message."""
    if line is None:
        return None
    path, _, number = line.rpartition(":")
    source = linecache.getline(path, int(number)).strip()
    return f"{basename(path)}:{number}  {source}".rstrip()
