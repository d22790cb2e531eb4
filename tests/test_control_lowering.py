"""Loops, branches and scopes through all stages: what each stage gives, and what the kernels look like."""

import numpy as np
import pytest

import tracejit
from tracejit import parse, reference, show
from tracejit.ir.verify import Stage
from tracejit.stages import Lowered, default_options

SWAP = """
t = bounded(0, {last})


def body(u: f64[100], new: f64[100]):
    t0 = slice(u, start=(0,), step=(1,), stop=(98,))
    t1 = slice(u, start=(2,), step=(1,), stop=(100,))
    t2 = add(t0, t1)
    t3 = update(new, t2, start=(1,), step=(1,), stop=(99,))
    return t3, u


def main(u: f64[100], new: f64[100]):
    t0, t1 = for_loop(u, new, body=body, carried=2, index=t, start=0, stop={trips})
    return t0, t1
"""

TURNS = """
n = bounded(0, 9)
t = bounded(0, n - 1)


def body(a: f64[40], b: f64[40], c: f64[40]):
    t0 = slice(a, start=(1,), step=(1,), stop=(40,))
    t1 = update(c, t0, start=(0,), step=(1,), stop=(39,))
    return t1, a, b


def rounds(a: f64[40], b: f64[40], c: f64[40]):
    t0, t1, t2 = for_loop(a, b, c, body=body, carried=3, index=t, start=0, stop=n)
    return t0, t1, t2


def main(count: i64[()], a: f64[40], b: f64[40], c: f64[40]):
    t0, t1, t2 = scope(count, a, b, c, body=rounds, extents=(n,))
    return t0, t1, t2
"""

INVARIANT = """
t = bounded(0, 6)


def body(u: f64[100], x: f64[100], k: i64[()]):
    t0 = exp(x)
    t1 = multiply(t0, u)
    t2 = gather(t1, k, axes=(0,))
    t3 = broadcast(t2, axes=(), shape=(100,))
    t4 = add(t1, t3)
    return t4


def main(u: f64[100], x: f64[100], k: i64[()]):
    t0 = for_loop(u, x, k, body=body, carried=1, index=t, start=0, stop=7)
    return t0
"""

SMALL = """
t = bounded(0, 49)


def body(x: f64[3], m: f64[3, 3], s: f64[()]):
    t0 = contract(m, x, spec='ab,b->a')
    t1 = sum(t0, axes=(0,))
    t2 = add(s, t1)
    t3 = constant(dtype=f64, value=0.01)
    t4 = broadcast(t3, axes=(), shape=(3,))
    t5 = multiply(t0, t4)
    t6 = add(x, t5)
    return t6, t2


def main(x: f64[3], s: f64[()], m: f64[3, 3]):
    t0, t1 = for_loop(x, s, m, body=inner, carried=2, index=t, start=0, stop=50)
    return t0, t1
""".replace("body(x: f64[3], m: f64[3, 3], s: f64[()])", "inner(x: f64[3], s: f64[()], m: f64[3, 3])")

TRIANGULAR = """
i = bounded(0, 19)


def body(x: f64[20], a: f64[20, 20], b: f64[20]):
    t0 = slice(a, start=(i, 0), step=(1, 1), stop=(i + 1, i))
    t1 = reshape(t0, shape=(i,))
    t2 = slice(x, start=(0,), step=(1,), stop=(i,))
    t3 = contract(t1, t2, spec='a,a->')
    t4 = slice(b, start=(i,), step=(1,), stop=(i + 1,))
    t5 = reshape(t3, shape=(1,))
    t6 = subtract(t4, t5)
    t7 = slice(a, start=(i, i), step=(1, 1), stop=(i + 1, i + 1))
    t8 = reshape(t7, shape=(1,))
    t9 = divide(t6, t8)
    t10 = update(x, t9, start=(i,), step=(1,), stop=(i + 1,))
    return t10


def main(x: f64[20], a: f64[20, 20], b: f64[20]):
    t0 = for_loop(x, a, b, body=body, carried=1, index=i, start=0, stop=20)
    return t0
"""

CHOSEN = """
def first(x: f64[50], v: f64[()]):
    t0 = broadcast(v, axes=(), shape=(3,))
    t1 = update(x, t0, start=(4,), step=(1,), stop=(7,))
    return v, t1


def second(x: f64[50], v: f64[()]):
    t0 = negative(v)
    return t0, x


def main(choice: i64[()], x: updated(f64[50]), v: f64[()]):
    t0, t1 = branch(choice, x, v, branches=(first, second))
    return t1, t0
"""

COUNT = """
k = bounded(0, 29)


def inner(total: i64[()], row: i64[()]):
    t0 = extent(value=k)
    t1 = multiply(t0, row)
    t2 = add(total, t1)
    t3 = constant(dtype=i64, value=50)
    t4 = greater(t2, t3)
    return t2, t4


def more(total: i64[()], row: i64[()], end: i64[()]):
    t0 = less(row, end)
    return t0


def outer(total: i64[()], row: i64[()], end: i64[()]):
    t0 = constant(dtype=i64, value=0)
    t1 = for_loop(t0, row, body=inner, breaks=True, carried=1, index=k, start=0, stop=30)
    t2 = add(total, t1)
    t3 = constant(dtype=i64, value=1)
    t4 = add(row, t3)
    return t2, t4


def main(total: i64[()], row: i64[()], end: i64[()]):
    t0, t1 = while_loop(total, row, end, body=outer, carried=2, condition=more)
    return t0, t1
"""

