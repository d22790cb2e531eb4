"""The best reasonable form of a program for tracejit and for each peer; a peer that is missing is never an error."""

import contextlib
import ctypes
import dataclasses
import functools
import importlib
import importlib.metadata
import math
import os
import pathlib
import types
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from .harness import Variant, collect
from .program import Program, elementwise_loop, rebind, with_constants

OURS = ("tracejit", "tracejit-strict", "tracejit-fast")
SUBJECTS = ("numpy", *OURS, "jax", "numba", "numba-exact", "torch", "numexpr")
SPECIAL = ("erf", "erfc")
SAME_IN_TORCH = """
abs arange argmax argmin arccos arccosh arcsin arcsinh arctan arctan2 arctanh clip copysign cos cosh cumprod cumsum
exp exp2 expm1
floor_divide fmax fmin fmod heaviside hypot log log10 log1p log2 logaddexp logaddexp2 matmul maximum
mean minimum nextafter remainder sin sinc sinh sqrt square sum tan tanh where
"""
THREADS = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@functools.cache
def loaded(name: str) -> types.ModuleType:
    """The module of a peer, set up for a fair race; `ImportError` when it is not installed."""
    module = importlib.import_module(name)
    if name == "jax":
        module.config.update("jax_enable_x64", True)
        importlib.import_module("jax.scipy.special")
    if name == "numba":  # which warns of each loop that it leaves to one thread
        errors = importlib.import_module("numba.core.errors")
        warnings.filterwarnings("ignore", category=errors.NumbaPerformanceWarning)
    if name == "torch":
        # Each shape gets its own kernel: slower to compile, faster to run than a symbolic one.
        module._dynamo.config.recompile_limit = 1000
        module._dynamo.config.accumulated_recompile_limit = 100_000
    return module


def special_functions(module: types.ModuleType) -> dict[str, Callable]:
    """A library's functions of `SPECIAL`, which NumPy lacks."""
    return {name: getattr(module, name) for name in SPECIAL}


def version(name: str) -> str:
    """The version of a peer, or an empty string when it is not installed."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "from source" if name == "tracejit" else ""


def variants(
    program: Program, arguments: tuple, subjects: tuple[str, ...]
) -> tuple[list[Variant], dict[str, str]]:
    """Every subject's variants of `program`, and by subject the reason why there are none."""
    return collect(BUILDERS, subjects, program, arguments)


def limited(
    made: list[Variant], missing: dict[str, str], threads: int
) -> tuple[list[Variant], dict[str, str]]:
    """Of one program's variants those that use so many threads; 0 is all."""
    if threads != 1:
        return made, missing
    chosen, without = [], dict(missing)
    for variant in made:
        if variant.subject in OURS:
            context = functools.partial(loaded("tracejit").threads, 1)
            chosen.append(dataclasses.replace(variant, context=context, threads=1))
        elif variant.threads == 1:
            chosen.append(variant)
        else:
            without.setdefault(variant.subject, "its number of threads is the process's")
    return chosen, without


def call_variant(subject: str, function: Callable, arguments: tuple, **options: Any) -> Variant:
    """A variant that calls `function(*arguments)` without the cost of unpacking a tuple."""
    names = [f"a{index}" for index in range(len(arguments))]
    template = options.pop("template", "{call}")
    options.setdefault("result", lambda: function(*arguments))
    return Variant(
        subject,
        template.format(call=f"f({', '.join(names)})"),
        {"f": function, **dict(zip(names, arguments)), **options.pop("extra", {})},
        **options,
    )


def numpy_variants(program: Program, arguments: tuple) -> list[Variant]:
    return [call_variant("numpy", program.function, arguments, threads=1)]


def our_name(numerics: str) -> str:
    """The subject that stands for tracejit under one of its contracts."""
    return "tracejit" if numerics == "default" else f"tracejit-{numerics}"


def tracejit_variants(
    program: Program, arguments: tuple, numerics: str = "default"
) -> list[Variant]:
    tracejit = loaded("tracejit")
    source = program.function
    if not set(SPECIAL).isdisjoint(source.__code__.co_names):
        source = rebind(source, **special_functions(tracejit))
    return [call_variant(our_name(numerics), tracejit.jit(source, numerics=numerics), arguments)]


def jax_variants(program: Program, arguments: tuple) -> list[Variant]:
    jax = loaded("jax")
    names = special_functions(jax.scipy.special)
    function = jax.jit(rebind(program.function, np=jax.numpy, **names))
    on_device = tuple(jax.numpy.asarray(argument) for argument in arguments)
    wait = "block({call})" if program.outputs > 1 else "{call}.block_until_ready()"

    def result() -> Any:
        return jax.tree.map(np.asarray, function(*on_device))

    return [
        call_variant(
            "jax",
            function,
            on_device,
            template=wait,
            extra={"block": jax.block_until_ready},
            result=result,
        )
    ]


