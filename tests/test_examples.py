"""Every program of the main job, compiled, against NumPy."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

import tracejit

sys.path.insert(0, str(Path(__file__).parent.parent))

pytest.importorskip("PIL")
pytest.importorskip("matplotlib")

from examples.__main__ import compare, fused
from examples.tasks import Task, all_tasks

TASKS = all_tasks()
# Groups the fuser may make of a program's operations; more means that it lost sight of something.
MOST_KERNELS = {
    "unsharp mask": 3,
    "Sobel edges": 1,
    "Perona-Malik diffusion": 2,
    "wave equation, 200 steps": 1,
    "Mandelbrot set": 3,
}


@pytest.mark.parametrize("task", TASKS, ids=[task.name for task in TASKS])
def test_it_agrees_with_numpy(task: Task, tmp_path):
    compiled = tracejit.jit(task.function)
    agrees, gap = compare(task.apply(task.function), task.apply(compiled), task)
    assert agrees, gap
    assert compiled.cache_info().misses == 1, "one signature, one compile"


@pytest.mark.parametrize("task", TASKS, ids=[task.name for task in TASKS])
def test_it_draws_and_says_what_was_fused(task: Task, tmp_path):
    results = task.apply(task.function)
    task.draw(tmp_path / "picture.png", *(results if isinstance(results, tuple) else (results,)))
    assert (tmp_path / "picture.png").stat().st_size > 1000
    arguments = (task.arguments[0],) * 2 if task.run else task.arguments
    said = fused(tracejit.jit(task.function), arguments, tmp_path / "program.txt")
    assert tracejit.parse((tmp_path / "program.txt").read_text())
    kernels = int(said.split()[-2])
    assert kernels <= MOST_KERNELS.get(task.name, 12)
