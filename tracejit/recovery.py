"""What a jitted function does where Python functions it calls do not do what they did while tracing.

A program is made for the dtypes and shapes these gave once, and for none of them failing. Where one
fails, or gives something else, the original function runs instead, with NumPy: it is right by
definition, and handles its own exceptions. Generators of random numbers get the states back that they
had; so it is where compiled code refuses an index, as it may have drawn more than NumPy had by then, and
as a `try` of the function's may handle that. Only where functions with other effects have run, which must
not run twice, is the function traced again, and takes their results from a journal.
"""

from __future__ import annotations

from collections import Counter
from typing import Any, Protocol

from .dump import say
from .entry import Entry
from .ir.host import ResultChanged, Run, running
from .ir.refusal import LEFT_TO_NUMPY, Unexpected
from .trace.outside import has_drawn, passed, undo_draws

# NumPy says what is wrong with the values.
_OF_VALUES = (*LEFT_TO_NUMPY, ResultChanged)
# What NumPy raises where compiled code does, and the function may handle.
_OF_NUMPY = (IndexError, ValueError, ArithmeticError)
# Results that change more often than this are left to NumPy.
MOST_CHANGES = 3


class Compiling(Protocol):
    """What a Compiler does for this."""

    name: str
    calls_numpy: bool  # where a function cannot be compiled, or not for these values

    def call_numpy(self, args: tuple, kwargs: dict[str, Any]) -> Any: ...

    def compile_again(
        self, entry: Entry, run: Run, leaves: list, args: tuple, kwargs: dict
    ) -> Entry: ...

    def forget(self, entry: Entry) -> None: ...

    def forget_unexpected(self, entry: Entry) -> None: ...


class Recovery:
    """Runs the programs of one jitted function that call Python."""

    def __init__(self, compiler: Compiling):
        self._compiler = compiler
        self._changes: Counter[Any] = Counter()

    def run(
        self,
        entry: Entry,
        leaves: list,
        args: tuple,
        kwargs: dict[str, Any],
        objects: dict | None = None,
        tries: int = 0,
    ) -> Any:
        """The results of a call that `entry` is for; `objects` are those of a run before, of which
        there were `tries`."""
        made = entry.take_made()
        if made is None and entry.runs_in_numpy:
            return self._compiler.call_numpy(args, kwargs)
        targets = entry.program.targets(leaves)
        before = [array.copy() for array in targets]
        with running(Run(made or (), {**(objects or {}), **passed(leaves)})) as run:
            try:
                return entry.run(leaves)
            except Exception as error:
                changed = _changed(entry, error)
                is_known = changed or error is run.failure or isinstance(error, _OF_VALUES)
                is_late = isinstance(error, _OF_NUMPY) and (
                    entry.program.is_handled or has_drawn(run.objects)
                )
                if not (is_known or is_late) or not self._can_recover(entry, changed):
                    raise
                if isinstance(error, Unexpected):
                    self._compiler.forget_unexpected(entry)
        for array, values in zip(targets, before):
            array[...] = values
        if changed is not None:
            self._note(entry, changed)
        undo_draws(run.objects)
        if not entry.has_effects and (changed is None or self._compiler.calls_numpy):
            return self._compiler.call_numpy(args, kwargs)
        if changed is not None and tries > MOST_CHANGES:
            raise changed
        again = self._compiler.compile_again(entry, run.again(), leaves, args, kwargs)
        return self.run(again, leaves, args, kwargs, run.objects, tries + 1)

    def _can_recover(self, entry: Entry, changed: ResultChanged | None) -> bool:
        if not entry.has_effects:
            return True
        return changed is not None and self._changes[entry.kind] <= 2 * MOST_CHANGES

    def _note(self, entry: Entry, changed: ResultChanged) -> None:
        """Count the change; next time the function is traced anew, or not compiled any more."""
        self._changes[entry.kind] += 1
        count = self._changes[entry.kind]
        gives_up = count > MOST_CHANGES and self._compiler.calls_numpy
        then = "left to NumPy from now on" if gives_up else "compiled anew"
        say(1, lambda: f"tracejit: {self._compiler.name} {then}: {changed.message}")
        if gives_up:
            entry.runs_in_numpy = True
        else:
            self._compiler.forget(entry)

    def clear(self) -> None:
        """Forget what changed."""
        self._changes.clear()


def _changed(entry: Entry, error: Exception) -> ResultChanged | None:
    """What an error says of the results of Python's functions, if it does: that they are others than
    before, or that extents the program has counted do not fit those they had."""
    if isinstance(error, ResultChanged):
        return error
    is_of_extents = entry.program.calls_python and getattr(error, "is_of_extents", False)
    return ResultChanged(str(error)) if is_of_extents else None
