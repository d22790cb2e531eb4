"""The one page: every kind of work that a compiler of NumPy must do well, against the best peer and the machine's limit.

`python -m bench --page` times what `ROWS` lists, in float32 and float64, with one thread and with all, at sizes in
L2, L3 and memory where there are sizes. For each row it tells how many times faster than the best of the others
tracejit is, which part of the machine's limit it reaches, and what that limit is: a level of memory ("L3 2r1w" is
two arrays read and one written there) or multiply-adds, measured in turns with the row (`bench.probes`). Where
neither is near, the row's own "instructions" may be: each block of its machine code, as often as it runs, measured
by itself with all memory in the nearest cache (`tracejit.bottlenecks`), and what it takes to call the program and to begin its
parallel loops; or its "traffic": what its kernels move from each cache, as the model of caches counts it, at the
machine's bandwidths, where that is more than arrays that are read and written once. Where other libraries' code does most of the work, "NumPy's code" or the "library" is the limit, and
the share what it takes of the time.

Rows that are short of their limit, or behind the best of the others, are told with what their instructions wait
for, and the section of `docs/limits.md` that explains them; those that none explains are listed at the end.
"""

import dataclasses
import pathlib
import statistics
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from tracejit.lower.tensor.cost import NOTHING
from tracejit.report.bottlenecks import Bottlenecks
from tracejit.report.records import LIBRARY, NUMPY, KernelRecord
from tracejit.runtime.machine import machine

from . import explained, probes, report
from .harness import Budget, Case, Row, measure, reason
from .picture import write_picture
from .workloads import SECTIONS
from .workloads.arrays import Settings

