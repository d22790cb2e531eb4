"""What a program reports instead of a result: one table, by status, of the exceptions it is raised as."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.linalg import LinAlgError

from ..errors import UnsupportedError
from .host import ResultChanged
from .numpy_code import FAILURES

# What the extents are of that a program finds unequal: two operands, what is assigned and what it is
# assigned to, or the factors of a sum of products.
TOGETHER, INTO, PRODUCT = 0, 1, 2


class IllegalParameter(ValueError):
    """A distribution that there is not was to be drawn from, or the like; NumPy knows what to say."""


class NoWeight(ZeroDivisionError):
    """Weights sum to zero."""


class Stretched(UnsupportedError):
    """An axis that turned out to have one element would be stretched: NumPy can run the function."""


class Unexpected(UnsupportedError):
    """A number is not among those that the program was made for: the function is to be traced anew."""


# What is left to NumPy where it happens, if nothing has been written by then.
LEFT_TO_NUMPY = (LinAlgError, Stretched, Unexpected, IllegalParameter, NoWeight)


class Refusal(NamedTuple):
    """A report: its number, and the exception it is raised as, `make` of the integers it tells."""

    status: int
    kind: type[Exception]
    make: Callable[..., Exception]


REFUSALS: dict[int, Refusal] = {}
# How many integers a report may tell.
MOST_DETAILS = 3


def refusal(
    kind: type[Exception], text: str, make: Callable[..., Exception] | None = None
) -> Refusal:
    """One more, whose text has places for what it tells."""
    status = len(REFUSALS) + 1
    new = Refusal(status, kind, make or (lambda *details: kind(text.format(*details))))
    return REFUSALS.setdefault(status, new)


def _unequal(one: int, other: int, use: int) -> Exception:
    """What NumPy says of extents that do not fit together; where it would stretch one, what we say."""
    if use == PRODUCT:
        return _of_extents(f"shapes are not aligned for a product: {one} != {other}")
    if one == 1 or (other == 1 and use == TOGETHER):
        return Stretched(
            f"an axis that turned out to have one element would be stretched to {one * other}",
            hint="take the element itself, x[0], or slices of lengths that are known to be equal",
        )
    if use == TOGETHER:
        return _of_extents(
            f"operands could not be broadcast together with shapes ({one},) ({other},) "
        )
    return _of_extents(f"could not broadcast input array from shape ({one},) into shape ({other},)")


def _of_extents(text: str) -> ValueError:
    """A ValueError that says so: one of the extents may be that of a result Python gave another time."""
    error = ValueError(text)
    error.is_of_extents = True  # type: ignore[attr-defined]
    return error


def _unlike_mask(own: int, count: int, *_: int) -> Exception:
    return _of_extents(
        f"NumPy boolean array indexing assignment cannot assign {own} input values to the {count} "
        "output values where the mask is true"
    )


def _not_fitting(number: int, low: int, high: int) -> Exception:
    """What NumPy says of a Python int that the dtype it meets, known by what it holds, does not hold."""
    limits = [np.iinfo(f"{kind}{size}") for kind in "iu" for size in (1, 2, 4, 8)]
    names = {(int(n.min), min(int(n.max), (1 << 63) - 1)): n.dtype.name for n in limits}
    known = names.get((low, high), f"a dtype from {low} to {high}")
    return OverflowError(f"Python integer {number} out of bounds for {known}")


NEGATIVE_POWER = refusal(ValueError, "Integers to negative integer powers are not allowed.")
OUTSIDE = refusal(IndexError, "index {} is out of bounds for axis {} with size {}")
NO_CHOICE = refusal(ValueError, "invalid entry in choice array")
UNEQUAL = refusal(ValueError, "", _unequal)
UNLIKE_MASK = refusal(ValueError, "", _unlike_mask)
NOT_FITTING = refusal(OverflowError, "", _not_fitting)
# What is said where NumPy itself cannot be asked.
ILLEGAL = refusal(IllegalParameter, "a distribution, or a histogram, has no such parameters")
UNEXPECTED = refusal(Unexpected, "{} where the program was made for {} to {}")
OTHERWISE = refusal(
    ResultChanged,
    "a value on which the type of a result depends is not what the program was made for",
)
# What Python says of floats without an int, and what we say of those without one of 64 bits.
NO_INT_OF_NAN = refusal(ValueError, "cannot convert float NaN to integer")
NO_INT_OF_INFINITY = refusal(OverflowError, "cannot convert float infinity to integer")
NO_INT_SO_LARGE = refusal(OverflowError, "an int of more than 64 bits in a compiled function")
# What NumPy says of reductions of nothing.
EMPTY = {
    name: refusal(ValueError, text)
    for name, text in {
        "maximum": "zero-size array to reduction operation maximum which has no identity",
        "minimum": "zero-size array to reduction operation minimum which has no identity",
        "argmax": "attempt to get argmax of an empty sequence",
        "argmin": "attempt to get argmin of an empty sequence",
    }.items()
}
# What it says of conditions that do not hold.
WRONG = {
    "weights": refusal(NoWeight, "Weights sum to zero, can't be normalized"),
    "insertion": refusal(ValueError, "Cannot insert from an empty array!"),
}


def _said(operate: Callable[[object, object], object], zero: float | complex) -> str:
    """What Python says of a division by this zero; nothing where there is none."""
    try:
        operate(zero, zero)
    except ZeroDivisionError as error:
        return str(error)
    except TypeError:
        return ""
    raise AssertionError("Python divides by zero")


# What Python says of numbers divided by zero, by NumPy's name for the division and their type.
BY_ZERO = {
    f"{name}_{type(zero).__name__}": refusal(ZeroDivisionError, text)
    for name, operate in {
        "divide": operator.truediv,
        "floor_divide": operator.floordiv,
        "remainder": operator.mod,
        "divmod": divmod,
    }.items()
    for zero in (0, 0.0, 0j)
    if (text := _said(operate, zero))
}
WRONG |= BY_ZERO
# What NumPy's loops fail with, by what it says.
FAILED = {text: refusal(LinAlgError, text) for text in FAILURES}
