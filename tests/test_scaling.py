"""Schedules on more cores: the pool's rules, simulated, and what the simulation says of whole programs."""

from __future__ import annotations

import json

import numpy as np
import pytest

import tracejit
from tracejit.errors import UnsupportedError
from tracejit.lower.pipeline import Options
from tracejit.report.scaling import Scaling
from tracejit.report.simulation import Part, Region, Shared, part_of, region_seconds, run_part
from tracejit.runtime.machine import assumed


@pytest.fixture(autouse=True, scope="module")
def cache_of_ones_own(tmp_path_factory):
    with tracejit.config.use(cache=str(tmp_path_factory.mktemp("cache"))):
        yield


def test_even_turns_are_shared_out_evenly():
    assert region_seconds((1.0,) * 64, 1) == 64
    assert region_seconds((1.0,) * 64, 2) == 32
    assert region_seconds((1.0,) * 64, 64) == 1
    assert region_seconds((1.0,) * 5, 4) == 2
    assert region_seconds((1.0,) * 6, 3, slower=2.0) == 4


def test_who_is_done_helps_the_others():
    triangle = tuple(map(float, range(64)))
    whole = sum(triangle)
    for threads in (2, 4, 8):
        seconds = region_seconds(triangle, threads)
        assert whole / threads <= seconds <= whole / threads + 63
    assert region_seconds(triangle, 2) < 0.6 * whole
    halves = sum(triangle[32:])  # what the thread with the later segment would take alone
    assert region_seconds(triangle, 2) < 0.75 * halves


def test_one_long_turn_is_what_there_is_to_wait_for():
    assert region_seconds((100.0, *[1.0] * 50), 8) == 100.0


def test_the_serial_rest_and_shared_memory_limit():
    region = Region(1.0, (1.0,) * 128)
    part = Part("k", 138.0, 10.0, (region,), {})
    alone, many = (run_part(part, n, {}, 0.0) for n in (1, 64))
    assert alone == 138.0 and many == pytest.approx(12.0, abs=1e-3)
    # 138 bytes in 138 s: two cores get all that there is.
    bound = part._replace(bytes={"DRAM": 138.0})
    shared = {"DRAM": Shared(1.0, 2.0)}
    assert run_part(bound, 2, shared, 0.0) == pytest.approx(10.0 + 64.0)
    assert run_part(bound, 64, shared, 0.0) == pytest.approx(10.0 + 64.0, abs=1e-3)
    assert run_part(part, 2, {}, 5.0) == pytest.approx(10.0 + 64.0 + 5.0)


def test_turns_cost_what_their_loops_do():
    text = """
@kernel
def triangle(x: f64[256, 256], *, out: f64[256]):
    for c in parallel(0, 8):
        for i in range(c * 32, c * 32 + 32):
            total: f64 = 0.0
            for j in range(0, i):
                total += x[i, j]
            out[i] = total
"""
    kernel = tracejit.parse(text).entry
    part = part_of("triangle", kernel, 1.0, {}, Options(vector_bytes=32), assumed())
    (region,) = part.regions
    assert len(region.turns) == 8 and [*region.turns] == sorted(region.turns)
    assert region.turns[7] > 5 * region.turns[0]
    assert sum(region.turns) + part.serial == pytest.approx(1.0)


def softmax(x):
    e = np.exp(x - x.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


@pytest.fixture(scope="module")
def scaling() -> Scaling:
    return tracejit.jit(softmax).scaling(np.ones((512, 512)))


def test_a_program_is_simulated_on_more_cores_than_there_are(scaling):
    assert [point.threads for point in scaling.points] == [1, 2, 4, 8, 16, 32, 64]
    seconds = [point.seconds for point in scaling.points]
    assert seconds[0] == pytest.approx(scaling.alone) and seconds[3] < seconds[0] / 3
    assert scaling.points[0].measured == pytest.approx(scaling.alone)
    assert scaling.points[-1].measured is None
    text = str(scaling)
    assert "a simulation of the schedule" in text and "simulated/measured" in text


def test_it_is_a_page_and_records(scaling, tmp_path):
    page = scaling.html(tmp_path / "page.html")
    assert page.startswith("<!DOCTYPE html>") and "<polyline" in page and "simulation" in page
    assert (tmp_path / "page.html").read_text() == page
    found = json.loads(json.dumps(scaling.to_json()))
    assert len(found["points"]) == 7 and len(found["kernels"]) == 1


def test_arguments_are_not_changed():
    def step(x):
        x += 1

    x = np.zeros(100_000)
    tracejit.jit(step).scaling(x)
    assert not x.any()


def test_what_cannot_be_measured_is_refused():
    def fails(x):
        return np.linalg.inv(x)

    with pytest.raises(UnsupportedError, match="cannot be simulated"):
        tracejit.jit(fails).scaling(np.zeros((4, 4)))
