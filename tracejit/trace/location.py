"""Which code is the user's own, and the line of it that is being traced."""

from __future__ import annotations

import linecache
import sys
import sysconfig
from os.path import basename, dirname, join, sep
from types import FrameType
from weakref import WeakKeyDictionary

import numpy

_PACKAGE = dirname(dirname(__file__))
_OURS = (_PACKAGE + sep, dirname(numpy.__file__) + sep)
# Code of ours that is written, and traced, as a user's would be.
_TRACED = (
    join(_PACKAGE, "control.py"),
    *[
        join(dirname(__file__), "capture", f"{name}.py")
        for name in ("arithmetic", "folds", "stacks")
    ],
)
_STANDARD = tuple(
    {path + sep for name in ("stdlib", "platstdlib") if (path := sysconfig.get_path(name))}
)
_is_internal: dict[str, bool] = {}
_library_classes: WeakKeyDictionary[type, bool] = WeakKeyDictionary()


def is_library(file: str) -> bool:
    """Whether a source file belongs to us, to the standard library or to an installed package."""
    if file in _TRACED:
        return False
    if not file or file.startswith((*_OURS, "<frozen", "<__array_function__")):
        return True
    parts = file.split(sep)
    installed = "site-packages" in parts or "dist-packages" in parts
    return installed or file.startswith(_STANDARD)


def is_internal(file: str) -> bool:
    """Whether a source file is part of the machinery, and not code that is traced."""
    internal = _is_internal.get(file)
    if internal is None:
        is_ours = file.startswith((*_OURS, "<__array_function__"))
        internal = _is_internal[file] = is_ours and file not in _TRACED
    return internal


def is_library_class(cls: type) -> bool:
    """Whether a class was not written by the user."""
    known = _library_classes.get(cls)
    if known is None:
        module = sys.modules.get(cls.__module__)
        # A module that nobody has registered was made by `exec`, or loaded by hand.
        builtin = cls.__module__ in sys.builtin_module_names
        known = builtin or is_library(getattr(module, "__file__", None) or "<input>")
        _library_classes[cls] = known
    return known


def user_frame() -> FrameType | None:
    """The frame of the user's code that is being traced; None when there is none."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if not is_internal(frame.f_code.co_filename):
            return frame
        frame = frame.f_back
    return None


def _is_ours(frame: FrameType) -> bool:
    file = frame.f_code.co_filename
    return file in _TRACED or is_internal(file)


def user_line() -> str | None:
    """`path/to/model.py:41`."""
    frame = user_frame()
    while frame is not None and frame.f_back is not None and _is_ours(frame):
        frame = frame.f_back
    return None if frame is None else f"{frame.f_code.co_filename}:{frame.f_lineno}"


def with_source(line: str | None) -> str | None:
    """`model.py:41  h = x + bias`, for a message."""
    if line is None:
        return None
    path, _, number = line.rpartition(":")
    source = linecache.getline(path, int(number)).strip()
    return f"{basename(path)}:{number}  {source}".rstrip()
