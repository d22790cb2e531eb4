"""One value for two: what a name is bound to after either arm, or after any number of iterations."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, NamedTuple

import numpy as np

from ...errors import TraceError
from ...ir.dims import Dim
from ...ir.graph import Node
from ...ir.types import ArrayType, DType, array_type, bool_
from ..array import Array
from ..context import Trace, failure, for_numpy
from ..promotion import DEFAULT_DTYPES, cast, constant, filled, result_dtype
from ..registry import MIRRORS
from ..tree import LEAF, flatten, unflatten
from ..value import Value, node_of, to_node
from ..views import Storage
from .optional import Maybe
from .state import UNBOUND, is_array, is_same

_RANK = (bool, int, float, complex)
# How messages call the value of a function.
RETURNED = "what the function returns"
# What is not said of a jump that was not made: any value will do.
UNSET: Any = type("Unset", (), {"__repr__": lambda self: "unset"})()


class Kind(NamedTuple):
    """The type of a number or array; `weak` as Values have it."""

    shape: tuple
    dtype: DType
    is_scalar: bool
    weak: type | None = None

    @property
    def type(self) -> ArrayType:
        return array_type(self.shape, self.dtype)

    def wrap(self, node: Node) -> Array:
        return Array(node, self.is_scalar, self.weak)

    def node(self, value: Any) -> Node:
        """A value as a node of this type; an undefined one as some."""
        if value is UNBOUND or value is UNSET:
            return filled(0, self.dtype, self.shape)
        if type(value) in _RANK:
            return constant(value, self.dtype)
        return cast(to_node(value), self.dtype)

    def __str__(self) -> str:
        return self.weak.__name__ if self.weak else str(self.type)


def kind_of(value: Any) -> Kind | None:
    """The kind of a number or array; None for anything else."""
    if isinstance(value, Value):
        if value.mask is not None:
            return None
        type_ = node_of(value).type
        return Kind(type_.shape, type_.dtype, value.is_scalar, value.weak)
    if type(value) in _RANK:
        return Kind((), DEFAULT_DTYPES[type(value)], True, type(value))
    if isinstance(value, Dim):
        return Kind((), DEFAULT_DTYPES[int], True, int)
    if isinstance(value, np.generic) and value.dtype.kind in "biufc":
        node = to_node(value)
        return Kind((), node.type.dtype, True)
    return None


def joined(a: Kind, b: Kind) -> Kind | None:
    """The kind that has the values of both, by NumPy's promotion; None where there is none.

    An array without axes and a number are a number.
    """
    if a == b:
        return a
    if a.shape != b.shape:
        return None
    if a.weak and b.weak:
        weak = max(a.weak, b.weak, key=_RANK.index)
        return Kind((), DEFAULT_DTYPES[weak], True, weak)
    kinds = [k.dtype.numpy if k.weak in (None, bool) else k.weak for k in (a, b)]
    return Kind(a.shape, result_dtype(*kinds), a.is_scalar or b.is_scalar)


def holds_exactly(kind: Kind, value: Any) -> bool:
    """Whether a value is the same number as one of this kind."""
    own = kind_of(value)
    if own is None or own.shape != kind.shape:
        return own is not None and own == kind
    if own.dtype is kind.dtype:
        return True
    if isinstance(value, Value | Dim):
        return np.can_cast(own.dtype.numpy, kind.dtype.numpy, "safe")
    with np.errstate(all="ignore"):
        return bool(kind.dtype.numpy.type(value) == value)


def matched(a: Any, b: Any) -> tuple[Any, Any]:
    """Two values for one name, as Maybes where one is None, or may be, and the other a number."""
    found = [value for value in (a, b) if value is not None]
    if len(found) == 2 and not any(type(value) is Maybe for value in found):
        return a, b
    kinds = [kind_of(value.some if type(value) is Maybe else value) for value in found]
    if not kinds or not all(kind is not None and kind.is_scalar for kind in kinds):
        return a, b
    return _maybe(a, kinds[0]), _maybe(b, kinds[0])


def _maybe(value: Any, kind: Kind) -> Maybe:
    if type(value) is Maybe:
        return value
    own = (kind if value is None else kind_of(value)) or kind
    some = own.wrap(own.node(UNSET if value is None else value))
    return Maybe(Array(constant(value is None, bool_), True, bool), some)


class Pairs:
    """Values that two arms have for the same things, and the nodes to choose among.

    `first` and `second` have a node each for every number or array that differs; `contents` tells
    for either arm what arrays held at its end. Of arrays older than `birth`, what is chosen may
    be the memory; containers that are `older`, by identity, others have, too.
    """

    def __init__(
        self,
        trace: Trace,
        birth: int,
        contents: tuple[dict, dict],
        older: Collection[int] = (),
    ) -> None:
        self.trace, self.birth, self.contents, self.older = trace, birth, contents, older
        self.first: list[Node] = []
        self.second: list[Node] = []
        self.chosen: list[Node] = []
        self.what = ""
        # What was made of which arrays; and for memory of an arm's own, what may be it afterwards.
        self.arrays: dict[tuple[int, ...], Array] = {}
        self.heirs: dict[Storage, list[Storage]] = {}

    def add(self, a: Any, b: Any, what: str) -> Callable[[], Any]:
        """Two values for `what`; gives what to call for the one value, when that was `chosen`."""
        self.what = what
        if is_same(a, b):
            return lambda: a
        if a is UNBOUND or b is UNBOUND:
            return self._partly(a, b)
        if a is UNSET or b is UNSET:
            return self._unset(b if a is UNSET else a, a is UNSET)
        a, b = matched(a, b)
        leaves, structure = flatten(a)
        others, other = flatten(b)
        if structure != other:
            raise _unlike(what, a, b)
        if structure == LEAF:
            return self._leaf(a, b, what)
        if id(a) in self.older or id(b) in self.older:
            return self._either(a, b, structure)
        parts = [self.add(x, y, what) for x, y in zip(leaves, others)]
        return lambda: unflatten(structure, [part() for part in parts])

    def _either(self, a: Any, b: Any, structure: Any) -> Callable[[], Any]:
        """One of two containers that others have: a copy of it, which may be read, as long as none of
        the three is changed."""
        leaves, others = flatten(a)[0], flatten(b)[0]
        parts = [self.add(x, y, self.what) for x, y in zip(leaves, others)]

        def made() -> Any:
            found = unflatten(structure, [part() for part in parts])
            for container in (found, a, b):
                self.trace.unchanged.append((container, flatten(container)))
            return found

        if not leaves:
            raise _choice_of(a)
        return made

    def _partly(self, a: Any, b: Any) -> Callable[[], Any]:
        """A name that one of the arms leaves undefined: where it is used, the other one ran."""
        defined = b if a is UNBOUND else a
        leaves, structure = flatten(defined)
        kinds = [kind_of(leaf) for leaf in leaves]
        if None in kinds:
            return lambda: UNBOUND
        return self._unset(defined, a is UNBOUND)

    def _unset(self, value: Any, is_second: bool) -> Callable[[], Any]:
        leaves, structure = flatten(value)
        parts: list[Callable[[], Any]] = []
        for leaf in leaves:
            kind = kind_of(leaf)
            # An array of before is itself: what is written to it later, it has.
            if kind is None or is_array(leaf) and leaf.storage.birth <= self.birth:
                parts.append(lambda leaf=leaf: leaf)
                continue
            nodes = [kind.node(UNSET), self._node(kind, leaf, is_second)]
            parts.append(self._choose(kind, nodes if is_second else nodes[::-1], [leaf]))
        return lambda: unflatten(structure, [part() for part in parts])

    def _leaf(self, a: Any, b: Any, what: str) -> Callable[[], Any]:
        kinds = kind_of(a), kind_of(b)
        kind = None if None in kinds else joined(*kinds)
        if kind is None or self.trace.attempts and _are_promoted(*kinds):
            raise _unlike(what, a, b)
        nodes = [self._node(kind, a, 0), self._node(kind, b, 1)]
        return self._choose(kind, nodes, [a, b])

    def _node(self, kind: Kind, value: Any, arm: int) -> Node:
        held = self.contents[arm].get(id(value))
        return kind.node(value) if held is None else cast(held, kind.dtype)

    def _choose(self, kind: Kind, nodes: list[Node], values: list[Any]) -> Callable[[], Any]:
        a, b = nodes
        position = None if a is b else self.pair(a, b)
        share = self.trace.will_share if self.what == RETURNED else self.trace.may_share
        known = tuple(map(id, values)) if all(map(is_array, values)) else ()

        def made() -> Array:
            if known in self.arrays:  # one array under two names is one afterwards
                return self.arrays[known]
            array = kind.wrap(a if position is None else self.chosen[position])
            for value in filter(is_array, values):
                self._inherit(array.storage, value.storage, share)
            if known:
                self.arrays[known] = array
            return array

        return made

    def _inherit(self, new: Storage, old: Storage, share: Callable) -> None:
        """Let what `old` may be the memory of, so may `new`, which has its value after one arm."""
        for partner in MIRRORS["partners"](old):
            share(new, partner)
        for one in dict.fromkeys((old, *self.trace.doubts_of(old))):
            if one.birth <= self.birth:
                share(new, one)
                continue
            heirs = self.heirs.setdefault(one, [])
            for heir in heirs:
                if heir is not new:
                    share(new, heir)
            heirs.append(new)

    def pair(self, a: Node, b: Node) -> int:
        """Two nodes of one type; the number of the one that will be chosen."""
        for position, known in enumerate(zip(self.first, self.second)):
            if known == (a, b):
                return position
        self.first.append(a)
        self.second.append(b)
        return len(self.first) - 1


def _are_promoted(a: Kind, b: Kind) -> bool:
    """Whether one of two values changes its dtype: no matter to who wrote the program and knows it,
    but a library's function promises the dtypes of either path."""
    return a.dtype is not b.dtype and not (a.weak or b.weak)


