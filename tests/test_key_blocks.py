"""A softmax between two products, block by block of the keys: the largest score and the sum of a row so far."""

from __future__ import annotations

import numpy as np
import pytest
from combinations import each

import tracejit
from tracejit.ir.tensor import Allocate, For, Kernel, statements
from tracejit.ir.verify import verify


def scores_of(q, k):
    return q @ k.swapaxes(-1, -2) * q.dtype.type(q.shape[-1] ** -0.5)


def normalised(scores, v):
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    return (weights / weights.sum(-1, keepdims=True)) @ v


def plain(q, k, v):
    return normalised(scores_of(q, k), v)


def deferred(q, k, v):
    weights = scores_of(q, k)
    weights = np.exp(weights - weights.max(-1, keepdims=True))
    return (weights @ v) / weights.sum(-1, keepdims=True)


def without_top(q, k, v):
    weights = np.exp(scores_of(q * q.dtype.type(0.5), k))
    return (weights @ v) / weights.sum(-1, keepdims=True) + q[..., :1]


def causal(q, k, v):
    n = q.shape[-2]
    return normalised(np.where(np.tril(np.ones((n, n), bool)), scores_of(q, k), -np.inf), v)


def excluded(q, k, v):
    n = q.shape[-2]
    return normalised(np.where(np.triu(np.ones((n, n), bool), 1), -np.inf, scores_of(q, k)), v)


def band(q, k, v):
    apart = np.arange(q.shape[-2])[:, None] - np.arange(k.shape[-2])
    return normalised(np.where((apart >= 0) & (apart < 150), scores_of(q, k), -np.inf), v)


def later(q, k, v):
    """The last row sees nothing, which gives nan."""
    apart = np.arange(q.shape[-2])[:, None] - np.arange(k.shape[-2])
    return normalised(np.where(apart < 0, scores_of(q, k), -np.inf), v)


def added(q, k, v):
    n = q.shape[-2]
    return normalised(scores_of(q, k) + np.triu(np.full((n, n), -np.inf, q.dtype), 1), v)


def assigned(q, k, v):
    scores = scores_of(q, k)
    scores[:, np.triu(np.ones((q.shape[-2], k.shape[-2]), bool), 1)] = -np.inf
    return normalised(scores, v)


def added_number(q, k, v):
    n, m = q.shape[-2], k.shape[-2]
    hidden = 1 - np.tri(n, m, m - n, dtype=q.dtype)
    return normalised(scores_of(q, k) + hidden * q.dtype.type(-1e9), v)


def taken_away(q, k, v):
    n = q.shape[-2]
    return normalised(scores_of(q, k) - np.triu(np.full((n, n), 1e9, q.dtype), 1), v)


def chosen_number(q, k, v):
    before = np.arange(q.shape[-2])[:, None] >= np.arange(k.shape[-2])
    return normalised(np.where(before, scores_of(q, k), q.dtype.type(-1e10)), v)


def later_number(q, k, v):
    """The last row sees nothing but numbers as low as each other, so all alike."""
    apart = np.arange(q.shape[-2])[:, None] - np.arange(k.shape[-2])
    return normalised(np.where(apart < 0, scores_of(q, k), q.dtype.type(-1e30)), v)


def not_hidden(q, k, v):
    """Scores as low as the mask: what it hides counts."""
    before = np.tri(q.shape[-2], k.shape[-2], dtype=bool)
    scores = np.where(before, scores_of(q, k) - q.dtype.type(995), q.dtype.type(-1000))
    return normalised(scores, v)


def biased(q, k, v):
    """Slopes that grow with the distance, and numbers for keys that are padded."""
    n = q.shape[-2]
    apart = np.arange(n)[:, None] - np.arange(n)
    padded = np.where(v[..., None, :, 0] > 1.5, q.dtype.type(-1e9), q.dtype.type(0))
    scores = scores_of(q, k) + apart.astype(q.dtype) * q.dtype.type(-0.1) + padded
    return normalised(np.where(apart >= 0, scores, -np.inf).astype(q.dtype), v)


def capped(q, k, v):
    scores = np.tanh(scores_of(q, k)) * q.dtype.type(20)
    return normalised(scores + np.triu(np.full(scores.shape[-2:], -np.inf, q.dtype), 1), v)


