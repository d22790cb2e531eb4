"""What `explain` says: lines, kernels, work, reasons, times, and what it must not do."""

from __future__ import annotations

import inspect
import json
import os
import subprocess
import sys
from functools import partial

import numpy as np
import pytest

import tracejit
from tracejit import jit
from tracejit.ir.tensor import Call, statements
from tracejit.report.records import COPY, LOOPS, NUMPY, PYTHON
from tracejit.report.work import work_of
from tracejit.runtime import disk, machine


@pytest.fixture(autouse=True, scope="module")
def cache_of_ones_own(tmp_path_factory):
    """Machine parameters are measured once for these tests."""
    with tracejit.config.use(cache=str(tmp_path_factory.mktemp("cache"))):
        yield


@tracejit.host(pure=True)
def lookup(x):
    """A function that programs call through Python."""
    return np.asarray(x) + 1


def model(x, w, b):
    h = x @ w
    h = np.tanh(h + b)
    m = h.mean(axis=1, keepdims=True)
    n = (h - m) * 2
    s = np.sort(n, axis=1)
    return s, n[:, ::-1] + 1


FIRST = inspect.getsourcelines(model)[1]
X, W, B = np.linspace(0, 1, 64 * 32).reshape(64, 32), np.ones((32, 48)), np.arange(48.0)


@pytest.fixture(scope="module")
def explanation():
    return jit(model).explain(X, W, B)


def test_every_line_is_told_with_its_kernels(explanation):
    found = {record.line.number - FIRST: record.kernels for record in explanation.lines}
    assert found == {1: (1,), 2: (1,), 3: (2,), 4: (2,), 5: (3,), 6: (4,)}
    by_line = {record.line.number - FIRST: record for record in explanation.lines}
    assert by_line[3].line.text.strip() == "m = h.mean(axis=1, keepdims=True)"
    assert by_line[3].shared_with == (1,)


def test_kernels_are_records(explanation):
    product, row, sort, last = explanation.kernels
    assert [k.kind for k in explanation.kernels] == [LOOPS, LOOPS, NUMPY, LOOPS]
    assert product.operations["contract"] == 1 and product.operations["tanh"] == 1
    assert product.flop_count == 64 * 48 * (2 * 32 + 1 + 2 * 18)
    assert product.bytes == 8 * (64 * 32 + 32 * 48 + 48 + 64 * 48)
    assert row.operations["sum"] == 1 and "subtract" in row.operations
    assert sort.symbols == ("numpy_sort_quicksort_f64",) and sort.flops is None
    assert last.intensity == pytest.approx(1 / 16, rel=0.1)
    for kernel in explanation.kernels:
        assert kernel.measured > 0 and kernel.predicted > 0
        assert "out0" in kernel.loops


def test_reasons_name_the_other_kernel_and_the_line(explanation):
    _, row, sort, last = explanation.kernels
    (reason,) = row.why_not
    assert reason.other == 1 and reason.op == "sum" and "contraction" in reason.reason
    assert reason.lines[0].number == FIRST + 3
    assert "nothing fuses" in sort.why_not[0].reason
    assert {r.other: r.op for r in last.why_not} == {2: "add", 3: "nothing"}


def test_the_text_has_it_all(explanation):
    text = str(explanation)
    assert "test_explain.py" in text and "m = h.mean(axis=1, keepdims=True)" in text
    assert "fused with line " in text and "not with 1 fused_tanh" in text
    assert "roof" in text and "measured" in text and "GB/s" in text and "peak" in text
    assert "vectorize" in text and "\033" not in text
    assert "\033[1m" in explanation.text(color=True)


def test_records_are_plain_values(explanation):
    found = json.loads(json.dumps(explanation.to_json()))
    assert len(found["kernels"]) == 4
    assert found["kernels"][0]["bytes"] == explanation.kernels[0].bytes
    assert found["machine"]["cores"] == explanation.data.machine.cores
    assert found["memory"]["peak"] == explanation.data.memory.peak > 0


def test_memory_over_time(explanation):
    memory = explanation.data.memory
    assert [(life.name, life.first, life.last) for life in memory.lives] == [
        ("t0", 1, 2),
        ("t1", 2, 4),
    ]
    size = 64 * 48 * 8
    assert memory.live == (size, 2 * size, size, size) and memory.peak == 2 * size
    assert memory.workspace >= memory.peak


def test_the_lines_of_decorated_functions_with_loops_are_their_own():
    @jit
    def decorated(x):
        while (x > 0.5).any():
            x = x * 0.5
        return x + 1

    first = inspect.getsourcelines(decorated.__wrapped__)[1]
    lines = {record.line.number - first for record in decorated.explain(np.ones(4)).lines}
    assert lines == {2, 3, 4}


