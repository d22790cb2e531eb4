"""What compiled code reports instead of a result, raised as NumPy raises it, with the user's line."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, NamedTuple, NoReturn

import numpy as np
from numpy.linalg import LinAlgError

from .errors import UnsupportedError
from .interruption import INTERRUPTED, interruption
from .ir import ops
from .ir.graph import Function, Module, Node
from .ir.host import ResultChanged, failure
from .ir.numpy_code import FAILURES
from .ir.ops.agreement import PRODUCT, TOGETHER
from .ir.ops.assumption import OTHERWISE
from .ir.ops.draw import ILLEGAL
from .ir.ops.selection import EMPTY
from .ir.ops.whole import NOT_WHOLE
from .ir.term import location_of
from .lower.llvm.emit import HOST_FAILED
from .lower.llvm.foreign import FIRST_FAILURE
from .lower.llvm.integers import (
    ASSUMED_OTHERWISE,
    ILLEGAL_PARAMETER,
    INDEX_OUT_OF_BOUNDS,
    INVALID_CHOICE,
    NEGATIVE_POWER,
    NOT_FITTING,
    OF_NOTHING,
    UNEQUAL_EXTENTS,
    UNEXPECTED,
    WITHOUT_INT,
)
from .trace.location import with_source


class IllegalParameter(ValueError):
    """A distribution that there is not was to be drawn from, or the like; NumPy knows what to say."""


class Stretched(UnsupportedError):
    """An axis that turned out to have one element would be stretched: NumPy can run the function."""


class Unexpected(UnsupportedError):
    """A number is not among those that the program was made for: the function is to be traced anew."""


# What is left to NumPy where it happens, if nothing has been written by then.
LEFT_TO_NUMPY = (LinAlgError, Stretched, Unexpected, IllegalParameter)

# By status: the exception, and its text with places for what the check told of the value.
KINDS: dict[int, tuple[type[Exception], str]] = {
    NEGATIVE_POWER: (ValueError, "Integers to negative integer powers are not allowed."),
    INDEX_OUT_OF_BOUNDS: (IndexError, "index {} is out of bounds for axis {} with size {}"),
    INVALID_CHOICE: (ValueError, "invalid entry in choice array"),
    ILLEGAL_PARAMETER: (IllegalParameter, ILLEGAL),
    UNEXPECTED: (Unexpected, "{} where the program was made for {} to {}"),
    ASSUMED_OTHERWISE: (ResultChanged, OTHERWISE),
    **{FIRST_FAILURE + k: (LinAlgError, text) for k, text in enumerate(FAILURES)},
    **{status: (ValueError, EMPTY[reduction]) for reduction, status in OF_NOTHING.items()},
    **{status: NOT_WHOLE[problem] for problem, status in WITHOUT_INT.items()},
}
# How many integers a check may tell.
MOST_DETAILS = 3


class Site(NamedTuple):
    """A line of the user's that may be refused: how, and of an index which axes and extents."""

    status: int
    extents: dict[int, Any]
    location: str


def refusals(program: Module) -> Callable[[int, int], NoReturn]:
    """The error callback of a traced program: given a status and the address of the workspace."""
    functions = [f for f in program.functions if isinstance(f, Function)]
    found = [site for f in functions for node in f.nodes for site in _sites(node)]
    if isinstance(program.entry, Function):
        lines = map(location_of, _loops(program.entry))
        found += [Site(INTERRUPTED, {}, line) for line in lines if line is not None]
    return partial(_raise, tuple(found))


def leaving_to_numpy(
    refuse: Callable[[int, int], NoReturn], kinds: tuple[type[Exception], ...]
) -> Callable[[int, int], None]:
    """The error callback of native calls: after errors of these kinds the function itself is to run,
    whose own `except` clauses may have something to say."""

    def run(status: int, report: int) -> None:
        with suppress(*kinds):
            refuse(status, report)

    return run


def _loops(function: Function) -> list[Node]:
    """The outermost loops of a program."""
    found: list[Node] = []
    for node in function.nodes:
        if node.op is ops.scope:
            found += _loops(node.attrs["body"])
        elif node.op in (ops.for_loop, ops.while_loop):
            found.append(node)
    return found


def _sites(node: Node) -> list[Site]:
    location = location_of(node)
    if location is None:
        return []
    if failing := ops.failure_of(node):
        return [Site(FIRST_FAILURE + FAILURES.index(failing), {}, location)]
    match node.op.name:
        case "power" if node.dtype.is_signed:
            return [Site(NEGATIVE_POWER, {}, location)]
        case "checked_choice":
            return [Site(INVALID_CHOICE, {}, location)]
        case "legal":
            return [Site(ILLEGAL_PARAMETER, {}, location)]
        case "assumed":
            return [Site(ASSUMED_OTHERWISE, {}, location)]
        case "same_extent":
            return [Site(UNEQUAL_EXTENTS, {}, location)]
        case "fitting":
            return [Site(NOT_FITTING, {}, location)]
        case "whole":
            return [Site(status, {}, location) for status in WITHOUT_INT.values()]
        case name if name.removeprefix("some_") in OF_NOTHING:
            return [Site(OF_NOTHING[name.removeprefix("some_")], {}, location)]
        case "gather" | "take_along" | "scatter":
            attrs, shape = node.attrs, node.operands[0].shape
            axes = attrs["axes"] if "axes" in attrs else (attrs["axis"],)
            return [Site(INDEX_OUT_OF_BOUNDS, {axis: shape[axis] for axis in axes}, location)]
    return []


def _raise(sites: tuple[Site, ...], status: int, report: int) -> NoReturn:
    """`report` is the address of the status and of what the check told of the value."""
    if status == HOST_FAILED:
        raise failure()
    if status == INTERRUPTED:
        raise _located(interruption(), sites, lambda site: site.status == INTERRUPTED)
    details = list((ctypes.c_int64 * MOST_DETAILS).from_address(report + 8))
    if status in _MADE:
        error = _MADE[status](*details)
    else:
        kind, text = KINDS[status]
        error = kind(text.format(*details))
    raise _located(error, sites, lambda site: _may_be(site, status, details))


def _located(
    error: BaseException, sites: tuple[Site, ...], may_be: Callable[[Site], bool]
) -> BaseException:
    """The exception with the line it is about, where only one may be."""
    lines = {site.location for site in sites if may_be(site)}
    if len(lines) == 1 and hasattr(error, "add_note"):  # Python 3.11
        error.add_note(f"  at {with_source(lines.pop())}")
    return error


def unequal(one: int, other: int, use: int) -> Exception:
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


def not_fitting(number: int, low: int, high: int) -> Exception:
    """What NumPy says of a Python int that the dtype it meets, known by what it holds, does not hold."""
    limits = [np.iinfo(f"{kind}{size}") for kind in "iu" for size in (1, 2, 4, 8)]
    names = {(int(n.min), min(int(n.max), (1 << 63) - 1)): n.dtype.name for n in limits}
    return OverflowError(f"Python integer {number} out of bounds for {names[low, high]}")


_MADE = {UNEQUAL_EXTENTS: unequal, NOT_FITTING: not_fitting}


def _may_be(site: Site, status: int, details: list[int]) -> bool:
    if site.status != status or status != INDEX_OUT_OF_BOUNDS:
        return site.status == status
    _, axis, extent = details
    return axis in site.extents and (
        site.extents[axis] == extent or not isinstance(site.extents[axis], int)
    )
