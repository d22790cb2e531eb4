"""Chains of two products in strips of rows: attention without the matrix of scores, and what is like it."""

from __future__ import annotations

import numpy as np
import pytest
from combinations import each

import tracejit
from tracejit.ir.tensor import Allocate, Kernel, statements
from tracejit.ir.verify import Stage, verify

WITHOUT = tracejit.pipeline().drop("chain_products")


def attention(q, k, v):
    scores = q @ k.swapaxes(-1, -2) / q.dtype.type(q.shape[-1] ** 0.5)
    scores = np.exp(scores - scores.max(-1, keepdims=True))
    return (scores / scores.sum(-1, keepdims=True)) @ v


def causal(q, k, v):
    n = q.shape[-2]
    scores = q @ k.swapaxes(-1, -2) * q.dtype.type(q.shape[-1] ** -0.5)
    scores = np.where(np.tril(np.ones((n, n), bool)), scores, -np.inf)
    scores = np.exp(scores - scores.max(-1, keepdims=True))
    return (scores / scores.sum(-1, keepdims=True)) @ v


def masked(q, k, v, mask):
    scores = (q * q.dtype.type(0.125)) @ k.swapaxes(-1, -2) + mask
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    return (weights / weights.sum(-1, keepdims=True)) @ v


def heads(x, qkv, out):
    n, d = x.shape
    q, k, v = (x @ qkv).reshape(n, 3, 4, d // 4).transpose(1, 2, 0, 3)
    return attention(q, k, v).transpose(1, 0, 2).reshape(n, d) @ out + x


def normalised(x, w, v):
    h = x @ w
    h = h - h.mean(1, keepdims=True)
    return np.tanh(h / np.sqrt((h * h).mean(1, keepdims=True) + x.dtype.type(1e-5))) @ v


def layers(x, w, v):
    return np.maximum(x @ w, 0) @ v * 2 - 1


def among_queries(q, k, v):
    """Weights that add up to 1 for each key, not for each query."""
    weights = q @ k.swapaxes(-1, -2)
    weights = np.exp(weights - weights.max(-2, keepdims=True))
    return (weights / weights.sum(-2, keepdims=True)) @ v


QKV = lambda *shape: (shape, shape, shape)
CASES = [
    (attention, QKV(4, 256, 64)),
    (attention, QKV(2, 3, 200, 40)),
    (attention, QKV(1, 1, 331, 17)),
    (attention, QKV(300, 64)),
    (attention, ((9, 120, 32), (9, 250, 32), (9, 250, 24))),
    (causal, QKV(2, 256, 32)),
    (causal, QKV(257, 32)),
    (masked, (*QKV(3, 200, 32), (200, 200))),
    (masked, (*QKV(2, 2, 200, 32), (2, 1, 200, 200))),
    (masked, (*QKV(3, 200, 32), (200,))),
    (heads, ((256, 64), (64, 192), (64, 64))),
    (normalised, ((700, 24), (24, 300), (300, 9))),
    (layers, ((9000, 12), (12, 128), (128, 3))),
]


@pytest.mark.parametrize("case, dtype", each(CASES, ["float32", "float64"]))
def test_in_strips(case, dtype):
    rng, (function, shapes) = np.random.default_rng(0), case
    arrays = [rng.standard_normal(shape).astype(dtype) for shape in shapes]
    lowered = tracejit.jit(function).lower(*arrays)
    assert any(
        g.name.startswith("fused_products") or g.name == "products"
        for g in lowered.stages[Stage.FUSED].functions
    )
    for stage, module in lowered.stages.items():
        verify(module, stage)
        assert tracejit.parse(tracejit.show(module)) is module
    wanted = function(*[array.astype("float64") for array in arrays])
    near = 1e-4 if dtype == "float32" else 1e-11
    for got in (lowered.compile()(*arrays), tracejit.jit(function, threads=1)(*arrays)):
        assert got.dtype == dtype
        np.testing.assert_allclose(got, wanted, rtol=near, atol=near * abs(wanted).max())
    before = tracejit.jit(function, passes=WITHOUT).memory(*arrays)
    assert lowered.memory.workspace < 0.8 * before.workspace


@pytest.mark.parametrize("shapes", [((2, 193, 8), (2, 512, 8), (2, 512, 2)), QKV(3, 256, 32)])
def test_sums_along_the_rows_are_of_all_strips(shapes):
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal(shape) for shape in shapes]
    np.testing.assert_allclose(tracejit.jit(among_queries)(*arrays), among_queries(*arrays))


def buffers(lowered):
    kernels = [k for k in lowered.module.functions if isinstance(k, Kernel)]
    return [s.buffer for k in kernels for s in statements(k.body) if isinstance(s, Allocate)]


