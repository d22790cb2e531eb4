"""The page of the benchmarks: what it lists exists, probes do the work they claim, the picture says what was measured."""

import itertools
from types import SimpleNamespace
from xml.etree import ElementTree

import numpy as np
import pytest

import tracejit
from bench import explained, page, picture, probes
from bench.harness import Case, Measurement, Row, Variant, _close_run, _hold_against, _Runner
from bench.limits import LEVELS
from bench.loop_programs import PROGRAMS as LOOPS
from bench.workloads import axes, elementwise, indexing, layers, library, programs, rows

NAMES = {
    "axes": axes.PROGRAMS,
    "elementwise": elementwise.EVERY_PROGRAM,
    "indexing": indexing.PROGRAMS,
    "layers": layers.LAYERS,
    "library": library.PROGRAMS,
    "loops": LOOPS,
    "programs": programs.PROGRAMS,
    "rows": rows.PROGRAMS,
}


@pytest.mark.parametrize("entry", page.ROWS, ids=lambda entry: entry.name)
def test_every_entry_names_some_work(entry):
    if entry.section != "matmul":  # which makes its names
        assert any(program.name.startswith(entry.name) for program in NAMES[entry.section])


def _case(**known) -> Case:
    return Case("rows", "work", "L2", "float64", (), level="L2", **known)


@pytest.mark.parametrize(
    ("read", "written", "largest", "expected"),
    [
        (3000, 1000, 1000, "3r1w"),
        (1010, 1000, 1000, "1r1w"),  # a small array beside
        (1000, 8, 1000, "1r0w"),
        (20_000, 1000, 1000, "6r0w"),  # many arrays
        (0, 1000, 1000, "0r1w"),
    ],
)
def test_a_row_is_held_against_what_it_moves(read, written, largest, expected):
    case = _case(bytes=read + written, written=written, largest=largest)
    assert str(probes.stream_of(case)) == expected


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("size", [1 << 16, 1 << 21])
@pytest.mark.parametrize(("reads", "writes"), [(1, 0), (2, 1), (0, 1), (6, 3)])
def test_probes_touch_all_of_their_memory(reads, writes, size, threads):
    moved = probes.Stream(reads, writes, size * (reads + writes))
    for probe in probes._streams(moved, threads):
        assert probe.share == pytest.approx(1, abs=0.02)
        words = [array.view(np.int64) for array in probe.keeps]
        for array in words:
            array[:] = 0
        if reads:
            words[0][-1] = 6
        words[-1][:] = -1
        probe.run()
        if writes:
            assert set(words[-1][:-1]) == {1} and words[-1][-1] == (7 if reads else 1)
        else:
            assert 7 in words[-1]  # what was read last was seen


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("lists", [1, 2])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_probes_pick_all_places(dtype, lists, threads):
    rng = np.random.default_rng(0)
    x, places = rng.normal(size=1000).astype(dtype), rng.integers(0, 1000, (lists, 4096))
    probe = probes._picks((x, *places), threads)
    probe.run()
    bits = x.view(f"u{x.itemsize}")[places]
    wanted = np.bitwise_or.reduce(bits, axis=0)
    assert probe.share == 1 and (probe.keeps[-1].view(bits.dtype) == wanted).all()


def test_a_share_is_the_part_of_our_time_that_the_limit_takes(monkeypatch):
    # Of us, of three limits, the first two of the same kind, in turns.
    seconds = itertools.cycle([10.0, 3.0, 8.0, 1.0, 4.0, 2.0, 9.0, 1.5])
    monkeypatch.setattr(_Runner, "blocks", lambda self, count: [next(seconds)])
    row = Row("rows", "work", "L2", "float64")
    nothing = {"f": lambda: None}
    limits = [probes.Variant("limit", "f()", nothing, label=x) for x in ("L3", "L3", "adds")]
    _hold_against(probes.Variant("tracejit", "f()", nothing), limits, row)
    assert (row.bound, row.share) == ("L3", 0.5)


def test_blocks_tell_the_seconds_of_one_piece_of_work():
    many = _Runner(probes.Variant("limit", "f()", {"f": lambda: None}, calls=100))
    many.timer, many.loops = SimpleNamespace(timeit=lambda count: 6.0 * count), 3
    assert many.blocks(2) == pytest.approx([0.06, 0.06])


