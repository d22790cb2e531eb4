"""What ends native code from outside: an exception that a signal handler raised meanwhile.

Native loops call `tj_poll` (native/poll.ll) now and then. It calls `breathe`, whose only use is that
the interpreter first does what waits: handlers of signals, such as Ctrl-C's, on the main thread, turns of
other threads, exceptions that these have sent. What that raises is kept until native code has returned.
"""

from __future__ import annotations

from types import TracebackType

from tracejit.interruption import keep as keep_error
from tracejit.runtime import layout

# How long nothing is asked after native code began, or asked last.
NANOSECONDS = 10_000_000

_FUNCTIONS = (
    "PyGILState_Ensure PyGILState_Release PyObject_CallFunctionObjArgs PyErr_Fetch "
    "PyErr_NormalizeException PyErr_Clear Py_DecRef"
)


def breathe() -> None:
    """Do nothing."""


def keep(error: BaseException, frames: TracebackType | None = None) -> None:
    """Keep what was raised, without the frame of `breathe`."""
    keep_error(error.with_traceback(frames.tb_next if frames is not None else None))


def imports() -> dict[str, int]:
    """What native/poll.ll expects to find."""
    functions = {name: layout.python_function(name) for name in _FUNCTIONS.split()}
    layout.make_immortal(breathe)
    layout.make_immortal(keep)
    return {**functions, "breathe_object": id(breathe), "keep_object": id(keep)}
