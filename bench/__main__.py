"""`python -m bench [section ...]`: time tracejit against NumPy, its peers and the machine's limits."""

import argparse
import pathlib
import sys

from . import page, probes, report
from .harness import Budget, measure
from .peers import OURS, SUBJECTS
from .workloads import SECTIONS
from .workloads.arrays import Settings

# Those that compile in little time.
QUICK_PEERS = "numba,jax"
RESULTS = pathlib.Path(__file__).parent / "results"


def parse_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument(
        "sections", nargs="*", metavar="section", help=f"of {', '.join(SECTIONS)}; default: all"
    )
    parser.add_argument(
        "--quick", action="store_true", help="fewer sizes, peers' slow parts left out"
    )
    peers = ",".join(name for name in SUBJECTS if name not in ("numpy", *OURS))
    parser.add_argument(
        "--peers",
        help=f"comma-separated; or none; default: {peers}; of a quick page {QUICK_PEERS}",
    )
    parser.add_argument("--only", default="", help="only cases whose name holds this text")
    parser.add_argument(
        "--no-limits", action="store_true", help="do not measure the machine's limits"
    )
    parser.add_argument(
        "--page",
        action="store_true",
        help="every kind of work, with one thread and with all, against peers and limits",
    )
    parser.add_argument(
        "--output", type=pathlib.Path, default=RESULTS, help="folder for the results"
    )
    arguments = parser.parse_args(argv)
    if arguments.peers is None:
        arguments.peers = QUICK_PEERS if arguments.page and arguments.quick else peers
    for section in arguments.sections:
        if section not in SECTIONS:
            parser.error(f"no section {section!r}; there are {', '.join(SECTIONS)}")
    return arguments


def main(argv: list[str] | None = None) -> int:
    arguments = parse_arguments(argv)
    chosen = arguments.peers.split(",")
    subjects = tuple(name for name in SUBJECTS if name in ("numpy", *OURS, *chosen))
    settings = Settings(subjects, arguments.quick, arguments.only)
    budget = Budget.quick() if arguments.quick else Budget.full()
    arguments.output.mkdir(parents=True, exist_ok=True)
    about = report.machine()
    lines: list[str] = []

    def say(text: str) -> None:
        print(text, flush=True)
        lines.append(text)

    if arguments.page:
        page.run(settings, budget, arguments.output, say)
        (arguments.output / "page.txt").write_text("\n".join(lines) + "\n")
        return 0
    say(report.header_text(about))
    limits = None if arguments.no_limits else _limits(say)
    rows = []
    for section in arguments.sections or SECTIONS:
        before = len(rows)
        say(report.title_text(section))
        for case in SECTIONS[section](settings):
            row = measure(case, budget, probes.limits_of) if limits else measure(case, budget)
            rows.append(row)
            say(report.row_text(row))
        for line in report.compiling_text(section, rows[before:]):
            say(line)
    for line in report.summary_text(rows):
        say(line)
    say(
        "\ntimes are medians of one run; '-' where a library is not installed, cannot, or was wrong:"
    )
    for note in report.notes_text(rows):
        say(note)
    (arguments.output / "bench.txt").write_text("\n".join(lines) + "\n")
    report.write_json(arguments.output / "bench.json", about, limits, rows)
    report.write_picture(arguments.output / "bench.png", about, rows)
    return 0


def _limits(say):
    from .limits import measure_limits

    limits = measure_limits()
    say(report.limits_text(limits))
    return limits


if __name__ == "__main__":
    sys.exit(main())
