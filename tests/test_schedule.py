"""Schedules by hand: every step keeps the meaning or is refused, and replays from its text."""

from __future__ import annotations

import numpy as np
import pytest
from golden import expect
from hypothesis import given, settings
from hypothesis import strategies as st

import tracejit
from tracejit import Schedule
from tracejit.errors import IRError
from tracejit.ir.graph import Module
from tracejit.ir.verify import Stage, verify
from tracejit.lower.schedule.steps import STEPS

MATMUL = """
@kernel
def matmul(a: f64[12, 10], b: f64[10, 16], *, out: f64[12, 16]):
    for i in range(0, 12):
        for j in range(0, 16):
            total: f64 = 0.0
            for k in range(0, 10):
                total += a[i, k] * b[k, j]
            out[i, j] = total
"""
TILED = (
    Schedule()
    .split("i", 4, "tile", "row")
    .split("j", 8, "panel", "j1")
    .split("j1", 4, "part", "lane")
    .reorder("tile", "panel", "row", "part", "lane")
    .expand("total", "row", "part", "lane")
    .distribute("lane")
    .distribute("part")
    .distribute("row")
    .reorder("k", "row#2", "part#2", "lane#2")
    .stage("b", "tile", ("panel", "k", "part", "lane"), "right")
    .stage("a", "panel", ("k", "row"), "left")
    .vectorize("lane", 4)
    .unroll("part")
    .unroll("row")
    .parallelize("tile")
)


def kernel(text):
    return tracejit.parse(text).entry


def agree(changed, text, *arrays):
    """The scheduled kernel is legal, and computes what the plain one does, by NumPy and natively."""
    module = verify(Module(changed), Stage.SCHEDULED)
    wanted = tracejit.reference(tracejit.parse(text), *arrays)
    for run in (lambda *a: tracejit.reference(module, *a), tracejit.build(module)):
        np.testing.assert_allclose(run(*arrays), wanted, rtol=1e-12)


def refused(text, schedule, problem):
    with pytest.raises(IRError, match=problem):
        schedule(kernel(text))


A, B = np.random.default_rng(0).random((2, 16, 16))


def test_a_matrix_product_by_steps():
    agree(TILED(kernel(MATMUL)), MATMUL, A[:12, :10], B[:10])
    expect(
        tracejit.show(TILED(kernel(MATMUL))),
        """
        @kernel
        def matmul(a: f64[12, 10], b: f64[10, 16], *, out: f64[12, 16]):
            right: f64[2, 10, 2, 4] = local()
            for right_panel in range(0, 2):
                for right_k in range(0, 10):
                    for right_part in range(0, 2):
                        for right_lane in range(0, 4):
                            right[right_panel, right_k, right_part, right_lane] = b[right_k, right_panel * 8 + (right_part * 4 + right_lane)]
            for tile in parallel(0, 3):
                left: f64[10, 4] = local()
                for left_k in range(0, 10):
                    for left_row in range(0, 4):
                        left[left_k, left_row] = a[tile * 4 + left_row, left_k]
                for panel in range(0, 2):
                    total: f64[4, 2, 4] = register()
                    for row in unroll(0, 4):
                        for part in unroll(0, 2):
                            for lane in vector(0, 4, 4):
                                total[row, part, lane] = 0.0
                    for k in range(0, 10):
                        for row in unroll(0, 4):
                            for part in unroll(0, 2):
                                for lane in vector(0, 4, 4):
                                    total[row, part, lane] += left[k, row] * right[panel, k, part, lane]
                    for row in unroll(0, 4):
                        for part in unroll(0, 2):
                            for lane in vector(0, 4, 4):
                                out[tile * 4 + row, panel * 8 + (part * 4 + lane)] = total[row, part, lane]
        """,
    )


