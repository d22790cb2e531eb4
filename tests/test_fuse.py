"""What fusion joins, what it stores, and what it computes again."""

from __future__ import annotations

import numpy as np
import pytest

import tracejit
from tracejit.config import config
from tracejit.ir.graph import Function
from tracejit.ir.tensor import Kernel
from tracejit.ir.verify import Stage

IMAGE = np.random.default_rng(0).random((40, 50)).astype(np.float32)


def fused(function, *args) -> list[Function]:
    """The distinct groups `function` becomes."""
    module = tracejit.jit(function).lower(*args).stages[Stage.FUSED]
    return [f for f in module.functions if f is not module.entry]


def calls(function, *args) -> int:
    """How many groups run."""
    entry = tracejit.jit(function).lower(*args).stages[Stage.FUSED].entry
    return sum(node.op.name == "call" for node in entry.nodes)


def text_length(function, *args) -> int:
    lowered = tracejit.jit(function).lower(*args)
    return sum(len(tracejit.show(k)) for k in lowered.module.functions if isinstance(k, Kernel))


def diffuse(image, steps):
    for _ in range(steps):
        p = np.pad(image, 1, mode="edge")
        sides = (p[:-2, 1:-1], p[2:, 1:-1], p[1:-1, :-2], p[1:-1, 2:])
        image = image + 0.2 * sum((s - image) * np.exp(-((s - image) ** 2)) for s in sides)
    return image


def test_a_dear_stencil_is_stored_at_every_step():
    with config.use(unroll=6):
        assert calls(diffuse, IMAGE, 6) == 6
        assert len(fused(diffuse, IMAGE, 6)) == 1, "equal steps are one Function"


def smooth(x, steps):
    for _ in range(steps):
        x = (x[:-2] + x[1:-1] + x[2:]) * 0.25
    return x


@pytest.mark.parametrize("steps", [1, 2, 8, 40])
def test_chains_of_cheap_stencils_grow_linearly(steps):
    x = np.arange(100.0)
    assert text_length(smooth, x, steps) < 1000 * (steps + 1)
    np.testing.assert_allclose(tracejit.jit(smooth)(x, steps), smooth(x, steps), rtol=1e-13)


def test_diffusion_is_numpys():
    np.testing.assert_allclose(
        tracejit.jit(diffuse)(IMAGE, 4), diffuse(IMAGE, 4), rtol=2e-6, atol=1e-6
    )


def separable(x):
    """Two passes of five points: computed in one go, the second would read 25."""
    n = len(x) - 4
    down = x[:n] + 4 * x[1 : n + 1] + 6 * x[2 : n + 2] + 4 * x[3 : n + 3] + x[4:]
    m = x.shape[1] - 4
    return down[:, :m] + 4 * down[:, 1 : m + 1] + 6 * down[:, 2 : m + 2] + down[:, 4:]


def test_a_separable_filter_stores_its_first_pass():
    assert calls(separable, np.zeros((300, 400))) == 2
    assert calls(separable, np.zeros((800, 900))) == 1  # of a group that stores a strip at a time


def test_a_cheap_value_is_computed_again_where_it_is_read():
    def difference(x):
        y = x * 2
        return y[1:] - y[:-1]

    assert calls(difference, np.zeros(1000)) == 1


def test_parts_of_a_stack_are_computed_where_they_go():
    def cross(x, y):
        a, b, c = x.T
        u, v, w = y.T
        return np.stack([b * w - c * v, c * u - a * w, a * v - b * u], axis=1)

    x, y = np.random.default_rng(1).random((2, 100_000, 3))
    assert calls(cross, x, y) == 1
    np.testing.assert_allclose(tracejit.jit(cross)(x, y), cross(x, y), rtol=1e-12, atol=1e-15)
    assert calls(lambda x: np.concatenate([np.exp(x), np.sin(x)]), x[:, 0]) == 1


def test_a_value_read_once_is_never_stored():
    assert calls(lambda x: np.exp(np.sin(x))[::-1] + 1, np.zeros(1000)) == 1
    assert calls(lambda x, y: np.exp(np.sin(x)).T * y, np.zeros((30, 40)), np.zeros((40, 30))) == 1


def test_a_row_that_every_row_reads_is_computed_once():
    def scaled(x, v):
        return x * np.exp(np.sin(v))

    assert calls(scaled, np.zeros((300, 400)), np.zeros(400)) == 2


