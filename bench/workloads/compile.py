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


def cases(settings: Settings) -> Iterator[Case]:
    """A function of twenty elementwise operations, and one of 540 operations in about sixty kernels."""
    vector, matrix = np.linspace(0.1, 1.0, 1000), np.linspace(0.1, 1.0, 4096).reshape(64, 64)
    programs: tuple[tuple[str, Callable, tuple], ...] = (
        ("compile 20 elementwise ops", twenty_operations, (vector, vector)),
        ("compile 540 ops, 60 kernels", sixty_stages, (matrix,)),
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
            elif subject == "numba" and function is sixty_stages:
                missing[subject] = "no unrolled form"
            else:
                variants.append(Variant(subject, sample=_sampler(sample, function, arguments)))
        yield Case("compile", name, "", "float64", variants, missing=missing)


def _sampler(sample: Callable, function: Callable, arguments: tuple) -> Callable[[], float]:
    def seconds() -> float:
        scales = tuple(random.uniform(0.9, 1.1) for _ in range(STAGES))
        return sample(rebind(function, SHIFT=random.random(), SCALES=scales), arguments)

    return seconds


def _tracejit(function: Callable, arguments: tuple) -> float:
    compiled = peers.library("tracejit").jit(function)
    start = time.perf_counter()
    compiled.trace(*arguments).lower().compile()
    return time.perf_counter() - start


def _jax(function: Callable, arguments: tuple) -> float:
    jax = peers.library("jax")
    compiled = jax.jit(rebind(function, np=jax.numpy))
    start = time.perf_counter()
    compiled.lower(*arguments).compile()
    return time.perf_counter() - start


def _numba(function: Callable, arguments: tuple) -> float:
    numba = peers.library("numba")
    signature = tuple(numba.typeof(argument) for argument in arguments)
    compiled = numba.njit(fastmath=True)(function)
    start = time.perf_counter()
    compiled.compile(signature)
    return time.perf_counter() - start


def _torch(function: Callable, arguments: tuple) -> float:
    torch = peers.library("torch")
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
