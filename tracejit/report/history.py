"""What each pass made of a program, noted while it runs."""

from __future__ import annotations

import difflib
from typing import Any

from ..ir.graph import Function, Module
from ..ir.text import show
from ..lower.pipeline import Options, passes
from .records import PassRecord

# A diff is cut after so many lines; the stages have the whole text.
MOST_LINES = 600


class History:
    """Watches a pipeline: call it with `(pass, before, after)`; `steps` has them all."""

    def __init__(self) -> None:
        self.steps: list[tuple[str, Module, Module]] = []

    def __call__(self, step: Any, before: Module, after: Module) -> None:
        self.steps.append((name_of(step), before, after))

    def before(self, name: str) -> Function | None:
        """The program that the pass of this name was given, if that is a graph."""
        found = [before.entry for own, before, _ in self.steps if own == name]
        return found[0] if found and isinstance(found[0], Function) else None

    def records(self, options: Options) -> tuple[PassRecord, ...]:
        """A record for each pass, with its diff."""
        stages = [stage.name for stage, steps in passes(options) for _ in steps]
        stages += [""] * (len(self.steps) - len(stages))
        texts: dict[Module, list[str]] = {}

        def lines(module: Module) -> list[str]:
            if module not in texts:
                texts[module] = show(module).splitlines()
            return texts[module]

        records = []
        for stage, (name, before, after) in zip(stages, self.steps):
            diff: list[str] = []
            if before is not after:
                diff = list(
                    difflib.unified_diff(
                        lines(before), lines(after), "before", "after", lineterm="", n=2
                    )
                )
            added = sum(line.startswith("+") for line in diff[2:])
            removed = sum(line.startswith("-") for line in diff[2:])
            left = len(diff) - MOST_LINES
            if left > 0:
                diff = [*diff[:MOST_LINES], f"... and {left} more lines"]
            records.append(PassRecord(name, stage, "\n".join(diff), added, removed))
        return tuple(records)


def name_of(step: Any) -> str:
    """What a pass is called."""
    step = getattr(step, "func", step)
    return getattr(step, "__name__", type(step).__name__)
