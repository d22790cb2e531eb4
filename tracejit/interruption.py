"""A program that was ended from outside: what tells so, and the exception that ended it."""

from __future__ import annotations

import threading

# The status of a program that an exception from outside has ended, such as a signal handler's, and the
# byte of its workspace where the time is at which to look for signals next.
INTERRUPTED, POLL_DUE = 256, 56


class _Kept(threading.local):
    error: BaseException | None = None


_kept = _Kept()


def keep(error: BaseException) -> None:
    """Note what ends the native code that runs on this thread."""
    _kept.error = error


def interruption() -> BaseException:
    """What was kept last on this thread; asked once."""
    error, _kept.error = _kept.error, None
    return error if error is not None else KeyboardInterrupt()