def swapped(q, k, v):
    weights = np.einsum("hqd,hkd->hqk", q, k)
    weights = np.exp(weights - weights.max(-1, keepdims=True))
    return np.einsum("hqk,hkd->qhd", weights / weights.sum(-1, keepdims=True), v)


def by_logarithm(q, k, v):
    scores = scores_of(q, k)
    top = np.max(scores, axis=-1, keepdims=True)
    return np.exp(scores - (top + np.log(np.exp(scores - top).sum(-1, keepdims=True)))) @ v


def by_log_softmax(q, k, v):
    scores = scores_of(q, k)
    scores = scores - np.amax(scores, axis=-1)[..., None]
    return np.matmul(np.exp(scores - np.log(np.exp(scores).sum(-1, keepdims=True))), v)


def by_reciprocals(q, k, v):
    weights = scores_of(q, k)
    weights = np.exp(weights - weights.max(-1, keepdims=True))
    return (weights * (1 / weights.sum(-1, keepdims=True))) @ v


def deferred_reciprocals(q, k, v):
    weights = scores_of(q, k)
    weights = np.exp(weights - weights.max(-1, keepdims=True))
    return (weights @ v) * np.reciprocal(weights.sum(-1))[..., None]


def keys_first(q, k, v):
    weights = scores_of(k, q)
    weights = np.exp(weights - weights.max(-2, keepdims=True))
    weights = weights / weights.sum(-2, keepdims=True)
    return weights.swapaxes(-1, -2) @ v


def values_first(q, k, v):
    n = k.shape[-2]
    weights = scores_of(k, q) + np.tril(np.full((n, n), -np.inf, q.dtype), -1)
    weights = np.exp(weights - weights.max(-2, keepdims=True))
    mixed = np.einsum("hkq,hkd->hqd", weights, v)
    return mixed / weights.sum(-2)[..., None]


PROGRAMS = [plain, deferred, without_top, causal, excluded, band, later, added, swapped]
PROGRAMS += [added_number, taken_away, chosen_number, later_number, not_hidden, biased, capped]
PROGRAMS += [by_logarithm, by_log_softmax, by_reciprocals, deferred_reciprocals]
PROGRAMS += [keys_first, values_first, assigned]


def kernels(lowered):
    return [k for k in lowered.module.functions if isinstance(k, Kernel)]


def is_in_blocks(lowered):
    inside = [s for k in kernels(lowered) for s in statements(k.body)]
    return any(isinstance(s, For) and s.index.name == "group_block" for s in inside)


SIZES = [("float32", 2, 600), ("float64", 3, 256)]
# How low a number must be to be nothing beside others depends on the dtype.
OF_BOTH = [plain, added_number, chosen_number, not_hidden]