def test_groups_that_read_beside_each_other_stay_apart():
    """The second stencil reads the first shifted, and their sum reads both in place."""

    def two(x):
        first = np.exp(np.pad(x, 1)[2:] + x)
        second = np.exp(np.pad(first, 1)[2:] - first)
        return first + second

    x = np.linspace(0, 1, 20000)
    assert calls(two, x) == 2
    np.testing.assert_allclose(tracejit.jit(two)(x), two(x), rtol=1e-14)


def test_sums_and_what_follows_are_one_group():
    def softmax(x):
        e = np.exp(x - x.max(axis=1, keepdims=True))
        return e / e.sum(axis=1, keepdims=True)

    assert calls(softmax, np.zeros((64, 100))) == 1


def test_chains_of_column_sums_are_cut():
    """Sweeps of a column compute anew what those before them did, so only a few go together."""

    def chain(x, stages):
        for k in range(stages):
            y = np.tanh(x * (k + 1.5) + 0.1)
            x = y + np.sum(y * y - x * 0.5, axis=0) * 0.01
        return x

    x = np.random.default_rng(0).random((64, 64))
    lengths = []
    for stages in (4, 8, 16):
        function = tracejit.jit(chain, static_argnames="stages")
        np.testing.assert_allclose(function(x, stages), chain(x, stages), rtol=1e-10)
        lengths.append(len(str(function.lower(x, stages))))
    assert lengths[2] < 2.5 * lengths[1] < 6 * lengths[0]


def test_what_stands_alone_comes_between_what_could_be_one_group():
    """Sums of nothing and products of parts: merged with what a product needs, a sum would need itself."""

    def function(m):
        total = 0.0
        for i in range(m.shape[0]):
            total += m[i, :0].sum() + m[:i, i] @ m[i, :i]
        return total

    m = np.arange(36.0).reshape(6, 6)
    assert tracejit.jit(function)(m) == function(m)


def test_long_sums_of_what_is_computed_need_no_memory_for_it():
    def pull(position, mass):
        away = position - position[0]
        return (mass / (np.sum(away * away, axis=1) + 0.1)) @ away

    rng = np.random.default_rng(0)
    position, mass = rng.standard_normal((50, 3)), rng.random(50)
    lowered = str(tracejit.jit(pull).lower(position, mass))
    assert "f64[50]" in lowered
    assert "f64[50, 3] = local()" not in lowered
    found = tracejit.jit(pull)(position, mass)
    np.testing.assert_allclose(found, pull(position, mass), rtol=1e-13)


def test_a_stored_value_in_another_shape_is_no_copy():
    """What splits heads after a product, and joins them before one, renames indices."""

    def heads(x, w, out):
        q, k = (x @ w).reshape(6, 2, 4, 8).transpose(1, 2, 0, 3)
        both = q @ k.transpose(0, 2, 1) @ k
        return both.transpose(1, 0, 2).reshape(6, 32) @ out

    rng = np.random.default_rng(0)
    x, w, out = rng.random((6, 5)), rng.random((5, 64)), rng.random((32, 3))
    f = tracejit.jit(heads)
    np.testing.assert_allclose(f(x, w, out), heads(x, w, out), rtol=1e-12)
    fused = f.lower(x, w, out).stages[Stage.FUSED]
    copies = [g.name for g in fused.functions if "reshape" in g.name or "transpose" in g.name]
    assert not copies, tracejit.show(fused)


@pytest.mark.parametrize(
    "function",
    [
        lambda x, w, v: np.cumsum((x @ w).reshape(4, 3, 2), axis=1),
        lambda x, w, v: (x @ w).reshape(2, 12).sum(1) + (x @ w).reshape(12, 2).max(0)[0],
        lambda x, w, v: (x @ w).sum(0).reshape(2, 2) @ (x @ w).sum(1).reshape(2, 3),
        lambda x, w, v: (x @ w).sum(1, keepdims=True) * (x @ w) + np.sort((x @ w).ravel())[3],
        lambda x, w, v: (np.exp(x @ w).reshape(4, 6) @ v).reshape(8)[::3],
        lambda x, w, v: (y := np.cumsum(x, 0).reshape(2, 15)) - y.mean(1, keepdims=True),
    ],
)
def test_reshapes_of_stored_values(function):
    arrays = [np.random.default_rng(0).random(shape) for shape in ((6, 5), (5, 4), (6, 2))]
    np.testing.assert_allclose(tracejit.jit(function)(*arrays), function(*arrays), rtol=1e-12)


