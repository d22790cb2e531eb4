"""The command line: `python -m tracejit`, and `python -m tracejit explain script.py:function`."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from . import __version__
from .config import VARIABLES, config
from .report.bottlenecks import Bottlenecks
from .report.explanation import Explanation
from .report.scaling import Scaling
from .report.text import columns, machine_lines, size
from .runtime import disk, engine
from .runtime.machine import machine, measure_again
from .runtime.threads import get_num_threads
from .scripts import NotFound, find_call

EXPLAIN = """\
Run a script until it calls FUNCTION, and tell what that call compiles to: for each line of the source the
kernels it became, their time predicted and measured, what is fused and why not more.

examples:
  python -m tracejit explain model.py:step
  python -m tracejit explain model.py:step --html step.html
  python -m tracejit explain model.py:Model.step --args "Model(3), np.ones((64, 64))"
  python -m tracejit explain model.py:step -- --size 100      # arguments of the script
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Carry out a command line; the exit status."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    script: list[str] = []
    if "--" in given:
        place = given.index("--")
        given, script = given[:place], given[place + 1 :]
    parser = _parser()
    chosen = parser.parse_args(given)
    if chosen.command:
        return _told(chosen, script)
    if script:
        parser.error("only commands take arguments of a script, after --")
    if chosen.clear_cache:
        _clear_cache()
    print("\n".join(status(measure_again() if chosen.measure else machine())))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tracejit",
        description="Without a command: versions, the machine's parameters, the cache, and every variable.",
    )
    parser.add_argument(
        "--measure", action="store_true", help="measure the machine anew, and keep that"
    )
    parser.add_argument(
        "--clear-cache", action="store_true", help="remove what is cached on disk first"
    )
    parser.add_argument("--version", action="version", version=f"tracejit {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    explain = commands.add_parser(
        "explain",
        help="tell what a function of a script compiles to",
        description=EXPLAIN,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    scaling = commands.add_parser(
        "scaling",
        help="simulate a function of a script on 1 to 64 cores",
        description="The time of a call on 1 to 64 cores, simulated from its schedule and its kernels' times on one.",
    )
    bottlenecks = commands.add_parser(
        "bottlenecks",
        help="measure what the machine code of a function of a script waits for",
        description="How often each block of a call's machine code runs, what it takes where it waits for no memory, and which instructions set that.",
    )
    for command in (explain, scaling, bottlenecks):
        command.add_argument("target", metavar="SCRIPT:FUNCTION", help="such as model.py:step")
        command.add_argument("--args", metavar="EXPRESSION", help="arguments as in a call, evaluated in the script, which then runs as a module (np is NumPy)")  # fmt: skip
        if command is not bottlenecks:
            command.add_argument(
                "--html", metavar="FILE", help="write a page with pictures to this file"
            )
        command.add_argument("--json", action="store_true", help="print records instead of text")
    return parser


def _told(chosen: argparse.Namespace, script: Sequence[str]) -> int:
    try:
        function, args, kwargs = find_call(chosen.target, chosen.args, script)
        found: Explanation | Scaling | Bottlenecks = getattr(function, chosen.command)(
            *args, **kwargs
        )
    except NotFound as error:
        print(f"tracejit: {error}", file=sys.stderr)
        return 2
    page = getattr(chosen, "html", None)
    if page:
        found.html(page)
        print(f"tracejit: wrote {page}", file=sys.stderr)
    if chosen.json:
        print(json.dumps(found.to_json()))
    elif not page:
        found.show()
    return 0


def status(parameters: object) -> list[str]:
    """Versions, the machine, the cache and the variables, a line each."""
    threads = get_num_threads()
    return [
        f"tracejit {__version__}, NumPy {np.__version__}, {engine.compiler_version()}, Python {platform.python_version()}",
        f"{engine.target().triple}, {threads} thread{'s' * (threads > 1)} for parallel loops",
        "",
        *machine_lines(parameters),
        f"  measured {time.strftime('%Y-%m-%d %H:%M', time.localtime(parameters.measured))}; --measure does so anew",
        "",
        *_cache(),
        "",
        *_variables(),
    ]


def _files() -> list[Path]:
    directory = disk.cache_directory()
    found = [] if directory is None else [p for p in directory.glob("*") if p.is_file()]
    return sorted(found)


def _cache() -> list[str]:
    directory = disk.cache_directory()
    if directory is None:
        return ["cache: off"]
    files = _files()
    total = sum(path.stat().st_size for path in files)
    count = f"{len(files)} file{'s' * (len(files) != 1)}"
    rows = [
        [path.name, size(path.stat().st_size), time.strftime("%Y-%m-%d %H:%M", time.localtime(path.stat().st_mtime))]
        for path in files
    ]  # fmt: skip
    return [f"cache: {directory}, {count}, {size(total)}", *[f"  {line}" for line in columns(rows)]]


def _clear_cache() -> None:
    for path in _files():
        if path.suffix in (".o", ".json"):
            path.unlink(missing_ok=True)


def _variables() -> list[str]:
    rows = []
    for name, variable in VARIABLES.items():
        variable_name = f"TRACEJIT_{name.upper()}"
        value = getattr(config, name)
        mark = "*" if variable_name in os.environ else " "
        rows.append([f"{mark} {variable_name}", repr(value), variable.meaning])
    return ["variables (* is set in the environment):", *columns(rows, left=(0, 1, 2))]
