"""The pytest plugin: variables for a test, what it compiled and called through Python, reference runs.

@pytest.mark.tracejit(numerics="strict", verify=2)   # variables while a test runs
def test(tracejit_compiles): ...                     # what it compiled, as a list that grows

pytest --tracejit-report       # each test that compiled something: how often, and calls of Python
pytest --tracejit-reference    # programs run by NumPy, to tell a wrong program from wrong code
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

from .config import VARIABLES, config
from .deferred import module
from .events import Compile, compiles

pytest = module("pytest")

PROPERTY = "tracejit"
_found = pytest.StashKey()


def pytest_addoption(parser: Any) -> None:
    group = parser.getgroup("tracejit", "compiled functions")
    group.addoption(
        "--tracejit-report",
        action="store_true",
        help="list what each test compiled, and the functions its programs call through Python",
    )
    group.addoption(
        "--tracejit-reference",
        action="store_true",
        help="let NumPy run every compiled program, as TRACEJIT_REFERENCE=1 does",
    )


def pytest_configure(config: Any) -> None:
    config.addinivalue_line(
        "markers",
        "tracejit(**variables): values of tracejit's variables while the test runs, such as "
        "verify=2 or numerics='strict'; functions that were jitted before keep their options",
    )


def _variables(item: Any) -> dict[str, Any]:
    """What the markers of a test say, those nearest to it at last."""
    values: dict[str, Any] = {}
    for mark in reversed(list(item.iter_markers("tracejit"))):
        unknown = sorted(set(mark.kwargs) - set(VARIABLES))
        if mark.args or unknown:
            what = f"unknown variables {unknown}" if unknown else "values without names"
            raise pytest.UsageError(
                f"{item.nodeid}: @pytest.mark.tracejit has {what}; it takes {', '.join(VARIABLES)}"
            )
        values |= mark.kwargs
    if item.config.getoption("--tracejit-reference"):
        values.setdefault("reference", True)
    return values


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_protocol(item: Any, nextitem: Any) -> Iterator[None]:
    with ExitStack() as stack:
        stack.enter_context(config.use(**_variables(item)))
        item.stash[_found] = stack.enter_context(compiles())
        yield


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: Any, call: Any) -> Iterator[None]:
    report = (yield).get_result()
    found = item.stash.get(_found, None)
    if call.when == "call" and found:
        lines = [f"compiled {compile} ({1e3 * compile.seconds:.0f} ms)" for compile in found]
        lines += list(dict.fromkeys(note for compile in found for note in compile.python_calls))
        # Properties travel from the workers of pytest-xdist; sections are shown with failures.
        report.user_properties.append((PROPERTY, lines))
        report.sections.append(("tracejit", "\n".join(lines)))


@pytest.fixture
def tracejit_compiles(request: Any) -> list[Compile]:
    """What was compiled since the test began, its fixtures included: a list that grows."""
    return request.node.stash[_found]


def pytest_terminal_summary(terminalreporter: Any, config: Any) -> None:
    if not config.getoption("--tracejit-report"):
        return
    terminalreporter.section("tracejit: compiles and calls of Python")
    total = 0
    for reports in terminalreporter.stats.values():
        for report in reports:
            for name, lines in getattr(report, "user_properties", ()):
                if name == PROPERTY:
                    count = sum(line.startswith("compiled") for line in lines)
                    total += count
                    terminalreporter.line(f"{report.nodeid}: {count}")
                    for line in lines:
                        terminalreporter.line(f"    {line}", red=not line.startswith("compiled"))
    terminalreporter.line(f"{total} compiles")