def test_equal_programs_have_lines_of_their_own():
    def first(x):
        return np.exp(x) * 2

    def second(x):
        return np.exp(x) * 2

    kept = jit(first)
    kept(np.ones(7))
    (line,) = jit(second).explain(np.ones(7)).lines
    assert line.line.number == inspect.getsourcelines(second)[1] + 1


def test_arguments_are_left_alone():
    def change(a, b):
        a += b
        a[1:] *= 2
        return a.sum()

    a, b = np.arange(5.0), np.ones(5)
    explanation = jit(change).explain(a, b)
    assert (a == np.arange(5.0)).all()
    assert any("in place" in name for kernel in explanation.kernels for name in kernel.writes)


def test_what_goes_through_python_and_what_is_copied_is_marked():
    def function(a):
        return lookup(a), np.linalg.eigvalsh(a[:2, :2].T)

    a = np.arange(12.0).reshape(3, 4) ** 2
    swapped = a.astype(">f8")
    explanation = jit(function).explain(swapped)
    kinds = [kernel.kind for kernel in explanation.kernels]
    assert PYTHON in kinds and COPY in kinds and NUMPY in kinds
    assert any("lookup" in note for note in explanation.data.python)
    assert explanation.data.copies == ("copied at every call: argument a is byte-swapped",)
    assert "byte-swapped" in str(explanation) and "Python!" in str(explanation)
    assert "\033[31m" in explanation.text(color=True)
    assert jit(function).explain(a).data.copies == ()


def test_functions_with_effects_run_no_more_often_than_while_tracing():
    calls = []

    @tracejit.host
    def note(x):
        calls.append(1)
        return x + 1

    explanation = jit(lambda x: note(x) * 2).explain(np.ones(3))
    assert len(calls) == 1
    python = [kernel for kernel in explanation.kernels if kernel.kind == PYTHON]
    assert python[0].measured is None and explanation.data.seconds is None
    assert all(k.measured is not None for k in explanation.kernels if k.kind != PYTHON)


def test_random_generators_are_not_drawn_from():
    generator = np.random.default_rng(1)
    jit(lambda g, x: x + g.normal(size=3)).explain(generator, np.ones(3))
    jit(lambda x: x + generator.normal(size=3) + np.random.rand(3)).explain(np.ones(3))
    assert generator.normal() == np.random.default_rng(1).normal()


def test_the_global_generator_is_not_drawn_from():
    np.random.seed(5)
    explanation = jit(lambda x: x + np.random.rand(3)).explain(np.ones(3))
    drawn = np.random.rand()
    np.random.seed(5)
    assert drawn == np.random.rand()
    assert not explanation.data.unmeasured


def test_a_program_that_raises_is_explained_all_the_same():
    explanation = jit(lambda x, i: x[i] + 1).explain(np.ones(3), np.array([7]))
    assert "IndexError: index 7 is out of bounds" in explanation.data.unmeasured
    assert explanation.kernels[0].measured is None and "not measured" in str(explanation)


def test_a_program_without_kernels():
    explanation = jit(lambda a, b: a).explain(1.0, 2.0)
    assert explanation.kernels == () and "0 kernel calls" in str(explanation)


def work(function, *arguments, numerics="default"):
    entry = jit(function, numerics=numerics).lower(*arguments).module.entry
    found = [work_of(s.kernel) for s in statements(entry.body) if isinstance(s, Call)]
    return sum(w.total for w in found), sum(w.read for w in found), sum(w.written for w in found)


def test_work_is_counted_in_loops():
    x = np.ones((10, 100))
    for numerics in ("strict", "default"):  # whether or not that is one multiply-add
        assert work(lambda x: x * 2 + x, x, numerics=numerics) == (2000, 8000, 8000)
    assert work(lambda x: x[::2] * 2, x) == (500, 4000, 4000)
    assert work(lambda x: x + x.sum(), x, numerics="default") == (2000, 8000, 8000)
    # What is the same along a row is computed once for it.
    norm = lambda x: x / np.sqrt((x * x).sum(axis=1, keepdims=True))
    rows = work(norm, x, numerics="default")
    assert rows == (3010, 8000, 8000)
    operations, *_ = work(lambda x: np.tanh(x), x)
    assert operations == 1000 * 2 * 18
    # Elements that are read twice are moved once.
    assert work(lambda x: x[1:] + x[:-1], x)[1] == 8000
    assert work(lambda x: x @ x.T, x)[0] == 2 * 10 * 100 * 10


@pytest.mark.parametrize("shapes", [((512, 300), (300, 700)), ((8, 512, 64), (8, 64, 512))])
def test_the_chunks_of_a_product_do_no_more_than_the_product(shapes):
    a, b = map(np.ones, shapes)
    flops = 2 * a.size * b.shape[-1]
    assert flops <= work(np.matmul, a, b)[0] <= 1.1 * flops


