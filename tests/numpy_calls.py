"""Compare a call on traced arguments with the same call on NumPy's own."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from traced import outputs_of

from tracejit.trace.program import Program
from tracejit.trace.tracing import trace

DTYPES = ["bool", "int8", "uint8", "int32", "int64", "uint64", "float16", "float32", "float64"]
DTYPES += ["complex64", "complex128"]
REAL_DTYPES = [dtype for dtype in DTYPES if not dtype.startswith("complex")]
FLOATS = ["float16", "float32", "float64"]


def sample(shape: tuple[int, ...] = (3, 4), dtype: Any = "float64", seed: int = 0) -> np.ndarray:
    """Small numbers of either sign, with ties."""
    numbers = np.random.default_rng(seed).integers(-4, 5, shape)
    dtype = np.dtype(dtype)
    if dtype.kind == "c":
        other = np.random.default_rng(seed + 1).integers(-4, 5, shape)
        return np.asarray(numbers + 1j * other).astype(dtype)
    if dtype.kind == "f":
        return np.asarray(numbers * 0.75).astype(dtype)
    return np.asarray(abs(numbers) if dtype.kind == "u" else numbers).astype(dtype)


def with_nan(shape: tuple[int, ...] = (3, 4), dtype: Any = "float64", seed: int = 0) -> np.ndarray:
    """A sample in which some elements, one at least, are not numbers."""
    x = sample(shape, dtype, seed)
    x.flat[:: max(x.size // 3, 1)] = np.nan
    return x


def flat(tree: Any) -> Iterator[Any]:
    """The leaves of nested tuples and lists."""
    if isinstance(tree, tuple | list):
        for item in tree:
            yield from flat(item)
    else:
        yield tree


def tolerance(dtype: np.dtype) -> float:
    return {"float16": 4e-3, "float32": 2e-6, "complex64": 4e-6}.get(dtype.name, 1e-13)


def check(function: Callable[..., Any], *args: Any, exact: bool = False) -> Program:
    """`function(*args)` gives the same shapes, dtypes, kinds of scalar and values when traced.

    Where NumPy raises, tracing must raise an exception of the same kind.
    """
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        copies = [np.array(x) if isinstance(x, np.ndarray) else x for x in args]
        try:
            expected = function(*copies)
        except Exception as error:
            with pytest.raises(_builtin_kind(error)):
                trace(function, args, {})
            return None
        program = trace(function, args, {})
        results = outputs_of(program, list(flat(list(args))))
    wanted = list(flat(expected))
    assert len(results) == len(wanted)
    for result, want in zip(results, wanted):
        compare(result, want, exact)
    return program


def _builtin_kind(error: Exception) -> type:
    kinds = (np.exceptions.AxisError, IndexError, ValueError, TypeError, OverflowError)
    return next((kind for kind in kinds if isinstance(error, kind)), type(error))


def compare(result: Any, want: Any, exact: bool = False) -> None:
    if not isinstance(want, np.ndarray | np.generic):
        assert type(result) is type(want)
        assert result == want or (result != result and want != want)
        return
    assert isinstance(result, np.generic) == isinstance(want, np.generic), (result, want)
    assert result.dtype == want.dtype
    assert result.shape == want.shape
    if exact or want.dtype.kind in "biu":
        np.testing.assert_array_equal(result, want)
    else:
        limit = tolerance(want.dtype)
        np.testing.assert_allclose(result, want, rtol=limit, atol=limit)
