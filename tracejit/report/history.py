"""What each pass made of a program, noted while it runs."""

from __future__ import annotations

import difflib
from typing import Any

from ..ir.graph import Function, Module
from ..ir.text import show
from ..lower.steps import name_of
from .records import PassRecord

# A diff is cut after so many lines; the stages have the whole text.
MOST_LINES = 600


class History:
    """Watches a pipeline: call it with `(pass, before, after)`; `steps` has them all."""

    def __init__(self) -> None:
        self.steps: list[tuple[str, str, Module, Module]] = []

    def __call__(self, step: Any, before: Module, after: Module) -> None:
        stage = getattr(step, "stage", None)
        self.steps.append((name_of(step), stage.name if stage else "", before, after))

    def before(self, name: str) -> Function | None:
        """The program that the pass of this name was given, if that is a graph."""
        found = [before.entry for own, _, before, _ in self.steps if own == name]
        return found[0] if found and isinstance(found[0], Function) else None

    def records(self) -> tuple[PassRecord, ...]:
        """A record for each pass, with its diff."""
        texts: dict[Module, list[str]] = {}

        def lines(module: Module) -> list[str]:
            if module not in texts:
                texts[module] = show(module).splitlines()
            return texts[module]

        records = []
        for name, stage, before, after in self.steps:
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
