"""The cost model: prices of operations, cycles of loops, and bytes that caches of some size let through."""

from __future__ import annotations

import numpy as np
import pytest

import tracejit
from tracejit.ir.numpy_code import LOOPS
from tracejit.ir.tensor import For, statements
from tracejit.ir.types import f32, f64
from tracejit.ir.verify import Stage
from tracejit.lower import pipeline
from tracejit.lower.pipeline import Options
from tracejit.lower.tensor.turns import average_trips
from tracejit.report.prices import cycles_of, price
from tracejit.report.roofline import estimate, regions_of
from tracejit.report.traffic import Touched
from tracejit.report.work import work_of
from tracejit.runtime.machine import assumed

OPTIONS = Options(vector_bytes=32)
MACHINE = assumed()
SMALL, LARGE = 4 << 10, 1 << 30


def kernel(text: str):
    return tracejit.parse(text).entry


def moved(text: str, capacity: float) -> float:
    return sum(Touched(kernel(text)).moved_beyond(capacity).values())


TRIAD = """
@kernel
def triad(x: f64[4096], y: f64[4096], *, out: f64[4096]):
    for i in vector(0, 4096, 4):
        out[i] = fma(x[i], 2.0, y[i])
"""
PRODUCT = """
@kernel
def matmul(a: f64[64, 64], b: f64[64, 64], *, out: f64[64, 64]):
    for i in range(0, 64):
        for j in vector(0, 64, 4):
            total: f64 = 0.0
            for k in range(0, 64):
                total += a[i, k] * b[k, j]
            out[i, j] = total
"""
STENCIL = """
@kernel
def heat(x: f64[256, 256], *, out: f64[254, 256]):
    for i in range(0, 254):
        for j in vector(0, 256, 4):
            out[i, j] = x[i, j] + x[i + 1, j] + x[i + 2, j]
"""
CHUNKS = """
@kernel
def chunks(x: f64[4096], *, out: f64[4096]):
    for c in parallel(0, 4):
        for i in vector(c * 1024, minimum(c * 1024 + 1024, 4096), 4):
            out[i] = x[i] + 1.0
"""
TRIANGLE = """
@kernel
def triangle(x: f64[64, 64], *, out: f64[64]):
    for c in parallel(0, 4):
        for i in range(c * 16, c * 16 + 16):
            total: f64 = 0.0
            for j in range(0, i):
                total += x[i, j]
            out[i] = total
"""


def test_prices_are_counted_in_the_code_that_is_written():
    one = price("add", (f64, f64), f64, 4, OPTIONS)
    assert one.instructions == 1 and one.rare == () and one.cycles == 0
    assert price("add", (f64, f64), f64, 16, OPTIONS).instructions == 4
    assert price("divide", (f32, f32), f32, 8, OPTIONS).rare == (("divide float32", 1.0),)
    assert price("exp", (f32,), f32, 8, OPTIONS).instructions < price("exp", (f64,), f64, 4, OPTIONS).instructions  # fmt: skip
    assert 10 < price("exp", (f64,), f64, 4, OPTIONS).instructions < 40


def test_a_pass_over_arrays_moves_each_once_whatever_the_cache():
    assert moved(TRIAD, SMALL) == moved(TRIAD, LARGE) == 3 * 4096 * 8
    assert moved(CHUNKS, SMALL) == 2 * 4096 * 8


def test_a_product_moves_its_right_factor_for_every_row_unless_that_stays():
    matrix = 64 * 64 * 8
    assert moved(PRODUCT, LARGE) == 3 * matrix
    assert moved(PRODUCT, 40 << 10) == 3 * matrix
    assert moved(PRODUCT, 16 << 10) > 60 * matrix


def test_rows_that_a_stencil_reads_again_stay_in_a_cache_that_holds_three():
    row = 256 * 8
    assert moved(STENCIL, 6 * row) == pytest.approx((256 + 254) * row)
    assert moved(STENCIL, 2 * row) == pytest.approx(4 * 254 * row, rel=0.05)