def test_the_picture_shows_ratio_and_share(tmp_path):
    def time(seconds):
        return Measurement(seconds, seconds, seconds, seconds, 3)

    first = Row("rows", "sum < all", "L3", "float32", "L3", 1)
    first.times = {"tracejit": time(2.0), "numpy": time(5.0)}
    first.share, first.bound = 0.875, "L3 1r0w"
    second = Row("matmul", "matmul 8", "", "float64", times={"tracejit": time(1.0)})
    path = tmp_path / "page.svg"
    picture.write_picture(path, {"processor": "a & b", "threads": 2}, [first, second])
    texts = [element.text for element in ElementTree.parse(path).iter() if element.text]
    assert {"2.50", "88 %", "sum < all", "matmul 8", "-"} <= set(texts)
    summary = "\n".join(page.summary([first, second]))
    assert "geometric mean 2.50" in summary
    assert page.figures([first, second])["bounds"]["memory"]["enough"] == 1
    assert "short of its limit: sum < all" not in summary
    assert "short of its limit: matmul 8" in summary and "not explained" in summary


def test_a_nearer_limit_bounds_a_row_if_it_can_be_one():
    row = Row("rows", "work", "L3", "float64", share=0.3, bound="L3 1r1w", shares={"L3 1r1w": 0.3})
    page._take(row, page.INSTRUCTIONS, 1.5)  # an error
    page._take(row, "library", 0.2)
    assert (row.bound, row.share) == ("L3 1r1w", 0.3)
    page._take(row, page.INSTRUCTIONS, 0.9)
    assert (row.bound, row.share) == (page.INSTRUCTIONS, 0.9)
    assert page.figures([row])["bounds"]["its own instructions"]["enough"] == 1


def test_a_row_that_is_short_is_told_its_instructions():
    x = np.linspace(0.0, 1.0, 1 << 14)
    function = tracejit.jit(lambda x: np.sin(x) * np.exp(x))
    case = _case()
    case.variants = (Variant("tracejit", "f(x)", {"f": function, "x": x}),)
    row = Row("rows", "work", "L2", "float64", "L2", share=0.1, bound="L2 1r1w")
    row.times["tracejit"] = Measurement(1.0, 1.0, 1.0, 1.0, 3)
    page._look_further(case, row)
    assert page.INSTRUCTIONS in row.shares and "cycles for" in row.why[0]
    assert any("cycles for" in line for line in page._reasons(row))


def test_traffic_is_that_of_the_slowest_memory_of_each_kernel(monkeypatch):
    rates = SimpleNamespace(bytes_per_second=lambda level, threads: {"L2": 4.0, "L3": 2.0}[level])
    monkeypatch.setattr(page, "machine", lambda: rates)
    first = SimpleNamespace(moved={"L2": 8.0, "L3": 2.0}, threads=1)
    second = SimpleNamespace(moved={"L2": 4.0, "L3": 6.0}, threads=1)
    assert page._traffic([first, second]) == 5.0


def test_other_libraries_bound_what_they_do_themselves():
    kernel = SimpleNamespace(name="sort", symbols=("poll", "numpy_sort"), measured=3.0)
    own = SimpleNamespace(seconds=1.0, trace=SimpleNamespace(function="sort.0"))
    found = SimpleNamespace(hot=[own])
    assert page._foreign([kernel], found) == {"NumPy's code": 2.0}
    assert page._foreign([SimpleNamespace(name="x", symbols=("prefetch",))], found) == {}


@pytest.mark.parametrize("entry", explained.entries(), ids=lambda entry: entry.title)
def test_what_the_limits_explain_is_on_the_page(entry):
    sizes = [*LEVELS, "1 thread", "2 threads"]
    for name, places in entry.rows:
        assert any(e.name.startswith(name) or name.startswith(e.name) for e in page.ROWS), name
        assert all(place == "" or place.startswith(tuple(sizes)) for place in places), places


def test_rows_find_what_explains_them(tmp_path, monkeypatch):
    text = """
- **Sums.** Why. Rows: `sum(x)` (L2, L3 1 thread); `mean`.
- **Sorts.** No
  rows.
"""
    (tmp_path / "limits.md").write_text(text)
    monkeypatch.setattr(explained, "PAGE", tmp_path / "limits.md")
    entries = explained.entries.__wrapped__()
    assert [entry.title for entry in entries] == ["Sums", "Sorts"]
    sums = entries[0]
    assert sums.explains(Row("rows", "sum(x)", "L3 1 thread", "float32"))
    assert not sums.explains(Row("rows", "sum(x)", "L3", "float32"))
    assert sums.explains(Row("rows", "mean(x, axis=1)", "DRAM", "float32"))


def test_a_close_run_is_between_us_and_the_fastest_of_the_others():
    def runner(subject, seconds):
        made = _Runner(Variant(subject, "f()", {"f": lambda: None}))
        made.samples = [seconds]
        return made

    ours, slow, near = runner("tracejit", 1.0), runner("numpy", 5.0), runner("jax", 0.9)
    assert _close_run([ours, slow, near]) == [ours, near]
    assert _close_run([ours, slow]) == []
