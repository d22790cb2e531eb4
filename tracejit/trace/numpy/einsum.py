"""`np.einsum`: subscripts in any of NumPy's notations, brought down to labelled factors."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np

from ..array import Array, view_or_doubt
from ..broadcasting import is_one
from ..registry import implements
from .arguments import numpy_dtype, refuse_out
from .building import as_array, converted, in_common_dtype, scalar_like
from .contractions import Factor, contraction

_ELLIPSIS = object()
Subscripts = list[Any]


@implements(np.einsum)
def einsum(*operands, out=None, optimize=False, **kwargs):
    """`np.einsum`: implicit and explicit results, `...`, repeated labels, any number of operands.

    The order of contraction is chosen by size whatever `optimize` says. `dtype=` computes in that
    dtype; `order` and `casting` have no meaning for traced values.
    """
    refuse_out("einsum", out)
    dtype = kwargs.pop("dtype", None)
    kwargs.pop("order", None)
    kwargs.pop("casting", None)
    if kwargs:
        raise TypeError(f"einsum() got an unexpected keyword argument '{next(iter(kwargs))}'")
    if not operands:
        raise ValueError("No input operands")
    is_text = isinstance(operands[0], str)
    parts, result, values = _from_text(*operands) if is_text else _from_lists(list(operands))
    if len(parts) != len(values):
        what = "more" if len(values) > len(parts) else "fewer"
        raise ValueError(
            f"{what} operands provided to einstein sum function than specified in "
            "the subscripts string"
        )
    arrays = list(in_common_dtype(*map(as_array, values)))
    if arrays[0].dtype.kind == "V" and dtype is None:
        raise TypeError("invalid data type for einsum")
    if dtype is not None:
        arrays = [converted(x, numpy_dtype(dtype)) for x in arrays]
    labels = [_expanded(part, x, k) for k, (part, x) in enumerate(zip(parts, arrays))]
    widest = max((label for part in labels for label in part if type(label) is int), default=-1)
    dots = tuple(range(widest, -1, -1))
    is_implicit = result is None
    target = _implicit(parts, dots) if is_implicit else _explicit(result, dots, bool(optimize))
    _check(labels, arrays, target)
    factors = [Factor(x, part) for x, part in zip(arrays, labels)]
    found = contraction(factors, target)
    if len(arrays) == 1 and arrays[0] is values[0] and set(target) == set(labels[0]) and target:
        return view_or_doubt(arrays[0], found, "rearrangement by einsum")
    return scalar_like(found)


def _from_text(spec: str, *values: Any) -> tuple[list[Subscripts], Subscripts | None, tuple]:
    spec = "".join(spec.split())
    inputs, arrow, result = spec.partition("->")
    parts = [_tokens(part) for part in inputs.split(",")]
    return parts, _tokens(result) if arrow else None, values


def _tokens(part: str) -> Subscripts:
    pieces = part.split("...")
    if len(pieces) > 2 or "." in "".join(pieces):
        raise ValueError(
            "einstein sum subscripts string contains a '.' that is not part of an ellipsis ('...')"
        )
    for character in "".join(pieces):
        if not (character.isalpha() and character.isascii()):
            raise ValueError(
                f"invalid subscript '{character}' in einstein sum subscripts string, "
                "subscripts must be letters"
            )
    return list(pieces[0]) + ([_ELLIPSIS, *pieces[1]] if len(pieces) == 2 else [])


def _from_lists(operands: list) -> tuple[list[Subscripts], Subscripts | None, list]:
    """`einsum(a, [0, 1], b, [1, 2], [0, 2])`: labels are numbers."""
    result = operands.pop() if len(operands) % 2 else None
    values, parts = operands[::2], operands[1::2]
    return [_numbered(p) for p in parts], None if result is None else _numbered(result), values


def _numbered(part: Any) -> Subscripts:
    """Numbers as letters; those sort as the numbers do, as implicit results need."""
    return [_ELLIPSIS if label is Ellipsis else chr(ord("A") + int(label)) for label in part]


def _expanded(part: Subscripts, x: Array, position: int) -> tuple:
    """Labels for every axis: those under `...` are numbers that count from the last."""
    named = sum(label is not _ELLIPSIS for label in part)
    hidden = x.ndim - named
    if hidden < 0 or (hidden > 0 and _ELLIPSIS not in part):
        too = "many" if hidden < 0 else "few"
        raise ValueError(
            f"einstein sum subscripts string contains too {too} subscripts for operand {position}"
        )
    labels: list[Any] = []
    for label in part:
        labels.extend(range(hidden - 1, -1, -1) if label is _ELLIPSIS else [label])
    return tuple(labels)


def _implicit(parts: list[Subscripts], dots: tuple) -> tuple:
    """Axes under `...`, then the labels that occur once, in alphabetical order."""
    uses = Counter(label for part in parts for label in part if label is not _ELLIPSIS)
    return (*dots, *sorted(label for label, times in uses.items() if times == 1))


def _explicit(result: Subscripts, dots: tuple, sums_dots: bool) -> tuple:
    """The labels of a result that is spelled out; only NumPy's optimizer sums axes under `...`."""
    if _ELLIPSIS not in result:
        if dots and not sums_dots:
            raise ValueError(
                "output has more dimensions than subscripts given in einstein sum, but no '...' "
                "ellipsis provided to broadcast the extra dimensions."
            )
        return tuple(result)
    at = result.index(_ELLIPSIS)
    return (*result[:at], *dots, *result[at + 1 :])


def _check(labels: list[tuple], arrays: list[Array], target: tuple) -> None:
    extents: dict[Any, Any] = {}
    for position, (part, x) in enumerate(zip(labels, arrays)):
        for label, extent in zip(part, x.shape):
            known = extents.setdefault(label, extent)
            if is_one(known):
                extents[label] = extent
            elif not is_one(extent) and extent != known:
                raise ValueError(
                    f"operands could not be broadcast together: label {label!r} has extents "
                    f"{known} and {extent} (operand {position})"
                )
    for label in target:
        if label not in extents:
            raise ValueError(
                f"einstein sum subscripts string included output subscript '{label}' which never "
                "appeared in an input"
            )
    if len(set(target)) < len(target):
        raise ValueError(
            "einstein sum subscripts string includes an output subscript multiple times"
        )
