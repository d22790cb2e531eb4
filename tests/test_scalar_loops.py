"""Loops whose places data chooses: several iterations a step, tables for each thread, packed lanes."""

from __future__ import annotations

import numpy as np
import pytest

import tracejit
from tracejit import jit
from tracejit.ir.graph import Kernel
from tracejit.ir.packing import packing_of
from tracejit.ir.reference import reference
from tracejit.ir.tensor import For, statements
from tracejit.ir.text import parse, show
from tracejit.ir.verify import Stage, verify
from tracejit.lower.pipeline import Options
from tracejit.stages import Lowered, build

COUNT, BINS = 120_000, 50


def tabled(i, x, start):
    out = np.full(BINS, start, x.dtype)
    np.add.at(out, i, x)
    return out


def largest(i, x, start):
    out = np.full(BINS, start, x.dtype)
    np.maximum.at(out, i, x)
    return out


def in_plane(i, x, start):
    out = np.full((7, BINS), start, x.dtype)
    np.add.at(out, (i % 7, i), x)
    return out


def selected(x, mask):
    return x[mask]


def positions(x, mask):
    return np.flatnonzero(mask)


def lowered(function, *arguments, width: int = 64) -> Lowered:
    return Lowered(jit(function).trace(*arguments).module, Options(width))


def loops(program: Lowered) -> list[For]:
    kernels = [k for k in program.module.functions if isinstance(k, Kernel)]
    return [s for k in kernels for s in statements(k.body) if isinstance(s, For)]


def entries(dtype: str, count: int = COUNT) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(5)
    i = generator.integers(-BINS, BINS, count)
    return i, (generator.normal(size=count) * 20).astype(dtype)


@pytest.mark.parametrize("dtype", ["i4", "u8", "i2", "f4", "f8"])
@pytest.mark.parametrize("function", [tabled, largest, in_plane])
def test_tables_of_threads(function, dtype):
    i, x = entries(dtype)
    program = lowered(function, i, x, 3)
    assert [loop for loop in loops(program) if loop.mark == "parallel"]
    assert parse(show(program.module)) is program.module
    verify(program.module, Stage.SCHEDULED)
    wanted = function(i, x, 3)
    for threads in (1, 2):
        with tracejit.threads(threads):
            got = jit(function)(i, x, 3)
        tolerance = {"f4": 1e-3, "f8": 1e-10}.get(dtype, 0)
        np.testing.assert_allclose(got, wanted, rtol=tolerance, atol=tolerance)
        assert got.dtype == wanted.dtype


def test_tables_do_not_depend_on_threads():
    i, x = entries("f4")
    results = []
    for threads in (1, 2):
        with tracejit.threads(threads):
            results.append(jit(tabled)(i, x, 0).tobytes())
    assert results[0] == results[1]


def test_strict_sums_are_numpys():
    i, x = entries("f8")
    np.testing.assert_array_equal(jit(tabled, numerics="strict")(i, x, 0), tabled(i, x, 0))


def test_entries_without_a_value_stay():
    i, x = np.zeros(COUNT, int), np.ones(COUNT)
    got = jit(tabled)(i, x, -0.0)
    assert got[0] == COUNT and np.signbit(got[1:]).all()
    got = jit(tabled)(i, x, np.nan)
    assert np.isnan(got).all()


def test_many_bins_need_no_tables():
    def wide(i, x):
        out = np.zeros(COUNT, x.dtype)
        np.add.at(out, i, x)
        return out

    i, x = entries("f8")
    program = lowered(wide, i, x)
    assert not any(loop.mark == "parallel" and "turn" in str(loop) for loop in loops(program))
    np.testing.assert_array_equal(jit(wide)(i, x), wide(i, x))


