"""How much of NumPy runs under `jit`: each function on sample arguments, written to docs/coverage.md.

Usage: python -m tools.coverage [name ...]    (names: tell of these functions, and write nothing)

The functions are those that NumPy lists, the calls are in coverage_samples.py. A call is `compiled`
if its program never enters Python, `through Python` if it works otherwise, `refused` if it raises, and
`wrong` if its result, or an argument afterwards, differs from NumPy's in value, dtype, shape or type.
A function is as its worst call.
"""

from __future__ import annotations

import ast
import linecache
import sys
import warnings
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import tracejit
from tracejit.events import compiles

from . import coverage_samples as samples

TABLE = Path(__file__).parent.parent / "docs" / "coverage.md"
COMPILED, THROUGH_PYTHON, REFUSED, WRONG = KINDS = "compiled", "through Python", "refused", "wrong"
# The room's name, how a call that opens with a parenthesis begins, and the calls.
MODULES = {
    "numpy": ("np.", samples.NUMPY),
    "numpy.linalg": ("np.linalg.", samples.LINALG),
    "numpy.fft": ("np.fft.", samples.FFT),
    "ndarray": ("m.", samples.NDARRAY),
    "ufunc": ("", samples.UFUNC),
}
# Elementary functions differ by some ULP, and what cancels in sums by more.
TOLERANCE = {"f": 2e-5, "F": 2e-5, "e": 2e-3}


class Row(NamedTuple):
    """A function in the table: how it fares, of how many calls that many are compiled, and why."""

    kind: str
    calls: int
    compiled: int
    reason: str = ""

    def __str__(self) -> str:
        return f"{self.kind} | {self.compiled} of {self.calls} | {self.reason}"


def functions(module: str) -> list[str]:
    """The names that NumPy itself lists, without classes and what computes nothing with numbers."""
    left_out = {name for names in samples.LEFT_OUT.values() for name in names.split()}
    if module == "ndarray":
        return sorted(set(dir(np.ndarray)) - left_out - set(samples.PROTOCOLS.split()))
    if module == "ufunc":
        return [name for name in dir(np.ufunc) if name in calls_by_name(samples.UFUNC)]
    room = {"numpy": np, "numpy.linalg": np.linalg, "numpy.fft": np.fft}[module]
    listed = {name for name in room.__all__ if not name.startswith("_")} - left_out
    found = {name: getattr(room, name) for name in sorted(listed)}
    return [n for n, value in found.items() if callable(value) and not isinstance(value, type)]


def calls_by_name(text: str) -> dict[str, list[str]]:
    pairs = [line.split(": ", 1) for line in text.strip().splitlines()]
    return {name: calls.split("; ") for name, calls in pairs}


def calls_of(module: str, name: str) -> list[str]:
    """The sample calls of a function, written out; by signature where a ufunc has none of its own."""
    prefix, text = MODULES[module]
    calls = calls_by_name(text).get(name)
    if calls is None and module == "numpy" and isinstance(getattr(np, name), np.ufunc):
        ufunc = getattr(np, name)
        calls = samples.UFUNCS[ufunc.nin, ufunc.nout].replace("NAME", name).split("; ")
    if calls is None:
        raise KeyError(f"{module}.{name} has no sample calls in tools/coverage_samples.py")
    return [f"{prefix}{name}{call}" if call.startswith("(") else call for call in calls]


def function_of(call: str) -> tuple[Any, tuple[str, ...]]:
    """A call as a function of the arguments that its letters name."""
    known = {*samples.FOLLOWING, *samples.FIXED}
    tree = ast.parse(call)
    bound = {
        arg.arg for node in ast.walk(tree) if isinstance(node, ast.arguments) for arg in node.args
    }
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    names = tuple(sorted((used & known) - bound))
    body = f"return {call}" if isinstance(tree.body[0], ast.Expr) else call
    scope: dict[str, Any] = {"np": np}
    # With its source, as functions in files have it.
    text, file = f"def sample({', '.join(names)}):\n    {body}\n", f"<sample: {call}>"
    linecache.cache[file] = len(text), None, text.splitlines(keepends=True), file
    exec(compile(text, file, "exec"), scope)
    return scope["sample"], names


def rounds(function: Any, names: tuple[str, ...], position: int) -> list[tuple[str, Any, list]]:
    """The dtypes to try a call in, with NumPy's result and arguments afterwards."""
    order = samples.DTYPES[position % 5 :] + samples.DTYPES[: position % 5]
    if not set(names) & samples.FOLLOWING.keys():
        order = samples.DTYPES[:1]
    found = []
    for dtype in order:
        arguments = samples.arguments(names, dtype)
        try:
            found.append((dtype, function(*arguments), arguments))
        except (TypeError, ValueError, np.linalg.LinAlgError, IndexError):
            continue
        if position:
            break
    return found