SIDE_BY_SIDE = [
    (lambda x: (x.min(), x.max(), x.mean()), 1),
    (lambda x: (x.sum(0), x.std(0), x.max(0)), 1),
    (lambda x: (x.sum(1), (x * x).sum(1), x.argmax(1)), 1),
    (lambda x: (np.sin(x), x + 1, x[:, ::-1] * 2), 2),
    (lambda x: (x[1:, 1:] - x[:-1, 1:], x[1:, 1:] - x[1:, :-1]), 1),
    (lambda x: (x.sum(0), x.sum(1)), 2),
    (lambda x: (x > 0.5, (x - x.mean()).max(), x.sum()), 2),
    (lambda x: (x.argmax(), x.min(), x.astype("float32").max()), 2),
]


@pytest.mark.parametrize("function, count", SIDE_BY_SIDE)
def test_what_reads_the_same_stands_side_by_side(function, count):
    x = np.random.default_rng(0).random((220, 300))
    fused = tracejit.jit(function).lower(x).stages[Stage.FUSED]
    assert len(fused.functions) - 1 == count, tracejit.show(fused)
    for threads in (1, 2):
        for got, wanted in zip(tracejit.jit(function, threads=threads)(x), function(x)):
            np.testing.assert_allclose(got, wanted, rtol=1e-6)
    small = tracejit.jit(function).lower(x[:5, :7].copy()).stages[Stage.FUSED]
    assert len(small.functions) - 1 >= count  # where memory is near, loops are simple


def test_writes_stand_apart():
    def shifted(x, out):
        out[:] = x * 2
        low = out.min()
        out += 1
        return low, x.max(), out.max()

    x = np.random.default_rng(0).random((220, 300))
    mine, other = np.zeros_like(x), np.zeros_like(x)
    for got, wanted in zip(tracejit.jit(shifted)(x, mine), shifted(x, other)):
        assert got == wanted
    np.testing.assert_array_equal(mine, other)


def test_reductions_along_different_axes_stay_apart():
    def function(x):
        shifted = x + 1
        order = np.argsort(shifted.ravel(), kind="stable")
        rows = np.take(shifted, np.count_nonzero(x, axis=1) % 2, axis=0)
        return rows.max(axis=0)[order % 1]

    x = np.arange(6.0).reshape(2, 3, 1)
    np.testing.assert_array_equal(tracejit.jit(function)(x), function(x))


class Pair:
    def __init__(self, x, y):
        self.x, self.y = x, y

    def push(self, value):
        if value > self.y:
            self.y = value
        else:
            self.x = (self.x + value) % 7
        return self.x


def test_a_write_does_not_join_what_comes_before_the_memory_it_changes():
    """What `y` is, a loop needs, whose end is written to `g`; what is written then is made of `y`."""

    def function(b, k, g, x):
        pair, found, m = Pair(1, x), [x, 1.0], 1
        for i, _ in zip(range(5), b[::-1]):
            n = i % 5
            if any(v > g[n % 3, 1] for v in b):
                found.append(k[m % 5] % 3)
            g[:, m % 4] = 1 % 4.0
            g[n % 3, : m % 4] = pair.push(1) % 4.0
        return len(found), found[-1], pair.x, pair.y, g

    b, k = np.arange(5.0) - 2, np.arange(5)
    ours, numpys = np.arange(12.0).reshape(3, 4), np.arange(12.0).reshape(3, 4)
    with config.use(unroll=0):
        results = tracejit.jit(function)(b, k, ours, 1.5)
    for found, wanted in zip(results, function(b, k, numpys, 1.5)):
        np.testing.assert_array_equal(found, wanted)
    assert results[-1] is ours


def test_a_write_comes_between_a_product_and_what_is_computed_for_it():
    def function(g, w):
        a = np.maximum(g, 0.5)
        g[0] = 1.0
        return a @ (g + w)

    rng = np.random.default_rng(0)
    ours, w = rng.random((300, 300)), rng.random((300, 300))
    numpys = ours.copy()
    np.testing.assert_allclose(tracejit.jit(function)(ours, w), function(numpys, w), rtol=1e-10)
    np.testing.assert_array_equal(ours, numpys)
