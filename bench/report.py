"""Writes what was measured: a text table, a JSON file and, with matplotlib, a picture."""

import json
import pathlib
import platform
import statistics
from collections.abc import Iterator
from dataclasses import asdict

from .harness import Row
from .limits import Limits
from .peers import OURS, SUBJECTS, THREADS, version

COLOURS = {
    "numpy": "#4d77cf",
    "tracejit": "#d62728",
    "tracejit-strict": "#e377c2",
    "tracejit-fast": "#ff9896",
    "jax": "#9467bd",
    "numba": "#2ca02c",
    "numba-exact": "#98df8a",
    "torch": "#ff7f0e",
    "numexpr": "#8c564b",
}
# As fast within the noise of one run; behind by more than 10 %.
AHEAD, BEHIND = 0.98, 0.9
PEER_GROUPS = {"Numba's best": ["numba", "numba-exact"], "JAX": ["jax"]}


def machine() -> dict:
    """The machine and the versions of everything that ran."""
    return {
        "processor": _processor(),
        "threads": THREADS,
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "versions": {name: version(name) for name in SUBJECTS if version(name)},
    }


def _processor() -> str:
    try:
        for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or "unknown"


def ratio_to_numpy(row: Row) -> float:
    """How many times faster than NumPy tracejit is; 0 when either is missing."""
    return _ratio(row, "tracejit", ["numpy"])


def ratio_to_peers(row: Row, subject: str = "tracejit") -> float:
    """How many times faster than the best of all others `subject` is; 0 when there is none.

    Numba is timed with its fastmath, so that tracejit-fast is the fair comparison.
    """
    return _ratio(row, subject, [name for name in row.times if name not in OURS])


def best_of_peers(row: Row) -> str:
    """The fastest of all others; empty when there is none."""
    others = [name for name in row.times if name not in OURS]
    return min(others, key=lambda name: row.times[name].median, default="")


def _ratio(row: Row, subject: str, others: list[str]) -> float:
    mine = row.times.get(subject)
    theirs = [row.times[name].median for name in others if name in row.times]
    return min(theirs) / mine.median if mine and theirs else 0.0


def header_text(about: dict) -> str:
    versions = ", ".join(f"{name} {number}" for name, number in about["versions"].items())
    return (
        f"{about['processor']}, {about['threads']} threads, {about['system']}, "
        f"Python {about['python']}\n{versions}\n"
    )


def limits_text(limits: Limits) -> str:
    """The limits as a table: one thread, all threads."""
    lines = [f"{'machine limit':<28}{'1 thread':>12}{f'{limits.threads} threads':>12}"]
    for level, rates in limits.bandwidth.items():
        label = f"bandwidth {level} (GB/s)"
        lines.append(f"{label:<28}" + "".join(f"{rate / 1e9:12.0f}" for rate in rates))
    for dtype, rates in limits.flops.items():
        label = f"multiply-add {dtype} (GFLOP/s)"
        lines.append(f"{label:<28}" + "".join(f"{rate / 1e9:12.0f}" for rate in rates))
    for pages, rate in limits.fresh_pages.items():
        lines.append(f"{f'fresh {pages} pages (GB/s)':<28}{rate / 1e9:12.1f}")
    return "\n".join(lines) + "\n"


def title_text(section: str) -> str:
    """The heading of a section's table."""
    columns = "".join(f"{name:>{_width(name)}}" for name in SUBJECTS)
    return (
        f"\n{section:<34}{'size':>14} {'dtype':<8}{columns}"
        f"{'x numpy':>9}{'x best':>8}{'fast x best':>13}  % limit"
    )


def _width(name: str) -> int:
    return max(10, len(name) + 2)


def row_text(row: Row) -> str:
    """One line: the time by subject, tracejit's ratios and its share of the machine's limit."""
    cells = []
    for name in SUBJECTS:
        timing = row.times.get(name)
        cells.append(f"{duration(timing.median) if timing else '-':>{_width(name)}}")
    share = f"{100 * row.share:.0f} {row.bound}" if row.share else "-"
    found = (ratio_to_numpy(row), ratio_to_peers(row), ratio_to_peers(row, "tracejit-fast"))
    ratios = [f"{ratio:.2f}" if ratio else "-" for ratio in found]
    return (
        f"{row.name:<34}{row.size:>14} {row.dtype:<8}{''.join(cells)}"
        f"{ratios[0]:>9}{ratios[1]:>8}{ratios[2]:>13}  {share}"
    )


def compiling_text(section: str, rows: list[Row]) -> Iterator[str]:
    """What compiling took by subject, where it was measured, and the geometric means of the ratios."""
    rows = [row for row in rows if any(timing.compiling for timing in row.times.values())]
    if not rows:
        return
    columns = "".join(f"{name:>{_width(name)}}" for name in SUBJECTS)
    yield f"\n{f'{section}, compiling':<57}{columns}"
    for row in rows:
        cells = []
        for name in SUBJECTS:
            timing = row.times.get(name)
            text = duration(timing.compiling) if timing and timing.compiling else "-"
            cells.append(f"{text:>{_width(name)}}")
        yield f"{row.name:<57}{''.join(cells)}"
    yield ""
    for label, others in PEER_GROUPS.items():
        for name in OURS:
            found = [ratio for row in rows if (ratio := _ratio(row, name, others))]
            if found:
                mean, least = statistics.geometric_mean(found), min(found)
                yield (
                    f"{name} against {label}: {mean:.2f} times as fast in the geometric mean "
                    f"of {len(found)}, {least:.2f} at least"
                )