def test_a_schedule_replays_from_its_text():
    text = str(TILED)
    assert text.splitlines()[0] == "split('i', 4, 'tile', 'row')"
    assert Schedule.parse(text) == TILED and str(Schedule.parse(text)) == text
    assert Schedule.parse(text)(kernel(MATMUL)) is TILED(kernel(MATMUL))
    assert Schedule.parse("split('i', size=4)") == Schedule().split("i", 4)
    assert (Schedule().unroll("i") + Schedule().unroll("j"))[1].name == "unroll"
    for wrong, problem in [
        ("split('i', 4)\ntwist('j')", "line 2: there is no step 'twist'; there are split"),
        ("split('i')", "line 1: missing a required argument: 'size'"),
        ("split(i, 4)", "line 1: malformed"),
        ("x = 3", "line 1: not a step"),
        ("split('i',", "line 1: '\\(' was never closed"),
    ]:
        with pytest.raises(IRError, match=problem):
            Schedule.parse(wrong)
    with pytest.raises(AttributeError, match="no step 'twist'"):
        Schedule().twist("i")


def test_addresses():
    text = """
@kernel
def k(x: f64[8], *, out: f64[8], more: f64[8]):
    for i in range(0, 8):
        out[i] = exp(x[i])
    for i in range(0, 8):
        more[i] = sin(x[i])
"""
    by_number = Schedule().unroll("i#2")(kernel(text))
    assert Schedule().unroll("op:sin")(kernel(text)) is by_number
    marks = [s.mark for s in Schedule().vectorize("for i in range(0, 8)")(kernel(text)).body]
    assert marks == ["vector", "vector"]
    refused(text, Schedule().split("i", 2), "has 2 loops 'i'\n  hint: .*'i#1', 'i#2'")
    refused(text, Schedule().unroll("j"), r"no loop 'j'; its loops are\n  for i in range\(0, 8\)")
    refused(text, Schedule().unroll("i#3"), "no loop 'i#3'")
    refused(text, Schedule().unroll("i#1").unroll("i#1"), "step 2.*decided already: unroll")


def test_split_of_what_does_not_divide():
    text = """
@kernel
def k(x: f64[n], *, out: f64[n]):
    for i in range(2, n):
        out[i] = x[i] * 2.0
    out[0] = 0.0
    out[1] = 0.0
"""
    for size in (1, 3, 4, 100):
        for n in (8, 11):
            agree(Schedule().split("i", size)(kernel(text)), text, A.ravel()[:n])
    refused(text, Schedule().split("i", 0), "at least one iteration")
    refused(text, Schedule().split("i", 4, "n2", "out"), "'out' is taken")
    refused(text, Schedule().split("i", 4, "a", "a"), "'a' is taken")
    refused(text, Schedule().unroll("i"), "how often the loop i runs is not known")


# One value goes from iteration to iteration, diagonally: neither loop may run in another order.
DIAGONAL = """
@kernel
def k(x: f64[8, 8], *, out: f64[8, 8]):
    for i in range(0, 8):
        out[i, 0] = x[i, 0]
        out[0, i] = x[0, i]
        out[i, 7] = x[i, 7]
    for p in range(1, 8):
        for q in range(0, 7):
            out[p, q] = out[p - 1, q + 1] + x[p, q]
"""
RECURRENCE = """
@kernel
def k(x: f64[8], *, out: f64[8], more: f64[8]):
    out[0] = x[0]
    for i in range(1, 8):
        out[i] = out[i - 1] + x[i]
    s: f64 = 0.0
    for j in range(0, 8):
        s = s * 0.5 + x[j]
        more[j] = s
"""


def test_dependences_are_respected():
    refused(DIAGONAL, Schedule().interchange("p", "q"), "both loops carry something: p: iterations")
    refused(
        DIAGONAL, Schedule().vectorize("p"), r"may meet at out\[p, q\] and out\[p - 1, q \+ 1\]"
    )
    refused(RECURRENCE, Schedule().vectorize("i", 4), "not independent: iterations may meet")
    refused(RECURRENCE, Schedule().parallelize("i"), "not independent")
    refused(RECURRENCE, Schedule().vectorize("j"), "s is handed from one iteration to the next")
    refused(RECURRENCE, Schedule().distribute("j"), "both parts use s")
    refused(MATMUL, Schedule().parallelize("k"), "total is handed")
    assert Schedule().vectorize("k", 2)(kernel(MATMUL))  # sums are free of order
    # A sum that is read while it grows is not.
    text = MATMUL.replace("            out[i, j] = total\n", "                out[i, j] = total\n")
    refused(text, Schedule().vectorize("k", 2), "total is handed|iterations may meet")