def same(expected: Any, got: Any) -> bool:
    """Equal in structure, type, dtype and shape, and in value but for rounding."""
    if isinstance(expected, tuple | list):
        return (
            type(expected) is type(got)
            and len(expected) == len(got)
            and all(same(a, b) for a, b in zip(expected, got))
        )
    if type(expected) is not type(got):
        return False
    if not isinstance(expected, np.ndarray | np.generic | float | complex):
        return expected == got
    a, b = np.asarray(expected), np.asarray(got)
    if (a.dtype, a.shape) != (b.dtype, b.shape):
        return False
    tolerance = TOLERANCE.get(a.dtype.char, 1e-10)
    return a.dtype.kind in "OUS" or np.allclose(a, b, tolerance, tolerance, equal_nan=True)


def try_call(
    function: Any, names: tuple[str, ...], round_: tuple[str, Any, list]
) -> tuple[str, str]:
    """How one call fares, and why."""
    dtype, expected, afterwards = round_
    arguments = samples.arguments(names, dtype)
    try:
        with compiles() as made:
            got = tracejit.jit(function, fallback="python")(*arguments)
    except Exception as error:
        return REFUSED, str(error).partition("\n")[0]
    if not same(expected, got) or not same(afterwards, arguments):
        return WRONG, f"differs from NumPy ({dtype})"
    enters_python = not made or any(one.python_calls for one in made)
    return THROUGH_PYTHON if enters_python else COMPILED, ""


def row_of(module: str, name: str) -> Row:
    """A function's row: as its worst call is."""
    worst, reason, calls, compiled = COMPILED, "", 0, 0
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        for position, call in enumerate(calls_of(module, name)):
            function, names = function_of(call)
            tried = rounds(function, names, position)
            if not tried:
                raise ValueError(f"NumPy takes {call} in no dtype")
            for round_ in tried:
                kind, why = try_call(function, names, round_)
                calls, compiled = calls + 1, compiled + (kind == COMPILED)
                if KINDS.index(kind) > KINDS.index(worst):
                    worst, reason = kind, f"`{call}`: {why}" if why else f"`{call}`"
    return Row(worst, calls, compiled, reason.replace("|", "\\|"))


def share(rows: list[Row], *kinds: str) -> str:
    return f"{100 * sum(row.kind in kinds for row in rows) / len(rows):.1f} %"


def text_of(table: dict[str, dict[str, Row]]) -> str:
    """The page: percentages by module, what is left out, and the tables."""
    lines = [
        "# What of NumPy runs under jit",
        "",
        f"Written by `python -m tools.coverage` with NumPy {np.__version__}; tests/test_coverage.py keeps it true.",
        "Each function is tried on sample calls (tools/coverage_samples.py) in float64, float32, int64, complex128 and",
        "bool where NumPy takes them. *Compiled*: all of them, without entering Python. *Through Python*: all work, and",
        "those in the last column, or others as well, call NumPy from the program. *Refused*: at least one is an error.",
        "",
        "| module | functions | work | compiled | through Python | refused | wrong |",
        "|---|---|---|---|---|---|---|",
    ]
    for module, rows in [
        *table.items(),
        ("all", {k: r for m in table for k, r in _keyed(m, table[m])}),
    ]:
        found = list(rows.values())
        counts = " | ".join(str(sum(row.kind == kind for row in found)) for kind in KINDS[1:])
        lines.append(
            f"| {module} | {len(found)} | {share(found, COMPILED, THROUGH_PYTHON)} | {share(found, COMPILED)} | {counts} |"
        )
    lines += [
        "",
        "Left out, as they compute nothing with numbers: classes, Python's object protocols, and what is to",
    ]
    lines += [
        f"- {reason}: {', '.join(names.split())}" for reason, names in samples.LEFT_OUT.items()
    ]
    for module, rows in table.items():
        lines += [
            "",
            f"## {module}",
            "",
            "| function | | compiled | first call that is not |",
            "|---|---|---|---|",
        ]
        lines += [f"| {name} | {row} |" for name, row in rows.items()]
    return "\n".join(lines) + "\n"


def _keyed(module: str, rows: dict[str, Row]) -> list[tuple[str, Row]]:
    return [(f"{module}.{name}", row) for name, row in rows.items()]


def main(chosen: list[str]) -> None:
    table = {
        module: {n: row_of(module, n) for n in functions(module) if not chosen or n in chosen}
        for module in MODULES
    }
    for module, rows in table.items():
        for name, row in rows.items():
            if chosen or row.kind in (REFUSED, WRONG):
                print(f"{module}.{name}: {row}")
    if not chosen:
        TABLE.write_text(text_of(table))
        print(*text_of(table).splitlines()[7:15], sep="\n")


if __name__ == "__main__":
    main(sys.argv[1:])
