"""`assert_matches_numpy`: a compiled function against itself in NumPy, for arguments of every layout."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from ..jit import Jitted
from ..trace.tree import flatten, unflatten
from .contracts import jitted
from .layouts import LAYOUTS

# What is tried: a name, and what it makes of an array.
VARIANTS = ("C", "fortran", "strided", "reversed", "read_only", "byte_swapped", "misaligned")
# By the dtype's character: as parts of the largest value. Sums may be added in another order.
TOLERANCES = {"e": 1e-2, "f": 1e-5, "F": 1e-5, "d": 1e-11, "D": 1e-11}


def assert_matches_numpy(
    f: Any, args: Sequence[Any], *, rtol: float | None = None, atol: float | None = None,
    kwargs: dict[str, Any] | None = None, layouts: Iterable[str] = VARIANTS,
) -> None:  # fmt: skip
    """`f(*args, **kwargs)`, compiled, does what it does in NumPy: the same types, dtypes, shapes and values,
    the same changes of its arguments, the same exceptions.

    f         a function, jitted or not
    rtol      how far floats may be apart, as a part of the value; default: 1e-11 for float64,
              1e-5 for float32, 1e-2 for float16; 0: not at all, bit for bit but for nan
    atol      and in addition; default: rtol times the largest value, since sums that cancel are as
              exact as their terms
    layouts   names in `LAYOUTS`: in which layouts array arguments are given, all arrays in one at a time

    Each layout is called twice, as the second call takes another way. The function runs on copies of the
    arguments; functions that do more than compute do so every time.

    >>> assert_matches_numpy(model, (x, w, b))
    """
    compiled = jitted(f)
    plain = f._function if isinstance(f, Jitted) else f
    unknown = sorted({*layouts} - {*LAYOUTS})
    if unknown:
        raise ValueError(f"unknown layouts {unknown}; there are {list(LAYOUTS)}")
    leaves, structure = flatten((tuple(args), dict(kwargs or {})))
    has_arrays = any(isinstance(leaf, np.ndarray) for leaf in leaves)
    for layout in layouts if has_arrays else ("C",):
        expected = _outcome(plain, _laid(leaves, layout), structure)
        for turn in ("first", "second"):
            found = _outcome(compiled, _laid(leaves, layout), structure)
            given = f"the {turn} call with arrays laid out as {layout!r}"
            _Comparison(compiled._compiler.name, given, rtol, atol).outcomes(found, expected)


def _laid(leaves: Sequence[Any], layout: str) -> list[Any]:
    """Copies of the arguments; one array in two places stays one."""
    made: dict[int, Any] = {}
    new = []
    for leaf in leaves:
        if id(leaf) not in made:
            if isinstance(leaf, np.ndarray):
                made[id(leaf)] = LAYOUTS[layout](leaf)
            else:
                made[id(leaf)] = copy.deepcopy(leaf)
        new.append(made[id(leaf)])
    return new


class _Outcome:
    """What a call did: its result or its exception, and its arguments afterwards."""

    def __init__(self, result: Any, error: Exception | None, leaves: list[Any]):
        self.result, self.error, self.leaves = result, error, leaves


def _outcome(function: Callable[..., Any], leaves: list[Any], structure: Any) -> _Outcome:
    args, kwargs = unflatten(structure, leaves)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            return _Outcome(function(*args, **kwargs), None, leaves)
        except Exception as error:  # whatever it raises is to be raised by both
            return _Outcome(None, error, leaves)


class _Comparison:
    def __init__(self, name: str, given: str, rtol: float | None, atol: float | None):
        self.where, self.rtol, self.atol = f"{name}, {given}", rtol, atol

    def fail(self, text: str) -> None:
        raise AssertionError(f"{self.where}: {text}")

    def outcomes(self, found: _Outcome, expected: _Outcome) -> None:
        if type(found.error) is not type(expected.error):
            both = [
                "returns" if o.error is None else f"raises {type(o.error).__name__}: {o.error}"
                for o in (found, expected)
            ]
            error = found.error or expected.error
            raise AssertionError(f"{self.where}: it {both[0]}, where NumPy {both[1]}") from error
        own, own_structure = flatten(found.result)
        other, structure = flatten(expected.result)
        if own_structure != structure:
            self.fail(
                f"the result is {found.result!r:.200}, where NumPy's is {expected.result!r:.200}"
            )
        for k, (a, b) in enumerate(zip(own, other)):
            same = [
                k
                for k, leaf in enumerate(expected.leaves)
                if leaf is b and isinstance(b, np.ndarray)
            ]
            if same and a is not found.leaves[same[0]]:
                self.fail(f"result {k} should be argument {same[0]} itself, and is another array")
            self.values(f"result {k}", a, b)
        for k, (a, b) in enumerate(zip(found.leaves, expected.leaves)):
            if isinstance(b, np.ndarray):
                self.values(f"argument {k} afterwards", a, b)

    def values(self, what: str, a: Any, b: Any) -> None:
        if type(a) is not type(b):
            self.fail(
                f"{what} is {type(a).__name__} {a!r:.80}, where NumPy has {type(b).__name__} {b!r:.80}"
            )
        if not isinstance(b, np.ndarray | np.generic | float | complex):
            if a is not b and a != b:
                self.fail(f"{what} is {a!r:.80}, where NumPy has {b!r:.80}")
            return
        a, b = np.asarray(a), np.asarray(b)
        if a.dtype.newbyteorder("=") != b.dtype.newbyteorder("="):
            self.fail(f"{what} has dtype {a.dtype}, where NumPy has {b.dtype}")
        if a.shape != b.shape:
            self.fail(f"{what} has shape {a.shape}, where NumPy has {b.shape}")
        bad = self.unequal(a, b)
        if bad.any():
            at = tuple(int(k[0]) for k in np.nonzero(np.atleast_1d(bad)))
            place = list(at) if a.ndim else "its only element"
            left, right = np.atleast_1d(a)[at], np.atleast_1d(b)[at]
            self.fail(
                f"{what} ({a.dtype}{list(a.shape)}) differs in {int(bad.sum())} of {bad.size} elements, first "
                f"at {place}: {left!r} where NumPy has {right!r}{self.bounds(a, b)}"
            )

    def unequal(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        a, b = (x.astype(x.dtype.newbyteorder("=")) for x in (a, b))
        with np.errstate(all="ignore"):
            equal = np.equal(a, b)
            if a.dtype.kind not in "fc":
                return ~equal
            both_nan = np.isnan(a) & np.isnan(b)
            rtol, atol = self.tolerances(b)
            if rtol == atol == 0:
                same_sign = (
                    np.ones(a.shape, bool)
                    if a.dtype.kind == "c"
                    else np.signbit(a) == np.signbit(b)
                )
                return ~((equal & same_sign) | both_nan)
            near = np.abs(a - b) <= atol + rtol * np.abs(b)
            return ~(equal | both_nan | near)

    def tolerances(self, b: np.ndarray) -> tuple[float, float]:
        rtol = TOLERANCES.get(b.dtype.char, 0.0) if self.rtol is None else self.rtol
        if self.atol is not None:
            return rtol, self.atol
        finite = np.abs(b[np.isfinite(b)]) if b.ndim else np.abs(b)
        return rtol, rtol * float(np.max(finite, initial=0.0)) if np.isfinite(finite).all() else 0.0

    def bounds(self, a: np.ndarray, b: np.ndarray) -> str:
        if a.dtype.kind not in "fc":
            return ""
        rtol, atol = self.tolerances(b)
        return f" (rtol {rtol:.3g}, atol {atol:.3g})"
