"""The inner loops of NumPy's own compiled functions, which programs call as foreign functions.

NumPy carries out a generalized ufunc by a C function for given dtypes, `loop(arrays, extents, steps,
data)`: for each of `extents[0]` items it takes the arrays some bytes further, and works on their
core axes. A program's call has the same in a row: `extern(symbol, arrays..., extents..., steps...)`,
where the steps are first those between items, of each array, then those along the core axes, of
each array in turn, all in bytes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from math import log2
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
from numpy.fft import _pocketfft_umath
from numpy.linalg import LinAlgError, _umath_linalg

SINGULAR = "Singular matrix"
NOT_POSITIVE = "Matrix is not positive definite"
NO_EIGENVALUES = "Eigenvalues did not converge"
NO_SVD = "SVD did not converge"
NO_LEAST_SQUARES = "SVD did not converge in Linear Least Squares"
NO_QR = "Incorrect argument found while performing QR factorization"
# What `numpy.linalg.LinAlgError` says where a loop leaves an invalid-operation flag behind.
FAILURES = (SINGULAR, NOT_POSITIVE, NO_EIGENVALUES, NO_SVD, NO_LEAST_SQUARES, NO_QR)
_FAILURE_OF = {
    **dict.fromkeys(("solve", "solve1", "inv"), SINGULAR),
    **dict.fromkeys(("cholesky_lo", "cholesky_up"), NOT_POSITIVE),
    **dict.fromkeys(("eig", "eigvals"), NO_EIGENVALUES),
    **dict.fromkeys([f"{name}_{half}" for name in ("eigh", "eigvalsh") for half in ("lo", "up")],
                    NO_EIGENVALUES),
    **dict.fromkeys(("svd", "svd_f", "svd_s"), NO_SVD),
    "lstsq": NO_LEAST_SQUARES,
    **dict.fromkeys(("qr_r_raw", "qr_reduced", "qr_complete"), NO_QR),
}  # fmt: skip
# What works on the memory of its first operand.
_IN_PLACE = ("qr_r_raw",)
_SUPPORTED = set("fdFDi")


# Of a square matrix, multiply-adds by the cube of its side (G. H. Golub and C. F. Van Loan, "Matrix Computations",
# 4th ed., 2013), and cycles for each element besides, as measured with OpenBLAS at sides of 10 to 100.
_WORK_OF_MATRIX = {
    **dict.fromkeys(("solve", "solve1", "det", "slogdet"), (1 / 3, 25.0)),
    "inv": (4 / 3, 35.0),
    **dict.fromkeys(("cholesky_lo", "cholesky_up"), (1 / 6, 8.0)),
    **dict.fromkeys(("eigvalsh_lo", "eigvalsh_up"), (2 / 3, 75.0)),
    **dict.fromkeys(("eigh_lo", "eigh_up"), (4.5, 170.0)),
    "eigvals": (5.0, 300.0),
    "eig": (12.5, 600.0),
    "svd": (4 / 3, 120.0),
    **dict.fromkeys(("svd_s", "svd_f", "lstsq"), (10.5, 220.0)),
}
_OF_FACTOR = (2 / 3, 15.0)  # and of others, such as the steps of QR
_CYCLES_OF_MULTIPLY_ADD = 0.17


def _cycles_of_matrix(name: str, extents: dict[str, int]) -> float:
    """Of one matrix: `m` by `n`, or square and `n` columns to solve for."""
    cubes, each = _WORK_OF_MATRIX.get(name, _OF_FACTOR)
    m, n = extents.get("m", 1), extents.get("n", 1)
    columns = n if name == "solve" else 1 if name == "solve1" else extents.get("nrhs", 0)
    n = m if name == "solve" or "n" not in extents else n
    work = (cubes * min(m, n) + columns) * m * n
    return 600.0 + each * m * n + _CYCLES_OF_MULTIPLY_ADD * work


class Loop(NamedTuple):
    """A ufunc's loop for given dtypes: `types` as NumPy writes them, `cores` the axes of each array by
    the names of their extents, which are `names` in the order the loop is told them."""

    ufunc: np.ufunc
    types: str
    cores: tuple[tuple[str, ...], ...]
    names: tuple[str, ...]

    @property
    def symbol(self) -> str:
        return f"numpy_{self.ufunc.__name__}_{self.types.replace('->', '_')}"

    @property
    def dtypes(self) -> tuple[np.dtype, ...]:
        """Of each array, operands first."""
        return tuple([np.dtype(letter) for letter in self.types.replace("->", "")])

    @property
    def failure(self) -> str:
        """What it means that the loop leaves the invalid-operation flag behind; empty: nothing."""
        return _FAILURE_OF.get(self.ufunc.__name__, "")

    @property
    def is_in_place(self) -> bool:
        """Whether it leaves a result in the memory of its first operand."""
        return self.ufunc.__name__ in _IN_PLACE

    @property
    def written(self) -> tuple[int, ...]:
        """The positions of the arrays it writes to."""
        results = range(self.ufunc.nin, self.ufunc.nargs)
        return (0, *results) if self.is_in_place else tuple(results)

    @property
    def is_fold(self) -> bool:
        """Whether it combines two numbers to one: all of a row into one where the result does not move."""
        return not self.ufunc.signature

    @property
    def is_on_matrices(self) -> bool:
        """Whether it works on matrices, by means of a BLAS."""
        return any(len(core) > 1 for core in self.cores)

    def cycles(self, *arguments: int | None) -> float:
        """An estimate, from the arguments of a call where they are numbers."""
        numbers = arguments[self.ufunc.nargs : self.ufunc.nargs + 1 + len(self.names)]
        count, *extents = [16 if number is None else number for number in numbers]
        if self.is_fold:
            return 20.0 + count
        if self.is_on_matrices:
            return count * _cycles_of_matrix(self.ufunc.__name__, dict(zip(self.names, extents)))
        most = max(extents, default=1)
        return count * (300.0 + 1.5 * most * log2(most + 1))

    def run(self, *arguments: Any) -> None:
        """A call, as NumPy makes it; raises LinAlgError where the loop fails.

        A loop of two numbers whose result does not move reduces, in the order in which NumPy does.
        """
        arrays = arguments[: self.ufunc.nargs]
        numbers = iter([int(number) for number in arguments[self.ufunc.nargs :]])
        count = next(numbers)
        extents = {name: next(numbers) for name in self.names}
        outer = [next(numbers) for _ in arrays]
        views = []
        for array, core, step in zip(arrays, self.cores, outer):
            shape = (count, *[extents[name] for name in core])
            steps = (step, *[next(numbers) for _ in core])
            views.append(np.lib.stride_tricks.as_strided(array, shape, steps))
        if self.is_fold and outer[-1] == 0:
            if count == 0:
                return
            _, row, total = views
            with np.errstate(all="ignore"):
                total[0] = self.ufunc.reduce(row, initial=total[0])
            return
        self.call(views[: self.ufunc.nin], views[self.ufunc.nin :])

    def call(self, operands: list[np.ndarray], results: list[np.ndarray]) -> None:
        """Carry out the ufunc by this loop."""

        def fail(*_: Any) -> None:
            raise LinAlgError(self.failure)

        how: dict[str, Any] = {"invalid": "call", "call": fail} if self.failure else {}
        with np.errstate(**{"all": "ignore", **how}):
            self.ufunc(*operands, out=tuple(results), signature=self.types)


def _loops(module: ModuleType) -> Iterator[Loop]:
    for ufunc in vars(module).values():
        if not isinstance(ufunc, np.ufunc) or not ufunc.signature:
            continue
        cores = tuple(
            tuple(re.findall(r"\w+", core)) for core in re.findall(r"\(([^)]*)\)", ufunc.signature)
        )
        names = tuple(dict.fromkeys([name for core in cores for name in core]))
        for types in ufunc.types:
            if set(types) - set("->") <= _SUPPORTED:
                yield Loop(ufunc, types, cores, names)


def _folds() -> Iterator[Loop]:
    """The loops that add and multiply numbers which are rounded; `Loop.run` says what is special."""
    for ufunc in (np.add, np.multiply):
        for letter in "efdFD":
            yield Loop(ufunc, f"{letter}{letter}->{letter}", ((), (), ()), ())


LOOPS = {loop.symbol: loop for m in (_umath_linalg, _pocketfft_umath) for loop in _loops(m)}
LOOPS |= {loop.symbol: loop for loop in _folds()}
_BY_OPERANDS = {
    (loop.ufunc, loop.dtypes[: loop.ufunc.nin]): loop for loop in reversed(LOOPS.values())
}


def loop_for(ufunc: np.ufunc, dtypes: tuple[np.dtype, ...]) -> Loop:
    """The loop for operands of exactly these dtypes; TypeError when there is none."""
    loop = _BY_OPERANDS.get((ufunc, dtypes))
    if loop is None:
        raise TypeError(f"{ufunc.__name__} has no loop for {', '.join(map(str, dtypes))}")
    return loop


# Whether the running NumPy has a function's code where it is looked for: runtime.numpy_code knows,
# and stages, which is above, says so.
IS_FOUND: list[Callable[[str], bool]] = []


def is_found(symbol: str) -> bool:
    """Whether programs can call this function."""
    return any(find(symbol) for find in IS_FOUND)
