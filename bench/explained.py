"""Which section of docs/limits.md explains a row of the page that falls short.

An entry there has a bold title, and ends with the rows that it is about: Rows: `name` (sizes); `name`. A row is meant where its
name begins so, and its size and dtype begin with one of the sizes, if there are any: "L3" means all of that cache.
"""

import functools
import pathlib
import re
from typing import NamedTuple

from .harness import Row

PAGE = pathlib.Path(__file__).parent.parent / "docs" / "limits.md"
_ENTRY = re.compile(r"^- \*\*(.+?)\.\*\*(.*?)(?=^- \*\*|^#|\Z)", re.MULTILINE | re.DOTALL)
_ROWS = re.compile(r"Rows: ((?:`[^`]+`(?: \([^)]*\))?(?:;\s+)?)+)")
_ROW = re.compile(r"`([^`]+)`(?: \(([^)]*)\))?")


class Entry(NamedTuple):
    """The title, and beginnings of names with those of sizes."""

    title: str
    rows: tuple[tuple[str, tuple[str, ...]], ...]

    def explains(self, row: Row) -> bool:
        place = f"{row.size} {row.dtype}"
        return any(row.name.startswith(name) and place.startswith(s) for name, s in self.rows)


@functools.cache
def entries() -> tuple[Entry, ...]:
    """What the page of limits explains."""
    found = []
    for title, text in _ENTRY.findall(PAGE.read_text()):
        listed = _ROWS.search(" ".join(text.split()))
        rows = _ROW.findall(listed[1]) if listed else []
        found.append(Entry(title, tuple([(name, _sizes(sizes)) for name, sizes in rows])))
    return tuple(found)


def _sizes(text: str) -> tuple[str, ...]:
    return tuple([size.strip() for size in text.split(",")]) if text else ("",)


def sections(row: Row) -> list[str]:
    """The titles of what explains a row."""
    return [entry.title for entry in entries() if entry.explains(row)]
