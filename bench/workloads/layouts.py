"""Programs that gain by another order of memory: weights that stay the same, operands of loops, points in space.

Weights are `tracejit.constant`s; JAX closes over them, and PyTorch has them as frozen parameters of a compiled
module, so that all may pack them once.
"""

import functools

import numpy as np

from .layers import Layer, block, block_jax, block_torch, layer_cases, mlp, mlp_jax, mlp_torch

STEPS, ROUNDS = 50, 40


def dense(x, w, b):
    return np.tanh(x @ w + b)


def dense_jax(jax, x, w, b):
    return jax.numpy.tanh(x @ w + b)


def dense_torch(torch, x, w, b):
    return torch.tanh(torch.addmm(b, x, w))


def rounds(x, w):
    """A recurrent network without inputs; the weights are transposed."""
    for _ in range(ROUNDS):
        x = np.tanh(x @ w.T)
    return x


def rounds_jax(jax, x, w):
    return jax.lax.fori_loop(0, ROUNDS, lambda _, x: jax.numpy.tanh(x @ w.T), x)


def rounds_torch(torch, x, w):
    for _ in range(ROUNDS):
        x = torch.tanh(x @ w.T)
    return x


def directions(s):
    """Vectors that are made unit vectors again and again."""
    for _ in range(STEPS):
        s = s / np.sqrt((s * s).sum(axis=1, keepdims=True)) + 0.1
    return s


def directions_jax(jax, s):
    def step(_, s):
        return s / jax.numpy.sqrt((s * s).sum(axis=1, keepdims=True)) + 0.1

    return jax.lax.fori_loop(0, STEPS, step, s)


def directions_torch(torch, s):
    for _ in range(STEPS):
        s = s / torch.sqrt((s * s).sum(1, keepdim=True)) + 0.1
    return s


def orbits(p, v):
    """Bodies around a star, each alone."""
    for _ in range(STEPS):
        v = v - 0.01 * p / ((p * p).sum(axis=1, keepdims=True) + 0.1) ** 1.5
        p = p + 0.01 * v
    return p


def orbits_jax(jax, p, v):
    def step(_, state):
        p, v = state
        v = v - 0.01 * p / ((p * p).sum(axis=1, keepdims=True) + 0.1) ** 1.5
        return p + 0.01 * v, v

    return jax.lax.fori_loop(0, STEPS, step, (p, v))[0]


def orbits_torch(torch, p, v):
    for _ in range(STEPS):
        v = v - 0.01 * p / ((p * p).sum(1, keepdim=True) + 0.1) ** 1.5
        p = p + 0.01 * v
    return p


def _mlp(batch: int) -> Layer:
    shapes = ((batch, 784), (784, 512), (512,), (512, 256), (256,), (256, 10), (10,))
    flops = 2 * batch * (784 * 512 + 512 * 256 + 2560)
    name = f"MLP {batch}x784x512x256x10, weights stay"
    return Layer(name, mlp, shapes, flops, mlp_jax, mlp_torch, stay=6)


def _block(tokens: int) -> Layer:
    shapes = ((tokens, 512), (512, 1536), (512, 512), (512, 2048), (2048, 512))
    flops = 2 * tokens * 512 * (1536 + 512 + 4096 + 2 * tokens)
    name = f"transformer block {tokens}x512, weights stay"
    return Layer(name, block, shapes, flops, block_jax, block_torch, stay=4)


def _dense(batch: int) -> Layer:
    shapes = ((batch, 1024), (1024, 1024), (1024,))
    name = f"dense {batch}x1024x1024, weights stay"
    return Layer(name, dense, shapes, 2 * batch << 20, dense_jax, dense_torch, stay=2)


# fmt: off
LAYERS = (
    *map(_dense, (4, 16, 64)),
    *map(_mlp, (1, 16, 64)),
    *map(_block, (8, 64)),
    Layer(f"tanh(x @ w.T) 16x512, {ROUNDS} times", rounds, ((16, 512), (512, 512)), ROUNDS * 2 * 16 * 512 * 512, rounds_jax, rounds_torch),
    Layer(f"directions 2000x3, {STEPS} steps", directions, ((2000, 3),), 0, directions_jax, directions_torch),
    Layer(f"orbits 2000x3, {STEPS} steps", orbits, ((2000, 3), (2000, 3)), 0, orbits_jax, orbits_torch),
)
# fmt: on

cases = functools.partial(layer_cases, "layouts", LAYERS)
