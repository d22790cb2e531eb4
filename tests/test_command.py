"""The command line: what it tells of the machine, and calls that it finds in scripts."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SCRIPT = """
import sys
import numpy as np
import tracejit

def plain(x, *rest, scale=2.0, **more):
    return np.tanh(x) * scale

@tracejit.jit
def jitted(x):
    y = plain(x, scale=3.0)
    while (y > 0.5).any():
        y = y * 0.5
    return y.sum()

class Model:
    def __init__(self, size):
        self.weights = np.ones((size, size))

    def step(self, x):
        return np.tanh(x @ self.weights) + 1

def never(x):
    return x + 1

def broken(x):
    raise RuntimeError("inside")

print("the script speaks")
if __name__ == "__main__":
    try:
        jitted(np.linspace(0, 1, 50))
        plain(np.ones(7), 1, 2, scale=4.0, other=5)
        Model(4).step(np.ones(4))
    except Exception:
        print("handled")
    if "--fail" in sys.argv:
        raise ValueError("on purpose")
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scripts")
    (folder / "model.py").write_text(SCRIPT)
    environment = {
        **os.environ,
        "TRACEJIT_CACHE": str(folder / "cache"),
        "TRACEJIT_CACHE_SIZE": "7",
        "PYTHONPATH": str(ROOT),
    }

    def run(*arguments, status=0):
        command = [sys.executable, "-m", "tracejit", *arguments]
        found = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
        assert found.returncode == status, found.stderr
        return found.stdout if status == 0 else found.stderr

    run.folder = folder
    return run


def test_machine_cache_versions_and_variables(run):
    text = run()
    assert text.startswith("tracejit ") and "NumPy" in text and "llvmlite" in text
    assert "GB/s" in text and "multiply-adds" in text
    assert f"cache: {run.folder / 'cache'}" in text and "machine-" in text
    assert re.search(r"[*] TRACEJIT_CACHE_SIZE +7 ", text) and "  TRACEJIT_THREADS" in text
    assert "machine-" not in run("--clear-cache").partition("cache:")[0]


def test_the_call_of_a_jitted_function(run):
    text = run("explain", "model.py:jitted")
    assert text.startswith("jitted(x: f64[50])") and "model.py:12" in text
    assert "the script speaks" not in text and "\033" not in text


def test_a_function_on_more_cores(run):
    text = run("scaling", "model.py:Model.step", "--args", "Model(200), np.ones((200, 200))")
    assert "a simulation of the schedule" in text and re.search(r"^64 ", text, re.MULTILINE)
    found = json.loads(run("scaling", "model.py:plain", "--json"))
    assert [point["threads"] for point in found["points"]] == [1, 2, 4, 8, 16, 32, 64]


def test_what_machine_code_waits_for(run):
    text = run("bottlenecks", "model.py:Model.step", "--args", "Model(200), np.ones((200, 200))")
    assert "with all memory in the nearest cache" in text and "cycles for" in text
    found = json.loads(run("bottlenecks", "model.py:plain", "--json"))
    assert all(block["turns"] > 0 and block["assembly"] for block in found["blocks"])


def test_the_call_of_any_function(run):
    text = run("explain", "model.py:plain")
    assert text.startswith("plain(x: f64[7], ") and "tanh" in text


def test_the_call_of_a_method(run):
    text = run("explain", "model.py:Model.step")
    assert text.startswith("step(") and "x: f64[4]" in text and "tanh" in text


def test_arguments_as_an_expression(run):
    text = run("explain", "model.py:never", "--args", "np.ones((3, 5))")
    assert text.startswith("never(x: f64[3, 5])")
    text = run("explain", "model.py:plain", "--args", "np.ones(3), scale=1.5")
    assert "x: f64[3]" in text


def test_a_page_and_records(run):
    assert run("explain", "model.py:jitted", "--html", "out.html") == ""
    assert (run.folder / "out.html").read_text().startswith("<!DOCTYPE html>")
    found = json.loads(run("explain", "model.py:jitted", "--json"))
    assert found["name"] == "jitted" and found["kernels"]


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["nothing.py:f"], "there is no file nothing.py; in ./ there are model.py"),
        (["model.py"], "should be SCRIPT:FUNCTION"),
        (["model.py:nothing"], "has no function nothing; it defines plain, jitted, never"),
        (["model.py:never"], "never called never"),
        (["model.py:never", "--", "--fail"], "model.py failed before the call: ValueError"),
        (["model.py:Model.nothing", "--args", "1"], "has no function Model.nothing"),
        (["model.py:never", "--args", "np.ones("], "write it as between the parentheses"),
        (["model.py:np", "--args", "1"], "no function but module"),
    ],
)
def test_errors_say_what_to_do(run, arguments, message):
    text = run("explain", *arguments, status=2)
    assert message in text
    assert "Traceback" not in text or "on purpose" in text


def test_help(run):
    assert "explain" in run("--help") and "--measure" in run("--help")
    assert "model.py:step" in run("explain", "--help")
