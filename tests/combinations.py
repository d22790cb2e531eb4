"""Few cases out of many parameters: most mistakes need one value, nearly all others a pair."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from itertools import combinations, cycle, islice, product
from typing import Any


def each(*parameters: Iterable[Any]) -> list[tuple]:
    """Cases in which every value of every parameter occurs, as many as the longest has values."""
    columns = [list(values) for values in parameters]
    return list(islice(zip(*map(cycle, columns)), max(map(len, columns))))


def pairs(*parameters: Iterable[Any]) -> list[tuple]:
    """Cases in which any two values of two parameters meet, the same ones at every call.

    A greedy cover: a case begins with the first pair that never met, and takes of every other
    parameter the value that meets most of the chosen ones anew, of equals the one seen least.
    """
    columns = [list(values) for values in parameters]
    axes = range(len(columns))
    missing = {
        ((i, a), (j, b)): None  # a dict: a set in order
        for i, j in combinations(axes, 2)
        for a, b in product(range(len(columns[i])), range(len(columns[j])))
    }
    seen: Counter = Counter()
    cases = []
    while missing:
        chosen = dict(next(iter(missing)))
        for i in axes:
            if i in chosen:
                continue
            gains = [
                sum(tuple(sorted(((i, a), other))) in missing for other in chosen.items())
                for a in range(len(columns[i]))
            ]
            chosen[i] = max(range(len(gains)), key=lambda a: (gains[a], -seen[i, a]))
        case = sorted(chosen.items())
        seen.update(case)
        for pair in combinations(case, 2):
            missing.pop(pair, None)
        cases.append(tuple(columns[i][a] for i, a in case))
    return cases if len(columns) > 1 else [(value,) for value in columns[0]]
