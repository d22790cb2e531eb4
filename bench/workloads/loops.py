"""Programs of Python loops and branches: run time, and what compiling each took.

Numba and JAX get what experts write for them (`bench.loop_programs`), NumPy and tracejit the plain text.
"""

import functools
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from .. import peers
from ..harness import Case, Variant, collect
from ..loop_programs import PROGRAMS, LoopProgram
from ..probes import memory_of
from ..program import rebind
from .arrays import Settings

# limit: plain Python that takes longer is run once, for its results, and not timed.
SECONDS_OF_PLAIN_PYTHON = 2.0


def cases(settings: Settings) -> Iterator[Case]:
    """Every program at its one size; compiling is timed in a process that has compiled before."""
    started = set()
    for program in PROGRAMS:
        if not settings.wants(program.name):
            continue
        for subject in set(BUILDERS).intersection(settings.subjects).difference(started):
            started.add(subject)
            collect({subject: _start}, (subject,), subject)
        arguments = program.arguments(program.size)
        made, missing = collect(BUILDERS, settings.subjects, program, arguments)
        yield Case(
            "loops",
            program.name,
            str(program.size),
            _dtype(arguments),
            made,
            tolerance=program.tolerance,
            missing=missing,
            compiles=True,
            **_moved(program, arguments),
        )


def _moved(program: LoopProgram, arguments: tuple) -> dict[str, Any]:
    """What goes to memory and back, for the limits."""
    if not program.passes:
        return {}
    first = next(value for value in arguments if isinstance(value, np.ndarray))
    return memory_of([first], first.nbytes, peers.THREADS) | {"passes": program.passes}


def _start(subject: str) -> list[Variant]:
    """Make the subject load its compiler and threads, which the first program would pay for."""
    double = LoopProgram("", lambda x: x + x, lambda size, _: (), 0, 0, lambda x: x + x)
    for variant in BUILDERS[subject](double, (PROGRAMS[0].arguments(4)[0],)):
        variant.result()
    return []


def _dtype(arguments: tuple) -> str:
    return next((str(value.dtype) for value in arguments if hasattr(value, "dtype")), "int64")


def _numpy(program: LoopProgram, arguments: tuple) -> list[Variant]:
    """Runs for milliseconds to seconds: once is enough to know which."""
    start = time.perf_counter()
    results = program.function(*arguments)
    seconds = time.perf_counter() - start
    variant = Variant("numpy", sample=lambda: seconds, result=lambda: results)
    if seconds > SECONDS_OF_PLAIN_PYTHON:
        variant.sample = _too_long
    return [variant]


def _too_long() -> float:
    raise TimeoutError(f"plain Python takes more than {SECONDS_OF_PLAIN_PYTHON:.0f} s")


def _tracejit(program: LoopProgram, arguments: tuple, numerics: str = "default") -> list[Variant]:
    function = peers.loaded("tracejit").jit(program.function, numerics=numerics)
    return [peers.call_variant(peers.our_name(numerics), function, arguments)]


def _jax(program: LoopProgram, arguments: tuple) -> list[Variant]:
    jax = peers.loaded("jax")
    function = rebind(program.jax, jax=jax, jnp=jax.numpy, lax=jax.lax)
    static = tuple(k for k, value in enumerate(arguments) if isinstance(value, int | np.integer))
    compiled = jax.jit(function, static_argnums=static)
    on_device = tuple(
        value if k in static else jax.numpy.asarray(value) for k, value in enumerate(arguments)
    )

    def result() -> Any:
        return jax.tree.map(jax.numpy.asarray, jax.block_until_ready(compiled(*on_device)))

    return [
        peers.call_variant(
            "jax",
            compiled,
            on_device,
            template="block({call})",
            extra={"block": jax.block_until_ready},
            result=result,
        )
    ]


def _numba(
    program: LoopProgram, arguments: tuple, subject: str = "numba", fastmath: bool = True
) -> list[Variant]:
    numba = peers.loaded("numba")
    source = program.numba or program.function
    found = []
    for parallel in (False, True):
        if parallel and "prange" not in source.__code__.co_names:
            continue
        loop = rebind(source, prange=numba.prange if parallel else range)
        function = numba.njit(parallel=parallel, fastmath=fastmath)(loop)
        label = "parallel" if parallel else "serial"
        found.append(peers.call_variant(subject, function, arguments, label=label))
    return found


def _numba_exact(program: LoopProgram, arguments: tuple) -> list[Variant]:
    return _numba(program, arguments, "numba-exact", fastmath=False)


BUILDERS: dict[str, Callable[[LoopProgram, tuple], list[Variant]]] = {
    "numpy": _numpy,
    "tracejit": _tracejit,
    "tracejit-strict": functools.partial(_tracejit, numerics="strict"),
    "tracejit-fast": functools.partial(_tracejit, numerics="fast"),
    "jax": _jax,
    "numba": _numba,
    "numba-exact": _numba_exact,
}