def numba_variants(
    program: Program, arguments: tuple, subject: str = "numba", fastmath: bool = True
) -> list[Variant]:
    numba = loaded("numba")
    is_array = tuple(isinstance(argument, np.ndarray) for argument in arguments)
    dtype = arguments[is_array.index(True)].dtype
    loop = program.loop
    if loop is None:
        body = numba.njit(fastmath=fastmath)(
            with_constants(rebind(program.function, **special_functions(math)), dtype)
        )
        loop = rebind(elementwise_loop(is_array, program.outputs), body=body)
    found = []
    for parallel in (False, True):
        source = with_constants(rebind(loop, prange=numba.prange if parallel else range), dtype)
        function = numba.njit(parallel=parallel, fastmath=fastmath)(source)
        label = "parallel" if parallel else "serial"
        threads = 0 if parallel else 1
        found.append(call_variant(subject, function, arguments, label=label, threads=threads))
    return found


def torch_variants(program: Program, arguments: tuple) -> list[Variant]:
    torch = loaded("torch")
    tensors = tuple(
        torch.from_numpy(argument) if isinstance(argument, np.ndarray) else argument
        for argument in arguments
    )
    found = []
    for threads in sorted({1, THREADS}):
        # A function of its own per thread count: inductor writes the count into the kernel it compiles.
        source = rebind(program.function, np=torch_numpy(), **special_functions(torch))
        compiled = torch.compile(source, dynamic=False)

        def result(function: Callable = compiled, count: int = threads) -> Any:
            with torch_threads(count):
                outcome = function(*tensors)
            is_tuple = isinstance(outcome, tuple)
            return tuple(map(np.asarray, outcome)) if is_tuple else np.asarray(outcome)

        found.append(
            call_variant(
                "torch",
                compiled,
                tensors,
                result=result,
                label=f"{threads} threads",
                context=functools.partial(torch_threads, threads),
                threads=threads,
            )
        )
    return found


def numexpr_variants(program: Program, arguments: tuple) -> list[Variant]:
    if not program.numexpr:
        raise NotImplementedError("no numexpr form")
    numexpr = loaded("numexpr")
    names = program.function.__code__.co_varnames[: len(arguments)]
    namespace = dict(zip(names, arguments))

    def function() -> Any:
        return numexpr.evaluate(program.numexpr, namespace, truediv=True)

    return [Variant("numexpr", "f()", {"f": function}, function)]


BUILDERS: dict[str, Callable[[Program, tuple], list[Variant]]] = {
    "numpy": numpy_variants,
    "tracejit": tracejit_variants,
    "tracejit-strict": functools.partial(tracejit_variants, numerics="strict"),
    "tracejit-fast": functools.partial(tracejit_variants, numerics="fast"),
    "jax": jax_variants,
    "numba": numba_variants,
    "numba-exact": functools.partial(numba_variants, subject="numba-exact", fastmath=False),
    "torch": torch_variants,
    "numexpr": numexpr_variants,
}


@functools.cache
def torch_numpy() -> types.ModuleType:
    """torch under NumPy's names, as a module, which `torch.compile` traces through."""
    torch = loaded("torch")
    module = types.ModuleType("numpy_names")
    for name in SAME_IN_TORCH.split():
        setattr(module, name, getattr(torch, name))
    module.power, module.max, module.min = torch.pow, torch.amax, torch.amin
    return module


@contextlib.contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """Limits torch to `count` threads."""
    torch = loaded("torch")
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextlib.contextmanager
def blas_threads(count: int) -> Iterator[None]:
    """Limits the OpenBLAS that NumPy's wheels bring to `count` threads; raises `OSError` where there is none."""
    blas = _openblas()
    before = blas.scipy_openblas_get_num_threads64_()
    blas.scipy_openblas_set_num_threads64_(count)
    try:
        yield
    finally:
        blas.scipy_openblas_set_num_threads64_(before)


@functools.cache
def _openblas() -> ctypes.CDLL:
    folder = pathlib.Path(np.__file__).parent
    places = (folder.parent / "numpy.libs", folder / ".dylibs")
    for place in places:
        for path in sorted(place.glob("libscipy_openblas64_*")):
            return ctypes.CDLL(str(path))
    raise OSError("this NumPy brings no OpenBLAS")