@pytest.mark.parametrize("function, size", [*each(PROGRAMS, SIZES), *each(OF_BOTH, SIZES[::-1])])
def test_as_in_numpy(function, size):
    rng, (dtype, h, n) = np.random.default_rng(0), size
    q, k, v = (rng.standard_normal((h, n, 32)).astype(dtype) for _ in range(3))
    lowered = tracejit.jit(function, threads=2).lower(q, k, v)
    assert is_in_blocks(lowered)
    for stage, module in lowered.stages.items():
        verify(module, stage)
    assert tracejit.parse(tracejit.show(lowered.module)) is lowered.module
    compiled = lowered.compile()
    near = 1e-4 if dtype == "float32" else 1e-11
    for change in (None, (v, np.nan), (v, np.inf), (q, np.inf)):
        if change is not None:
            array, value = change
            array = array.copy()
            array[0, n // 2, 3] = value
            arrays = (q, k, array) if change[0] is v else (array, k, v)
        else:
            arrays = q, k, v
        with np.errstate(all="ignore"):
            wanted = function(*arrays)
        np.testing.assert_allclose(compiled(*arrays), wanted, rtol=near, atol=near)


LENGTHS = [(300, 700), (1, 513), (70, 512), (257, 1025)]
MASKED = [added_number, chosen_number, later_number, not_hidden]


@pytest.mark.parametrize(
    "function, lengths",
    [
        *each([plain], LENGTHS),
        *each([deferred, without_top, swapped], LENGTHS[:3]),
        *each(MASKED, LENGTHS),
        *each(MASKED, LENGTHS[2:] + LENGTHS[:2]),
    ],
)
def test_other_lengths(function, lengths):
    rng, (n, m) = np.random.default_rng(1), lengths
    q, k, v = (rng.standard_normal((2, size, 24)) for size in (n, m, m))
    got = tracejit.jit(function, threads=1)(q, k, v)
    np.testing.assert_allclose(got, function(q, k, v), rtol=1e-11, atol=1e-11)


SINGLE = [(1, 193), (2, 385), (2, 193)]


@pytest.mark.parametrize(
    "function, size", [*each([plain], SINGLE), *each([deferred, without_top], SINGLE[:2])]
)
def test_a_single_row_and_a_single_feature(function, size):
    rng, (heads, rows) = np.random.default_rng(3), size
    q, k, v = (rng.standard_normal((heads, *shape)) for shape in ((rows, 8), (512, 8), (512, 1)))
    got = tracejit.jit(function)(q, k, v)
    np.testing.assert_allclose(got, function(q, k, v), rtol=1e-11, atol=1e-11)


def test_memory_of_a_strip_does_not_grow_with_the_row():
    def near(function, n):
        arrays = [np.ones((2, n, 64), "f4")] * 3
        lowered = tracejit.jit(function, threads=2).lower(*arrays)
        found = [s for k in kernels(lowered) for s in statements(k.body) if isinstance(s, Allocate)]
        # But for the packed keys of a head, which are as many as there are.
        return max(s.buffer.type.size for s in found if s.buffer.type.size != n * 64)

    for function in (plain, deferred, causal):
        assert near(function, 8192) == near(function, 2048) <= 192 * 256


def test_blocks_that_a_mask_hides_are_skipped():
    q = k = np.ones((1, 2048, 32), "f4")
    for function, first in ((causal, False), (assigned, False), (band, True), (added, False)):
        loop = loop_over_blocks(function, q, k)
        assert loop.stop.free and bool(loop.start.free) is first
    assert not loop_over_blocks(plain, q, k).stop.free


def loop_over_blocks(function, q, k):
    lowered = tracejit.jit(function, threads=1).lower(q, k, k)
    loops = [s for k in kernels(lowered) for s in statements(k.body) if isinstance(s, For)]
    (loop,) = [s for s in loops if s.index.name == "group_block" and s.mark == "serial"][-1:]
    return loop


def test_what_is_hidden_by_a_number_is_skipped_when_it_is_nothing_beside_others():
    """The blocks that a mask leaves come first, in the first of three parts of the loop."""
    q = k = np.ones((1, 2048, 32), "f4")
    for function in (added_number, taken_away, chosen_number, not_hidden):
        loop = loop_over_blocks(function, q, k)
        assert any("part" in getattr(term, "name", "") for term in loop.start.free), function
        assert any("least" in getattr(term, "name", "") for term in loop.start.free), function


def test_strict_keeps_the_order():
    rng = np.random.default_rng(2)
    q, k, v = (rng.standard_normal((2, 600, 32)) for _ in range(3))
    for function in (plain, by_logarithm, keys_first, values_first):
        f = tracejit.jit(function, numerics="strict")
        assert not is_in_blocks(f.lower(q, k, v))
        np.testing.assert_allclose(f(q, k, v), function(q, k, v), rtol=1e-12, atol=1e-14)


def test_results_do_not_depend_on_threads():
    rng = np.random.default_rng(3)
    q, k, v = (rng.standard_normal((2, 1100, 32)).astype("f4") for _ in range(3))
    one, two = (tracejit.jit(causal, threads=n)(q, k, v) for n in (1, 2))
    assert one.tobytes() == two.tobytes()


def test_a_sum_that_is_used_elsewhere_is_left_alone():
    def both(q, k, v):
        weights = np.exp(scores_of(q, k))
        total = weights.sum(-1, keepdims=True)
        return (weights @ v) / total, total

    rng = np.random.default_rng(4)
    q, k, v = (rng.standard_normal((2, 600, 32)) for _ in range(3))
    f = tracejit.jit(both)
    assert not is_in_blocks(f.lower(q, k, v))
    for got, wanted in zip(f(q, k, v), both(q, k, v)):
        np.testing.assert_allclose(got, wanted, rtol=1e-11)
