"""`check=True`: NumPy runs the program after every pass, and the first pass that changes results says so.

The reference interpreter runs the Module before the first pass and after each that changed it, on the
arguments of the call. Results may differ by what the numerics contract allows (docs/numerics.md): integers
and bools not at all; floats by the rounding of sums in another order, which is measured: by how much
results move when the arguments move in their last place. The program is then made as small as the
failure allows (shrink.py), written to a file that `tracejit.parse` reads, and IRError names both.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from .config import config
from .errors import IRError, TracejitError, UnsupportedError
from .ir import ops
from .ir.dims import bind
from .ir.graph import Function, Module
from .ir.reference import reference
from .ir.syntax import symbol_names
from .ir.text import show
from .shrink import shrink

Pass = Callable[[Module], Module]
Arrays = tuple[np.ndarray, ...]
# Relative differences that are rounding, whatever the arguments are: of sums of a million elements.
ROUNDING = {2: 2.0**-6, 4: 2.0**-13, 8: 2.0**-42}
# How much further than by perturbed arguments results may move.
SPREAD = 100.0
PERTURBATIONS = 2
# The extent that unknowns get where nobody gave arguments.
SIZE = 5


class Checker:
    """An instrument: it remembers what the program gives, and refuses passes that change it."""

    def __init__(self, arrays: Sequence[Any]):
        self.arrays: Arrays = tuple([np.asarray(array) for array in arrays])
        self.wanted: Expected | None = None

    def __call__(self, step: Pass, before: Module, after: Module) -> None:
        if before is after:
            return
        if self.wanted is None:
            refuse_effects(before)
            self.wanted = Expected(before, self.arrays)
        problem = self.wanted.problem_with(after)
        if problem is not None:
            blame(step, before, self.arrays, problem)


class Expected:
    """What a Module gives for some arrays, and how far that moves with the last places of these."""

    def __init__(self, module: Module, arrays: Arrays):
        self.arrays = arrays
        self.results = _results(module, arrays)
        rng = np.random.default_rng(0)
        self.moved = [
            _results(module, tuple([_perturbed(a, rng) for a in arrays]))
            for _ in range(PERTURBATIONS)
        ]

    def problem_with(self, module: Module) -> str | None:
        """How the Module's results differ by more than rounding; None where they do not."""
        try:
            results = _results(module, self.arrays)
        except (
            TracejitError,
            ArithmeticError,
            LookupError,
            TypeError,
            ValueError,
            NameError,
        ) as error:
            return f"it cannot be run: {type(error).__name__}: {error}"
        if len(results) != len(self.results):
            return f"it has {len(results)} results, not {len(self.results)}"
        for number, (got, wanted) in enumerate(zip(results, self.results)):
            moved = [results[number] for results in self.moved]
            problem = difference(got, wanted, moved)
            if problem is not None:
                return f"result {number} {problem}"
        return None


def difference(got: np.ndarray, wanted: np.ndarray, moved: Sequence[np.ndarray]) -> str | None:
    """Where two arrays differ by more than rounding; `moved` is what perturbed arguments gave."""
    if got.dtype != wanted.dtype or got.shape != wanted.shape:
        return f"is {got.dtype}{list(got.shape)}, not {wanted.dtype}{list(wanted.shape)}"
    with np.errstate(all="ignore"):
        wrong = ~((got == wanted) | ((got != got) & (wanted != wanted)))
        alike = [other for other in moved if other.shape == wanted.shape]
        if wanted.dtype.kind in "fc":
            rounding = ROUNDING[wanted.real.itemsize]
            spread = sum([np.abs(other - wanted) for other in alike], np.zeros(wanted.shape))
            allowed = rounding * np.abs(wanted) + SPREAD * spread
            wrong &= ~(np.abs(got - wanted) <= allowed)
        for other in alike:  # where rounding decides, as in a comparison of what is nearly equal
            steady = (other == wanted) | (wanted.dtype.kind in "fc") & np.isfinite(other)
            wrong &= steady | ((other != other) & (wanted != wanted))
    if not wrong.any():
        return None
    place = tuple([int(k) for k in np.argwhere(wrong)[0]])
    at = f" at {list(place)}" if place else ""
    return f"is {got[place]!r}{at}, not {wanted[place]!r} ({np.sum(wrong)} of {wrong.size} differ)"


def _perturbed(array: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    if array.dtype.kind not in "fc":
        return array
    signs = rng.choice([-1, 1], array.shape).astype(array.real.dtype)
    with np.errstate(all="ignore"):
        return (array * (1 + signs * np.finfo(array.dtype).eps)).astype(array.dtype)


def _results(module: Module, arrays: Arrays) -> tuple[np.ndarray, ...]:
    results = reference(module, *arrays)
    return tuple(map(np.asarray, results if isinstance(results, tuple) else (results,)))


def blame(step: Pass, before: Module, arrays: Arrays, problem: str) -> NoReturn:
    """Make the failing program small, write it down, and raise."""
    name = getattr(step, "__name__", repr(step))

    def fails(module: Module, given: Arrays) -> bool:
        after = step(module)
        return after is not module and Expected(module, given).problem_with(after) is not None

    small, given = shrink(before, arrays, fails)
    folder = Path(config.dump or tempfile.mkdtemp(prefix="tracejit_"))
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"check_{name}.py"
    path.write_text(show(small))
    np.savez(path.with_suffix(".npz"), *given)
    raise IRError(
        f"the pass {name} changes what the program computes: {problem}\n"
        f"  the smallest program found that it gets wrong is in {path}:\n\n{show(small)}",
        hint=f"tracejit.parse reads that file, and {path.with_suffix('.npz').name} beside it has its"
        f" arguments; passes=tracejit.pipeline().drop({name!r}) does without a built-in pass",
    )


def refuse_effects(module: Module) -> None:
    """Raise UnsupportedError for programs that cannot be run several times."""
    for function in module.functions:
        for node in function.nodes if isinstance(function, Function) else ():
            if ops.has_effects(node):
                name = node.attrs["function"].name if "function" in node.attrs else "a random number"
                raise UnsupportedError(
                    f"check=True runs the program several times, and {name}"
                    " does more than give a result",
                    hint="check the parts before and after it by themselves",
                )


def sample_arguments(module: Module) -> Arrays:
    """Arrays of the types of a Module's parameters, for a check where there are no arguments."""
    rng = np.random.default_rng(0)
    entry = module.entry
    types = [p.type for p in (entry.parameters if isinstance(entry, Function) else entry.inputs)]
    sizes = {name: SIZE for type in types for name in symbol_names(type)}
    found = []
    for type in types:
        shape = tuple([bind(extent, sizes) for extent in type.shape])
        values = rng.standard_normal(shape) * (1 if type.dtype.kind in "fc" else 10)
        kind = type.dtype.kind
        values = np.abs(values) if kind == "u" else values > 0 if kind == "b" else values
        found.append(np.asarray(values, type.dtype.numpy))
    return tuple(found)
