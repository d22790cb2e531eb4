"""The public exceptions. Where NumPy raises, tracejit raises what NumPy raises; these are the rest.

A message has up to four parts: what was asked, with types; what is wrong; where, in the user's
code; what to do about it.
"""

from __future__ import annotations


class TracejitError(Exception):
    """Base of every exception that is tracejit's own."""

    # Whether it is about what no program computes with, so that NumPy may run the function instead.
    is_about_kinds = False

    def __init__(self, message: str, location: str | None = None, hint: str | None = None):
        self.message, self.location, self.hint = message, location, hint
        lines = [message]
        if location:
            lines.append(f"  at {location}")
        if hint:
            lines.append(f"  hint: {hint}")
        super().__init__("\n".join(lines))

    def __reduce__(self):
        return type(self), (self.message, self.location, self.hint)


class TraceError(TracejitError, TypeError):
    """A traced value was used where only a concrete one can be, or outside its trace.

    >>> @tracejit.jit
    ... def f(x):
    ...     return list(range(int(x[0])))  # int() needs a number, x[0] is only a symbol here
    """


class ShapeError(TracejitError, ValueError):
    """Shapes do not fit together, as in ``np.ones((3, 4)) + np.ones((4, 5))``."""


class UnsupportedError(TracejitError, NotImplementedError):
    """Something NumPy can do and tracejit cannot (yet), such as arrays of dtype ``object``."""


class NotNumbers(UnsupportedError):
    """Something is no number, nor an array of numbers, such as ``np.datetime64`` or a masked array.

    It is raised only where NumPy may not run the function: ``jit(fallback="error")``, ``lower``.
    """

    is_about_kinds = True


class CompileError(TracejitError, RuntimeError):
    """LLVM refused the code it was given; the message is LLVM's."""


class IRError(TracejitError):
    """A Module is ill-formed: a bug in tracejit or in a user's pass, not in the traced program."""