rng = np.random.default_rng(3)
U, V, W = rng.random(100), rng.random(100), rng.random(40)
LOWER = rng.random((20, 20)) + 20 * np.eye(20)
CASES = {
    "swap, odd": (SWAP.format(last=6, trips=7), [U, V]),
    "swap, even": (SWAP.format(last=5, trips=6), [U, V]),
    "swap, never": (SWAP.format(last=0, trips=0), [U, V]),
    **{f"turns {n}": (TURNS, [np.int64(n), W, W + 1, W + 2]) for n in (0, 1, 2, 3, 7)},
    "invariant": (INVARIANT, [U, V, np.int64(-3)]),
    "small": (SMALL, [W[:3], np.float64(1), rng.random((3, 3))]),
    "triangular": (TRIANGULAR, [np.zeros(20), LOWER, W[:20]]),
    "chosen 0": (CHOSEN, [np.int64(0), W.repeat(2)[:50], np.float64(9)]),
    "chosen 1": (CHOSEN, [np.int64(1), W.repeat(2)[:50], np.float64(9)]),
    "count": (COUNT, [np.int64(0), np.int64(1), np.int64(9)]),
    "count nothing": (COUNT, [np.int64(5), np.int64(9), np.int64(9)]),
}


def lowered(text):
    return Lowered(parse(text), default_options(1))


def tupled(results):
    return results if isinstance(results, tuple) else (results,)


@pytest.mark.parametrize("name", CASES)
def test_every_stage_gives_the_same(name):
    text, arguments = CASES[name]
    program = lowered(text)
    wanted = tupled(reference(program.stages[Stage.TRACED], *arguments))
    for module in program.stages.values():
        assert parse(show(module)) is module
        for found, value in zip(tupled(reference(module, *arguments)), wanted, strict=True):
            np.testing.assert_allclose(found, value, rtol=1e-13, atol=0)
    mine = [np.copy(a) for a in arguments]
    found = [*tupled(program.compile()(*mine))]
    updated = [k for k, b in enumerate(program.module.entry.inputs) if b.space == "updated"]
    found = [*[mine[k] for k in updated], *found]
    for result, value in zip(found, wanted, strict=True):
        np.testing.assert_allclose(result, value, rtol=1e-13, atol=0)


def loop_text(text):
    """The text of the kernel of the loop."""
    kernels = show(lowered(text).module).split("\n\n\n")
    (found,) = [kernel for kernel in kernels if " ordered(" in kernel]
    return found


def test_memory_takes_turns():
    text = loop_text(SWAP.format(last=5, trips=6))
    assert "saved" not in text and text.count("vector(") == 2


def test_an_invariant_array_is_computed_once():
    assert "exp" not in loop_text(INVARIANT)


def test_small_arrays_are_in_registers():
    _, _, body = loop_text(SMALL).partition("ordered")
    body, _, _ = body.partition("\n    x[")
    assert "local()" not in body and "x[" not in body and "range(" not in body


def test_a_refused_index_stops_the_loop_where_numpy_stops():
    text = """
i = bounded(0, 4)


def body(x: f64[9], place: i64[5]):
    t0 = slice(place, start=(i,), step=(1,), stop=(i + 1,))
    t1 = reshape(t0, shape=())
    t2 = constant(dtype=f64, value=1.0)
    t3 = scatter(x, t2, t1, axes=(0,), combine=None)
    return t3


def main(x: updated(f64[9]), place: i64[5]):
    t0 = for_loop(x, place, body=body, carried=1, index=i, start=0, stop=5)
    return t0
"""
    x = np.zeros(9)
    with pytest.raises(IndexError, match="index 9 is out of bounds for axis 0 with size 9"):
        lowered(text).compile()(x, np.array([3, -1, 9, 5, 6]))
    np.testing.assert_array_equal(x, [0, 0, 0, 1, 0, 0, 0, 0, 1])


RENEWED = """
t = bounded(0, {last})


def body(u: f64[100], k: f64[()]):
    t0 = slice(u, start=(1,), step=(1,), stop=(100,))
    t1 = slice(u, start=(0,), step=(1,), stop=(1,))
    t2 = concatenate(t0, t1, axis=0)
    t3 = broadcast(k, axes=(), shape=(100,))
    t4 = multiply(t2, t3)
    return t4


def main(u: f64[100], k: f64[()]):
    t0 = for_loop(u, k, body=body, carried=1, index=t, start=0, stop={trips})
    return t0
"""


@pytest.mark.parametrize("trips", [0, 1, 2, 7, 8])
def test_an_array_computed_anew_takes_turns_with_spare_memory(trips):
    text = RENEWED.format(last=max(trips - 1, 0), trips=trips)
    wanted = U.copy()
    for _ in range(trips):
        wanted = np.roll(wanted, -1) * 1.5
    np.testing.assert_array_equal(lowered(text).compile()(U, np.float64(1.5)), wanted)
    np.testing.assert_array_equal(reference(lowered(text).module, U, 1.5), wanted)
    if trips == 8:
        assert loop_text(text).count("vector(") == 2  # two turns, and no copy


def test_an_array_that_an_update_reads_is_not_copied_over_first():
    def program(x, y, z, steps):
        for _ in range(steps):
            z[3:] = x[:-3] * 0.39 - y[3:]
            x = y * 0.01 - z
            z, x = x, z
        return x, z

    generator = np.random.default_rng(0)
    arrays = [generator.random(40) for _ in "xyz"]
    ours, numpys = [[a.copy() for a in arrays] for _ in "ab"]
    actual, wanted = tracejit.jit(program)(*ours, 6), program(*numpys, 6)
    for one, other in zip((*actual, *ours), (*wanted, *numpys)):
        np.testing.assert_allclose(one, other, rtol=1e-13)
