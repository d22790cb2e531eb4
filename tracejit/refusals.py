"""What compiled code reports instead of a result, raised as NumPy raises it, with the user's line."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, NamedTuple, NoReturn

from .interruption import INTERRUPTED, interruption
from .ir import ops
from .ir.graph import Function, Module, Node
from .ir.host import failure
from .ir.refusal import MOST_DETAILS, OUTSIDE, REFUSALS
from .ir.term import location_of
from .lower.llvm.emit import HOST_FAILED
from .trace.location import with_source
from .trace.unread import extents_at


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
    if not location:
        return []
    if extents := extents_at(node):
        return [Site(OUTSIDE.status, extents, location)]
    return [Site(report.status, {}, location) for report in ops.refusals_of(node)]


def _raise(sites: tuple[Site, ...], status: int, report: int) -> NoReturn:
    """`report` is the address of the status and of what the check told of the value."""
    if status == HOST_FAILED:
        raise failure()
    if status == INTERRUPTED:
        raise _located(interruption(), sites, lambda site: site.status == INTERRUPTED)
    details = list((ctypes.c_int64 * MOST_DETAILS).from_address(report + 8))
    error = REFUSALS[status].make(*details)
    raise _located(error, sites, lambda site: _may_be(site, status, details))


def _located(
    error: BaseException, sites: tuple[Site, ...], may_be: Callable[[Site], bool]
) -> BaseException:
    """The exception with the line it is about, where only one may be."""
    lines = {site.location for site in sites if may_be(site)}
    if len(lines) == 1 and hasattr(error, "add_note"):  # Python 3.11
        error.add_note(f"  at {with_source(lines.pop())}")
    return error


def _may_be(site: Site, status: int, details: list[int]) -> bool:
    if site.status != status or status != OUTSIDE.status:
        return site.status == status
    _, axis, extent = details
    return axis in site.extents and (
        site.extents[axis] == extent or not isinstance(site.extents[axis], int)
    )
