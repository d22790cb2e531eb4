"""docs/coverage.md says of each of NumPy's functions what a run finds: tools/coverage.py."""

import os
import re
import warnings

import numpy as np
import pytest

import tracejit
from tools import coverage
from tracejit.events import compiles

PAGE = coverage.TABLE.read_text()
VERSION = re.search(r"with NumPy (\S+);", PAGE)[1]
NAMES = [(module, name) for module in coverage.MODULES for name in coverage.functions(module)]


def rows_of_page() -> dict[tuple[str, str], str]:
    rows, module = {}, ""
    for line in PAGE.splitlines():
        if line.startswith("## "):
            module = line[3:]
        elif module and line.startswith("| ") and not line.startswith("| function"):
            name, row = line[2:-2].split(" | ", 1)
            rows[module, name] = row
    return rows


ROWS = rows_of_page()


def compiled_at_once(module: str, name: str) -> coverage.Row | None:
    """The row of a function whose calls are one program, if that is right and enters no Python.

    The first call, which the page tries in every dtype, is in one of them here, another from row to row.
    """
    calls, count = [], 0
    for position, call in enumerate(coverage.calls_of(module, name)):
        function, names = coverage.function_of(call)
        rounds = coverage.rounds(function, names, position)
        calls.append((function, names, rounds[NAMES.index((module, name)) % len(rounds)]))
        count += len(rounds)
    functions = [function for function, *_ in calls]

    def program(*groups):
        return [function(*group) for function, group in zip(functions, groups)]

    groups = [tuple(coverage.samples.arguments(names, dtype)) for _, names, (dtype, *_) in calls]
    try:
        with compiles() as made:
            found = tracejit.jit(program, fallback="python")(*groups)
    except Exception:  # noqa: BLE001 - call by call it shows why
        return None
    right = all(
        coverage.same(expected, got) and coverage.same(afterwards, list(group))
        for (*_, (_, expected, afterwards)), got, group in zip(calls, found, groups)
    )
    if right and made and not any(one.python_calls for one in made):
        return coverage.Row(coverage.COMPILED, count, count)
    return None


@pytest.mark.parametrize("module, name", NAMES, ids=".".join)
def test_row(module, name):
    if np.__version__ != VERSION and (module, name) not in ROWS:
        pytest.skip(f"not in NumPy {VERSION}, with which the page was written")
    found = None
    if ROWS[module, name].startswith("compiled") and os.environ.get("TRACEJIT_TESTS") != "random":
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            found = compiled_at_once(module, name)
    found = coverage.row_of(module, name) if found is None else found
    if np.__version__ == VERSION:
        assert str(found) == ROWS[module, name], "run python -m tools.coverage"
    else:  # other versions take other arguments, and say other things
        assert found.kind == ROWS[module, name].split(" | ")[0]


@pytest.mark.skipif(np.__version__ != VERSION, reason="another NumPy lists other functions")
def test_the_page_has_no_other_rows():
    assert set(ROWS) == set(NAMES)


def test_the_percentages_are_those_of_the_rows():
    for module in coverage.MODULES:
        kinds = [row.split(" | ")[0] for (room, _), row in ROWS.items() if room == module]
        compiled = 100 * kinds.count("compiled") / len(kinds)
        assert f"| {module} | {len(kinds)} |" in PAGE
        assert re.search(rf"\| {module} \| \d+ \| [\d.]+ % \| {compiled:.1f} % \|", PAGE)


def test_how_calls_are_told_apart(monkeypatch):
    """A rule that gives something else is wrong; what NumPy is called for is not compiled."""
    table = "array2string: (x)\nsum: (x); x[:: x.argmax()]"
    monkeypatch.setitem(coverage.MODULES, "numpy", ("np.", table))
    assert coverage.row_of("numpy", "array2string").kind == coverage.THROUGH_PYTHON
    assert coverage.row_of("numpy", "sum").kind == coverage.REFUSED
    assert not coverage.same(np.float64(1), 1.0)
    assert not coverage.same(np.ones(3, "f4"), np.ones(3))
    assert not coverage.same([np.ones(3)], [np.ones((3, 1))])
    assert not coverage.same(np.ones(3), np.array([1, 1, 1 + 1e-8]))
    assert coverage.same((np.array([np.nan]), "a"), (np.array([np.nan]), "a"))