NEAR, ALL = ("L2", "L3"), ("L2", "L3", "DRAM")
# Where rows stand with one thread, when there is little time.
QUICK_LEVEL = "L3"
ENOUGH = 0.85  # of a limit
# Blocks of instructions that others run beside, in the program, take less together than one by one; more than
# this is an error.
CREDIBLE = 1.25
INSTRUCTIONS, TRAFFIC = "instructions", "traffic"
# What kernels move is told where it is so many times what they must.
AGAIN = 1.25
# Blocks of a row that are told.
BLOCKS = 2
# Of seconds a call counts.
SHORT = 50e-6
KINDS_OF_BOUNDS: dict[str, Callable[[str], bool]] = {
    "memory": lambda bound: bound.startswith(("L2", "L3", "DRAM")),
    "multiply-adds": lambda bound: bound == "multiply-adds",
    "its own instructions": lambda bound: bound == INSTRUCTIONS,
    "its own traffic": lambda bound: bound == TRAFFIC,
    "other libraries' code": lambda bound: bound in (LIBRARY, NUMPY),
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
    Entry("library", "histogram", NEAR),
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
        if is_short(row):
            _look_further(case, row)
            row.explained = explained.sections(row)
        rows.append(row)
        say(_line(row))
        for line in _reasons(row):
            say(line)
    for line in summary(rows):
        say(line)
    report.write_json(output / "page.json", about, None, rows, figures(rows))
    write_picture(output / "page.svg", about, rows)


def is_short(row: Row) -> bool:
    """Whether a row does not reach its limit, or is behind the best of the others."""
    return row.share < ENOUGH or 0 < report.ratio_to_peers(row) < report.BEHIND


def _reasons(row: Row) -> Iterator[str]:
    """What is known of a row that is short."""
    if not is_short(row):
        return
    others = [f"{share:.0%} {name}" for name, share in row.shares.items() if name != row.bound]
    for text in [*row.why, *([f"also {', '.join(others)}"] if others else [])]:
        yield f"{'':<6}{text}"
    yield f"{'':<6}{'docs/limits.md: ' + '; '.join(row.explained) if row.explained else 'not explained'}"


def _line(row: Row) -> str:
    mine, ratio = row.times.get("tracejit"), report.ratio_to_peers(row)
    time = report.duration(mine.median) if mine else "-"
    share = f"{100 * row.share:4.0f} {row.bound}" if row.share else f"   - {row.bound}".rstrip()
    if row.share and row.bound == INSTRUCTIONS and row.level:
        share += "".join([f", {100 * part:.0f} {name}" for name, part in [*row.shares.items()][:1]])
    return (
        f"{row.name:<34}{row.size:>14} {row.dtype:<8}{time:>10}{ratio or float('nan'):8.2f}"
        f"  {report.best_of_peers(row):<12}{share}"
    )


def _look_further(case: Case, row: Row) -> None:
    """Find what else may set the time: the row's own instructions, or those of other libraries."""
    ours = next((v for v in case.variants if v.subject == "tracejit"), None)
    if ours is None or "tracejit" not in row.times or "f" not in ours.namespace:
        return
    function, arguments = ours.namespace["f"], list(ours.namespace.values())[1:]
    try:
        with ours.context():
            kernels = function.explain(*arguments).kernels
            found = function.bottlenecks(*arguments)
    except Exception as error:  # noqa: BLE001  what is not explained has no bound
        row.notes["bound"] = reason(error)
        return
    least = row.times["tracejit"].least
    for kind, seconds in _foreign(kernels, found).items():
        _take(row, kind, min(seconds / least, 1.0))
    around = probes.call_seconds(len(arguments)) if least < SHORT else 0.0
    if sum(max(kernel.moved.values(), default=0.0) for kernel in kernels) > AGAIN * case.bytes:
        _take(row, TRAFFIC, _traffic(kernels) / least)
    _take(row, INSTRUCTIONS, (found.seconds + around) / least)
    row.why += [text for text in found.largest(BLOCKS)]


def _traffic(kernels: Iterable[KernelRecord]) -> float:
    """Seconds that take what each kernel moves from that cache, or memory, which it waits for longest, and back."""
    known = machine()

    def seconds(kernel: KernelRecord, level: str) -> float:
        return kernel.moved[level] / known.bytes_per_second(level, kernel.threads)

    return sum(
        max([seconds(kernel, level) for level in kernel.moved], default=0.0) for kernel in kernels
    )


def _foreign(kernels: Iterable[KernelRecord], found: Bottlenecks) -> dict[str, float]:
    """Seconds in code of others: of kernels that call some, without what their own instructions take."""
    seconds: dict[str, float] = {}
    for kernel in kernels:
        called = [symbol for symbol in kernel.symbols if symbol not in NOTHING]
        if called:
            kind = NUMPY if all(symbol.startswith("numpy_") for symbol in called) else LIBRARY
            own = sum(
                h.seconds for h in found.hot if h.trace.function.startswith(f"{kernel.name}.")
            )
            rest = max((kernel.measured or 0.0) - own, 0.0)
            seconds[kind] = seconds.get(kind, 0.0) + rest
    return seconds


def _take(row: Row, bound: str, share: float) -> None:
    """Let this bound the row if it is nearer than what was found before, and can be."""
    row.shares[bound] = share
    if row.share < share <= CREDIBLE:
        row.bound, row.share = bound, share


def figures(rows: list[Row]) -> dict:
    """Where rows stand: against the best of the others, and by what bounds them against that."""
    ratios = [ratio for row in rows if (ratio := report.ratio_to_peers(row))]
    found: dict = {"rows": len(rows), "compared": len(ratios), "bounds": {}}
    if ratios:
        found |= {
            "ahead or level": sum(ratio >= report.AHEAD for ratio in ratios),
            "behind": sum(ratio < report.BEHIND for ratio in ratios),
            "geometric mean": statistics.geometric_mean(ratios),
            "least": min(ratios),
        }
    for kind, holds in KINDS_OF_BOUNDS.items():
        shares = [row.share for row in rows if row.share and holds(row.bound)]
        if shares:
            found["bounds"][kind] = {
                "rows": len(shares),
                "enough": sum(share >= ENOUGH for share in shares),
                "median": statistics.median(shares),
                "least": min(shares),
            }
    found["without a limit"] = sum(not row.share for row in rows)
    return found


def summary(rows: list[Row]) -> Iterator[str]:
    """How many rows are ahead, how many reach the machine's limit, and which do not."""
    found = figures(rows)
    if found["compared"]:
        part = found["ahead or level"] / found["compared"]
        yield (
            f"\nagainst the best of the others: level or ahead in {found['ahead or level']} of "
            f"{found['compared']} rows ({part:.0%}), geometric mean {found['geometric mean']:.2f}, "
            f"least {found['least']:.2f}; behind by more than 10 % in {found['behind']}"
        )
        for row in sorted(rows, key=report.ratio_to_peers):
            if 0 < report.ratio_to_peers(row) < report.BEHIND:
                yield f"  behind {report.best_of_peers(row)}: {_line(row)}"
    yield f"\n{'against the limit, bound by':<34}{'rows':>6}{f'at {ENOUGH:.0%}':>10}{'median':>8}{'least':>8}"
    for kind, known in found["bounds"].items():
        yield (
            f"{kind:<34}{known['rows']:>6}{known['enough']:>10}{known['median']:>8.0%}"
            f"{known['least']:>8.0%}"
        )
    yield f"{'no known limit':<34}{found['without a limit']:>6}"
    short = [row for row in rows if row.share < ENOUGH]
    for row in sorted(short, key=lambda row: row.share):
        yield f"  short of its limit: {_line(row)}"
    unknown = [row for row in rows if is_short(row) and not row.explained]
    yield f"\n{len(unknown)} rows that are short or behind are not explained in docs/limits.md"
    for row in unknown:
        yield f"  not explained: {_line(row)}"
