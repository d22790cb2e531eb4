"""Machine code of programs on disk: a later process has nothing to compile; what is damaged or not its own is made anew."""

import gc
import os
import subprocess
import sys

import numpy as np
import pytest

import tracejit
from tracejit.config import config
from tracejit.runtime import disk, engine, kept, tiers

X = np.linspace(0.1, 1.0, 300)


@pytest.fixture
def directory(tmp_path):
    with config.use(keep=True, cache=str(tmp_path), tiers=False):
        kept._looked.clear()
        gc.collect()  # what another test has made is gone
        yield tmp_path


def program(x):
    return np.sin(x) * 2.25 + x[::-1].sum()


def many_kernels(x, y):
    found = []
    for k in range(24):
        x = x[::-1] * (k + 1.5) + np.exp(-x).sum()
        x = x / np.abs(x).max()
        found.append(np.sin(x) @ y)
    return found


def programs_in(directory):
    return sorted(path for path in directory.iterdir() if path.name.startswith(kept.PREFIX))


def compiles(monkeypatch, function, *arguments):
    """What a function of its own gives, and how many texts LLVM was given for it."""
    texts, compile_ir = [], engine.compile_ir
    gc.collect()  # what was made before is gone
    with monkeypatch.context() as patch:
        patch.setattr(
            engine,
            "compile_ir",
            lambda text, *a, **k: texts.append(text) or compile_ir(text, *a, **k),
        )
        result = tracejit.jit(function)(*arguments)
    return result, len(texts)


def test_what_was_made_is_not_made_again(directory, monkeypatch):
    tracejit.jit(program)(np.ones(3))  # what is made once in a process
    first, made = compiles(monkeypatch, program, X)
    again, more = compiles(monkeypatch, program, X)
    assert (made, more) == (1, 0) and len(programs_in(directory)) == 2
    np.testing.assert_array_equal(first, again)
    np.testing.assert_allclose(first, program(X), rtol=1e-12)


def test_large_programs_are_kept_in_pieces(directory, monkeypatch):
    y = np.ones((300, 300)) / 300
    first, made = compiles(monkeypatch, many_kernels, X, y)
    again, more = compiles(monkeypatch, many_kernels, X, y)
    assert made >= 2 and more == 0
    gc.collect()
    for one, other, wanted in zip(first, again, many_kernels(X, y), strict=True):
        np.testing.assert_array_equal(one, other)
        np.testing.assert_allclose(one, wanted, rtol=1e-12)


def test_pieces_stay_as_long_as_the_program(directory):
    f, y = tracejit.jit(many_kernels), np.ones((300, 300)) / 300
    for _ in range(3):
        gc.collect()
        tracejit.jit(lambda x: x + 1.0)(X)  # code that is dropped goes when other code comes
        for one, wanted in zip(f(X, y), many_kernels(X, y), strict=True):
            np.testing.assert_allclose(one, wanted, rtol=1e-12)


def test_what_is_damaged_is_made_anew(directory, monkeypatch):
    tracejit.jit(program)(X)
    (path,) = programs_in(directory)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    again, more = compiles(monkeypatch, program, X)
    assert more == 1 and path.read_bytes() != content
    np.testing.assert_allclose(again, program(X), rtol=1e-12)


def test_what_another_python_wrote_is_made_anew(directory, monkeypatch):
    tracejit.jit(program)(X)
    (path,) = programs_in(directory)
    disk.write_cached(path, b"?")
    again, more = compiles(monkeypatch, program, X)
    assert more == 1
    np.testing.assert_allclose(again, program(X), rtol=1e-12)


def test_addresses_of_this_process_are_not_kept(directory):
    table = np.arange(300.0)
    f = tracejit.jit(lambda x: x * table)
    np.testing.assert_array_equal(f(X), X * table)
    assert not programs_in(directory)


def test_a_later_process_begins_with_the_best_code(tmp_path):
    text = (
        "import numpy as np, tracejit\nfrom tracejit.runtime import tiers\n"
        "print(tracejit.jit(lambda x: np.sqrt(x) * 7.5)(np.arange(9.0)).sum(), len(tiers._jobs))\ntracejit.wait()"
    )
    environment = os.environ | {"TRACEJIT_CACHE": str(tmp_path), "TRACEJIT_KEEP": "1", "TRACEJIT_TIERS": "1"}  # fmt: skip
    run = lambda: subprocess.run(
        [sys.executable, "-c", text], env=environment, capture_output=True, text=True, check=True
    ).stdout.split()
    first, later = run(), run()
    assert first[0] == later[0] and first[1] != "0" and later[1] == "0"


def test_what_was_not_used_longest_goes(tmp_path):
    for number in range(8):
        path = tmp_path / f"{kept.PREFIX}{number}.o"
        path.write_bytes(bytes(100))
        os.utime(path, (number, number))
    (tmp_path / "dispatch-1.o").write_bytes(bytes(1000))
    kept.make_room(tmp_path, most=900)
    assert len(programs_in(tmp_path)) == 8
    kept.make_room(tmp_path, most=600)
    assert [path.name[-3] for path in programs_in(tmp_path)] == ["4", "5", "6", "7"]
    assert (tmp_path / "dispatch-1.o").exists()


def test_reading_counts_as_a_use(directory, monkeypatch):
    tracejit.jit(program)(X)
    (path,) = programs_in(directory)
    os.utime(path, (1, 1))
    compiles(monkeypatch, program, X)
    assert path.stat().st_mtime > 1


def test_who_compiles_without_a_pause_has_no_jobs_for_what_is_gone(monkeypatch):
    monkeypatch.setattr(tiers, "_start", lambda: None)
    with config.use(tiers=True):
        for number in range(200):
            tracejit.jit(lambda x, number=number: x * (number + 0.5))(X)
            if number % 50 == 0:
                gc.collect()
    assert len(tiers._jobs) < 150
    tiers._jobs.clear()
