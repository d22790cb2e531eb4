"""Machines of which the system tells little, or odd things: programs compile, and give what NumPy gives."""

from __future__ import annotations

import importlib

import numpy as np
import pytest

import tracejit
from tracejit.runtime import machine
from tracejit.runtime.cores import granted

K, M = 1 << 10, 1 << 20
CACHES = {
    "none told": {},
    "no last cache": {"L1": 32 * K, "L2": M},
    "the first alone": {"L1": 32 * K},
    "the second alone": {"L2": 256 * K},
    "a last one that is smaller": {"L1": 48 * K, "L2": 2 * M, "L3": M},
    "a fourth": {"L1": 64 * K, "L2": 512 * K, "L3": 8 * M, "L4": 128 * M},
    "tiny": {"L1": 4 * K, "L2": 8 * K, "L3": 16 * K},
    "huge": {"L1": M, "L2": 256 * M, "L3": 1 << 33},
}


def softmax(x):
    e = np.exp(x - x.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def columns(x):
    return (x - x.mean(axis=0)) / x.std(axis=0)


def stencil(x):
    for _ in range(20):
        y = x.copy()
        y[1:-1, 1:-1] = 0.25 * (x[:-2, 1:-1] + x[2:, 1:-1] + x[1:-1, :-2] + x[1:-1, 2:])
        x = y
    return x


def attention(x):
    return softmax(x @ x.T) @ x


PROGRAMS = [softmax, columns, stencil, attention, lambda x: np.cumsum(x, axis=0).T @ x]


MACHINES = [(caches, 1) for caches in CACHES] + [("no last cache", 96), ("tiny", 3), ("huge", 96)]


@pytest.mark.parametrize("caches, cores", MACHINES)
def test_programs(caches: str, cores: int, monkeypatch):
    sizes = CACHES[caches] or dict(machine.USUAL_CACHES)
    monkeypatch.setattr(machine, "cache_sizes", lambda: dict(sizes))
    monkeypatch.setattr(machine, "cores_of_process", lambda: cores)
    stages = importlib.import_module("tracejit.stages")
    monkeypatch.setattr(stages, "known", machine.assumed)
    told = stages.schedule_parameters.__wrapped__()
    monkeypatch.setattr(stages, "schedule_parameters", lambda: told)
    assert told.cores == cores and min(told.l1_bytes, told.l2_bytes, told.l3_bytes) > 0
    x = np.random.default_rng(0).standard_normal((300, 210))
    for function in PROGRAMS:
        np.testing.assert_allclose(tracejit.jit(function)(x), function(x), rtol=1e-9, atol=1e-11)


def test_sizes_of_caches(tmp_path, monkeypatch):
    """What cannot be understood is left out; where nothing is left, usual sizes hold."""

    def told(*caches: tuple[str, str, str]):
        folder = tmp_path / str(len([*tmp_path.iterdir()])) / "cache"
        for number, (level, kind, size) in enumerate(caches):
            place = folder / f"index{number}"
            place.mkdir(parents=True)
            for name, text in (("level", level), ("type", kind), ("size", size)):
                (place / name).write_text(text + "\n")
        monkeypatch.setattr(machine, "CACHES", str(folder))
        machine._told_sizes.cache_clear()
        try:
            return machine.cache_sizes()
        finally:
            machine._told_sizes.cache_clear()

    assert told() == machine.USUAL_CACHES
    assert told(("1", "Data", "0K"), ("2", "Unified", "")) == machine.USUAL_CACHES
    assert told(("1", "Data", "48K"), ("1", "Instruction", "64K")) == {"L1": 48 * K}
    assert told(("1", "Data", "32K"), ("2", "Unified", "1M"), ("3", "Unified", "?")) == {
        "L1": 32 * K,
        "L2": M,
    }


GROUP_FILES = [
    # What the process is told, the files, and how many cores that makes.
    ("0::/\n", {"cpu.max": "200000 100000"}, 2),
    ("0::/\n", {"cpu.max": "150000 100000"}, 2),
    ("0::/\n", {"cpu.max": "10000 100000"}, 1),
    ("0::/\n", {"cpu.max": "max 100000"}, None),
    ("0::/a/b\n", {"a/cpu.max": "300000 100000", "a/b/cpu.max": "max 100000"}, 3),
    ("0::/a/b\n", {"a/cpu.max": "300000 100000", "a/b/cpu.max": "100000 100000"}, 1),
    ("0::/not/here\n", {"cpu.max": "400000 100000"}, 4),
    ("0::/../..\n", {"cpu.max": "400000 100000"}, 4),
    (
        "4:cpu,cpuacct:/x\n3:cpuset:/\n",
        {"cpu,cpuacct/x/cpu.cfs_quota_us": "250000", "cpu,cpuacct/x/cpu.cfs_period_us": "50000"},
        5,
    ),
    (
        "1:cpu:/\n",
        {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"},
        None,
    ),
    ("1:cpu:/\n", {"cpu/cpu.cfs_quota_us": "many", "cpu/cpu.cfs_period_us": "100000"}, None),
    ("nonsense", {}, None),
    ("", {}, None),
]


@pytest.mark.parametrize("told, files, cores", GROUP_FILES)
def test_a_share_of_time_is_so_many_cores(told: str, files: dict, cores: int | None, tmp_path):
    for name, text in files.items():
        place = tmp_path / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text + "\n")
    assert granted(tmp_path, told) == cores
