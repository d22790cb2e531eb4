"""Loops that may run for long look, now and then, whether the user wants them to stop.

Python's signal handlers run between its own instructions, so a loop of native code would have to end
before Ctrl-C, or a timer, could do anything; one that never ends could not be stopped at all. The call
`extern("poll")` lets them run, where that was not done in the last hundredth of a second, and leaves the
kernel if one raised. It is made every so many iterations that asking what time it is costs nothing
to speak of:

    while c:                         for k in ordered(huge):
        body               ->            if (k + 1) & 4095 == 0: extern("poll")
                                         if c: body

    for i in ordered(n):             while first < n:
        body               ->            for i in ordered(first, min(first + 4096, n)): body
                                         first += 4096
                                         if first < n: extern("poll")

Loops of short iterations, of which the last is known, are cut into strips: a call among their
iterations, however seldom it is made, takes a test of each, and registers.

Loops of arrays alone are left as they are, as NumPy's functions are. The pass comes after all that make
loops independent, give them lanes or threads: to these, a call might do anything.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import inf
from typing import Any

from ...ir import expressions
from ...ir.affine import linear
from ...ir.bounds import Bounds, unknowns_of
from ...ir.foreign import POLL
from ...ir.graph import Module, map_kernels
from ...ir.tensor import (
    ONE,
    ZERO,
    Apply,
    Assign,
    Break,
    Extern,
    For,
    If,
    Index,
    Kernel,
    Let,
    Literal,
    Statement,
    Variable,
    has_control,
)
from ...ir.types import bool_, i64
from .cost import body_cost
from .rename import TRIP, FreshNames

# Loops that are over after so many cycles, a ten-thousandth of a second, need not ask.
SHORT_CYCLES = 350_000.0
# How many cycles pass, about, before the clock is looked at again, which takes some sixty.
PAUSE_CYCLES = 60_000.0
# Iterations of which it is not known how long they take: the loops in them ask themselves, or go
# through rows, which are short or many.
UNKNOWN_PAUSE, MOST_PAUSE = 64, 1 << 16
# Iterations from which on a loop is cut into strips; of those that take longer each may ask.
LEAST_STRIP = 64
# What a part of a parallel loop takes at least that asks before it begins.
LEAST_CYCLES = 60_000.0

_ASK = Extern(POLL, ())


def poll_signals(module: Module, vector_bytes: int = 32) -> Module:
    """Let the long loops of kernels with control flow ask for signals."""

    def change(kernel: Kernel) -> Kernel:
        if not has_control(kernel.body):
            return kernel
        bounds = Bounds((), unknowns=unknowns_of(kernel))
        return kernel.replace(body=Polls(kernel, vector_bytes).body(kernel.body, bounds))

    return map_kernels(module, change)


class Polls:
    """The statements of a kernel with calls among them."""

    def __init__(self, kernel: Kernel, vector_bytes: int):
        self.vector_bytes, self.names = vector_bytes, FreshNames(kernel)
        self.is_in_lanes = False  # which all run a loop inside equally often

    def body(self, body: Iterable[Statement], bounds: Bounds) -> tuple[Statement, ...]:
        new: list[Statement] = []
        for statement in body:
            match statement:
                case For():
                    new += self.loop(statement, bounds)
                case If(condition, then, orelse):
                    arms = [
                        self.body(arm, bounds.where(condition, holds))
                        for arm, holds in ((then, True), (orelse, False))
                    ]
                    new.append(If(condition, *arms))
                case _:
                    new.append(statement)
        return tuple(new)

    def loop(self, loop: For, bounds: Bounds) -> tuple[Statement, ...]:
        inside = bounds.inside(loop)
        each, trips = self.most(loop.body, inside), _most_trips(loop, bounds)
        if trips * each < SHORT_CYCLES:
            return (loop,)
        around, self.is_in_lanes = self.is_in_lanes, self.is_in_lanes or loop.mark == "vector"
        new = loop.replace(body=self.body(loop.body, inside))
        self.is_in_lanes = around
        if loop.mark in ("vector", "unroll") or loop.mark == "parallel" and each < LEAST_CYCLES:
            return (new,)
        if loop.mark == "parallel":  # parts that are not begun yet are over at once
            return (new.replace(body=(_ASK, *new.body)),)
        every = _pause(each)
        if LEAST_STRIP <= every < trips and _has_known_end(loop) and not around:
            return self.strips(new, every)
        return (new.replace(body=(_asking(loop, every), *new.body)),)

    def shortness(self, loop: For, bounds: Bounds) -> tuple[bool, int]:
        """Whether a loop is over before it need ask, and in how many iterations it would be."""
        each, trips = self.most(loop.body, bounds.inside(loop)), _most_trips(loop, bounds)
        most = 0 if each == inf else min(int(SHORT_CYCLES / (each + 1)), MOST_PAUSE)
        return trips <= most, most

    def strips(self, loop: For, every: int) -> tuple[Statement, ...]:
        """The loop in strips of so many iterations, between which it asks.

        Strips of a known number are counted, from which LLVM sees between which numbers the index is;
        others begin where the one before has ended, as counting them takes longer than short loops do.
        """
        length = expressions.integer(every)
        match loop.start, loop.stop:
            case Literal(start), Literal(stop):
                strip = Index(self.names.pick("strip"))
                first = expressions.add(loop.start, expressions.multiply(strip, length))
                last = expressions.minimum(expressions.add(first, length), loop.stop)
                count = expressions.integer(-((start - stop) // every))
                before, part, after = [], loop.replace(start=first, stop=last), []
            case _:
                strip, count = Index(self.names.pick(TRIP)), expressions.ENDLESS
                first, last = [Variable(self.names.pick(name), i64) for name in ("first", "last")]
                end = expressions.minimum(expressions.add(first, length), loop.stop)
                before, part = [Let(first, loop.start)], loop.replace(start=first, stop=last)
                after = [Assign(first, last)]
        goes_on: Any = expressions.compare("less", last, loop.stop)
        if isinstance(loop.body[-1], Break):
            ends = Variable(self.names.pick("ends"), bool_)
            leave = loop.body[-1].condition
            part = part.replace(body=(*loop.body[:-1], Assign(ends, leave), Break(ends)))
            before.append(Let(ends, Literal(False, bool_)))
            goes_on = expressions.select(ends, Literal(False, bool_), goes_on)
        body = (
            part,
            *after,
            If(goes_on, (_ASK,), ()),
            Break(Apply("logical_not", (goes_on,), bool_)),
        )
        if after:
            body = (Let(last, end), *body)
        return (*before, For(strip, ZERO, count, body, "ordered", 1))

    def most(self, body: Iterable[Statement], bounds: Bounds) -> float:
        """How many cycles one pass may take; infinity where that is not known."""
        total, plain = 0.0, []
        for statement in body:
            match statement:
                case For():
                    inside = bounds.inside(statement)
                    vectors = _most_trips(statement, bounds) / max(statement.lanes, 1)
                    total += max(vectors, 1) * (self.most(statement.body, inside) + 1)
                case If(_, then, orelse):
                    total += max(self.most(then, bounds), self.most(orelse, bounds))
                case _:
                    plain.append(statement)
        return total + body_cost(plain, frozenset(), None, 1, self.vector_bytes)


def _most_trips(loop: For, bounds: Bounds) -> float:
    if loop.stop is expressions.ENDLESS:
        return inf
    trips = expressions.subtract(loop.stop, loop.start)
    _, most = bounds.interval(trips)
    # What was asked before: that there are no more iterations than so many.
    atoms, _ = linear(trips)
    known = [linear(expressions.add(fact, trips)) for fact in bounds.facts if atoms]
    asked = [offset for left, offset in known if not left and isinstance(offset, int)]
    return min([most if isinstance(most, int) else inf, *asked])


def _has_known_end(loop: For) -> bool:
    """Whether it is the same all the time where an ordered loop begins and ends."""
    if loop.mark != "ordered" or loop.stop is expressions.ENDLESS:
        return False
    return all(isinstance(term, Index) for term in loop.start.free | loop.stop.free)


def _asking(loop: For, every: int) -> Statement:
    """Ask at the begin of each of so many iterations, a power of two, but for the first.

    At the end it would stand between what is found out about going on and the branch that does so.
    """
    if every == 1:
        return _ASK
    following = expressions.add(loop.index, ONE)
    bits = Apply("bitwise_and", (following, expressions.integer(every - 1)), i64)
    return If(expressions.compare("equal", bits, ZERO), (_ASK,), ())


def _pause(cycles: float) -> int:
    """After how many iterations of so many cycles it is time to ask: a power of two."""
    if cycles == inf:
        return UNKNOWN_PAUSE
    count = min(max(int(PAUSE_CYCLES / (cycles + 1)), 1), MOST_PAUSE)
    return 1 << (count.bit_length() - 1)
