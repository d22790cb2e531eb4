"""`f.memory(...)`: what it says before a call is what the pool hands out during it."""

from __future__ import annotations

import numpy as np
import pytest

import tracejit
from tracejit.runtime import buffers
from tracejit.runtime.buffers import pool_clear, pool_info, set_pool_limit

RNG = np.random.default_rng(0)
X = RNG.standard_normal((300, 300))


def layers(x, w):
    h = np.tanh(x @ w)
    return h @ w + h.sum(axis=0)


def attention(q, k, v):
    s = q @ k.T / 8
    e = np.exp(s - s.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True) @ v


PROGRAMS = {
    "elementwise": (lambda x: np.exp(x) + 1, (X,)),
    "two results": (lambda x: (np.sin(x), np.stack([x, x * 2])), (X,)),
    "layers": (layers, (X, X)),
    "attention": (attention, (X, X, X)),
    "sorted sums": (lambda x: np.cumsum(np.sort(x.ravel())) * 2, (X,)),
    "inverse": (lambda x: np.linalg.inv(x) @ x, (X,)),
}


@pytest.fixture(autouse=True)
def pool():
    """A pool that keeps everything, so that what is idle after a call is what the call took."""
    set_pool_limit(1 << 40)
    yield
    set_pool_limit(buffers.default_limit())
    pool_clear()


def taken(function, *arguments) -> tuple[int, int]:
    """Bytes of blocks that a call takes for its workspace, and for its results."""
    function(*arguments)
    pool_clear()
    results = function(*arguments)
    workspace = pool_info().idle_bytes
    del results
    return workspace, pool_info().idle_bytes - workspace


def is_block_of(block: int, wanted: int) -> bool:
    """Whether a block is one for so many bytes: blocks come in eighths of a power of two, or pages."""
    return block == wanted == 0 or wanted <= block <= 1.25 * wanted + (16 << 10)


@pytest.mark.parametrize("name", PROGRAMS)
def test_what_is_told_is_what_is_taken(name):
    function, arguments = PROGRAMS[name]
    f = tracejit.jit(function)
    found = f.memory(*arguments)
    assert found.formula is None
    workspace, results = taken(f, *arguments)
    assert is_block_of(workspace, found.workspace) and is_block_of(results, found.results)
    assert found.arguments == sum(a.nbytes for a in arguments)
    assert found.peak == found.results + found.workspace


def test_a_program_for_many_sizes_tells_a_formula():
    f = tracejit.jit(layers)
    for n in (100, 120, 140, 160):
        f(X[:n, :n].copy(), X[:n, :n].copy())
    for n in (77, 210):
        x = X[:n, :n].copy()
        found = f.memory(x, x.copy())
        assert found.results == 8 * n * n and found.arguments == 16 * n * n
        assert str(found.formula.results) == "8*n*n" and "n" in str(found.formula.peak)
        assert found.formula.at({"n": n}) == found
        workspace, _ = taken(f, x, x.copy())
        assert is_block_of(workspace, found.workspace)
