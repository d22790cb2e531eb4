"""Control flow: loops, choices, and the phis where their paths meet.

Loops are rotated (guard, preheader, body, exit), so what is hoisted to a preheader runs only if the
loop does. While an arm of a branch is being written the code before it is still open, so that what
the loops around it leave alone can be computed before them; the branch itself comes last.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial

from ...errors import IRError
from ...ir import expressions
from ...ir.affine import linear
from ...ir.foreign import POLL
from ...ir.tensor import Assign, Buffer, Extern, For, If, Index, Literal, Statement, Variable
from .builder import Builder, Value
from .frame import BRANCH, GUARD, LOOP, Parts
from .leaving import choices_of_leaving
from .state import State

Emit = Callable[[], None]
# How many variables are changed by what LLVM is told to be seldom.
MANY = 2


class Control(State):
    """Emits loops and choices."""

    def __init__(self, builder: Builder):
        super().__init__(builder)
        # Whether the iteration that was just written is the last one, if a Break says so; what some
        # variables are where it is, as they are something else where it is not.
        self.leaving: Value | None = None
        self.left: dict[Variable, Parts] = {}

    def body(self, body: Sequence[Statement]) -> None:
        raise NotImplementedError

    def each(self, body: Sequence[Statement]) -> None:
        raise NotImplementedError

    def leave(self, body: Sequence[Statement]) -> None:
        raise NotImplementedError

    # Choices.

    def choose(self, choice: If) -> None:
        """One of two bodies."""
        if isinstance(choice.condition, Literal):
            with self.inlined():
                self.body(choice.then if choice.condition.value else choice.orelse)
            return
        condition = self.anywhere(self.one(choice.condition))
        then, orelse = [
            partial(self.body, body) if body else None for body in (choice.then, choice.orelse)
        ]
        self.branch(condition, BRANCH, then, orelse, (choice,), self.guess(choice))

    def guess(self, choice: If) -> str:
        """What LLVM is told of a choice that is seldom made.

        One is to ask for signals, another is marked so: the loop keeps its registers, which what is
        chosen alone saves. The third is to change several variables, the best found so far and where it
        was, or else to keep them: with selections every iteration would wait for the one before.
        """
        if choice.then == (Extern(POLL, ()),) or expressions.is_seldom(choice.condition):
            return self.b.usually(False)
        keeps = [all(map(_is_copy, body)) for body in (choice.then, choice.orelse)]
        changed = choice.then if keeps[1] else choice.orelse
        simple = all(isinstance(statement, Assign) for statement in changed)
        if self.lanes is not None or keeps[0] is keeps[1] or not simple or len(changed) < MANY:
            return ""
        return self.b.usually(keeps[0])

    def anywhere(self, condition: Value) -> Value:
        """Whether a condition holds, in lanes in any one that counts."""
        if condition.lanes == 1:
            return condition
        self.here()
        mask = self.lanes.mask
        if mask is not None:
            condition = self.b.select(mask, condition, self.b.like(False, condition))
        return self.b.any(condition)

    def everywhere(self, condition: Value) -> Value:
        """Whether a condition holds, in lanes in all that count."""
        if condition.lanes == 1:
            return condition
        self.here()
        mask = self.lanes.mask
        if mask is not None:
            condition = self.b.select(mask, condition, self.b.like(True, condition))
        return self.b.reduce("and", condition)

    def branch(
        self,
        condition: Value,
        kind: str,
        then: Emit | None,
        orelse: Emit | None,
        body: Sequence[Statement],
        guess: str = "",
    ) -> None:
        """Emit one or the other; `body` is all they are made of: what it changes has phis."""
        b = self.b
        targets, _, written = self.changed_in(body)
        initial = {target: self.get(target) for target in targets}
        join, labels, ends = b.fresh("join"), [], []
        for emit in (then, orelse):
            labels.append(b.fresh("arm") if emit else join)
            ends.append(self.arm(labels[-1], kind, emit, initial, written) if emit else None)
            if emit:
                b.branch(join)
        outer = self.scopes[-1].region
        outer.lines.append(
            f"  br i1 {condition.text}, label %{labels[0]}, label %{labels[1]}{guess}"
        )
        self.move(b.open(join))
        one, two = [end or (outer.label, initial) for end in ends]
        for target in dict.fromkeys((*one[1], *two[1])):
            self.put(target, self.merged(target, one, two))

    def arm(
        self,
        label: str,
        kind: str,
        emit: Emit,
        initial: dict[object, Parts],
        written: Iterable[Buffer],
    ) -> tuple[str, dict[object, Parts]]:
        """Where one way ends, and what the targets are there."""
        known = set(self.registers)
        with self.scope(self.b.open(label), kind):
            saved = self.raise_levels([*initial, *written], self.depth)
            for target, parts in initial.items():
                self.put(target, parts)
            emit()
            self.level.update(saved)
        # Elements that were stored for the first time exist from here on.
        fresh = [key for key in self.registers if key not in known]
        final = {target: self.get(target) for target in (*initial, *fresh)}
        for key in fresh:
            del self.registers[key]
        return self.b.region.label, final

    def merged(self, target: object, *ends: tuple[str, dict[object, Parts]]) -> Parts:
        """The value of a target where two ways meet; none where it has none on the way."""
        (one, before), (two, after) = ends
        a, b = before.get(target), after.get(target)
        merged = []
        for like, first, last in zip(a or b, a or b, b or a):
            texts = first.text if a else "poison", last.text if b else "poison"
            if texts[0] == texts[1]:
                merged.append(like)
                continue
            phi = f"phi {like.type} [ {texts[0]}, %{one} ], [ {texts[1]}, %{two} ]"
            merged.append(self.b.value(phi, like.kind, like.lanes))
        return tuple(merged)

    # Loops.

    def for_loop(self, loop: For) -> None:
        start, stop = loop.start, loop.stop
        atoms, trips = linear(expressions.subtract(stop, start))
        if atoms:
            trips = None
        elif trips <= 0:
            return
        if loop.mark == "parallel":
            self.parallel(loop, trips)
        elif loop.mark == "apart":
            self.apart(loop, trips)
        elif loop.mark == "unroll":
            if trips is None or not isinstance(start, Literal):
                raise IRError(f"an unrolled loop over {loop.index.name} needs a known extent")
            self.unrolled[loop.index] = (start.value, stop.value)
            for value in range(start.value, stop.value):
                self.iteration(loop, value)
            del self.unrolled[loop.index]
        elif loop.mark == "vector" and loop.lanes > 1:
            self.vector(loop, trips)
        elif trips == 1 and isinstance(start, Literal):
            self.iteration(loop, start.value)
        else:
            first = self.one(start)
            last = None if stop is expressions.ENDLESS else self.one(stop)
            inside = partial(self.body_that_ends, loop.body)
            self.loop(loop.index, first, last, 1, trips is not None, loop.body, inside)

    def body_that_ends(self, body: Sequence[Statement]) -> None:
        """The body of a loop: what is selected by the condition of its Break is chosen by leaving it.

        So the code after the loop sees a constant, or what was before, and a branch there need not ask.
        """
        tail = choices_of_leaving(body) if self.lanes is None else None
        if tail is None:
            self.body(body)
            return
        self.each(body[: tail.start])
        for number, statement in enumerate(body[tail.start : -1], tail.start):
            if number in tail.selected:
                ends, goes_on = tail.selected[number]
                self.left[statement.variable] = self.emit(ends)
                self.assign(statement.variable, self.emit(goes_on))
            else:
                self.each((statement,))
        self.each(body[-1:])
        for flag, value in tail.flags.items():
            self.left[flag] = (self.b.const(value, "i1"),)
            self.assign(flag, (self.b.const(not value, "i1"),))
        self.leave(body)

    def iteration(self, loop: For, value: int) -> None:
        with self.inlined() as depth:
            self.values[loop.index] = (self.b.const(value, "i64"),)
            self.constants[loop.index] = self.fixed[loop.index] = value
            self.level[loop.index] = depth
            self.body(loop.body)
            self.leaving = None
            del self.constants[loop.index], self.fixed[loop.index]

    def loop(
        self,
        index: Index,
        start: Value,
        stop: Value | None,
        step: int,
        nonempty: bool,
        body: Sequence[Statement],
        inside: Emit,
        overshoots: bool = False,
    ) -> None:
        """A native loop; `inside` emits the body with `values[index]` bound to the counter.

        Without `stop` a Break alone ends it. `overshoots`: steps may pass over `stop`.
        """
        rotated = partial(self.rotated, index, start, stop, step, body, inside, overshoots)
        self.here()
        if nonempty:
            rotated()
        else:
            some = self.b.compare("slt", start, stop)
            self.branch(some, GUARD, rotated, None, body)

    def rotated(
        self,
        index: Index,
        start: Value,
        stop: Value | None,
        step: int,
        body: Sequence[Statement],
        inside: Emit,
        overshoots: bool,
    ) -> None:
        """A loop that runs once at least."""
        b = self.b
        targets, _, written = self.changed_in(body)
        before, head = self.scopes[-1], b.open(b.fresh("loop"))
        label, exit_label = head.label, b.fresh("after")
        with self.scope(head, LOOP):
            saved = self.raise_levels([*targets, *written], self.depth)
            phis: list[tuple[int, str, Value]] = []
            for target in targets:
                self.put(target, tuple([self.phi(part, phis) for part in self.get(target)]))
            counter = self.phi(start, phis)
            self.values[index] = (counter,)
            self.level[index] = self.depth
            inside()
            self.here()
            following = b.value(f"add nsw i64 {counter.text}, {step}", "i64")
            # LLVM counts in fewer registers where the last number is met.
            test = "slt" if overshoots else "ne"
            more = None if stop is None else b.compare(test, following, stop)
            leaver = self.repeat(more, label, exit_label)
            latch = b.region.label
            final = [part for target in targets for part in self.get(target)]
            left, self.left = self.left, {}
            self.level.update(saved)
        entry = before.region
        entry.lines.append(f"  br label %{label}")
        for (line, name, first), last in zip(phis, [*final, following]):
            head.lines[line] = (
                f"  {name} = phi {first.type} [ {first.text}, %{entry.label} ], "
                f"[ {last.text}, %{latch} ]"
            )
        for term in [*targets, *written]:
            self.invalidate(term[0] if isinstance(term, tuple) else term)
        self.move(b.open(exit_label))
        for target in [target for target in targets if target in left]:
            last = (latch, {target: self.get(target)})
            ends = (leaver, {target: left[target]})
            self.put(target, left[target] if more is None else self.merged(target, ends, last))

    def repeat(self, more: Value | None, label: str, exit_label: str) -> str:
        """Go back to `label` if there is `more`, and no Break says that this was the last time; gives the
        block that such a Break leaves."""
        b, leaving, leaver = self.b, self.leaving, self.b.region.label
        self.leaving = None
        if leaving is None:
            if more is None:
                raise IRError("an endless loop without a break")
            b.branch_if(more, label, exit_label)
        elif more is None:
            b.branch_if(leaving, exit_label, label)
        else:
            onwards = b.fresh("onwards")
            b.branch_if(leaving, exit_label, onwards)
            b.label(onwards)
            b.branch_if(more, label, exit_label)
        return leaver

    def phi(self, first: Value, phis: list[tuple[int, str, Value]]) -> Value:
        """Reserve a line at the head of the loop; it is written when the loop is closed."""
        name = f"%{self.b.fresh('p')}"
        phis.append((len(self.b.region.lines), name, first))
        self.b.region.lines.append("")
        return Value(name, first.kind, first.lanes)

    def raise_levels(self, terms: Iterable[object], depth: int) -> dict:
        saved: dict[object, int] = {}
        for term in terms:
            key = term[0] if isinstance(term, tuple) else term
            saved.setdefault(key, self.level.get(key, 0))
            self.level[key] = depth
        return saved


def _is_copy(statement: Statement) -> bool:
    """Whether it does no more than to give a variable what another one has."""
    return isinstance(statement, Assign) and isinstance(statement.value, Variable)
