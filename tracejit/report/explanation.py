"""The object that `f.explain(...)` gives: text, records, and a page."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from ..deferred import module
from .records import Data, KernelRecord, LineRecord
from .text import as_text


class Explanation:
    """What a function compiles to for given arguments, and why.

    `print(explanation)` writes the text, `.show()` does so in colours where a terminal has them,
    `.html(path)` writes a page that needs nothing else; Jupyter shows that page. `.kernels`, `.lines`
    and `.data` are records for programs, `.to_json()` the same as plain values.
    """

    def __init__(self, data: Data):
        self.data = data

    @property
    def kernels(self) -> tuple[KernelRecord, ...]:
        """A record for each kernel call, in the order they run."""
        return self.data.kernels

    @property
    def lines(self) -> tuple[LineRecord, ...]:
        """A record for each line of the user's that became part of a kernel."""
        return self.data.lines

    def to_json(self) -> dict[str, Any]:
        """Everything as dicts, lists, numbers and text."""
        return self.data.to_json()

    def text(self, color: bool = False) -> str:
        """The text, with a terminal's colours or without."""
        return as_text(self.data, color)

    def show(self, file: Any = None) -> None:
        """Print, in colours if `file` is a terminal and NO_COLOR is not set."""
        file = sys.stdout if file is None else file
        colors = file.isatty() and "NO_COLOR" not in os.environ
        print(self.text(colors), file=file)

    def html(self, path: str | os.PathLike | None = None) -> str:
        """One page with its pictures, styles and script inside; written to `path`, if that is given."""
        page = module("tracejit.report.page").page(self.data)
        if path is not None:
            Path(path).write_text(page, encoding="utf-8")
        return page

    def __str__(self) -> str:
        return self.text()

    __repr__ = __str__

    def __contains__(self, text: str) -> bool:
        return text in str(self)

    def _repr_html_(self) -> str:
        return module("tracejit.report.page").frame(self.data)