def test_gathered_elements_are_lines_of_their_own_but_no_more_than_there_are():
    text = """
@kernel
def gather(x: f64[100000], at: i64[100], *, out: f64[100]):
    for i in range(0, 100):
        out[i] = x[at[i]]
"""
    assert moved(text, SMALL) == pytest.approx(100 * 64 + 2 * 100 * 8, abs=128)


def test_rows_that_data_picks_are_read_in_whole_lines():
    text = """
@kernel
def rows(x: f64[10000, 64], at: i64[100], *, out: f64[100, 64]):
    for i in range(0, 100):
        for j in vector(0, 64, 8):
            out[i, j] = x[at[i], j]
"""
    assert moved(text, SMALL) == pytest.approx(2 * 100 * 64 * 8 + 100 * 8, abs=64)


def test_what_data_comes_back_to_moves_again_where_a_cache_holds_a_part():
    text = """
@kernel
def gather(x: f64[1024], at: i64[100000], *, out: f64[100000]):
    for i in range(0, 100000):
        out[i] = x[at[i]]
"""
    streams, table = 2 * 100_000 * 8, 1024 * 8
    assert moved(text, LARGE) == pytest.approx(streams + table, abs=128)
    assert moved(text, table // 2) == pytest.approx(streams + 50_000 * 64, rel=0.02)
    two = text.replace("at: i64[100000], *", "at: i64[100000], on: i64[100000], *")
    two = two.replace("x[at[i]]", "x[at[i]] + x[on[i]]")
    assert moved(two, table // 2) == pytest.approx(3 * 100_000 * 8 + 100_000 * 64, rel=0.02)


def test_of_bounds_that_data_chooses_the_first_counts():
    text = """
@kernel
def some(x: f64[64], *, out: f64[64]):
    for i in range(0, where(x[0] < 0.0, 8, 64)):
        out[i] = exp(x[i])
"""
    few, all = kernel(text), kernel(text.replace("where(x[0] < 0.0, 8, 64)", "64"))
    assert work_of(few).total == pytest.approx(work_of(all).total / 8)
    assert moved(text, SMALL) < 4 * 64 * 8


def test_arrays_of_unknown_size_are_no_larger_than_their_bounds():
    text = """
n = bounded(0, 256)

@kernel
def look(table: f64[n], at: i64[4096], *, out: f64[4096]):
    for i in range(0, 4096):
        out[i] = table[at[i]]
"""
    assert moved(text, LARGE) == pytest.approx(2 * 4096 * 8 + 256 * 8, abs=128)


def test_rows_far_apart_are_no_memory_between_them():
    text = """
@kernel
def corners(x: f64[1024, 64], *, out: f64[64]):
    for i in range(0, 1):
        for j in vector(0, 64, 8):
            out[j] = x[i, j] + x[512 + i, j] + x[1023 + i, j]
"""
    assert moved(text, SMALL) == moved(text, 1 << 8) == 4 * 64 * 8


def test_loops_of_a_triangle_run_half_as_often():
    outer = kernel(TRIANGLE).body[0]
    rows = outer.body[0]
    inner = next(s for s in rows.body if hasattr(s, "start"))
    assert average_trips(inner, [outer, rows]) == pytest.approx(31.5)
    assert work_of(kernel(TRIANGLE)).operations["float64"] == pytest.approx(64 * 31.5)


def test_cycles_follow_the_busiest_resource():
    loads = cycles_of(kernel(TRIAD), OPTIONS, MACHINE)
    assert loads == pytest.approx(1024, rel=0.1)  # two loads and a store: a vector a cycle
    many = TRIAD.replace("fma(x[i], 2.0, y[i])", "exp(x[i])")
    assert cycles_of(kernel(many), OPTIONS, MACHINE) > 5 * loads


def test_what_is_seldom_weighs_little():
    text = """
@kernel
def repaired(x: f64[4096], *, out: f64[4096]):
    for i in range(0, 4096):
        out[i] = x[i]
        if seldom(x[i] < 0.0):
            for k in range(0, 64):
                out[i] = exp(out[i])
"""
    seldom, often = kernel(text), kernel(text.replace("seldom", ""))
    for cycles in (lambda k: cycles_of(k, OPTIONS, MACHINE), lambda k: work_of(k).total):
        assert cycles(seldom) < cycles(often) / 20


def test_to_look_whether_somebody_interrupts_is_no_work():
    text = """
@kernel
def many(x: f64[4096], *, out: f64[4096]):
    for i in ordered(0, 4096):
        if i & 2047 == 0:
            extern('poll')
        out[i] = x[i]
"""
    plain = text.replace("        if i & 2047 == 0:\n            extern('poll')\n", "")
    with_poll, without = (cycles_of(kernel(t), OPTIONS, MACHINE) for t in (text, plain))
    assert with_poll < without + 4096 * 8


def test_what_is_seldom_moves_nothing():
    text = """
@kernel
def repaired(x: f64[64], y: f64[4096], *, out: f64[64]):
    for i in range(0, 64):
        out[i] = x[i]
        if seldom(x[i] < 0.0):
            for k in range(0, 4096):
                out[i] = out[i] + y[k]
"""
    assert 100 * moved(text, SMALL) < moved(text.replace("seldom", ""), SMALL)


def test_settling_an_order_weighs_little():
    def cycles(function) -> float:
        traced = tracejit.jit(function).trace(np.arange(10_000.0))
        kernels = pipeline.run(traced.module, traced.options)[Stage.SCHEDULED].functions[:-1]
        return sum(cycles_of(k, OPTIONS, MACHINE) for k in kernels)

    assert cycles(np.argsort) < 4 * cycles(np.sort)


def test_a_sum_waits_for_itself():
    text = """
@kernel
def total(x: f64[4096], *, out: f64[1]):
    total: f64 = 0.0
    for i in range(0, 4096):
        total += x[i]
    out[0] = total
"""
    wide = text.replace("range(0, 4096)", "vector(0, 4096, 32)")
    alone, together = (cycles_of(kernel(t), OPTIONS, MACHINE) for t in (text, wide))
    assert alone > 8 * together


def test_short_sums_do_not_wait_for_themselves():
    text = """
@kernel
def blocks(x: f64[4096, 4], *, out: f64[4096]):
    for i in range(0, 4096):
        total: f64 = 0.0
        for k in range(0, 4):
            total += x[i, k]
        out[i] = total
"""
    rows = kernel(text)
    long = kernel(text.replace("4096", "4").replace("x: f64[4, 4]", "x: f64[4, 4096]").replace("range(0, 4):\n            total", "range(0, 4096):\n            total"))  # fmt: skip
    assert cycles_of(rows, OPTIONS, MACHINE) < 0.8 * cycles_of(long, OPTIONS, MACHINE)


def test_what_is_the_same_in_all_lanes_is_computed_once():
    text = """
@kernel
def scaled(x: f64[64, 64], y: f64[64], *, out: f64[64, 64]):
    for i in range(0, 64):
        for j in vector(0, 64, 64):
            total: f64 = 0.0
            for k in range(0, 64):
                total += x[i, j] * exp(y[k])
            out[i, j] = total
"""
    apart = text.replace("y: f64[64],", "y: f64[64, 64],").replace("y[k]", "y[k, j]")
    same, other = (cycles_of(kernel(t), OPTIONS, MACHINE) for t in (text, apart))
    assert other > 5 * same


def test_lanes_are_added_up_at_the_end_of_a_row():
    text = """
@kernel
def sums(x: f64[4096, 16], *, out: f64[4096]):
    for i in range(0, 4096):
        total: f64 = 0.0
        for k in vector(0, 16, 16):
            total += x[i, k]
        out[i] = total
"""
    # Four registers of four lanes are three additions, and two times two instructions.
    assert cycles_of(kernel(text), OPTIONS, MACHINE) > 4096 * (4 + 3 + 4) / 2


def test_the_estimate_says_what_limits():
    def found(text: str, threads: int = 1):
        one = kernel(text)
        return estimate(one, work_of(one), threads, OPTIONS, MACHINE)

    assert found(TRIAD).limit == "memory: L2"
    assert found(TRIAD.replace("fma(x[i], 2.0, y[i])", "sin(exp(x[i]))")).limit == "arithmetic"
    assert found(CHUNKS, 2).predicted > regions_of(kernel(CHUNKS)) * MACHINE.fork


def chunked_loops(function, x, **parameters) -> list[For]:
    """The loops over chunks of a program, lowered for a machine with these parameters."""
    traced = tracejit.jit(function).trace(x)
    machine = traced.options.machine._replace(**parameters)
    options = traced.options._replace(machine=machine, threads=machine.cores)
    kernels = pipeline.run(traced.module, options)[Stage.SCHEDULED].functions[:-1]
    loops = [s for k in kernels for s in statements(k.body) if isinstance(s, For)]
    return [loop for loop in loops if loop.index.name.startswith("c")]


def parallel_loops(function, x, **parameters) -> list[int]:
    """The turns of the parallel loops."""
    found = chunked_loops(function, x, **parameters)
    return [loop.stop.value for loop in found if loop.mark == "parallel"]


def test_schedules_are_for_the_cores_and_the_price_of_threads():
    large, small = np.ones((4096, 4096)), np.ones(200_000)
    for cores in (2, 64):
        (turns,) = parallel_loops(lambda x: np.exp(x), large, cores=cores)
        assert turns >= max(2 * cores, 32) and turns % cores == 0
    (few,) = parallel_loops(lambda x: x @ x, np.ones((1024, 1024)), cores=2)[-1:]
    (many,) = parallel_loops(lambda x: x @ x, np.ones((1024, 1024)), cores=64)[-1:]
    assert few < 32 <= many
    assert parallel_loops(lambda x: np.exp(x), small, fork_seconds=1e-6)
    assert not parallel_loops(lambda x: np.exp(x), small, fork_seconds=1e-3)


def test_the_machine_does_not_decide_about_the_order_of_sums():
    x = np.ones(100_000)

    def turns(**parameters) -> list[int]:
        return [
            loop.stop.value for loop in chunked_loops(lambda x: np.exp(x).sum(), x, **parameters)
        ]

    assert turns()
    for parameters in ({"fork_seconds": 1e-3}, {"fork_seconds": 1e-9}, {"cores": 64}):
        assert turns(**parameters) == turns()
    assert parallel_loops(lambda x: np.exp(x).sum(), x, fork_seconds=1e-9)
    assert not parallel_loops(lambda x: np.exp(x).sum(), x, fork_seconds=1e-3), "one adds up"


def test_explain_tells_predicted_and_measured(tmp_path):
    with tracejit.config.use(cache=str(tmp_path)):
        explanation = tracejit.jit(lambda x: np.exp(x) + 1).explain(np.ones(1 << 16))
    (one,) = explanation.kernels
    assert one.predicted > 0 and one.measured > 0 and one.cycles > 0
    assert one.limit in ("arithmetic", "memory: L2", "memory: L3", "threads")
    assert f"predicted ({one.limit})" in str(explanation)


MATRIX_LOOPS = [loop for loop in LOOPS.values() if loop.is_on_matrices]


@pytest.mark.parametrize("loop", MATRIX_LOOPS, ids=lambda loop: loop.symbol)
def test_what_lapack_does_grows_with_the_cube_of_the_side(loop):
    """Where one extent says it all, too: a square matrix is told its side once."""

    def cycles(side, count=1):
        return loop.cycles(*[None] * loop.ufunc.nargs, count, *[side] * len(loop.names))

    assert cycles(16, 10) == 10 * cycles(16)
    assert 6 < cycles(2000) / cycles(1000) <= 8
    # No machine has a hundred multiply-adds in a cycle, and a Cholesky factor takes a sixth of a cube.
    assert cycles(1000) > 1000**3 / 600
