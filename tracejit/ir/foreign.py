"""Foreign functions that kernels call: what each writes, and what NumPy does instead.

A symbol names a function of a library; a HostFunction stands for itself.

A reference gets the arguments of the C function, where a pointer is a view whose first element is
the one pointed at, and the memory behind it is as the buffer's type says.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from . import tensor
from .host import HostFunction, call
from .numpy_code import LOOPS, Loop
from .numpy_random import BY_SYMBOL
from .numpy_sorts import SORTINGS
from .term import Term, postorder
from .types import DType

UNKNOWN = 512  # what an extent is taken for, in estimates, where it is not known
ROW_MAJOR, PLAIN, TRANSPOSED = 101, 111, 112  # of CBLAS's enumerations


class Foreign(NamedTuple):
    """`written`: positions of the arguments whose memory the function changes; `cycles`: of one core,
    from the arguments, where None stands for what is not a number; `loop`: it is called as one of
    NumPy's; `failure`: what `numpy.linalg.LinAlgError` then says where it fails, if it may. `address`
    is where a user's own is, and `keep` what must not end before it; 0: the library of its name has
    it. `is_thread_safe`: several threads may call it at once, for results that do not overlap."""

    reference: Callable[..., None]
    written: tuple[int, ...]
    cycles: Callable[..., float]
    loop: Loop | None = None
    failure: str = ""
    address: int = 0
    keep: object = None
    is_thread_safe: bool = False


def _gemm(
    order: int,
    left_form: int,
    right_form: int,
    m: int,
    n: int,
    k: int,
    alpha: Any,
    left: np.ndarray,
    left_step: int,
    right: np.ndarray,
    right_step: int,
    beta: Any,
    result: np.ndarray,
    result_step: int,
) -> None:
    """CBLAS's general matrix product, row-major: `result = alpha * left @ right + beta * result`."""
    assert order == ROW_MAJOR
    a = _matrix(left, (m, k), left_step, left_form)
    b = _matrix(right, (k, n), right_step, right_form)
    c = _matrix(result, (m, n), result_step, PLAIN)
    # Complex factors come by reference.
    alpha, beta = [x.flat[0] if isinstance(x, np.ndarray) else x for x in (alpha, beta)]
    c[...] = alpha * (a @ b) + (beta * c if beta != 0 else 0)


def _matrix(memory: np.ndarray, shape: tuple[int, int], step: int, form: int) -> np.ndarray:
    """A matrix with rows `step` apart, or columns where it is stored transposed."""
    rows, columns = (int(extent) for extent in shape)
    strides = (int(step), 1) if form == PLAIN else (1, int(step))
    return np.lib.stride_tricks.as_strided(
        memory, (rows, columns), tuple([s * memory.itemsize for s in strides])
    )


def _gemm_cycles(order: Any, left: Any, right: Any, *rest: int | None) -> float:
    m, n, k = [UNKNOWN if extent is None else extent for extent in rest[:3]]
    return 1000 + m * n * k / 8


def _prefetch(memory: np.ndarray) -> None:
    """Ask for memory that will be read; this changes nothing but time, so loops of lanes may."""


def _clock(kind: Any, now: np.ndarray) -> None:
    """POSIX's `clock_gettime`: the seconds and nanoseconds of a clock."""
    now[:2] = divmod(time.clock_gettime_ns(int(kind)), 10**9)


def _poll() -> None:
    """Native code lets signal handlers run here; so does Python anywhere."""


# What loops call that may run for long: it leaves the kernel when the user wants that.
POLL = "poll"
# What is found in every process.
PROCESS = {"clock_gettime": Foreign(_clock, (1,), lambda kind, now: 100.0)}
FOREIGN = {
    **PROCESS,
    "prefetch": Foreign(_prefetch, (), lambda memory: 1.0, is_thread_safe=True),
    POLL: Foreign(_poll, (), lambda: 60.0, is_thread_safe=True),
    **{f"cblas_{letter}gemm": Foreign(_gemm, (12,), _gemm_cycles) for letter in "sdcz"},
    **{
        symbol: Foreign(loop.run, loop.written, loop.cycles, loop, loop.failure)
        for symbol, loop in LOOPS.items()
    },
    **{
        symbol: Foreign(sorting.run, sorting.written, sorting.cycles)
        for symbol, sorting in SORTINGS.items()
    },
    **{
        # What a draw does to its generator is told by the tokens.
        symbol: Foreign(distribution.run, (2, 3), distribution.cycles)
        for symbol, distribution in BY_SYMBOL.items()
    },
}


class ScalarFunction(NamedTuple):
    """A C function of numbers that gives a number and does nothing else: an op of kernels.

    `keep` is what must not end before it; `is_thread_safe`: several threads may call it at once.
    """

    operands: tuple[DType, ...]
    result: DType
    address: int
    keep: object
    is_thread_safe: bool


# By the names of the ops that they carry out.
SCALARS: dict[str, ScalarFunction] = {}
# The functions of users', by these names and by symbol, that one thread alone may call.
_ALONE: set[str] = set()


def define_foreign(symbol: str, function: Foreign | ScalarFunction) -> None:
    """Let kernels call a function of a user's, under a name that is new."""
    table: dict[str, Any] = SCALARS if isinstance(function, ScalarFunction) else FOREIGN
    table[symbol] = function
    if not function.is_thread_safe:
        _ALONE.add(symbol)


def polls_in(body: Iterable[tensor.Statement]) -> bool:
    """Whether some of the statements may end the kernel because of a signal."""
    return any(isinstance(s, tensor.Extern) and s.symbol == POLL for s in tensor.statements(body))


def needs_one_thread(body: Iterable[tensor.Statement]) -> bool:
    """Whether a function is called in the statements, or in kernels that they call, that one thread
    alone may call."""
    if not _ALONE:
        return False
    roots: list[Term] = []
    for statement in tensor.statements(body):
        if isinstance(statement, tensor.Extern) and statement.symbol in _ALONE:
            return True
        if isinstance(statement, tensor.Call) and needs_one_thread(statement.kernel.body):
            return True
        roots += tensor.expressions_of(statement)
    found = postorder(roots, tensor.parts)
    return any(isinstance(e, tensor.Apply) and e.op in _ALONE for e in found)


HOST_CYCLES = 20_000.0  # of a Python function, of which nothing is known
LEAVING_CYCLES = 1.0  # of asking whether NumPy is to take over, which ends the program where it does


def foreign(symbol: str | HostFunction) -> Foreign | None:
    """What is known of a foreign function; None for a symbol that is not known."""
    if isinstance(symbol, HostFunction):
        cycles = LEAVING_CYCLES if symbol.leaves else HOST_CYCLES
        return Foreign(partial(call, symbol), symbol.written, lambda *_: cycles)
    return FOREIGN.get(symbol)
