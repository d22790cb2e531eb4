"""The one page: every kind of work that a compiler of NumPy must do well, against the best peer and the machine's limit.

`python -m bench --page` times what `ROWS` lists, in float32 and float64, with one thread and with all, at sizes in
L2, L3 and memory where there are sizes. For each row it tells how many times faster than the best of the others
tracejit is, which part of the machine's limit it reaches, and what that limit is: a level of memory ("L3 2r1w" is
two arrays read and one written there) or multiply-adds, measured in turns with the row (`bench.probes`); "arithmetic" is
what the cost model reckons where neither is near, "threads" what parallel loops cost, and the share is of its seconds then.
"""

import dataclasses
import pathlib
import statistics
from collections.abc import Callable, Iterator
from typing import NamedTuple

from tracejit.report.records import CHECK, LOOPS
from tracejit.report.roofline import MEMORY

from . import probes, report
from .harness import Budget, Case, Row, measure, reason
from .picture import write_picture
from .workloads import SECTIONS
from .workloads.arrays import Settings

NEAR, ALL = ("L2", "L3"), ("L2", "L3", "DRAM")
# Where rows stand with one thread, when there is little time.
QUICK_LEVEL = "L3"
ENOUGH = 0.85  # of a limit
FOREIGN = "a library"
KINDS_OF_BOUNDS: dict[str, Callable[[str], bool]] = {
    "bound by memory": lambda bound: bound.startswith(("L2", "L3", "DRAM")),
    "bound by multiply-adds": lambda bound: bound == "multiply-adds",
    "bound by arithmetic, as the model reckons": lambda bound: bound.startswith("arithmetic"),
}


class Entry(NamedTuple):
    """Cases of a section, by the beginning of their names, at these levels of memory."""

    section: str
    name: str
    levels: tuple[str, ...] = ALL


# fmt: off
ROWS = (
    Entry("elementwise", "a*x + y"),
    Entry("elementwise", "sin(x)²"),
    Entry("elementwise", "Black-Scholes"),
    Entry("elementwise", "Horner"),
    Entry("rows", "softmax"),
    Entry("rows", "layer norm"),
    Entry("rows", "sum(x)"),
    Entry("rows", "sum(x, axis=0)"),
    Entry("axes", "mean(x, axis=1)"),
    Entry("axes", "sum(x, axis=0), 3-D", NEAR),
    Entry("axes", "sum(x, axis=1), 3-D", NEAR),
    Entry("axes", "sum(x, axis=2), 3-D", NEAR),
    Entry("axes", "logsumexp"),
    Entry("axes", "standardised columns"),
    Entry("loops", "heat 2-D"),
    Entry("matmul", "matmul"),
    Entry("layers", "matmul + bias + gelu"),
    Entry("layers", "batched matmul"),
    Entry("layers", "MLP"),
    Entry("layers", "conv 3x3"),
    Entry("layers", "ResNet bottleneck"),
    Entry("layers", "attention"),
    Entry("layers", "transformer block"),
    Entry("programs", "gravity of all pairs", NEAR),
    Entry("programs", "distances by broadcasting", NEAR),
    Entry("programs", "distances by a product", NEAR),
    Entry("programs", "k-means step", NEAR),
    Entry("loops", "Mandelbrot"),
    Entry("loops", "LSTM"),
    Entry("axes", "cumsum(x)"),
    Entry("axes", "cumsum(x, axis=0)"),
    Entry("library", "sort", NEAR),
    Entry("library", "argsort", NEAR),
    Entry("indexing", "add.at, ", NEAR),
    Entry("indexing", "add.at of values", NEAR),
    Entry("indexing", "x[i]", NEAR),
    Entry("axes", "transpose"),
    Entry("axes", "x + y.T"),
    Entry("library", "power spectrum", NEAR),
    Entry("library", "Cholesky", NEAR),
    Entry("library", "solve 3 x 3", NEAR),
)
# fmt: on


