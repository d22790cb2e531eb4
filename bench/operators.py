"""`python -m bench.operators`: operators of a user's against the same program without them.

Each line is one program on float64: NumPy (with SciPy or Numba where the function is theirs), jitted
with the operator, and jitted with what the operator computes written out, where NumPy can say it.
Times are the least of many calls, the three taken in turns; one thread.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

import tracejit

ELEMENTS = 1 << 16
ROUNDS, SECONDS = 12, 0.02


@tracejit.op
def gelu(x):
    return 0.5 * x * (1 + np.tanh(0.7978845608 * (x + 0.044715 * x * x * x)))


def gelu_written_out(x):
    return 0.5 * x * (1 + np.tanh(0.7978845608 * (x + 0.044715 * x * x * x)))


@tracejit.op(element=2, type="(n,m) -> (n-2,m-2)")
def blur(i, j, x):
    return 0.25 * (x(i, j + 1) + x(i + 2, j + 1) + x(i + 1, j) + x(i + 1, j + 2))


def blur_written_out(x):
    return 0.25 * (x[:-2, 1:-1] + x[2:, 1:-1] + x[1:-1, :-2] + x[1:-1, 2:])


LERP = tracejit.op("""
define double @lerp(double %a, double %b, double %t) {
  %d = fsub double %b, %a
  %s = fmul double %d, %t
  %r = fadd double %a, %s
  ret double %r
}
""")


def lerp_written_out(a, b, t):
    return a + (b - a) * t


def around(function: Callable[..., Any]) -> Callable[..., Any]:
    """A program in which the function has neighbours."""

    def program(*arrays: Any) -> Any:
        first, *rest = arrays
        return np.sqrt(np.abs(function(first * 1.5, *rest))) + 1.0

    return program


def programs() -> list[tuple[str, Callable, Callable, Callable | None, tuple]]:
    """Name, the program in NumPy, with the operator, with it written out, and arguments."""
    rng = np.random.default_rng(0)
    x = rng.uniform(0.1, 4.0, ELEMENTS)
    side = math.isqrt(ELEMENTS)
    image = x[: side * side].reshape(side, side)
    rows = [
        ("gelu: a NumPy function", gelu_written_out, gelu, gelu_written_out, (x,)),
        ("blur: an element function", blur_written_out, blur, blur_written_out, (image,)),
        ("lerp: LLVM IR", lerp_written_out, LERP, lerp_written_out, (x, x[::-1].copy(), x / 4)),
    ]
    rows += [*_of_scipy(x), *_of_numba(x)]
    return [
        (name, around(own), around(operator), around(plain) if plain else None, arrays)
        for name, own, operator, plain, arrays in rows
    ]


def _of_scipy(x: np.ndarray) -> list[tuple]:
    try:
        from scipy import LowLevelCallable
        from scipy.special import cython_special, j0
    except ImportError:
        return []
    called = tracejit.op(LowLevelCallable.from_cython(cython_special, "j0"), name="j0")

    def operator(x):
        return called(x, 0)  # Cython's functions have an int of their own at the end

    return [("j0: SciPy's C function, called", j0, operator, None, (x,))]


def _of_numba(x: np.ndarray) -> list[tuple]:
    try:
        import numba
    except ImportError:
        return []

    def soft(x, y):
        return x * x / (1.0 + y) if x > 1.0 else math.exp(-y)

    def written_out(x, y):
        return np.where(x > 1.0, x * x / (1.0 + y), np.exp(-y))

    own = numba.vectorize(["float64(float64, float64)"])(soft)
    operator = tracejit.op(numba.njit(soft), name="soft")
    return [("soft: Numba's, NumPy has its ufunc", own, operator, written_out, (x, x[::-1].copy()))]


def least_times(functions: list[Callable], arrays: tuple) -> list[float]:
    """Seconds of the fastest call of each, in rounds that take turns."""
    counts = []
    for function in functions:
        function(*arrays)
        started = time.perf_counter()
        function(*arrays)
        counts.append(max(1, int(SECONDS / (time.perf_counter() - started) / 4)))
    best = [math.inf] * len(functions)
    for _ in range(ROUNDS):
        for k, function in enumerate(functions):
            for _ in range(counts[k]):
                started = time.perf_counter()
                function(*arrays)
                best[k] = min(best[k], time.perf_counter() - started)
    return best


def main() -> int:
    print(f"{'program':36} {'NumPy':>9} {'operator':>9} {'written out':>12} {'speedup':>8}")
    for name, own, operator, plain, arrays in programs():
        jitted = [tracejit.jit(f, threads=1) for f in (operator, plain) if f is not None]
        wanted = own(*arrays)
        for function in jitted:
            np.testing.assert_allclose(function(*arrays), wanted, rtol=1e-9)
        tracejit.wait()
        base, *times = least_times([own, *jitted], arrays)
        shown = [f"{1e6 * t:.1f} us" for t in (base, *times)] + [""] * (2 - len(times))
        print(f"{name:36} {shown[0]:>9} {shown[1]:>9} {shown[2]:>12} {base / times[0]:7.1f}x")
    return 0


if __name__ == "__main__":
    sys.exit(main())