def test_complex_numbers_take_more():
    assert work(lambda x: x * x * 3, np.ones(10, complex)) == (120, 160, 160)


def test_machine_parameters_are_kept_for_other_processes(tmp_path):
    code = (
        "import time; from tracejit.runtime import engine, machine; engine.target();"
        "start = time.perf_counter(); found = machine.machine();"
        "print(found.measured, time.perf_counter() - start)"
    )
    environment = {**os.environ, "TRACEJIT_CACHE": str(tmp_path)}
    command = [sys.executable, "-c", code]
    together = [
        subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    for process in together:
        assert process.communicate()[0]
    assert len(list(tmp_path.glob("machine-*.json"))) == 1
    again = [
        subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        for _ in range(2)
    ]
    measured = {result.stdout.split()[0] for result in again}
    assert len(measured) == 1


def test_a_spoiled_file_of_machine_parameters_is_measured_anew(tmp_path):
    with tracejit.config.use(cache=str(tmp_path)):
        machine.measure_again()
        (path,) = tmp_path.glob("machine-*.json")
        path.write_bytes(b"{" + path.read_bytes()[1:-5])
        assert machine._read(path) is None
        for content in (b"", b"[1, 2", b"{'cpu': 1}", b"None"):
            disk.write_cached(path, content)
            assert machine._read(path) is None


def test_a_file_of_another_machine_counts_as_none(tmp_path):
    with tracejit.config.use(cache=str(tmp_path)):
        found = machine.assumed()._replace(measured=1.0)
        for other in (found._replace(cpu="8086"), found._replace(cores=found.cores + 1)):
            machine._keep(machine._file(), other)
            assert machine._read(machine._file()) is None
        machine._keep(machine._file(), found)
        assert machine._read(machine._file()) == found


def test_a_compile_measures_nothing_and_reads_what_is_known(tmp_path):
    code = (
        "import sys, numpy, tracejit; tracejit.jit(lambda x: x + 1)(numpy.ones(9));"
        "from tracejit.runtime import machine; print('tracejit.runtime.probes' in sys.modules,"
        "machine.known().measured)"
    )
    environment = {**os.environ, "TRACEJIT_CACHE": str(tmp_path)}
    run = partial(subprocess.run, [sys.executable, "-c", code], env=environment, check=True)
    assert run(capture_output=True, text=True).stdout.split() == ["False", "0.0"]
    assert not [*tmp_path.glob("machine-*")]
    with tracejit.config.use(cache=str(tmp_path)):
        machine._keep(machine._file(), machine.assumed()._replace(measured=7.0))
    assert run(capture_output=True, text=True).stdout.split() == ["False", "7.0"]


def test_without_a_cache_nothing_is_kept():
    with tracejit.config.use(cache="off"):
        assert machine._file() is None


def test_levels_and_rates_of_a_machine():
    caches = {"L1": 1000, "L2": 10_000, "L3": 100_000}
    bandwidth = {"L1": (8.0, 16.0), "L2": (4.0, 8.0), "L3": (2.0, 3.0), "DRAM": (1.0, 1.5)}
    found = machine.Machine(
        "m", 2, 32, caches, bandwidth, {"float32": (100.0, 200.0), "float64": (50.0, 100.0)},
        1.0, {"divide float32": 1.0}, 1.0, 1.0, 1.0, 1.0, 50_000.0, 0.0,
    )  # fmt: skip
    assert [found.level_of(n) for n in (1000, 1001, 100_000, 100_001)] == ["L1", "L2", "L3", "DRAM"]
    assert found.level_of(2000, threads=2) == "L1" and found.level_of(200_000, threads=2) == "DRAM"
    assert [found.missed("L2", n) for n in (10_000, 10_001)] == [0, 1]
    assert found.missed("L3", 50_000) == found.missed("L3", 25_000, 2) < 0.05
    assert 0.75 < found.missed("L3", 100_000) < 0.85 and found.missed("L3", 1e6) > 0.99
    assert found.bytes_per_second("L3", 1) == 2.0 and found.bytes_per_second("L3", 2) == 3.0
    assert found.operations_per_second("complex128", 1) == 50.0
    assert found.operations_per_second("int8", 2, fused=False) == 400.0


def test_where_numpy_may_take_over_nothing_is_called():
    def gathered(x):
        found = []
        for k in range(len(x)):
            if x[k] > 0:
                found.append(x[k])
        return np.array(found)

    found = tracejit.jit(gathered).explain(np.linspace(-1.0, 1.0, 50))
    assert not [kernel for kernel in found.data.kernels if kernel.kind == "Python"]
    assert sum(kernel.predicted for kernel in found.data.kernels) < 1e-5
    assert "Python!" not in str(found)
    assert "left to NumPy where it happens: a list that grows" in str(found)
