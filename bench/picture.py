"""Draws the page as an SVG: a line for each piece of work, a cell for each size, dtype and number of threads.

A cell's colour and upper number say how many times as fast as the best of the others tracejit is, the lower one
which part of the machine's limit it reaches.
"""

import pathlib
from html import escape

from .harness import Row
from .limits import LEVELS
from .report import ratio_to_peers

CELL, LINE, LEFT, TOP = 62, 26, 250, 92
# From what ratio on a cell has this colour.
COLOURS = (
    (3.0, "#1a9850"),
    (1.5, "#66bd63"),
    (0.98, "#c7e9b4"),
    (0.9, "#fee08b"),
    (0.0, "#f46d43"),
)
DTYPES = ("float32", "float64")
THREADS = {1: "1 thread", 0: "all threads"}


def write_picture(path: pathlib.Path, about: dict, rows: list[Row]) -> None:
    """Write every row that has a ratio or a share of the limit."""
    rows = [row for row in rows if row.dtype in DTYPES]
    names = list(dict.fromkeys(row.name for row in rows))
    columns = len(DTYPES) * len(THREADS) * len(LEVELS)
    width, height = LEFT + columns * CELL + 10, TOP + len(names) * LINE + 40
    size = f'width="{width}" height="{height}" viewBox="0 0 {width} {height}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif">',
        f'<rect width="{width}" height="{height}" fill="white"/>',
        _text(10, 20, f"{about['processor']}, {about['threads']} threads", 13, "start"),
        _text(
            10, 38, "times as fast as the best peer; below, % of the machine's limit", 11, "start"
        ),
        *_head(),
    ]
    for number, name in enumerate(names):
        y = TOP + number * LINE
        parts.append(_text(LEFT - 8, y + LINE / 2 + 4, name, 11, "end"))
        parts += [part for row in rows if row.name == name for part in _cell(row, y)]
    path.write_text("\n".join([*parts, "</svg>"]) + "\n")


def _head() -> list[str]:
    parts = []
    group = len(LEVELS) * CELL
    for d, dtype in enumerate(DTYPES):
        for t, threads in enumerate(THREADS.values()):
            x = LEFT + (d * len(THREADS) + t) * group
            parts.append(_text(x + group / 2, TOP - 24, f"{dtype}, {threads}", 11))
            for k, level in enumerate(LEVELS):
                parts.append(_text(x + (k + 0.5) * CELL, TOP - 8, level, 10))
    return parts


def _cell(row: Row, y: float) -> list[str]:
    """A row's colour and numbers; as wide as all levels where it has no level."""
    group = DTYPES.index(row.dtype) * len(THREADS) + (row.threads != 1)
    x, width = LEFT + group * len(LEVELS) * CELL, len(LEVELS) * CELL
    if row.level:
        x, width = x + list(LEVELS).index(row.level) * CELL, CELL
    ratio = ratio_to_peers(row)
    colour = next(colour for least, colour in COLOURS if ratio >= least) if ratio else "#eeeeee"
    share = f"{100 * row.share:.0f} %" if row.share else ""
    title = escape(f"{row.name}, {row.size}, {row.dtype}: {row.bound}")
    place = f'x="{x + 1}" y="{y + 1}" width="{width - 2}" height="{LINE - 2}"'
    return [
        f'<rect {place} fill="{colour}"><title>{title}</title></rect>',
        _text(x + width / 2, y + 12, f"{ratio:.2f}" if ratio else "-", 10),
        _text(x + width / 2, y + 22, share, 8),
    ]


def _text(x: float, y: float, text: str, size: int, anchor: str = "middle") -> str:
    return f'<text x="{x}" y="{y}" font-size="{size}" text-anchor="{anchor}">{escape(text)}</text>'