def summary_text(rows: list[Row]) -> Iterator[str]:
    """Where tracejit stands against the best of all others: by section and over all, and the rows it is behind in.

    Rows that are held against bandwidth or multiply-adds are counted by the share of the limit they reach.
    """
    # A process that only imports NumPy does not do the work of one that compiles.
    compared = [row for row in rows if ratio_to_peers(row) and row.section != "cold"]
    if not compared:
        return
    sections = dict.fromkeys(row.section for row in compared)
    yield f"\n{'against the best of the others':<34}{'rows':>6}{'ahead':>8}{'mean':>8}{'least':>8}"
    for section in (*sections, ""):
        chosen = [row for row in compared if section in ("", row.section)]
        ratios = [ratio_to_peers(row) for row in chosen]
        ahead = sum(ratio >= AHEAD for ratio in ratios) / len(ratios)
        yield (
            f"{section or 'all':<34}{len(ratios):>6}{ahead:>8.0%}"
            f"{statistics.geometric_mean(ratios):>8.2f}{min(ratios):>8.2f}"
        )
    behind = [row for row in compared if ratio_to_peers(row) < BEHIND]
    for row in sorted(behind, key=ratio_to_peers):
        yield f"behind {best_of_peers(row)} by more than 10 %: {_label(row)}: {ratio_to_peers(row):.2f}"
    shares = [row.share for row in compared if row.share]
    if shares:
        yield f"{sum(share >= 0.85 for share in shares)} of {len(shares)} rows at 85 % of the limit or more"


def _label(row: Row) -> str:
    return " ".join((row.name, row.size, row.dtype))


def duration(seconds: float) -> str:
    """Three digits and a unit."""
    for unit, scale in (("ns", 1e9), ("µs", 1e6), ("ms", 1e3)):
        if seconds * scale < 999.5:
            return f"{_three_digits(seconds * scale)} {unit}"
    return f"{_three_digits(seconds)} s"


def _three_digits(value: float) -> str:
    return f"{value:.2f}" if value < 9.995 else f"{value:.1f}" if value < 99.95 else f"{value:.0f}"


def notes_text(rows: list[Row]) -> Iterator[str]:
    """Why a subject is missing somewhere, each reason once."""
    where: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        for subject, reason in row.notes.items():
            where.setdefault((subject, reason), []).append(_label(row))
    for (subject, reason), names in where.items():
        more = f" and {len(names) - 1} more" if len(names) > 1 else ""
        yield f"- {subject}: {reason} ({' '.join(names[0].split())}{more})"


def write_json(
    path: pathlib.Path,
    about: dict,
    limits: Limits | None,
    rows: list[Row],
    summary: dict | None = None,
) -> None:
    """Everything measured, in seconds, bytes and flops per second."""
    document = {
        "machine": about,
        "limits": limits.to_json() if limits else None,
        "summary": summary,
        "rows": [
            asdict(row)
            | {
                "ratio_to_numpy": ratio_to_numpy(row),
                "ratio_to_best_other": ratio_to_peers(row),
                "fast_ratio_to_best_other": ratio_to_peers(row, "tracejit-fast"),
            }
            for row in rows
        ],
    }
    path.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n")


def write_picture(path: pathlib.Path, about: dict, rows: list[Row]) -> bool:
    """Speed relative to NumPy for every row and subject; False without matplotlib."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return False
    rows = [row for row in rows if "numpy" in row.times]
    if not rows:
        return False
    figure = Figure(figsize=(10, 1.6 + 0.19 * len(rows)), layout="constrained")
    axes = figure.add_subplot()
    for name in SUBJECTS:
        points = [
            (row.times["numpy"].median / row.times[name].median, line)
            for line, row in enumerate(rows)
            if name in row.times
        ]
        if not points:
            continue
        speed, line = zip(*points)
        is_ours = name in OURS
        axes.scatter(
            speed,
            line,
            s=46 if is_ours else 26,
            marker="D" if is_ours else "o",
            color=COLOURS[name],
            label=name,
            zorder=3 if is_ours else 2,
        )
    limit = [
        (row.times["numpy"].median / row.times["tracejit"].median / row.share, line)
        for line, row in enumerate(rows)
        if row.share
    ]
    if limit:
        axes.scatter(*zip(*limit), s=60, marker="|", color="black", label="machine limit")
    labels = [f"{row.name}  {row.size}  {row.dtype}" for row in rows]
    axes.set_yticks(range(len(rows)), labels, fontsize=6.5)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_xscale("log")
    axes.grid(axis="x", which="both", alpha=0.25)
    axes.set_xlabel("times as fast as NumPy")
    axes.set_title(f"{about['processor']}, {about['threads']} threads", fontsize=9)
    figure.legend(loc="outside upper center", ncols=len(SUBJECTS) + 1, fontsize=8, frameon=False)
    figure.savefig(path, dpi=130)
    return True
