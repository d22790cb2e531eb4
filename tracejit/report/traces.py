"""Traces of machine code: blocks that run one after the other, as long pieces of straight code as there are.

How often each block ran tells which ways were taken. Blocks that ran as often as each other, one behind the other, are one
trace; so is a turn of a loop with all turns of the short loops in it. What a processor computes
at the same time is thereby together.
"""

from __future__ import annotations

from typing import NamedTuple

from .blocks import Block, Instruction

# A turn of a loop that has more instructions is left in pieces: a processor looks no further ahead, and keeps
# no more of them decoded.
LONGEST = 1500
# What ran less often than this part of the turns of a loop is not on its way; and how near a number of turns
# must be to a whole one.
SELDOM, WHOLE = 0.05, 0.1


class Trace(NamedTuple):
    """Instructions, without those that belong to calls, and how often they ran; those of loops that hand values on
    for long enough to wait for them are `carried`."""

    function: str
    label: str
    target: str
    work: tuple[Instruction, ...]
    turns: int
    ends: bool
    trips: float = 1.0

    @property
    def is_loop(self) -> bool:
        return bool(self.label) and self.label == self.target

    @property
    def carried(self) -> bool:
        return self.is_loop and self.trips * len(self.work) >= LONGEST


def traces(blocks: list[Block], counts: list[int]) -> list[Trace]:
    """The traces of blocks that ran so often."""
    found: list[Trace] = []
    for block, times in zip(blocks, counts):
        if not times:
            continue
        work = tuple([i for i in block.instructions if not i.is_frame])
        found.append(Trace(block.function, block.label, block.target, work, times, block.ends))
    return [trace for trace in _with_trips(_nested(_joined(found))) if trace.work]


def _joined(pieces: list[Trace]) -> list[Trace]:
    """Neighbours that ran as often as each other as one, unless a loop ends between them."""
    found: list[Trace] = []
    for piece in pieces:
        before = found[-1] if found else None
        if (
            before is not None
            and before.function == piece.function
            and before.turns == piece.turns
            and not before.ends
            and not before.is_loop
        ):
            found[-1] = _together([before, piece], piece.turns)
        else:
            found.append(piece)
    return found


def _together(pieces: list[Trace], turns: int) -> Trace:
    """One trace of several, each as often in it as it ran."""
    work = [i for p in pieces for _ in range(round(p.turns / turns)) for i in p.work]
    first, last = pieces[0], pieces[-1]
    return Trace(first.function, first.label, last.target, tuple(work), turns, last.ends)


def _nested(pieces: list[Trace]) -> list[Trace]:
    """Turns of loops that have short loops in them as one trace, the innermost first."""
    while True:
        loops = [
            (k - first, first, k)
            for k, piece in enumerate(pieces)
            if (first := _head(pieces, k)) < k
        ]
        flat = next((pair for _, *pair in sorted(loops) if _is_short(pieces[pair[0] : pair[1] + 1])), None)  # fmt: skip
        if flat is None:
            return pieces
        first, last = flat
        turns = pieces[last].turns
        inside = [p for p in pieces[first : last + 1] if p.turns >= SELDOM * turns]
        pieces = [*pieces[:first], _together(inside, turns), *pieces[last + 1 :]]


def _head(pieces: list[Trace], last: int) -> int:
    """Where the loop begins that this piece may end; the piece itself where it ends none."""
    piece = pieces[last]
    if not piece.target:
        return last
    for k in range(last, -1, -1):
        if pieces[k].function != piece.function:
            return last
        if pieces[k].label == piece.target:
            return k
    return last


def _is_short(pieces: list[Trace]) -> bool:
    """Whether a turn of a loop of these pieces is short, and always the same."""
    turns = pieces[-1].turns
    often = [p.turns / turns for p in pieces]
    way = [(n, p) for n, p in zip(often, pieces) if n >= SELDOM]
    same = all(abs(n - round(n)) <= WHOLE * n for n, _ in way) and pieces[0] is way[0][1]
    return same and sum(round(n) * len(p.work) for n, p in way) <= LONGEST


def _with_trips(pieces: list[Trace]) -> list[Trace]:
    """How many turns the loops have each time they are entered."""
    found, entries = [], 1
    for k, piece in enumerate(pieces):
        before = pieces[k - 1] if k and pieces[k - 1].function == piece.function else None
        entries = piece.turns if before is None else before.turns
        found.append(piece._replace(trips=piece.turns / entries if piece.is_loop else 1.0))
    return found