def cases(settings: Settings) -> Iterator[Case]:
    """What the page shows; with little time, one thread at one level."""
    for entry in ROWS:
        if not settings.wants(entry.name):
            continue
        chosen = dataclasses.replace(settings, only=entry.name, levels=entry.levels, threads=(1, 0))
        for case in SECTIONS[entry.section](chosen):
            is_extra = settings.quick and case.threads == 1 and case.level not in ("", QUICK_LEVEL)
            if case.name.startswith(entry.name) and not is_extra:
                yield case


def run(settings: Settings, budget: Budget, output: pathlib.Path, say: Callable) -> None:
    """Time every row, and write the page as text, JSON and a picture."""
    about = report.machine()
    say(report.header_text(about))
    say(
        f"{'':<34}{'size':>14} {'dtype':<8}{'tracejit':>10}{'x best':>8}  {'best':<12} % of the limit"
    )
    rows = []
    for case in cases(settings):
        row = measure(case, budget, probes.limits_of)
        if 0 < row.share < ENOUGH or not row.share:
            _ask_model(case, row)
        rows.append(row)
        say(_line(row))
    for line in summary(rows):
        say(line)
    report.write_json(output / "page.json", about, None, rows)
    write_picture(output / "page.svg", about, rows)


def _line(row: Row) -> str:
    mine, ratio = row.times.get("tracejit"), report.ratio_to_peers(row)
    time = report.duration(mine.median) if mine else "-"
    share = f"{100 * row.share:4.0f} {row.bound}" if row.share else "   -"
    return (
        f"{row.name:<34}{row.size:>14} {row.dtype:<8}{time:>10}{ratio or float('nan'):8.2f}"
        f"  {report.best_of_peers(row):<12}{share}"
    )


def _ask_model(case: Case, row: Row) -> None:
    """Let the cost model say what sets the time, where it is neither memory nor multiply-adds; the share of its
    seconds is the row's then."""
    ours = next((v for v in case.variants if v.subject == "tracejit"), None)
    if ours is None or "tracejit" not in row.times or "f" not in ours.namespace:
        return
    arguments = [value for name, value in ours.namespace.items() if name != "f"]
    try:
        with ours.context():
            kernels = ours.namespace["f"].explain(*arguments).kernels
    except Exception as error:  # noqa: BLE001  what is not explained has no bound
        row.notes["bound"] = reason(error)
        return
    if not kernels or any(kernel.kind not in (LOOPS, CHECK) for kernel in kernels):
        row.bound = row.bound or FOREIGN
        return
    seconds: dict[str, float] = {}
    for kernel in kernels:
        limit = kernel.limit.partition(":")[0]
        seconds[limit] = seconds.get(limit, 0.0) + kernel.predicted
    bound = max(seconds, key=seconds.__getitem__)
    if bound != MEMORY:
        row.share, row.bound = (
            sum(seconds.values()) / row.times["tracejit"].least,
            f"{bound}, model",
        )


def summary(rows: list[Row]) -> Iterator[str]:
    """How many rows are ahead, how many reach the machine's limit, and which do not."""
    compared = [row for row in rows if report.ratio_to_peers(row)]
    if compared:
        ratios = [report.ratio_to_peers(row) for row in compared]
        ahead = sum(ratio >= report.AHEAD for ratio in ratios)
        yield (
            f"\n{ahead} of {len(ratios)} rows level with the best of the others or ahead, geometric mean "
            f"{statistics.geometric_mean(ratios):.2f}, least {min(ratios):.2f}"
        )
        for row in sorted(compared, key=report.ratio_to_peers):
            if report.ratio_to_peers(row) < report.BEHIND:
                yield f"behind {report.best_of_peers(row)} by more than 10 %: {_line(row)}"
    for kind, holds in KINDS_OF_BOUNDS.items():
        shares = [row.share for row in rows if row.share and holds(row.bound)]
        if shares:
            yield (
                f"{kind}: {sum(share >= ENOUGH for share in shares)} of {len(shares)} rows at "
                f"{ENOUGH:.0%} of the limit or more, median {statistics.median(shares):.0%}, "
                f"least {min(shares):.0%}"
            )