def test_lanes_and_threads_are_given_once():
    plain = MATMUL.replace("a[i, k] * b[k, j]", "a[i, k]")
    refused(
        plain, Schedule().vectorize("k", 2).vectorize("j"), "the loop k in it is vector already"
    )
    refused(plain, Schedule().vectorize("j").parallelize("j"), "decided already")
    refused(plain, Schedule().parallelize("i").parallelize("j"), "loop i around it is parallel")
    refused(plain, Schedule().vectorize("i").parallelize("j"), "loop i around it is vector")
    assert Schedule().vectorize("k", 2).parallelize("j")(kernel(plain))


def test_interchange_asks_for_one_loop_in_the_other():
    refused(
        MATMUL, Schedule().interchange("j", "k"), "more in it than one loop\n  hint: distribute"
    )
    refused(MATMUL, Schedule().interchange("i", "k"), "is the loop j, not k")
    refused(MATMUL, Schedule().reorder("k", "i"), "other loops between i, k")
    refused(MATMUL, Schedule().reorder("k", "j", "i"), "j has more in it than one loop")
    triangle = """
@kernel
def k(x: f64[8, 8], *, out: f64[8, 8]):
    for i in range(0, 8):
        for j in range(0, 8):
            out[i, j] = 0.0
    for p in range(0, 8):
        for q in range(p, 8):
            out[p, q] = x[p, q]
"""
    refused(triangle, Schedule().interchange("p", "q"), "the range of q depends on p")
    refused(triangle, Schedule().reorder("i", "p"), "not inside each other")


def test_fuse_and_distribute():
    text = """
@kernel
def k(x: f64[16], *, out: f64[16], more: f64[16], last: f64[16]):
    for i in range(0, 16):
        out[i] = x[i] + 1.0
    for j in range(0, 16):
        more[j] = out[j] * 2.0
    for m in range(0, 16):
        last[m] = more[15 - m]
"""
    fused = Schedule().fuse("i", "j")
    agree_all(fused(kernel(text)), text, B.ravel()[:16])
    assert Schedule().distribute("i")(fused(kernel(text))).body[0] is kernel(text).body[0]
    refused(text, Schedule().fuse("j", "m"), r"cannot be one: .* meet at more\[j\] and more\[")
    refused(text, Schedule().fuse("i", "m"), "does not come directly after")
    shorter = text.replace("for j in range(0, 16)", "for j in range(1, 16)")
    refused(shorter, Schedule().fuse("i", "j"), "different ranges")
    refused(MATMUL, Schedule().distribute("j"), "total is declared in one part.*\n.*hint: expand")


def agree_all(changed, text, *arrays):
    module = verify(Module(changed), Stage.SCHEDULED)
    wanted = tracejit.reference(tracejit.parse(text), *arrays)
    for got in (tracejit.reference(module, *arrays), tracejit.build(module)(*arrays)):
        for one, other in zip(got, wanted, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-12)


def test_expand_and_stage_say_what_they_cannot():
    refused(MATMUL, Schedule().expand("sum", "j"), "declares no variable 'sum'")
    refused(MATMUL, Schedule().expand("total"), "say the loops")
    big = MATMUL.replace("12", "512").replace("16", "512")
    refused(big, Schedule().expand("total", "i", "j"), "does not fit into registers")
    refused(MATMUL, Schedule().stage("c", "i", ("i",)), "reads no buffer 'c'")
    refused(MATMUL, Schedule().stage("b", "i", ("j",)), "depends on k too")
    refused(MATMUL, Schedule().stage("b", "k", ("j", "k")), "j is not inside the loop k")
    refused(MATMUL, Schedule().stage("b", "i", ("j", "k"), "out"), "'out' is taken")
    refused(DIAGONAL, Schedule().stage("out", "p", ("p", "q")), "also writes out")
    twice = MATMUL.replace("a[i, k] * b[k, j]", "b[k, i] * b[k, j]")
    refused(twice, Schedule().stage("b", "i", ("j", "k")), "at 2 different places")


