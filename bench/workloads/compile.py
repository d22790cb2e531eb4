"""Compile time in a warm process, from the Python function to what can be called.

Of ours that is code of the first tier; the second comes later, between the samples.
"""

import random
import time
from collections.abc import Callable, Iterator

import numpy as np

from .. import peers
from ..harness import Case, Variant
from ..program import rebind
from .arrays import Settings

# Bound anew for every sample, so that no cache of compiled code answers.
SHIFT = 0.0
SCALES = (1.0,)
STAGES = 60
# Of the transformer: rows, width, heads, and the width inside of the dense layers.
LAYERS, ROWS, WIDTH, HEADS, INNER = 12, 64, 128, 4, 512
SHAPES = ((WIDTH,), (WIDTH,), (WIDTH, 3 * WIDTH), (WIDTH, WIDTH), (WIDTH,), (WIDTH,))
SHAPES += ((WIDTH, INNER), (INNER,), (INNER, WIDTH), (WIDTH,))


def twenty_operations(x, y):
    a = np.sin(x) * y + SHIFT
    b = np.exp(-y) * a - x
    c = np.sqrt(a * a + b * b)
    d = np.where(c > 0.5, a, b)
    return np.tanh(d + c) * x + np.log(c + 1.5) * y - a


def sixty_stages(x):
    """Nine operations a stage; each stage needs all of the last one's column sums, so it cannot be fused with it."""
    for scale in SCALES:
        y = np.tanh(x * scale + 0.1)
        y = y * y - x * 0.5
        x = y + np.sum(y, axis=0) * 0.01
    return x


def transformer(x, *weights):
    """The layers of a decoder, with causal attention, each with weights of its own."""

    def normalized(x, gain, bias):
        centred = x - x.mean(axis=-1, keepdims=True)
        variance = (centred * centred).mean(axis=-1, keepdims=True)
        return centred / np.sqrt(variance + 1e-5) * gain + bias

    def attention(x, inner, outer):
        split = (x @ inner).reshape(ROWS, 3 * HEADS, WIDTH // HEADS).transpose(1, 0, 2)
        q, k, v = split[:HEADS], split[HEADS : 2 * HEADS], split[2 * HEADS :]
        scores = q @ k.transpose(0, 2, 1) * (WIDTH // HEADS) ** -0.5
        scores = np.where(np.tri(ROWS, dtype=bool), scores, -1e30)
        powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
        mixed = powers / powers.sum(axis=-1, keepdims=True) @ v
        return mixed.transpose(1, 0, 2).reshape(ROWS, WIDTH) @ outer

    for first in range(0, len(weights), len(SHAPES)):
        gain, bias, inner, outer, gain2, bias2, up, up_bias, down, down_bias = weights[first:][:10]
        x = x + attention(normalized(x, gain, bias), inner, outer)
        h = normalized(x, gain2, bias2) @ up + up_bias
        h = 0.5 * h * (1 + np.tanh(0.79788456 * (h + 0.044715 * h * h * h)))
        x = x + h @ down + down_bias
    return x + SHIFT


def cases(settings: Settings) -> Iterator[Case]:
    """A function of twenty elementwise operations, one of 540 in about sixty kernels, and a transformer."""
    vector, matrix = np.linspace(0.1, 1.0, 1000), np.linspace(0.1, 1.0, 4096).reshape(64, 64)
    random_state = np.random.default_rng(0)
    arrays = [
        random_state.normal(0, 0.05, s).astype("f4") for s in ((ROWS, WIDTH), *SHAPES * LAYERS)
    ]
    programs: tuple[tuple[str, Callable, tuple], ...] = (
        ("compile 20 elementwise ops", twenty_operations, (vector, vector)),
        ("compile 540 ops, 60 kernels", sixty_stages, (matrix,)),
        (f"compile {LAYERS}-layer transformer", transformer, tuple(arrays)),
    )
    for name, function, arguments in programs:
        if not settings.wants(name):
            continue
        variants, missing = [], {}
        for subject, sample in SAMPLES.items():
            if subject not in settings.subjects:
                continue
            if subject == "torch" and settings.quick:
                missing[subject] = "left out by --quick"
            elif subject == "numba" and function is not twenty_operations:
                missing[subject] = "no unrolled form"
            elif subject == "torch" and function is transformer:
                missing[subject] = "no form in both libraries' names"
            else:
                variants.append(Variant(subject, sample=_sampler(sample, function, arguments)))
        dtype = str(arguments[0].dtype)
        yield Case("compile", name, "", dtype, variants, missing=missing)


def _sampler(sample: Callable, function: Callable, arguments: tuple) -> Callable[[], float]:
    def seconds() -> float:
        scales = tuple(random.uniform(0.9, 1.1) for _ in range(STAGES))
        return sample(rebind(function, SHIFT=random.random(), SCALES=scales), arguments)

    return seconds


def _tracejit(function: Callable, arguments: tuple) -> float:
    compiled = peers.loaded("tracejit").jit(function)
    start = time.perf_counter()
    compiled.trace(*arguments).lower().compile()
    return time.perf_counter() - start


def _jax(function: Callable, arguments: tuple) -> float:
    jax = peers.loaded("jax")
    compiled = jax.jit(rebind(function, np=jax.numpy))
    start = time.perf_counter()
    compiled.lower(*arguments).compile()
    return time.perf_counter() - start


def _numba(function: Callable, arguments: tuple) -> float:
    numba = peers.loaded("numba")
    signature = tuple(numba.typeof(argument) for argument in arguments)
    compiled = numba.njit(fastmath=True)(function)
    start = time.perf_counter()
    compiled.compile(signature)
    return time.perf_counter() - start


def _torch(function: Callable, arguments: tuple) -> float:
    torch = peers.loaded("torch")
    torch._dynamo.reset()
    tensors = tuple(map(torch.from_numpy, arguments))
    compiled = torch.compile(rebind(function, np=peers.torch_numpy()), dynamic=False)
    start = time.perf_counter()
    compiled(*tensors)  # there is no compiling without running; the run is microseconds
    return time.perf_counter() - start


SAMPLES: dict[str, Callable[[Callable, tuple], float]] = {
    "tracejit": _tracejit,
    "jax": _jax,
    "numba": _numba,
    "torch": _torch,
}