def test_scores_are_never_stored_as_a_whole():
    arrays = [np.ones((4, 1024, 64), "f4")] * 3
    for threads in (1, 2):
        f = tracejit.jit(causal, threads=threads)
        assert all(b.type.size <= 1024 * 128 for b in buffers(f.lower(*arrays)))
        # Keys in the order of tiles, and a strip of scores for each thread.
        assert f.memory(*arrays).workspace <= 4 * 1024 * (64 + threads * 100)


def test_strips_grow_with_the_row_not_with_the_square():
    def needed(n):
        arrays = [np.ones((n, 64), "f4")] * 3
        return tracejit.jit(attention, threads=2).memory(*arrays).workspace

    assert needed(4096) <= 5 * needed(1024) <= 5 * needed(512) * 2


def test_what_is_used_elsewhere_or_small_is_not_chained():
    def shared(x, w, v):
        h = np.exp(x @ w)
        return h @ v, h.sum(0)

    def both(x, w, v):
        return (x @ w) @ (v @ w)

    rng = np.random.default_rng(0)
    x, w, v = rng.random((600, 20)), rng.random((20, 200)), rng.random((200, 20))
    for function in (shared, both, lambda x, w, v: layers(x[:5], w, v)):
        f = tracejit.jit(function)
        found = f.lower(x, w, v).stages[Stage.FUSED].functions
        assert not any("products" in g.name for g in found)
        got, wanted = f(x, w, v), function(x, w, v)
        pairs = zip(got, wanted) if isinstance(wanted, tuple) else [(got, wanted)]
        for one, other in pairs:
            np.testing.assert_allclose(one, other, rtol=1e-10)


def test_layers_share_one_kernel():
    def two(x, qkv, out):
        return heads(heads(x, qkv, out), qkv, out)

    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal(s) * 0.1 for s in ((256, 64), (64, 192), (64, 64))]
    f = tracejit.jit(two)
    names = [g.name for g in f.lower(*arrays).stages[Stage.FUSED].functions]
    assert sum("products" in name for name in names) == 1, names
    np.testing.assert_allclose(f(*arrays), two(*arrays), rtol=1e-9)


STEPS = [
    lambda h, x: np.exp(h - h.max(-1, keepdims=True)),
    lambda h, x: h / (1 + np.abs(h).sum(-1, keepdims=True)),
    lambda h, x: np.maximum(h, 0.1),
    lambda h, x: h * x.mean() + x.ravel()[0],
    lambda h, x: np.where(h > h.mean(-1, keepdims=True), h, 0),
    lambda h, x: h - np.arange(h.shape[-1]),
    lambda h, x: np.where(np.arange(h.shape[-2])[:, None] >= np.arange(h.shape[-1]), h, -2.0),
    lambda h, x: h + h.min(-1)[..., None],
    lambda h, x: np.tanh(h) * 0.5,
]


@pytest.mark.parametrize(
    "seed, options", each(range(18), [{}, {"threads": 1}, {"numerics": "strict"}])
)
def test_random_chains(seed, options):
    rng = np.random.default_rng(seed)
    steps = [STEPS[k] for k in rng.integers(0, len(STEPS), rng.integers(1, 4))]
    batch = [(), (3,), (2, 2), (8,)][rng.integers(4)]
    n, m = rng.integers(120, 260, 2)
    k, d = rng.integers(2, 40, 2)
    flip, scaled, swap = rng.random(3) < 0.4

    def program(x, y, z):
        h = (x * 0.5 if scaled else x) @ (y.swapaxes(-1, -2) if flip else y)
        for step in steps:
            h = step(h, x)
        return (z.swapaxes(-1, -2) @ h.swapaxes(-1, -2)).swapaxes(-1, -2) if swap else h @ z

    x, z = rng.standard_normal((*batch, n, k)), rng.standard_normal((*batch, m, d))
    y = rng.standard_normal((*batch, m, k) if flip else (*batch, k, m))
    arrays = [np.ascontiguousarray(a) for a in (x, y, z)]
    got = tracejit.jit(program, **options)(*arrays)
    np.testing.assert_allclose(got, program(*arrays), rtol=1e-9, atol=1e-11)


def test_heads_are_read_where_they_are():
    arrays = [np.ones(s, "f4") for s in ((256, 64), (64, 192), (64, 64))]
    lowered = tracejit.jit(heads).lower(*arrays)
    text = tracejit.show(lowered.module)
    assert "//" not in text and "%" not in text
    fused = lowered.stages[Stage.FUSED]
    assert not any("reshape" in g.name for g in fused.functions), tracejit.show(fused)


def test_layers_of_many_features_are_two_products():
    """Their weights would pass through the cache for every strip, for little that is saved."""
    x, w, v = (np.ones(s, "f4") for s in ((256, 512), (512, 2048), (2048, 512)))
    found = tracejit.jit(layers).lower(x, w, v).stages[Stage.FUSED].functions
    assert not any("products" in g.name for g in found)
