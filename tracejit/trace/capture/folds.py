"""Python's builtins that go through a sequence, as loops, which are captured like a user's.

What they go through is `Lazy`: a source, and functions of its items that tell whether one counts, and
what its value is; or, nested, which values it stands for in its turn.
"""

from __future__ import annotations

from typing import Any


def any_of(found: Any) -> Any:
    """`any`."""
    for x in found.source:
        if found.keeps(x):
            if found.is_nested:
                if any_of(found.value(x)):
                    return True
            elif found.value(x):
                return True
    return False


def all_of(found: Any) -> Any:
    """`all`."""
    for x in found.source:
        if found.keeps(x):
            if found.is_nested:
                if not all_of(found.value(x)):
                    return False
            elif not found.value(x):
                return False
    return True


def total_of(found: Any, total: Any) -> Any:
    """`sum`, from `total` on."""
    for x in found.source:
        if found.keeps(x):
            if found.is_nested:
                total = total_of(found.value(x), total)
            else:
                total = total + found.value(x)
    return total


def best_of(found: Any, is_better: Any, key: Any) -> Any:
    """`max` or `min` of a source that is not empty and counts entirely; the first of equals."""
    best = most = None
    for x in found.source:
        value = found.value(x)
        rank = value if key is None else key(value)
        if most is None or is_better(rank, most):
            best, most = value, rank
    return best


def best_if_any(found: Any, is_better: Any, key: Any, so_far: tuple) -> tuple:
    """The same of any source: whether there was something, what is the best, and by what."""
    is_some, best, most = so_far
    for x in found.source:
        if found.keeps(x):
            if found.is_nested:
                is_some, best, most = best_if_any(
                    found.value(x), is_better, key, (is_some, best, most)
                )
            else:
                value = found.value(x)
                rank = value if key is None else key(value)
                if not is_some or is_better(rank, most):
                    is_some, best, most = True, value, rank
    return is_some, best, most


def best_or(found: Any, is_better: Any, key: Any, default: tuple, word: str) -> Any:
    """The same, or `default`, which may have one value or none."""
    is_some, best, _ = best_if_any(found, is_better, key, (False, 0, 0))
    if not is_some:
        if not default:
            raise ValueError(f"{word} iterable argument is empty")
        return default[0]
    return best


def first_if_any(found: Any, so_far: tuple) -> tuple:
    """Whether there is something, and what comes first."""
    for x in found.source:
        if found.keeps(x):
            so_far = (
                first_if_any(found.value(x), so_far) if found.is_nested else (True, found.value(x))
            )
            if so_far[0]:
                break
    return so_far


def first_or(found: Any, default: tuple) -> Any:
    """`next` of a generator that begins, or `default`, which may have one value or none."""
    is_some, first = first_if_any(found, (False, 0))
    if not is_some:
        if not default:
            raise StopIteration
        return default[0]
    return first


def fill(room: Any, source: Any, value: Any) -> None:
    """Put the values of all items side by side into `room`."""
    for place, x in enumerate(source):
        room[place] = value(x)


def reduced(source: Any, function: Any, total: Any) -> Any:
    """`functools.reduce`, from `total` on."""
    for x in source:
        total = function(total, x)
    return total


def accumulate(room: Any, source: Any, function: Any, total: Any) -> None:
    """`itertools.accumulate`, from `total` on, into `room`."""
    room[0] = total
    for place, x in enumerate(source):
        total = function(total, x)
        room[place + 1] = total


def find_runs(keys: Any, starts: Any) -> Any:
    """Put the places where other keys begin into `starts`, and their end; how many there are."""
    count = 0
    for place in range(len(keys)):
        if place == 0 or keys[place] != keys[place - 1]:
            starts[count] = place
            count += 1
    starts[count] = len(keys)
    return count


def collect(found: Any, room: Any, count: Any) -> Any:
    """Put the values side by side into `room`, from `count` on; how many there are then."""
    for x in found.source:
        if found.keeps(x):
            if found.is_nested:
                count = collect(found.value(x), room, count)
            else:
                room[count] = found.value(x)
                count += 1
    return count


def numbered(source: Any, place: Any) -> Any:
    """`enumerate`, from `place` on."""
    for x in source:
        yield place, x
        place += 1


def taken_while(keeps: Any, source: Any) -> Any:
    """`itertools.takewhile`."""
    for x in source:
        if not keeps(x):
            break
        yield x


def dropped_while(drops: Any, source: Any) -> Any:
    """`itertools.dropwhile`."""
    has_begun = False
    for x in source:
        if not has_begun:
            has_begun = not drops(x)
        if has_begun:
            yield x


def chained(several: Any) -> Any:
    """`itertools.chain`."""
    for source in several:
        for x in source:
            yield x


def counted(number: Any, step: Any) -> Any:
    """`itertools.count`."""
    while True:
        yield number
        number += step


def append_all(items: Any, found: Any) -> None:
    """Append the values to a list."""
    for x in found.source:
        if found.keeps(x):
            if found.is_nested:
                append_all(items, found.value(x))
            else:
                items.append(found.value(x))


def bisect_left(items: Any, x: Any, low: Any, high: Any) -> Any:
    """`bisect.bisect_left`."""
    while low < high:
        middle = (low + high) // 2
        if items[middle] < x:
            low = middle + 1
        else:
            high = middle
    return low


def bisect_right(items: Any, x: Any, low: Any, high: Any) -> Any:
    """`bisect.bisect_right`."""
    while low < high:
        middle = (low + high) // 2
        if x < items[middle]:
            high = middle
        else:
            low = middle + 1
    return low