def _unlike(what: str, a: Any, b: Any) -> TraceError:
    error = failure(
        TraceError,
        f"{what} is {describe(a)} on one path and {describe(b)} on the other, "
        "and which it is depends on traced values",
        "give it values of one type and shape, or decide by a static argument",
    )
    error.is_about_none = what == RETURNED and (a is None or b is None)
    is_text = isinstance(a, str | bytes) and isinstance(b, str | bytes)
    return for_numpy(error) if is_text else error


def check_choices(trace: Trace) -> None:
    """Refuse a function that changed a container which traced values have chosen, or one of those that it was
    chosen among."""
    for container, (leaves, structure) in trace.unchanged:
        now, own = flatten(container)
        if own != structure or not all(map(is_same, now, leaves)):
            raise _choice_of(container)


def _choice_of(container: Any) -> TraceError:
    return for_numpy(
        failure(
            TraceError,
            f"traced values decide which {type(container).__name__} is changed",
            "change either in an `if` of its own",
        )
    )


def describe(value: Any) -> str:
    """What a value is, for a message."""
    kind = kind_of(value)
    if kind is not None:
        return f"a Python {kind}" if kind.weak else str(kind)
    if value is None or value is UNBOUND:
        return repr(value)
    return f"a {type(value).__name__}"
