"""The one base of both IRs: immutable, interned terms, with traversal and rebuilding written once.

Equal terms are the same object, so equality is identity, hashing is free and common
subexpressions cannot be duplicated. Everything here is iterative: the depth of a program is not
limited by Python's stack.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import wraps
from threading import Lock
from typing import Any
from weakref import WeakKeyDictionary, ref
from weakref import _remove_dead_weakref as _remove_dead  # what WeakValueDictionary does it with


class _Reference(ref):
    """A term that is known as long as somebody uses it, and by what."""

    __slots__ = ("key",)


# A WeakValueDictionary, but for what that calls: making terms is most of the work of a compile.
_interned: dict[tuple, _Reference] = {}
_lock = Lock()


def _forget(reference: _Reference) -> None:
    """Called by a term's end, at any time in any thread: another one may have the key already."""
    _remove_dead(_interned, reference.key)


_locations: WeakKeyDictionary[Term, str] = WeakKeyDictionary()


# Types whose values equal nothing of another type that is not wrapped: text, every class of terms, and
# what is equal to itself only. Ints are among them, as True, 1.0 and the like are wrapped.
_distinct: set[type] = {str, int, type(None)}


def _key(value: Any) -> Any:
    """A hashable identity. Python says 1 == 1.0 == True and 0.0 == -0.0; an IR must not."""
    kind = type(value)
    if kind in _distinct:
        return value
    if kind is tuple:
        if _distinct.issuperset(map(type, value)):
            return value
        return tuple([item if type(item) in _distinct else _key(item) for item in value])
    if kind is float:
        return value.hex()
    if kind is complex:
        return (value.real.hex(), value.imag.hex())
    if kind.__eq__ is object.__eq__:
        _distinct.add(kind)
        return value
    return (kind, value)


class Term:
    """A value with named fields, declared by annotation in a subclass; never changed.

    A field holds terms, ints, floats, complex numbers, bools, strings, bytes, `None`, identity-hashed
    records, or tuples of these. `check` runs once, when a new term is made. The fields of a class that is `plain`
    hold nothing that equals anything of another type: no floats, for instance, and no bools.
    """

    __slots__ = ("__weakref__",)
    __match_args__: tuple[str, ...] = ()
    _is_plain = False
    _setters: tuple[Callable[[Any, Any], None], ...] = ()

    def __init_subclass__(cls, plain: bool = False) -> None:
        _distinct.add(cls)
        cls._is_plain = plain
        own = cls.__dict__.get("__annotations__", {})
        if own:
            cls.__match_args__ = tuple(own)
            cls._setters = tuple([getattr(cls, field).__set__ for field in own])

    def __new__(cls, *values: Any) -> Any:
        if cls._is_plain or _distinct.issuperset(map(type, values)):
            key = (cls, *values)
        else:
            key = (cls, *map(_key, values))
        reference = _interned.get(key)
        if reference is not None:
            found = reference()
            if found is not None:
                return found
        if len(values) != len(cls._setters):
            raise TypeError(f"{cls.__name__} has the fields {', '.join(cls.__match_args__)}")
        new = object.__new__(cls)
        for put, value in zip(cls._setters, values):
            put(new, value)
        new.check()
        reference = _Reference(new, _forget)
        reference.key = key
        with _lock:
            # Another thread may have been faster.
            found = _interned.setdefault(key, reference)()
            if found is None:
                _interned[key], found = reference, new
        return found

    def check(self) -> None:
        """Refuse an ill-formed term; compute derived slots."""

    def __setattr__(self, *_: Any) -> None:
        raise AttributeError("terms are immutable")

    __delattr__ = __setattr__

    def __copy__(self) -> Term:
        return self

    def __deepcopy__(self, _: Any) -> Term:
        return self

    def __reduce__(self) -> tuple:
        return type(self), self.values

    @property
    def values(self) -> tuple:
        return tuple([getattr(self, field) for field in self.__match_args__])

    def replace(self, **new: Any) -> Any:
        """The same term with some fields changed."""
        return type(self)(*[new.get(field, getattr(self, field)) for field in self.__match_args__])

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(map(repr, self.values))})"


class _Own(threading.local):
    locations: dict[Term, str] | None = None


_own = _Own()


def locate(term: Term, location: str) -> None:
    """Remember where in the user's program `term` came from; the first place wins."""
    (_locations if _own.locations is None else _own.locations).setdefault(term, location)


def location_of(term: Term) -> str | None:
    return (_locations if _own.locations is None else _own.locations).get(term)


def from_same_place(new: Term, old: Term) -> Any:
    """`new`, which takes the place of `old` and comes from the same line."""
    if new is not old and (location := location_of(old)):
        locate(new, location)
    return new


@contextmanager
def own_locations() -> Iterator[None]:
    """Know only the places that are told in this block: equal terms are one, also of different
    programs, of which the first place may be in another one."""
    before, _own.locations = _own.locations, {}
    try:
        yield
    finally:
        _own.locations = before


def terms_in(value: Any) -> Iterator[Term]:
    """The terms directly inside a field's value."""
    if isinstance(value, Term):
        yield value
    elif type(value) is tuple:
        for item in value:
            yield from terms_in(item)


def children(term: Term) -> list[Term]:
    return [child for value in term.values for child in terms_in(value)]


def postorder(
    roots: Iterable[Term], below: Callable[[Term], Sequence[Term]] = children
) -> list[Term]:
    """Every term reachable from `roots` through `below`, once, children before parents."""
    order: list[Term] = []
    seen: set[Term] = set()
    stack: list[Any] = [*roots]
    stack.reverse()
    while stack:
        term = stack.pop()
        if term is None:  # the children of the one beneath are done
            order.append(stack.pop())
        elif term not in seen:
            seen.add(term)
            inner = below(term)
            if inner:
                stack += (term, None)
                stack += inner[::-1]
            else:
                order.append(term)
    return order


def substituted(value: Any, new: dict[Term, Any]) -> Any:
    """A field's value with terms exchanged."""
    if isinstance(value, Term):
        return new.get(value, value)
    if type(value) is tuple:
        return tuple([substituted(item, new) for item in value])
    return value


def with_children(term: Term, new: dict[Term, Any]) -> Any:
    """`term` with the terms in its fields exchanged as `new` says."""
    values = term.values
    changed = tuple([substituted(value, new) for value in values])
    same = all(a is b or a == b for a, b in zip(changed, values))
    return term if same else type(term)(*changed)


def rebuild(roots: Iterable[Term], visit: Callable[[Any], Any]) -> dict[Term, Any]:
    """Rebuild bottom-up: `visit` sees each term with its children already replaced."""
    new: dict[Term, Any] = {}
    for term in postorder(roots):
        new[term] = visit(with_children(term, new))
    return new


def remembered(function: Callable) -> Callable:
    """A function of a term, and of more that can be hashed, which is computed once while that term lives."""
    known: WeakKeyDictionary[Term, dict] = WeakKeyDictionary()

    @wraps(function)
    def found(term: Term, *more: Any) -> Any:
        of_term = known.get(term)
        if of_term is None:
            of_term = known.setdefault(term, {})
        if more not in of_term:
            of_term[more] = function(term, *more)
        return of_term[more]

    return found