def test_schedules_in_a_pipeline():
    def program(a, b):
        return np.tanh(a @ b), np.exp(a)

    x, y = A[:12, :10], B[:10]
    contraction = Schedule().split("a", 4).vectorize("c")
    pipeline = tracejit.pipeline().replace("to_loops", tracejit.plain_loops)
    line = f"test_schedule.py:{program.__code__.co_firstlineno + 1}"
    for which in ({"op": "contract"}, {"kernel": "fused_tanh"}, {"op": "multiply"}):
        passes = pipeline.insert_after("plain_loops", contraction.on(**which))
        f = tracejit.jit(program, passes=passes)
        assert "a_outer" in str(f.lower(x, y))
        for got, wanted in zip(f(x, y), program(x, y)):
            np.testing.assert_allclose(got, wanted, rtol=1e-12)
    everywhere = Schedule()
    assert tracejit.jit(
        program, passes=pipeline.insert_after("plain_loops", everywhere.on(line=line))
    )(x, y)
    for which in ({"op": "sinh"}, {"line": "test_schedule.py:1"}, {"kernel": "other"}):
        passes = pipeline.insert_after("plain_loops", contraction.on(**which))
        with pytest.raises(IRError, match="no kernel is .*; there are fused_"):
            tracejit.jit(program, passes=passes)(x, y)
    with pytest.raises(TypeError, match="say which kernels"):
        contraction.on()


NESTS = [
    MATMUL,
    DIAGONAL,
    """
@kernel
def k(x: f64[6, 8], y: f64[6, 8], *, out: f64[6, 8], sums: f64[6]):
    for i in range(0, 6):
        s: f64 = 0.0
        for j in range(0, 8):
            out[i, j] = x[i, j] * 2.0
            s += x[i, j] * y[i, j]
        sums[i] = s
        for m in range(0, 8):
            out[i, m] = out[i, m] + y[i, m]
""",
]


@settings(max_examples=60)
@given(st.data())
def test_what_is_not_refused_computes_the_same(data):
    """Random steps, right or wrong: whatever a schedule accepts gives what the plain loops give."""
    text = data.draw(st.sampled_from(NESTS))
    found, steps = kernel(text), []
    loops = ["i", "j", "k", "m", "p", "q"]
    loops += [f"{name}_{part}" for name in loops for part in ("outer", "inner")]
    names = st.sampled_from([*loops, *[f"{name}#2" for name in loops[:6]]])
    for _ in range(data.draw(st.integers(1, 7))):
        step = data.draw(st.sampled_from(sorted(STEPS)))
        arguments = {
            "split": lambda: (data.draw(names), data.draw(st.integers(1, 5))),
            "expand": lambda: (data.draw(st.sampled_from("st")), data.draw(names)),
            "stage": lambda: ("xyb"[data.draw(st.integers(0, 2))], data.draw(names),
                              tuple(data.draw(st.lists(names, min_size=1, max_size=3)))),
            "vectorize": lambda: (data.draw(names), data.draw(st.sampled_from([2, 4]))),
        }.get(step, lambda: (data.draw(names),))()  # fmt: skip
        if step in ("interchange", "fuse"):
            arguments = (*arguments, data.draw(names))
        if step == "reorder":
            arguments = tuple(data.draw(st.lists(names, min_size=2, max_size=3, unique=True)))
        try:
            STEPS[step](found, *arguments)
        except IRError:
            continue
        steps.append((step, arguments))
        found = STEPS[step](found, *arguments)
    schedule = Schedule()
    for step, arguments in steps:
        schedule = schedule.then(step, *arguments)
    found = schedule(kernel(text))
    rng = np.random.default_rng(1)
    arrays = [rng.random(b.type.shape) for b in found.inputs]
    wanted = tracejit.reference(tracejit.parse(text), *arrays)
    module = verify(Module(found), Stage.SCHEDULED)
    for got in (tracejit.reference(module, *arrays), tracejit.build(module)(*arrays)):
        for one, other in zip(as_tuple(got), as_tuple(wanted), strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-12)


def as_tuple(value):
    return value if isinstance(value, tuple) else (value,)