@pytest.mark.parametrize("bad", [BINS, -BINS - 1, 2**62, -(2**63)])
@pytest.mark.parametrize("place", [0, 1, 63, COUNT // 2 + 1, COUNT - 1])
def test_errors_in_tables(bad, place):
    i, x = entries("f8")
    i[place] = bad
    message = f"index {bad} is out of bounds for axis 0 with size {BINS}"
    with pytest.raises(IndexError, match=message):
        jit(tabled)(i, x, 0)
    with pytest.raises(IndexError, match=message):
        jit(lambda table, i: table[i])(np.zeros(BINS), i)


@pytest.mark.parametrize("count", [0, 1, 15, 16, 17, 18, 19, 20, 37])
def test_steps_of_several_iterations(count):
    i, x = entries("i4", count)
    np.testing.assert_array_equal(jit(tabled)(i, x, 1), tabled(i, x, 1))


def test_steps_where_sizes_are_unknown():
    compiled = jit(tabled)
    for count in (1, 16, 3, 21, 1000, 4, 0, 33):
        i, x = entries("i4", count)
        np.testing.assert_array_equal(compiled(i, x, 1), tabled(i, x, 1))


@pytest.mark.parametrize("dtype", ["f4", "f8", "i4", "u8", "i2", "f2", "c8", "c16", "?"])
@pytest.mark.parametrize("function", [selected, positions])
def test_packed_lanes(function, dtype):
    generator = np.random.default_rng(7)
    compiled = jit(function)
    for count in (0, 1, 7, 8, 9, 15, 16, 17, 33, 1003):
        x = (generator.normal(size=count) * 3).astype(dtype)
        for mask in (generator.random(count) < 0.5, np.ones(count, bool), np.zeros(count, bool)):
            for f in (compiled, jit(function)):
                got, wanted = f(x, mask), function(x, mask)
                np.testing.assert_array_equal(got, wanted)
                assert got.dtype == wanted.dtype


def test_packing_in_the_text():
    x = np.arange(1003.0)
    program = lowered(selected, x, x > 5)
    (loop,) = [loop for loop in loops(program) if packing_of(loop)]
    assert (loop.mark, loop.lanes) == ("vector", 8)
    assert parse(show(program.module)) is program.module
    verify(program.module, Stage.SCHEDULED)
    values, count = reference(program.module, x, x > 5)
    np.testing.assert_array_equal(values[: int(count)], x[x > 5])
    narrow = lowered(selected, x, x > 5, width=32)
    assert {loop.mark for loop in loops(narrow) if packing_of(loop)} == {"serial", "unroll"}


def test_mixed_signs_of_indices():
    generator = np.random.default_rng(9)
    x = generator.normal(size=1001)
    for n in (1, 16, 1001):
        i = generator.integers(-1001, 1001, n)
        np.testing.assert_array_equal(jit(lambda x, i: x[i])(x, i), x[i])
        np.testing.assert_array_equal(
            jit(lambda x, i: np.sqrt(abs(x[i])) - 2 + x[-i - 1])(x, i),
            np.sqrt(abs(x[i])) - 2 + x[-i - 1],
        )


def averages(i, x, start):
    return np.bincount(i % BINS, x) / np.bincount(i % BINS)


def also_stored(i, x, start):
    places = i % BINS
    counts = np.full(BINS, start)
    np.add.at(counts, places, 1)
    np.add.at(counts, BINS - 1 - places, 2)
    return counts, places, places.max(), places[::-1]


def of_what_is_stored(i, x, start):
    out = np.full(BINS, start, x.dtype)
    shifted = x[::-1] + 1
    np.add.at(out, i, shifted)
    np.add.at(out, i, x)
    return out, shifted


@pytest.mark.parametrize("function", [averages, also_stored, of_what_is_stored])
def test_several_tables_in_a_loop(function):
    i, x = entries("i4")
    program = lowered(function, i, x, 3)
    verify(program.module, Stage.SCHEDULED)
    assert parse(show(program.module)) is program.module
    wanted = function(i, x, 3)
    for threads in (1, 2):
        with tracejit.threads(threads):
            got = jit(function)(i, x, 3)
        for one, other in zip(got, wanted, strict=True):
            np.testing.assert_array_equal(one, other)


def test_counts_and_sums_of_groups_are_one_loop():
    i, x = entries("f4")
    program = lowered(lambda i, x: np.bincount(i, x) / np.bincount(i), abs(i), x)
    chunked = [s for s in loops(program) if s.mark == "parallel" and "_parts" in show_of(s)]
    assert len(chunked) == 1


def show_of(statement) -> str:
    return repr([s for s in statements((statement,))])


PACKED = {
    "a place": lambda x: np.flatnonzero(np.diff(x) != 0),
    "several": lambda x: (x[x > 0], np.sqrt(abs(x))[x > 0], np.nonzero(x > 0)[0]),
    "by two masks": lambda x: (x[x > 0], x[x < -1] * 2, (x > 0).sum()),
    "by a mean": lambda x: x[x > x.mean()],
    "and the mask": lambda x: (x[x > 0], x > 0, (x * 3).sum()),
    "packed again": lambda x: x[x > 0][x[x > 0] < 20],
    "read by others": lambda x: (x[x > 0][::-1], np.cumsum(x[x > 0]), x[x > 0].sum()),
    "of a plane": lambda x: np.argwhere(x[: x.size // 3 * 3].reshape(-1, 3) > 0),
    "rows with some": lambda x: np.flatnonzero((x[: x.size // 3 * 3].reshape(-1, 3) > 0).any(1)),
    "by row sums": lambda x: x[: x.size // 3][x[: x.size // 3 * 3].reshape(-1, 3).sum(1) > 0],
    "of rows": lambda x: x[: x.size // 3 * 3].reshape(-1, 3)[x[: x.size // 3] > 0],
    "assigned": lambda x: _assigned(x.copy()),
    "run lengths": lambda x: _runs(np.sort(x)),
}


def _assigned(x):
    found = x[x > 0]
    x[x > 0] = 7
    x[:3] = -1
    return found, x, x[x == 7]


def _runs(x):
    starts = np.flatnonzero(x[1:] != x[:-1]) + 1
    edges = np.concatenate((np.array([0]), starts, np.array([x.size])))
    return edges[:-1], np.diff(edges), x[edges[:-1]] if x.size else x


@pytest.mark.parametrize("dtype", ["f4", "i8", "i2"])
@pytest.mark.parametrize("name", PACKED)
def test_packing_among_other_work(name, dtype):
    function = PACKED[name]
    generator = np.random.default_rng(3)
    compiled = jit(function)
    for count in (1003, 12, 1, 40_000, 1003):
        x = (generator.normal(size=count) * 20).astype(dtype)
        for f in (compiled, jit(function)) if count in (12, 40_000) else (compiled,):
            got, wanted = f(x), function(x)
            got, wanted = (v if isinstance(v, tuple) else (v,) for v in (got, wanted))
            for one, other in zip(got, wanted, strict=True):
                np.testing.assert_allclose(one, other, rtol=1e-4 if dtype == "f4" else 1e-9)
                assert one.dtype == other.dtype


def test_packing_and_what_it_packs_are_one_loop():
    x = np.arange(1003.0)
    program = lowered(PACKED["a place"], x)
    (loop,) = [loop for loop in loops(program) if packing_of(loop)]
    assert (loop.mark, loop.lanes) == ("vector", 8) and len(loops(program)) < 5
    assert parse(show(program.module)) is program.module
    verify(program.module, Stage.SCHEDULED)
    values, count = reference(program.module, x)
    np.testing.assert_array_equal(values[: int(count)], PACKED["a place"](x))


JOINED = {
    "edges": lambda x: np.concatenate(([0], np.flatnonzero(x > 0) + 1, [x.size])),
    "lengths": lambda x: np.diff(np.concatenate(([0], np.flatnonzero(x > 0) + 1, [x.size]))),
    "twice": lambda x: np.concatenate((x[x > 0], x[x > 0] * 2)),
    "with the whole": lambda x: np.concatenate((x[x > 0], x)) - 1,
    "two selections": lambda x: np.concatenate((x[x > 0], x[x < -1])),
    "shifted": lambda x: np.roll(x[x > 0], 2),
    "padded": lambda x: np.pad(x[x > 0], (1, 2), constant_values=7),
    "summed": lambda x: np.concatenate(([1.0], x[x > 0], [2.0])).sum(),
    "rows": lambda x: np.concatenate((np.ones((1, 2)), np.argwhere(x > 0) @ np.ones((1, 2)))),
    "parts": lambda x: np.concatenate((x[:1] * 0, x[1:], x[-1:])),
    "a step": lambda x: np.where(np.arange(x.size) < x.size - 2, x, -x),
}


@pytest.mark.parametrize("name", JOINED)
def test_joined_with_what_was_selected(name):
    compiled, generator = jit(JOINED[name]), np.random.default_rng(0)
    for count in (40, 1003, 7, 2, 40, 1, 65):
        for x in (generator.normal(size=count), -np.ones(count), np.ones(count)):
            np.testing.assert_allclose(compiled(x), JOINED[name](x), rtol=1e-12)


PACKING = """
@kernel
def k(x: f64[43], *, y: f64[43], z: f64[43], n: i64[()]):
    place: i64 = 0
    for i in vector(0, 43, 8):
        v: f64 = x[i] * 2.0
        z[i] = v
        {store}
        place = place + i64(v > 0.0)
    n[()] = place
"""


@pytest.mark.parametrize("store", ["y[place] = v", "y[place] = where(v > 0.0, v, y[place])"])
def test_what_is_named_in_packing_loops(store):
    module = verify(parse(PACKING.format(store=store)), Stage.SCHEDULED)
    x = np.random.default_rng(0).normal(size=43)
    y, z, n = build(module)(x)
    wanted = x[x > 0] * 2
    assert n == wanted.size
    np.testing.assert_array_equal(y[: wanted.size], wanted)
    np.testing.assert_array_equal(z, x * 2)
