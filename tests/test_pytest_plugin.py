"""The pytest plugin, in test runs of its own."""

from __future__ import annotations

from importlib.metadata import entry_points
from pathlib import Path

import pytest

pytest_plugins = ["pytester"]
NAME = "tracejit.pytest_plugin"
INSTALLED = any(found.value == NAME for found in entry_points(group="pytest11"))

TESTS = """
import numpy as np, pytest, tracejit
from tracejit import config, jit

@tracejit.host(pure=True)
def lookup(x):
    return x * 2

@pytest.mark.tracejit(verify=2, numerics="strict")
class TestMarked:
    def test_class(self):
        assert config.verify == 2 and config.numerics == "strict"

    @pytest.mark.tracejit(verify=0)
    def test_nearest(self):
        assert config.verify == 0 and config.numerics == "strict"

def test_unmarked():
    assert config.verify == 1 and config.numerics == "default"

def test_compiles(tracejit_compiles):
    assert tracejit_compiles == []
    f = jit(lambda x: lookup(x) + 1)
    f(np.ones(3)), f(np.ones(3))
    assert [c.why for c in tracejit_compiles] == ["first call"]

def test_nothing(tracejit_compiles):
    assert tracejit_compiles == []
"""


@pytest.fixture
def run(pytester, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent.parent))

    def run(text, *options):
        pytester.makepyfile(text)
        given = () if INSTALLED else ("-p", NAME)
        return pytester.runpytest_subprocess(*given, "-p", "no:cacheprovider", *options)

    return run


def test_markers_and_the_fixture(run):
    run(TESTS).assert_outcomes(passed=5)


def test_a_report_of_compiles_and_calls_of_python(run):
    result = run(TESTS, "--tracejit-report")
    result.stdout.fnmatch_lines([
        "*tracejit: compiles and calls of Python*",
        "*test_compiles: 1",
        "*compiled *lambda*f64*3*: first call*",
        "*through Python, not compiled: *lookup at *",
        "1 compiles",
    ])  # fmt: skip
    assert "tracejit: compiles" not in run(TESTS).stdout.str()


def test_the_report_gathers_what_workers_did(run):
    pytest.importorskip("xdist")
    result = run(TESTS, "--tracejit-report", "-n", "2")
    result.assert_outcomes(passed=5)
    result.stdout.fnmatch_lines(["*test_compiles: 1", "1 compiles"])


def test_reference_runs(run):
    text = """
    from tracejit import config
    def test(): assert config.reference
    """
    run(text, "--tracejit-reference").assert_outcomes(passed=1)
    run(text).assert_outcomes(failed=1)


def test_failures_tell_what_was_compiled(run):
    result = run("""
    import numpy as np, tracejit
    def test():
        tracejit.jit(np.sin)(np.ones(3))
        assert False
    """)
    result.stdout.fnmatch_lines(["*- tracejit -*", "compiled *sin(f64*3*): first call*"])


@pytest.mark.parametrize("given", ["verfy=2", "2"])
def test_markers_that_are_not_understood(run, given):
    result = run(f"""
    import pytest
    @pytest.mark.tracejit({given})
    def test(): pass
    """)
    result.stderr.fnmatch_lines(["*@pytest.mark.tracejit has *; it takes debug, verify*"])
    assert result.ret == pytest.ExitCode.USAGE_ERROR


def test_markers_are_known_to_pytest(run):
    run(TESTS, "--strict-markers").assert_outcomes(passed=5)
    assert "tracejit(**variables)" in run("", "--markers").stdout.str()
