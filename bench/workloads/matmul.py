"""Matrix products: cubes, odd and skinny shapes, short numbers, with one thread and with all."""

import contextlib
import functools
from collections.abc import Callable, Iterator

import numpy as np

from .. import peers
from ..harness import Case, Variant, collect
from ..probes import memory_of
from .arrays import DTYPES, Settings

# Rows of the left matrix, the shared extent, columns of the right.
SHAPES = (
    (64, 64, 64),
    (127, 253, 511),
    (128, 128, 128),
    (256, 256, 256),
    (512, 512, 512),
    (1000, 1000, 1000),
    (1024, 1024, 1024),
    (2048, 2048, 2048),
    (1, 1024, 1024),
    (8, 1024, 1024),
    (32, 1024, 1024),
    (1024, 1024, 8),
    (1024, 8, 1024),
    (5000, 3, 7),
)
QUICK = (
    (64, 64, 64),
    (127, 253, 511),
    (256, 256, 256),
    (512, 512, 512),
    (1024, 1024, 1024),
    (2048, 2048, 2048),
    (8, 1024, 1024),
)
TOLERANCE = {"float32": 1e-4, "float64": 1e-12, "int32": 0.0}
# Short numbers that are multiplied in more bits: by what they are stored as, the dtype of the product.
STORED = {"int8": "int32", "float16": "float32"}
SIDE = 512


def product(a, b):
    return a @ b


def widened(dtype: str) -> Callable:
    """The product of two arrays in this dtype, as one writes it with NumPy or JAX."""
    return lambda a, b: a.astype(dtype) @ b.astype(dtype)


def cases(settings: Settings) -> Iterator[Case]:
    """Every shape in every dtype, and short numbers; the limit is the multiply-add peak."""
    for shape in QUICK if settings.quick else SHAPES:
        name = "matmul " + "x".join(map(str, shape))
        if settings.wants(name):
            rows, shared, columns = shape
            for dtype in DTYPES:
                generator = np.random.default_rng(0)
                a = generator.uniform(-1, 1, (rows, shared)).astype(dtype)
                b = generator.uniform(-1, 1, (shared, columns)).astype(dtype)
                yield from _rows(settings, name, a, b, dtype)
    for stored, dtype in STORED.items():
        name = f"matmul {SIDE}x{SIDE}x{SIDE} of {stored}"
        if settings.wants(name):
            numbers = np.random.default_rng(0).uniform(-100, 100, (2, SIDE, SIDE))
            a, b = numbers.astype(stored)
            yield from _rows(settings, name, a, b, dtype)


def _rows(
    settings: Settings, name: str, a: np.ndarray, b: np.ndarray, dtype: str
) -> Iterator[Case]:
    """A product in `dtype`, by one thread and by all."""
    for threads in sorted({1, peers.THREADS}):
        variants, missing = collect(BUILDERS, settings.subjects, a, b, dtype, threads)
        yield Case(
            "matmul",
            name,
            "1 thread" if threads == 1 else f"{threads} threads",
            dtype,
            variants,
            flops=2 * a.size * b.shape[1],
            threads=threads,
            tolerance=TOLERANCE[dtype],
            missing=missing,
            **memory_of((a, b), len(a) * b.shape[1] * np.dtype(dtype).itemsize, threads),
        )


def _numpy(a: np.ndarray, b: np.ndarray, dtype: str, threads: int) -> list[Variant]:
    function = np.matmul if a.dtype == dtype else widened(dtype)
    context = functools.partial(_blas_threads, threads)
    return [peers.call_variant("numpy", function, (a, b), context=context)]


@contextlib.contextmanager
def _blas_threads(threads: int) -> Iterator[None]:
    # A NumPy without its own OpenBLAS keeps its default, which is all threads.
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(peers.blas_threads(threads))
        except OSError:
            if threads != peers.THREADS:
                raise
        yield


@contextlib.contextmanager
def _tracejit_threads(threads: int) -> Iterator[None]:
    # A product that tracejit leaves to NumPy's OpenBLAS must not get more threads than its own.
    with peers.loaded("tracejit").threads(threads), _blas_threads(threads):
        yield


def _tracejit(a: np.ndarray, b: np.ndarray, dtype: str, threads: int) -> list[Variant]:
    tracejit = peers.loaded("tracejit")
    function = tracejit.jit(product if a.dtype == dtype else widened(dtype))
    context = functools.partial(_tracejit_threads, threads)
    return [peers.call_variant("tracejit", function, (a, b), context=context)]


def _jax(a: np.ndarray, b: np.ndarray, dtype: str, threads: int) -> list[Variant]:
    if threads != peers.THREADS:
        raise NotImplementedError("the number of threads is fixed when the process starts")
    jax = peers.loaded("jax")
    function = jax.jit(jax.numpy.matmul if a.dtype == dtype else widened(dtype))
    arguments = jax.numpy.asarray(a), jax.numpy.asarray(b)
    return [
        peers.call_variant(
            "jax",
            function,
            arguments,
            template="{call}.block_until_ready()",
            result=lambda: np.asarray(function(*arguments)),
        )
    ]


def _torch(a: np.ndarray, b: np.ndarray, dtype: str, threads: int) -> list[Variant]:
    torch = peers.loaded("torch")
    arguments = torch.from_numpy(a), torch.from_numpy(b)
    wide = getattr(torch, dtype)
    function = torch.matmul  # inductor calls the same library and adds its own overhead
    if a.dtype != dtype:
        function = lambda a, b: torch.matmul(a.to(wide), b.to(wide))
    return [
        peers.call_variant(
            "torch",
            function,
            arguments,
            result=lambda: function(*arguments).numpy(),
            context=functools.partial(peers.torch_threads, threads),
        )
    ]


BUILDERS: dict[str, Callable[[np.ndarray, np.ndarray, str, int], list[Variant]]] = {
    "numpy": _numpy,
    "tracejit": _tracejit,
    "jax": _jax,
    "torch": _torch,
}
