"""What `f.scaling(...)` gives: a program's time on 1 to 64 cores, simulated, beside what was measured."""

from __future__ import annotations

import os
from html import escape
from pathlib import Path
from typing import Any, NamedTuple

from .charts import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH
from .simulation import Part, Shared, run, run_part
from .text import columns, duration

STYLE = (
    "svg{font:12px system-ui,sans-serif;max-width:760px}.grid{stroke:#8884}.ideal{stroke:#888;stroke-dasharray:4 4}"
    ".curve{fill:none;stroke:#2a7ae2;stroke-width:2}circle{fill:#d2452d}text{fill:currentColor}"
)


class Point(NamedTuple):
    """Seconds on so many threads: simulated, and measured where there are so many cores."""

    threads: int
    seconds: float
    measured: float | None


class Scaling:
    """A simulation: the schedules of a program (their parallel regions, the turns of these, and the rest) on more
    cores, each for as many as there are.

    `print(scaling)` writes a table, `.html(path)` a page with a picture, which Jupyter shows. `.points` and
    `.kernels` (seconds of each kernel, by its name and the number of threads) are for programs.
    """

    def __init__(
        self, name: str, parts: dict[int, tuple[Part, ...]], measured: dict[int, float],
        shared: dict[str, Shared], fork: float, cores: int,
    ):  # fmt: skip
        self.name, self.parts, self.shared, self.cores = name, parts, shared, cores
        self.points = tuple(
            [Point(n, run(found, n, shared, fork), measured.get(n)) for n, found in parts.items()]
        )
        self.kernels: dict[str, dict[int, float]] = {}
        for n, found in parts.items():
            for part in found:
                self.kernels.setdefault(part.name, {})[n] = run_part(part, n, shared, fork)

    @property
    def alone(self) -> float:
        """Seconds on one thread."""
        return sum(part.seconds for part in self.parts[1])

    def speedup(self, point: Point) -> float:
        """How many times as fast as on one thread, simulated."""
        return self.alone / point.seconds

    def __str__(self) -> str:
        rows = [["threads", "simulated", "speedup", "efficiency", "measured", "simulated/measured"]]
        for point in self.points:
            measured = ["", ""]
            if point.measured is not None:
                ratio = point.seconds / point.measured
                measured = [duration(point.measured), f"{ratio:.2f}"]
            speedup = self.speedup(point)
            rows.append([
                str(point.threads), duration(point.seconds), f"{speedup:.2f}",
                f"{100 * speedup / point.threads:.0f} %", *measured,
            ])  # fmt: skip
        return "\n".join([f"{self.name}: {self._note()}", *columns(rows), *self._kernels()])

    __repr__ = __str__

    def show(self) -> None:
        """Print the table."""
        print(self)

    def _note(self) -> str:
        """What the figures are, in a sentence."""
        limits = ", ".join(f"{level} {s.every / 1e9:.0f} GB/s" for level, s in self.shared.items())
        return (
            f"a simulation of the schedule, measured on {self.cores} core{'s' * (self.cores > 1)} only; "
            f"all cores together: {limits}"
        )

    def _kernels(self) -> list[str]:
        """For each kernel its regions, and its part of the time on the most threads."""
        most = self.points[-1].threads
        total = max(self.points[-1].seconds, 1e-12)
        lines = [f"kernels, with their part of the time on {most} threads:"]
        for part in self.parts[most]:
            regions = ", ".join(
                f"{len(r.turns)} turns" + (f" {r.times:.0f} times" if r.times > 1 else "")
                for r in part.regions
            )
            share = 100 * self.kernels[part.name][most] / total
            rest = 100 * part.serial / max(part.seconds, 1e-12)
            lines.append(
                f"  {part.name}: {share:.0f} %; {regions or 'not parallel'}; {rest:.0f} % of it serial"
            )
        return lines

    def svg(self) -> str:
        """Speedup against threads, with what was measured as points."""
        most = self.points[-1].threads

        def x(threads: float) -> float:
            return LEFT + (threads - 1) / max(most - 1, 1) * (WIDTH - LEFT - RIGHT)

        def y(speedup: float) -> float:
            return HEIGHT - BOTTOM - speedup / most * (HEIGHT - TOP - BOTTOM)

        parts = []
        for point in self.points:
            n = point.threads
            parts.append(f'<line class="grid" x1="{x(n):.1f}" y1="{TOP}" x2="{x(n):.1f}" y2="{HEIGHT - BOTTOM}"/>')  # fmt: skip
            parts.append(f'<text x="{x(n):.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{n}</text>')  # fmt: skip
            parts.append(f'<text x="{LEFT - 8}" y="{y(n) + 4:.1f}" text-anchor="end">{n}</text>')
        parts.append(f'<line class="ideal" x1="{x(1):.1f}" y1="{y(1):.1f}" x2="{x(most):.1f}" y2="{y(most):.1f}"/>')  # fmt: skip
        curve = " ".join(f"{x(p.threads):.1f},{y(self.speedup(p)):.1f}" for p in self.points)
        parts.append(f'<polyline class="curve" points="{curve}"/>')
        for point in self.points:
            if point.measured is not None:
                parts.append(f'<circle cx="{x(point.threads):.1f}" cy="{y(self.alone / point.measured):.1f}" r="4"/>')  # fmt: skip
        label = "Speedup against threads: simulated (line), measured (points), ideal (dashes)"
        parts.append(f'<text x="{LEFT}" y="{HEIGHT - 8}">{label}</text>')
        return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{label}">{"".join(parts)}</svg>'

    def html(self, path: str | os.PathLike | None = None) -> str:
        """A page with the picture and the table; written to `path`, if that is given."""
        page = (
            f'<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>{escape(self.name)}: scaling'
            f"</title><style>{STYLE}</style></head><body>{self._repr_html_()}</body></html>"
        )
        if path is not None:
            Path(path).write_text(page, encoding="utf-8")
        return page

    def _repr_html_(self) -> str:
        return f"<style>{STYLE}</style>{self.svg()}<pre>{escape(str(self))}</pre>"

    def to_json(self) -> dict[str, Any]:
        """Dicts, lists, numbers and text."""
        return {
            "name": self.name,
            "points": [point._asdict() for point in self.points],
            "kernels": {name: dict(seconds) for name, seconds in self.kernels.items()},
            "shared": {level: s._asdict() for level, s in self.shared.items()},
        }
