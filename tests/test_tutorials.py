"""The tutorials among the pages of docs: their code runs, and prints what they say it prints."""

from __future__ import annotations

import contextlib
import io
import linecache
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

DOCS = Path(__file__).parent.parent / "docs"
TUTORIALS = (
    "explain.md",
    "fusion.md",
    "layouts.md",
    "nn.md",
    "operators.md",
    "passes.md",
    "schedules.md",
    "stages.md",
    "testing.md",
    "tuning.md",
)
# What a page needs besides the package.
NEEDS = {"operators.md": ("numba",)}


class Block(NamedTuple):
    """Code, and the text that it should print, in which `...` stands for anything."""

    line: int
    code: str
    printed: str | None


def blocks_of(text: str) -> list[Block]:
    found: list[Block] = []
    for match in re.finditer(r"^```(\w+)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        line = text[: match.start()].count("\n") + 2
        if match[1] == "python":
            found.append(Block(line, match[2], None))
        elif match[1] == "text" and found and found[-1].printed is None:
            found[-1] = found[-1]._replace(printed=match[2])
    return found


def run(block: Block, page: Path, names: dict) -> str:
    """What a block prints; its lines are the page's."""
    name = f"{page}:{block.line}"
    linecache.cache[name] = (len(block.code), None, block.code.splitlines(True), name)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(block.code, name, "exec"), names)
    return printed.getvalue()


def agrees(printed: str, wanted: str) -> bool:
    parts = [re.escape(part) for part in wanted.rstrip().split("...")]
    return re.fullmatch(".*?".join(parts), printed.rstrip(), re.DOTALL) is not None


def check(page: Path) -> None:
    """Run a page from its beginning to its end; AssertionError where it prints something else."""
    names: dict = {"__name__": "tutorial"}
    blocks = blocks_of(page.read_text())
    assert len(blocks) > 3
    with np.printoptions(precision=4, suppress=True):
        for block in blocks:
            printed = run(block, page, names)
            if block.printed is not None:
                assert agrees(printed, block.printed), f"{page.name}:{block.line}\n{printed}"


@pytest.mark.parametrize("name", TUTORIALS)
def test_a_tutorial_runs_and_prints_what_it_says(name):
    """In a process of its own, where no test has defined an operator of the same name."""
    pytest.importorskip("numba")
    child = [sys.executable, __file__, str(DOCS / name)]
    environment = {**os.environ, "PYTHONPATH": str(DOCS.parent)}
    done = subprocess.run(child, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr


def test_what_agrees():
    assert agrees("a b c\n", "a ... c\n") and not agrees("a b d\n", "a ... c\n")
    assert blocks_of("```python\nx\n```\nand\n```text\ny\n```\n") == [Block(2, "x\n", "y\n")]


if __name__ == "__main__":
    check(Path(sys.argv[1]))
