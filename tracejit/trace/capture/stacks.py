"""What growing lists do, as code that is captured like a user's.

A list is `Growing`: its items are from `first` to before `end` of what has `room` for so many.
"""

from __future__ import annotations

from typing import Any


def append(stack: Any, item: Any) -> None:
    """`list.append`."""
    if not stack.is_counted and stack.end >= stack.room:
        stack.outgrow()
        raise OverflowError("the list has no room for more items")
    stack.put(stack.end, item)
    stack.end = stack.end + 1


def extend(stack: Any, items: Any) -> None:
    """`list.extend`."""
    for item in items:
        append(stack, item)


def fill(stack: Any, source: Any, value: Any) -> None:
    """Put the values of all items into a list that has room for them."""
    for place, x in enumerate(source):
        stack.put(place, value(x))


def gather(stack: Any, found: Any) -> None:
    """Append the values of loops, one inside the other."""
    for x in found.source:
        if found.keeps(x):
            if found.is_nested:
                gather(stack, found.value(x))
            else:
                append(stack, found.value(x))


def pop(stack: Any) -> Any:
    """`list.pop` of the last item."""
    stack.shrinks()
    if stack.end <= stack.first:
        raise IndexError("pop from empty list")
    stack.end = stack.end - 1
    return stack.at(stack.end)


def popleft(stack: Any) -> Any:
    """`deque.popleft`, and `list.pop(0)`."""
    stack.shrinks()
    if stack.end <= stack.first:
        raise IndexError("pop from an empty deque")
    found = stack.at(stack.first)
    stack.first = stack.first + 1
    return found


def place_of(stack: Any, index: Any) -> Any:
    """Where the item is that a list has at an index."""
    count = stack.end - stack.first
    position = index + count if index < 0 else index
    if position < 0 or position >= count:
        raise IndexError("list index out of range")
    return stack.first + position


def item(stack: Any, index: Any) -> Any:
    """`items[index]`."""
    return stack.at(place_of(stack, index))


def sliced(stack: Any, start: Any, stop: Any, is_reversed: bool) -> Any:
    """`items[start:stop]`, or `items[start:stop:-1]`: a list of its own."""
    count = stack.end - stack.first
    if not is_reversed:
        first = 0 if start is None else clipped(start, count, 0)
        end = count if stop is None else clipped(stop, count, 0)
        new = stack.copy()
        new.end = new.first + max(first, end)
        new.first = new.first + first
        return new
    first = count - 1 if start is None else clipped(start, count - 1, -1)
    end = -1 if stop is None else clipped(stop, count - 1, -1)
    new = stack.empty()
    for place in range(first, end, -1):
        append(new, stack.at(stack.first + place))
    return new


def clipped(index: Any, most: Any, least: int) -> Any:
    """A bound of a slice, of a list with `most - least` items."""
    position = index + most - least if index < 0 else index
    return min(max(position, least), most)


def assign(stack: Any, index: Any, value: Any) -> None:
    """`items[index] = value`."""
    stack.put(place_of(stack, index), value)


def take_out(stack: Any, index: Any) -> Any:
    """`list.pop(index)`."""
    stack.shrinks()
    place = place_of(stack, index)
    found = stack.at(place)
    stack.end = stack.end - 1
    while place < stack.end:
        stack.put(place, stack.at(place + 1))
        place = place + 1
    return found


def insert(stack: Any, index: Any, item: Any) -> None:
    """`list.insert`, which takes an index that is out of range for the nearest end."""
    count = stack.end - stack.first
    position = max(index + count, 0) if index < 0 else min(index, count)
    append(stack, item)
    goal = stack.first + position
    place = stack.end - 1
    while place > goal:
        stack.put(place, stack.at(place - 1))
        place = place - 1
    stack.put(goal, item)


def index_of(stack: Any, item: Any) -> Any:
    """`list.index`."""
    place = stack.first
    while place < stack.end:
        if stack.is_equal(stack.at(place), item):
            break
        place = place + 1
    if place >= stack.end:
        raise ValueError(f"{item!r} is not in list")
    return place - stack.first


def count_of(stack: Any, item: Any) -> Any:
    """`list.count`."""
    count = 0
    for place in range(stack.first, stack.end):
        if stack.is_equal(stack.at(place), item):
            count += 1
    return count


def remove(stack: Any, item: Any) -> None:
    """`list.remove`."""
    take_out(stack, index_of(stack, item))


def reverse(stack: Any) -> None:
    """`list.reverse`."""
    low, high = stack.first, stack.end - 1
    while low < high:
        one, other = stack.at(low), stack.at(high)
        stack.put(low, other)
        stack.put(high, one)
        low, high = low + 1, high - 1


def sort(stack: Any, heap: Any, reversing: bool) -> None:
    """`list.sort` of tuples, of which `heap` is a copy that is used up."""
    heap.end = heap.first
    for place in range(stack.first, stack.end):
        push(heap, stack.at(place))
    for place in range(stack.first, stack.end):
        stack.put(place, take(heap))
    if reversing:
        reverse(stack)


def has_some(stack: Any) -> None:
    """That there are items; else NumPy runs the function."""
    if stack.end <= stack.first:
        stack.is_empty()
        raise ValueError("the list has no items")


def push(heap: Any, value: Any) -> None:
    """`heapq.heappush`."""
    append(heap, value)
    _sift_down(heap, heap.end - 1, value)


def take(heap: Any) -> Any:
    """`heapq.heappop`."""
    last = pop(heap)
    if heap.end <= heap.first:
        return last
    found = heap.at(heap.first)
    # As `heapq` does: the smaller child moves up to the end, and the last item down from there.
    place = heap.first
    child = place + 1
    while child < heap.end:
        right = child + 1
        if right < heap.end:
            if not heap.is_less(heap.at(child), heap.at(right)):
                child = right
        heap.put(place, heap.at(child))
        place = child
        child = 2 * (place - heap.first) + 1 + heap.first
    _sift_down(heap, place, last)
    return found


def _sift_down(heap: Any, place: Any, value: Any) -> None:
    """Move items that are greater than `value`, which is to be at a place or before it."""
    while place > heap.first:
        parent = heap.first + (place - heap.first - 1) // 2
        if not heap.is_less(value, heap.at(parent)):
            break
        heap.put(place, heap.at(parent))
        place = parent
    heap.put(place, value)
